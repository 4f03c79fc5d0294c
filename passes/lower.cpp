#include "passes/lower.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "ir/graph/op.hpp"
#include "ir/graph/rewrite.hpp"
#include "ir/kernel/affine.hpp"

namespace tusk {
namespace {

using graph::Operand;
using kernel::Tensor;

// Layer and value names as words of a function.
std::string word_of(std::string_view name) {
  std::string out;
  for (const char c : name) out += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  if (out.empty() || std::isdigit(static_cast<unsigned char>(out[0])) != 0) out = "t" + out;
  static const std::set<std::string, std::less<>> kWords = {"requires", "tensor", "for", "scratch", "inout", "loc"};
  if (kWords.contains(out)) out += "_";
  return out;
}

// As words of a kernel and of its loops, where short names belong to indices and names of rows to calls.
std::string kernel_word_of(std::string_view name) {
  std::string out = word_of(name);
  static const std::set<std::string, std::less<>> kWords = {
      "kernel", "from", "lanes",  "block",    "where",   "else",  "inout",  "dot",    "sum",   "prod",
      "all",    "any",  "argmax", "argmin",   "last",    "index", "arena",  "load",   "store", "for",
      "to",     "step", "carry",  "yield",    "if",      "call",  "splat",  "ramp",   "first", "tree",
      "mask",   "row",  "loop",   "note",     "barrier", "align", "const",  "return", "let",   "parallel",
      "inf",    "nan",  "max0",   "schedule", "scratch", "input", "output", "view",   "tensor"};
  if (out.size() <= 2 || kWords.contains(out) || row_named(out) != nullptr || dtype_named(out)) out += "_";
  return out;
}

std::string unique_in(std::set<std::string>& taken, const std::string& name) {
  std::string out = name;
  for (int i = 1; !taken.insert(out).second; ++i) out = fmt::format("{}_{}", name, i);
  return out;
}

class Lowering {
 public:
  explicit Lowering(const graph::Module& module) : module_(module), changes_(module.globals.size(), false) {
    for (const graph::Function& function : module.functions) {
      for (const graph::Update& update : function.updates) changes_[static_cast<std::size_t>(update.global)] = true;
    }
    program_.name = module.name;
    program_.profile = module.profile;
    for (const graph::Symbol& symbol : module.symbols) {
      program_.symbols.push_back({symbol.name, symbol.low, symbol.high, symbol.step});
      symbol_names_.insert(symbol.name);
    }
    kernel_names_ = symbol_names_;
    for (const graph::Function& function : module.functions) kernel_names_.insert(function.name);
  }

  Expected<kernel::Program> run() {
    for (const graph::Function& function : module_.functions) CHECK(lower_function(function));
    return std::move(program_);
  }

 private:
  Status lower_function(const graph::Function& source) {
    CHECK(graph::check_weights(module_, source));
    kernel::Function target;
    target.name = source.name;
    source_ = &source;
    target_ = &target;
    tensor_of_value_.assign(source.values.size(), -1);
    tensor_of_global_.clear();
    parts_.clear();
    tensor_names_.clear();
    tensor_names_.insert(symbol_names_.begin(), symbol_names_.end());
    for (const graph::Condition& condition : source.conditions) target.requirements.push_back(condition.str());
    for (const int param : source.params) {
      const graph::Value& value = source.values[static_cast<std::size_t>(param)];
      const int tensor = add_tensor(value.name, value.type, Tensor::Place::input);
      tensor_of_value_[static_cast<std::size_t>(param)] = tensor;
      target.inputs.push_back(tensor);
    }
    // Results are named first, so that no value takes their names.
    std::vector<std::string> result_names;
    for (const std::string& name : source.result_names) result_names.push_back(unique_in(tensor_names_, word_of(name)));
    CHECK(lower_ops(source.ops, target.steps));
    for (std::size_t i = 0; i < source.results.size(); ++i) {
      target.outputs.push_back(add_output(source.results[i], result_names[i], target.steps));
    }
    add_updates(source.updates, target.steps);
    program_.functions.push_back(std::move(target));
    return done();
  }

  int add_tensor(std::string_view name, const graph::Type& type, Tensor::Place place) {
    Tensor tensor;
    tensor.name = unique_in(tensor_names_, word_of(name));
    tensor.type = type.dtype;
    tensor.shape = type.shape;
    tensor.place = place;
    tensor.strides = kernel::dense_strides(type.shape);
    target_->tensors.push_back(std::move(tensor));
    return static_cast<int>(target_->tensors.size()) - 1;
  }

