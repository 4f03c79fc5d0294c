// One proposal for each op: operands and attributes at random, most of them right; the shape rule has the last word.
#include <fmt/format.h>

#include <algorithm>

#include "tests/property/random_graph.hpp"

namespace tusk::random_tests {

using graph::Attrs;
using graph::Operand;
using graph::Type;

namespace {

bool is_bool(const Type& type) { return type.dtype == DType::boolean; }

// Distinct axes in increasing order.
std::vector<std::int64_t> some_axes(Rng& rng, std::size_t rank, int percent) {
  std::vector<std::int64_t> out;
  for (std::size_t i = 0; i < rank; ++i) {
    if (rng.chance(percent)) out.push_back(static_cast<std::int64_t>(i));
  }
  return out;
}

}  // namespace

bool GraphGenerator::propose(int depth) {
  switch (rng_.below(depth == 0 ? 33 : 14)) {
    case 0:
      return constant();
    case 1:
      return iota();
    case 2:
      return cast();
    case 3:
      return contract();
    case 4:
      return rng_.chance(30) ? reshape() : view();
    case 5:
      return reduce();
    case 6:
      return composite();
    case 7:
      return broadcast();
    case 8:
    case 9:
    case 10:
    case 11:
    case 12:
    case 14:
    case 15:
    case 16:
      return map();
    case 13:
      return depth < 2 && scan(depth);
    case 17:
      return scan(depth);
    case 18:
      return reshape();
    case 19:
    case 20:
      return slice();
    case 21:
      return pad();
    case 22:
      return concat();
    case 23:
      return gather();
    case 24:
      return scatter();
    case 25:
      return window();
    case 26:
      return unwindow();
    case 27:
    case 28:
    case 29:
      return contract();
    case 30:
      return sort();
    case 31:
      return normalize();
    default:
      return composite();
  }
}

bool GraphGenerator::constant() {
  const Type type{dtype(), shape(0, 2)};
  if (!std::ranges::all_of(type.shape, [](const Dim& d) { return d.is_constant(); }) || size(type.shape) > 64)
    return false;
  Rng rng(rng_.next());
  return add("const", {}, attrs({{"value", random_array(type.dtype, static_shape(type.shape, symbols_), rng, true)}}))
      .has_value();
}

bool GraphGenerator::iota() {
  const Shape shape = this->shape(1, 3);
  const std::int64_t axis = rng_.below(static_cast<std::int64_t>(shape.size()));
  return add("iota", {}, attrs({{"shape", shape}, {"axis", axis}})).has_value();
}

bool GraphGenerator::rng_bits() {
  const Operand key = of_type({DType::u32, {Dim(2)}});
  return add("rng_bits", {key, of_type({DType::u32, {}})}, attrs({{"shape", shape(0, 3)}})).has_value();
}

bool GraphGenerator::map() {
  // All but philox, which came later and is no row of maps: the graphs of all seeds stay what they are.
  static const std::vector<const Row*> known = [] {
    std::vector<const Row*> out;
    for (const Row& row : rows()) {
      if (row.name != "philox") out.push_back(&row);
    }
    return out;
  }();
  const Row& row = *rng_.pick(known);
  std::optional<Operand> x;
  if (rng_.chance(75)) x = find([&](const Type& type) { return row_takes(row, type.dtype); });
  if (!x) {
    DType type = dtype();
    for (int i = 0; i < 20 && !row_takes(row, type); ++i) type = dtype();
    if (!row_takes(row, type)) return false;
    x = fresh({type, shape(0, 3)});
  }
  const Type type = this->type(*x);
  const auto beside = [&](bool may_be_number) {
    if (may_be_number && rng_.chance(25)) return number(type.dtype);
    return rng_.chance(10) ? *x : of_type(type);
  };
  Operands operands;
  if (row.typing == Typing::select) {
    const Type wanted{DType::boolean, type.shape};
    std::optional<Operand> condition = find([&](const Type& t) { return t == wanted; });
    if (!condition && !is_bool(type) && rng_.chance(80)) {
      if (const auto made = add("map.gt", {*x, number(type.dtype)})) condition = made->front();
    }
    operands = {condition ? *condition : fresh(wanted), beside(true), *x};
    if (rng_.chance(50)) std::swap(operands[1], operands[2]);
  } else if (row.typing == Typing::shift) {
    const Type count{rng_.chance(50) ? DType::i32 : type.dtype, type.shape};
    operands = {*x, rng_.chance(50) ? Operand::number(kernel::literal_of_int(rng_.range(0, 33))) : of_type(count)};
  } else {
    const std::int64_t place = rng_.below(row.arity);
    for (int i = 0; i < row.arity; ++i) operands.push_back(i == place ? *x : beside(row.arity > 1));
  }
  return add(fmt::format("map.{}", row.name), std::move(operands)).has_value();
}

bool GraphGenerator::cast() {
  DType to = dtype();
  if (rng_.chance(40))
    to = rng_.pick(std::vector<DType>{DType::i32, DType::boolean, DType::f16, DType::i8, DType::u32});
  return add("cast", {any_value()}, attrs({{"to", to}})).has_value();
}

bool GraphGenerator::view() {
  const Operand x = any_value();
  if (rng_.chance(30)) return add("stop_gradient", {x}).has_value();
  Ints perm;
  for (std::size_t i = 0; i < type(x).shape.size(); ++i) perm.push_back(static_cast<std::int64_t>(i));
  rng_.shuffle(perm);
  return add("transpose", {x}, attrs({{"perm", perm}})).has_value();
}

bool GraphGenerator::broadcast() {
  const Operand x = any_value(0, 3);
  const Type from = type(x);
  Shape to;
  Ints dims;
  for (std::size_t i = 0; i <= from.shape.size(); ++i) {
    if (rng_.chance(40)) to.push_back(dim());
    if (i == from.shape.size()) break;
    dims.push_back(static_cast<std::int64_t>(to.size()));
    to.push_back(from.shape[i] == Dim(1) && rng_.chance(70) ? dim() : from.shape[i]);
  }
  return add("broadcast", {x}, attrs({{"shape", to}, {"dims", dims}})).has_value();
}

bool GraphGenerator::reshape() {
  const Operand x = any_value();
  Shape to = type(x).shape;
  const std::int64_t edits = rng_.range(1, 3);
  for (std::int64_t edit = 0; edit < edits; ++edit) {
    const auto n = static_cast<std::int64_t>(to.size());
    const std::int64_t i = rng_.below(n);
    if (rng_.chance(50) && n >= 2 && i + 1 < n) {
      to[static_cast<std::size_t>(i)] *= to[static_cast<std::size_t>(i) + 1];
      to.erase(to.begin() + i + 1);
    } else if (rng_.chance(30)) {
      to.insert(to.begin() + i, Dim(1));
    } else if (n > 0) {
      const auto at = static_cast<std::size_t>(i);
      if (to[at] == Dim(1)) {
        to.erase(to.begin() + i);
        continue;
      }
      for (const std::int64_t factor : {2, 3, 4, 8}) {
        const std::optional<Dim> rest = to[at].exact_div(Dim(factor));
        if (!rest || !rng_.chance(60)) continue;
        to[at] = *rest;
        to.insert(to.begin() + i + rng_.below(2), Dim(factor));
        break;
      }
    }
  }
  return add("reshape", {x}, attrs({{"shape", to}})).has_value();
}

bool GraphGenerator::slice() {
  const Operand x = any_value(1);
  Shape start;
  Shape limit;
  Ints step;
  for (const Dim& extent : type(x).shape) {
    const std::int64_t s = rng_.pick(std::vector<std::int64_t>{1, 1, 1, 2, 3, -1, -1, -2});
    if (!extent.is_constant() || rng_.chance(30)) {
      const std::int64_t cut = extent.is_constant() ? 0 : rng_.pick(std::vector<std::int64_t>{0, 0, 1});
      start.push_back(s > 0 ? Dim(cut) : extent - Dim(1 + cut));
      limit.push_back(s > 0 ? extent : Dim(-1));
    } else {
      std::int64_t low = rng_.below(extent.constant());
      std::int64_t high = rng_.below(extent.constant());
      if (low > high) std::swap(low, high);
      start.push_back(s > 0 ? Dim(low) : Dim(high));
      limit.push_back(s > 0 ? Dim(high + 1) : Dim(low - 1));
    }
    step.push_back(s);
  }
  return add("slice", {x}, attrs({{"start", start}, {"limit", limit}, {"step", step}})).has_value();
}

bool GraphGenerator::pad() {
  const Operand x = any_value(1, 3);
  Shape low;
  Shape high;
  Ints inner;
  for (std::size_t i = 0; i < type(x).shape.size(); ++i) {
    const bool plain = rng_.chance(40);
    low.push_back(Dim(plain ? 0 : rng_.range(-1, 2)));
    high.push_back(Dim(plain ? 0 : rng_.range(-1, 2)));
    inner.push_back(plain || rng_.chance(60) ? 0 : rng_.range(1, 2));
  }
  Attrs list = attrs({{"low", low}, {"high", high}, {"inner", inner}});
  if (rng_.chance(50)) {
    const Operand filler = number(type(x).dtype);
    if (filler.kind == Operand::Kind::literal) list.set("value", filler.literal);
  }
  return add("pad", {x}, std::move(list)).has_value();
}

bool GraphGenerator::concat() {
  const Operand first = any_value(1);
  const Type type = this->type(first);
  const auto axis = static_cast<std::size_t>(rng_.below(static_cast<std::int64_t>(type.shape.size())));
  Operands operands{first};
  const std::int64_t more = rng_.range(0, 3);
  for (std::int64_t k = 0; k < more; ++k) {
    const auto fits = [&](const Type& other) {
      if (other.dtype != type.dtype || other.shape.size() != type.shape.size()) return false;
      for (std::size_t i = 0; i < type.shape.size(); ++i) {
        if (i != axis && other.shape[i] != type.shape[i]) return false;
      }
      return true;
    };
    operands.push_back(*find(fits));  // `first` fits
    if (rng_.chance(30)) {
      Type beside = type;
      beside.shape[axis] = dim();
      operands.back() = fresh(beside);
    }
  }
  rng_.shuffle(operands);
  return add("concat", std::move(operands), attrs({{"axis", static_cast<std::int64_t>(axis)}})).has_value();
}

// x and indices for gather and scatter, and the attributes; with batch axes the indices are made to fit.
bool GraphGenerator::gather() {
  const Operand x = any_value(1, 3);
  const Shape shape = type(x).shape;
  const std::int64_t axis = rng_.below(static_cast<std::int64_t>(shape.size()));
  const std::int64_t batch = rng_.chance(60) ? 0 : rng_.range(0, axis);
  Operand i = indices(2);
  if (batch > 0) {
    Shape wanted(shape.begin(), shape.begin() + batch);
    if (rng_.chance(70)) wanted.push_back(dim());
    i = of_type({DType::i32, wanted});
  }
  return add("gather", {x, i}, attrs({{"axis", axis}, {"batch", batch}})).has_value();
}

bool GraphGenerator::scatter() {
  const Operand x = any_value(1, 3);
  const Type type = this->type(x);
  const std::int64_t axis = rng_.below(static_cast<std::int64_t>(type.shape.size()));
  const std::int64_t batch = rng_.chance(60) ? 0 : rng_.range(0, axis);
  Operand i = indices(2);
  if (batch > 0) {
    Shape wanted(type.shape.begin(), type.shape.begin() + batch);
    if (rng_.chance(70)) wanted.push_back(dim());
    i = of_type({DType::i32, wanted});
  }
  const Shape at = this->type(i).shape;
  Type updates{type.dtype, Shape(type.shape.begin(), type.shape.begin() + axis)};
  updates.shape.insert(updates.shape.end(), at.begin() + batch, at.end());
  updates.shape.insert(updates.shape.end(), type.shape.begin() + axis + 1, type.shape.end());
  if (size(updates.shape) > 256) return false;
  const std::vector<std::string> kinds{"add", "set", "max"};
  return add("scatter." + rng_.pick(kinds), {x, i, of_type(updates)}, attrs({{"axis", axis}, {"batch", batch}}))
      .has_value();
}

bool GraphGenerator::reduce() {
  Operand x = any_value(1);
  if (rng_.chance(35)) {  // bools are rare
    if (const auto found = find([](const Type& t) { return is_bool(t) && !t.shape.empty(); })) x = *found;
  }
  const std::size_t rank = type(x).shape.size();
  if (!is_bool(type(x)) && rng_.chance(25)) {
    return add(rng_.chance(50) ? "argreduce.max" : "argreduce.min", {x},
               attrs({{"axis", rng_.below(static_cast<std::int64_t>(rank))}}))
        .has_value();
  }
  const std::vector<std::string> kinds =
      is_bool(type(x)) ? std::vector<std::string>{"all", "any"} : std::vector<std::string>{"sum", "max", "min", "prod"};
  return add("reduce." + rng_.pick(kinds), {x}, attrs({{"axes", some_axes(rng_, rank, 50)}})).has_value();
}

bool GraphGenerator::window() {
  const Operand x = any_value(1);
  Ints size;
  Ints stride;
  Ints dilation;
  Shape low;
  Shape high;
  for (const Dim& extent : type(x).shape) {
    const bool pooled = rng_.chance(extent.is_constant() ? 60 : 15);
    size.push_back(pooled ? rng_.range(1, 3) : 1);
    stride.push_back(pooled ? rng_.range(1, 3) : 1);
    dilation.push_back(pooled && rng_.chance(30) ? 2 : 1);
    low.push_back(Dim(pooled && rng_.chance(60) ? rng_.range(-1, 2) : 0));
    high.push_back(Dim(pooled && rng_.chance(60) ? rng_.range(-1, 2) : 0));
  }
  const std::string op = rng_.pick(std::vector<std::string>{"window.sum", "window.max", "argwindow.max"});
  return add(op, {x}, attrs({{"size", size}, {"stride", stride}, {"dilation", dilation}, {"low", low}, {"high", high}}))
      .has_value();
}

bool GraphGenerator::unwindow() {
  const Operand dy = any_value(1, 3);
  Ints size;
  Ints stride;
  Ints dilation;
  Shape low;
  Shape high;
  Shape extent;
  for (const Dim& positions : type(dy).shape) {
    const bool pooled = rng_.chance(60);
    size.push_back(pooled ? rng_.range(1, 3) : 1);
    stride.push_back(pooled ? rng_.range(1, 3) : 1);
    dilation.push_back(pooled && rng_.chance(30) ? 2 : 1);
    low.push_back(Dim(pooled && rng_.chance(60) ? rng_.range(-1, 2) : 0));
    high.push_back(Dim(pooled && rng_.chance(60) ? rng_.range(-1, 2) : 0));
    const std::int64_t reach = dilation.back() * (size.back() - 1) + 1 + rng_.below(stride.back());
    extent.push_back((positions - Dim(1)) * Dim(stride.back()) + Dim(reach) - low.back() - high.back());
  }
  Operands operands{dy};
  if (rng_.chance(50)) operands.push_back(of_type({DType::u8, type(dy).shape}));
  return add("unwindow", std::move(operands),
             attrs({{"size", size},
                    {"stride", stride},
                    {"dilation", dilation},
                    {"low", low},
                    {"high", high},
                    {"extent", extent}}))
      .has_value();
}

bool GraphGenerator::sort() {
  const Operand x = any_value(1, 3);
  const std::int64_t axis = rng_.below(static_cast<std::int64_t>(type(x).shape.size()));
  Attrs list = attrs({{"axis", axis}});
  if (rng_.chance(50)) list.set("descending", true);
  return add("sort", {x}, std::move(list)).has_value();
}

bool GraphGenerator::composite() {
  const Operand x = floating();
  const std::size_t rank = type(x).shape.size();
  const std::string op = rng_.pick(
      std::vector<std::string>{"softmax", "log_softmax", "logsumexp", "gelu", "silu", "softplus", "batch_moments"});
  if (op == "silu" || op == "softplus") return add(op, {x}).has_value();
  if (op == "gelu") return add(op, {x}, rng_.chance(50) ? attrs({{"approximate", true}}) : Attrs{}).has_value();
  return add(op, {x}, attrs({{"axes", some_axes(rng_, rank, 60)}})).has_value();
}

bool GraphGenerator::normalize() {
  const Operand x = floating();
  const Type type = this->type(x);
  const Ints axes = some_axes(rng_, type.shape.size(), 50);
  const Ints scale_axes = rng_.chance(50) ? axes : some_axes(rng_, type.shape.size(), 50);
  const auto along = [&](const Ints& list) {
    Type out{type.dtype, {}};
    for (const std::int64_t axis : list) out.shape.push_back(type.shape[static_cast<std::size_t>(axis)]);
    return out;
  };
  const Operand variance = of_type(along(axes));
  const auto square = add("map.mul", {variance, variance});
  Operands operands{x, of_type(along(axes)), square ? square->front() : variance};
  const std::int64_t more = rng_.range(0, 2);
  if (more > 0) operands.push_back(rng_.chance(25) ? Operand::number(1.0) : of_type(along(scale_axes)));
  if (more > 1) operands.push_back(rng_.chance(15) ? Operand::number(0.0) : of_type(along(scale_axes)));
  return add("normalize", std::move(operands), attrs({{"axes", axes}, {"scale_axes", scale_axes}})).has_value();
}

}  // namespace tusk::random_tests
