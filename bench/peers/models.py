"""The models of the cells, written for Keras: deterministic, with weights that are no special case.

    models.py OUT CELL...

writes for each OUT/models/CELL.keras, .onnx (NHWC, as tf2onnx has it), .nchw.onnx (for ncnn), .tflite, .json with shapes
and FLOPs, and operands and results of one call as raw float32: CELL.x0, CELL.y0.
"""

import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
os.environ["KERAS_BACKEND"] = "tensorflow"

import runtimes  # noqa: F401, first: it sets the number of threads
import keras
import numpy as np
import onnx
from keras import layers

import cells


def mlp(inputs, hidden, outputs):
    x = image = keras.Input((inputs,))
    for units in hidden:
        x = layers.Dense(units, activation="relu")(x)
    return keras.Model(image, layers.Dense(outputs)(x))


def conv(filters, **more):
    return layers.Conv2D(filters, 3, activation="relu", **more)


def encoding(image):
    x = layers.MaxPooling2D(3)(conv(32)(conv(16)(image)))
    return layers.GlobalMaxPooling2D()(conv(16)(conv(32)(x)))


def encoder():
    image = keras.Input((28, 28, 1))
    return keras.Model(image, encoding(image))


def autoencoder():
    def transposed(filters):
        return layers.Conv2DTranspose(filters, 3, activation="relu")

    image = keras.Input((28, 28, 1))
    x = layers.Reshape((4, 4, 1))(encoding(image))
    x = layers.UpSampling2D(3)(transposed(32)(transposed(16)(x)))
    return keras.Model(image, transposed(1)(transposed(16)(x)))


def toy_resnet():
    image = keras.Input((32, 32, 3))
    x = layers.MaxPooling2D(3)(conv(64)(conv(32)(image)))
    for _ in range(2):
        x = layers.Add()([conv(64, padding="same")(conv(64, padding="same")(x)), x])
    x = layers.GlobalAveragePooling2D()(conv(64)(x))
    x = layers.Dropout(0.5)(layers.Dense(256, activation="relu")(x))
    return keras.Model(image, layers.Dense(10)(x))


def application(name):
    return getattr(keras.applications, name)(weights=None, input_shape=(224, 224, 3))


def recorded(name):
    """A model of MLPerf Tiny, with the weights that it was trained to."""
    shared = pathlib.Path(os.environ.get("TUSK_SHARED", pathlib.Path(__file__).resolve().parents[3] / "shared"))
    return keras.models.load_model(shared / "models" / name, compile=False)


BUILDERS = {
    "tiny_mlp": lambda: mlp(8, (16, 16), 1),
    "mnist_mlp": lambda: mlp(784, (64, 64), 10),
    "encoder": encoder,
    "autoencoder": autoencoder,
    "toy_resnet": toy_resnet,
    "tiny_ad01": lambda: recorded("mlperf_tiny_autoencoder_ad01.h5"),
    "tiny_resnet8": lambda: recorded("mlperf_tiny_resnet8_cifar10.h5"),
    "resnet50": lambda: application("ResNet50"),
    "vgg19": lambda: application("VGG19"),
    "mobilenetv2": lambda: application("MobileNetV2"),
    "efficientnetb0": lambda: application("EfficientNetB0"),
}


def build(name):
    """The model; where weights are at their start, biases and batch normalizations get values that are not 0 and 1."""
    keras.utils.set_random_seed(1)
    model = BUILDERS[name]()
    random = np.random.default_rng(2)
    for weight in model.weights:
        value = np.asarray(weight)
        if np.all(value == 0):
            weight.assign(random.uniform(-0.1, 0.1, value.shape))
        elif np.all(value == 1):
            weight.assign(random.uniform(0.9, 1.1, value.shape))
    return model


def every_layer(model):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from every_layer(layer)
        else:
            yield layer


def macs(layer):
    """Multiply-accumulates of a sample by the direct algorithm, taps in the padding included."""
    if isinstance(layer, layers.Conv2DTranspose):
        return int(np.prod(layer.input.shape[1:3])) * elements(layer.kernel)
    if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):
        return int(np.prod(layer.output.shape[1:3])) * elements(layer.kernel)
    if isinstance(layer, layers.Dense):
        return int(np.prod(layer.output.shape[1:-1])) * elements(layer.kernel)
    return 0


def elements(weight):
    return int(np.prod(weight.shape))


def flops(model):
    return 2 * sum(macs(layer) for layer in every_layer(model))


