#include "codegen/mlir/interface.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <map>
#include <ranges>
#include <set>

#include "codegen/cpp/package_parts.hpp"
#include "codegen/mlir/checked.hpp"
#include "codegen/mlir/mangle.hpp"
#include "codegen/mlir/print.hpp"
#include "codegen/mlir/processor.hpp"
#include "codegen/mlir/value.hpp"

namespace tusk::mlir {
namespace {

using cpp::PackedFunction;
using cpp::Parts;

// The first bytes of a state or a file of weights: a magic word, and the SHA-256 of the layout.
std::array<std::int64_t, 5> header_words(std::string_view magic, const std::string& sha256) {
  unsigned char bytes[40] = {};
  std::memcpy(bytes, magic.data(), magic.size());
  for (std::size_t i = 0; i < 32; ++i)
    bytes[8 + i] = static_cast<unsigned char>(std::stoi(sha256.substr(2 * i, 2), nullptr, 16));
  std::array<std::int64_t, 5> out = {};
  std::memcpy(out.data(), bytes, sizeof bytes);
  return out;
}

class Printer {
 public:
  Printer(const Parts& parts, const TargetMachine& target, bool for_cpp)
      : parts_(parts),
        for_cpp_(for_cpp),
        is_64_bit_(is_64_bit(target)),
        size_(is_64_bit_ ? "i64" : "i32"),
        triple_(processor_of(target).triple),
        has_state_(!parts.states.empty()),
        has_threads_(parts.input->threads) {}

  /// For code in this process: the C function of one function, and what it calls.
  Expected<Program> print_one(const PackedFunction& packed, const LoopText& loops,
                              const std::function<bool(const Function&)>& here) {
    CHECK(function(packed, loops));
    return finished(loops, here);
  }

  Expected<Program> print(const LoopText& loops, const std::function<bool(const Function&)>& here) {
    for (const PackedFunction& f : parts_.functions) CHECK(function(f, loops));
    if (has_state_) {
      state_functions();
    } else if (parts_.embedded) {
      embedded_weights();
    } else {
      open_function();
    }
    sizes();
    return finished(loops, here);
  }

 private:
  inline static const std::string kPointer = "!llvm.ptr";

  Program finished(const LoopText& loops, const std::function<bool(const Function&)>& here) {
    Program out;
    out.exported = std::move(exported_);
    out.file = parts_.name + ".loop";
    out.made_by = cpp::made_by(*parts_.input);
    out.loops = loops.loops;
    std::string globals;
    if (parts_.embedded && parts_.weight_bytes > 0) {
      globals = fmt::format(
          "  llvm.mlir.global external constant @tusk.data() {{addr_space = 0 : i32, alignment = 64 : i64}} : "
          "!llvm.array<{} x i8>\n\n",
          parts_.weight_bytes);
      if (for_cpp_) out.data = cpp::embedded_bytes(parts_);
    }
    out.text = "module {\n" + globals + tables_ + functions_text(loops, here) + text_ + "}\n" + place_text(loops.lines);
    return out;
  }

  void add(Checked& body, const std::string& symbol, const std::vector<Parameter>& parameters,
           std::string_view result = "i32") {
    text_ += body.take(symbol, parameters, false, result);
    exported_.push_back(symbol);
  }

  // The constant bytes; where there are none, null.
  std::string data(Checked& f) const {
    return f.body().in_front(parts_.weight_bytes > 0 ? "llvm.mlir.addressof @tusk.data : !llvm.ptr"
                                                     : "llvm.mlir.zero : !llvm.ptr");
  }

  std::vector<Parameter> memory() const {
    if (has_state_) return {{"%state", kPointer, ""}};
    return {{"%data", kPointer, ""}, {"%size", "i64", ""}};
  }

  static void check_words(Checked& f, const std::string& pointer, const std::array<std::int64_t, 5>& words, Code code) {
    std::string wrong;
    for (std::int64_t i = 0; const std::int64_t word : words) {
      const std::string differs = f.compare("ne", f.read(f.at(pointer, 8 * i++), "i64"), f.word(word));
      wrong = wrong.empty() ? differs : f.op("ori", wrong, differs, "i1");
    }
    f.refuse_if(wrong, code);
  }

