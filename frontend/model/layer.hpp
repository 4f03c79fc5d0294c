// Layers: the base of built-in and custom ones, and the handles that users hold.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "frontend/model/dtype_policy.hpp"
#include "frontend/model/error.hpp"
#include "frontend/model/initializer.hpp"
#include "frontend/model/names.hpp"
#include "frontend/model/seed_generator.hpp"
#include "frontend/model/tensor.hpp"

namespace tusk {

class Layer;

struct WeightOptions {
  Initializer initializer = "glorot_uniform";
  bool trainable = true;
  bool autocast = true;             // read in the layer's compute dtype
  std::optional<DType> dtype = {};  // otherwise the policy's
  Regularizer regularizer = {};
  Constraint constraint = {};
};

/// What a layer that has been built takes as its first input: its weights fit nothing else. (Keras' InputSpec.)
struct InputSpec {
  std::optional<std::size_t> rank;
  std::size_t min_rank = 0;
  std::vector<std::pair<std::int64_t, std::int64_t>> axes;  // axis (from the end if negative) and its extent
};

/// The base of every layer. A layer has `struct Config` (field by field what Keras' get_config has), `static void
/// fields(auto& f, Config& c)` that lists it, `build`, which adds weights, and `call`, which computes:
///
///     struct LinearImpl : LayerBase {
///       struct Config { std::int64_t units = 32; std::string name = {}; } config;
///       static void fields(auto& f, Config& c) { f("units", c.units); }
///       Variable w, b;
///       void build(const Shape& in) override { w = add_weight("w", {in.back(), config.units}); ... }
///       Tensor call(Tensor x, const Call&) override { return ops::matmul(x, w) + b; }
///     };
///     using Linear = LayerOf<LinearImpl>;
///
/// `call` is traced: it runs each time that the layer is called on tensors, never on numbers.
class LayerBase : public std::enable_shared_from_this<LayerBase> {
 public:
  virtual ~LayerBase() = default;

  const std::string& name() const { return name_; }
  std::string_view class_name() const { return class_name_; }
  /// How Python calls the class, which files may name otherwise.
  virtual std::string_view keras_class() const { return class_name_; }
  bool built() const { return built_; }
  /// Builds the layer for inputs of these shapes, once.
  void ensure_built(const std::vector<Shape>& shapes);
  /// Those shapes.
  const std::vector<Shape>& build_shapes() const { return build_shapes_; }

  /// Adds the weights. Runs once, before the first call.
  virtual void build(const Shape&) {}
  virtual Tensor call(Tensor x, const Call& call);
  /// The same for layers with several inputs or results.
  virtual void build_all(const std::vector<Shape>& shapes);
  virtual std::vector<Tensor> call_all(const std::vector<Tensor>& inputs, const Call& call);
  /// How many inputs a call takes.
  virtual std::size_t min_inputs() const { return 1; }
  virtual std::size_t max_inputs() const { return 1; }
  /// Inputs that are floats come in the compute dtype; models and operations take them as they are.
  virtual bool autocasts() const { return !is_model() && !is_operation(); }
  /// Whether results carry the mask of the first input on.
  virtual bool supports_masking() const { return false; }
  /// Whether a call takes the masks off its inputs, so that calls behind it do not see them (MultiHeadAttention).
  virtual bool strips_masks() const { return false; }
  /// The mask of the results (Keras' compute_mask); `call.mask` has one entry for each input. An empty tensor is none.
  virtual Tensor output_mask(const std::vector<Tensor>& inputs, const Call& call);
  /// The shapes that Keras writes down for the results of a call, where they are not those that it computes: its rules
  /// for shapes and its code do not always agree. For the summary alone.
  virtual std::vector<Shape> written_shapes(const std::vector<Shape>& inputs, std::vector<Shape> results) const;
  /// A model names the values inside of it, but not its results.
  virtual bool is_model() const { return false; }
  /// An operation of keras.ops is a node of a model, but none of its layers.
  virtual bool is_operation() const { return false; }

