"""The peers of training steps: Keras on TensorFlow and on JAX, and steps compiled by those; one thread.

    training_peers.py OUT PEER       serves the cells (turns.py)
"""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

OUT, PEER = pathlib.Path(sys.argv[1]), sys.argv[2]
os.environ["KERAS_BACKEND"] = "jax" if PEER.startswith("jax") else "tensorflow"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"

import runtimes  # noqa: F401, first: it sets the number of threads
import json

import keras
import numpy as np

import cells
import support
import turns

SCANNED = 100  # steps of a call of jax_scan


def tf_batch(model, x, y):
    return lambda: model.train_on_batch(x, y)


def tf_step(model, x, y):
    """A tf.function of the step."""
    import tensorflow as tf

    x, y, loss_of = tf.constant(x), tf.constant(y), model.loss
    model.optimizer.build(model.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        weights = model.trainable_variables
        model.optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    step = step.get_concrete_function()
    return lambda: step().numpy()


def jax_functions(model, x, y):
    """(step(state) -> (state, loss), the first state)"""
    import jax

    x, y, loss_of, optimizer = jax.device_put(x), jax.device_put(y), model.loss, model.optimizer
    optimizer.build(model.trainable_variables)

    def loss_and_rest(weights, rest):
        prediction, rest = model.stateless_call(weights, rest, x, training=True)
        return loss_of(y, prediction), rest

    def step(state):
        weights, rest, slots = state
        (loss, rest), gradients = jax.value_and_grad(loss_and_rest, has_aux=True)(weights, rest)
        weights, slots = optimizer.stateless_apply(slots, gradients, weights)
        return (weights, rest, slots), loss

    variables = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
    return step, tuple([v.value.copy() for v in some] for some in variables)


def jax_step(model, x, y):
    import jax

    step, state = jax_functions(model, x, y)
    step, held = jax.jit(step, donate_argnums=0), [state]

    def call():
        held[0], loss = step(held[0])
        return loss.block_until_ready()

    return call


def jax_scan(model, x, y):
    """Many steps in one call; gives the losses of all."""
    import jax

    step, state = jax_functions(model, x, y)
    many = jax.jit(lambda s: jax.lax.scan(lambda s, _: step(s), s, None, length=SCANNED), donate_argnums=0)
    held = [state]

    def call():
        held[0], losses = many(held[0])
        return losses.block_until_ready()

    return call


def open_cell(name):
    base = OUT / "training" / name
    facts = json.loads(pathlib.Path(f"{base}.json").read_text())
    what = cells.TRAINING[name]
    x = np.fromfile(f"{base}.x0", np.float32).reshape(facts["x"])
    y = np.fromfile(f"{base}.y0", np.int32 if what.loss == "sparse" else np.float32).reshape(facts["y"])
    model = keras.models.load_model(f"{base}.keras")
    call = globals()[PEER](model, x, y)
    seconds = turns.timed(call)
    if PEER == "jax_scan":
        losses = [float(loss) for loss in np.asarray(call())[: cells.CHECKED_STEPS]]
        return lambda count: seconds(count) / SCANNED, support.compare_losses(losses, facts["losses"], what)
    losses = [float(np.asarray(call())) for _ in range(cells.CHECKED_STEPS)]
    return seconds, support.compare_losses(losses, facts["losses"], what)


def main():
    from importlib import metadata

    package = "jax" if PEER.startswith("jax") else "tensorflow-cpu"
    if package == "tensorflow-cpu":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    turns.serve(open_cell, {"version": f"keras {keras.__version__} on {package} {metadata.version(package)}"})


if __name__ == "__main__":
    main()
