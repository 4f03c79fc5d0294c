#include "frontend/model/random_seed.hpp"

namespace tusk {
namespace {

thread_local std::uint64_t current_seed = 0;

}  // namespace

std::uint64_t random_seed() { return current_seed; }

void utils::set_random_seed(std::uint64_t seed) { current_seed = seed; }

}  // namespace tusk
