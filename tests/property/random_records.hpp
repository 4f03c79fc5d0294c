// Records of schedules on one graph: those that are chosen, and what a user might make of them.
#pragma once

#include <optional>
#include <vector>

#include "passes/pipeline.hpp"
#include "tests/property/random_common.hpp"

namespace tusk::random_tests {

/// What is chosen for each kernel, written down and read again, schedules the same program. Gives the records.
std::optional<Failure> broken_records(const graph::Module& module, const PassOptions& options,
                                      std::vector<kernel::ScheduleRecord>& chosen);

/// The records with lines left out, changed and added. They may be no longer legal.
std::vector<kernel::ScheduleRecord> changed_records(const graph::Module& module,
                                                    std::vector<kernel::ScheduleRecord> records, Rng& rng);

}  // namespace tusk::random_tests