  void check_header(Checked& f) const {
    check_words(f, "%state", header_words("TUSKST1", parts_.state_sha256), kBadState);
  }

  // Of a size between its bounds, which fits 32 bits, and so does its division.
  static std::string is_no_multiple(Checked& f, const std::string& size, std::int64_t step) {
    const std::string word = f.body().pure(fmt::format("arith.trunci {} : i64 to i32", size));
    return f.compare("ne", f.op("remui", word, f.word(step, "i32"), "i32"), f.word(0, "i32"), "i32");
  }

  // What all interfaces of a function share: everything is checked but what a reference of C++ promises.
  Status function(const PackedFunction& packed, const LoopText& loops) {
    Checked f;
    for (const cpp::PackedSymbol& symbol : packed.symbols) {
      const std::string value = "%" + symbol.identifier;
      const Code code = symbol.symbol->name == "batch" ? kBadBatch : kBadDimension;
      f.bindings()[symbol.symbol->name] = {value, loop::kIndex, true, false, DType::index};
      f.refuse_if(f.compare("slt", value, f.word(symbol.symbol->low)), code);
      f.refuse_if(f.compare("sgt", value, f.word(symbol.symbol->high)), code);
      if (symbol.symbol->step != 1) f.refuse_if(is_no_multiple(f, value, symbol.symbol->step), code);
    }
    for (const loop::ValueRef& condition : packed.conditions) {
      const std::string holds = f.values().print(condition);
      f.refuse_if(f.op("xori", holds, f.body().in_front("arith.constant true"), "i1"), kBadDimension);
    }
    if (f.values().problem()) return *f.values().problem();
    std::vector<std::string> arguments;
    for (std::size_t i = 0; i < packed.inputs.size() + packed.outputs.size(); ++i) {
      arguments.push_back(f.read(f.field("%io", i), kPointer));
      f.refuse_if(f.is_null(arguments.back()), kNullPointer);
    }
    std::string constants = "%data";
    if (has_state_) {
      check_header(f);
      constants = data(f);
    } else {
      if (parts_.weight_bytes > 0) f.refuse_if(f.is_null("%data"), kNullPointer);
      f.refuse_if(f.compare("ne", "%size", f.word(parts_.weight_bytes)), kBadWeights);
      f.refuse_if(f.is_unaligned("%data"), kBadWeights);
    }
    for (const int id : global_tensors(*packed.function, kernel::Tensor::Place::constant)) {
      const kernel::Tensor& tensor = packed.function->tensors[static_cast<std::size_t>(id)];
      arguments.push_back(f.at(constants, parts_.constants.at(tensor.global).offset));
    }
    for (const int id : global_tensors(*packed.function, kernel::Tensor::Place::state)) {
      const kernel::Tensor& tensor = packed.function->tensors[static_cast<std::size_t>(id)];
      arguments.push_back(f.at("%state", parts_.states.at(tensor.global).offset));
    }
    arguments.emplace_back("%arena");
    std::vector<std::string> types(arguments.size(), kPointer);
    if (loops.threaded.contains(packed.function->name)) {
      arguments.insert(arguments.begin(), "%threads");
      types.emplace_back(kPointer);
    }
    for (const loop::Scalar& scalar : packed.entry->scalars) {
      const auto symbol =
          std::ranges::find(packed.symbols, scalar.name, [](const cpp::PackedSymbol& s) { return s.symbol->name; });
      if (symbol == packed.symbols.end())
        return error("codegen-mlir",
                     fmt::format("`{}` of entry `{}` is no symbol", scalar.name, packed.function->name));
      // A size that is fixed is known to all that is called.
      const bool is_fixed = symbol->symbol->low == symbol->symbol->high;
      const std::string value = is_fixed ? f.word(symbol->symbol->low) : "%" + symbol->identifier;
      arguments.push_back(is_64_bit_ ? value : f.body().pure(fmt::format("arith.trunci {} : i64 to i32", value)));
      types.push_back(size_);
    }
    f.body().line(fmt::format("func.call @{}({}) : ({}) -> ()", kernel_symbol(packed.function->name),
                              fmt::join(arguments, ", "), fmt::join(types, ", ")));
    f.body().line(fmt::format("llvm.return {} : i32", f.word(0, "i32")));

    std::vector<Parameter> inner = {{"%threads", kPointer, ""}, {"%arena", kPointer, ""}};
    for (const Parameter& parameter : memory()) inner.push_back(parameter);
    std::vector<Parameter> call;
    for (const cpp::PackedSymbol& symbol : packed.symbols) call.push_back({"%" + symbol.identifier, "i64", "int64"});
    if (has_io(packed)) call.push_back({"%io", kPointer, fmt::format("const {}&", packed.io)});
    inner.insert(inner.end(), call.begin(), call.end());
    text_ += f.take("tusk.checked." + packed.identifier, inner, true);

    if (for_cpp_) cpp_function(packed, inner, call);
    if (for_cpp_ || !has_threads_) c_function(packed, inner, call, false);
    if (has_threads_) c_function(packed, inner, call, true);
    return done();
  }

