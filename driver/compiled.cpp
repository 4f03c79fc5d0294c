#include "driver/compiled.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <sstream>

#include "codegen/cpp/names.hpp"
#include "codegen/cpp/package.hpp"
#include "codegen/mlir/load.hpp"
#include "codegen/mlir/processor.hpp"
#include "driver/cache.hpp"
#include "driver/jit_code.hpp"
#include "driver/shared_threads.hpp"
#include "driver/temporary_folder.hpp"
#include "ir/base/kept_file.hpp"
#include "ir/base/sha256.hpp"
#include "ir/text/lexer.hpp"

namespace tusk {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostSymbols = 4;
constexpr std::size_t kAlign = 64;  // of arena and weights

struct Symbol {
  std::string name;
  std::int64_t low = 1, high = 1;
};

// 'text' for the shell, whatever is in it.
std::string quoted_for_shell(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

Expected<std::vector<CompiledModel::Tensor>> tensors_of(const nlohmann::json& list) {
  std::vector<CompiledModel::Tensor> out;
  for (const nlohmann::json& entry : list) {
    CompiledModel::Tensor tensor;
    tensor.name = entry.at("name").get<std::string>();
    const std::optional<DType> type = dtype_named(entry.at("type").get<std::string>());
    if (!type) return error("manifest", fmt::format("{} has no known type", tensor.name));
    tensor.type = *type;
    tensor.shape = entry.at("shape").get<std::vector<std::string>>();
    out.push_back(std::move(tensor));
  }
  return out;
}

Expected<std::vector<CompiledModel::Variable>> variables_of(const nlohmann::json& list) {
  std::vector<CompiledModel::Variable> out;
  for (const nlohmann::json& entry : list) {
    const std::optional<DType> type = dtype_named(entry.at("type").get<std::string>());
    if (!type) return error("manifest", "a variable has no known type");
    out.push_back({entry.at("path").get<std::string>(), *type, entry.at("shape").get<std::vector<std::int64_t>>(),
                   entry.at("offset").get<std::int64_t>()});
  }
  return out;
}

/// What decides the code of -march=native: machines may share the folder.
std::string processor() {
  std::string out;
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line) && !line.empty();) {
    if (line.starts_with("model name") || line.starts_with("flags") || line.starts_with("Features")) out += line + '\n';
  }
  return out;
}

/// The name of a library: of everything that decides its code.
std::string key_of(const std::string& command, const std::vector<fs::path>& sources) {
  std::string text = fmt::format("tusk {}\n{}\n{}", TUSK_VERSION, command, processor());
  const fs::path compiler = command.substr(0, command.find(' '));
  std::error_code ignored;
  // Another version of the compiler has another size.
  for (const fs::path& path : {compiler, "/usr/bin" / compiler}) {
    const fs::path real = fs::canonical(path, ignored);
    if (!ignored) text += fmt::format("{} {}\n", real.string(), fs::file_size(real, ignored));
  }
  std::vector<fs::path> files = sources;
  for (const auto& [name, unused] : cpp::runtime_files(true)) files.push_back(sources.front().parent_path() / name);
  files.push_back(fs::path(sources.front()).replace_extension(".hpp"));
  for (const fs::path& file : files) {
    std::ifstream in(file, std::ios::binary);
    text.append(std::istreambuf_iterator<char>(in), {});
    text += '\0';
  }
  return sha256_hex(std::as_bytes(std::span(text))) + ".so";
}

// The files that keep the objects of a group: their names are of everything that decides the code.
std::vector<std::string> kept_objects(const mlir::Group& group, const TargetMachine& target,
                                      const mlir::Backend& backend) {
  const fs::path cache = cache_folder();
  Dl_info plugin{};
  if (cache.empty() || dladdr(&backend, &plugin) == 0) return {};
  std::error_code problem;
  const fs::path file = fs::canonical(plugin.dli_fname, problem);
  const auto written = fs::last_write_time(file, problem).time_since_epoch().count();
  if (problem) return {};
  const mlir::Processor processor = mlir::processor_of(target);
  const std::string stamp = fmt::format("{} {} {} {} {}\n{}\n", file.string(), fs::file_size(file, problem), written,
                                        processor.cpu, processor.tune, fmt::join(group.shared, " "));
  std::vector<std::string> out;
  for (const std::string& text : group.texts) {
    const std::string all = stamp + text;
    out.push_back((cache / (sha256_hex(std::as_bytes(std::span(all))) + ".o")).string());
  }
  return out;
}

