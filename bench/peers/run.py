"""Tusk beside its peers: `./dev bench --kernels`, `--models`, `--training`, `--smoke`, `--threads` (bench/run, docs/performance.md).

    run.py BUILD KIND [PATTERN] [--runs N] [--rounds N] [--compilers gcc,clang] [--core N] [--out DIR] [--report FILE]

BUILD has bench/bench_emit and tools/tusk. PATTERN is a regular expression that a cell's name must contain. A run lets all
contenders of a cell take turns for some rounds; the tables show medians over runs. Needs no packages: peers run in
environments of their own (environments.py).
"""

import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import typing

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))

import cells
import environments
import prepare
import support
import tables
import threads
import turns
import tusk

MOST_SECONDS = 60  # of the rounds of a cell in a run


@dataclasses.dataclass(frozen=True)
class Kind:
    """cells: name to something with peers. prepare(names, options) gives {(cell, contender): why it was not built}."""

    cells: dict
    prepare: typing.Callable
    flops: typing.Callable
    peers: str  # the script of the peers
    groups: tuple = ()  # of the summary: (name, pattern)


KERNEL_GROUPS = (
    ("dense and GEMM", "^(dense|gemm)_"),
    ("convolutions, forward", "^forward_(?!.*depthwise)"),
    ("convolutions, gradient by the input", "^dgrad_(?!.*depthwise)"),
    ("convolutions, gradient by the weights", "^wgrad_(?!.*depthwise)"),
    ("depthwise convolutions, all three", "depthwise"),
    ("convolutions, all", "^(forward|dgrad|wgrad)_"),
)
KINDS = {
    "kernels": Kind(cells.kernels(), prepare.kernels, prepare.flops_of_kernel, "kernel_peers.py", KERNEL_GROUPS),
    "models": Kind(cells.MODELS, prepare.models, prepare.flops_of_model, "model_peers.py", (("models", ""),)),
    "training": Kind(cells.TRAINING, prepare.training, prepare.flops_of_step, "training_peers.py", (("training", ""),)),
}


def pinned(options):
    return ["taskset", "-c", str(options.core)] if shutil.which("taskset") else []


def start(name, command, options):
    """A contender; what it prints is in its log."""
    log = options.out / "logs" / f"{name.replace(' ', '_')}.txt"
    log.parent.mkdir(exist_ok=True)
    log.write_text("")
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    return turns.Contender(name, [*pinned(options), *command], log, environment)


def start_all(names, kind, options):
    contenders = {}
    for compiler in options.compilers:
        command = [sys.executable, HERE / "tusk.py", options.out, options.kind, compiler]
        contenders[f"tusk {compiler}"] = start(f"tusk {compiler}", command, options)
    if not options.no_peers:
        for peer in dict.fromkeys(p for name in names for p in kind.cells[name].peers):
            python = environments.python_of(environments.OF_PEER[peer], options.out)
            contenders[peer] = start(peer, [python, HERE / kind.peers, options.out, peer], options)
    return contenders


def measure(cell, contenders, not_built, rounds, row):
    """One run of one cell: opens it everywhere, lets all take turns, closes it; adds to the row."""

    def refuse(name, why):
        row["refused"][name] = why
        row["times"].pop(name, None)

    opened = []
    for name, contender in contenders.items():
        if (cell, name) in not_built:
            refuse(name, not_built[cell, name])
            continue
        try:
            facts = contender.open(cell)
        except turns.Ended as problem:
            facts = {"refused": str(problem)}
            contender.start()
        if "refused" in facts:
            refuse(name, facts["refused"])
        else:
            opened.append(contender)
    samples = {}
    while not samples and opened:
        try:
            samples = turns.take_turns([(c, cell) for c in opened], rounds, MOST_SECONDS)
        except turns.Ended as problem:
            refuse(problem.contender.name, str(problem))
            problem.contender.start()
            opened.remove(problem.contender)
    for contender in opened:
        contender.close(cell)
        if contender.name not in row["refused"]:
            times = turns.shortest_and_median(samples[contender, cell])
            row["times"].setdefault(contender.name, []).append(times)


