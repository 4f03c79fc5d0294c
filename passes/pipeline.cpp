#include "passes/pipeline.hpp"

#include <fmt/format.h>

#include "ir/graph/print.hpp"
#include "ir/graph/verify.hpp"
#include "ir/kernel/print.hpp"
#include "ir/kernel/verify.hpp"
#include "ir/loop/print.hpp"
#include "ir/text/count.hpp"
#include "passes/choose_layouts.hpp"
#include "passes/differentiate.hpp"
#include "passes/expand_composites.hpp"
#include "passes/fold_batch_norm.hpp"
#include "passes/fold_constants.hpp"
#include "passes/fold_stages.hpp"
#include "passes/fuse.hpp"
#include "passes/lower.hpp"
#include "passes/lower_program.hpp"
#include "passes/plan_memory.hpp"
#include "passes/schedule.hpp"
#include "passes/schedule_records.hpp"
#include "passes/simplify.hpp"

namespace tusk {
namespace {

// A pass on one height, as a pass on Ir. A text of another height is a user's error (tusk-opt).
template <class Height>
Expected<Height> at_height(Ir ir, std::string_view pass) {
  if (Height* module = std::get_if<Height>(&ir)) return std::move(*module);
  static constexpr std::string_view kHeights[] = {"graph", "kernel", "loop"};
  return error("pass-height", fmt::format("pass {} does not run on {} IR", pass, kHeights[ir.index()]));
}

// A program that a pass has made, with or without new kernels.
Expected<Ir> verified(kernel::Program program, std::string_view pass, bool kernels = true) {
  Status ok = kernels ? kernel::verify(program) : kernel::verify_functions(program);
  if (!ok) return ok.problem().note(fmt::format("after the pass {}", pass));
  return Ir(std::move(program));
}

// Memory is planned: every stage at root has a tensor of its own, and the arena has room.
Status check_planned(const kernel::Program& program, const std::vector<kernel::Step>& steps, bool empty_schedule) {
  for (const kernel::Step& step : steps) {
    if (step.kind != kernel::Step::Kind::call) {
      CHECK(check_planned(program, step.body, empty_schedule));
      continue;
    }
    const auto id = static_cast<std::size_t>(step.kernel);
    const kernel::Schedule schedule = empty_schedule ? kernel::Schedule{} : program.schedules[id];
    const std::size_t stages = scratch_stages(program.kernels[id], schedule).size();
    if (stages == step.scratch.size()) continue;
    return error("not-planned",
                 fmt::format("kernel `{}` needs memory for {}, found {}; run plan-memory first",
                             program.kernels[id].name, text::count_of(stages, "stage"), step.scratch.size()));
  }
  return done();
}

Status check_planned(const kernel::Program& program, bool empty_schedule) {
  for (const kernel::Function& function : program.functions) {
    CHECK(check_planned(program, function.steps, empty_schedule));
    const kernel::Tensor* unplaced = nullptr;
    const std::function<void(const std::vector<kernel::Step>&)> look = [&](const std::vector<kernel::Step>& steps) {
      for (const kernel::Step& step : steps) {
        look(step.body);
        for (const int id : step.results) {
          const kernel::Tensor& tensor = function.tensors[static_cast<std::size_t>(id)];
          const bool empty = product(tensor.shape).range(program.range_of()).high == 0;
          if (tensor.place == kernel::Tensor::Place::arena && !empty) unplaced = &tensor;
        }
      }
    };
    if (function.arena_bytes == 0) look(function.steps);
    if (unplaced != nullptr)
      return error("not-planned", fmt::format("tensor `{}` of `{}` has no place in the arena; run plan-memory first",
                                              unplaced->name, function.name));
  }
  return done();
}

Expected<Ir> shape_check(Ir ir, const PassOptions&) {
  TRY(graph::Module module, at_height<graph::Module>(std::move(ir), "shape-check"));
  CHECK(graph::verify(module));
  return Ir(std::move(module));
}

Expected<Ir> run_simplify(Ir ir, const PassOptions&) {
  TRY(graph::Module module, at_height<graph::Module>(std::move(ir), "simplify"));
  CHECK(simplify(module));
  return Ir(std::move(module));
}

Expected<Ir> run_fold_constants(Ir ir, const PassOptions&) {
  TRY(graph::Module module, at_height<graph::Module>(std::move(ir), "fold-constants"));
  CHECK(fold_constants(module));
  return Ir(std::move(module));
}

Expected<Ir> run_fold_batch_norm(Ir ir, const PassOptions& options) {
  TRY(graph::Module module, at_height<graph::Module>(std::move(ir), "fold-batch-norm"));
  if (options.fold_batch_norm) CHECK(fold_batch_norm(module));
  return Ir(std::move(module));
}

Expected<Ir> run_expand(Ir ir, const PassOptions&) {
  TRY(graph::Module module, at_height<graph::Module>(std::move(ir), "expand-composites"));
  CHECK(expand_composites(module));
  return Ir(std::move(module));
}

Expected<Ir> run_lower(Ir ir, const PassOptions&) {
  TRY(const graph::Module module, at_height<graph::Module>(std::move(ir), "lower"));
  TRY(kernel::Program program, lower(module));
  return verified(std::move(program), "lower");
}

Expected<Ir> run_fuse(Ir ir, const PassOptions&) {
  TRY(kernel::Program program, at_height<kernel::Program>(std::move(ir), "fuse"));
  return verified(fuse(std::move(program)), "fuse");
}

Expected<Ir> run_layouts(Ir ir, const PassOptions&) {
  TRY(kernel::Program program, at_height<kernel::Program>(std::move(ir), "choose-layouts"));
  return verified(choose_layouts(std::move(program)), "choose-layouts", false);
}

Expected<Ir> run_schedule(Ir ir, const PassOptions& options) {
  TRY(kernel::Program program, at_height<kernel::Program>(std::move(ir), "schedule"));
  if (options.empty_schedule) return Ir(std::move(program));
  if (options.records.empty()) return verified(schedule(std::move(program), *options.target), "schedule");
  TRY(Scheduled scheduled, schedule_by_records(std::move(program), *options.target, options.records));
  for (const std::string& key : scheduled.unused) {
    if (options.note) options.note(no_kernel_has(key));
  }
  return verified(std::move(scheduled.program), "schedule");
}

Expected<Ir> run_fold_stages(Ir ir, const PassOptions& options) {
  TRY(kernel::Program program, at_height<kernel::Program>(std::move(ir), "fold-stages"));
  if (options.empty_schedule) return Ir(std::move(program));
  TRY(kernel::Program folded, fold_stages(std::move(program)));
  return verified(std::move(folded), "fold-stages");
}

Expected<Ir> run_plan(Ir ir, const PassOptions& options) {
  TRY(kernel::Program program, at_height<kernel::Program>(std::move(ir), "plan-memory"));
  if (options.empty_schedule) program.schedules.assign(program.kernels.size(), {});
  return verified(plan_memory(std::move(program)), "plan-memory", false);
}

Expected<Ir> run_lower_loops(Ir ir, const PassOptions& options) {
  TRY(kernel::Program program, at_height<kernel::Program>(std::move(ir), "lower-loops"));
  CHECK(check_planned(program, options.empty_schedule));
  Lowered out;
  TRY(out.loops, lower_program(program, {options.empty_schedule, options.brute_force_where}));
  out.program = std::move(program);
  return Ir(std::move(out));
}

Expected<Ir> run_differentiate(Ir ir, const PassOptions&) {
  TRY(graph::Module module, at_height<graph::Module>(std::move(ir), "differentiate"));
  const std::size_t count = module.functions.size();
  for (std::size_t i = 0; i < count; ++i) {
    TRY(graph::Function gradient, differentiate(module, graph::Function(module.functions[i])));
    module.functions.push_back(std::move(gradient));
  }
  return Ir(std::move(module));
}

constexpr Pass kPipeline[] = {
    {"shape-check", "Every op's shape rule, run again; user errors end here.", shape_check},
    // Before folding, so that a pad that joins a convolution is gone before its kernel is scaled.
    {"simplify", "Exact rewrites: identities, views of views, padding into convolutions, dead code.", run_simplify},
    // Needs whole `normalize` ops, so it stands before they are expanded.
    {"fold-batch-norm",
     "A batch normalization behind a convolution becomes part of its constant weights (changes bits).",
     run_fold_batch_norm},
    {"expand-composites", "Composite ops become their IR text.", run_expand},
    // After expansion: the constants inside composites (1 / sqrt(variance + epsilon)) are computed here, once.
    {"fold-constants", "Ops on constants are run by the loop interpreter.", run_fold_constants},
    {"lower", "Every op becomes a kernel of stages, with the order of every sum.", run_lower},
    {"fuse", "Elementwise neighbours become stages of one kernel, views are substituted.", run_fuse},
    {"choose-layouts", "Slices are views; what is concatenated or returned is stored in place.", run_layouts},
    // Behind layouts, for lanes lie along what is contiguous.
    {"schedule", "Register tiles for the target, copies that put operands along their lanes.", run_schedule},
    {"fold-stages", "Copies of constants are made now, so that weights lie as kernels read them.", run_fold_stages},
    // After layouts, whose views extend lifetimes.
    {"plan-memory", "Every tensor of the arena gets an offset.", run_plan},
    {"lower-loops", "Kernels become loops by their schedules.", run_lower_loops},
};

constexpr Pass kExtra[] = {
    {"differentiate", "Adds NAME_grad for every function.", run_differentiate},
};

}  // namespace

std::span<const Pass> pipeline() { return kPipeline; }
std::span<const Pass> extra_passes() { return kExtra; }

const Pass* pass_named(std::string_view name) {
  for (const std::span<const Pass> list : {pipeline(), extra_passes()}) {
    for (const Pass& pass : list) {
      if (pass.name == name) return &pass;
    }
  }
  return nullptr;
}

Expected<Ir> run_pipeline(graph::Module module, const PassOptions& options, std::string_view stop_after,
                          const std::function<void(const Pass&, const Ir&)>& observe) {
  Ir ir = std::move(module);
  for (const Pass& pass : pipeline()) {
    TRY(ir, pass.run(std::move(ir), options));
    if (observe) observe(pass, ir);
    if (pass.name == stop_after) break;
  }
  return ir;
}

std::string print(const Ir& ir) {
  struct {
    std::string operator()(const graph::Module& module) const { return graph::print(module); }
    std::string operator()(const kernel::Program& program) const { return kernel::print(program); }
    std::string operator()(const Lowered& lowered) const { return loop::print(lowered.loops); }
  } visitor;
  return std::visit(visitor, ir);
}

}  // namespace tusk
