"""Training steps for the contenders: export_training.py OUT CELL...

writes for each OUT/training/CELL.keras, compiled, with its start weights; .json with shapes, FLOPs and the losses of
Keras' own steps; and the batch as raw numbers, CELL.x0 (float32) and CELL.y0 (float32, or int32 labels).
"""

import json
import pathlib
import sys

import models  # first: it sets the backend and the number of threads
import keras
import numpy as np

import cells

LOSSES = {
    "mse": lambda: keras.losses.MeanSquaredError(),
    "sparse": lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    "onehot": lambda: keras.losses.CategoricalCrossentropy(from_logits=True),
}
OPTIMIZERS = {"sgd": keras.optimizers.SGD, "rmsprop": keras.optimizers.RMSprop}


def batch_of(what, model):
    random = np.random.default_rng(4)
    x = random.standard_normal((what.batch, *model.inputs[0].shape[1:]), dtype=np.float32)
    if what.loss == "sparse":
        return x, random.integers(0, 10, what.batch, dtype=np.int32)
    if what.loss == "onehot":
        return x, np.eye(10, dtype=np.float32)[random.integers(0, 10, what.batch)]
    if model.inputs[0].shape[1:] == model.outputs[0].shape[1:]:
        return x, x
    return x, random.standard_normal((what.batch, *model.outputs[0].shape[1:]), dtype=np.float32)


def flops_of_step(model):
    """Of a sample: forward, weights' gradients, inputs' gradients but for the layers that read the data."""
    reads_data = [l for l in model.layers if l.weights and any(l.input is t for t in model.inputs)]
    return 3 * models.flops(model) - 2 * sum(models.macs(layer) for layer in reads_data)


def export(cell, folder):
    what = cells.TRAINING[cell]
    model = models.build(what.model)
    model.compile(OPTIMIZERS[what.optimizer](1e-3), LOSSES[what.loss]())
    base = folder / cell
    model.save(f"{base}.keras")
    x, y = batch_of(what, model)
    x.tofile(f"{base}.x0")
    y.tofile(f"{base}.y0")
    losses = [float(model.train_on_batch(x, y)) for _ in range(cells.CHECKED_STEPS)]
    facts = {"flops": flops_of_step(model) * what.batch, "x": list(x.shape), "y": list(y.shape), "losses": losses}
    pathlib.Path(f"{base}.json").write_text(json.dumps(facts))


def main():
    folder = pathlib.Path(sys.argv[1]) / "training"
    for cell in sys.argv[2:]:
        export(cell, folder)
        print(f"exported {cell}", flush=True)


if __name__ == "__main__":
    main()
