// Text to loop IR (docs/loop-ir.md). The result is typed; `verify` checks what a text can still get wrong.
#pragma once

#include <string>
#include <string_view>

#include "ir/base/expected.hpp"
#include "ir/loop/loop.hpp"

namespace tusk::loop {

Expected<Module> parse(std::string_view text, std::string file = "loop IR");

/// Whether text cannot use this word as a name.
bool is_reserved(std::string_view word);

}  // namespace tusk::loop
