#include "passes/fuse.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "ir/kernel/affine.hpp"

namespace tusk {
namespace {

using kernel::Expr;
using kernel::ExprRef;
using kernel::Kernel;
using kernel::Schedule;
using kernel::Stage;
using kernel::Step;
using kernel::Tensor;

void for_each_expr(Stage& stage, const std::function<void(ExprRef&)>& visit) {
  visit(stage.expr);
  if (!stage.reduce) return;
  if (stage.reduce->from) visit(stage.reduce->from);
  for (kernel::Equality& equality : stage.reduce->where) visit(equality.value);
}

std::vector<const Expr*> loads_of(const Kernel& kernel, std::string_view tensor) {
  std::vector<const Expr*> out;
  for (const Stage& stage : kernel.stages) {
    for (const ExprRef& expr : kernel::expressions_of(stage)) {
      kernel::for_each_load(expr, [&](const ExprRef& load) {
        if (load->name == tensor) out.push_back(load.get());
      });
    }
  }
  return out;
}

// tensor[i, j, ...] with exactly these indices in this order, and no `else`.
bool reads_at(const Expr& load, const std::vector<kernel::Index>& indices) {
  if (load.has_else || load.operands.size() != indices.size()) return false;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    if (load.operands[i]->kind != Expr::Kind::index || load.operands[i]->name != indices[i].name) return false;
  }
  return true;
}

bool has_data_or_division(const ExprRef& index) {
  if (index->kind == Expr::Kind::load) return true;
  if (index->kind == Expr::Kind::row && (index->row->basic == Basic::div || index->row->basic == Basic::rem))
    return true;
  return std::any_of(index->operands.begin(), index->operands.end(), has_data_or_division);
}

class Fusion {
 public:
  explicit Fusion(kernel::Program program) : program_(std::move(program)) {}

  kernel::Program run() {
    for (kernel::Function& function : program_.functions) {
      function_ = &function;
      fuse_steps(function.steps);
    }
    drop_unused_kernels();
    return std::move(program_);
  }

 private:
  Kernel& kernel_of(const Step& step) { return program_.kernels[static_cast<std::size_t>(step.kernel)]; }
  Schedule& schedule_of(const Step& step) { return program_.schedules[static_cast<std::size_t>(step.kernel)]; }
  const Tensor& tensor(int id) const { return function_->tensors[static_cast<std::size_t>(id)]; }

  void fuse_steps(std::vector<Step>& steps) {
    for (Step& step : steps) {
      if (step.kind != Step::Kind::call) fuse_steps(step.body);
    }
    for (std::size_t i = 0; i < steps.size();) {
      if (substitute_view(steps, i)) {
        steps.erase(steps.begin() + static_cast<std::ptrdiff_t>(i));
      } else {
        ++i;
      }
    }
    for (std::size_t i = 0; i < steps.size(); ++i) {
      while (true) {
        const std::optional<std::size_t> producer = producer_to_join(steps, i);
        if (!producer) break;
        merge(steps[*producer], steps[i]);
        steps.erase(steps.begin() + static_cast<std::ptrdiff_t>(*producer));
        --i;
      }
    }
  }

  // Every step of the function that reads the tensor, and whether anything else does (a view, a result, a loop).
  struct Readers {
    std::vector<Step*> steps;
    bool elsewhere = false;
  };
  Readers readers(int id, std::vector<Step>& here) {
    Readers out;
    const Tensor& self = tensor(id);
    out.elsewhere = self.place != Tensor::Place::arena;
    for (const Tensor& other : function_->tensors)
      out.elsewhere = out.elsewhere || (other.place == Tensor::Place::view && other.base == id);
    const std::function<void(std::vector<Step>&, bool)> scan = [&](std::vector<Step>& steps, bool inside) {
      for (Step& step : steps) {
        if (step.kind != Step::Kind::call) {
          out.elsewhere = out.elsewhere || (step.kind == Step::Kind::branch && step.condition == id);
          scan(step.body, &step.body == &here);
        } else if (std::find(step.args.begin(), step.args.end(), id) != step.args.end()) {
          if (inside) {
            out.steps.push_back(&step);
          } else {
            out.elsewhere = true;
          }
        } else if (!inside && std::find(step.results.begin(), step.results.end(), id) != step.results.end()) {
          out.elsewhere = true;
        }
      }
    };
    scan(function_->steps, &function_->steps == &here);
    return out;
  }

