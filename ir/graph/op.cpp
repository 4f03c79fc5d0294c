#include "ir/graph/op.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "ir/base/size.hpp"
#include "ir/graph/inline.hpp"
#include "ir/graph/print.hpp"
#include "ir/text/suggest.hpp"

namespace tusk::graph {
namespace {

bool has_kind(const Attr& attr, AttrSpec::Kind kind) {
  switch (kind) {
    case AttrSpec::Kind::flag:
      return std::holds_alternative<bool>(attr);
    case AttrSpec::Kind::integer:
      return std::holds_alternative<std::int64_t>(attr);
    case AttrSpec::Kind::number:
      return std::holds_alternative<Literal>(attr);
    case AttrSpec::Kind::text:
      return std::holds_alternative<std::string>(attr);
    case AttrSpec::Kind::ints:
      return std::holds_alternative<std::vector<std::int64_t>>(attr);
    case AttrSpec::Kind::shape:
      return std::holds_alternative<Shape>(attr);
    case AttrSpec::Kind::dtype:
      return std::holds_alternative<DType>(attr);
    case AttrSpec::Kind::spec:
      return std::holds_alternative<ContractSpec>(attr);
    case AttrSpec::Kind::array:
      return std::holds_alternative<Array>(attr);
  }
  return false;
}

bool is_number_operand(const Operand& operand) {
  return operand.kind == Operand::Kind::literal || operand.kind == Operand::Kind::dim;
}

Status check_count(const InferContext& c) {
  const int count = static_cast<int>(c.operands.size());
  const OpDef& def = *c.op.def;
  if (count >= def.min_operands && (def.max_operands < 0 || count <= def.max_operands)) return done();
  const std::string wanted = def.max_operands < 0 ? fmt::format("at least {}", def.min_operands)
                             : def.max_operands > def.min_operands
                                 ? fmt::format("{} to {}", def.min_operands, def.max_operands)
                                 : std::to_string(def.min_operands);
  const std::string_view noun = wanted == "1" || wanted.ends_with(" 1") ? "operand" : "operands";
  return c.fail("operands", fmt::format("{} takes {} {}, found {}", text_name(c.op), wanted, noun, count));
}

// Numbers and dims stand beside tensors: a map has its shape from those, the body of a composite puts them into maps.
Status check_numbers(const InferContext& c) {
  if (c.op.def->name == "map" || !c.op.def->body.empty()) return done();
  for (std::size_t i = 0; i < c.op.operands.size(); ++i) {
    if (c.is_number(i))
      return c.fail("operands",
                    fmt::format("operand {} of {} is a number, expected a tensor; write a const", i, text_name(c.op)));
  }
  for (const Region& region : c.op.regions) {
    if (std::ranges::any_of(region.yields, is_number_operand))
      return c.fail("operands", fmt::format("{} yields a number, expected a tensor; write a const", text_name(c.op)));
  }
  return done();
}

// a == b or a >= b, of which one is neither proved nor refuted: the emitted entry checks it.
void require(std::vector<Condition>& conditions, Condition condition) {
  if (std::ranges::find(conditions, condition) == conditions.end()) conditions.push_back(std::move(condition));
}

}  // namespace

const Attr& attr_of(const Op& op, std::string_view name) {
  if (const Attr* given = op.attrs.find(name)) return *given;
  for (const AttrSpec& spec : op.def->attrs) {
    if (spec.name == name) return spec.fallback;
  }
  static const Attr kNone;
  return kNone;
}

// --- InferContext

const Attr& InferContext::attr(std::string_view name) const { return attr_of(op, name); }
std::int64_t InferContext::integer(std::string_view name) const { return std::get<std::int64_t>(attr(name)); }
const std::vector<std::int64_t>& InferContext::ints(std::string_view name) const {
  return std::get<std::vector<std::int64_t>>(attr(name));
}
const Shape& InferContext::shape(std::string_view name) const { return std::get<Shape>(attr(name)); }
bool InferContext::flag(std::string_view name) const { return std::get<bool>(attr(name)); }
bool InferContext::is_number(std::size_t operand) const { return is_number_operand(op.operands[operand]); }

Diagnostic InferContext::fail(std::string_view label, std::string message) const {
  Diagnostic out = error(fmt::format("{}-{}", op.def->name, label), std::move(message));
  out.layer = op.layer;
  for (std::size_t i = 0; i < operands.size(); ++i) {
    const std::string name = str(module, function, op.operands[i]);
    out.note(is_number(i) ? fmt::format("operand {} is {}", i, name)
                          : fmt::format("operand {} `{}` {}", i, name, graph::str(operands[i])));
  }
  return out;
}

Status InferContext::equal(const Dim& a, const Dim& b, std::string_view label, std::string_view what) const {
  if (a == b) return done();
  const Range difference = (a - b).range(module.ranges());
  if (difference.low == 0 && difference.high == 0) return done();
  if (difference.low > 0 || difference.high < 0) {
    return fail(label, fmt::format("{} is {}, expected {}", what, a.str(), b.str()));
  }
  const bool ordered = Dim::less(a, b);  // one condition, whichever way it is asked for
  require(conditions, {Condition::Kind::equal, ordered ? a : b, ordered ? b : a});
  return done();
}

Status InferContext::at_least(const Dim& a, const Dim& b, std::string_view label, std::string_view what) const {
  const Range difference = (a - b).range(module.ranges());
  if (difference.low >= 0) return done();
  if (difference.high < 0) {
    return fail(label, fmt::format("{} is {}, expected at least {}", what, a.str(), b.str()));
  }
  require(conditions, {Condition::Kind::at_least, a, b});
  return done();
}

// --- EvalContext

const Attr& EvalContext::attr(std::string_view name) const { return attr_of(op, name); }

std::vector<std::int64_t> EvalContext::result_shape(std::size_t i) const {
  std::vector<std::int64_t> shape;
  for (const Dim& d : result_types[i].shape) shape.push_back(dim(d));
  return shape;
}

std::int64_t EvalContext::choice(std::int64_t made) const {
  if (choices == nullptr) return made;
  if (choices->replay) return choices->next < choices->made.size() ? choices->made[choices->next++] : made;
  choices->made.push_back(made);
  return made;
}

double EvalContext::choose(const Row& row, const double (&x)[3]) const {
  if (row.reference == nullptr) return std::nan("");  // bitcast: a double has other bits
  if (choices == nullptr) return row.reference(x[0], x[1], x[2]);
  const auto decided = [&](bool made) { return choice(made ? 1 : 0) != 0; };
  switch (row.basic) {
    case Basic::max:
      return decided(x[0] > x[1]) ? x[0] : x[1];
    case Basic::min:
      return decided(x[0] < x[1]) ? x[0] : x[1];
    case Basic::abs:
      return decided(std::signbit(x[0])) ? -x[0] : x[0];
    default:
      break;
  }
  if (row.name == "relu") return decided(0 > x[0]) ? 0 : x[0];
  const double y = row.reference(x[0], x[1], x[2]);
  // A step: comparisons, floor and its kin. Their results are whole numbers, which a choice can hold.
  const bool steps = row.typing == Typing::compare || row.basic == Basic::floor || row.basic == Basic::ceil ||
                     row.basic == Basic::trunc || row.basic == Basic::rint || row.name == "sign" ||
                     row.name == "floordiv";
  if (steps && std::abs(y) < 0x1p53) return static_cast<double>(choice(static_cast<std::int64_t>(y)));
  if (row.name == "mod" && x[1] != 0 && std::abs(x[0] / x[1]) < 0x1p53) {
    return x[0] - x[1] * static_cast<double>(choice(static_cast<std::int64_t>(std::floor(x[0] / x[1]))));
  }
  return y;
}

// --- Builder

Operand Builder::add(std::string_view op, std::vector<Operand> operands, Attrs attrs) {
  return add_all(op, std::move(operands), std::move(attrs)).front();
}

std::vector<Operand> Builder::add_all(std::string_view name, std::vector<Operand> operands, Attrs attrs,
                                      std::vector<Region> regions) {
  std::size_t spare = 8;
  for (const Region& region : regions) spare = std::max(spare, region.yields.size());
  const auto make = [&]() -> Expected<Op> {
    TRY(Op op, op_from_name(name));
    op.operands = std::move(operands);
    op.regions = std::move(regions);
    op.layer = layer;
    CHECK(set_attrs(op, std::move(attrs)));
    TRY(const std::vector<Type> types, infer(module_, function_, op, function_.conditions));
    const std::string hint = !name_hint.empty() ? name_hint : op.variant.empty() ? std::string(name) : op.variant;
    for (const Type& type : types) op.results.push_back(function_.add_value(hint, type));
    return op;
  };
  std::vector<Operand> results;
  if (Expected<Op> op = make()) {
    for (const int id : op->results) results.push_back(Operand::value(id));
    ops_.push_back(*std::move(op));
  } else {
    if (!problem) problem = op.problem();
    // The caller goes on with values that nobody will run: enough of them for any op.
    for (std::size_t i = 0; i < spare; ++i) results.push_back(Operand::value(function_.add_value("", {})));
  }
  name_hint.clear();
  return results;
}

Operand Builder::map(std::string_view row, std::vector<Operand> operands) {
  return add(fmt::format("map.{}", row), std::move(operands));
}

Operand Builder::broadcast(Operand x, Shape shape, std::vector<std::int64_t> dims) {
  return add("broadcast", {std::move(x)}, {{{"shape", std::move(shape)}, {"dims", std::move(dims)}}});
}

Operand Builder::reshape(Operand x, Shape shape) {
  return add("reshape", {std::move(x)}, {{{"shape", std::move(shape)}}});
}

Operand Builder::transpose(Operand x, std::vector<std::int64_t> perm) {
  return add("transpose", {std::move(x)}, {{{"perm", std::move(perm)}}});
}

Operand Builder::reduce(std::string_view kind, Operand x, std::vector<std::int64_t> axes) {
  return add(fmt::format("reduce.{}", kind), {std::move(x)}, {{{"axes", std::move(axes)}}});
}

Operand Builder::cast(Operand x, DType to) { return add("cast", {std::move(x)}, {{{"to", to}}}); }

Operand Builder::contract(Operand a, Operand b, std::optional<Operand> init, ContractSpec spec) {
  std::vector<Operand> operands{std::move(a), std::move(b)};
  if (init) operands.push_back(*std::move(init));
  return add("contract", std::move(operands), {{{"spec", std::move(spec)}}});
}

Operand Builder::fill(Type type, double value) {
  const Operand scalar = add("const", {}, {{{"value", Array::splat(type.dtype, {}, value)}}});
  return type.shape.empty() ? scalar : broadcast(scalar, std::move(type.shape), {});
}

// --- GradContext, LowerContext

const Attr& GradContext::attr(std::string_view name) const { return attr_of(op, name); }

const Attr& LowerContext::attr(std::string_view name) const { return attr_of(op, name); }

DType LowerContext::number_type() const {
  // The condition of a select says nothing about the type of its branches.
  const std::size_t first = op.row != nullptr && op.row->typing == Typing::select ? 1 : 0;
  for (std::size_t i = first; i < operands.size(); ++i) {
    if (!is_number_operand(op.operands[i])) return register_type(operands[i].dtype);
  }
  return register_type(results[0].dtype);
}

kernel::ExprRef LowerContext::operand(std::size_t i, std::vector<kernel::ExprRef> at) const {
  const Operand& o = op.operands[i];
  if (o.kind == Operand::Kind::literal) return kernel::literal(number_type(), o.literal);
  if (o.kind == Operand::Kind::dim) return kernel::apply(convert_row(number_type()), {kernel::dim_value(o.dim)});
  return kernel::load(fmt::format("x{}", i), register_type(operands[i].dtype), std::move(at));
}

kernel::ExprRef LowerContext::operand_else(std::size_t i, std::vector<kernel::ExprRef> at, Literal otherwise) const {
  if (is_number_operand(op.operands[i])) return operand(i, std::move(at));
  return kernel::load_else(fmt::format("x{}", i), register_type(operands[i].dtype), std::move(at), otherwise);
}

std::vector<kernel::Index> LowerContext::indices(const Shape& shape) {
  static const std::vector<std::vector<std::string>> kNames = {
      {}, {"i"}, {"n", "c"}, {"n", "t", "c"}, {"n", "h", "w", "c"}, {"n", "d", "h", "w", "c"}};
  std::vector<kernel::Index> out;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    out.push_back({shape.size() < kNames.size() ? kNames[shape.size()][i] : fmt::format("i{}", i), shape[i]});
  }
  return out;
}

