// What a schedule says of the stages of its kernel.
#include <algorithm>

#include "ir/kernel/affine.hpp"
#include "ir/kernel/kernel.hpp"

namespace tusk::kernel {
namespace {

// The axes of `made` that the stage `reader`, and what is inline in it, reads with `index` alone, in all reads.
void keep_axes(const Kernel& kernel, const Schedule& schedule, const Stage& reader, const std::string& index,
               const Stage& made, std::vector<bool>& axes) {
  for (const ExprRef& expr : expressions_of(reader)) {
    for_each_load(expr, [&](const ExprRef& load) {
      const auto is_index = [&](std::size_t axis) {
        return load->operands[axis]->kind == Expr::Kind::index && load->operands[axis]->name == index;
      };
      if (load->name == made.name) {
        for (std::size_t axis = 0; axis < axes.size(); ++axis) axes[axis] = axes[axis] && is_index(axis);
        return;
      }
      const Stage* inner = kernel.stage(load->name);
      if (inner == nullptr || !schedule.is_inline(load->name)) return;
      const auto found = [&] {
        for (std::size_t axis = 0; axis < inner->indices.size(); ++axis) {
          if (is_index(axis)) return axis;
        }
        return inner->indices.size();
      }();
      // Without an axis of that index, no name stands for it there.
      keep_axes(kernel, schedule, *inner, found < inner->indices.size() ? inner->indices[found].name : "", made, axes);
    });
  }
}

}  // namespace

const StageSchedule* Schedule::of(std::string_view stage) const {
  const auto it = std::ranges::find(stages, stage, &StageSchedule::stage);
  return it == stages.end() ? nullptr : &*it;
}

bool Schedule::is_inline(std::string_view stage) const {
  return std::ranges::find(inline_stages, stage) != inline_stages.end();
}

std::vector<std::string> loop_order(const Stage& stage, const StageSchedule& record) {
  std::vector<std::string> order = record.order;
  std::erase(order, record.outer.index);
  for (const Index& index : stage.indices) {
    if (std::ranges::find(order, index.name) == order.end()) order.push_back(index.name);
  }
  return order;
}

std::vector<const Stage*> scratch_stages(const Kernel& kernel, const Schedule& schedule) {
  std::vector<const Stage*> out;
  for (const Stage& stage : kernel.stages) {
    if (!schedule.is_inline(stage.name) && !is_result(kernel, stage.name)) out.push_back(&stage);
  }
  return out;
}

std::vector<AxisAt> axes_at(const Kernel& kernel, const Schedule& schedule, const Stage& stage) {
  const StageSchedule* record = schedule.of(stage.name);
  if (record == nullptr || record->consumer.empty()) return {};
  const Stage* consumer = kernel.stage(record->consumer);
  if (consumer == nullptr) return {};
  std::vector<AxisAt> out;
  const auto add = [&](const std::string& index) {
    std::vector<bool> axes(stage.indices.size(), true);
    keep_axes(kernel, schedule, *consumer, index, stage, axes);
    const auto it = std::ranges::find(axes, true);
    if (it != axes.end()) out.push_back({static_cast<std::size_t>(it - axes.begin()), index});
  };
  add(record->at);
  const StageSchedule* how = schedule.of(consumer->name);
  if (out.empty() || how == nullptr) return out;
  for (const std::string& outer : loop_order(*consumer, *how)) {
    if (outer == record->at) break;
    const auto is_of = [&](const IndexCount& count) { return count.index == outer && count.count > 1; };
    if (how->vector.index == outer || std::ranges::any_of(how->tile, is_of) || std::ranges::any_of(how->split, is_of))
      continue;
    add(outer);
    const auto same_extent = [&] {
      const auto index = std::ranges::find(consumer->indices, outer, &Index::name);
      return out.back().index != outer || index->extent == stage.indices[out.back().axis].extent;
    };
    if (!same_extent()) out.pop_back();
  }
  return out;
}

Shape buffer_shape(const Kernel& kernel, const Schedule& schedule, const Stage& stage) {
  Shape shape = shape_of(stage);
  for (const AxisAt& at : axes_at(kernel, schedule, stage)) shape[at.axis] = Dim(1);
  return shape;
}

}  // namespace tusk::kernel
