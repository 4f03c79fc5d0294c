// The rules of a program: names, symbols, where tensors lie, and that every step fits the kernel that it runs.
#include <fmt/format.h>
#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "ir/base/size.hpp"
#include "ir/kernel/affine.hpp"
#include "ir/kernel/print.hpp"
#include "ir/kernel/verify.hpp"
#include "ir/text/count.hpp"
#include "ir/text/word.hpp"

namespace tusk::kernel {
namespace {

using text::is_word;
using Place = Tensor::Place;

std::int64_t least_of(const Symbol& symbol) { return (symbol.low + symbol.step - 1) / symbol.step * symbol.step; }
std::int64_t greatest_of(const Symbol& symbol) { return symbol.high / symbol.step * symbol.step; }

// What the parts of a program ask of it.
struct Names {
  explicit Names(const Program& of) : program(of), range_of(of.range_of()) {
    for (const Symbol& symbol : of.symbols) symbols.emplace(symbol.name, &symbol);
  }

  // Empty, or what is wrong with a dim whose symbols are those of the program and of `loops`.
  std::string wrong(const Dim& dim, const std::map<std::string, Dim>& loops = {}) const {
    if (dim.is_constant()) return "";
    std::string unknown;
    const Dim declared = dim.substituted([&](std::string_view name, std::int64_t) {
      const auto it = symbols.find(name);
      if (it == symbols.end() && !loops.contains(std::string(name))) unknown = name;
      return Dim::symbol(name, it == symbols.end() ? 1 : it->second->step);
    });
    if (!unknown.empty()) return fmt::format("`{}` in {} is no symbol here", unknown, dim.str());
    return declared == dim ? "" : fmt::format("{} does not have the steps of its symbols", dim.str());
  }

  const Program& program;
  RangeOf range_of;
  std::map<std::string, const Symbol*, std::less<>> symbols;
};

class FunctionVerifier {
 public:
  FunctionVerifier(const Names& names, const Function& function)
      : names_(names), function_(function), used_(function.tensors.size(), false) {}

  Status run() {
    if (!is_word(function_.name)) return fail("program-name", "this is no name");
    std::set<std::string_view> taken;
    for (const auto& [name, symbol] : names_.symbols) taken.insert(name);
    for (const Tensor& tensor : function_.tensors) {
      if (!is_word(tensor.name)) return fail("program-name", fmt::format("`{}` is no name of a tensor", tensor.name));
      if (!taken.insert(tensor.name).second)
        return fail("program-name", fmt::format("the name of tensor `{}` is taken", tensor.name));
    }
    CHECK(loops(function_.steps, taken));
    for (const Tensor& tensor : function_.tensors) CHECK(verify(tensor));
    CHECK(interface(function_.inputs, Place::input, "input"));
    CHECK(interface(function_.outputs, Place::output, "output"));
    CHECK(steps(function_.steps));
    return arena();
  }

 private:
  Diagnostic fail(std::string code, const std::string& what) const {
    return error(std::move(code), fmt::format("function `{}`: {}", function_.name, what));
  }
  Diagnostic fail_at(std::string code, const Step& step, const std::string& what) const {
    Diagnostic out = fail(std::move(code), what);
    out.layer = step.layer;
    return out;
  }

  const Tensor& tensor(int id) const { return function_.tensors[static_cast<std::size_t>(id)]; }
  int root(int id) const { return tensor(id).place == Place::view ? tensor(id).base : id; }
  bool exists(int id) const { return id >= 0 && static_cast<std::size_t>(id) < function_.tensors.size(); }

