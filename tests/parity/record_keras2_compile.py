"""Records models of Keras 2 that were compiled and trained, and how they go on: goldens/keras2_compile.zip, with NAME.h5 or .keras, NAME.npz, and compile.json.

    pip install tf-keras==2.21.0 tensorflow-cpu==2.21.0
    TF_ENABLE_ONEDNN_OPTS=0 python tests/parity/record_keras2_compile.py

The file is read again by tf-keras, which then calls fit: `data/` is what it is called with, `after/<i>` the weights. compile.json has its logs.
"""
import json
import os
import pathlib
import tempfile
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
import numpy as np
import tf_keras as keras
from tf_keras import layers as L

FOLDER = pathlib.Path(tempfile.mkdtemp())
RECORDS = {}
rng = np.random.default_rng(3)
normal = lambda *shape: rng.normal(size=shape).astype("float32")
O, OLD = keras.optimizers, keras.optimizers.legacy


def one(units=1, last=None):
    x = keras.Input((4,), name="x")
    return keras.Model(x, L.Dense(units, last, name="out")(L.Dense(3, "tanh", name="hidden")(x)))


def two():
    x = keras.Input((4,), name="x")
    h = L.Dense(3, "tanh", name="hidden")(x)
    return keras.Model(x, [L.Dense(1, name="price")(h), L.Dense(3, "softmax", name="kind")(h)])


def record(name, model, compiled, y, suffix="h5"):
    keras.utils.set_random_seed(1)
    data = {"x": normal(12, 4)} | y
    targets = data["y"] if "y" in data else {k: data[k] for k in y}
    model.compile(**compiled)
    model.fit(data["x"], targets, batch_size=4, epochs=2, shuffle=False, verbose=0)
    file = FOLDER / f"{name}.{suffix}"
    model.save(file)
    again = keras.models.load_model(file)
    history = again.fit(data["x"], targets, batch_size=4, epochs=2, shuffle=False, verbose=0).history
    arrays = {f"data/{k}": v for k, v in data.items()} | {f"after/{i}": w for i, w in enumerate(again.get_weights())}
    RECORDS[name] = {"file": file.name, "history": history, "iterations": int(again.optimizer.iterations.numpy())}
    np.savez_compressed(FOLDER / f"{name}.npz", **arrays)


number = lambda: {"y": normal(12, 1)}
kind = lambda: {"y": rng.integers(0, 3, (12, 1))}
both = lambda: {"price": normal(12, 1), "kind": np.eye(3, dtype="float32")[rng.integers(0, 3, 12)]}

record("adam_decay", one(3, "softmax"), dict(optimizer=OLD.Adam(0.02, decay=0.05), loss="sparse_categorical_crossentropy", metrics=["accuracy"]), kind())
record("adam_amsgrad_legacy", one(), dict(optimizer=OLD.Adam(0.02, amsgrad=True), loss="mse", metrics=["mae"]), number())
record("adam_amsgrad", one(), dict(optimizer=O.Adam(0.02, amsgrad=True, clipnorm=0.5), loss=keras.losses.Huber(0.7), metrics=["mae", keras.metrics.MeanSquaredError()]), number())
record("sgd_two_outputs", two(), dict(optimizer=OLD.SGD(0.05, momentum=0.9, nesterov=True, decay=0.1), loss={"price": "mae", "kind": keras.losses.CategoricalCrossentropy(label_smoothing=0.1)},
    loss_weights={"price": 0.5, "kind": 2.0}, metrics={"kind": ["accuracy"], "price": ["mse"]}), both())
record("sgd_of_a_list", two(), dict(optimizer=O.SGD(0.05, momentum=0.5), loss=["mse", "categorical_crossentropy"], loss_weights=[1.0, 0.3]), both())
record("rmsprop_momentum_legacy", one(), dict(optimizer=OLD.RMSprop(0.01, momentum=0.6), loss="log_cosh", weighted_metrics=["mse"]), number())
record("rmsprop_centered", one(), dict(optimizer=O.RMSprop(0.01, centered=True, momentum=0.3), loss="mse"), number())
record("adadelta_legacy", one(), dict(optimizer=OLD.Adadelta(0.5), loss="mse"), number())
record("adamax_legacy", one(), dict(optimizer=OLD.Adamax(0.02), loss="mse"), number())
record("adamw", one(), dict(optimizer=O.AdamW(0.02, weight_decay=0.01), loss="mse"), number())
record("adamax", one(), dict(optimizer=O.Adamax(0.02), loss="mse"), number())
record("adadelta", one(), dict(optimizer=O.Adadelta(0.5), loss="mse"), number())
record("ftrl", one(), dict(optimizer=O.Ftrl(0.05, l1_regularization_strength=0.01, l2_regularization_strength=0.02), loss="mse"), number())
record("lion", one(), dict(optimizer=O.Lion(0.01), loss="mse"), number())
record("adagrad", one(), dict(optimizer=O.Adagrad(0.05), loss="kullback_leibler_divergence"), {"y": rng.uniform(0.1, 0.9, (12, 1)).astype("float32")})
record("schedule", one(), dict(optimizer=O.SGD(O.schedules.ExponentialDecay(0.1, 5, 0.8)), loss="mse"), number())
record("average", one(), dict(optimizer=O.Adam(0.02, use_ema=True, ema_momentum=0.8), loss="mse"), number())
record("adam_keras", one(1, "sigmoid"), dict(optimizer=O.Adam(0.02), loss="binary_crossentropy", metrics=["accuracy", keras.metrics.AUC(name="area")]),
       {"y": rng.integers(0, 2, (12, 1)).astype("float32")}, "keras")

for name, optimizer in (("refused_rmsprop", OLD.RMSprop(0.01)), ("refused_nadam", OLD.Nadam(0.01)), ("refused_new_nadam", O.Nadam(0.01))):
    model = one()
    model.compile(optimizer=optimizer, loss="mse")
    model.save(FOLDER / f"{name}.h5")
(FOLDER / "compile.json").write_text(json.dumps(RECORDS, indent=1, default=float) + "\n")
with zipfile.ZipFile(pathlib.Path(__file__).parent / "goldens" / "keras2_compile.zip", "w") as archive:
    for path in sorted(FOLDER.iterdir()):
        archive.writestr(zipfile.ZipInfo(path.name), path.read_bytes(), zipfile.ZIP_DEFLATED, 9)
