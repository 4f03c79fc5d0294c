// Records of schedules (docs/ir.md section 4): how kernels run on a target, as a text that is kept beside models. A
// record belongs to a kernel by its key, whatever the layers are called, so it serves every model with that kernel.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ir/base/expected.hpp"
#include "ir/kernel/program.hpp"

namespace tusk::kernel {

/// A stage that the scheduler adds to a kernel. What it computes follows from the kernel, so a record cannot change a
/// value.
struct AddedStage {
  enum class Kind : std::uint8_t {
    border,  // a copy of what is read out of range, with what is read there
    bands,   // such a copy, anew for each value of the index of `stage` that axis `number` moves with: only the rows
             // read
    last,    // a copy with axis `number` behind the others, and a border where one is needed
    panels,  // a copy in panels of `number` elements of the last axis: [k,o] as [o//32, k, o % 32]
    blocks,  // the blocks of the sum of `stage`
  } kind = Kind::border;
  std::string name;
  std::string tensor;  // that is copied
  std::string stage;   // at root, which reads it
  std::int64_t number = 0;
  friend bool operator==(const AddedStage&, const AddedStage&) = default;
};

/// schedule KEY [for TARGET] { lines }: stages that are added, in order, and the schedule of the kernel with them.
/// Names are those of the normal form.
struct ScheduleRecord {
  std::string key;
  std::string target;  // empty: any
  std::vector<AddedStage> added;
  Schedule schedule;
  SourceSpot spot;  // of the key, in a text
};

/// Errors: syntax, with the place.
Expected<std::vector<ScheduleRecord>> parse_records(std::string_view text, std::string file = "records");
std::string print(const ScheduleRecord& record);
/// The lines of a record, without its first and last line.
std::string print_lines(const std::vector<AddedStage>& added, const Schedule& schedule);

using TensorNames = std::map<std::string, std::string>;  // parameters and stages

/// A kernel without what its model calls things: parameters x0, x1, ... and stages s0, s1, ..., no layers; with the
/// name that it had, for errors.
struct NormalKernel {
  Kernel kernel;
  TensorNames names;  // the kernel's own -> those here
  std::string text;   // with what else a schedule depends on: strides, and which parameters are constants
  std::string key;    // of the text
};
/// Of a kernel as a step calls it. Equal layers of two models have one key, other shapes, types or stages another.
NormalKernel normal_form(const Kernel& kernel, const Schedule& fused, const Function& function, const Step& step);

/// Names that are not in the map stay.
Kernel renamed(Kernel kernel, const TensorNames& names);
Schedule renamed(Schedule schedule, const TensorNames& names);

}  // namespace tusk::kernel
