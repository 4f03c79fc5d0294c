// Tensors while a model is defined (results of layer calls) and while it is traced (values of a graph).
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "frontend/model/initializer.hpp"
#include "frontend/model/penalty.hpp"
#include "ir/base/array.hpp"
#include "ir/base/dim.hpp"
#include "ir/graph/graph.hpp"

namespace tusk {

class LayerBase;
class Index;
namespace graph {
class Callable;
}

struct NoneType {};
/// Python's None: an extent that is known when the compiled function is called, a new axis of an index.
inline constexpr NoneType None{};

/// A weight of a layer. Copies share it.
class Variable {
 public:
  Variable() = default;
  Variable(std::string name, graph::Type type, Initializer initializer, bool trainable, bool autocast,
           std::uint64_t seed);

  const std::string& name() const { return state_->name; }  // "kernel"
  const std::vector<std::int64_t>& shape() const { return state_->shape; }
  const graph::Type& type() const { return state_->type; }
  bool trainable() const { return state_->trainable; }
  const Initializer& initializer() const { return state_->initializer; }
  /// Whether a layer reads it in its compute dtype.
  bool autocast() const { return state_->autocast; }
  /// What training adds to the loss for it, and what it meets after each step.
  const Regularizer& regularizer() const { return state_->regularizer; }
  const Constraint& constraint() const { return state_->constraint; }
  void set_rules(Regularizer regularizer, Constraint constraint) {
    state_->regularizer = regularizer;
    state_->constraint = constraint;
  }
  /// The array that was assigned, or the initial value, computed when it is first asked for.
  const Array& value() const;
  /// Refuses another shape. Other dtypes are converted.
  void assign(Array value);

  /// From now on its value lies in a state of a compiled module, at its path there, where functions change it.
  void bind(std::shared_ptr<graph::Callable> compiled) const;
  /// In the module that it was traced into last ("dense/kernel").
  const std::string& path() const { return state_->path; }
  void set_path(std::string path) const { state_->path = std::move(path); }

  explicit operator bool() const { return state_ != nullptr; }
  friend bool operator==(const Variable&, const Variable&) = default;
  friend bool operator<(const Variable& a, const Variable& b) { return a.state_ < b.state_; }

 private:
  struct State {
    std::string name;
    std::vector<std::int64_t> shape;
    graph::Type type;
    Initializer initializer;
    bool trainable;
    bool autocast;
    std::uint64_t seed;
    std::optional<Array> value = {};
    Regularizer regularizer = {};
    Constraint constraint = {};
    std::string path = {};
    std::shared_ptr<graph::Callable> compiled = {};  // where the value lies, if anywhere
    std::string compiled_path = {};
  };
  std::shared_ptr<State> state_;
};

struct Node;

/// A handle: the result of a layer call, a value of the graph that is being traced, or a variable.
class Tensor {
 public:
  Tensor() = default;
  Tensor(const Variable& variable) : is_(variable) {}  // NOLINT: layers compute with their variables

  /// With the batch as first dim. What is unknown (None) is a symbol.
  const Shape& shape() const { return type().shape; }
  DType dtype() const { return type().dtype; }
  std::int64_t rank() const { return static_cast<std::int64_t>(shape().size()); }
  /// The extent of an axis (negative: from the end); refuses one that is unknown.
  std::int64_t dim(std::int64_t axis) const;

  /// Python's indexing: x[{all, 3, Slice{1, -1}}], `frontend/ops/ops.hpp`.
  Tensor operator[](std::initializer_list<Index> index) const;

  /// The results of a call that has several.
  template <std::size_t count>
  std::array<Tensor, count> unpack() const {
    const std::vector<Tensor> all = unpack_all(count);
    std::array<Tensor, count> out;
    for (std::size_t i = 0; i < count; ++i) out[i] = all[i];
    return out;
  }

  /// All results of a call, of which this is one or the whole.
  std::vector<Tensor> results() const;

