"""Rewrites the expectations of text tests that hold the whole output of their RUN line.

    python3 tests/lit/update.py build/release [PATTERN]

Such a file has one RUN line that ends in `| FileCheck %s`, and a line `# Written by ./dev test --update`; what follows is
written here: `# CHECK:`, then `# CHECK-NEXT:` or `# CHECK-EMPTY:` for each line of the output.
"""
import glob
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
MARK = "# Written by ./dev test --update"


def checks(output):
    """The CHECK lines for an output."""
    lines = output.rstrip("\n").split("\n")
    for number, line in enumerate(lines):
        line = line.replace("{{", "{{[{][{]}}").replace("[[", "{{\\[\\[}}")
        if not line.strip():
            yield "# CHECK-EMPTY:"
        else:
            yield f"# CHECK{'-NEXT' if number else ''}: {line}"


def update(path, build):
    text = path.read_text(encoding="utf-8")
    if f"\n{MARK}\n" not in text:
        return False
    commands = re.findall(r"^# RUN: (.*)\| FileCheck %s$", text, re.MULTILINE)
    if len(commands) != 1 or text.count("# RUN:") != 1:
        sys.exit(f"{path}: expected one RUN line that ends in `| FileCheck %s`")
    command = commands[0]
    for name, value in (("%tusk-opt", build / "tools/tusk-opt"), ("%tusk", build / "tools/tusk"),
                        ("%root", HERE.parent.parent), ("%s", path)):
        command = command.replace(name, str(value))
    path_with_tools = os.pathsep.join(sorted(glob.glob("/usr/lib/llvm-*/bin"), reverse=True) + [os.environ["PATH"]])
    run = subprocess.run(command, shell=True, capture_output=True, text=True, env={**os.environ, "PATH": path_with_tools})
    if run.returncode:
        print(f"{path}: its command fails, left alone\n{run.stdout}{run.stderr}", file=sys.stderr)
        return False
    new = text[:text.index(f"\n{MARK}\n")] + f"\n{MARK}\n" + "\n".join(checks(run.stdout)) + "\n"
    if new != text:
        path.write_text(new, encoding="utf-8")
    return new != text


def main(build, pattern=""):
    for path in sorted(HERE.rglob("*.tusk")):
        if re.search(pattern, str(path.relative_to(HERE))) and update(path, pathlib.Path(build).resolve()):
            print(f"updated {path.relative_to(HERE.parent.parent)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
