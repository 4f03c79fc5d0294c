// NAME.hpp and NAME.h.
#include <fmt/format.h>
#include <algorithm>

#include "codegen/cpp/names.hpp"
#include "codegen/cpp/package_parts.hpp"

namespace tusk::cpp {
namespace {

constexpr std::string_view kOwner =
    "// These files belong to you: use, change and ship them as you like. Tusk claims no rights in what it emits.\n";

std::string range_text(const kernel::Symbol& symbol) {
  std::string out = fmt::format("{}..{}", symbol.low, symbol.high);
  if (symbol.step != 1) out += fmt::format(" in steps of {}", symbol.step);
  return out;
}

std::string dimension_comment(const Parts& parts) {
  std::string out;
  for (const PackedSymbol& symbol : parts.symbols) {
    out += fmt::format("{}{} is {}", out.empty() ? "" : ", ", symbol.identifier, range_text(*symbol.symbol));
  }
  return out;
}

// "int64_t batch, " and so on, with a condition of the function in comments.
std::string requirement_comment(const PackedFunction& function, std::string_view open, std::string_view close) {
  std::string out;
  for (const std::string& requirement : function.requirements) {
    out += fmt::format("{}Needs {}; another call gives bad_dimension.{}\n", open, comment_text(requirement), close);
  }
  return out;
}

}  // namespace

std::string print_header(const Parts& parts) {
  const std::string& name = parts.name;
  std::string out = file_head(parts, name + ".hpp", "the functions of the model, for C++17");
  out += fmt::format("// No heap, no exceptions, no mutable globals; {}.\n", numerics_text(parts));
  out += kOwner;
  out += fmt::format(
      "#ifndef TUSK_{0}_HPP\n#define TUSK_{0}_HPP\n\n#include <cstddef>\n#include <cstdint>\n\n{2}namespace {1} {{\n\n",
      parts.upper, name,
      parts.input->threads
          ? "namespace tusk {\n// Threads that share the loops of a call (tusk_thread_pool.hpp); null: the "
            "caller's alone. The bits are the same.\nstruct Threads;\n}  // namespace tusk\n\n"
          : "");

  if (!parts.symbols.empty()) {
    out += "// Sizes that are chosen at run time: a value out of range is refused.\n";
    std::vector<std::string> constants;
    std::size_t width = 0;
    for (const PackedSymbol& symbol : parts.symbols) {
      constants.push_back(fmt::format("inline constexpr std::int64_t {} = {};", symbol.max, symbol.symbol->high));
      width = std::max(width, constants.back().size());
    }
    for (std::size_t i = 0; i < constants.size(); ++i)
      out += fmt::format("{:<{}}  // {}\n", constants[i], width, range_text(*parts.symbols[i].symbol));
    out += "\n";
  }
  const bool has_state = !parts.states.empty();
  out += fmt::format(
      R"(enum class Status {{
  ok,
  bad_batch,         // batch is out of range
  bad_dimension,     // another size is out of range, or sizes do not fit each other
  null_pointer,      // a pointer is null
  bad_index,         // there is no such variable of the state (read, write)
  bad_weights,       // the weights are not those of this model, or not aligned to 64 bytes
  bad_arena,         // the arena is not aligned to 64 bytes
{2}  self_test_failed,  // other bits than recorded
}};

// Memory to work in: holds nothing between two calls. Threads that call at the same time need one each.
struct Arena {{
  alignas(64) unsigned char bytes[{0}];  // no plan could do with less than {1}
}};

// The weights, read only and aligned to 64 bytes: all threads may share them.
struct Weights {{
  const unsigned char* data = nullptr;
  std::size_t size = 0;
}};
)",
      parts.arena_bytes, parts.arena_lower_bound,
      has_state ? "  bad_state,         // the state is not one of this model: it was never initialised\n" : "");
  if (parts.embedded) {
    out += "Weights weights() noexcept;\n\n";
  } else {
    out += fmt::format(
        "// Checks the bytes of {}.weights, which must be aligned to 64 bytes and outlive `out`.\n"
        "Status open(const void* data, std::size_t size, Weights& out) noexcept;\n\n",
        name);
  }
  if (has_state) out += state_declarations(parts);
  for (const PackedFunction& f : parts.functions) {
    if (has_io(f)) out += fmt::format("struct {} {{\n{}}};\n", f.io, io_fields(f, "std::"));
    out += requirement_comment(f, "// ", "");
    out += fmt::format("Status {}({}{}{}) noexcept;\n\n", f.identifier, memory_parameters(parts, f), call_parameters(f),
                       parts.input->threads ? ", const tusk::Threads* threads = nullptr" : "");
  }
  out += seeded_init(parts);
  out += "// Runs recorded inputs and compares the outputs with the recorded ones, bit by bit.\n";
  if (self_test_is_static(parts)) out += "// One thread at a time: large outputs lie in static memory of its own.\n";
  const std::string_view threads = parts.input->threads ? ", const tusk::Threads* threads = nullptr" : "";
  if (has_state) {
    out += fmt::format("Status self_test(Arena& arena, State& state{}) noexcept;  // the state is initialised anew\n",
                       threads);
  } else {
    out += fmt::format("Status self_test(Arena& arena, const Weights& weights{}) noexcept;\n", threads);
  }
  if (parts.embedded && !has_state) {
    out += "inline Status self_test(Arena& arena) noexcept { return self_test(arena, weights()); }\n";
  }
  out += fmt::format("\n}}  // namespace {}\n\n#endif  // TUSK_{}_HPP\n", name, parts.upper);
  return out;
}

