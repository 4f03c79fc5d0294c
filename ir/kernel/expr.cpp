// Scalar and index expressions: how they are built and compared; small lookups of kernels.
#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <set>
#include <utility>

#include "ir/base/convert.hpp"
#include "ir/kernel/kernel.hpp"
#include "ir/kernel/program.hpp"

namespace tusk::kernel {
namespace {

ExprRef make(Expr expr) { return std::make_shared<const Expr>(std::move(expr)); }

// One form for each number of a type, so that equal numbers compare equal: floats as rounded reals, all others as
// integers.
Literal normalized(DType type, const Literal& value) {
  if (type == DType::f64) return literal_of(value.is_integer && value.integer == 0 ? value.real : value.as_double());
  if (is_float(type)) {
    // `-0` in text is the integer 0 with the real -0.
    if (value.is_integer && value.integer == 0) return literal_of(value.real);
    const float rounded = value.is_integer ? static_cast<float>(value.integer) : static_cast<float>(value.real);
    return literal_of(static_cast<double>(rounded));
  }
  if (type == DType::boolean) return literal_of_int(value.as_double() != 0 ? 1 : 0);
  return literal_of_int(value.is_integer ? value.integer : saturate<std::int64_t>(value.real));
}

std::string float_str(double value, DType type) {
  if (std::isnan(value)) return "nan";
  return type == DType::f64 ? fmt::format("{}", value) : fmt::format("{}", static_cast<float>(value));
}

// The value of an index expression without indices, loads and rows.
std::optional<Dim> as_dim(const ExprRef& expr) {
  if (expr->type != DType::index) return std::nullopt;
  if (expr->kind == Expr::Kind::literal) return Dim(expr->value.integer);
  if (expr->kind == Expr::Kind::dim) return expr->dim;
  return std::nullopt;
}

// Arithmetic on dims alone is done at once: one form for each dim, and texts read back to the same expression.
std::optional<Dim> folded(const Row& row, const std::vector<ExprRef>& operands) {
  if (operands.size() != 2) return std::nullopt;
  const std::optional<Dim> a = as_dim(operands[0]);
  const std::optional<Dim> b = as_dim(operands[1]);
  if (!a || !b) return std::nullopt;
  const bool divides = b->is_constant() && b->constant() > 0;
  switch (row.basic) {
    case Basic::add:
      return *a + *b;
    case Basic::sub:
      return *a - *b;
    case Basic::mul:
      return *a * *b;
    case Basic::div:
      return divides ? std::optional(a->floor_div(b->constant())) : std::nullopt;
    default:
      return std::nullopt;
  }
}

constexpr std::array<std::string_view, 10> kReducers = {"dot", "sum", "max",    "min",    "prod",
                                                        "all", "any", "argmax", "argmin", "last"};

}  // namespace

bool operator==(const Literal& a, const Literal& b) {
  if (a.is_integer && b.is_integer) return a.integer == b.integer;
  if (a.is_integer != b.is_integer) {
    const Literal& whole = a.is_integer ? a : b;
    const double real = a.is_integer ? b.real : a.real;
    const bool negative_zero = real == 0 && std::signbit(real);
    return !negative_zero && static_cast<double>(whole.integer) == real &&
           saturate<std::int64_t>(real) == whole.integer;
  }
  if (std::isnan(a.real) || std::isnan(b.real)) return std::isnan(a.real) && std::isnan(b.real);
  return a.real == b.real && std::signbit(a.real) == std::signbit(b.real);
}

std::string literal_str(const Literal& literal, DType type) {
  const Literal value = normalized(type, literal);
  return value.is_integer ? std::to_string(value.integer) : float_str(value.real, type);
}

ExprRef literal(DType type, Literal value) {
  Expr out;
  out.kind = Expr::Kind::literal;
  out.type = register_type(type);
  out.value = normalized(out.type, value);
  return make(std::move(out));
}

ExprRef index(std::string name) {
  Expr out;
  out.kind = Expr::Kind::index;
  out.type = DType::index;
  out.name = std::move(name);
  return make(std::move(out));
}

ExprRef dim_value(Dim dim) {
  if (dim.is_constant()) return literal(DType::index, literal_of_int(dim.constant()));
  Expr out;
  out.kind = Expr::Kind::dim;
  out.type = DType::index;
  out.dim = std::move(dim);
  return make(std::move(out));
}

ExprRef load(std::string tensor, DType type, std::vector<ExprRef> indices) {
  Expr out;
  out.kind = Expr::Kind::load;
  out.type = register_type(type);
  out.name = std::move(tensor);
  out.operands = std::move(indices);
  return make(std::move(out));
}

ExprRef load_else(std::string tensor, DType type, std::vector<ExprRef> indices, Literal otherwise) {
  Expr out;
  out.kind = Expr::Kind::load;
  out.type = register_type(type);
  out.name = std::move(tensor);
  out.operands = std::move(indices);
  out.has_else = true;
  out.value = normalized(out.type, otherwise);
  return make(std::move(out));
}

ExprRef apply(const Row& row, std::vector<ExprRef> operands) {
  std::vector<DType> types;
  for (const ExprRef& operand : operands) types.push_back(operand->type);
  const std::optional<DType> type = row_type(row, types);
  assert(type && "the row does not accept these operands");
  if (const std::optional<Dim> dim = folded(row, operands)) return dim_value(*dim);
  Expr out;
  out.kind = Expr::Kind::row;
  out.type = type.value_or(DType::f32);
  out.row = &row;
  out.operands = std::move(operands);
  return make(std::move(out));
}

ExprRef apply(std::string_view row, std::vector<ExprRef> operands) {
  const Row* found = row_named(row);
  assert(found != nullptr && "there is no such row");
  return apply(*found, std::move(operands));
}

bool equal(const ExprRef& a, const ExprRef& b) {
  if (a == b) return true;
  if (!a || !b) return false;
  if (a->kind != b->kind || a->type != b->type || a->name != b->name || a->row != b->row || a->dim != b->dim ||
      a->has_else != b->has_else || !(a->value == b->value) || a->operands.size() != b->operands.size()) {
    return false;
  }
  for (std::size_t i = 0; i < a->operands.size(); ++i) {
    if (!equal(a->operands[i], b->operands[i])) return false;
  }
  return true;
}

std::string_view name_of(Reducer reducer) { return kReducers[static_cast<std::size_t>(reducer)]; }

std::optional<Reducer> reducer_named(std::string_view name) {
  for (std::size_t i = 0; i < kReducers.size(); ++i) {
    if (kReducers[i] == name) return static_cast<Reducer>(i);
  }
  return std::nullopt;
}

const Param* Kernel::param(std::string_view wanted) const {
  for (const Param& candidate : params) {
    if (candidate.name == wanted) return &candidate;
  }
  return nullptr;
}

const Stage* Kernel::stage(std::string_view wanted) const {
  for (const Stage& candidate : stages) {
    if (candidate.name == wanted) return &candidate;
  }
  return nullptr;
}

Shape shape_of(const Stage& stage) {
  Shape out;
  for (const Index& index : stage.indices) out.push_back(index.extent);
  return out;
}

RangeOf Program::range_of() const {
  return [this](std::string_view wanted) {
    for (const Symbol& symbol : symbols) {
      if (symbol.name == wanted) return Range{symbol.low, symbol.high};
    }
    return Range{0, 0};
  };
}

std::vector<int> global_tensors(const Function& function, Tensor::Place place) {
  std::vector<int> out;
  std::set<int> seen;
  for (std::size_t i = 0; i < function.tensors.size(); ++i) {
    const Tensor& tensor = function.tensors[i];
    if (tensor.place == place && seen.insert(tensor.global).second) out.push_back(static_cast<int>(i));
  }
  return out;
}

std::vector<Dim> dense_strides(const Shape& shape) {
  std::vector<Dim> strides(shape.size(), Dim(1));
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

}  // namespace tusk::kernel
