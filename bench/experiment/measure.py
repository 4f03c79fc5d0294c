"""Times the kernels of generate.py beside the peers, on one core.

    measure.py FOLDER [CASE...]        lines; FOLDER holds what `run` has built

Contenders take turns (../turns.py). "net" is the time of one operation in a graph of five (peers.py), else a call less the price of an empty call.
"""

import ctypes
import json
import pathlib
import re
import subprocess
import sys

import generate

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import turns

OURS = ("gcc", "clang")
ROUNDS = 40


def shapes(text, function):
    head = re.search(rf"^loop {function}\((.*)\) \{{", text, re.M)
    return [
        (name, tuple(map(int, shape.split(","))))
        for name, shape in re.findall(r'(\w+): f32\*[^"]*"\[([\d,]+)\]"', head[1])
    ]


def aligned(shape):
    import numpy as np

    size = int(np.prod(shape))
    raw = np.zeros(size + 16, np.float32)
    offset = (-raw.ctypes.data % 64) // 4
    return raw[offset : offset + size].reshape(shape)


def pointers(buffers):
    return (ctypes.c_void_p * 8)(*[b.ctypes.data for b in buffers], *[None] * (8 - len(buffers)))


class Kernel:
    """A scheduled kernel and the plain loops of the same formula, compiled."""

    def __init__(self, folder, name, tag):
        import numpy as np

        rng = np.random.default_rng(3)
        self.repeat = ctypes.CDLL(str(folder / "repeat.so")).repeat
        self.repeat.restype = ctypes.c_double
        text = generate.CASES[name].text
        library = ctypes.CDLL(str(folder / f"{name}.{tag}.so"))
        self.function = getattr(library, f"run_{name}")
        self.inputs, self.buffers = [], []
        for buffer, shape in shapes(text, name):
            value = aligned(shape)
            if buffer.endswith("_packed"):
                pack = f"pack_{buffer[:-7]}"
                source = aligned(shapes(text, pack)[0][1])
                source[...] = rng.uniform(-1, 1, source.shape)
                getattr(library, f"run_{pack}")(*map(ctypes.c_void_p, (source.ctypes.data, value.ctypes.data)))
                self.inputs.append(source)
            elif re.search(rf"^loop {name}\(.*\b{buffer}: f32\* const", text, re.M):
                value[...] = rng.uniform(-1, 1, shape)
                self.inputs.append(value)
            else:
                value[...] = np.nan
            self.buffers.append(value)
        self.arguments = pointers(self.buffers)

    def same_bits(self, folder, name):
        """Whether the results of the plain loops are equal, byte by byte."""
        plain = (folder / f"{name}.plain").read_text()
        outputs = [aligned(shape) for buffer, shape in shapes(plain, "f")[len(self.inputs) :]]
        library = ctypes.CDLL(str(folder / f"{name}.plain.so"))
        arena = aligned((1 << 18,))
        library.run_f(*[ctypes.c_void_p(b.ctypes.data) for b in [*self.inputs, *outputs, arena]])
        self.run(1)
        mine = self.buffers[len(self.inputs) :][: len(outputs)]
        return all(a.tobytes() == b.tobytes() for a, b in zip(mine, outputs))

    def run(self, count):
        return self.repeat(self.function, self.arguments, ctypes.c_long(count))


def worker(contender, folder):
    if contender in OURS:
        kernels = {
            name: Kernel(folder, name, contender)
            for name in generate.CASES
            if (folder / f"{name}.{contender}.so").exists()
        }
        wrong = [name for name, kernel in kernels.items() if not kernel.same_bits(folder, name)]
        names, note = list(kernels), (
            f"bits differ: {wrong}" if wrong else f"{len(kernels)} kernels with the bits of their plain loops"
        )
        seconds = {name: kernel.run for name, kernel in kernels.items()}
    else:
        import peers

        functions, note = peers.onednn(folder) if contender == "onednn" else getattr(peers, contender)()
        names = list(functions)
        seconds = {name: turns.timed(function) for name, function in functions.items()}
    turns.serve(lambda name: (seconds[name], {}), {"names": names, "note": note})


def start(name, folder):
    command = [sys.executable, __file__, "worker", name, str(folder)]
    contender = turns.Contender(name, command, folder / f"{name}.log")
    print(f"{name}: {contender.hello['note']}", flush=True)
    return contender