  Tensor& tensor(int id) { return target_->tensors[static_cast<std::size_t>(id)]; }

  // A dense view of `base` from element `offset`, with the strides of `like`.
  int add_view(std::string_view name, const graph::Type& type, int base, const Dim& offset, std::vector<Dim> strides) {
    const int id = add_tensor(name, type, Tensor::Place::view);
    const Tensor& under = tensor(base);
    tensor(id).base = under.place == Tensor::Place::view ? under.base : base;
    tensor(id).offset = under.offset + offset;
    tensor(id).strides = std::move(strides);
    return id;
  }

  int constant(const std::string& path, const Array& value) { return add_global({path, value}); }

  int add_global(kernel::Global global) {
    for (std::size_t i = 0; i < program_.globals.size(); ++i) {
      if (program_.globals[i].path == global.path) return static_cast<int>(i);
    }
    program_.globals.push_back(std::move(global));
    return static_cast<int>(program_.globals.size()) - 1;
  }

  int tensor_of(const Operand& operand) {
    if (operand.kind == Operand::Kind::value) return tensor_of_value_[static_cast<std::size_t>(operand.id)];
    const auto [it, fresh] = tensor_of_global_.try_emplace(operand.id, -1);
    if (fresh) {
      const graph::Global& global = module_.globals[static_cast<std::size_t>(operand.id)];
      // A state that no function changes is a constant.
      const bool changes = changes_[static_cast<std::size_t>(operand.id)];
      it->second = add_tensor(global.path, global.type, changes ? Tensor::Place::state : Tensor::Place::constant);
      tensor(it->second).global = add_global({global.path, global.value, changes, changes && global.trainable});
    }
    return it->second;
  }

  static bool is_tensor(const Operand& operand) {
    return operand.kind == Operand::Kind::value || operand.kind == Operand::Kind::global;
  }

  // A result is written by its producer where that is possible, else copied.
  int add_output(const Operand& result, const std::string& name, std::vector<kernel::Step>& steps) {
    const int from = tensor_of(result);
    const int root = tensor(from).place == Tensor::Place::view ? tensor(from).base : from;
    const bool whole = product(tensor(from).shape) == product(tensor(root).shape) && tensor(from).offset == Dim(0);
    if (tensor(root).place == Tensor::Place::arena && whole && from == root) {
      tensor(root).place = Tensor::Place::output;
      tensor(root).name = name;
      return root;
    }
    if (tensor(root).place == Tensor::Place::arena && whole) {
      // A reshaped result: the memory is the result's, and what was computed in another shape is a view of it.
      tensor(from).place = Tensor::Place::output;
      tensor(from).name = name;
      tensor(from).base = -1;
      for (Tensor& other : target_->tensors) {
        if (other.place == Tensor::Place::view && other.base == root) other.base = from;
      }
      tensor(root).place = Tensor::Place::view;
      tensor(root).base = from;
      return from;
    }
    const graph::Type type{tensor(from).type, tensor(from).shape};
    const int to = add_tensor(name, type, Tensor::Place::output);
    tensor(to).name = name;
    steps.push_back(copy(from, to, ""));
    return to;
  }

  // States change when the function returns: new values stand behind everything that reads the old ones.
  void add_updates(const std::vector<graph::Update>& updates, std::vector<kernel::Step>& steps) {
    std::vector<std::pair<int, int>> copies;
    for (const graph::Update& update : updates) {
      int from = tensor_of(update.value);
      const int to = tensor_of(Operand::global(update.global));
      if (from == to) continue;
      if (tensor(root(from)).place == Tensor::Place::state) {
        const int aside =
            add_tensor(tensor(from).name + "_old", {tensor(from).type, tensor(from).shape}, Tensor::Place::arena);
        steps.push_back(copy(from, aside, ""));
        from = aside;
      }
      copies.emplace_back(from, to);
    }
    for (const auto& [from, to] : copies) steps.push_back(copy(from, to, ""));
  }

  int root(int id) { return tensor(id).place == Tensor::Place::view ? tensor(id).base : id; }

  kernel::Step copy(int from, int to, const std::string& layer) {
    kernel::Kernel kernel;
    kernel.name = unique_in(kernel_names_, kernel_word_of("copy_" + tensor(to).name));
    std::set<std::string> taken = symbol_names_;
    const std::string result = unique_in(taken, kernel_word_of(tensor(to).name));
    const std::string param = unique_in(taken, kernel_word_of(tensor(from).name));
    kernel.params.push_back({param, tensor(from).type, tensor(from).shape, false});
    const std::vector<kernel::Index> indices = graph::LowerContext::indices(tensor(to).shape);
    kernel.stages.push_back(
        {result, indices, tensor(to).type, std::nullopt,
         kernel::load(param, register_type(tensor(from).type), graph::LowerContext::refs(indices))});
    kernel.results = {result};
    if (!layer.empty()) kernel.layers = {layer};
    return call(std::move(kernel), {from}, {to}, layer);
  }

