"""Tusk as a contender: kernels and models to emitted folders, to libraries, to calls. Needs no packages.

    tusk.py OUT KIND COMPILER       serves the kernels or models that were built below OUT (turns.py)
"""

import array
import ctypes
import hashlib
import json
import mmap
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import cells
import support
import turns

FLAGS = ["-std=c++17", "-O3", "-march=native", "-fno-exceptions", "-fno-rtti", "-fPIC", "-shared"]
COMMANDS = {"gcc": "g++", "clang": "clang++", "mlir": "g++"}  # of objects GCC makes a library
OBJECT = "object"  # the folder of what the MLIR back end emits, in that of the C++
# The formula of each role, for a product and for a convolution; m is the multiplier of a depthwise one.
PRODUCT = "a[n,k] b[k,o] -> y[n,o]"
FORMULAS = {
    ("forward", False): "a[n,h,w,c] b[i,j,c,o] -> y[n,p<{p},q<{q},o]",
    ("forward", True): "a[n,h,w,c] b[i,j,c,m] -> y[n,p<{p},q<{q},c,m]",
    ("dgrad", False): "a[n,p,q,o] b[i,j,c,o] -> y[n,h<{h},w<{w},c]",
    ("dgrad", True): "a[n,p,q,c,m] b[i,j,c,m] -> y[n,h<{h},w<{w},c]",
    ("wgrad", False): "a[n,h,w,c] b[n,p,q,o] -> y[i<{i},j<{j},c,o]",
    ("wgrad", True): "a[n,h,w,c] b[n,p,q,c,m] -> y[i<{i},j<{j},c,m]",
}


def formula(kernel):
    g = kernel.geometry
    if len(kernel.shapes[1]) == 2:
        return PRODUCT
    factor = f"{g.stride}*" if g.stride > 1 else ""
    offset = f" - {g.low}" if g.low else ""
    where = f" where h == {factor}p + i{offset}, w == {factor}q + j{offset}"
    return FORMULAS[kernel.role, g.depthwise].format(**vars(g)) + where


def type_of(shape, has_batch):
    return "f32[" + ",".join(["batch" if has_batch else str(shape[0]), *map(str, shape[1:])]) + "]"


def graph_text(kernel):
    """The kernel as layers and their gradients are traced, and the constants that `file(offset)` refers to, in order."""
    g = kernel.geometry
    operands, _ = kernel.shapes
    parameters, constants, lines, offset = [], [], [], 0
    for name, shape in operands.items():
        if kernel.constant and name in ("w", "bias"):
            constants.append(f"const @{name} : {type_of(shape, False)} = file({offset})")
            offset += 4 * cells.elements(shape)
        else:
            parameters.append(f"%{name}: {type_of(shape, name in ('x', 'dy'))}")
    values = [f"@{n}" if kernel.constant and n in ("w", "bias") else f"%{n}" for n in operands]
    if kernel.bias:
        shape, last = kernel.shapes[1], len(kernel.shapes[1]) - 1
        sizes = ",".join(["batch", *map(str, shape[1:])])
        if g.depthwise:
            lines.append(f"%pairs = reshape @bias {{shape=[{g.c},1]}}")
            lines.append(f"%spread = broadcast %pairs {{shape=[{sizes},1], dims=[{last},{last + 1}]}}")
        else:
            lines.append(f"%spread = broadcast @bias {{shape=[{sizes}], dims=[{last}]}}")
        values[-1] = "%spread"
    if g.depthwise and kernel.role != "forward":
        at = 0 if kernel.role == "dgrad" else 1
        lines.append(f"%column = reshape %dy {{shape=[batch,{g.p},{g.q},{g.o},1]}}")
        values[at] = "%column"
    is_reshaped = g.depthwise and kernel.role == "forward"
    lines.append(f"%{'z' if is_reshaped else 'y'} = contract {', '.join(values)} {{ {formula(kernel)} }}")
    if is_reshaped:
        lines.append(f"%y = reshape %z {{shape=[batch,{g.p},{g.q},{g.o}]}}")
    head = [f"module {kernel.name} numerics 1 / fma", f"symbol batch in {g.n}..{g.n}", *constants]
    return "\n".join([*head, f"func f({', '.join(parameters)}) -> (%y) {{", *[f"  {line}" for line in lines], "}", ""])


def digest(*parts):
    out = hashlib.sha256()
    for part in parts:
        out.update(part if isinstance(part, bytes) else str(part).encode())
        out.update(b"\0")
    return out.hexdigest()


