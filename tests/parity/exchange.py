"""Real Keras and Tusk exchange files: what either saves the other reads, to the last bit.

    python3 tests/parity/exchange.py build/release/tests/parity_tests [FOLDER]

Keras saves models; parity_tests --gtest_filter=Save.Exchange reads them and saves them anew; Keras reads those and
compares. Those in TRAININGS are saved in the middle of their training: Tusk goes on from Keras' file and saves, Keras
goes on from Tusk's. FOLDER keeps the files. Without Keras it says so and ends with 77, which ctest takes for a skipped
test.
"""
import json
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
    y = y + layers.Conv2D(4, 1, name="short\u2013cut")(x)
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
    y = layers.LayerNormalization()(layers.add([layers.TimeDistributed(layers.Dense(6))(y), x]))
    y = layers.GroupQueryAttention(4, 2, 1)(y, y)
    y = layers.SpectralNormalization(layers.Conv1D(2, 2))(layers.Normalization()(y))
    return keras.Model(x, y, name="attention")


def perceptron():
    x = keras.Input((6,))
    y = layers.Dense(3)(layers.BatchNormalization()(layers.Dense(16, activation="relu")(x)))
    model = keras.Model(x, y, name="perceptron")
    model.compile(optimizer=keras.optimizers.Adam(0.01, clipnorm=1.0, amsgrad=True), metrics=["accuracy"],
                  loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def pictures():
    model = keras.Sequential([keras.Input((8, 8, 2)), layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2"),
                              layers.MaxPooling2D(), layers.Flatten(), layers.Dense(3, activation="softmax")],
                             name="pictures")
    model.compile(optimizer=keras.optimizers.RMSprop(0.002, momentum=0.5, centered=True, use_ema=True),
                  loss="sparse_categorical_crossentropy", metrics=[keras.metrics.SparseCategoricalAccuracy(name="hits")])
    return model


def scheduled():
    x = keras.Input((6,))
    model = keras.Model(x, layers.Dense(3, activation="softmax", name="only")(x), name="scheduled")
    rate = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=3, decay_rate=0.7)
    model.compile(optimizer=keras.optimizers.SGD(rate, momentum=0.9), loss={"only": "sparse_categorical_crossentropy"},
                  loss_weights={"only": 2.0}, weighted_metrics={"only": ["accuracy"]})
    return model


def several():
    x = keras.Input((6,))
    y = layers.Dense(3, name="a")(layers.Dense(8, activation="tanh", name="z")(x))
    model = keras.Model(x, y, name="several")
    # Not in the order of the alphabet.
    rates = keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.05, momentum=0.9),
                                          {"z/.*": keras.optimizers.Adam(0.01), "a/bias": keras.optimizers.Adam()})
    model.compile(optimizer=keras.optimizers.MultiOptimizer(rates, loss_scale_factor=4.0),
                  loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def mixed():
    """Its policy has its loss scaled; what its layers compute in is float32, so that all bits can be compared."""
    keras.config.set_dtype_policy("mixed_float16")
    x = keras.Input((6,))
    y = layers.Dense(3, dtype="float32")(layers.Dense(8, activation="tanh", dtype="float32")(x))
    model = keras.Model(x, y, name="mixed")
    model.compile(optimizer=keras.optimizers.Adam(0.01),
                  loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    keras.config.set_dtype_policy("float32")
    return model


MODELS = (convolutional, nested, attention)
TRAININGS = (perceptron, pictures, scheduled, several, mixed)
STEPS = 10
TOLERANCE = 1e-5


def main():
    program = sys.argv[1]
    folder = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp())
    for name in ("keras", "tusk"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    models = [make() for make in MODELS]
    random = np.random.default_rng(7)
    for model in models:
        for weight in model.weights:
            weight.assign(random.uniform(0.1, 1, weight.shape) if weight.dtype != "int64" else 5)
        model.save(folder / "keras" / f"{model.name}.keras")
        save_h5(model, folder)
    trainings = [make() for make in TRAININGS]
    for model in trainings:
        batches = [random.uniform(-1, 1, (3 * STEPS, 16, *model.inputs[0].shape[1:])).astype("float32"),
                   random.integers(0, 3, (3 * STEPS, 16)).astype("int32")]
        losses_of(model, batches, 0)
        model.save(folder / "keras" / f"{model.name}.keras")
        save_h5(model, folder)
        np.savez(folder / "keras" / f"{model.name}.npz", x=batches[0], y=batches[1])
    run(program, folder)
    check_configs(json.loads((folder / "tusk" / "configs.json").read_text()))
    for name in [model.name for model in trainings]:
        check_training(folder, name)
    for model in models + trainings:
        if (folder / "keras" / f"{model.name}.h5").exists():
            check_h5(folder, model.name)
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


def check_configs(configs):
    for config in configs:
        theirs = keras.saving.serialize_keras_object(keras.saving.deserialize_keras_object(config))
        assert theirs["class_name"] == config["class_name"], theirs
        for key, value in config["config"].items():
            assert theirs["config"].get(key, value) == value, (config["class_name"], key, value, theirs["config"][key])
    print(f"{len(configs)} losses, metrics and optimizers are what Keras makes of their configurations")


def save_h5(model, folder):
    """Of a model that is loaded, whose paths are those of a file; saving one changes how it was compiled. Keras cannot
    read those in which operations are."""
    if all(isinstance(operation, layers.Layer) for operation in getattr(model, "operations", [])):
        loaded(folder / "keras" / f"{model.name}.keras").save(folder / "keras" / f"{model.name}.h5")


def loaded(path):
    """A file of the model whose policy is mixed_float16 does not say so."""
    keras.config.set_dtype_policy("mixed_float16" if path.name.startswith("mixed") else "float32")
    model = keras.models.load_model(path)
    keras.config.set_dtype_policy("float32")
    return model


def members(path):
    """All of a file: arrays, and attributes without what Tusk leaves out."""
    out = {}
    with h5py.File(path) as file:
        def add(name, item):
            if isinstance(item, h5py.Dataset):
                out[name] = item[()]
            for key, value in item.attrs.items():
                out[f"{name}@{key}"] = json.loads(value) if key.endswith("_config") else np.asarray(value).tolist()
        add("", file)
        file.visititems(add)
    out.get("@training_config", {}).pop("jit_compile", None)
    return out


def same_members(ours, theirs, at):
    if at.endswith("_layers") and isinstance(theirs, dict) and isinstance(ours, list):
        theirs = list(theirs.values())  # by the names that the layers have anyway
    assert type(ours) is type(theirs), (at, ours, theirs)
    if isinstance(theirs, dict):
        if "training_config" not in at:  # arguments of losses that Keras does not write, but takes
            assert set(ours) <= set(theirs), (at, set(ours) ^ set(theirs))
        for key, value in theirs.items():
            if key in ours:
                same_members(ours[key], value, f"{at}/{key}")
            else:  # what was not given
                assert value is None or value is False or (key, value) == ("dtype", "float32"), (at, key, value)
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), (at, ours, theirs)
        for i, (a, b) in enumerate(zip(ours, theirs)):
            same_members(a, b, f"{at}/{i}")
    elif isinstance(theirs, np.ndarray):
        assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs), at
    else:
        assert ours == theirs, (at, ours, theirs)