std::vector<kernel::ExprRef> LowerContext::refs(std::span<const kernel::Index> indices) {
  std::vector<kernel::ExprRef> out;
  for (const kernel::Index& index : indices) out.push_back(kernel::index(index.name));
  return out;
}

// --- ops by name

const OpDef* op_named(std::string_view name) {
  for (const OpDef* def : ops()) {
    if (def->name == name) return def;
  }
  return nullptr;
}

Expected<Op> op_from_name(std::string_view name) {
  const std::size_t dot = name.find('.');
  const std::string_view base = name.substr(0, dot);
  Op op;
  op.def = op_named(base);
  if (op.def == nullptr) {
    std::vector<std::string_view> names;
    for (const OpDef* def : ops()) names.push_back(def->name);
    // A row written without "map." is the likeliest error.
    const std::string advice =
        row_named(base) != nullptr ? fmt::format("; did you mean `map.{}`?", base) : text::suggestion(base, names);
    return error("op-unknown", fmt::format("unknown op `{}`{}", base, advice));
  }
  if (dot != std::string_view::npos) op.variant = name.substr(dot + 1);
  std::vector<std::string_view> variants = op.def->variants;
  if (op.def->name == "map") {
    op.row = row_named(op.variant);
    if (op.row != nullptr) return op;
    for (const Row& row : rows()) variants.push_back(row.name);
  } else if (variants.empty() ? op.variant.empty() : std::ranges::find(variants, op.variant) != variants.end()) {
    return op;
  }
  if (op.variant.empty())
    return error("op-variant", fmt::format("`{}` needs a variant: `{}.{}`", base, base, variants[0]));
  if (variants.empty()) return error("op-variant", fmt::format("`{}` has no variants, found `{}`", base, name));
  std::string advice = text::suggestion(op.variant, variants);
  if (advice.empty() && base != "map") advice = fmt::format("; it has {}", fmt::join(variants, ", "));
  return error("op-variant", fmt::format("`{}` has no variant `{}`{}", base, op.variant, advice));
}

