#include "frontend/model/model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "frontend/model/emit.hpp"

namespace tusk {
namespace {

DType dtype_of(InputType type) {
  static constexpr DType kTypes[] = {DType::f32, DType::boolean, DType::u8,  DType::i8,  DType::i32,
                                     DType::u32, DType::i64,     DType::f64, DType::f16, DType::bf16};
  return kTypes[std::ranges::find(InputType::kWords, type.str()) - InputType::kWords.begin()];
}

// What an unknown axis is called: (batch, time, features), (batch, height, width, channels), ...; the channels come
// first where the last axis is unknown and the first is not.
std::string axis_name(const std::vector<InputDim>& batch_shape, std::size_t axis) {
  static const std::vector<std::string> kNames[] = {{},
                                                    {"features"},
                                                    {"time", "features"},
                                                    {"height", "width", "channels"},
                                                    {"depth", "height", "width", "channels"}};
  const std::size_t rank = batch_shape.size() - 1;
  if (rank >= std::size(kNames)) return fmt::format("axis{}", axis);
  const bool channels_first = rank > 1 && batch_shape[1].extent() && !batch_shape.back().extent();
  if (channels_first) return kNames[rank][axis - 2];
  return kNames[rank][axis - 1];
}

bool is_word(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  // `__` is for symbols that nobody named.
  return !text.empty() && letter(text[0]) && text.find("__") == std::string_view::npos &&
         std::ranges::all_of(text, [&](char c) { return letter(c) || digit(c); });
}

}  // namespace

// --- Input

Tensor InputLayerImpl::make() {
  if (config.batch_shape.empty()) fail("input-batch", "the shape of an input needs at least the batch");
  Shape shape;
  for (std::size_t axis = 0; axis < config.batch_shape.size(); ++axis) {
    const InputDim& dim = config.batch_shape[axis];
    if (dim.extent()) check_field(fmt::format("axis {} of the shape", axis), *dim.extent());
    if (axis == 0) {
      shape.push_back(Dim::symbol(kBatch));  // a fixed batch narrows the range of the symbol
    } else if (dim.extent()) {
      shape.emplace_back(*dim.extent());
    } else if (dim.symbol().empty()) {
      shape.push_back(unknown_dim(axis_name(config.batch_shape, axis)));
    } else if (!is_word(dim.symbol())) {
      fail("symbol-name",
           fmt::format("`{}` is no name for an extent: expected letters, digits and single _", dim.symbol()));
    } else {
      shape.push_back(Dim::symbol(dim.symbol()));
    }
  }
  try {
    check_elements(shape);
  } catch (const Error& failure) {
    fail(failure.problem().code, failure.problem().message);
  }
  const std::vector<graph::Type> outputs{{dtype_of(config.dtype), shape}};
  auto node = std::make_shared<Node>(shared_from_this(), std::vector<Tensor>(), 0, outputs, Call{});
  add_node(node);
  return Tensor(Tensor::Result{std::move(node), 0});
}

std::vector<Tensor> InputLayerImpl::call_all(const std::vector<Tensor>&, const Call&) {
  fail("input-call", "an InputLayer is not called");
}

std::vector<Shape> InputLayerImpl::written_shapes(const std::vector<Shape>&, std::vector<Shape> results) const {
  if (const std::optional<std::int64_t>& batch = config.batch_shape.front().extent()) results.front()[0] = Dim(*batch);
  return results;
}

Tensor Input(const std::vector<InputDim>& shape, const InputOptions& options) {
  InputLayerImpl::Config config{{}, options.dtype, options.name};
  if (options.batch_size) {
    config.batch_shape.emplace_back(*options.batch_size);
  } else {
    config.batch_shape.emplace_back(None);
  }
  config.batch_shape.insert(config.batch_shape.end(), shape.begin(), shape.end());
  return InputLayer(std::move(config))->make();
}

Tensor Input(std::initializer_list<InputDim> shape, const InputOptions& options) {
  return Input(std::vector<InputDim>(shape), options);
}

// --- FunctionalImpl

FunctionalImpl::FunctionalImpl(std::vector<Tensor> in, std::vector<Tensor> out)
    : inputs(std::move(in)), outputs(std::move(out)) {
  if (inputs.empty() || outputs.empty()) throw Error(error("model-empty", "a model needs inputs and outputs"));
  for (const std::vector<Tensor>* list : {&inputs, &outputs}) {
    for (const Tensor& tensor : *list) {
      (void)tensor.type();  // refuses empty ones, and several results taken as one
      if (tensor.result() == nullptr) {
        throw Error(error("model-tensor", "inputs and outputs of a model are results of layer calls"));
      }
    }
  }
  order();
  std::set<std::string> taken;
  for (const Tensor& input : inputs) input_names.push_back(unique_name(input.result()->node->layer->name(), taken));
  for (const Tensor& output : outputs) output_names.push_back(unique_name(output.result()->node->layer->name(), taken));
}

// Keras' order: it fixes the order of layers and weights in files. Depths count from the outputs; a
// layer that is called several times has the largest depth of its calls.
void FunctionalImpl::order() {
  std::map<const LayerBase*, int> index;  // in the order of first visits, outputs first
  std::set<const Node*> done;
  std::set<const Node*> on_the_way;
  const std::set<Tensor::Result> declared = [&] {
    std::set<Tensor::Result> set;
    for (const Tensor& input : inputs) set.insert(*input.result());
    return set;
  }();
  struct Visit {
    std::shared_ptr<const Node> node;
    std::size_t next = 0;
  };
  // An explicit stack: a model from a file may be as deep as it likes.
  for (const Tensor& output : outputs) {
    std::vector<Visit> stack;
    const auto enter = [&](const Tensor& tensor) {
      const std::shared_ptr<const Node>& node = tensor.result()->node;
      const bool is_declared = declared.contains(*tensor.result());
      if (node->inputs.empty() && !is_declared) {
        throw Error(
            error("model-disconnected",
                  fmt::format("input `{}` is needed, but is not among the inputs of the model", node->layer->name())));
      }
      if (is_declared && !node->inputs.empty()) return;  // a result of a layer that is taken as an input
      if (done.contains(node.get())) return;
      index.try_emplace(node->layer.get(), static_cast<int>(index.size()));
      stack.push_back({node, 0});
    };
    enter(output);
    while (!stack.empty()) {
      Visit& top = stack.back();
      if (top.next < top.node->inputs.size()) {
        const Tensor input = top.node->inputs[top.next++];
        enter(input);
        continue;
      }
      if (done.insert(top.node.get()).second) nodes.push_back(top.node);
      stack.pop_back();
    }
  }

  std::map<const Node*, int>& depth = depths;
  std::map<const LayerBase*, int> layer_depth;
  for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
    const Node& node = **it;
    int& of_layer = layer_depth[node.layer.get()];
    int& of_node = depth[&node];
    of_node = of_layer = std::max(of_node, of_layer);
    for (const Tensor& input : node.inputs) {
      const Node* parent = input.result()->node.get();
      if (done.contains(parent)) depth[parent] = std::max(depth[parent], of_node + 1);
    }
  }
  std::vector<const Node*> turns;
  for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) turns.push_back(it->get());
  std::ranges::stable_sort(turns, [&](const Node* a, const Node* b) { return depth[a] > depth[b]; });
  for (std::size_t turn = 0; turn < turns.size(); ++turn) {
    turn_[turns[turn]] = turn;
    if (!turns[turn]->layer->strips_masks()) continue;
    for (std::size_t i = 0; i < turns[turn]->positional; ++i) {
      const Tensor& input = turns[turn]->inputs[i];
      // A cast leaves a copy without its mask, and the input as it was.
      const bool casts = is_float(input.dtype()) && input.dtype() != turns[turn]->layer->dtype_policy().compute;
      if (!casts) bare_after_.try_emplace(*input.result(), turn);
    }
  }
  for (const Tensor& input : inputs) {  // inputs that no output needs
    const std::shared_ptr<const Node>& node = input.result()->node;
    if (node->inputs.empty() && index.try_emplace(node->layer.get(), -1).second) {
      nodes.push_back(node);
      depth[node.get()] = 0;
    }
  }
  std::set<std::string> names;
  std::set<const LayerBase*> seen;
  for (const std::shared_ptr<const Node>& node : nodes) {
    if (!seen.insert(node->layer.get()).second) continue;
    operations.emplace_back(node->layer);
    if (!names.insert(node->layer->name()).second) {
      throw Error(error("model-names",
                        fmt::format("two layers of the model are named `{}`; names must differ", node->layer->name())));
    }
  }
  std::ranges::stable_sort(operations, [&](const Layer& a, const Layer& b) {
    const int depth_a = layer_depth[&a.base()];
    const int depth_b = layer_depth[&b.base()];
    if (depth_a != depth_b) return depth_a > depth_b;
    return index[&a.base()] < index[&b.base()];
  });
  std::ranges::copy_if(operations, std::back_inserter(layers),
                       [](const Layer& layer) { return !layer.base().is_operation(); });
}

