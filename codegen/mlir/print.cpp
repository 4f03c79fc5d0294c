#include "codegen/mlir/print.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>
#include <iterator>
#include <ranges>
#include <utility>

#include "codegen/cpp/names.hpp"
#include "codegen/cpp/rereads.hpp"
#include "codegen/mlir/body.hpp"
#include "codegen/mlir/support.hpp"
#include "codegen/mlir/value.hpp"
#include "ir/loop/names.hpp"
#include "ir/loop/print.hpp"

namespace tusk::mlir {
namespace {

using loop::Block;
using loop::Func;
using loop::Stmt;
using loop::Type;
using loop::ValueRef;

// Shares the turns of a loop among threads. The context begins with the turns and the parts; what follows is the
// loop's own. A thread that is held up leaves parts to the others, so there are several for each.
constexpr std::string_view kParallel =
    R"(  llvm.func internal @tusk.parallel(%threads: !llvm.ptr, %turns: INDEX, %least: INDEX, %part: !llvm.ptr, %context: !llvm.ptr) {
    %null = llvm.mlir.zero : !llvm.ptr
    %c1 = arith.constant 1 : INDEX
    %c2 = arith.constant 2 : INDEX
    %c4 = arith.constant 4 : INDEX
    %one = arith.constant 1 : i32
    %there = llvm.icmp "ne" %threads, %null : !llvm.ptr
    %count = scf.if %there -> (i32) {
      %n = llvm.load %threads : !llvm.ptr -> i32
      scf.yield %n : i32
    } else {
      scf.yield %one : i32
    }
    %several = arith.cmpi sgt, %count, %one : i32
    %twice = arith.muli %least, %c2 : INDEX
    %long = arith.cmpi sge, %turns, %twice : INDEX
    %share = arith.andi %several, %long : i1
    %parts = scf.if %share -> (INDEX) {
EXTEND_COUNT      %most = arith.muli COUNT, %c4 : INDEX
      %whole = arith.divsi %turns, %least : INDEX
      %few = arith.minsi %whole, %most : INDEX
      %over = arith.remsi %few, COUNT : INDEX
      %even = arith.subi %few, %over : INDEX
      %many = arith.cmpi sgt, %few, COUNT : INDEX
      %as_many = arith.select %many, %even, %few : INDEX
      scf.yield %as_many : INDEX
    } else {
      scf.yield %c1 : INDEX
    }
    llvm.store %turns, %context : INDEX, !llvm.ptr
    %second = llvm.getelementptr %context[1] : (!llvm.ptr) -> !llvm.ptr, INDEX
    llvm.store %parts, %second : INDEX, !llvm.ptr
    %alone = arith.cmpi eq, %parts, %c1 : INDEX
    scf.if %alone {
      %first = arith.constant 0 : i64
      llvm.call %part(%context, %first) : !llvm.ptr, (!llvm.ptr, i64) -> ()
    } else {
      %place = llvm.getelementptr %threads[0, 1] : (!llvm.ptr) -> !llvm.ptr, !llvm.struct<(i32, ptr)>
      %run = llvm.load %place : !llvm.ptr -> !llvm.ptr
EXTEND_PARTS      llvm.call %run(%threads, PARTS, %part, %context) : !llvm.ptr, (!llvm.ptr, i64, !llvm.ptr, !llvm.ptr) -> ()
    }
    llvm.return
  }

)";

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
}

std::string parallel_function(const Options& options) {
  const bool wide = options.index_bits == 64;
  std::string out(kParallel);
  replace_all(out, "EXTEND_COUNT", wide ? "      %wide = arith.extsi %count : i32 to i64\n" : "");
  replace_all(out, "COUNT", wide ? "%wide" : "%count");
  replace_all(out, "EXTEND_PARTS", wide ? "" : "      %all = arith.extsi %parts : i32 to i64\n");
  replace_all(out, "PARTS", wide ? "%parts" : "%all");
  replace_all(out, "INDEX", fmt::format("i{}", options.index_bits));
  return out;
}

// "tusk.else.f32.0.0": a constant with the value that stands for what is not read.
std::string constant_text(const std::string& name) {
  const std::size_t type = std::string_view("tusk.else.").size();
  const std::size_t value = name.find('.', type) + 1;
  const std::string text = name.substr(value);
  const std::string element = name.substr(type, value - type - 1);
  // Of types that are no floats in registers, zero is the only one.
  const bool is_zero_of_storage = element == "i8" || element == "i16";
  return fmt::format("  llvm.mlir.global internal constant @\"{0}\"({1} : {2}) : {2}\n\n", name,
                     is_zero_of_storage ? "0" : text, element);
}