std::string print_c_header(const Parts& parts) {
  const bool has_state = !parts.states.empty();
  const std::string& name = parts.name;
  const std::string& upper = parts.upper;
  std::string out =
      fmt::format("/* {}.h: the functions of the model, for C99 and for Fortran through iso_c_binding.\n", name);
  out += fmt::format("   {}\n", made_by(*parts.input));
  out += fmt::format("   No heap, no mutable globals; {}.\n", numerics_text(parts));
  out +=
      "   These files belong to you: use, change and ship them as you like. Tusk claims no rights in what it emits. "
      "*/\n";
  out += fmt::format("#ifndef TUSK_{0}_H\n#define TUSK_{0}_H\n\n#include <stddef.h>\n#include <stdint.h>\n\n", upper);
  out += "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n";
  if (!parts.symbols.empty()) out += fmt::format("/* {} */\n", dimension_comment(parts));
  for (const PackedSymbol& symbol : parts.symbols)
    out += fmt::format("#define {} {}\n", symbol.macro, symbol.symbol->high);
  out += fmt::format("#define {}_ARENA_BYTES {}\n\n", upper, parts.arena_bytes);
  out += fmt::format(
      R"(/* What every function returns. */
enum {0}_status {{
  {0}_ok,
  {0}_bad_batch,       /* batch is out of range */
  {0}_bad_dimension,   /* another size is out of range, or sizes do not fit each other */
  {0}_null_pointer,    /* a pointer is null */
  {0}_bad_index,       /* there is no such variable of the state (read, write) */
  {0}_bad_weights,     /* the weights are not those of this model, or not aligned to 64 bytes */
  {0}_bad_arena,       /* the arena is not aligned to 64 bytes */
{2}  {0}_self_test_failed /* other bits than recorded */
}};

/* The arena: {1}_ARENA_BYTES bytes, aligned to 64; threads that call at the same time need one each. For Fortran: the
   size, and the first aligned address in memory that has 63 bytes more. */
size_t {0}_arena_bytes(void);
void* {0}_align(void* memory);

/* The weights, read only and aligned to 64 bytes. */
typedef struct {0}_weights {{
  const void* data;
  size_t size;
}} {0}_weights;
)",
      name, upper,
      has_state
          ? fmt::format("  {}_bad_state,       /* the state is not one of this model, or not aligned to 64 bytes */\n",
                        name)
          : "");
  if (has_state) {
    out += "\n" + c_state_declarations(parts);
  } else if (parts.embedded) {
    out += fmt::format(
        "/* A null pointer in their place stands for these. */\n{0}_weights {0}_embedded_weights(void);\n\n", name);
  } else {
    out += fmt::format(
        "/* Checks the bytes of {0}.weights, which must be aligned to 64 bytes and outlive `out`. */\n"
        "int {0}_open(const void* data, size_t size, {0}_weights* out);\n\n",
        name);
  }
  if (parts.input->threads) {
    out +=
        R"(/* Threads that share the loops of a call: how many, with the one that calls, and what calls part(context, i) once for
   each i below `parts`, on any of them, and returns when all have returned. The bits do not depend on them. */
#ifndef TUSK_THREADS_C
#define TUSK_THREADS_C
typedef struct tusk_threads tusk_threads;
struct tusk_threads {
  int count;
  void (*run)(const tusk_threads* threads, int64_t parts, void (*part)(const void* context, int64_t i),
              const void* context);
};
#endif

)";
  }
  for (const PackedFunction& f : parts.functions) {
    if (has_io(f)) out += fmt::format("typedef struct {0}_io {{\n{1}}} {0}_io;\n", f.c_identifier, io_fields(f, ""));
    out += requirement_comment(f, "/* ", " */");
    out +=
        fmt::format("int {}(void* arena, {}{});\n", f.c_identifier, c_memory_parameter(parts, f), c_call_parameters(f));
    if (parts.input->threads) {
      out += fmt::format("int {}_with(const tusk_threads* threads, void* arena, {}{});\n", f.c_identifier,
                         c_memory_parameter(parts, f), c_call_parameters(f));
    }
    out += "\n";
  }
  out += c_seeded_init_declaration(parts);
  out += fmt::format(
      "/* Runs recorded inputs and compares the outputs with the recorded ones, bit by bit. */\n"
      "int {0}_self_test(void* arena, {1});\n",
      name, has_state ? std::string("void* state") : fmt::format("const {}_weights* weights", name));
  out += fmt::format("\n#ifdef __cplusplus\n}}\n#endif\n\n#endif /* TUSK_{}_H */\n", upper);
  return out;
}

}  // namespace tusk::cpp
