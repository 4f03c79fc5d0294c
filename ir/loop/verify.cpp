#include "ir/loop/verify.hpp"

#include <fmt/format.h>
#include <cctype>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "ir/loop/parse.hpp"
#include "ir/loop/print.hpp"
#include "ir/loop/rows.hpp"
#include "ir/text/count.hpp"
#include "ir/text/word.hpp"

namespace tusk::loop {
namespace {

using text::is_word;

constexpr std::size_t kDeepestCall = 200;

class Verifier {
 public:
  Verifier(const Module& module, const Func& func) : module_(module), func_(func) {}

  Status run() {
    // Behind `loop` and `call` any word is a name; a row stands inside of expressions.
    if (!is_word(func_.name) || (func_.result && is_reserved(func_.name))) {
      return error("loop-ssa", fmt::format("`{}` cannot be the name of a function", func_.name));
    }
    for (const Buffer& buffer : func_.buffers) {
      CHECK(define_buffer(buffer.name, {buffer.type, buffer.constant}));
      if (buffer.align < 0 || (buffer.align & (buffer.align - 1)) != 0) {
        return fail("loop-type",
                    fmt::format("the alignment of `{}` is {}, no power of two", buffer.name, buffer.align));
      }
    }
    for (const Scalar& scalar : func_.scalars) CHECK(define(scalar.name, scalar.type));
    CHECK(statements(func_.body));
    if (!func_.result) return done();
    if (!func_.buffers.empty()) return fail("loop-row", "a row has no buffers");
    for (const Stmt& stmt : func_.body) {
      if (stmt.kind != Stmt::Kind::let) return fail("loop-row", "a row is made of values only");
    }
    return wanted(func_.result, func_.result_type, "the result");
  }

 private:
  struct Memory {
    DType type = DType::f32;
    bool constant = false;
  };

  Diagnostic fail(std::string code, const std::string& message) const {
    return error(std::move(code), fmt::format("in `{}`: {}", func_.name, message));
  }
  Diagnostic fail_at(std::string code, const std::string& message, const ValueRef& value) const {
    std::string text = print(value);
    if (text.size() > 100) text.replace(97, std::string::npos, "...");
    Diagnostic out = fail(std::move(code), message);
    out.note("in " + text);
    return out;
  }

  // Names.

  Status fresh(const std::string& name) {
    if (!is_word(name) || is_reserved(name)) return fail("loop-ssa", fmt::format("`{}` cannot be a name", name));
    if (!ever_.insert(name).second) return fail("loop-ssa", fmt::format("`{}` is defined twice", name));
    scope_.push_back(name);
    return done();
  }

  Status define(const std::string& name, Type type) {
    CHECK(fresh(name));
    CHECK(sound(type, name));
    types_[name] = type;
    return done();
  }

  Status define_buffer(const std::string& name, Memory memory) {
    CHECK(fresh(name));
    if (memory.type == DType::index) return fail("loop-type", fmt::format("buffer `{}` of index", name));
    buffers_[name] = memory;
    return done();
  }

  void end_scope(std::size_t outside) {
    for (; scope_.size() > outside; scope_.pop_back()) {
      types_.erase(scope_.back());
      buffers_.erase(scope_.back());
    }
  }

  Expected<Memory> buffer(const std::string& name) const {
    const auto it = buffers_.find(name);
    if (it != buffers_.end()) return it->second;
    return fail("loop-ssa", fmt::format("buffer `{}` is not defined{}", name, ever_.contains(name) ? " here" : ""));
  }

  // Values.

  Status sound(Type type, const std::string& what) const {
    if (is_storage_only(type.element)) {
      return fail("loop-type", fmt::format("{} is {}, which lives in memory only", what, str(type)));
    }
    if (type.lanes < 1 || (type.lanes & (type.lanes - 1)) != 0 || (type.lanes > 1 && type.element == DType::index)) {
      return fail("loop-type", fmt::format("{} is {}, which is no register type", what, str(type)));
    }
    return done();
  }

