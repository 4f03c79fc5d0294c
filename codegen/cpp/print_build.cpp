// CMakeLists.txt and manifest.json.
#include <fmt/format.h>
#include <algorithm>

#include "codegen/cpp/names.hpp"
#include "codegen/cpp/package_parts.hpp"

namespace tusk::cpp {
namespace {

std::string quoted(std::string_view text) { return "\"" + json_text(text) + "\""; }

template <class List, class F>
std::string json_list(const List& list, const F& item, std::string_view open = "[", std::string_view close = "]") {
  std::string out(open);
  bool first = true;
  for (const auto& element : list) {
    const std::string text = item(element);
    out += first ? "" : text[0] == '\n' ? "," : ", ";
    out += text;
    first = false;
  }
  return out + std::string(close);
}

// `names`: in the model, if they are known.
std::string tensors(const std::vector<Field>& fields, const std::vector<std::string>& names) {
  std::size_t next = 0;
  return json_list(fields, [&](const Field& field) {
    const std::size_t k = next++;
    return fmt::format(R"({{"name": {}, "identifier": {}, "type": {}, "shape": {}}})",
                       quoted(k < names.size() ? names[k] : field.tensor->name), quoted(field.identifier),
                       quoted(name_of(field.tensor->type)),
                       json_list(field.tensor->shape, [](const Dim& dim) { return quoted(dim.str()); }));
  });
}

std::string argument(std::string_view option) {  // of a CMake command
  std::string out;
  for (const char c : option) {
    if (c == '"' || c == '\\' || c == '$' || c == ';') out += '\\';
    out += c;
  }
  return "\"" + out + "\"";
}

}  // namespace

std::string print_cmake(const std::vector<Parts>& targets) {
  const Parts& parts = targets.front();
  const std::string& name = parts.name;
  const bool embedded = parts.embedded;
  const bool has_object = !parts.input->object.empty();
  std::string weights;
  for (const Parts& each : targets)
    weights += embedded && !has_object ? fmt::format(" {}_{}.cpp", name, weights_name(each)) : "";
  std::string out = fmt::format(
      "# The library {0} ({0}::{0}), and its self test where tests are built. Works wherever this folder lies, alone\n"
      "# and by add_subdirectory.\n",
      name);
  out += fmt::format(
      R"(cmake_minimum_required(VERSION 3.16)
project({0} LANGUAGES CXX)

if(CMAKE_SOURCE_DIR STREQUAL CMAKE_CURRENT_SOURCE_DIR)
  set({0}_testing ON)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release)
  endif()
else()
  set({0}_testing ${{BUILD_TESTING}})
endif()

add_library({0} STATIC {0}.{2}{1} {0}_self_test.cpp){3}
add_library({0}::{0} ALIAS {0})
target_include_directories({0} PUBLIC ${{CMAKE_CURRENT_SOURCE_DIR}})
target_compile_features({0} PUBLIC cxx_std_17)
)",
      name, weights, has_object ? "o" : "cpp",
      has_object ? fmt::format("\nset_source_files_properties({}.o PROPERTIES EXTERNAL_OBJECT ON)", name) : "");
  // Without tables of exceptions a C or Fortran program links it, whatever the level of optimisation.
  std::string options = " -fno-exceptions -fno-rtti";
  for (const std::string& option : parts.input->compile_options) options += " " + argument(option);
  out +=
      fmt::format("if(CMAKE_CXX_COMPILER_ID MATCHES \"GNU|Clang\")\n  target_compile_options({} PRIVATE{})\nendif()\n",
                  name, options);
  if (std::string flags = parts.input->flags; !flags.empty() && !has_object) {
    std::ranges::replace(flags, ' ', ';');
    out += fmt::format(R"(
# The instructions of the machine that loops are made for. Without them ({0}_FLAGS empty) all runs on any machine, with
# the same results, many times slower.
set({0}_FLAGS "{1}" CACHE STRING "flags of GCC and Clang for {0}")
if(CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang" AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_compile_options({0} PRIVATE ${{{0}_FLAGS}})
endif()
)",
                       name, flags);
  }
  out += fmt::format(R"(
if({0}_testing)
  enable_testing()
  add_executable({0}_self_test {0}_self_test_main.cpp)
  target_link_libraries({0}_self_test PRIVATE {0})
  add_test(NAME {0}.self_test COMMAND {0}_self_test{1})
endif()
)",
                     name, embedded ? "" : fmt::format(" ${{CMAKE_CURRENT_SOURCE_DIR}}/{}.weights", name));
  return out;
}

