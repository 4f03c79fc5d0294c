// Interval arithmetic on index expressions: what rule G5 is proved with.
#include <numeric>

#include "ir/kernel/affine.hpp"

namespace tusk::kernel {
namespace {

using Bound = std::optional<Dim>;

Bound plus(const Bound& a, const Bound& b, const Dim& factor = Dim(1)) {
  if (!a || !b) return std::nullopt;
  return *a + *b * factor;
}

class Interval {
 public:
  Interval(const IndexBounds& indices, const RangeOf& range_of) : indices_(indices), range_of_(range_of) {}

  Bounds of(const ExprRef& expr) const {
    if (const std::optional<Affine> affine = affine_of(expr)) return sum(*affine);
    if (expr->kind != Expr::Kind::row || expr->operands.size() < 2) return {};
    const std::vector<ExprRef>& x = expr->operands;
    switch (expr->row->basic) {
      case Basic::add: {
        const Bounds a = of(x[0]), b = of(x[1]);
        return {plus(a.low, b.low), plus(a.high, b.high)};
      }
      case Basic::sub: {
        const Bounds a = of(x[0]), b = of(x[1]);
        return {plus(a.low, b.high, Dim(-1)), plus(a.high, b.low, Dim(-1))};
      }
      case Basic::mul: {
        const std::optional<Affine> left = affine_of(x[0]), right = affine_of(x[1]);
        if (right && right->terms.empty()) return scaled(of(x[0]), right->offset);
        if (left && left->terms.empty()) return scaled(of(x[1]), left->offset);
        return {};
      }
      case Basic::div:
        return divisor(x[1]) ? divided(of(x[0]), *divisor(x[1])) : Bounds{};
      case Basic::rem:
        return divisor(x[1]) ? remainder(of(x[0]), *divisor(x[1])) : Bounds{};
      case Basic::min: {
        const Bounds a = of(x[0]), b = of(x[1]);
        return {lower(a.low, b.low, true), lower(a.high, b.high, false)};
      }
      case Basic::max: {
        const Bounds a = of(x[0]), b = of(x[1]);
        return {upper(a.low, b.low, false), upper(a.high, b.high, true)};
      }
      case Basic::select: {
        const Bounds a = of(x[1]), b = of(x[2]);
        return {lower(a.low, b.low, true), upper(a.high, b.high, true)};
      }
      default:
        return {};
    }
  }

 private:
  Bounds sum(const Affine& affine) const {
    Bounds out{affine.offset, affine.offset};
    for (const auto& [name, coefficient] : affine.terms) {
      const auto it = indices_.find(name);
      if (it == indices_.end()) return {};
      const Bounds term = scaled(it->second, coefficient);
      out = {plus(out.low, term.low), plus(out.high, term.high)};
    }
    return out;
  }

  Bounds scaled(const Bounds& x, const Dim& factor) const {
    const Bound zero = Dim(0);
    if (at_least_zero(factor, range_of_)) return {plus(zero, x.low, factor), plus(zero, x.high, factor)};
    if (at_least_zero(factor * Dim(-1), range_of_)) return {plus(zero, x.high, factor), plus(zero, x.low, factor)};
    return {};
  }

  static std::optional<std::int64_t> divisor(const ExprRef& expr) {
    if (expr->kind != Expr::Kind::literal || expr->value.integer <= 0) return std::nullopt;
    return expr->value.integer;
  }

  static Bounds divided(const Bounds& x, std::int64_t by) {
    Bounds out;
    if (x.low) out.low = x.low->floor_div(by);
    if (x.high) out.high = x.high->floor_div(by);
    return out;
  }

  Bounds remainder(const Bounds& x, std::int64_t by) const {
    const bool unchanged =
        x.low && x.high && at_least_zero(*x.low, range_of_) && at_least_zero(Dim(by - 1) - *x.high, range_of_);
    return unchanged ? x : Bounds{Dim(0), Dim(by - 1)};
  }

  // The smaller of two bounds. `both`: it has to bound both; else one of them alone is a bound, too.
  Bound lower(const Bound& a, const Bound& b, bool both) const {
    if (!a || !b) return both ? std::nullopt : (a ? a : b);
    if (at_least_zero(*b - *a, range_of_)) return a;
    if (at_least_zero(*a - *b, range_of_) || !both) return b;
    return std::nullopt;
  }

  Bound upper(const Bound& a, const Bound& b, bool both) const {
    if (!a || !b) return both ? std::nullopt : (a ? a : b);
    if (at_least_zero(*a - *b, range_of_)) return a;
    if (at_least_zero(*b - *a, range_of_) || !both) return b;
    return std::nullopt;
  }

