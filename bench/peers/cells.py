"""The cells of `./dev bench`: kernels, models and training steps, as data."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Geometry:
    """A convolution: image [n,h,w,c], weights [i,j,c,o] or depthwise [i,j,c], result [n,p,q,o]; row h = stride*p + i - low."""

    n: int
    h: int
    w: int
    c: int
    p: int
    q: int
    o: int
    i: int
    j: int
    stride: int
    low: int
    depthwise: bool = False


@dataclasses.dataclass(frozen=True)
class Kernel:
    name: str
    role: str  # of ROLES
    geometry: Geometry
    peers: tuple
    bias: bool = False
    constant: bool = False  # weights and bias are known when the kernel is compiled

    @property
    def shapes(self):
        """Of operands by name, in the order of the roles' formulas, and of the result."""
        g = self.geometry
        is_product = g.h == g.w == g.i == g.j == 1
        x, w, y = (g.n, g.h, g.w, g.c), (g.i, g.j, g.c, 1 if g.depthwise else g.o), (g.n, g.p, g.q, g.o)
        if is_product:
            x, w, y = (g.n, g.c), (g.c, g.o), (g.n, g.o)
        bias = {"bias": (g.o,)} if self.bias else {}
        if self.role == "forward":
            return {"x": x, "w": w, **bias}, y
        if self.role == "dgrad":
            return {"dy": y, "w": w}, x
        return {"x": x, "dy": y}, w

    @property
    def flops(self):
        """Of the direct algorithm, taps in the padding included."""
        g = self.geometry
        return 2 * g.n * g.p * g.q * g.o * g.i * g.j * (1 if g.depthwise else g.c)


ROLES = ("forward", "dgrad", "wgrad")
PRODUCT_PEERS = ("onnxruntime", "openvino", "litert", "torch")
CONVOLUTION_PEERS = {
    "forward": ("torch", "torch_nchw", "torch_packed"),
    "dgrad": ("torch", "torch_nchw"),
    "wgrad": ("torch", "torch_nchw"),
}

# Size of the image, of the window, stride, padding in front, channels in and out. Padding behind follows: as much as the
# last window needs, at most that in front ("same" of stride 1 and ZeroPadding2D), for PyTorch has no other.
LAYERS = {
    "toy_resnet": [(32, 3, 1, 0, 3, 32), (30, 3, 1, 0, 32, 64), (9, 3, 1, 1, 64, 64), (9, 3, 1, 0, 64, 64)],
    "resnet50": [
        (224, 7, 2, 3, 3, 64),
        (56, 1, 1, 0, 64, 64),
        (56, 3, 1, 1, 64, 64),
        (56, 1, 1, 0, 64, 256),
        (56, 1, 1, 0, 256, 64),
        (56, 1, 2, 0, 256, 128),
        (56, 1, 2, 0, 256, 512),
        (28, 3, 1, 1, 128, 128),
        (28, 1, 1, 0, 128, 512),
        (28, 1, 1, 0, 512, 128),
        (28, 1, 2, 0, 512, 256),
        (28, 1, 2, 0, 512, 1024),
        (14, 3, 1, 1, 256, 256),
        (14, 1, 1, 0, 256, 1024),
        (14, 1, 1, 0, 1024, 256),
        (14, 1, 2, 0, 1024, 512),
        (14, 1, 2, 0, 1024, 2048),
        (7, 3, 1, 1, 512, 512),
        (7, 1, 1, 0, 512, 2048),
        (7, 1, 1, 0, 2048, 512),
    ],
    # Where ResNet-50 as most write it has its strides: in the 3x3.
    "resnet50b": [(56, 3, 2, 1, 128, 128), (28, 3, 2, 1, 256, 256), (14, 3, 2, 1, 512, 512)],
    "vgg19": [
        (224, 3, 1, 1, 3, 64),
        (224, 3, 1, 1, 64, 64),
        (112, 3, 1, 1, 64, 128),
        (112, 3, 1, 1, 128, 128),
        (56, 3, 1, 1, 128, 256),
        (56, 3, 1, 1, 256, 256),
        (28, 3, 1, 1, 256, 512),
        (28, 3, 1, 1, 512, 512),
        (14, 3, 1, 1, 512, 512),
    ],
}
# The image of stride 2 has the row and column of zeros that ZeroPadding2D puts behind it.
DEPTHWISE = {
    "mobilenetv2": [
        (112, 3, 1, 1, 32),
        (113, 3, 2, 0, 96),
        (56, 3, 1, 1, 144),
        (57, 3, 2, 0, 144),
        (28, 3, 1, 1, 192),
        (29, 3, 2, 0, 192),
        (14, 3, 1, 1, 384),
        (14, 3, 1, 1, 576),
        (15, 3, 2, 0, 576),
        (7, 3, 1, 1, 960),
    ]
}
BATCH_OF_GRADIENTS = 16


def product(name, m, k, n, **more):
    return Kernel(name, "forward", Geometry(m, 1, 1, k, 1, 1, n, 1, 1, 1, 0), PRODUCT_PEERS, **more)


def convolutions(model, size, window, stride, low, c, o, depthwise=False):
    p = (size + 2 * low - window) // stride + 1
    what = f"depthwise_{c}" if depthwise else f"{c}_{o}"
    valid = "_valid" if low == 0 and window > 1 else ""
    suffix = f"{model}_{size}_{window}x{window}{valid}" + (f"_s{stride}" if stride > 1 else "") + f"_{what}"
    for role in ROLES:
        if role == "dgrad" and c == 3:
            continue  # the gradient by the data
        n = 1 if role == "forward" else BATCH_OF_GRADIENTS
        geometry = Geometry(n, size, size, c, p, p, o, window, window, stride, low, depthwise)
        forward = role == "forward"
        yield Kernel(f"{role}_{suffix}", role, geometry, CONVOLUTION_PEERS[role], bias=forward, constant=forward)


