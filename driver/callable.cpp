#include "ir/graph/callable.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>

#include "codegen/cpp/package.hpp"
#include "codegen/mlir/load.hpp"
#include "driver/cache.hpp"
#include "driver/compile.hpp"
#include "driver/compiled.hpp"
#include "driver/shared_threads.hpp"
#include "driver/temporary_folder.hpp"
#include "ir/base/kept_file.hpp"
#include "ir/base/sha256.hpp"
#include "ir/graph/print.hpp"

namespace tusk::graph {
namespace {

namespace fs = std::filesystem;

class Compiled final : public Callable {
 public:
  explicit Compiled(CompiledModel model) : model_(std::move(model)), states_(model_.make_state()) {}

  Expected<std::vector<Array>> operator()(std::string_view function, const std::vector<Array>& inputs) override {
    return model_.call(function, inputs, states_.get());
  }

  void prepare(std::string_view function) override { model_.prepare(function); }

  bool has_state(std::string_view path) const { return static_cast<bool>(named(path)); }

  Expected<Array> state(std::string_view path) const override {
    TRY(const CompiledModel::Variable* variable, named(path));
    Array out(variable->type, variable->shape);
    const std::span<std::byte> bytes = out.writable_bytes();
    std::memcpy(bytes.data(), static_cast<const std::byte*>(states_.get()) + variable->offset, bytes.size());
    return out;
  }

  Status set_state(std::string_view path, const Array& value) override {
    TRY(const CompiledModel::Variable* variable, named(path));
    if (value.shape() != variable->shape) return error("state", fmt::format("@{} has another shape", path));
    const Array converted = value.converted(variable->type);
    std::memcpy(static_cast<std::byte*>(states_.get()) + variable->offset, converted.bytes().data(),
                converted.bytes().size());
    return done();
  }

 private:
  Expected<const CompiledModel::Variable*> named(std::string_view path) const {
    const auto found = std::ranges::find(model_.variables(), path, &CompiledModel::Variable::path);
    if (found == model_.variables().end()) return error("state", fmt::format("there is no state @{}", path));
    return &*found;
  }