def save_vgg(model, path, batch, nchw):
    """A sequence of convolutions, by hand: tf2onnx takes 18 GB for VGG19."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights = [], []

    def constant(name, value):
        weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(kind, inputs, **attributes):
        name = f"{kind}_{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    x = "x" if nchw else add("Transpose", ["x"], perm=[0, 3, 1, 2])
    for layer in model.layers:
        values = [np.asarray(w) for w in layer.weights]
        names = [constant(f"{layer.name}_{i}", v.transpose(3, 2, 0, 1) if v.ndim == 4 else v) for i, v in enumerate(values)]
        if isinstance(layer, layers.Conv2D):
            x = add("Relu", [add("Conv", [x, *names], kernel_shape=[3, 3], pads=[1, 1, 1, 1])])
        elif isinstance(layer, layers.MaxPooling2D):
            x = add("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
        elif isinstance(layer, layers.Flatten):
            x = add("Flatten", [add("Transpose", [x], perm=[0, 2, 3, 1])])
        elif isinstance(layer, layers.Dense):
            x = add("Softmax" if layer.activation is keras.activations.softmax else "Relu", [add("Gemm", [x, *names])])
    shape = [batch, 3, 224, 224] if nchw else [batch, 224, 224, 3]
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", shape), (x, [batch, 1000]))]
    graph = helper.make_graph(nodes, "vgg19", info[:1], info[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def without_unread_inputs(path):
    """tf2onnx gives constants that it has folded as inputs, too."""
    model = onnx.load(path)
    read = {name for node in model.graph.node for name in node.input}
    for value in [i for i in model.graph.input if i.name not in read]:
        model.graph.input.remove(value)
    onnx.save(model, path)


def fold_pads(path):
    """pnnx knows no Pad: zeros around an image become an attribute of what reads it."""
    from onnx import helper, numpy_helper

    model = onnx.load(path)
    graph = model.graph
    constants = {w.name: numpy_helper.to_array(w) for w in graph.initializer}
    constants |= {n.output[0]: numpy_helper.to_array(n.attribute[0].t) for n in graph.node if n.op_type == "Constant"}
    for pad in [n for n in graph.node if n.op_type == "Pad"]:
        around = constants[pad.input[1]].tolist()
        for reader in [n for n in graph.node if pad.output[0] in n.input]:
            if reader.op_type not in ("Conv", "MaxPool"):
                raise ValueError(f"Pad in front of {reader.op_type}")
            old = [a for a in reader.attribute if a.name in ("pads", "auto_pad")]
            before = next((list(a.ints) for a in old if a.name == "pads"), [0] * 4)
            for attribute in old:
                reader.attribute.remove(attribute)
            pads = [a + b for a, b in zip(before, [*around[2:4], *around[6:8]])]
            reader.attribute.append(helper.make_attribute("pads", pads))
            reader.input[0] = pad.input[0]
        graph.node.remove(pad)
    onnx.save(model, path)


def export(cell, folder):
    import tensorflow as tf

    what = cells.MODELS[cell]
    model = build(what.model)
    base = folder / cell
    model.save(f"{base}.keras")
    random = np.random.default_rng(3)
    x = random.standard_normal((what.batch, *model.inputs[0].shape[1:]), dtype=np.float32)
    x.tofile(f"{base}.x0")
    y = np.asarray(model(x, training=False))
    y.tofile(f"{base}.y0")
    spec = tf.TensorSpec(x.shape, tf.float32, name="x")
    function = tf.function(lambda x: model(x, training=False), input_signature=[spec])
    if what.model == "vgg19":
        save_vgg(model, f"{base}.onnx", what.batch, False)
        save_vgg(model, f"{base}.nchw.onnx", what.batch, True)
    else:
        import tf2onnx

        tf2onnx.convert.from_function(function, [spec], opset=17, output_path=f"{base}.onnx")
        without_unread_inputs(f"{base}.onnx")
        if "ncnn" in what.peers:
            names = {"inputs_as_nchw": ["x:0"]} if x.ndim == 4 else {}
            tf2onnx.convert.from_function(function, [spec], opset=17, output_path=f"{base}.nchw.onnx", **names)
            fold_pads(f"{base}.nchw.onnx")
    if "litert" in what.peers:
        from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

        frozen = convert_variables_to_constants_v2(function.get_concrete_function())
        pathlib.Path(f"{base}.tflite").write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([frozen]).convert())
    facts = {"flops": flops(model) * what.batch, "x": list(x.shape), "y": list(y.shape)}
    pathlib.Path(f"{base}.json").write_text(json.dumps(facts))


def main():
    folder = pathlib.Path(sys.argv[1]) / "models"
    folder.mkdir(exist_ok=True)
    for cell in sys.argv[2:]:
        export(cell, folder)
        print(f"exported {cell}", flush=True)


if __name__ == "__main__":
    main()
