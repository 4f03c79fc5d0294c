"""What the generators of loop text share: names, scopes, register tiles, copies; and the table of cases."""

import dataclasses
import re


@dataclasses.dataclass
class Case:
    name: str
    reference: str  # graph text, or kernel text where an order of sums is asked for that N4 would not choose
    text: str
    flops: float
    group: str
    is_kernel: bool = False


CASES = {}


def renamed(lines):
    """Lines of a function, every definition under a name of its own, as the loop IR demands; scopes are braces."""
    taken, scopes, pending, result = set(), [{}], [], []

    def new(name):
        unique, count = name, 1
        while unique in taken:
            count += 1
            unique = f"{name}_{count}"
        taken.add(unique)
        return unique

    def read(text):
        return re.sub(r"[A-Za-z_]\w*", lambda m: next((s[m[0]] for s in reversed(scopes) if m[0] in s), m[0]), text)

    def define(name):
        scopes[-1][name] = new(name)
        return scopes[-1][name]

    for line in lines:
        indent = line[: len(line) - len(line.lstrip())]
        text = line.strip()
        if text.startswith("loop "):
            taken, scopes = set(re.findall(r"(\w+):", text)), [{}, {}]
            pending = [[]]
        elif match := re.fullmatch(r"(?:(.*?) = )?for (\w+) = (.*) to (.*) step (\d+)(?: carry \((.*)\))? \{", text):
            results, index, low, high, step, carry = match.groups()
            low, high = read(low), read(high)
            carries = [c.split(" = ", 1) for c in re.split(r", (?=\w+ = )", carry)] if carry else []
            inits = [read(value) for _, value in carries]
            outer = results.split(", ") if results else []
            names = [new(name) for name in outer]
            pending.append(list(zip(outer, names)))
            scopes.append({})
            index = define(index)
            carried = ", ".join(f"{define(name)} = {init}" for (name, _), init in zip(carries, inits))
            text = (f"{', '.join(names)} = " if names else "") + f"for {index} = {low} to {high} step {step} "
            text += f"carry ({carried}) {{" if carry else "{"
        elif text.startswith("if "):
            text = read(text)
            pending.append([])
            scopes.append({})
        elif text == "} else {":
            scopes[-1] = {}
        elif text == "}":
            scopes.pop()
            for name, unique in pending.pop():
                scopes[-1][name] = unique
        elif match := re.fullmatch(r"(?:(\w+) = |let (\w+): (\S+) = )(.*)", text):
            value = read(match[4])
            text = f"{define(match[1])} = {value}" if match[1] else f"let {define(match[2])}: {match[3]} = {value}"
        else:
            text = read(text)
        result.append(indent + text)
    return result


def case(name, group, flops, reference, lines, is_kernel=False):
    CASES[name] = Case(name, reference, "\n".join(renamed(lines)) + "\n", flops, group, is_kernel)


def graph(parameters, body):
    return f"module m numerics 1 / fma\nfunc f({parameters}) -> (%y) {{\n{body}\n}}\n"


def contraction(a, b, spec):
    return graph(f"%a: f32{a}, %b: f32{b}", f"  %y = contract %a, %b {{ {spec} }}")


def fma_tile(rows, vectors, loops, x, w, init, store, steps=((),)):
    """A register tile: rows x vectors accumulators of 8 lanes, carried through a nest of reduce loops.

    loops: (name, low, high, step), outermost first. `steps` are the unrolled reduce positions of the innermost body;
    x(row, step) is a scalar value, w(vector, step) a vector value.
    """
    accs = [(r, v) for r in range(rows) for v in range(vectors)]
    out = []
    inner = [f"{init(r, v)}" for r, v in accs]
    depth = len(loops)
    for d, (name, low, high, step) in enumerate(loops):
        results = ", ".join(f"r{d}_{r}_{v}" for r, v in accs)
        carry = ", ".join(f"a{d}_{r}_{v} = {value}" for (r, v), value in zip(accs, inner))
        out.append(f"{results} = for {name} = {low} to {high} step {step} carry ({carry}) {{")
        inner = [f"a{d}_{r}_{v}" for r, v in accs]
    now = dict(zip(accs, inner))
    for s, step in enumerate(steps):
        for v in range(vectors):
            out.append(f"  w{s}_{v} = {w(v, step)}")
        for r in range(rows):
            out.append(f"  x{s}_{r} = splat 8 {x(r, step)}")
            for v in range(vectors):
                out.append(f"  t{s}_{r}_{v} = fma(x{s}_{r}, w{s}_{v}, {now[r, v]})")
                now[r, v] = f"t{s}_{r}_{v}"
    for d in reversed(range(depth)):
        out.append("yield " + ", ".join(now[a] for a in accs))
        out.append("}")
        now = {(r, v): f"r{d}_{r}_{v}" for r, v in accs}
    return out + [store(r, v, now[r, v]) for r, v in accs]


def loop(name, low, high, step, body):
    return [f"for {name} = {low} to {high} step {step} {{", *("  " + line for line in body), "}"]


def func(name, parameters, body):
    return [f"loop {name}({', '.join(parameters)}) {{", *("  " + line for line in body), "}", ""]


def const(name, *shape):
    return f'{name}: f32* const "[{",".join(map(str, shape))}]"'


def out(name, *shape):
    return f'{name}: f32* "[{",".join(map(str, shape))}]"'


zero = "splat 8 f32(0)"


def zeros(_row, _vector):
    return zero


def copied(to, source, count, lanes=8, unroll=4):
    """Statements that copy `count` floats, or fill with zeros if there is no source."""
    step = lanes * unroll if count % (lanes * unroll) == 0 else lanes
    assert count % step == 0
    body = []
    for u in range(0, step, lanes):
        value = f"splat {lanes} f32(0)" if source is None else f"load f32x{lanes} {source(f'at + {u}')}"
        buffer, index = to(f"at + {u}")
        body.append(f"store {buffer}[{index}], {value}")
    return loop("at", 0, count, step, body)


def tiles_of(extent, most):
    """(low, high, tile): whole tiles, then one smaller tile."""
    whole = extent // most * most
    return [t for t in ((0, whole, most), (whole, extent, extent - whole)) if t[0] < t[1]]


def kernel_text(parameters, result, formula):
    names = [p.split(":")[0] for p in re.findall(r"\w+: f32\[[^]]*\]", parameters)]
    tensors = "".join(f"  tensor {p} input\n" for p in re.findall(r"\w+: f32\[[^]]*\]", parameters))
    return (
        f'program "p" profile fma\nkernel kern({parameters}) -> (y) {{\n  {formula}\n}}\n'
        f"func f({', '.join(names)}) -> (y) {{\n{tensors}  tensor y: {result} output\n"
        f"  y = kern({', '.join(names)})\n}}\n"
    )