def machine():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    names = re.findall(r"^model name\s*: (.*)$", text, re.M)
    return names[0] if names else os.uname().machine


def heading(versions, what, options):
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    words = [f"Commit {commit.stdout.strip()}", str(datetime.date.today()), machine()]
    runs = f"{options.runs} run{'s' * (options.runs > 1)} of {options.rounds} rounds"
    return f"{', '.join(words)}, {what}; {', '.join(dict.fromkeys(versions))}; {runs}."


def run(kind, options):
    """The rows by cell, and the report."""
    names = cells.SMOKE if options.smoke else [name for name in kind.cells if options.pattern.search(name)]
    not_built = kind.prepare(names, options)
    contenders = start_all(names, kind, options)
    ours = f"tusk {options.compilers[0]}"
    peaks = [support.peak_of(options.out, pinned(options))]
    rows = {name: {"flops": kind.flops(name, options.out), "times": {}, "refused": {}} for name in names}
    call = rows.get(cells.CALL)
    for _ in range(options.runs):
        for name, row in rows.items():
            eligible = {n: c for n, c in contenders.items() if n.startswith("tusk") or n in kind.cells[name].peers}
            measure(name, eligible, not_built, options.rounds, row)
            print(tables.line(name, row, ours, max(peaks), call), flush=True)
        peaks.append(support.peak_of(options.out, pinned(options)))
    for contender in contenders.values():
        contender.end()
    groups = [(name, re.compile(pattern)) for name, pattern in kind.groups]
    strides = tables.rates(rows, ours, cells.STRIDE_PAIRS, "GFLOP/s of Tusk with stride 2, of those with stride 1")
    summary = "\n".join(text for text in (tables.summary(rows, ours, groups), strides) if text)
    versions = [contender.hello["version"] for contender in contenders.values()]
    words = f"{max(peaks):.1f} GFLOP/s of FMA on one core"
    return rows, text_of(heading(versions, words, options), summary, tables.table(rows, ours, max(peaks), call))


def text_of(*parts):
    return "\n\n".join(part for part in parts if part) + "\n"


def run_threads(options):
    rows, words, *parts = threads.run(options)
    return rows, text_of(heading([tusk.version_of(options.compilers[0])], words, options), *parts)


def options_of(arguments):
    parser = argparse.ArgumentParser(prog="./dev bench")
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("kind", choices=(*KINDS, "threads", "smoke"))
    parser.add_argument("pattern", nargs="?", default="", type=re.compile)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--compilers", default="gcc", type=lambda text: text.split(","))
    parser.add_argument("--core", type=int, default=min(os.sched_getaffinity(0)))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build/bench")
    parser.add_argument("--report", type=pathlib.Path)
    parser.add_argument("--no-peers", action="store_true", help="Tusk alone")
    options = parser.parse_intermixed_args(arguments)
    options.smoke = options.kind == "smoke"
    if options.smoke:
        options.kind, options.runs, options.rounds, options.no_peers = "kernels", 1, 3, True
    options.no_peers |= options.kind == "threads"
    options.build, options.out = options.build.resolve(), options.out.resolve()
    return options


def main():
    options = options_of(sys.argv[1:])
    options.out.mkdir(parents=True, exist_ok=True)
    support.build(options.out)
    rows, text = run_threads(options) if options.kind == "threads" else run(KINDS[options.kind], options)
    print("\n" + text)
    if not options.smoke:
        (options.out / f"{options.kind}.json").write_text(json.dumps(rows, indent=1))
    if options.report:
        options.report.write_text(text)
    # A test can say that every cell was built, gave the numbers of reference.c, and was timed.
    return 1 if options.smoke and any(row["refused"] or not row["times"] for row in rows.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
