#include "driver/explain.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "ir/base/printable.hpp"
#include "ir/base/utf8.hpp"
#include "ir/kernel/print.hpp"
#include "passes/fold_stages.hpp"
#include "passes/schedule_choice.hpp"
#include "passes/schedule_records.hpp"

namespace tusk {
namespace {

using kernel::Program;
using kernel::ScheduleRecord;
using kernel::Step;

// The normal text of each kernel that is called.
std::vector<std::string> normal_texts(const Program& program) {
  std::vector<std::string> out(program.kernels.size());
  const scheduling::CallsOf calls = scheduling::calls_of(program);
  for (std::size_t id = 0; id < out.size(); ++id) {
    if (calls[id].empty()) continue;
    const auto& [function, step] = calls[id][0];
    out[id] = normal_form(program.kernels[id], program.schedules[id], *function, *step).text;
  }
  return out;
}

class Explainer {
 public:
  Explainer(const Program& program, const std::vector<ScheduleRecord>& records, const std::vector<std::string>& texts,
            const TargetMachine& target)
      : program_(program), records_(records), texts_(texts), target_(target), range_of_(program.range_of()) {}

  FunctionRows rows_of(const kernel::Function& function) {
    FunctionRows out;
    out.name = function.name;
    add(function, function.steps, 1, 1, false, out);
    return out;
  }

 private:
  void add(const kernel::Function& function, const std::vector<Step>& steps, double least, double greatest,
           bool conditional, FunctionRows& out) {
    const ValueOf low = [&](std::string_view symbol) { return range_of_(symbol).low; };
    const ValueOf high = [&](std::string_view symbol) { return range_of_(symbol).high; };
    for (const Step& step : steps) {
      if (step.kind == Step::Kind::loop) {
        add(function, step.body, least * static_cast<double>(step.extent.value(low)),
            greatest * static_cast<double>(step.extent.value(high)), conditional, out);
      }
      if (step.kind == Step::Kind::branch) add(function, step.body, least, greatest, true, out);
      if (step.kind != Step::Kind::call) continue;
      const auto id = static_cast<std::size_t>(step.kernel);
      KernelRow row;
      row.layer = step.layer;
      row.kernel = program_.kernels[id].name;
      row.record = records_[id];
      row.text = texts_[id];
      row.times = greatest;
      row.conditional = conditional;
      row.cost = cost_of(program_, function, step, target_, high);
      out.greatest += greatest * row.cost.cycles;
      out.least += least * cost_of(program_, function, step, target_, low).cycles;
      out.rows.push_back(std::move(row));
    }
  }

  const Program& program_;
  const std::vector<ScheduleRecord>& records_;
  const std::vector<std::string>& texts_;
  const TargetMachine& target_;
  RangeOf range_of_;
};

// "tile n 6, o 16; lanes o 8; 1 copy": the stage that sums, else the last one.
std::string short_schedule(const ScheduleRecord& record) {
  const auto is_copy = [&](const kernel::StageSchedule& stage) {
    return std::ranges::find(record.added, stage.stage, &kernel::AddedStage::name) != record.added.end();
  };
  std::vector<std::string> parts;
  const kernel::StageSchedule* main = nullptr;
  for (const kernel::StageSchedule& stage : record.schedule.stages) {
    if (!is_copy(stage)) main = &stage;
  }
  if (main != nullptr) {
    std::vector<std::string> tile;
    for (const auto& [index, count] : main->tile) tile.push_back(fmt::format("{} {}", index, count));
    if (!tile.empty()) parts.push_back(fmt::format("tile {}", fmt::join(tile, ", ")));
    if (main->vector.count > 1) parts.push_back(fmt::format("lanes {} {}", main->vector.index, main->vector.count));
    if (!main->split.empty()) parts.emplace_back("split");
    if (!main->parallel.empty()) parts.push_back(fmt::format("parallel {}", fmt::join(main->parallel, ", ")));
    if (!main->outer.index.empty()) parts.push_back(fmt::format("outer {} {}", main->outer.index, main->outer.count));
  }
  const auto blocks = std::ranges::count(record.added, kernel::AddedStage::Kind::blocks, &kernel::AddedStage::kind);
  const auto copies = std::ssize(record.added) - blocks;
  if (copies > 0) parts.push_back(copies == 1 ? "1 copy" : fmt::format("{} copies", copies));
  if (blocks > 0) parts.emplace_back("blocks");
  return parts.empty() ? "loops as written" : fmt::format("{}", fmt::join(parts, "; "));
}

std::string number(double value) {
  if (value == 0) return "0";
  if (value < 100) return fmt::format("{:.3g}", value);
  return fmt::format("{:.0f}", value);
}

struct Column {
  std::string title;
  bool left = false;
};

// Rows of equal length, each column as wide as its widest cell.
std::string table(const std::vector<Column>& columns, const std::vector<std::vector<std::string>>& rows,
                  const std::vector<std::string>& below) {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    std::size_t width = columns[c].title.size();
    for (const auto& row : rows) width = std::max(width, code_points(row[c]));
    widths.push_back(width);
  }
  std::string out;
  const auto line = [&](const auto& cell) {
    std::string text;
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const std::string value = cell(c);
      const std::string space(widths[c] - code_points(value), ' ');
      if (c > 0) text += "  ";
      text += columns[c].left ? value + space : space + value;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  };
  line([&](std::size_t c) { return columns[c].title; });
  for (std::size_t r = 0; r < rows.size(); ++r) {
    line([&](std::size_t c) { return rows[r][c]; });
    if (r < below.size()) out += below[r];
  }
  return out;
}

std::string indented(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    out += "    " + text.substr(at, end - at) + "\n";
    at = end + 1;
  }
  return out;
}

