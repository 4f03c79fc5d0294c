"""The peers of models: what models.py has exported, one thread.

    model_peers.py OUT PEER       serves the cells (turns.py)
"""

import ctypes
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import runtimes  # first: it sets the number of threads
import numpy as np

import support
import turns


def onnxruntime(base, x, out):
    return runtimes.onnxruntime(f"{base}.onnx", {"x": x})


def openvino(base, x, out):
    return runtimes.openvino(f"{base}.onnx", {"x": x})


def litert(base, x, out):
    return runtimes.litert(f"{base}.tflite", {"x": x})


def ncnn(base, x, out, winograd=True):
    if not pathlib.Path(f"{base}.ncnn.bin").exists():
        image = ",".join(map(str, [1, x.shape[3], *x.shape[1:3]]))
        pnnx = out / "venv-torch/bin/pnnx"
        files = [f"ncnnparam={base}.ncnn.param", f"ncnnbin={base}.ncnn.bin"]
        command = [pnnx, f"{base}.nchw.onnx", f"inputshape=[{image}]", "fp16=0", *files]
        subprocess.run(command, check=True, capture_output=True)
    return runtimes.ncnn(f"{base}.ncnn", x, winograd)


def ncnn_direct(base, x, out):
    return ncnn(base, x, out, winograd=False)


def emx(base, x, out, flags=(), suffix="emx"):
    """C of emx-onnx-cgen, compiled by GCC; called by C, as Tusk's."""
    source, library = f"{base}.emx.c", f"{base}.{suffix}.so"
    if not pathlib.Path(library).exists():
        generator = pathlib.Path(sys.executable).parent / "emx-onnx-cgen"
        # Weights of more bytes would go to a file that is named after the model alone.
        options = ["--model-name", "emx_model", "--large-weight-threshold", "0"]
        subprocess.run([generator, "compile", f"{base}.onnx", source, *options], check=True, capture_output=True)
        command = ["gcc", "-O3", "-march=native", *flags, "-shared", "-fPIC", source, "-o", library, "-lm"]
        subprocess.run(command, check=True, capture_output=True)
    y = np.empty(json.loads(pathlib.Path(f"{base}.json").read_text())["y"], np.float32)
    function = ctypes.CDLL(library).emx_model
    call = support.Library(out).repeated(function, [x.ctypes.data, y.ctypes.data], keep=(x, y))
    return call, lambda: [y]


def emx_fast(base, x, out):
    return emx(base, x, out, ["-ffast-math"], "emx_fast")


PACKAGES = {"litert": "ai-edge-litert", "ncnn_direct": "ncnn", "emx": "emx-onnx-cgen", "emx_fast": "emx-onnx-cgen"}


def main():
    from importlib import metadata

    out, peer = pathlib.Path(sys.argv[1]), sys.argv[2]

    def open_cell(name):
        base = out / "models" / name
        facts = json.loads(pathlib.Path(f"{base}.json").read_text())
        x = np.fromfile(f"{base}.x0", np.float32).reshape(facts["x"])
        call, outputs = globals()[peer](base, x, out)
        seconds = call if peer.startswith("emx") else turns.timed(call)
        seconds(1)
        return seconds, support.compare(outputs()[0].ravel(), np.fromfile(f"{base}.y0", np.float32))

    package = PACKAGES.get(peer, peer)
    turns.serve(open_cell, {"version": f"{package} {metadata.version(package)}"})


if __name__ == "__main__":
    main()
