"""What contenders of kernels share: memory, operands, and the check against reference.c. Needs no packages."""

import ctypes
import dataclasses
import mmap
import pathlib
import subprocess

import cells

HERE = pathlib.Path(__file__).resolve().parent
LARGEST_ERROR = 1e-4  # of the largest value
WORK_OF_CHECK = 4e7  # multiplications


def is_old(made, sources):
    return not made.exists() or any(s.stat().st_mtime > made.stat().st_mtime for s in sources)


def build(out):
    """peak and support.so, if they are not there."""
    library, peak = out / "support.so", out / "peak"
    sources = [HERE.parent / "repeat.c", HERE / "reference.c"]
    if is_old(library, sources):
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", library, *sources, "-lm"], check=True)
    if not peak.exists():
        subprocess.run(["gcc", "-O2", "-march=native", "-ffp-contract=fast", "-o", peak, HERE.parent / "peak.c"], check=True)


def peak_of(out, pinned):
    return float(subprocess.run([*pinned, out / "peak"], check=True, capture_output=True, text=True).stdout)


def compare(result, truth):
    """{"error": E} of two sequences of floats; raises where E, of the largest true value, is too large."""
    if len(result) != len(truth):
        raise ArithmeticError(f"{len(result)} values where there should be {len(truth)}")
    error = max(abs(float(a) - float(b)) for a, b in zip(result, truth)) / max(abs(float(b)) for b in truth)
    if not error <= LARGEST_ERROR or any(a != a for a in result):
        raise ArithmeticError(f"wrong result, relative error {error:.2g}")
    return {"error": error}


def compare_losses(losses, truth, cell):
    """The same of the first and of the last loss of a training, within the tolerances of cells.py."""
    errors = [abs(losses[at] - truth[at]) / abs(truth[at]) for at in (0, -1)]
    if any(not error <= most for error, most in zip(errors, cells.LOSS_TOLERANCES[cell.is_random])):
        raise ArithmeticError(f"losses {losses[0]:.6g} .. {losses[-1]:.6g}, Keras {truth[0]:.6g} .. {truth[-1]:.6g}")
    return {"error": max(errors)}


class Memory:
    """Bytes at the begin of a page."""

    def __init__(self, size):
        self.map = mmap.mmap(-1, max(size, 1))
        self.size = size
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.map))


class Library:
    def __init__(self, out):
        library = ctypes.CDLL(str(out / "support.so"))
        library.repeat.restype = library.repeat_elapsed.restype = library.difference.restype = ctypes.c_double
        self.library = library

    def fill(self, address, count, operand):
        seed = ("x", "w", "bias", "dy").index(operand) + 1
        self.library.fill(ctypes.c_void_p(address), ctypes.c_int64(count), ctypes.c_uint64(seed))

    def repeated(self, function, arguments, keep=None, elapsed=False):
        """count -> seconds, CPU time or elapsed, of a call of a C function with up to eight arguments, pointers or integers."""
        repeat = self.library.repeat_elapsed if elapsed else self.library.repeat
        values = (ctypes.c_void_p * 8)(*arguments, *[None] * (8 - len(arguments)))

        def seconds(count, keep=keep):
            return repeat(function, values, ctypes.c_long(count))

        return seconds

    def check(self, kernel, operands, result):
        """{"error": E} of a result, all of them addresses; raises where E is too large."""
        g = kernel.geometry
        count = cells.elements(kernel.shapes[1])
        work = max(1, kernel.flops // 2 // count)
        samples = int(min(max(WORK_OF_CHECK // work, 32), 4096, 2 * count))
        first, second, *bias = operands
        error = self.library.difference(
            cells.ROLES.index(kernel.role),
            (ctypes.c_int64 * 12)(*dataclasses.astuple(g)),
            ctypes.c_void_p(first),
            ctypes.c_void_p(second),
            ctypes.c_void_p(bias[0] if bias else None),
            ctypes.c_void_p(result),
            ctypes.c_int64(count),
            ctypes.c_int64(samples),
        )
        if not error <= LARGEST_ERROR:
            raise ArithmeticError(f"wrong result, relative error {error:.2g}")
        return {"error": error}
