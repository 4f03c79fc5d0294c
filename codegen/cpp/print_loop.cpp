#include "codegen/cpp/print_loop.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "codegen/cpp/names.hpp"
#include "codegen/cpp/print_value.hpp"
#include "codegen/cpp/rereads.hpp"
#include "ir/loop/names.hpp"

namespace tusk::cpp {
namespace {

using loop::Block;
using loop::count_names;
using loop::count_of;
using loop::Counts;
using loop::for_each_stmt;
using loop::Func;
using loop::names_in;
using loop::Stmt;
using loop::Value;
using loop::ValueRef;

constexpr loop::Type kIndex{DType::index, 1};

// A variable that a block assigns when it yields. `carried` is the name under which the block reads the old value.
struct Target {
  std::string variable;
  std::string carried;
};

enum class Role { row, kernel, entry };

// In front of kernels that call it.
constexpr std::string_view kReadAgain = R"(#if TUSK_LANES == 16 || defined(TUSK_NEON)
constexpr int kVectors = 32;  // registers
#else
constexpr int kVectors = 16;
#endif

// What follows reads again what was read before, but where there are registers to keep it beside the sums.
template <int registers>
TUSK_INLINE void read_again() {
#if defined(__clang__)
  if constexpr (registers >= kVectors) __atomic_signal_fence(__ATOMIC_SEQ_CST);
#elif TUSK_GNU  // where one or two are missing, it reads again by itself
  if constexpr (registers > kVectors + 2) __atomic_signal_fence(__ATOMIC_SEQ_CST);
#endif
}

)";

// A loop over the terms of a tile: of turns side by side Clang 14 holds sums twice.
constexpr std::string_view kTurns = R"(#if defined(__clang__)
#pragma clang loop unroll(disable)
#endif
)";

// Vectors for which every machine that has any has registers, or compilers see to it themselves.
constexpr int kAlwaysKept = 18;

class FuncPrinter {
 public:
  FuncPrinter(const Func& func, Role role, std::string spelling, const LoopText& printed, bool muladd)
      : func_(func),
        role_(role),
        spelling_(std::move(spelling)),
        functions_(printed.functions),
        threaded_(printed.threaded),
        values_(
            bindings_,
            [this](const std::string& name) {
              const auto it = functions_.find(name);
              return it == functions_.end() ? nullptr : &it->second;
            },
            muladd) {}

  Expected<std::string> print() {
    find_dead();
    names_.reserve("kernel");
    if (takes_threads()) names_.reserve("threads");
    if (role_ == Role::kernel) rereads_ = rereads(func_);
    if (!rereads_.empty()) names_.reserve("read_again");
    for (const std::string& callee : callees(func_)) {
      const auto it = functions_.find(callee);
      if (it != functions_.end()) names_.reserve(it->second);
    }
    for (const std::string& comment : func_.comments) line("// " + comment_text(comment));
    print_signature();
    indent_ = 1;
    const std::vector<ValueRef> result = func_.result ? std::vector<ValueRef>{func_.result} : std::vector<ValueRef>{};
    print_block(func_.body, {}, result);
    if (func_.result) line(fmt::format("return {};", values_.top(func_.result)));
    indent_ = 0;
    line("}");
    if (values_.problem()) return Diagnostic(*values_.problem()).note("in loop function `" + func_.name + "`");
    return out_;
  }

  bool takes_threads() const {
    bool takes = false;
    for_each_stmt(func_.body, [&](const Stmt& stmt) {
      takes = takes || stmt.parallel != 0 || (stmt.kind == Stmt::Kind::call && threaded_.count(stmt.name) != 0);
    });
    return takes;
  }

 private:
  void line(const std::string& text) {
    if (!text.empty()) out_.append(static_cast<std::size_t>(2 * indent_), ' ');
    out_ += text;
    out_ += '\n';
  }

  const std::string& define(const std::string& name, bool non_negative = false) {
    Binding binding;
    binding.identifier = names_.unique(name);
    binding.non_negative = non_negative;
    return (bindings_[name] = std::move(binding)).identifier;
  }

  bool used(const std::string& name) const { return count_of(uses_, name) > 0; }