def kernels():
    cells = [product(CALL, 1, 8, 8, bias=True, constant=True), product("gemm_1024", 1024, 1024, 1024)]
    for k, n in ((64, 64), (784, 64), (1024, 1024), (768, 3072)):
        cells += [product(f"dense_{m}x{k}x{n}", m, k, n, bias=True, constant=True) for m in (1, 2, 4, 16, 64)]
    for model, layers in LAYERS.items():
        for layer in layers:
            cells += convolutions(model, *layer)
    for model, layers in DEPTHWISE.items():
        for size, window, stride, low, c in layers:
            cells += convolutions(model, size, window, stride, low, c, c, depthwise=True)
    named = {cell.name: cell for cell in cells}
    assert len(named) == len(cells), "two cells of one name"
    return named


# The gradient by the input of a stride of 2, and one of stride 1 with the same window and channels.
STRIDE_PAIRS = {
    "dgrad_resnet50b_56_3x3_s2_128_128": "dgrad_resnet50_28_3x3_128_128",
    "dgrad_resnet50b_28_3x3_s2_256_256": "dgrad_resnet50_14_3x3_256_256",
    "dgrad_resnet50b_14_3x3_s2_512_512": "dgrad_resnet50_7_3x3_512_512",
    "dgrad_mobilenetv2_57_3x3_valid_s2_depthwise_144": "dgrad_mobilenetv2_56_3x3_depthwise_144",
    "dgrad_mobilenetv2_29_3x3_valid_s2_depthwise_192": "dgrad_mobilenetv2_28_3x3_depthwise_192",
    "dgrad_mobilenetv2_15_3x3_valid_s2_depthwise_576": "dgrad_mobilenetv2_14_3x3_depthwise_576",
}

CALL = "dense_1x8x8"  # what it computes is nothing beside the price of a call
# Every role, strides, depthwise, a product of one row: small enough for every run of the tests.
SMOKE = (
    CALL,
    "dense_4x64x64",
    "dense_16x784x64",
    "forward_toy_resnet_9_3x3_64_64",
    "forward_mobilenetv2_14_3x3_depthwise_384",
    "dgrad_toy_resnet_9_3x3_64_64",
    "wgrad_toy_resnet_9_3x3_64_64",
    "dgrad_mobilenetv2_15_3x3_valid_s2_depthwise_576",
    "wgrad_mobilenetv2_7_3x3_depthwise_960",
    "dgrad_resnet50_14_1x1_s2_1024_512",
)


def elements(shape):
    return math.prod(shape)


@dataclasses.dataclass(frozen=True)
class ModelCell:
    model: str  # of models.py
    peers: tuple
    batch: int = 1


RUNTIMES = ("onnxruntime", "openvino", "litert")
MODELS = {
    "tiny_mlp": ModelCell("tiny_mlp", (*RUNTIMES, "emx", "emx_fast")),
    "mnist_mlp": ModelCell("mnist_mlp", (*RUNTIMES, "emx", "emx_fast")),
    "mnist_mlp_b64": ModelCell("mnist_mlp", RUNTIMES, batch=64),
    "tiny_ad01": ModelCell("tiny_ad01", (*RUNTIMES, "emx", "emx_fast")),
    "encoder": ModelCell("encoder", (*RUNTIMES, "ncnn", "emx_fast")),
    "autoencoder": ModelCell("autoencoder", RUNTIMES),
    "tiny_resnet8": ModelCell("tiny_resnet8", (*RUNTIMES, "ncnn", "ncnn_direct")),
    "toy_resnet": ModelCell("toy_resnet", (*RUNTIMES, "ncnn", "ncnn_direct")),
    "resnet50": ModelCell("resnet50", (*RUNTIMES, "ncnn", "ncnn_direct")),
    "vgg19": ModelCell("vgg19", ("onnxruntime", "openvino", "ncnn", "ncnn_direct")),  # its TFLite export takes 13 GB
    "mobilenetv2": ModelCell("mobilenetv2", (*RUNTIMES, "ncnn")),
    "efficientnetb0": ModelCell("efficientnetb0", RUNTIMES),
}


@dataclasses.dataclass(frozen=True)
class TrainingCell:
    model: str  # of models.py
    batch: int
    loss: str  # mse, sparse (labels are numbers) or onehot; the last two of logits
    optimizer: str  # Keras' name, learning rate 1e-3
    peers: tuple
    is_random: bool = False  # Dropout: losses of others differ by their masks


STEPS = ("tf_step", "tf_batch", "jax_step")
TRAINING = {
    "tiny_mlp_b1": TrainingCell("tiny_mlp", 1, "mse", "sgd", (*STEPS, "jax_scan")),
    "tiny_mlp_b32": TrainingCell("tiny_mlp", 32, "mse", "sgd", (*STEPS, "jax_scan")),
    "mnist_mlp_b64": TrainingCell("mnist_mlp", 64, "sparse", "rmsprop", (*STEPS, "jax_scan")),
    "autoencoder_b64": TrainingCell("autoencoder", 64, "mse", "rmsprop", STEPS),
    "toy_resnet_b64": TrainingCell("toy_resnet", 64, "onehot", "rmsprop", STEPS, is_random=True),
}
CHECKED_STEPS = 21  # losses of the first and of the last are compared
# Relative; what a step rounds, the next ones amplify, and RMSprop most.
LOSS_TOLERANCES = {False: (1e-4, 1e-3), True: (0.05, 0.1)}
