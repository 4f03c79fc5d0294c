#include "ir/base/dim.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <set>

namespace tusk {
namespace {

std::int64_t floor_div_int(std::int64_t a, std::int64_t b) {
  const std::int64_t q = a / b;
  return (a % b != 0 && (a < 0) != (b < 0)) ? q - 1 : q;
}

// Saturating products keep interval arithmetic defined for absurd ranges.
std::int64_t saturating_mul(std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  if (!__builtin_mul_overflow(a, b, &out)) return out;
  return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
}

std::int64_t saturating_add(std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  if (!__builtin_add_overflow(a, b, &out)) return out;
  return a < 0 ? INT64_MIN : INT64_MAX;
}

}  // namespace

bool operator<(const Dim::Atom& a, const Dim::Atom& b) {
  if (a.kind != b.kind) return a.kind < b.kind;
  if (a.name != b.name) return a.name < b.name;
  if (a.divisor != b.divisor) return a.divisor < b.divisor;
  if (!a.inner || !b.inner) return !a.inner && b.inner;
  return Dim::less(*a.inner, *b.inner);
}

bool operator==(const Dim::Atom& a, const Dim::Atom& b) { return !(a < b) && !(b < a); }

bool Dim::less(const Dim& a, const Dim& b) { return a.terms_ < b.terms_; }

Dim::Dim(std::int64_t constant) {
  if (constant != 0) terms_[{}] = constant;
}

Dim Dim::of_atom(Atom atom) {
  Dim out;
  out.terms_[{std::move(atom)}] = 1;
  return out;
}

Dim Dim::symbol(std::string_view name, std::int64_t step) {
  Dim out;
  out.terms_[{Atom{Atom::Kind::symbol, std::string(name), step, nullptr}}] = step;
  return out;
}

bool Dim::is_constant() const { return terms_.empty() || (terms_.size() == 1 && terms_.begin()->first.empty()); }

std::int64_t Dim::constant() const { return constant_term(); }

std::int64_t Dim::constant_term() const {
  const auto it = terms_.find({});
  return it == terms_.end() ? 0 : it->second;
}

std::optional<std::string> Dim::as_symbol() const {
  if (terms_.size() != 1 || terms_.begin()->first.size() != 1) return std::nullopt;
  const Atom& atom = terms_.begin()->first.front();
  if (atom.kind != Atom::Kind::symbol || terms_.begin()->second != atom.divisor) return std::nullopt;
  return atom.name;
}

Dim operator+(const Dim& a, const Dim& b) {
  Dim out = a;
  for (const auto& [product, coefficient] : b.terms_) {
    const auto [it, fresh] = out.terms_.try_emplace(product, 0);
    it->second = saturating_add(it->second, coefficient);
    if (it->second == 0) out.terms_.erase(it);
  }
  return out;
}

Dim operator-(const Dim& a, const Dim& b) { return a + b * Dim(-1); }

Dim operator*(const Dim& a, const Dim& b) {
  Dim out;
  for (const auto& [left, x] : a.terms_) {
    for (const auto& [right, y] : b.terms_) {
      Dim::Product both = left;
      both.insert(both.end(), right.begin(), right.end());
      std::sort(both.begin(), both.end());
      Dim term;
      term.terms_[std::move(both)] = saturating_mul(x, y);
      out = out + term;
    }
  }
  return out;
}

bool operator==(const Dim& a, const Dim& b) { return a.terms_ == b.terms_; }

Dim Dim::floor_div(std::int64_t divisor) const {
  if (divisor == 1) return *this;
  // (divisor * q + r) // divisor == q + r // divisor for every integer q.
  Dim whole;
  Dim rest;
  for (const auto& [product, coefficient] : terms_) {
    const std::int64_t q = product.empty() ? floor_div_int(coefficient, divisor)
                                           : (coefficient % divisor == 0 ? coefficient / divisor : 0);
    if (q != 0) whole.terms_[product] = q;
    if (coefficient - q * divisor != 0) rest.terms_[product] = coefficient - q * divisor;
  }
  if (rest.is_constant()) return whole;  // 0 <= rest < divisor
  // (x // a + c) // b == (x + c*a) // (a*b): one division instead of two.
  Dim without_constant = rest - Dim(rest.constant_term());
  if (without_constant.terms_.size() == 1 && without_constant.terms_.begin()->second == 1 &&
      without_constant.terms_.begin()->first.size() == 1) {
    const Atom atom = without_constant.terms_.begin()->first.front();
    std::int64_t constant = 0;
    std::int64_t both = 0;
    if (atom.kind == Atom::Kind::floor_div && !__builtin_mul_overflow(rest.constant_term(), atom.divisor, &constant) &&
        !__builtin_mul_overflow(divisor, atom.divisor, &both))
      return whole + (*atom.inner + Dim(constant)).floor_div(both);
  }
  return whole + of_atom({Atom::Kind::floor_div, {}, divisor, std::make_shared<const Dim>(std::move(rest))});
}

Dim Dim::ceil_div(std::int64_t divisor) const { return (*this + Dim(divisor - 1)).floor_div(divisor); }

Dim Dim::max0() const {
  if (is_constant()) return Dim(std::max<std::int64_t>(0, constant()));
  if (terms_.size() == 1 && terms_.begin()->first.size() == 1 && terms_.begin()->second > 0 &&
      terms_.begin()->first.front().kind != Atom::Kind::floor_div) {
    return *this;  // symbols and max0 are never negative
  }
  return of_atom({Atom::Kind::max0, {}, 1, std::make_shared<const Dim>(*this)});
}

std::optional<Dim> Dim::exact_div(const Dim& divisor) const {
  if (divisor.terms_.size() != 1) return terms_ == divisor.terms_ ? std::optional<Dim>(Dim(1)) : std::nullopt;
  const auto& [factors, by] = *divisor.terms_.begin();
  Dim out;
  for (const auto& [product, coefficient] : terms_) {
    if (coefficient % by != 0) return std::nullopt;
    Product rest = product;
    for (const Atom& factor : factors) {
      const auto it = std::find(rest.begin(), rest.end(), factor);
      if (it == rest.end()) return std::nullopt;
      rest.erase(it);
    }
    out.terms_[std::move(rest)] = coefficient / by;
  }
  return out;
}

std::int64_t Dim::value(const ValueOf& of) const {
  std::int64_t sum = 0;
  for (const auto& [product, coefficient] : terms_) {
    std::int64_t term = coefficient;
    for (const Atom& atom : product) {
      switch (atom.kind) {
        case Atom::Kind::symbol:
          term *= floor_div_int(of(atom.name), atom.divisor);
          break;
        case Atom::Kind::floor_div:
          term *= floor_div_int(atom.inner->value(of), atom.divisor);
          break;
        case Atom::Kind::max0:
          term *= std::max<std::int64_t>(0, atom.inner->value(of));
          break;
      }
    }
    sum += term;
  }
  return sum;
}

Range Dim::range(const RangeOf& of) const {
  Range sum{0, 0};
  for (const auto& [product, coefficient] : terms_) {
    Range term{coefficient, coefficient};
    for (const Atom& atom : product) {
      Range r;
      switch (atom.kind) {
        case Atom::Kind::symbol:
          r = of(atom.name);
          r = {floor_div_int(r.low, atom.divisor), floor_div_int(r.high, atom.divisor)};
          break;
        case Atom::Kind::floor_div:
          r = atom.inner->range(of);
          r = {floor_div_int(r.low, atom.divisor), floor_div_int(r.high, atom.divisor)};
          break;
        case Atom::Kind::max0:
          r = atom.inner->range(of);
          r = {std::max<std::int64_t>(0, r.low), std::max<std::int64_t>(0, r.high)};
          break;
      }
      const std::int64_t corners[] = {saturating_mul(term.low, r.low), saturating_mul(term.low, r.high),
                                      saturating_mul(term.high, r.low), saturating_mul(term.high, r.high)};
      term = {*std::min_element(std::begin(corners), std::end(corners)),
              *std::max_element(std::begin(corners), std::end(corners))};
    }
    sum = {saturating_add(sum.low, term.low), saturating_add(sum.high, term.high)};
  }
  return sum;
}

Dim Dim::substituted(const std::function<Dim(std::string_view, std::int64_t)>& of) const {
  Dim sum;
  for (const auto& [product, coefficient] : terms_) {
    Dim term(coefficient);
    for (const Atom& atom : product) {
      switch (atom.kind) {
        case Atom::Kind::symbol:
          term *= of(atom.name, atom.divisor).floor_div(atom.divisor);
          break;
        case Atom::Kind::floor_div:
          term *= atom.inner->substituted(of).floor_div(atom.divisor);
          break;
        case Atom::Kind::max0:
          term *= atom.inner->substituted(of).max0();
          break;
      }
    }
    sum += term;
  }
  return sum;
}

std::vector<std::string> Dim::symbols() const {
  std::set<std::string> names;
  for (const auto& [product, coefficient] : terms_) {
    for (const Atom& atom : product) {
      if (atom.kind == Atom::Kind::symbol) names.insert(atom.name);
      if (atom.inner) {
        for (std::string& name : atom.inner->symbols()) names.insert(std::move(name));
      }
    }
  }
  return {names.begin(), names.end()};
}

std::vector<Dim::Term> Dim::terms() const {
  std::vector<Term> out;
  for (const bool positive : {true, false}) {
    for (const auto& [product, coefficient] : terms_) {
      if (!product.empty() && (coefficient > 0) == positive) out.push_back({coefficient, product});
    }
  }
  if (constant_term() != 0) out.push_back({constant_term(), {}});
  return out;
}

std::string Dim::term_str(const Product& product, std::int64_t coefficient) const {
  // A stepped symbol takes its step out of the coefficient: 32 * (height // 32) is printed as height.
  std::string out;
  for (const Atom& atom : product) {
    if (!out.empty()) out += "*";
    switch (atom.kind) {
      case Atom::Kind::symbol:
        if (coefficient % atom.divisor == 0) {
          coefficient /= atom.divisor;
          out += atom.name;
        } else {
          out += product.size() == 1 && atom.divisor % coefficient == 0 && coefficient > 0
                     ? fmt::format("{}//{}", atom.name, atom.divisor / coefficient)
                     : fmt::format("({}//{})", atom.name, atom.divisor);
          if (product.size() == 1 && atom.divisor % coefficient == 0 && coefficient > 0) coefficient = 1;
        }
        break;
      case Atom::Kind::floor_div: {
        const std::string inner = atom.inner->str();
        const bool simple = atom.inner->as_symbol().has_value();
        const std::string quotient = fmt::format("{}//{}", simple ? inner : "(" + inner + ")", atom.divisor);
        out += product.size() > 1 || coefficient != 1 ? "(" + quotient + ")" : quotient;  // * and // go left to right
        break;
      }
      case Atom::Kind::max0:
        out += "max0(" + atom.inner->str() + ")";
        break;
    }
  }
  if (out.empty()) return std::to_string(coefficient);
  if (coefficient == 1) return out;
  if (coefficient == -1) return "-" + out;
  return fmt::format("{}*{}", coefficient, out);
}

std::string Dim::str() const {
  if (terms_.empty()) return "0";
  // Symbols first, the constant last, as people write them.
  std::string out;
  const auto append = [&out](const std::string& term) {
    if (out.empty()) {
      out = term;
    } else if (term.front() == '-') {
      out += " - " + term.substr(1);
    } else {
      out += " + " + term;
    }
  };
  for (const auto& [product, coefficient] : terms_) {
    if (!product.empty() && coefficient > 0) append(term_str(product, coefficient));
  }
  for (const auto& [product, coefficient] : terms_) {
    if (!product.empty() && coefficient < 0) append(term_str(product, coefficient));
  }
  if (constant_term() != 0) append(std::to_string(constant_term()));
  return out;
}

std::string shape_str(const Shape& shape) {
  std::string out = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) out += (i == 0 ? "" : ",") + shape[i].str();
  return out + "]";
}

Dim product(const Shape& shape) {
  Dim out(1);
  for (const Dim& dim : shape) out *= dim;
  return out;
}

}  // namespace tusk
