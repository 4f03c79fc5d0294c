"""Records what Keras' fit gives for small models: goldens/fit/NAME.keras (as it was before), NAME.npz (data, weights and predictions after), and
goldens/fit/fit.json (histories, evaluations, printed text). tests/parity/fit_test.cpp makes the same calls.

    python record_fit.py          with keras 3.15.1 and tensorflow-cpu 2.21.0
"""
import os
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
import contextlib
import io
import json
import pathlib
import re
import tempfile

import keras
import numpy as np
from keras import layers

FOLDER = pathlib.Path(__file__).resolve().parent / "goldens" / "fit"
RECORDS = {}


def classifier(classes=3):
    x = keras.Input((4,), name="x")
    h = layers.Dense(5, activation="tanh", name="hidden")(x)
    return keras.Model(x, layers.Dense(classes, activation="softmax", name="class")(h), name="classifier")


def regression():
    x = keras.Input((4,), name="x")
    h = layers.Dense(5, kernel_regularizer=keras.regularizers.L2(0.01), name="hidden")(x)
    h = layers.Activation("relu", name="act")(layers.BatchNormalization(name="norm")(h))
    return keras.Model(x, layers.Dense(1, name="price")(h), name="regression")


def plain():
    x = keras.Input((4,), name="x")
    return keras.Model(x, layers.Dense(1, name="price")(layers.Dense(5, activation="tanh", name="hidden")(x)), name="plain")


def two_outputs():
    title, body = keras.Input((4,), name="title"), keras.Input((3,), name="body")
    h = layers.Dense(6, activation="tanh", name="hidden")(layers.Concatenate(name="both")([title, body]))
    return keras.Model([title, body], [layers.Dense(1, name="priority")(h), layers.Dense(4, name="department")(h)], name="ticket")


def spectral():
    """One kernel is trained with the wrapper, one is frozen in it, one has a penalty and a constraint, which see the normalized kernel."""
    x = keras.Input((6, 5, 2), name="x")
    h = layers.SpectralNormalization(layers.Conv2D(3, 3, activation="tanh", name="conv"), name="first")(x)
    frozen = layers.SpectralNormalization(layers.Dense(4, trainable=False, name="middle"), power_iterations=2, name="second")
    h = frozen(layers.Flatten(name="flat")(h))
    last = layers.Dense(2, kernel_regularizer=keras.regularizers.L2(0.02), kernel_constraint=keras.constraints.NonNeg(), name="dense")
    return keras.Model(x, layers.SpectralNormalization(last, power_iterations=3, name="third")(h), name="spectral")


def without_times(text):
    text = re.sub(r"\d+(ms|us|s)/step", "T/step", text)
    return re.sub(r"(\x1b\[1m|- )\d+s", r"\g<1>T", text)


def record(name, model, data, compiled, fit, evaluate=None, predict=("x",)):
    """fit(model, data) calls fit and gives the history."""
    model.save(FOLDER / f"{name}.keras")
    model.compile(**compiled())
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        history = fit(model, data)
    entry = {"epoch": history.epoch, "history": history.history, "printed": without_times(printed.getvalue())}
    arrays = {f"data/{key}": value for key, value in data.items()}
    arrays |= {f"after/{v.path}": v.numpy() for v in model.variables}
    if evaluate:
        entry["evaluate"] = np.atleast_1d(evaluate(model, data)).tolist()
    outputs = model.predict({key: data[key] for key in predict}, verbose=0)
    for i, output in enumerate(outputs if isinstance(outputs, list) else [outputs]):
        arrays[f"predict/{i}"] = output
    RECORDS[name] = entry
    np.savez_compressed(FOLDER / f"{name}.npz", **arrays)