std::string print_manifest(const std::vector<Parts>& targets) {
  const Parts& parts = targets.front();
  const PackageInput& input = *parts.input;
  std::string out = "{\n";
  out += fmt::format("  \"name\": {},\n  \"identifier\": {},\n", quoted(input.name), quoted(parts.name));
  out += fmt::format("  \"tusk\": {},\n  \"source\": {},\n  \"sha256\": {},\n", quoted(input.version),
                     quoted(input.source), quoted(input.sha256));
  if (targets.size() > 1) {
    // What stands below of weights, kernels and arenas of functions is that of the first.
    out += fmt::format("  \"targets\": {},\n",
                       json_list(targets, [](const Parts& each) { return quoted(each.input->target); }));
  }
  if (!input.object.empty()) out += "  \"backend\": \"mlir\",\n";
  out += fmt::format("  \"numerics\": 1,\n  \"profile\": {},\n", quoted(input.program.profile));
  out += fmt::format("  \"tolerance\": {},\n", input.tolerance);
  out += fmt::format("  \"passes_that_change_bits\": {},\n", json_list(input.bit_changing_passes, quoted));
  out += fmt::format("  \"symbols\": {},\n", json_list(parts.symbols, [](const PackedSymbol& s) {
                       return fmt::format(R"({{"name": {}, "identifier": {}, "low": {}, "high": {}, "step": {}}})",
                                          quoted(s.symbol->name), quoted(s.identifier), s.symbol->low, s.symbol->high,
                                          s.symbol->step);
                     }));
  out +=
      "  \"functions\": " +
      json_list(parts.functions,
                [&](const PackedFunction& f) {
                  std::vector<std::string> how;
                  const auto names = input.input_names.find(f.function->name);
                  for (const SelfTest& test : input.self_tests) {
                    if (test.function == f.function->name) how.push_back(test.how);
                  }
                  return fmt::format(
                      "\n    {{\"name\": {}, \"identifier\": {},\n     \"inputs\": {},\n     \"outputs\": {},\n     "
                      "\"symbols\": {}, \"requires\": {},\n"
                      "     \"arena_bytes\": {}, \"arena_lower_bound\": {}, \"self_test_recorded_by\": {}}}",
                      quoted(f.function->name), quoted(f.identifier),
                      tensors(f.inputs, names == input.input_names.end() ? std::vector<std::string>() : names->second),
                      tensors(f.outputs, {}),
                      json_list(f.symbols, [](const PackedSymbol& s) { return quoted(s.symbol->name); }),
                      json_list(f.function->requirements, quoted), f.function->arena_bytes,
                      f.function->arena_lower_bound, json_list(how, quoted));
                }) +
      ",\n";
  out += fmt::format("  \"arena_bytes\": {},\n", parts.arena_bytes);
  out += fmt::format("  \"weights\": {{\"bytes\": {}, \"embedded\": {}, \"layout_sha256\": {}, \"tensors\": ",
                     parts.weight_bytes, parts.embedded, quoted(parts.layout_sha256));
  out += json_list(parts.constants,
                   [](const auto& entry) {
                     const PackedConstant& c = entry.second;
                     return fmt::format("\n    {{\"path\": {}, \"type\": {}, \"shape\": [{}], \"offset\": {}}}",
                                        quoted(c.constant->path), quoted(name_of(c.constant->value.dtype())),
                                        fmt::join(c.constant->value.shape(), ", "), c.offset);
                   }) +
         "},\n";
  if (!parts.states.empty()) {
    out += fmt::format("  \"state\": {{\"bytes\": {}, \"layout_sha256\": {}, \"variables\": ", parts.state_bytes,
                       quoted(parts.state_sha256));
    out += json_list(parts.states,
                     [](const auto& entry) {
                       const PackedConstant& c = entry.second;
                       return fmt::format(
                           "\n    {{\"path\": {}, \"type\": {}, \"shape\": [{}], \"trainable\": {}, \"offset\": {}}}",
                           quoted(c.constant->path), quoted(name_of(c.constant->value.dtype())),
                           fmt::join(c.constant->value.shape(), ", "), c.constant->trainable, c.offset);
                     }) +
           "},\n";
  }
  std::vector<std::string> kernels;
  for (const loop::Func& func : input.loops.funcs) {
    const bool entry = std::any_of(parts.functions.begin(), parts.functions.end(),
                                   [&](const PackedFunction& f) { return f.function->name == func.name; });
    if (!entry && !func.result) kernels.push_back(func.name);
  }
  out += fmt::format("  \"kernels\": {}\n}}\n", json_list(kernels, quoted));
  return out;
}

}  // namespace tusk::cpp
