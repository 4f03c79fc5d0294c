"""Records what Keras' random layers on images make of an image by numbers that are given to them: goldens/random_images.npz and random_images.json.

    python record_random_images.py          with keras 3.15.1 and tensorflow-cpu 2.21.0

The ranges of most layers are a single number, so nothing is left to be drawn. Where something is (which way a hue turns, where a crop
lies), each of the results that may come is recorded: `NAME/y/<k>`. `whole` says that all samples of a batch get the same of them.
"""
import os
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
import itertools
import json
import pathlib
import zlib

import keras
import numpy as np
from keras import layers as L

FOLDER = pathlib.Path(__file__).resolve().parent / "goldens"
RECORDS, ARRAYS = [], {}
BATCH = 3


def images(name, shape, top, dtype):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return (rng.uniform(0, top, (BATCH, *shape))).astype(dtype)


def record(name, layer, candidates, shape=(5, 6, 3), top=255, dtype="float32", whole=False):
    """candidates: what transform_images is told, or functions of the images."""
    x = images(name, shape, top, dtype)
    found = []
    for each in candidates:
        given = keras.ops.convert_to_tensor(x)
        y = np.asarray(each(given) if callable(each) else layer.transform_images(given, each, training=True))
        if not any(np.array_equal(y, other) for other in found): found.append(y)
    ARRAYS.update({f"{name}/x": x} | {f"{name}/y/{k}": y for k, y in enumerate(found)})
    RECORDS.append({"name": name, "layer": keras.saving.serialize_keras_object(layer), "results": len(found), "whole": whole})


def numbers(*values):
    """For every sample the same ones."""
    return np.tile(np.array(values, "float32"), (BATCH, 1)) if len(values) > 1 else np.full((BATCH,), values[0], "float32")


def drawn(name, layer, **how):
    """All numbers are what the ranges say: Keras may draw them."""
    record(name, layer, [lambda x: layer(x, training=True)], **how)


def both(make, **how):
    """The samples for which a truth is drawn, and the others."""
    return [make(np.full((BATCH, *how.get("ones", ())), value)) for value in (False, True)]


for mode in ("horizontal", "vertical", "horizontal_and_vertical"):
    record(f"flip_{mode}", L.RandomFlip(mode), both(lambda t: {"flips": t}, ones=(1, 1, 1)))
record("flip_channels_first", L.RandomFlip("horizontal", data_format="channels_first"), both(lambda t: {"flips": t}, ones=(1, 1, 1)), shape=(3, 5, 6))

for mode, how in itertools.product(("reflect", "wrap", "constant", "nearest"), ("bilinear", "nearest")):
    drawn(f"rotation_{mode}_{how}", L.RandomRotation((0.13, 0.13), fill_mode=mode, interpolation=how, fill_value=9.0), top=1)
    drawn(f"zoom_{mode}_{how}", L.RandomZoom((0.73, 0.73), (-0.41, -0.41), fill_mode=mode, interpolation=how, fill_value=9.0), top=1)
    drawn(f"translation_{mode}_{how}", L.RandomTranslation((0.87, 0.87), (-0.64, -0.64), fill_mode=mode, interpolation=how, fill_value=9.0), top=1)
    shears = [lambda x, l=L.RandomShear(fill_mode=mode, interpolation=how, fill_value=9.0), s=sign: l.transform_images(x, {"shear_factor": s * numbers(0.31, 0.83)})
              for sign in (np.float32(1), np.float32(-1))]
    record(f"shear_{mode}_{how}", L.RandomShear((0.31, 0.31), (0.83, 0.83), fill_mode=mode, interpolation=how, fill_value=9.0), shears, top=1)
drawn("rotation_far", L.RandomRotation((-0.4, -0.4)), shape=(9, 4, 2), top=1)
drawn("rotation_channels_first", L.RandomRotation((0.2, 0.2), data_format="channels_first"), shape=(2, 5, 6), top=1)
drawn("rotation_of_integers", L.RandomRotation((0.2, 0.2)), dtype="uint8")
drawn("rotation_of_a_row", L.RandomRotation((0.1, 0.1), fill_mode="wrap"), shape=(1, 7, 1), top=1)
drawn("rotation_of_halves", L.RandomRotation((0.13, 0.13), dtype="float16"), top=1)
drawn("zoom_one_factor", L.RandomZoom((0.35, 0.35)), top=1)
drawn("zoom_channels_first", L.RandomZoom((-0.3, -0.3), (0.2, 0.2), data_format="channels_first"), shape=(2, 7, 4), top=1)
drawn("translation_channels_first", L.RandomTranslation((0.3, 0.3), (0.2, 0.2), data_format="channels_first"), shape=(2, 7, 4), top=1)

drawn("contrast", L.RandomContrast((-0.3, 0.3)))
drawn("contrast_channels_first", L.RandomContrast((-0.6, 0.6), value_range=(0.2, 0.9), data_format="channels_first"), shape=(3, 5, 6), top=1)
drawn("brightness", L.RandomBrightness((0.2, 0.2)))
drawn("brightness_units", L.RandomBrightness((-0.37, -0.37), value_range=(0, 1)), top=1)
drawn("brightness_of_integers", L.RandomBrightness((0.3, 0.3)), dtype="int32")
drawn("brightness_of_bytes", L.RandomBrightness((-0.3, -0.3)), dtype="uint8")
drawn("saturation", L.RandomSaturation((0.7, 0.7)))
drawn("saturation_less", L.RandomSaturation((0.2, 0.2), value_range=(0, 1)), top=1)
drawn("saturation_channels_first", L.RandomSaturation((0.6, 0.6), value_range=(0, 1), data_format="channels_first"), shape=(3, 5, 6), top=1)
for name, layer, how in (("hue", L.RandomHue((0.3, 0.3)), {}), ("hue_units", L.RandomHue((0.9, 0.9), value_range=(0, 1)), {"top": 1}),
                         ("hue_channels_first", L.RandomHue((0.5, 0.5), data_format="channels_first"), {"shape": (3, 5, 6)}), ("hue_of_integers", L.RandomHue((0.4, 0.4)), {"dtype": "uint8"})):
    record(name, layer, [{"factor": numbers(np.float32(sign * layer.factor[0]) * np.float32(0.5))} for sign in (1, -1)], **how)
