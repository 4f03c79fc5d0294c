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
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/files/npy.hpp"
#include "frontend/import/load_model.hpp"
#include "frontend/model/to_module.hpp"
#include "ir/graph/bind.hpp"
#include "ir/graph/interpret.hpp"
#include "ir/graph/parse.hpp"
#include "ir/graph/print.hpp"
#include "ir/graph/verify.hpp"
#include "passes/pipeline.hpp"
#include "passes/run_loops.hpp"

namespace {

using namespace tusk;
using Arrays = std::map<std::string, Array>;

// Relative to the largest value of an output (models/README.md).
constexpr double kTolerance = 2e-5;

struct Outcome {
  double worst = 0;  // largest difference / largest value, over all outputs
  int outputs = 0;
};

/// NaN only where NaN is recorded, inf likewise.
Expected<double> difference(const Array& found, const Array& recorded) {
  if (found.shape() != recorded.shape()) {
    return error("shape", fmt::format("an output has {} elements in another shape than the {} recorded", found.size(),
                                      recorded.size()));
  }
  double largest = 0;
  double worst = 0;
  for (std::int64_t i = 0; i < found.size(); ++i) {
    const double expected = recorded.at(i);
    const double value = found.at(i);
    if (std::isfinite(expected)) largest = std::max(largest, std::abs(expected));
    if (std::isnan(expected) && std::isnan(value)) continue;
    if (std::isinf(expected) && std::isinf(static_cast<float>(value))) continue;
    const double apart = std::abs(value - expected);
    worst = std::isnan(apart) ? INFINITY : std::max(worst, apart);
  }
  return largest > 0 ? worst / largest : worst;
}

const Array* recorded_array(const Arrays& arrays, const std::string& prefix, const std::string& name,
                            std::size_t index) {
  for (const std::string& key : {prefix + name, prefix + std::to_string(index)}) {
    if (const auto it = arrays.find(key); it != arrays.end()) return &it->second;
  }
  return nullptr;
}

bool by_loops = false;

Expected<std::vector<Array>> run(const graph::Module& module, const graph::Function& function,
                                 std::vector<Array> inputs, const graph::SymbolValues& symbols) {
  if (!by_loops) return graph::interpret(module, function, std::move(inputs), symbols);
  TRY(const Ir ir, run_pipeline(module, {}));
  const auto& lowered = std::get<Lowered>(ir);
  return run_loops(lowered.program, lowered.loops, function.name, inputs, symbols);
}

/// One recorded call: `prefix` is "", "set1/", "case1/", ...
Expected<Outcome> check_call(const graph::Module& module, const Model& model, const Arrays& arrays,
                             const std::string& prefix, bool print) {
  const graph::Function& function = module.functions.front();
  std::vector<Array> inputs;
  std::vector<std::vector<std::int64_t>> shapes;
  for (std::size_t i = 0; i < model.input_names().size(); ++i) {
    const Array* input = recorded_array(arrays, prefix + "in/", model.input_names()[i], i);
    if (input == nullptr && model.input_names().size() == 1) {  // Keras renames the input of a Sequential model
      const auto it = arrays.lower_bound(prefix + "in/");
      if (it != arrays.end() && it->first.starts_with(prefix + "in/")) input = &it->second;
    }
    if (input == nullptr) return error("recording", "no input " + model.input_names()[i]);
    inputs.push_back(*input);
    shapes.push_back(input->shape());
  }
  TRY(const graph::SymbolValues symbols, graph::bind_symbols(module, function, shapes));
  TRY(const std::vector<Array> results, run(module, function, inputs, symbols));
  Outcome outcome;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const Array* recorded = recorded_array(arrays, prefix + "out/", model.output_names()[i], i);
    if (recorded == nullptr) return error("recording", "no output " + std::to_string(i));
    TRY(const double apart, difference(results[i], *recorded));
    if (print) fmt::print("{}out/{} {}: {:.2e}\n", prefix, i, model.output_names()[i], apart);
    outcome.worst = std::max(outcome.worst, apart);
    ++outcome.outputs;
  }
  return outcome;
}

Expected<Outcome> check_numbers(const LoadedModel& loaded, const std::filesystem::path& recording, bool print) {
  TRY(const graph::Module module, to_module(loaded.model));
  if (print) std::fputs(graph::print(module).c_str(), stdout);
  CHECK(graph::verify(module));
  TRY(const Arrays arrays, read_npz(recording));
  std::vector<std::string> prefixes;
  for (const auto& [key, array] : arrays) {
    const std::size_t at = key.find("in/");
    const std::string prefix = key.substr(0, at == std::string::npos ? 0 : at);
    const auto out = arrays.lower_bound(prefix + "out/");  // recordings of a training have none
    const bool is_call = (prefix.empty() || prefix.starts_with("set") || prefix.starts_with("case")) &&
                         out != arrays.end() && out->first.starts_with(prefix + "out/");
    if (at != std::string::npos && is_call && std::ranges::find(prefixes, prefix) == prefixes.end()) {
      prefixes.push_back(prefix);
    }
  }
  Outcome all;
  for (const std::string& prefix : prefixes) {
    TRY(const Outcome one, check_call(module, loaded.model, arrays, prefix, print));
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
      const bool good = outcome->worst <= kTolerance;
      fmt::print("{}  {:9.2e}  {}  ({} outputs)\n", good ? "ok      " : "WRONG   ", outcome->worst,
                 path.filename().string(), outcome->outputs);
      wrong += good ? 0 : 1;
    }
    std::fflush(stdout);
  }
  return wrong > 0 ? 1 : 0;
}
