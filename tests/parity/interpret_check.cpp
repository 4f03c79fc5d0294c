// Models as Keras saved them against what Keras computed, by the graph interpreter in double, or by the loop
// interpreter:
//
//     interpret_check [-l] [-r] [-v] MODEL...    with a recording MODEL.npz, or NAME.npz beside NAME.keras and NAME.h5
//
// Prints a line for each file; the exit status is 1 if a file gives wrong values or, without -r, is refused. With -v,
// the graph and the error of each output; with -l the whole pipeline runs and the loops are interpreted. Needs no
// compiler, so it tells faults of the front end from faults of everything behind it.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "driver/tolerance.hpp"
#include "frontend/import/load_model.hpp"
#include "frontend/model/to_module.hpp"
#include "ir/base/compare.hpp"
#include "ir/graph/bind.hpp"
#include "ir/graph/interpret.hpp"
#include "ir/graph/parse.hpp"
#include "ir/graph/print.hpp"
#include "ir/graph/verify.hpp"
#include "passes/pipeline.hpp"
#include "passes/run_loops.hpp"
#include "tools/recording.hpp"

namespace {

using namespace tusk;

constexpr double kArenaTolerance = 1.02;  // of the lower bound

struct Outcome {
  double worst = 0;  // largest difference / largest value, over all outputs
  double tolerance = 0;
  int outputs = 0;
};

bool by_loops = false;

Expected<std::vector<Array>> run(const graph::Module& module, const graph::Function& function,
                                 std::vector<Array> inputs, const graph::SymbolValues& symbols) {
  if (!by_loops) return graph::interpret(module, function, std::move(inputs), symbols);
  TRY(const Ir ir, run_pipeline(module, {}));
  const auto& lowered = std::get<Lowered>(ir);
  for (const kernel::Function& planned : lowered.program.functions) {
    if (static_cast<double>(planned.arena_bytes) > kArenaTolerance * static_cast<double>(planned.arena_lower_bound)) {
      return error("arena", fmt::format("the arena of `{}` has {} bytes, the lower bound is {}", planned.name,
                                        planned.arena_bytes, planned.arena_lower_bound));
    }
  }
  return run_loops(lowered.program, lowered.loops, function.name, inputs, symbols);
}

/// One recorded call.
Expected<Outcome> check_call(const graph::Module& module, const Model& model, const RecordedCall& call, bool print) {
  const graph::Function& function = module.functions.front();
  std::vector<std::vector<std::int64_t>> shapes;
  for (const Array& input : call.inputs) shapes.push_back(input.shape());
  TRY(const graph::SymbolValues symbols, graph::bind_symbols(module, function, shapes));
  TRY(const std::vector<Array> results, run(module, function, call.inputs, symbols));
  Outcome outcome;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const double apart = relative_difference(results[i], call.outputs[i]);
    if (print) fmt::print("{}out/{} {}: {:.2e}\n", call.prefix, i, model.output_names()[i], apart);
    outcome.worst = std::max(outcome.worst, apart);
    ++outcome.outputs;
  }
  return outcome;
}

Expected<Outcome> check_numbers(const LoadedModel& loaded, const std::filesystem::path& recording, bool print) {
  TRY(const graph::Module module, to_module(loaded.model));
  if (print) std::fputs(graph::print(module).c_str(), stdout);
  CHECK(graph::verify(module));
  TRY(const std::vector<RecordedCall> calls,
      recorded_calls(recording.string(), loaded.model.input_names(), loaded.model.output_names()));
  Outcome all;
  all.tolerance = tolerance_of(module);
  for (const RecordedCall& call : calls) {
    TRY(const Outcome one, check_call(module, loaded.model, call, print));
    all.worst = std::max(all.worst, one.worst);
    all.outputs += one.outputs;
  }
  return all;
}

/// The file, or a file of weights NAME_weights.h5 with NAME.json beside it.
Expected<LoadedModel> read(const std::filesystem::path& path) {
  const std::string stem = path.stem().string();
  if (stem.ends_with("_weights")) {
    const auto architecture = path.parent_path() / (stem.substr(0, stem.size() - 8) + ".json");
    if (std::filesystem::exists(architecture)) return read_model(architecture, path);
  }
  return read_model(path);
}

}  // namespace

int main(int argc, char** argv) {
  int wrong = 0;
  bool print = false;
  bool refusals = false;
  for (int i = 1; i < argc; ++i) {
    const std::filesystem::path path = argv[i];
    if (path == "-v") {
      print = true;
      continue;
    }
    if (path == "-l") {
      by_loops = true;
      continue;
    }
    if (path == "-r") {
      refusals = true;
      continue;
    }
    std::filesystem::path recording = path.string() + ".npz";
    if (!std::filesystem::exists(recording)) recording = std::filesystem::path(path).replace_extension(".npz");
    const Expected<LoadedModel> loaded = read(path);
    if (!loaded) {
      fmt::print("refused   {}\n{}", path.filename().string(), loaded.problem().str());
      wrong += refusals ? 0 : 1;
    } else if (!std::filesystem::exists(recording)) {
      fmt::print("read      {}: no recording\n", path.filename().string());
    } else if (const Expected<Outcome> outcome = check_numbers(*loaded, recording, print); !outcome) {
      fmt::print("FAILED    {}\n{}", path.filename().string(), outcome.problem().str());
      ++wrong;
    } else {
      if (outcome->outputs == 0) {  // of a training
        fmt::print("read      {}: no call is recorded\n", path.filename().string());
        continue;
      }
      const bool good = outcome->worst <= outcome->tolerance;
      fmt::print("{}  {:9.2e}  {}  ({} outputs)\n", good ? "ok      " : "WRONG   ", outcome->worst,
                 path.filename().string(), outcome->outputs);
      wrong += good ? 0 : 1;
    }
    std::fflush(stdout);
  }
  return wrong > 0 ? 1 : 0;
}
