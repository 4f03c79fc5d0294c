// Stages that the scheduler adds to a kernel: copies of what a reduction reads, and blocks of a sum. Whichever are
// added, every stage that was there keeps its value.
#pragma once

#include <optional>
#include <string>

#include "passes/contraction.hpp"
#include "passes/schedule_choice.hpp"

namespace tusk::scheduling {

/// A tensor with a buffer, which the sum reads once.
bool can_copy(const Choice& choice, const Contraction& contraction, const ReadOperand& operand);

/// Makes of a copy with a border, `operand`, which has an axis that is read at `stride * h + taps` for an index h of
/// the root, one with the rows of each h side by side: [n,h+i,w] as [n,h,i,w]. False, and nothing is changed, where the
/// axis is read otherwise.
bool cut_into_bands(Choice& choice, const std::string& root, const Contraction& contraction, const ReadOperand& operand,
                    std::size_t axis);

/// Whether the last axis of the operand has a known extent and is read with one index, in range.
bool has_panels(const Choice& choice, const ReadOperand& operand);

/// Copies an operand with a border where it is read out of range, and with the axis `last` behind the others. Gives the
/// name of the copy; nothing where it would be the same, or how far reads go is not known. Requires: can_copy.
std::optional<std::string> copy_operand(Choice& choice, const std::string& root, const Contraction& contraction,
                                        const ReadOperand& operand, std::optional<std::size_t> last);

/// [k,o] as [o/width, k, o%width], without rows that no term reads (strides). Gives the name of the copy. Requires:
/// can_copy, has_panels.
std::string copy_in_panels(Choice& choice, const std::string& root, const Contraction& contraction,
                           const ReadOperand& operand, std::int64_t width);

/// Whether an operand is read from such a copy.
bool is_in_panels(const ReadOperand& operand);

/// Adds what a record says; `source_inline`: panels are cut of a copy that is made at once. Errors: schedule-added.
Status add_stage(Choice& choice, const kernel::AddedStage& wanted, bool source_inline);

}  // namespace tusk::scheduling
