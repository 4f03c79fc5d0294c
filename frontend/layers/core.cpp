#include "frontend/layers/core.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "frontend/model/emit.hpp"

namespace tusk::layers {

void DenseImpl::build(const Shape& in) {
  check_field("units", config.units);
  check_min_rank(in, 2);
  kernel_ = add_weight("kernel", {weight_dim(in, -1), config.units},
                       {.initializer = config.kernel_initializer,
                        .regularizer = config.kernel_regularizer,
                        .constraint = config.kernel_constraint});
  if (config.use_bias)
    bias_ = add_weight("bias", {config.units},
                       {.initializer = config.bias_initializer,
                        .regularizer = config.bias_regularizer,
                        .constraint = config.bias_constraint});
}

Tensor DenseImpl::call(Tensor input, const Call&) {
  const Tensor x = emit::to_float(input);
  graph::ContractSpec spec;
  spec.a = {"n"};
  static constexpr const char* kNames[] = {"t", "u", "v", "w"};
  for (std::size_t i = 1; i + 1 < x.shape().size(); ++i) {
    spec.a.push_back(i <= std::size(kNames) ? kNames[i - 1] : fmt::format("n{}", i));
  }
  spec.y = spec.a;
  spec.a.emplace_back("k");
  spec.b = {"k", "o"};
  spec.y.emplace_back("o");
  std::optional<Tensor> init;
  if (bias_) {
    Shape shape = x.shape();
    shape.back() = Dim(config.units);
    init = emit::broadcast(bias_, std::move(shape), {x.rank() - 1}, "bias");
  }
  return config.activation(emit::contract(x, kernel_, init, std::move(spec)));
}

void EinsumDenseImpl::build(const Shape& in) {
  const auto refuse = [&](std::string why) { fail("einsum-equation", "`" + config.equation + "`: " + std::move(why)); };
  const std::size_t comma = config.equation.find(',');
  const std::size_t arrow = config.equation.find("->");
  if (comma == std::string::npos || arrow == std::string::npos || arrow < comma)
    refuse("expected an equation like `abc,cd->abd`");
  const std::string parts[] = {config.equation.substr(0, comma), config.equation.substr(comma + 1, arrow - comma - 1),
                               config.equation.substr(arrow + 2)};
  // An ellipsis stands for the axes of x that have no letter.
  std::vector<std::string>* const names[] = {&spec_.a, &spec_.b, &spec_.y};
  std::size_t elided = 0;
  for (std::size_t k = 0; k < 3; ++k) {
    std::string letters = parts[k];
    std::erase(letters, ' ');
    const std::size_t dots = letters.find("...");
    const std::size_t count = letters.size() - (dots == std::string::npos ? 0 : 3);
    if (k == 0 && (count > in.size() || (dots == std::string::npos && count != in.size())))
      refuse(fmt::format("the input {} has another rank", keras_shape(in)));
    if (k == 0) elided = in.size() - count;
    names[k]->clear();
    for (std::size_t i = 0; i < letters.size(); ++i) {
      if (i == dots && k != 1) {
        for (std::size_t e = 0; e < elided; ++e) names[k]->push_back(fmt::format("e{}", e));
        i += 2;
        continue;
      }
      const bool is_letter = (letters[i] >= 'a' && letters[i] <= 'z') || (letters[i] >= 'A' && letters[i] <= 'Z');
      if (!is_letter) refuse(fmt::format("`{}` is no letter", letters[i]));
      // Names of indices are words of small letters: A is a_.
      std::string name(1, static_cast<char>(letters[i] | 0x20));
      if (letters[i] < 'a') name += "_upper";
      if (std::ranges::find(*names[k], name) != names[k]->end()) refuse("a letter stands twice in one operand");
      names[k]->push_back(std::move(name));
    }
  }
  // The extents of y: the batch, then those that are given for letters, those of x elsewhere.
  std::map<std::string, Dim> extents;
  for (std::size_t i = 0; i < in.size(); ++i) extents[spec_.a[i]] = in[i];
  std::size_t given = 0;
  for (std::size_t i = 1; i < spec_.y.size(); ++i) {
    const std::string& name = spec_.y[i];
    if (name.size() > 1 && name[0] == 'e' && name != "e_upper") continue;
    if (given >= config.output_shape.extents.size()) refuse("output_shape has too few extents");
    const std::optional<std::int64_t> extent = config.output_shape.extents[given++];
    if (!extent) continue;
    check_field("output_shape", *extent);
    if (extents.contains(name) && extents[name].is_constant() && !(extents[name] == Dim(*extent))) {
      refuse(fmt::format("output_shape gives {} for an axis that has {}", *extent, extents[name].str()));
    }
    extents.try_emplace(name, *extent);
  }
  // Keras puts the axes of an ellipsis beside those that are given, and looks at no others.
  if (given != config.output_shape.extents.size() && elided == 0) refuse("output_shape has too many extents");
  Shape kernel;
  for (const std::string& name : spec_.b) {
    if (!extents.contains(name)) refuse("a letter of the kernel is in neither the input nor the output");
    if (!extents[name].is_constant()) refuse("an extent of the kernel is unknown");
    kernel.push_back(extents[name]);
  }
  for (const std::string& name : spec_.y) {
    const bool known =
        std::ranges::find(spec_.a, name) != spec_.a.end() || std::ranges::find(spec_.b, name) != spec_.b.end();
    if (!known) refuse("a letter of the output is in neither the input nor the kernel");
  }
  check_rank(in, in.size());
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (std::ranges::find(spec_.b, spec_.a[i]) != spec_.b.end()) weight_dim(in, static_cast<std::int64_t>(i));
  }
  kernel_ = add_weight("kernel", kernel,
                       {.initializer = scaled_by_equation(),
                        .regularizer = config.kernel_regularizer,
                        .constraint = config.kernel_constraint});
  if (config.bias_axes.empty()) return;
  Shape bias;
  for (std::size_t i = 0; i < spec_.y.size(); ++i) {
    const std::string& name = spec_.y[i];
    const auto in_bias = [&](char letter) {
      return name == std::string(1, static_cast<char>(letter | 0x20)) + (letter < 'a' ? "_upper" : "");
    };
    const bool has = std::ranges::any_of(config.bias_axes, in_bias);
    if (!has && bias.empty()) continue;
    if (has && (!extents.contains(name) || !extents[name].is_constant())) refuse("an extent of the bias is unknown");
    bias.push_back(has ? extents[name] : Dim(1));
    bias_dims_.push_back(static_cast<std::int64_t>(i));
  }
  if (bias.empty()) refuse("bias_axes names no axis of the output");
  bias_ = add_weight("bias", bias,
                     {.initializer = config.bias_initializer,
                      .regularizer = config.bias_regularizer,
                      .constraint = config.bias_constraint});
}

