// Archives whose checksums are right whatever a fuzzer has changed in them, so that it gets behind them.
#pragma once

#include "frontend/files/bytes.hpp"

namespace tusk_fuzz {

/// The same bytes, if they are a ZIP archive with the checksums of its members; else unchanged.
tusk::Bytes with_checksums(tusk::Bytes bytes);

}  // namespace tusk_fuzz
