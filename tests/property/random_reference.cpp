#include "tests/property/random_reference.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "ir/kernel/affine.hpp"

namespace tusk::random_tests {
namespace {

using kernel::Expr;
using kernel::ExprRef;
using kernel::Reducer;

struct Value {
  double real = 0;
  std::int64_t integer = 0;  // of integers, bools and indices
};

template <class Int>
Int saturated(double x) {
  if (std::isnan(x)) return 0;
  if (x <= static_cast<double>(std::numeric_limits<Int>::min())) return std::numeric_limits<Int>::min();
  if (x >= static_cast<double>(std::numeric_limits<Int>::max())) return std::numeric_limits<Int>::max();
  return static_cast<Int>(x);
}

std::int64_t wrapped(std::int64_t x, DType type) {
  switch (type) {
    case DType::i32:
      return static_cast<std::int32_t>(x);
    case DType::u32:
      return static_cast<std::uint32_t>(x);
    case DType::i8:
      return static_cast<std::int8_t>(x);
    case DType::u8:
      return static_cast<std::uint8_t>(x);
    default:
      return x;
  }
}

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  if (b == 0) return 0;
  return a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);
}

class Evaluator {
 public:
  Evaluator(const kernel::Stage& stage, const std::map<std::string, Array>& tensors, const Symbols& symbols,
            Arithmetic arithmetic)
      : stage_(stage), tensors_(tensors), symbols_(symbols), rounds_(arithmetic == Arithmetic::rounded) {}

  Reference run() {
    std::vector<std::int64_t> shape;
    for (const kernel::Index& index : stage_.indices) shape.push_back(extent(index));
    const bool floating = is_float(stage_.type);
    const DType exact = floating ? DType::f64 : DType::i64;
    Reference out{Array(rounds_ ? stage_.type : exact, shape), Array(DType::f64, shape), ""};
    std::int64_t at = 0;
    each(stage_.indices, 0, [&] {
      terms_ = 0;
      const Value value = stage_.reduce ? reduced(*stage_.reduce) : of(stage_.expr);
      if (floating) {
        out.value.set(at, value.real);
      } else {
        out.value.set_int(at, wrapped(value.integer, stage_.type));
      }
      out.terms.set(at++, std::max(terms_, std::abs(value.real)));
    });
    out.problem = problem_;
    return out;
  }

 private:
  std::int64_t dim(const Dim& d) const {
    return d.value([&](std::string_view name) { return symbols_.at(std::string(name)); });
  }
  std::int64_t extent(const kernel::Index& index) const { return dim(index.extent); }

  template <class Visit>
  void each(const std::vector<kernel::Index>& indices, std::size_t level, const Visit& visit) {
    if (level == indices.size()) return visit();
    const std::int64_t end = extent(indices[level]);
    for (std::int64_t i = 0; i < end; ++i) {
      env_[indices[level].name] = i;
      each(indices, level + 1, visit);
    }
    env_.erase(indices[level].name);
  }

  // --- formulas

  double rounded(double x, DType type) const {
    return rounds_ && type != DType::f64 ? static_cast<double>(static_cast<float>(x)) : x;
  }

  Value of(const ExprRef& expr) {
    switch (expr->kind) {
      case Expr::Kind::literal:
        return {expr->value.as_double(), expr->value.integer};
      case Expr::Kind::index:
        return {0, env_.at(expr->name)};
      case Expr::Kind::dim:
        return {0, dim(expr->dim)};
      case Expr::Kind::load:
        return load(*expr);
      case Expr::Kind::row:
        break;
    }
    std::vector<Value> x;
    for (const ExprRef& operand : expr->operands) x.push_back(of(operand));
    x.resize(3);
    return row(*expr, x);
  }

  Value load(const Expr& expr) {
    const Array& tensor = tensors_.at(expr.name);
    std::int64_t at = 0;
    bool inside = true;
    for (std::size_t i = 0; i < expr.operands.size(); ++i) {
      const std::int64_t index = of(expr.operands[i]).integer;
      inside = inside && index >= 0 && index < tensor.shape()[i];
      at = at * tensor.shape()[i] + index;
    }
    if (!inside) {
      if (!expr.has_else && problem_.empty()) problem_ = fmt::format("`{}` is read outside, without `else`", expr.name);
      return {expr.value.as_double(), expr.value.integer};
    }
    if (is_float(tensor.dtype())) return {tensor.at(at), 0};
    return {0, tensor.int_at(at)};
  }

  Value row(const Expr& expr, const std::vector<Value>& x) {
    const Row& row = *expr.row;
    const DType from = expr.operands.back()->type;
    if (row.basic == Basic::convert) return converted(x[0], from, row.target);
    if (row.basic == Basic::select) return x[0].integer != 0 ? x[1] : x[2];
    if (row.typing == Typing::compare) return {0, compared(row.basic, x, is_float(from)) ? 1 : 0};
    if (!is_float(from)) return {0, wrapped(integers(row.basic, x, from), expr.type)};
    if (row.basic == Basic::fma && rounds_ && from == DType::f32) {
      return {static_cast<double>(std::fma(static_cast<float>(x[0].real), static_cast<float>(x[1].real),
                                           static_cast<float>(x[2].real))),
              0};
    }
    return {rounded(row.reference(x[0].real, x[1].real, x[2].real), expr.type), 0};
  }

