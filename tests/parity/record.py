"""Records what Keras computes for the small models of the table below: goldens/NAME.keras and goldens/NAME.npz, and goldens/manifest.json.

    python record.py                          with keras 3.15.1 and tensorflow-cpu 2.21.0: writes everything
    KERAS_BACKEND=jax python record.py check  with keras 3.15.1 and jax 0.10.2: runs the same files, writes the tolerances into the manifest
    python record.py dense unet               only these cases; the others stay as they are

README.md in goldens/ describes the files. To add a golden, add a line to the table. Arrays come out the same every time;
the .keras and .h5 files differ in their date and in Python addresses (`shared_object_id`).
"""
import os
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
import dataclasses
import json
import pathlib
import sys
import typing
import warnings
import zipfile
import zlib

import keras
import numpy as np
from keras import ops
from keras.layers import (Activation, Add, AveragePooling2D, BatchNormalization, Concatenate, Conv1D, Conv2D, Conv2DTranspose, Conv3D, Dense, DepthwiseConv2D, Dropout,
                          Flatten, GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalMaxPooling2D, Input, MaxPooling2D, Rescaling, Reshape, SeparableConv2D, ZeroPadding2D)

FOLDER = pathlib.Path(__file__).resolve().parent / "goldens"
BATCH = 2
POLICIES = {"float64": 0.0, "mixed_float16": 2**-9, "mixed_bfloat16": 2**-6, "float16": 2**-9, "bfloat16": 2**-6}  # two ulps of what is computed in


@dataclasses.dataclass
class Case:
    name: str
    inputs: dict                       # input name -> shape without the batch; None is a dimension that stays open
    build: typing.Callable             # input tensors -> output tensor(s), or a whole Model
    data: str = "normal"               # normal | wide | knees | negative | pixels, see make_data
    sizes: tuple = ()                  # for the open dimensions: the sizes of each set of inputs, in order
    h5: bool = False                   # also saved as NAME.h5, the legacy whole-model file
    stored: bool = False               # the archive exactly as Keras writes it, uncompressed
    channels_first: bool = False       # TensorFlow has no such kernels on the CPU: recorded through a channels_last twin
    note: str = ""
    policy: str = "float32"            # of all layers


def case(*args, **kwargs):
    CASES.append(Case(*args, **kwargs))


# ---- the pieces that several lines of the table use

def activations(*names):
    return lambda x: [Activation(n)(x) for n in names]


def residual(x, filters):
    y = Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
    y = Activation("relu")(BatchNormalization()(y))
    y = BatchNormalization()(Conv2D(filters, 3, padding="same", use_bias=False)(y))
    return Activation("relu")(Add()([y, Conv2D(filters, 1, strides=2)(x)]))


def unet(x):
    a = Conv2D(4, 3, padding="same", activation="relu", name="down_1")(x)
    b = Conv2D(6, 3, padding="same", activation="relu", name="down_2")(MaxPooling2D()(a))
    c = Conv2D(8, 3, padding="same", activation="relu", name="bottom")(MaxPooling2D()(b))
    d = Concatenate()([Conv2DTranspose(6, 2, strides=2, name="up_2")(c), b])
    d = Conv2D(6, 3, padding="same", activation="relu", name="join_2")(d)
    e = Concatenate()([Conv2DTranspose(4, 3, strides=2, padding="same", name="up_1")(d), a])
    return Conv2D(2, 1, activation="sigmoid", name="mask")(e)


def shared(a, b):
    twin = Dense(4, activation="tanh", name="twin")
    return Dense(2, name="head")(Concatenate()([twin(a), twin(b), twin(Dense(3)(a))]))


def two_in_two_out(image, extra):
    h = Flatten()(MaxPooling2D()(Conv2D(3, 3, activation="relu")(image)))
    h = Concatenate(name="both")([h, Dense(3, activation="relu", name="features")(extra)])
    return [Dense(3, activation="softmax", name="kind")(h), Dense(1, name="age")(h)]


def named_in_and_out(zebra, apple):
    h = Add()([Dense(4)(zebra), Dense(4)(apple)])
    return keras.Model({"zebra": zebra, "apple": apple}, {"second": Dense(2, name="p")(h), "first": Dense(3, name="q")(h)})


def nested(a, b):
    x = Input((4,))
    h = Dense(3, activation="relu", name="hidden")(x)
    inner = keras.Model(x, [h, BatchNormalization()(Dense(2)(h))], name="inner")
    tail = keras.Sequential([Dense(5, activation="tanh"), Dense(2)], name="tail")
    (h_a, y_a), (h_b, y_b) = inner(a), inner(b)
    return [Add()([y_a, y_b]), tail(Concatenate()([h_a, h_b]))]


def called(model, *shape):                                   # built by data: Keras notes the batch of that data in the file
    model(np.zeros(shape, "float32"))
    return model


ODD = ["a-b", "a_b", "a.b", "a b", "2fast", "operator", "main", "std::vector", "*", "ends with \\", 'x"; #endif', "%s", "two\nlines", "na\u00efve", "__x"]

