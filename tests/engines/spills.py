"""Fails where a register tile does not fit its registers: vector spills in the hot loops of what Tusk emits.

    spills.py BENCH_EMIT WORK ci|full

Emits kernels of the bench (GEMM, Dense layers, convolutions and their gradients), scheduled for machines with AVX2 and
with AVX-512, and compiles them to assembly by GCC, Clang and the MLIR back end, where that is built (assembly.py says
what is counted). ci takes some, full all of them. Ends with 77 where not both compilers are there.
"""

import concurrent.futures
import dataclasses
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

# Not every compiler knows every machine by its name.
ZEN4 = "-march=znver3 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512cd"
MACHINES = {"haswell": "-march=haswell", "znver4": ZEN4, "skylake-avx512": "-march=skylake-avx512"}
COMPILERS = ("g++", "clang++")
FLAGS = "-std=c++17 -O3 -fno-exceptions -fno-rtti -S"

# Most have spilled: sums of all blocks beside those of one, taps that share what they read, a tile with no register left.
KERNELS = (
    "gemm_1024",
    "dense_16x784x64",
    "forward_resnet50_14_3x3_256_256",
    "forward_toy_resnet_32_3x3_valid_3_32",
    "forward_mobilenetv2_112_3x3_depthwise_32",
    "dgrad_resnet50b_14_3x3_s2_512_512",
    "dgrad_mobilenetv2_113_3x3_valid_s2_depthwise_96",
    "wgrad_resnet50_14_1x1_256_1024",
    "wgrad_resnet50_7_1x1_512_2048",
    "wgrad_mobilenetv2_7_3x3_depthwise_960",
    "wgrad_toy_resnet_9_3x3_64_64",
)


# Loops of the full list that spill as many vectors, on machines with 16 registers: known, and not mended.
KNOWN = {
    ("haswell", "g++", "forward_resnet50_224_7x7_s2_3_64"): 1,
    ("haswell", "g++", "forward_mobilenetv2_7_3x3_depthwise_960"): 2,
    ("haswell", "clang++", "dgrad_mobilenetv2_57_3x3_valid_s2_depthwise_144"): 3,
    ("haswell", "MLIR", "forward_resnet50_7_3x3_512_512"): 2,
    ("haswell", "MLIR", "forward_resnet50b_14_3x3_s2_512_512"): 2,
    ("haswell", "MLIR", "forward_mobilenetv2_7_3x3_depthwise_960"): 2,
}


def is_known(machine, compiler, loop):
    spills = max(len(loop.stores), len(loop.loads))
    return any((m, c) == (machine, compiler) and name in loop.function and spills <= most for (m, c, name), most in KNOWN.items())


def emit(emitter, name, machine, folder, *form):
    """The weights' values do not matter."""
    folder.mkdir(parents=True, exist_ok=True)
    text = re.sub(r"= file\(\d+\)", "= random(1)", tusk.graph_text(cells.kernels()[name]))
    (folder / "text").write_text(text)
    subprocess.run([emitter, folder / "text", os.devnull, folder, machine, *form], check=True)


def emit_all(emitter, names, machine, folder):
    """One file that includes all of them: headers are most of a compiler's time."""
    lines = []
    for name in names:
        emit(emitter, name, machine, folder / name)
        for helper in ("check", "weights_of"):  # of C functions, outside of the model's namespace
            lines += [f"#undef {helper}", f"#define {helper} {helper}_{name}"]
        lines.append(f'#include "{folder / name / name}.cpp"')
    (folder / "all.cpp").write_text("\n".join([*lines, ""]))
    return folder / "all.cpp"


def hot_loops(compiler, machine, source):
    out = source.with_suffix(f".{compiler}.s")
    subprocess.run([compiler, *FLAGS.split(), *MACHINES[machine].split(), source, "-o", out], check=True)
    return assembly.hot_loops(out.read_text())


def hot_loops_of_objects(emitter, names, machine, folder):
    found = []
    for name in names:
        emit(emitter, name, machine, folder / name, "asm")
        loops = assembly.hot_loops((folder / name / f"{name}.s").read_text())
        found += [dataclasses.replace(loop, function=f"{loop.function} ({name})") for loop in loops]
    return found


def sample_problems():
    """What the checker does not find in a text whose spills are known: `# NAME: STORES LOADS` for each function."""
    text = (HERE / "spills_sample.s").read_text()
    found = {loop.function: (len(loop.stores), len(loop.loads)) for loop in assembly.hot_loops(text)}
    wanted = {name: (int(stores), int(loads)) for name, stores, loads in re.findall(r"^# (\w+): (\d+) (\d+)$", text, re.M)}
    return [] if found == wanted and wanted else [f"spills_sample.s has {wanted}, found is {found}"]


def main():
    emitter, work, size = sys.argv[1:]
    problems = sample_problems()
    if not all(shutil.which(compiler) for compiler in COMPILERS):
        print(*problems, f"not both of {', '.join(COMPILERS)} are there", sep="\n")
        return 1 if problems else 77
    work = pathlib.Path(work)
    shutil.rmtree(work, ignore_errors=True)
    names = KERNELS if size == "ci" else [name for name in cells.kernels() if name != cells.CALL]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        sources = {machine: emit_all(emitter, names, machine, work / machine) for machine in MACHINES}
        jobs = {(m, c): pool.submit(hot_loops, c, m, sources[m]) for m in MACHINES for c in COMPILERS}
        if (pathlib.Path(emitter).parent.parent / "libtusk_mlir.so").exists():
            for m in MACHINES:
                jobs[m, "MLIR"] = pool.submit(hot_loops_of_objects, emitter, names, m, work / m)
    for (machine, compiler), job in jobs.items():
        loops = job.result()
        print(f"{machine}, {compiler}: {len(loops)} hot loops")
        if len(loops) < len(names):
            problems.append(f"{machine}, {compiler}: hot loops are missing")
        for loop in loops:
            if (loop.stores or loop.loads) and not is_known(machine, compiler, loop):
                what = f"{len(loop.stores)} stores and {len(loop.loads)} loads beside {loop.multiplies} products"
                problems.append(f"{machine}, {compiler}: {what} in the loop {loop.label} of {loop.function}")
    print(*problems, f"{len(problems)} problems", sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