  kernel::Step call(kernel::Kernel kernel, std::vector<int> args, std::vector<int> results, const std::string& layer) {
    program_.kernels.push_back(std::move(kernel));
    program_.schedules.emplace_back();
    kernel::Step step;
    step.kernel = static_cast<int>(program_.kernels.size()) - 1;
    step.args = std::move(args);
    step.results = std::move(results);
    step.layer = layer;
    return step;
  }

  Status lower_ops(const std::vector<graph::Op>& ops, std::vector<kernel::Step>& steps) {
    for (const graph::Op& op : ops) CHECK(lower_op(op, steps));
    return done();
  }

  const graph::Value& value(int id) const { return source_->values[static_cast<std::size_t>(id)]; }

  Status lower_op(const graph::Op& op, std::vector<kernel::Step>& steps) {
    if (op.def->name == "const") {
      const graph::Value& result = value(op.results[0]);
      const int id = add_tensor(result.name, result.type, Tensor::Place::constant);
      const std::string path = fmt::format("{}.{}", source_->name, tensor(id).name);
      tensor(id).global = constant(path, std::get<Array>(graph::attr_of(op, "value")));
      tensor_of_value_[static_cast<std::size_t>(op.results[0])] = id;
      return done();
    }
    if (op.def->same_order) {
      int base = tensor_of(op.operands[0]);
      const graph::Value& result = value(op.results[0]);
      // What a scan takes may lie with gaps between its elements: they are brought together first.
      if (tensor(base).strides != kernel::dense_strides(tensor(base).shape)) {
        const int dense = add_tensor(result.name, {tensor(base).type, tensor(base).shape}, Tensor::Place::arena);
        steps.push_back(copy(base, dense, op.layer));
        base = dense;
      }
      tensor_of_value_[static_cast<std::size_t>(op.results[0])] =
          add_view(result.name, result.type, base, Dim(0), kernel::dense_strides(result.type.shape));
      return done();
    }
    if (op.def->name == "cond") return lower_cond(op, steps);
    if (!op.regions.empty()) return lower_scan(op, steps);
    graph::LowerContext context{module_, *source_, op, {}, {}};
    for (const Operand& operand : op.operands) context.operands.push_back(graph::type_of(module_, *source_, operand));
    std::vector<int> results;
    for (const int result : op.results) {
      context.results.push_back(value(result).type);
      results.push_back(add_tensor(value(result).name, value(result).type, Tensor::Place::arena));
      tensor_of_value_[static_cast<std::size_t>(result)] = results.back();
    }
    if (op.def->parts != nullptr) {
      const std::vector<Shape> starts = op.def->parts(context);
      const int whole = results[0];
      parts_[whole].depth = depth_;
      for (std::size_t k = 0; k < starts.size(); ++k) {
        const int source = tensor_of(op.operands[k]);
        if (lie_inside(source, whole, starts[k])) continue;
        const int part = add_view(fmt::format("{}_part{}", tensor(whole).name, k), context.operands[k], whole,
                                  offset_in(whole, starts[k]), tensor(whole).strides);
        parts_[whole].views.emplace_back(part, starts[k]);
        steps.push_back(copy(source, part, op.layer));
      }
      return done();
    }
    if (op.def->lower == nullptr) {
      return error("lower-op", fmt::format("op {} has no lowering; expand composites first", op.def->name));
    }
    steps.push_back(lower_kernel(op, context, results));
    return done();
  }

  Dim offset_in(int whole, const Shape& start) {
    Dim offset(0);
    for (std::size_t i = 0; i < start.size(); ++i) offset += start[i] * tensor(whole).strides[i];
    return offset;
  }

