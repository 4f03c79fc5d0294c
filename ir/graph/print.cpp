#include "ir/graph/print.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <set>

#include "ir/graph/op.hpp"
#include "ir/text/lexer.hpp"

namespace tusk::graph {
namespace {

constexpr std::int64_t kLongestList = 64;
constexpr std::size_t kAlignment = 64;

// A real keeps its point, so that it is read back as one.
std::string number(const Literal& literal) {
  if (literal.is_integer) return std::to_string(literal.integer);
  if (std::isnan(literal.real)) return "nan";
  std::string out = fmt::format("{}", literal.real);
  if (out.find_first_not_of("-0123456789") == std::string::npos) out += ".0";
  return out;
}

std::string element(const Array& array, std::int64_t i) {
  switch (array.dtype()) {
    case DType::f64:
      break;
    case DType::f32:
    case DType::f16:
    case DType::bf16:
      return std::isnan(array.at(i)) ? "nan" : fmt::format("{}", static_cast<float>(array.at(i)));
    case DType::boolean:
      return array.int_at(i) != 0 ? "true" : "false";
    default:
      return std::to_string(array.int_at(i));
  }
  return std::isnan(array.at(i)) ? "nan" : fmt::format("{}", array.at(i));
}

std::string list(const Array& array) {
  std::string out = "[";
  for (std::int64_t i = 0; i < array.size(); ++i) out += (i == 0 ? "" : ", ") + element(array, i);
  return out + "]";
}

template <class Range, class Text>
std::string joined(const Range& range, std::string_view separator, Text text) {
  std::string out;
  std::string_view before;
  for (const auto& item : range) {
    out += before;
    out += text(item);
    before = separator;
  }
  return out;
}

// A name of a module, function or result: plain where the lexer reads it as one word.
std::string word(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto in_word = [&](char c) { return letter(c) || (c >= '0' && c <= '9'); };
  const bool plain = !name.empty() && letter(name[0]) && std::ranges::all_of(name, in_word);
  return plain ? std::string(name) : text::quoted(name);
}

bool in_file(const Global& global) {
  return global.text.empty() ? global.value.size() > kLongestList : global.text.starts_with("file(");
}

// Calls visit(global, offset) for every array that stands in the file of weights.
template <class Visit>
void for_each_in_file(const Module& module, Visit visit) {
  std::size_t offset = 0;
  for (const Global& global : module.globals) {
    if (!in_file(global)) continue;
    visit(global, offset);
    offset += (global.value.bytes().size() + kAlignment - 1) / kAlignment * kAlignment;
  }
}

// An index list of a contract; an extent is written where the index first occurs.
std::string tensor(std::string_view name, const std::vector<std::string>& indices, const ContractSpec& spec,
                   std::set<std::string>& written) {
  return fmt::format("{}[{}]", name, joined(indices, ",", [&](const std::string& index) {
                       const auto has = [&](const auto& extent) { return extent.first == index; };
                       const auto it = std::ranges::find_if(spec.extents, has);
                       if (it == spec.extents.end() || !written.insert(index).second) return index;
                       return fmt::format("{}<{}", index, it->second.str());
                     }));
}

std::string where(const Where& w) {
  const auto scaled = [](std::int64_t factor, const std::string& index) {
    return factor == 1 ? index : fmt::format("{}*{}", factor, index);
  };
  std::string out = fmt::format("{} == {} + {}", w.whole, scaled(w.stride, w.position), scaled(w.dilation, w.tap));
  if (w.offset == Dim(0)) return out;
  if (!w.offset.is_constant()) return fmt::format("{} - ({})", out, w.offset.str());
  const std::int64_t offset = w.offset.constant();
  return out + (offset < 0 ? fmt::format(" + {}", -offset) : fmt::format(" - {}", offset));
}

class FunctionPrinter {
 public:
  FunctionPrinter(const Module& module, const Function& function) : module_(module), function_(function) {}

  std::string print() {
    out_ += fmt::format("func {}({}) -> ({})", word(function_.name),
                        joined(function_.params, ", ", [&](int id) { return typed(id); }), results());
    if (!function_.conditions.empty()) {
      out_ += " requires " + joined(function_.conditions, ", ", [](const Condition& c) { return c.str(); });
    }
    out_ += " {\n";
    for (const Op& op : function_.ops) print(op, 1);
    for (const Update& update : function_.updates) {
      out_ += fmt::format("  update {} = {}\n",
                          text::sigil_name('@', module_.globals[static_cast<std::size_t>(update.global)].path),
                          operand(update.value));
    }
    out_ += "}\n";
    return std::move(out_);
  }

 private:
  const Value& value(int id) const { return function_.values[static_cast<std::size_t>(id)]; }
  std::string name(int id) const { return text::sigil_name('%', value(id).name); }
  std::string typed(int id) const { return fmt::format("{}: {}", name(id), str(value(id).type)); }
  std::string operand(const Operand& o) const { return str(module_, function_, o); }

  // `%y: type`, or `name = %v: type` for a result that is not named after its value.
  std::string results() const {
    std::string out;
    for (std::size_t i = 0; i < function_.results.size(); ++i) {
      const Operand& result = function_.results[i];
      if (i > 0) out += ", ";
      if (result.kind != Operand::Kind::value || value(result.id).name != function_.result_names[i]) {
        out += word(function_.result_names[i]) + " = ";
      }
      out += fmt::format("{}: {}", operand(result), str(type_of(module_, function_, result)));
    }
    return out;
  }

