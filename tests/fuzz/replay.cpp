// Runs a fuzz target on files and on all files of folders: how corpora stay tested without libFuzzer. Prints how much
// memory that took at its peak.
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/fuzz.hpp"

namespace fs = std::filesystem;

static void run(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::printf("%s\n", path.string().c_str());
  std::fflush(stdout);
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
}

/// In KiB.
static long peak_memory() {
  rusage usage{};
  return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_maxrss : 0;
}

int main(int argc, char** argv) {
  const long before = peak_memory();
  for (int i = 1; i < argc; ++i) {
    if (fs::is_regular_file(argv[i])) run(argv[i]);
    if (!fs::is_directory(argv[i])) continue;
    for (const auto& entry : fs::recursive_directory_iterator(argv[i])) {
      if (entry.is_regular_file()) run(entry.path());
    }
  }
  std::printf("peak memory: %ld KiB above the start\n", peak_memory() - before);
  return argc > 1 ? 0 : 1;
}