def main():
    rng = np.random.default_rng(7)
    normal = lambda *shape: rng.normal(size=shape).astype("float32")

    keras.utils.set_random_seed(1)
    data = {"x": normal(23, 4), "y": rng.integers(0, 3, 23).astype("int64")}
    record("classes", classifier(), data,
           lambda: dict(optimizer=keras.optimizers.Adam(0.05), loss="sparse_categorical_crossentropy", metrics=["accuracy"]),
           lambda m, d: m.fit(d["x"], d["y"], batch_size=5, epochs=3, validation_split=0.25, shuffle=False, verbose=2),
           lambda m, d: m.evaluate(d["x"], d["y"], verbose=0))

    data = {"x": normal(20, 4), "y": np.eye(3, dtype="float32")[rng.integers(0, 3, 20)]}
    record("class_weight", classifier(), data,
           lambda: dict(optimizer=keras.optimizers.SGD(0.1, momentum=0.9), loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
                        metrics=["accuracy", "mse"], weighted_metrics=["accuracy"]),
           lambda m, d: m.fit(d["x"], d["y"], batch_size=8, epochs=3, validation_split=0.2, shuffle=False, verbose=1, class_weight={0: 1.0, 2: 3.5}),
           lambda m, d: m.evaluate(d["x"], d["y"], batch_size=7, verbose=0))

    data = {"x": normal(21, 4), "y": normal(21), "w": rng.uniform(0.1, 2, 21).astype("float32"),
            "vx": normal(9, 4), "vy": normal(9, 1), "vw": rng.uniform(0.1, 2, 9).astype("float32")}
    record("sample_weight", regression(), data,
           lambda: dict(optimizer=keras.optimizers.RMSprop(0.01), loss="mse", metrics=["mae"], weighted_metrics=["mae"]),
           lambda m, d: m.fit(d["x"], d["y"], sample_weight=d["w"], validation_data=(d["vx"], d["vy"], d["vw"]), batch_size=6, epochs=4, initial_epoch=1,
                              validation_freq=2, validation_batch_size=4, shuffle=False, verbose=2),
           lambda m, d: m.evaluate(d["vx"], d["vy"], sample_weight=d["vw"], verbose=0))

    data = {"title": normal(18, 4), "body": normal(18, 3), "priority": rng.integers(0, 2, (18, 1)).astype("float32"),
            "department": np.eye(4, dtype="float32")[rng.integers(0, 4, 18)]}
    record("two_outputs", two_outputs(), data,
           lambda: dict(optimizer=keras.optimizers.RMSprop(0.01),
                        loss={"priority": keras.losses.BinaryCrossentropy(from_logits=True), "department": keras.losses.CategoricalCrossentropy(from_logits=True)},
                        loss_weights={"priority": 1.0, "department": 0.2}, metrics={"department": ["accuracy", "mse"], "priority": ["mae"]}),
           lambda m, d: m.fit({"title": d["title"], "body": d["body"]}, {"priority": d["priority"], "department": d["department"]}, epochs=3, batch_size=6,
                              shuffle=False, verbose=2, validation_split=0.3),
           lambda m, d: m.evaluate({"title": d["title"], "body": d["body"]}, {"priority": d["priority"], "department": d["department"]}, verbose=0),
           ("title", "body"))

    data = {"x": normal(11, 4), "y": normal(11, 1)}
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "log.csv"
        calls = [keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1, min_delta=0.3, cooldown=1, min_lr=0.01, verbose=1),
                 keras.callbacks.EarlyStopping(monitor="loss", patience=2, min_delta=0.02, restore_best_weights=True, verbose=1, start_from_epoch=1),
                 keras.callbacks.CSVLogger(log)]
        record("plateau", regression(), data,
               lambda: dict(optimizer=keras.optimizers.SGD(0.1), loss="mse"),
               lambda m, d: m.fit(d["x"], d["y"], steps_per_epoch=2, batch_size=3, epochs=12, shuffle=False, verbose=2, callbacks=calls))
        RECORDS["plateau"]["csv"] = log.read_bytes().decode()

    data = {"x": normal(12, 4), "y": normal(12, 1)}
    record("average", plain(), data,
           lambda: dict(optimizer=keras.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.8), loss="mae"),
           lambda m, d: m.fit(d["x"], d["y"], batch_size=4, epochs=2, shuffle=False, verbose=0,
                              callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5, verbose=1)]))

    data = {"x": normal(14, 6, 5, 2), "y": normal(14, 2)}
    record("spectral", spectral(), data,
           lambda: dict(optimizer=keras.optimizers.Adam(0.02), loss="mse"),
           lambda m, d: m.fit(d["x"], d["y"], batch_size=5, epochs=3, shuffle=False, verbose=2),
           lambda m, d: m.evaluate(d["x"], d["y"], verbose=0))

    (FOLDER / "fit.json").write_text(json.dumps(RECORDS, indent=1, ensure_ascii=True) + "\n")


main()
