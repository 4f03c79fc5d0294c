// Each function becomes a list of instructions whose operands lie at fixed places in memory: no function calls itself,
// so one copy of its registers is enough, and running it looks nothing up.
#include "ir/loop/interpret.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cassert>
#include <cstring>
#include <deque>
#include <map>
#include <memory_resource>
#include <optional>
#include <unordered_map>
#include <vector>

#include "ir/loop/instruction.hpp"
#include "ir/loop/rows.hpp"
#include "ir/loop/verify.hpp"

namespace tusk::loop {
namespace {

using Code = std::vector<Instruction>;
constexpr std::int64_t kWord = 8;

bool run_code(const Code& code, Diagnostic& problem) {
  for (const Instruction& next : code) {
    if (!next.run(next, problem)) return false;
  }
  return true;
}

// Registers are whole words.
struct Copy {
  void* to = nullptr;
  const void* from = nullptr;
  std::int64_t words = 1;
};

void run_copies(const std::vector<Copy>& copies) {
  for (const Copy& copy : copies) {
    for (std::int64_t w = 0; w < copy.words; ++w) {
      std::memcpy(static_cast<std::byte*>(copy.to) + w * kWord, static_cast<const std::byte*>(copy.from) + w * kWord,
                  kWord);
    }
  }
}

struct LoopPlan {
  std::int64_t* index = nullptr;
  std::int64_t step = 1;
  std::vector<Copy> enter;  // init to carry
  Code body;
  std::vector<Copy> next;  // yield to carry
};

bool run_loop(const Instruction& i, Diagnostic& problem) {
  const auto& plan = *static_cast<const LoopPlan*>(i.plan);
  const std::int64_t high = *static_cast<const std::int64_t*>(i.b);
  std::int64_t k = *static_cast<const std::int64_t*>(i.a);
  run_copies(plan.enter);
  while (k < high) {
    *plan.index = k;
    if (!run_code(plan.body, problem)) return false;
    run_copies(plan.next);
    if (__builtin_add_overflow(k, plan.step, &k)) break;
  }
  return true;
}

// Backwards, so that turns that are not independent show.
bool run_parallel_loop(const Instruction& i, Diagnostic& problem) {
  const auto& plan = *static_cast<const LoopPlan*>(i.plan);
  for (std::int64_t k = *static_cast<const std::int64_t*>(i.b) - 1; k >= 0; --k) {
    *plan.index = k;
    if (!run_code(plan.body, problem)) return false;
  }
  return true;
}

struct BranchPlan {
  Code body, other;
  std::vector<Copy> yields, other_yields;
};

bool run_branch(const Instruction& i, Diagnostic& problem) {
  const auto& plan = *static_cast<const BranchPlan*>(i.plan);
  const bool holds = *static_cast<const std::uint8_t*>(i.a) != 0;
  if (!run_code(holds ? plan.body : plan.other, problem)) return false;
  run_copies(holds ? plan.yields : plan.other_yields);
  return true;
}

// let name = base + address: c is the unit in bytes.
struct ViewPlan {
  const View* base = nullptr;
  View* view = nullptr;
  std::int64_t unit = 1;
  std::string text;  // for the error
};

bool run_view(const Instruction& i, Diagnostic& problem) {
  const auto& plan = *static_cast<const ViewPlan*>(i.plan);
  const std::int64_t address = *static_cast<const std::int64_t*>(i.a);
  if (plan.base->bytes == 0) {  // a part of nothing, wherever: every read is refused
    *plan.view = {plan.base->data, 0, 0};
    return true;
  }
  if (address < 0 || address > plan.base->bytes / plan.unit) {
    problem =
        error("loop-range", fmt::format("{} + {} is outside of its {} bytes", plan.text, address, plan.base->bytes));
    return false;
  }
  const std::int64_t offset = address * plan.unit;
  *plan.view = {plan.base->data + offset, plan.base->bytes - offset, plan.base->before + offset};
  return true;
}

// A function, ready to run.
struct Compiled {
  const Func* func = nullptr;
  std::vector<View*> buffers;
  std::vector<void*> scalars;
  Code code;
};

struct CallPlan {
  const Compiled* callee = nullptr;
  std::vector<std::pair<View*, const View*>> buffers;
  std::vector<Copy> scalars;
};

bool run_call(const Instruction& i, Diagnostic& problem) {
  const auto& plan = *static_cast<const CallPlan*>(i.plan);
  for (const auto& [to, from] : plan.buffers) *to = *from;
  run_copies(plan.scalars);
  if (run_code(plan.callee->code, problem)) return true;
  problem.note(fmt::format("called from `{}`", static_cast<const char*>(i.a)));
  return false;
}

}  // namespace

struct Interpreter::State {
  Module module;
  Profile profile = Profile::fma;
  std::optional<Status> verified;
  std::pmr::monotonic_buffer_resource memory;  // registers, views and plans live as long as the state
  std::deque<LoopPlan> loops;
  std::deque<BranchPlan> branches;
  std::deque<ViewPlan> view_plans;
  std::deque<CallPlan> calls;
  std::deque<Access> accesses;
  std::deque<TreePlan> trees;
  std::deque<View> views;
  std::map<std::string, Compiled, std::less<>> compiled;
  std::map<std::string, Func> row_bodies;