  void print(const Op& op, int depth) {
    const std::string indent(2 * static_cast<std::size_t>(depth), ' ');
    out_ += fmt::format("{}{} = {}", indent, joined(op.results, ", ", [&](int id) { return name(id); }), text_name(op));
    if (!op.operands.empty()) {
      out_ += " " + joined(op.operands, ", ", [&](const Operand& o) { return operand(o); });
    }
    std::string attrs;
    for (const auto& [key, attr] : op.attrs.list) {
      if (std::holds_alternative<ContractSpec>(attr)) {
        out_ += fmt::format(" {{ {} }}", str(attr));
      } else {
        attrs += fmt::format("{}{}={}", attrs.empty() ? "" : ", ", key, str(attr));
      }
    }
    if (!attrs.empty()) out_ += fmt::format(" {{{}}}", attrs);
    for (const Region& region : op.regions) {
      out_ += fmt::format(" region ({}) {{\n", joined(region.params, ", ", [&](int id) { return typed(id); }));
      for (const Op& inner : region.ops) print(inner, depth + 1);
      out_ += fmt::format("{}  yield {}\n{}}}", indent,
                          joined(region.yields, ", ", [&](const Operand& o) { return operand(o); }), indent);
    }
    out_ += " : " + joined(op.results, ", ", [&](int id) { return str(value(id).type); });
    if (!op.layer.empty()) out_ += fmt::format(" loc({})", text::quoted(op.layer));
    out_ += "\n";
  }

  const Module& module_;
  const Function& function_;
  std::string out_;
};

}  // namespace

std::string str(const Module& module, const Function& function, const Operand& operand) {
  switch (operand.kind) {
    case Operand::Kind::value:
      return text::sigil_name('%', function.values[static_cast<std::size_t>(operand.id)].name);
    case Operand::Kind::global:
      return text::sigil_name('@', module.globals[static_cast<std::size_t>(operand.id)].path);
    case Operand::Kind::literal:
      return number(operand.literal);
    case Operand::Kind::dim:
      break;
  }
  return operand.dim.as_symbol() ? operand.dim.str() : fmt::format("({})", operand.dim.str());
}

std::string str(const Attr& attr) {
  if (const auto* flag = std::get_if<bool>(&attr)) return *flag ? "true" : "false";
  if (const auto* integer = std::get_if<std::int64_t>(&attr)) return std::to_string(*integer);
  if (const auto* literal = std::get_if<Literal>(&attr)) return number(*literal);
  if (const auto* text = std::get_if<std::string>(&attr)) return text::quoted(*text);
  if (const auto* ints = std::get_if<std::vector<std::int64_t>>(&attr))
    return fmt::format("[{}]", fmt::join(*ints, ","));
  if (const auto* shape = std::get_if<Shape>(&attr)) return shape_str(*shape);
  if (const auto* dtype = std::get_if<DType>(&attr)) return std::string(name_of(*dtype));
  if (const auto* spec = std::get_if<ContractSpec>(&attr)) return str(*spec);
  const auto* array = std::get_if<Array>(&attr);
  if (array == nullptr) return "";
  return fmt::format("{}[{}] {}", name_of(array->dtype()), fmt::join(array->shape(), ","), list(*array));
}

std::string str(const ContractSpec& spec) {
  std::set<std::string> written;
  std::string out = tensor("a", spec.a, spec, written) + " " + tensor("b", spec.b, spec, written);
  out += " -> " + tensor("y", spec.y, spec, written);
  if (!spec.where.empty()) out += " where " + joined(spec.where, ", ", where);
  return out;
}

std::string print(const Module& module, const Function& function) { return FunctionPrinter(module, function).print(); }

std::string print(const Module& module) {
  std::string out = fmt::format("module {} numerics 1 / {}\n", word(module.name), module.profile);
  if (!module.symbols.empty()) out += "\n";
  for (const Symbol& symbol : module.symbols) {
    out += fmt::format("symbol {} in {}..{}", symbol.name, symbol.low, symbol.high);
    out += symbol.step == 1 ? "\n" : fmt::format(" step {}\n", symbol.step);
  }
  std::vector<std::string> init;
  for (const Global& global : module.globals)
    init.push_back(in_file(global) || !global.text.empty() ? global.text : list(global.value));
  for_each_in_file(module, [&](const Global& global, std::size_t offset) {
    init[static_cast<std::size_t>(&global - module.globals.data())] = fmt::format("file({})", offset);
  });
  if (!module.globals.empty()) out += "\n";
  for (std::size_t i = 0; i < module.globals.size(); ++i) {
    const Global& global = module.globals[i];
    out += fmt::format("{} {} : {} = {}{}\n", global.is_state ? "state" : "const", text::sigil_name('@', global.path),
                       str(global.type), init[i], global.trainable ? " trainable" : "");
  }
  for (const Function& function : module.functions) out += "\n" + print(module, function);
  return out;
}

std::vector<std::byte> weights_of(const Module& module) {
  std::vector<std::byte> out;
  for_each_in_file(module, [&](const Global& global, std::size_t offset) {
    out.resize(offset);
    out.insert(out.end(), global.value.bytes().begin(), global.value.bytes().end());
  });
  return out;
}

}  // namespace tusk::graph
