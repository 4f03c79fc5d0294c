"""The guide's MNIST model by Keras on JAX, as bench/fit.cpp has it: fit_keras.py FOLDER prints the seconds until the
first step has ended, and until `fit` has."""

import gzip
import os
import pathlib
import sys
import time

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"

import keras
import numpy as np
from keras import layers


def idx(file):
    """An array of bytes in the format of MNIST's files: two zeros, 8, the rank, the sizes, the bytes."""
    data = gzip.decompress(file.read_bytes())
    shape = [int.from_bytes(data[4 + 4 * k : 8 + 4 * k], "big") for k in range(data[3])]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)


def model_loss():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def main():
    folder = pathlib.Path(sys.argv[1])
    images = idx(folder / "train-images-idx3-ubyte.gz").reshape(60000, 784).astype("float32") / 255
    labels = idx(folder / "train-labels-idx1-ubyte.gz")
    inputs = keras.Input((784,))
    x = layers.Dense(64, activation="relu")(inputs)
    x = layers.Dense(64, activation="relu")(x)
    model = keras.Model(inputs, layers.Dense(10)(x))
    model.compile(
        optimizer=keras.optimizers.RMSprop(),
        loss=model_loss(),
        metrics=["accuracy"],
    )
    begin = time.perf_counter()
    model.fit(images, labels, batch_size=64, epochs=2, verbose=0, validation_split=0.2)
    whole = time.perf_counter() - begin
    # The first step alone, of another model: a callback behind each step would slow `fit` down.
    model = keras.models.clone_model(model)
    model.compile(optimizer="rmsprop", loss=model_loss(), metrics=["accuracy"])
    begin = time.perf_counter()
    model.fit(images[:64], labels[:64], batch_size=64, verbose=0)
    print(f"{time.perf_counter() - begin:.3f} {whole:.3f}")


main()
