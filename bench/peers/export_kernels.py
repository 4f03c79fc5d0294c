"""TFLite files of products, for LiteRT: export_kernels.py OUT CELL..."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import runtimes  # noqa: F401, first: it sets the number of threads
import tensorflow as tf

import cells
import support
from kernel_peers import operands_of


def tflite(kernel, library):
    values = operands_of(kernel, library)
    specs = [tf.TensorSpec(values["x"].shape, tf.float32, name="x")]
    if kernel.constant:
        function = tf.function(lambda x: tf.matmul(x, values["w"]) + values["bias"], input_signature=specs)
    else:
        specs.append(tf.TensorSpec(values["w"].shape, tf.float32, name="w"))
        function = tf.function(tf.matmul, input_signature=specs)
    return tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()]).convert()


def main():
    out = pathlib.Path(sys.argv[1])
    library, kernels = support.Library(out), cells.kernels()
    (out / "exported").mkdir(exist_ok=True)
    for name in sys.argv[2:]:
        (out / "exported" / f"{name}.tflite").write_bytes(tflite(kernels[name], library))


if __name__ == "__main__":
    main()