std::string symbol_of(const Func& func) {
  if (!func.result) return kernel_symbol(func.name);
  return func.name.find('.') == std::string::npos ? "row." + func.name : func.name;  // or a support function
}

class FuncPrinter {
 public:
  FuncPrinter(const Func& func, const Options& options, const loop::Lines& lines, LoopText& printed,
              std::set<std::string>& support)
      : func_(func),
        options_(options),
        lines_(lines),
        printed_(printed),
        support_(support),
        symbol_(symbol_of(func)),
        rereads_(cpp::rereads(func)),
        values_(body_, bindings_, options, own_) {}

  Expected<Function> print() {
    std::vector<std::string> parameters;
    takes_threads_ = false;
    loop::for_each_stmt(func_.body, [&](const Stmt& stmt) {
      takes_threads_ = takes_threads_ || stmt.parallel != 0 ||
                       (stmt.kind == Stmt::Kind::call && printed_.threaded.contains(stmt.name));
    });
    if (takes_threads_) {
      parameters.emplace_back("%.threads: !llvm.ptr");
      printed_.threaded.insert(func_.name);
    }
    for (const loop::Buffer& buffer : func_.buffers) {
      bind_buffer(buffer.name, "%" + buffer.name, buffer.type);
      parameters.push_back(fmt::format("%{}: !llvm.ptr", buffer.name));
    }
    for (const loop::Scalar& scalar : func_.scalars) {
      bind(scalar.name, "%" + scalar.name, scalar.type, scalar.type == loop::kIndex);
      parameters.push_back(fmt::format("%{}: {}", scalar.name, type_text(scalar.type, options_)));
    }
    block(func_.body);
    std::string result;
    std::string attributes;
    if (func_.result) {
      const std::string value = values_.print(func_.result);
      result = " -> " + type_text(func_.result_type, options_);
      attributes = " attributes {passthrough = [\"alwaysinline\"]}";
      body_.line(fmt::format("func.return {} : {}", value, type_text(func_.result_type, options_)));
    } else {
      body_.line("func.return");
    }
    support_.insert(own_.begin(), own_.end());
    callees_.assign(own_.begin(), own_.end());
    if (!parts_.empty()) callees_.emplace_back("tusk.parallel");
    if (values_.problem()) return Diagnostic(*values_.problem()).note("in loop function `" + func_.name + "`");
    Function out;
    out.name = symbol_;
    out.is_small = func_.result != nullptr;
    out.callees = callees_;
    loop::for_each_stmt(func_.body, [&](const Stmt& stmt) {
      if (stmt.kind == Stmt::Kind::call) out.callees.push_back(kernel_symbol(stmt.name));
    });
    std::vector<std::string> types;
    for (const std::string& parameter : parameters) types.push_back(parameter.substr(parameter.find(": ") + 2));
    out.declaration = fmt::format("  func.func private @{}({}){}\n", symbol_, fmt::join(types, ", "), result);
    out.text = parts_;
    for (const std::string& comment : func_.comments) out.text += "  // " + cpp::comment_text(comment) + "\n";
    out.text +=
        fmt::format("  func.func private @{}({}){}{} {{\n", symbol_, fmt::join(parameters, ", "), result, attributes);
    const auto head = lines_.functions.find(&func_);
    out.text += fmt::format("{}  }}{}\n\n", body_.take(), head == lines_.functions.end() ? "" : place(head->second));
    return out;
  }

 private:
  void bind(const std::string& name, std::string ssa, Type type, bool non_negative = false) {
    bindings_[name] = {std::move(ssa), type, non_negative, false, type.element};
  }
  void bind_buffer(const std::string& name, std::string ssa, DType element) {
    bindings_[name] = {std::move(ssa), {}, false, true, element};
  }

  // Where a tile leaves no register, reads stay where they stand: equal ones would become one that is kept, and
  // neighbours would be read together.
  void block(const Block& block) {
    bool is_tight = false;
    bool reads = false;
    for (const Stmt& stmt : block) {
      const bool read =
          std::exchange(reads, stmt.kind == Stmt::Kind::let && stmt.value->kind == loop::Value::Kind::load);
      const auto it = rereads_.find(&stmt);
      const bool rereads = it != rereads_.end() && it->second >= options_.vector_registers;
      const bool next_term = is_tight && reads && !read && stmt.type.lanes > 1;
      if (rereads || next_term) body_.line("llvm.fence syncscope(\"singlethread\") seq_cst");
      is_tight = is_tight || rereads;
      statement(stmt);
    }
  }

