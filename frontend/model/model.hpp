// Input and Model: the functional API.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/model/given.hpp"
#include "frontend/model/layer.hpp"
#include "frontend/model/summary.hpp"

namespace tusk {

class CallbackBase;
class History;
class Optimizer;
class Scores;
struct BatchOptions;
struct CompileOptions;
struct EvaluateOptions;
struct FitOptions;
struct Predictor;
struct StateOptions;
struct Trainer;

/// An extent of an input: a number, None, or a name; inputs that share a name have equal extents.
class InputDim {
 public:
  InputDim(std::int64_t extent) : extent_(extent) {}  // NOLINT
  InputDim(int extent) : extent_(extent) {}           // NOLINT
  InputDim(NoneType) {}                               // NOLINT
  InputDim(const char* symbol) : symbol_(symbol) {}   // NOLINT

  const std::optional<std::int64_t>& extent() const { return extent_; }
  const std::string& symbol() const { return symbol_; }

 private:
  std::optional<std::int64_t> extent_;
  std::string symbol_;
};

/// Element types of inputs. What layers compute in is their dtype policy's.
using InputType =
    OneOf<"float32", "bool", "uint8", "int8", "int32", "uint32", "int64", "float64", "float16", "bfloat16">;

struct InputLayerImpl : LayerBase {
  struct Config {
    std::vector<InputDim> batch_shape = {};  // with the batch
    InputType dtype = "float32";
    std::string name = {};
  } config;
  static void fields(auto& f, Config& c) {
    f.renamed("batch_input_shape", "batch_shape");
    f("batch_shape", c.batch_shape);
    f("dtype", c.dtype);
    f.only("sparse", false);
    f.only("ragged", false);
    f.ignored("optional");
  }

  std::size_t min_inputs() const override { return 0; }
  std::size_t max_inputs() const override { return 0; }
  void build_all(const std::vector<Shape>&) override {}
  std::vector<Tensor> call_all(const std::vector<Tensor>& inputs, const Call& call) override;
  /// With the batch of the configuration: the compiled function has any.
  std::vector<Shape> written_shapes(const std::vector<Shape>& inputs, std::vector<Shape> results) const override;

  /// The tensor of its one node.
  Tensor make();
};
using InputLayer = LayerOf<InputLayerImpl>;

struct InputOptions {
  std::optional<std::int64_t> batch_size = {};
  InputType dtype = "float32";
  std::string name = {};
};
/// Input({28, 28, 1}): the shape without the batch.
Tensor Input(std::initializer_list<InputDim> shape, const InputOptions& options = {});
Tensor Input(const std::vector<InputDim>& shape, const InputOptions& options = {});

/// Layers between tensors. It is a layer itself.
class FunctionalImpl : public LayerBase {
 public:
  FunctionalImpl(std::vector<Tensor> inputs, std::vector<Tensor> outputs);

  void build_all(const std::vector<Shape>&) override {}
  std::vector<Tensor> call_all(const std::vector<Tensor>& inputs, const Call& call) override;
  std::size_t min_inputs() const override { return inputs.size(); }
  std::size_t max_inputs() const override { return inputs.size(); }
  bool is_model() const override { return true; }
  std::vector<Variable> weights() const override;
  std::vector<Variable> trainable_weights() const override;
  std::vector<Variable> random_states() const override;
  void set_trainable(bool trainable) override;

  const std::vector<Tensor> inputs, outputs;
  std::vector<std::string> input_names, output_names;  // of the function that is compiled, unique
  std::vector<std::shared_ptr<const Node>> nodes;      // each after those that it reads
  std::vector<Layer> operations;                       // Keras' order
  std::vector<Layer> layers;                           // of these, all but operations of keras.ops
  std::map<const Node*, int> depths;                   // of the nodes, counted from the outputs
  std::shared_ptr<Trainer> trainer;                    // what compile makes
  std::shared_ptr<Predictor> predictor;                // what predict has compiled
  std::mutex predicting;                               // of the predictor

 private:
  Tensor as_input(const graph::Type& declared, Tensor x) const;
  void order();

