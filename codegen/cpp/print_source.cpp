// NAME.cpp: kernels, entries, and the checked functions around them.
#include <fmt/format.h>
#include <algorithm>

#include "codegen/cpp/names.hpp"
#include "codegen/cpp/package_parts.hpp"
#include "codegen/cpp/print_loop.hpp"

namespace tusk::cpp {
namespace {

// "bad_batch" for the symbol that everybody calls so.
std::string_view status_of(const PackedSymbol& symbol) {
  return symbol.symbol->name == "batch" ? "bad_batch" : "bad_dimension";
}

std::string symbol_checks(const PackedFunction& f) {
  std::string out;
  for (const PackedSymbol& symbol : f.symbols) {
    std::string bad = fmt::format("{0} < {1} || {0} > {2}", symbol.identifier, symbol.symbol->low, symbol.max);
    if (symbol.symbol->step != 1) bad += fmt::format(" || {} % {} != 0", symbol.identifier, symbol.symbol->step);
    out += fmt::format("  if ({}) return Status::{};\n", bad, status_of(symbol));
  }
  return out;
}

// The arguments of an entry: inputs, outputs, constants, states, the arena, symbols, as its buffers and scalars say.
Expected<std::string> entry_arguments(const Parts& parts, const PackedFunction& f) {
  std::vector<std::string> arguments;
  for (const Field& field : f.inputs) arguments.push_back("io." + field.identifier);
  for (const Field& field : f.outputs) arguments.push_back("io." + field.identifier);
  for (const int id : global_tensors(*f.function, kernel::Tensor::Place::constant)) {
    const kernel::Tensor& tensor = f.function->tensors[static_cast<std::size_t>(id)];
    const std::int64_t offset = parts.constants.at(tensor.global).offset;
    arguments.push_back(fmt::format("reinterpret_cast<const {}*>({}{})", storage_name(tensor.type),
                                    parts.states.empty() ? "weights.data" : "constants",
                                    offset == 0 ? "" : fmt::format(" + {}", offset)));
  }
  for (const int id : global_tensors(*f.function, kernel::Tensor::Place::state)) {
    const kernel::Tensor& tensor = f.function->tensors[static_cast<std::size_t>(id)];
    arguments.push_back(fmt::format("reinterpret_cast<{}{}*>(state.bytes + {})", f.changes_state ? "" : "const ",
                                    storage_name(tensor.type), parts.states.at(tensor.global).offset));
  }
  arguments.push_back("arena.bytes");
  if (arguments.size() != f.entry->buffers.size())
    return error("codegen-cpp", fmt::format("entry `{}` does not take the buffers of its function", f.function->name));
  for (const loop::Scalar& scalar : f.entry->scalars) {
    const auto symbol = std::find_if(f.symbols.begin(), f.symbols.end(),
                                     [&](const PackedSymbol& s) { return s.symbol->name == scalar.name; });
    if (symbol == f.symbols.end()) {
      return error("codegen-cpp", fmt::format("`{}` of entry `{}` is no symbol", scalar.name, f.function->name));
    }
    arguments.push_back(symbol->identifier);
  }
  std::string out;
  for (const std::string& argument : arguments) out += (out.empty() ? "" : ",\n      ") + argument;
  return out;
}

Expected<std::string> checked_function(const Parts& parts, const PackedFunction& f, const LoopText& loops) {
  const bool shares = loops.threaded.contains(f.function->name);
  std::string out =
      fmt::format("Status {}({}{}{}) noexcept {{\n", f.identifier, memory_parameters(parts, f), call_parameters(f),
                  !parts.input->threads ? ""
                  : shares              ? ", const tusk::Threads* threads"
                                        : ", const tusk::Threads* /*threads*/");
  out += symbol_checks(f);
  for (const std::string& requirement : f.requirements)
    out += fmt::format("  if (!({})) return Status::bad_dimension;\n", requirement);
  std::string nulls;
  for (const auto* fields : {&f.inputs, &f.outputs}) {
    for (const Field& field : *fields)
      nulls += fmt::format("{}io.{} == nullptr", nulls.empty() ? "" : " || ", field.identifier);
  }
  if (!nulls.empty()) out += fmt::format("  if ({}) return Status::null_pointer;\n", nulls);
  if (!parts.states.empty()) {
    out += "  if (std::memcmp(state.bytes, state_header, sizeof state_header) != 0) return Status::bad_state;\n";
    if (!global_tensors(*f.function, kernel::Tensor::Place::constant).empty())
      out += "  const unsigned char* constants = weights().data;\n";
  } else {
    if (parts.weight_bytes > 0) out += "  if (weights.data == nullptr) return Status::null_pointer;\n";
    out += fmt::format("  if (weights.size != {}) return Status::bad_weights;\n", parts.weight_bytes);
    out += "  if (reinterpret_cast<std::uintptr_t>(weights.data) % 64 != 0) return Status::bad_weights;\n";
  }
  TRY(const std::string arguments, entry_arguments(parts, f));
  out += fmt::format("  {}(\n      {}{});\n  return Status::ok;\n}}\n\n", loops.functions.at(f.function->name),
                     shares ? "threads,\n      " : "", arguments);
  return out;
}

std::string open_function(const Parts& parts) {
  std::string layout;
  for (std::size_t i = 0; i < 64; i += 2)
    layout += fmt::format("{}0x{}", i == 0 ? "" : ", ", parts.layout_sha256.substr(i, 2));
  return fmt::format(R"(Status open(const void* data, std::size_t size, Weights& out) noexcept {{
  // The header: a magic word, the SHA-256 of the layout, the size of the data and its checksum.
  static constexpr unsigned char layout[32] = {{{}}};
  const auto* bytes = static_cast<const unsigned char*>(data);
  if (data == nullptr) return Status::null_pointer;
  if (reinterpret_cast<std::uintptr_t>(data) % 64 != 0 || size != {} + {}u) return Status::bad_weights;
  if (std::memcmp(bytes, "TUSKWT1", 8) != 0 || std::memcmp(bytes + 8, layout, 32) != 0) return Status::bad_weights;
  std::uint64_t stored[2];
  std::memcpy(stored, bytes + 40, 16);
  std::uint64_t sum = 0;
  for (std::size_t i = {}; i < size; i += 8) {{
    std::uint64_t word;
    std::memcpy(&word, bytes + i, 8);
    sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
    sum ^= sum >> 32;
  }}
  if (stored[0] != size - {} || stored[1] != sum) return Status::bad_weights;
  out = {{bytes + {}, size - {}}};
  return Status::ok;
}}

)",
                     layout, parts.weight_bytes, kWeightsHeader, kWeightsHeader, kWeightsHeader, kWeightsHeader,
                     kWeightsHeader);
}