  // A concat of concats: the inner one, if only its parts are views of it, becomes a view of the outer one itself.
  bool lie_inside(int inner, int whole, const Shape& start) {
    const auto it = parts_.find(inner);
    if (it == parts_.end() || it->second.depth != depth_ || tensor(inner).place != Tensor::Place::arena) return false;
    std::vector<std::pair<int, Shape>> views = it->second.views;
    const auto views_of_inner = std::count_if(target_->tensors.begin(), target_->tensors.end(), [&](const Tensor& t) {
      return t.place == Tensor::Place::view && t.base == inner;
    });
    if (views_of_inner != static_cast<std::ptrdiff_t>(views.size())) return false;
    for (auto& [view, at] : views) {
      for (std::size_t i = 0; i < at.size(); ++i) at[i] += start[i];
    }
    views.emplace_back(inner, start);
    for (const auto& [view, at] : views) {
      tensor(view).place = Tensor::Place::view;
      tensor(view).base = whole;
      tensor(view).offset = offset_in(whole, at);
      tensor(view).strides = tensor(whole).strides;
      parts_[whole].views.emplace_back(view, at);
    }
    parts_.erase(inner);
    return true;
  }

  kernel::Step lower_kernel(const graph::Op& op, const graph::LowerContext& context, const std::vector<int>& results) {
    kernel::Kernel kernel;
    kernel.stages = op.def->lower(context);
    // A kernel has the name of its layer; one that only moves elements leaves it to those that compute.
    const std::string by_op(op.variant.empty() ? op.def->name : op.variant);
    const std::string wish = op.layer.empty() ? by_op : kernel::only_moves(kernel) ? tensor(results[0]).name : op.layer;
    kernel.name = unique_in(kernel_names_, kernel_word_of(wish));
    if (!op.layer.empty()) kernel.layers = {op.layer};
    std::map<std::string, std::string> names;
    std::set<std::string> taken = symbol_names_;
    std::vector<int> args;
    for (std::size_t i = 0; i < op.operands.size(); ++i) {
      if (!is_tensor(op.operands[i])) continue;
      const int arg = tensor_of(op.operands[i]);
      const auto known = std::find(args.begin(), args.end(), arg);
      const auto at = static_cast<std::size_t>(known - args.begin());
      if (known == args.end()) {
        args.push_back(arg);
        const std::string name = unique_in(taken, kernel_word_of(tensor(arg).name));
        kernel.params.push_back({name, tensor(arg).type, tensor(arg).shape, false});
      }
      names[fmt::format("x{}", i)] = kernel.params[at].name;
    }
    for (std::size_t i = 0; i < results.size(); ++i) {
      kernel.results.push_back(unique_in(taken, kernel_word_of(tensor(results[i]).name)));
      names[fmt::format("y{}", i)] = kernel.results.back();
    }
    for (kernel::Stage& stage : kernel.stages) {
      if (!names.contains(stage.name)) names[stage.name] = unique_in(taken, kernel_word_of(stage.name));
    }
    for (kernel::Stage& stage : kernel.stages) {
      stage.name = names.at(stage.name);
      const auto rename = [&](kernel::ExprRef& expr) {
        if (expr) expr = kernel::rename_tensors(expr, names);
      };
      rename(stage.expr);
      if (!stage.reduce) continue;
      rename(stage.reduce->from);
      for (kernel::Equality& equality : stage.reduce->where) rename(equality.value);
    }
    return call(std::move(kernel), std::move(args), results, op.layer);
  }

  // A branch for each region; both write the results.
  Status lower_cond(const graph::Op& op, std::vector<kernel::Step>& steps) {
    std::vector<int> results;
    for (const int id : op.results) results.push_back(add_tensor(value(id).name, value(id).type, Tensor::Place::arena));
    for (const bool holds : {true, false}) {
      const graph::Region& region = op.regions[holds ? 0 : 1];
      kernel::Step branch;
      branch.kind = kernel::Step::Kind::branch;
      branch.condition = tensor_of(op.operands[0]);
      branch.holds = holds;
      branch.layer = op.layer;
      ++depth_;
      CHECK(lower_ops(region.ops, branch.body));
      --depth_;
      for (std::size_t k = 0; k < results.size(); ++k)
        branch.body.push_back(copy(tensor_of(region.yields[k]), results[k], op.layer));
      steps.push_back(std::move(branch));
    }
    for (std::size_t k = 0; k < results.size(); ++k)
      tensor_of_value_[static_cast<std::size_t>(op.results[k])] = results[k];
    return done();
  }

