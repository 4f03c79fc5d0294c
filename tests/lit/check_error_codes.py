"""Every error code of the sources has a heading in docs/errors.md and a test that makes the error happen.

    python3 tests/lit/check_error_codes.py build/release/tools/tusk-opt

A code is the text in brackets behind a message: `unknown op ... [op-unknown]`. Codes are found where an error is made; a
call that makes its code in another way than those below is reported, so that it cannot slip through.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDERS = ("ir", "passes", "frontend", "driver", "tools", "codegen")

# error("code", ...); fail("code", ...) of layers, of the importer and of the loop verifier; unknown("code", ...).
LITERAL = re.compile(r'\b(?:error|fail|fail_at|unknown)\(\s*"([a-z0-9_]+(?:-[a-z0-9_]+)*)",')
# In these files fail("rule", ...) is short for the code with a prefix.
PREFIXED = {
    "ir/kernel/verify.cpp": ("kernel", re.compile(r'\b(?:fail\(|kernel_error\(kernel,)\s*"([a-z0-9]+)",')),
    "ir/kernel/verify_schedule.cpp": ("schedule", re.compile(r'\b(?:fail\(|schedule_error\(\s*kernel,)\s*"([a-z0-9]+)",')),
}
# Calls whose code is no literal: definitions, the prefixes above, and lexical errors, which become `syntax`.
COMPUTED = re.compile(r'\berror\((?!\s*")\s*([^\n]*)')
KNOWN_COMPUTED = ("std::string code, std::string message)", "std::move(code),",
                  'fmt::format("{}-{}", op.def->name, label)',
                  'fmt::format("kernel-{}", rule)', 'fmt::format("schedule-{}", rule)')

# Codes whose message, not the code, stands in a unit test: a part of it.
BY_MESSAGE = {
    "activation-name": "no activation is named",
    "field-word": "is unknown",
    "hdf5": 'HasSubstr("damaged")',
    "layer-not-called": "has never been called",
    "schedule-inout": "which wants the old value of",
    "weight-count": "arrays are given for",
    "weight-shape": "has shape (",
}

# Codes without a test, and why.
FAULT = "a fault of Tusk, which no text and no file brings about"
PARSER = "from a text, the parser refuses it first"
CXX = "only C++ that builds a model brings it about"
SHARED = "a constraint that the op shares with others, and that only those can break"
UNTESTED = {
    "archive-write": "needs a disk that is full",
    "argwindow-c6": SHARED,
    "body": FAULT,
    "codegen": FAULT,
    "codegen-cpp": FAULT,
    "contract-c4": "says what the op means; nothing can break it",
    "field-axes": CXX,
    "gradient-type": FAULT,
    "input-call": CXX,
    "loop-row": PARSER,
    "loop-yield": PARSER,
    "no-evaluate": FAULT,
    "run": FAULT,
    "state": FAULT,
    "simplify": FAULT,
    "unwindow-c4": SHARED,
    "unwindow-c5": SHARED,
    "window-c5": SHARED,
    "window-c6": SHARED,
}


def code_lines():
    """(code, file:line) for each place that makes an error, and the places whose code is not understood."""
    found, strange = [], []
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.[ch]pp")):
            name = path.relative_to(ROOT).as_posix()
            text = path.read_text(encoding="utf-8")
            where = lambda match: f"{name}:{text.count(chr(10), 0, match.start()) + 1}"
            if name in PREFIXED:
                prefix, pattern = PREFIXED[name]
                for match in pattern.finditer(text):
                    found.append((f"{prefix}-{match[1]}", where(match)))
            elif not name.startswith("ir/ops/"):
                found += [(match[1], where(match)) for match in LITERAL.finditer(text) if match[1] != "operands"]
            else:
                found += [(match[1], where(match)) for match in re.finditer(r'\berror\(\s*"([a-z0-9-]+)",', text)]
            for match in COMPUTED.finditer(text):
                if not match[1].startswith(KNOWN_COMPUTED) and match[1].strip() and not match[1].startswith(")"):
                    strange.append(where(match))
    return found, strange


def op_codes(tusk_opt):
    """The constraints of the ops, and the code of a wrong number of operands."""
    text = subprocess.run([tusk_opt, "--ops"], capture_output=True, text=True, check=True).stdout
    codes = re.findall(r"^- \*\*([a-z_]+-c\d+)\*\*", text, re.MULTILINE)
    return [(code, "ir/ops") for code in codes] + [(f"{op}-operands", "ir/graph/op.cpp")
                                                   for op in re.findall(r"^## (\w+)$", text, re.MULTILINE)]


def main(tusk_opt):
    found, problems = code_lines()
    problems = [f"{place}: an error whose code this script does not understand" for place in problems]
    found += op_codes(tusk_opt)
    places = {}
    for code, place in found:
        places.setdefault(code, place)

    text = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    headings = [code for line in re.findall(r"^### (.*)$", text, re.MULTILINE) for code in line.split(", ")]
    described = set(headings)
    problems += [f"docs/errors.md: two headings for {code}" for code in described if headings.count(code) > 1]
    any_op = "OP-operands" in described
    described |= {code for code in places if any_op and code.endswith("-operands")}
    missing = sorted(places.keys() - described)
    problems += [f"{places[code]}: {code} has no heading in docs/errors.md" for code in missing]
    unused = described - places.keys() - {"OP-operands"}
    problems += [f"docs/errors.md: {code} is in no source" for code in sorted(unused)]

    tested = set()
    for path in sorted((ROOT / "tests/lit").rglob("*.tusk")):
        expected = re.findall(r"^# [A-Z]+(?:-NEXT)?:[^\n]*\[([a-z0-9_-]+)\]", path.read_text("utf-8"), re.MULTILINE)
        tested |= set(expected)
    units = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests/unit").glob("*.[ch]pp")))
    tested |= set(re.findall(r"\b[a-z0-9_]+(?:-[a-z0-9_]+)+\b", units))
    tested |= {code for code, part in BY_MESSAGE.items() if part in units}
    tested |= {code for code in places if code.endswith("-operands")} if "transpose-operands" in tested else set()
    for code in sorted(places.keys() - tested):
        if code not in UNTESTED:
            problems.append(f"{places[code]}: {code} has no test")
    problems += [f"{code} is listed as untested, but has a test" for code in sorted(UNTESTED.keys() & tested)]
    gone = sorted((UNTESTED.keys() | BY_MESSAGE.keys()) - places.keys())
    problems += [f"{code} is listed in this script, but is in no source" for code in gone]

    print("\n".join(problems))
    print(f"{len(places)} error codes, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
