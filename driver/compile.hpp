// Joins passes and printers: a graph module in, files out.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ir/base/expected.hpp"
#include "ir/graph/graph.hpp"
#include "passes/pipeline.hpp"

namespace tusk {

/// What makes the code: C++ that a compiler builds, or an object file by way of MLIR and LLVM.
enum class Backend : std::uint8_t { cpp, mlir };

struct EmitOptions {
  Backend backend = Backend::cpp;
  std::string emit = {};        // with Backend::mlir: mlir, llvm or asm, a text in the place of the package
  std::string name = "model";   // of the emitted files
  std::string source = {};      // the model's file, without a path
  std::string sha256 = {};      // of the model's file
  std::string profile = "fma";  // numerics N10: fma or muladd
  bool embed_weights = true;
  bool initial_states = true;      // the emitted `init` has the first values of states; else zeros
  std::string learning_rate = {};  // path of the state, f32, that the emitted `set_learning_rate` writes; empty: none
  std::int64_t max_arena = 0;      // bytes, 0: no limit
  bool self_test = true;           // record a call; without, the emitted self-test checks nothing
  std::string stop_after = {};     // a pass, for its text
  PassOptions passes = {};
  // Code for these, too, in the same file, behind that for passes.target: macros choose the first that fits.
  std::vector<const TargetMachine*> more_targets = {};
  std::function<void(const Pass&, const Ir&)> observe = {};
  std::function<void(const std::string&)> note = {};  // hears what a user should know of the result
};

/// The version of Tusk, "0.1.0".
std::string_view version();

/// Runs the pipeline and prints the package: the bytes of each file by its name.
Expected<std::map<std::string, std::string>> compile(graph::Module module, const EmitOptions& options);

/// Refuses a program whose arena is larger than `limit` bytes (0: any), and names its three largest tensors.
Status check_arena(const kernel::Program& program, std::int64_t limit);

/// Writes files into a folder that is made if needed, each by way of a temporary name. Nothing is written if a name is
/// taken by a folder.
Status write_files(const std::string& folder, const std::map<std::string, std::string>& files);

}  // namespace tusk
