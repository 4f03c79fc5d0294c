// NAME_self_test.cpp and the program that runs it.
#include <fmt/format.h>
#include <algorithm>
#include <cstring>

#include "codegen/cpp/names.hpp"
#include "codegen/cpp/package_parts.hpp"
#include "codegen/cpp/print_loop.hpp"

namespace tusk::cpp {
namespace {

// Outputs of more bytes are static: a stack may be small.
constexpr std::int64_t kMostStack = 16384;

// The bytes of a call's outputs.
std::int64_t output_bytes(const SelfTest& test) {
  std::int64_t bytes = 0;
  for (const auto& [name, array] : test.outputs)
    bytes += std::max<std::int64_t>(1, array.size()) * size_of(array.dtype());
  return bytes;
}

std::string_view word_type(int bytes) {
  return bytes == 1 ? "std::uint8_t" : bytes == 2 ? "std::uint16_t" : bytes == 4 ? "std::uint32_t" : "std::uint64_t";
}

// const std::uint32_t name[2] = {0x3f800000, 0x40000000};
std::string recorded_array(const std::string& name, const Array& array) {
  const int size = size_of(array.dtype());
  const std::int64_t count = std::max<std::int64_t>(1, array.size());
  std::string out = fmt::format("alignas(64) const {} {}[{}] = {{\n", word_type(size), name, count);
  const int per_line = size == 8 ? 4 : size == 4 ? 8 : 16;
  for (std::int64_t i = 0; i < array.size(); ++i) {
    std::uint64_t word = 0;
    std::memcpy(&word, array.bytes().data() + i * size, static_cast<std::size_t>(size));
    out += fmt::format("{}0x{:0{}x},", i % per_line == 0 ? "    " : " ", word, 2 * size);
    if (i % per_line == per_line - 1 || i + 1 == array.size()) out += "\n";
  }
  if (array.size() == 0) out += "    0,\n";
  return out + "};\n";
}

const Array* find(const std::map<std::string, Array>& arrays, const std::string& name) {
  const auto it = arrays.find(name);
  return it == arrays.end() ? nullptr : &it->second;
}

// The bit of the least NaN's magnitude minus one: beyond it a magnitude is a NaN.
std::string infinity_bits(DType type) {
  switch (type) {
    case DType::f16:
      return "0x7c00";
    case DType::bf16:
      return "0x7f80";
    case DType::f32:
      return "0x7f800000";
    case DType::f64:
      return "0x7ff0000000000000";
    default:
      return "";
  }
}

Expected<std::string> call(const Parts& parts, const PackedFunction& f, const SelfTest& test, std::size_t number,
                           std::string& arrays) {
  std::string outputs;
  std::string fields;
  std::string checks;
  Names names;
  for (const auto* list : {&f.inputs, &f.outputs}) {
    const bool is_input = list == &f.inputs;
    for (const Field& field : *list) {
      const Array* array = find(is_input ? test.inputs : test.outputs, field.tensor->name);
      if (array == nullptr || array->dtype() != field.tensor->type) {
        return error("codegen-cpp", fmt::format("the self test of `{}` has no `{}` of type {}", test.function,
                                                field.tensor->name, name_of(field.tensor->type)));
      }
      const std::string name = names.unique(fmt::format("{}_{}_{}", f.identifier, number, field.identifier));
      arrays += fmt::format("// {} of {}: {}\n", is_input ? "Input" : "Output", f.identifier,
                            comment_text(field.tensor->name)) +
                recorded_array(name, *array) + "\n";
      fields += fields.empty() ? "" : ", ";
      if (is_input) {
        fields += fmt::format("reinterpret_cast<const {}*>({})", storage_name(field.tensor->type), name);
        continue;
      }
      // An output may have the name of the function, or of a parameter.
      const std::string computed = "computed_" + field.identifier;
      fields += computed;
      const std::int64_t count = std::max<std::int64_t>(1, array->size());
      outputs += fmt::format("STORAGE{} {}[{}];\n", storage_name(field.tensor->type), computed, count);
      const std::string infinity = infinity_bits(array->dtype());
      checks += fmt::format("{}same({}, {}, {}{})", checks.empty() ? "" : " && ", computed, name, array->size(),
                            infinity.empty() ? "" : ", " + infinity);
    }
  }
  const std::string storage = output_bytes(test) > kMostStack ? "  static " : "  ";
  for (std::size_t at = outputs.find("STORAGE"); at != std::string::npos; at = outputs.find("STORAGE"))
    outputs.replace(at, 7, storage);
  std::string symbols;
  for (const PackedSymbol& symbol : f.symbols) {
    const auto it = test.symbols.find(symbol.symbol->name);
    symbols += fmt::format(", {}", it == test.symbols.end() ? symbol.symbol->low : it->second);
  }
  const bool has_state = !parts.states.empty();
  if (has_state) {
    checks += fmt::format("{}state_sum(state) == 0x{:016x}", checks.empty() ? "" : " && ",
                          state_checksum(parts, test.states));
    outputs += "  init(state);\n";
  }
  const bool threads = parts.input->threads;
  return fmt::format(
      R"(// Recorded by the {0}.
Status {1}_{2}({7}{9}) {{
{3}  const Status status = {1}({8}{4}{5}{10});
  if (status != Status::ok) return status;
  return {6} ? Status::ok : Status::self_test_failed;
}}

)",
      comment_text(test.how), f.identifier, number, outputs, symbols, has_io(f) ? fmt::format(", {{{}}}", fields) : "",
      checks.empty() ? "true" : checks,
      has_state ? "Arena& arena, State& state" : "Arena& arena, const Weights& weights", memory_arguments(parts),
      threads ? ", const tusk::Threads* threads" : "", threads ? ", threads" : "");
}

}  // namespace

