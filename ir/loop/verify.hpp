// What every pass may rely on, checked: definitions, scopes, types, constness, calls.
#pragma once

#include "ir/base/expected.hpp"
#include "ir/loop/loop.hpp"

namespace tusk::loop {

Status verify(const Module& module);

}  // namespace tusk::loop