// An argument becomes what the input is declared as: Keras casts it, and adds or drops a last axis of 1.
Tensor FunctionalImpl::as_input(const graph::Type& declared, Tensor x) const {
  const std::size_t rank = declared.shape.size();
  Shape shape = x.shape();
  if (shape.size() == rank + 1 && shape.back() == Dim(1)) {
    shape.pop_back();
  } else if (shape.size() + 1 == rank && declared.shape.back() == Dim(1)) {
    shape.emplace_back(1);
  }
  bool fits = shape.size() == rank;
  for (std::size_t i = 0; fits && i < rank; ++i) {
    fits = !shape[i].is_constant() || !declared.shape[i].is_constant() || shape[i] == declared.shape[i];
  }
  if (!fits) {
    fail("model-argument", fmt::format("the model is called on {}, its input is {}", keras_shape(x.shape()),
                                       keras_shape(declared.shape)));
  }
  x = emit::reshape(x, std::move(shape));
  return x.dtype() == declared.dtype ? x : emit::cast(x, declared.dtype);
}

std::vector<Tensor> FunctionalImpl::call_all(const std::vector<Tensor>& arguments, const Call& how) {
  std::map<Tensor::Result, Tensor> values;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Tensor mask = i < how.mask.list.size() ? how.mask.list[i] : Tensor();
    values[*inputs[i].result()] = as_input(inputs[i].type(), arguments[i]).with_mask(mask);
  }
  for (const std::shared_ptr<const Node>& node : nodes) {
    if (node->inputs.empty()) continue;
    std::vector<Tensor> in;
    for (const Tensor& input : node->inputs) {
      const auto bare = bare_after_.find(*input.result());
      const bool has_mask = bare == bare_after_.end() || turn_.at(node.get()) <= bare->second;
      const Tensor& value = values.at(*input.result());
      in.push_back(has_mask ? value : value.with_mask({}));
    }
    const std::vector<Tensor> out = node->with(std::move(in), [&](const std::vector<Tensor>& values_in, Call call) {
      call.training = how.training;  // as in Keras, which of a model's call wins
      return Trace::current().run(*node->layer, values_in, call);
    });
    // A declared input may be a result of this node as well: the argument stays.
    for (std::size_t i = 0; i < out.size(); ++i) {
      values.try_emplace(Tensor::Result{node, static_cast<int>(i)}, out[i]);
    }
  }
  std::vector<Tensor> results;
  for (const Tensor& output : outputs) results.push_back(values.at(*output.result()));
  return results;
}

