#include "frontend/model/trace.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "frontend/model/emit.hpp"
#include "frontend/model/error.hpp"
#include "frontend/model/layer.hpp"
#include "ir/graph/gradients.hpp"

namespace tusk {
namespace {

thread_local Trace* innermost = nullptr;

std::string joined(const std::string& path, std::string_view name) {
  return path.empty() ? std::string(name) : fmt::format("{}/{}", path, name);
}

}  // namespace

graph::Symbol default_symbol(const std::string& name) { return {name, 1, name == kBatch ? 64 : 256, 1}; }

Trace::Trace(std::string function_name, Weights weights)
    : weights_(weights), builder_(module, function, function.ops), outer_(innermost) {
  function.name = std::move(function_name);
  innermost = this;
}

Trace::~Trace() { innermost = outer_; }

bool Trace::active() { return innermost != nullptr; }

Trace& Trace::current() {
  if (innermost == nullptr) {
    throw Error(error("trace-none", "this function works on tensors inside of the call of a layer only"));
  }
  return *innermost;
}

Tensor Trace::parameter(std::string name, graph::Type type) {
  for (const Dim& dim : type.shape) {
    for (const std::string& symbol : dim.symbols()) {
      if (module.symbol(symbol) == nullptr) module.symbols.push_back(default_symbol(symbol));
    }
  }
  const int id = function.add_value(std::move(name), std::move(type));
  function.params.push_back(id);
  return tensor(graph::Operand::value(id));
}

std::vector<Tensor> Trace::run(LayerBase& layer, const std::vector<Tensor>& given_inputs, const Call& given) {
  if (++calls_ > kMostCalls)
    throw Error(error("model-size", fmt::format("the model calls layers more than {} times", kMostCalls)));
  const std::string outer = path_;
  // The first call decides the path: calls of a shared layer elsewhere name the same weights.
  path_ = paths_.try_emplace(&layer, joined(outer, layer.name())).first->second;
  const std::string outer_layer = std::exchange(builder_.layer, path_);
  // An operation computes in what its inputs are; a layer whose `call` another one calls, as that one does.
  const DType own_compute = layer.is_operation() ? emit::common_float(given_inputs).value_or(compute_)
                            : given.inside       ? compute_
                                                 : layer.dtype_policy().compute;
  const DType outer_compute = std::exchange(compute_, own_compute);
  // In the layer's own order, whatever order its ops read them in.
  for (const Variable& variable : layer.own_weights()) operand(variable);
  std::vector<Tensor> inputs = given_inputs;
  for (Tensor& input : inputs) {
    if (layer.autocasts() && !given.inside && is_float(input.dtype()))
      input = emit::cast(input, compute_).with_mask(input.mask());
  }
  const std::size_t first_new = function.values.size();
  Call call = given;
  if (call.mask.list.empty()) {
    for (const Tensor& input : inputs) call.mask.list.push_back(input.mask());
  }
  if (call.mask.list.size() < inputs.size()) call.mask.list.resize(inputs.size());
  std::vector<Tensor> results = layer.call_all(inputs, call);
  if (observer && !layer.is_model()) observer(layer, results);
  if (!layer.is_model()) {
    const Tensor mask = layer.output_mask(inputs, call);
    for (Tensor& result : results) {
      result = result.with_mask(mask);
      const graph::Operand of = operand(result);
      if (of.kind == graph::Operand::Kind::value && static_cast<std::size_t>(of.id) >= first_new) {
        function.rename(of.id, layer.name());
      }
    }
  }
  path_ = outer;
  builder_.layer = outer_layer;
  compute_ = outer_compute;
  return results;
}

void Trace::name_weights(const LayerBase& layer) {
  const std::string outer = path_;
  path_ = paths_.try_emplace(&layer, joined(outer, layer.name())).first->second;
  for (const Variable& variable : layer.own_weights()) global_of(variable);
  path_ = outer;
}

std::vector<Tensor> Trace::add(std::string_view op, std::vector<graph::Operand> operands, graph::Attrs attrs,
                               std::string_view suffix) {
  return added(op, std::move(operands), std::move(attrs), suffix, {});
}

std::vector<Tensor> Trace::added(std::string_view op, std::vector<graph::Operand> operands, graph::Attrs attrs,
                                 std::string_view suffix, std::vector<graph::Region> regions) {
  if (suffix.empty()) suffix = op.substr(op.find('.') == std::string_view::npos ? 0 : op.find('.') + 1);
  const std::size_t slash = path_.rfind('/');
  const std::string_view layer = std::string_view(path_).substr(slash == std::string::npos ? 0 : slash + 1);
  builder_.name_hint = layer.empty() ? std::string(suffix) : fmt::format("{}_{}", layer, suffix);
  const std::vector<graph::Operand> results =
      builder_.add_all(op, std::move(operands), std::move(attrs), std::move(regions));
  if (builder_.problem) throw Error(*std::exchange(builder_.problem, std::nullopt));
  std::vector<Tensor> out;
  for (const graph::Operand& result : results) out.push_back(tensor(result));
  return out;
}

std::vector<Tensor> Trace::scan(const std::vector<Tensor>& carries,
                                const std::vector<std::pair<Tensor, emit::Along>>& takes,
                                const std::vector<emit::Along>& stacks, const emit::ScanBody& body) {
  std::vector<graph::Operand> operands;
  graph::Region region;
  const auto parameter = [&](graph::Type type) {
    const int id = function.add_value("", std::move(type));
    region.params.push_back(id);
    return tensor(graph::Operand::value(id));
  };
  std::vector<Tensor> carried;
  std::vector<Tensor> taken;
  emit::Ints axes[2];
  emit::Ints reversed[2];
  Shape length;
  for (const Tensor& x : carries) {
    operands.push_back(operand(x));
    carried.push_back(parameter(x.type()));
  }
  for (const auto& [x, along] : takes) {
    operands.push_back(operand(x));
    graph::Type slice = x.type();
    length = {slice.shape[static_cast<std::size_t>(along.axis)]};
    slice.shape.erase(slice.shape.begin() + along.axis);
    taken.push_back(parameter(std::move(slice)));
    axes[0].push_back(along.axis);
    reversed[0].push_back(along.reverse ? 1 : 0);
  }
  for (const emit::Along& along : stacks) {
    axes[1].push_back(along.axis);
    reversed[1].push_back(along.reverse ? 1 : 0);
  }
  // The builder writes to the ops of the function: for now those of the region.
  std::vector<graph::Op> outer = std::exchange(function.ops, {});
  const auto casted_outside = casted_;
  for (const Tensor& yielded : body(carried, taken)) region.yields.push_back(operand(yielded));
  casted_ = casted_outside;
  region.ops = std::exchange(function.ops, std::move(outer));
  const auto count = static_cast<std::int64_t>(carries.size());
  graph::Attrs attrs{{{"length", length},
                      {"carries", count},
                      {"take_axes", axes[0]},
                      {"take_rev", reversed[0]},
                      {"stack_axes", axes[1]},
                      {"stack_rev", reversed[1]}}};
  return added("scan", std::move(operands), std::move(attrs), {}, {std::move(region)});
}

Tensor Trace::constant(std::string_view name, Array value) {
  const graph::Type type{value.dtype(), Shape(value.shape().begin(), value.shape().end())};
  return tensor(graph::Operand::global(add_global(joined(path_, name), type, std::move(value))));
}

graph::Operand Trace::operand(const Tensor& of) {
  if (const Tensor::Traced* traced = of.traced()) return traced->operand;
  if (const Variable* variable = of.variable()) return read(*variable);
  if (const Tensor::Result* result = of.result()) {
    throw Error(error("trace-mixed", fmt::format("a result of layer `{}`, which belongs to a model, is used inside of "
                                                 "the call of another layer",
                                                 result->node->layer->name()))
                    .note("pass it to that layer as an input"));
  }
  throw Error(error("tensor-empty", "a Tensor is used that no call has made"));
}

int Trace::global_of(const Variable& variable) {
  auto it = globals_.find(variable);
  if (it == globals_.end()) {
    const int id = add_global(joined(path_, variable.name()), variable.type(),
                              weights_ == Weights::described ? Array() : variable.value());
    graph::Global& global = module.globals[static_cast<std::size_t>(id)];
    global.is_state = weights_ == Weights::states;
    global.trainable = global.is_state && variable.trainable();
    if (global.is_state) variable.set_path(global.path);
    it = globals_.emplace(variable, id).first;
  }
  return it->second;
}

graph::Operand Trace::read(const Variable& variable) {
  const auto assigned = assigned_.find(variable);
  const graph::Operand value =
      assigned != assigned_.end() ? assigned->second : graph::Operand::global(global_of(variable));
  if (!variable.autocast() || !is_float(variable.type().dtype) || variable.type().dtype == compute_) return value;
  const auto [casted, is_new] = casted_.try_emplace({variable, compute_});
  if (is_new) casted->second = operand(add("cast", {value}, {{{"to", compute_}}}, variable.name()).front());
  return casted->second;
}

void Trace::assign(const Variable& variable, const Tensor& value) {
  if (weights_ == Weights::copied) {
    Diagnostic problem =
        error("layer-training", fmt::format("{} changes when the layer is called with training = true, "
                                            "which only a training step can keep",
                                            variable.name()));
    problem.layer = path_;
    throw Error(problem);
  }
  const int global = global_of(variable);
  const Tensor kept = emit::cast(value, variable.type().dtype);
  if (kept.type() != variable.type()) {
    throw Error(error("assign-shape", fmt::format("{} has shape {}, what is assigned {}", variable.name(),
                                                  keras_shape(variable.type().shape), keras_shape(kept.shape()))));
  }
  const graph::Operand now = operand(kept);
  const auto known = std::ranges::find(function.updates, global, &graph::Update::global);
  if (known != function.updates.end()) {
    known->value = now;
  } else {
    function.updates.push_back({global, now});
  }
  assigned_[variable] = now;
  if (changed_ != nullptr && std::ranges::find(*changed_, variable) == changed_->end()) changed_->push_back(variable);
  std::erase_if(casted_, [&](const auto& entry) { return entry.first.first == variable; });
}

void Trace::only_if(const Tensor& condition, const std::function<void()>& body) {
  const graph::Operand holds = operand(condition);
  const auto assigned_before = assigned_;
  const auto casted_before = casted_;
  const std::vector<graph::Update> updates_before = function.updates;
  std::vector<Variable> changed;
  std::vector<Variable>* const outer_changed = std::exchange(changed_, &changed);
  // The builder writes to the ops of the function: for now those of the region.
  std::vector<graph::Op> outer = std::exchange(function.ops, {});
  body();
  std::vector<graph::Region> regions(2);
  regions[0].ops = std::exchange(function.ops, std::move(outer));
  changed_ = outer_changed;
  const std::map<Variable, graph::Operand> assigned = std::exchange(assigned_, assigned_before);
  casted_ = casted_before;
  function.updates = updates_before;
  std::vector<Variable> chosen;
  for (const Variable& variable : changed) {
    const auto before = assigned_before.find(variable);
    const graph::Operand kept =
        before != assigned_before.end() ? before->second : graph::Operand::global(global_of(variable));
    if (assigned.at(variable) == kept) {
      assign(variable, tensor(kept));
      continue;
    }
    chosen.push_back(variable);
    regions[0].yields.push_back(assigned.at(variable));
    regions[1].yields.push_back(kept);
  }
  if (chosen.empty()) return;
  const std::vector<Tensor> results = added("cond", {holds}, {}, {}, std::move(regions));
  for (std::size_t i = 0; i < chosen.size(); ++i) assign(chosen[i], results[i]);
}

std::vector<Tensor> Trace::gradients(const Tensor& loss, const std::vector<Tensor>& wanted) {
  std::vector<graph::Operand> of;
  for (const Tensor& x : wanted) {
    const auto assigned = x.variable() != nullptr ? assigned_.find(*x.variable()) : assigned_.end();
    of.push_back(assigned != assigned_.end() ? assigned->second
                 : x.variable() != nullptr   ? graph::Operand::global(global_of(*x.variable()))
                                             : operand(x));
  }
  const auto found = graph::append_gradients(module, function, operand(loss), of);
  if (!found) throw Error(found.problem());
  std::vector<Tensor> out;
  for (const graph::Operand& gradient : *found) out.push_back(tensor(gradient));
  return out;
}

void Trace::next_function(std::string name) {
  module.functions.push_back(std::exchange(function, {}));
  function.name = std::move(name);
  assigned_.clear();
  casted_.clear();
  calls_ = 0;
}

const std::string& Trace::path_of(const Variable& variable) {
  return module.globals[static_cast<std::size_t>(global_of(variable))].path;
}

Tensor Trace::value(const Tensor& tensor) {
  if (tensor.variable() == nullptr) return tensor;
  return current().tensor(current().operand(tensor));
}

Tensor Trace::tensor(graph::Operand operand) {
  graph::Type type = builder_.type(operand);
  return Tensor(Tensor::Traced{std::move(operand), std::move(type)});
}

int Trace::add_global(std::string path, const graph::Type& type, Array value) {
  graph::Global global;
  global.path = graph::unique_name(global_names_, std::move(path));
  global.type = type;
  global.value = std::move(value);
  module.globals.push_back(std::move(global));
  return static_cast<int>(module.globals.size()) - 1;
}

}  // namespace tusk