  // Calls the checked function; `given` are the values of its parameters that have other names here.
  void call_checked(Checked& f, const PackedFunction& packed, const std::vector<Parameter>& inner,
                    const std::map<std::string, std::string>& given) {
    std::vector<std::string> arguments;
    std::vector<std::string> types;
    for (const Parameter& parameter : inner) {
      const auto it = given.find(parameter.name);
      arguments.push_back(it == given.end() ? parameter.name : it->second);
      types.push_back(parameter.type);
    }
    const std::string status =
        f.body().read(fmt::format("llvm.call @tusk.checked.{}({}) : ({}) -> i32", packed.identifier,
                                  fmt::join(arguments, ", "), fmt::join(types, ", ")));
    f.body().line(fmt::format("llvm.return {} : i32", status));
  }

  std::string no_threads(Checked& f) const { return f.body().in_front("llvm.mlir.zero : !llvm.ptr"); }

  // {pointer, size_t}
  std::map<std::string, std::string> weights_of(Checked& f) const {
    const std::string pointer = f.read("%weights", kPointer);
    std::string size = f.read(f.field("%weights", 1), size_);
    if (!is_64_bit_) size = f.body().pure(fmt::format("arith.extui {} : i32 to i64", size));
    return {{"%data", pointer}, {"%size", size}};
  }

  void cpp_function(const PackedFunction& packed, const std::vector<Parameter>& inner,
                    const std::vector<Parameter>& call) {
    Checked f;
    std::vector<Parameter> parameters = {{"%arena", kPointer, "Arena&"}};
    if (has_state_) {
      parameters.push_back({"%state", kPointer, packed.changes_state ? "State&" : "const State&"});
    } else {
      parameters.push_back({"%weights", kPointer, "const Weights&"});
    }
    parameters.insert(parameters.end(), call.begin(), call.end());
    if (has_threads_) parameters.push_back({"%threads", kPointer, "const tusk::Threads*"});
    std::map<std::string, std::string> given;
    if (!has_state_) given = weights_of(f);
    if (!has_threads_) given["%threads"] = no_threads(f);
    call_checked(f, packed, inner, given);
    add(f, cpp_name(packed.identifier, parameters), parameters);
  }

  std::string cpp_name(std::string_view function, const std::vector<Parameter>& parameters) const {
    std::vector<std::string> types;
    for (const Parameter& parameter : parameters) types.push_back(parameter.cpp);
    return mangled(parts_.name, function, types, triple_);
  }

  // What C cannot promise: pointers that are not null, and alignment.
  void check_memory(Checked& f) const {
    f.refuse_if(f.is_null("%arena"), kNullPointer);
    if (has_state_) {
      f.refuse_if(f.is_null("%state"), kNullPointer);
      f.refuse_if(f.is_unaligned("%state"), kBadState);
    } else if (!parts_.embedded) {
      f.refuse_if(f.is_null("%weights"), kNullPointer);
    }
    f.refuse_if(f.is_unaligned("%arena"), kBadArena);
  }

