#include "frontend/model/tensor.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "frontend/model/error.hpp"
#include "frontend/model/layer.hpp"
#include "ir/graph/callable.hpp"

namespace tusk {

Variable::Variable(std::string name, graph::Type type, Initializer initializer, bool trainable, bool autocast,
                   std::uint64_t seed) {
  std::vector<std::int64_t> shape;
  for (const Dim& extent : type.shape) shape.push_back(extent.constant());
  state_ = std::make_shared<State>(
      State{std::move(name), std::move(shape), std::move(type), initializer, trainable, autocast, seed});
}

const Array& Variable::value() const {
  if (state_->compiled) state_->value = value_or_throw(state_->compiled->state(state_->compiled_path));
  if (!state_->value)
    state_->value = initial_value(state_->initializer, state_->shape, state_->seed).converted(state_->type.dtype);
  return *state_->value;
}

void Variable::assign(Array value) {
  if (value.shape() != state_->shape) {
    throw Error(error("weight-shape", fmt::format("{} has shape ({}), expected ({})", state_->name,
                                                  fmt::join(value.shape(), ", "), fmt::join(state_->shape, ", "))));
  }
  state_->value = value.dtype() == state_->type.dtype ? std::move(value) : value.converted(state_->type.dtype);
  if (!state_->compiled) return;
  if (const Status written = state_->compiled->set_state(state_->compiled_path, *state_->value); !written)
    throw Error(written.problem());
}

void Variable::bind(std::shared_ptr<graph::Callable> compiled) const {
  state_->compiled = std::move(compiled);
  state_->compiled_path = state_->path;
}

const graph::Type& Tensor::type() const {
  if (const Traced* value = traced()) return value->type;
  if (const Result* of = result()) {
    if (of->index < 0) {
      throw Error(error("tensor-several",
                        fmt::format("the call of layer `{}` has {} results; take them apart with "
                                    "unpack<{}>()",
                                    of->node->layer->name(), of->node->outputs.size(), of->node->outputs.size())));
    }
    return of->node->outputs[static_cast<std::size_t>(of->index)];
  }
  if (const Variable* weight = variable()) return weight->type();
  throw Error(error("tensor-empty", "a Tensor is used that no call has made"));
}

std::int64_t Tensor::dim(std::int64_t axis) const {
  const std::int64_t i = axis < 0 ? axis + rank() : axis;
  if (i < 0 || i >= rank()) {
    throw Error(error("tensor-axis", fmt::format("axis {} is not in shape {}", axis, keras_shape(shape()))));
  }
  const Dim& extent = shape()[static_cast<std::size_t>(i)];
  if (!extent.is_constant()) {
    throw Error(error("tensor-dim", fmt::format("axis {} of shape {} is unknown until the compiled function is called",
                                                axis, keras_shape(shape()))));
  }
  return extent.constant();
}

std::vector<Tensor> Tensor::unpack_all(std::size_t count) const {
  const Result* of = result();
  if (of == nullptr || of->index >= 0 || of->node->outputs.size() != count) {
    const std::size_t found = of != nullptr && of->index < 0 ? of->node->outputs.size() : 1;
    throw Error(error("tensor-several", fmt::format("unpack<{}>() of a call with {} results", count, found)));
  }
  std::vector<Tensor> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(Tensor(Result{of->node, static_cast<int>(i)}));
  return out;
}

std::vector<Tensor> Tensor::results() const {
  const Result* of = result();
  if (of == nullptr) return {*this};
  std::vector<Tensor> out;
  for (std::size_t i = 0; i < of->node->outputs.size(); ++i)
    out.push_back(Tensor(Result{of->node, static_cast<int>(i)}));
  return out;
}

Tensor Tensor::mask() const {
  const Traced* value = traced();
  return value != nullptr && value->mask ? *value->mask : Tensor();
}

Tensor Tensor::with_mask(const Tensor& mask) const {
  const Traced* value = traced();
  if (value == nullptr || (!mask && !value->mask)) return *this;
  Traced masked = *value;
  masked.mask = mask ? std::make_shared<const Tensor>(mask) : nullptr;
  return Tensor(std::move(masked));
}

std::vector<Tensor*> Call::tensors() {
  std::vector<Tensor*> out;
  for (Tensor& of_input : mask.list) {
    if (of_input) out.push_back(&of_input);
  }
  if (attention_mask) out.push_back(&attention_mask);
  return out;
}

// Without recursion: the chain of calls behind an output may be as long as it likes.
Node::~Node() {
  std::vector<Tensor> last = std::move(inputs);
  while (!last.empty()) {
    const Tensor tensor = std::move(last.back());
    last.pop_back();
    const Tensor::Result* of = tensor.result();
    if (of == nullptr || of->node.use_count() > 1) continue;
    std::vector<Tensor>& next = const_cast<Node&>(*of->node).inputs;  // nobody else sees this node any more
    std::ranges::move(next, std::back_inserter(last));
    next.clear();
  }
}

void check_elements(const Shape& shape) {
  constexpr std::int64_t kMost = std::int64_t{1} << 36;
  std::int64_t count = 1;
  for (const Dim& extent : shape) {
    if (!extent.is_constant() || extent.constant() < 1) continue;
    if (extent.constant() > kMost / count) {
      throw Error(error("tensor-size", fmt::format("a tensor of shape {} is too large", keras_shape(shape))));
    }
    count *= extent.constant();
  }
}

std::string keras_dtype(DType type) {
  switch (type) {
    case DType::f32:
      return "float32";
    case DType::f64:
      return "float64";
    case DType::f16:
      return "float16";
    case DType::bf16:
      return "bfloat16";
    case DType::i8:
      return "int8";
    case DType::u8:
      return "uint8";
    case DType::i32:
      return "int32";
    case DType::u32:
      return "uint32";
    case DType::i64:
      return "int64";
    default:
      return "bool";
  }
}

// Names that users give may not hold `__`, so these never meet them.
Dim unknown_dim(const std::string& hint) {
  thread_local std::uint64_t count = 0;
  return Dim::symbol(fmt::format("{}__{}", hint, count++));
}

std::optional<std::string> hint_of_unknown(std::string_view symbol) {
  const std::size_t mark = symbol.find("__");
  if (mark == std::string_view::npos) return std::nullopt;
  return std::string(symbol.substr(0, mark));
}

std::string keras_shape(const Shape& shape) {
  std::string out = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) out += ", ";
    const bool none = std::ranges::any_of(shape[i].symbols(), [](const std::string& symbol) {
      return symbol == kBatch || hint_of_unknown(symbol).has_value();
    });
    out += none ? "None" : shape[i].str();
  }
  return out + (shape.size() == 1 ? ",)" : ")");
}

}  // namespace tusk