// `check` of the memory that a C program gives: what a reference is in C++ is a pointer, which may be null.
std::string c_check(const Parts& parts) {
  const std::string& name = parts.name;
  const bool embedded = parts.embedded;
  std::string out;
  if (!parts.states.empty()) {
    return fmt::format(R"({0}::Status check(const void* state, void* arena) {{
  if (arena == nullptr || state == nullptr) return {0}::Status::null_pointer;
  if (reinterpret_cast<std::uintptr_t>(state) % 64 != 0) return {0}::Status::bad_state;
  return reinterpret_cast<std::uintptr_t>(arena) % 64 == 0 ? {0}::Status::ok : {0}::Status::bad_arena;
}}

}}  // namespace

)",
                       name);
  }
  out += fmt::format("{}::Status check({}void* arena) {{\n", name,
                     embedded ? "" : fmt::format("const {}_weights* weights, ", name));
  out += fmt::format("  if (arena == nullptr{}) return {}::Status::null_pointer;\n",
                     embedded ? "" : " || weights == nullptr", name);
  out += fmt::format(
      "  return reinterpret_cast<std::uintptr_t>(arena) % 64 == 0 ? {0}::Status::ok : {0}::Status::bad_arena;\n}}\n\n",
      name);
  out += fmt::format("{0}::Weights weights_of(const {0}_weights* weights) {{\n", name);
  if (embedded) out += fmt::format("  if (weights == nullptr) return {}::weights();\n", name);
  out += "  return {static_cast<const unsigned char*>(weights->data), weights->size};\n}\n\n}  // namespace\n\n";
  return out;
}

// Where the weights come from.
std::string c_weights(const Parts& parts) {
  if (parts.embedded) {
    return fmt::format(
        "{0}_weights {0}_embedded_weights() {{ return {{{0}::weights().data, {0}::weights().size}}; }}\n\n",
        parts.name);
  }
  return fmt::format(R"(int {0}_open(const void* data, size_t size, {0}_weights* out) {{
  if (out == nullptr) return {0}_null_pointer;
  {0}::Weights weights;
  const {0}::Status status = {0}::open(data, size, weights);
  if (status == {0}::Status::ok) *out = {{weights.data, weights.size}};
  return static_cast<int>(status);
}}

)",
                     parts.name);
}

