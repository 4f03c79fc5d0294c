// Which loops of a kernel threads share.
#pragma once

#include "passes/schedule_choice.hpp"

namespace tusk::scheduling {

/// Gives every stage at root whose work is worth a fork the indices over whose tiles threads share the loops, and how
/// many turns a thread takes at least. Requires: all else of the schedule is chosen. Example: conv: y[n,p,q,o] of
/// 1x56x56x64 in tiles of 14 pixels => parallel y : p
void choose_parallel(Choice& choice);

}  // namespace tusk::scheduling
