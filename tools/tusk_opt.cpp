// tusk-opt: runs passes on the text of any of the three IRs.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "ir/graph/op.hpp"
#include "ir/graph/parse.hpp"
#include "ir/graph/verify.hpp"
#include "ir/kernel/parse.hpp"
#include "ir/kernel/print.hpp"
#include "ir/kernel/verify.hpp"
#include "ir/loop/parse.hpp"
#include "ir/loop/print.hpp"
#include "ir/loop/verify.hpp"
#include "passes/pipeline.hpp"

namespace {

using namespace tusk;

int fail(const Diagnostic& problem) {
  std::cerr << problem.str();
  return 1;
}

std::string read_all(const std::string& file, bool& ok) {
  if (file == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
  std::ifstream in(file, std::ios::binary);
  ok = static_cast<bool>(in);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The first word tells the height; text without a module header is a sample.
enum class Height { graph, kernel, program, loop };
Height height_of(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    if (std::isspace(static_cast<unsigned char>(text[i])) != 0) {
      ++i;
    } else if (text[i] == '#') {
      i = std::min(text.find('\n', i), text.size());
    } else {
      break;
    }
  }
  const std::string_view rest = text.substr(i);
  if (rest.starts_with("kernel") || rest.starts_with("schedule")) return Height::kernel;
  if (rest.starts_with("program")) return Height::program;
  if (rest.starts_with("loop") || rest.starts_with("row")) return Height::loop;
  return Height::graph;
}

Expected<Ir> parse_ir(const std::string& text, const std::string& file) {
  switch (height_of(text)) {
    case Height::loop: {
      Lowered out;
      TRY(out.loops, loop::parse(text, file));
      CHECK(loop::verify(out.loops));
      return Ir(std::move(out));
    }
    case Height::program: {
      TRY(kernel::Program program, kernel::parse_program(text, file));
      return Ir(std::move(program));
    }
    case Height::kernel: {
      kernel::Program program;
      TRY(kernel::Kernels kernels, kernel::parse_kernels(text, file));
      const RangeOf unbounded = [](std::string_view) { return Range{1, 64}; };  // symbols of a bare kernel
      for (const kernel::Kernel& one : kernels.kernels) CHECK(kernel::verify(one, unbounded));
      program.kernels = std::move(kernels.kernels);
      program.schedules = std::move(kernels.schedules);
      return Ir(std::move(program));
    }
    case Height::graph:
      break;
  }
  const bool whole = text.find("module") != std::string::npos && text.find("module") < text.find("func");
  graph::ParseOptions options;
  options.file = file;
  TRY(graph::Module module, whole ? graph::parse(text, options) : graph::parse_sample(text));
  CHECK(graph::verify(module));
  return Ir(std::move(module));
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
  CLI::App app{"Runs passes on IR text and prints the result."};
  std::string file = "-";
  std::vector<std::string> passes;
  std::vector<std::string> print_after;
  std::string stop_after;
  bool all = false;
  bool list = false;
  PassOptions options;
  bool keep_batch_norm = false;
  app.add_option("file", file, "text of a graph, of kernels or of loops; - for standard input");
  app.add_option("--passes", passes, "passes to run, in this order")->delimiter(',');
  app.add_flag("--pipeline", all, "all passes in their order");
  app.add_option("--print-after", print_after, "print the module after these passes, too")->delimiter(',');
  app.add_option("--stop-after", stop_after, "end the pipeline after this pass");
  app.add_flag("--empty-schedule", options.empty_schedule, "every stage at root");
  app.add_flag("--keep-batch-norm", keep_batch_norm, "leave out fold-batch-norm");
  app.add_flag("--list", list, "list the passes");
  bool ops = false;
  app.add_flag("--ops", ops, "print docs/ops.md");
  CLI11_PARSE(app, argc, argv);
  if (ops) {
    print_ops();
    return 0;
  }
  if (list) {
    for (const std::span<const Pass> passes_of : {pipeline(), extra_passes()}) {
      for (const Pass& pass : passes_of) std::cout << fmt::format("{:18} {}\n", pass.name, pass.doc);
    }
    return 0;
  }
  options.fold_batch_norm = !keep_batch_norm;
  bool ok = true;
  const std::string text = read_all(file, ok);
  if (!ok) return fail(error("file", fmt::format("cannot read {}", file)));
  Expected<Ir> read = parse_ir(text, file);
  if (!read) return fail(read.problem());
  Ir ir = *std::move(read);
  if (all || !stop_after.empty()) {
    for (const Pass& pass : pipeline()) passes.emplace_back(pass.name);
  }
  for (const std::string& name : passes) {
    const Pass* pass = pass_named(name);
    if (pass == nullptr) return fail(error("pass", fmt::format("there is no pass `{}`; --list names them", name)));
    Expected<Ir> next = pass->run(std::move(ir), options);
    if (!next) return fail(next.problem());
    ir = *std::move(next);
    if (std::find(print_after.begin(), print_after.end(), name) != print_after.end())
      std::cout << "# after " << name << "\n" << print(ir);
    if (name == stop_after) break;
  }
  std::cout << print(ir);
  return 0;
}