  // Statements that define what nobody reads are not printed: compilers warn of them.
  void find_dead() {
    std::vector<std::pair<std::string, Counts>> definitions;
    for (const Stmt& stmt : func_.body) {
      for (const auto& [name, count] : names_in(stmt)) uses_[name] += count;
    }
    if (func_.result) count_names(func_.result, uses_);
    for_each_stmt(func_.body, [&](const Stmt& stmt) {
      if (stmt.kind == Stmt::Kind::let || stmt.kind == Stmt::Kind::buffer) {
        definitions.emplace_back(stmt.name, names_in(stmt));
      }
    });
    // Backwards, since a definition stands before its uses.
    for (auto it = definitions.rbegin(); it != definitions.rend(); ++it) {
      if (used(it->first)) continue;
      for (const auto& [name, count] : it->second) uses_[name] -= count;
    }
  }

  void print_signature() {
    struct Parameter {
      std::string text, note;
    };
    std::vector<Parameter> parameters;
    if (takes_threads()) parameters.push_back({"const tusk::Threads* threads", {}});
    for (const loop::Buffer& buffer : func_.buffers) {
      const std::string identifier = define(buffer.name);
      bindings_[buffer.name].element = buffer.type;
      bindings_[buffer.name].constant = buffer.constant;
      const std::string shown = used(buffer.name) ? identifier : "/*" + identifier + "*/";
      parameters.push_back(
          {fmt::format("{}{}* {}", buffer.constant ? "const " : "", storage_name(buffer.type), shown), buffer.note});
    }
    for (const loop::Scalar& scalar : func_.scalars) {
      const std::string identifier = define(scalar.name, scalar.type == kIndex);
      const std::string shown = used(scalar.name) ? identifier : "/*" + identifier + "*/";
      parameters.push_back({type_name(scalar.type) + " " + shown, {}});
    }
    const std::string result = role_ == Role::row      ? "TUSK_INLINE " + type_name(func_.result_type)
                               : role_ == Role::kernel ? "TUSK_KERNEL void"
                                                       : "void";
    const std::string head = fmt::format("{} {}(", result, spelling_);
    const bool notes =
        std::any_of(parameters.begin(), parameters.end(), [](const Parameter& p) { return !p.note.empty(); });
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      parameters[i].text += i + 1 == parameters.size() ? ") {" : notes ? "," : ", ";
    }
    if (parameters.empty()) return line(head + ") {");
    if (!notes) {
      std::string all = head;
      for (const Parameter& p : parameters) all += p.text;
      return line(all);
    }
    // One parameter to a line, with the shapes in one column (runs of lines that have one, as clang-format sees them).
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const std::string indent = i == 0 ? head : std::string(head.size(), ' ');
      if (parameters[i].note.empty()) {
        line(indent + parameters[i].text);
        continue;
      }
      std::size_t width = 0;
      for (std::size_t first = i; first > 0 && !parameters[first - 1].note.empty();) {
        width = std::max(width, parameters[--first].text.size());
      }
      for (std::size_t k = i; k < parameters.size() && !parameters[k].note.empty(); ++k) {
        width = std::max(width, parameters[k].text.size());
      }
      line(fmt::format("{}{:<{}}  // {}", indent, parameters[i].text, width, comment_text(parameters[i].note)));
    }
  }

  // Prints statements and the assignments of what they yield to the targets.
  void print_block(const Block& block, const std::vector<Target>& targets, const std::vector<ValueRef>& yields) {
    // Reads that are still to come, so that a yielded value can be computed in its variable as soon as nobody reads the
    // old.
    Counts later;
    for (const Stmt& stmt : block) {
      for (const auto& [name, count] : names_in(stmt)) later[name] += count;
    }
    for (const ValueRef& value : yields) count_names(value, later);
    std::vector<bool> assigned(targets.size(), false);
    for (const Stmt& stmt : block) {
      for (const auto& [name, count] : names_in(stmt)) later[name] -= count;
      // The target of a name that this statement defines, if the name is only yielded and the old value is dead. With
      // `start`, only if that is the old value.
      const auto direct = [&](const std::string& name, const std::string* start = nullptr) -> const Target* {
        for (std::size_t i = 0; i < targets.size(); ++i) {
          if (yields[i]->kind != Value::Kind::name || yields[i]->name != name || count_of(uses_, name) != 1) continue;
          if (start != nullptr && targets[i].carried != *start) return nullptr;
          if (!targets[i].carried.empty() && count_of(later, targets[i].carried) > 0) return nullptr;
          assigned[i] = true;
          return &targets[i];
        }
        return nullptr;
      };
      if (const auto it = rereads_.find(&stmt); it != rereads_.end() && it->second > kAlwaysKept)
        line(fmt::format("read_again<{}>();", it->second));
      print_stmt(stmt, direct);
    }
    assign(targets, yields, assigned);
  }

  // The assignments of yields happen at once: each is printed when no pending one reads its variable, and only a cycle
  // needs a temporary.
  void assign(const std::vector<Target>& targets, const std::vector<ValueRef>& yields,
              const std::vector<bool>& assigned) {
    struct Pending {
      std::string variable, text;
      loop::Type type;
      std::set<std::string> reads;
    };
    std::vector<Pending> pending;
    for (std::size_t i = 0; i < targets.size(); ++i) {
      if (assigned[i]) continue;
      Pending p{targets[i].variable, values_.top(yields[i]), yields[i]->type, {}};
      if (p.text == p.variable) continue;
      Counts counts;
      count_names(yields[i], counts);
      for (const auto& [name, count] : counts) {
        if (const auto it = bindings_.find(name); it != bindings_.end()) p.reads.insert(it->second.identifier);
      }
      pending.push_back(std::move(p));
    }
    while (!pending.empty()) {
      const auto free = std::find_if(pending.begin(), pending.end(), [&](const Pending& candidate) {
        return std::none_of(pending.begin(), pending.end(), [&](const Pending& other) {
          return &other != &candidate && other.reads.count(candidate.variable) != 0;
        });
      });
      if (free != pending.end()) {
        line(fmt::format("{} = {};", free->variable, free->text));
        pending.erase(free);
        continue;
      }
      const std::string temporary = names_.unique("next_" + pending.front().variable);
      line(fmt::format("const {} {} = {};", type_name(pending.front().type), temporary, pending.front().text));
      pending.front().text = temporary;
      pending.front().reads = {temporary};
    }
  }

  template <class Direct>
  void print_stmt(const Stmt& stmt, const Direct& direct) {
    switch (stmt.kind) {
      case Stmt::Kind::let: {
        if (!used(stmt.name)) return;
        const std::string value = values_.top(stmt.value);
        const bool non_negative = values_.non_negative(stmt.value);
        if (const Target* target = direct(stmt.name)) {
          bindings_[stmt.name].identifier = target->variable;
          if (value != target->variable) line(fmt::format("{} = {};", target->variable, value));
          return;
        }
        return line(fmt::format("const {} {} = {};", type_name(stmt.type), define(stmt.name, non_negative), value));
      }
      case Stmt::Kind::store:
        return print_store(stmt);
      case Stmt::Kind::loop:
        return stmt.parallel != 0 ? print_parallel_loop(stmt) : print_loop(stmt, direct);
      case Stmt::Kind::branch:
        return print_branch(stmt, direct);
      case Stmt::Kind::call: {
        std::string arguments = threaded_.count(stmt.name) != 0 ? "threads" : "";
        for (const ValueRef& argument : stmt.arguments) {
          arguments += (arguments.empty() ? "" : ", ") + values_.top(argument);
        }
        return line(fmt::format("{}({});", functions_.at(stmt.name), arguments));
      }
      case Stmt::Kind::buffer:
        return print_buffer(stmt);
      case Stmt::Kind::barrier:
        return;  // one thread
      case Stmt::Kind::comment:
        return line("// " + comment_text(stmt.name));
    }
  }

  void print_store(const Stmt& stmt) {
    const std::string place = values_.address(stmt.base, stmt.address);
    const DType element = bindings_[stmt.base].element;
    if (stmt.value->type.lanes > 1) {
      const std::string_view tag = storage_tag(element);
      const ValueRef count = stmt.mask ? loop::first_lanes(stmt.mask) : nullptr;
      std::string types(tag.empty() ? "" : fmt::format("tusk::{}", tag));
      std::string last = stmt.mask && !count ? ", " + values_.top(stmt.mask) : "";
      if (count && count->kind == Value::Kind::literal) {
        types = fmt::format("{}{}{}", count->literal.integer, types.empty() ? "" : ", ", types);
      } else if (count) {
        last = ", " + values_.top(count);
      }
      return line(fmt::format("tusk::store{}{}(&{}, {}{});",
                              count       ? "_first"
                              : stmt.mask ? "_masked"
                                          : "",
                              types.empty() ? "" : "<" + types + ">", place, values_.top(stmt.value), last));
    }
    const std::string condition = stmt.mask ? fmt::format("if ({}) ", values_.top(stmt.mask)) : "";
    const bool outside = values_.guard(values_.guarded() || stmt.mask);
    std::string value;
    switch (element) {
      case DType::f16:
      case DType::bf16:
        value = fmt::format("tusk::{}_bits({})", name_of(element), values_.top(stmt.value));
        break;
      case DType::i8:
      case DType::u8:
        value = fmt::format("static_cast<{}>({})", storage_name(element), values_.top(stmt.value));
        break;
      case DType::boolean:
        value = values_.operand(stmt.value, Level::logical_or) + " ? 1 : 0";
        break;
      default:
        value = values_.top(stmt.value);
        break;
    }
    values_.guard(outside);
    line(fmt::format("{}{} = {};", condition, place, value));
  }

  void print_buffer(const Stmt& stmt) {
    if (!used(stmt.name)) return;
    const std::string place = values_.address(stmt.base, stmt.address);
    const Binding base = bindings_[stmt.base];
    const std::string& identifier = define(stmt.name);
    bindings_[stmt.name].element = stmt.type.element;
    bindings_[stmt.name].constant = base.constant;
    const std::string type = fmt::format("{}{}*", base.constant ? "const " : "", storage_name(stmt.type.element));
    const bool same = storage_name(stmt.type.element) == storage_name(base.element);
    line(fmt::format("{} const {} = {};", type, identifier,
                     same ? "&" + place : fmt::format("reinterpret_cast<{}>(&{})", type, place)));
  }

  // Whether a compiler cannot unroll the loop as a whole. If it does, conditions around the loop become those of the
  // next loop's turns.
  bool is_long(const Stmt& stmt) const {
    constexpr std::int64_t kUnrolled = 16;
    if (stmt.low->kind != Value::Kind::literal) return false;
    if (stmt.high->kind == Value::Kind::literal) {
      return stmt.high->literal.integer - stmt.low->literal.integer > kUnrolled * stmt.step;
    }
    return is_unbounded(stmt.high);
  }

  // Whether an index has no limit that the text shows: made of the function's scalars.
  bool is_unbounded(const ValueRef& value) const {
    if (value->kind == Value::Kind::literal) return true;
    if (value->kind == Value::Kind::name) {
      return std::any_of(func_.scalars.begin(), func_.scalars.end(),
                         [&](const loop::Scalar& scalar) { return scalar.name == value->name; });
    }
    return value->kind == Value::Kind::row && value->row->basic != Basic::rem && value->row->basic != Basic::min &&
           std::all_of(value->operands.begin(), value->operands.end(),
                       [&](const ValueRef& operand) { return is_unbounded(operand); });
  }

  template <class Direct>
  void print_loop(const Stmt& stmt, const Direct& direct) {
    std::vector<Target> targets;
    const Counts own = names_in(stmt);
    for (const loop::Carry& carry : stmt.carries) {
      // A chain that goes on through nested loops keeps one variable, if the outer value is read by nothing else in
      // here.
      const bool continues = carry.init->kind == Value::Kind::name && count_of(own, carry.init->name) == 1;
      if (const Target* outer = continues ? direct(carry.result, &carry.init->name) : nullptr) {
        bindings_[carry.name].identifier = outer->variable;
        targets.push_back({outer->variable, carry.name});
        continue;
      }
      const std::string init = values_.top(carry.init);
      const bool read = used(carry.result) || used(carry.name);
      const std::string& wish = carry.result.size() < carry.name.size() ? carry.result : carry.name;
      const std::string variable = bindings_[carry.name].identifier = names_.unique(wish);
      line(fmt::format("{}{} {} = {};", read ? "" : "[[maybe_unused]] ", type_name(carry.type), variable, init));
      targets.push_back({variable, carry.name});
    }
    const std::string low = values_.top(stmt.low);
    std::string high = values_.operand(stmt.high, Level::sum);
    const bool non_negative = values_.non_negative(stmt.low);
    if (has_load(stmt.high)) {
      const std::string end = names_.unique(stmt.name + "_end");
      line(fmt::format("const std::int64_t {} = {};", end, high));
      high = end;
    }
    const std::string& index = define(stmt.name, non_negative);
    const std::string step = stmt.step == 1 ? "++" + index : fmt::format("{} += {}", index, stmt.step);
    if (!stmt.body.empty() && rereads_.contains(&stmt.body.front())) out_ += kTurns;
    line(fmt::format("for (std::int64_t {} = {}; {} < {}; {}) {{", index, low, index, high, step));
    ++indent_;
    const bool outside = values_.guard(values_.guarded() && !is_long(stmt));
    print_block(stmt.body, targets, stmt.yields);
    values_.guard(outside);
    --indent_;
    line("}");
    for (std::size_t i = 0; i < targets.size(); ++i) bindings_[stmt.carries[i].result].identifier = targets[i].variable;
  }

  void print_parallel_loop(const Stmt& stmt) {
    const std::string begin = names_.unique("begin");
    const std::string end = names_.unique("end");
    line(fmt::format("tusk::parallel(threads, {}, {}, [=](std::int64_t {}, std::int64_t {}) {{", values_.top(stmt.high),
                     stmt.parallel, begin, end));
    ++indent_;
    const std::string& index = define(stmt.name, true);
    line(fmt::format("for (std::int64_t {} = {}; {} < {}; ++{}) {{", index, begin, index, end, index));
    ++indent_;
    print_block(stmt.body, {}, {});
    --indent_;
    line("}");
    --indent_;
    line("});");
  }

  template <class Direct>
  void print_branch(const Stmt& stmt, const Direct& direct) {
    const std::string condition = values_.top(stmt.value);
    std::vector<Target> targets;
    for (const loop::Carry& carry : stmt.carries) {
      if (const Target* target = direct(carry.result)) {
        targets.push_back(*target);
        continue;
      }
      std::string variable = names_.unique(carry.result);
      line(fmt::format("{}{} {};", used(carry.result) ? "" : "[[maybe_unused]] ", type_name(carry.type), variable));
      targets.push_back({std::move(variable), {}});
    }
    const auto arm = [&](const Block& block, const std::vector<ValueRef>& yields) {
      const std::size_t before = out_.size();
      ++indent_;
      const bool outside = values_.guard(true);
      print_block(block, targets, yields);
      values_.guard(outside);
      --indent_;
      return out_.size() > before;
    };
    line(fmt::format("if ({}) {{", condition));
    arm(stmt.body, stmt.yields);
    const std::size_t end_of_first = out_.size();
    line("} else {");
    if (!arm(stmt.other, stmt.other_yields)) out_.resize(end_of_first);
    line("}");
    for (std::size_t i = 0; i < targets.size(); ++i) bindings_[stmt.carries[i].result].identifier = targets[i].variable;
  }

  const Func& func_;
  Role role_;
  std::string spelling_;
  std::map<const Stmt*, int> rereads_;
  const std::map<std::string, std::string>& functions_;
  const std::set<std::string>& threaded_;
  Bindings bindings_;
  Names names_;
  Counts uses_;
  ValuePrinter values_;
  std::string out_;
  int indent_ = 0;
};

}  // namespace