  const Compiled& function(const Func& func);
  const Func& body_of(const Row& row, Type type);

  static std::int64_t words(Type type) { return (register_bytes(type.element) * type.lanes + kWord - 1) / kWord; }
  void* place(Type type) {
    const auto bytes = static_cast<std::size_t>(words(type) * kWord);
    void* out = memory.allocate(bytes, std::min<std::size_t>(bytes, 64));
    std::memset(out, 0, bytes);
    return out;
  }
  template <class T>
  static T* keep(std::deque<T>& all, T one) {
    return &all.emplace_back(std::move(one));
  }
};

namespace {

template <class State>
class Compiler {
 public:
  Compiler(State& state, const Func& func, Compiled& out) : state_(state), func_(func), out_(out) {}

  void run() {
    for (const Buffer& buffer : func_.buffers) {
      View* view = state_.keep(state_.views, View{});
      buffers_[buffer.name] = {view, buffer.type};
      out_.buffers.push_back(view);
    }
    for (const Scalar& scalar : func_.scalars) {
      void* place = state_.place(scalar.type);
      values_[scalar.name] = place;
      out_.scalars.push_back(place);
    }
    block(func_.body, out_.code);
  }

 private:
  struct Memory {
    View* view = nullptr;
    DType type = DType::f32;
  };

  // Where a number lies, written once, now.
  const void* number(const Literal& literal, DType type) {
    void* out = state_.place({type, 1});
    const auto write = [out](auto value) { std::memcpy(out, &value, sizeof(value)); };
    switch (type) {
      case DType::f32:
        write(static_cast<float>(literal.as_double()));
        break;
      case DType::f64:
        write(literal.as_double());
        break;
      case DType::i32:
      case DType::u32:
        write(static_cast<std::uint32_t>(literal.integer));
        break;
      case DType::boolean:
        write(static_cast<std::uint8_t>(literal.integer != 0 ? 1 : 0));
        break;
      default:
        write(literal.integer);
        break;
    }
    return out;
  }

  // Appends what computes the value; gives the place where it will be.
  const void* value(const ValueRef& ref, Code& code) {
    const Value& v = *ref;
    if (v.kind == Value::Kind::literal) return number(v.literal, v.type.element);
    if (v.kind == Value::Kind::name) return values_.at(v.name);
    Instruction next;
    next.n = v.type.lanes;
    std::vector<const void*> x;
    for (const ValueRef& operand : v.operands) x.push_back(value(operand, code));
    if (v.kind == Value::Kind::row && v.row->basic == Basic::none) return row_call(v, x, code);
    next.a = !x.empty() ? x[0] : nullptr;
    next.b = x.size() > 1 ? x[1] : nullptr;
    next.c = x.size() > 2 ? x[2] : nullptr;
    switch (v.kind) {
      case Value::Kind::literal:
      case Value::Kind::name:
        break;
      case Value::Kind::row:
        next.run = row_run(v);
        break;
      case Value::Kind::load: {
        const Memory& memory = buffers_.at(v.name);
        next.run = load_instruction(memory.type, v.has_mask);
        next.plan = access(memory, v.name);
        if (v.has_mask) next.c = number(v.literal, v.type.element);
        break;
      }
      case Value::Kind::splat:
        next.run = splat_instruction(v.type.element);
        break;
      case Value::Kind::ramp:
        next.run = ramp_instruction();
        break;
      case Value::Kind::first:
        next.run = first_instruction(v.type.element);
        break;
      case Value::Kind::tree: {
        const Type type = v.operands[0]->type;
        next.n = type.lanes;
        next.run = tree_instruction();
        next.b = state_.place(type);
        next.plan = state_.keep(
            state_.trees, TreePlan{row_instruction(*v.row, type.element, muladd()), register_bytes(type.element)});
        break;
      }
    }
    assert(next.run != nullptr && "verify lets pass only what can run");
    next.out = state_.place(v.type);
    code.push_back(next);
    return next.out;
  }