  int writers(int id, const std::vector<Step>& steps) const {
    int count = 0;
    for (const Step& step : steps) {
      count += step.kind != Step::Kind::call
                   ? writers(id, step.body)
                   : static_cast<int>(std::count(step.results.begin(), step.results.end(), id));
    }
    return count;
  }

  // A carry is written twice; a state has a value before it is written.
  bool changes(int id) const {
    const int times = writers(id, function_->steps);
    return times > (tensor(id).place == Tensor::Place::state ? 0 : 1);
  }

  static const std::string& param_of(const Kernel& kernel, const Step& step, int id) {
    const auto it = std::find(step.args.begin(), step.args.end(), id);
    return kernel.params[static_cast<std::size_t>(it - step.args.begin())].name;
  }

  // Rule 1. y[i] = x[f(i)] disappears: loads of y at e become loads of x at f(e).
  bool substitute_view(std::vector<Step>& steps, std::size_t at) {
    const Step step = steps[at];
    if (step.kind != Step::Kind::call || step.args.size() != 1) return false;
    const Kernel view = kernel_of(step);
    if (!kernel::only_moves(view)) return false;
    const Stage& stage = view.stages[0];
    const ExprRef source = stage.expr;
    if (source->type != register_type(stage.type) || view.params[0].type != stage.type) return false;
    if (std::any_of(source->operands.begin(), source->operands.end(), has_data_or_division)) return false;
    const int result = step.results[0];
    if (changes(step.args[0]) || changes(result)) return false;
    const Readers uses = readers(result, steps);
    if (uses.elsewhere || uses.steps.empty()) return false;
    // Out of range of y is not out of range of x, unless both have the same axes in another order.
    bool permutes = source->operands.size() == stage.indices.size() && !source->has_else;
    for (std::size_t axis = 0; axis < source->operands.size() && permutes; ++axis) {
      const auto same = [&](const kernel::Index& index) {
        return index.name == source->operands[axis]->name && index.extent == view.params[0].shape[axis];
      };
      permutes = source->operands[axis]->kind == Expr::Kind::index && std::ranges::any_of(stage.indices, same);
    }
    for (Step* use : uses.steps) {
      for (const Expr* load : loads_of(kernel_of(*use), param_of(kernel_of(*use), *use, result))) {
        if (load->has_else && !permutes) return false;
      }
    }
    for (Step* use : uses.steps) replace_param(*use, result, step.args[0], view.params[0], stage, source);
    return true;
  }

  void replace_param(Step& use, int from, int to, const kernel::Param& source_param, const Stage& view,
                     const ExprRef& source) {
    Kernel& kernel = kernel_of(use);
    const std::string old = param_of(kernel, use, from);
    const auto position = std::find(use.args.begin(), use.args.end(), from) - use.args.begin();
    const auto existing = std::find(use.args.begin(), use.args.end(), to);
    std::string name;
    if (existing != use.args.end()) {
      name = kernel.params[static_cast<std::size_t>(existing - use.args.begin())].name;
      kernel.params.erase(kernel.params.begin() + position);
      use.args.erase(use.args.begin() + position);
    } else {
      name = unused_name(kernel, source_param.name, old);
      kernel.params[static_cast<std::size_t>(position)] = {name, source_param.type, source_param.shape, false};
      use.args[static_cast<std::size_t>(position)] = to;
    }
    const auto moved_load = [&](const ExprRef& expr) -> ExprRef {
      if (expr->kind != Expr::Kind::load || expr->name != old) return expr;
      std::map<std::string, ExprRef> at;
      for (std::size_t i = 0; i < view.indices.size(); ++i) at[view.indices[i].name] = expr->operands[i];
      Expr moved = *source;
      moved.name = name;
      for (ExprRef& operand : moved.operands) operand = kernel::substitute(operand, at);
      if (expr->has_else) {
        moved.has_else = true;
        moved.value = expr->value;
      }
      return std::make_shared<const Expr>(std::move(moved));
    };
    for (Stage& stage : kernel.stages)
      for_each_expr(stage, [&](ExprRef& expr) { expr = kernel::rewritten(expr, moved_load); });
  }

