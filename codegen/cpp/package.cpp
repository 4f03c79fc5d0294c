#include "codegen/cpp/package.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cctype>
#include <set>

#include "codegen/cpp/names.hpp"
#include "codegen/cpp/package_parts.hpp"
#include "codegen/cpp/print_loop.hpp"
#include "ir/base/sha256.hpp"
#include "ir/text/lexer.hpp"

namespace tusk::cpp {
namespace {

constexpr std::string_view kClangFormat = R"(BasedOnStyle: Google
ColumnLimit: 0
DerivePointerAlignment: false
SortIncludes: Never
)";

std::string uppercase(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

// train_step -> TrainStep
std::string camel_case(std::string_view text) {
  std::string out;
  bool start = true;
  for (const char c : text) {
    if (c == '_') {
      start = true;
      continue;
    }
    out += start ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    start = false;
  }
  return out;
}

// A requirement as a value: "a == b", "a >= b" or "(a) % b == 0" over dims.
Expected<loop::ValueRef> condition_of(const std::string& condition, const std::vector<PackedSymbol>& symbols) {
  text::Lexer lexer("requirement", condition);
  const auto step_of = [&](std::string_view name) -> std::int64_t {
    for (const PackedSymbol& s : symbols) {
      if (s.symbol->name == name) return s.symbol->step;
    }
    return 0;
  };
  TRY(const Dim first, lexer.expect_dim(step_of));
  loop::ValueRef left = loop::dim_value(first);
  if (lexer.accept("%")) {
    TRY(const Dim by, lexer.expect_dim(step_of));
    left = loop::apply("rem", {left, loop::dim_value(by)});
  }
  const bool equal = lexer.accept("==");
  if (!equal) CHECK(lexer.expect(">="));
  TRY(const Dim right, lexer.expect_dim(step_of));
  return loop::apply(equal ? "eq" : "ge", {left, loop::dim_value(right)});
}

Expected<PackedFunction> packed(const PackageInput& input, const kernel::Function& function, Names& scope,
                                Names& c_scope, const std::vector<PackedSymbol>& symbols) {
  PackedFunction out;
  out.function = &function;
  out.entry = input.loops.func(function.name);
  if (out.entry == nullptr) return error("codegen-cpp", fmt::format("function `{}` has no loops", function.name));
  std::ranges::copy_if(symbols, std::back_inserter(out.symbols), [&](const PackedSymbol& symbol) {
    const std::vector<loop::Scalar>& taken = out.entry->scalars;
    return std::ranges::find(taken, symbol.symbol->name, &loop::Scalar::name) != taken.end();
  });
  out.identifier = scope.unique(function.name);
  out.io = scope.unique(camel_case(out.identifier));
  out.c_identifier = c_scope.unique(fmt::format("{}_{}", global_identifier(input.name), out.identifier));
  Names fields;
  const auto field = [&](int id) {
    const kernel::Tensor& tensor = function.tensors[static_cast<std::size_t>(id)];
    return Field{fields.unique(tensor.name), &tensor};
  };
  for (const int id : function.inputs) out.inputs.push_back(field(id));
  for (const int id : function.outputs) out.outputs.push_back(field(id));
  // Buffers: inputs, outputs, constants, states, the arena.
  const std::size_t before_states =
      out.inputs.size() + out.outputs.size() + global_tensors(function, kernel::Tensor::Place::constant).size();
  for (std::size_t i = before_states; i + 1 < out.entry->buffers.size(); ++i)
    out.changes_state = out.changes_state || !out.entry->buffers[i].constant;
  std::map<std::string, std::string> names;
  for (const PackedSymbol& s : symbols) names[s.symbol->name] = s.identifier;
  for (const std::string& requirement : function.requirements) {
    TRY(const loop::ValueRef condition, condition_of(requirement, symbols));
    TRY(std::string text, print_index(condition, names));
    out.conditions.push_back(condition);
    out.requirements.push_back(std::move(text));
  }
  return out;
}

std::string layout_text(const std::map<int, PackedConstant>& constants) {
  std::string out;
  for (const auto& [index, c] : constants) {
    out += fmt::format("{} {}[", c.constant->path, name_of(c.constant->value.dtype()));
    for (const std::int64_t extent : c.constant->value.shape()) out += fmt::format("{},", extent);
    out += fmt::format("] {}\n", c.offset);
  }
  return out;
}

}  // namespace

Expected<Parts> parts_of(const PackageInput& input) {
  Parts out;
  out.input = &input;
  out.name = global_identifier(input.name);
  out.upper = uppercase(out.name);

  Names parameters;
  for (const char* taken : {"arena", "weights", "state", "io", "threads"}) parameters.reserve(taken);
  Names scope;
  for (const char* taken : {"Arena", "Weights", "Status", "State", "Variable", "variables", "weights", "open", "init",
                            "read", "write", "set_learning_rate", "self_test", "kernel"})
    scope.reserve(taken);
  Names macros;
  for (const char* taken : {"ARENA_BYTES", "WEIGHTS_BYTES"}) macros.reserve(out.upper + "_" + taken);
  for (const kernel::Symbol& symbol : input.program.symbols) {
    PackedSymbol packed_symbol;
    packed_symbol.symbol = &symbol;
    packed_symbol.identifier = parameters.unique(symbol.name);
    packed_symbol.max = scope.unique("max_" + packed_symbol.identifier);
    packed_symbol.macro = fmt::format("{}_MAX_{}", out.upper, uppercase(packed_symbol.identifier));
    for (const PackedSymbol& other : out.symbols) {
      if (other.macro == packed_symbol.macro) packed_symbol.macro += "_";
    }
    out.symbols.push_back(std::move(packed_symbol));
  }

  Names c_scope;
  for (const char* taken : {"weights", "embedded_weights", "open", "self_test", "arena_bytes", "align", "status",
                            "state_bytes", "init", "init_seed", "read", "write", "set_learning_rate"}) {
    c_scope.reserve(out.name + "_" + taken);
  }
  std::set<int> used;
  std::set<int> states;
  for (const kernel::Function& function : input.program.functions) {
    TRY(PackedFunction next, packed(input, function, scope, c_scope, out.symbols));
    out.functions.push_back(std::move(next));
    for (const kernel::Tensor& tensor : function.tensors) {
      if (tensor.place == kernel::Tensor::Place::constant) used.insert(tensor.global);
      if (tensor.place == kernel::Tensor::Place::state) states.insert(tensor.global);
    }
    out.arena_bytes = std::max(out.arena_bytes, function.arena_bytes);
    out.arena_lower_bound = std::max(out.arena_lower_bound, function.arena_lower_bound);
  }
  const auto place = [&](int index, std::map<int, PackedConstant>& into, std::int64_t& end) {
    const kernel::Global& global = input.program.globals[static_cast<std::size_t>(index)];
    into[index] = {&global, end};
    end += (static_cast<std::int64_t>(global.value.bytes().size()) + 63) / 64 * 64;
  };
  for (const int index : used) place(index, out.constants, out.weight_bytes);
  if (!states.empty()) out.state_bytes = kStateHeader;
  for (const int index : states) {
    place(index, out.states, out.state_bytes);
    const std::span<const std::byte> first = input.program.globals[static_cast<std::size_t>(index)].value.bytes();
    const bool zeros = std::ranges::all_of(first, [](std::byte b) { return b == std::byte{0}; });
    if (!zeros && input.initial_states) place(index, out.initial, out.weight_bytes);
  }
  for (std::size_t number = 0; const auto& [index, state] : out.states) {
    if (!input.learning_rate.empty() && state.constant->path == input.learning_rate) out.learning_rate = number;
    ++number;
  }
  out.embedded = input.embed_weights || !states.empty();
  const std::string state_layout = layout_text(out.states);
  out.state_sha256 = sha256_hex(std::as_bytes(std::span(state_layout)));
  const std::string layout = layout_text(out.constants);
  out.layout_sha256 = sha256_hex(std::as_bytes(std::span(layout)));
  return out;
}

std::string memory_parameters(const Parts& parts, const PackedFunction& function) {
  if (parts.states.empty()) return "Arena& arena, const Weights& weights";
  return fmt::format("Arena& arena, {}State& state", function.changes_state ? "" : "const ");
}

std::string c_memory_parameter(const Parts& parts, const PackedFunction& function) {
  if (parts.states.empty()) return fmt::format("const {}_weights* weights", parts.name);
  return function.changes_state ? "void* state" : "const void* state";
}

std::string memory_arguments(const Parts& parts) { return parts.states.empty() ? "arena, weights" : "arena, state"; }

std::string call_parameters(const PackedFunction& function) {
  std::string out;
  for (const PackedSymbol& symbol : function.symbols) out += fmt::format(", std::int64_t {}", symbol.identifier);
  return out + (has_io(function) ? fmt::format(", const {}& io", function.io) : "");
}

std::string c_call_parameters(const PackedFunction& function) {
  std::string out;
  for (const PackedSymbol& symbol : function.symbols) out += fmt::format(", int64_t {}", symbol.identifier);
  return out + (has_io(function) ? fmt::format(", const {}_io* io", function.c_identifier) : "");
}

std::string io_fields(const PackedFunction& function, std::string_view prefix) {
  std::vector<std::pair<std::string, std::string>> lines;
  const auto add = [&](const Field& field, std::string_view constant) {
    std::string type(storage_name(field.tensor->type));
    if (const std::size_t colons = type.find("::"); colons != std::string::npos)
      type = std::string(prefix) + type.substr(colons + 2);
    std::string note = shape_str(field.tensor->shape);
    if (is_storage_only(field.tensor->type) || field.tensor->type == DType::boolean)
      note += fmt::format(" {}", name_of(field.tensor->type));
    if (field.identifier != field.tensor->name) note += fmt::format(", `{}`", field.tensor->name);
    lines.emplace_back(fmt::format("{}{}* {};", constant, type, field.identifier), comment_text(note));
  };
  for (const Field& field : function.inputs) add(field, "const ");
  for (const Field& field : function.outputs) add(field, "");
  std::size_t width = 0;
  for (const auto& [text, note] : lines) width = std::max(width, text.size());
  std::string out;
  for (const auto& [text, note] : lines) {
    out += prefix.empty() ? fmt::format("  {:<{}} /* {} */\n", text, width, note)
                          : fmt::format("  {:<{}}  // {}\n", text, width, note);
  }
  return out;
}

std::string type_text(const kernel::Tensor& tensor) {
  return fmt::format("{} {}", name_of(tensor.type), shape_str(tensor.shape));
}

std::string numerics_text(const Parts& parts) {
  const std::vector<std::string>& passes = parts.input->bit_changing_passes;
  return fmt::format("profile {}, numerics 1, passes that change bits: {}", comment_text(parts.input->program.profile),
                     passes.empty() ? "none" : comment_text(fmt::format("{}", fmt::join(passes, ", "))));
}

std::string made_by(const PackageInput& input) {
  std::string out = "Made by tusk " + comment_text(input.version);
  if (!input.source.empty()) out += " from " + comment_text(input.source);
  if (!input.sha256.empty()) out += ", sha256 " + comment_text(input.sha256);
  return out + ".";
}

std::string file_head(const Parts& parts, std::string_view file, std::string_view what) {
  const PackageInput& input = *parts.input;
  return fmt::format("// {}: {}\n// {}\n", file, what, made_by(input));
}

std::string_view bit_protection() {
  return R"(// The bits of the results do not depend on flags: no compiler may join a product and a sum.
#if defined(__clang__)
#pragma clang fp contract(off)
#elif defined(__GNUC__)  // nor keep loads for a loop's next turn (tiles leave no register), put reads under conditions,
// or count truths as -1
#pragma GCC optimize("fp-contract=off", "no-predictive-commoning", "no-tree-sink", "no-thread-jumps")
#pragma GCC optimize("no-tree-slp-vectorize")
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#endif
#ifdef __GNUC__  // a model may compare a tensor with itself, or with what its type cannot hold
#pragma GCC diagnostic ignored "-Wtautological-compare"
#pragma GCC diagnostic ignored "-Wtype-limits"
#endif
#ifdef __FAST_MATH__
#error "-ffast-math changes results; compile this file without it"
#endif
)";
}

