// Where a register tile reads again what an earlier term has read. Internal to codegen.
#pragma once

#include <map>

#include "ir/loop/loop.hpp"

namespace tusk::cpp {

/// Statements that read again, each with the vector registers that its run of terms needs if what it shares is kept
/// instead: the first of a loop over the terms of a tile, whose turns may share what they read, and in terms that are
/// written out each that reads a place for the second time. With fewer registers, a compiler that shares such reads
/// stores sums to the stack for them.
std::map<const loop::Stmt*, int> rereads(const loop::Func& func);

}  // namespace tusk::cpp
