"""Time of `fit` from an empty cache, from a filled one, and of Keras on JAX, by turns: fit.py BUILD FOLDER [OPTIONS]

Each is a process of its own that has imported what it needs and read the data before its clock begins.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess

import environments


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path, help="where the four files of MNIST lie")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--no-peers", action="store_true")
    options = parser.parse_args()
    cache = options.build / "bench" / "fit_cache"
    tusk = [options.build / "bench" / "bench_fit", options.folder]
    keras = None
    if not options.no_peers:
        python = environments.python_of("jax", options.build.parent / "bench")
        keras = [python, pathlib.Path(__file__).with_name("fit_keras.py"), options.folder]
    seconds = {"Tusk, empty cache": [], "Tusk, filled cache": [], "Keras on JAX": []}
    for _ in range(options.runs):
        shutil.rmtree(cache, ignore_errors=True)
        for name, command in zip(seconds, (tusk, tusk, keras)):
            if command is None:
                continue
            run = subprocess.run(
                command, env={**os.environ, "TUSK_CACHE": str(cache)}, check=True, capture_output=True, text=True
            )
            seconds[name].append([float(word) for word in run.stdout.split()])
    print(f"| `fit`, medians of {options.runs} runs (min) | first step | two epochs |")
    print("|---|---|---|")
    for name, runs in seconds.items():
        if runs:
            cells = [f"{statistics.median(each):.3f} s ({min(each):.3f} s)" for each in zip(*runs)]
            print(f"| {name} | {' | '.join(cells)} |")
    if seconds["Keras on JAX"]:
        whole = [statistics.median(run[1] for run in seconds[name]) for name in seconds]
        print(f"\nOn an empty cache {whole[0] / whole[2]:.2f} of the time of Keras, on a filled one {whole[1] / whole[2]:.2f}.")


main()
