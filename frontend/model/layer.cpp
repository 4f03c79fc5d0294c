#include "frontend/model/layer.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "frontend/model/trace.hpp"

namespace tusk {
namespace {

// Extents and products beyond these come from broken files: no weight of theirs fits into memory.
constexpr std::int64_t kMaxField = std::int64_t{1} << 26;
constexpr std::int64_t kMaxWeight = std::int64_t{1} << 34;

}  // namespace

void LayerBase::set_identity(std::string_view class_name, std::string name) {
  class_name_ = class_name;
  name_ = name.empty() ? automatic_name(keras_class()) : std::move(name);
}

void LayerBase::fail(std::string code, std::string message) const {
  Diagnostic problem = error(std::move(code), std::move(message));
  problem.layer = name_;
  throw Error(std::move(problem));
}

void LayerBase::check_field(std::string_view field, std::int64_t value, std::int64_t least) const {
  if (value < least) fail("field-value", fmt::format("{} is {}, expected at least {}", field, value, least));
  if (value > kMaxField) fail("field-value", fmt::format("{} is {}, expected at most {}", field, value, kMaxField));
}

void LayerBase::check_rank(const Shape& in, std::size_t rank) {
  input_spec_.rank = rank;
  check_spec(in);
}

void LayerBase::check_min_rank(const Shape& in, std::size_t rank) {
  input_spec_.min_rank = rank;
  check_spec(in);
}

void LayerBase::check_spec(const Shape& in) const {
  if (input_spec_.rank && in.size() != *input_spec_.rank)
    fail("layer-rank", fmt::format("{} needs rank {}, found {}", class_name_, *input_spec_.rank, keras_shape(in)));
  if (in.size() < input_spec_.min_rank)
    fail("layer-rank",
         fmt::format("{} needs rank {} or more, found {}", class_name_, input_spec_.min_rank, keras_shape(in)));
  for (const auto& [axis, extent] : input_spec_.axes) {
    const std::int64_t i = axis < 0 ? axis + static_cast<std::int64_t>(in.size()) : axis;
    const bool has = i >= 0 && i < static_cast<std::int64_t>(in.size());
    if (has && (!in[static_cast<std::size_t>(i)].is_constant() || in[static_cast<std::size_t>(i)] == Dim(extent)))
      continue;
    fail("layer-built",
         fmt::format("its weights were made for inputs whose axis {} is {}, found {}", axis, extent, keras_shape(in)));
  }
}

std::vector<std::int64_t> LayerBase::axes_behind_batch(const Shape& shape,
                                                       const std::vector<std::int64_t>& axes) const {
  const auto rank = static_cast<std::int64_t>(shape.size());
  std::vector<std::int64_t> out;
  for (const std::int64_t axis : axes) {
    out.push_back(axis < 0 ? axis + rank : axis);
    if (out.back() < 1 || out.back() >= rank) {
      fail("field-value", fmt::format("axis is {}, which is no axis of {} behind the batch", axis, keras_shape(shape)));
    }
  }
  std::ranges::sort(out);
  if (out.empty() || std::ranges::adjacent_find(out) != out.end())
    fail("field-value", fmt::format("axis is ({}), expected different axes", fmt::join(axes, ", ")));
  return out;
}

std::int64_t LayerBase::known_dim(const Shape& shape, std::int64_t axis, std::string_view why) const {
  const std::int64_t i = axis < 0 ? axis + static_cast<std::int64_t>(shape.size()) : axis;
  const Dim& extent = shape.at(static_cast<std::size_t>(i));
  if (extent.is_constant()) return extent.constant();
  fail("layer-unknown-dim", fmt::format("axis {} of the input {} must be known {}", axis, keras_shape(shape), why));
}

std::int64_t LayerBase::weight_dim(const Shape& in, std::int64_t axis) {
  const std::int64_t extent = known_dim(in, axis);
  input_spec_.axes.emplace_back(axis, extent);
  return extent;
}

Shape LayerBase::weight_shape(const Shape& in, const std::vector<std::int64_t>& axes) {
  Shape shape;
  for (const std::int64_t axis : axes_behind_batch(in, axes)) shape.emplace_back(known_dim(in, axis));
  for (const std::int64_t axis : axes) weight_dim(in, axis);
  return shape;
}

Tensor LayerBase::call(Tensor, const Call&) {
  fail("layer-no-call", fmt::format("{} overrides neither call nor call_all", class_name_));
}

void LayerBase::build_all(const std::vector<Shape>& shapes) { build(shapes.front()); }

std::vector<Tensor> LayerBase::call_all(const std::vector<Tensor>& inputs, const Call& how) {
  return {call(inputs.front(), how)};
}

Tensor LayerBase::output_mask(const std::vector<Tensor>&, const Call& how) {
  return supports_masking() && !how.mask.list.empty() ? how.mask.list.front() : Tensor();
}

// To Keras glu halves nothing.
std::vector<Shape> LayerBase::written_shapes(const std::vector<Shape>&, std::vector<Shape> results) const {
  if (activation_ == "glu") results.front().back() *= Dim(2);
  return results;
}

Variable LayerBase::add_weight(std::string name, const Shape& shape, WeightOptions options) {
  std::int64_t count = 1;
  for (const Dim& extent : shape) {
    if (!extent.is_constant()) {
      fail("layer-unknown-dim", fmt::format("weight {} needs known extents, found {}", name, keras_shape(shape)));
    }
    if (extent.constant() < 1 || extent.constant() > kMaxWeight / count) {
      fail("weight-size", fmt::format("weight {} would have shape {}, expected at most {} elements", name,
                                      keras_shape(shape), kMaxWeight));
    }
    count *= extent.constant();
  }
  const std::uint64_t seed = seed_of(name_, name);
  weights_.emplace_back(std::move(name), graph::Type{options.dtype.value_or(policy_.variable), shape},
                        options.initializer, options.trainable, options.autocast, seed);
  weights_.back().set_rules(options.regularizer, options.constraint);
  return weights_.back();
}

std::vector<Variable> LayerBase::weights() const {
  std::vector<Variable> out = weights_;
  std::stable_partition(out.begin(), out.end(), [](const Variable& variable) { return variable.trainable(); });
  for (const Layer& child : children_) {
    for (Variable& variable : child.weights()) out.push_back(std::move(variable));
  }
  return out;
}

std::vector<Variable> LayerBase::trainable_weights() const {
  std::vector<Variable> out;
  if (!trainable_) return out;
  std::ranges::copy_if(weights_, std::back_inserter(out), &Variable::trainable);
  for (const Layer& child : children_) {
    for (Variable& variable : child.base().trainable_weights()) out.push_back(std::move(variable));
  }
  return out;
}

std::vector<Variable> LayerBase::random_states() const {
  std::vector<Variable> out = random_states_;
  for (const Layer& child : children_) std::ranges::copy(child.base().random_states(), std::back_inserter(out));
  return out;
}

SeedGenerator LayerBase::add_seed_generator(std::optional<std::int64_t> seed) {
  const SeedGenerator out(seed, name_);
  random_states_.push_back(out.state());
  return out;
}

void LayerBase::set_trainable(bool trainable) {
  trainable_ = trainable;
  for (const Layer& child : children_) child.base().set_trainable(trainable);
}

void LayerBase::ensure_built(const std::vector<Shape>& shapes) {
  if (built_) {
    if (!shapes.empty()) check_spec(shapes.front());
    return;
  }
  input_spec_ = {};
  build_all(shapes);
  build_shapes_ = shapes;
  built_ = true;
}

void LayerBase::add_child(const Layer& layer, const std::vector<Shape>& shapes) {
  layer.base().ensure_built(shapes);
  children_.push_back(layer);
}

void LayerBase::check_inputs(const std::vector<Tensor>& inputs) const {
  if (inputs.size() >= min_inputs() && inputs.size() <= max_inputs()) return;
  const std::string wanted =
      min_inputs() == max_inputs() ? std::to_string(min_inputs()) : fmt::format("at least {}", min_inputs());
  fail("layer-inputs",
       fmt::format("{} takes {} input{}, found {}", class_name_, wanted, wanted == "1" ? "" : "s", inputs.size()));
}

std::vector<Tensor> LayerBase::apply(std::vector<Tensor> inputs, const Call& how) try {
  check_inputs(inputs);
  std::vector<Shape> shapes;
  for (const Tensor& input : inputs) shapes.push_back(input.shape());
  ensure_built(shapes);
  std::vector<Tensor> reads = inputs;
  Call copy = how;
  for (const Tensor* tensor : copy.tensors()) reads.push_back(*tensor);
  const bool defining = std::ranges::any_of(reads, [](const Tensor& x) { return x.result() != nullptr; });
  if (!defining && Trace::active()) return Trace::current().run(*this, inputs, how);

  auto node = std::make_shared<Node>(shared_from_this(), reads, inputs.size(), std::vector<graph::Type>(), how);
  Trace trace("call", Trace::Weights::described);
  for (Tensor& tensor : reads) tensor = trace.parameter("x", tensor.type());
  node->outputs = node->with(reads, [&](const std::vector<Tensor>& values, Call call) {
    call.training = false;  // the types are the same
    std::vector<graph::Type> types;
    for (const Tensor& result : trace.run(*this, values, call)) types.push_back(result.type());
    return types;
  });
  for (const graph::Type& output : node->outputs) check_elements(output.shape);
  add_node(node);
  std::vector<Tensor> results;
  for (std::size_t i = 0; i < node->outputs.size(); ++i) {
    results.push_back(Tensor(Tensor::Result{node, static_cast<int>(i)}));
  }
  return results;
} catch (const Error& failure) {
  if (!failure.problem().layer.empty()) throw;
  Diagnostic problem = failure.problem();
  problem.layer = name_;
  throw Error(std::move(problem));
}

Tensor Layer::operator()(const Tensors& inputs, const Call& call) const {
  const std::vector<Tensor> results = layer_->apply(inputs.list, call);
  if (results.size() == 1) return results.front();
  if (results.front().result() == nullptr) {
    throw Error(error(
        "tensor-several",
        fmt::format("layer `{}` has {} results: inside of another layer's call use apply", name(), results.size())));
  }
  return Tensor(Tensor::Result{results.front().result()->node, -1});
}

std::vector<Array> Layer::get_weights() const {
  std::vector<Array> out;
  for (const Variable& variable : weights()) out.push_back(variable.value());
  return out;
}

void Layer::set_weights(const std::vector<Array>& values) const {
  std::vector<Variable> variables = weights();
  if (values.size() != variables.size()) {
    Diagnostic problem =
        error("weight-count", fmt::format("{} arrays are given for {} weights", values.size(), variables.size()));
    problem.layer = name();
    if (!layer_->built()) problem.note("the layer has no weights before its first call");
    throw Error(std::move(problem));
  }
  for (std::size_t i = 0; i < values.size(); ++i) variables[i].assign(values[i]);
}

namespace {

std::shared_ptr<const Node> first_call(const LayerBase& layer) {
  for (const std::weak_ptr<const Node>& held : layer.nodes()) {
    if (std::shared_ptr<const Node> node = held.lock()) return node;
  }
  throw Error(error("layer-not-called",
                    fmt::format("layer `{}` has never been called, so it has no input and output", layer.name())));
}

}  // namespace

Tensor Layer::output() const {
  const std::shared_ptr<const Node> node = first_call(*layer_);
  return Tensor(Tensor::Result{node, node->outputs.size() == 1 ? 0 : -1});
}

Tensor Layer::input() const {
  const std::shared_ptr<const Node> node = first_call(*layer_);
  if (node->positional == 0) return output();  // of an InputLayer
  if (node->positional == 1) return node->inputs.front();
  throw Error(error("tensor-several", fmt::format("layer `{}` has {} inputs", name(), node->positional)));
}

}  // namespace tusk
