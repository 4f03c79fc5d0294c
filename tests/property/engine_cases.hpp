// Cases for the engine matrix (law 4): programs, and what the loop interpreter computes with them.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "codegen/cpp/package.hpp"
#include "ir/base/expected.hpp"
#include "ir/graph/graph.hpp"
#include "passes/pipeline.hpp"
#include "passes/run_loops.hpp"

namespace tusk::engine_cases {

struct Case {
  std::string name;   // of its files
  std::string title;  // for people
  Lowered lowered;
  Symbols symbols;
  bool threads = false;
  const TargetMachine* object_for = nullptr;  // an object file instead of C++
};

template <class T>
T must(Expected<T> value, const std::string& title) {
  if (value) return *std::move(value);
  fmt::print(stderr, "{}: {}", title, value.problem().str());
  std::exit(1);
}

// What cases are made for: a profile of the numerics, and a machine, "fma" or "fma@haswell".
struct Engine {
  explicit Engine(std::string text) {
    is_object = text.ends_with("+mlir");
    if (is_object) text.resize(text.size() - 5);
    profile = text.substr(0, text.find('@'));
    target = must(target_named(profile.size() == text.size() ? "generic" : text.substr(profile.size() + 1)), text);
  }
  std::string profile;
  bool is_object = false;  // made by the MLIR back end
  const TargetMachine* target = nullptr;
};

// How many cases of each random kind, and the first seed.
struct Counts {
  std::uint64_t seed = 1;
  std::uint64_t graphs = 0;
  std::uint64_t kernels = 0;
  std::uint64_t masks = 0;
  std::uint64_t contractions = 0;
};

/// Every sample of every op and its gradient, training steps, and random cases.
std::vector<Case> all_cases(const Engine& engine, const Counts& counts);

/// The models of the files below folders (.keras, .h5, .hdf5), their predictions and a step of training by the mean
/// squared error. Files that are refused stand in the ledger; `left_out` gets a line for each model whose calls take
/// the loop interpreter seconds or whose weights are large, and for each that has weights, but no such step.
std::vector<Case> model_cases(const Engine& engine, const std::vector<std::string>& folders,
                              std::vector<std::string>& left_out);

/// What the engine says of threads and objects.
void fit_to(const Engine& engine, Case& c);

Lowered lowered(graph::Module module, const Engine& engine, const std::string& title);

/// Two calls of each function: of tame numbers, and of NaN, infinities, denormals and huge numbers. What makes states
/// NaN is left out, which is said on stderr: machines give NaN other signs, and the bits of states are compared.
std::vector<cpp::SelfTest> self_tests(const Case& c);

}  // namespace tusk::engine_cases
