#include "passes/choose_layouts.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "ir/kernel/affine.hpp"

namespace tusk {
namespace {

using kernel::Kernel;
using kernel::Step;
using kernel::Tensor;

class Layouts {
 public:
  Layouts(const kernel::Program& program, kernel::Function& function)
      : program_(program), range_of_(program.range_of()), function_(function) {}

  void run() { visit(function_.steps); }

 private:
  Tensor& tensor(int id) { return function_.tensors[static_cast<std::size_t>(id)]; }
  int root(int id) { return tensor(id).place == Tensor::Place::view ? tensor(id).base : id; }

  void visit(std::vector<Step>& steps) {
    for (std::size_t i = 0; i < steps.size();) {
      if (steps[i].kind != Step::Kind::call) {
        const bool outer = std::exchange(in_branch_, steps[i].kind == Step::Kind::branch);
        visit(steps[i].body);
        in_branch_ = outer;
        ++i;
      } else if (store_in_place(steps, i) || choose_in_place(steps, i) || make_view(steps[i])) {
        steps.erase(steps.begin() + static_cast<std::ptrdiff_t>(i));
      } else {
        ++i;
      }
    }
  }

  // The affine map of a kernel that only reads: offset and, for each result axis, its stride in elements of the source.
  struct Map {
    Dim offset;
    std::vector<Dim> strides;
  };
  std::optional<Map> map_of(const Step& step) {
    const Kernel& kernel = program_.kernels[static_cast<std::size_t>(step.kernel)];
    if (kernel.params.size() != 1 || !kernel::only_moves(kernel)) return std::nullopt;
    const kernel::Stage& stage = kernel.stages[0];
    if (stage.expr->has_else || kernel.params[0].type != stage.type) return std::nullopt;
    const std::vector<Dim>& source = tensor(step.args[0]).strides;
    Map map{Dim(0), std::vector<Dim>(stage.indices.size(), Dim(0))};
    for (std::size_t axis = 0; axis < stage.expr->operands.size(); ++axis) {
      const std::optional<kernel::Affine> affine = kernel::affine_of(stage.expr->operands[axis]);
      if (!affine) return std::nullopt;
      map.offset += affine->offset * source[axis];
      for (const auto& [name, coefficient] : affine->terms) {
        const auto it = std::find_if(stage.indices.begin(), stage.indices.end(),
                                     [&, &index = name](const kernel::Index& i) { return i.name == index; });
        map.strides[static_cast<std::size_t>(it - stage.indices.begin())] += coefficient * source[axis];
      }
    }
    return map;
  }

  static int count(const std::vector<Step>& steps, int id, bool written) {
    int total = 0;
    for (const Step& step : steps) {
      const std::vector<int>& list = written ? step.results : step.args;
      total += static_cast<int>(std::count(list.begin(), list.end(), id)) + count(step.body, id, written);
      if (step.kind == Step::Kind::branch && step.condition == id && !written) ++total;
    }
    return total;
  }

  // How often anything writes into the memory of a root.
  int writes(int id) {
    int total = 0;
    for (std::size_t t = 0; t < function_.tensors.size(); ++t) {
      if (root(static_cast<int>(t)) == id) total += count(function_.steps, static_cast<int>(t), true);
    }
    return total;
  }

  bool has_views(int id) {
    return std::any_of(function_.tensors.begin(), function_.tensors.end(),
                       [&](const Tensor& t) { return t.place == Tensor::Place::view && t.base == id; });
  }

  bool make_view(const Step& step) {
    if (step.args.size() != 1 || step.results.size() != 1) return false;
    const int to = step.results[0];
    if (tensor(to).place != Tensor::Place::arena || writes(to) != 1) return false;
    const int from = step.args[0];
    if (writes(root(from)) > (tensor(root(from)).place == Tensor::Place::state ? 0 : 1))
      return false;  // a carry or a state changes under the view
    const std::optional<Map> map = map_of(step);
    if (!map || !kernel::at_least_zero(map->offset, range_of_)) return false;  // the end of an axis that may be empty
    // Views of the result exist only if its elements lie dense, as they were made for.
    if (has_views(to) && map->strides != kernel::dense_strides(tensor(to).shape)) return false;
    retarget(to, root(from),
             tensor(from).place == Tensor::Place::view ? tensor(from).offset + map->offset : map->offset, map->strides);
    return true;
  }

  // A copy `to = from`, where `to` is a part of a larger tensor or a result: `from` moves there.
  bool store_in_place(std::vector<Step>& steps, std::size_t at) {
    const Step& step = steps[at];
    if (step.args.size() != 1 || step.results.size() != 1) return false;
    const int from = step.args[0];
    const int to = step.results[0];
    if (tensor(from).place != Tensor::Place::arena || root(to) == from) return false;
    // What a branch gives is written once by each of two, and read behind them.
    const bool of_branch = in_branch_ && tensor(to).place == Tensor::Place::arena && writes(to) == 2 &&
                           count(steps, to, false) == 0 && count(steps, to, true) == 1;
    if (tensor(to).place == Tensor::Place::arena && !of_branch) return false;
    if (writes(from) != 1 || tensor(from).type != tensor(to).type || tensor(from).shape != tensor(to).shape)
      return false;
    const std::optional<Map> map = map_of(step);
    if (!map || map->offset != Dim(0) || map->strides != tensor(from).strides) return false;
    // The producer has to stand in the same loop body as the copy, or the part would be another one in each round.
    const bool here =
        std::any_of(steps.begin(), steps.begin() + static_cast<std::ptrdiff_t>(at), [&](const Step& other) {
          return other.kind == Step::Kind::call &&
                 std::find(other.results.begin(), other.results.end(), from) != other.results.end();
        });
    if (!here) return false;
    if (!of_branch && count(function_.steps, to, true) != 1) return false;
    if (has_views(from) && tensor(to).strides != kernel::dense_strides(tensor(to).shape)) return false;
    // A carry is read until its end of the body; its new value must not move there early.
    if (!of_branch && tensor(root(to)).place == Tensor::Place::arena && count(function_.steps, root(to), true) > 0)
      return false;
    if (tensor(to).place == Tensor::Place::state && !may_overwrite(steps, at)) return false;
    retarget(from, root(to), tensor(to).place == Tensor::Place::view ? tensor(to).offset : Dim(0), tensor(to).strides);
    return true;
  }

