#include "ir/loop/print.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <optional>
#include <string_view>

#include "ir/text/lexer.hpp"

namespace tusk::loop {
namespace {

// Binding strength of what is printed in infix form: index arithmetic and its comparisons. The parser knows more
// levels.
enum Strength { kCompare, kSum, kProduct, kPrimary };

struct Infix {
  std::string_view symbol;
  Strength strength;
};

std::optional<Infix> infix_of(const Value& value) {
  if (value.kind != Value::Kind::row || value.operands[0]->type.element != DType::index) return std::nullopt;
  switch (value.row->basic) {
    case Basic::add:
      return Infix{" + ", kSum};
    case Basic::sub:
      return Infix{" - ", kSum};
    case Basic::mul:
      return Infix{"*", kProduct};
    case Basic::eq:
      return Infix{" == ", kCompare};
    case Basic::ne:
      return Infix{" != ", kCompare};
    case Basic::lt:
      return Infix{" < ", kCompare};
    case Basic::le:
      return Infix{" <= ", kCompare};
    case Basic::gt:
      return Infix{" > ", kCompare};
    case Basic::ge:
      return Infix{" >= ", kCompare};
    default:
      return std::nullopt;
  }
}

bool is_literal(const Value& value) {
  return value.kind == Value::Kind::literal ||
         (value.kind == Value::Kind::splat && value.operands[0]->kind == Value::Kind::literal);
}

// Whether the parser finds the type of the printed text without help from around it.
bool has_own_type(const Value& value) {
  switch (value.kind) {
    case Value::Kind::literal:
      return false;
    case Value::Kind::name:
    case Value::Kind::load:
    case Value::Kind::ramp:
      return true;
    case Value::Kind::splat:
    case Value::Kind::tree:
      return has_own_type(*value.operands[0]);
    case Value::Kind::first:
      return has_own_type(*value.operands[1]) || has_own_type(*value.operands[2]);
    case Value::Kind::row:
      break;
  }
  switch (value.row->typing) {
    case Typing::same:
      return std::any_of(value.operands.begin(), value.operands.end(), [](const auto& o) { return has_own_type(*o); });
    case Typing::select:
      return has_own_type(*value.operands[1]) || has_own_type(*value.operands[2]);
    case Typing::shift:
      return has_own_type(*value.operands[0]);
    default:
      return true;
  }
}

// The text of a value at a place that wants `strength` at least. `expected` is the type that the parser knows there:
// a literal of this type needs none of its own.
std::string text(const Value& value, std::optional<Type> expected = std::nullopt, Strength strength = kCompare);

// Operands that share a type: one of them tells it to the others, the first one if no other can.
std::vector<std::string> siblings(std::span<const ValueRef> operands, std::optional<Type> expected) {
  const Type type = operands[0]->type;
  const bool known = expected == type ||
                     std::any_of(operands.begin(), operands.end(), [](const ValueRef& o) { return has_own_type(*o); });
  std::vector<std::string> out;
  for (const ValueRef& operand : operands) {
    const bool first = out.empty();
    out.push_back(text(*operand, known || !first ? std::optional(type) : std::nullopt));
  }
  return out;
}

std::string joined(const std::vector<std::string>& parts) { return fmt::format("{}", fmt::join(parts, ", ")); }

std::string literal_text(const Value& value, std::optional<Type> expected) {
  const Value& scalar = value.kind == Value::Kind::splat ? *value.operands[0] : value;
  const std::string number = kernel::literal_str(scalar.literal, scalar.type.element);
  const bool bare = expected == value.type || (!expected && value.type == Type{DType::index, 1});
  if (bare) return number;
  const std::string typed = fmt::format("{}({})", name_of(scalar.type.element), number);
  return value.kind == Value::Kind::splat ? fmt::format("splat {} {}", value.type.lanes, typed) : typed;
}

std::string row_text(const Value& value, std::optional<Type> expected) {
  const Row& row = *value.row;
  const std::vector<ValueRef>& x = value.operands;
  std::vector<std::string> operands;
  switch (row.typing) {
    case Typing::same:
      operands = siblings(x, expected);
      break;
    case Typing::compare:
      operands = siblings(x, std::nullopt);
      break;
    case Typing::select:
      operands = siblings(std::span(x).subspan(1), expected);
      operands.insert(operands.begin(), text(*x[0]));
      break;
    case Typing::shift: {
      const bool known = expected == value.type || has_own_type(*x[0]);
      operands = {text(*x[0], known ? std::optional(value.type) : std::nullopt), text(*x[1], value.type)};
      break;
    }
    case Typing::convert:
    case Typing::bitcast: {
      // A bare number here would be read as a literal of the target; a type that fits nothing keeps it typed.
      const bool number = is_literal(*x[0]) && x[0]->type.lanes == 1;
      operands = {text(*x[0], number ? std::optional(Type{x[0]->type.element, 0}) : std::nullopt)};
      break;
    }
  }
  return fmt::format("{}({})", row.name, joined(operands));
}

std::string infix_text(const Value& value, const Infix& infix, Strength strength) {
  const Type type = value.operands[0]->type;
  const auto right = static_cast<Strength>(infix.strength + 1);
  const Strength left = infix.strength == kCompare ? right : infix.strength;
  const std::string out =
      text(*value.operands[0], type, left) + std::string(infix.symbol) + text(*value.operands[1], type, right);
  return infix.strength < strength ? "(" + out + ")" : out;
}

std::string load_text(const Value& value) {
  std::string out = "load ";
  if (value.type.lanes != 1) out += str(value.type) + " ";
  out += fmt::format("{}[{}]", value.name, text(*value.operands[0]));
  if (value.has_mask) {
    out += fmt::format(" mask {} else {}", text(*value.operands[1]),
                       kernel::literal_str(value.literal, value.type.element));
  }
  return out;
}

std::string text(const Value& value, std::optional<Type> expected, Strength strength) {
  if (is_literal(value)) return literal_text(value, expected);
  if (const std::optional<Infix> infix = infix_of(value)) return infix_text(value, *infix, strength);
  switch (value.kind) {
    case Value::Kind::literal:
      break;
    case Value::Kind::name:
      return value.name;
    case Value::Kind::row:
      return row_text(value, expected);
    case Value::Kind::load:
      return load_text(value);
    case Value::Kind::splat:
      return fmt::format("splat {} {}", value.type.lanes, text(*value.operands[0], std::nullopt, kPrimary));
    case Value::Kind::ramp:
      return fmt::format("ramp {}", value.type.lanes);
    case Value::Kind::first: {
      const std::vector<std::string> both = siblings(std::span(value.operands).subspan(1), expected);
      return fmt::format("first({}, {})", text(*value.operands[0]), joined(both));
    }
    case Value::Kind::tree:
      return fmt::format("tree {}({})", value.row->name, text(*value.operands[0]));
  }
  return {};
}

class Printer {
 public:
  explicit Printer(Lines* lines = nullptr, int first = 1) : lines_(lines), next_(first) {}

