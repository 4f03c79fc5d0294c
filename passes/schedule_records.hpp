// The pass `schedule` with records: kernels that have one run as it says, the others as is chosen for them.
#pragma once

#include <string>
#include <vector>

#include "ir/kernel/program.hpp"
#include "ir/kernel/records.hpp"
#include "ir/target/target_machine.hpp"

namespace tusk {

struct Scheduled {
  kernel::Program program;
  std::vector<kernel::ScheduleRecord> records;  // how each kernel runs; without a key if no step calls it
  std::vector<std::string> unused;              // keys of records for this target that no kernel has
};

/// A record for the target goes before one for any. What it adds are copies and blocks of sums that follow from the
/// kernel, so no bit changes. Requires: as of `schedule`. Errors: schedule-added, schedule-inout, and those of verify
/// and lowering, at the place of the record.
Expected<Scheduled> schedule_by_records(kernel::Program program, const TargetMachine& target,
                                        const std::vector<kernel::ScheduleRecord>& given);

/// The note of such a key.
std::string no_kernel_has(const std::string& key);

}  // namespace tusk
