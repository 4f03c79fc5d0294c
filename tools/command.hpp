// What the commands share: options that are read, and errors as a user sees them.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <optional>

#include "ir/base/expected.hpp"

namespace tusk {

/// None to go on; otherwise the exit code: help and version have been printed, or what is wrong with the options.
std::optional<int> read_options(CLI::App& app, int argc, char** argv);

/// Runs the command. The exit code is 1 if it fails, whatever the reason: also where there is no memory for the model,
/// or no room for what is printed.
int run_command(const std::function<Status()>& command);

}  // namespace tusk