bool self_test_is_static(const Parts& parts) {
  return std::any_of(parts.input->self_tests.begin(), parts.input->self_tests.end(),
                     [](const SelfTest& test) { return output_bytes(test) > kMostStack; });
}

Expected<std::string> print_self_test(const Parts& parts) {
  std::string arrays;
  std::string functions;
  std::string calls;
  bool floats = false;
  bool others = false;
  std::size_t number = 0;
  for (const SelfTest& test : parts.input->self_tests) {
    const auto f = std::find_if(parts.functions.begin(), parts.functions.end(),
                                [&](const PackedFunction& p) { return p.function->name == test.function; });
    if (f == parts.functions.end())
      return error("codegen-cpp", fmt::format("a self test of `{}`, which is no function", test.function));
    TRY(const std::string text, call(parts, *f, test, ++number, arrays));
    functions += text;
    for (const Field& field : f->outputs) (is_float(field.tensor->type) ? floats : others) = true;
    calls += fmt::format("  if (status == Status::ok) status = {}_{}({}{});\n", f->identifier, number,
                         memory_arguments(parts), parts.input->threads ? ", threads" : "");
  }

  std::string out = file_head(parts, parts.name + "_self_test.cpp", "recorded calls, to try on the machine of use");
  out += fmt::format(
      "#include <cstring>\n\n#include \"{0}.h\"\n#include \"{0}.hpp\"\n\nnamespace {0} {{\nnamespace {{\n\n",
      parts.name);
  if (floats) {
    out += R"(// Equal bits, but that any NaN equals any NaN: beyond `infinity` a magnitude is one.
template <class T, class Word>
bool same(const T* found, const Word* wanted, std::size_t count, decltype(Word{}) infinity) {
  constexpr auto magnitude = static_cast<Word>(~Word{0} >> 1);
  for (std::size_t i = 0; i < count; ++i) {
    Word word;
    std::memcpy(&word, found + i, sizeof word);
    const bool nans = (word & magnitude) > infinity && (wanted[i] & magnitude) > infinity;
    if (word != wanted[i] && !nans) return false;
  }
  return true;
}

)";
  }
  if (others) {
    out += R"(template <class T, class Word>
bool same(const T* found, const Word* wanted, std::size_t count) {
  return std::memcmp(found, wanted, count * sizeof(Word)) == 0;
}

)";
  }
  const bool has_state = !parts.states.empty();
  if (has_state) {
    out += R"(// Of all bytes behind the header.
std::uint64_t state_sum(const State& state) {
  std::uint64_t sum = 0;
  for (std::size_t i = 64; i < sizeof state.bytes; i += 8) {
    std::uint64_t word;
    std::memcpy(&word, state.bytes + i, 8);
    sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
    sum ^= sum >> 32;
  }
  return sum;
}

)";
  }
  out += arrays.empty() ? "" : "// clang-format off\n" + arrays + "// clang-format on\n\n";
  out += functions;
  out += fmt::format("}}  // namespace\n\nStatus self_test(Arena&{}, {}{}{}{}) noexcept {{\n",
                     calls.empty() ? "" : " arena", has_state ? "State&" : "const Weights&",
                     calls.empty() ? ""
                     : has_state   ? " state"
                                   : " weights",
                     parts.input->threads ? ", const tusk::Threads*" : "",
                     parts.input->threads && !calls.empty() ? " threads" : "");
  out += calls.empty() ? "  return Status::ok;\n}\n\n"
                       : "  Status status = Status::ok;\n" + calls + "  return status;\n}\n\n";
  out += fmt::format("}}  // namespace {}\n\n", parts.name);

  const std::string& name = parts.name;
  if (has_state) {
    return out + fmt::format(R"(int {0}_self_test(void* arena, void* state) {{
  if (arena == nullptr || state == nullptr) return {0}_null_pointer;
  if (arena != {0}_align(arena)) return {0}_bad_arena;
  if (state != {0}_align(state)) return {0}_bad_state;
  return static_cast<int>({0}::self_test(*static_cast<{0}::Arena*>(arena), *static_cast<{0}::State*>(state)));
}}
)",
                             name);
  }
  out += fmt::format("int {0}_self_test(void* arena, const {0}_weights* weights) {{\n", name);
  out += fmt::format("  if (arena == nullptr{}) return {}_null_pointer;\n",
                     parts.embedded ? "" : " || weights == nullptr", name);
  out += fmt::format("  if (arena != {0}_align(arena)) return {0}_bad_arena;\n", name);
  const std::string given = "{static_cast<const unsigned char*>(weights->data), weights->size}";
  out += parts.embedded
             ? fmt::format("  const {0}::Weights w = weights == nullptr ? {0}::weights() : {0}::Weights{1};\n", name,
                           given)
             : fmt::format("  const {0}::Weights w = {1};\n", name, given);
  out += fmt::format("  return static_cast<int>({0}::self_test(*static_cast<{0}::Arena*>(arena), w));\n}}\n", name);
  return out;
}