  // The symbols of all loops: a buffer that depends on one is defined inside of it, by a name of its own.
  Status loops(const std::vector<Step>& list, std::set<std::string_view>& taken) {
    for (const Step& step : list) {
      if (step.kind == Step::Kind::branch) CHECK(loops(step.body, taken));
      if (step.kind != Step::Kind::loop) continue;
      if (!is_word(step.symbol))
        return fail_at("program-name", step, fmt::format("`{}` is no name of a loop's symbol", step.symbol));
      if (!taken.insert(step.symbol).second)
        return fail_at("program-name", step, fmt::format("the name of the loop's symbol `{}` is taken", step.symbol));
      if (const std::string wrong = names_.wrong(step.extent); !wrong.empty())
        return fail_at("program-symbol", step, fmt::format("the extent of a loop: {}", wrong));
      loops_.emplace(step.symbol, step.extent);
      CHECK(loops(step.body, taken));
    }
    return done();
  }

  Status verify(const Tensor& t) {
    const auto fail_tensor = [&](const std::string& what) {
      return fail("program-tensor", fmt::format("tensor `{}` {}", t.name, what));
    };
    if (t.type == DType::index) return fail_tensor("has a type of elements, not index");
    for (const Dim& dim : t.shape) {
      if (const std::string wrong = names_.wrong(dim); !wrong.empty())
        return fail("program-symbol", fmt::format("tensor `{}`: {}", t.name, wrong));
      if (dim.range(names_.range_of).high < 0) return fail_tensor(fmt::format("has the negative extent {}", dim.str()));
    }
    CHECK(check_size(fmt::format("function `{}`: tensor `{}`", function_.name, t.name), t.type, t.shape,
                     names_.range_of));
    if (t.strides.size() != t.shape.size())
      return fail_tensor(fmt::format("has {} for rank {}", text::count_of(t.strides.size(), "stride"), t.shape.size()));
    if (t.place == Place::view) return view(t);
    if (t.strides != dense_strides(t.shape)) return fail_tensor("is no view, so its elements lie dense");
    if (t.place != Place::constant && t.place != Place::state) return done();
    const std::string_view what = t.place == Place::state ? "state" : "constant";
    const std::vector<Global>& globals = names_.program.globals;
    const bool named = t.global >= 0 && static_cast<std::size_t>(t.global) < globals.size() &&
                       globals[static_cast<std::size_t>(t.global)].is_state == (t.place == Place::state);
    if (!named) return fail_tensor(fmt::format("names no {}", what));
    const Array& value = globals[static_cast<std::size_t>(t.global)].value;
    const Shape shape(value.shape().begin(), value.shape().end());
    if (value.dtype() == t.type && shape == t.shape) return done();
    return fail_tensor(
        fmt::format("is {}, its {} {}", type_str(t.type, t.shape), what, type_str(value.dtype(), shape)));
  }

  Status view(const Tensor& t) {
    const auto fail_view = [&](const std::string& what) {
      return fail("program-view", fmt::format("view `{}` {}", t.name, what));
    };
    if (!exists(t.base) || tensor(t.base).place == Place::view) return fail_view("has no base that is no view itself");
    const Tensor& base = tensor(t.base);
    if (base.type != t.type)
      return fail_view(fmt::format("is of {}, its base `{}` of {}", name_of(t.type), base.name, name_of(base.type)));
    std::vector<Dim> dims = t.strides;
    dims.push_back(t.offset);
    for (const Dim& dim : dims) {
      if (const std::string wrong = names_.wrong(dim, loops_); !wrong.empty())
        return fail("program-symbol", fmt::format("view `{}`: {}", t.name, wrong));
    }
    for (const bool high : {false, true}) {
      for (const bool last : {false, true}) {
        const std::string outside = outside_of(t, base, high, last);
        if (!outside.empty()) return fail_view(outside);
      }
    }
    return done();
  }

