"""Records what Keras' progress bar writes: goldens/progress.json.gz.

    python record_progress.py     with keras 3.15.1 and tensorflow-cpu 2.21.0

Each case is a bar (keras.utils.Progbar) or the logger of fit, evaluate and predict, what it was told and when, and the text that it wrote.
The clock is ours. A bar's call is [at, step, values, finalize]. A logger's is [at, "begin"], [at, "epoch", epoch], [at, "step", batch, values]
or [at, "end", values]; [at, "run", first, last, tick, scale] stands for the steps of batches first .. last-1, `tick` seconds apart, with the value
loss = scale / (batch + 1). Values are [name, value].
"""
import os
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
import contextlib
import io
import gzip
import json
import math
import pathlib
import types

import keras
import numpy as np
from keras.src.callbacks import callback_list, progbar_logger
from keras.src.utils import progbar

FILE = pathlib.Path(__file__).resolve().parent / "goldens" / "progress.json.gz"
START = 1000.0


class Clock:
    now = START

    def time(self):
        return self.now


clock = Clock()
progbar.time = types.SimpleNamespace(time=lambda: clock.time())


class StillBar(progbar.Progbar):
    """Where the output cannot go back: Keras has it on Windows, into a file."""

    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self._dynamic_display = False


def bar(name, calls, dynamic=True, **options):
    """One bar; without `stateful_metrics` and `stateless_metrics` it averages everything."""
    out = io.StringIO()
    clock.now = START
    with contextlib.redirect_stdout(out):
        one = (progbar.Progbar if dynamic else StillBar)(**options)
        for at, step, values, finalize in calls:
            clock.now = at
            one.update(step, values, finalize)
    return {"name": name, "bar": {**options, "dynamic": dynamic}, "calls": calls, "text": out.getvalue()}


def logger(name, calls, verbose, steps, epochs=1, dynamic=True, fit=True):
    out = io.StringIO()
    progbar_logger.Progbar = progbar.Progbar if dynamic else StillBar
    one = progbar_logger.ProgbarLogger()
    one.set_params({"verbose": verbose, "epochs": epochs, "steps": steps})
    if fit:
        one.on_train_begin()
    step, end = (one.on_train_batch_end, lambda logs: one.on_epoch_end(0, logs)) if fit else (one.on_test_batch_end, one.on_test_end)
    with contextlib.redirect_stdout(out):
        for at, kind, *rest in calls:
            clock.now = at
            if kind == "begin":
                one.on_test_begin()
            elif kind == "epoch":
                one.on_epoch_begin(rest[0])
            elif kind == "step":
                step(rest[0], dict(rest[1]))
            elif kind == "end":
                end(dict(rest[0]))
            else:
                first, last, tick, scale = rest
                for batch in range(first, last):
                    clock.now = at + (batch - first) * tick
                    step(batch, {"loss": scale / (batch + 1)})
    progbar_logger.Progbar = progbar.Progbar
    return {"name": name, "logger": {"verbose": verbose, "epochs": epochs, "steps": steps, "dynamic": dynamic}, "calls": calls, "text": out.getvalue()}


def real(name, verbose, action):
    """What a model's own fit, evaluate or predict prints: the logger that Keras makes is listened to."""
    calls, params = [], {}

    class Listening(progbar_logger.ProgbarLogger):
        def __getattribute__(self, method):
            found = super().__getattribute__(method)
            kinds = {"on_epoch_begin": "epoch", "on_train_batch_end": "step", "on_test_batch_end": "step", "on_predict_batch_end": "step",
                     "on_test_begin": "begin", "on_predict_begin": "begin", "on_epoch_end": "end", "on_test_end": "end", "on_predict_end": "end"}
            if method == "set_params":
                return lambda given: (params.update(given), found(given))
            if method not in kinds:
                return found

            def listened(*arguments, **keywords):
                kind, given = kinds[method], [*arguments, *keywords.values()]
                logs = [[key, float(value)] for key, value in (given[-1] or {}).items()] if method[3:10] != "predict" and given and isinstance(given[-1], dict) else []
                clock.now += 0.03125 if kind == "step" else 0.25
                if not (method[3:7] == "test" and self._called_in_fit):  # validation is silent
                    calls.append([clock.now, kind] + [given[0]] * (kind in ("epoch", "step")) + [logs] * (kind in ("step", "end")))
                return found(*arguments, **keywords)

            return listened

    callback_list.ProgbarLogger, was = Listening, progbar_logger.ProgbarLogger
    out = io.StringIO()
    clock.now = START
    with contextlib.redirect_stdout(out):
        action(verbose)
    callback_list.ProgbarLogger = was
    return {"name": name, "logger": {"verbose": verbose, "epochs": params["epochs"], "steps": params["steps"], "dynamic": True}, "calls": calls, "text": out.getvalue()}