// The same functions for C.
std::string c_functions(const Parts& parts) {
  const std::string& name = parts.name;
  const bool has_state = !parts.states.empty();
  std::string out = "// The interface for C.\n\nnamespace {\n\n";
  out += fmt::format(
      "static_assert({0}_self_test_failed == static_cast<int>({0}::Status::self_test_failed), \"equal codes\");\n\n",
      name);
  out += c_check(parts);
  out += fmt::format(R"(size_t {0}_arena_bytes() {{ return sizeof({0}::Arena); }}

void* {0}_align(void* memory) {{
  auto* bytes = static_cast<unsigned char*>(memory);
  return bytes + (64 - reinterpret_cast<std::uintptr_t>(memory) % 64) % 64;
}}

)",
                     name);
  out += has_state ? c_state_definitions(parts) : c_weights(parts);
  const std::string checked = has_state ? "state, arena" : parts.embedded ? "arena" : "weights, arena";
  for (const PackedFunction& f : parts.functions) {
    std::string fields;
    for (const auto* list : {&f.inputs, &f.outputs}) {
      for (const Field& field : *list) fields += fmt::format("{}io->{}", fields.empty() ? "" : ", ", field.identifier);
    }
    std::string symbols;
    for (const PackedSymbol& symbol : f.symbols) symbols += ", " + symbol.identifier;
    const std::string state = fmt::format("{}{}::State*", f.changes_state ? "" : "const ", name);
    const auto print = [&](std::string_view suffix, std::string_view parameter, std::string_view threads) {
      out += fmt::format(
          R"(int {0}{10}({11}void* arena, {7}{2}) {{
  {1}::Status status = {9}check({3});
  if (status == {1}::Status::ok) {{
    status = {1}::{4}(*static_cast<{1}::Arena*>(arena), {8}{5}{6}{12});
  }}
  return static_cast<int>(status);
}}

)",
          f.c_identifier, name, c_call_parameters(f), checked, f.identifier, symbols,
          has_io(f) ? fmt::format(", {{{}}}", fields) : "", c_memory_parameter(parts, f),
          has_state ? fmt::format("*static_cast<{}>(state)", state) : std::string("weights_of(weights)"),
          has_io(f) ? fmt::format("io == nullptr ? {}::Status::null_pointer : ", name) : "", suffix, parameter,
          threads);
    };
    print("", "", "");
    if (parts.input->threads)
      print("_with", "const tusk_threads* threads, ", ", reinterpret_cast<const tusk::Threads*>(threads)");
  }
  out += c_seeded_init(parts);
  return out;
}

constexpr std::string_view kTileOptions =
    R"(#if defined(__GNUC__) && !defined(__clang__) && !defined(__AVX512F__)  // it leaves tiles one of few registers less
#pragma GCC optimize("no-gcse")
#endif
)";

struct Functions {
  std::string text;
  bool has_tiles = false;
};

// The namespace of the model, for one target.
Expected<Functions> functions_of(const Parts& parts) {
  std::vector<std::string> entries;
  for (const PackedFunction& f : parts.functions) entries.push_back(f.function->name);
  TRY(const LoopText loops, print_loops(parts.input->loops, entries, parts.input->program.profile == "muladd"));
  std::string out = fmt::format("namespace {} {{\n", parts.name);
  const std::string weights = weights_name(parts);
  if (weights != "weights")
    out += fmt::format("\nWeights {0}() noexcept;\nWeights weights() noexcept {{ return {0}(); }}\n\n", weights);
  out += "namespace {\n\n" + loops.text;
  if (!parts.states.empty()) out += state_header_array(parts);
  out += "}  // namespace\n\n";
  for (const PackedFunction& f : parts.functions) {
    TRY(const std::string text, checked_function(parts, f, loops));
    out += text;
  }
  if (!parts.states.empty()) out += state_definitions(parts);
  if (!parts.embedded) out += open_function(parts);
  return Functions{out + fmt::format("}}  // namespace {}\n\n", parts.name), loops.has_tiles};
}

// The first target whose condition holds.
Expected<Functions> chosen_functions(const std::vector<Parts>& targets) {
  if (targets.size() == 1) return functions_of(targets.front());
  Functions out;
  for (const Parts& parts : targets) {
    const std::string& condition = parts.input->condition;
    out.text += out.text.empty() ? "#if " + condition : condition.empty() ? "#else" : "#elif " + condition;
    out.text += fmt::format("  // {}\n\n", parts.input->target);
    TRY(const Functions functions, functions_of(parts));
    out.text += functions.text;
    out.has_tiles = out.has_tiles || functions.has_tiles;
  }
  if (!targets.back().input->condition.empty())
    out.text += "#else\n#error \"the flags of the compiler are for none of the targets of this file\"\n";
  out.text += "#endif\n\n";
  return out;
}

}  // namespace

Expected<std::string> print_source(const std::vector<Parts>& targets) {
  const Parts& parts = targets.front();
  std::string out = file_head(parts, parts.name + ".cpp", "the kernels, and the functions that call them");
  out += fmt::format("// {}.\n\n", numerics_text(parts));
  out += bit_protection();
  TRY(const Functions functions, chosen_functions(targets));
  // Before anything is included: a function is inlined only into those with the same options.
  if (functions.has_tiles) out += kTileOptions;
  out += fmt::format(
      "\n#include \"{0}.hpp\"\n\n#include <cstring>\n\n#include \"{0}.h\"\n#include \"tusk_runtime.hpp\"\n{1}\n",
      parts.name, parts.input->threads ? "#include \"tusk_threads.hpp\"\n" : "");
  out += R"(#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the weights are little endian"
#endif

)";
  out += functions.text;
  out += c_functions(parts);
  out.pop_back();
  return out;
}

}  // namespace tusk::cpp
