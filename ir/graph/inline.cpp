#include "ir/graph/inline.hpp"

#include <fmt/format.h>
#include <algorithm>

#include "ir/graph/parse.hpp"
#include "ir/graph/print.hpp"

namespace tusk::graph {
namespace {

bool names_a_tensor(const Operand& operand) {
  return operand.kind == Operand::Kind::value || operand.kind == Operand::Kind::global;
}

/// Replaces the $-names of a body's text.
class Template {
 public:
  Template(std::string_view text, const InferContext& context) : text_(text), context_(context) {
    if (context.op.def->derive != nullptr) context.op.def->derive(context, derived_);
    // Operands are called as the parameters in the head of the text.
    std::size_t at = text.find('(');
    while (at < text.size() && text[at] != ')') {
      at = text.find_first_of("%)", at);
      if (at == std::string_view::npos || text[at] == ')') break;
      const std::size_t end = text.find_first_of(",) ", ++at);
      params_.emplace_back(text.substr(at, end - at));
      at = end;
    }
  }

  Expected<std::string> filled() {
    TRY(std::string out, block(true));
    if (at_ < text_.size()) return fail("$else or $end without $if");
    return out;
  }

 private:
  Diagnostic fail(std::string message) const {
    return error("body", fmt::format("in the body of `{}`: {}", context_.op.def->name, message));
  }

  std::string word() {
    const std::size_t start = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '_'))
      ++at_;
    return std::string(text_.substr(start, at_ - start));
  }

  // Up to the $else or $end that closes the block, or to the end of the text. Text that does not count is read all the
  // same, and dropped.
  Expected<std::string> block(bool counts) {
    std::string out;
    while (at_ < text_.size()) {
      const std::size_t dollar = std::min(text_.find('$', at_), text_.size());
      out += text_.substr(at_, dollar - at_);
      at_ = dollar;
      if (at_ == text_.size() || text_.substr(at_).starts_with("$else") || text_.substr(at_).starts_with("$end")) break;
      ++at_;
      const std::string name = word();
      std::vector<std::string> args;
      if (at_ < text_.size() && text_[at_] == '(' && !attr(name)) {
        do {
          at_ = text_.find_first_not_of(" (,", at_);
          args.push_back(word());
        } while (at_ < text_.size() && text_[at_] != ')');
        ++at_;
      }
      if (name == "if") {
        if (args.empty()) return fail("$if without a condition");
        TRY(const bool holds, condition(args[0]));
        TRY(const std::string yes, block(counts && holds));
        std::string no;
        if (text_.substr(at_).starts_with("$else")) {
          at_ += 5;
          TRY(no, block(counts && !holds));
        }
        if (!text_.substr(at_).starts_with("$end")) return fail("$if without $end");
        at_ += 4;
        if (counts) out += holds ? yes : no;
      } else if (counts) {
        TRY(const std::string value, replaced(name, args));
        out += value;
      }
    }
    return out;
  }

  const Attr* attr(std::string_view name) const {
    if (const Attr* found = derived_.find(name)) return found;
    for (const AttrSpec& spec : context_.op.def->attrs) {
      if (spec.name == name) return &context_.attr(name);
    }
    return nullptr;
  }

  // The operand of this name, if it is given.
  std::optional<std::size_t> operand(std::string_view name) const {
    const auto i = static_cast<std::size_t>(std::ranges::find(params_, name) - params_.begin());
    return i < context_.operands.size() ? std::optional(i) : std::nullopt;
  }

  Expected<bool> condition(std::string_view name) const {
    if (const Attr* value = attr(name)) {
      if (const bool* flag = std::get_if<bool>(value)) return *flag;
    } else if (std::ranges::find(params_, name) != params_.end()) {
      const std::optional<std::size_t> i = operand(name);
      return i && !context_.is_number(*i);
    }
    return fail(fmt::format("`{}` is no condition", name));
  }

