"""The peers: for every case a function to call, one thread each.

`build(peer)` gives {case: function}. "case" is one call; "case x5" is a graph of five such operations with weights of
their own, in a chain where shapes allow it and side by side elsewhere, so that (x5 - x1) / 4 is the cost of the
operation in a graph, without the price of a call and of reorders at its ends.
"""

import ctypes
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import runtimes  # first: it sets the number of threads
import numpy as np

rng = np.random.default_rng(1)
SMALL = (
    (1, 784, 10),
    (1, 512, 1),
    (1, 512, 16),
    (1, 128, 32),
    (1, 128, 64),
    (64, 784, 10),
    (64, 64, 16),
    (64, 64, 32),
    (64, 512, 32),
)


def uniform(*shape):
    return rng.uniform(-1, 1, shape).astype(np.float32)


def onnx_models():
    """{case: (model bytes, inputs)}"""
    from onnx import TensorProto, helper, numpy_helper

    models = {}

    def add(name, inputs, nodes, constants, outputs):
        def info(key, shape):
            return helper.make_tensor_value_info(key, TensorProto.FLOAT, shape)

        graph = helper.make_graph(
            nodes,
            "g",
            [info(k, v.shape) for k, v in inputs.items()],
            [info(k, s) for k, s in outputs.items()],
            [numpy_helper.from_array(v, k) for k, v in constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
        models[name] = (model.SerializeToString(), inputs)

    def family(name, x, weights, out_shape, node, chain):
        for count in (1, 5):
            nodes, constants, outputs = [], {}, {}
            source = "x"
            for i in range(count):
                w = {f"w{i}_{k}": v for k, v in weights().items()}
                constants |= w
                nodes.append(node(source, list(w), f"y{i}"))
                if chain:
                    source = f"y{i}"
                if not chain or i == count - 1:
                    outputs[f"y{i}"] = out_shape
            add(name if count == 1 else name + " x5", {"x": x}, nodes, constants, outputs)

    def conv(**attributes):
        return lambda x, w, y: helper.make_node("Conv", [x, *w], [y], **attributes)

    for m in (1, 4, 64):
        family(
            f"gemm_m{m}",
            uniform(m, 512),
            lambda: {"w": uniform(512, 512)},
            [m, 512],
            lambda x, w, y: helper.make_node("MatMul", [x, *w], [y]),
            True,
        )
    for size in (56, 9):
        family(
            f"conv_{size}",
            uniform(1, 64, size, size),
            lambda: {"w": uniform(64, 64, 3, 3) / 8},
            [1, 64, size, size],
            conv(kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            True,
        )
    family(
        "first_224",
        uniform(1, 3, 224, 224),
        lambda: {"w": uniform(32, 3, 3, 3)},
        [1, 32, 112, 112],
        conv(kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
        False,
    )
    for size, channels in ((56, 64), (14, 128)):
        family(
            f"depthwise_{size}",
            uniform(1, channels, size, size),
            lambda channels=channels: {"w": uniform(channels, 1, 3, 3)},
            [1, channels, size, size],
            conv(kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=channels),
            True,
        )
    family(
        "dgrad_s2_56",
        uniform(1, 128, 28, 28),
        lambda: {"w": uniform(128, 64, 3, 3)},
        [1, 64, 56, 56],
        lambda x, w, y: helper.make_node(
            "ConvTranspose", [x, *w], [y], kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]
        ),
        False,
    )
    add(
        "dense_wgrad_64",
        {"x": uniform(64, 784), "d": uniform(64, 10)},
        [helper.make_node("Gemm", ["x", "d"], ["y"], transA=1)],
        {},
        {"y": [784, 10]},
    )
    for m, k, n in SMALL:
        add(
            f"dense_{m}x{k}x{n}",
            {"x": uniform(m, k)},
            [helper.make_node("MatMul", ["x", "w"], ["y"])],
            {"w": uniform(k, n)},
            {"y": [m, n]},
        )
    add(
        "rows_64x512",
        {"x": uniform(64, 512)},
        [helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)],
        {"axes": np.array([1])},
        {"y": [64]},
    )
    for steps, name in ((64, "lstm_64"), (320, "lstm_64 x5")):
        add(
            name,
            {"x": uniform(steps, 1, 64)},
            [helper.make_node("LSTM", ["x", "w", "r", "b"], ["y"], hidden_size=64)],
            {"w": uniform(1, 256, 64) / 8, "r": uniform(1, 256, 64) / 8, "b": uniform(1, 512)},
            {"y": [steps, 1, 1, 64]},
        )
    add("call", {"x": uniform(8)}, [helper.make_node("Relu", ["x"], ["y"])], {}, {"y": [8]})
    return models


def onnxruntime():
    import onnxruntime as rt

    return {name: runtimes.onnxruntime(*model)[0] for name, model in onnx_models().items()}, rt.__version__


def openvino():
    import openvino as ov

    result = {}
    for name, model in onnx_models().items():
        try:
            result[name] = runtimes.openvino(*model)[0]
        except RuntimeError as problem:
            print(f"openvino refuses {name}: {str(problem)[:200]}", flush=True)
    return result, ov.__version__.split("-")[0]


def openblas():
    result = {}
    for m in (1, 4, 64):
        x, w, y = uniform(m, 512), uniform(512, 512), np.empty((m, 512), np.float32)
        result[f"gemm_m{m}"] = lambda x=x, w=w, y=y: np.dot(x, w, out=y)
    for m, k, n in SMALL:
        x, w, y = uniform(m, k), uniform(k, n), np.empty((m, n), np.float32)
        result[f"dense_{m}x{k}x{n}"] = lambda x=x, w=w, y=y: np.dot(x, w, out=y)
    x, d, y = uniform(64, 784), uniform(64, 10), np.empty((784, 10), np.float32)
    result["dense_wgrad_64"] = lambda: np.dot(x.T, d, out=y)
    a, b, c = uniform(1, 1), uniform(1, 1), np.empty((1, 1), np.float32)
    result["call"] = lambda: np.dot(a, b, out=c)
    s, t = uniform(64, 512), np.empty(64, np.float32)
    result["rows_64x512"] = lambda: np.sum(s, axis=1, out=t)
    return result, np.__version__


def tensorflow():
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    result = {}

    def add(name, operation, *operands):
        operands = [tf.constant(o) for o in operands]
        function = tf.function(operation).get_concrete_function(*operands)
        result[name] = lambda: function(*operands)

    add("conv_56", lambda x, w: tf.nn.conv2d(x, w, 1, "SAME"), uniform(1, 56, 56, 64), uniform(3, 3, 64, 64))
    add(
        "dgrad_s2_56",
        lambda w, y: tf.raw_ops.Conv2DBackpropInput(
            input_sizes=[1, 56, 56, 64], filter=w, out_backprop=y, strides=[1, 2, 2, 1], padding="SAME"
        ),
        uniform(3, 3, 64, 128),
        uniform(1, 28, 28, 128),
    )
    add(
        "wgrad_56",
        lambda x, y: tf.raw_ops.Conv2DBackpropFilter(
            input=x, filter_sizes=[3, 3, 64, 64], out_backprop=y, strides=[1, 1, 1, 1], padding="SAME"
        ),
        uniform(4, 56, 56, 64),
        uniform(4, 56, 56, 64),
    )
    add("dense_wgrad_64", lambda x, d: tf.matmul(x, d, transpose_a=True), uniform(64, 784), uniform(64, 10))
    add("call", tf.nn.relu, uniform(8))
    return result, tf.__version__


def onednn(folder):
    library = ctypes.CDLL(str(pathlib.Path(folder) / "onednn.so"))
    result = {}
    for name in (
        "gemm_m1",
        "gemm_m4",
        "gemm_m64",
        "conv_56",
        "conv_9",
        "first_224",
        "depthwise_56",
        "depthwise_14",
        "dgrad_s2_56",
        "wgrad_56",
        "dense_wgrad_64",
    ):
        handle = library.prepare(name.encode())
        if handle >= 0:
            result[name] = lambda run=library.run_case, handle=handle: run(handle)
    result["call"] = lambda run=library.run_case: run(-1)
    return result, str(library.version())
