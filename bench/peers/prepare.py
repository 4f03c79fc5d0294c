"""What has to be there before contenders start: exported models, emitted folders, libraries. One function a kind."""

import concurrent.futures
import json
import pathlib
import subprocess

import cells
import environments
import tusk

HERE = pathlib.Path(__file__).resolve().parent


def reason_of(problem):
    """The first line that says why a command has failed."""
    lines = [line for line in (problem.stderr or "").splitlines() if "error" in line] or [f"ends with {problem.returncode}"]
    return lines[0].strip()[:300]


def build_all(names, emit, options):
    """Emits and compiles; {(cell, contender): why not}. emit(name) gives the folder."""
    refused = {}

    def one(name):
        try:
            folder = emit(name)
        except subprocess.CalledProcessError as problem:
            refused.update({(name, f"tusk {compiler}"): reason_of(problem) for compiler in options.compilers})
            return
        for compiler in options.compilers:
            try:
                tusk.compile_folder(folder, compiler)
            except subprocess.CalledProcessError as problem:
                refused[name, f"tusk {compiler}"] = reason_of(problem)

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(one, names))
    return refused


def export(script, folder, names, ending, options):
    """Runs a script in the environment of Keras for what is not there."""
    folder.mkdir(exist_ok=True)
    missing = [name for name in names if not (folder / f"{name}{ending}").exists()]
    if missing:
        subprocess.run([environments.python_of("keras", options.out), HERE / script, options.out, *missing], check=True)


def kernels(names, options):
    known = cells.kernels()
    if not options.no_peers:
        products = [name for name in names if "litert" in known[name].peers]
        export("export_kernels.py", options.out / "exported", products, ".tflite", options)
    emitter = options.build / "bench/bench_emit"
    return build_all(names, lambda name: tusk.emit_kernel(known[name], options.out, emitter, "mlir" in options.compilers), options)


def models(names, options):
    export("models.py", options.out / "models", names, ".json", options)
    if any("ncnn" in cells.MODELS[name].peers for name in names):
        environments.python_of("torch", options.out)  # it has the converter for ncnn
    folder, command = options.out / "models", options.build / "tools/tusk"

    def emit(name):
        return tusk.emit_model(folder / name, cells.MODELS[name].batch, command, "--weights", "file", objects="mlir" in options.compilers)

    return build_all(names, emit, options)


def training(names, options):
    folder, command = options.out / "training", options.build / "tools/tusk"
    export("export_training.py", folder, names, ".json", options)

    def emit(name):
        return tusk.emit_model(folder / name, cells.TRAINING[name].batch, command, "--functions", "train_step", objects="mlir" in options.compilers)

    return build_all(names, emit, options)


def flops_of_kernel(name, out):
    return cells.kernels()[name].flops


def flops_of_model(name, out):
    return json.loads((out / "models" / f"{name}.json").read_text())["flops"]


def flops_of_step(name, out):
    return json.loads((out / "training" / f"{name}.json").read_text())["flops"]