  bool muladd() const { return state_.profile == Profile::muladd; }

  Instruction::Run row_run(const Value& v) const {
    if (v.row->typing == Typing::shift) return shift_instruction(*v.row, v.type.element, v.operands[1]->type.element);
    return row_instruction(*v.row, v.operands.back()->type.element, muladd());
  }

  // A row with a body is written out in place, with the operands in place of its parameters.
  const void* row_call(const Value& v, const std::vector<const void*>& x, Code& code) {
    const Func& body = state_.body_of(*v.row, v.operands[0]->type);
    std::unordered_map<std::string, const void*> outside;
    outside.swap(values_);
    for (std::size_t i = 0; i < x.size(); ++i) values_[body.scalars[i].name] = x[i];
    for (const Stmt& stmt : body.body) values_[stmt.name] = value(stmt.value, code);
    const void* out = value(body.result, code);
    outside.swap(values_);
    return out;
  }

  const Access* access(const Memory& memory, const std::string& name) {
    return state_.keep(state_.accesses, Access{memory.view, func_.name, name});
  }

  void block(const Block& block, Code& code) {
    for (const Stmt& stmt : block) statement(stmt, code);
  }

  void statement(const Stmt& stmt, Code& code) {
    Instruction next;
    switch (stmt.kind) {
      case Stmt::Kind::let:
        values_[stmt.name] = value(stmt.value, code);
        return;
      case Stmt::Kind::store: {
        const Memory& memory = buffers_.at(stmt.base);
        next.a = value(stmt.address, code);
        next.c = value(stmt.value, code);
        next.b = stmt.mask ? value(stmt.mask, code) : nullptr;
        next.n = stmt.value->type.lanes;
        next.run = store_instruction(memory.type);
        next.plan = access(memory, stmt.base);
        break;
      }
      case Stmt::Kind::loop:
        next = loop(stmt, code);
        break;
      case Stmt::Kind::branch:
        next = branch(stmt, code);
        break;
      case Stmt::Kind::call:
        next = call(stmt, code);
        break;
      case Stmt::Kind::buffer: {
        const Memory base = buffers_.at(stmt.base);
        next.run = run_view;
        next.a = value(stmt.address, code);
        View* view = state_.keep(state_.views, View{});
        next.plan = state_.keep(state_.view_plans,
                                ViewPlan{base.view, view, stmt.base == "arena" ? 1 : size_of(base.type),
                                         fmt::format("in `{}`: `{}` at {}", func_.name, stmt.name, stmt.base)});
        buffers_[stmt.name] = {view, stmt.type.element};
        break;
      }
      case Stmt::Kind::barrier:
      case Stmt::Kind::comment:
        return;
    }
    code.push_back(next);
  }

  Instruction loop(const Stmt& stmt, Code& code) {
    LoopPlan* plan = state_.keep(state_.loops, LoopPlan{});
    Instruction out{.run = stmt.parallel != 0 ? run_parallel_loop : run_loop,
                    .a = value(stmt.low, code),
                    .b = value(stmt.high, code),
                    .plan = plan};
    plan->step = stmt.step;
    plan->index = static_cast<std::int64_t*>(state_.place({DType::index, 1}));
    values_[stmt.name] = plan->index;
    std::vector<void*> carried;
    for (const Carry& carry : stmt.carries) {
      void* place = state_.place(carry.type);
      plan->enter.push_back({place, value(carry.init, code), state_.words(carry.type)});
      carried.push_back(place);
    }
    for (std::size_t i = 0; i < carried.size(); ++i) values_[stmt.carries[i].name] = carried[i];
    block(stmt.body, plan->body);
    // All yields are read before a carry is written: those that are carries themselves are put aside first.
    std::vector<Copy> writes;
    for (std::size_t i = 0; i < carried.size(); ++i) {
      const std::int64_t words = state_.words(stmt.carries[i].type);
      const void* from = value(stmt.yields[i], plan->body);
      if (from == carried[i]) continue;
      if (std::find(carried.begin(), carried.end(), from) != carried.end()) {
        void* aside = state_.place(stmt.carries[i].type);
        plan->next.push_back({aside, from, words});
        from = aside;
      }
      writes.push_back({carried[i], from, words});
    }
    plan->next.insert(plan->next.end(), writes.begin(), writes.end());
    // After the loop a carry is its result: the place is written again only when the loop runs again.
    for (std::size_t i = 0; i < carried.size(); ++i) values_[stmt.carries[i].result] = carried[i];
    return out;
  }