  void c_function(const PackedFunction& packed, const std::vector<Parameter>& inner, const std::vector<Parameter>& call,
                  bool with_threads) {
    Checked f;
    std::vector<Parameter> parameters;
    if (with_threads) parameters.push_back({"%threads", kPointer, ""});
    parameters.push_back({"%arena", kPointer, ""});
    parameters.push_back({has_state_ ? "%state" : "%weights", kPointer, ""});
    parameters.insert(parameters.end(), call.begin(), call.end());
    if (has_io(packed)) f.refuse_if(f.is_null("%io"), kNullPointer);
    check_memory(f);
    std::map<std::string, std::string> given;
    if (!has_state_ && parts_.embedded) {
      const std::string none = f.is_null("%weights");
      const auto either = [&](const std::string& own, const std::string& read, std::string_view type) {
        const std::string result = f.body().fresh();
        f.body().open(fmt::format("{} = scf.if {} -> ({}) {{", result, none, type));
        f.body().line(fmt::format("scf.yield {} : {}", own, type));
        f.body().between("} else {");
        f.body().line(fmt::format("scf.yield {} : {}", weights_of(f).at(read), type));
        f.body().close();
        return result;
      };
      given["%data"] = either(data(f), "%data", kPointer);
      given["%size"] = either(f.word(parts_.weight_bytes), "%size", "i64");
    } else if (!has_state_) {
      given = weights_of(f);
    }
    if (!with_threads) given["%threads"] = no_threads(f);
    call_checked(f, packed, inner, given);
    add(f, packed.c_identifier + (with_threads ? "_with" : ""), parameters);
  }

  // A struct of a pointer and a size: two registers, or, on machines of 32 bits, memory that the caller gives.
  void embedded_weights() {
    const auto print = [&](const std::string& symbol) {
      Checked f;
      const std::string size = f.word(parts_.weight_bytes, size_);
      const std::string pointer = data(f);
      if (!is_64_bit_) {
        f.write(pointer, "%out", kPointer);
        f.write(size, f.field("%out", 1), size_);
        f.body().line("llvm.return");
        return add(f, symbol, {{"%out", "!llvm.ptr {llvm.sret = !llvm.struct<(ptr, i32)>}", ""}}, "");
      }
      const std::string type = "!llvm.struct<(ptr, i64)>";
      const std::string none = f.body().pure("llvm.mlir.undef : " + type);
      const std::string half = f.body().pure(fmt::format("llvm.insertvalue {}, {}[0] : {}", pointer, none, type));
      const std::string all = f.body().pure(fmt::format("llvm.insertvalue {}, {}[1] : {}", size, half, type));
      f.body().line(fmt::format("llvm.return {} : {}", all, type));
      add(f, symbol, {}, type);
    };
    print(mangled(parts_.name, "weights", {}, triple_));
    print(parts_.name + "_embedded_weights");
  }

  // The header of a file of weights: a magic word, the SHA-256 of the layout, the size of the data and its checksum.
  void open_function() {
    const auto print = [&](const std::string& symbol, bool is_c) {
      Checked f;
      if (is_c) f.refuse_if(f.is_null("%out"), kNullPointer);
      f.refuse_if(f.is_null("%file"), kNullPointer);
      f.refuse_if(f.is_unaligned("%file"), kBadWeights);
      const std::string size = is_64_bit_ ? "%bytes" : f.body().pure("arith.extui %bytes : i32 to i64");
      f.refuse_if(f.compare("ne", size, f.word(parts_.weight_bytes + cpp::kWeightsHeader)), kBadWeights);
      check_words(f, "%file", header_words("TUSKWT1", parts_.layout_sha256), kBadWeights);
      f.body().open(fmt::format("%.sum = scf.for %.i = {} to {} step {} iter_args(%.old = {}) -> (i64) : i64 {{",
                                f.word(cpp::kWeightsHeader), size, f.word(8), f.word(0)));
      const std::string place = f.body().pure("llvm.getelementptr %file[%.i] : (!llvm.ptr, i64) -> !llvm.ptr, i8");
      const std::string mixed = f.op("xori", "%.old", f.read(place, "i64"));
      const std::string product = f.op("muli", mixed, f.word(static_cast<std::int64_t>(0x9e3779b97f4a7c15U)));
      f.body().line(fmt::format("scf.yield {} : i64", f.op("xori", product, f.op("shrui", product, f.word(32)))));
      f.body().close();
      f.refuse_if(f.compare("ne", f.read(f.at("%file", 40), "i64"), f.word(parts_.weight_bytes)), kBadWeights);
      f.refuse_if(f.compare("ne", f.read(f.at("%file", 48), "i64"), "%.sum"), kBadWeights);
      f.write(f.at("%file", cpp::kWeightsHeader), "%out", kPointer);
      f.write(f.word(parts_.weight_bytes, size_), f.field("%out", 1), size_);
      f.body().line(fmt::format("llvm.return {} : i32", f.word(0, "i32")));
      add(f, symbol, {{"%file", kPointer, ""}, {"%bytes", size_, ""}, {"%out", kPointer, ""}});
    };
    print(mangled(parts_.name, "open", {"const void*", "size", "Weights&"}, triple_), false);
    print(parts_.name + "_open", true);
  }