  /// A weight; every dim must be known.
  Variable add_weight(std::string name, const Shape& shape, WeightOptions options = {});
  /// In the order in which they were added.
  const std::vector<Variable>& own_weights() const { return weights_; }
  /// Keras' order: own trainable ones, own others, then those of layers inside.
  virtual std::vector<Variable> weights() const;
  /// Those that training changes: none if the layer is frozen.
  virtual std::vector<Variable> trainable_weights() const;
  /// The states of its random numbers and of those of layers inside, which are no weights.
  virtual std::vector<Variable> random_states() const;
  bool trainable() const { return trainable_; }
  /// Freezes the layer, or thaws it, with all layers inside.
  virtual void set_trainable(bool trainable);
  /// The name of its activation, "" if it has none.
  std::string_view activation_name() const { return activation_; }
  void set_activation_name(std::string_view name) { activation_ = name; }

  /// Calls the layer: while a model is defined, a new node; inside of another layer's call, its ops.
  std::vector<Tensor> apply(std::vector<Tensor> inputs, const Call& call);

  const std::vector<std::weak_ptr<const Node>>& nodes() const { return nodes_; }

  const DtypePolicy& dtype_policy() const { return policy_; }
  void set_dtype_policy(DtypePolicy policy) { policy_ = std::move(policy); }

  /// The configuration of the file that the layer was read from, as JSON text of Keras 3; else "".
  const std::string& source_config() const { return source_config_; }
  void set_source_config(std::string config) { source_config_ = std::move(config); }

  /// Layers inside, which are no nodes of a model.
  const std::vector<Layer>& children() const { return children_; }

  /// What training adds to the loss for each of its results.
  const Regularizer& activity_regularizer() const { return activity_regularizer_; }
  void set_activity_regularizer(Regularizer regularizer) { activity_regularizer_ = regularizer; }
  /// Regularizers and constraints of the file that it was read from which mean nothing here: what a training refuses.
  /// Key ("kernel_regularizer") and JSON text.
  const std::vector<std::pair<std::string, std::string>>& unknown_penalties() const { return unknown_penalties_; }
  void add_unknown_penalty(std::string key, std::string config) {
    unknown_penalties_.emplace_back(std::move(key), std::move(config));
  }

  /// Whether it comes from a file of Keras 2, whose layers pass and join masks in other ways.
  bool is_keras2() const { return is_keras2_; }
  void set_keras2() { is_keras2_ = true; }

  /// Set once, by the handle that makes the layer.
  void set_identity(std::string_view class_name, std::string name);

 protected:
  void add_node(const std::shared_ptr<const Node>& node) { nodes_.push_back(node); }
  /// Random numbers for training, in `build`. Without a seed, it is one that the layer's name gives.
  SeedGenerator add_seed_generator(std::optional<std::int64_t> seed);
  /// A layer inside of this one, built for inputs of these shapes. `call` may call it.
  void add_child(const Layer& layer, const std::vector<Shape>& shapes);
  /// An error at this layer.
  [[noreturn]] void fail(std::string code, std::string message) const;
  /// The field of the configuration must be at least `least` (and plausible).
  void check_field(std::string_view field, std::int64_t value, std::int64_t least = 1) const;
  /// The first input has this rank, or this one and more, in this call and in all others.
  void check_rank(const Shape& in, std::size_t rank);
  void check_min_rank(const Shape& in, std::size_t rank);
  /// Axes counted from 0, sorted; refuses the batch, axes that there are not, and an axis given twice.
  std::vector<std::int64_t> axes_behind_batch(const Shape& shape, const std::vector<std::int64_t>& axes) const;
  /// The extent of an axis, which must be known.
  std::int64_t known_dim(const Shape& shape, std::int64_t axis, std::string_view why = "when the layer is built") const;
  /// The same of the first input, for weights that depend on it: other calls must have it too.
  std::int64_t weight_dim(const Shape& in, std::int64_t axis);
  /// The same of several axes behind the batch, in the order in which they stand in the input.
  Shape weight_shape(const Shape& in, const std::vector<std::int64_t>& axes);

