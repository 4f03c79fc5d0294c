// tusk: the command.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "codegen/cpp/names.hpp"
#include "driver/budget.hpp"
#include "driver/compile.hpp"
#include "driver/explain.hpp"
#include "driver/package_folder.hpp"
#include "frontend/export/save_model.hpp"
#include "frontend/import/layer_list.hpp"
#include "frontend/import/load_model.hpp"
#include "frontend/import/load_state.hpp"
#include "frontend/model/plot_model.hpp"
#include "frontend/model/summary.hpp"
#include "frontend/model/to_module.hpp"
#include "frontend/ops/operation.hpp"
#include "ir/base/printable.hpp"
#include "passes/pipeline.hpp"
#include "tools/command.hpp"
#include "tools/schedule_flags.hpp"
#include "tools/training.hpp"
#include "tools/verify.hpp"

namespace {

using namespace tusk;

// batch=4, batch=1..64, height=32..1024:32
Expected<DimRange> dim_range(const std::string& text) {
  const Diagnostic wrong =
      error("dim", fmt::format("--dim {}: expected NAME=N, NAME=LOW..HIGH or NAME=LOW..HIGH:STEP", text));
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) return wrong;
  const auto number = [](std::string_view digits, std::int64_t& out) {
    const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    return fault == std::errc{} && end == digits.data() + digits.size();
  };
  DimRange range;
  range.symbol = text.substr(0, equals);
  std::string rest = text.substr(equals + 1);
  if (const std::size_t colon = rest.find(':'); colon != std::string::npos) {
    if (!number(std::string_view(rest).substr(colon + 1), range.step)) return wrong;
    rest.resize(colon);
  }
  const std::size_t dots = rest.find("..");
  const std::string_view view = rest;
  if (!number(view.substr(0, dots), range.low)) return wrong;
  range.high = range.low;
  if (dots != std::string_view::npos && !number(view.substr(dots + 2), range.high)) return wrong;
  if (range.high < range.low) {
    return error("dim", fmt::format("--dim {}: {} is more than {}", text, range.low, range.high));
  }
  if (range.low < 1 || range.step < 1 || range.high > INT32_MAX) {
    return error("dim", fmt::format("--dim {}: the range must lie in 1..{}, its step be at least 1", text, INT32_MAX));
  }
  return range;
}

// 4096, 256K, 1M
Expected<std::int64_t> byte_count(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const std::int64_t factor = unit.empty() ? 1 : unit == "K" ? 1024 : unit == "M" ? 1024 * 1024 : 0;
  std::int64_t bytes = 0;
  if (fault != std::errc{} || value <= 0 || factor == 0 || __builtin_mul_overflow(value, factor, &bytes))
    return error(
        "max-arena-size",
        fmt::format("--max-arena {}: expected bytes, or K (1024) or M (1024 K) of them, such as 4096, 256K or 1M",
                    text));
  return bytes;
}

// A file with all of a model, or its architecture and its weights.
Expected<LoadedModel> read_files(const std::vector<std::string>& files, const LoadOptions& options) {
  if (files.size() == 1) return read_model(files[0], options);
  if (!std::filesystem::exists(files[1]))
    return error("file-access", fmt::format("\"{}\" is taken for a file of weights, and there is none of that name",
                                            printable(files[1])))
        .note("the values of one flag are joined by commas, as in --functions predict,train_step");
  return read_model(files[0], files[1]);
}

Expected<ModuleOptions> ranges_of(const std::vector<std::string>& dims) {
  ModuleOptions out;
  for (const std::string& text : dims) {
    TRY(DimRange range, dim_range(text));
    out.dims.push_back(std::move(range));
  }
  return out;
}

// Flags for both take the place of what the file says, which may be nothing that can be read.
Expected<LoadedModel> load(const std::vector<std::string>& files, const TrainingFlags& training) {
  const bool says_all = training.optimizer && !training.losses.empty();
  const LoadOptions options{.compile = !training.functions.empty() && !says_all};
  return read_files(files, options);
}

