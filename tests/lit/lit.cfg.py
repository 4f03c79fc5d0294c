# Text tests: input and expectation in one file. A file is a list of RUN lines and CHECK lines behind `#`:
#
#     # RUN: %tusk-opt %s --simplify | FileCheck %s
#
# Where the lines below `# Written by ./dev test --update` hold the whole output, `./dev test --update` rewrites them.
import glob
import os

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

config.substitutions += [
    ("%tusk-opt", os.path.join(build, "tools", "tusk-opt")),
    ("%tusk", os.path.join(build, "tools", "tusk")),
    ("%root", os.path.dirname(os.path.dirname(config.test_source_root))),
]
