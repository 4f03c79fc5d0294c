// The seed of everything that is random and has no seed of its own: initial weights, the order of samples.
#pragma once

#include <cstdint>

namespace tusk {

/// What set_random_seed was given last in this thread; else 0.
std::uint64_t random_seed();

namespace utils {

/// keras.utils.set_random_seed: models that are made and trained after it are others for each seed, and the same for
/// the same seed if their layers have the same names. Numbers are not those that Keras draws.
void set_random_seed(std::uint64_t seed);

}  // namespace utils
}  // namespace tusk
