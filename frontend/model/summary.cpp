#include "frontend/model/summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>
#include <string_view>
#include <vector>

#include "frontend/model/cells.hpp"
#include "frontend/model/model.hpp"
#include "frontend/model/written_shapes.hpp"
#include "ir/base/printable.hpp"
#include "ir/base/utf8.hpp"

namespace tusk {
namespace {

enum class Justify { left, right, center };

struct Column {
  std::string header;
  Justify justify = Justify::left;
  std::int64_t width = 0;  // between the lines of the frame
};

std::string repeated(std::string_view text, std::int64_t times) {
  std::string out;
  for (std::int64_t i = 0; i < times; ++i) out += text;
  return out;
}

std::string stripped(std::string text) {
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

/// Blanks at the end of a line go as far as it has more characters (not cells, as it were right) than `width`.
std::string without_excess(std::string line, std::int64_t width) {
  for (auto excess = static_cast<std::int64_t>(code_points(line)) - width; excess > 0 && line.ends_with(' '); --excess)
    line.pop_back();
  return line;
}

enum class Overflow { ellipsis, fold };

/// Words with the blanks around them: a line breaks in front of one that does not fit; one that is too long for any
/// line ends in an ellipsis, or goes on in the next ones.
std::vector<std::string> wrapped(const std::string& text, std::int64_t width, Overflow overflow = Overflow::ellipsis) {
  std::vector<std::string> lines{""};
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t end = at;
    while (end < text.size() && text[end] == ' ') ++end;
    while (end < text.size() && text[end] != ' ') ++end;
    while (end < text.size() && text[end] == ' ') ++end;
    std::string word = text.substr(at, end - at);
    const bool fits = width - cells_of(lines.back()) >= cells_of(stripped(word));
    if (!fits && at > 0) lines.emplace_back();
    while (overflow == Overflow::fold && cells_of(stripped(word)) > width) {
      lines.back() = first_cells(word, width);
      word.erase(0, lines.back().size());
      lines.emplace_back();
    }
    lines.back() += word;
    at = end;
  }
  for (std::string& line : lines) {
    line = without_excess(line, width);
    if (cells_of(line) > width) line = first_cells(line, width - 1) + "…";
  }
  return lines;
}

std::string justified(const std::string& line, Justify justify, std::int64_t width) {
  const std::string text = justify == Justify::left ? line : stripped(line);
  const std::int64_t space = width - cells_of(text);
  const std::int64_t left = justify == Justify::left ? 0 : justify == Justify::right ? space : space / 2;
  return std::string(static_cast<std::size_t>(left), ' ') + text +
         std::string(static_cast<std::size_t>(space - left), ' ');
}

// --- numbers

std::string with_commas(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (std::int64_t at = static_cast<std::int64_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

std::string bytes_text(std::int64_t bytes) {
  static constexpr std::string_view kUnits[] = {"B", "KB", "MB", "GB", "TB", "PB"};
  auto size = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (size >= 1024 && unit + 1 < std::size(kUnits)) {
    size /= 1024;
    ++unit;
  }
  return fmt::format("{:.2f} {}", size, kUnits[unit]);
}

struct Count {
  std::int64_t elements = 0, bytes = 0;
};

/// Of each variable once.
Count count_of(const std::vector<Variable>& variables) {
  Count out;
  std::set<Variable> seen;
  for (const Variable& variable : variables) {
    if (!seen.insert(variable).second) continue;
    const std::int64_t elements = element_count(variable.shape());
    out.elements += elements;
    out.bytes += elements * size_of(variable.type().dtype);
  }
  return out;
}

// --- the model

/// Every call has one input at most and a depth of its own, and no layer is called twice.
bool is_chain(const FunctionalImpl& model) {
  if (model.class_name() == "Sequential") return true;
  std::set<int> depths;
  std::set<const LayerBase*> called;
  for (const auto& node : model.nodes) {
    if (node->inputs.size() > 1 || !depths.insert(model.depths.at(node.get())).second) return false;
    if (!called.insert(node->layer.get()).second) return false;
  }
  return true;
}

std::int64_t index_of(const LayerBase& layer, const Node* node) {
  std::int64_t index = 0;
  for (const std::weak_ptr<const Node>& held : layer.nodes()) {
    if (held.lock().get() == node) return index;
    ++index;
  }
  return 0;
}

/// The calls of the layer that belong to the model, in the order in which they were made.
std::vector<std::shared_ptr<const Node>> calls_of(const LayerBase& layer, const FunctionalImpl& model) {
  std::vector<std::shared_ptr<const Node>> out;
  for (const auto& node : model.nodes) {
    if (node->layer.get() == &layer) out.push_back(node);
  }
  std::ranges::stable_sort(out, {}, [&](const auto& node) { return index_of(layer, node.get()); });
  return out;
}

std::string connections_of(const LayerBase& layer, const FunctionalImpl& model) {
  std::string out;
  for (const auto& node : calls_of(layer, model)) {
    for (const Tensor& input : node->inputs) {
      const Tensor::Result& of = *input.result();
      out += fmt::format("{}{}[{}][{}]", out.empty() ? "" : ", ", printable(of.node->layer->name()),
                         index_of(*of.node->layer, of.node.get()), of.index);
    }
  }
  return out.empty() ? "-" : out;
}

/// As Python would join them: an axis alone has no comma behind it.
std::string joined(const Shape& shape) {
  const std::string text = keras_shape(shape);
  return shape.size() == 1 ? text.substr(0, text.size() - 2) + ")" : text;
}

/// The results of the last call.
std::string shape_of(const LayerBase& layer, const WrittenShapes& shapes, const FunctionalImpl& model) {
  const std::vector<std::shared_ptr<const Node>> calls = calls_of(layer, model);
  if (calls.empty()) return "?";
  std::string out;
  const std::vector<Shape>& results = shapes.at(calls.back().get());
  for (const Shape& shape : results) out += (out.empty() ? "" : ", ") + joined(shape);
  return results.size() == 1 ? out : "[" + out + "]";
}

using Cells = std::vector<std::string>;

struct Table {
  const SummaryOptions& options;
  bool connections;
  std::vector<Column> columns;
  std::vector<Cells> rows;

  void add(const Layer& layer, const WrittenShapes& shapes, const FunctionalImpl& model, std::int64_t level) {
    const LayerBase& base = layer.base();
    Cells row{repeated("   ", level) + (level > 0 ? "└ " : "") +
                  fmt::format("{} ({})", printable(base.name()), base.keras_class()),
              shape_of(base, shapes, model), with_commas(count_of(base.weights()).elements)};
    if (connections) row.push_back(level > 0 ? "-" : connections_of(base, model));
    if (options.show_trainable) row.emplace_back(base.weights().empty() ? "-" : base.trainable() ? "Y" : "N");
    rows.push_back(std::move(row));
    const auto* inner = dynamic_cast<const FunctionalImpl*>(&base);
    if (!options.expand_nested || inner == nullptr) return;
    const WrittenShapes inner_shapes = written_shapes(*inner);
    for (const Layer& part : inner->layers) {
      if (inner->class_name() != "Sequential" || part.class_name() != "InputLayer")
        add(part, inner_shapes, *inner, level + 1);
    }
  }

  /// Widths by Keras' positions, then what the frame takes is taken off evenly.
  void set_widths(const std::vector<double>& positions, std::int64_t line_length) {
    std::int64_t end = 0;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const auto position = static_cast<std::int64_t>(positions[i] * static_cast<double>(line_length));
      columns[i].width = position - end + 2;
      end = position;
    }
    std::int64_t excess = -(line_length - static_cast<std::int64_t>(columns.size()) - 1);
    for (const Column& column : columns) excess += column.width;
    auto left = static_cast<std::int64_t>(columns.size());
    for (Column& column : columns) {
      const auto share =
          static_cast<std::int64_t>(std::nearbyint(static_cast<double>(excess) / static_cast<double>(left--)));
      const std::int64_t taken = std::min(column.width, share);
      column.width = std::max<std::int64_t>(3, column.width - taken);
      excess -= taken;
    }
  }

  /// Cells of the header stand at its bottom, those of rows at their top.
  std::string print(const Cells& row, std::string_view bar, bool header = false) const {
    std::vector<std::vector<std::string>> cells;
    std::size_t height = 1;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      cells.push_back(wrapped(row[i], columns[i].width - 2));
      height = std::max(height, cells.back().size());
    }
    for (std::vector<std::string>& cell : cells) {
      if (header) cell.insert(cell.begin(), height - cell.size(), "");
    }
    std::string out;
    for (std::size_t line = 0; line < height; ++line) {
      std::string text(bar);
      for (std::size_t i = 0; i < columns.size(); ++i) {
        const std::string& cell = line < cells[i].size() ? cells[i][line] : std::string();
        text += " " + justified(cell, columns[i].justify, columns[i].width - 2) + " " + std::string(bar);
      }
      out += cut(text) + "\n";
    }
    return out;
  }

  std::string frame(std::string_view left, std::string_view line, std::string_view cross,
                    std::string_view right) const {
    std::string text(left);
    for (std::size_t i = 0; i < columns.size(); ++i) {
      text += repeated(line, columns[i].width);
      text += i + 1 < columns.size() ? cross : right;
    }
    return cut(text) + "\n";
  }

  std::string cut(const std::string& text) const { return first_cells(text, options.console_width); }
};

}  // namespace

std::string summary(const Model& model, const SummaryOptions& options) {
  const FunctionalImpl& functional = model.functional();
  const bool chain = is_chain(functional);
  Table table{options, !chain, {{"Layer (type)"}, {"Output Shape"}, {"Param #", Justify::right}}, {}};
  std::vector<double> positions = chain ? std::vector{0.45, 0.80, 1.0} : std::vector{0.3, 0.56, 0.74, 1.0};
  std::int64_t line_length = chain ? 88 : 108;
  if (!chain) table.columns.push_back({"Connected to"});
  if (options.show_trainable) {
    line_length += 12;
    for (double& position : positions) position *= 0.9;
    positions.push_back(1);
    table.columns.push_back({"Trainable", Justify::center});
  }
  line_length = std::min(line_length, options.console_width - 4);
  table.set_widths(positions, options.line_length > 0 ? options.line_length : line_length);
  const bool sequential = functional.class_name() == "Sequential";
  const WrittenShapes shapes = written_shapes(functional);
  for (const Layer& layer : functional.operations) {
    if (!sequential || layer.class_name() != "InputLayer") table.add(layer, shapes, functional, 0);
  }

  Cells header;
  for (const Column& column : table.columns) header.push_back(column.header);
  std::string out;
  for (const std::string& line :
       wrapped(fmt::format("Model: \"{}\"", printable(model.name())), options.console_width, Overflow::fold))
    out += line + "\n";
  out += table.frame("┏", "━", "┳", "┓") + table.print(header, "┃", true) + table.frame("┡", "━", "╇", "┩");
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    if (i > 0) out += table.frame("├", "─", "┼", "┤");
    out += table.print(table.rows[i], "│");
  }
  out += table.frame("└", "─", "┴", "┘");
  std::vector<Variable> trainable = functional.trainable_weights();
  const Count all = count_of(functional.weights());
  const Count changing = count_of(trainable);
  const auto total = [&](std::string_view what, std::int64_t elements, std::int64_t bytes) {
    out += fmt::format(" {} params: {} ({})\n", what, with_commas(elements), bytes_text(bytes));
  };
  total("Total", all.elements + options.optimizer_params, all.bytes + options.optimizer_bytes);
  total("Trainable", changing.elements, changing.bytes);
  total("Non-trainable", all.elements - changing.elements, all.bytes - changing.bytes);
  if (options.optimizer_params > 0) total("Optimizer", options.optimizer_params, options.optimizer_bytes);
  return out;
}

void Model::summary(const SummaryOptions& options) const { std::fputs(tusk::summary(*this, options).c_str(), stdout); }

}  // namespace tusk