std::string text_name(const Op& op) {
  return op.variant.empty() ? std::string(op.def->name) : fmt::format("{}.{}", op.def->name, op.variant);
}

Status set_attrs(Op& op, Attrs attrs) {
  const auto fail = [&](std::string message) {
    Diagnostic out = error("op-attribute", std::move(message));
    out.layer = op.layer;
    return out;
  };
  Attrs ordered;
  for (const AttrSpec& spec : op.def->attrs) {
    const Attr* given = attrs.find(spec.name);
    if (given == nullptr) {
      if (!std::holds_alternative<std::monostate>(spec.fallback)) continue;
      return fail(fmt::format("`{}` needs the attribute `{}`", text_name(op), spec.name));
    }
    if (!has_kind(*given, spec.kind)) {
      return fail(fmt::format("attribute `{}` of `{}` has the wrong kind", spec.name, text_name(op)));
    }
    if (!equal(*given, spec.fallback)) ordered.list.emplace_back(spec.name, *given);
  }
  for (const auto& [name, value] : attrs.list) {
    if (std::ranges::find(op.def->attrs, name, &AttrSpec::name) != op.def->attrs.end()) continue;
    std::vector<std::string_view> names;
    for (const AttrSpec& spec : op.def->attrs) names.push_back(spec.name);
    return fail(fmt::format("`{}` has no attribute `{}`{}", text_name(op), name, text::suggestion(name, names)));
  }
  op.attrs = std::move(ordered);
  return done();
}

Expected<std::vector<Type>> infer(const Module& module, const Function& function, const Op& op,
                                  std::vector<Condition>& conditions) {
  InferContext context{module, function, op, {}, conditions};
  for (const Operand& operand : op.operands) context.operands.push_back(type_of(module, function, operand));
  CHECK(check_count(context));
  CHECK(check_numbers(context));
  TRY(std::vector<Type> types, op.def->infer != nullptr ? op.def->infer(context) : infer_by_body(context));
  for (const Type& type : types) {
    Status ok = check_size(fmt::format("the result of {}", text_name(op)), type.dtype, type.shape, module.ranges());
    if (ok) continue;
    ok.problem().layer = op.layer;
    return ok.problem();
  }
  return types;
}

}  // namespace tusk::graph
