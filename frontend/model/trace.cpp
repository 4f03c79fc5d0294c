#include "frontend/model/trace.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "frontend/model/error.hpp"
#include "frontend/model/layer.hpp"

namespace tusk {
namespace {

thread_local Trace* innermost = nullptr;

std::string joined(const std::string& path, std::string_view name) {
  return path.empty() ? std::string(name) : fmt::format("{}/{}", path, name);
}

}  // namespace

graph::Symbol default_symbol(const std::string& name) { return {name, 1, name == kBatch ? 64 : 256, 1}; }

Trace::Trace(std::string function_name, Weights weights)
    : weights_(weights), builder_(module, function, function.ops), outer_(innermost) {
  function.name = std::move(function_name);
  innermost = this;
}

Trace::~Trace() { innermost = outer_; }

bool Trace::active() { return innermost != nullptr; }

Trace& Trace::current() {
  if (innermost == nullptr) {
    throw Error(error("trace-none", "this function works on tensors inside of the call of a layer only"));
  }
  return *innermost;
}

Tensor Trace::parameter(std::string name, graph::Type type) {
  for (const Dim& dim : type.shape) {
    for (const std::string& symbol : dim.symbols()) {
      if (module.symbol(symbol) == nullptr) module.symbols.push_back(default_symbol(symbol));
    }
  }
  const int id = function.add_value(std::move(name), std::move(type));
  function.params.push_back(id);
  return tensor(graph::Operand::value(id));
}

std::vector<Tensor> Trace::run(LayerBase& layer, const std::vector<Tensor>& given_inputs, const Call& given) {
  if (++calls_ > kMostCalls)
    throw Error(error("model-size", fmt::format("the model calls layers more than {} times", kMostCalls)));
  const std::string outer = path_;
  // The first call decides the path: calls of a shared layer elsewhere name the same weights.
  path_ = paths_.try_emplace(&layer, joined(outer, layer.name())).first->second;
  const std::string outer_layer = std::exchange(builder_.layer, path_);
  // An operation inside of a layer's call computes as the layer does.
  const DType outer_compute = std::exchange(compute_, layer.is_operation() ? compute_ : layer.dtype_policy().compute);
  // In the layer's own order, whatever order its ops read them in.
  for (const Variable& variable : layer.own_weights()) operand(variable);
  std::vector<Tensor> inputs = given_inputs;
  for (Tensor& input : inputs) {
    if (layer.autocasts() && is_float(input.dtype())) input = emit::cast(input, compute_).with_mask(input.mask());
  }
  const std::size_t first_new = function.values.size();
  Call call = given;
  if (call.mask.list.empty()) {
    for (const Tensor& input : inputs) call.mask.list.push_back(input.mask());
  }
  if (call.mask.list.size() < inputs.size()) call.mask.list.resize(inputs.size());
  std::vector<Tensor> results = layer.call_all(inputs, call);
  if (!layer.is_model()) {
    const Tensor mask = layer.output_mask(inputs, call);
    for (Tensor& result : results) {
      result = result.with_mask(mask);
      const graph::Operand of = operand(result);
      if (of.kind == graph::Operand::Kind::value && static_cast<std::size_t>(of.id) >= first_new) {
        function.rename(of.id, layer.name());
      }
    }
  }
  path_ = outer;
  builder_.layer = outer_layer;
  compute_ = outer_compute;
  return results;
}

std::vector<Tensor> Trace::add(std::string_view op, std::vector<graph::Operand> operands, graph::Attrs attrs,
                               std::string_view suffix) {
  return added(op, std::move(operands), std::move(attrs), suffix, {});
}

std::vector<Tensor> Trace::added(std::string_view op, std::vector<graph::Operand> operands, graph::Attrs attrs,
                                 std::string_view suffix, std::vector<graph::Region> regions) {
  if (suffix.empty()) suffix = op.substr(op.find('.') == std::string_view::npos ? 0 : op.find('.') + 1);
  const std::size_t slash = path_.rfind('/');
  const std::string_view layer = std::string_view(path_).substr(slash == std::string::npos ? 0 : slash + 1);
  builder_.name_hint = layer.empty() ? std::string(suffix) : fmt::format("{}_{}", layer, suffix);
  const std::vector<graph::Operand> results =
      builder_.add_all(op, std::move(operands), std::move(attrs), std::move(regions));
  if (builder_.problem) throw Error(*std::exchange(builder_.problem, std::nullopt));
  std::vector<Tensor> out;
  for (const graph::Operand& result : results) out.push_back(tensor(result));
  return out;
}

std::vector<Tensor> Trace::scan(const std::vector<Tensor>& carries,
                                const std::vector<std::pair<Tensor, emit::Along>>& takes,
                                const std::vector<emit::Along>& stacks, const emit::ScanBody& body) {
  std::vector<graph::Operand> operands;
  graph::Region region;
  const auto parameter = [&](graph::Type type) {
    const int id = function.add_value("", std::move(type));
    region.params.push_back(id);
    return tensor(graph::Operand::value(id));
  };
  std::vector<Tensor> carried;
  std::vector<Tensor> taken;
  emit::Ints axes[2];
  emit::Ints reversed[2];
  Shape length;
  for (const Tensor& x : carries) {
    operands.push_back(operand(x));
    carried.push_back(parameter(x.type()));
  }
  for (const auto& [x, along] : takes) {
    operands.push_back(operand(x));
    graph::Type slice = x.type();
    length = {slice.shape[static_cast<std::size_t>(along.axis)]};
    slice.shape.erase(slice.shape.begin() + along.axis);
    taken.push_back(parameter(std::move(slice)));
    axes[0].push_back(along.axis);
    reversed[0].push_back(along.reverse ? 1 : 0);
  }
  for (const emit::Along& along : stacks) {
    axes[1].push_back(along.axis);
    reversed[1].push_back(along.reverse ? 1 : 0);
  }
  // The builder writes to the ops of the function: for now those of the region.
  std::vector<graph::Op> outer = std::exchange(function.ops, {});
  const auto casted_outside = casted_;
  for (const Tensor& yielded : body(carried, taken)) region.yields.push_back(operand(yielded));
  casted_ = casted_outside;
  region.ops = std::exchange(function.ops, std::move(outer));
  const auto count = static_cast<std::int64_t>(carries.size());
  graph::Attrs attrs{{{"length", length},
                      {"carries", count},
                      {"take_axes", axes[0]},
                      {"take_rev", reversed[0]},
                      {"stack_axes", axes[1]},
                      {"stack_rev", reversed[1]}}};
  return added("scan", std::move(operands), std::move(attrs), {}, {std::move(region)});
}

Tensor Trace::constant(std::string_view name, Array value) {
  const graph::Type type{value.dtype(), Shape(value.shape().begin(), value.shape().end())};
  return tensor(graph::Operand::global(add_global(joined(path_, name), type, std::move(value))));
}

graph::Operand Trace::operand(const Tensor& of) {
  if (const Tensor::Traced* traced = of.traced()) return traced->operand;
  if (const Variable* variable = of.variable()) return read(*variable);
  if (const Tensor::Result* result = of.result()) {
    throw Error(error("trace-mixed", fmt::format("a result of layer `{}`, which belongs to a model, is used inside of "
                                                 "the call of another layer",
                                                 result->node->layer->name()))
                    .note("pass it to that layer as an input"));
  }
  throw Error(error("tensor-empty", "a Tensor is used that no call has made"));
}

graph::Operand Trace::read(const Variable& variable) {
  auto it = globals_.find(variable);
  if (it == globals_.end()) {
    const int id = add_global(joined(path_, variable.name()), variable.type(),
                              weights_ == Weights::copied ? variable.value() : Array());
    it = globals_.emplace(variable, id).first;
  }
  const graph::Operand global = graph::Operand::global(it->second);
  if (!variable.autocast() || !is_float(variable.type().dtype) || variable.type().dtype == compute_) return global;
  const auto [casted, is_new] = casted_.try_emplace({variable, compute_});
  if (is_new) casted->second = operand(add("cast", {global}, {{{"to", compute_}}}, variable.name()).front());
  return casted->second;
}

Tensor Trace::value(const Tensor& tensor) {
  if (tensor.variable() == nullptr) return tensor;
  return current().tensor(current().operand(tensor));
}

Tensor Trace::tensor(graph::Operand operand) {
  graph::Type type = builder_.type(operand);
  return Tensor(Tensor::Traced{std::move(operand), std::move(type)});
}

int Trace::add_global(std::string path, const graph::Type& type, Array value) {
  std::string unique = path;
  for (int i = 1; module.global_named(unique) >= 0; ++i) unique = fmt::format("{}_{}", path, i);
  graph::Global global;
  global.path = std::move(unique);
  global.type = type;
  global.value = std::move(value);
  module.globals.push_back(std::move(global));
  return static_cast<int>(module.globals.size()) - 1;
}

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
Arg in_half(const Arg& arg, DType half) {
  if (arg.tensor() != nullptr) return arg;
  const graph::Operand operand = arg.operand();
  if (operand.kind != graph::Operand::Kind::literal) return arg;
  return Array::splat(half, {}, operand.literal.as_double()).at(0);
}

}  // namespace

Tensor map(std::string_view row, const std::vector<Arg>& args) {
  std::vector<Arg> all = args;
  for (const Arg& arg : args) {
    if (arg.tensor() == nullptr) continue;
    const DType type = Trace::value(*arg.tensor()).dtype();
    if (type != DType::f16 && type != DType::bf16) continue;
    for (Arg& other : all) other = in_half(other, type);
    break;
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

constexpr std::size_t kMostAxes = 32;

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
  std::optional<DType> common;  // of the floats: f32 for different halves
  for (const Tensor& x : tensors) {
    if (!is_float(x.dtype())) continue;
    const DType other = common.value_or(x.dtype());
    const bool halves = is_storage_only(other) && is_storage_only(x.dtype());
    common = other == x.dtype() ? other : halves ? DType::f32 : size_of(other) > size_of(x.dtype()) ? other : x.dtype();
  }
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