  Expected<std::string> replaced(const std::string& name, const std::vector<std::string>& args) const {
    if (args.empty()) {
      const Attr* value = attr(name);
      return value != nullptr ? Expected<std::string>(str(*value)) : fail(fmt::format("unknown name `${}`", name));
    }
    const std::optional<std::size_t> i = operand(args[0]);
    if (!i) return fail(fmt::format("operand `{}` is not given", args[0]));
    const Type& type = context_.operands[*i];
    if (name == "shape") return shape_str(type.shape);
    if (name == "dtype") return std::string(name_of(type.dtype));
    const Attr* list = args.size() == 2 ? attr(args[1]) : nullptr;
    const auto* axes = list != nullptr ? std::get_if<std::vector<std::int64_t>>(list) : nullptr;
    if (axes == nullptr) return fail(fmt::format("unknown name `${}`", name));
    std::vector<std::int64_t> others;
    Dim size(1);
    for (std::size_t axis = 0; axis < type.shape.size(); ++axis) {
      if (std::ranges::find(*axes, static_cast<std::int64_t>(axis)) != axes->end()) {
        size *= type.shape[axis];
      } else {
        others.push_back(static_cast<std::int64_t>(axis));
      }
    }
    if (name == "others") return str(Attr(others));
    if (name == "size") return fmt::format("({})", size.str());
    return fail(fmt::format("unknown name `${}`", name));
  }

  std::string_view text_;
  const InferContext& context_;
  Attrs derived_;
  std::vector<std::string> params_;
  std::size_t at_ = 0;
};

// An argument for each operand that the op may have, given or not.
std::vector<BodyArgument> arguments_of(const InferContext& context) {
  std::vector<BodyArgument> args;
  for (std::size_t i = 0; i < context.operands.size(); ++i) {
    args.push_back(context.is_number(i) ? BodyArgument{{}, context.op.operands[i]}
                                        : BodyArgument{context.operands[i], {}});
  }
  args.resize(std::max(args.size(), static_cast<std::size_t>(std::max(0, context.op.def->max_operands))));
  return args;
}

Expected<Function> instantiate(const InferContext& context, std::string_view text,
                               const std::vector<BodyArgument>& args) {
  TRY(const std::string filled, Template(text, context).filled());
  Expected<Function> body = parse_body(context.module, filled, args);
  if (body) return body;
  // The user wrote the op, not its body.
  Diagnostic problem = std::move(body.problem());
  problem.spot.reset();
  problem.layer = context.op.layer;
  problem.note(fmt::format("in the body of `{}`", context.op.def->name));
  return problem;
}

InferContext context_of(const Module& module, const Function& function, const Op& op,
                        std::vector<Condition>& conditions) {
  InferContext context{module, function, op, {}, conditions};
  for (const Operand& operand : op.operands) context.operands.push_back(type_of(module, function, operand));
  return context;
}

// Copies ops with other values. The map grows by the values that the copies define.
class Copier {
 public:
  Copier(Function& into, const Function& from, const std::string& prefix, const std::string& layer)
      : into_(into), from_(from), prefix_(prefix), layer_(layer), map_(from.values.size()) {}

  void set(int value, Operand operand) { map_[static_cast<std::size_t>(value)] = std::move(operand); }

  Operand operand(const Operand& o) const {
    return o.kind == Operand::Kind::value ? map_[static_cast<std::size_t>(o.id)].value() : o;
  }

  Op copy(const Op& op) {
    Op out = op;
    for (Operand& o : out.operands) o = operand(o);
    for (Region& region : out.regions) {
      for (int& param : region.params) param = define(param);
      for (Op& inner : region.ops) inner = copy(inner);
      for (Operand& o : region.yields) o = operand(o);
    }
    for (int& result : out.results) result = define(result);
    out.layer = layer_;
    return out;
  }

 private:
  int define(int value) {
    std::optional<Operand>& there = map_[static_cast<std::size_t>(value)];
    if (!there) {
      const Value& v = from_.values[static_cast<std::size_t>(value)];
      there = Operand::value(into_.add_value(prefix_ + v.name, v.type));
    }
    return there->id;
  }

