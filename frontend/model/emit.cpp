#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "frontend/model/emit.hpp"
#include "frontend/model/error.hpp"

namespace tusk {
namespace emit {

graph::Operand Arg::operand() const {
  if (const Tensor* of = tensor()) return Trace::current().operand(*of);
  return std::get<graph::Operand>(is_);
}

Tensor op(std::string_view name, const std::vector<Arg>& args, graph::Attrs attrs, std::string_view suffix) {
  std::vector<graph::Operand> operands;
  for (const Arg& arg : args) operands.push_back(arg.operand());
  return Trace::current().add(name, std::move(operands), std::move(attrs), suffix).front();
}

namespace {

// A number beside halves is one, as everywhere in Python.
void round_numbers(std::vector<Arg>& args, DType half) {
  for (Arg& arg : args) {
    if (arg.tensor() != nullptr) continue;
    const graph::Operand operand = arg.operand();
    if (operand.kind == graph::Operand::Kind::literal) arg = Array::splat(half, {}, operand.literal.as_double()).at(0);
  }
}

}  // namespace

Tensor map(std::string_view row, const std::vector<Arg>& args) {
  std::vector<Arg> all = args;
  for (const Arg& arg : args) {
    const DType type = arg.tensor() == nullptr ? DType::f32 : Trace::value(*arg.tensor()).dtype();
    if (type == DType::f16 || type == DType::bf16) {
      round_numbers(all, type);
      break;
    }
  }
  return op(fmt::format("map.{}", row), all);
}

Tensor broadcast(const Tensor& x, Shape shape, Ints dims, std::string_view suffix) {
  return op("broadcast", {x}, {{{"shape", std::move(shape)}, {"dims", std::move(dims)}}}, suffix);
}

Tensor reshape(const Tensor& x, Shape shape) {
  if (x.shape() == shape) return x;
  return op("reshape", {x}, {{{"shape", std::move(shape)}}});
}

Tensor transpose(const Tensor& x, Ints perm) { return op("transpose", {x}, {{{"perm", std::move(perm)}}}); }

Tensor reduce(std::string_view kind, const Tensor& x, Ints axes) {
  return op(fmt::format("reduce.{}", kind), {x}, {{{"axes", std::move(axes)}}});
}

Tensor cast(const Tensor& x, DType to) {
  const Tensor value = Trace::value(x);
  return value.dtype() == to ? value : op("cast", {value}, {{{"to", to}}});
}

Tensor filled(std::string_view name, DType type, const Shape& shape, double value) {
  return broadcast(constant(name, Array::splat(type, {}, value)), shape, {});
}

Tensor slice(const Tensor& x, std::int64_t axis, const Dim& start, const Dim& limit, std::int64_t step) {
  Shape starts(x.shape().size(), Dim(0));
  Shape limits = x.shape();
  Ints steps(x.shape().size(), 1);
  const auto at = static_cast<std::size_t>(axis);
  starts[at] = start;
  limits[at] = limit;
  steps[at] = step;
  return op("slice", {x}, {{{"start", starts}, {"limit", limits}, {"step", steps}}});
}

Tensor pad(const Tensor& x, Shape low, Shape high, double value) {
  const Ints inner(low.size(), 0);
  return op(
      "pad", {x},
      {{{"low", std::move(low)}, {"high", std::move(high)}, {"inner", inner}, {"value", kernel::literal_of(value)}}});
}

Tensor repeated(const Tensor& x, std::int64_t axis, std::int64_t times) {
  if (times == 1) return x;
  Shape wide = x.shape();
  wide.insert(wide.begin() + axis + 1, Dim(times));
  Ints dims;
  for (std::int64_t i = 0; i < x.rank(); ++i) dims.push_back(i <= axis ? i : i + 1);
  Shape shape = x.shape();
  shape[static_cast<std::size_t>(axis)] *= Dim(times);
  check_elements(shape);
  return reshape(broadcast(x, std::move(wide), std::move(dims)), std::move(shape));
}

Tensor contract(const Tensor& a, const Tensor& b, const std::optional<Tensor>& init, graph::ContractSpec spec) {
  std::vector<Arg> args{a, b};
  if (init) args.push_back(*init);
  return op("contract", args, {{{"spec", std::move(spec)}}});
}

Tensor constant(std::string_view name, Array value) { return Trace::current().constant(name, std::move(value)); }

namespace {

Tensor placed(const Tensor& x, const Shape& shape, std::int64_t first) {
  if (x.rank() > static_cast<std::int64_t>(shape.size())) {
    throw Error(error("broadcast-shapes",
                      fmt::format("{} does not broadcast to {}", keras_shape(x.shape()), keras_shape(shape))));
  }
  if (x.shape() == shape) return x;
  Ints dims;
  for (std::int64_t i = 0; i < x.rank(); ++i) dims.push_back(first + i);
  return broadcast(x, shape, std::move(dims));
}

}  // namespace

Tensor aligned(const Tensor& x, const Shape& shape) {
  return placed(x, shape, static_cast<std::int64_t>(shape.size()) - x.rank());
}

Tensor leading(const Tensor& x, const Shape& shape) { return placed(x, shape, 0); }

std::vector<Tensor> scan(const std::vector<Tensor>& carries, const std::vector<std::pair<Tensor, Along>>& takes,
                         const std::vector<Along>& stacks, const ScanBody& body) {
  return Trace::current().scan(carries, takes, stacks, body);
}

namespace {

Ints other_axes(std::size_t rank, const Ints& axes) {
  Ints out;
  for (std::int64_t axis = 0; axis < static_cast<std::int64_t>(rank); ++axis) {
    if (std::ranges::find(axes, axis) == axes.end()) out.push_back(axis);
  }
  return out;
}

}  // namespace

Ints other_axes(const Tensor& x, const Ints& axes) { return other_axes(x.shape().size(), axes); }

std::pair<Tensor, Tensor> moments(const Tensor& x, const Ints& axes) {
  const std::vector<Tensor> both =
      Trace::current().add("batch_moments", {Trace::current().operand(x)}, {{{"axes", axes}}}, {});
  return {both[0], both[1]};
}

Tensor spread(const Tensor& reduced, const Shape& shape, const Ints& axes, std::string_view suffix) {
  return broadcast(reduced, shape, other_axes(shape.size(), axes), suffix);
}

Tensor mean(const Tensor& x, const Ints& axes) {
  Dim count(1);
  for (const std::int64_t axis : axes) count *= x.shape()[static_cast<std::size_t>(axis)];
  const Tensor y = to_float(x);
  return cast(map("div", {reduce("sum", to_wide_float(y), axes), count}), y.dtype());
}

Tensor normalized(const Tensor& x, const Ints& axes, double epsilon) {
  const Tensor squares = reduce("sum", map("mul", {x, x}), axes);
  const Tensor factor = map("rsqrt", {map("max", {squares, epsilon * epsilon})});
  return map("mul", {x, spread(factor, x.shape(), axes)});
}

Tensor weighted_gather(const Tensor& x, std::int64_t axis, Array index, const Array& weight) {
  const Tensor read =
      to_float(op("gather", {x, constant("index", std::move(index))}, {{{"axis", axis}, {"batch", std::int64_t{0}}}}));
  graph::ContractSpec spec;
  for (std::int64_t i = 0; i < read.rank(); ++i) {
    spec.a.push_back(i == axis ? "p" : i == axis + 1 ? "t" : fmt::format("n{}", i));
    if (i != axis + 1) spec.y.push_back(spec.a.back());
  }
  spec.b = {"p", "t"};
  return contract(read, constant("weight", weight.converted(read.dtype())), std::nullopt, std::move(spec));
}

DType compute_dtype() { return Trace::current().compute_dtype(); }

Tensor to_float(const Tensor& x) { return is_float(x.dtype()) ? x : cast(x, compute_dtype()); }

Tensor to_floatx(const Tensor& x) { return is_float(x.dtype()) ? x : cast(x, DType::f32); }

Tensor to_wide_float(const Tensor& x) {
  const Tensor y = to_float(x);
  return is_storage_only(y.dtype()) ? cast(y, DType::f32) : y;
}

Tensor to_compute_dtype(const Tensor& x) { return cast(x, compute_dtype()); }

std::int64_t axis_of(const Tensor& x, std::int64_t axis) {
  const std::int64_t from_zero = axis < 0 ? axis + x.rank() : axis;
  if (from_zero >= 0 && from_zero < x.rank()) return from_zero;
  throw Error(error("tensor-axis", fmt::format("axis {} is not in shape {}", axis, keras_shape(x.shape()))));
}

Shape reshaped(const Shape& from, const Ints& target) {
  const auto fail = [&](std::string_view why) {
    return Error(error("reshape-shape", fmt::format("{} cannot be reshaped to (None, {}): {}", keras_shape(from),
                                                    fmt::join(target, ", "), why)));
  };
  if (target.size() > kMostAxes) throw fail(fmt::format("there are at most {} axes", kMostAxes));
  Shape to{from.front()};
  Dim known(1);
  std::size_t open = 0;
  for (std::size_t i = 0; i < target.size(); ++i) {
    if (target[i] == -1) {
      if (open != 0) throw fail("two extents are -1");
      open = i + 1;
    } else if (target[i] < 1) {
      throw fail("an extent is not positive");
    }
    to.emplace_back(target[i]);
  }
  check_elements(to);
  for (std::size_t i = 1; i < to.size(); ++i) {
    if (i != open) known *= to[i];
  }
  const Dim count = product(Shape(from.begin() + 1, from.end()));
  if (open != 0) {
    const std::optional<Dim> rest = count.exact_div(known);
    if (!rest) throw fail("the extent of -1 is not whole");
    to[open] = *rest;
  } else if (count.is_constant() && !(count == known)) {
    throw fail(fmt::format("{} elements are not {}", count.str(), known.str()));
  }
  return to;
}

std::optional<DType> common_float(const std::vector<Tensor>& tensors) {
  std::optional<DType> common;
  for (const Tensor& x : tensors) {
    if (!x || !is_float(x.dtype())) continue;
    const DType other = common.value_or(x.dtype());
    const bool halves = is_storage_only(other) && is_storage_only(x.dtype());
    common = other == x.dtype() ? other : halves ? DType::f32 : size_of(other) > size_of(x.dtype()) ? other : x.dtype();
  }
  return common;
}

std::vector<Tensor> with_one_dtype(std::vector<Tensor> tensors) {
  for (Tensor& x : tensors) x = Trace::value(x);
  const bool any_float = std::ranges::any_of(tensors, [](const Tensor& x) { return is_float(x.dtype()); });
  // Of integers the widest; bool is below all.
  static constexpr DType kOrder[] = {DType::boolean, DType::u8, DType::i8, DType::i32, DType::u32, DType::i64};
  std::size_t widest = 0;
  bool mixes_signs = false;
  for (const Tensor& x : tensors) {
    if (any_float) break;
    const auto at = static_cast<std::size_t>(std::ranges::find(kOrder, x.dtype()) - std::begin(kOrder));
    const auto differ = [&](DType a, DType b) {
      return (x.dtype() == a && kOrder[widest] == b) || (x.dtype() == b && kOrder[widest] == a);
    };
    mixes_signs =
        mixes_signs || differ(DType::u8, DType::i8) || differ(DType::u32, DType::i32) || differ(DType::u32, DType::i8);
    widest = std::max(widest, at);
  }
  if (mixes_signs && kOrder[widest] != DType::i64)
    throw Error(error("tensor-dtypes", "signed and unsigned integers of one size meet; cast one of them"));
  const std::optional<DType> common = common_float(tensors);
  for (Tensor& x : tensors) {
    if (common) {
      x = cast(x, *common);
    } else if (x.dtype() != kOrder[widest]) {
      x = cast(x, kOrder[widest]);
    }
  }
  return tensors;
}

std::vector<Tensor> broadcast_together(std::vector<Tensor> tensors) {
  tensors = with_one_dtype(std::move(tensors));
  std::size_t rank = 0;
  for (const Tensor& x : tensors) rank = std::max(rank, x.shape().size());
  Shape shape(rank, Dim(1));
  for (const Tensor& x : tensors) {
    for (std::size_t i = 0; i < x.shape().size(); ++i) {
      const Dim& extent = x.shape()[i];
      Dim& common = shape[rank - x.shape().size() + i];
      if (common == Dim(1)) common = extent;
      if (extent == Dim(1) || extent == common || !extent.is_constant() || !common.is_constant()) continue;
      throw Error(error(
          "broadcast-shapes",
          fmt::format("shapes {} and {} do not broadcast: axis {} is {} and {}", keras_shape(tensors.front().shape()),
                      keras_shape(x.shape()), static_cast<std::int64_t>(i) - x.rank(), common.str(), extent.str())));
    }
  }
  for (Tensor& x : tensors) {
    if (x.shape() == shape) continue;
    Ints dims;
    for (std::size_t i = 0; i < x.shape().size(); ++i) {
      dims.push_back(static_cast<std::int64_t>(rank - x.shape().size() + i));
    }
    x = broadcast(x, shape, std::move(dims));
  }
  return tensors;
}

}  // namespace emit
}  // namespace tusk