Status build(const std::string& command, const std::vector<fs::path>& sources, const fs::path& library,
             const fs::path& work) {
  const fs::path log = work / "log";
  std::string line = command;
  for (const fs::path& source : sources) line += " " + quoted_for_shell(source.string());
  line += fmt::format(" -o {} 2> {}", quoted_for_shell(library.string()), quoted_for_shell(log.string()));
  if (std::system(line.c_str()) != 0) {
    std::ifstream text(log);
    const std::string first_lines(std::istreambuf_iterator<char>(text), {});
    Diagnostic failure =
        error("build", fmt::format("the C++ compiler fails on {}", sources.front().parent_path().string()));
    failure.note("what is compiled here needs a C++17 compiler; the variable CXX names it, otherwise it is c++");
    std::istringstream lines(first_lines.substr(0, 2000));
    for (std::string one; std::getline(lines, one);) failure.note(one);
    return failure;
  }
  return done();
}

}  // namespace

using Arena = std::unique_ptr<void, decltype(&std::free)>;

struct CompiledModel::Loaded {
  struct Function {
    std::string name;
    std::vector<Tensor> inputs, outputs;
    std::vector<std::string> symbols;
    std::string symbol;             // of the C header
    mutable void* entry = nullptr;  // once it is known
    bool takes_threads = false;
  };
  std::string name;
  bool embedded = true;                                    // the weights
  bool is_object = false;                                  // of the MLIR back end
  std::vector<std::string> weights_sources = {"weights"};  // names behind the model's
  std::vector<Function> functions;
  std::vector<Variable> variables;
  std::size_t state_bytes = 0;
  int (*init)(void*) = nullptr;
  std::string first_state;  // without `init`
  std::vector<Symbol> symbols;
  std::int64_t arena_bytes = 0;
  double tolerance = 0;
  void* library = nullptr;
  std::shared_ptr<mlir::Loaded> code;  // in the place of a library
  std::unique_ptr<void, decltype(&std::free)> weights_file{nullptr, &std::free};
  std::array<const void*, 4> weights = {};  // NAME_weights of the C header; all null: those that are embedded
  TemporaryFolder folder;
  mutable std::atomic<void*> free_arena = nullptr;  // of the last call: its pages are there

  Arena take_arena() const {
    if (void* last = free_arena.exchange(nullptr)) return {last, &std::free};
    const std::size_t bytes = (static_cast<std::size_t>(arena_bytes) + kAlign) / kAlign * kAlign;
    return {std::aligned_alloc(kAlign, bytes), &std::free};
  }
  void give_back(Arena arena) const { std::free(free_arena.exchange(arena.release())); }

  const Function& main_function() const {
    const auto predict = std::ranges::find(functions, "predict", &Function::name);
    return predict == functions.end() ? functions.front() : *predict;
  }

  ~Loaded() {
    std::free(free_arena);
    if (library != nullptr) dlclose(library);
  }

  // Whether there is a function of the C header.
  bool has(const std::string& symbol) const {
    return code != nullptr ? code->has(symbol) : dlsym(library, symbol.c_str()) != nullptr;
  }

  Status bind() {
    for (Function& function : functions) {
      function.symbol = cpp::identifier(name + "_" + function.name);
      function.takes_threads = has(function.symbol + "_with");
      if (function.takes_threads) function.symbol += "_with";
      if (!has(function.symbol)) return error("build", fmt::format("{} has no function {}", name, function.name));
    }
    if (state_bytes > 0 && library != nullptr) {
      init = reinterpret_cast<int (*)(void*)>(dlsym(library, (name + "_init").c_str()));
      if (init == nullptr) return error("build", fmt::format("{} has no function init", name));
    }
    return done();
  }

  // Code in this process is compiled when it is called.
  Expected<void*> entry_of(const Function& function) const {
    const std::atomic_ref<void*> known(function.entry);
    if (void* entry = known.load()) return entry;
    std::string problem;
    void* entry = code == nullptr ? dlsym(library, function.symbol.c_str()) : code->find(function.symbol, problem);
    if (entry == nullptr) return error("codegen-mlir", "LLVM refuses the code: " + problem);
    known.store(entry);
    return entry;
  }

  void* room_for_weights(std::size_t size) {
    weights_file.reset(std::aligned_alloc(kAlign, (size + kAlign) / kAlign * kAlign));
    return weights_file.get();
  }

