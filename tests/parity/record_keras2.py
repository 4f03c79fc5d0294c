"""Records the goldens keras2_*: models of Keras 2, whose masks and images follow other rules than those of Keras 3.

    pip install tf-keras==2.21.0 tensorflow-cpu==2.21.0
    TF_ENABLE_ONEDNN_OPTS=0 python tests/parity/record_keras2.py

Writes NAME.h5 (whole model) and NAME.npz (in/<input>, out/<i>) into tests/parity/goldens.
"""
import pathlib

import numpy as np
import tf_keras as keras
from tf_keras import layers as L

FOLDER = pathlib.Path(__file__).parent / "goldens"


def masks():
    """Merges join masks by "and", an input without one counts as data; attention leaves the masks of its inputs; some
    layers stop them."""
    a = keras.Input((5,), dtype="int32", name="a")
    b = keras.Input((5,), dtype="int32", name="b")
    x = L.Embedding(4, 3, mask_zero=True)(a)
    y = L.Embedding(4, 3, mask_zero=True)(b)
    z = L.Embedding(4, 3)(b)
    pool = L.GlobalAveragePooling1D
    attended = L.MultiHeadAttention(2, 2)(x, x)
    return keras.Model([a, b], [
        pool()(L.Add()([x, y])), pool()(L.Multiply()([x, y])), pool()(L.Maximum()([x, z])),
        pool()(L.Concatenate()([x, y])), pool()(L.Concatenate(axis=1)([x, y])),
        pool()(L.Rescaling(2.0)(x)), pool()(L.Add()([x, attended])), pool()(x),
    ])


def frozen():
    """A frozen layer in a model inside of a layer around it: its weights stand behind all others."""
    inner = keras.Sequential([keras.Input((4,)), L.Dense(4, trainable=False), L.BatchNormalization(), L.Dense(4)])
    x = keras.Input((3, 4), name="x")
    return keras.Model(x, L.TimeDistributed(inner)(x))


def images():
    """RandomCrop resizes what has its ratio; Resizing of integers gives floats."""
    x = keras.Input((6, 7, 3), name="x")
    i = keras.Input((5, 5, 1), dtype="uint8", name="i")
    return keras.Model([x, i], [L.Dense(2)(L.Flatten()(L.RandomCrop(4, 5)(x))), L.Resizing(4, 4)(i)])


def integers():
    """Layers whose dtype is that of their integers."""
    i = keras.Input((4,), dtype="int64", name="i")
    x = keras.Input((3,), name="x")
    return keras.Model([i, x], [L.IntegerLookup(vocabulary=[7, 3, 9])(i), L.Discretization(bin_boundaries=[-0.5, 0.5])(x)])


def example(rng, tensor):
    shape = (4, *tensor.shape[1:])
    if tensor.dtype.is_floating:
        return rng.normal(size=shape).astype("float32")
    return rng.integers(0, 200 if tensor.dtype == "uint8" else 4, shape).astype(tensor.dtype.as_numpy_dtype)


for make in (masks, frozen, images, integers):
    rng = np.random.default_rng(7)
    model = make()
    model.set_weights([rng.uniform(0.2, 1.2, w.shape).astype("float32") for w in model.get_weights()])
    inputs = [example(rng, t) for t in model.inputs]
    outputs = model.predict(inputs, verbose=0)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    arrays = {f"in/{n}": x for n, x in zip(model.input_names, inputs)}
    arrays |= {f"out/{k}": np.asarray(y) for k, y in enumerate(outputs)}
    model.save(FOLDER / f"keras2_{make.__name__}.h5")
    np.savez_compressed(FOLDER / f"keras2_{make.__name__}.npz", **arrays)
    print(make.__name__, [y.shape for y in outputs])
