#include "ir/loop/linear.hpp"

#include <algorithm>

#include "ir/loop/print.hpp"

namespace tusk::loop {
namespace {

void add_term(Linear& to, const ValueRef& atom, std::int64_t coefficient) {
  const auto it = std::ranges::find_if(to.terms, [&](const Linear::Term& term) { return equal(term.atom, atom); });
  if (it == to.terms.end()) {
    if (coefficient != 0) to.terms.push_back({atom, coefficient});
    return;
  }
  it->coefficient += coefficient;
  if (it->coefficient == 0) to.terms.erase(it);
}

void add_scaled(Linear& to, const Linear& from, std::int64_t factor) {
  to.constant += factor * from.constant;
  for (const Linear::Term& term : from.terms) add_term(to, term.atom, factor * term.coefficient);
}

Linear product_of(const Linear& a, const Linear& b) {
  Linear out;
  add_scaled(out, b, a.constant);
  for (const Linear::Term& x : a.terms) {
    if (b.constant != 0) add_term(out, x.atom, x.coefficient * b.constant);
    for (const Linear::Term& y : b.terms) {
      const bool ordered = print(x.atom) <= print(y.atom);
      add_term(out, apply("mul", {ordered ? x.atom : y.atom, ordered ? y.atom : x.atom}),
               x.coefficient * y.coefficient);
    }
  }
  return out;
}

std::int64_t floor_quotient(std::int64_t a, std::int64_t b) {
  return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

// value = divisor * quotient + rest, with as much as possible in the quotient.
struct Division {
  Linear quotient, rest;
};

Division divided(const Linear& value, std::int64_t divisor, const MultipleOf& multiple_of) {
  Division out;
  out.quotient.constant = floor_quotient(value.constant, divisor);
  out.rest.constant = value.constant - divisor * out.quotient.constant;
  for (const auto& [atom, coefficient] : value.terms) {
    const std::int64_t step = atom->kind == Value::Kind::name && multiple_of ? multiple_of(atom->name) : 1;
    if (coefficient % divisor == 0) {
      add_term(out.quotient, atom, coefficient / divisor);
    } else if ((coefficient * step) % divisor == 0 && divisor % coefficient == 0) {
      add_term(out.quotient, apply("div", {atom, index_literal(divisor / coefficient)}), 1);
    } else {
      add_term(out.rest, atom, coefficient);
    }
  }
  return out;
}

}  // namespace

Linear linear_of(const ValueRef& value, const MultipleOf& multiple_of) {
  Linear out;
  if (value->kind == Value::Kind::literal) {
    out.constant = value->literal.integer;
    return out;
  }
  if (value->kind != Value::Kind::row || value->type != kIndex || value->operands.size() != 2) {
    add_term(out, value, 1);
    return out;
  }
  const Linear a = linear_of(value->operands[0], multiple_of);
  const Linear b = linear_of(value->operands[1], multiple_of);
  const bool by_number = b.terms.empty() && b.constant > 0;
  switch (value->row->basic) {
    case Basic::add:
    case Basic::sub:
      out = a;
      add_scaled(out, b, value->row->basic == Basic::add ? 1 : -1);
      return out;
    case Basic::mul:
      return product_of(a, b);
    case Basic::div:
    case Basic::rem:
      if (by_number) {
        Division parts = divided(a, b.constant, multiple_of);
        const bool is_div = value->row->basic == Basic::div;
        out = is_div ? parts.quotient : Linear{};
        if (parts.rest.terms.empty()) {
          out.constant += is_div ? 0 : parts.rest.constant;
        } else {
          add_term(out, apply(*value->row, {value_of(parts.rest), value->operands[1]}), 1);
        }
        return out;
      }
      break;
    default:
      break;
  }
  add_term(out, simplified(apply(*value->row, {value_of(a), value_of(b)})), 1);
  if (out.terms[0].atom->kind == Value::Kind::literal) return {out.terms[0].atom->literal.integer, {}};
  return out;
}

ValueRef value_of(const Linear& linear) {
  ValueRef sum;
  // What is added comes first, so that a sum does not begin with a negative product.
  for (const bool negative : {false, true}) {
    for (const auto& [atom, coefficient] : linear.terms) {
      if ((coefficient < 0) != negative) continue;
      const bool subtract = negative && sum != nullptr;
      const std::int64_t factor = subtract ? -coefficient : coefficient;
      ValueRef product = factor == 1 ? atom : apply("mul", {atom, index_literal(factor)});
      sum = sum ? apply(subtract ? "sub" : "add", {sum, std::move(product)}) : std::move(product);
    }
  }
  if (!sum) return index_literal(linear.constant);
  if (linear.constant == 0) return sum;
  return linear.constant < 0 ? apply("sub", {sum, index_literal(-linear.constant)})
                             : apply("add", {sum, index_literal(linear.constant)});
}

ValueRef normal(const ValueRef& value, const MultipleOf& multiple_of) {
  return value_of(linear_of(value, multiple_of));
}

bool any_name(const ValueRef& value, const std::function<bool(const std::string&)>& predicate) {
  return (value->kind == Value::Kind::name && predicate(value->name)) ||
         std::ranges::any_of(value->operands, [&](const ValueRef& operand) { return any_name(operand, predicate); });
}

}  // namespace tusk::loop