  Expected<std::size_t> read_weights(const fs::path& file) {
    std::error_code problem;
    if (!fs::is_regular_file(file, problem))
      return error("weights-file", fmt::format("cannot read {}: not a regular file", file.string()));
    const std::size_t size = fs::file_size(file, problem);
    std::ifstream in(file, std::ios::binary);
    if (problem || !in) return error("weights-file", fmt::format("cannot read {}", file.string()));
    in.read(static_cast<char*>(room_for_weights(size)), static_cast<std::streamsize>(size));
    if (!in) return error("weights-file", fmt::format("cannot read {}", file.string()));
    return size;
  }

  // The weights that do not lie in the code, by NAME_open of the C header.
  Status open_weights(std::size_t size) {
    using Open = int (*)(const void*, std::size_t, void*);
    const auto open = reinterpret_cast<Open>(dlsym(library, (name + "_open").c_str()));
    if (open == nullptr || open(weights_file.get(), size, weights.data()) != 0)
      return error("weights-file", fmt::format("{}.weights does not hold the weights of this model", name));
    return done();
  }

  Status read_manifest(const std::string& text, const std::string& where);

  // A dim's text as a dim over the model's symbols.
  Expected<Dim> dim(const std::string& text) const {
    text::Lexer lexer("manifest.json", text);
    return lexer.expect_dim([&](std::string_view symbol) -> std::int64_t {
      return std::any_of(symbols.begin(), symbols.end(), [&](const Symbol& s) { return s.name == symbol; }) ? 1 : 0;
    });
  }
};

Status CompiledModel::Loaded::read_manifest(const std::string& text, const std::string& where) {
  const nlohmann::json manifest = nlohmann::json::parse(text, nullptr, false);
  if (manifest.is_discarded()) return error("manifest", fmt::format("{}/manifest.json is not JSON", where));
  try {
    name = manifest.at("identifier").get<std::string>();
    embedded = manifest.at("weights").at("embedded").get<bool>();
    is_object = manifest.value("backend", "cpp") == "mlir";
    if (const auto targets = manifest.find("targets"); targets != manifest.end()) {
      weights_sources.clear();
      for (const nlohmann::json& target : *targets)
        weights_sources.push_back(cpp::identifier("weights_" + target.get<std::string>()));
    }
    for (const nlohmann::json& symbol : manifest.at("symbols")) {
      symbols.push_back({symbol.at("name").get<std::string>(), symbol.at("low").get<std::int64_t>(),
                         symbol.at("high").get<std::int64_t>()});
    }
    for (const nlohmann::json& function : manifest.at("functions")) {
      Function next;
      next.name = function.at("name").get<std::string>();
      TRY(next.inputs, tensors_of(function.at("inputs")));
      TRY(next.outputs, tensors_of(function.at("outputs")));
      next.symbols = function.at("symbols").get<std::vector<std::string>>();
      functions.push_back(std::move(next));
    }
    if (functions.empty()) return error("manifest", fmt::format("{} has no function", where));
    if (const auto given = manifest.find("state"); given != manifest.end()) {
      state_bytes = given->at("bytes").get<std::size_t>();
      TRY(variables, variables_of(given->at("variables")));
    }
    arena_bytes = manifest.at("arena_bytes").get<std::int64_t>();
    tolerance = manifest.at("tolerance").get<double>();
  } catch (const nlohmann::json::exception& problem) {
    return error("manifest", fmt::format("{}/manifest.json: {}", where, problem.what()));
  }
  if (symbols.size() > kMostSymbols) return error("manifest", fmt::format("more than {} symbols", kMostSymbols));
  if (!embedded || is_object) weights_sources.clear();
  return done();
}

bool CompiledModel::has_function(std::string_view name) const {
  return std::ranges::find(loaded_->functions, name, &Loaded::Function::name) != loaded_->functions.end();
}
const std::vector<CompiledModel::Tensor>& CompiledModel::inputs() const { return loaded_->main_function().inputs; }
const std::vector<CompiledModel::Tensor>& CompiledModel::outputs() const { return loaded_->main_function().outputs; }
const std::vector<CompiledModel::Variable>& CompiledModel::variables() const { return loaded_->variables; }
std::size_t CompiledModel::state_bytes() const { return loaded_->state_bytes; }
CompiledModel::State CompiledModel::make_state() const {
  const std::size_t bytes = loaded_->state_bytes;
  State state(bytes == 0 ? nullptr : std::aligned_alloc(kAlign, (bytes + kAlign - 1) / kAlign * kAlign), &std::free);
  if (state != nullptr && loaded_->init != nullptr) {
    loaded_->init(state.get());
  } else if (state != nullptr) {
    std::memcpy(state.get(), loaded_->first_state.data(), bytes);
  }
  return state;
}
double CompiledModel::tolerance() const { return loaded_->tolerance; }