  CompiledModel model_;
  CompiledModel::State states_;
};

constexpr std::size_t kKept = 16 << 20;  // bytes of constants of code that is kept

// Which Tusk this is: another one may make other code of the same text.
std::string found_stamp() {
  Dl_info where{};
  fs::path file = "/proc/self/exe";
  std::error_code problem;
  if (dladdr(reinterpret_cast<const void*>(&found_stamp), &where) != 0 && fs::exists(where.dli_fname, problem))
    file = where.dli_fname;
  file = fs::canonical(file, problem);
  if (problem) return "";
  return fmt::format("{} {} {}", file.string(), fs::file_size(file, problem),
                     fs::last_write_time(file, problem).time_since_epoch().count());
}

const std::string& stamp() {
  static const std::string found = found_stamp();
  return found;
}

// What decides the emitted code: the text of the module and its constants. States that a function updates are set
// later.
std::string key_of(Module module, const EmitOptions& options) {
  std::vector<bool> changes(module.globals.size(), false);
  for (const Function& function : module.functions) {
    for (const Update& update : function.updates) changes[static_cast<std::size_t>(update.global)] = true;
  }
  for (std::size_t k = 0; k < changes.size(); ++k) {
    if (changes[k]) module.globals[k].text = "splat(0)";
  }
  if (std::ranges::find(changes, true) == changes.end()) return "";
  const std::vector<std::byte> constants = weights_of(module);
  if (stamp().empty() || constants.size() > kKept) return "";
  const std::string text =
      fmt::format("{}\n{}\n{}\n{}", stamp(), options.passes.target->name, print(module), sha256_hex(constants));
  return sha256_hex(std::as_bytes(std::span(text)));
}

// The folder of the emitted code, which is kept for later calls.
Expected<fs::path> emitted(Module module, const EmitOptions& options, const fs::path& kept,
                           TemporaryFolder& temporary) {
  TRY(const auto files, compile(std::move(module), options));
  if (!kept.empty()) {
    std::error_code problem;
    const fs::path part = unique_beside(kept);
    if (write_files(part.string(), files)) fs::rename(part, kept, problem);
    fs::remove_all(part, problem);
  }
  TRY(temporary, TemporaryFolder::make());
  CHECK(write_files(temporary.path().string(), files));
  return temporary.path();
}

// Code that an earlier call has made of the same module; else new, which is kept.
Expected<CompiledModel> compiled_by_mlir(Module module, const EmitOptions& options) {
  const TargetMachine& target = *options.passes.target;
  const fs::path cache = cache_folder();
  const std::string key = cache.empty() ? "" : key_of(module, options);
  const fs::path file = cache / (key + ".jit");
  if (!key.empty()) {
    const std::optional<std::string> bytes = read_kept(file);
    if (std::optional<JitCode> code = bytes ? unpacked(*bytes) : std::nullopt)
      return CompiledModel::jit(std::move(*code), target);
  }
  TRY(Ir ir, run_pipeline(std::move(module), options.passes));
  const Lowered& lowered = std::get<Lowered>(ir);
  cpp::PackageInput input{"model", lowered.program, lowered.loops, "", "", std::string(version())};
  input.embed_weights = false;
  input.initial_states = false;
  input.threads = target.fork > 0;
  TRY(JitCode code, jit_code(input, target));
  if (!key.empty()) write_kept(file, packed(code));
  return CompiledModel::jit(std::move(code), target);
}

Expected<CompiledModel> compiled_by_cpp(Module module, const EmitOptions& options) {
  constexpr const char* kFlags = "-O2 -march=native";
  const fs::path cache = cache_folder();
  const std::string key = cache.empty() ? "" : key_of(module, options);
  const fs::path kept = key.empty() ? fs::path() : cache / key;
  std::error_code problem;
  if (!key.empty() && fs::exists(kept, problem)) {
    if (Expected<CompiledModel> model = CompiledModel::load_cached(kept.string(), kFlags)) return model;
    fs::remove_all(kept, problem);  // damaged
  }
  TemporaryFolder temporary;
  TRY(const fs::path folder, emitted(std::move(module), options, kept, temporary));
  return CompiledModel::load_cached(folder.string(), kFlags);
}

// $TUSK_JIT: cpp or mlir; without it mlir where that is.
std::string_view wish() {
  const char* given = std::getenv("TUSK_JIT");
  return given == nullptr ? "" : given;
}

// Nobody can ask where a function is from while a library is being loaded.
void prepare_mlir() {
  stamp();
  mlir::prepare_backend();
}

Expected<CompiledModel> compiled(Module module, const EmitOptions& options) {
  if (!wish().empty() && wish() != "cpp" && wish() != "mlir")
    return error("jit", fmt::format("TUSK_JIT is `{}`; there are cpp and mlir", wish()));
  if (wish() == "mlir" || (wish().empty() && mlir::has_backend())) {
    prepare_mlir();
    Expected<CompiledModel> model = compiled_by_mlir(module, options);
    // It is loaded beside the passes, so only now it shows whether it can be.
    if (model || !wish().empty() || mlir::find_backend()) return model;
  }
  return compiled_by_cpp(std::move(module), options);
}

}  // namespace

void prepare_compiler() {
  if (wish() != "cpp") prepare_mlir();
}

void share_turns(std::int64_t turns, std::int64_t least, const std::function<void(std::int64_t, std::int64_t)>& body) {
  parallel(shared_threads(), turns, least, body);
}

Expected<std::shared_ptr<Callable>> make_callable(Module module) {
  EmitOptions options;
  options.profile = module.profile;
  options.self_test = false;
  options.embed_weights = false;  // the code does not depend on them, so it is found again
  options.initial_states = false;
  TRY(options.passes.target, target_named("native"));
  const std::vector<Global> globals = module.globals;
  TRY(CompiledModel model, compiled(std::move(module), options));
  auto callable = std::make_shared<Compiled>(std::move(model));
  for (const Global& global : globals) {
    if (callable->has_state(global.path)) CHECK(callable->set_state(global.path, global.value));
  }
  return std::shared_ptr<Callable>(std::move(callable));
}

}  // namespace tusk::graph
