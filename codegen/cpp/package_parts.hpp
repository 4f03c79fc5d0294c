// What the files of a package share: identifiers, places, sizes. Internal to codegen.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "codegen/cpp/package.hpp"

namespace tusk::cpp {

/// An input or output of a function, as a field of its struct.
struct Field {
  std::string identifier;
  const kernel::Tensor* tensor = nullptr;
};

struct PackedSymbol {
  const kernel::Symbol* symbol = nullptr;
  std::string identifier;  // batch
  std::string max;         // max_batch
  std::string macro;       // MNIST_MAX_BATCH
};

struct PackedFunction {
  const kernel::Function* function = nullptr;
  const loop::Func* entry = nullptr;
  std::string identifier;    // predict
  std::string io;            // Predict, the struct of pointers
  std::string c_identifier;  // mnist_predict
  std::vector<Field> inputs, outputs;
  std::vector<PackedSymbol> symbols;       // that its sizes depend on
  std::vector<std::string> requirements;   // C++ conditions
  std::vector<loop::ValueRef> conditions;  // the same, over the names of symbols
  bool changes_state = false;
};

struct PackedConstant {
  const kernel::Global* constant = nullptr;
  std::int64_t offset = 0;  // in bytes, a multiple of 64
};

struct Parts {
  const PackageInput* input = nullptr;
  std::string name;   // mnist
  std::string upper;  // MNIST
  std::vector<PackedFunction> functions;
  std::vector<PackedSymbol> symbols;
  std::map<int, PackedConstant> constants;  // those that a function reads, by index into Program::constants
  std::int64_t weight_bytes = 0;
  std::int64_t arena_bytes = 64;
  std::int64_t arena_lower_bound = 0;
  std::string layout_sha256;  // of the names, types, shapes and offsets of the constants
  bool embedded = true;       // the weights lie in the source
  // Of a model with states only: functions then take a State, and no Weights, whose bytes are always embedded.
  std::map<int, PackedConstant> states;      // by index into Program::globals; offsets in State::bytes
  std::map<int, PackedConstant> initial;     // first values other than zeros, behind the weights
  std::int64_t state_bytes = 0;              // kStateHeader and the states
  std::string state_sha256;                  // of their layout
  std::optional<std::size_t> learning_rate;  // its number among the states
};

Expected<Parts> parts_of(const PackageInput& input);

inline bool has_io(const PackedFunction& function) { return !function.inputs.empty() || !function.outputs.empty(); }

/// What a function takes behind its memory: "std::int64_t batch, std::int64_t time, const Predict& io"; for C "int64_t
/// batch, const mnist_predict_io* io". A function without inputs and outputs takes no struct.
std::string call_parameters(const PackedFunction& function);
std::string c_call_parameters(const PackedFunction& function);
/// The fields of a struct of pointers, with the shapes behind them; `prefix` is "std::" or "" for C.
std::string io_fields(const PackedFunction& function, std::string_view prefix);
/// The memory that a function takes, as parameters or as what is passed on: "Arena& arena, const Weights& weights".
std::string memory_parameters(const Parts& parts, const PackedFunction& function);
std::string memory_arguments(const Parts& parts);
std::string c_memory_parameter(const Parts& parts, const PackedFunction& function);
/// "f32 [784,64]"
std::string type_text(const kernel::Tensor& tensor);
/// "profile fma, numerics 1, passes that change bits: none"
std::string numerics_text(const Parts& parts);
/// The first lines of a file: what it is and where it comes from.
std::string file_head(const Parts& parts, std::string_view file, std::string_view what);
/// "Made by tusk 0.1.0 from mnist.keras, sha256 ...", as far as it is known.
std::string made_by(const PackageInput& input);

std::string print_header(const Parts& parts);
std::string print_c_header(const Parts& parts);
/// One or several targets.
Expected<std::string> print_source(const std::vector<Parts>& targets);
/// "weights", or "weights_haswell" where there are several targets, with letters, digits and underscores only.
std::string weights_name(const Parts& parts);
/// State, its variables, and what is done with them: declarations, definitions, and the same for C.
std::string state_declarations(const Parts& parts);
std::string state_header_array(const Parts& parts);
std::string state_definitions(const Parts& parts);
std::string c_state_declarations(const Parts& parts);
std::string c_state_definitions(const Parts& parts);
/// init(arena, state, seed), in one call what `init` and the function `initialize` do; empty if there is no such
/// function (a state, a parameter `seed` of two words, no results). The second is for C.
std::string seeded_init(const Parts& parts);
std::string c_seeded_init(const Parts& parts);
std::string c_seeded_init_declaration(const Parts& parts);
/// The bytes of a state that `init` makes.
std::string first_state(const Parts& parts);
/// Of the states after the header, as `state_sum` of the emitted self-test computes it.
std::uint64_t state_checksum(const Parts& parts, const std::map<std::string, Array>& states);
/// init(arena, state, seed) is there: there is a function `initialize` of a seed.
bool has_initialize(const Parts& parts);
/// The bytes that are embedded: constants, then first values of states, each at its offset.
std::string embedded_bytes(const Parts& parts);
std::string print_embedded_weights(const Parts& parts);
std::string weights_file(const Parts& parts);
Expected<std::string> print_self_test(const Parts& parts);
/// Whether a recorded call has outputs that are too large for the stack.
bool self_test_is_static(const Parts& parts);
std::string print_self_test_main(const Parts& parts);
std::string print_cmake(const std::vector<Parts>& targets);
std::string print_manifest(const std::vector<Parts>& targets);

/// The guard of floating-point flags that stands before any include (N13).
std::string_view bit_protection();

/// Bytes in front of the data in a weights file: "TUSKWT1", a zero, the layout's SHA-256, the size of the data and its
/// checksum_of_words (64 bits each), and zeros.
inline constexpr std::int64_t kWeightsHeader = 64;
/// Bytes in front of the states: "TUSKST1", a zero, the layout's SHA-256, and zeros.
inline constexpr std::int64_t kStateHeader = 64;

}  // namespace tusk::cpp