  void sizes() {
    Checked bytes;
    bytes.body().line(fmt::format("llvm.return {} : {}", bytes.word(parts_.arena_bytes, size_), size_));
    add(bytes, parts_.name + "_arena_bytes", {}, size_);
    Checked align;
    const std::string rest = align.op("andi", align.number_of("%memory"), align.word(63));
    const std::string missing = align.op("andi", align.op("subi", align.word(64), rest), align.word(63));
    align.body().line(fmt::format(
        "llvm.return {} : !llvm.ptr",
        align.body().pure(fmt::format("llvm.getelementptr %memory[{}] : (!llvm.ptr, i64) -> !llvm.ptr, i8", missing))));
    add(align, parts_.name + "_align", {{"%memory", kPointer, ""}}, kPointer);
  }

  void state_functions() {
    Checked bytes;
    bytes.body().line(fmt::format("llvm.return {} : {}", bytes.word(parts_.state_bytes, size_), size_));
    add(bytes, parts_.name + "_state_bytes", {}, size_);

    std::vector<std::int64_t> offsets;
    std::vector<std::int64_t> lengths;
    for (const auto& [index, c] : parts_.states) {
      offsets.push_back(c.offset);
      lengths.push_back(static_cast<std::int64_t>(c.constant->value.bytes().size()));
    }
    const auto table = [&](std::string_view name, const std::vector<std::int64_t>& values) {
      tables_ += fmt::format(
          "  llvm.mlir.global internal constant @{0}(dense<[{1}]> : tensor<{2}xi64>) : !llvm.array<{2} x i64>\n\n",
          name, fmt::join(values, ", "), values.size());
    };
    table("tusk.offsets", offsets);
    table("tusk.lengths", lengths);
    const Parameter state{"%state", kPointer, "State&"};
    const Parameter const_state{"%state", kPointer, "const State&"};
    const Parameter number{"%variable", "i32", "int"};
    const Parameter to{"%to", kPointer, "void*"};
    const Parameter from{"%from", kPointer, "const void*"};
    for (const bool is_c : {false, true}) {
      Checked init;
      initialize(init, is_c);
      add(init, is_c ? parts_.name + "_init" : cpp_name("init", {state}), {state}, is_c ? "i32" : "");
      Checked read;
      copy_variable(read, true, is_c);
      add(read, is_c ? parts_.name + "_read" : cpp_name("read", {const_state, number, to}), {state, number, to});
      Checked write;
      copy_variable(write, false, is_c);
      add(write, is_c ? parts_.name + "_write" : cpp_name("write", {state, number, from}), {state, number, from});
    }
    if (parts_.learning_rate) {
      Checked f;
      const std::string room =
          f.body().in_front(fmt::format("llvm.alloca {} x f32 : (i32) -> !llvm.ptr", f.word(1, "i32")));
      f.write("%rate", room, "f32");
      const std::string status = f.body().read(
          fmt::format("llvm.call @{}_write(%state, {}, {}) : (!llvm.ptr, i32, !llvm.ptr) -> i32", parts_.name,
                      f.word(static_cast<std::int64_t>(*parts_.learning_rate), "i32"), room));
      f.body().line(fmt::format("llvm.return {} : i32", status));
      add(f, parts_.name + "_set_learning_rate", {state, {"%rate", "f32", ""}});
    }
    if (cpp::has_initialize(parts_)) seeded_init();
  }

