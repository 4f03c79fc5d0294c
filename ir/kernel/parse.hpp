// Text to kernel IR and programs (docs/ir.md section 3). The result is typed; `verify` checks what a text can still get
// wrong.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ir/base/expected.hpp"
#include "ir/kernel/kernel.hpp"
#include "ir/kernel/program.hpp"

namespace tusk::kernel {

/// Kernels and their schedules: one schedule for each kernel, the empty one where the text has none.
struct Kernels {
  std::vector<Kernel> kernels;
  std::vector<Schedule> schedules;
};

/// A text of kernels alone: a word that nothing declares is a symbol with step 1.
Expected<Kernel> parse_kernel(std::string_view text, std::string file = "kernel IR");
Expected<Kernels> parse_kernels(std::string_view text, std::string file = "kernel IR");

/// A whole program; its symbols are declared. Constants without data are zeros.
Expected<Program> parse_program(std::string_view text, std::string file = "program");

/// Whether text cannot use this word as the name of an index, a parameter or a stage.
bool is_reserved(std::string_view word);

}  // namespace tusk::kernel