Expected<std::string> print_index(const ValueRef& value, const std::map<std::string, std::string>& names) {
  Bindings bindings;
  for (const auto& [name, identifier] : names) bindings[name] = {identifier, true, DType::index, true};
  ValuePrinter printer(
      bindings, [](const std::string&) { return nullptr; }, false);
  std::string text = printer.top(value);
  if (printer.problem()) return *printer.problem();
  return text;
}

Expected<LoopText> print_loops(const loop::Module& module, const std::vector<std::string>& entries, bool muladd) {
  TRY(const loop::Reached reached, loop::reached(module, entries));
  // Callees before callers; then stably rows, kernels, entries.
  std::vector<const Func*> order = reached.order;
  const auto role_of = [&](const Func* func) {
    if (func->result) return Role::row;
    return std::find(entries.begin(), entries.end(), func->name) == entries.end() ? Role::kernel : Role::entry;
  };
  std::stable_sort(order.begin(), order.end(), [&](const Func* a, const Func* b) { return role_of(a) < role_of(b); });

  LoopText out;
  Names outer;
  Names kernels;
  outer.reserve("kernel");
  kernels.reserve("read_again");
  Role open = Role::row;
  const auto enter = [&](Role role) {
    if (role == open) return;
    if (open == Role::kernel) out.text += "}  // namespace kernel\n\n";
    if (role == Role::kernel) out.text += "namespace kernel {\n\n";
    int most = 0;  // vectors that a tile needs
    for (const Func* func : order) {
      if (role != Role::kernel || role_of(func) != role) continue;
      for (const auto& [stmt, registers] : rereads(*func)) most = std::max(most, registers);
    }
    if (most > kAlwaysKept) out.text += kReadAgain;
    out.has_tiles = out.has_tiles || most > 0;
    open = role;
  };
  for (const Func* func : order) {
    const Role role = role_of(func);
    enter(role);
    const std::string spelling = role == Role::kernel  ? kernels.unique(func->name)
                                 : role == Role::entry ? outer.unique("run_" + func->name)
                                                       : outer.unique(func->name);
    FuncPrinter printer(*func, role, spelling, out, muladd);
    TRY(const std::string text, printer.print());
    if (printer.takes_threads()) out.threaded.insert(func->name);
    out.text += text + "\n";
    out.functions[func->name] = (role == Role::kernel ? "kernel::" : "") + spelling;
  }
  enter(Role::entry);
  return out;
}

}  // namespace tusk::cpp
