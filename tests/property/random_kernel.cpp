#include "tests/property/random_kernel.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "ir/kernel/affine.hpp"
#include "ir/kernel/verify.hpp"
#include "ir/row/row.hpp"

namespace tusk::random_tests {
namespace {

using kernel::apply;
using kernel::ExprRef;
using kernel::Index;
using kernel::Kernel;
using kernel::Reducer;
using kernel::Stage;

constexpr std::int64_t kMostKernelElements = 200;

ExprRef constant(std::int64_t value) { return kernel::literal(DType::index, kernel::literal_of_int(value)); }

// A tensor that a formula may read.
struct Source {
  std::string name;
  DType type;
  Shape shape;
};

class KernelGenerator {
 public:
  explicit KernelGenerator(std::uint64_t seed) : rng_(seed_of(seed, "kernel")), seed_(seed) {
    if (rng_.chance(30)) {
      symbols_["batch"] = rng_.range(1, 5);
      open_ = {"batch"};
    }
    if (rng_.chance(10)) {
      symbols_["time"] = rng_.range(1, 5);
      open_.emplace_back("time");
    }
  }

  KernelCase run() {
    kernel_.name = "k";
    const std::int64_t params = rng_.range(1, 4);
    for (std::int64_t i = 0; i < params; ++i)
      kernel_.params.push_back({fmt::format("x{}", i), dtype(), shape(3), false});
    // Something to find positions in, for W3.
    if (rng_.chance(50)) kernel_.params.push_back({"ids", DType::i32, shape(2), false});
    const std::int64_t stages = rng_.range(1, 4);
    while (static_cast<std::int64_t>(kernel_.stages.size()) < stages) {
      kernel_.stages.push_back(stage());
      kernel_.results = {kernel_.stages.back().name};
      if (!kernel::verify(kernel_, kernel_ranges())) kernel_.stages.pop_back();
    }
    kernel_.results.clear();
    for (const Stage& stage : kernel_.stages) {
      if (&stage == &kernel_.stages.back() || rng_.chance(35)) kernel_.results.push_back(stage.name);
    }
    return {seed_, std::move(kernel_), symbols_, rng_.chance(75)};
  }

 private:
  std::int64_t size(const Shape& shape) const {
    std::int64_t count = 1;
    for (const Dim& dim : shape)
      count *= dim.value([&](std::string_view name) { return symbols_.at(std::string(name)); });
    return count;
  }

  DType dtype() {
    if (rng_.chance(75)) return DType::f32;
    return rng_.pick(std::vector<DType>{DType::i32, DType::i32, DType::f64, DType::f16, DType::bf16, DType::i8,
                                        DType::u8, DType::u32, DType::i64, DType::boolean});
  }

  Dim dim() {
    if (!open_.empty() && rng_.chance(35)) return Dim::symbol(rng_.pick(open_));
    return rng_.pick(std::vector<std::int64_t>{1, 2, 3, 4, 5, 7, 8, 9, 16, 17});
  }

  Shape shape(std::int64_t most_rank) {
    Shape out;
    for (std::int64_t rank = rng_.range(most_rank > 2 ? 1 : 0, most_rank); rank > 0; --rank) {
      out.push_back(dim());
      if (size(out) > kMostKernelElements) out.back() = 1;
    }
    return out;
  }

  std::vector<Source> sources() const {
    std::vector<Source> out;
    for (const kernel::Param& param : kernel_.params) out.push_back({param.name, param.type, param.shape});
    for (const Stage& stage : kernel_.stages) {
      Shape shape;
      for (const Index& index : stage.indices) shape.push_back(index.extent);
      out.push_back({stage.name, stage.type, shape});
    }
    return out;
  }

  // An index expression; whether it stays inside is for the verifier to find out, else it gets an `else`.
  ExprRef position(const Dim& extent, int depth) {
    const auto any = [&] { return kernel::index(rng_.pick(names_)); };
    if (names_.empty()) return constant(0);
    switch (rng_.below(12)) {
      case 0:
        return constant(extent.is_constant() ? rng_.below(extent.constant()) : 0);
      case 1:
        return apply("sub", {kernel::dim_value(extent - Dim(1)), any()});
      case 2:
        return apply("sub", {apply("add", {apply("mul", {constant(rng_.range(1, 3)), any()}), any()}),
                             constant(rng_.range(0, 2))});
      case 3:
        return apply("div", {any(), constant(rng_.range(1, 3))});
      case 4:
        if (extent.is_constant() && extent.constant() > 0) return apply("rem", {any(), constant(extent.constant())});
        return any();
      case 5: {
        if (depth > 0) return any();
        const ExprRef data = load(DType::i32, 1);
        return apply("min", {apply("max", {apply("index", {data}), constant(0)}), kernel::dim_value(extent - Dim(1))});
      }
      case 6:
        return apply("add", {any(), constant(rng_.range(-1, 1))});
      default:
        break;
    }
    // An index with this very extent, where there is one.
    std::vector<std::string> equal;
    for (const Index& index : indices_) {
      if (index.extent == extent) equal.push_back(index.name);
    }
    return equal.empty() ? any() : kernel::index(rng_.pick(equal));
  }