  static std::string unused_name(const Kernel& kernel, const std::string& wanted, const std::string& except = {}) {
    const auto taken = [&](const std::string& name) {
      return name != except && (kernel.param(name) != nullptr || kernel.stage(name) != nullptr);
    };
    std::string name = wanted;
    for (int i = 1; taken(name); ++i) name = fmt::format("{}_{}", wanted, i);
    return name;
  }

  // Rules 2 and 3: an earlier step whose only reader is step i, and whose result may be computed where it is read.
  std::optional<std::size_t> producer_to_join(std::vector<Step>& steps, std::size_t i) {
    if (steps[i].kind != Step::Kind::call) return std::nullopt;
    const Kernel& consumer = kernel_of(steps[i]);
    for (const int arg : steps[i].args) {
      for (std::size_t p = i; p-- > 0;) {
        if (steps[p].kind != Step::Kind::call || steps[p].results != std::vector<int>{arg}) continue;
        const Readers uses = readers(arg, steps);
        if (uses.elsewhere || uses.steps.size() != 1 || changes(arg)) break;
        if (overwritten_between(steps, p, i) || overwrites_operand(steps[p], steps[i])) break;
        if (may_join(kernel_of(steps[p]), schedule_of(steps[p]), consumer, param_of(consumer, steps[i], arg))) return p;
        break;
      }
    }
    return std::nullopt;
  }

  // The producer moves down to its consumer: none of its operands may be written on the way (carries are).
  bool overwritten_between(const std::vector<Step>& steps, std::size_t from, std::size_t to) const {
    for (const int arg : steps[from].args) {
      for (std::size_t k = from + 1; k < to; ++k) {
        for (std::size_t t = 0; t < function_->tensors.size(); ++t) {
          const int other = static_cast<int>(t);
          if (root(other) == root(arg) && writers(other, {steps[k]}) > 0) return true;
        }
      }
    }
    return false;
  }

  int root(int id) const { return tensor(id).place == Tensor::Place::view ? tensor(id).base : id; }

  // A step that writes a carry may not take in one that reads its old value elsewhere than at the point written.
  bool overwrites_operand(const Step& producer, const Step& consumer) const {
    return std::any_of(consumer.results.begin(), consumer.results.end(), [&](int result) {
      return std::any_of(producer.args.begin(), producer.args.end(),
                         [&](int arg) { return root(arg) == root(result); });
    });
  }

  static bool may_join(const Kernel& producer, const Schedule& inlined, const Kernel& consumer,
                       const std::string& param) {
    // All of the producer but its last stage is inline already, so it is one loop nest.
    if (producer.results.size() != 1 || producer.stages.size() != inlined.inline_stages.size() + 1) return false;
    const Stage& made = producer.stages.back();
    for (const Stage& stage : producer.stages) {
      if (!stage.reduce) continue;
      for (const kernel::Equality& equality : stage.reduce->where) {
        if (!kernel::affine_of(equality.value)) return false;  // W3 writes into a buffer
      }
    }
    bool found = false;
    for (const Stage& stage : consumer.stages) {
      Kernel only;
      only.stages = {stage};
      const std::vector<const Expr*> loads = loads_of(only, param);
      if (loads.empty()) continue;
      found = true;
      if (stage.reduce && made.reduce) return false;
      if (!stage.reduce) {
        if (!std::all_of(loads.begin(), loads.end(), [&](const Expr* load) { return reads_at(*load, stage.indices); }))
          return false;
        continue;
      }
      // A reduction that reads each element once: all its indices, each alone.
      if (!stage.reduce->where.empty() || producer.stages.size() != 1) return false;
      std::set<std::string> all;
      for (const kernel::Index& index : stage.indices) all.insert(index.name);
      for (const kernel::Index& index : stage.reduce->indices) all.insert(index.name);
      for (const Expr* load : loads) {
        std::set<std::string> read;
        for (const ExprRef& operand : load->operands) {
          if (operand->kind != Expr::Kind::index) return false;
          read.insert(operand->name);
        }
        if (load->has_else || read != all || loads.size() != 1) return false;
      }
    }
    return found;
  }

