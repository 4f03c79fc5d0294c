#include "ir/kernel/print.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <map>
#include <span>

#include "ir/text/lexer.hpp"

namespace tusk::kernel {
namespace {

enum Strength { kCompare, kSum, kProduct, kUnary, kPrimary };

struct Infix {
  std::string_view symbol;
  Strength strength;
};

std::optional<Infix> infix_of(const Expr& expr) {
  if (expr.kind != Expr::Kind::row) return std::nullopt;
  const bool is_index = expr.type == DType::index;
  switch (expr.row->basic) {
    case Basic::add:
      return Infix{" + ", kSum};
    case Basic::sub:
      return Infix{" - ", kSum};
    case Basic::mul:
      return Infix{is_index ? "*" : " * ", kProduct};
    case Basic::div:
      return Infix{is_index ? "//" : " / ", kProduct};
    case Basic::rem:
      return is_index ? std::optional(Infix{" % ", kProduct}) : std::nullopt;
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

// Data used as an index: where an index is expected, the text is the load alone.
bool is_loaded_index(const Expr& expr) {
  if (expr.kind != Expr::Kind::row || expr.row->basic != Basic::convert || expr.row->target != DType::index)
    return false;
  const Expr& operand = *expr.operands[0];
  return operand.kind == Expr::Kind::load && is_integer(operand.type);
}

// Whether the parser finds the type of the printed text without help from around it.
bool tells_type(const Expr& expr) {
  switch (expr.kind) {
    case Expr::Kind::literal:
      return expr.type == DType::boolean;
    case Expr::Kind::index:
    case Expr::Kind::dim:
    case Expr::Kind::load:
      return true;
    case Expr::Kind::row:
      break;
  }
  switch (expr.row->typing) {
    case Typing::same:
      return std::any_of(expr.operands.begin(), expr.operands.end(), [](const ExprRef& o) { return tells_type(*o); });
    case Typing::select:
      return tells_type(*expr.operands[1]) || tells_type(*expr.operands[2]);
    case Typing::shift:
      return tells_type(*expr.operands[0]);
    default:
      return !is_loaded_index(expr);
  }
}

// Texts of expressions. Compact: no spaces in arithmetic, as between the brackets of a load.
struct Text {
  bool compact = false;

  std::string of(const Expr& expr, std::optional<DType> expected, Strength wanted = kCompare) const {
    if (const std::optional<Infix> infix = infix_of(expr)) return infixed(expr, *infix, expected, wanted);
    switch (expr.kind) {
      case Expr::Kind::literal:
        return literal(expr, expected);
      case Expr::Kind::index:
        return expr.name;
      case Expr::Kind::dim:
        return dim(expr.dim, wanted);
      case Expr::Kind::load:
        return load(expr);
      case Expr::Kind::row:
        break;
    }
    if (is_loaded_index(expr) && expected == DType::index) return load(*expr.operands[0]);
    if (expr.row->basic == Basic::neg && expr.operands[0]->kind != Expr::Kind::literal) {
      const std::string out = "-" + of(*expr.operands[0], expected, kUnary);
      return wanted > kUnary ? "(" + out + ")" : out;
    }
    return call(expr, expected);
  }

 private:
  std::string tight(std::string text) const {
    if (compact) std::erase(text, ' ');
    return text;
  }

  std::string literal(const Expr& expr, std::optional<DType> expected) const {
    if (expr.type == DType::boolean) return expr.value.integer != 0 ? "true" : "false";
    const std::string number = literal_str(expr.value, expr.type);
    return expected == expr.type ? number : fmt::format("{}({})", name_of(expr.type), number);
  }

  std::string dim(const Dim& dim, Strength wanted) const {
    const std::string text = tight(dim.str());
    const Strength strength = dim.terms().size() > 1                          ? kSum
                              : text.find_first_of("*/") != std::string::npos ? kProduct
                                                                              : kPrimary;
    return strength < wanted ? "(" + text + ")" : text;
  }

  std::string infixed(const Expr& expr, const Infix& infix, std::optional<DType> expected, Strength wanted) const {
    const bool compares = infix.strength == kCompare;
    const auto right = static_cast<Strength>(infix.strength + 1);
    const std::vector<std::string> sides =
        siblings(expr.operands, compares ? std::nullopt : expected, {compares ? right : infix.strength, right});
    // A remainder keeps its spaces: `%2` would be a name of the graph IR.
    const std::string symbol = infix.symbol == " % " ? std::string(infix.symbol) : tight(std::string(infix.symbol));
    const std::string out = sides[0] + symbol + sides[1];
    return infix.strength < wanted ? "(" + out + ")" : out;
  }

  // Operands that share a type: one of them tells it to the others, the first one if no other can.
  std::vector<std::string> siblings(std::span<const ExprRef> operands, std::optional<DType> expected,
                                    const std::vector<Strength>& wanted = {}) const {
    const DType type = operands[0]->type;
    const bool known = expected == type ||
                       std::any_of(operands.begin(), operands.end(), [](const ExprRef& o) { return tells_type(*o); });
    std::vector<std::string> out;
    for (const ExprRef& operand : operands) {
      const std::size_t i = out.size();
      out.push_back(
          of(*operand, known || i > 0 ? std::optional(type) : std::nullopt, i < wanted.size() ? wanted[i] : kCompare));
    }
    return out;
  }

  std::string call(const Expr& expr, std::optional<DType> expected) const {
    const std::span<const ExprRef> x = expr.operands;
    std::vector<std::string> operands;
    switch (expr.row->typing) {
      case Typing::same:
        operands = siblings(x, expected);
        break;
      case Typing::compare:
        operands = siblings(x, std::nullopt);
        break;
      case Typing::select:
        operands = siblings(x.subspan(1), expected);
        operands.insert(operands.begin(), of(*x[0], DType::boolean));
        break;
      case Typing::shift: {
        const bool known = expected == expr.type || tells_type(*x[0]);
        operands = {of(*x[0], known ? std::optional(expr.type) : std::nullopt), of(*x[1], expr.type)};
        break;
      }
      case Typing::convert:
      case Typing::bitcast:
        operands = {of(*x[0], std::nullopt)};
        break;
    }
    return fmt::format("{}({})", expr.row->name, fmt::join(operands, ", "));
  }

  static std::string load(const Expr& expr) {
    std::vector<std::string> indices;
    bool simple = true;
    for (const ExprRef& index : expr.operands) {
      indices.push_back(Text{true}.of(*index, DType::index));
      simple = simple && index->kind != Expr::Kind::row && index->kind != Expr::Kind::load;
    }
    // A scalar has nothing outside.
    const std::string otherwise =
        expr.has_else && !indices.empty() ? " else " + literal_str(expr.value, expr.type) : "";
    return fmt::format("{}[{}{}]", expr.name, fmt::join(indices, simple ? "," : ", "), otherwise);
  }
};

class Printer {
 public:
  std::string kernel(const Kernel& kernel) {
    std::vector<std::string> params;
    for (const Param& param : kernel.params) {
      params.push_back(
          fmt::format("{}{}: {}", param.inout ? "inout " : "", param.name, type_str(param.type, param.shape)));
    }
    std::string out =
        fmt::format("kernel {}({}) -> ({})", kernel.name, fmt::join(params, ", "), fmt::join(kernel.results, ", "));
    if (!kernel.layers.empty()) {
      std::vector<std::string> layers;
      for (const std::string& layer : kernel.layers) layers.push_back(text::quoted(layer));
      out += fmt::format(" loc({})", fmt::join(layers, ", "));
    }
    out += " {\n";
    for (const Stage& stage : kernel.stages) out += "  " + this->stage(stage) + "\n";
    return out + "}\n";
  }

 private:
  // G1: the extent is left out where the index has it already.
  std::string indices(const std::vector<Index>& list, bool always_spaced) {
    std::vector<std::string> out;
    bool spaced = always_spaced;
    for (const Index& index : list) {
      const auto [it, fresh] = extents_.try_emplace(index.name, index.extent);
      if (!fresh && it->second == index.extent) {
        out.push_back(index.name);
        continue;
      }
      it->second = index.extent;
      spaced = true;
      out.push_back(fmt::format("{}<{}", index.name, index.extent.str()));
    }
    return fmt::format("{}", fmt::join(out, spaced ? ", " : ","));
  }

  std::string stage(const Stage& stage) {
    std::string out = fmt::format("{}[{}]", stage.name, indices(stage.indices, false));
    if (stage.type != DType::f32) out += fmt::format(": {}", name_of(stage.type));
    out += " = ";
    std::optional<DType> type = register_type(stage.type);
    if (stage.reduce) {
      const Reduce& reduce = *stage.reduce;
      out += fmt::format("{} {} ", name_of(reduce.kind), indices(reduce.indices, true));
      std::vector<std::string> where;
      for (const Equality& equality : reduce.where) {
        where.push_back(fmt::format("{} == {}", equality.index, print(equality.value, DType::index)));
      }
      if (!where.empty()) out += fmt::format("where {} ", fmt::join(where, ", "));
      if (reduce.from) out += fmt::format("from {} ", print(reduce.from, type));
      if (reduce.lanes != 1) out += fmt::format("lanes {} ", reduce.lanes);
      if (reduce.block != 0) out += fmt::format("block {} ", reduce.block);
      out += ": ";
      if (reduce.kind == Reducer::argmax || reduce.kind == Reducer::argmin) type = std::nullopt;
    }
    return out + print(stage.expr, type);
  }

  std::map<std::string, Dim> extents_;
};

}  // namespace

std::string type_str(DType type, const Shape& shape) {
  return shape.empty() ? std::string(name_of(type)) : fmt::format("{}{}", name_of(type), shape_str(shape));
}

std::string print(const ExprRef& expr, std::optional<DType> expected) { return Text{}.of(*expr, expected); }

std::string print(const Kernel& kernel) { return Printer().kernel(kernel); }

std::string print(const Schedule& schedule, std::string_view kernel) {
  std::string lines;
  if (!schedule.inline_stages.empty())
    lines += fmt::format("  at {} : innermost registers\n", fmt::join(schedule.inline_stages, ", "));
  const auto counts = [&](std::string_view word, const StageSchedule& stage, const std::vector<IndexCount>& list) {
    std::vector<std::string> out;
    for (const auto& [index, count] : list) out.push_back(fmt::format("{} {}", index, count));
    if (!out.empty()) lines += fmt::format("  {} {} : {}\n", word, stage.stage, fmt::join(out, ", "));
  };
  for (const StageSchedule& stage : schedule.stages) {
    if (!stage.consumer.empty()) lines += fmt::format("  at {} : {} of {}\n", stage.stage, stage.at, stage.consumer);
    if (!stage.outer.index.empty()) counts("outer", stage, {stage.outer});
    counts("split", stage, stage.split);
    counts("tile", stage, stage.tile);
    if (!stage.vector.index.empty()) counts("vector", stage, {stage.vector});
    if (!stage.order.empty()) lines += fmt::format("  order {} : {}\n", stage.stage, fmt::join(stage.order, ", "));
    if (!stage.unroll.empty()) lines += fmt::format("  unroll {} : {}\n", stage.stage, fmt::join(stage.unroll, ", "));
    if (!stage.parallel.empty()) {
      lines += fmt::format("  parallel {} : {}{}\n", stage.stage, fmt::join(stage.parallel, ", "),
                           stage.grain == 1 ? "" : fmt::format(" by {}", stage.grain));
    }
  }
  return lines.empty() ? "" : fmt::format("schedule {} {{\n{}}}\n", kernel, lines);
}

}  // namespace tusk::kernel