  const IndexBounds& indices_;
  const RangeOf& range_of_;
};

}  // namespace

void add_bounds(IndexBounds& bounds, const std::vector<Index>& indices) {
  for (const Index& index : indices) bounds[index.name] = {Dim(0), index.extent - Dim(1)};
}

Bounds bounds_of(const ExprRef& expr, const IndexBounds& indices, const RangeOf& range_of) {
  return Interval(indices, range_of).of(expr);
}

// The removed index lies between the quotients of the least and the greatest value of the rest.
void add_removed_bounds(IndexBounds& bounds, const Equality& equality, const std::string& removed, std::int64_t stride,
                        const RangeOf& range_of) {
  const std::optional<Affine> affine = affine_of(equality.value);
  if (!affine) return;
  Affine rest = *affine;
  if (removed != equality.index) {
    rest = {{{equality.index, Dim(1)}}, Dim(0) - affine->offset};
    for (const auto& [name, coefficient] : affine->terms) {
      if (name != removed) rest.terms.emplace_back(name, Dim(0) - coefficient);
    }
  }
  const Bounds of_rest = bounds_of(expr_of(rest), bounds, range_of);
  Bounds& out = bounds[removed];
  if (of_rest.low) out.low = (*of_rest.low + Dim(stride - 1)).floor_div(stride);
  if (of_rest.high) out.high = of_rest.high->floor_div(stride);
}

namespace {

// 2*a - 4*b + 3 is at least zero where a - 2*b + 1 is, which is whole as well.
Dim without_common_factor(const Dim& dim) {
  std::int64_t factor = 0;
  for (const Dim::Term& term : dim.terms()) {
    if (!term.factors.empty()) factor = std::gcd(factor, term.coefficient);
  }
  if (factor <= 1) return dim;
  const Dim constant(dim.constant_term());
  const std::optional<Dim> rest = (dim - constant).exact_div(Dim(factor));
  return rest ? *rest + constant.floor_div(factor) : dim;
}

}  // namespace

bool at_least_zero(const Dim& dim, const RangeOf& range_of) {
  // n - 2*(n // 2) >= 0 is lost when its two terms are bounded apart. c*(x // c) lies in x - c + 1 .. x; so, scaled by
  // all divisors, the sum can be bounded by one without divisions. A whole number that is above -1 is at least 0.
  constexpr int kDepth = 3;  // of divisions inside divisions
  constexpr std::int64_t kMostScale = 1 << 20;
  std::int64_t scale = 1;
  Dim relaxed = without_common_factor(dim);
  for (int depth = 0;; ++depth) {
    if (relaxed.range(range_of).low > -scale) return true;
    if (depth == kDepth) return false;
    std::int64_t factor = 1;
    const auto divisor_of = [](const Dim::Term& term) -> std::int64_t {
      const bool division = term.factors.size() == 1 && term.factors[0].kind == Dim::Atom::Kind::floor_div;
      return division ? term.factors[0].divisor : 0;
    };
    bool divides = false;
    for (const Dim::Term& term : relaxed.terms()) {
      const std::int64_t divisor = divisor_of(term);
      if (divisor == 0) continue;
      divides = true;
      if (divisor > kMostScale) return false;
      if (term.coefficient % divisor != 0) factor = std::lcm(factor, divisor);
      if (factor > kMostScale / scale) return false;
    }
    if (!divides) return false;
    scale *= factor;
    relaxed *= Dim(factor);
    for (const Dim::Term& term : relaxed.terms()) {
      const std::int64_t divisor = divisor_of(term);
      if (divisor == 0) continue;
      const Dim& inner = *term.factors[0].inner;
      const Dim least = term.coefficient < 0 ? inner : inner - Dim(divisor - 1);
      relaxed += least * Dim(term.coefficient / divisor) - inner.floor_div(divisor) * Dim(term.coefficient);
    }
  }
}

bool only_moves(const Kernel& kernel) {
  return kernel.stages.size() == 1 && !kernel.stages[0].reduce && kernel.stages[0].expr->kind == Expr::Kind::load;
}

bool reads_pointwise(const Kernel& kernel, const Schedule& schedule, const std::string& param) {
  if (kernel.results.size() != 1 || kernel.stages.size() != schedule.inline_stages.size() + 1) return false;
  const auto identity = [](const Expr& load, const Stage& stage) {
    if (load.has_else || load.operands.size() != stage.indices.size()) return false;
    for (std::size_t i = 0; i < stage.indices.size(); ++i) {
      if (load.operands[i]->kind != Expr::Kind::index || load.operands[i]->name != stage.indices[i].name) return false;
    }
    return true;
  };
  for (const Stage& stage : kernel.stages) {
    bool good = true;
    const auto check = [&](const ExprRef& expr, bool may_read) {
      if (!expr) return;
      for_each_load(expr, [&](const ExprRef& ref) {
        const Expr& load = *ref;
        // Inline stages are computed at their consumer's point only if they are read there.
        const bool matters = load.name == param || kernel.stage(load.name) != nullptr;
        good = good && (!matters || (may_read && identity(load, stage)));
      });
    };
    check(stage.expr, !stage.reduce);
    if (stage.reduce) {
      check(stage.reduce->from, true);
      for (const Equality& equality : stage.reduce->where) {
        check(equality.value, false);
        if (!affine_of(equality.value)) good = false;
      }
    }
    if (!good) return false;
  }
  return true;
}

}  // namespace tusk::kernel
