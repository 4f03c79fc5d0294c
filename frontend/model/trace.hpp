// Tracing: layers run once on tensors that stand for values of a graph function, and leave its ops behind.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "frontend/model/tensor.hpp"
#include "ir/graph/op.hpp"

namespace tusk {

/// A symbol with the range that it has where nobody says another: batch in 1..64, others in 1..256.
graph::Symbol default_symbol(const std::string& name);

namespace emit {

/// An axis that a scan takes slices of or stacks them along, from its end if `reverse`.
struct Along {
  std::int64_t axis = 0;
  bool reverse = false;
};
/// The new carries, then what is stacked, from the carries and the slices of a position.
using ScanBody =
    std::function<std::vector<Tensor>(const std::vector<Tensor>& carries, const std::vector<Tensor>& taken)>;

}  // namespace emit

/// A graph function under construction. The innermost live Trace of a thread is where ops go.
class Trace {
 public:
  enum class Weights {
    described,  // constants, types only: to find the shapes of a layer's results
    copied,     // constants
    states,     // that functions may update
  };
  Trace(std::string function, Weights weights);
  ~Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  /// Throws if no layer is being called.
  static Trace& current();
  static bool active();

  /// Declares the symbols of the type that the module does not have.
  Tensor parameter(std::string name, graph::Type type);
  /// Runs a layer that is built. Its ops get its path, its last values its name.
  std::vector<Tensor> run(LayerBase& layer, const std::vector<Tensor>& inputs, const Call& call);
  /// Names the weights of a layer inside of the running one, which may then read them before that layer runs.
  void name_weights(const LayerBase& layer);
  /// An op by its text name; one result for most. Throws what its shape rule says.
  std::vector<Tensor> add(std::string_view op, std::vector<graph::Operand> operands, graph::Attrs attrs,
                          std::string_view suffix);
  std::vector<Tensor> scan(const std::vector<Tensor>& carries, const std::vector<std::pair<Tensor, emit::Along>>& takes,
                           const std::vector<emit::Along>& stacks, const emit::ScanBody& body);
  /// A constant of the module, named after the layer that is running.
  Tensor constant(std::string_view name, Array value);

  /// A new value for a variable, when the function returns; whoever reads it from now on reads that.
  void assign(const Variable& variable, const Tensor& value);
  /// Runs the body where the condition (bool, a scalar) holds: elsewhere the variables that it assigns stay what they
  /// were.
  void only_if(const Tensor& condition, const std::function<void()>& body);
  /// The gradients of a scalar by variables, as they were assigned last, and traced tensors.
  std::vector<Tensor> gradients(const Tensor& loss, const std::vector<Tensor>& wanted);
  /// Puts the function into the module and begins another one with the same weights.
  void next_function(std::string name);
  /// The path of a variable that has been read.
  const std::string& path_of(const Variable& variable);

  graph::Operand operand(const Tensor& tensor);
  /// A variable as the running layer reads it; any other tensor itself.
  static Tensor value(const Tensor& tensor);
  /// What the running layer computes in.
  DType compute_dtype() const { return compute_; }

  /// Sees the results of each layer, if it is set.
  std::function<void(const LayerBase& layer, const std::vector<Tensor>& results)> observer;

  graph::Module module;
  graph::Function function;

 private:
  std::vector<Tensor> added(std::string_view op, std::vector<graph::Operand> operands, graph::Attrs attrs,
                            std::string_view suffix, std::vector<graph::Region> regions);
  Tensor tensor(graph::Operand operand);
  graph::Operand read(const Variable& variable);
  int global_of(const Variable& variable);
  int add_global(std::string path, const graph::Type& type, Array value);

  static constexpr std::int64_t kMostCalls = 1 << 16;  // models inside of models double them at each height
  std::int64_t calls_ = 0;
  Weights weights_;
  graph::Builder builder_;
  std::string path_;  // of the layer that is running
  DType compute_ = DType::f32;
  std::map<Variable, int> globals_;
  graph::NamesInUse global_names_;
  std::map<Variable, graph::Operand> assigned_;
  std::vector<Variable>* changed_ = nullptr;                     // what the innermost only_if has assigned
  std::map<std::pair<Variable, DType>, graph::Operand> casted_;  // where the ops that are being added can read it
  std::map<const LayerBase*, std::string> paths_;  // of every layer that has run: where its weights are named
  Trace* outer_;
};

}  // namespace tusk