  kernel::Literal number(DType type) {
    if (is_float(type)) return kernel::literal_of(rng_.pick(std::vector<double>{0, 1, -1, 0.5, 2, -0.0, 3, -2.75}));
    return kernel::literal_of_int(type == DType::boolean ? rng_.below(2) : rng_.range(type == DType::u32 ? 0 : -3, 9));
  }

  bool proved(const ExprRef& at, const Dim& extent) const {
    const kernel::Bounds bounds = kernel::bounds_of(at, bounds_, kernel_ranges());
    return bounds.low && bounds.high && kernel::at_least_zero(*bounds.low, kernel_ranges()) &&
           kernel::at_least_zero(extent - Dim(1) - *bounds.high, kernel_ranges());
  }

  // A load whose register type is `type`, converted if no tensor has it.
  ExprRef load(DType type, int depth) {
    std::vector<Source> all = sources();
    std::vector<Source> fitting;
    for (const Source& source : all) {
      if (register_type(source.type) == type) fitting.push_back(source);
    }
    const Source from = fitting.empty() || rng_.chance(5) ? rng_.pick(all) : rng_.pick(fitting);
    std::vector<ExprRef> at;
    bool inside = !rng_.chance(5);
    for (const Dim& extent : from.shape) {
      at.push_back(position(extent, depth));
      inside = inside && proved(at.back(), extent);
    }
    const DType found = register_type(from.type);
    const ExprRef out =
        inside ? kernel::load(from.name, found, at) : kernel::load_else(from.name, found, at, number(found));
    return found == type ? out : apply(convert_row(type), {out});
  }

  ExprRef formula(DType type, int depth) {
    if (depth >= 3 || rng_.chance(depth == 0 ? 15 : 35)) {
      if (rng_.chance(12)) return kernel::literal(type, number(type));
      if (type != DType::boolean && !names_.empty() && rng_.chance(8))
        return apply(convert_row(type), {kernel::index(rng_.pick(names_))});
      return load(type, depth);
    }
    const auto next = [&] { return formula(type, depth + 1); };
    if (type == DType::boolean) {
      if (rng_.chance(25)) return apply(rng_.pick(std::vector<std::string>{"and", "or", "xor"}), {next(), next()});
      if (rng_.chance(10)) return apply("not", {next()});
      const DType of = rng_.chance(75) ? DType::f32 : DType::i32;
      const std::string row = rng_.pick(std::vector<std::string>{"eq", "ne", "lt", "le", "gt", "ge"});
      return apply(row, {formula(of, depth + 1), formula(of, depth + 1)});
    }
    if (rng_.chance(12)) return apply("select", {formula(DType::boolean, depth + 1), next(), next()});
    if (rng_.chance(12)) {
      const ExprRef shared = next();  // one node, read twice
      return apply("mul", {shared, apply("add", {shared, next()})});
    }
    if (type == DType::f32 && rng_.chance(6))
      return apply(rng_.pick(std::vector<std::string>{"exp", "sigmoid", "tanh", "erf", "rsqrt"}), {next()});
    if (is_float(type) && rng_.chance(8))
      return apply(rng_.pick(std::vector<std::string>{"sqrt", "floor", "ceil", "trunc", "rint"}), {next()});
    if (type == DType::f32 && rng_.chance(5))
      return apply(rng_.pick(std::vector<std::string>{"f16", "bf16"}), {next()});
    if (rng_.chance(10)) return apply(rng_.pick(std::vector<std::string>{"neg", "abs"}), {next()});
    if (rng_.chance(8)) return apply("fma", {next(), next(), next()});
    if (rng_.chance(8)) return apply("div", {next(), next()});
    return apply(rng_.pick(std::vector<std::string>{"add", "sub", "mul", "max", "min"}), {next(), next()});
  }

  void declare(const std::vector<Index>& list) {
    kernel::add_bounds(bounds_, list);
    for (const Index& index : list) {
      names_.push_back(index.name);
      indices_.push_back(index);
    }
  }

  // The dims of a tensor, or others.
  Shape wanted_shape() {
    const std::vector<Source> all = sources();
    if (rng_.chance(60)) return rng_.pick(all).shape;
    return shape(3);
  }

