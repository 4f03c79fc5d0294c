// Kernel IR and programs as text (docs/ir.md section 3). Reading a text back gives what was printed; data of constants
// with more than 64 elements is left out.
#pragma once

#include <string>

#include "ir/kernel/kernel.hpp"
#include "ir/kernel/program.hpp"

namespace tusk::kernel {

std::string print(const Kernel& kernel);
/// "" for the empty schedule.
std::string print(const Schedule& schedule, std::string_view kernel);
std::string print(const Program& program);

/// One expression, as it stands in a stage. `expected` is the type that its place tells: numbers of that type need
/// none.
std::string print(const ExprRef& expr, std::optional<DType> expected = std::nullopt);
/// "f32[batch,3]"
std::string type_str(DType type, const Shape& shape);

}  // namespace tusk::kernel