std::string print_self_test_main(const Parts& parts) {
  const std::string& name = parts.name;
  std::string out = file_head(parts, name + "_self_test_main.cpp", "a program that runs the self test");
  if (parts.embedded) {
    out += fmt::format(R"(#include <cstdio>

#include "{0}.hpp"

int main() {{
  static {0}::Arena arena;
{1}  const {0}::Status status = {0}::self_test(arena{2});
  std::printf("{0}: %s\n", status == {0}::Status::ok ? "the self test passed" : "THE SELF TEST FAILED");
  return static_cast<int>(status);
}}
)",
                       name, parts.states.empty() ? "" : fmt::format("  static {}::State state;\n", name),
                       parts.states.empty() ? "" : ", state");
    return out;
  }
  out += fmt::format(R"(#include <cstdio>

#include "{0}.hpp"

// The argument is the path of {0}.weights.
int main(int count, char** arguments) {{
  static {0}::Arena arena;
  alignas(64) static unsigned char bytes[{1}];  // a byte more than the file should have, to see one that is too long
  std::FILE* file = std::fopen(count > 1 ? arguments[1] : "{0}.weights", "rb");
  if (file == nullptr) {{
    std::printf("{0}: cannot read the weights\n");
    return 100;
  }}
  const std::size_t size = std::fread(bytes, 1, sizeof bytes, file);
  std::fclose(file);
  {0}::Weights weights;
  {0}::Status status = {0}::open(bytes, size, weights);
  if (status == {0}::Status::ok) status = {0}::self_test(arena, weights);
  std::printf("{0}: %s\n", status == {0}::Status::ok ? "the self test passed" : "THE SELF TEST FAILED");
  return static_cast<int>(status);
}}
)",
                     name, parts.weight_bytes + kWeightsHeader + 1);
  return out;
}

}  // namespace tusk::cpp