  // The copy into a state may go: from its producer on nothing reads the old value, and the producer itself reads it at
  // the point that it writes, if at all.
  bool may_overwrite(const std::vector<Step>& steps, std::size_t at) {
    const int from = steps[at].args[0];
    const int state = steps[at].results[0];
    if (&steps != &function_.steps) return false;
    std::size_t producer = at;
    while (producer > 0 && std::ranges::find(steps[producer].results, from) == steps[producer].results.end())
      --producer;
    for (std::size_t i = producer + 1; i < at; ++i) {
      if (reads(steps[i], state)) return false;
    }
    return reads_where_it_writes(steps[producer], state);
  }

  bool reads_where_it_writes(const Step& step, int state) {
    const Kernel& kernel = program_.kernels[static_cast<std::size_t>(step.kernel)];
    const kernel::Schedule& schedule = program_.schedules[static_cast<std::size_t>(step.kernel)];
    for (std::size_t k = 0; k < step.args.size(); ++k) {
      if (root(step.args[k]) != state) continue;
      if (step.args[k] != state || !kernel::reads_pointwise(kernel, schedule, kernel.params[k].name)) return false;
    }
    return true;
  }

  // Whether a kernel of one operand only copies it, element by element as they lie: fusing may have put more into it.
  bool keeps_order(const Step& step, int like) {
    const std::optional<Map> map = map_of(step);
    return map && map->offset == Dim(0) && map->strides == tensor(like).strides;
  }

  // A copy `state = from`, where each of two branches writes `from`: they write into the state, and the one that keeps
  // it has nothing to do.
  bool choose_in_place(std::vector<Step>& steps, std::size_t at) {
    if (&steps != &function_.steps || steps[at].args.size() != 1 || steps[at].results.size() != 1) return false;
    const int from = steps[at].args[0];
    const int state = steps[at].results[0];
    if (tensor(state).place != Tensor::Place::state || tensor(from).place != Tensor::Place::arena) return false;
    if (tensor(from).type != tensor(state).type || tensor(from).shape != tensor(state).shape) return false;
    if (writes(from) != 2 || count(function_.steps, state, true) != 1 || !keeps_order(steps[at], state)) return false;
    std::size_t then = 0;
    while (then < at && writers_in(steps[then], from).empty()) ++then;
    const std::size_t other = then + 1;
    if (other >= at || writers_in(steps[other], from).empty()) return false;
    for (const std::size_t i : {then, other}) {
      const std::vector<Step>& body = steps[i].body;
      if (steps[i].kind != Step::Kind::branch || root(steps[i].condition) == state) return false;
      const std::size_t writer = writers_in(steps[i], from)[0];
      if (body[writer].kind != Step::Kind::call || !reads_where_it_writes(body[writer], state)) return false;
      for (std::size_t k = writer + 1; k < body.size(); ++k) {
        if (reads(body[k], state)) return false;
      }
    }
    if (steps[then].condition != steps[other].condition || steps[then].holds == steps[other].holds) return false;
    for (std::size_t i = other + 1; i < at; ++i) {
      if (reads(steps[i], state)) return false;
    }
    for (const std::size_t i : {then, other}) {
      std::erase_if(steps[i].body, [&](const Step& step) {
        return step.args == std::vector<int>{state} && step.results == std::vector<int>{from} &&
               keeps_order(step, state);
      });
    }
    retarget(from, state, Dim(0), tensor(state).strides);
    return true;
  }

  // The steps of a body in which something writes into the memory of a root.
  std::vector<std::size_t> writers_in(const Step& step, int id) {
    std::vector<std::size_t> out;
    const std::function<bool(const Step&)> any = [&](const Step& inner) {
      return std::ranges::any_of(inner.results, [&](int result) { return root(result) == id; }) ||
             std::ranges::any_of(inner.body, any);
    };
    for (std::size_t i = 0; i < step.body.size(); ++i) {
      if (any(step.body[i])) out.push_back(i);
    }
    return out;
  }

  bool reads(const Step& step, int state) {
    return (step.kind == Step::Kind::branch && root(step.condition) == state) ||
           std::ranges::any_of(step.args, [&](int id) { return root(id) == state; }) ||
           std::ranges::any_of(step.body, [&](const Step& inner) { return reads(inner, state); });
  }

  void retarget(int id, int base, const Dim& offset, const std::vector<Dim>& strides) {
    for (Tensor& view : function_.tensors) {
      if (view.place == Tensor::Place::view && view.base == id) {
        view.base = base;
        view.offset += offset;
      }
    }
    Tensor& moved = tensor(id);
    moved.place = Tensor::Place::view;
    moved.base = base;
    moved.offset = offset;
    moved.strides = strides;
  }

  const kernel::Program& program_;
  RangeOf range_of_;
  kernel::Function& function_;
  bool in_branch_ = false;
};

}  // namespace

kernel::Program choose_layouts(kernel::Program program) {
  for (kernel::Function& function : program.functions) Layouts(program, function).run();
  return program;
}

}  // namespace tusk
