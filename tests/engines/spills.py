"""Fails where a register tile does not fit its registers: vector spills in the hot loops of what Tusk emits.

    spills.py BENCH_EMIT TUSK WORK ci|full

Emits kernels of the bench (GEMM, Dense layers, convolutions and their gradients) and recorded models, scheduled for
machines with AVX2 and with AVX-512, and compiles them to assembly by GCC and Clang (assembly.py says what is counted).
full takes all kernels of the bench and more models. Ends with 77 where there is no such compiler.
"""

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT / "bench/peers"), str(ROOT / "bench")]

import assembly
import cells
import tusk

# GCC and Clang of today do not know every machine by its name.
ZEN4 = "-march=znver3 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512cd"
MACHINES = {"haswell": "-march=haswell", "znver4": ZEN4, "skylake-avx512": "-march=skylake-avx512"}
COMPILERS = ("g++", "clang++")
FLAGS = "-std=c++17 -O3 -fno-exceptions -fno-rtti -S"

# Each has spilled once: totals of blocks beside their sums, taps that are written out, a border in the time.
KERNELS = (
    "gemm_1024",
    "dense_16x784x64",
    "forward_resnet50_14_3x3_256_256",
    "forward_toy_resnet_32_3x3_valid_3_32",
    "forward_mobilenetv2_14_3x3_depthwise_384",
    "dgrad_resnet50b_14_3x3_s2_512_512",
    "dgrad_mobilenetv2_113_3x3_valid_s2_depthwise_96",
    "wgrad_resnet50_14_1x1_256_1024",
    "wgrad_resnet50_7_1x1_512_2048",
    "wgrad_mobilenetv2_7_3x3_depthwise_960",
)
MODELS = ("unet.keras", "inverted_bottleneck.keras", "separable_conv2d.keras", "sequential.keras")


def emit_kernel(emitter, name, machine, folder):
    """The weights' values do not matter."""
    text = re.sub(r"= file\(\d+\)", "= random(1)", tusk.graph_text(cells.kernels()[name]))
    (folder / "text").write_text(text)
    subprocess.run([emitter, folder / "text", os.devnull, folder, machine], check=True)


def emit_model(command, name, machine, folder):
    model = ROOT / "tests/parity/goldens" / name
    options = ["--target", machine, "--functions", "predict", "gradients", "--loss", "mse"]
    subprocess.run([command, "compile", model, "-o", folder, *options], check=True)


def hot_loops(compiler, machine, source):
    out = source.with_suffix(f".{compiler}.s")
    subprocess.run([compiler, *FLAGS.split(), *MACHINES[machine].split(), source, "-o", out], check=True)
    return assembly.hot_loops(out.read_text())


def check(tools, work, name, machine):
    """(compiler, hot loop) for each."""
    folder = work / machine / name
    folder.mkdir(parents=True)
    if name in cells.kernels():
        emit_kernel(tools[0], name, machine, folder)
    else:
        emit_model(tools[1], name, machine, folder)
    source = next(path for path in folder.glob("*.cpp") if not re.search(r"_(weights|self_test|self_test_main)$", path.stem))
    return [(compiler, loop) for compiler in COMPILERS for loop in hot_loops(compiler, machine, source)]


def sample_problems():
    """What the checker does not find in a text whose spills are known: `# NAME: STORES LOADS` for each function."""
    text = (HERE / "spills_sample.s").read_text()
    found = {loop.function: (len(loop.stores), len(loop.loads)) for loop in assembly.hot_loops(text)}
    wanted = {name: (int(stores), int(loads)) for name, stores, loads in re.findall(r"^# (\w+): (\d+) (\d+)$", text, re.M)}
    return [] if found == wanted and wanted else [f"spills_sample.s has {wanted}, found is {found}"]


def main():
    *tools, work, size = sys.argv[1:]
    problems = sample_problems()
    if not all(shutil.which(compiler) for compiler in COMPILERS):
        print(*problems, f"not both of {', '.join(COMPILERS)} are there", sep="\n")
        return 1 if problems else 77
    work = pathlib.Path(work)
    shutil.rmtree(work, ignore_errors=True)
    names = [*(KERNELS if size == "ci" else cells.kernels()), *MODELS]
    count = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {(name, machine): pool.submit(check, tools, work, name, machine) for name in names for machine in MACHINES}
        for (name, machine), job in jobs.items():
            for compiler, loop in job.result():
                count += 1
                if loop.stores or loop.loads:
                    what = f"{len(loop.stores)} stores and {len(loop.loads)} loads beside {loop.multiplies} products"
                    problems.append(f"{name}, {machine}, {compiler}: {what} in the loop {loop.label} of {loop.function}")
    print(*problems, f"{count} hot loops, {len(problems)} problems", sep="\n")
    return 1 if problems or count < 3 * len(names) else 0


if __name__ == "__main__":
    sys.exit(main())