  Status wanted(const ValueRef& value, Type type, const std::string& what) const {
    if (!value) return fail("loop-type", what + " is missing");
    CHECK(check(value));
    if (value->type == type) return done();
    return fail_at("loop-type", fmt::format("{} is {}, wanted is {}", what, str(value->type), str(type)), value);
  }

  Status check(const ValueRef& value) const {
    const Value& v = *value;
    for (const ValueRef& operand : v.operands) {
      if (!operand) return fail("loop-type", "an operand is missing");
      CHECK(check(operand));
    }
    CHECK(sound(v.type, "a value"));
    const auto operand_count = [&](std::size_t n) -> Status {
      if (v.operands.size() == n) return done();
      return fail_at("loop-type", fmt::format("{}, wanted: {}", text::count_of(v.operands.size(), "operand"), n),
                     value);
    };
    switch (v.kind) {
      case Value::Kind::literal:
        if (v.type.lanes != 1) return fail_at("loop-type", "a literal is scalar", value);
        if (v.literal.is_integer == is_float(v.type.element)) {
          return fail_at("loop-type", fmt::format("a literal of another kind than {}", str(v.type)), value);
        }
        return operand_count(0);
      case Value::Kind::name: {
        const auto it = types_.find(v.name);
        if (it == types_.end()) {
          return fail("loop-ssa", fmt::format("`{}` is used where it is not defined", v.name));
        }
        if (it->second == v.type) return done();
        return fail("loop-type", fmt::format("`{}` is {}, used as {}", v.name, str(it->second), str(v.type)));
      }
      case Value::Kind::row:
        return check_row(value);
      case Value::Kind::load: {
        CHECK(operand_count(v.has_mask ? 2 : 1));
        TRY(const Memory memory, buffer(v.name));
        if (register_type(memory.type) != v.type.element) {
          return fail_at("loop-type",
                         fmt::format("a load of {} from a buffer of {}", str(v.type), name_of(memory.type)), value);
        }
        CHECK(wanted(v.operands[0], kIndex, "the address"));
        if (v.has_mask) CHECK(wanted(v.operands[1], {DType::boolean, v.type.lanes}, "the mask"));
        return done();
      }
      case Value::Kind::splat:
        CHECK(operand_count(1));
        if (v.type.lanes == 1) return fail_at("loop-type", "a splat to one lane", value);
        return wanted(v.operands[0], {v.type.element, 1}, "the operand of splat");
      case Value::Kind::ramp:
        if (v.type.element != DType::i32 || v.type.lanes == 1)
          return fail_at("loop-type", "a ramp is a vector of i32", value);
        return operand_count(0);
      case Value::Kind::first:
        CHECK(operand_count(3));
        CHECK(wanted(v.operands[0], kIndex, "the count of first"));
        CHECK(wanted(v.operands[1], v.type, "an operand of first"));
        return wanted(v.operands[2], v.type, "an operand of first");
      case Value::Kind::tree: {
        CHECK(operand_count(1));
        const Type type = v.operands[0]->type;
        const DType pair[] = {type.element, type.element};
        if (v.row == nullptr || v.row->basic == Basic::none || v.row->typing != Typing::same ||
            !row_type(*v.row, pair)) {
          return fail_at("loop-type", "a tree needs a basic row of two operands of the type", value);
        }
        if (type.lanes > 1 && v.type == Type{type.element, 1}) return done();
        return fail_at("loop-type", fmt::format("a tree over {} that gives {}", str(type), str(v.type)), value);
      }
    }
    return done();
  }

  Status check_row(const ValueRef& value) const {
    const Value& v = *value;
    if (v.row == nullptr) return fail("loop-type", "a row is missing");
    std::vector<DType> elements;
    std::string types;
    for (const ValueRef& operand : v.operands) {
      elements.push_back(operand->type.element);
      types += (types.empty() ? "" : ", ") + str(operand->type);
      if (operand->type.lanes != v.type.lanes) {
        return fail_at("loop-type", fmt::format("`{}` gives {} of {}", v.row->name, str(v.type), types), value);
      }
    }
    const std::optional<DType> result = row_type(*v.row, elements);
    if (!result || *result != v.type.element) {
      return fail_at("loop-type", fmt::format("`{}` does not give {} of {}", v.row->name, str(v.type), types), value);
    }
    if (v.row->basic != Basic::none && v.row->typing == Typing::same) return done();
    if (v.row->basic == Basic::none && row_body(*v.row, elements[0]) == nullptr) {
      return fail_at("loop-row", fmt::format("`{}` has no body for {}", v.row->name, name_of(elements[0])), value);
    }
    return done();
  }