CASES = []
# ---- Dense
case("dense", {"x": (5,)}, lambda x: Dense(4)(x), stored=True)
case("dense_no_bias", {"x": (5,)}, lambda x: Dense(4, use_bias=False, activation="tanh")(x))
case("dense_rank3", {"x": (3, 5)}, lambda x: Dense(4, activation="relu")(x))
case("dense_rank4", {"x": (2, 3, 5)}, lambda x: Dense(2, activation="sigmoid")(x))
case("dense_stack", {"x": (7,)}, lambda x: Dense(3, activation="softmax")(Dense(1)(Dense(9, activation="gelu")(x))), h5=True)
# ---- activations: `wide` is past every knee, `knees` holds the knees themselves and -0
case("activations_linear_units", {"x": (3, 8)}, activations("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "linear"), data="wide")
case("activations_smooth", {"x": (3, 8)}, activations("sigmoid", "tanh", "silu", "gelu", "mish", "softplus", "softsign", "log_sigmoid", "squareplus"), data="wide")
case("activations_hard", {"x": (3, 8)}, activations("hard_sigmoid", "hard_silu", "hard_tanh", "hard_shrink", "soft_shrink", "tanh_shrink", "sparse_sigmoid", "sparse_plus"), data="wide")
case("activations_at_knees", {"x": (24,)}, activations("relu", "relu6", "leaky_relu", "elu", "hard_sigmoid", "hard_silu", "hard_tanh", "hard_shrink", "soft_shrink", "sparse_sigmoid", "sparse_plus"), data="knees")
case("activations_exponential", {"x": (3, 8)}, activations("exponential"))
case("activations_over_an_axis", {"x": (3, 8)}, activations("softmax", "log_softmax", "sparsemax", "glu"), data="wide", note="glu halves the last axis, but the shape that Keras writes down is the whole one")
case("activations_in_layers", {"x": (6, 6, 2)}, lambda x: Conv2D(2, 3, activation="swish")(Conv2D(3, 2, activation="leaky_relu")(Dense(3, activation="hard_swish")(x))), note="swish and hard_swish are written as silu and hard_silu")
# ---- Conv1D
case("conv1d", {"x": (9, 3)}, lambda x: Conv1D(4, 3)(x))
case("conv1d_same_strides", {"x": (9, 3)}, lambda x: Conv1D(4, 4, strides=2, padding="same", activation="relu")(x))
case("conv1d_causal_dilation", {"x": (9, 3)}, lambda x: Conv1D(4, 3, padding="causal", dilation_rate=2)(x))
case("conv1d_causal_strides", {"x": (10, 3)}, lambda x: Conv1D(4, 3, padding="causal", strides=3, use_bias=False)(x))
case("conv1d_groups", {"x": (9, 4)}, lambda x: Conv1D(6, 3, groups=2, padding="same", dilation_rate=3)(x))
# ---- Conv2D
case("conv2d", {"x": (7, 6, 3)}, lambda x: Conv2D(4, 3)(x), stored=True)
case("conv2d_same_strides", {"x": (7, 6, 3)}, lambda x: Conv2D(4, 3, strides=2, padding="same", activation="relu")(x), note="height pads (1, 1), width pads (0, 1)")
case("conv2d_same_even_kernel", {"x": (7, 6, 3)}, lambda x: Conv2D(4, (4, 2), strides=(1, 2), padding="same")(x))
case("conv2d_same_dilation", {"x": (9, 8, 3)}, lambda x: Conv2D(4, 3, dilation_rate=(2, 3), padding="same", activation="elu")(x))
case("conv2d_valid_dilation", {"x": (9, 8, 2)}, lambda x: Conv2D(3, (3, 2), dilation_rate=(1, 3), use_bias=False)(x))
case("conv2d_groups", {"x": (7, 6, 4)}, lambda x: Conv2D(6, 3, groups=2, use_bias=False)(x))
case("conv2d_groups_of_one", {"x": (7, 6, 3)}, lambda x: Conv2D(6, 3, groups=3, padding="same", strides=2)(x))
case("conv2d_pointwise_strides", {"x": (7, 6, 3)}, lambda x: Conv2D(5, 1, strides=(2, 3))(x))
case("conv2d_kernel_over_the_edges", {"x": (3, 4, 2)}, lambda x: Conv2D(3, 7, padding="same")(x))
case("conv2d_strides_over_kernel", {"x": (8, 9, 2)}, lambda x: Conv2D(3, 2, strides=3)(x))
case("conv2d_channels_first", {"x": (3, 7, 6)}, lambda x: Conv2D(4, 3, strides=2, padding="same", activation="relu")(x), channels_first=True)
# ---- Conv3D
case("conv3d", {"x": (4, 5, 6, 2)}, lambda x: Conv3D(3, (2, 1, 3))(x))
case("conv3d_same_strides", {"x": (5, 4, 6, 2)}, lambda x: Conv3D(3, 3, padding="same", strides=2, activation="relu")(x))
# ---- depthwise, separable
case("depthwise_conv2d", {"x": (7, 6, 3)}, lambda x: DepthwiseConv2D(3, activation="relu6")(x))
case("depthwise_conv2d_multiplier_strides", {"x": (7, 6, 3)}, lambda x: DepthwiseConv2D((4, 3), strides=2, padding="same", depth_multiplier=2, use_bias=False)(x))
case("depthwise_conv2d_dilation", {"x": (7, 7, 3)}, lambda x: DepthwiseConv2D(3, dilation_rate=2, padding="same", depth_multiplier=3)(x))
case("separable_conv2d", {"x": (7, 6, 3)}, lambda x: SeparableConv2D(4, 3, strides=2, padding="same", depth_multiplier=2)(x), h5=True)
case("separable_conv2d_dilation", {"x": (7, 6, 3)}, lambda x: SeparableConv2D(4, 3, dilation_rate=2, use_bias=False, activation="relu")(x))
# ---- Conv2DTranspose
case("conv2d_transpose", {"x": (4, 5, 3)}, lambda x: Conv2DTranspose(4, (3, 2), strides=(2, 3))(x), note="stride over kernel: the tail is the bias alone")
case("conv2d_transpose_same", {"x": (4, 5, 3)}, lambda x: [Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu")(x), Conv2DTranspose(2, (4, 5), strides=(2, 3), padding="same")(x)])
case("conv2d_transpose_output_padding", {"x": (4, 5, 3)}, lambda x: [Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=0)(x), Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=1)(x), Conv2DTranspose(2, 4, strides=3, output_padding=(1, 2))(x)])
case("conv2d_transpose_dilation", {"x": (4, 5, 3)}, lambda x: [Conv2DTranspose(2, 3, dilation_rate=2, use_bias=False)(x), Conv2DTranspose(2, 3, dilation_rate=(2, 1), padding="same")(x)])
# ---- pooling
case("max_pooling2d", {"x": (7, 6, 3)}, lambda x: [MaxPooling2D()(x), MaxPooling2D((2, 3), strides=(2, 1))(x), MaxPooling2D(3, strides=1)(x)])
case("max_pooling2d_same", {"x": (7, 6, 3)}, lambda x: [MaxPooling2D(3, strides=2, padding="same")(x), MaxPooling2D(2, padding="same")(x)], data="negative", note="all values below zero: padding must not win")
case("average_pooling2d", {"x": (7, 6, 3)}, lambda x: [AveragePooling2D(2)(x), AveragePooling2D((3, 2), strides=1)(x)])
case("average_pooling2d_same", {"x": (7, 6, 3)}, lambda x: [AveragePooling2D(3, strides=2, padding="same")(x), AveragePooling2D((2, 5), padding="same")(x)], note="padding does not count in the divisor")
case("global_pooling2d", {"x": (5, 4, 3)}, lambda x: [GlobalAveragePooling2D()(x), GlobalAveragePooling2D(keepdims=True)(x), GlobalMaxPooling2D()(x), GlobalMaxPooling2D(keepdims=True)(x)])
# ---- BatchNormalization
case("batch_normalization", {"x": (4, 5, 3)}, lambda x: BatchNormalization()(x))
case("batch_normalization_rank2", {"x": (6,)}, lambda x: BatchNormalization(epsilon=0.1, momentum=0.5)(x))
case("batch_normalization_axis1", {"x": (3, 4, 5)}, lambda x: BatchNormalization(axis=1)(x))
case("batch_normalization_parts", {"x": (4, 3)}, lambda x: [BatchNormalization(scale=False)(x), BatchNormalization(center=False)(x), BatchNormalization(center=False, scale=False)(x)])
case("batch_normalization_chain", {"x": (6, 6, 2)}, lambda x: BatchNormalization()(Dense(3)(BatchNormalization()(BatchNormalization()(Conv2D(4, 3, use_bias=False)(x))))))
case("batch_normalization_before_same", {"x": (5, 5, 2)}, lambda x: Conv2D(3, 3, padding="same")(BatchNormalization()(x)), note="the shift may not be folded into the convolution: it is not there in the padding")
# ---- shapes and small layers
case("flatten", {"x": (2, 3, 4)}, lambda x: Dense(3)(Flatten()(x)))
case("flatten_channels_first", {"x": (4, 2, 3)}, lambda x: Flatten()(x), channels_first=True, note="Keras flattens as if channels were last")
case("reshape", {"x": (4, 6)}, lambda x: [Reshape((3, -1))(x), Reshape((2, 3, 4))(x), Reshape((-1,))(x)])
case("zero_padding2d", {"x": (3, 4, 2)}, lambda x: [ZeroPadding2D()(x), ZeroPadding2D((1, 2))(x), ZeroPadding2D(((0, 2), (3, 1)))(x)])
case("zero_padding2d_conv2d", {"x": (6, 7, 2)}, lambda x: Conv2D(3, 3, strides=2)(ZeroPadding2D(((1, 0), (0, 1)))(x)))
case("dropout", {"x": (6,)}, lambda x: Dropout(0.4)(Dense(3)(Dropout(0.5, seed=3)(x))))
case("add", {"a": (3, 4), "b": (3, 4), "c": (3, 4)}, lambda a, b, c: Add()([a, b, c]))
case("concatenate", {"a": (2, 3, 4), "b": (2, 3, 4)}, lambda a, b: [Concatenate()([a, b, a]), Concatenate(axis=1)([a, b]), Concatenate(axis=-2)([b, a])])
case("concatenate_uneven", {"a": (3, 1), "b": (3, 5), "c": (3, 2)}, lambda a, b, c: Concatenate(axis=2)([a, b, c]))
case("rescaling", {"x": (3, 4, 3)}, lambda x: [Rescaling(1 / 255)(x), Rescaling(1 / 127.5, offset=-1)(x), Rescaling([0.1, 0.2, 0.4], offset=[-1.0, 0.0, 2.0])(x)], data="pixels")
# ---- whole graphs
# ---- layers of the same families, several in each model

L = keras.layers
case("activation_layers", {"x": (3, 8)}, lambda x: [L.ReLU(6, 0.1, 0.5)(x), L.LeakyReLU()(x), L.LeakyReLU(0.05)(x), L.PReLU()(x), L.PReLU(shared_axes=[1])(x), L.ELU(0.7)(x)], data="wide")
case("softmax_layer", {"x": (3, 4, 5)}, lambda x: [L.Softmax()(x), L.Softmax(axis=1)(x), L.Softmax(axis=[1, 3])(x)])
case("merges", {"a": (3, 4), "b": (3, 4), "c": (4,)}, lambda a, b, c: [L.Subtract()([a, b]), L.Multiply()([a, b, c]), L.Average()([a, b, a]), L.Maximum()([a, b]), L.Minimum()([a, b, c])], note="a tensor of lower rank gets an axis behind the batch")
case("dot", {"a": (3, 4), "b": (5, 4)}, lambda a, b: [L.Dot(axes=2)([a, b]), L.Dot(axes=(2, 2), normalize=True)([a, b]), L.Dot(axes=1)([L.Flatten()(a), L.Flatten()(a)])])
case("pooling1d", {"x": (11, 3)}, lambda x: [L.MaxPooling1D(3, strides=2, padding="same")(x), L.AveragePooling1D(4, padding="same")(x), L.MaxPooling1D()(x), L.GlobalMaxPooling1D(keepdims=True)(x), L.GlobalAveragePooling1D()(x)])
case("global_pooling3d", {"x": (5, 4, 6, 2)}, lambda x: [L.GlobalMaxPooling3D()(x), L.GlobalAveragePooling3D(keepdims=True)(x)], note="no windows: TensorFlow has no kernels in double for them, by which goldens are recorded")
case("adaptive_pooling", {"x": (7, 9, 2)}, lambda x: [L.AdaptiveAveragePooling2D((3, 4))(x), L.AdaptiveMaxPooling2D((5, 2))(x)], note="windows of different lengths that overlap")
case("conv1d_transpose", {"x": (5, 3)}, lambda x: [L.Conv1DTranspose(4, 3, strides=2, padding="same")(x), L.Conv1DTranspose(2, 2, strides=3, use_bias=False)(x)])
case("conv3d_transpose", {"x": (2, 3, 2, 2)}, lambda x: L.Conv3DTranspose(3, (2, 3, 1), strides=(2, 1, 2), padding="same", activation="relu")(x))
case("depthwise_conv1d", {"x": (9, 3)}, lambda x: [L.DepthwiseConv1D(3, depth_multiplier=2, padding="same")(x), L.SeparableConv1D(4, 3, strides=2)(x)])
case("cropping", {"x": (7, 6, 2)}, lambda x: [L.Cropping2D(((1, 2), (0, 3)))(x), L.Cropping2D((2, 1))(x), L.Permute((3, 1, 2))(x)])
case("padding_and_cropping1d", {"x": (6, 2)}, lambda x: [L.ZeroPadding1D((0, 3))(x), L.Cropping1D((2, 1))(x), L.UpSampling1D(3)(x)])
case("padding_and_cropping3d", {"x": (3, 4, 3, 2)}, lambda x: [L.ZeroPadding3D((1, 0, 2))(x), L.Cropping3D(((0, 1), (1, 1), (1, 0)))(x), L.UpSampling3D((2, 1, 2))(x)])
case("up_sampling2d", {"x": (4, 5, 2)}, lambda x: [L.UpSampling2D((2, 3))(x), L.UpSampling2D((3, 2), interpolation="bilinear")(x), L.UpSampling2D(2, interpolation="lanczos3")(x)])
case("repeat_vector", {"x": (4,)}, lambda x: L.RepeatVector(3)(L.Identity()(x)))
case("layer_normalization", {"x": (3, 4, 5)}, lambda x: [L.LayerNormalization()(x), L.LayerNormalization(axis=[1, 3], epsilon=0.1)(x), L.LayerNormalization(center=False)(x), L.LayerNormalization(scale=False)(x)])
case("group_normalization", {"x": (3, 4, 6)}, lambda x: [L.GroupNormalization(3)(x), L.GroupNormalization(-1, axis=2, scale=False)(x)])
case("unit_and_rms_normalization", {"x": (3, 6)}, lambda x: [L.UnitNormalization()(x), L.UnitNormalization(axis=1)(x), L.RMSNormalization()(x)])
case("normalization", {"x": (3, 4)}, lambda x: [L.Normalization(mean=[1.0, 2.0, 0.5, -1.0], variance=[4.0, 1.0, 0.25, 2.0])(x), L.Normalization(axis=None, mean=0.5, variance=2.0)(x), L.Normalization(mean=0.5, variance=2.0, invert=True)(x)])
case("einsum_dense", {"x": (4, 6)}, lambda x: [L.EinsumDense("abc,cd->abd", output_shape=(None, 5), bias_axes="d")(x), L.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de", activation="relu")(x), L.EinsumDense("...x,xy->...y", output_shape=3)(x)])
case("training_only", {"x": (5, 4)}, lambda x: L.ActivityRegularization(0.1)(L.AlphaDropout(0.3)(L.GaussianNoise(0.2)(L.GaussianDropout(0.3)(L.SpatialDropout1D(0.5)(Dense(3)(x)))))))
case("nested", {"a": (4,), "b": (4,)}, nested, h5=True, note="a model called twice, a Sequential one, and results that the inner model has several of")

# ---- operations of keras.ops
def ids(x, count): return ops.mod(ops.cast(ops.floor(ops.abs(x) * 7), "int32"), count)

case("operations_on_elements", {"x": (3, 5), "y": (3, 5)}, lambda x, y: [
    (2 - x) / 4 + x * y - 1.5, ops.where(x > 0, x, 0.1 * y) + ops.maximum(x, 0.2) * ops.minimum(y, -0.2), ops.power(ops.abs(x), 2.5) + ops.sqrt(ops.square(y)),
    ops.clip(x, -0.5, 0.7) + ops.sign(y) + ops.floor(x) + ops.round(y), ops.exp(x) + ops.log(ops.abs(y)) + ops.expm1(x) + ops.log1p(ops.abs(y)),
    ops.sin(x) * ops.cos(y) + ops.arctan2(x, y) + ops.erf(x), ops.cast(ops.logical_or(x > y, ops.logical_not(x <= 0.5)), "float32"),
    ops.floor_divide(x, 0.3) + ops.mod(y, 0.7), ops.logaddexp(x, y), ids(x, 5) * 2 + 1, ops.divide(ids(x, 5), 2)], data="wide")
case("operations_on_axes", {"x": (3, 4, 5)}, lambda x: [
    ops.sum(x, axis=(-1, 1)), ops.mean(x, axis=1, keepdims=True), ops.std(x, axis=-1), ops.max(x, axis=(1, 2)), ops.prod(x, axis=2), ops.logsumexp(x, axis=1),
    ops.cast(ops.any(x > 1, axis=-1), "float32"), ops.argmax(x, axis=2), ops.sort(x, axis=1), ops.argsort(x), *ops.top_k(x, 2), ops.cumsum(x, axis=1),
    ops.norm(x, axis=-1), ops.norm(x, ord=1, axis=2, keepdims=True), ops.normalize(x), ops.softmax(x, axis=1), ops.log_softmax(x), ops.layer_normalization(x, axis=-1)])
case("operations_on_shapes", {"x": (3, 4, 5), "y": (3, 4, 2)}, lambda x, y: [
    ops.reshape(x, (-1, 12, 5)), ops.transpose(x, (0, 3, 1, 2)), ops.expand_dims(x, 2), ops.squeeze(x[:, :1], 1), ops.concatenate([x, y], axis=-1), ops.stack([x, x], axis=1),
    *ops.split(x, [1, 4], axis=-1), ops.tile(y, (1, 2, 1, 3)), ops.repeat(y, 2, axis=1), ops.pad(y, [[0, 0], [1, 2], [0, 0], [1, 0]], constant_values=1.5),
    ops.pad(x, [[0, 0], [0, 0], [1, 2], [2, 1]], mode="reflect"), ops.flip(x, axis=1), ops.roll(x, 2, axis=-1), ops.tril(x), ops.triu(x, k=1), ops.diagonal(x, axis1=2, axis2=3),
    ops.moveaxis(x, 1, -1), ops.swapaxes(x, 1, 3)])
case("operations_by_index", {"x": (6, 5)}, lambda x: [
    x[:, 1:], x[..., 2], x[:, -3:, None, :2], x[:, ::-1, -2], x[:, ::2, 1:4], ops.take(x, [2, 0, -1], axis=1), ops.take_along_axis(x, ids(x, 5), axis=2), ops.one_hot(ids(x, 4), 4)])
case("operations_of_products", {"x": (2, 4, 5), "y": (2, 5, 3)}, lambda x, y: [
    ops.matmul(x, y), ops.einsum("bhij,bhjk->bik", x, y), ops.einsum("bhij->bjh", x), ops.tensordot(x, np.arange(10, dtype="float32").reshape(5, 2) / 7, axes=1),
    x @ np.linspace(-1, 1, 5).astype("float32"), ops.dot_product_attention(x, x, x, is_causal=True)])
def operations_on_bits(x, y):
    i, k = ops.cast(x * 20, "int32"), ops.cast(ops.abs(y) * 2, "int32")
    u, b = ops.cast(ops.abs(x * 9), "uint8"), ops.cast(ops.abs(y) * 3, "int8")
    return [ops.bitwise_and(i, k), ops.bitwise_or(i, np.array([12], "int32")), ops.bitwise_xor(u, np.array([21], "uint8")), ops.bitwise_not(i), ops.bitwise_invert(u), ops.left_shift(i, k), ops.right_shift(i, k), ops.left_shift(i, i), ops.right_shift(u, u),
            ops.power(i, k), ops.power(2, k), ops.power(i, 5), ops.fmod(i, k + 1), ops.fmod(x * 9, y), ops.saturate_cast(x * 90, "int8"), ops.saturate_cast(i, "uint8"), ops.cast(ops.saturate_cast(x * 1e5, "float16"), "float32"), ops.saturate_cast(x / 0.0, "float32"), ops.saturate_cast(i, "bool")]


def operations_on_numbers(x, y):
    bad = ops.where(x > 0.9, float("nan"), x)
    return [ops.fmax(bad, y), ops.fmin(y, bad), ops.heaviside(x, np.array([0.5], "float32")), ops.heaviside(ops.round(x), y), ops.ldexp(x, ops.cast(y * 2, "int32")), ops.logaddexp2(x * 9, y), ops.sinc(x), ops.cbrt(x * 5),
            ops.signbit(x * 0.0), ops.isposinf(x / 0.0), ops.isneginf(x / 0.0), ops.deg2rad(x), ops.rad2deg(x), ops.fabs(x), ops.erfc(x), ops.select([x > 1, y > 0], [x * 2, y], 0.25), ops.allclose(x / 0.0, x / 0.0)]


def operations_of_statistics(x):
    bad = ops.where(x > 1.2, float("nan"), x)
    gone = ops.where(x[:, :1] > -9, float("nan"), x[:, :1])
    return [ops.median(x, axis=1), ops.median(x, axis=(1, 2), keepdims=True), ops.quantile(x, 0.3, axis=-1), ops.quantile(x, [0.1, 0.5, 0.95], axis=1, keepdims=True), ops.nan_to_num(ops.quantile(bad, 0.25, axis=2), nan=-7.0),
            ops.quantile(x, [0.2, 0.55], axis=(2, 1)), ops.percentile(x, 60, axis=2), ops.nanmax(bad, axis=2), ops.nan_to_num(ops.nanmin(gone, axis=2), nan=-7.0),
            ops.nanargmax(bad, axis=1), ops.nanargmin(gone, axis=2), ops.nansum(bad, axis=-1, keepdims=True), ops.nanprod(bad, axis=1), ops.nanmean(bad, axis=(1, 2)), ops.nanvar(bad, axis=1),
            ops.nanstd(bad, axis=2), ops.nan_to_num(ops.nanvar(bad / ops.where(x > 0, x * 0.0, x), axis=2), nan=-7.0), ops.nancumsum(bad, axis=1), ops.nancumprod(bad, axis=2), ops.ptp(x, axis=1), ops.trapezoid(x, axis=1), ops.trapezoid(x, x=[0.0, 0.5, 2.0, 2.5, 4.0], axis=-1),
            ops.trapezoid(x, dx=0.3), ops.corrcoef(x[0]), ops.nan_to_num(ops.corrcoef(ops.where(x[0] > x[0, 0, 0], 1.0, ops.stack([x[0, :, 0] * 0.0] * 5, axis=1) + x[0])), nan=-7.0)]


def operations_of_updates(x, y):
    i = ids(x, 4)
    return [ops.slice(x, (0, 1, 2), (2, 2, 3)), ops.slice(x, ops.stack([i[0, 0, 0] * 0, i[0, 0, 0], i[0, 1, 1]]), (2, 1, 2)), ops.slice_update(x, (0, 1, 1), y[:, :, :3]), ops.slice_update(x, ops.stack([i[0, 0, 0] * 0, i[0, 0, 0], i[0, 0, 0] * 0 + 1]), y[:, :1, :2]),
            ops.scatter(ops.reshape(i[:, :2, :2], (-1, 2)), ops.reshape(y[:, :2, :1], (-1,)), (5, 4)), ops.scatter_update(x[0], ops.stack([i[0, :, 0], i[1, :, 1]], axis=-1), y[0, :, 0]),
            ops.scatter_update(x[0], i[0, :, :1], y[0], reduction="add"), ops.scatter_update(x[0], i[0, :, :1], y[0], reduction="max"), ops.scatter_update(x[0], i[0, :, :1], y[0], reduction="min"),
            ops.segment_sum(y[0], i[0, :, 0], num_segments=6), ops.segment_max(y[0], i[0, :, 1] % 3, num_segments=3), ops.segment_max(i[1], i[0, :, 1], num_segments=4),
            ops.searchsorted(np.array([-1.0, -0.5, 0.0, 0.5], "float32"), x), ops.searchsorted(np.array([0, 1, 1, 2], "int32"), i, side="right"), ops.searchsorted(np.array([0.0, 0.5], "float32"), x / (x - x), side="right"), ops.slice_update(x[0], (1, 2), x[1, :2, :3]), *ops.unravel_index(ids(x[0, :, 0], 30), (2, 3, 5))]


def operations_on_more_shapes(x, y):
    return [*ops.array_split(x, 3, axis=2), *ops.hsplit(x, 2), *ops.dsplit(x, [2]), *ops.vsplit(x[0], 2), ops.dstack([x, y]), ops.fliplr(x), ops.flipud(x), ops.diag(x[0, 0], k=1), ops.diag(x[0, 0], k=-2), ops.diag(x[0], k=-1), ops.diagflat(x[0], k=0),
            *ops.meshgrid(x[0, 0], y[0, 0]), *ops.meshgrid(x[0, 0], y[0, 0], indexing="ij"), ops.vander(x[0, 0]), ops.vander(x[0, 0], N=3, increasing=True), ops.kron(x[0], y[1]), ops.kron(x[0, 0], y[1]),
            ops.cross(x[:, :, :3], y), ops.cross(x[:, :, :2], y[:, :, 1:]), ops.cross(x[:, :3, :3], y[:, :3, :2], axisa=1, axisb=2, axisc=0), ops.cdist(x[:, :, :3], y[:, :2])]


def operations_of_images(x):
    c = ops.abs(x)
    return [ops.image.resize(x, (4, 9)), ops.image.resize(x, (8, 3), interpolation="nearest"), ops.image.resize(x[0], (3, 4), interpolation="bicubic", antialias=True), ops.image.resize(x, (3, 3), crop_to_aspect_ratio=True), ops.image.resize(x, (6, 6), pad_to_aspect_ratio=True, fill_value=0.5),
            ops.image.pad_images(x, top_padding=1, left_padding=2, target_height=9, target_width=12), ops.image.pad_images(x[0], 1, 2, 3, 0), ops.image.crop_images(x, top_cropping=1, left_cropping=2, target_height=3, target_width=4), ops.image.crop_images(x, 1, 2, 2, 1),
            ops.image.rgb_to_grayscale(x), ops.image.rgb_to_hsv(c / ops.max(c)), ops.image.hsv_to_rgb(c / ops.max(c)), ops.image.gaussian_blur(x, (3, 5), (0.7, 1.1)), ops.image.extract_patches(x, (2, 3)), ops.image.extract_patches(x, 3, strides=(1, 2), padding="same"),
            ops.image.extract_patches(x[0], (2, 2), strides=1, dilation_rate=2), ops.nn.unfold(x, (2, 3), dilation=(2, 1), padding=1, stride=2), ops.nn.depth_to_space(ops.concatenate([x] * 4, axis=-1), 2), ops.nn.space_to_depth(x, 2),
            ops.nn.depth_to_space(ops.transpose(x, (0, 2, 1, 3)), 2, data_format="channels_first")]


def operations_of_signals(x):
    y = x * x - 1
    real, imag = ops.rfft(x)
    return [real, imag, *ops.rfft(x, fft_length=16), *ops.rfft(x, fft_length=7), *ops.fft((x, y)), *ops.fft2((x, y)), *ops.ifft2((x, y)), ops.irfft((real, imag)), ops.irfft((real, imag), fft_length=9),
            ops.extract_sequences(x, 5, 3), *ops.stft(x, 6, 3, 8), *ops.stft(x, 5, 2, 5, window="hamming", center=False), *ops.stft(x, 4, 4, 4, window=None), *ops.stft(x, 3, 4, 6, window=None), *ops.stft(x, 4, 2, 8, window=[0.1, 0.5, 0.7, 0.2])]


case("operations_on_bits", {"x": (3, 5), "y": (3, 5)}, operations_on_bits)
case("operations_on_numbers", {"x": (3, 5), "y": (3, 5)}, operations_on_numbers)
case("operations_of_statistics", {"x": (4, 5)}, operations_of_statistics)
case("operations_of_updates", {"x": (4, 5), "y": (4, 5)}, operations_of_updates)
case("operations_on_more_shapes", {"x": (4, 5), "y": (4, 3)}, operations_on_more_shapes)
case("operations_of_images", {"x": (6, 8, 3)}, operations_of_images)
case("operations_of_signals", {"x": (3, 12)}, operations_of_signals)

# ---- attention, masks
def attentions(x, y):
    e = L.Embedding(9, 6, mask_zero=True)
    q, v = e(ids(x, 4)), e(ids(y, 4))
    return [L.Attention(score_mode="concat", use_scale=True)([q, v]), L.AdditiveAttention()([q, v], use_causal_mask=True), L.MultiHeadAttention(2, 3)(q, v),
            *L.MultiHeadAttention(3, 2, value_dim=4, output_shape=5, dropout=0.1)(q, v, return_attention_scores=True, use_causal_mask=True), L.GroupQueryAttention(3, 4, 2)(q, v)]

def masks(x, y):
    a, b = L.Masking(0.5)(ops.where(ops.abs(x) > 0.9, x, 0.5)), L.Masking()(ops.where(ops.abs(y) > 0.9, y, 0.0))
    merged = [L.Add()([a, b]), L.Multiply()([a, b]), L.Maximum()([a, b]), L.Concatenate()([a, b]), L.Concatenate(axis=1)([a, y])]
    return [GlobalAveragePooling1D()(Dense(3)(m)) for m in merged] + [L.Softmax()(x, mask=x > 0), L.TimeDistributed(Dense(4, activation="tanh"))(a)]

case("attention", {"x": (5,), "y": (6,)}, attentions)
case("attention_open_time", {"x": (None, 6)}, lambda x: L.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True), sizes=((3,), (7,)))
case("masks", {"x": (6, 1), "y": (6, 1)}, masks)
case("wrappers", {"x": (4, 6, 5, 2)}, lambda x: [L.TimeDistributed(Conv2D(3, 3))(x), L.SpectralNormalization(Dense(3))(x), L.TimeDistributed(keras.Sequential([Input((6, 5, 2)), Flatten(), Dense(2)]))(x)])
# ---- preprocessing
case("images", {"x": (7, 8, 3)}, lambda x: [L.Resizing(4, 5)(x), L.Resizing(9, 8, interpolation="nearest")(x), L.Resizing(4, 4, crop_to_aspect_ratio=True, antialias=True)(x),
    L.Resizing(4, 6, pad_to_aspect_ratio=True, fill_value=7.0)(x), L.CenterCrop(3, 4)(x), L.CenterCrop(9, 4)(x), L.AutoContrast(value_range=(-4, 4))(x), L.RandomFlip()(x), L.RandomZoom(0.2)(x)])
case("categories", {"x": (4,)}, lambda x: [L.Discretization([-0.5, 0.0, 0.7])(x), L.Discretization([-0.5, 0.0, 0.7], output_mode="count")(x), L.CategoryEncoding(5)(ids(x, 7)),
    L.CategoryEncoding(7, output_mode="one_hot")(ids(x, 7)), L.CategoryEncoding(6, output_mode="count")(ids(x, 6), count_weights=x),
    L.IntegerLookup(vocabulary=[3, 1, 70000000], num_oov_indices=3, mask_token=0)(ids(x, 7)), L.IntegerLookup(vocabulary=[3, 1, 6], output_mode="multi_hot")(ids(x, 7))])
case("spectrograms", {"x": (64, 2), "y": (80,)}, lambda x, y: [L.STFTSpectrogram(mode=m, frame_length=16, frame_step=8)(x) for m in ("magnitude", "psd", "stft", "log")] +
    [L.MelSpectrogram(fft_length=32, sequence_stride=16, num_mel_bins=6, sampling_rate=1000, power_to_db=False)(y), L.MelSpectrogram(fft_length=32, sequence_length=21, sequence_stride=16, num_mel_bins=6, sampling_rate=1000, power_to_db=False)(y)])
case("reversible_embedding", {"x": (4,)}, lambda x: (lambda e: e(e(ids(x, 6)), reverse=True))(L.ReversibleEmbedding(9, 4, tie_weights=False, logit_soft_cap=3.0)))
case("activation_of_a_layer", {"x": (5,)}, lambda x: Dense(3, activation=L.LeakyReLU(negative_slope=0.1))(x))
case("residual_block", {"x": (8, 7, 3)}, lambda x: Dense(3)(GlobalAveragePooling2D()(residual(x, 4))), h5=True)
case("unet", {"image": (8, 12, 2)}, unet, h5=True)
case("shared_layer", {"a": (3,), "b": (3,)}, shared, h5=True)
case("two_in_two_out", {"image": (6, 6, 1), "extra": (4,)}, two_in_two_out, h5=True)
case("named_in_and_out", {"zebra": (3,), "apple": (5,)}, named_in_and_out, note="dicts: flat order is by sorted key, so apple is input 0 and first is output 0")
case("middle_is_output", {"x": (5,)}, lambda x: (lambda h: [h, Dense(2)(h), x])(Dense(4, activation="relu")(x)), note="an inner tensor and the input itself are outputs too")
case("sequential", {"x": (6, 6, 1)}, lambda x: keras.Sequential([Input((6, 6, 1), name="x"), Conv2D(4, 3, activation="relu"), MaxPooling2D(), Flatten(), Dropout(0.5), Dense(3, activation="softmax")]), h5=True, stored=True)
case("sequential_called", {"input_layer": (4,)}, lambda x: called(keras.Sequential([Dense(5, activation="relu"), Dense(2)]), BATCH, 4), note="the batch is fixed in the file")
case("inverted_bottleneck", {"x": (6, 6, 4)}, lambda x: Add()([x, BatchNormalization()(Conv2D(4, 1, use_bias=False)(Activation("relu6")(BatchNormalization()(DepthwiseConv2D(3, padding="same", use_bias=False)(Conv2D(8, 1, activation="hard_swish")(x))))))]))
case("odd_names", {"int": (3,)}, lambda x: keras.Model(x, [Dense(2, name=n)(x) for n in ODD], name="class"), h5=True)
# ---- open dimensions: two sets of inputs for one model
case("open_time", {"x": (None, 3)}, lambda x: Dense(2, activation="tanh")(Conv1D(4, 3, padding="causal", dilation_rate=2)(x)), sizes=((7,), (2,)))
case("open_time_dense", {"x": (None, 5)}, lambda x: Dense(4, activation="softmax")(x), sizes=((3,), (6,)))
case("open_size", {"x": (None, None, 2)}, lambda x: Dense(3)(GlobalAveragePooling2D()(MaxPooling2D(3, strides=2, padding="same")(Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)))), sizes=((8, 7), (5, 10)))
case("open_size_transpose", {"x": (None, 4, 3)}, lambda x: Conv2DTranspose(2, 3, strides=2, padding="same")(x), sizes=((3,), (5,)))


# ---- integers
def integer_images(x):
    u, i = ops.cast(x, "uint8"), ops.cast(x, "int32") - 99
    return [L.Resizing(3, 7)(u), L.Resizing(3, 3, interpolation="bicubic")(u), L.Resizing(1, 3, antialias=True, crop_to_aspect_ratio=True)(i), L.Resizing(4, 2, interpolation="nearest")(u),
            L.UpSampling2D(3, interpolation="bilinear")(i), L.CenterCrop(6, 6, dtype="float16")(u), L.CenterCrop(2, 2)(i), L.RandomCrop(4, 4)(u), L.RandomContrast(0.5)(i), L.RandomFlip()(u)]


def integers(x):
    u, i, b = ops.cast(ops.abs(x * 4), "uint8"), ops.cast(x * 4, "int32"), ops.cast(x * 30, "int8")
    return [Activation("relu")(i), Activation("relu6")(u), L.ReLU(5.5, threshold=2.7)(i), L.ReLU(None, 0.5)(i), L.LeakyReLU(dtype="float16")(b), Activation("tanh", dtype="float16")(i),
            L.Average()([i, i, u]), L.Average(dtype="bfloat16")([b, b]), L.Average()([u, u]), L.Average()([i, x])]


case("integer_images", {"x": (5, 5, 3)}, integer_images, data="pixels", note="what interpolates integers rounds them; odd extents, so that no value lies halfway")
case("integers", {"x": (8,)}, integers, data="wide", note="Average of int8 wraps before it divides")

# ---- what the summary shows otherwise than it is computed
def written_shapes(x):
    t = L.Reshape((3, 2))(x)
    a, b = ops.split(x, 2, axis=1)
    e = L.LayerNormalization()(L.EinsumDense("abc,cd->abd", (None, 2))(t))
    y, scores = L.MultiHeadAttention(2, 2)(t, L.Concatenate(axis=1)([t, t]), return_attention_scores=True)
    return [ops.sum(a, axis=1), b, Add()([t, e]), y, scores, L.GroupQueryAttention(2, 2, 1)(t, t), L.Rescaling(2.0)(Activation("glu")(x)), L.RandomCrop(2, 1)(L.Reshape((3, 2, 1))(x))]

case("written_shapes", {"x": (6,)}, written_shapes)

case("resizing_places", {"x": (2, 1, 1), "y": (540, 1, 1)}, lambda x, y: [L.Resizing(41, 1, interpolation="nearest")(x), L.Resizing(112, 1)(y), L.Resizing(112, 1, interpolation="bicubic")(y)], note="TensorFlow's places in float32")
case("input_names", {"1": (3,), "0": (3,), "x y": (3,), "x_y": (3,)}, lambda a, b, c, d: [a * 2.0, b * 3.0, c * 5.0, d * 7.0])
case("infinite_fields", {"x": (4,)}, lambda x: [L.ReLU(max_value=float("inf"))(x), L.Discretization([-float("inf"), 0.0, 0.5, float("inf")])(x)])
case("open_resizing", {"x": (None, None, 2)}, lambda x: [L.Resizing(4, 5)(x), L.Resizing(7, 3, interpolation="nearest")(x), L.UpSampling2D(2, interpolation="bilinear")(x)], sizes=((6, 9), (4, 5), (11, 2)))
case("open_aspect", {"x": (None, None, 2)}, lambda x: [L.Resizing(4, 6, crop_to_aspect_ratio=True)(x), L.Resizing(5, 4, pad_to_aspect_ratio=True, fill_value=0.5)(x), L.Resizing(3, 5, interpolation="nearest", crop_to_aspect_ratio=True)(x),
    L.Resizing(5, 3, interpolation="nearest", pad_to_aspect_ratio=True, fill_value=2.0)(x), L.CenterCrop(4, 5)(x), L.CenterCrop(5, 8)(x)], sizes=((6, 9), (4, 5), (12, 7), (3, 3)))


# ---- edges, where Keras has its own ways
def edges(x):
    i = ops.cast(x * 3, "int32")
    b = ops.greater(x, 0)
    big = x * 1e30
    return [ops.floor(i), ops.ceil(i), ops.trunc(i), ops.max(b, axis=-1), ops.min(b, axis=1, keepdims=True), ops.prod(x, axis=-1, dtype="int32"), ops.hypot(big, x) / 1e30, ops.isclose(i, i + 1, atol=1.5), ops.take_along_axis(x, ops.argsort(x, axis=-1), axis=-1)]


def norms_of_matrices(x):
    orders = [1, -1, "inf", "-inf", "fro"]
    return [ops.norm(x, ord=float(o) if "inf" in str(o) else o, axis=a) for o in orders for a in ((1, 2), (2, 1))]


case("edges", {"x": (6,)}, edges)
case("layers_of_arrays", {"x": (4, 3)}, lambda x: [Rescaling(np.array([1.0, 2.0, 3.0]), offset=np.array([0.0, 1.0, 2.0]))(x), L.LayerNormalization(rms_scaling=True)(x), L.GlobalMaxPooling1D()(ops.greater(x, 0.5))])
case("norms_of_matrices", {"x": (3, 4)}, norms_of_matrices)
case("einsum_dense_ellipsis", {"x": (3, 4)}, lambda x: [L.EinsumDense("ab...,bc->ac...", output_shape=(2, 4))(x), L.EinsumDense("...b,bc->...c", output_shape=5, bias_axes="c")(x)])
case("grouped_attention", {"x": (5, 4)}, lambda x: L.GroupQueryAttention(2, 4, 2)(x, x), h5=True)


# ---- dtype policies
def policy_image(x):
    x = MaxPooling2D(2)(Activation("relu")(BatchNormalization()(Conv2D(8, 3, padding="same")(x))))
    x = Dense(6, activation="gelu")(GlobalAveragePooling2D()(DepthwiseConv2D(3)(x)))
    return Dense(4, activation="softmax", dtype="float32")(x)


def policy_attention(x):
    e = L.Embedding(9, 8, mask_zero=True)(ids(x, 9))
    y = L.LayerNormalization()(Add()([L.MultiHeadAttention(2, 4)(e, e), e]))
    y = Add()([y, Dense(8)(Dense(12, activation="relu")(y))])
    return [y, GlobalAveragePooling1D()(L.Attention()([y, e]))]


def policy_norms(x):
    return [L.LayerNormalization()(x), L.GroupNormalization(2)(x), L.RMSNormalization()(x), L.UnitNormalization()(x), BatchNormalization()(x)]


def policy_meeting(x):
    a, b = Dense(3)(x), Dense(3, dtype="float32")(x)
    return [Add()([a, b]), Concatenate(dtype="float32")([a, b]), a + b, a * 2.0, L.Softmax()(b), Rescaling(0.3, 0.1)(x), L.LeakyReLU()(x), Activation("hard_sigmoid")(a)]


def policy_resizing(x):
    return [L.Resizing(4, 9)(x), L.UpSampling2D(2, interpolation="bilinear")(x), Conv2DTranspose(3, 3, strides=2)(x), SeparableConv2D(4, 3)(x)]


def policy_numbers(x):
    h = L.Identity()(x)
    i = ops.cast(x * 3, "int32") * 2 + 1
    big = h / 0.0
    nums = [ops.mod(h, 0.3), ops.mod(h, 2), ops.arctan2(h, 0.7), ops.logaddexp(h, 0.7), ops.maximum(h, 0.1), ops.log(ops.abs(ops.nan_to_num(big)) + 1.0), h / i, i * h, h + 0.1, ops.where(h > 0, h, 0.1)]
    return nums + [ops.cast(c, "float32") for c in (h < 0.1, ops.equal(h * 0 + 0.1, 0.1), ops.not_equal(h, 0.3), h >= 2, ops.isclose(h, 0.5, atol=0.3))]


def policy_untouched(x):
    far = ops.abs(x) * 70000.0
    words = ops.cast(ops.cast(far / 1000.0, "int32"), "float32") + 257.0
    masked = L.Masking(0.1)(ops.where(x > 0, x, 0.1))
    shared = L.Masking(0.5)(ops.reshape(x, (-1, 4, 2)))
    attended = L.MultiHeadAttention(2, 2)(shared, shared)
    return [L.Embedding(700, 3)(words), L.LayerNormalization()(far), L.GroupNormalization(2)(far), L.CategoryEncoding(9, output_mode="count")(ops.cast(ops.abs(x), "int32")), masked, attended, GlobalAveragePooling1D()(shared), L.TimeDistributed(Dense(3, dtype="float32"))(shared)]


def policy_functions(x):
    h, w = L.Identity()(x), ops.abs(x)
    return [ops.average(h, axis=-1, weights=w), ops.layer_normalization(h, w[0], axis=-1), ops.rms_normalization(h, axis=-1), ops.sparsemax(h), ops.softmax(h), ops.mean(h, axis=-1), ops.gelu(h)]


def policy_there_and_back(x):
    e = L.ReversibleEmbedding(9, 4)
    y = e(ids(x, 9))
    return [y, e(y, reverse=True), L.ReversibleEmbedding(5, 6, tie_weights=False)(x, reverse=True)]


for p in ("mixed_float16", "mixed_bfloat16", "float64"):
    case(f"policy_{p}_there_and_back", {"x": (6,)}, policy_there_and_back, policy=p)
    case(f"policy_{p}_numbers", {"x": (5,)}, policy_numbers, policy=p, data="knees")
    case(f"policy_{p}_untouched", {"x": (8,)}, policy_untouched, policy=p)
    case(f"policy_{p}_functions", {"x": (8,)}, policy_functions, policy=p)
    case(f"policy_{p}_image", {"x": (9, 9, 3)}, policy_image, policy=p)
    case(f"policy_{p}_attention", {"x": (6,)}, policy_attention, policy=p)
    case(f"policy_{p}_norms", {"x": (5, 8)}, policy_norms, policy=p)
    case(f"policy_{p}_meeting", {"x": (4,)}, policy_meeting, policy=p)
    case(f"policy_{p}_resizing", {"x": (6, 6, 2)}, policy_resizing, policy=p)
for p in ("float16", "bfloat16"):
    case(f"policy_{p}_image", {"x": (9, 9, 3)}, policy_image, policy=p)

# ---- data and weights, from seeds that depend on the name alone

def make_data(kind, shape, rng):
    x = rng.standard_normal(shape)
    if kind == "wide":
        x = 4 * x
        x.flat[:2] = 20, -20
    if kind == "negative":
        x = -0.1 - np.abs(x)
    if kind == "pixels":
        x = rng.integers(0, 256, shape)
    if kind == "knees":
        x = np.resize([-0.0, 0.0, -0.5, 0.5, -1, 1, -2.5, 2.5, -3, 3, -6, 6, 1e-30, -1e-30, 1e-4, -1e-4], shape)
    return x.astype("float32")


def randomize(model, name):
    """Never the defaults: a forgotten bias or a swapped gamma and beta must show."""
    rng = np.random.default_rng(zlib.crc32((name + "/weights").encode()))
    for v in model.weights:
        if v.name in ("gamma", "moving_variance"):
            w = rng.uniform(0.5, 1.5, v.shape)
        elif v.name.endswith("kernel"):
            w = rng.standard_normal(v.shape) * min(0.6, 1.6 / np.sqrt(np.prod(v.shape[:-1])))
        else:
            w = rng.standard_normal(v.shape) * 0.3
        if v.path.startswith("seed_generator") or not np.issubdtype(np.dtype(v.dtype), np.floating):
            continue
        v.assign(w.astype("float32"))


def input_sets(c):
    """For each set: {input name: array}. The second set has one more row."""
    rng = np.random.default_rng(zlib.crc32((c.name + "/inputs").encode()))
    for k, sizes in enumerate(c.sizes or ((),)):
        free = iter(sizes)
        yield {n: make_data(c.data, (BATCH + k,) + tuple(next(free) if d is None else d for d in shape), rng) for n, shape in c.inputs.items()}


# ---- building and running

def make_model(c):
    keras.utils.clear_session()
    keras.config.set_dtype_policy(c.policy)
    tensors = [Input(shape, name=n) for n, shape in c.inputs.items()]
    out = c.build(*tensors)
    return out if isinstance(out, keras.Model) else keras.Model(tensors[0] if len(tensors) == 1 else tensors, out)


def run(model, inputs):
    """The outputs, flat. TensorFlow has some kernels (groups) on the CPU only through its compiler."""
    struct = getattr(model, "_inputs_struct", None)
    names = input_names(model)
    if isinstance(struct, dict): x = {k: ops.convert_to_tensor(inputs[k]) for k in struct}
    elif len(names) == 1: x = ops.convert_to_tensor(inputs[names[0]])
    else: x = [ops.convert_to_tensor(inputs[n]) for n in names]
    call = lambda x: keras.tree.flatten(model(x, training=False))
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf
        try:
            ys = call(x)
        except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError):
            ys = tf.function(call, jit_compile=True)(x)
    else:
        ys = call(x)
    return [ops.convert_to_numpy(ops.cast(y, "float32") if keras.backend.standardize_dtype(y.dtype) == "bfloat16" else y) for y in ys]


def channels_last(c, model):
    """A twin of a channels_first model, which takes and gives channels_first arrays."""
    keras.config.set_image_data_format("channels_last")
    twin = make_model(dataclasses.replace(c, inputs={n: s[1:] + s[:1] for n, s in c.inputs.items()}))
    twin.set_weights(model.get_weights())
    move = lambda y, a, b: np.ascontiguousarray(np.moveaxis(y, a, b)) if y.ndim > 2 else y
    return twin, lambda m, inputs: [move(y, -1, 1) for y in run(m, {n: move(x, 1, -1) for n, x in inputs.items()})]


def float64(model):
    twin = keras.models.model_from_json(model.to_json().replace('"float32"', '"float64"'))
    twin.set_weights([w.astype("float64") for w in model.get_weights()])
    return twin


def worst(a, b):
    return max(float(np.abs(np.float64(x) - np.float64(y)).max(initial=0)) if x.shape == y.shape else float("inf") for x, y in zip(a, b, strict=True))


def input_names(model):
    return [t._keras_history.operation.name for t in model.inputs]


def output_names(model):
    """A dict's keys in sorted order; without a dict, the names of the layers that give the outputs."""
    if isinstance(model, keras.Sequential): return [model.layers[-1].name]
    struct = model._outputs_struct
    return sorted(struct) if isinstance(struct, dict) else list(model.output_names)


def compress(file):
    """The same members, deflated; Keras stores them as they are."""
    with zipfile.ZipFile(file) as z:
        members = [(i, z.read(i)) for i in z.infolist()]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        for info, data in members:
            z.writestr(info.filename, data)


def record(c):
    keras.config.set_image_data_format("channels_first" if c.channels_first else "channels_last")
    model = make_model(c)
    randomize(model, c.name)
    file = FOLDER / f"{c.name}.keras"
    model.save(file)
    if not c.stored: compress(file)
    if c.h5: model.save(FOLDER / f"{c.name}.h5")

    names, classes, ways = input_names(model), sorted({type(o).__name__ for o in getattr(model, "_functional", model)._operations}), output_names(model)
    twin, runs = channels_last(c, model) if c.channels_first else (model, run)
    arrays, scale, error = {}, 0.0, 0.0
    for k, inputs in enumerate(input_sets(c)):
        prefix = f"set{k}/" if k else ""
        ys = runs(twin, inputs)
        if not all(np.isfinite(y).all() for y in ys): raise ValueError(f"{c.name}: not finite")
        arrays |= {f"{prefix}in/{n}": inputs[n] for n in names} | {f"{prefix}out/{i}": y for i, y in enumerate(ys)}
        scale = max(scale, *(float(np.abs(y).max(initial=0)) for y in ys))
        if c.policy != "float32": error = max(error, POLICIES[c.policy] / 4 * scale)
        else: error = max(error, worst(ys, runs(float64(twin), {n: x.astype("float64") for n, x in inputs.items()})))
    np.savez_compressed(FOLDER / f"{c.name}.npz", **arrays)
    entry = {"name": c.name, "files": [f"{c.name}.keras"] + ([f"{c.name}.h5"] if c.h5 else []), "classes": classes,
             "inputs": [{"name": n, "dtype": str(arrays[f"in/{n}"].dtype), "shape": list(arrays[f"in/{n}"].shape)} for n in names], "outputs": ways, "sets": len(c.sizes) or 1,
             "params": int(model.count_params()), "scale": {"out": scale}, "tf32_vs_tf64": {"out": error}}
    return entry | ({"description": c.note} if c.note else {})


def check(c, entry):
    """Keras on another backend, from the files alone."""
    keras.config.set_image_data_format("channels_last")
    z, error = np.load(FOLDER / f"{c.name}.npz"), 0.0
    for file in entry["files"]:
        model = keras.models.load_model(FOLDER / file, compile=False)
        for k in range(entry["sets"]):
            prefix = f"set{k}/" if k else ""
            ys = run(model, {i["name"]: z[f"{prefix}in/{i['name']}"] for i in entry["inputs"]})
            error = max(error, worst(ys, [z[f"{prefix}out/{i}"] for i in range(len(ys))]))
    return entry | {"tf_vs_jax": {"out": error}}


def main(wanted, checking):
    warnings.filterwarnings("ignore")
    FOLDER.mkdir(exist_ok=True)
    manifest = FOLDER / "manifest.json"
    entries = {e["name"]: e for e in json.loads(manifest.read_text())["goldens"]} if manifest.exists() else {}
    for c in CASES:
        if not wanted or c.name in wanted:
            entries[c.name] = check(c, entries[c.name]) if checking else record(c)
    for e in entries.values():       # four times what two correct implementations differ by, at least four float32 ulps of the largest value
        seen = max(e["tf32_vs_tf64"]["out"], e.get("tf_vs_jax", {}).get("out", 0.0))
        e["atol"] = {"out": float(f"{max(4 * seen, 4 * 1.2e-7 * e['scale']['out'], 1e-7):.1e}")}
    head = {"keras": "3.15.1", "reference_backend": "tensorflow 2.21.0 (CPU, oneDNN off)", "second_backend": "jax 0.10.2 (CPU)"}
    lines = ",\n".join("  " + json.dumps(entries[c.name]) for c in CASES if c.name in entries)
    manifest.write_text(json.dumps(head, indent=1)[:-2] + ',\n "goldens": [\n' + lines + "\n ]\n}\n")
    print(len(entries), "goldens,", sum(f.stat().st_size for f in FOLDER.iterdir()), "bytes")


if __name__ == "__main__":
    main([a for a in sys.argv[1:] if a != "check"], "check" in sys.argv[1:])