Expected<CompiledModel> CompiledModel::load(const std::string& folder, const std::string& flags, bool cached) {
  CompiledModel model;
  model.loaded_ = std::make_shared<Loaded>();
  Loaded& loaded = *model.loaded_;
  std::ifstream in(fs::path(folder) / "manifest.json");
  if (!in)
    return error("manifest", fmt::format("{} has no manifest.json: is it a folder that tusk compile wrote?", folder));
  CHECK(loaded.read_manifest(std::string(std::istreambuf_iterator<char>(in), {}), folder));
  TRY(loaded.folder, TemporaryFolder::make());
  const char* compiler = std::getenv("CXX");
  std::vector<fs::path> sources{fs::path(folder) / (loaded.name + (loaded.is_object ? ".o" : ".cpp"))};
  for (const std::string& each : loaded.weights_sources)
    sources.push_back(fs::path(folder) / fmt::format("{}_{}.cpp", loaded.name, each));
  const std::string command = fmt::format("{} -std=c++17 -ffp-contract=off {} -shared -fPIC",
                                          compiler != nullptr && *compiler != 0 ? compiler : "c++", flags);
  fs::path library = loaded.folder.path() / "model.so";
  const fs::path cache = cached ? cache_folder() : fs::path();
  const fs::path kept = cache.empty() ? fs::path() : cache / key_of(command, sources);
  // What stands behind a library does not disturb who loads it.
  if (!kept.empty() && read_kept(kept)) {
    library = kept;
  } else {
    CHECK(build(command, sources, library, loaded.folder.path()));
    std::ifstream made(library, std::ios::binary);
    if (!kept.empty()) write_kept(kept, std::string(std::istreambuf_iterator<char>(made), {}));
  }
  loaded.library = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (loaded.library == nullptr) return error("build", fmt::format("cannot load what was built: {}", dlerror()));
  CHECK(loaded.bind());
  if (!loaded.embedded) {
    TRY(const std::size_t size, loaded.read_weights(fs::path(folder) / (loaded.name + ".weights")));
    CHECK(loaded.open_weights(size));
  }
  return model;
}

Expected<CompiledModel> CompiledModel::jit(const cpp::PackageInput& input, const TargetMachine& target) {
  TRY(JitCode code, jit_code(input, target));
  return jit(std::move(code), target);
}

Expected<CompiledModel> CompiledModel::jit(JitCode code, const TargetMachine& target) {
  CompiledModel model;
  model.loaded_ = std::make_shared<Loaded>();
  Loaded& loaded = *model.loaded_;
  TRY(const mlir::Backend* backend, mlir::find_backend());
  for (mlir::Group& group : code.groups) group.kept = kept_objects(group, target, *backend);
  CHECK(loaded.read_manifest(code.described.manifest, "the code in memory"));
  TRY(loaded.code, mlir::load(*backend, std::move(code.groups), mlir::processor_of(target), code.data));
  CHECK(loaded.bind());
  loaded.first_state = std::move(code.described.state);
  if (!loaded.embedded) {
    const std::string& bytes = code.described.weights;
    void* const room = loaded.room_for_weights(bytes.size());
    std::memcpy(room, bytes.data(), bytes.size());
    loaded.weights = {room, reinterpret_cast<const void*>(bytes.size())};
  }
  return model;
}

void CompiledModel::prepare(std::string_view function) const {
  const auto it = std::ranges::find(loaded_->functions, function, &Loaded::Function::name);
  if (loaded_->code != nullptr && it != loaded_->functions.end()) loaded_->code->prepare(it->symbol);
}

