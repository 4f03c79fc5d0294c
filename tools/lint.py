"""What `./dev lint` checks: includes point down, formatting, file lengths, names, clang-tidy.

    python3 tools/lint.py [--fast] [--build build/dev] [--list] [FILES]

--fast leaves clang-tidy out, --list only prints the files that clang-format owns. With FILES, only they are checked.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Which folders a folder may include; the longest matching prefix counts. Every arrow points down (README, "The house").
MAY_INCLUDE = {
    "frontend": ["frontend", "ir"],
    "ir": ["ir"],
    "passes": ["passes", "ir"],
    "codegen/cpp": ["codegen/cpp", "ir"],
    "codegen/mlir": ["codegen/mlir", "codegen/cpp", "ir"],
    "driver": ["driver", "passes", "codegen", "ir", "runtime"],
    "runtime": ["runtime"],
    "tools": ["tools", "driver", "frontend", "passes", "codegen", "ir"],
    "tests": ["tests", "tools", "driver", "frontend", "passes", "codegen", "ir", "runtime"],
    "bench": ["bench", "driver", "frontend", "passes", "codegen", "ir", "runtime"],
    "examples": ["examples", "driver", "frontend", "passes", "codegen", "ir"],
}

# Libraries that only some folders may see.
ONLY_IN = [
    (re.compile(r"hdf5|H5|zip\.h"), ["frontend/files", "frontend/import", "frontend/export"]),
    (re.compile(r"google/protobuf|onnx"), ["frontend/import", "frontend/export"]),
    (re.compile(r"Eigen/"), ["ir/graph"]),
    (re.compile(r"mlir/|mlir-c/|llvm/|llvm-c/"), ["codegen/mlir"]),
    (re.compile(r"CLI/"), ["tools", "bench"]),
]

LIST_LINES, REFUSE_LINES = 500, 800
# Files that may be longer, each with its reason.
LONG_FILES = {
    "bench/experiment/kernels.py": "eight kernels, each shown in full",
    "ir/loop/instruction.cpp": "the instructions of the loop interpreter, one after the other",
    "ir/loop/parse.cpp": "one grammar",
    "ir/row/bodies.inc": "the texts of rows, one after the other",
    "tests/parity/record.py": "a table of models, and what records them",
    "tests/unit/codegen_test.cpp": "tests of one printer",
    "tests/unit/graph_test.cpp": "tests of one IR",
    "tests/unit/kernel_test.cpp": "tests of one IR",
    "tests/unit/loop_test.cpp": "tests of one IR",
    "runtime/tusk_runtime.hpp": "travels with emitted code, which needs one file and no other",
}

CPP = {".cpp", ".hpp", ".inc", ".h"}
TEXT = CPP | {".py", ".cmake"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def sources(suffixes):
    """Files of the tree with one of the suffixes, without builds, hidden folders, fuzzing corpora and what a tour leaves in out/."""
    for folder, folders, files in os.walk(ROOT):
        at = pathlib.Path(folder).relative_to(ROOT)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__pycache__"
                            and str(at / f) not in ("build", "out", "tests/fuzz/corpus"))
        for name in sorted(files):
            if pathlib.Path(name).suffix in suffixes:
                yield at / name


def starts(path, folder):
    return path == folder or path.startswith(folder + "/")


def include_problems(path):
    """Includes of a file that point up, or at a library that is none of its business."""
    text = (ROOT / path).read_text(encoding="utf-8", errors="replace")
    name = path.as_posix()
    own = max((f for f in MAY_INCLUDE if starts(name, f)), key=len, default=None)
    for found in INCLUDE.finditer(text):
        bracket, header = found.groups()
        where = f"{name}:{text.count(chr(10), 0, found.start()) + 1}"
        if bracket == '"':
            in_tree = any(starts(header, folder.split("/")[0]) for folder in MAY_INCLUDE)
            if in_tree and own and not any(starts(header, f) for f in MAY_INCLUDE[own]):
                yield f'{where}: {own}/ may not include "{header}"; it may include {", ".join(MAY_INCLUDE[own])}'
            if in_tree and not (ROOT / header).exists():
                yield f'{where}: "{header}" does not exist'
        elif own == "runtime" and re.search(r"[/.]", header) and header not in ("immintrin.h", "arm_neon.h"):
            yield f"{where}: runtime/ may include the standard library only, not <{header}>"
        for pattern, folders in ONLY_IN:
            if bracket == "<" and pattern.match(header) and not any(starts(name, f) for f in folders):
                yield f'{where}: <{header}> may be seen only in {", ".join(folders)}'


def length_problems(path):
    """Lines of a file that is too long; a list of what comes near is printed."""
    lines = (ROOT / path).read_bytes().count(b"\n")
    if lines > LIST_LINES:
        print(f"  {lines:5} lines  {path}  {LONG_FILES.get(path.as_posix(), '')}".rstrip())
    if lines > REFUSE_LINES and path.as_posix() not in LONG_FILES:
        yield f"{path}: {lines} lines; split it, or give a reason in LONG_FILES of tools/lint.py"


# Clang 14, which builds the fuzz targets, refuses what libstdc++ 12 makes of a range's part.
PARTS = re.compile(r"std::ranges::(?:stable_partition|partition|unique|remove(?:_if)?|equal_range|rotate|search|subrange)\b")


def part_problems(path):
    """Algorithms of ranges that give back a part of them."""
    text = (ROOT / path).read_text(encoding="utf-8", errors="replace")
    for found in PARTS.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield f"{path}:{line}: Clang 14 cannot compile {found[0]}; take the algorithm of iterators"


# What a line at the left margin defines: a type, a constant, or a function with the types that it takes.
DEFINES = [re.compile(r"(?:struct|class|enum class) (\w+) (?:final )?(?::.*)?\{"),
           re.compile(r"(?:inline |static )*(?:constexpr|const) [^=({]*?(?<![:\w])(k[A-Z]\w*)(?:\[\w*\])? ?[={]"),
           re.compile(r"\w[\w:<>,*& ]* [*&]?(\w+\(.*\)) \{")]


def name_problems(paths):
    """Names that two files of a folder define for themselves: the release preset compiles sources of a folder together."""
    seen = {}
    for path in paths:
        inside, space = False, ""
        for line in (ROOT / path).read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("namespace {"):
                inside = True
            elif line.startswith("namespace "):
                space = line
            elif line.startswith("}  // namespace"):
                inside = False
            for pattern in DEFINES if inside else []:
                if (found := pattern.match(line)) and found[1] != "main()":  # that of a program in quotes
                    first = seen.setdefault((path.parent, space, found[1]), path)
                    if first != path:
                        yield f"{path}: {found[1]} also stands in {first}; share it, or give one another name"


def example_problems():
    """README shows the middle of examples/model/main.cpp as it stands there."""
    program = (ROOT / "examples/model/main.cpp").read_text(encoding="utf-8")
    middle = program[program.index("  Tensor inputs"):program.index("} catch")]
    if re.sub(r"^  ", "", middle, flags=re.MULTILINE).rstrip() not in (ROOT / "README.md").read_text(encoding="utf-8"):
        yield "README.md: not the middle of examples/model/main.cpp"


def format_problems(paths):
    if not paths:
        return
    run = subprocess.run(["clang-format", "--dry-run", "-Werror", *map(str, paths)], cwd=ROOT, capture_output=True,
                         text=True)
    for name in sorted(set(re.findall(r"^(\S+?):\d+:\d+: error: code should be clang-formatted", run.stderr,
                                      re.MULTILINE))):
        yield f"{name}: not formatted; run ./dev format"
    if run.returncode and "should be clang-formatted" not in run.stderr:
        yield run.stderr.strip()


def tidy(build, path):
    """clang-tidy on one file: its output if it found something."""
    run = subprocess.run(["clang-tidy", "--quiet", "-p", str(build), str(ROOT / path)], cwd=ROOT,
                         capture_output=True, text=True)
    return "" if run.returncode == 0 else (run.stdout + run.stderr).replace(f"{ROOT}/", "").strip()


def tidy_problems(build, paths):
    """clang-tidy on the files that the build knows, on all cores."""
    database = (build / "compile_commands.json").read_text(encoding="utf-8")
    known = [path for path in paths if f'"{ROOT / path}"' in database]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, text in enumerate(pool.map(lambda path: tidy(build, path), known), 1):
            if sys.stdout.isatty():
                print(f"\r  {done} of {len(known)} files", end="\n" if done == len(known) else "", flush=True)
            if text:
                yield text


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fast", action="store_true", help="without clang-tidy")
    parser.add_argument("--build", default="build/dev", help="build folder with compile_commands.json")
    parser.add_argument("--list", action="store_true", help="print the files to format and stop")
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_args()

    chosen = {(ROOT / name).resolve().relative_to(ROOT) for name in arguments.files}
    text = [path for path in sources(TEXT) if not chosen or path in chosen]
    cpp = [path for path in text if path.suffix in CPP]
    formatted = [path for path in cpp if path.suffix != ".inc"]
    if arguments.list:
        print(*formatted, sep="\n")
        return 0

    checks = [
        ("includes", lambda: (problem for path in cpp for problem in include_problems(path))),
        ("ranges", lambda: (problem for path in cpp for problem in part_problems(path))),
        (f"files of more than {LIST_LINES} lines", lambda: (p for path in text for p in length_problems(path))),
        ("names", lambda: name_problems([path for path in cpp if path.suffix == ".cpp"])),
        ("examples", example_problems),
        ("format", lambda: format_problems(formatted)),
    ]
    if not arguments.fast and shutil.which("clang-tidy"):
        checks.append(("clang-tidy", lambda: tidy_problems(ROOT / arguments.build,
                                                           [path for path in cpp if path.suffix == ".cpp"])))
    count = 0
    for title, check in checks:
        print(f"== {title}", flush=True)
        for problem in check():
            print(problem, flush=True)
            count += 1
    print(f"{count} problems" if count else "clean")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
