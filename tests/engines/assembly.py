"""Vector spills in hot loops of x86-64 assembly, as GCC and Clang print it (AT&T).

A hot loop is an innermost loop with a vector multiply. A spill in it is a vector register that is stored to the
function's frame, or read from there, in whole: by a move, or as an operand of arithmetic. Scalars and broadcasts of
them are none.
"""

import dataclasses
import re

LABEL = re.compile(r"^([.\w$]+):")
JUMP = re.compile(r"^j\w+\s+(\S+)$")
FUNCTION = re.compile(r"^\s*\.type\s+(\S+),\s*@function")
VECTOR = re.compile(r"%[xyz]mm\d+")
ARITHMETIC = re.compile(r"vf?n?m(add|sub|ul)\w*p[sd]\b")
SCALAR = re.compile(r"\w+(s[sd]|broadcast\w*|[dq])\b")  # vmovss, vbroadcastss, vmovd
WHOLE = re.compile(r"vmovdq[au]\w*\b")
EMBEDDED = re.compile(r"\{1to\d+\}")


@dataclasses.dataclass(frozen=True)
class Loop:
    function: str
    label: str
    multiplies: int
    stores: tuple  # the instructions
    loads: tuple


@dataclasses.dataclass
class Block:
    label: str
    lines: list
    next: list  # labels


def functions_of(text):
    """The lines of each function, by its name."""
    found, name, lines = {}, None, []
    for line in text.splitlines():
        line = line.split("#")[0].rstrip()
        label = LABEL.match(line)
        if match := FUNCTION.match(line):
            name = match[1]
        elif label and label[1] == name:
            lines = found.setdefault(name, [])
        elif re.match(r"\s*\.size\s", line):
            name, lines = None, []
        elif label:
            lines.append(label[0])
        elif line and not line.lstrip().startswith("."):
            lines.append(" ".join(line.split()))
    return found


def blocks_of(lines):
    """Blocks by their labels, each with those that may follow."""
    blocks = {}
    block = None

    def begin(label):
        nonlocal block
        if block is not None:
            block.next.append(label)
        block = blocks[label] = Block(label, [], [])

    begin("entry")
    for at, line in enumerate(lines):
        if match := LABEL.match(line):
            begin(match[1])
            continue
        if block is None:
            begin(f"behind {at}")
        block.lines.append(line)
        ends = line.startswith(("ret", "jmp", "ud2"))
        jump = JUMP.match(line)
        if jump and not jump[1].startswith("*"):
            block.next.append(jump[1])
        if ends:
            block = None
        elif jump:
            begin(f"behind {at}")
    for block in blocks.values():
        block.next = [label for label in dict.fromkeys(block.next) if label in blocks]  # others leave the function
    return blocks


def components(labels, blocks, without):
    """Strongly connected components of some blocks (Tarjan's), without edges to the blocks `without`."""
    index, low, stack, on_stack, found = {}, {}, [], set(), []
    for root in labels:
        if root in index:
            continue
        work = [(root, iter(blocks[root].next))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            label, successors = work[-1]
            child = next((n for n in successors if n in labels and n not in without), None)
            if child is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[label])
                if low[label] == index[label]:
                    at = stack.index(label)
                    found.append(stack[at:])
                    on_stack.difference_update(stack[at:])
                    del stack[at:]
            elif child not in index:
                index[child] = low[child] = len(index)
                stack.append(child)
                on_stack.add(child)
                work.append((child, iter(blocks[child].next)))
            elif child in on_stack:
                low[label] = min(low[label], index[child])
    return found


def innermost_loops(blocks):
    """Each a list of blocks, its header first."""
    found = []

    def visit(labels, without):
        """Whether there is a loop."""
        any_loop = False
        for part in components(labels, blocks, without):
            inside = set(part)
            if len(part) == 1 and (part[0] in without or part[0] not in blocks[part[0]].next):
                continue
            any_loop = True
            entries = [label for label in part if any(label in blocks[p].next for p in blocks if p not in inside)]
            headers = without | set(entries or part[:1])
            if not visit(dict.fromkeys(part), headers):
                order = [label for label in blocks if label in inside]
                found.append([blocks[label] for label in order])
        return any_loop

    visit(dict.fromkeys(blocks), frozenset())
    return found


def operands_of(line):
    """Of an instruction: split at commas outside of parentheses."""
    words = line.split(" ", 1)
    return re.findall(r"(?:[^,(]|\([^)]*\))+", words[1]) if len(words) > 1 else []


def spill_of(line, frames):
    """'store' or 'load' if a vector register moves from or to the frame as a whole, else None."""
    if not VECTOR.search(line):
        return None
    name = line.split(" ", 1)[0]
    if EMBEDDED.search(line) or (SCALAR.fullmatch(name) and not WHOLE.fullmatch(name)):
        return None
    operands = [operand.strip() for operand in operands_of(line)]
    for at, operand in enumerate(operands):
        base = re.search(r"\((%\w+)", operand)
        if base and base[1] in frames:
            return "store" if at == len(operands) - 1 else "load"
    return None


def hot_loops(text):
    """All innermost loops with a vector multiply."""
    found = []
    for function, lines in functions_of(text).items():
        # Without a frame pointer rbp is a register like others.
        frames = {"%rsp"} | ({"%rbp"} if "movq %rsp, %rbp" in lines else set())
        for blocks in innermost_loops(blocks_of(lines)):
            inside = [line for block in blocks for line in block.lines]
            multiplies = sum(1 for line in inside if ARITHMETIC.match(line))
            if multiplies == 0:
                continue
            spills = {"store": [], "load": []}
            for line in inside:
                if kind := spill_of(line, frames):
                    spills[kind].append(line)
            found.append(Loop(function, blocks[0].label, multiplies, tuple(spills["store"]), tuple(spills["load"])))
    return found
