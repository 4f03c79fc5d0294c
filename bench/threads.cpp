// The threads that `./dev bench --threads` lends to emitted functions.
#include "runtime/tusk_thread_pool.hpp"

// They live as long as the process.
extern "C" const tusk::Threads* lend(int count) { return new tusk::ThreadPool(count); }
