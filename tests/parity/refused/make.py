"""Writes the files of this folder: models that are broken, hostile or not supported, and expected.json: file -> what the message must contain.

    python make.py        with keras 3.15.1 and h5py, any backend

Each must be refused with one clear message: no crash, no output, nothing run that the file contains.
"""
import os
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
import io
import json
import pathlib
import shutil
import tempfile
import types
import zipfile

import h5py
import keras
from keras import layers

FOLDER = pathlib.Path(__file__).resolve().parent
EXPECTED = {}


def members(model):
    """The members of the archive that Keras writes."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder + "/model.keras")
        with zipfile.ZipFile(folder + "/model.keras") as z:
            return {n: z.read(n) for n in z.namelist()}


def archive(parts):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in parts.items():
            z.writestr(name, data)
    return out.getvalue()


def write(name, data, *words):
    """data: bytes, or the members of an archive"""
    (FOLDER / name).write_bytes(archive(data) if isinstance(data, dict) else data)
    EXPECTED[name] = list(words)


keras.utils.set_random_seed(1)
x = keras.Input((4,), name="x")
small = keras.Model(x, layers.Dense(2, name="last")(layers.Dense(3, activation="relu", name="hidden")(x)), name="small")
good = members(small)


def config(change):
    """`good` with another config.json; change(input, hidden, last) edits the entries of the three layers."""
    root = json.loads(good["config.json"])
    change(*root["config"]["layers"])
    return good | {"config.json": json.dumps(root)}


def weights(change):
    """`good` with other weights; change(vars) edits the group that holds kernel and bias of `hidden` as "0" and "1"."""
    store = io.BytesIO(good["model.weights.h5"])
    with h5py.File(store, "a") as f:
        change(f["layers/dense/vars"])
    return good | {"model.weights.h5": store.getvalue()}


def come_from(layer, name):
    layer["inbound_nodes"][0]["args"][0]["config"]["keras_history"][0] = name


def without(parts, name):
    return {n: d for n, d in parts.items() if n != name}


# ---- layers that are not supported: one message that names all of them
ids = keras.Input((5,), dtype="int32", name="ids")
write("lstm_and_embedding.keras", members(keras.Model(ids, layers.Dense(2, name="last")(layers.LSTM(3, name="memory")(layers.Embedding(7, 2, name="words")(ids))))), "LSTM", "memory", "Embedding", "words")

# the bytecode of a Lambda carries the path of its source: not ours
twice = lambda x: x * 2.0
twice = types.FunctionType(twice.__code__.replace(co_filename="model.py"), {}, "<lambda>")
write("lambda.keras", members(keras.Model(x, layers.Lambda(twice, output_shape=(4,), name="scale")(x))), "Lambda", "scale")

# `threshold` needs two arguments, which the file has no place for. Keras saves and loads the model, but cannot run it.
write("threshold.keras", members(keras.Model(x, layers.Activation("threshold", name="knee")(x))), "threshold", "knee")

# ---- archives
whole = archive(good)
write("empty.keras", b"", "empty.keras")
write("not_a_zip.keras", b"PKG, but not the archive that you are looking for\n" * 3, "not_a_zip.keras")
write("cut_zip.keras", whole[:len(whole) // 2], "cut_zip.keras")
write("no_config.keras", without(good, "config.json"), "config.json")
write("no_weights.keras", without(good, "model.weights.h5"), "model.weights.h5")
write("cut_weights.keras", good | {"model.weights.h5": good["model.weights.h5"][:2000]}, "model.weights.h5")

# ---- config.json
write("bad_json.keras", good | {"config.json": good["config.json"][:200]}, "config.json")
write("deep_json.keras", good | {"config.json": b"[" * 20000}, "config.json")
write("unknown_class.keras", config(lambda i, hidden, last: hidden.update(class_name="Densest")), "Densest", "hidden")
write("twin_names.keras", config(lambda i, hidden, last: (last.update(name="hidden"), last["config"].update(name="hidden"))), "hidden")
write("missing_layer.keras", config(lambda i, hidden, last: come_from(last, "ghost")), "ghost", "last")
write("own_input.keras", config(lambda i, hidden, last: come_from(hidden, "hidden")), "hidden")
write("negative_units.keras", config(lambda i, hidden, last: hidden["config"].update(units=-3)), "hidden", "units", "-3")

# ---- weights
write("wrong_kernel_shape.keras", weights(lambda v: (v.move("0", "old"), v.create_dataset("0", data=v["old"][()].T), v.pop("old"))), "hidden", "kernel")
write("missing_kernel.keras", weights(lambda v: v.pop("0")), "hidden", "kernel")
write("huge_kernel.keras", weights(lambda v: (v.pop("0"), v.create_dataset("0", (131072, 131072), "float32", chunks=(64, 64)))), "hidden", "kernel")
with tempfile.TemporaryDirectory() as folder:
    small.save_weights(folder + "/small.weights.h5")
    shutil.copyfile(folder + "/small.weights.h5", FOLDER / "weights_only.h5")
EXPECTED["weights_only.h5"] = ["model_config"]

(FOLDER / "expected.json").write_text("{\n" + ",\n".join(f"  {json.dumps(n)}: {json.dumps(w)}" for n, w in EXPECTED.items()) + "\n}\n")
print(len(EXPECTED), "files,", sum((FOLDER / n).stat().st_size for n in EXPECTED), "bytes")
