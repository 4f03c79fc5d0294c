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
    described,  // types only: to find the shapes of a layer's results
    copied,
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
  /// An op by its text name; one result for most. Throws what its shape rule says.
  std::vector<Tensor> add(std::string_view op, std::vector<graph::Operand> operands, graph::Attrs attrs,
                          std::string_view suffix);
  std::vector<Tensor> scan(const std::vector<Tensor>& carries, const std::vector<std::pair<Tensor, emit::Along>>& takes,
                           const std::vector<emit::Along>& stacks, const emit::ScanBody& body);
  /// A constant of the module, named after the layer that is running.
  Tensor constant(std::string_view name, Array value);

  graph::Operand operand(const Tensor& tensor);
  /// A variable as the running layer reads it; any other tensor itself.
  static Tensor value(const Tensor& tensor);
  /// What the running layer computes in.
  DType compute_dtype() const { return compute_; }

  graph::Module module;
  graph::Function function;

 private:
  std::vector<Tensor> added(std::string_view op, std::vector<graph::Operand> operands, graph::Attrs attrs,
                            std::string_view suffix, std::vector<graph::Region> regions);
  Tensor tensor(graph::Operand operand);
  graph::Operand read(const Variable& variable);
  int add_global(std::string path, const graph::Type& type, Array value);

  static constexpr std::int64_t kMostCalls = 1 << 16;  // models inside of models double them at each height
  std::int64_t calls_ = 0;
  Weights weights_;
  graph::Builder builder_;
  std::string path_;  // of the layer that is running
  DType compute_ = DType::f32;
  std::map<Variable, int> globals_;
  std::map<std::pair<Variable, DType>, graph::Operand> casted_;  // where the ops that are being added can read it
  std::map<const LayerBase*, std::string> paths_;  // of every layer that has run: where its weights are named
  Trace* outer_;
};

/// Graph ops on traced tensors: what the `call` of a layer is written in. The words are those of docs/ops.md.
namespace emit {

/// What an op takes: a tensor, a number, or the value of a dim.
class Arg {
 public:
  Arg(Tensor tensor) : is_(std::move(tensor)) {}                                 // NOLINT
  Arg(const Variable& variable) : is_(Tensor(variable)) {}                       // NOLINT
  Arg(double number) : is_(graph::Operand::number(number)) {}                    // NOLINT
  Arg(int number) : is_(graph::Operand::number(static_cast<double>(number))) {}  // NOLINT
  Arg(Dim dim) : is_(graph::Operand::of(std::move(dim))) {}                      // NOLINT
  graph::Operand operand() const;
  const Tensor* tensor() const { return std::get_if<Tensor>(&is_); }

 private:
  std::variant<Tensor, graph::Operand> is_;
};

using Ints = std::vector<std::int64_t>;

/// `suffix`: what the value is called behind the name of its layer; otherwise that is the op's name.
Tensor op(std::string_view name, const std::vector<Arg>& args, graph::Attrs attrs = {}, std::string_view suffix = {});
Tensor map(std::string_view row, const std::vector<Arg>& args);
Tensor broadcast(const Tensor& x, Shape shape, Ints dims, std::string_view suffix = {});
Tensor reshape(const Tensor& x, Shape shape);
Tensor transpose(const Tensor& x, Ints perm);
Tensor reduce(std::string_view kind, const Tensor& x, Ints axes);
/// x itself if it has the type.
Tensor cast(const Tensor& x, DType to);
Tensor contract(const Tensor& a, const Tensor& b, const std::optional<Tensor>& init, graph::ContractSpec spec);
Tensor constant(std::string_view name, Array value);

/// Broadcast to a shape as NumPy does: the axes of x are its last ones.
Tensor aligned(const Tensor& x, const Shape& shape);
/// Broadcast to a shape of which the axes of x (a mask) are the first ones.
Tensor leading(const Tensor& x, const Shape& shape);

/// A loop over the positions of what is taken: the last carries, then the stacks.
std::vector<Tensor> scan(const std::vector<Tensor>& carries, const std::vector<std::pair<Tensor, Along>>& takes,
                         const std::vector<Along>& stacks, const ScanBody& body);

/// A tensor of one number, a constant of this name.
Tensor filled(std::string_view name, DType type, const Shape& shape, double value);
/// Elements start, start + step, ... of one axis, below limit (above it for a negative step).
Tensor slice(const Tensor& x, std::int64_t axis, const Dim& start, const Dim& limit, std::int64_t step = 1);
/// `low` and `high` elements of a value around each axis.
Tensor pad(const Tensor& x, Shape low, Shape high, double value);
/// Every element of an axis `times` times, one after the other.
Tensor repeated(const Tensor& x, std::int64_t axis, std::int64_t times);

/// What a reduction over `axes` of a tensor of `shape` gave, over those axes again.
Tensor spread(const Tensor& reduced, const Shape& shape, const Ints& axes, std::string_view suffix = {});
Tensor mean(const Tensor& x, const Ints& axes);
/// Mean and variance (of the population) over axes.
std::pair<Tensor, Tensor> moments(const Tensor& x, const Ints& axes);
Ints other_axes(const Tensor& x, const Ints& axes);
/// x / sqrt(max(sum of squares over axes, epsilon^2))
Tensor normalized(const Tensor& x, const Ints& axes, double epsilon);

/// An axis of x anew: element p is the sum of weight[p,t] * x[index[p,t]] over t.
Tensor weighted_gather(const Tensor& x, std::int64_t axis, Array index, const Array& weight);

/// What the running layer computes in: the dtype of the constants that it makes.
DType compute_dtype();
/// Integers and bools in the compute dtype.
Tensor to_float(const Tensor& x);
/// The same, and halves as f32: for sums whose terms or results may leave a half's range.
Tensor to_wide_float(const Tensor& x);
/// What has been computed from such, in the compute dtype.
Tensor to_compute_dtype(const Tensor& x);
/// The axis counted from 0; refuses one that the tensor does not have.
std::int64_t axis_of(const Tensor& x, std::int64_t axis);
/// The shape that a reshape to `target` (without the batch; one extent may be -1) gives.
Shape reshaped(const Shape& from, const Ints& target);
/// The float that holds all floats among them (f32 for two different halves); none if there are no floats.
std::optional<DType> common_float(const std::vector<Tensor>& tensors);
/// All as the float that holds the floats among them, else as the widest of the integers.
std::vector<Tensor> with_one_dtype(std::vector<Tensor> tensors);
/// NumPy's rule: shapes are aligned at the end, extents of 1 are stretched. With one dtype.
std::vector<Tensor> broadcast_together(std::vector<Tensor> tensors);

}  // namespace emit
}  // namespace tusk