  Function& into_;
  const Function& from_;
  const std::string& prefix_;
  const std::string& layer_;
  std::vector<std::optional<Operand>> map_;
};

}  // namespace

std::vector<Operand> tensors_of(const Op& op) {
  std::vector<Operand> out;
  std::ranges::copy_if(op.operands, std::back_inserter(out), names_a_tensor);
  return out;
}

Expected<Function> instantiate_body(const Module& module, const Function& function, const Op& op) {
  std::vector<Condition> conditions;
  const InferContext context = context_of(module, function, op, conditions);
  return instantiate(context, op.def->body, arguments_of(context));
}

Expected<Function> instantiate_gradient(const Module& module, const Function& function, const Op& op) {
  std::vector<Condition> conditions;
  const InferContext context = context_of(module, function, op, conditions);
  std::vector<BodyArgument> args = arguments_of(context);
  for (int twice = 0; twice < 2; ++twice) {  // results, then dy
    for (const int id : op.results) args.push_back({function.values[static_cast<std::size_t>(id)].type, {}});
  }
  return instantiate(context, op.def->gradient_body, args);
}

Expected<std::vector<Type>> infer_by_body(const InferContext& context) {
  TRY(const Function body, instantiate(context, context.op.def->body, arguments_of(context)));
  for (const Condition& condition : body.conditions) {
    if (std::ranges::find(context.conditions, condition) == context.conditions.end())
      context.conditions.push_back(condition);
  }
  std::vector<Type> types;
  for (const Operand& result : body.results) types.push_back(type_of(context.module, body, result));
  return types;
}

std::vector<Operand> inline_body(const Module& module, Function& function, std::vector<Op>& ops, const Function& body,
                                 std::span<const Operand> args, const std::string& prefix, const std::string& layer,
                                 std::span<const int> results) {
  Copier copier(function, body, prefix, layer);
  for (std::size_t i = 0; i < body.params.size(); ++i) copier.set(body.params[i], args[i]);
  // A result that an op of the body makes is written to its destination at once; else it is copied there below.
  std::vector<bool> written(results.size(), false);
  for (std::size_t i = 0; i < results.size(); ++i) {
    const Operand& result = body.results[i];
    const bool again = std::find(body.results.begin(), body.results.begin() + static_cast<std::ptrdiff_t>(i), result) !=
                       body.results.begin() + static_cast<std::ptrdiff_t>(i);
    const bool param = std::ranges::find(body.params, result.id) != body.params.end();
    if (result.kind != Operand::Kind::value || again || param) continue;
    copier.set(result.id, Operand::value(results[i]));
    written[i] = true;
  }
  for (const Op& op : body.ops) ops.push_back(copier.copy(op));
  std::vector<Operand> out;
  for (const Operand& result : body.results) out.push_back(copier.operand(result));
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (written[i]) continue;
    Op same = *op_from_name("reshape");
    same.operands = {out[i]};
    same.attrs.set("shape", type_of(module, function, out[i]).shape);
    same.results = {results[i]};
    same.layer = layer;
    ops.push_back(std::move(same));
    out[i] = Operand::value(results[i]);
  }
  return out;
}

Status expand_composites(const Module& module, Function& function, std::vector<Op>& ops,
                         const std::function<bool(const Op&)>& chosen) {
  std::vector<Op> out;
  for (Op& op : ops) {
    for (Region& region : op.regions) CHECK(expand_composites(module, function, region.ops, chosen));
    if (op.def->body.empty() || (chosen && !chosen(op))) {
      out.push_back(std::move(op));
      continue;
    }
    TRY(Function body, instantiate_body(module, function, op));
    CHECK(expand_composites(module, body, body.ops, chosen));
    const std::string prefix = function.values[static_cast<std::size_t>(op.results[0])].name + ".";
    inline_body(module, function, out, body, tensors_of(op), prefix, op.layer, op.results);
  }
  ops = std::move(out);
  return done();
}

}  // namespace tusk::graph