def model_and_data():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="relu"), keras.layers.Dense(2)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    random = np.random.default_rng(1)
    return model, random.normal(size=(50, 3)).astype("float32"), random.integers(0, 2, 50)


def generator(x, y):
    for at in range(0, len(x), 8):
        yield x[at:at + 8], y[at:at + 8]


def fit(**keywords):
    model, x, y = model_and_data()
    return lambda verbose: model.fit(x, y, batch_size=8, verbose=verbose, **keywords)


def fit_generator(verbose):
    model, x, y = model_and_data()
    model.fit(generator(x, y), verbose=verbose)


def evaluate(verbose):
    model, x, y = model_and_data()
    model.evaluate(x, y, batch_size=8, verbose=verbose)


def predict(verbose):
    model, x, _ = model_and_data()
    model.predict(x, batch_size=8, verbose=verbose)


def value_calls(values):
    return [[START + 1 + i, i + 1, [["v", value]], None] for i, value in enumerate(values)]


def cases():
    stateful = {"stateless_metrics": []}
    # Numbers: both ways of writing them, and the borders between.
    numbers = [0.0, -0.0, 1e-3, 0.0010000001, -1e-3, -0.002, 1e-7, -1e-7, 5e-324, 0.00005, 0.12345, 0.99995, 1.00005, 2.5, 12345.678, 1e10, 1e300, -1e22,
               math.nan, math.inf, -math.inf, 0.1 + 0.2]
    for verbose in (0, 1, 2):
        yield bar(f"numbers, verbose {verbose}", value_calls(numbers), target=len(numbers), verbose=verbose, **stateful)
    for value in numbers:
        yield bar(f"last value {value}", [[START + 1, 2, [["v", value]], None]], target=2, verbose=2, **stateful)
    # Times of a step and of the whole.
    for seconds in (0.0, 4.4e-7, 5e-7, 8.63e-4, 9.996e-4, 1e-3, 1.5e-3, 2.5e-3, 0.9994, 0.9996, 0.5, 1.0, 1.5, 2.5, 59.0, 60.0, 61.0, 3599.0, 3600.0, 3601.0, 1e6):
        yield bar(f"{seconds} seconds a step", [[START + 1, 1, [], None], [START + 1 + seconds, 2, [], None], [START + 1 + 2 * seconds, 3, [], None]],
                  target=3, verbose=1, interval=0.0, **stateful)
        yield bar(f"first step after {seconds} seconds", [[START + seconds, 1, [], None], [START + seconds, 1, [], True]], target=4, interval=0.0, **stateful)
        yield bar(f"{seconds} seconds in all, verbose 2", [[START + seconds, 7, [["loss", 1.0]], None]], target=7, verbose=2, **stateful)
    # Targets, widths and digits; more steps than the target; none.
    for target in (None, 0, 1, 2, 9, 10, 99, 100, 1000, 1875, 100000):
        steps = [step for step in (0, 1, 2, 5, 10, 500, 1000, 1875, 2000, 99999) if target is None or step <= target + 1]
        yield bar(f"target {target}", [[START + i + 0.5, step, [["loss", step / 3]], None] for i, step in enumerate(steps)], target=target, **stateful)
        yield bar(f"target {target}, not dynamic", [[START + i + 0.5, step, [["loss", step / 3]], None] for i, step in enumerate(steps)], dynamic=False,
                  target=target, **stateful)
    for width in (1, 7, 30):
        yield bar(f"width {width}", [[START + i + 0.5, step, [["loss", 0.5]], None] for i, step in enumerate((1, 3, 4, 7))], target=7, width=width,
                  unit_name="sample")
    yield bar("shorter lines and other names", [[START + 1, 1, [["größe", 1234567.0], ["b", 1e-9]], None], [START + 2, 2, [["größe", 1.0]], None],
                                                [START + 4000, 3, [["b", 2.0], ["c", 3.0]], None], [START + 4001, 4, [], None]], target=40, **stateful)
    yield bar("too soon", [[START + 0.0625 * i / 4, i + 1, [["loss", 1.0 + i]], None] for i in range(20)], target=20, **stateful)
    yield bar("time goes back", [[START + 5, 1, [], None], [START + 4, 2, [], None], [START - 9, 3, [], None], [START - 8, 4, [], None]], target=4)
    yield bar("averages", [[START + i, step, [["a", 1.0 / step], ["b", step * 1.0]], None] for i, step in enumerate((1, 2, 5, 5, 9, 10))], target=10)
    yield bar("averages but for one", [[START + i, step, [["a", 1.0 / step], ["b", step * 1.0]], None] for i, step in enumerate((1, 2, 5, 9, 10))],
              target=10, stateful_metrics=["b"])
    yield bar("an average of one", [[START + i, step, [["a", 1.0 / step], ["b", step * 1.0]], None] for i, step in enumerate((1, 2, 5, 9, 10))],
              target=10, stateless_metrics=["b"])
    yield bar("averages of an unknown number", [[START + i, step, [["a", 1.0 / step]], step == 7] for i, step in enumerate((1, 2, 5, 6, 7))], target=None)
    # The loops: 938 steps of MNIST, epochs, validation.
    ends = [["accuracy", 0.875], ["loss", 0.3125], ["val_accuracy", 0.9], ["val_loss", 0.00042]]
    for verbose in (0, 1, 2):
        epochs = []
        for epoch in range(2):
            at = START + 8 * epoch
            epochs += [[at, "epoch", epoch], [at + 0.75, "run", 0, 938, 2**-9, 2.5], [at + 4, "end", ends]]
        yield logger(f"two epochs of 938 steps, verbose {verbose}", epochs, verbose, 938, 2)
        yield logger(f"one step, verbose {verbose}", [[START, "epoch", 0], [START + 0.5, "step", 0, [["loss", 1.0]]], [START + 0.75, "end", ends]], verbose, 1)
        unknown = []
        for epoch in range(3):
            at = START + 10 * epoch
            unknown += [[at, "epoch", epoch], [at + 0.5, "run", 0, 12, 0.125, 1.0], [at + 3, "end", ends[1:2]]]
        yield logger(f"unknown steps, verbose {verbose}", unknown, verbose, None, 3)
        yield logger(f"evaluate, verbose {verbose}", [[START, "begin"], [START + 0.5, "run", 0, 12, 0.0009765625, 1.0], [START + 3, "end", ends[:2]]],
                     verbose, 12, fit=False)
        if verbose:  # at 0, fit makes no logger
            yield real(f"fit, verbose {verbose}", verbose, fit(epochs=3, validation_split=0.2))
    yield logger("two epochs of 938 steps, not dynamic", [[START, "epoch", 0], [START + 0.75, "run", 0, 938, 2**-9, 2.5], [START + 4, "end", ends]], 1, 938, 2,
                 dynamic=False)
    yield logger("hours", [[START, "epoch", 4], [START + 7, "run", 0, 30, 500.0, 40.0], [START + 15000, "end", ends]], 1, 30, 5)
    yield logger("no steps at all", [[START, "epoch", 0], [START + 1, "end", []]], 1, None, 1)
    yield real("fit of one epoch", 1, fit())
    yield real("fit from the second epoch", 1, fit(epochs=3, initial_epoch=1))
    yield real("fit, auto", "auto", fit())
    yield real("fit of a generator", 1, fit_generator)
    yield real("evaluate", 1, evaluate)
    yield real("evaluate, verbose 2", 2, evaluate)
    yield real("predict", 1, predict)
    yield real("predict, verbose 2", 2, predict)


def main():
    lines = [json.dumps(case, ensure_ascii=False) for case in cases()]
    FILE.write_bytes(gzip.compress(("[\n" + ",\n".join(lines) + "\n]\n").encode(), 9, mtime=0))
    print(f"{len(lines)} cases, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