  // The elements of a view for the least or greatest symbols and the first or last rounds of loops: what a condition of
  // the function may rule out is not held against it.
  std::string outside_of(const Tensor& t, const Tensor& base, bool high, bool last) const {
    if (!function_.requirements.empty() && !names_.symbols.empty()) return "";
    bool runs = true;
    const ValueOf value_of = [&](std::string_view name) -> std::int64_t {
      const auto it = names_.symbols.find(name);
      if (it != names_.symbols.end()) return high ? greatest_of(*it->second) : least_of(*it->second);
      const std::int64_t rounds = loops_.find(std::string(name))->second.value([&](std::string_view symbol) {
        const auto found = names_.symbols.find(symbol);
        return high ? greatest_of(*found->second) : least_of(*found->second);
      });
      runs = runs && rounds > 0;
      return last ? rounds - 1 : 0;
    };
    std::int64_t first = t.offset.value(value_of);
    std::int64_t end = first;
    for (std::size_t i = 0; i < t.shape.size(); ++i) {
      const std::int64_t extent = t.shape[i].value(value_of);
      if (extent <= 0) return "";
      const std::int64_t length = (extent - 1) * t.strides[i].value(value_of);
      (length < 0 ? first : end) += length;
    }
    const std::int64_t count = product(base.shape).value(value_of);
    if (!runs || (first >= 0 && end < count)) return "";
    return fmt::format("reaches from element {} to {} of `{}`, which has {}", first, end, base.name,
                       text::count_of(count, "element"));
  }

  Status interface(const std::vector<int>& list, Place place, std::string_view what) {
    std::set<int> seen;
    for (const int id : list) {
      if (!exists(id) || tensor(id).place != place)
        return fail("program-tensor",
                    fmt::format("tensor `{}` is listed as an {}", exists(id) ? tensor(id).name : "", what));
      if (!seen.insert(id).second)
        return fail("program-tensor", fmt::format("{} `{}` is listed twice", what, tensor(id).name));
    }
    for (std::size_t id = 0; id < function_.tensors.size(); ++id) {
      if (function_.tensors[id].place == place && !seen.contains(static_cast<int>(id)))
        return fail("program-tensor", fmt::format("{} `{}` is not listed", what, function_.tensors[id].name));
    }
    return done();
  }

  Status steps(const std::vector<Step>& list) {
    for (const Step& step : list) {
      if (step.kind == Step::Kind::call) {
        CHECK(call(step));
        continue;
      }
      if (step.kind == Step::Kind::branch) {
        CHECK(condition(step));
        CHECK(steps(step.body));
        continue;
      }
      around_.insert(step.symbol);
      CHECK(steps(step.body));
      around_.erase(step.symbol);
    }
    return done();
  }

  Status condition(const Step& step) {
    if (!exists(step.condition)) return fail_at("program-branch", step, "a branch has no condition");
    const Tensor& t = tensor(step.condition);
    used_[static_cast<std::size_t>(root(step.condition))] = true;
    if (t.type == DType::boolean && t.shape.empty()) return inside_of_its_loop(step, t);
    return fail_at("program-branch", step,
                   fmt::format("the condition `{}` is {}, expected bool[]", t.name, type_str(t.type, t.shape)));
  }

  Status call(const Step& step) {
    const std::vector<Kernel>& kernels = names_.program.kernels;
    if (step.kernel < 0 || static_cast<std::size_t>(step.kernel) >= kernels.size())
      return fail_at("program-call", step, "a step runs no kernel");
    const Kernel& kernel = kernels[static_cast<std::size_t>(step.kernel)];
    const Schedule& schedule = names_.program.schedules[static_cast<std::size_t>(step.kernel)];
    const std::vector<const Stage*> scratch = scratch_stages(kernel, schedule);
    CHECK(count(step, kernel, step.args.size(), kernel.params.size(), "parameter"));
    CHECK(count(step, kernel, step.results.size(), kernel.results.size(), "result"));
    // plan_memory adds it
    if (!step.scratch.empty()) CHECK(count(step, kernel, step.scratch.size(), scratch.size(), "stage in memory"));
    for (std::size_t i = 0; i < step.args.size(); ++i) {
      const Param& param = kernel.params[i];
      CHECK(fits(step, kernel, step.args[i], param.name, param.type, param.shape));
      if (param.inout) CHECK(written(step, kernel, step.args[i]));
    }
    std::set<int> seen;
    for (std::size_t i = 0; i < step.results.size(); ++i) {
      const Stage& stage = *kernel.stage(kernel.results[i]);
      CHECK(fits(step, kernel, step.results[i], stage.name, stage.type, shape_of(stage)));
      CHECK(written(step, kernel, step.results[i]));
      if (!seen.insert(step.results[i]).second)
        return fail_at("program-call", step,
                       fmt::format("kernel `{}` writes `{}` twice", kernel.name, tensor(step.results[i]).name));
    }
    for (std::size_t i = 0; i < step.scratch.size(); ++i) {
      CHECK(fits(step, kernel, step.scratch[i], scratch[i]->name, scratch[i]->type,
                 buffer_shape(kernel, schedule, *scratch[i])));
      CHECK(written(step, kernel, step.scratch[i]));
    }
    return done();
  }

