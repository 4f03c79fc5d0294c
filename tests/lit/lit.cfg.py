# Text tests: input and expectation in one file. A file is a list of RUN lines and CHECK lines behind `#`:
#
#     # RUN: %tusk-opt %s --simplify | FileCheck %s
#
# and, for a command that must fail with exit code 1 (not crash), its output and errors in one:
#
#     # RUN: %exit-1 %tusk-opt %s | FileCheck %s
#
# Where the lines below `# Written by ./dev test --update` hold the whole output, `./dev test --update` rewrites them.
import glob
import os
import shutil
import sys

import lit.formats

config.name = "lit"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".tusk"]
config.excludes = ["inputs"]
config.test_source_root = os.path.dirname(__file__)
build = lit_config.params["tusk_build"]
config.test_exec_root = os.path.join(build, "tests", "lit")

tools = [os.path.join(build, "tools")]
tools += sorted(glob.glob("/usr/lib/llvm-*/bin"), reverse=True)  # FileCheck, not
config.environment["PATH"] = os.pathsep.join(tools + [os.environ["PATH"]])
for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TUSK_SHARED"):
    if name in os.environ:
        config.environment[name] = os.environ[name]

if shutil.which("mlir-opt-22"):
    config.available_features.add("mlir-opt")
if os.path.exists(os.path.join(build, "libtusk_mlir.so")):
    config.available_features.add("mlir")  # the plug-in

if "asan" not in os.path.basename(os.path.normpath(build)):
    config.available_features.add("limits")  # of address space, of which a sanitizer takes terabytes

config.substitutions += [
    ("%exit-1", """sh -c '"$@" 2>&1; test $? -eq 1' sh"""),
    ("%edit", f"{sys.executable} {os.path.join(config.test_source_root, 'edit_model.py')}"),
    ("%python", sys.executable),
    ("%goldens", os.path.join(os.path.dirname(config.test_source_root), "parity", "goldens")),
    ("%refused", os.path.join(os.path.dirname(config.test_source_root), "parity", "refused")),
    ("%tusk-opt", os.path.join(build, "tools", "tusk-opt")),
    ("%tusk", os.path.join(build, "tools", "tusk")),
    ("%wrong-fit", os.path.join(build, "tests", "wrong_fit")),
    ("%root", os.path.dirname(os.path.dirname(config.test_source_root))),
]
