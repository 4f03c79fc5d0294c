#include "tools/trace_layers.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "driver/compile.hpp"
#include "driver/compiled.hpp"
#include "driver/temporary_folder.hpp"
#include "frontend/import/load_model.hpp"
#include "frontend/model/to_module.hpp"
#include "ir/base/compare.hpp"
#include "ir/graph/bind.hpp"
#include "ir/graph/interpret.hpp"
#include "tools/recording.hpp"

namespace tusk {
namespace {

namespace fs = std::filesystem;
using Files = std::map<std::string, std::string>;

// How the folder was compiled, as its manifest says.
struct Settings {
  EmitOptions compile;
  ModuleOptions module;
  bool has_state = false;
};

Expected<Settings> settings_of(const std::string& folder) {
  std::ifstream in(fs::path(folder) / "manifest.json");
  const nlohmann::json manifest = nlohmann::json::parse(in, nullptr, false);
  Settings out;
  try {
    out.compile.name = manifest.at("name").get<std::string>();
    out.compile.source = manifest.at("source").get<std::string>();
    out.compile.sha256 = manifest.at("sha256").get<std::string>();
    out.has_state = manifest.contains("state");
    out.compile.profile = manifest.at("profile").get<std::string>();
    out.compile.embed_weights = manifest.at("weights").at("embedded").get<bool>();
    for (const nlohmann::json& symbol : manifest.at("symbols")) {
      out.module.dims.push_back({symbol.at("name").get<std::string>(), symbol.at("low").get<std::int64_t>(),
                                 symbol.at("high").get<std::int64_t>(), symbol.at("step").get<std::int64_t>()});
    }
    out.compile.passes.fold_batch_norm = !manifest.at("passes_that_change_bits").empty();
  } catch (const nlohmann::json::exception& problem) {
    return error("manifest", fmt::format("{}/manifest.json: {}", folder, problem.what()));
  }
  return out;
}

// The first line that differs, and the last line above it that is nothing but a comment, which names a kernel or a
// weight.
std::optional<std::string> differing_line(const std::string& found, const std::string& expected) {
  std::istringstream a(found);
  std::istringstream b(expected);
  std::string line_a;
  std::string line_b;
  std::string comment;
  for (int number = 1;; ++number) {
    const bool more_a = static_cast<bool>(std::getline(a, line_a));
    const bool more_b = static_cast<bool>(std::getline(b, line_b));
    if (!more_a && !more_b) return std::nullopt;
    const std::size_t begin = more_b ? line_b.find_first_not_of(' ') : std::string::npos;
    if (begin != std::string::npos && line_b.compare(begin, 3, "// ") == 0) comment = line_b.substr(begin + 3);
    if (more_a != more_b || line_a != line_b) return fmt::format("line {}, below the comment \"{}\"", number, comment);
  }
}

Expected<std::optional<std::string>> changed_file(const std::string& folder, const LoadedModel& loaded,
                                                  const Settings& settings) {
  if (settings.has_state) return std::optional<std::string>{};  // how it trains, the manifest does not say
  Settings s = settings;                                        // with the self-test, which is one of the files
  s.compile.sha256 = loaded.sha256;
  TRY(graph::Module module, to_module(loaded.model, s.module));
  TRY(const Files files, compile(std::move(module), s.compile));
  for (const auto& [name, expected] : files) {
    if (name == "manifest.json" || name.ends_with(".svg")) continue;
    std::ifstream in(fs::path(folder) / name, std::ios::binary);
    const std::string found(std::istreambuf_iterator<char>(in), {});
    if (const auto line = differing_line(found, expected))
      return std::optional(fmt::format("{} is not what {} compiles to: {}", name, loaded.file, *line));
  }
  return std::optional<std::string>{};
}

// The same model with every tensor between its layers as an output.
Model all_layers(const Model& model) {
  std::vector<Tensor> outputs;
  for (const auto& node : model.functional().nodes) {
    if (node->inputs.empty()) continue;
    for (std::size_t i = 0; i < node->outputs.size(); ++i)
      outputs.emplace_back(Tensor::Result{node, static_cast<int>(i)});
  }
  return Model(model.inputs(), outputs);
}

}  // namespace

Expected<std::string> other_model(const VerifyOptions& options) {
  TRY(const LoadedModel loaded, read_model(options.model));
  TRY(const Settings settings, settings_of(options.folder));
  if (loaded.sha256 == settings.compile.sha256) return std::string();
  return fmt::format("{} is not the {} that {} was compiled from: its SHA-256 is {}, in the manifest {}", options.model,
                     settings.compile.source, options.folder, loaded.sha256, settings.compile.sha256);
}

Expected<std::string> first_difference(const VerifyOptions& options, const std::vector<Array>& inputs) {
  TRY(const LoadedModel loaded, read_model(options.model));
  TRY(const Settings settings, settings_of(options.folder));
  TRY(const std::optional<std::string> changed, changed_file(options.folder, loaded, settings));
  if (changed) return *changed;

  const Model layered = all_layers(loaded.model);
  TRY(const graph::Module module, to_module(layered, settings.module));
  const graph::Function& function = module.functions.front();
  std::vector<std::vector<std::int64_t>> shapes;
  for (const Array& input : inputs) shapes.push_back(input.shape());
  TRY(const graph::SymbolValues symbols, graph::bind_symbols(module, function, shapes));
  TRY(const std::vector<Array> truth, graph::interpret(module, function, inputs, symbols));

  EmitOptions compile_options = settings.compile;
  compile_options.name = "layers";
  compile_options.embed_weights = true;
  compile_options.self_test = false;
  TRY(const Files files, compile(module, compile_options));
  TRY(const TemporaryFolder folder, TemporaryFolder::make());
  CHECK(write_files(folder.path().string(), files));
  TRY(const CompiledModel compiled, CompiledModel::load(folder.path().string()));
  TRY(const std::vector<Array> results, compiled.predict(inputs));
  for (std::size_t k = 0; k < results.size(); ++k) {
    const double apart = relative_difference(results[k], truth[k]);
    if (apart <= options.rtol.value_or(compiled.tolerance())) continue;
    const Node& node = *layered.outputs()[k].result()->node;
    return fmt::format("the first layer that differs from the double interpreter is {}: {:.2e} of its largest value",
                       node.layer->name(), apart);
  }
  return fmt::format(
      "every layer of {} agrees with the double interpreter: the recording is of another model, other weights or other "
      "inputs",
      options.model);
}

}  // namespace tusk