std::string sizes_of(const Program& program) {
  std::vector<std::string> out;
  for (const kernel::Symbol& symbol : program.symbols) {
    if (symbol.low == symbol.high) {
      out.push_back(fmt::format("{} {}", symbol.name, symbol.low));
    } else {
      out.push_back(fmt::format("{} {}..{}", symbol.name, symbol.low, symbol.high));
    }
  }
  return fmt::format("{}", fmt::join(out, ", "));
}

std::string or_dash(const std::string& text) { return text.empty() ? "-" : printable(text); }

// As the passes `schedule` and `fold-stages` do.
Expected<Scheduled> scheduled_with(Program program, const PassOptions& options) {
  if (options.empty_schedule) {
    // What would be chosen is chosen, for the keys.
    TRY(Scheduled out, schedule_by_records(program, generic_target(), {}));
    for (ScheduleRecord& record : out.records) record = {record.key, std::string(options.target->name), {}, {}, {}};
    program.schedules.assign(program.kernels.size(), {});
    out.program = std::move(program);
    return out;
  }
  TRY(Scheduled out, schedule_by_records(std::move(program), *options.target, options.records));
  for (const std::string& key : out.unused) {
    if (options.note) options.note(no_kernel_has(key));
  }
  TRY(out.program, fold_stages(std::move(out.program)));
  return out;
}

}  // namespace

Expected<Explanation> explain(graph::Module module, const PassOptions& options) {
  TRY(Ir ir, run_pipeline(std::move(module), options, "choose-layouts"));
  const std::vector<std::string> texts = normal_texts(std::get<Program>(ir));
  TRY(const Scheduled scheduled, scheduled_with(std::get<Program>(std::move(ir)), options));
  const Program& program = scheduled.program;
  Explanation out;
  out.target = options.target;
  out.sizes = sizes_of(program);
  Explainer explainer(program, scheduled.records, texts, *options.target);
  for (const kernel::Function& function : program.functions) out.functions.push_back(explainer.rows_of(function));
  return out;
}

std::string print(const Explanation& explanation, bool full) {
  const double ghz = explanation.target->ghz;
  const auto time = [&](double cycles) { return number(ghz > 0 ? cycles / ghz / 1000 : cycles); };
  const std::string unit = ghz > 0 ? "us" : "cycles";
  std::string out = fmt::format("target {}", explanation.target->name);
  if (!explanation.sizes.empty()) out += fmt::format("; sizes {}", explanation.sizes);
  out += "\n";
  bool is_open = false;  // memory that is not known, conditions
  bool is_conditional = false;
  for (const FunctionRows& function : explanation.functions) {
    std::vector<std::vector<std::string>> rows;
    std::vector<std::string> below;
    KernelCost all;
    for (const KernelRow& row : function.rows) {
      const KernelCost& cost = row.cost;
      const bool is_known = cost.memory > 0 || cost.bytes == 0;
      is_open = is_open || !is_known;
      is_conditional = is_conditional || row.conditional;
      const std::string bound = !is_known ? "?" : cost.cycles > cost.memory ? "compute" : "memory";
      const std::string times = fmt::format("{}{}", number(row.times), row.conditional ? " if" : "");
      rows.push_back({or_dash(row.layer), row.kernel, row.record.key, short_schedule(row.record), times,
                      number(cost.flops), number(cost.bytes), time(cost.compute), is_known ? time(cost.memory) : "?",
                      bound, time(row.times * cost.cycles)});
      if (full) below.push_back(indented(row.text + print(row.record)));
      all.flops += row.times * cost.flops;
      all.bytes += row.times * cost.bytes;
      all.compute += row.times * cost.compute;
      all.memory += row.times * cost.memory;
    }
    rows.push_back({"all", "", "", "", "", number(all.flops), number(all.bytes), time(all.compute), time(all.memory),
                    "", time(function.greatest)});
    out += fmt::format("\n{}\n", function.name);
    out += table({{"layer", true},
                  {"kernel", true},
                  {"key", true},
                  {"schedule", true},
                  {"times"},
                  {"FLOP"},
                  {"bytes"},
                  {"compute"},
                  {"memory"},
                  {"bound", true},
                  {unit}},
                 rows, below);
    if (function.least != function.greatest)
      out += fmt::format("{} {} at the least sizes\n", time(function.least), unit);
  }
  out += fmt::format(
      "\nCounted at the greatest sizes (--dim), for one time. compute: FLOP at the target's full rate; memory: bytes "
      "from "
      "{}.\nThe last column is predicted, for all times and one thread, in {}.\n",
      explanation.target->bandwidth.l2 > 0 ? "the level that holds them all" : "the first cache", unit);
  if (is_open) out += fmt::format("?: what lies behind the first cache of {} is not known\n", explanation.target->name);
  if (is_conditional) out += "if: runs in some calls only, and is counted as if it ran\n";
  return out;
}

std::string print_records(const Explanation& explanation) {
  std::string out;
  std::set<std::string> seen;
  for (const FunctionRows& function : explanation.functions) {
    for (const KernelRow& row : function.rows) {
      if (!seen.insert(row.record.key).second) continue;
      std::string lines = indented(row.text);
      for (std::size_t at = 0; at < lines.size(); at = lines.find('\n', at) + 1) lines.replace(at, 4, "#   ");
      out +=
          fmt::format("# {}\n{}{}\n", row.layer.empty() ? row.kernel : printable(row.layer), lines, print(row.record));
    }
  }
  return out;
}

}  // namespace tusk
