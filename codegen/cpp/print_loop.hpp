// Loop IR as C++17: functions that need <cstdint> and tusk_runtime.hpp, in an order in which each is defined before its
// use.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ir/base/expected.hpp"
#include "ir/loop/loop.hpp"

namespace tusk::cpp {

struct LoopText {
  std::string text;
  /// For each printed function its C++ spelling at the end of the text: "kernel::dense", "run_predict", "exp_f32".
  std::map<std::string, std::string> functions;
  /// Those of them that take `const tusk::Threads* threads` before all else: parallel loops are in them, or in what
  /// they call.
  std::set<std::string> threaded;
  bool has_tiles = false;  // register tiles, which leave compilers no register
};

/// What the functions named in `entries` reach: row functions, then kernels (in a namespace `kernel`, so that a buffer
/// may share its layer's name), then the entries as `run_NAME`. Parallel loops are calls of tusk::parallel
/// (tusk_threads.hpp) with their body.
///
/// Rows with a body are printed as functions in front (loop::row_functions). Scalar parameters of type index are values
/// of symbols and loop counters: never negative, which makes `/` and `%` exact for most addresses. With `muladd`, every
/// fma of floats is a product and a sum (profile muladd, N10).
Expected<LoopText> print_loops(const loop::Module& module, const std::vector<std::string>& entries,
                               bool muladd = false);

/// An index expression (of dim_value or simplified) in which each name is spelled as `names` says.
Expected<std::string> print_index(const loop::ValueRef& value, const std::map<std::string, std::string>& names);

/// "float" for f32, "std::uint16_t" for the bits of f16 and bf16, "std::uint8_t" for bool: an element of a buffer.
std::string_view storage_name(DType type);

/// The shortest decimal that reads back to the same number: "0.1F", "-0.0F", "1e-05"; "tusk::infinity<float>".
std::string float_literal(double value, DType type);

}  // namespace tusk::cpp