  // Statements.

  Status statements(const Block& block) {
    for (const Stmt& stmt : block) CHECK(statement(stmt));
    return done();
  }

  Status yields(const std::vector<ValueRef>& values, const std::vector<Carry>& carries) const {
    if (values.size() != carries.size()) {
      return fail("loop-yield", fmt::format("{} yielded, {} carried", values.size(), carries.size()));
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
      CHECK(wanted(values[i], carries[i].type, fmt::format("the yield to `{}`", carries[i].result)));
    }
    return done();
  }

  Status results(const std::vector<Carry>& carries) {
    for (const Carry& carry : carries) CHECK(define(carry.result, carry.type));
    return done();
  }

  Status statement(const Stmt& stmt) {
    switch (stmt.kind) {
      case Stmt::Kind::let:
        CHECK(wanted(stmt.value, stmt.type, fmt::format("`{}`", stmt.name)));
        return define(stmt.name, stmt.type);
      case Stmt::Kind::store:
        return store(stmt);
      case Stmt::Kind::loop:
        return loop(stmt);
      case Stmt::Kind::branch: {
        CHECK(wanted(stmt.value, {DType::boolean, 1}, "the condition"));
        const std::size_t outside = scope_.size();
        CHECK(statements(stmt.body));
        CHECK(yields(stmt.yields, stmt.carries));
        end_scope(outside);
        CHECK(statements(stmt.other));
        CHECK(yields(stmt.other_yields, stmt.carries));
        end_scope(outside);
        return results(stmt.carries);
      }
      case Stmt::Kind::call:
        return call(stmt);
      case Stmt::Kind::buffer: {
        TRY(const Memory base, buffer(stmt.base));
        CHECK(wanted(stmt.address, kIndex, "the address"));
        return define_buffer(stmt.name, {stmt.type.element, base.constant});
      }
      case Stmt::Kind::barrier:
      case Stmt::Kind::comment:
        return done();
    }
    return done();
  }

  Status store(const Stmt& stmt) const {
    TRY(const Memory memory, buffer(stmt.base));
    if (memory.constant) return fail("loop-const", fmt::format("a store into `{}`, which is const", stmt.base));
    CHECK(wanted(stmt.address, kIndex, "the address"));
    if (!stmt.value) return fail("loop-type", "a store without a value");
    const int lanes = stmt.value->type.lanes;
    CHECK(
        wanted(stmt.value, {register_type(memory.type), lanes}, fmt::format("the value stored into `{}`", stmt.base)));
    if (stmt.mask) CHECK(wanted(stmt.mask, {DType::boolean, lanes}, "the mask"));
    return done();
  }

  Status loop(const Stmt& stmt) {
    if (stmt.step <= 0) {
      return fail("loop-step", fmt::format("the step of `{}` is {}, it must be positive", stmt.name, stmt.step));
    }
    if (stmt.parallel != 0) {
      if (stmt.parallel < 0) return fail("loop-parallel", fmt::format("threads take no turns of `{}`", stmt.name));
      if (!stmt.carries.empty())
        return fail("loop-parallel", fmt::format("the parallel loop `{}` carries a value", stmt.name));
      const bool counts =
          stmt.step == 1 && stmt.low && stmt.low->kind == Value::Kind::literal && stmt.low->literal.integer == 0;
      if (!counts)
        return fail("loop-parallel", fmt::format("the parallel loop `{}` does not count 0, 1, 2", stmt.name));
      if (in_parallel_)
        return fail("loop-parallel", fmt::format("the parallel loop `{}` stands in another one", stmt.name));
    }
    const bool outside_parallel = in_parallel_;
    in_parallel_ = in_parallel_ || stmt.parallel != 0;
    CHECK(wanted(stmt.low, kIndex, fmt::format("the begin of `{}`", stmt.name)));
    CHECK(wanted(stmt.high, kIndex, fmt::format("the end of `{}`", stmt.name)));
    for (const Carry& carry : stmt.carries) {
      CHECK(wanted(carry.init, carry.type, fmt::format("the start of `{}`", carry.name)));
    }
    const std::size_t outside = scope_.size();
    CHECK(define(stmt.name, kIndex));
    for (const Carry& carry : stmt.carries) CHECK(define(carry.name, carry.type));
    CHECK(statements(stmt.body));
    CHECK(yields(stmt.yields, stmt.carries));
    end_scope(outside);
    in_parallel_ = outside_parallel;
    return results(stmt.carries);
  }