Expected<std::vector<Array>> CompiledModel::call(std::string_view name, const std::vector<Array>& inputs,
                                                 void* state) const {
  const Loaded& loaded = *loaded_;
  const auto function = std::ranges::find(loaded.functions, name, &Loaded::Function::name);
  if (function == loaded.functions.end()) return error("call", fmt::format("the model has no function {}", name));
  if (inputs.size() != function->inputs.size())
    return error("call", fmt::format("{} inputs, expected {}", inputs.size(), function->inputs.size()));
  // A symbol's value is where it stands alone; the emitted entry checks the rest.
  std::map<std::string, std::int64_t, std::less<>> values;
  std::vector<Array> in;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const Tensor& tensor = function->inputs[k];
    in.push_back(inputs[k].converted(tensor.type));
    if (in[k].shape().size() != tensor.shape.size())
      return error("call", fmt::format("input {} has rank {}, expected {}", tensor.name, in[k].shape().size(),
                                       tensor.shape.size()));
    for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
      TRY(const Dim dim, loaded.dim(tensor.shape[i]));
      if (const auto symbol = dim.as_symbol()) values.try_emplace(*symbol, in[k].shape()[i]);
    }
  }
  const ValueOf value_of = [&](std::string_view symbol) -> std::int64_t {
    const auto it = values.find(symbol);
    return it == values.end() ? 1 : it->second;
  };
  for (std::size_t k = 0; k < in.size(); ++k) {
    for (std::size_t i = 0; i < function->inputs[k].shape.size(); ++i) {
      TRY(const Dim dim, loaded.dim(function->inputs[k].shape[i]));
      if (dim.value(value_of) != in[k].shape()[i]) {
        return error("call", fmt::format("axis {} of input {} is {}, expected {}", i, function->inputs[k].name,
                                         in[k].shape()[i], function->inputs[k].shape[i]));
      }
    }
  }
  std::vector<std::int64_t> scalars;
  for (const Symbol& symbol : loaded.symbols) {
    if (std::ranges::find(function->symbols, symbol.name) == function->symbols.end()) continue;
    const std::int64_t value = value_of(symbol.name);
    if (value < symbol.low || value > symbol.high) {
      return error("call", fmt::format("{} is {}, but the model was compiled for {}..{}; see --dim", symbol.name, value,
                                       symbol.low, symbol.high));
    }
    scalars.push_back(value);
  }
  TRY(void* const entry, loaded.entry_of(*function));
  std::vector<Array> results;
  std::vector<void*> pointers;
  // Code reads inputs only. What has no elements has no address, and needs one.
  static std::byte nothing{};
  for (const Array& array : in)
    pointers.push_back(array.size() == 0 ? &nothing : const_cast<std::byte*>(array.bytes().data()));
  for (const Tensor& tensor : function->outputs) {
    std::vector<std::int64_t> shape;
    for (const std::string& text : tensor.shape) {
      TRY(const Dim dim, loaded.dim(text));
      shape.push_back(dim.value(value_of));
    }
    results.emplace_back(tensor.type, std::move(shape));
  }
  for (Array& array : results) pointers.push_back(array.size() == 0 ? &nothing : array.writable_bytes().data());
  Arena arena = loaded.take_arena();
  void* const io = pointers.data();
  // In the place of weights, which such a model has inside, those with states take them.
  const void* const weights = state != nullptr ? state : loaded.weights[0] != nullptr ? loaded.weights.data() : nullptr;
  const auto call_with = [&](auto... first) {
    using I = std::int64_t;
    const std::vector<I>& n = scalars;
    if (pointers.empty())
      return reinterpret_cast<int (*)(decltype(first)..., void*, const void*)>(entry)(first..., arena.get(), weights);
    switch (n.size()) {
      case 0:
        return reinterpret_cast<int (*)(decltype(first)..., void*, const void*, const void*)>(entry)(
            first..., arena.get(), weights, io);
      case 1:
        return reinterpret_cast<int (*)(decltype(first)..., void*, const void*, I, const void*)>(entry)(
            first..., arena.get(), weights, n[0], io);
      case 2:
        return reinterpret_cast<int (*)(decltype(first)..., void*, const void*, I, I, const void*)>(entry)(
            first..., arena.get(), weights, n[0], n[1], io);
      case 3:
        return reinterpret_cast<int (*)(decltype(first)..., void*, const void*, I, I, I, const void*)>(entry)(
            first..., arena.get(), weights, n[0], n[1], n[2], io);
      default:
        return reinterpret_cast<int (*)(decltype(first)..., void*, const void*, I, I, I, I, const void*)>(entry)(
            first..., arena.get(), weights, n[0], n[1], n[2], n[3], io);
    }
  };
  const int status = function->takes_threads ? call_with(shared_threads()) : call_with();
  loaded.give_back(std::move(arena));
  if (status != 0)
    return error("call", fmt::format("{} returns status {} (see the enum in the emitted header)", name, status));
  return results;
}

}  // namespace tusk
