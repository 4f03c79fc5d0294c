#include "tools/schedule_flags.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

namespace tusk {

void add_schedule_options(CLI::App& command, ScheduleFlags& flags) {
  command
      .add_option(
          "--target", flags.targets,
          "the machine that loops are made for: generic, haswell, znver4, ..., or native; `compile` takes several, "
          "of which the C++ compiler's macros choose")
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_option("--schedules", flags.records,
                     "a file of records, as `tusk explain --records` prints them: kernels with one run as it says");
  command
      .add_option("--schedule", flags.schedule,
                  "empty: every stage at root, in loops as they are written, whatever --schedules says")
      ->check(CLI::IsMember({"empty"}));
}

Status read_schedule_flags(const ScheduleFlags& flags, PassOptions& options,
                           std::vector<const TargetMachine*>* more_targets) {
  TRY(options.target, target_named(flags.targets[0]));
  for (std::size_t k = 1; k < flags.targets.size(); ++k) {
    if (more_targets == nullptr)
      return error("several-targets", fmt::format("--target names {}, expected one", flags.targets.size()));
    TRY(const TargetMachine* target, target_named(flags.targets[k]));
    more_targets->push_back(target);
  }
  options.empty_schedule = flags.schedule.has_value();
  options.note = [](const std::string& text) { std::cerr << "note: " << text << "\n"; };
  if (!flags.records) return done();
  TRY(const std::string text, read_text(*flags.records));
  TRY(options.records, kernel::parse_records(text, *flags.records));
  bool is_used = options.records.empty();
  for (const kernel::ScheduleRecord& record : options.records) {
    const auto is_for = [&](const TargetMachine* target) { return target->name == record.target; };
    is_used = is_used || record.target.empty() || is_for(options.target) ||
              (more_targets != nullptr && std::ranges::any_of(*more_targets, is_for));
    if (record.target.empty()) continue;
    auto target = target_named(record.target);
    if (target && record.target == "native")
      target = error("target-name", "a record is for a machine by its name, `native` is another one elsewhere");
    if (target) continue;
    target.problem().spot = record.spot;
    return target.problem();
  }
  if (!is_used && !options.empty_schedule)
    options.note(fmt::format("{} has no record for {}", *flags.records, options.target->name));
  return done();
}

Expected<std::string> read_text(const std::string& file) {
  std::ostringstream text;
  std::error_code problem;
  std::ifstream in;
  if (file != "-") in.open(file, std::ios::binary);
  text << (file == "-" ? std::cin : in).rdbuf();  // an empty file sets failbit, one that cannot be read badbit
  if (!in || text.bad() || std::filesystem::is_directory(file, problem))
    return error("file-access", fmt::format("cannot read {}", file));
  return text.str();
}

}  // namespace tusk