  Status count(const Step& step, const Kernel& kernel, std::size_t given, std::size_t wanted, std::string_view what) {
    if (given == wanted) return done();
    return fail_at("program-call", step,
                   fmt::format("kernel `{}` has {}, found {}", kernel.name,
                               what == "stage in memory" ? text::count_of(wanted, "stage") + " in memory"
                                                         : text::count_of(wanted, what),
                               given));
  }

  Status fits(const Step& step, const Kernel& kernel, int id, const std::string& name, DType type, const Shape& shape) {
    if (!exists(id)) return fail_at("program-call", step, fmt::format("there is no tensor {}", id));
    const Tensor& t = tensor(id);
    used_[static_cast<std::size_t>(root(id))] = true;
    if (t.type != type || t.shape != shape) {
      return fail_at("program-call", step,
                     fmt::format("`{}` of kernel `{}` is {}, the tensor `{}` is {}", name, kernel.name,
                                 type_str(type, shape), t.name, type_str(t.type, t.shape)));
    }
    return inside_of_its_loop(step, t);
  }

  Status inside_of_its_loop(const Step& step, const Tensor& t) {
    if (t.place != Place::view) return done();
    std::vector<std::string> symbols = t.offset.symbols();
    for (const Dim& stride : t.strides) {
      for (std::string& symbol : stride.symbols()) symbols.push_back(std::move(symbol));
    }
    for (const std::string& symbol : symbols) {
      if (loops_.contains(symbol) && !around_.contains(symbol))
        return fail_at("program-view", step,
                       fmt::format("view `{}` is used outside of the loop of `{}`", t.name, symbol));
    }
    return done();
  }

  Status written(const Step& step, const Kernel& kernel, int id) {
    const Place place = tensor(root(id)).place;
    if (place != Place::input && place != Place::constant) return done();
    return fail_at("program-call", step,
                   fmt::format("kernel `{}` writes `{}`, which is {}", kernel.name, tensor(id).name,
                               place == Place::input ? "an input" : "a constant"));
  }

  // What steps use lies inside of the arena, once there is one.
  Status arena() const {
    if (function_.arena_bytes < 0 || function_.arena_lower_bound < 0)
      return fail("program-arena", fmt::format("an arena has no {} bytes",
                                               std::min(function_.arena_bytes, function_.arena_lower_bound)));
    for (std::size_t id = 0; id < used_.size(); ++id) {
      const Tensor& t = function_.tensors[id];
      if (!used_[id] || t.place != Place::arena) continue;
      const auto fail_arena = [&](const std::string& what) {
        return fail("program-arena", fmt::format("tensor `{}` {}", t.name, what));
      };
      if (!t.arena_offset.is_constant() || t.arena_offset.constant() < 0 ||
          t.arena_offset.constant() % size_of(t.type) != 0) {
        return fail_arena(fmt::format("cannot lie at byte {}", t.arena_offset.str()));
      }
      const std::int64_t bytes = product(t.shape).range(names_.range_of).high * size_of(t.type);
      if (function_.arena_bytes != 0 && t.arena_offset.constant() > function_.arena_bytes - bytes) {
        return fail_arena(fmt::format("of {} bytes at byte {} ends behind the arena of {}", bytes,
                                      t.arena_offset.constant(), function_.arena_bytes));
      }
    }
    return done();
  }