  // The place of a line of the loop text, which is written beside the object.
  std::string place(int line) {
    printed_.lines.try_emplace(line, fmt::format("\"{}\":{}:1", options_.debug_file, line));
    return fmt::format(" loc(#line{})", line);
  }

  void statement(const Stmt& stmt) {
    if (const auto it = lines_.statements.find(&stmt); it != lines_.statements.end()) {
      place(it->second);
      body_.at_line(it->second);
    }
    switch (stmt.kind) {
      case Stmt::Kind::let: {
        const bool non_negative = values_.non_negative(stmt.value);
        return bind(stmt.name, values_.print(stmt.value), stmt.type, non_negative);
      }
      case Stmt::Kind::store:
        return values_.store(stmt);
      case Stmt::Kind::loop:
        return stmt.parallel != 0 ? parallel_loop(stmt) : serial_loop(stmt);
      case Stmt::Kind::branch:
        return branch(stmt);
      case Stmt::Kind::call:
        return call(stmt);
      case Stmt::Kind::buffer:
        return bind_buffer(stmt.name, values_.address(stmt.base, stmt.address), stmt.type.element);
      case Stmt::Kind::barrier:  // one thread
      case Stmt::Kind::comment:
        return;
    }
  }

  void call(const Stmt& stmt) {
    std::vector<std::string> arguments;
    std::vector<std::string> types;
    if (printed_.threaded.contains(stmt.name)) {
      arguments.emplace_back("%.threads");
      types.emplace_back("!llvm.ptr");
    }
    for (const ValueRef& argument : stmt.arguments) {
      const auto it = argument->kind == loop::Value::Kind::name ? bindings_.find(argument->name) : bindings_.end();
      const bool is_buffer = it != bindings_.end() && it->second.is_buffer;
      arguments.push_back(is_buffer ? it->second.ssa : values_.print(argument));
      types.push_back(is_buffer ? "!llvm.ptr" : type_text(argument->type, options_));
    }
    body_.line(fmt::format("func.call @{}({}) : ({}) -> ()", kernel_symbol(stmt.name), fmt::join(arguments, ", "),
                           fmt::join(types, ", ")));
  }

  std::vector<std::string> types_of(const std::vector<loop::Carry>& carries) const {
    std::vector<std::string> out;
    for (const loop::Carry& carry : carries) out.push_back(type_text(carry.type, options_));
    return out;
  }

  // "%3:2 = " in front of an operation that gives the carried values.
  std::string results_of(const std::vector<loop::Carry>& carries, std::string& name) {
    if (carries.empty()) return "";
    name = body_.fresh();
    return carries.size() == 1 ? name + " = " : fmt::format("{}:{} = ", name, carries.size());
  }

  void bind_results(const std::vector<loop::Carry>& carries, const std::string& name) {
    for (std::size_t i = 0; i < carries.size(); ++i)
      bind(carries[i].result, carries.size() == 1 ? name : fmt::format("{}#{}", name, i), carries[i].type);
  }

  void yield(const std::vector<ValueRef>& values, const std::vector<loop::Carry>& carries) {
    if (carries.empty()) return;
    std::vector<std::string> names;
    for (const ValueRef& value : values) names.push_back(values_.print(value));
    body_.line(fmt::format("scf.yield {} : {}", fmt::join(names, ", "), fmt::join(types_of(carries), ", ")));
  }

  void serial_loop(const Stmt& stmt) {
    const std::string low = values_.print(stmt.low);
    const std::string high = values_.print(stmt.high);
    const std::string step = values_.integer(stmt.step, loop::kIndex);
    std::vector<std::string> arguments;
    for (const loop::Carry& carry : stmt.carries)
      arguments.push_back(fmt::format("%{} = {}", carry.name, values_.print(carry.init)));
    std::string name;
    const std::string results = results_of(stmt.carries, name);
    const std::string carried = arguments.empty() ? ""
                                                  : fmt::format(" iter_args({}) -> ({})", fmt::join(arguments, ", "),
                                                                fmt::join(types_of(stmt.carries), ", "));
    body_.open(fmt::format("{}scf.for %{} = {} to {} step {}{} : {} {{", results, stmt.name, low, high, step, carried,
                           type_text(loop::kIndex, options_)));
    bind(stmt.name, "%" + stmt.name, loop::kIndex, values_.non_negative(stmt.low));
    for (const loop::Carry& carry : stmt.carries) bind(carry.name, "%" + carry.name, carry.type);
    block(stmt.body);
    yield(stmt.yields, stmt.carries);
    body_.close();
    bind_results(stmt.carries, name);
  }