struct CompileFlags {
  std::string backend = "cpp", emit;
  std::vector<std::string> files;
  std::optional<std::string> name, max_arena, stop_after;
  std::string folder, weights = "embed", profile = "fma";
  std::vector<std::string> dims, print_after;
  bool keep_batch_norm = false;
  ScheduleFlags schedule;
  TrainingFlags training;
};

Status run_compile(const CompileFlags& flags) {
  EmitOptions options;
  options.profile = flags.profile;
  if (flags.backend == "mlir") options.backend = Backend::mlir;
  if (!flags.emit.empty() && flags.backend != "mlir")
    return error("emit", "--emit is for --backend mlir; C++ is what --backend cpp emits");
  if (flags.emit != "obj") options.emit = flags.emit;
  options.embed_weights = flags.weights == "embed";
  options.stop_after = flags.stop_after.value_or("");
  options.passes.fold_batch_norm = !flags.keep_batch_norm;
  CHECK(read_schedule_flags(flags.schedule, options.passes, &options.more_targets));
  if (flags.max_arena) {
    TRY(options.max_arena, byte_count(*flags.max_arena));
  }
  std::vector<std::string> passes = flags.print_after;
  if (flags.stop_after) passes.push_back(*flags.stop_after);
  std::vector<std::string_view> known;
  for (const Pass& pass : pipeline()) known.push_back(pass.name);
  for (const std::string& name : passes) {
    if (pass_named(name) == nullptr)
      return error("pass", fmt::format("there is no pass `{}`; there are {}", name, fmt::join(known, ", ")));
    const auto at = std::ranges::find(known, name);
    if (at == known.end()) return error("pass", fmt::format("the pass `{}` is no part of compiling", name));
    if (flags.stop_after && at > std::ranges::find(known, *flags.stop_after))
      return error("pass",
                   fmt::format("the pass `{}` runs behind `{}`, where --stop-after ends", name, *flags.stop_after));
  }
  TRY(const ModuleOptions module_options, ranges_of(flags.dims));
  TRY(const LoadedModel loaded, load(flags.files, flags.training));
  TRY(TrainingModule traced, training_module(loaded, flags.training, module_options));
  options.learning_rate = traced.learning_rate;
  const std::filesystem::path path(flags.files[0]);
  options.source = path.filename().string();
  options.sha256 = loaded.sha256;
  options.name = path.stem().string();
  if (flags.name) {
    options.name = *flags.name;
    if (options.name.empty()) return error("name", "--name is empty: it names the namespace and the files");
    if (const std::string other = cpp::global_identifier(options.name); other != options.name) {
      return error("name",
                   fmt::format("--name {}: no C++ namespace can have that name; `{}` can", options.name, other));
    }
  }
  options.observe = [&](const Pass& pass, const Ir& ir) {
    const bool wanted =
        std::find(flags.print_after.begin(), flags.print_after.end(), pass.name) != flags.print_after.end();
    if (wanted) std::cout << "# after " << pass.name << "\n" << print(ir);
    if (flags.stop_after == pass.name && !wanted) std::cout << print(ir);
  };
  options.note = options.passes.note;
  TRY(const auto files, compile(std::move(traced.module), options));
  if (flags.stop_after) return done();
  if (!options.embed_weights && files.contains("manifest.json") && !files.contains(options.name + ".weights")) {
    return error("weights-state",
                 "--weights file: these functions keep the weights in a State, whose first values are embedded")
        .note(
            "leave it out, and load what was trained into the State by `read`; with predict alone, weights can be a "
            "file");
  }
  TRY(const std::vector<std::string> others, write_package(flags.folder, files));
  if (!others.empty()) {
    fmt::print(stderr, "{} has files of other runs, which are no part of this one: {}\n", printable(flags.folder),
               printable(fmt::format("{}", fmt::join(others, ", "))));
  }
  if (options.backend == Backend::mlir && options.passes.target->name == "generic")
    fmt::print(stderr, "note: made for generic machines, in plain loops; --target native is many times as fast here\n");
  return done();
}

