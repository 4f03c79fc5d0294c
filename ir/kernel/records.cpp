#include "ir/kernel/records.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <span>

#include "ir/base/sha256.hpp"
#include "ir/kernel/affine.hpp"
#include "ir/kernel/parser.hpp"
#include "ir/kernel/print.hpp"

namespace tusk::kernel {
namespace {

std::string line_of(const AddedStage& added) {
  switch (added.kind) {
    case AddedStage::Kind::border:
      return fmt::format("copy {} : {} of {} border", added.name, added.tensor, added.stage);
    case AddedStage::Kind::bands:
      return fmt::format("copy {} : {} of {} bands {}", added.name, added.tensor, added.stage, added.number);
    case AddedStage::Kind::last:
      return fmt::format("copy {} : {} of {} last {}", added.name, added.tensor, added.stage, added.number);
    case AddedStage::Kind::panels:
      return fmt::format("copy {} : {} of {} panels {}", added.name, added.tensor, added.stage, added.number);
    case AddedStage::Kind::blocks:
      break;
  }
  return fmt::format("blocks {} : {}", added.name, added.stage);
}

std::string key_of(const std::string& text) {
  return "k" + sha256_hex(std::as_bytes(std::span(text.data(), text.size()))).substr(0, 16);
}

}  // namespace

Expected<std::vector<ScheduleRecord>> parse_records(std::string_view text, std::string file) {
  text::Lexer in(std::move(file), text);
  std::vector<ScheduleRecord> out;
  while (!in.at_end()) {
    ScheduleRecord record;
    CHECK(in.expect("schedule"));
    const text::Token at = in.peek();
    record.spot = *in.fail("").spot;
    TRY(record.key, in.expect_word("the key of a kernel"));
    if (in.accept("for")) {
      TRY(record.target, in.expect_word("a target"));
      // Names of targets have hyphens.
      while (in.accept("-")) {
        const text::Token part = in.next();
        if (part.kind != text::Token::Kind::word && part.kind != text::Token::Kind::number)
          return in.fail(part, "expected the rest of the target's name");
        record.target += "-" + part.text;
      }
    }
    const auto same = [&](const ScheduleRecord& other) {
      return other.key == record.key && other.target == record.target;
    };
    if (std::ranges::any_of(out, same)) return in.fail(at, fmt::format("a second record of `{}`", record.key));
    CHECK(Parser(in, {}, true).lines(nullptr, record.schedule, &record.added));
    out.push_back(std::move(record));
  }
  return out;
}

std::string print_lines(const std::vector<AddedStage>& added, const Schedule& schedule) {
  std::string out;
  for (const AddedStage& stage : added) out += "  " + line_of(stage) + "\n";
  const std::string text = print(schedule, "");
  if (text.empty()) return out;
  const std::size_t first = text.find('\n') + 1;
  return out + text.substr(first, text.size() - first - 2);
}

std::string print(const ScheduleRecord& record) {
  const std::string target = record.target.empty() ? "" : " for " + record.target;
  return fmt::format("schedule {}{} {{\n{}}}\n", record.key, target, print_lines(record.added, record.schedule));
}

NormalKernel normal_form(const Kernel& kernel, const Schedule& fused, const Function& function, const Step& step) {
  NormalKernel out;
  for (const Param& param : kernel.params) out.names[param.name] = fmt::format("x{}", out.names.size());
  std::size_t stages = 0;
  for (const Stage& stage : kernel.stages) {
    if (out.names.try_emplace(stage.name, fmt::format("s{}", stages)).second) ++stages;
  }
  out.kernel = renamed(kernel, out.names);
  out.kernel.layers.clear();
  Kernel anonymous = out.kernel;
  anonymous.name = "k";
  out.text = print(anonymous);
  // Fusing leaves results at root and the rest inline: what is otherwise belongs to the kernel.
  for (const Stage* stage : scratch_stages(kernel, fused))
    out.text += fmt::format("  at {} : root\n", out.names.at(stage->name));
  const auto note = [&](const std::string& name, int id) {
    const Tensor& tensor = function.tensors[static_cast<std::size_t>(id)];
    if (tensor.place == Tensor::Place::constant) out.text += fmt::format("  {} const\n", name);
    if (tensor.strides != dense_strides(tensor.shape))
      out.text += fmt::format("  {} strides {}\n", name, shape_str(tensor.strides));
  };
  for (std::size_t i = 0; i < step.args.size(); ++i) note(out.kernel.params[i].name, step.args[i]);
  for (std::size_t i = 0; i < step.results.size(); ++i) note(out.kernel.results[i], step.results[i]);
  out.key = key_of(out.text);
  return out;
}

Kernel renamed(Kernel kernel, const TensorNames& names) {
  const auto rename = [&](std::string& name) {
    if (const auto it = names.find(name); it != names.end()) name = it->second;
  };
  const auto rename_all = [&](ExprRef& expr) {
    if (expr) expr = rename_tensors(expr, names);
  };
  for (Param& param : kernel.params) rename(param.name);
  for (std::string& result : kernel.results) rename(result);
  for (Stage& stage : kernel.stages) {
    rename(stage.name);
    rename_all(stage.expr);
    if (!stage.reduce) continue;
    rename_all(stage.reduce->from);
    for (Equality& equality : stage.reduce->where) rename_all(equality.value);
  }
  return kernel;
}

Schedule renamed(Schedule schedule, const TensorNames& names) {
  const auto rename = [&](std::string& name) {
    if (const auto it = names.find(name); it != names.end()) name = it->second;
  };
  std::ranges::for_each(schedule.inline_stages, rename);
  for (StageSchedule& stage : schedule.stages) {
    rename(stage.stage);
    rename(stage.consumer);
  }
  return schedule;
}

}  // namespace tusk::kernel