drawn("posterization", L.RandomPosterization((3, 3)))
drawn("posterization_units", L.RandomPosterization((2, 2), value_range=(0, 1)), top=1)
record("posterization_range", L.RandomPosterization((2, 5)), [{"shift_factor": np.full((BATCH,), 8 - bits, "uint8")} for bits in (2, 3, 4)])
drawn("sharpness", L.RandomSharpness((0.8, 0.8)))
drawn("sharpness_less", L.RandomSharpness((0.1, 0.1)), shape=(4, 7, 2))
drawn("sharpness_channels_first", L.RandomSharpness((0.9, 0.9), data_format="channels_first"), shape=(3, 5, 6))
drawn("invert", L.RandomInvert((1, 1)))
record("invert_some", L.RandomInvert((0.5, 0.5), value_range=(0, 1)), both(lambda t: {"apply_inversion": t}), top=1)
drawn("degeneration", L.RandomColorDegeneration((0.4, 0.4)))
drawn("degeneration_of_integers", L.RandomColorDegeneration((-0.4, -0.4)), dtype="uint8")
record("grayscale", L.RandomGrayscale(), both(lambda t: t, ones=(1, 1, 1)))
record("grayscale_of_integers", L.RandomGrayscale(0.3), both(lambda t: t, ones=(1, 1, 1)), dtype="uint8")
record("grayscale_channels_first", L.RandomGrayscale(data_format="channels_first"), both(lambda t: t, ones=(1, 1, 1)), shape=(3, 5, 6))
drawn("solarization", L.Solarization(value_range=(0, 1)), top=1)
drawn("blur", L.RandomGaussianBlur((1, 1), sigma=(0.7, 0.7)))
drawn("blur_oblong", L.RandomGaussianBlur((1, 1), kernel_size=(5, 3), sigma=(0.9, 0.9), value_range=(20, 180)), shape=(6, 9, 2))
drawn("blur_channels_first", L.RandomGaussianBlur((1, 1), sigma=(0.5, 0.5), data_format="channels_first"), shape=(3, 5, 6))


def jittered(sign):
    def run(x):
        x = L.RandomBrightness((0.1, 0.1))(x, training=True)
        x = L.RandomContrast((-0.2, 0.2))(x, training=True)
        x = L.RandomSaturation((0.6, 0.6))(x, training=True)
        return L.RandomHue((0.2, 0.2)).transform_images(x, {"factor": numbers(sign * np.float32(0.2) * np.float32(0.5))})
    return run


record("jitter", L.RandomColorJitter(brightness_factor=(0.1, 0.1), contrast_factor=(-0.2, 0.2), saturation_factor=(0.6, 0.6), hue_factor=(0.2, 0.2)),
       [jittered(np.float32(1)), jittered(np.float32(-1))])
drawn("jitter_some", L.RandomColorJitter(brightness_factor=(-0.1, -0.1), contrast_factor=(-0.5, 0.5), value_range=(0, 1)), top=1)


def erased(layer, x0, y0, width, height, format="channels_last"):
    def run(x):
        shape = keras.ops.shape(x)
        numbers_of = lambda *values: [keras.ops.full((BATCH,), v, "float32") for v in values]
        masks = layer._generate_batch_mask(shape, numbers_of(x0, x0 + width, y0, y0 + height))
        return layer.transform_images(x, {"apply_erasing": np.full((BATCH,), True), "batch_masks": masks, "fill_value": layer._get_fill_value(x, shape, None)})
    return run


for name, layer, shape in (("erasing", L.RandomErasing((1, 1), scale=(0.25, 0.25), fill_value=[10.0, 20.0, 300.0]), (5, 6, 3)),
                           ("erasing_channels_first", L.RandomErasing((1, 1), scale=(0.25, 0.25), fill_value=7.0, data_format="channels_first"), (3, 5, 6))):
    record(name, layer, [erased(layer, x0, y0, 3.0, 2.5) for x0 in np.arange(0, 3.1, 0.3) for y0 in np.arange(0, 2.6, 0.2)], shape=shape)

record("crop", L.RandomCrop(3, 4), [(row, column) for row in range(3) for column in range(3)], whole=True)
record("crop_channels_first", L.RandomCrop(4, 2, data_format="channels_first"), [(row, column) for row in range(2) for column in range(5)], shape=(3, 5, 6), whole=True)
record("crop_of_integers", L.RandomCrop(3, 4), [(row, column) for row in range(3) for column in range(3)], dtype="uint8", whole=True)
for name, size in (("crop_as_high", (5, 4)), ("crop_higher", (7, 4)), ("crop_larger", (8, 9)), ("crop_wider", (2, 9))):
    drawn(name, L.RandomCrop(*size), top=1)

np.savez_compressed(FOLDER / "random_images.npz", **ARRAYS)
(FOLDER / "random_images.json").write_text("[\n" + ",\n".join(" " + json.dumps(r) for r in RECORDS) + "\n]\n")
print(len(RECORDS), "layers,", len(ARRAYS), "arrays")