 private:
  void check_inputs(const std::vector<Tensor>& inputs) const;
  void check_spec(const Shape& in) const;

  std::string class_name_;
  std::string name_;
  bool built_ = false;
  std::vector<Shape> build_shapes_;
  bool is_keras2_ = false;
  Regularizer activity_regularizer_;
  std::vector<std::pair<std::string, std::string>> unknown_penalties_;
  InputSpec input_spec_;
  bool trainable_ = true;
  DtypePolicy policy_ = tusk::dtype_policy();
  std::string source_config_;
  std::string_view activation_;
  std::vector<Variable> weights_;
  std::vector<Variable> random_states_;
  std::vector<Layer> children_;  // layers inside, in the order in which they were added
  std::vector<std::weak_ptr<const Node>> nodes_;
};

/// A layer whose results carry the mask of its input on.
struct MaskedLayer : LayerBase {
  bool supports_masking() const override { return true; }
};

/// A handle of any layer; copies share it.
class Layer {
 public:
  Layer() = default;
  explicit Layer(std::shared_ptr<LayerBase> layer) : layer_(std::move(layer)) {}

  /// Calls it on symbolic tensors. Of several results, take them apart with unpack<N>().
  Tensor operator()(const Tensors& inputs, const Call& call = {}) const;

  const std::string& name() const { return layer_->name(); }
  std::string_view class_name() const { return layer_->class_name(); }
  std::vector<Variable> weights() const { return layer_->weights(); }
  /// The values of all weights.
  std::vector<Array> get_weights() const;
  /// Replaces all weights, in their order.
  void set_weights(const std::vector<Array>& values) const;
  /// The result of its first call.
  Tensor output() const;
  Tensor input() const;

  LayerBase& base() const { return *layer_; }
  const std::shared_ptr<LayerBase>& shared() const { return layer_; }

 private:
  std::shared_ptr<LayerBase> layer_;
};

namespace detail {

template <class Field>
struct FieldType;
template <class Config, class T>
struct FieldType<T Config::*> {
  using type = T;
};

struct NoArgument {};

// The fields that may be given without their name: `static constexpr std::tuple positional{&Config::filters, ...}`.
template <class Impl>
constexpr auto positional_of() {
  if constexpr (requires { Impl::positional; }) {
    return Impl::positional;
  } else {
    return std::tuple<>();
  }
}

template <class Impl, std::size_t i>
struct ArgumentType {
  static constexpr auto kFields = positional_of<Impl>();
  template <class T, std::size_t n>
  static auto pick() {
    if constexpr (n < std::tuple_size_v<T>) {
      return std::type_identity<typename FieldType<std::tuple_element_t<n, T>>::type>();
    } else {
      return std::type_identity<NoArgument>();
    }
  }
  using type = typename decltype(pick<std::remove_const_t<decltype(kFields)>, i>())::type;
};

template <class T>
concept FromList = std::is_constructible_v<T, std::initializer_list<std::int64_t>>;

/// In the place of a list, where none may stand: GCC 12 takes a class for one of lists whatever its constructor
/// requires.
struct NoList {
  NoList() = delete;
};
template <class T>
using ListFor = std::conditional_t<FromList<T>, std::initializer_list<std::int64_t>, NoList>;

template <class T>
constexpr bool is_number = std::is_arithmetic_v<T>;
template <class T>
constexpr bool is_number<std::optional<T>> = std::is_arithmetic_v<T>;

}  // namespace detail

/// The handle of a layer `Impl`: its constructor takes the one or two arguments that `Impl::positional` lists, Keras'
/// first ones, then a Config in braces: Conv2D(32, {3, 3}, {.padding = "same"}). All others are named.
template <class Impl>
class LayerOf : public Layer {
 public:
  using Config = typename Impl::Config;
  using First = typename detail::ArgumentType<Impl, 0>::type;
  using Second = typename detail::ArgumentType<Impl, 1>::type;
  static constexpr std::size_t kArguments = std::tuple_size_v<decltype(detail::positional_of<Impl>())>;
  // GCC 12 reads {.slope = 1} as {1} where a number may stand, and as a list where a list may. Numbers are deduced,
  // which braces are not (in front of a list they would make it ambiguous); a layer that takes a list first has no
  // Config alone.
  static constexpr bool kDefault = kArguments == 0 || requires { Impl::all_optional; };
  static constexpr bool kNumberFirst = kArguments >= 1 && detail::is_number<First> && !detail::FromList<Second>;
  static constexpr bool kNumberSecond = kArguments >= 2 && detail::is_number<Second>;

