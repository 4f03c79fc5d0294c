// State: what lives from call to call, and the functions that make, read and write it.
#include <fmt/format.h>
#include <algorithm>

#include "codegen/cpp/names.hpp"
#include "codegen/cpp/package_parts.hpp"
#include "ir/base/checksum.hpp"

namespace tusk::cpp {
namespace {

std::size_t largest_rank(const Parts& parts) {
  std::size_t rank = 1;
  for (const auto& [index, c] : parts.states) rank = std::max(rank, c.constant->value.shape().size());
  return rank;
}

std::string variable_rows(const Parts& parts) {
  std::string out;
  for (const auto& [index, c] : parts.states) {
    const Array& value = c.constant->value;
    out += fmt::format("    {{\"{}\", \"{}\", {}, {}, {{{}}}, {}, {}, {}}},\n", string_literal_text(c.constant->path),
                       name_of(value.dtype()), value.size(), value.bytes().size(), fmt::join(value.shape(), ", "),
                       value.shape().size(), c.constant->trainable, c.offset);
  }
  return out;
}

std::int64_t first_value(const Parts& parts, int index) {
  const auto found = parts.initial.find(index);
  return found == parts.initial.end() ? -1 : found->second.offset;
}

}  // namespace

bool has_initialize(const Parts& parts) {
  return std::ranges::any_of(parts.functions, [](const PackedFunction& f) {
    return f.identifier == "initialize" && f.changes_state && f.symbols.empty() && f.outputs.empty() &&
           f.inputs.size() == 1 && f.inputs[0].identifier == "seed" && f.inputs[0].tensor->type == DType::u32 &&
           f.inputs[0].tensor->shape == Shape{Dim(2)};
  });
}

std::string state_declarations(const Parts& parts) {
  return fmt::format(
      R"(// What lives from call to call: weights, and what the optimizer keeps. A copy of the bytes is a copy of the state; it
// can be stored and loaded. Threads that change it at the same time need one each.
struct State {{
  alignas(64) unsigned char bytes[{}];
}};

// The variables in it, by their paths in the model; elements lie row by row.
struct Variable {{
  const char* path;
  const char* type;   // f32, i64, ...
  std::int64_t size;  // elements
  std::size_t bytes;
  std::int64_t shape[{}];
  int rank;
  bool trainable;
  std::int64_t offset;  // in State::bytes
}};
// clang-format off
inline constexpr Variable variables[] = {{
{}}};
// clang-format on

// The values that the model was compiled with. Every other function refuses a state that was never initialised.
void init(State& state) noexcept;
// Copies `variables[variable].size` elements; bad_index if there is no such variable.
Status read(const State& state, int variable, void* to) noexcept;
Status write(State& state, int variable, const void* from) noexcept;
{}
)",
      parts.state_bytes, largest_rank(parts), variable_rows(parts),
      parts.learning_rate ? fmt::format("// Of the steps that follow.\n"
                                        "inline Status set_learning_rate(State& state, float rate) noexcept {{ "
                                        "return write(state, {}, &rate); }}\n",
                                        *parts.learning_rate)
                          : "");
}

std::string state_header_array(const Parts& parts) {
  std::string layout;
  for (std::size_t i = 0; i < 64; i += 2) layout += fmt::format(", 0x{}", parts.state_sha256.substr(i, 2));
  return fmt::format(R"(// The first bytes of a state: "TUSKST1" and the SHA-256 of the layout.
constexpr unsigned char state_header[40] = {{0x54, 0x55, 0x53, 0x4b, 0x53, 0x54, 0x31, 0x00{}}};

)",
                     layout);
}

std::string state_definitions(const Parts& parts) {
  std::string copies;
  for (const auto& [index, c] : parts.states) {
    if (const std::int64_t from = first_value(parts, index); from >= 0) {
      copies += fmt::format("  std::memcpy(state.bytes + {}, first + {}, {});\n", c.offset, from,
                            c.constant->value.bytes().size());
    }
  }
  return fmt::format(R"(void init(State& state) noexcept {{
  std::memset(state.bytes, 0, sizeof state.bytes);
  std::memcpy(state.bytes, state_header, sizeof state_header);
{1}}}

Status read(const State& state, int variable, void* to) noexcept {{
  if (variable < 0 || variable >= {0}) return Status::bad_index;
  if (to == nullptr) return Status::null_pointer;
  if (std::memcmp(state.bytes, state_header, sizeof state_header) != 0) return Status::bad_state;
  const Variable& v = variables[variable];
  std::memcpy(to, state.bytes + v.offset, v.bytes);
  return Status::ok;
}}

