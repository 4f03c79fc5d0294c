"""Real Keras and Tusk exchange files: what either saves the other reads, to the last bit.

    python3 tests/parity/exchange.py build/release/tests/parity_tests [FOLDER]

Keras saves models; parity_tests --gtest_filter=Save.Exchange reads them and saves them anew; Keras reads those and
compares. FOLDER keeps the files. Without Keras it says so and ends with 77, which ctest takes for a skipped test.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0", CUDA_VISIBLE_DEVICES="-1")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
try:
    import h5py
    import keras
    import numpy as np
    from keras import layers
except ImportError as problem:
    print(f"left out: real Keras reads no file of Tusk here: {problem}")
    sys.exit(77)


def convolutional():
    x = keras.Input((8, 8, 3), name="image")
    y = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    y = layers.BatchNormalization()(y)
    y = layers.add([y, layers.Conv2D(4, 1, name="short\u2013cut")(x)])
    y = layers.GlobalAveragePooling2D()(y)
    return keras.Model(x, layers.Dense(3, dtype="bfloat16")(y), name="convolutional")


def nested():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, activation="tanh"), layers.Dense(4)], name="inner")
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    y = layers.concatenate([inner(a), inner(b)])
    return keras.Model({"a": a, "b": b}, [layers.Dense(2, name="p")(y), layers.Dense(1, name="q")(y)], name="nested")


def attention():
    x = keras.Input((5, 6))
    y = layers.MultiHeadAttention(2, 3)(x, x)
    y = layers.LayerNormalization()(layers.TimeDistributed(layers.Dense(6))(y) + x)
    y = layers.GroupQueryAttention(4, 2, 1)(y, y)
    y = layers.SpectralNormalization(layers.Conv1D(2, 2))(layers.Normalization()(y))
    return keras.Model(x, y, name="attention")


def main():
    program = sys.argv[1]
    folder = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp())
    for name in ("keras", "tusk"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    models = [make() for make in (convolutional, nested, attention)]
    random = np.random.default_rng(7)
    for model in models:
        for weight in model.weights:
            weight.assign(random.uniform(0.1, 1, weight.shape) if weight.dtype != "int64" else 5)
        model.save(folder / "keras" / f"{model.name}.keras")
    run(program, folder)
    compared = 0
    for name in [model.name for model in models]:
        file = folder / "tusk" / f"{name}.keras"
        model = keras.models.load_model(folder / "keras" / f"{name}.keras")
        again = keras.models.load_model(file)
        compared += same_weights(again, model)
        for weight in again.weights:
            weight.assign(np.zeros(weight.shape))
        again.load_weights(file.with_suffix(".weights.h5"))
        compared += same_weights(again, model)
        inputs = [random.uniform(-1, 1, (2, *i.shape[1:])).astype("float32") for i in model.inputs]
        for a, b in zip(outputs_of(again, inputs), outputs_of(model, inputs)):
            assert np.array_equal(a, b), name
    print(f"{len(models)} models: {compared} weights are the same")


def outputs_of(model, arrays):
    given = {i.name: a for i, a in zip(model.inputs, arrays)} if len(arrays) > 1 else arrays[0]
    return [keras.ops.convert_to_numpy(y) for y in keras.tree.flatten(model(given))]


def same_weights(a, b):
    assert len(a.weights) == len(b.weights), (a.name, len(a.weights), len(b.weights))
    for x, y in zip(a.weights, b.weights):
        assert x.name == y.name and x.dtype == y.dtype, (x.path, y.path)
        assert np.array_equal(x.numpy(), y.numpy()), x.path
    return len(a.weights)


def run(program, folder):
    done = subprocess.run([program, "--gtest_filter=Save.Exchange"], env={**os.environ, "TUSK_EXCHANGE": str(folder)},
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


main()