  void initialize(Checked& f, bool is_c) const {
    if (is_c) {
      f.refuse_if(f.is_null("%state"), kNullPointer);
      f.refuse_if(f.is_unaligned("%state"), kBadState);
    }
    f.body().line(
        fmt::format("\"llvm.intr.memset\"(%state, {}, {}) <{{isVolatile = false}}> : (!llvm.ptr, i8, {}) -> ()",
                    f.body().in_front("arith.constant 0 : i8"), f.word(parts_.state_bytes, size_), size_));
    for (std::int64_t i = 0; const std::int64_t word : header_words("TUSKST1", parts_.state_sha256))
      f.write(f.word(word), f.at("%state", 8 * i++), "i64");
    for (const auto& [index, c] : parts_.states) {
      const auto first = parts_.initial.find(index);
      if (first == parts_.initial.end()) continue;
      copy(f, f.at("%state", c.offset), f.at(data(f), first->second.offset),
           f.word(static_cast<std::int64_t>(c.constant->value.bytes().size()), size_));
    }
    f.body().line(is_c ? fmt::format("llvm.return {} : i32", f.word(0, "i32")) : "llvm.return");
  }

  void copy(Checked& f, const std::string& to, const std::string& from, const std::string& length) const {
    f.body().line(
        fmt::format("\"llvm.intr.memcpy\"({}, {}, {}) <{{isVolatile = false}}> : (!llvm.ptr, !llvm.ptr, {}) -> ()", to,
                    from, length, size_));
  }

  void copy_variable(Checked& f, bool is_read, bool is_c) const {
    if (is_c) f.refuse_if(f.is_null("%state"), kNullPointer);
    const std::string count = f.word(static_cast<std::int64_t>(parts_.states.size()), "i32");
    f.refuse_if(f.compare("uge", "%variable", count, "i32"), kBadIndex);
    const std::string other = is_read ? "%to" : "%from";
    f.refuse_if(f.is_null(other), kNullPointer);
    check_header(f);
    const auto entry = [&](std::string_view table) {
      const std::string base = f.body().in_front(fmt::format("llvm.mlir.addressof @{} : !llvm.ptr", table));
      return f.read(
          f.body().pure(fmt::format("llvm.getelementptr {}[%variable] : (!llvm.ptr, i32) -> !llvm.ptr, i64", base)),
          "i64");
    };
    const std::string inside = f.body().pure(
        fmt::format("llvm.getelementptr %state[{}] : (!llvm.ptr, i64) -> !llvm.ptr, i8", entry("tusk.offsets")));
    std::string length = entry("tusk.lengths");
    if (!is_64_bit_) length = f.body().pure(fmt::format("arith.trunci {} : i64 to i32", length));
    copy(f, is_read ? other : inside, is_read ? inside : other, length);
    f.body().line(fmt::format("llvm.return {} : i32", f.word(0, "i32")));
  }

  void seeded_init() {
    Checked f;
    check_memory(f);
    const std::string one = f.word(1, "i32");
    const std::string words = f.body().in_front(fmt::format("llvm.alloca {} x i64 : (i32) -> !llvm.ptr", one));
    const std::string io = f.body().in_front(fmt::format("llvm.alloca {} x !llvm.ptr : (i32) -> !llvm.ptr", one));
    f.write("%seed", words, "i64");
    f.write(words, io, kPointer);
    f.body().read(fmt::format("llvm.call @{}_init(%state) : (!llvm.ptr) -> i32", parts_.name));
    const std::string status = f.body().read(
        fmt::format("llvm.call @tusk.checked.initialize({}, %arena, %state, {}) : (!llvm.ptr, !llvm.ptr, !llvm.ptr, "
                    "!llvm.ptr) -> i32",
                    no_threads(f), io));
    f.body().line(fmt::format("llvm.return {} : i32", status));
    add(f, parts_.name + "_init_seed", {{"%arena", kPointer, ""}, {"%state", kPointer, ""}, {"%seed", "i64", ""}});
  }