// Letters of the output are its outputs, all others its inputs.
Initializer EinsumDenseImpl::scaled_by_equation() const {
  Initializer out = config.kernel_initializer;
  if (out.input_axes.given() && out.output_axes.given()) return out;
  out.input_axes = out.output_axes = WeightAxes({});
  for (std::size_t axis = 0; axis < spec_.b.size(); ++axis) {
    const bool is_output = std::ranges::find(spec_.y, spec_.b[axis]) != spec_.y.end();
    (is_output ? out.output_axes : out.input_axes).add(static_cast<std::int64_t>(axis));
  }
  return out;
}

Tensor EinsumDenseImpl::call(Tensor input, const Call&) {
  const Tensor y = emit::contract(emit::to_float(input), kernel_, std::nullopt, spec_);
  if (!bias_) return config.activation(y);
  return config.activation(emit::map("add", {y, emit::broadcast(bias_, y.shape(), bias_dims_, "bias")}));
}

std::vector<Shape> EinsumDenseImpl::written_shapes(const std::vector<Shape>& inputs, std::vector<Shape> results) const {
  results = LayerBase::written_shapes(inputs, std::move(results));
  Shape& shape = results.front();
  const auto& extents = config.output_shape.extents;
  for (std::size_t i = 0; i < extents.size() && i + 1 < shape.size(); ++i) {
    Dim& extent = shape[shape.size() - extents.size() + i];
    if (!extents[i] && extent.is_constant()) extent = unknown_dim("einsum");
  }
  return results;
}

void EmbeddingImpl::build(const Shape&) {
  check_field("input_dim", config.input_dim);
  check_field("output_dim", config.output_dim);
  embeddings_ = add_weight("embeddings", {config.input_dim, config.output_dim},
                           {.initializer = config.embeddings_initializer,
                            .regularizer = config.embeddings_regularizer,
                            .constraint = config.embeddings_constraint});
}

namespace {

Tensor rows_of(const Variable& table, const Tensor& x) {
  return emit::op("gather", {table, emit::cast(x, DType::i32)},
                  {{{"axis", std::int64_t{0}}, {"batch", std::int64_t{0}}}});
}

}  // namespace

Tensor EmbeddingImpl::call(Tensor x, const Call&) { return rows_of(embeddings_, x); }