  void branch(const Stmt& stmt) {
    const std::string condition = values_.print(stmt.value);
    std::string name;
    const std::string results = results_of(stmt.carries, name);
    const std::string types =
        stmt.carries.empty() ? "" : fmt::format(" -> ({})", fmt::join(types_of(stmt.carries), ", "));
    body_.open(fmt::format("{}scf.if {}{} {{", results, condition, types));
    block(stmt.body);
    yield(stmt.yields, stmt.carries);
    if (!stmt.other.empty() || !stmt.carries.empty()) {
      body_.between("} else {");
      block(stmt.other);
      yield(stmt.other_yields, stmt.carries);
    }
    body_.close();
    bind_results(stmt.carries, name);
  }

  // The body becomes two functions in front of this one: of a range of turns with what it reads, and of a part, which
  // finds all that in its context.
  void parallel_loop(const Stmt& stmt) {
    const std::string index = type_text(loop::kIndex, options_);
    const std::string range = fmt::format("{}.{}", symbol_, stmt.name);
    std::vector<std::string> names;  // captured
    for (const auto& [captured, count] : loop::names_in(stmt)) {
      if (bindings_.contains(captured)) names.push_back(captured);
    }
    std::vector<std::string> fields = {index, index};
    std::vector<std::string> parameters = {"%.begin: " + index, "%.end: " + index};
    Bindings outside = bindings_;
    std::vector<std::string> types;
    for (const std::string& captured : names) {
      const Binding& binding = outside.at(captured);
      types.push_back(binding.is_buffer ? "!llvm.ptr" : type_text(binding.type, options_));
      fields.push_back(binding.is_buffer ? "ptr" : types.back());
      parameters.push_back(fmt::format("%{}: {}", captured, types.back()));
    }
    const std::string context = fmt::format("!llvm.struct<({})>", fmt::join(fields, ", "));

    // The range.
    Body body;
    std::swap(body, body_);
    bindings_.clear();
    for (const std::string& captured : names) {
      bindings_[captured] = outside.at(captured);
      bindings_[captured].ssa = "%" + captured;
    }
    body_.at_line(body.current_line());
    const std::string one = values_.integer(1, loop::kIndex);
    body_.open(fmt::format("scf.for %{} = %.begin to %.end step {} : {} {{", stmt.name, one, index));
    bind(stmt.name, "%" + stmt.name, loop::kIndex, true);
    block(stmt.body);
    body_.close();
    body_.line("func.return");
    const std::string at = body_.current_line() == 0 ? "" : place(body_.current_line());
    parts_ +=
        fmt::format("  func.func private @{}({}) attributes {{passthrough = [\"alwaysinline\"]}} {{\n{}  }}{}\n\n",
                    range, fmt::join(parameters, ", "), body_.take(), at);
    std::swap(body, body_);
    bindings_ = std::move(outside);

    part_function(range, context, names, types, at);

    // Here: the context, and the call.
    const std::string turns = values_.print(stmt.high);
    const std::string room = body_.in_front(
        fmt::format("llvm.alloca {} x {} : (i32) -> !llvm.ptr", body_.in_front("arith.constant 1 : i32"), context));
    for (std::size_t i = 0; i < names.size(); ++i) {
      const std::string place =
          body_.pure(fmt::format("llvm.getelementptr {}[0, {}] : (!llvm.ptr) -> !llvm.ptr, {}", room, i + 2, context));
      body_.line(fmt::format("llvm.store {}, {} : {}, !llvm.ptr", bindings_.at(names[i]).ssa, place, types[i]));
    }
    const std::string part = body_.in_front(fmt::format("llvm.mlir.addressof @{}.part : !llvm.ptr", range));
    body_.line(
        fmt::format("llvm.call @tusk.parallel(%.threads, {}, {}, {}, {}) : (!llvm.ptr, {}, {}, !llvm.ptr, "
                    "!llvm.ptr) -> ()",
                    turns, values_.integer(stmt.parallel, loop::kIndex), part, room, index, index));
  }