struct SummaryFlags {
  std::string file;
  SummaryOptions options;
};

Status run_summary(SummaryFlags flags) {
  TRY(const LoadedModel loaded, read_architecture(flags.file));
  if (flags.options.line_length > 0) flags.options.console_width = flags.options.line_length;
  for (const Array& array : loaded.optimizer) {
    flags.options.optimizer_params += array.size();
    flags.options.optimizer_bytes += array.size() * size_of(array.dtype());
  }
  std::cout << summary(loaded.model, flags.options);
  return done();
}

struct PlotFlags {
  std::string file, to;
  utils::PlotOptions options;
};

Status run_plot(const PlotFlags& flags) {
  TRY(const LoadedModel loaded, read_architecture(flags.file));
  CHECK(catch_errors([&] {
    utils::plot_model(loaded.model, flags.to, flags.options);
    return Done{};
  }));
  return done();
}

Status run_budget(const CompileFlags& flags) {
  EmitOptions options;
  if (flags.max_arena) {
    TRY(options.max_arena, byte_count(*flags.max_arena));
  }
  TRY(const ModuleOptions module_options, ranges_of(flags.dims));
  TRY(const LoadedModel loaded, read_architecture(flags.files[0]));
  TRY(const graph::Module module, to_module(loaded.model, module_options));
  TRY(const Budget budget, budget_of(module, options));
  std::cout << print(budget);
  return done();
}

struct ExplainFlags {
  std::vector<std::string> files, dims;
  bool full = false, records = false;
  ScheduleFlags schedule;
  TrainingFlags training;
};

Status run_explain(const ExplainFlags& flags) {
  PassOptions options;
  CHECK(read_schedule_flags(flags.schedule, options));
  TRY(const ModuleOptions module_options, ranges_of(flags.dims));
  TRY(const LoadedModel loaded, load(flags.files, flags.training));
  TRY(TrainingModule traced, training_module(loaded, flags.training, module_options));
  TRY(const Explanation explanation, explain(std::move(traced.module), options));
  std::cout << (flags.records ? print_records(explanation) : print(explanation, flags.full));
  return done();
}

void add_explain(CLI::App& command, ExplainFlags& flags) {
  command.add_option("file", flags.files, ".keras, .h5 or .hdf5; or a .json and the file of its weights")
      ->required()
      ->expected(1, 2);
  command.add_option("--dim", flags.dims, "range of a symbol: batch=1..64, height=32..1024:32")
      ->allow_extra_args(false);
  CLI::Option* full = command.add_flag("--full", flags.full, "with the kernels and their schedules");
  command.add_flag("--records", flags.records, "print the records of schedules alone, for --schedules")->excludes(full);
  add_schedule_options(command, flags.schedule);
  add_training_options(command, flags.training);
}

Status run_check(const CompileFlags& flags) {
  TRY(const LoadedModel loaded, read_files(flags.files, {}));
  TRY(graph::Module module, to_module(loaded.model));
  TRY(const Ir ir, run_pipeline(std::move(module), {}));
  fmt::print("{}: compiles; {} layers, {} parameters\n", printable(flags.files[0]), loaded.model.layers().size(),
             loaded.model.count_params());
  const auto list = [](std::string_view what, const std::vector<Tensor>& tensors,
                       const std::vector<std::string>& names) {
    for (std::size_t i = 0; i < tensors.size(); ++i)
      fmt::print("{} {}: {} {}\n", what, printable(names[i]), keras_dtype(tensors[i].dtype()),
                 keras_shape(tensors[i].shape()));
  };
  list("input", loaded.model.inputs(), loaded.model.input_names());
  list("output", loaded.model.outputs(), loaded.model.output_names());
  return done();
}

struct ImportFlags {
  std::string state, model, to;
  TrainingFlags training;
};