def check_h5(folder, name):
    theirs = members(folder / "keras" / f"{name}.h5")
    ours = members(folder / "tusk" / f"{name}.h5")
    # Of a file, Keras builds wrapped layers before their wrapper, whose name their paths then lack.
    if name != "attention":
        assert set(ours) == set(theirs), set(ours) ^ set(theirs)
    for key in set(ours) & set(theirs):
        if name != "attention" or not key.endswith("weight_names"):
            same_members(ours[key], theirs[key], f"{name}: {key}")
    same_weights(loaded(folder / "tusk" / f"{name}.h5"), loaded(folder / "keras" / f"{name}.keras"))
    print(f"{name}.h5: {len(ours)} arrays and attributes are those that Keras writes")


def losses_of(model, batches, third):
    steps = range(third * STEPS, (third + 1) * STEPS)
    return [model.fit(batches[0][i], batches[1][i], batch_size=16, shuffle=False, verbose=0).history["loss"][0]
            for i in steps]


def check_training(folder, name):
    with np.load(folder / "keras" / f"{name}.npz") as file:
        batches = [file["x"], file["y"]]
    with np.load(folder / "tusk" / f"{name}.npz") as file:
        ours = dict(file)
    theirs = loaded(folder / "keras" / f"{name}.keras")
    saved = loaded(folder / "tusk" / f"{name}.keras")
    same_weights(saved, theirs)
    same_values("optimizer", saved.optimizer.variables, [v.numpy() for v in theirs.optimizer.variables])
    assert saved.get_compile_config() == theirs.get_compile_config(), (saved.get_compile_config(), theirs.get_compile_config())
    wanted = losses_of(theirs, batches, 1)
    worst = apart(wanted, losses_of(saved, batches, 1))
    worst = max(worst, apart(wanted, ours["losses/1"]))
    trained = loaded(folder / "tusk" / f"{name}_trained.keras")
    weights = [ours[f"weights/{i}"] for i in range(len(trained.weights))]
    same_values("weights", trained.weights, weights)
    states = [ours[f"optimizer/{i}"] for i in range(len(trained.optimizer.variables))]
    same_values("optimizer", trained.optimizer.variables, states)
    # Keras builds the optimizer of a .h5 for no weights, so it cannot go on from one: its state is compared as it is.
    older = folder / "tusk" / f"{name}_trained.h5"
    same_values("weights", loaded(older).weights, weights)
    with h5py.File(older) as file:
        group = file["optimizer_weights"]
        for path, state in zip(group.attrs["weight_names"], states, strict=True):
            same_members(group[path][()], state[()], path)
    worst = max(worst, apart(losses_of(trained, batches, 2), ours["losses/2"]))
    assert worst <= TOLERANCE, (name, worst)
    print(f"{name}: {len(weights)} weights and {len(states)} variables of the optimizer are the same; {4 * STEPS} losses "
          f"of the steps behind, from the file of either in the other, are {worst:.1e} apart at most")


def same_values(what, variables, arrays):
    assert len(variables) == len(arrays), (what, len(variables), len(arrays))
    for variable, array in zip(variables, arrays):
        assert variable.dtype == array.dtype.name and np.array_equal(variable.numpy(), array), (what, variable.path)


def apart(a, b):
    return max(abs(x - y) / abs(x) for x, y in zip(a, b, strict=True))


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
