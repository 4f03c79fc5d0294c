"""Trains the small digit classifier of this example with Keras and writes digits.keras and test_digits.npz.

    python train.py digits.csv [folder to write to, default: this folder]

digits.csv has one header line, then 64 pixels (rows of an 8x8 image, 0 to 16) and the label on every line.
See README.md for its source. Made with keras 3.15.1 on tensorflow-cpu 2.21.0; takes half a minute on one core.
"""
import os
import pathlib
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # plain kernels: the same rounding on every run

import keras
import numpy as np
from keras import layers

SEED = 7
TEST = 360     # digits that training never sees, a fifth of all
SHIPPED = 200  # of those, how many go into test_digits.npz


def load(path):
    """All digits in an order fixed by the seed: images [n, 8, 8, 1] and labels [n]."""
    table = np.loadtxt(path, delimiter=",", skiprows=1, dtype="float32")
    table = table[np.random.default_rng(SEED).permutation(len(table))]
    return table[:, :64].reshape(-1, 8, 8, 1), table[:, 64].astype("int32")


def build():
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Rescaling(1 / 16, name="scale")(image)
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv1")(x)
    x = layers.BatchNormalization(name="norm1")(x)
    x = layers.Activation("relu", name="relu1")(x)
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.3, seed=SEED, name="dropout")(x)
    x = layers.Dense(32, activation="relu", name="hidden")(x)
    digit = layers.Dense(10, activation="softmax", name="digit")(x)
    return keras.Model(image, digit, name="digits")


def main(csv, folder):
    keras.utils.set_random_seed(SEED)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf
        tf.config.experimental.enable_op_determinism()

    images, labels = load(csv)
    train_x, train_y = images[:-TEST], labels[:-TEST]
    test_x, test_y = images[-TEST:], labels[-TEST:]

    model = build()
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, 40 * (len(train_x) // 32 + 1))),
                  loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(train_x, train_y, batch_size=32, epochs=40, verbose=2)
    _, accuracy = model.evaluate(test_x, test_y, verbose=0)
    print(f"accuracy on {TEST} held-out digits: {accuracy:.4f}")

    # A second model with the same weights was never compiled, so its file holds no optimizer state.
    plain = build()
    plain.set_weights(model.get_weights())
    plain.save(folder / "digits.keras")

    test_x, test_y = test_x[:SHIPPED], test_y[:SHIPPED]
    out = keras.ops.convert_to_numpy(plain(test_x, training=False))
    print(f"accuracy on the {SHIPPED} digits of test_digits.npz: {np.mean(out.argmax(1) == test_y):.4f}")
    np.savez_compressed(folder / "test_digits.npz", **{"in/image": test_x, "out/0": out, "label": test_y})


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(sys.argv[1], pathlib.Path(sys.argv[2] if len(sys.argv) == 3 else pathlib.Path(__file__).parent))
