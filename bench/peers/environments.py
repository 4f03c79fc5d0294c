"""Python environments of the peers, one each so that they do not disturb one another; made when they are needed."""

import pathlib
import subprocess
import sys

REQUIREMENTS = pathlib.Path(__file__).resolve().parent / "requirements"
OF_PEER = {
    "onnxruntime": "runtimes",
    "openvino": "runtimes",
    "litert": "runtimes",
    "ncnn": "runtimes",
    "ncnn_direct": "runtimes",
    "emx": "runtimes",
    "emx_fast": "runtimes",
    "tf_step": "keras",
    "tf_batch": "keras",
    "jax_step": "jax",
    "jax_scan": "jax",
    "torch": "torch",
    "torch_nchw": "torch",
    "torch_packed": "torch",
}


def python_of(name, out):
    """The interpreter of requirements/NAME.txt below `out`."""
    folder, wanted = out / f"venv-{name}", (REQUIREMENTS / f"{name}.txt").read_text()
    mark = folder / "installed.txt"
    if not mark.exists() or mark.read_text() != wanted:
        print(f"installing {', '.join(wanted.split())}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [folder / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", REQUIREMENTS / f"{name}.txt"], check=True)
        mark.write_text(wanted)
    return folder / "bin/python"