DType ReversibleEmbeddingImpl::reverse_type() const {
  const DtypePolicy policy = DtypePolicy::named(config.reverse_dtype);
  if (policy.compute != policy.variable)
    fail("field-value", fmt::format("reverse_dtype is {}, expected the name of one dtype", policy.name));
  return policy.compute;
}

void ReversibleEmbeddingImpl::build(const Shape&) {
  check_field("input_dim", config.input_dim);
  check_field("output_dim", config.output_dim);
  embeddings_ = add_weight("embeddings", {config.input_dim, config.output_dim},
                           {.initializer = config.embeddings_initializer,
                            .autocast = false,
                            .regularizer = config.embeddings_regularizer,
                            .constraint = config.embeddings_constraint});
  if (!config.tie_weights) {
    reverse_embeddings_ = add_weight("reverse_embeddings", {config.output_dim, config.input_dim},
                                     {.initializer = config.embeddings_initializer, .autocast = false});
  }
}

Tensor ReversibleEmbeddingImpl::call(Tensor x, const Call& call) {
  if (!call.reverse) return emit::to_compute_dtype(rows_of(embeddings_, x));
  x = emit::to_float(x);
  graph::ContractSpec spec;
  for (std::int64_t i = 0; i + 1 < x.rank(); ++i) spec.a.push_back(fmt::format("n{}", i));
  spec.y = spec.a;
  spec.a.emplace_back("k");
  spec.b = config.tie_weights ? std::vector<std::string>{"o", "k"} : std::vector<std::string>{"k", "o"};
  spec.y.emplace_back("o");
  const DType type = config.reverse_dtype.empty() ? *emit::common_float({x, embeddings_}) : reverse_type();
  const Tensor logits =
      emit::contract(emit::cast(x, type), emit::cast(config.tie_weights ? embeddings_ : reverse_embeddings_, type),
                     std::nullopt, std::move(spec));
  if (!config.logit_soft_cap) return logits;
  const double cap = *config.logit_soft_cap;
  return emit::map("mul", {emit::map("tanh", {emit::map("div", {logits, cap})}), cap});
}

Tensor ReversibleEmbeddingImpl::output_mask(const std::vector<Tensor>& inputs, const Call& call) {
  return config.mask_zero && !call.reverse ? emit::map("ne", {inputs[0], 0}) : Tensor();
}

Tensor EmbeddingImpl::output_mask(const std::vector<Tensor>& inputs, const Call&) {
  return config.mask_zero ? emit::map("ne", {inputs[0], 0}) : Tensor();
}

namespace {

// Keras compares with a number in float32, of halves too.
Tensor positions_with_data(const Tensor& x, double mask_value) {
  const auto number = static_cast<double>(static_cast<float>(mask_value));
  return emit::reduce("any", emit::map("ne", {emit::to_wide_float(x), number}), {x.rank() - 1});
}

}  // namespace

Tensor MaskingImpl::call(Tensor input, const Call&) {
  const Tensor x = emit::to_float(input);
  if (x.rank() < 2) fail("layer-rank", fmt::format("Masking needs rank 2 or more, found {}", keras_shape(x.shape())));
  return emit::map("select", {emit::leading(positions_with_data(x, config.mask_value), x.shape()), x, 0});
}

Tensor MaskingImpl::output_mask(const std::vector<Tensor>& inputs, const Call&) {
  return positions_with_data(emit::to_float(inputs[0]), config.mask_value);
}

Tensor ActivationImpl::call(Tensor x, const Call&) { return config.activation(x); }

Tensor RescalingImpl::call(Tensor input, const Call&) {
  const Tensor x = emit::to_float(input);
  const auto term = [&](std::string_view field, const Numbers& numbers) -> emit::Arg {
    if (numbers.values.size() == 1)
      return static_cast<double>(static_cast<float>(numbers.values.front()));  // as in Keras
    const auto count = static_cast<std::int64_t>(numbers.values.size());
    if (!(x.shape().back() == Dim(count))) {
      fail("field-value",
           fmt::format("{} has {} numbers, the last axis of {} differs", field, count, keras_shape(x.shape())));
    }
    Array array(emit::compute_dtype(), {count});
    for (std::int64_t i = 0; i < count; ++i) array.set(i, numbers.values[static_cast<std::size_t>(i)]);
    return emit::broadcast(emit::constant(field, array), x.shape(), {x.rank() - 1}, field);
  };
  const Tensor scaled = emit::map("mul", {x, term("scale", config.scale)});
  const std::vector<double>& offset = config.offset.values;
  if (offset.size() == 1 && offset[0] == 0) return scaled;
  return emit::map("add", {scaled, term("offset", config.offset)});
}

}  // namespace tusk::layers