std::vector<Variable> FunctionalImpl::weights() const {
  std::vector<Variable> out;
  std::set<Variable> seen;
  for (const Layer& layer : layers) {
    for (Variable& variable : layer.weights()) {
      if (seen.insert(variable).second) out.push_back(std::move(variable));
    }
  }
  return out;
}

std::vector<Variable> FunctionalImpl::trainable_weights() const {
  std::vector<Variable> out;
  std::set<Variable> seen;
  for (const Layer& layer : trainable() ? layers : std::vector<Layer>()) {
    for (Variable& variable : layer.base().trainable_weights()) {
      if (seen.insert(variable).second) out.push_back(std::move(variable));
    }
  }
  return out;
}

std::vector<Variable> FunctionalImpl::random_states() const {
  std::vector<Variable> out;
  std::set<Variable> seen;
  for (const Layer& layer : layers) {
    for (Variable& variable : layer.base().random_states()) {
      if (seen.insert(variable).second) out.push_back(std::move(variable));
    }
  }
  return out;
}

void FunctionalImpl::set_trainable(bool trainable) {
  LayerBase::set_trainable(trainable);
  for (const Layer& layer : layers) layer.base().set_trainable(trainable);
}

// --- Model

Model::Model(const Tensors& inputs, const Tensors& outputs, const ModelOptions& options)
    : Layer(std::make_shared<FunctionalImpl>(inputs.list, outputs.list)) {
  base().set_identity("Functional", options.name);
}

const Layer& Model::get_layer(std::string_view wanted) const {
  for (const Layer& layer : layers()) {
    if (layer.name() == wanted) return layer;
  }
  Diagnostic problem = error("model-layer", fmt::format("no layer is named `{}`", wanted));
  std::string names;
  for (const Layer& layer : layers()) names += fmt::format("{}{}", names.empty() ? "" : ", ", layer.name());
  throw Error(problem.note("the layers are " + names));
}

const Layer& Model::get_layer(std::int64_t index) const {
  const auto count = static_cast<std::int64_t>(layers().size());
  const std::int64_t i = index < 0 ? index + count : index;
  if (i >= 0 && i < count) return layers()[static_cast<std::size_t>(i)];
  throw Error(error("model-layer", fmt::format("there is no layer {}: the model has {} layers", index, count)));
}

std::int64_t Model::count_params() const {
  std::int64_t count = 0;
  for (const Variable& variable : weights()) count += element_count(variable.shape());
  return count;
}

}  // namespace tusk