std::string weights_name(const Parts& parts) {
  return parts.input->target.empty() ? "weights" : identifier("weights_" + parts.input->target);
}

Expected<Described> describe(const PackageInput& input) {
  TRY(const Parts parts, parts_of(input));
  Described out;
  out.manifest = print_manifest({parts});
  if (!parts.embedded) out.weights = weights_file(parts).substr(static_cast<std::size_t>(kWeightsHeader));
  if (!parts.states.empty()) out.state = first_state(parts);
  return out;
}

Expected<std::map<std::string, std::string>> print_package(const PackageInput& input) {
  return print_package(std::vector<PackageInput>{input});
}

Expected<std::map<std::string, std::string>> print_package(const std::vector<PackageInput>& inputs) {
  std::vector<Parts> targets;
  for (const PackageInput& input : inputs) {
    TRY(Parts parts, parts_of(input));
    targets.push_back(std::move(parts));
  }
  // The header is one: whoever includes it need not be compiled for the same machine.
  const auto largest = [&](std::int64_t Parts::*size) {
    std::int64_t most = 0;
    for (const Parts& parts : targets) most = std::max(most, parts.*size);
    for (Parts& parts : targets) parts.*size = most;
  };
  largest(&Parts::arena_bytes);
  largest(&Parts::arena_lower_bound);
  const Parts& first = targets.front();
  for (const Parts& parts : targets) {
    if (print_header(parts) != print_header(first) || print_c_header(parts) != print_c_header(first))
      return error("codegen-cpp",
                   fmt::format("the interface differs between {} and {}", first.input->target, parts.input->target));
    if (targets.size() > 1 && !parts.embedded)
      return error("several-targets", "code for several targets has its weights inside: each has them in its own order")
          .note("leave out --weights file, or compile for one target");
  }
  std::map<std::string, std::string> files;
  files[first.name + ".hpp"] = print_header(first);
  files[first.name + ".h"] = print_c_header(first);
  const std::string& object = first.input->object;
  if (object.empty()) {
    TRY(files[first.name + ".cpp"], print_source(targets));
  } else {
    files[first.name + ".o"] = object;
    if (!first.input->loops_text.empty()) files[first.name + ".loop"] = first.input->loops_text;
  }
  for (const Parts& parts : targets) {
    if (parts.embedded) {
      if (!object.empty()) continue;
      files[fmt::format("{}_{}.cpp", parts.name, weights_name(parts))] = print_embedded_weights(parts);
    } else {
      files[parts.name + ".weights"] = weights_file(parts);
    }
  }
  TRY(files[first.name + "_self_test.cpp"], print_self_test(first));
  files[first.name + "_self_test_main.cpp"] = print_self_test_main(first);
  files["CMakeLists.txt"] = print_cmake(targets);
  files["manifest.json"] = print_manifest(targets);
  for (const auto& [name, text] : runtime_files(first.input->threads)) {
    if (object.empty() || name != "tusk_runtime.hpp") files[std::string(name)] = text;
  }
  files[".clang-format"] = kClangFormat;
  return files;
}

}  // namespace tusk::cpp