// The State of an emitted module, back into a file of Keras'.
Status run_import_state(ImportFlags flags) {
  if (flags.training.functions.empty()) flags.training.functions = {"predict", "train_step"};
  TRY(const Bytes bytes, read_file(flags.state));
  TRY(const LoadedModel loaded, read_model(flags.model, {.compile = true}));
  TRY(TrainingModule traced, training_module(loaded, flags.training, {}));
  if (const Status taken = take_state(loaded.model, traced.optimizer, std::move(traced.module), bytes); !taken) {
    Diagnostic problem = taken.problem();
    return problem.note(fmt::format("in file {}", in_quotes(flags.state)));
  }
  CHECK(catch_errors([&] {
    loaded.model.compile(traced.compiled);
    return Done{};
  }));
  return save_model(flags.to, loaded.model);
}

Status run_layers() {
  for (const std::string& name : supported_classes()) fmt::print("{}\n", name);
  return done();
}

Status run_operations() {
  for (const std::string_view name : ops::operation_names()) fmt::print("{}\n", name);
  return done();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Tusk compiles Keras models, ahead of time, into C++ that stands alone.", "tusk"};
  app.set_version_flag("--version", fmt::format("tusk {}", version()));
  app.require_subcommand(1);
  CompileFlags flags;
  CLI::App* compile_command = app.add_subcommand("compile", "a .keras or .h5 file becomes a folder of C++");
  compile_command->add_option("file", flags.files, ".keras, .h5 or .hdf5; or a .json and the file of its weights")
      ->required()
      ->expected(1, 2);
  compile_command->add_option("-o,--output", flags.folder, "the folder to write; made if needed")->required();
  compile_command->add_option("--name", flags.name, "of the emitted files and namespace (the file's own name)");
  compile_command->add_option("--dim", flags.dims, "range of a symbol: batch=1..64, height=32..1024:32")
      ->allow_extra_args(false);
  compile_command->add_option("--weights", flags.weights, "embed them, or write a file")
      ->check(CLI::IsMember({"embed", "file"}));
  compile_command->add_option("--profile", flags.profile, "numerics: fma, or muladd for machines without one")
      ->check(CLI::IsMember({"fma", "muladd"}));
  compile_command->add_option("--backend", flags.backend, "cpp: C++ sources; mlir: an object file, through LLVM")
      ->check(CLI::IsMember({"cpp", "mlir"}));
  compile_command
      ->add_option("--emit", flags.emit, "with --backend mlir: obj (the package), or one file of mlir, llvm or asm")
      ->check(CLI::IsMember({"mlir", "llvm", "asm", "obj"}));
  add_schedule_options(*compile_command, flags.schedule);
  compile_command->add_option("--max-arena", flags.max_arena, "refuse models that need more: 4096, 256K, 1M");
  compile_command->add_option("--print-after", flags.print_after, "print the module after these passes")
      ->delimiter(',')
      ->allow_extra_args(false);
  compile_command->add_option("--stop-after", flags.stop_after, "print the module after this pass and end");
  compile_command->add_flag("--keep-batch-norm", flags.keep_batch_norm, "do not fold batch normalization into weights");
  add_training_options(*compile_command, flags.training);
  VerifyOptions verify;
  CLI::App* verify_command =
      app.add_subcommand("verify", "builds an emitted folder and compares it with recorded calls");
  verify_command->add_option("folder", verify.folder, "what tusk compile wrote")->required();
  verify_command
      ->add_option("recording", verify.recording, ".npz with in/NAME and out/NUMBER, also under set1/, call1/, case1/")
      ->required();
  verify_command->add_option("--model", verify.model, "the model's file: name the first layer that differs");
  verify_command->add_option("--rtol", verify.rtol,
                             "allowed difference, of each output's largest value (2e-5; of models that compute in "
                             "float16 2e-3, in bfloat16 1.6e-2)");
  SummaryFlags summary_flags;
  CLI::App* summary_command = app.add_subcommand("summary", "prints a model's layers, as Keras does");
  summary_command->add_option("file", summary_flags.file, ".keras, .h5, .hdf5, or a .json of the architecture")
      ->required();
  summary_command->add_option("--line-length", summary_flags.options.line_length, "in characters (76, as Keras has it)")
      ->check(CLI::Range(20, 1000));
  summary_command->add_flag("--expand-nested", summary_flags.options.expand_nested, "layers of models inside, too");
  summary_command->add_flag("--show-trainable", summary_flags.options.show_trainable, "which layers training changes");
  PlotFlags plot_flags;
  CLI::App* plot_command = app.add_subcommand("plot", "draws a model (Graphviz)");
  plot_command->add_option("file", plot_flags.file, ".keras, .h5, .hdf5, or a .json of the architecture")->required();
  plot_command->add_option("-o,--output", plot_flags.to, "the picture: .png, .svg, .pdf or .dot")->required();
  plot_command->add_flag("--show-shapes", plot_flags.options.show_shapes, "of inputs and outputs");
  plot_command->add_flag("--show-dtype", plot_flags.options.show_dtype, "of outputs");
  plot_command->add_flag("--show-layer-names", plot_flags.options.show_layer_names, "not only classes");
  plot_command->add_flag("--show-layer-activations", plot_flags.options.show_layer_activations, "by name");
  plot_command->add_flag("--show-trainable", plot_flags.options.show_trainable, "which layers training changes");
  plot_command->add_flag("--expand-nested", plot_flags.options.expand_nested, "models inside as clusters");
  plot_command->add_option("--rankdir", plot_flags.options.rankdir, "TB (downwards) or LR (to the right)")
      ->check(CLI::IsMember({"TB", "LR"}));
  CompileFlags budget_flags;
  CLI::App* budget_command =
      app.add_subcommand("budget", "RAM, weights and multiplications of each layer, before compiling");
  budget_command->add_option("file", budget_flags.files, ".keras, .h5, .hdf5, or a .json of the architecture")
      ->required()
      ->expected(1);
  budget_command->add_option("--dim", budget_flags.dims, "range of a symbol: batch=1..64, height=32..1024:32")
      ->allow_extra_args(false);
  budget_command->add_option("--max-arena", budget_flags.max_arena, "fail if it needs more: 4096, 256K, 1M");
  ExplainFlags explain_flags;
  CLI::App* explain_command = app.add_subcommand(
      "explain", "what each kernel computes and reads, how it is scheduled, and how long that should take");
  add_explain(*explain_command, explain_flags);
  CompileFlags check_flags;
  CLI::App* check_command = app.add_subcommand("check", "says whether a file compiles, and if not, all reasons");
  check_command->add_option("file", check_flags.files, ".keras, .h5 or .hdf5; or a .json and the file of its weights")
      ->required()
      ->expected(1, 2);
  ImportFlags import_flags;
  CLI::App* import_command = app.add_subcommand(
      "import-state",
      "the bytes of the State that emitted code has trained become a .keras file; the model and the flags "
      "are those that it was emitted with");
  import_command->add_option("state", import_flags.state, "the bytes of the struct State")->required();
  import_command->add_option("file", import_flags.model, ".keras or .h5: the model that was compiled")->required();
  import_command->add_option("-o,--output", import_flags.to, "the .keras to write")->required();
  add_training_options(*import_command, import_flags.training);
  CLI::App* layers_command = app.add_subcommand("layers", "lists the layers that are supported");
  CLI::App* operations_command =
      app.add_subcommand("operations", "lists the operations of keras.ops that are supported, by their classes");
  if (const std::optional<int> code = read_options(app, argc, argv)) return *code;
  return run_command([&]() -> Status {
    if (layers_command->parsed()) return run_layers();
    if (operations_command->parsed()) return run_operations();
    if (summary_command->parsed()) return run_summary(summary_flags);
    if (plot_command->parsed()) return run_plot(plot_flags);
    if (budget_command->parsed()) return run_budget(budget_flags);
    if (explain_command->parsed()) return run_explain(explain_flags);
    if (import_command->parsed()) return run_import_state(import_flags);
    if (check_command->parsed()) return run_check(check_flags);
    return verify_command->parsed() ? verify_folder(verify) : run_compile(flags);
  });
}
