// Flags that say how loops are made: for which target, and by which records.
#pragma once

#include <CLI/CLI.hpp>

#include <optional>
#include <string>
#include <vector>

#include "passes/pipeline.hpp"

namespace tusk {

struct ScheduleFlags {
  std::vector<std::string> targets = {"generic"};
  std::optional<std::string> records;   // a file
  std::optional<std::string> schedule;  // empty
};

void add_schedule_options(CLI::App& command, ScheduleFlags& flags);

/// Sets target, records, notes and the empty schedule of the options. Of several targets, those behind the first are
/// `more_targets`; without these, they are refused.
Status read_schedule_flags(const ScheduleFlags& flags, PassOptions& options,
                           std::vector<const TargetMachine*>* more_targets = nullptr);

/// The bytes of a file, or of standard input for `-`. Errors: file-access.
Expected<std::string> read_text(const std::string& file);

}  // namespace tusk