Status write(State& state, int variable, const void* from) noexcept {{
  if (variable < 0 || variable >= {0}) return Status::bad_index;
  if (from == nullptr) return Status::null_pointer;
  if (std::memcmp(state.bytes, state_header, sizeof state_header) != 0) return Status::bad_state;
  const Variable& v = variables[variable];
  std::memcpy(state.bytes + v.offset, from, v.bytes);
  return Status::ok;
}}

)",
                     parts.states.size(),
                     copies.empty() ? "" : "  const unsigned char* first = weights().data;\n" + copies);
}

std::string c_state_declarations(const Parts& parts) {
  return fmt::format(
      R"(/* What lives from call to call, {0}_state_bytes() bytes aligned to 64: weights, and what the optimizer keeps. A copy
   of the bytes is a copy of the state. */
#define {1}_STATE_BYTES {2}
size_t {0}_state_bytes(void);
/* The values that the model was compiled with; every other function refuses a state that was never initialised. */
int {0}_init(void* state);
/* The variables, numbered from 0 in the order of `variables` of {0}.hpp; elements lie row by row. */
int {0}_read(const void* state, int variable, void* to);
int {0}_write(void* state, int variable, const void* from);
{3}
)",
      parts.name, parts.upper, parts.state_bytes,
      parts.learning_rate
          ? fmt::format("int {}_set_learning_rate(void* state, float rate); /* of the steps that follow */\n",
                        parts.name)
          : "");
}

std::string c_state_definitions(const Parts& parts) {
  return fmt::format(R"(size_t {0}_state_bytes() {{ return sizeof({0}::State); }}

int {0}_init(void* state) {{
  if (state == nullptr) return {0}_null_pointer;
  if (reinterpret_cast<std::uintptr_t>(state) % 64 != 0) return {0}_bad_state;
  {0}::init(*static_cast<{0}::State*>(state));
  return {0}_ok;
}}

int {0}_read(const void* state, int variable, void* to) {{
  if (state == nullptr) return {0}_null_pointer;
  return static_cast<int>({0}::read(*static_cast<const {0}::State*>(state), variable, to));
}}

int {0}_write(void* state, int variable, const void* from) {{
  if (state == nullptr) return {0}_null_pointer;
  return static_cast<int>({0}::write(*static_cast<{0}::State*>(state), variable, from));
}}

{1})",
                     parts.name,
                     parts.learning_rate ? fmt::format(R"(int {0}_set_learning_rate(void* state, float rate) {{
  return {0}_write(state, {1}, &rate);
}}

)",
                                                       parts.name, *parts.learning_rate)
                                         : "");
}

std::string seeded_init(const Parts& parts) {
  if (!has_initialize(parts)) return {};
  return R"(// A new state: weights as their initializers draw them, the same for the same seed, and all else as `init` has it.
inline Status init(Arena& arena, State& state, std::uint64_t seed) noexcept {
  const std::uint32_t words[] = {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
  init(state);
  return initialize(arena, state, {words});
}

)";
}

std::string c_seeded_init_declaration(const Parts& parts) {
  if (!has_initialize(parts)) return {};
  return fmt::format(
      "/* A new state: weights as their initializers draw them, the same for the same seed, all else as {0}_init has "
      "it. "
      "*/\nint {0}_init_seed(void* arena, void* state, uint64_t seed);\n\n",
      parts.name);
}

std::string c_seeded_init(const Parts& parts) {
  if (!has_initialize(parts)) return {};
  return fmt::format(R"(int {0}_init_seed(void* arena, void* state, uint64_t seed) {{
  {0}::Status status = check(state, arena);
  if (status == {0}::Status::ok)
    status = {0}::init(*static_cast<{0}::Arena*>(arena), *static_cast<{0}::State*>(state), seed);
  return static_cast<int>(status);
}}

)",
                     parts.name);
}

std::string first_state(const Parts& parts) {
  std::string out("TUSKST1\0", 8);
  for (std::size_t i = 0; i < 64; i += 2)
    out += static_cast<char>(std::stoi(parts.state_sha256.substr(i, 2), nullptr, 16));
  out.resize(static_cast<std::size_t>(parts.state_bytes), '\0');
  for (const auto& [index, c] : parts.initial) {
    const std::span<const std::byte> bytes = c.constant->value.bytes();
    std::copy_n(reinterpret_cast<const char*>(bytes.data()), bytes.size(), out.begin() + parts.states.at(index).offset);
  }
  return out;
}

std::uint64_t state_checksum(const Parts& parts, const std::map<std::string, Array>& states) {
  std::string data(static_cast<std::size_t>(parts.state_bytes - kStateHeader), '\0');
  for (const auto& [index, c] : parts.states) {
    const auto given = states.find(c.constant->path);
    const std::span<const std::byte> bytes = (given == states.end() ? c.constant->value : given->second).bytes();
    std::copy_n(reinterpret_cast<const char*>(bytes.data()), bytes.size(), data.begin() + (c.offset - kStateHeader));
  }
  return checksum_of_words(data);
}

}  // namespace tusk::cpp
