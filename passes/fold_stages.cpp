#include "passes/fold_stages.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "ir/kernel/affine.hpp"
#include "passes/lower_program.hpp"
#include "passes/plan_memory.hpp"
#include "passes/run_loops.hpp"

namespace tusk {
namespace {

using kernel::ExprRef;
using kernel::Function;
using kernel::Kernel;
using kernel::Program;
using kernel::Schedule;
using kernel::Stage;
using kernel::Step;
using kernel::Tensor;

std::set<std::string> tensors_read(const Stage& stage) {
  std::set<std::string> out;
  for (const ExprRef& expr : expressions_of(stage))
    kernel::for_each_load(expr, [&](const ExprRef& load) { out.insert(load->name); });
  return out;
}

// Whether a stage is the same whatever the sizes are that a function learns as it runs.
bool has_no_symbols(const Stage& stage) {
  const auto is_number = [](const kernel::Index& index) { return index.extent.is_constant(); };
  bool closed = std::ranges::all_of(stage.indices, is_number) &&
                (!stage.reduce || std::ranges::all_of(stage.reduce->indices, is_number));
  for (const ExprRef& expr : expressions_of(stage)) {
    kernel::for_each_node(expr, [&](const ExprRef& node) {
      closed = closed && (node->kind != kernel::Expr::Kind::dim || node->dim.is_constant());
    });
  }
  return closed;
}

constexpr std::int64_t kCopyGrowth = 1 << 20;  // bytes that a copy may have more than twice its constants

struct Call {
  Function* function;
  Step* step;
};

class StageFolding {
 public:
  explicit StageFolding(Program& program) : program_(program) {}

  Status run() {
    for (Function& function : program_.functions) collect(function, function.steps);
    for (std::size_t k = 0; k < program_.kernels.size(); ++k) CHECK(fold(k));
    for (Function& function : program_.functions) drop_tensors(function);
    drop_globals();
    return done();
  }

 private:
  void collect(Function& function, std::vector<Step>& steps) {
    for (Step& step : steps) {
      if (step.kind == Step::Kind::call) calls_[static_cast<std::size_t>(step.kernel)].push_back({&function, &step});
      collect(function, step.body);
    }
  }

  const Tensor& argument(const Call& call, std::size_t param) const {
    return call.function->tensors[static_cast<std::size_t>(call.step->args[param])];
  }

  // The parameters that a stage reads, through what is inline in it; nothing if it depends on anything else than
  // constants.
  std::optional<std::set<std::size_t>> constants_of(std::size_t k, const Stage& stage) const {
    if (!has_no_symbols(stage)) return std::nullopt;
    const Kernel& kernel = program_.kernels[k];
    std::set<std::size_t> out;
    for (const std::string& name : tensors_read(stage)) {
      const auto param = std::ranges::find(kernel.params, name, &kernel::Param::name);
      if (param == kernel.params.end()) {
        if (!program_.schedules[k].is_inline(name)) return std::nullopt;
        const auto inner = constants_of(k, *kernel.stage(name));
        if (!inner) return std::nullopt;
        out.insert(inner->begin(), inner->end());
        continue;
      }
      const auto index = static_cast<std::size_t>(param - kernel.params.begin());
      for (const Call& call : calls_.at(k)) {
        if (argument(call, index).place != Tensor::Place::constant) return std::nullopt;
      }
      out.insert(index);
    }
    if (out.empty()) return std::nullopt;
    return out;
  }

  bool grows(std::size_t k, const Stage& stage) const {
    std::int64_t in = 0;
    const std::set<std::size_t> params = *constants_of(k, stage);
    for (const std::size_t param : params) {
      const kernel::Param& source = program_.kernels[k].params[param];
      in += product(source.shape).constant() * size_of(source.type);
    }
    return product(shape_of(stage)).constant() * size_of(stage.type) > 2 * in + kCopyGrowth;
  }

  Status fold(std::size_t k) {
    if (!calls_.contains(k)) return done();
    const auto folds = [&](const Stage& stage) {
      const kernel::StageSchedule* how = program_.schedules[k].of(stage.name);
      return !program_.schedules[k].is_inline(stage.name) && !is_result(program_.kernels[k], stage.name) &&
             (how == nullptr || how->consumer.empty()) && constants_of(k, stage).has_value() && !grows(k, stage);
    };
    while (true) {
      const std::vector<Stage>& stages = program_.kernels[k].stages;
      const auto it = std::ranges::find_if(stages, folds);
      if (it == stages.end()) return done();
      CHECK(fold(k, *it));
    }
  }