  // Keras runs the calls of greater depth first. A layer that takes the masks off its inputs takes them from the calls
  // that run later.
  std::map<const Node*, std::size_t> turn_;
  std::map<Tensor::Result, std::size_t> bare_after_;  // the turn of the first such call
};

struct ModelOptions {
  std::string name = {};
};

/// What is printed while a model works: nothing, a bar (as "auto"), a line.
class Verbose {
 public:
  Verbose(int level) : level_(level) {}  // NOLINT: Keras takes either
  template <std::size_t size>
  consteval Verbose(const char (&word)[size]) : level_(1) {  // NOLINT
    if (std::string_view(word, size - 1) != "auto") throw "verbose is \"auto\", 0, 1 or 2";
  }
  int level() const { return level_; }

 private:
  int level_;
};

struct PredictOptions {
  std::int64_t batch_size = 32;
  Verbose verbose = "auto";
  std::vector<std::shared_ptr<CallbackBase>> callbacks = {};
};

/// A handle; copies share the model.
class Model : public Layer {
 public:
  Model() = default;
  Model(const Tensors& inputs, const Tensors& outputs, const ModelOptions& options = {});

  const std::vector<Tensor>& inputs() const { return functional().inputs; }
  const std::vector<Tensor>& outputs() const { return functional().outputs; }
  const std::vector<std::string>& input_names() const { return functional().input_names; }
  const std::vector<std::string>& output_names() const { return functional().output_names; }
  const std::vector<Layer>& layers() const { return functional().layers; }
  const Layer& get_layer(std::string_view name) const;
  const Layer& get_layer(std::int64_t index) const;
  std::int64_t count_params() const;
  /// Prints Keras' table; `tusk::summary` gives its text.
  void summary(const SummaryOptions& options = {}) const;

  /// Outputs for arrays of the shapes of the inputs (other dtypes are converted), in batches as in Keras; the bits do
  /// not depend on their size. Compiles the model first, by the system's C++ compiler, and again when a weight has
  /// another value or an extent is larger than all before. Programs that call it link driver/, too.
  std::vector<Array> predict(const Data& inputs, const PredictOptions& options = {}) const;

  // Training: frontend/training/fit.hpp.
  void compile(const CompileOptions& options) const;
  History fit(const Data& x, const Data& y) const;
  History fit(const Data& x, const Data& y, const FitOptions& options) const;
  Scores evaluate(const Data& x, const Data& y) const;
  Scores evaluate(const Data& x, const Data& y, const EvaluateOptions& options) const;
  /// One step, or one batch: what it gives is that of this batch alone.
  Scores train_on_batch(const Data& x, const Data& y) const;
  Scores train_on_batch(const Data& x, const Data& y, const BatchOptions& options) const;
  Scores test_on_batch(const Data& x, const Data& y) const;
  Scores test_on_batch(const Data& x, const Data& y, const BatchOptions& options) const;
  std::vector<Array> predict_on_batch(const Data& x) const;
  /// Of compile. Throws [fit-compile] before it.
  Optimizer optimizer() const;
  /// Set by callbacks: fit ends behind this batch and epoch.
  bool stop_training() const;
  void set_stop_training(bool stop) const;

  // Files: frontend/export/save_model.hpp, frontend/import/load_weights.hpp. Each throws what is wrong.
  /// NAME.keras: architecture, weights, and, if the model is compiled, how, with the optimizer's state: load_model
  /// gives a model whose training goes on. NAME.h5 or NAME.hdf5: the same in the older format of whole models.
  void save(const std::string& path) const;
  /// NAME.weights.h5: the same without architecture.
  void save_weights(const std::string& path) const;
  /// Of `.weights.h5`, `.keras` or an older `.h5`.
  void load_weights(const std::string& path) const;
  /// The weights, and the optimizer's state, out of the bytes of a State of emitted code that has trained:
  /// frontend/import/load_state.hpp.
  void load_state(std::span<const std::byte> bytes) const;
  void load_state(std::span<const std::byte> bytes, const StateOptions& options) const;

  FunctionalImpl& functional() const { return static_cast<FunctionalImpl&>(base()); }
};

}  // namespace tusk
