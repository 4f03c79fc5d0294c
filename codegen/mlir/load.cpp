#include "codegen/mlir/load.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <utility>
#include <vector>

#include "codegen/mlir/begun.hpp"

namespace tusk::mlir {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPlugin = "libtusk_mlir.so";

std::vector<fs::path> places() {
  std::vector<fs::path> out;
  std::error_code problem;
  if (const char* given = std::getenv("TUSK_MLIR"); given != nullptr)
    return {fs::is_directory(given, problem) ? fs::path(given) / kPlugin : fs::path(given)};
  const fs::path program = fs::canonical("/proc/self/exe", problem);
  if (!problem) {
    const fs::path folder = program.parent_path();
    out = {folder / kPlugin, folder / "../lib/tusk" / kPlugin, folder / ".." / kPlugin};
  }
  out.push_back(fs::path(TUSK_PLUGIN_FOLDER) / kPlugin);
  return out;
}

Expected<const Backend*> loaded() {
  std::string why;
  std::error_code problem;
  for (const fs::path& place : places()) {
    if (!fs::exists(place, problem)) continue;
    void* library = dlopen(place.c_str(), RTLD_LAZY | RTLD_LOCAL);
    if (library == nullptr) {
      why = dlerror();
      continue;
    }
    using Entry = const Backend* (*)();
    const auto entry = reinterpret_cast<Entry>(dlsym(library, kBackendSymbol));
    if (entry != nullptr && entry()->layout == kLayout) return entry();
    why = fmt::format("{} is of another version of Tusk", place.string());
  }
  if (const char* given = std::getenv("TUSK_MLIR"); given != nullptr && why.empty())
    why = fmt::format("TUSK_MLIR is `{}`, where no such file is", given);
  Diagnostic missing = error("mlir-missing", "the MLIR back end is not here");
  if (!why.empty()) missing.note(why);
  missing.note(
      "it is Tusk's target tusk_mlir, where LLVM 22 is: install llvm-22-dev, libmlir-22-dev and mlir-22-tools, then "
      "configure and build Tusk again");
  missing.note("--backend cpp and TUSK_JIT=cpp need neither");
  return missing;
}

}  // namespace

Expected<const Backend*> find_backend() {
  static const Expected<const Backend*> backend = loaded();
  return backend;
}

bool has_backend() {
  std::error_code problem;
  return std::ranges::any_of(places(), [&](const fs::path& place) { return fs::exists(place, problem); });
}

Expected<std::string> emit(const Backend& backend, const Job& job, Output output) {
  std::string problem;
  std::string bytes = backend.emit(job, output, problem);
  if (!problem.empty()) return error("codegen-mlir", "LLVM refuses the code: " + problem);
  return bytes;
}

Expected<std::shared_ptr<Loaded>> load(const Backend& backend, std::vector<Group> groups, const Processor& processor,
                                       const std::string& data) {
  std::string problem;
  std::shared_ptr<Loaded> loaded = backend.load(std::move(groups), processor, data, problem);
  if (loaded == nullptr) return error("codegen-mlir", "LLVM refuses the code: " + problem);
  return loaded;
}

void prepare_backend() {
  static const std::future<void> loading = begun([] { static_cast<void>(find_backend()); });
}

}  // namespace tusk::mlir