  Instruction branch(const Stmt& stmt, Code& code) {
    BranchPlan* plan = state_.keep(state_.branches, BranchPlan{});
    Instruction out{.run = run_branch, .a = value(stmt.value, code), .plan = plan};
    block(stmt.body, plan->body);
    std::vector<const void*> yields, other_yields;
    for (const ValueRef& yield : stmt.yields) yields.push_back(value(yield, plan->body));
    block(stmt.other, plan->other);
    for (const ValueRef& yield : stmt.other_yields) other_yields.push_back(value(yield, plan->other));
    for (std::size_t i = 0; i < stmt.carries.size(); ++i) {
      const Carry& carry = stmt.carries[i];
      void* place = state_.place(carry.type);
      plan->yields.push_back({place, yields[i], state_.words(carry.type)});
      plan->other_yields.push_back({place, other_yields[i], state_.words(carry.type)});
      values_[carry.result] = place;
    }
    return out;
  }

  Instruction call(const Stmt& stmt, Code& code) {
    const Compiled& callee = state_.function(*state_.module.func(stmt.name));
    CallPlan plan{&callee, {}, {}};
    for (std::size_t i = 0; i < stmt.arguments.size(); ++i) {
      const ValueRef& argument = stmt.arguments[i];
      if (i < callee.buffers.size()) {
        plan.buffers.emplace_back(callee.buffers[i], buffers_.at(argument->name).view);
      } else {
        plan.scalars.push_back(
            {callee.scalars[i - callee.buffers.size()], value(argument, code), state_.words(argument->type)});
      }
    }
    return {.run = run_call, .a = func_.name.c_str(), .plan = state_.keep(state_.calls, std::move(plan))};
  }

  State& state_;
  const Func& func_;
  Compiled& out_;
  std::unordered_map<std::string, const void*> values_;
  std::unordered_map<std::string, Memory> buffers_;
};

}  // namespace

const Compiled& Interpreter::State::function(const Func& func) {
  const auto [it, fresh] = compiled.try_emplace(func.name);
  if (fresh) {
    it->second.func = &func;
    Compiler<State>(*this, func, it->second).run();
  }
  return it->second;
}

const Func& Interpreter::State::body_of(const Row& row, Type type) {
  const std::string key = std::string(row.name) + "_" + str(type);
  const auto it = row_bodies.find(key);
  return it != row_bodies.end() ? it->second : row_bodies.emplace(key, row_function(row, type)).first->second;
}

Interpreter::Interpreter(const Module& module, Profile profile) : state_(std::make_unique<State>()) {
  state_->module = module;
  state_->profile = profile;
}

Interpreter::~Interpreter() = default;
Interpreter::Interpreter(Interpreter&&) noexcept = default;
Interpreter& Interpreter::operator=(Interpreter&&) noexcept = default;

Status Interpreter::run(std::string_view name, std::span<const BufferArg> buffers,
                        std::span<const std::int64_t> scalars) {
  State& state = *state_;
  if (!state.verified) state.verified = verify(state.module);
  if (!*state.verified) return state.verified->problem();
  const Func* func = state.module.func(name);
  if (func == nullptr || func->result) return error("loop-call", fmt::format("there is no function `{}` to run", name));
  if (buffers.size() != func->buffers.size() || scalars.size() != func->scalars.size()) {
    return error("loop-call", fmt::format("`{}` takes {} buffers and {} scalars, found {} and {}", name,
                                          func->buffers.size(), func->scalars.size(), buffers.size(), scalars.size()));
  }
  const Compiled& compiled = state.function(*func);
  for (std::size_t i = 0; i < buffers.size(); ++i) *compiled.buffers[i] = {buffers[i].data, buffers[i].bytes};
  for (std::size_t i = 0; i < scalars.size(); ++i) std::memcpy(compiled.scalars[i], &scalars[i], kWord);
  Diagnostic problem;
  if (!run_code(compiled.code, problem)) return problem;
  return done();
}

}  // namespace tusk::loop
