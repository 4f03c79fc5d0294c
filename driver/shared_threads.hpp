// The threads that models share which run in this process: predict, fit, evaluate.
#pragma once

#include "runtime/tusk_threads.hpp"

namespace tusk {

/// As many as the machine runs at once, or as $TUSK_THREADS says; null where that is one. Started by the first call.
const Threads* shared_threads();

}  // namespace tusk
