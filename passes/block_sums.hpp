// Blocks of a sum as a stage of their own.
#pragma once

#include <optional>
#include <string>

#include "passes/schedule_choice.hpp"

namespace tusk::scheduling {

/// y = dot n, p, q block 1 becomes blocks[n] = dot p, q and y = sum n from blocks[0] : blocks[n+1], the same additions
/// in the same order. Gives the name of the stage of blocks; nothing, and nothing is changed, where a sum has no such
/// blocks.
std::optional<std::string> part_blocks(Choice& choice, const std::string& root);

/// Whether one block reads more than the cache holds: then the terms of a block can run in parts.
bool is_worth_parting(const Choice& choice, const std::string& root);

}  // namespace tusk::scheduling
