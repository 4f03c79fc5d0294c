// What the parts of the pass `schedule` work on: one kernel, as a step of a function calls it, and what is chosen for
// it so far.
#pragma once

#include <string>

#include "ir/kernel/program.hpp"
#include "ir/target/target_machine.hpp"

namespace tusk::scheduling {

struct Choice {
  kernel::Kernel& kernel;
  kernel::Schedule& schedule;
  const kernel::Function& function;
  const kernel::Step& step;
  const TargetMachine& target;
  const RangeOf& range_of;

  /// An extent with its symbols at their smallest, or their largest up to what an open one counts as; at least 1.
  std::int64_t counted(const Dim& extent, bool smallest = false) const;

  /// A name that no parameter and no stage has.
  std::string fresh(const std::string& wanted) const;

  /// A parameter or a stage.
  DType type_of(const std::string& tensor) const;
  Shape shape_of(const std::string& tensor) const;
  std::vector<Dim> strides_of(const std::string& tensor) const;  // in elements
  double bytes_of(const std::string& tensor) const;

  /// Whether the kernel can be lowered so, with the strides that its tensors have in the step.
  bool is_legal(const kernel::Schedule& schedule) const;
  bool is_legal_with(const kernel::StageSchedule& record) const;
};

/// Elements that a tile has along the lanes.
std::int64_t tile_width(const kernel::StageSchedule& record);

}  // namespace tusk::scheduling