  const Parts& parts_;
  bool for_cpp_;
  bool is_64_bit_;
  std::string size_;  // size_t
  std::string triple_;
  bool has_state_;
  bool has_threads_;
  std::string text_, tables_;
  std::vector<std::string> exported_;
};

Expected<LoopText> loops_of(const Parts& parts, const TargetMachine& target, bool debug) {
  std::vector<std::string> entries;
  for (const PackedFunction& f : parts.functions) entries.push_back(f.function->name);
  Options options = options_for(target, parts.input->program.profile);
  if (debug) {
    options.debug_file = parts.name + ".loop";
    options.debug_head = fmt::format("# {}: the loops whose lines debuggers show of {}.o\n# {}\n\n", options.debug_file,
                                     parts.name, cpp::made_by(*parts.input));
  }
  return print_loops(parts.input->loops, entries, options);
}

}  // namespace

Expected<Program> print_program(const cpp::PackageInput& input, const TargetMachine& target) {
  TRY(const Parts parts, cpp::parts_of(input));
  constexpr std::int64_t kMost32 = 0x7fffffff;
  const bool is_narrow = options_for(target, input.program.profile).index_bits == 32;
  if (const std::int64_t most = std::max(parts.arena_bytes, parts.state_bytes); is_narrow && most > kMost32)
    return error("codegen-mlir", fmt::format("{} bytes of memory are more than {} can address", most, target.name))
        .note("--dim gives smaller ranges, as in --dim batch=1..8");
  TRY(const LoopText loops, loops_of(parts, target, true));
  const auto all = [](const Function& function) { return !function.is_small; };
  return Printer(parts, target, true).print(loops, all);
}

Expected<std::vector<Group>> print_groups(const cpp::PackageInput& input, const TargetMachine& target, int count) {
  constexpr std::size_t kLeast = 60'000;  // characters that are worth a module
  TRY(const Parts parts, cpp::parts_of(input));
  TRY(const LoopText loops, loops_of(parts, target, false));
  std::vector<Group> out;
  for (const PackedFunction& packed : parts.functions) {
    const std::string entry = kernel_symbol(packed.function->name);
    // What the function reaches, the longest first; each goes to the shortest module.
    std::set<std::string, std::less<>> reached = {entry};
    std::vector<const Function*> kernels;
    std::size_t all = 0;
    for (const Function& function : loops.functions | std::views::reverse) {
      if (!reached.contains(function.name) || function.is_small) continue;
      reached.insert(function.callees.begin(), function.callees.end());
      all += function.text.size();
      if (function.name != entry) kernels.push_back(&function);
    }
    std::ranges::stable_sort(kernels, std::greater<>(), [](const Function* f) { return f->text.size(); });
    std::vector<std::size_t> length(
        std::clamp<std::size_t>(all / kLeast, 1, static_cast<std::size_t>(std::max(count, 1))));
    std::map<std::string, std::size_t, std::less<>> module_of = {{entry, 0}};
    Group group;
    for (const Function* kernel : kernels) {
      const auto shortest = std::ranges::min_element(length);
      *shortest += kernel->text.size();
      module_of[kernel->name] = static_cast<std::size_t>(shortest - length.begin());
      if (length.size() > 1) group.shared.push_back(kernel->name);
    }
    for (std::size_t k = 0; k < length.size(); ++k) {
      const auto here = [&](const Function& function) {
        const auto it = module_of.find(function.name);
        return it != module_of.end() && it->second == k;
      };
      if (k > 0) {
        group.texts.push_back("module {\n" + functions_text(loops, here) + "}\n");
        continue;
      }
      TRY(const Program program, Printer(parts, target, false).print_one(packed, loops, here));
      group.texts.push_back(program.text);
      group.exported = program.exported;
    }
    out.push_back(std::move(group));
  }
  return out;
}

Expected<std::string> group_data(const cpp::PackageInput& input) {
  TRY(const Parts parts, cpp::parts_of(input));
  return parts.embedded ? cpp::embedded_bytes(parts) : std::string();
}

}  // namespace tusk::mlir