  Status call(const Stmt& stmt) const {
    const Func* callee = module_.func(stmt.name);
    if (callee == nullptr) return fail("loop-call", fmt::format("a call of `{}`, which does not exist", stmt.name));
    if (callee->result) return fail("loop-call", fmt::format("a call of the row `{}`", stmt.name));
    const std::size_t buffers = callee->buffers.size();
    if (stmt.arguments.size() != buffers + callee->scalars.size()) {
      return fail("loop-call", fmt::format("`{}` takes {} arguments, found {}", stmt.name,
                                           buffers + callee->scalars.size(), stmt.arguments.size()));
    }
    for (std::size_t i = 0; i < stmt.arguments.size(); ++i) {
      const ValueRef& argument = stmt.arguments[i];
      if (i >= buffers) {
        const Scalar& scalar = callee->scalars[i - buffers];
        CHECK(wanted(argument, scalar.type, fmt::format("`{}` of `{}`", scalar.name, stmt.name)));
        continue;
      }
      const Buffer& wants = callee->buffers[i];
      if (!argument || argument->kind != Value::Kind::name) {
        return fail("loop-call", fmt::format("`{}` of `{}` is a buffer", wants.name, stmt.name));
      }
      TRY(const Memory memory, buffer(argument->name));
      if (memory.type != wants.type) {
        return fail("loop-call", fmt::format("`{}` of `{}` is {}*, found `{}`, {}*", wants.name, stmt.name,
                                             name_of(wants.type), argument->name, name_of(memory.type)));
      }
      if (memory.constant && !wants.constant) {
        return fail("loop-const",
                    fmt::format("`{}` is const, `{}` of `{}` is not", argument->name, wants.name, stmt.name));
      }
    }
    return done();
  }

  const Module& module_;
  bool in_parallel_ = false;
  const Func& func_;
  std::unordered_map<std::string, Type> types_;
  std::unordered_map<std::string, Memory> buffers_;
  std::vector<std::string> scope_;
  std::unordered_set<std::string> ever_;
};

void callees(const Block& block, std::set<std::string>& out) {
  for (const Stmt& stmt : block) {
    if (stmt.kind == Stmt::Kind::call) out.insert(stmt.name);
    callees(stmt.body, out);
    callees(stmt.other, out);
  }
}

// A function's buffers and registers exist once: no function may come back to itself.
Status no_recursion(const Module& module, const Func& func, std::set<std::string>& active,
                    std::set<std::string>& good) {
  if (good.contains(func.name)) return done();
  if (!active.insert(func.name).second) {
    return error("loop-call", fmt::format("`{}` calls itself", func.name));
  }
  if (active.size() > kDeepestCall) return error("loop-call", fmt::format("calls nest too deeply at `{}`", func.name));
  std::set<std::string> next;
  callees(func.body, next);
  for (const std::string& name : next) CHECK(no_recursion(module, *module.func(name), active, good));
  active.erase(func.name);
  good.insert(func.name);
  return done();
}

}  // namespace

Status verify(const Module& module) {
  std::set<std::string> names;
  for (const Func& func : module.funcs) {
    if (!names.insert(func.name).second) return error("loop-ssa", fmt::format("`{}` is defined twice", func.name));
    CHECK(Verifier(module, func).run());
  }
  std::set<std::string> active;
  std::set<std::string> good;
  for (const Func& func : module.funcs) CHECK(no_recursion(module, func, active, good));
  return done();
}

}  // namespace tusk::loop