  Status fold(std::size_t k, const Stage stage) {
    Kernel& kernel = program_.kernels[k];
    const std::set<std::size_t> params = *constants_of(k, stage);
    Kernel alone;  // that stage, and what is inline in it
    alone.name = "copy";
    alone.results = {stage.name};
    for (const std::size_t param : params) alone.params.push_back(kernel.params[param]);
    for (const Stage& other : kernel.stages) {
      if (other.name == stage.name || needs(k, stage, other.name)) alone.stages.push_back(other);
    }
    Schedule schedule;
    for (const Stage& other : alone.stages) {
      if (other.name != stage.name) schedule.inline_stages.push_back(other.name);
    }
    // The same constants give the same one.
    std::map<std::vector<int>, int> made;
    for (const Call& call : calls_.at(k)) {
      std::vector<int> globals;
      for (const std::size_t param : params) globals.push_back(argument(call, param).global);
      if (!made.contains(globals)) {
        TRY(Array value, computed(alone, schedule, globals));
        made[globals] = static_cast<int>(program_.globals.size());
        program_.globals.push_back({path_for(globals[0], stage.name, kernel.params[*params.begin()].name), value});
      }
      Tensor tensor;
      tensor.global = made.at(globals);
      const std::size_t first = *params.begin();
      tensor.name = argument(call, first).name + "_" + layout_of(stage.name, kernel.params[first].name);
      while (std::ranges::find(call.function->tensors, tensor.name, &Tensor::name) != call.function->tensors.end())
        tensor.name += "_";
      tensor.type = stage.type;
      tensor.shape = shape_of(stage);
      tensor.place = Tensor::Place::constant;
      tensor.strides = kernel::dense_strides(tensor.shape);
      call.step->args.push_back(static_cast<int>(call.function->tensors.size()));
      call.function->tensors.push_back(std::move(tensor));
    }
    kernel.params.push_back({stage.name, stage.type, shape_of(stage), false});
    Schedule& own = program_.schedules[k];
    const auto drop_stage = [&](const std::string& name) {
      std::erase_if(kernel.stages, [&](const Stage& other) { return other.name == name; });
      std::erase_if(own.stages, [&](const kernel::StageSchedule& record) { return record.stage == name; });
      std::erase(own.inline_stages, name);
    };
    const auto is_read = [&](const std::string& name) {
      return std::ranges::any_of(kernel.stages, [&](const Stage& other) { return tensors_read(other).contains(name); });
    };
    drop_stage(stage.name);
    for (auto other = alone.stages.rbegin(); other != alone.stages.rend(); ++other) {
      if (other->name != stage.name && !is_read(other->name)) drop_stage(other->name);
    }
    for (auto param = params.rbegin(); param != params.rend(); ++param) {
      if (is_read(kernel.params[*param].name)) continue;
      const auto at = static_cast<std::ptrdiff_t>(*param);
      kernel.params.erase(kernel.params.begin() + at);
      for (const Call& call : calls_.at(k)) call.step->args.erase(call.step->args.begin() + at);
    }
    return done();
  }

  bool needs(std::size_t k, const Stage& stage, const std::string& name) const {
    for (const std::string& read : tensors_read(stage)) {
      if (!program_.schedules[k].is_inline(read)) continue;
      if (read == name || needs(k, *program_.kernels[k].stage(read), name)) return true;
    }
    return false;
  }

  static std::string layout_of(const std::string& stage, const std::string& param) {
    return stage.starts_with(param + "_") ? stage.substr(param.size() + 1) : stage;
  }

  // `conv/kernel` as stage kernel_packed: conv/kernel/packed.
  std::string path_for(int global, const std::string& stage, const std::string& param) const {
    std::string path = program_.globals[static_cast<std::size_t>(global)].path + "/" + layout_of(stage, param);
    while (std::ranges::find(program_.globals, path, &kernel::Global::path) != program_.globals.end()) path += "_";
    return path;
  }

