// How a stage that sums is cut into register tiles.
#pragma once

#include "passes/contraction.hpp"
#include "passes/schedule_choice.hpp"

namespace tusk::scheduling {

/// Where terms exist for some elements only (W2), those run by their remainders, and the taps are written out. Changes
/// `split` and `unroll` of the record.
void choose_split(const Choice& choice, const Contraction& contraction, kernel::StageSchedule& record);

/// The tile with the fewest cycles for a term that fits the registers, and the order of loops over tiles. With `row`:
/// of tiles that cut this index, and no other, into equal rows without a rest. Changes `tile`, `order` and `unroll` of
/// the record.
void choose_tile(const Choice& choice, const Contraction& contraction, kernel::StageSchedule& record,
                 const std::string& row = "");

/// Cycles of one term for one register of sums, with the tile of the record; infinite if it does not fit.
double cycles_of_term(const Choice& choice, const Contraction& contraction, const kernel::StageSchedule& record);

/// Where what is read does not stay in the cache from one tile to the next, blocks of its first index go outside of all
/// tiles (R1), or, of a stage that is itself one of blocks, parts of its terms. Changes `outer` of the record.
void choose_outer(const Choice& choice, const Contraction& contraction, bool is_blocks, kernel::StageSchedule& record);

}  // namespace tusk::scheduling