  LayerOf() requires(kDefault) : LayerOf(make(Config{})) {}
  LayerOf(Config config) requires(kArguments == 0 || (kDefault && kNumberFirst)) : LayerOf(make(std::move(config))) {}
  template <class T>
  requires(kNumberFirst&& std::is_convertible_v<T, First>) explicit LayerOf(T first, Config config = {})
      : LayerOf(make(with<0>(std::move(config), First(first)))) {}
  LayerOf(First first, Config config = {}) requires(kArguments >= 1 && !kNumberFirst)
      : LayerOf(make(with<0>(std::move(config), std::move(first)))) {}
  LayerOf(detail::ListFor<First> first, Config config = {}) requires(kArguments >= 1 && detail::FromList<First>)
      : LayerOf(make(with<0>(std::move(config), First(first)))) {}
  template <class T>
  requires(kNumberSecond&& std::is_convertible_v<T, Second>) LayerOf(First first, T second, Config config = {})
      : LayerOf(make(with<1>(with<0>(std::move(config), std::move(first)), Second(second)))) {}
  LayerOf(First first, Second second, Config config = {}) requires(kArguments >= 2 && !kNumberSecond)
      : LayerOf(make(with<1>(with<0>(std::move(config), std::move(first)), std::move(second)))) {}
  LayerOf(First first, detail::ListFor<Second> second,
          Config config = {}) requires(kArguments >= 2 && detail::FromList<Second>)
      : LayerOf(make(with<1>(with<0>(std::move(config), std::move(first)), Second(second)))) {}

  /// From a whole configuration, as a file gives it.
  static LayerOf from_config(Config config) { return LayerOf(make(std::move(config))); }

  Impl& operator*() const { return static_cast<Impl&>(base()); }
  Impl* operator->() const { return &**this; }

 private:
  template <std::same_as<std::shared_ptr<Impl>> Pointer>  // no number 0
  explicit LayerOf(Pointer layer) : Layer(std::move(layer)) {}

  template <std::size_t i, class T>
  static Config with(Config config, T value) {
    config.*std::get<i>(detail::positional_of<Impl>()) = std::move(value);
    return config;
  }
  static std::shared_ptr<Impl> make(Config config) {
    auto layer = std::make_shared<Impl>();
    std::string name;
    if constexpr (requires { config.name; }) name = config.name;
    if constexpr (requires { config.activity_regularizer; })
      layer->set_activity_regularizer(config.activity_regularizer);
    if constexpr (requires { config.activation.name(); }) layer->set_activation_name(config.activation.name());
    if constexpr (requires { config.dtype.empty(); }) {
      if (!config.dtype.empty()) layer->set_dtype_policy(DtypePolicy::named(config.dtype));
    }
    layer->config = std::move(config);
    layer->set_identity(class_name_of<Impl>(), std::move(name));
    return layer;
  }
};

}  // namespace tusk
