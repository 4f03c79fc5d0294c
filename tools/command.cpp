#include "tools/command.hpp"

#include <fmt/format.h>

#include <cctype>
#include <cstdio>
#include <iostream>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "ir/text/suggest.hpp"

namespace tusk {
namespace {

int fail(const Diagnostic& problem) {
  std::cout.flush();
  std::fflush(stdout);
  std::cerr << problem.str();
  return 1;
}

Diagnostic option_error(const CLI::App& app, const CLI::ParseError& problem, int argc, char** argv) {
  std::string message = problem.what();
  const bool is_word = message.size() > 1 && std::islower(static_cast<unsigned char>(message[1])) != 0;
  if (is_word || message.starts_with("A ")) message[0] = static_cast<char>(std::tolower(message[0]));
  std::string command = app.get_name();
  if (const auto parsed = app.get_subcommands(); !parsed.empty()) {
    command += " " + parsed.front()->get_name();
  } else if (argc > 1 && app.get_require_subcommand_min() > 0 && argv[1][0] != '-') {
    std::vector<std::string> names;
    for (const CLI::App* known : app.get_subcommands(nullptr)) names.push_back(known->get_name());
    const std::vector<std::string_view> views(names.begin(), names.end());
    message = fmt::format("there is no command `{}`{}", argv[1], text::suggestion(argv[1], views));
  }
  return error("option", message).note(fmt::format("`{} --help` lists what there is", command));
}

Diagnostic no_memory() {
  return error("memory",
               "out of memory: the model, at the largest sizes of its ranges (--dim), is too large for this machine");
}

}  // namespace

std::optional<int> read_options(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    if (problem.get_exit_code() == 0) return app.exit(problem);
    return fail(option_error(app, problem, argc, argv));
  }
  return std::nullopt;
}

int run_command(const std::function<Status()>& command) {
  const Status ok = [&]() -> Status {
    try {
      return command();
    } catch (const std::bad_alloc&) {
      return no_memory();
    } catch (const std::length_error&) {
      return no_memory();
    }
  }();
  if (!ok) return fail(ok.problem());
  if (!std::cout.flush() || std::fflush(stdout) != 0) return fail(error("file-access", "cannot write what is printed"));
  return 0;
}

}  // namespace tusk
