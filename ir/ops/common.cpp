#include "ir/ops/common.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "ir/kernel/affine.hpp"

namespace tusk::graph {

Status check_axis(const InferContext& c, std::int64_t axis, std::size_t rank, std::string_view label) {
  if (axis >= 0 && axis < static_cast<std::int64_t>(rank)) return done();
  return c.fail(label, fmt::format("axis {} is not in [0, {})", axis, rank));
}

Status check_axes(const InferContext& c, const Ints& axes, std::size_t rank, std::string_view label) {
  std::set<std::int64_t> seen;
  for (const std::int64_t axis : axes) {
    CHECK(check_axis(c, axis, rank, label));
    if (!seen.insert(axis).second) return c.fail(label, fmt::format("axis {} is given twice", axis));
  }
  return done();
}

std::vector<std::string> reduce_names(const std::vector<kernel::Index>& taken, std::size_t count) {
  static constexpr std::string_view kNames[] = {"i", "j", "k", "l", "m"};
  const auto used = [&](std::string_view name) {
    return std::any_of(taken.begin(), taken.end(), [&](const kernel::Index& index) { return index.name == name; });
  };
  std::vector<std::string> names;
  for (std::size_t candidate = 0; names.size() < count; ++candidate) {
    const std::string name =
        candidate < std::size(kNames) ? std::string(kNames[candidate]) : fmt::format("r{}", candidate);
    if (!used(name)) names.push_back(name);
  }
  return names;
}

kernel::ExprRef index_constant(std::int64_t value) {
  return kernel::literal(DType::index, kernel::literal_of_int(value));
}

kernel::ExprRef plus(kernel::ExprRef a, kernel::ExprRef b) {
  const auto zero = [](const kernel::ExprRef& e) {
    return e->kind == kernel::Expr::Kind::literal && e->value.integer == 0;
  };
  if (zero(a)) return b;
  if (zero(b)) return a;
  return kernel::apply("add", {std::move(a), std::move(b)});
}

kernel::ExprRef plus(kernel::ExprRef a, const Dim& b) {
  if (b.is_constant()) {
    const std::int64_t value = b.constant();
    if (value < 0) return kernel::apply("sub", {std::move(a), index_constant(-value)});
    return plus(std::move(a), index_constant(value));
  }
  return plus(std::move(a), kernel::dim_value(b));
}

kernel::ExprRef times(kernel::ExprRef a, std::int64_t factor) {
  if (factor == 1) return a;
  return kernel::apply("mul", {index_constant(factor), std::move(a)});
}

kernel::ExprRef times(kernel::ExprRef a, const Dim& factor) {
  if (factor.is_constant()) return times(std::move(a), factor.constant());
  return kernel::apply("mul", {kernel::dim_value(factor), std::move(a)});
}

Literal identity_of(kernel::Reducer reducer, DType type) {
  using kernel::Reducer;
  const DType computed = register_type(type);
  const bool largest = reducer == Reducer::min || reducer == Reducer::argmin;
  switch (reducer) {
    case Reducer::prod:
    case Reducer::all:
      return kernel::literal_of_int(1);
    case Reducer::max:
    case Reducer::argmax:
    case Reducer::min:
    case Reducer::argmin:
      break;
    default:
      return kernel::literal_of_int(0);
  }
  switch (computed) {
    case DType::i32:
      return kernel::literal_of_int(largest ? std::numeric_limits<std::int32_t>::max()
                                            : std::numeric_limits<std::int32_t>::min());
    case DType::u32:
      return kernel::literal_of_int(largest ? std::numeric_limits<std::uint32_t>::max() : 0);
    case DType::i64:
      return kernel::literal_of_int(largest ? std::numeric_limits<std::int64_t>::max()
                                            : std::numeric_limits<std::int64_t>::min());
    case DType::boolean:
      return kernel::literal_of_int(largest ? 1 : 0);
    default:
      return kernel::literal_of(largest ? std::numeric_limits<double>::infinity()
                                        : -std::numeric_limits<double>::infinity());
  }
}

kernel::Stage pointwise(std::string name, std::vector<kernel::Index> indices, DType type, kernel::ExprRef expr) {
  return {std::move(name), std::move(indices), type, std::nullopt, std::move(expr)};
}

namespace {

// An axis of extent 1 is 0: were its index the innermost one, the lanes would have one term, and all others one chain.
void drop_unit_indices(kernel::Stage& stage) {
  std::vector<kernel::Index>& indices = stage.reduce->indices;
  if (!stage.reduce->where.empty()) return;
  std::map<std::string, kernel::ExprRef> zero;
  std::erase_if(indices, [&](const kernel::Index& index) {
    const bool drops = index.extent == Dim(1) && zero.size() + 1 < indices.size();
    if (drops) zero[index.name] = index_constant(0);
    return drops;
  });
  if (!zero.empty()) stage.expr = substitute(stage.expr, zero);
}

}  // namespace

kernel::Stage ordered(kernel::Stage stage) {
  drop_unit_indices(stage);
  const kernel::Order order = kernel::order_of(stage);
  stage.reduce->lanes = order.lanes;
  stage.reduce->block = order.block;
  return stage;
}

Ints counting(std::size_t n) {
  Ints out(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<std::int64_t>(i);
  return out;
}

Ints other_axes(std::size_t rank, const Ints& axes) {
  Ints out;
  for (std::size_t i = 0; i < rank; ++i) {
    if (std::find(axes.begin(), axes.end(), static_cast<std::int64_t>(i)) == axes.end()) {
      out.push_back(static_cast<std::int64_t>(i));
    }
  }
  return out;
}

}  // namespace tusk::graph