  // A loop around the steps of the body. Carries live in one buffer each, which the end of the body overwrites; takes
  // and stacks are views at the loop's position.
  Status lower_scan(const graph::Op& op, std::vector<kernel::Step>& steps) {
    const auto ints = [&](std::string_view name) {
      return std::get<std::vector<std::int64_t>>(graph::attr_of(op, name));
    };
    const graph::Region& region = op.regions[0];
    const auto carries = static_cast<std::size_t>(std::get<std::int64_t>(graph::attr_of(op, "carries")));
    const std::vector<std::int64_t> take_axes = ints("take_axes");
    const std::vector<std::int64_t> take_rev = ints("take_rev");
    const std::vector<std::int64_t> stack_axes = ints("stack_axes");
    const std::vector<std::int64_t> stack_rev = ints("stack_rev");
    kernel::Step loop;
    loop.kind = kernel::Step::Kind::loop;
    loop.symbol = unique_in(tensor_names_, "position");
    loop.extent = std::get<Shape>(graph::attr_of(op, "length"))[0];
    loop.layer = op.layer;
    symbol_names_.insert(loop.symbol);
    const Dim position = Dim::symbol(loop.symbol);
    const auto at = [&](bool reversed) { return reversed ? loop.extent - Dim(1) - position : position; };
    std::vector<int> carried;
    for (std::size_t k = 0; k < carries; ++k) {
      const graph::Value& result = value(op.results[k]);
      carried.push_back(add_tensor(result.name, result.type, Tensor::Place::arena));
      steps.push_back(copy(tensor_of(op.operands[k]), carried[k], op.layer));
      tensor_of_value_[static_cast<std::size_t>(region.params[k])] = carried[k];
      tensor_of_value_[static_cast<std::size_t>(op.results[k])] = carried[k];
    }
    const auto slice = [&](std::string_view name, const graph::Type& type, int whole, std::int64_t axis,
                           bool reversed) {
      std::vector<Dim> strides = tensor(whole).strides;
      const Dim offset = at(reversed) * strides[static_cast<std::size_t>(axis)];
      strides.erase(strides.begin() + axis);
      return add_view(name, type, whole, offset, std::move(strides));
    };
    for (std::size_t k = 0; k < take_axes.size(); ++k) {
      const int param = region.params[carries + k];
      tensor_of_value_[static_cast<std::size_t>(param)] = slice(
          value(param).name, value(param).type, tensor_of(op.operands[carries + k]), take_axes[k], take_rev[k] != 0);
    }
    std::vector<int> stacked;
    for (std::size_t k = 0; k < stack_axes.size(); ++k) {
      const graph::Value& result = value(op.results[carries + k]);
      stacked.push_back(add_tensor(result.name, result.type, Tensor::Place::arena));
      tensor_of_value_[static_cast<std::size_t>(op.results[carries + k])] = stacked[k];
    }
    ++depth_;
    CHECK(lower_ops(region.ops, loop.body));
    --depth_;
    for (std::size_t k = 0; k < stack_axes.size(); ++k) {
      const int from = tensor_of(region.yields[carries + k]);
      const graph::Type type{tensor(from).type, tensor(from).shape};
      const int to = slice(tensor(stacked[k]).name + "_at", type, stacked[k], stack_axes[k], stack_rev[k] != 0);
      loop.body.push_back(copy(from, to, op.layer));
    }
    // New carries are all computed before the first is overwritten; one that reads another carry is kept aside first.
    std::vector<int> next;
    for (std::size_t k = 0; k < carries; ++k) {
      int from = tensor_of(region.yields[k]);
      const Tensor& source = tensor(from);
      const int root = source.place == Tensor::Place::view ? source.base : from;
      const bool is_carry = std::find(carried.begin(), carried.end(), root) != carried.end() && from != carried[k];
      if (is_carry) {
        const int aside = add_tensor(source.name + "_next", {source.type, source.shape}, Tensor::Place::arena);
        loop.body.push_back(copy(from, aside, op.layer));
        from = aside;
      }
      next.push_back(from);
    }
    for (std::size_t k = 0; k < carries; ++k) {
      if (next[k] != carried[k]) loop.body.push_back(copy(next[k], carried[k], op.layer));
    }
    steps.push_back(std::move(loop));
    return done();
  }

  const graph::Module& module_;
  std::vector<bool> changes_;  // globals that a function updates
  kernel::Program program_;
  const graph::Function* source_ = nullptr;
  kernel::Function* target_ = nullptr;
  std::vector<int> tensor_of_value_;
  std::map<int, int> tensor_of_global_;
  std::set<std::string> tensor_names_;
  // Results of concat: where the views that its operands are copied to begin in it.
  struct Parts {
    int depth = 0;
    std::vector<std::pair<int, Shape>> views;
  };
  std::map<int, Parts> parts_;
  int depth_ = 0;                       // of loops and branches around the steps
  std::set<std::string> symbol_names_;  // of the module and of loops: dims of kernels name them
  std::set<std::string> kernel_names_;
};

}  // namespace

Expected<kernel::Program> lower(const graph::Module& module) { return Lowering(module).run(); }

}  // namespace tusk
