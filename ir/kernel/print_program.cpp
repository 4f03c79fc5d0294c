// A program as text: symbols, constants, kernels with their schedules, functions.
#include <fmt/format.h>
#include <algorithm>

#include "ir/kernel/print.hpp"
#include "ir/text/lexer.hpp"

namespace tusk::kernel {
namespace {

constexpr std::int64_t kMostPrinted = 64;

std::string dims_str(const std::vector<Dim>& dims) { return shape_str(dims); }

std::string global_str(const Global& global) {
  const Array& value = global.value;
  const Shape shape(value.shape().begin(), value.shape().end());
  std::string out =
      fmt::format("{}{} {}: {}", global.trainable ? "trainable " : "", global.is_state ? "state" : "const",
                  text::sigil_name('@', global.path), type_str(value.dtype(), shape));
  if (value.size() > kMostPrinted) return out + "\n";
  std::vector<std::string> elements;
  for (std::int64_t i = 0; i < value.size(); ++i) {
    const bool real = is_float(value.dtype());
    elements.push_back(literal_str(real ? literal_of(value.at(i)) : literal_of_int(value.int_at(i)), value.dtype()));
  }
  return out + fmt::format(" = [{}]\n", fmt::join(elements, ", "));
}

class FunctionPrinter {
 public:
  FunctionPrinter(const Program& program, const Function& function) : program_(program), function_(function) {}

  std::string run() {
    std::string out =
        fmt::format("func {}({}) -> ({})", function_.name, names(function_.inputs), names(function_.outputs));
    if (function_.arena_bytes != 0) out += fmt::format(" arena {}", function_.arena_bytes);
    if (function_.arena_lower_bound != 0) out += fmt::format(" bound {}", function_.arena_lower_bound);
    out += " {\n";
    for (const std::string& condition : function_.requirements)
      out += fmt::format("  requires {}\n", text::quoted(condition));
    for (const Tensor& tensor : function_.tensors) out += "  " + tensor_str(tensor) + "\n";
    return out + steps(function_.steps, 1) + "}\n";
  }

 private:
  const std::string& name(int tensor) const { return function_.tensors[static_cast<std::size_t>(tensor)].name; }

  std::string names(const std::vector<int>& tensors) const {
    std::vector<std::string> out;
    for (const int tensor : tensors) out.push_back(name(tensor));
    return fmt::format("{}", fmt::join(out, ", "));
  }

  std::string tensor_str(const Tensor& tensor) const {
    std::string out = fmt::format("tensor {}: {} ", tensor.name, type_str(tensor.type, tensor.shape));
    switch (tensor.place) {
      case Tensor::Place::input:
        out += "input";
        break;
      case Tensor::Place::output:
        out += "output";
        break;
      case Tensor::Place::constant:
      case Tensor::Place::state:
        out += (tensor.place == Tensor::Place::state ? "state " : "const ") +
               text::sigil_name('@', program_.globals[static_cast<std::size_t>(tensor.global)].path);
        break;
      case Tensor::Place::arena:
        out += "arena " + tensor.arena_offset.str();
        break;
      case Tensor::Place::view:
        out += "view " + name(tensor.base);
        if (tensor.offset != Dim(0)) out += " + " + tensor.offset.str();
        break;
    }
    const bool usual = tensor.strides == dense_strides(tensor.shape);
    if (!usual || tensor.place == Tensor::Place::view) out += " strides " + dims_str(tensor.strides);
    return out;
  }

  std::string steps(const std::vector<Step>& list, std::size_t depth) const {
    const std::string indent(2 * depth, ' ');
    std::string out;
    for (const Step& step : list) {
      const std::string layer = step.layer.empty() ? "" : fmt::format(" loc({})", text::quoted(step.layer));
      if (step.kind == Step::Kind::loop) {
        out += fmt::format("{}for {} < {}{} {{\n{}{}}}\n", indent, step.symbol, step.extent.str(), layer,
                           steps(step.body, depth + 1), indent);
        continue;
      }
      if (step.kind == Step::Kind::branch) {
        out += fmt::format("{}if {}{}{} {{\n{}{}}}\n", indent, step.holds ? "" : "not ", names({step.condition}), layer,
                           steps(step.body, depth + 1), indent);
        continue;
      }
      const Kernel& kernel = program_.kernels[static_cast<std::size_t>(step.kernel)];
      out += fmt::format("{}{} = {}({})", indent, names(step.results), kernel.name, names(step.args));
      if (!step.scratch.empty()) out += " scratch " + names(step.scratch);
      out += layer + "\n";
    }
    return out;
  }

  const Program& program_;
  const Function& function_;
};

}  // namespace

std::string print(const Program& program) {
  std::string out = fmt::format("program {} profile {}\n", text::quoted(program.name), program.profile);
  for (const Symbol& symbol : program.symbols) {
    out += fmt::format("symbol {} in {}..{}", symbol.name, symbol.low, symbol.high);
    out += symbol.step == 1 ? "\n" : fmt::format(" step {}\n", symbol.step);
  }
  for (const Global& global : program.globals) out += global_str(global);
  for (std::size_t i = 0; i < program.kernels.size(); ++i) {
    out += "\n" + print(program.kernels[i]);
    if (i < program.schedules.size()) out += print(program.schedules[i], program.kernels[i].name);
  }
  for (const Function& function : program.functions) out += "\n" + FunctionPrinter(program, function).run();
  return out;
}

}  // namespace tusk::kernel