  static Value converted(const Value& x, DType from, DType to) {
    const bool real = is_float(from);
    if (is_float(to)) {
      Array one(to, {1});
      one.set(0, real ? x.real : static_cast<double>(x.integer));
      if (!real && to == DType::f32) one.set(0, static_cast<double>(static_cast<float>(x.integer)));
      return {one.at(0), 0};
    }
    if (to == DType::boolean) return {0, (real ? x.real != 0 : x.integer != 0) ? 1 : 0};
    if (!real) return {0, wrapped(x.integer, to)};
    switch (to) {
      case DType::u32:
        return {0, saturated<std::uint32_t>(x.real)};
      case DType::i64:
      case DType::index:
        return {0, saturated<std::int64_t>(x.real)};
      default:
        return {0, wrapped(saturated<std::int32_t>(x.real), to)};
    }
  }

  static bool compared(Basic basic, const std::vector<Value>& x, bool real) {
    const auto holds = [&](const auto& a, const auto& b) {
      switch (basic) {
        case Basic::eq:
          return a == b;
        case Basic::ne:
          return a != b;
        case Basic::lt:
          return a < b;
        case Basic::le:
          return a <= b;
        case Basic::gt:
          return a > b;
        default:
          return a >= b;
      }
    };
    return real ? holds(x[0].real, x[1].real) : holds(x[0].integer, x[1].integer);
  }

  static std::int64_t integers(Basic basic, const std::vector<Value>& x, DType type) {
    const std::int64_t a = x[0].integer;
    const std::int64_t b = x[1].integer;
    const auto u = [](std::int64_t v) { return static_cast<std::uint64_t>(v); };
    switch (basic) {
      case Basic::add:
        return static_cast<std::int64_t>(u(a) + u(b));
      case Basic::sub:
        return static_cast<std::int64_t>(u(a) - u(b));
      case Basic::mul:
        return static_cast<std::int64_t>(u(a) * u(b));
      case Basic::fma:
        return static_cast<std::int64_t>(u(a) * u(b) + u(x[2].integer));
      case Basic::neg:
        return static_cast<std::int64_t>(0 - u(a));
      case Basic::abs:
        return a < 0 ? static_cast<std::int64_t>(0 - u(a)) : a;
      case Basic::min:
        return a < b ? a : b;
      case Basic::max:
        return a > b ? a : b;
      case Basic::div:
        if (type == DType::index) return floor_div(a, b);
        return b == 0 ? 0 : b == -1 ? static_cast<std::int64_t>(0 - u(a)) : a / b;
      case Basic::rem:
        if (type == DType::index) return a - floor_div(a, b) * b;
        return b == 0 || b == -1 ? 0 : a % b;
      case Basic::logical_and:
        return a & b;
      case Basic::logical_or:
        return a | b;
      case Basic::logical_xor:
        return a ^ b;
      case Basic::logical_not:
        return a == 0 ? 1 : 0;
      default:
        return 0;
    }
  }

  // --- reductions

  Value identity() const {
    const DType type = register_type(is_argument() ? stage_.expr->type : stage_.type);
    constexpr double kInf = std::numeric_limits<double>::infinity();
    const bool low = stage_.reduce->kind == Reducer::max || stage_.reduce->kind == Reducer::argmax;
    switch (stage_.reduce->kind) {
      case Reducer::prod:
      case Reducer::all:
        return {1, 1};
      case Reducer::max:
      case Reducer::min:
      case Reducer::argmax:
      case Reducer::argmin:
        break;
      default:
        return {0, 0};
    }
    switch (type) {
      case DType::i32:
        return {0, low ? std::numeric_limits<std::int32_t>::min() : std::numeric_limits<std::int32_t>::max()};
      case DType::u32:
        return {0, low ? 0 : static_cast<std::int64_t>(std::numeric_limits<std::uint32_t>::max())};
      case DType::i64:
        return {0, low ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max()};
      default:
        return {low ? -kInf : kInf, 0};
    }
  }

  bool is_argument() const { return stage_.reduce->kind == Reducer::argmax || stage_.reduce->kind == Reducer::argmin; }

  Value combined(const Value& acc, const Value& x) const {
    const DType type = register_type(stage_.type);
    const bool real = is_float(type);
    const auto u = [](std::int64_t v) { return static_cast<std::uint64_t>(v); };
    switch (stage_.reduce->kind) {
      case Reducer::dot:
      case Reducer::sum:
        if (real) return {rounded(acc.real + x.real, type), 0};
        return {0, wrapped(static_cast<std::int64_t>(u(acc.integer) + u(x.integer)), type)};
      case Reducer::prod:
        if (real) return {rounded(acc.real * x.real, type), 0};
        return {0, wrapped(static_cast<std::int64_t>(u(acc.integer) * u(x.integer)), type)};
      case Reducer::max:
        return (real ? x.real > acc.real : x.integer > acc.integer) ? x : acc;
      case Reducer::min:
        return (real ? x.real < acc.real : x.integer < acc.integer) ? x : acc;
      case Reducer::all:
        return {0, acc.integer & x.integer};
      case Reducer::any:
        return {0, acc.integer | x.integer};
      default:
        return x;
    }
  }