  Stage stage() {
    names_.clear();
    indices_.clear();
    bounds_.clear();
    std::vector<std::string> letters{"n", "t", "c", "h", "w", "d", "i", "j"};
    rng_.shuffle(letters);
    const auto letter = [&] {
      std::string out = letters.back();
      letters.pop_back();
      return out;
    };
    Stage out;
    out.name = fmt::format("s{}", counter_++);
    out.type = dtype();
    for (const Dim& extent : wanted_shape()) out.indices.push_back({letter(), extent});
    declare(out.indices);
    if (rng_.chance(40)) {
      out.expr = formula(register_type(out.type), 0);
      return out;
    }
    kernel::Reduce reduce;
    if (out.type == DType::boolean) {
      reduce.kind = rng_.pick(std::vector<Reducer>{Reducer::all, Reducer::any, Reducer::last});
    } else {
      reduce.kind = rng_.pick(std::vector<Reducer>{Reducer::dot, Reducer::dot, Reducer::sum, Reducer::max, Reducer::min,
                                                   Reducer::prod, Reducer::argmax, Reducer::argmin, Reducer::last});
    }
    const bool argument = reduce.kind == Reducer::argmax || reduce.kind == Reducer::argmin;
    if (argument) out.type = rng_.pick(std::vector<DType>{DType::i32, DType::i32, DType::u8});
    const DType type = register_type(out.type);
    if (!argument && rng_.chance(40)) reduce.from = formula(type, 2);
    for (std::int64_t count = argument ? 1 : rng_.range(1, 2); count > 0; --count)
      reduce.indices.push_back({letter(), dim()});
    const bool serial =
        argument || reduce.kind == Reducer::all || reduce.kind == Reducer::any || reduce.kind == Reducer::last;
    bool by_data = false;
    declare(reduce.indices);
    if (!argument && !out.indices.empty() && rng_.chance(40)) {
      const std::string left = rng_.pick(out.indices).name;
      const std::string tap = rng_.pick(reduce.indices).name;
      const std::string removed = letter();
      const ExprRef d = apply("mul", {constant(rng_.range(1, 2)), kernel::index(tap)});
      const ExprRef offset = constant(rng_.range(-1, 3));
      const std::int64_t stride = rng_.range(1, 3);
      const auto relation = [&](const std::string& p) {
        return apply("sub", {apply("add", {apply("mul", {constant(stride), kernel::index(p)}), d}), offset});
      };
      switch (rng_.below(3)) {
        case 0:  // W1
          reduce.where.push_back({removed, relation(left)});
          break;
        case 1:  // W2
          reduce.where.push_back({left, relation(removed)});
          break;
        default: {  // W3
          std::vector<Index> others;
          by_data = true;
          std::swap(names_, reduce_names_);
          names_.clear();
          for (const Index& index : reduce.indices) names_.push_back(index.name);
          // Other left indices, too (the batch of a scatter).
          for (const Index& index : out.indices) {
            if (index.name != left && rng_.chance(40)) names_.push_back(index.name);
          }
          std::swap(indices_, others);
          std::ranges::copy_if(others, std::back_inserter(indices_),
                               [&](const Index& i) { return std::ranges::find(names_, i.name) != names_.end(); });
          reduce.where.push_back({left, apply("index", {load(DType::i32, 1)})});
          std::swap(names_, reduce_names_);
          std::swap(indices_, others);
          break;
        }
      }
      if (!by_data) {
        names_.push_back(removed);  // no bounds: its loads get an `else`
        names_.push_back(removed);
      }
    }
    if (!serial && !by_data) {
      reduce.lanes = rng_.pick(std::vector<std::int64_t>{1, 1, 2, 4, 16});
      reduce.block = rng_.pick(std::vector<std::int64_t>{0, 0, 1, 2, 4, 8, 256});
      // Blocks begin at lane 0.
      if (reduce.indices.size() == 1 && reduce.block > 0) reduce.block = std::max(reduce.block, reduce.lanes);
    }
    if (reduce.kind == Reducer::dot) {
      out.expr = apply("mul", {formula(type, 2), formula(type, 2)});
    } else {
      out.expr = formula(argument ? register_type(rng_.chance(70) ? DType::f32 : DType::i32) : type, 1);
    }
    out.reduce = std::move(reduce);
    return out;
  }

  Rng rng_;
  std::uint64_t seed_;
  Kernel kernel_;
  Symbols symbols_;
  std::vector<std::string> open_;
  std::vector<std::string> names_;  // indices that a formula may read
  std::vector<std::string> reduce_names_;
  std::vector<Index> indices_;
  kernel::IndexBounds bounds_;
  int counter_ = 0;
};

}  // namespace

RangeOf kernel_ranges() {
  return [](std::string_view) { return Range{1, 64}; };
}

KernelCase generate_kernel(std::uint64_t seed) { return KernelGenerator(seed).run(); }

std::vector<Array> inputs_of(const KernelCase& c) {
  const ValueOf of = [&](std::string_view name) { return c.symbols.at(std::string(name)); };
  std::vector<Array> out;
  for (const kernel::Param& param : c.kernel.params) {
    std::vector<std::int64_t> shape;
    for (const Dim& dim : param.shape) shape.push_back(dim.value(of));
    Rng rng(seed_of(c.seed, param.name));
    out.push_back(random_array(param.type, shape, rng, c.tame));
  }
  return out;
}

}  // namespace tusk::random_tests