  void merge(const Step& producer_step, Step& consumer_step) {
    Kernel producer = kernel_of(producer_step);
    Kernel& consumer = kernel_of(consumer_step);
    Schedule& schedule = schedule_of(consumer_step);
    const int joined = producer_step.results[0];
    const std::string param = param_of(consumer, consumer_step, joined);

    // The producer's names, made different from the consumer's: operands of both by tensor, stages fresh.
    std::map<std::string, std::string> names;
    Kernel merged;
    const bool computes_more = producer.stages.back().reduce || producer.stages.size() > 1;
    merged.name = computes_more || kernel::only_moves(consumer) ? producer.name : consumer.name;
    merged.results = consumer.results;
    merged.layers = producer.layers;
    for (const std::string& layer : consumer.layers) {
      if (std::find(merged.layers.begin(), merged.layers.end(), layer) == merged.layers.end())
        merged.layers.push_back(layer);
    }
    std::vector<int> args;
    std::set<std::string> taken;
    for (const Stage& stage : consumer.stages) taken.insert(stage.name);
    const auto fresh = [&](const std::string& wanted) {
      std::string name = wanted;
      for (int i = 1; !taken.insert(name).second; ++i) name = fmt::format("{}_{}", wanted, i);
      return name;
    };
    std::map<std::string, std::string> consumer_names;
    for (std::size_t k = 0; k < consumer.params.size(); ++k) {
      if (consumer_step.args[k] != joined) taken.insert(consumer.params[k].name);
    }
    for (std::size_t k = 0; k < producer.params.size(); ++k) {
      const int arg = producer_step.args[k];
      const auto shared = std::find(consumer_step.args.begin(), consumer_step.args.end(), arg);
      kernel::Param copy = producer.params[k];
      copy.name = shared == consumer_step.args.end()
                      ? fresh(copy.name)
                      : consumer.params[static_cast<std::size_t>(shared - consumer_step.args.begin())].name;
      names[producer.params[k].name] = copy.name;
      args.push_back(arg);
      merged.params.push_back(std::move(copy));
    }
    for (std::size_t k = 0; k < consumer.params.size(); ++k) {
      const int arg = consumer_step.args[k];
      if (arg == joined || std::find(args.begin(), args.end(), arg) != args.end()) continue;
      args.push_back(arg);
      merged.params.push_back(consumer.params[k]);
    }
    Schedule merged_schedule;
    for (const Stage& stage : producer.stages) names[stage.name] = fresh(stage.name);
    consumer_names[param] = names.at(producer.stages.back().name);
    for (Stage stage : producer.stages) {
      stage.name = names.at(stage.name);
      for_each_expr(stage, [&](ExprRef& expr) { expr = kernel::rename_tensors(expr, names); });
      merged_schedule.inline_stages.push_back(stage.name);
      merged.stages.push_back(std::move(stage));
    }
    for (Stage stage : consumer.stages) {
      for_each_expr(stage, [&](ExprRef& expr) { expr = kernel::rename_tensors(expr, consumer_names); });
      merged.stages.push_back(std::move(stage));
    }
    merged_schedule.inline_stages.insert(merged_schedule.inline_stages.end(), schedule.inline_stages.begin(),
                                         schedule.inline_stages.end());
    consumer = std::move(merged);
    schedule = std::move(merged_schedule);
    consumer_step.args = std::move(args);
    if (consumer_step.layer.empty()) consumer_step.layer = producer_step.layer;
  }

  void drop_unused_kernels() {
    std::vector<int> target(program_.kernels.size(), -1);
    std::vector<Kernel> kernels;
    std::vector<Schedule> schedules;
    std::set<std::string> names;
    const std::function<void(std::vector<Step>&)> keep = [&](std::vector<Step>& steps) {
      for (Step& step : steps) {
        if (step.kind != Step::Kind::call) {
          keep(step.body);
          continue;
        }
        int& to = target[static_cast<std::size_t>(step.kernel)];
        if (to < 0) {
          to = static_cast<int>(kernels.size());
          Kernel kernel = std::move(kernel_of(step));
          std::string name = kernel.name;
          for (int i = 1; !names.insert(name).second; ++i) name = fmt::format("{}_{}", kernel.name, i);
          kernel.name = name;
          kernels.push_back(std::move(kernel));
          schedules.push_back(std::move(schedule_of(step)));
        }
        step.kernel = to;
      }
    };
    for (kernel::Function& function : program_.functions) keep(function.steps);
    program_.kernels = std::move(kernels);
    program_.schedules = std::move(schedules);
  }

  kernel::Program program_;
  kernel::Function* function_ = nullptr;
};

}  // namespace

kernel::Program fuse(kernel::Program program) { return Fusion(std::move(program)).run(); }

}  // namespace tusk