  Value with_term(const Value& acc) {
    const DType type = register_type(stage_.type);
    if (stage_.reduce->kind != Reducer::dot || !is_float(type)) {
      const Value x = of(stage_.expr);
      terms_ += std::abs(x.real);
      return combined(acc, x);
    }
    const Value a = of(stage_.expr->operands[0]);
    const Value b = of(stage_.expr->operands[1]);
    terms_ += std::abs(a.real * b.real);
    if (rounds_ && type == DType::f32) {
      return {static_cast<double>(
                  std::fma(static_cast<float>(a.real), static_cast<float>(b.real), static_cast<float>(acc.real))),
              0};
    }
    return {std::fma(a.real, b.real, acc.real), 0};
  }

  // Whether the term exists; binds the indices that equalities remove (section 3.3).
  bool exists(const kernel::Reduce& reduce) {
    for (const kernel::Equality& equality : reduce.where) {
      if (!env_.contains(equality.index)) {  // W1: whatever the right side is
        env_[equality.index] = of(equality.value).integer;
        bound_.push_back(equality.index);
        continue;
      }
      std::string removed;
      kernel::for_each_node(equality.value, [&](const ExprRef& node) {
        if (node->kind == Expr::Kind::index && !env_.contains(node->name)) removed = node->name;
      });
      const std::int64_t wanted = env_.at(equality.index);
      if (removed.empty()) {  // W3
        if (of(equality.value).integer != wanted) return false;
        continue;
      }
      // W2: the right side is a line in the removed index, known by two of its points.
      bound_.push_back(removed);
      env_[removed] = 0;
      const std::int64_t zero = of(equality.value).integer;
      env_[removed] = 1;
      const std::int64_t slope = of(equality.value).integer - zero;
      if ((wanted - zero) % slope != 0) return false;
      env_[removed] = (wanted - zero) / slope;
    }
    return true;
  }

  Value reduced(const kernel::Reduce& reduce) {
    const auto lanes = static_cast<std::size_t>(reduce.lanes);
    std::map<std::int64_t, std::vector<Value>> blocks;
    blocks[0].assign(lanes, identity());
    if (reduce.from) {
      blocks[0][0] = of(reduce.from);
      terms_ += std::abs(blocks[0][0].real);
    }
    Value best = identity();
    std::int64_t position = 0;
    const std::int64_t outer = extent(reduce.indices[0]);
    if (reduce.block > 0) {
      for (std::int64_t r = 0; r < outer; r += reduce.block) {
        if (r > 0) blocks[r / reduce.block].assign(lanes, identity());
      }
    }
    each(reduce.indices, 0, [&] {
      bound_.clear();
      if (exists(reduce)) {
        if (is_argument()) {
          const Value x = of(stage_.expr);
          const bool largest = reduce.kind == Reducer::argmax;
          const bool real = is_float(stage_.expr->type);
          const bool better = real ? (largest ? x.real > best.real : x.real < best.real)
                                   : (largest ? x.integer > best.integer : x.integer < best.integer);
          if (better) {
            best = x;
            position = env_.at(reduce.indices[0].name);
          }
        } else {
          const std::int64_t block = reduce.block > 0 ? env_.at(reduce.indices[0].name) / reduce.block : 0;
          const auto lane = static_cast<std::size_t>(env_.at(reduce.indices.back().name) % reduce.lanes);
          Value& acc = blocks[block][lane];
          acc = with_term(acc);
        }
      }
      for (const std::string& name : bound_) env_.erase(name);
    });
    if (is_argument()) return {0, position};
    std::optional<Value> total;
    for (auto& [block, lane] : blocks) {
      for (std::size_t half = lanes / 2; half >= 1; half /= 2) {
        for (std::size_t l = 0; l < half; ++l) lane[l] = combined(lane[l], lane[l + half]);
      }
      total = total ? combined(*total, lane[0]) : lane[0];
    }
    return *total;
  }

  const kernel::Stage& stage_;
  const std::map<std::string, Array>& tensors_;
  const Symbols& symbols_;
  bool rounds_;
  std::map<std::string, std::int64_t> env_;
  std::vector<std::string> bound_;
  double terms_ = 0;
  std::string problem_;
};

}  // namespace

Reference evaluate(const kernel::Stage& stage, const std::map<std::string, Array>& tensors, const Symbols& symbols,
                   Arithmetic arithmetic) {
  return Evaluator(stage, tensors, symbols, arithmetic).run();
}

bool is_basic(const kernel::Stage& stage) {
  bool basic = true;
  for (const ExprRef& expr : kernel::expressions_of(stage)) {
    kernel::for_each_node(expr, [&](const ExprRef& node) {
      basic = basic && (node->kind != Expr::Kind::row || node->row->basic != Basic::none);
    });
  }
  return basic;
}

}  // namespace tusk::random_tests