  // Part i of the parts: turns i / parts to (i + 1) / parts of all.
  void part_function(const std::string& range, const std::string& context, const std::vector<std::string>& names,
                     const std::vector<std::string>& types, const std::string& at) {
    const std::string index = type_text(loop::kIndex, options_);
    Body body;
    body.at_line(body_.current_line());
    const auto field = [&](std::size_t number, const std::string& type) {
      const std::string place =
          body.pure(fmt::format("llvm.getelementptr %.context[0, {}] : (!llvm.ptr) -> !llvm.ptr, {}", number, context));
      return body.read(fmt::format("llvm.load {} : !llvm.ptr -> {}", place, type));
    };
    const std::string i =
        options_.index_bits == 64 ? "%.i" : body.pure(fmt::format("arith.trunci %.i : i64 to {}", index));
    const std::string turns = field(0, index);
    const std::string parts = field(1, index);
    const std::string one = body.in_front(fmt::format("arith.constant 1 : {}", index));
    const auto bound = [&](const std::string& number) {
      const std::string product = body.pure(fmt::format("arith.muli {}, {} : {}", turns, number, index));
      return body.pure(fmt::format("arith.divui {}, {} : {}", product, parts, index));
    };
    std::vector<std::string> arguments = {bound(i),
                                          bound(body.pure(fmt::format("arith.addi {}, {} : {}", i, one, index)))};
    std::vector<std::string> all = {index, index};
    for (std::size_t k = 0; k < names.size(); ++k) {
      arguments.push_back(field(k + 2, types[k]));
      all.push_back(types[k]);
    }
    body.line(fmt::format("func.call @{}({}) : ({}) -> ()", range, fmt::join(arguments, ", "), fmt::join(all, ", ")));
    body.line("llvm.return");
    parts_ += fmt::format("  llvm.func internal @{}.part(%.context: !llvm.ptr, %.i: i64) {{\n{}  }}{}\n\n", range,
                          body.take(), at);
  }

  const Func& func_;
  const Options& options_;
  const loop::Lines& lines_;
  LoopText& printed_;
  std::set<std::string>& support_;
  std::set<std::string> own_;  // of support_, those that this one calls
  std::string symbol_;
  std::vector<std::string> callees_;
  bool takes_threads_ = false;
  Body body_;
  Bindings bindings_;
  std::map<const Stmt*, int> rereads_;  // what a tile reads again, and the registers that it needs
  ValuePrinter values_;
  std::string parts_;  // functions of parallel loops
};

}  // namespace

std::string kernel_symbol(std::string_view name) { return "kernel." + std::string(name); }

std::string place_text(const std::map<int, std::string>& lines) {
  std::string out;
  for (const auto& [number, place] : lines) out += fmt::format("#line{} = loc({})\n", number, place);
  return out;
}

Expected<LoopText> print_loops(const loop::Module& module, const std::vector<std::string>& entries,
                               const Options& options) {
  TRY(const loop::Reached reached, loop::reached(module, entries));
  LoopText out;
  loop::Lines lines;
  if (!options.debug_file.empty()) {
    const auto in_front = std::ranges::count(options.debug_head, '\n');
    out.loops = options.debug_head + loop::print(reached.order, lines, 1 + static_cast<int>(in_front));
  }
  std::set<std::string> support;
  std::vector<Function> functions;
  for (const Func* func : reached.order) {
    TRY(Function function, FuncPrinter(*func, options, lines, out, support).print());
    functions.push_back(std::move(function));
  }
  for (const std::string& name : support) {
    if (name.starts_with("row.")) continue;  // among what is reached
    if (name.starts_with("tusk.else.")) {
      out.functions.push_back({name, constant_text(name), "", true, {}});
      continue;
    }
    std::set<std::string> none;
    TRY(const Func func, support_function(name));
    TRY(Function function, FuncPrinter(func, options, lines, out, none).print());
    out.functions.push_back(std::move(function));
  }
  out.functions.push_back({"tusk.parallel", parallel_function(options), "", true, {}});
  std::ranges::move(functions, std::back_inserter(out.functions));
  return out;
}

std::string functions_text(const LoopText& loops, const std::function<bool(const Function&)>& here) {
  std::set<std::string> called;
  std::vector<std::string_view> texts;
  for (const Function& function : loops.functions | std::views::reverse) {
    const bool stands_here = here(function) || (function.is_small && called.contains(function.name));
    if (stands_here) called.insert(function.callees.begin(), function.callees.end());
    if (stands_here || called.contains(function.name))
      texts.push_back(stands_here ? function.text : function.declaration);
  }
  std::string out;
  for (const std::string_view text : texts | std::views::reverse) out += text;
  return out;
}

Expected<std::string> print_module(const loop::Module& module, const std::vector<std::string>& entries,
                                   const Options& options) {
  TRY(const LoopText loops, print_loops(module, entries, options));
  const std::string text = functions_text(loops, [](const Function& function) { return !function.is_small; });
  return "module {\n" + text + "}\n" + place_text(loops.lines);
}

}  // namespace tusk::mlir