  const Names& names_;
  const Function& function_;
  std::map<std::string, Dim> loops_;   // the symbols of all loops, and their extents
  std::set<std::string_view> around_;  // those of the loops around a step
  std::vector<bool> used_;             // roots that a step uses
};

Status head(const Program& program) {
  if (program.profile != "fma" && program.profile != "muladd")
    return error("program-profile", fmt::format("the profile is fma or muladd, found `{}`", program.profile));
  std::set<std::string_view> names;
  for (const Symbol& symbol : program.symbols) {
    if (!is_word(symbol.name)) return error("program-name", fmt::format("`{}` is no name of a symbol", symbol.name));
    if (!names.insert(symbol.name).second)
      return error("program-name", fmt::format("there are two symbols `{}`", symbol.name));
    const bool ordered = 0 <= symbol.low && symbol.low <= symbol.high && symbol.step >= 1 &&
                         symbol.high <= std::numeric_limits<std::int32_t>::max();
    if (!ordered || least_of(symbol) > greatest_of(symbol)) {
      return error("program-symbol", fmt::format("symbol `{}` has no value: {}..{} step {}", symbol.name, symbol.low,
                                                 symbol.high, symbol.step));
    }
  }
  names.clear();
  for (const Global& global : program.globals) {
    if (!names.insert(global.path).second)
      return error("program-name", fmt::format("there are two constants or states `@{}`", global.path));
  }
  return done();
}

Status kernels(const Names& names) {
  const Program& program = names.program;
  if (program.schedules.size() != program.kernels.size()) {
    return error("program-name", fmt::format("{} for {}", text::count_of(program.schedules.size(), "schedule"),
                                             text::count_of(program.kernels.size(), "kernel")));
  }
  std::set<std::string_view> taken;
  for (std::size_t i = 0; i < program.kernels.size(); ++i) {
    const Kernel& kernel = program.kernels[i];
    if (!taken.insert(kernel.name).second)
      return error("program-name", fmt::format("there are two kernels `{}`", kernel.name));
    std::string wrong;
    const auto check = [&](const Dim& dim) {
      if (wrong.empty()) wrong = names.wrong(dim);
    };
    for (const Param& param : kernel.params) std::for_each(param.shape.begin(), param.shape.end(), check);
    for (const Stage& stage : kernel.stages) {
      for (const Index& index : stage.indices) check(index.extent);
      if (stage.reduce) {
        for (const Index& index : stage.reduce->indices) check(index.extent);
      }
      for (const ExprRef& expr : expressions_of(stage)) {
        for_each_node(expr, [&](const ExprRef& node) { check(node->dim); });
      }
    }
    if (!wrong.empty()) return error("program-symbol", fmt::format("kernel `{}`: {}", kernel.name, wrong));
    for (const Stage& stage : kernel.stages) {
      CHECK(check_size(fmt::format("kernel `{}`: `{}`", kernel.name, stage.name), stage.type, shape_of(stage),
                       names.range_of));
    }
    CHECK(verify(kernel, names.range_of));
    CHECK(verify(kernel, program.schedules[i]));
  }
  return done();
}

}  // namespace

Status verify(const Program& program) {
  CHECK(head(program));
  CHECK(kernels(Names(program)));
  return verify_functions(program);
}

Status verify_functions(const Program& program) {
  const Names names(program);
  std::set<std::string_view> taken;
  for (const Function& function : program.functions) {
    if (!taken.insert(function.name).second)
      return error("program-name", fmt::format("there are two functions `{}`", function.name));
    CHECK(FunctionVerifier(names, function).run());
    CHECK(verify_written(program, function));
  }
  return done();
}

}  // namespace tusk::kernel
