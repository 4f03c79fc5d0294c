// The ledger: what becomes of every Keras file that we know of, by the whole compiler.
//
//     ledger ROOT LEDGER [--update]
//
// Each file below ROOT that LEDGER lists is compiled, the emitted C++ built and called as it was recorded. A line of
// the ledger holds the file, its error, relative to the largest value of an output ("agrees"), and the bytes of its
// arena, which is at most 1.02 of the lower bound; or the text with which the file is refused; a file that does neither
// fails. The bits are fixed, so the figures are compared as text.
// Without ROOT, it says how many files it left out. --update writes the ledger, with all files below ROOT.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "codegen/mlir/load.hpp"
#include "driver/compile.hpp"
#include "driver/compiled.hpp"
#include "driver/temporary_folder.hpp"
#include "frontend/model/to_module.hpp"
#include "ir/base/compare.hpp"
#include "passes/pipeline.hpp"
#include "tests/parity/model_file.hpp"
#include "tools/recording.hpp"

namespace {

using namespace tusk;
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr double kArenaTolerance = 1.02;  // of the lower bound
constexpr const char* kFolders[] = {"models",         "goldens/applications", "goldens/guide",
                                    "goldens/layers", "goldens/legacy",       "goldens/ops"};

bool is_model(const fs::path& path) {
  const std::string ending = path.extension().string();
  return ending == ".keras" || ending == ".h5" || ending == ".hdf5";
}

std::vector<std::string> models_below(const fs::path& root) {
  std::vector<std::string> files;
  for (const char* folder : kFolders) {
    if (!fs::is_directory(root / folder)) continue;
    for (const fs::directory_entry& entry : fs::directory_iterator(root / folder)) {
      if (is_model(entry.path())) files.push_back(fs::relative(entry.path(), root).string());
    }
  }
  std::ranges::sort(files);
  return files;
}

// NAME.npz beside the file, or FILE.npz.
std::optional<fs::path> recording_of(const fs::path& file) {
  const fs::path beside = fs::path(file.string() + ".npz");
  if (fs::exists(beside)) return beside;
  const fs::path stem = fs::path(file).replace_extension(".npz");
  return fs::exists(stem) ? std::optional(stem) : std::nullopt;
}

// Batches as large as those recorded.
ModuleOptions options_for(const std::vector<RecordedCall>& calls) {
  std::int64_t largest = 1;
  for (const RecordedCall& call : calls) {
    for (const Array& input : call.inputs) {
      if (!input.shape().empty()) largest = std::max(largest, input.shape()[0]);
    }
  }
  ModuleOptions options;
  if (largest > 64) options.dims.push_back({"batch", 1, largest, 1});
  return options;
}

// The same model by the other back end, scheduled for this machine; nothing where that is not here.
Expected<std::optional<CompiledModel>> by_mlir(const graph::Module& module) {
  if (!mlir::find_backend()) return std::optional<CompiledModel>();
  PassOptions passes;
  TRY(passes.target, target_named("native"));
  TRY(const Ir ir, run_pipeline(module, passes));
  const auto& lowered = std::get<Lowered>(ir);
  cpp::PackageInput input{"model", lowered.program, lowered.loops, "", "", std::string(version())};
  input.embed_weights = false;
  input.threads = passes.target->fork > 0;
  TRY(CompiledModel model, CompiledModel::jit(input, *passes.target));
  return std::optional(std::move(model));
}

// Code of either back end gives the same bits. Where both are here, C++ is built for one model of eight, with TUSK_FULL
// for all.
bool wants_cpp(std::size_t number) {
  const char* full = std::getenv("TUSK_FULL");
  return number % 8 == 0 || (full != nullptr && std::string_view(full) == "1");
}

Expected<Json> compiled_result(const LoadedModel& loaded, const fs::path& recording, std::size_t number) {
  TRY(const std::vector<RecordedCall> calls,
      recorded_calls(recording.string(), loaded.model.input_names(), loaded.model.output_names()));
  if (calls.empty()) return Json{{"result", "read"}};  // the recording is of a training
  TRY(graph::Module module, to_module(loaded.model, options_for(calls)));
  EmitOptions options;
  options.self_test = false;  // the recording is the test
  TRY(const std::optional<CompiledModel> other, by_mlir(module));
  TRY(const auto files, compile(std::move(module), options));
  std::optional<CompiledModel> built;
  if (!other || wants_cpp(number)) {
    TRY(const TemporaryFolder work, TemporaryFolder::make());
    CHECK(write_files(work.path().string(), files));
    TRY(built, CompiledModel::load(work.path().string(), "-O1"));
  }
  double worst = 0;
  for (const RecordedCall& call : calls) {
    TRY(const std::vector<Array> results, (built ? *built : *other).predict(call.inputs));
    for (std::size_t k = 0; k < results.size(); ++k)
      worst = std::max(worst, relative_difference(results[k], call.outputs[k]));
    if (!built || !other) continue;
    TRY(const std::vector<Array> others, other->predict(call.inputs));
    for (std::size_t k = 0; k < results.size(); ++k) {
      if (!bit_difference(results[k], others[k]).empty())
        return error("ledger", fmt::format("output {}: the JIT has other bits than C++", k));
    }
  }
  const Json manifest = Json::parse(files.at("manifest.json"));
  const auto arena = manifest.at("arena_bytes").get<std::int64_t>();
  // (An arena type has 64 bytes at least.)
  const double bound = std::max(64.0, kArenaTolerance * manifest["functions"][0]["arena_lower_bound"].get<double>());
  const bool fits = static_cast<double>(arena) <= bound;
  return Json{{"result", worst > manifest.at("tolerance").get<double>() ? "WRONG"
                         : fits                                         ? "agrees"
                                                                        : "ARENA TOO LARGE"},
              {"error", fmt::format("{:.1e}", worst)},
              {"arena", arena}};
}

// The text of a refusal, with the names of files alone.
std::string text_of(const Diagnostic& problem, const fs::path& path) {
  std::string text = problem.str();
  const std::string folder = path.parent_path().string() + "/";
  for (std::size_t at = 0; (at = text.find(folder, at)) != std::string::npos;) text.erase(at, folder.size());
  return text;
}

Json result_of(const fs::path& root, const std::string& file, std::size_t number) {
  const fs::path path = root / file;
  const Expected<LoadedModel> loaded = read_model_file(path);
  if (!loaded) return Json{{"result", "refused"}, {"text", text_of(loaded.problem(), path)}};
  const std::optional<fs::path> recording = recording_of(path);
  if (!recording) return Json{{"result", "read"}};
  Expected<Json> result = compiled_result(*loaded, *recording, number);
  if (result) return *result;
  return Json{{"result", "FAILED"}, {"text", text_of(result.problem(), path)}};
}

std::vector<Json> results_of(const fs::path& root, const std::vector<std::string>& files) {
  std::vector<Json> results(files.size());
  std::atomic<std::size_t> next = 0;
  const auto worker = [&] {
    for (std::size_t i = next++; i < files.size(); i = next++) {
      Json line{{"file", files[i]}};
      line.update(result_of(root, files[i], i));
      results[i] = std::move(line);
    }
  };
  std::vector<std::jthread> threads(std::max(1U, std::thread::hardware_concurrency()));
  for (std::jthread& thread : threads) thread = std::jthread(worker);
  threads.clear();
  return results;
}

std::vector<Json> read_ledger(const fs::path& path) {
  std::vector<Json> lines;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("{")) lines.push_back(Json::parse(line.substr(0, line.rfind('}') + 1)));
  }
  return lines;
}

