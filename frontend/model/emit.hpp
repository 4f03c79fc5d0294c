// Graph ops on traced tensors: what layers and operations are written in.
#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "frontend/model/trace.hpp"

namespace tusk {

/// Graph ops on traced tensors: what the `call` of a layer is written in. The words are those of docs/ops.md.
namespace emit {

inline constexpr double kEpsilon = 1e-7;  // keras.config.epsilon()

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
/// Integers and bools in f32, Keras' floatx, which no policy changes.
Tensor to_floatx(const Tensor& x);
/// As to_float, and halves as f32: for sums whose terms or results may leave a half's range.
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