def of_peer(row):
    """min and median without the price of a call; None where the call is most of it, so that the rest is noise."""
    best = [min(pair) for pair in zip(row.get("net", row["once"]), row["once"])]
    is_noise = any(b < 0.3 * o for b, o in zip(best, row["once"])) and not row.get("chain")
    return None if is_noise else best


def table(results, peak):
    """Markdown: one row for each formula, the best of our orders and the best peer."""
    lines = [
        "| kernel | GCC us (median) | Clang us (median) | GFLOP/s | % of peak | best peer | its us (median) | ratio |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, case in generate.CASES.items():
        row = results.get(name, {})
        others = {p: of_peer(r) for p, r in results.get(base_of(name), {}).items() if p not in OURS}
        others = {p: r for p, r in others.items() if r}
        if "gcc" not in row:
            continue
        ours = {tag: row[tag]["once"] for tag in OURS if tag in row}
        flops = case.flops
        if name == "lstm_64" and "lstm_input" in results:  # the peers were asked for 64 steps with their input part
            flops = 64 * flops + generate.CASES["lstm_input"].flops
            ours = {t: [64 * a + b for a, b in zip(v, results["lstm_input"][t]["once"])] for t, v in ours.items()}
        best = min(v[0] for v in ours.values())
        cells = [f"{v[0] * 1e6:.4g} ({v[1] * 1e6:.4g})" for v in ours.values()] + [""] * (2 - len(ours))
        cells += [f"{flops / best / 1e9:.1f}", f"{100 * flops / best / 1e9 / peak:.0f}"]
        if others:
            peer, time_of = min(others.items(), key=lambda item: item[1][0])
            median = min(v[1] for v in ours.values())
            cells += [peer, f"{time_of[0] * 1e6:.4g} ({time_of[1] * 1e6:.4g})"]
            cells += [f"{time_of[0] / best:.2f} ({time_of[1] / median:.2f})"]
        else:
            cells += ["", "", ""]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def base_of(name):
    return re.sub(r"_(l|b)\d+(_chains)?$", "", name)


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    wanted = sys.argv[2:]
    peak = float(subprocess.run([folder / "peak"], capture_output=True, text=True, check=True).stdout)
    print(f"peak of this core: {peak} GFLOP/s")
    contenders = [
        start(name, folder)
        for name in ("gcc", "clang", "onnxruntime", "openvino", "openblas", "onednn", "tensorflow")
    ]
    results = {}
    groups = {"call": []}
    for name in generate.CASES:
        base = base_of(name)
        if not wanted or base in wanted or name in wanted:
            groups.setdefault(base, []).append(name)
    for base, names in groups.items():
        asked = [(c, n) for c in contenders for n in dict.fromkeys([*names, base, base + " x5"]) if n in c.hello["names"]]
        for c, n in asked:
            c.open(n)
        samples = turns.take_turns(asked, ROUNDS)
        times = {(c.name, n): turns.shortest_and_median(v) for (c, n), v in samples.items()}
        for (name, n), time_of in times.items():
            if n.endswith(" x5"):
                continue
            row = results.setdefault(n, {}).setdefault(name, {"once": time_of})
            line = f"{n:24s} {name:12s} min {time_of[0] * 1e6:10.3f} us  median {time_of[1] * 1e6:10.3f} us"
            if (name, n + " x5") in times:
                row["chain"] = True
                row["net"] = [(five - one) / 4 for five, one in zip(times[name, n + " x5"], time_of)]
            elif n != "call" and name in results.get("call", {}):
                row["net"] = [a - b for a, b in zip(time_of, results["call"][name]["once"])]
            if "net" in row:
                line += f"  net {row['net'][0] * 1e6:10.3f} {row['net'][1] * 1e6:10.3f}"
            if names:
                rate = generate.CASES[names[0]].flops / min(row.get("net", time_of)[0], time_of[0]) / 1e9
                line += f"  {rate:6.1f} GFLOP/s {100 * rate / peak:5.1f} %"
            print(line, flush=True)
    (folder / "results.json").write_text(json.dumps({"peak": peak, "results": results}, indent=1))
    print(table(results, peak))


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        worker(sys.argv[2], pathlib.Path(sys.argv[3]))
    else:
        main()
