"""`./dev bench --threads`: Tusk alone, one thread beside two that a tusk::ThreadPool lends. Needs no packages.

One process in which one thread and two take turns, each thread on a core of its own; times are by the clock on the wall. Cells
are all models and those kernels whose call takes one thread more than a millisecond. Both have to give the same bits.
"""

import ctypes
import os
import re
import statistics
import subprocess
import time

import cells
import prepare
import support
import tables
import tusk
import turns

THREADS = 2
SHORTEST = 1e-3  # seconds: shorter kernels are left out
BOUND = 1.8
MOST_SECONDS = 20  # of the rounds of a cell in a run
GROUPS = (
    ("kernels above 1 ms", "^(dense|gemm|forward|dgrad|wgrad)_"),
    ("of these depthwise convolutions", "depthwise"),
    ("models", "^(?!(dense|gemm|forward|dgrad|wgrad)_)"),
)


def pool_of(out, core):
    """The address of two threads: the caller on this core from now on, the other one on another."""
    library, source = out / "threads.so", support.HERE.parent / "threads.cpp"
    root = support.HERE.parent.parent
    if support.is_old(library, [source, *(root / "runtime").glob("*.hpp")]):
        command = ["g++", "-std=c++17", "-O2", "-shared", "-fPIC", "-pthread", "-I", root, "-o", library, source]
        subprocess.run(command, check=True)
    lend = ctypes.CDLL(str(library)).lend
    lend.restype = ctypes.c_void_p
    others = os.sched_getaffinity(0) - {core}
    if not others:
        raise SystemExit(f"{THREADS} threads need another core than {core}")
    os.sched_setaffinity(0, others)  # what the thread inherits that is made now
    pool = lend(THREADS)
    os.sched_setaffinity(0, {core})
    return pool


class Contender:
    """One cell as turns.py asks for it, in this process: its turns are named by their threads."""

    def __init__(self, loaded, library, pool):
        self.calls = {count: loaded.repeated(library, lent, True) for count, lent in ((1, None), (THREADS, pool))}

    def run(self, threads, count, warm=1):
        self.calls[threads](warm)
        return self.calls[threads](count)


def measure(name, load, library, pool, rounds):
    """{threads: (shortest, median)} of a run of a cell; None if it is a kernel that is too short."""
    loaded = load(name)
    contender = Contender(loaded, library, pool)
    if name not in cells.MODELS and min(contender.run(1, 1) for _ in range(3)) < SHORTEST:
        return None
    contender.run(1, 1)
    one = bytes(loaded.result.map)
    samples = turns.take_turns([(contender, 1), (contender, THREADS)], rounds, MOST_SECONDS)
    if bytes(loaded.result.map) != one:  # the last turn was that of the threads
        raise ArithmeticError(f"{name}: {THREADS} threads give other bits than one")
    return {threads: turns.shortest_and_median(times) for (_, threads), times in samples.items()}


def ratio(runs):
    return statistics.median(run[1][1] / run[THREADS][1] for run in runs)


def line(name, runs):
    times = [[run[threads] for run in runs] for threads in (1, THREADS)]
    texts = [f"{tables.duration(tables.middle(t))} ({tables.duration(tables.least(t))})" for t in times]
    return f"| {name} | {texts[0]} | {texts[1]} | {ratio(runs):.2f} |"


def summary(rows):
    for group, pattern in GROUPS:
        ratios = [ratio(runs) for name, runs in rows.items() if re.search(pattern, name)]
        if ratios:
            parts = [tables.share(ratios, bound) for bound in (BOUND, 1.5, 1)]
            yield f"- {group}: {', '.join(parts)}; least {min(ratios):.2f}, geometric mean {tables.geometric(ratios):.2f}"


def busy():
    """Seconds of all cores that all programs and that this one have taken."""
    with open("/proc/stat") as file:
        user, nice, system = map(int, file.readline().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK"), time.process_time()


def run(options):
    """The rows, and the words about the machine, the summary and the table of a report."""
    library, pool = support.Library(options.out), pool_of(options.out, options.core)
    kernels = [name for name in cells.kernels() if options.pattern.search(name)]
    models = [name for name in cells.MODELS if options.pattern.search(name)]
    refused = prepare.kernels(kernels, options) | prepare.models(models, options)
    for (name, _), why in refused.items():
        print(f"{name}: {why}", flush=True)

    def load(name):
        loader = tusk.load_model if name in cells.MODELS else tusk.load_kernel
        return loader(options.out, options.compilers[0], library, name)

    begin, (all_before, own_before) = time.monotonic(), busy()
    rows = {name: [] for name in [*kernels, *models] if (name, f"tusk {options.compilers[0]}") not in refused}
    for _ in range(options.runs):
        for name in list(rows):
            times = measure(name, load, library, pool, options.rounds)
            if times is None:
                del rows[name]
                continue
            rows[name].append(times)
            print(line(name, rows[name]), flush=True)
    all_after, own_after = busy()
    others = (all_after - all_before - (own_after - own_before)) / ((time.monotonic() - begin) * os.cpu_count())
    table = ["| cell | one thread, median (min) | two threads | ratio |", "|" + "---|" * 4]
    table += [line(name, runs) for name, runs in rows.items()]
    words = f"{os.cpu_count()} cores, of which other programs took {100 * max(0, others):.0f} %"
    return rows, words, "\n".join(summary(rows)), "\n".join(table)
