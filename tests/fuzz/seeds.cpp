// Writes seeds for a fuzz target: fuzz_seeds graph|kernel|loop LIT_FOLDER OUTPUT_FOLDER
// Every text test goes to each target (a form that it does not read is one seed refused); op samples go to `graph`.
#include <filesystem>
#include <fstream>
#include <string>

#include "ir/graph/op.hpp"
#include "ir/graph/parse.hpp"
#include "ir/graph/print.hpp"

namespace fs = std::filesystem;

int main(int argc, char** argv) {
  if (argc != 4) return 1;
  const std::string target = argv[1];
  const fs::path output = argv[3];
  for (const auto& entry : fs::recursive_directory_iterator(argv[2])) {
    if (!entry.is_regular_file() || entry.path().extension() == ".py") continue;
    const std::string name = entry.path().parent_path().filename().string() + "-" + entry.path().filename().string();
    fs::copy_file(entry.path(), output / name, fs::copy_options::overwrite_existing);
  }
  if (target != "graph") return 0;
  for (const tusk::graph::OpDef* op : tusk::graph::ops()) {
    int number = 0;
    for (const std::string_view sample : op->samples) {
      const auto module = tusk::graph::parse_sample(sample);
      if (!module) continue;
      std::ofstream(output / (std::string(op->name) + "-" + std::to_string(number++))) << tusk::graph::print(*module);
    }
  }
  return 0;
}