void write_ledger(const fs::path& path, const std::vector<Json>& lines) {
  std::ofstream out(path);
  for (std::size_t i = 0; i < lines.size(); ++i)
    out << (i == 0 ? "[\n" : ",\n") << lines[i].dump(-1, ' ', false, Json::error_handler_t::replace);
  out << "\n]\n";
}

std::string counts(const std::vector<Json>& lines) {
  std::map<std::string, int> by;
  for (const Json& line : lines) ++by[line.at("result").get<std::string>()];
  std::string out;
  for (const auto& [result, count] : by) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", count, result);
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: ledger ROOT LEDGER [--update]\n");
    return 1;
  }
  const fs::path root = argv[1];
  const fs::path ledger = argv[2];
  const bool update = argc > 3 && std::string_view(argv[3]) == "--update";
  const std::vector<Json> expected = update ? std::vector<Json>{} : read_ledger(ledger);
  if (!fs::is_directory(root / kFolders[0])) {
    fmt::print("{} recorded models are left out: {} is not there\n", read_ledger(ledger).size(), root.string());
    return 0;
  }
  std::vector<std::string> files;
  if (update) {
    files = models_below(root);
  } else {
    for (const Json& line : expected) files.push_back(line.at("file").get<std::string>());
  }
  const std::vector<Json> found = results_of(root, files);
  fmt::print("{}\n", counts(found));
  int wrong = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto result = found[i].at("result").get<std::string>();
    const bool fails = result != "agrees" && result != "refused" && result != "read";
    const bool good = !fails && (update || found[i] == expected[i]);
    if (good) continue;
    ++wrong;
    fmt::print("found    {}\n", found[i].dump());
    if (!update) fmt::print("expected {}\n", expected[i].dump());
  }
  if (update) write_ledger(ledger, found);
  return wrong == 0 ? 0 : 1;
}