def is_made(folder, what, key):
    mark = folder / f"{what}.made"
    return mark.exists() and mark.read_text() == key


def emit_kernel(kernel, out, emitter, objects=False):
    """The emitted folder of a kernel, with an object too; made again if the text or the compiler has changed."""
    folder = out / "kernels" / kernel.name
    folder.mkdir(parents=True, exist_ok=True)
    text = graph_text(kernel)
    key = digest(text, emitter.stat().st_mtime_ns, objects)
    if not is_made(folder, "emitted", key):
        (folder / "text").write_text(text)
        library = support.Library(out)
        with open(folder / "constants", "wb") as file:
            for name, shape in kernel.shapes[0].items():
                if kernel.constant and name in ("w", "bias"):
                    memory = support.Memory(4 * cells.elements(shape))
                    library.fill(memory.address, cells.elements(shape), name)
                    file.write(memory.map)
        try:
            for made in (folder, folder / OBJECT)[: 1 + objects]:
                made.mkdir(exist_ok=True)
                command = [emitter, folder / "text", folder / "constants", made, "native", *["mlir"] * (made != folder)]
                subprocess.run(command, check=True, capture_output=True, text=True)
        finally:
            (folder / "constants").unlink()
        (folder / "emitted.made").write_text(key)
    return folder


def emit_model(base, batch, tusk, *more, objects=False):
    """The emitted folder of a .keras file: BASE_tusk, with an object too."""
    folder = base.with_name(f"{base.name}_tusk")
    folder.mkdir(exist_ok=True)
    key = digest(pathlib.Path(f"{base}.keras").stat().st_mtime_ns, tusk.stat().st_mtime_ns, batch, more, objects)
    if not is_made(folder, "emitted", key):
        options = ["--target", "native", "--dim", f"batch={batch}..{batch}", "--name", base.name, *more]
        for made in (folder, folder / OBJECT)[: 1 + objects]:
            backend = ["--backend", "mlir"] if made != folder else []
            command = [tusk, "compile", f"{base}.keras", "-o", made, *options, *backend]
            subprocess.run(command, check=True, capture_output=True, text=True)
        (folder / "emitted.made").write_text(key)
    return folder


def compile_folder(folder, compiler):
    """NAME.so of an emitted folder by a compiler ("gcc", "clang", "mlir"); made again if the text has changed."""
    manifest = json.loads((folder / "manifest.json").read_text())
    name = manifest["name"]
    object = folder / OBJECT / f"{name}.o"
    sources = [object] if compiler == "mlir" else [p for p in (folder / f"{name}.cpp", folder / f"{name}_weights.cpp") if p.exists()]
    texts = [p.read_bytes() for p in [*sources, folder / f"{name}.hpp", *sorted(folder.glob("tusk_*.hpp"))]]
    library = folder / f"{compiler}.so"
    key = digest(*texts, *FLAGS, COMMANDS[compiler])
    if not (library.exists() and is_made(folder, compiler, key)):
        command = [COMMANDS[compiler], *FLAGS, *sources, "-o", library]
        subprocess.run(command, check=True, capture_output=True, text=True)
        (folder / f"{compiler}.made").write_text(key)
    return library


class Emitted:
    """An emitted folder, loaded: its functions by the C interface."""

    def __init__(self, folder, compiler):
        self.manifest = json.loads((folder / "manifest.json").read_text())
        self.prefix = self.manifest["identifier"]
        self.library = ctypes.CDLL(str(folder / f"{compiler}.so"))
        self.arena = support.Memory(self.manifest["arena_bytes"])
        self.weights = None
        if not self.has_state():
            with open(folder / f"{self.prefix}.weights", "rb") as file:
                size = file.seek(0, 2)
                self.weights_map = mmap.mmap(file.fileno(), size, flags=mmap.MAP_PRIVATE)
            self.weights = (ctypes.c_void_p * 2)()
            begin = ctypes.addressof(ctypes.c_char.from_buffer(self.weights_map))
            self.must(self.symbol("open")(ctypes.c_void_p(begin), ctypes.c_size_t(size), self.weights))

    def has_state(self):
        return "state" in self.manifest

    def symbol(self, name):
        return getattr(self.library, f"{self.prefix}_{name}")

    def must(self, status):
        if status != 0:
            raise RuntimeError(f"{self.prefix} returns status {status}")

    def call(self, name, addresses, state=None, threads=None):
        """(function, arguments) of a call whose inputs, then outputs, lie at `addresses`; `threads` are lent to it."""
        function = next(f for f in self.manifest["functions"] if f["name"] == name)
        symbols = {s["name"]: s["high"] for s in self.manifest["symbols"]}
        self.io = getattr(self, "io", [])
        self.io.append((ctypes.c_void_p * len(addresses))(*addresses))
        data = ctypes.addressof(self.weights) if state is None else state
        sizes = [symbols[s] for s in function["symbols"]]
        arguments = [self.arena.address, data, *sizes, ctypes.addressof(self.io[-1])]
        if threads is None:
            return self.symbol(function["identifier"]), arguments
        return self.symbol(function["identifier"] + "_with"), [threads, *arguments]


