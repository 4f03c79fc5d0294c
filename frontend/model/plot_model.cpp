#include "frontend/model/plot_model.hpp"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>
#include <vector>

#include "frontend/model/error.hpp"

namespace tusk::utils {
namespace {

/// Text inside of an HTML-like label.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 32 ? ' ' : c;
    }
  }
  return out;
}

std::string shapes_of(const std::vector<graph::Type>& types) {
  if (types.size() == 1) return keras_shape(types[0].shape);
  std::string out;
  for (const graph::Type& type : types) out += (out.empty() ? "" : ", ") + keras_shape(type.shape);
  return fmt::format("[{}]", out);
}

class Plot {
 public:
  explicit Plot(const PlotOptions& options) : options_(options) {}

  std::string draw(const FunctionalImpl& model) {
    add(model, "  ");
    std::string out = "digraph {\n";
    out +=
        fmt::format("  graph [rankdir={}, concentrate=true, dpi={}, splines=ortho];\n", options_.rankdir, options_.dpi);
    out += "  node [shape=plain, fontname=Helvetica, margin=0];\n  edge [penwidth=2];\n";
    out += text_;
    for (const std::string& edge : edges_) out += edge;
    return out + "}\n";
  }

 private:
  /// The node of a result: inside of a model that is drawn, of the layer that gives it.
  std::string source(const Tensor& tensor) {
    const Tensor::Result& of = *tensor.result();
    const auto* inner = dynamic_cast<const FunctionalImpl*>(of.node->layer.get());
    if (options_.expand_nested && inner != nullptr)
      return source(inner->outputs[static_cast<std::size_t>(std::max(of.index, 0))]);
    return id(of.node->layer.get());
  }

  /// The nodes that read input i of a layer.
  std::string target(const LayerBase& layer, std::size_t i) {
    const auto* inner = dynamic_cast<const FunctionalImpl*>(&layer);
    if (options_.expand_nested && inner != nullptr && i < inner->inputs.size())
      return id(inner->inputs[i].result()->node->layer.get());
    return id(&layer);
  }

  std::string id(const LayerBase* layer) {
    return fmt::format("n{}", ids_.try_emplace(layer, ids_.size()).first->second);
  }

  void add(const FunctionalImpl& model, const std::string& indent) {
    const bool sequential = model.class_name() == "Sequential";
    for (const Layer& layer : model.operations) {
      const auto* inner = dynamic_cast<const FunctionalImpl*>(&layer.base());
      if (options_.expand_nested && inner != nullptr) {
        text_ += fmt::format("{}subgraph cluster_{} {{\n{}  graph [style=dashed, label=\"{}\", labeljust=l];\n", indent,
                             id(inner), indent, quoted(inner->name()));
        add(*inner, indent + "  ");
        text_ += indent + "}\n";
        continue;
      }
      if (sequential && layer.class_name() == "InputLayer" && !options_.expand_nested) continue;
      text_ += fmt::format("{}{} [label=<{}>];\n", indent, id(&layer.base()), label(layer, model));
    }
    for (const auto& node : model.nodes) {
      for (std::size_t i = 0; i < node->inputs.size(); ++i) {
        const Tensor& input = node->inputs[i];
        const bool hidden =
            sequential && !options_.expand_nested && input.result()->node->layer->class_name() == "InputLayer";
        if (hidden) continue;
        const std::string edge = fmt::format("  {} -> {};\n", source(input), target(*node->layer, i));
        if (std::ranges::find(edges_, edge) == edges_.end()) edges_.push_back(edge);
      }
    }
  }