  Expected<Array> computed(const Kernel& kernel, const Schedule& schedule, const std::vector<int>& globals) const {
    Program program;
    program.name = "folded";
    program.profile = program_.profile;
    program.kernels.push_back(kernel);
    program.schedules.push_back(schedule);
    Function& function = program.functions.emplace_back();
    function.name = "folded";
    Step step;
    step.kernel = 0;
    const auto add = [&](const std::string& name, DType type, const Shape& shape, Tensor::Place place) {
      Tensor tensor;
      tensor.name = name;
      tensor.type = type;
      tensor.shape = shape;
      tensor.place = place;
      tensor.strides = kernel::dense_strides(shape);
      if (place == Tensor::Place::constant) tensor.global = static_cast<int>(program.globals.size());
      function.tensors.push_back(std::move(tensor));
      return static_cast<int>(function.tensors.size()) - 1;
    };
    for (std::size_t p = 0; p < globals.size(); ++p) {
      const kernel::Param& param = kernel.params[p];
      step.args.push_back(add(param.name, param.type, param.shape, Tensor::Place::constant));
      program.globals.push_back(program_.globals[static_cast<std::size_t>(globals[p])]);
    }
    const Stage& result = *kernel.stage(kernel.results[0]);
    step.results = {add(result.name, result.type, shape_of(result), Tensor::Place::output)};
    function.outputs = step.results;
    function.steps.push_back(std::move(step));
    program = plan_memory(std::move(program));
    TRY(const loop::Module loops, lower_program(program));
    TRY(std::vector<Array> values, run_loops(program, loops, "folded", {}, {}));
    return std::move(values[0]);
  }

  // Constants that no step takes.
  static void drop_tensors(Function& function) {
    std::vector<bool> used(function.tensors.size(), false);
    const auto use = [&](int id) {
      if (id >= 0) used[static_cast<std::size_t>(id)] = true;
    };
    const std::function<void(std::vector<Step>&, const std::function<void(int&)>&)> each_id =
        [&](std::vector<Step>& steps, const std::function<void(int&)>& visit) {
          for (Step& step : steps) {
            for (std::vector<int>* ids : {&step.args, &step.results, &step.scratch}) std::ranges::for_each(*ids, visit);
            visit(step.condition);
            each_id(step.body, visit);
          }
        };
    each_id(function.steps, [&](int& id) { use(id); });
    for (const int id : function.inputs) use(id);
    for (const int id : function.outputs) use(id);
    for (const Tensor& tensor : function.tensors) use(tensor.base);
    std::vector<int> moved(function.tensors.size(), -1);
    std::vector<Tensor> kept;
    for (std::size_t i = 0; i < function.tensors.size(); ++i) {
      if (!used[i] && function.tensors[i].place == Tensor::Place::constant) continue;
      moved[i] = static_cast<int>(kept.size());
      kept.push_back(std::move(function.tensors[i]));
    }
    function.tensors = std::move(kept);
    const auto renumber = [&](int& id) {
      if (id >= 0) id = moved[static_cast<std::size_t>(id)];
    };
    each_id(function.steps, renumber);
    std::ranges::for_each(function.inputs, renumber);
    std::ranges::for_each(function.outputs, renumber);
    for (Tensor& tensor : function.tensors) renumber(tensor.base);
  }

  void drop_globals() {
    std::vector<bool> used(program_.globals.size(), false);
    for (const Function& function : program_.functions) {
      for (const Tensor& tensor : function.tensors) {
        if (tensor.global >= 0) used[static_cast<std::size_t>(tensor.global)] = true;
      }
    }
    std::vector<int> moved(program_.globals.size(), -1);
    std::vector<kernel::Global> kept;
    for (std::size_t i = 0; i < program_.globals.size(); ++i) {
      if (!used[i] && !program_.globals[i].is_state) continue;
      moved[i] = static_cast<int>(kept.size());
      kept.push_back(std::move(program_.globals[i]));
    }
    program_.globals = std::move(kept);
    for (Function& function : program_.functions) {
      for (Tensor& tensor : function.tensors) {
        if (tensor.global >= 0) tensor.global = moved[static_cast<std::size_t>(tensor.global)];
      }
    }
  }

  Program& program_;
  std::map<std::size_t, std::vector<Call>> calls_;
};

}  // namespace

Expected<Program> fold_stages(Program program) {
  CHECK(StageFolding(program).run());
  return program;
}

}  // namespace tusk
