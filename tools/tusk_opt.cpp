// tusk-opt: runs passes on the text of any of the three IRs.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "codegen/mlir/load.hpp"
#include "codegen/mlir/print.hpp"
#include "codegen/mlir/processor.hpp"
#include "ir/graph/op.hpp"
#include "ir/graph/parse.hpp"
#include "ir/graph/verify.hpp"
#include "ir/kernel/parse.hpp"
#include "ir/kernel/print.hpp"
#include "ir/kernel/verify.hpp"
#include "ir/loop/parse.hpp"
#include "ir/loop/print.hpp"
#include "ir/loop/verify.hpp"
#include "ir/text/lexer.hpp"
#include "passes/pipeline.hpp"
#include "tools/command.hpp"
#include "tools/schedule_flags.hpp"

namespace {

using namespace tusk;

// The first word tells the height; text without a module header is a sample.
enum class Height { module, sample, kernel, program, loop };
Height height_of(const std::string& text) {
  const text::Token first = text::Lexer("", text).peek();
  if (first.kind != text::Token::Kind::word) return Height::sample;
  if (first.text == "kernel" || first.text == "schedule") return Height::kernel;
  if (first.text == "program") return Height::program;
  if (first.text == "loop" || first.text == "row" || first.text == "note") return Height::loop;
  return first.text == "module" ? Height::module : Height::sample;
}

// An error of a verifier knows no place in a text: it names the file.
Status in_file(Status status, const std::string& file) {
  if (!status && !status.problem().spot) status.problem().spot = SourceSpot{file, 0, 0, {}};
  return status;
}

Expected<Ir> parse_ir(const std::string& text, const std::string& file) {
  switch (height_of(text)) {
    case Height::loop: {
      Lowered out;
      TRY(out.loops, loop::parse(text, file));
      CHECK(in_file(loop::verify(out.loops), file));
      return Ir(std::move(out));
    }
    case Height::program: {
      TRY(kernel::Program program, kernel::parse_program(text, file));
      CHECK(in_file(kernel::verify(program), file));
      return Ir(std::move(program));
    }
    case Height::kernel: {
      kernel::Program program;
      TRY(kernel::Kernels kernels, kernel::parse_kernels(text, file));
      const RangeOf unbounded = [](std::string_view) { return Range{1, 64}; };  // symbols of a bare kernel
      for (std::size_t i = 0; i < kernels.kernels.size(); ++i) {
        CHECK(in_file(kernel::verify(kernels.kernels[i], unbounded), file));
        CHECK(in_file(kernel::verify(kernels.kernels[i], kernels.schedules[i]), file));
      }
      program.kernels = std::move(kernels.kernels);
      program.schedules = std::move(kernels.schedules);
      return Ir(std::move(program));
    }
    case Height::module:
    case Height::sample:
      break;
  }
  graph::ParseOptions options;
  options.file = file;
  const bool whole = height_of(text) == Height::module;
  TRY(graph::Module module, whole ? graph::parse(text, options) : graph::parse_sample(text, file));
  CHECK(in_file(graph::verify(module), file));
  return Ir(std::move(module));
}

// Every pass that an option names exists; the one to stop after is among those that run.
Status check_passes(const std::vector<std::string>& run, const std::vector<std::string>& print_after,
                    const std::string& stop_after) {
  for (const std::vector<std::string>& names : {run, print_after, std::vector<std::string>{stop_after}}) {
    for (const std::string& name : names) {
      if (!name.empty() && pass_named(name) == nullptr)
        return error("pass", fmt::format("there is no pass `{}`; --list names them", name));
    }
  }
  if (!stop_after.empty() && std::find(run.begin(), run.end(), stop_after) == run.end())
    return error("pass", fmt::format("the pass `{}` is not run, so nothing stops after it", stop_after));
  const auto end = stop_after.empty() ? run.end() : std::ranges::find(run, stop_after) + 1;
  for (const std::string& name : print_after) {
    if (std::find(run.begin(), end, name) == end)
      return error("pass", fmt::format("the pass `{}` is not run, so nothing is printed after it", name));
  }
  return done();
}

// Loops as MLIR text, or what the plug-in makes of it.
Expected<std::string> emitted(const Ir& ir, std::string_view kind, const TargetMachine& target) {
  const auto* lowered = std::get_if<Lowered>(&ir);
  if (lowered == nullptr) return error("emit", "--emit needs loops; --pipeline or --passes lower-loops makes them");
  std::vector<std::string> entries;
  for (const loop::Func& func : lowered->loops.funcs) entries.push_back(func.name);
  TRY(const std::string text,
      mlir::print_module(lowered->loops, entries, mlir::options_for(target, lowered->program.profile)));
  if (kind == "mlir") return text;
  TRY(const mlir::Backend* backend, mlir::find_backend());
  std::vector<std::string> symbols;
  for (const std::string& entry : entries) symbols.push_back(mlir::kernel_symbol(entry));
  const mlir::Job job{text, mlir::processor_of(target), symbols};
  return mlir::emit(*backend, job, kind == "llvm" ? mlir::Output::llvm : mlir::Output::assembly);
}

// docs/ops.md, from the ops' own records.
void print_ops() {
  std::cout << "# Ops\n\nMade by `tusk-opt --ops` from the records in `ir/ops/`. Grammar and meaning of the forms: "
               "[ir.md](ir.md).\n";
  for (const graph::OpDef* op : graph::ops()) {
    std::cout << "\n## " << op->name << "\n\n" << op->doc << "\n";
    if (!op->variants.empty()) {
      std::cout << "\nVariants:";
      for (const std::string_view variant : op->variants) std::cout << " `" << op->name << "." << variant << "`";
      std::cout << "\n";
    }
    if (!op->attrs.empty()) std::cout << "\n";
    for (const graph::AttrSpec& attr : op->attrs) std::cout << "- `" << attr.name << "`: " << attr.doc << "\n";
    if (!op->constraints.empty()) std::cout << "\n";
    for (const graph::Constraint& c : op->constraints)
      std::cout << "- **" << op->name << "-" << c.label << "** " << c.text << "\n";
    if (!op->gradient_note.empty()) std::cout << "\nGradient: " << op->gradient_note << ".\n";
    if (!op->body.empty()) std::cout << "\n```\n" << op->body << "\n```\n";
    if (!op->samples.empty()) std::cout << "\n```\n" << op->samples.front() << "\n```\n";
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Runs passes on IR text and prints the result.", "tusk-opt"};
  std::string file = "-";
  std::vector<std::string> passes;
  std::vector<std::string> print_after;
  std::string stop_after;
  bool all = false;
  bool list = false;
  PassOptions options;
  bool keep_batch_norm = false;
  app.add_option("file", file, "text of a graph, of kernels or of loops; - for standard input");
  app.add_option("--passes", passes, "passes to run, in this order: lower,simplify")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_flag("--pipeline", all, "all passes in their order");
  app.add_option("--print-after", print_after, "print the module after these passes, too")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--stop-after", stop_after, "end the pipeline after this pass");
  ScheduleFlags schedule;
  add_schedule_options(app, schedule);
  app.add_flag("--keep-batch-norm", keep_batch_norm, "leave out fold-batch-norm");
  app.add_flag("--list", list, "list the passes");
  std::string emit;
  app.add_option("--emit", emit, "loops in another form: mlir, llvm, asm")
      ->check(CLI::IsMember({"mlir", "llvm", "asm"}));
  bool ops = false;
  app.add_flag("--ops", ops, "print docs/ops.md");
  if (const std::optional<int> code = read_options(app, argc, argv)) return *code;
  return run_command([&]() -> Status {
    if (ops) {
      print_ops();
      return done();
    }
    if (list) {
      for (const std::span<const Pass> passes_of : {pipeline(), extra_passes()}) {
        for (const Pass& pass : passes_of) std::cout << fmt::format("{:18} {}\n", pass.name, pass.doc);
      }
      return done();
    }
    options.fold_batch_norm = !keep_batch_norm;
    CHECK(read_schedule_flags(schedule, options));
    if (all || !stop_after.empty()) {
      for (const Pass& pass : pipeline()) passes.emplace_back(pass.name);
    }
    if (const Status ok = check_passes(passes, print_after, stop_after); !ok) return ok.problem();
    const Expected<std::string> text = read_text(file);
    if (!text) return text.problem();
    Expected<Ir> read = parse_ir(*text, file);
    if (!read) return read.problem();
    Ir ir = *std::move(read);
    for (const std::string& name : passes) {
      Expected<Ir> next = pass_named(name)->run(std::move(ir), options);
      if (!next) return next.problem();
      ir = *std::move(next);
      if (std::find(print_after.begin(), print_after.end(), name) != print_after.end())
        std::cout << "# after " << name << "\n" << print(ir);
      if (name == stop_after) break;
    }
    if (emit.empty()) {
      std::cout << print(ir);
    } else {
      TRY(const std::string printed, emitted(ir, emit, *options.target));
      std::cout << printed;
    }
    return done();
  });
}
