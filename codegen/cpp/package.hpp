// The emitted folder: a C++ library that needs nothing but its own files.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/base/array.hpp"
#include "ir/base/expected.hpp"
#include "ir/kernel/program.hpp"
#include "ir/loop/loop.hpp"

namespace tusk::cpp {

/// A recorded call. Inputs and outputs are named by their tensors.
struct SelfTest {
  std::string function;
  std::map<std::string, std::int64_t> symbols;
  std::map<std::string, Array> inputs;
  std::map<std::string, Array> outputs;
  std::string how;                           // what computed the outputs: "loop interpreter", "compiled output"
  std::map<std::string, Array> states = {};  // by path, after the call; before it they have their first values
};

struct PackageInput {
  std::string name;  // of the files, the namespace and the CMake target, after global_identifier
  const kernel::Program& program;
  const loop::Module& loops;  // of lower_program: an entry for each function of the program
  std::string source;         // the model's file, without a path
  std::string sha256;         // of the model's file
  std::string version;        // of Tusk
  bool embed_weights = true;
  std::vector<std::string> bit_changing_passes = {};  // N12
  std::vector<SelfTest> self_tests = {};
  std::vector<std::string> compile_options = {};  // for GCC and Clang: "-mavx2"
  bool initial_states = true;                     // without, `init` makes zeros: the caller writes the states
  std::string learning_rate = {};                 // path of the state that `set_learning_rate` writes, f32
  double tolerance = 2e-5;                        // of each output's largest value, for who verifies it
  std::map<std::string, std::vector<std::string>> input_names = {};  // in the model, by function
  bool threads = false;                                              // functions take a `const tusk::Threads*`
  std::string target = {};                                           // the machine, where a file holds code for several
  std::string condition = {};   // of the preprocessor, under which it is this one; empty: no other
  std::string object = {};      // the bytes of NAME.o, which then stands for NAME.cpp and NAME_weights.cpp
  std::string loops_text = {};  // beside an object: the loops whose lines its debug information names
  std::string flags = {};       // of GCC and Clang on x86-64 for the only target, separated by spaces
};

/// The bytes of each file by its name; the same input gives the same bytes. With NAME for the name:
///   NAME.hpp, NAME.h      the interfaces for C++17 and for C99 and Fortran
///   NAME.cpp              kernels, entries, checks
///   NAME_weights.cpp      the weights as an array, or
///   NAME.weights          the weights as a file (embed_weights = false)
///   NAME_self_test.cpp, NAME_self_test_main.cpp
///   tusk_runtime.hpp, CMakeLists.txt, manifest.json, .clang-format
///   tusk_threads.hpp, tusk_thread_pool.hpp (threads = true)
Expected<std::map<std::string, std::string>> print_package(const PackageInput& input);
/// What a program that calls the code needs to know of it: the text of manifest.json, where the weights do not lie in
/// the code their bytes, and the bytes of a state that `init` makes.
struct Described {
  std::string manifest, weights, state;
};
Expected<Described> describe(const PackageInput& input);

/// The same functions for several targets in one NAME.cpp: macros of the compiler choose the first whose condition
/// holds. What differs are program, loops, target and condition; each has weights of its own, in
/// NAME_weights_TARGET.cpp.
Expected<std::map<std::string, std::string>> print_package(const std::vector<PackageInput>& inputs);

/// What travels with emitted code: the text of a file of runtime/, put into the program when it is built
/// (runtime_text.cpp.in).
struct RuntimeFile {
  std::string_view name, text;
};
/// tusk_runtime.hpp, then what only code with threads needs.
std::span<const RuntimeFile> runtime_files(bool threads);

}  // namespace tusk::cpp
