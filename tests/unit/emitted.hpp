// What the tests of emitted C++ share: folders to work in, commands, loops from text.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <fmt/format.h>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "codegen/cpp/print_loop.hpp"
#include "ir/loop/parse.hpp"
#include "ir/loop/verify.hpp"

namespace tusk {

inline std::filesystem::path work_folder(const std::string& name) {
  static int number = 0;  // dlopen takes an equal path for the library that it has
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / fmt::format("tusk_codegen_{}_{}_{}", name, getpid(), number++);
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

inline void write(const std::filesystem::path& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

// The output of a command that failed, or nothing.
inline std::string run_command(const std::string& command) {
  std::FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  std::string out;
  char buffer[4096];
  while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, n);
  const int status = pclose(pipe);
  return status == 0 ? "" : fmt::format("{}\n{}\nstatus {}", command, out.substr(0, 3000), status);
}

inline constexpr const char* kWarnings = "-Wall -Wextra -Wconversion -Werror -fno-exceptions -fno-rtti";

inline loop::Module parsed(const std::string& text) {
  Expected<loop::Module> module = loop::parse(text);
  if (!module) ADD_FAILURE() << module.problem().str();
  if (!module) return {};
  const Status ok = loop::verify(*module);
  if (!ok) ADD_FAILURE() << ok.problem().str();
  return *module;
}

inline std::string printed(const loop::Module& module, const std::string& entry, bool muladd = false) {
  const Expected<cpp::LoopText> text = cpp::print_loops(module, {entry}, muladd);
  if (!text) ADD_FAILURE() << text.problem().str();
  return text ? text->text : "";
}

}  // namespace tusk