  std::string take() { return std::move(out_); }
  int next_line() const { return next_; }

  void func(const Func& func) {
    for (const std::string& comment : func.comments) line("note " + text::quoted(comment));
    if (lines_ != nullptr) lines_->functions[&func] = next_;
    std::vector<std::string> params;
    for (const Buffer& buffer : func.buffers) {
      std::string param = fmt::format("{}: {}*", buffer.name, name_of(buffer.type));
      if (buffer.constant) param += " const";
      if (buffer.align != 0) param += fmt::format(" align {}", buffer.align);
      if (!buffer.note.empty()) param += " " + text::quoted(buffer.note);
      params.push_back(std::move(param));
    }
    for (const Scalar& scalar : func.scalars) params.push_back(fmt::format("{}: {}", scalar.name, str(scalar.type)));
    const std::string header = fmt::format("{} {}({})", func.result ? "row" : "loop", func.name, joined(params));
    open(func.result ? fmt::format("{} -> {} {{", header, str(func.result_type)) : header + " {");
    block(func.body);
    if (func.result) line("return " + text(*func.result, func.result_type));
    close();
  }

 private:
  void line(const std::string& text) {
    out_ += std::string(static_cast<std::size_t>(2 * depth_), ' ') + text + "\n";
    ++next_;
  }
  void open(const std::string& text) {
    line(text);
    ++depth_;
  }
  void close(const std::string& rest = "") {
    --depth_;
    line("}" + rest);
  }

