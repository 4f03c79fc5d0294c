// Copies of what a reduction reads, so that its tile reads it side by side. Those of constants are made by fold-stages.
#pragma once

#include <string>

#include "passes/contraction.hpp"
#include "passes/schedule_choice.hpp"

namespace tusk::scheduling {

/// Copies the operands whose lanes lie apart or may lie out of range: with a border, and the axis of the lanes as the
/// last one. False, and nothing is changed, where the record is not legal then, or a copy costs more than it saves.
bool copy_for_lanes(Choice& choice, const std::string& root, const kernel::StageSchedule& record);

/// Copies the operands that are read out of range with a border of what is read there.
void add_borders(Choice& choice, const std::string& root, const kernel::StageSchedule& record);

/// Borders of samples that are larger than a cache are made row by row, with the rows that a window covers, where loops
/// over tiles take one row at a time.
void cut_borders(Choice& choice, const std::string& root, const kernel::StageSchedule& record);

/// Copies operands that the tiles of a wide result would read in short pieces, panel by panel: [k,o] as [o/32,k,o%32]
/// where a tile has 32 lanes.
void pack_panels(Choice& choice, const std::string& root, const kernel::StageSchedule& record);

/// The same for an operand that is read row by row where its rows lie apart in memory, as gradients by weights read
/// their input: tiles then have as many rows as a panel has elements. `record` has its tile; `untiled` is the same
/// record before that, from which another tile is chosen where this is worth it.
void pack_rows(Choice& choice, const std::string& root, const kernel::StageSchedule& untiled,
               kernel::StageSchedule& record);

}  // namespace tusk::scheduling