  // --- for the front end
  struct Result {  // of a call; index -1: all results of a call that has several
    std::shared_ptr<const Node> node;
    int index = 0;
    friend bool operator==(const Result&, const Result&) = default;
    friend bool operator<(const Result& a, const Result& b) {
      return a.node != b.node ? a.node < b.node : a.index < b.index;
    }
  };
  struct Traced {
    graph::Operand operand;
    graph::Type type;
    std::shared_ptr<const Tensor> mask = {};
  };
  explicit Tensor(Result result) : is_(std::move(result)) {}
  explicit Tensor(Traced traced) : is_(std::move(traced)) {}

  const graph::Type& type() const;
  const Result* result() const { return std::get_if<Result>(&is_); }
  const Traced* traced() const { return std::get_if<Traced>(&is_); }
  const Variable* variable() const { return std::get_if<Variable>(&is_); }
  explicit operator bool() const { return !std::holds_alternative<std::monostate>(is_); }
  /// The mask that a traced tensor carries: bool, true where there is data, of its leading axes; else an empty tensor.
  Tensor mask() const;
  Tensor with_mask(const Tensor& mask) const;

 private:
  std::vector<Tensor> unpack_all(std::size_t count) const;

  std::variant<std::monostate, Result, Traced, Variable> is_;
};

/// One tensor or a list of them.
struct Tensors {
  std::vector<Tensor> list;

  Tensors() = default;
  Tensors(Tensor tensor) : list{std::move(tensor)} {}                 // NOLINT
  Tensors(std::vector<Tensor> tensors) : list(std::move(tensors)) {}  // NOLINT
  Tensors(std::initializer_list<Tensor> tensors) : list(tensors) {}   // NOLINT
};

/// What a layer is told beside its inputs.
struct Call {
  bool training = false;
  /// Masks of the inputs, in their order; an empty tensor is none. Without any, those that the inputs carry.
  Tensors mask = {};
  /// Attention layers. bool: where a query ([batch, queries, keys]) may attend.
  Tensor attention_mask = {};
  bool return_attention_scores = false;
  bool use_causal_mask = false;
  /// ReversibleEmbedding: from features back to ids.
  bool reverse = false;
  /// By a layer around another one that runs its `call` alone (TimeDistributed): in the dtype of the one around.
  bool inside = false;

  /// Every tensor in it, in a fixed order.
  std::vector<Tensor*> tensors();
};

/// One call of a layer.
struct Node {
  Node(std::shared_ptr<LayerBase> of, std::vector<Tensor> reads, std::size_t arguments, std::vector<graph::Type> makes,
       Call how)
      : layer(std::move(of)),
        inputs(std::move(reads)),
        positional(arguments),
        outputs(std::move(makes)),
        call(std::move(how)) {}
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// Calls `run(inputs, call)` with values in the place of the tensors that the call reads.
  template <class Run>
  auto with(std::vector<Tensor> values, Run&& run) const {
    Call how = call;
    std::size_t next = positional;
    for (Tensor* tensor : how.tensors()) *tensor = values.at(next++);
    values.resize(positional);
    return run(std::move(values), std::move(how));
  }

  std::shared_ptr<LayerBase> layer;
  std::vector<Tensor> inputs;  // all that it reads: the arguments, then the tensors of `call`
  std::size_t positional = 0;  // how many of them are arguments
  std::vector<graph::Type> outputs;
  Call call;
};

/// Refuses more elements than a machine holds, and so products that leave 64 bits. Unknown extents count as 1.
void check_elements(const Shape& shape);

inline constexpr std::size_t kMostAxes = 32;  // as NumPy's arrays

/// "(None, 28, 28, 1)": as Keras writes shapes; symbols that a user named keep their names.
std::string keras_shape(const Shape& shape);

/// "float32", "int32", ...
std::string keras_dtype(DType type);

/// A symbol for an extent that nobody named. Every call gives another one.
Dim unknown_dim(const std::string& hint);
/// The hint, if the symbol is one of those.
std::optional<std::string> hint_of_unknown(std::string_view symbol);

inline constexpr const char* kBatch = "batch";

}  // namespace tusk