  void block(const Block& block) {
    for (const Stmt& stmt : block) statement(stmt);
  }

  void yield(const std::vector<ValueRef>& values, const std::vector<Carry>* expected) {
    if (values.empty()) return;
    std::vector<std::string> parts;
    for (std::size_t i = 0; i < values.size(); ++i) {
      parts.push_back(text(*values[i], expected ? std::optional((*expected)[i].type) : std::nullopt));
    }
    line("yield " + joined(parts));
  }

  static std::string results(const Stmt& stmt) {
    std::vector<std::string> names;
    for (const Carry& carry : stmt.carries) names.push_back(carry.result);
    return names.empty() ? "" : joined(names) + " = ";
  }

  static std::string parallel(const Stmt& stmt) {
    return stmt.parallel == 0 ? "" : stmt.parallel == 1 ? "parallel " : fmt::format("parallel {} ", stmt.parallel);
  }

  void loop(const Stmt& stmt) {
    std::string header = fmt::format("{}{}for {} = {} to {} step {}", results(stmt), parallel(stmt), stmt.name,
                                     text(*stmt.low), text(*stmt.high), stmt.step);
    std::vector<std::string> carries;
    for (const Carry& carry : stmt.carries) carries.push_back(fmt::format("{} = {}", carry.name, text(*carry.init)));
    if (!carries.empty()) header += fmt::format(" carry ({})", joined(carries));
    open(header + " {");
    block(stmt.body);
    yield(stmt.yields, &stmt.carries);
    close();
  }

  void branch(const Stmt& stmt) {
    open(fmt::format("{}if {} {{", results(stmt), text(*stmt.value)));
    block(stmt.body);
    yield(stmt.yields, nullptr);
    if (!stmt.other.empty() || !stmt.other_yields.empty()) {
      --depth_;
      open("} else {");
      block(stmt.other);
      yield(stmt.other_yields, nullptr);
    }
    close();
  }

  void statement(const Stmt& stmt) {
    if (lines_ != nullptr) lines_->statements[&stmt] = next_;
    switch (stmt.kind) {
      case Stmt::Kind::let:
        return line(fmt::format("{} = {}", stmt.name, text(*stmt.value)));
      case Stmt::Kind::store: {
        std::string out = fmt::format("store {}[{}], {}", stmt.base, text(*stmt.address), text(*stmt.value));
        if (stmt.mask) out += " mask " + text(*stmt.mask);
        return line(out);
      }
      case Stmt::Kind::loop:
        return loop(stmt);
      case Stmt::Kind::branch:
        return branch(stmt);
      case Stmt::Kind::call: {
        std::vector<std::string> arguments;
        for (const ValueRef& argument : stmt.arguments) arguments.push_back(text(*argument));
        return line(fmt::format("call {}({})", stmt.name, joined(arguments)));
      }
      case Stmt::Kind::buffer:
        return line(fmt::format("let {}: {}* = {} + {}", stmt.name, name_of(stmt.type.element), stmt.base,
                                text(*stmt.address, std::nullopt, kSum)));
      case Stmt::Kind::barrier:
        return line("barrier");
      case Stmt::Kind::comment:
        return line("note " + text::quoted(stmt.name));
    }
  }

  Lines* lines_;
  int next_;  // the number of the next line
  std::string out_;
  int depth_ = 0;
};

}  // namespace

std::string print(const Func& func) {
  Printer printer;
  printer.func(func);
  return printer.take();
}

std::string print(const Module& module) {
  std::string out;
  for (const Func& func : module.funcs) out += (out.empty() ? "" : "\n") + print(func);
  return out;
}

std::string print(const std::vector<const Func*>& funcs, Lines& lines, int first_line) {
  std::string out;
  int next = first_line;
  for (const Func* func : funcs) {
    Printer printer(&lines, out.empty() ? next : next + 1);
    printer.func(*func);
    next = printer.next_line();
    out += (out.empty() ? "" : "\n") + printer.take();
  }
  return out;
}

std::string print(const ValueRef& value) { return text(*value); }

}  // namespace tusk::loop
