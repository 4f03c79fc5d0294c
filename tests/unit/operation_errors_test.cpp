// What a user reads who calls an operation of keras.ops wrongly: the operation, its argument, what is expected. Each
// error once, as a whole text.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "frontend/model/model.hpp"
#include "frontend/ops/ops.hpp"
#include "tests/unit/wrong_definition.hpp"

namespace tusk {
namespace {

using ints = std::vector<std::int64_t>;

Tensor x() { return Input({3, 4}); }
Tensor ids() { return Input({3}, {.dtype = "int32"}); }
Tensor batch_of_images() { return Input({5, 5, 2}); }

TEST(OperationErrors, Reductions) {
  expect({
      {[] {
         (void)(ops::call("TopK", {{"x", x()}, {"k", 9}}));
       },
       "k is 9, expected 1 to the extent of the last axis, 4 [ops-argument]", "top_k"},
      {[] {
         (void)(ops::call("Average", {{"x", x()}, {"weights", Input({7})}}));
       },
       "weights is a tensor of shape (None, 7), expected weights of the shape of x, or of its one axis [ops-argument]",
       "average"},
      {[] {
         (void)(ops::call("Norm", {{"x", x()}, {"ord", "nuc"}}));
       },
       "ord is 'nuc', expected a norm of vectors, 'fro', or for two axes 1, -1, inf or -inf [ops-argument]", "norm"},
      {[] { (void)(ops::sum(x(), {.axis = {3}})); }, "axis 3 is not in shape (None, 3, 4) [tensor-axis]", "sum"},
      {[] {
         (void)(ops::call("Sum", {{"x", x()}, {"keepdims", 3}}));
       },
       "keepdims is 3, expected True or False [ops-argument]", "sum"},
  });
}

TEST(OperationErrors, Elements) {
  expect({
      {[] { (void)(ops::power(ids(), -1)); },
       "x2 is -1, expected 0 or more as a power of integers; cast them to float32 first [ops-argument]", "power"},
      {[] { (void)(ops::bitwise_and(x(), x())); }, "bits of floats; cast them to integers first [ops-argument]",
       "bitwise_and"},
      {[] { (void)(ops::ldexp(x(), x())); }, "x2 is a tensor of shape (None, 3, 4), expected integers [ops-argument]",
       "ldexp"},
      {[] {
         (void)(ops::call("Where", {{"condition", ids()}}));
       },
       "where without values: how many there are is not known before it runs [ops-argument]", "where"},
      {[] {
         (void)(ops::call("Round", {{"x", ids()}, {"decimals", -1}}));
       },
       "round of integers to tens [ops-argument]", "round"},
      {[] { (void)(ops::cast(x(), "flot32")); }, "dtype is 'flot32', expected a dtype [ops-argument]", "cast"},
      {[] { (void)(ops::maximum(x(), Input({5}))); },
       "shapes (None, 3, 4) and (None, 5) do not broadcast: axis -1 is 4 and 5 [broadcast-shapes]", "maximum"},
  });
}

TEST(OperationErrors, Shapes) {
  expect({
      {[] {
         (void)(ops::reshape(x(), {-1, 5}));
       },
       "newshape is [-1, 5], expected one that the elements of (None, 3, 4) fill [ops-argument]", "reshape"},
      {[] {
         (void)(ops::reshape(x(), {-1, -1}));
       },
       "newshape is [-1, -1], expected extents of 0 or more, and one -1 [ops-argument]", "reshape"},
      {[] {
         (void)(ops::reshape(x(), {-2, 12}));
       },
       "newshape is [-2, 12], expected extents of 0 or more, and one -1 [ops-argument]", "reshape"},
      {[] { (void)(ops::reshape(x(), std::vector<std::int64_t>(33, 1))); },
       "newshape is [1, 1, 1, 1, 1, 1, ...], expected at most 32 extents [ops-argument]", "reshape"},
      {[] {
         (void)(ops::call("Moveaxis", {{"x", x()}, {"source", ints{1, 2}}, {"destination", 0}}));
       },
       "destination is 0, expected as many axes as source has [ops-argument]", "moveaxis"},
      {[] { (void)(ops::expand_dims(x(), 5)); }, "axis is 5, expected an axis of the result, of rank 4 [ops-argument]",
       "expand_dims"},
      {[] {
         (void)(ops::stack({x(), x()}, 5));
       },
       "axis is 5, expected an axis of the result, of rank 4 [ops-argument]", "stack"},
      {[] { (void)(ops::split(x(), 2, 1)); }, "indices_or_sections is 2, expected a divisor of 3 [ops-argument]",
       "split"},
      {[] {
         (void)(ops::call("Repeat", {{"x", x()}, {"repeats", ints{1, 2}}, {"axis", 1}}));
       },
       "repeats is [1, 2], expected one number, or one for each of 3 elements [ops-argument]", "repeat"},
      {[] { (void)(ops::repeat(x(), -1, 1)); }, "repeats is -1, expected numbers of copies [ops-argument]", "repeat"},
      {[] { (void)(ops::tile(x(), {0})); },
       "repeats is [0], expected numbers of copies, at least 1 each [ops-argument]", "tile"},
      {[] {
         (void)(ops::broadcast_to(x(), {2, 3, 5}));
       },
       "axis 2 of the operand is 4, expected 5 [broadcast-c3]", "broadcast_to", "operand 0 `%x` f32[batch,3,4]"},
      {[] {
         (void)(ops::call("Swapaxes", {{"x", x()}, {"axis1", 1}, {"axis2", 4}}));
       },
       "axis 4 is not in shape (None, 3, 4) [tensor-axis]", "swapaxes"},
      {[] {
         (void)(ops::call("Roll", {{"x", x()}, {"shift", ints{1, 2}}, {"axis", ints{1}}}));
       },
       "shift is [1, 2], expected one number for each axis [ops-argument]", "roll"},
      {[] {
         (void)(ops::pad(x(), {{0, 0}, {1, 1}}));
       },
       "pad_width is [[0, 0], [1, 1]], expected a pair for each of 3 axes [ops-argument]", "pad"},
      {[] {
         (void)(ops::pad(x(), {{0, 0}, {1, 1}, {0, 0}}, "wrap"));
       },
       "mode is 'wrap', expected 'constant', 'reflect', 'symmetric' or 'edge' [ops-argument]", "pad"},
      {[] {
         (void)(ops::call("Diagonal", {{"x", x()}, {"axis1", 1}, {"axis2", 1}}));
       },
       "axis2 is 1, expected another axis than axis1 [ops-argument]", "diagonal"},
      {[] {
         (void)(ops::call("Diagonal", {{"x", x()}, {"axis1", 1}, {"axis2", 2}, {"offset", 9}}));
       },
       "offset is 9, expected a diagonal of 3 rows and 4 columns [ops-argument]", "diagonal"},
      {[] {
         (void)(ops::call("Trace", {{"x", x()}, {"axis1", 1}, {"axis2", 1}}));
       },
       "axis2 is 1, expected another axis than axis1 [ops-argument]", "trace"},
      {[] { (void)(ops::squeeze(x(), 1)); }, "axis is 1, expected an axis of (None, 3, 4) that is 1 [ops-argument]",
       "squeeze"},
      {[] {
         (void)(ops::concatenate({x(), Input({4, 4})}, 2));
       },
       "axis 1 of operand 1 is 4, expected 3 [concat-c2]", "concatenate",
       "operand 0 `%x` f32[batch,3,4]\n  operand 1 `%x_1` f32[batch,4,4]"},
      {[] {
         (void)(ops::transpose(x(), std::vector<std::int64_t>{0, 1}));
       },
       "perm has 2 entries for rank 3 [transpose-c1]", "transpose", "operand 0 `%x` f32[batch,3,4]"},
  });
}

TEST(OperationErrors, Statistics) {
  expect({
      {[] { (void)(ops::quantile(x(), 1.5, {.axis = {1}})); }, "q is 1.5, expected 0 to 1 [ops-argument]", "quantile"},
      {[] { (void)(ops::quantile(x(), x())); },
       "q is a tensor of shape (None, 3, 4), expected numbers that are known while the model is defined [ops-argument]",
       "quantile"},
      {[] {
         (void)(ops::call("Quantile", {{"x", x()}, {"q", 0.5}, {"axis", 1}, {"method", "best"}}));
       },
       "method is 'best', expected 'linear', 'lower', 'higher', 'midpoint' or 'nearest' [ops-argument]", "quantile"},
      {[] {
         (void)(ops::call("Histogram", {{"x", x()}}));
       },
       "x is a tensor of shape (None, 3, 4), expected a vector [ops-argument]", "histogram"},
  });
}

TEST(OperationErrors, Updates) {
  expect({
      {[] {
         (void)(ops::slice(x(), ints{0, 1}, {1, 1}));
       },
       "start_indices is [0, 1], expected a number for each axis of (None, 3, 4) [ops-argument]", "slice"},
      {[] {
         (void)(ops::slice(x(), ints{0, 2, 0}, {1, 2, 4}));
       },
       "shape is [1, 2, 4], expected a slice of (None, 3, 4) [ops-argument]", "slice"},
      {[] { (void)(ops::scatter_update(x(), ids(), x(), "mul")); },
       "reduction is 'mul', expected None, 'add', 'max' or 'min' [ops-argument]", "scatter_update"},
      {[] {
         (void)(ops::call("SegmentSum", {{"data", x()}, {"segment_ids", ids()[{all, 0}]}}));
       },
       "num_segments is None, expected their number: it is not known before the model runs [ops-argument]",
       "segment_sum"},
  });
}

TEST(OperationErrors, Images) {
  expect({
      {[] {
         (void)(ops::call("Resize", {{"images", batch_of_images()}, {"size", 3}}));
       },
       "size is 3, expected a height and a width [ops-argument]", "resize"},
      {[] {
         (void)(ops::call("RGBToHSV", {{"images", batch_of_images()}}));
       },
       "images is a tensor of shape (None, 5, 5, 2), expected 3 channels, there are 2 [ops-argument]", "rgb_to_hsv"},
      {[] {
         (void)(ops::call("PadImages", {{"images", batch_of_images()}, {"top_padding", 1}}));
       },
       "two of top_padding, bottom_padding and target_height are to be given [ops-argument]", "pad_images"},
      {[] {
         (void)(ops::call("DepthToSpace", {{"x", batch_of_images()}, {"block_size", 2}}));
       },
       "block_size is 2, expected one whose square divides 2 channels [ops-argument]", "depth_to_space"},
  });
}

TEST(OperationErrors, Signals) {
  expect({
      {[] {
         (void)(ops::call("FFT", {{"x", x()}}));
       },
       "x is a tensor of shape (None, 3, 4), expected a real and an imaginary part [ops-argument]", "fft"},
      {[] {
         (void)(ops::call("STFT", {{"x", x()}, {"sequence_length", 4}, {"sequence_stride", 2}, {"fft_length", 2}}));
       },
       "fft_length is 2, expected at least sequence_length, 4 [ops-argument]", "stft"},
      {[] {
         (void)(ops::call("ExtractSequences", {{"x", x()}, {"sequence_length", 5}, {"sequence_stride", 2}}));
       },
       "x is a tensor of shape (None, 3, 4), expected at least 5 samples, there are 4 [ops-argument]",
       "extract_sequences"},
  });
}

TEST(OperationErrors, Indices) {
  expect({
      {[] {
         (void)(x()[{all, ops::Slice{{}, {}, 0}}]);
       },
       "key is [a slice, a slice], expected a step that is not 0 [ops-argument]", "get_item"},
      {[] {
         (void)(x()[{all, 9}]);
       },
       "key is [a slice, 9], expected an index of (None, 3, 4) [ops-argument]", "get_item"},
      {[] {
         (void)(Input({None})[{all, ops::Slice{{2}, {}, -1}}]);
       },
       "a slice backwards of an axis that is not known takes the whole axis [ops-argument]", "get_item"},
      {[] {
         (void)(x()[{all, 0, 0, 0}]);
       },
       "key is [a slice, 0, 0, 0], expected an index of (None, 3, 4) [ops-argument]", "get_item"},
      {[] { (void)(ops::take_along_axis(x(), Input({3}, {.dtype = "int32"}), 1)); },
       "indices is a tensor of shape (None, 3), expected rank 3, as x has [ops-argument]", "take_along_axis"},
      {[] { (void)(ops::one_hot(ids(), 3, 5)); }, "axis is 5, expected an axis of the result [ops-argument]",
       "one_hot"},
      {[] {
         (void)(ops::call("Digitize", {{"x", x()}, {"bins", "many"}}));
       },
       "bins is 'many', expected a tensor [ops-argument]", "digitize"},
      {[] { (void)(ops::take(x(), x(), 1)); }, "an index is no integer [ops-argument]", "take"},
  });
}

TEST(OperationErrors, Products) {
  expect({
      {[] {
         (void)(ops::matmul(x(), Input({5, 2})));
       },
       "matmul of (None, 3, 4) and (None, 5, 2) [ops-shapes]", "matmul"},
      {[] {
         (void)(ops::call("Tensordot", {{"x1", x()}, {"x2", x()}, {"axes", "all"}}));
       },
       "axes is 'all', expected an integer [ops-argument]", "tensordot"},
      {[] { (void)(ops::tensordot(x(), x(), 5)); }, "axes is 5, expected as many axes as both have [ops-argument]",
       "tensordot"},
      {[] {
         (void)(ops::call("Tensordot", {{"x1", x()}, {"x2", x()}, {"axes", std::vector<ints>{{1}, {1, 2}}}}));
       },
       "axes is [[1], [1, 2]], expected lists of one length [ops-argument]", "tensordot"},
      {[] { (void)(ops::einsum("bij,bjk->bik", {x()})); },
       "`bij,bjk->bik`: it names 2 operands, given are 1 [einsum-equation]", "einsum"},
      {[] { (void)(ops::einsum("bi->b", {x()})); }, "`bi->b`: an operand has another rank [einsum-equation]", "einsum"},
      {[] { (void)(ops::einsum("bij->bk", {x()})); },
       "`bij->bk`: a letter of the output is in no operand [einsum-equation]", "einsum"},
      {[] {
         (void)(ops::einsum("bij,bjk", {x(), x()}));
       },
       "`bij,bjk->ik`: an axis is 4 and 3 [einsum-equation]", "einsum"},
      {[] {
         (void)(ops::dot(x(), Input({5, 2})));
       },
       "dot of (None, 3, 4) and (None, 5, 2) [ops-shapes]", "dot"},
  });
}

TEST(OperationErrors, Neural) {
  expect({
      {[] {
         (void)(ops::call("Conv", {{"inputs", Input({3})}, {"kernel", Input({2, 2})}}));
       },
       "inputs is a tensor of shape (None, 3), expected a tensor of rank 3, 4 or 5 [ops-argument]", "conv"},
      {[] {
         (void)(ops::call("MaxPool", {{"inputs", batch_of_images()}, {"pool_size", 0}}));
       },
       "pool_size is 0, expected one number of 1 or more, or 2 [ops-argument]", "max_pool"},
      {[] {
         (void)(ops::call("MaxPool", {{"inputs", batch_of_images()}, {"pool_size", ints{1, 2, 3}}}));
       },
       "pool_size is [1, 2, 3], expected one number of 1 or more, or 2 [ops-argument]", "max_pool"},
      {[] {
         (void)(ops::call("MaxPool", {{"inputs", batch_of_images()}, {"pool_size", 2}, {"padding", "full"}}));
       },
       "`full` is unknown [field-word]", "max_pool", "expected one of `valid`, `same`"},
      {[] {
         (void)(ops::call("MaxPool", {{"inputs", Input({3})}, {"pool_size", 2}}));
       },
       "inputs is a tensor of shape (None, 3), expected a tensor of rank 3, 4 or 5 [ops-argument]", "max_pool"},
      {[] {
         (void)(ops::call("DotProductAttention", {{"query", x()}, {"key", x()}, {"value", x()}}));
       },
       "query is a tensor of shape (None, 3, 4), expected tensors of rank 4 [ops-argument]", "dot_product_attention"},
      {[] { (void)(ops::softmax(x(), 4)); }, "axis 4 is not in shape (None, 3, 4) [tensor-axis]", "softmax"},
      {[] {
         (void)(ops::call("OneHot", {{"x", ids()}, {"num_classes", 0}}));
       },
       "num_classes is 0, expected at least 1 [ops-argument]", "one_hot"},
  });
}

}  // namespace
}  // namespace tusk