class Loaded:
    """A function without state, its inputs and its result, which a first call has given."""

    def __init__(self, emitted, name, inputs, result):
        self.emitted, self.name, self.inputs, self.result = emitted, name, inputs, result
        function, arguments = self.call()
        emitted.must(function(*[ctypes.c_void_p(a) for a in arguments]))

    def call(self, threads=None):
        return self.emitted.call(self.name, [m.address for m in (*self.inputs, self.result)], threads=threads)

    def repeated(self, library, threads=None, elapsed=False):
        return library.repeated(*self.call(threads), self, elapsed)


def load_kernel(out, compiler, library, name):
    kernel = cells.kernels()[name]
    emitted = Emitted(out / "kernels" / name, compiler)
    operands = {}
    for operand, shape in kernel.shapes[0].items():
        operands[operand] = support.Memory(4 * cells.elements(shape))
        library.fill(operands[operand].address, cells.elements(shape), operand)
    result = support.Memory(4 * cells.elements(kernel.shapes[1]))
    inputs = [m for o, m in operands.items() if not (kernel.constant and o in ("w", "bias"))]
    loaded = Loaded(emitted, "f", inputs, result)
    loaded.facts = library.check(kernel, [m.address for m in operands.values()], result.address)
    return loaded


def load_model(out, compiler, library, name):
    base = out / "models" / name
    emitted = Emitted(out / "models" / f"{name}_tusk", compiler)
    truth = array.array("f", pathlib.Path(f"{base}.y0").read_bytes())
    loaded = Loaded(emitted, "predict", [memory_of(f"{base}.x0")], support.Memory(4 * len(truth)))
    loaded.facts = support.compare(array.array("f", loaded.result.map[:]), truth)
    return loaded


def opener(load):
    def open_cell(out, compiler, library, name):
        loaded = load(out, compiler, library, name)
        return loaded.repeated(library), loaded.facts

    return open_cell


def memory_of(path):
    data = pathlib.Path(path).read_bytes()
    memory = support.Memory(len(data))
    memory.map[:] = data
    return memory


def open_training(out, compiler, library, name):
    base, what = out / "training" / name, cells.TRAINING[name]
    emitted = Emitted(out / "training" / f"{name}_tusk", compiler)
    state = support.Memory(emitted.manifest["state"]["bytes"])
    emitted.must(emitted.symbol("init")(ctypes.c_void_p(state.address)))
    x, y, loss = memory_of(f"{base}.x0"), memory_of(f"{base}.y0"), support.Memory(4)
    function, arguments = emitted.call("train_step", [x.address, y.address, loss.address], state.address)
    losses = []
    for _ in range(cells.CHECKED_STEPS):
        emitted.must(function(*[ctypes.c_void_p(a) for a in arguments]))
        losses.append(array.array("f", loss.map[:])[0])
    truth = json.loads(pathlib.Path(f"{base}.json").read_text())["losses"]
    facts = support.compare_losses(losses, truth, what)
    return library.repeated(function, arguments, keep=(emitted, state, x, y, loss)), facts


OPENERS = {"kernels": opener(load_kernel), "models": opener(load_model), "training": open_training}


def version_of(compiler):
    if compiler == "mlir":
        return "llvm 22"
    command = [COMMANDS[compiler], "-dumpfullversion" if compiler == "gcc" else "-dumpversion"]
    return f"{compiler} {subprocess.run(command, capture_output=True, text=True).stdout.strip()}"


def main():
    out, kind, compiler = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    library = support.Library(out)
    turns.serve(lambda name: OPENERS[kind](out, compiler, library, name), {"version": version_of(compiler)})


if __name__ == "__main__":
    main()