  static std::string quoted(std::string_view text) {
    std::string out;
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += static_cast<unsigned char>(c) < 32 ? ' ' : c;
    }
    return out;
  }

  std::string label(const Layer& layer, const FunctionalImpl& model) const {
    const Node* first = nullptr;
    for (const auto& node : model.nodes) {
      if (first == nullptr && node->layer.get() == &layer.base()) first = node.get();
    }
    std::string cells;
    int count = 0;
    const auto cell = [&](std::string_view what, const std::string& value, std::string_view color = "white") {
      ++count;
      cells += fmt::format("<td bgcolor=\"{}\"><font point-size=\"14\">{}<b>{}</b></font></td>", color, what,
                           escaped(value));
    };
    if (options_.show_shapes && first != nullptr) {
      std::vector<graph::Type> inputs;
      for (const Tensor& input : first->inputs) inputs.push_back(input.type());
      if (!inputs.empty()) cell("Input shape: ", shapes_of(inputs));
      cell("Output shape: ", shapes_of(first->outputs));
    }
    if (options_.show_dtype && first != nullptr) cell("Output dtype: ", keras_dtype(first->outputs[0].dtype));
    if (options_.show_trainable && !layer.weights().empty()) {
      cell("", layer.base().trainable() ? "Trainable" : "Non-trainable",
           layer.base().trainable() ? "forestgreen" : "firebrick");
    }
    const int columns = std::max(1, count);
    const std::string kind = escaped(layer.base().keras_class());
    const std::string title = options_.show_layer_names ? fmt::format("<b>{}</b> ({})", escaped(layer.name()), kind)
                                                        : fmt::format("<b>{}</b>", kind);
    std::string out = "<table border=\"0\" cellborder=\"1\" bgcolor=\"black\" cellpadding=\"10\">";
    out += fmt::format(
        "<tr><td colspan=\"{}\" bgcolor=\"black\"><font point-size=\"16\" color=\"white\">{}</font></td></tr>", columns,
        title);
    const std::string activation(layer.base().activation_name());
    if (options_.show_layer_activations && !activation.empty()) {
      out += fmt::format(
          "<tr><td bgcolor=\"white\" colspan=\"{}\"><font point-size=\"14\">Activation: <b>{}</b></font>"
          "</td></tr>",
          columns, escaped(activation));
    }
    if (!cells.empty()) out += "<tr>" + cells + "</tr>";
    return out + "</table>";
  }

  const PlotOptions& options_;
  std::string text_;
  std::vector<std::string> edges_;
  std::map<const LayerBase*, std::size_t> ids_;
};

/// Runs `dot -Tformat -o to from`; false if there is no such program.
bool run_dot(const std::string& format, const std::string& from, const std::string& to) {
  const std::string kind = "-T" + format;
  const pid_t child = fork();
  if (child < 0) return false;
  if (child == 0) {
    execlp("dot", "dot", kind.c_str(), "-o", to.c_str(), from.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) return false;
  std::filesystem::remove(from);
  throw Error(error("plot", fmt::format("Graphviz cannot write {}", to)));
}

}  // namespace

std::string model_to_dot(const Model& model, const PlotOptions& options) {
  if (options.rankdir != "TB" && options.rankdir != "LR")
    throw Error(error("plot", fmt::format("rankdir is {}, expected TB or LR", options.rankdir)));
  return Plot(options).draw(model.functional());
}

void plot_model(const Model& model, const std::filesystem::path& to_file, const PlotOptions& options) {
  const std::string text = model_to_dot(model, options);
  std::string format = to_file.extension().string();
  format = format.empty() ? "png" : format.substr(1);
  const auto write = [&](const std::filesystem::path& path) {
    std::ofstream out(path, std::ios::binary);
    out << text;
    if (!out.flush()) throw Error(error("plot", fmt::format("cannot write {}", path.string())));
  };
  if (format == "dot") return write(to_file);
  if (format != "png" && format != "svg" && format != "pdf")
    throw Error(error("plot", fmt::format("{}: the formats are png, svg, pdf and dot", to_file.string())));
  std::string script = (std::filesystem::temp_directory_path() / "tusk-plot-XXXXXX").string();
  const int file = mkstemp(script.data());
  if (file < 0) throw Error(error("plot", fmt::format("cannot write {}", script)));
  close(file);
  write(script);
  const bool drawn = run_dot(format, script, to_file.string());
  std::filesystem::remove(script);
  if (!drawn) {
    throw Error(error("plot", "the program `dot` of Graphviz is not installed")
                    .note("install it (Debian: apt-get install graphviz), or write the ending .dot"));
  }
}

}  // namespace tusk::utils
