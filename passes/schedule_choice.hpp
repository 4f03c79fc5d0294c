// What the parts of the pass `schedule` work on: one kernel, as a step of a function calls it, and what is chosen for
// it so far.
#pragma once

#include <string>
#include <vector>

#include "ir/kernel/program.hpp"
#include "ir/kernel/records.hpp"
#include "ir/target/target_machine.hpp"

namespace tusk::scheduling {

struct Choice {
  kernel::Kernel& kernel;
  kernel::Schedule& schedule;
  std::vector<kernel::AddedStage>& added;  // to the kernel, so far
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
  Status check(const kernel::Schedule& schedule) const;
  bool is_legal(const kernel::Schedule& wanted) const { return static_cast<bool>(check(wanted)); }
  bool is_legal_with(const kernel::StageSchedule& record) const;
};

/// The choice in front of a copy that turns out not to be legal.
struct Before {
  explicit Before(const Choice& choice) : kernel(choice.kernel), schedule(choice.schedule), added(choice.added) {}
  void restore(Choice& choice) const {
    choice.kernel = kernel;
    choice.schedule = schedule;
    choice.added = added;
  }
  kernel::Kernel kernel;
  kernel::Schedule schedule;
  std::vector<kernel::AddedStage> added;
};

/// The calls of each kernel.
struct Call {
  const kernel::Function* function;
  const kernel::Step* step;
};
using CallsOf = std::vector<std::vector<Call>>;
CallsOf calls_of(const kernel::Program& program);

/// What the pass chooses for a kernel; nothing on a target without registers.
void choose_all(Choice choice);

/// The index along which a stage's elements lie: the last one that has more than one.
const kernel::Index& last_axis(const kernel::Stage& stage);

/// Elements that a tile has along the lanes.
std::int64_t tile_width(const kernel::StageSchedule& record);

}  // namespace tusk::scheduling
