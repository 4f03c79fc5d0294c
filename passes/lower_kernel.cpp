#include "passes/lower_kernel.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "ir/kernel/affine.hpp"
#include "ir/loop/print.hpp"
#include "ir/ops/common.hpp"

namespace tusk {
namespace {

using kernel::Expr;
using kernel::ExprRef;
using kernel::Reduce;
using kernel::Reducer;
using kernel::Stage;
using loop::Block;
using loop::Stmt;
using loop::ValueRef;

bool is_inline(const kernel::Schedule& schedule, std::string_view stage) {
  return std::find(schedule.inline_stages.begin(), schedule.inline_stages.end(), stage) != schedule.inline_stages.end();
}

const loop::Type kIndex{DType::index, 1};

// A tensor with a buffer: its shape and strides.
struct Tensor {
  DType type = DType::f32;
  Shape shape;
  std::vector<Dim> strides;
};

class Lowering {
 public:
  Lowering(const kernel::Kernel& kernel, const kernel::Schedule& schedule, const KernelLayout& layout)
      : kernel_(kernel), schedule_(schedule), layout_(layout) {}

  loop::Func run(std::string name) {
    loop::Func func;
    func.name = std::move(name);
    std::size_t next = 0;
    const auto add = [&](const std::string& tensor, DType type, Shape shape, bool constant) {
      func.buffers.push_back({tensor, type, constant, 0, shape_str(shape)});
      tensors_[tensor] = {type, std::move(shape), layout_.strides[next++]};
      scope_.insert(tensor);
    };
    for (const kernel::Param& param : kernel_.params) add(param.name, param.type, param.shape, !param.inout);
    for (const std::string& result : kernel_.results) {
      const Stage& stage = *kernel_.stage(result);
      if (kernel_.param(result) == nullptr) add(result, stage.type, shape_of(stage), false);
    }
    for (const Stage* stage : scratch_stages(kernel_, schedule_))
      add(stage->name, stage->type, shape_of(*stage), false);
    for (std::string& symbol : symbols_of(kernel_, layout_)) {
      scope_.insert(symbol);
      func.scalars.push_back({std::move(symbol), kIndex});
    }
    out_ = &func.body;
    for (const Stage& stage : kernel_.stages) {
      if (!is_inline(schedule_, stage.name)) root(stage);
    }
    return func;
  }

 private:
  // --- names and blocks

  // A name is defined once in a function.
  std::string fresh(const std::string& hint) {
    std::string name = hint;
    for (int i = 1; !scope_.insert(name).second; ++i) name = fmt::format("{}_{}", hint, i);
    return name;
  }

  template <class Fill>
  void within(Block& block, Fill fill) {
    Block* outer = std::exchange(out_, &block);
    const auto env = env_;
    const auto computed = computed_;
    const auto shared = shared_;
    fill();
    out_ = outer;
    env_ = env;
    computed_ = computed;
    shared_ = shared;
  }

  ValueRef let(const std::string& hint, ValueRef value) {
    if (value->kind == loop::Value::Kind::name || value->kind == loop::Value::Kind::literal) return value;
    Stmt stmt;
    stmt.kind = Stmt::Kind::let;
    stmt.name = fresh(hint);
    stmt.type = value->type;
    stmt.value = std::move(value);
    ValueRef name = loop::name(stmt.name, stmt.type);
    out_->push_back(std::move(stmt));
    return name;
  }

  void bind(const std::string& index, ValueRef value) {
    env_[index] = std::move(value);
    shared_.clear();
  }

  using Values = std::vector<ValueRef>;

  // for index = low to high step { yields = body(carried) }; gives what is carried out.
  Values loop_over(const std::string& index, const ValueRef& low, const ValueRef& high, std::int64_t step,
                   const Values& init, const std::vector<std::string>& hints,
                   const std::function<Values(const ValueRef&, const Values&)>& body) {
    Stmt stmt;
    stmt.kind = Stmt::Kind::loop;
    stmt.low = low;
    stmt.high = high;
    stmt.step = step;
    Values results;
    for (std::size_t k = 0; k < init.size(); ++k) {
      loop::Carry carry;
      carry.result = fresh(hints[k]);
      carry.type = init[k]->type;
      carry.init = init[k];
      results.push_back(loop::name(carry.result, carry.type));
      stmt.carries.push_back(std::move(carry));
    }
    within(stmt.body, [&] {
      stmt.name = fresh(index);
      Values carried;
      for (loop::Carry& carry : stmt.carries) {
        carry.name = fresh(carry.result);
        carried.push_back(loop::name(carry.name, carry.type));
      }
      const ValueRef at = loop::name(stmt.name, kIndex);
      bind(index, at);
      stmt.yields = body(at, carried);
    });
    out_->push_back(std::move(stmt));
    return results;
  }

  // if condition { yields = taken() } else { yields = other }
  Values branch(const ValueRef& condition, const std::vector<std::string>& hints, const Values& other,
                const std::function<Values()>& taken) {
    Stmt stmt;
    stmt.kind = Stmt::Kind::branch;
    stmt.value = condition;
    within(stmt.body, [&] { stmt.yields = taken(); });
    stmt.other_yields = other;
    Values results;
    for (std::size_t k = 0; k < other.size(); ++k) {
      loop::Carry carry;
      carry.result = fresh(hints[k]);
      carry.type = other[k]->type;
      results.push_back(loop::name(carry.result, carry.type));
      stmt.carries.push_back(std::move(carry));
    }
    out_->push_back(std::move(stmt));
    return results;
  }

  void loops(const std::vector<kernel::Index>& indices, std::size_t level, const std::function<void()>& body) {
    if (level == indices.size()) return body();
    loop_over(indices[level].name, loop::index_literal(0), loop::dim_value(indices[level].extent), 1, {}, {},
              [&](const ValueRef&, const Values&) {
                loops(indices, level + 1, body);
                return Values{};
              });
  }

  // --- expressions

  static ValueRef integer(std::string_view row, ValueRef a, ValueRef b) {
    return loop::simplified(loop::apply(row, {std::move(a), std::move(b)}));
  }

  ValueRef address_of(const Tensor& tensor, const Values& at) {
    ValueRef address = loop::index_literal(0);
    for (std::size_t i = 0; i < at.size(); ++i) {
      address = integer("add", address, integer("mul", at[i], loop::dim_value(tensor.strides[i])));
    }
    return address;
  }

  // The condition that an `else` load reads inside; null if it always does.
  ValueRef inside(const Shape& shape, const std::vector<ExprRef>& indices, const Values& at) {
    ValueRef all;
    const auto require = [&](ValueRef condition) { all = all ? loop::apply("and", {all, condition}) : condition; };
    for (std::size_t i = 0; i < at.size(); ++i) {
      const auto [low, high] = kernel::bounds_of(indices[i], bounds_, layout_.range_of);
      const bool above = low && kernel::at_least_zero(*low, layout_.range_of);
      const bool below = high && kernel::at_least_zero(shape[i] - Dim(1) - *high, layout_.range_of);
      if (!above) require(loop::apply("ge", {at[i], loop::index_literal(0)}));
      if (!below) require(loop::apply("lt", {at[i], loop::dim_value(shape[i])}));
    }
    return all;
  }

  ValueRef value(const ExprRef& expr) {
    switch (expr->kind) {
      case Expr::Kind::literal:
        return loop::literal({expr->type, 1}, expr->value);
      case Expr::Kind::index:
        return env_.at(expr->name);
      case Expr::Kind::dim:
        return loop::dim_value(expr->dim);
      case Expr::Kind::load:
        return load(expr);
      case Expr::Kind::row:
        break;
    }
    if (const auto it = shared_.find(expr.get()); it != shared_.end()) return it->second;
    Values operands;
    for (const ExprRef& operand : expr->operands) operands.push_back(value(operand));
    ValueRef result = expr->row->basic == Basic::bitcast ? bits_of(*expr->row, operands[0])
                                                         : loop::apply(*expr->row, std::move(operands));
    if (expr->type == DType::index) return loop::simplified(result);
    if (uses_[expr.get()] > 1) {
      result = let("t", std::move(result));
      shared_[expr.get()] = result;
    }
    return result;
  }

  // The bits of a NaN are the machine's (x86 and ARM make different ones): all are those of the quiet one without a
  // sign.
  ValueRef bits_of(const Row& row, const ValueRef& x) {
    const DType from = x->type.element;
    if (!is_float(from) || is_float(row.target)) return loop::apply(row, {x});
    const ValueRef named = let("t", x);
    const std::int64_t nan = from == DType::f64 ? 0x7ff8000000000000 : 0x7fc00000;
    return loop::apply("select",
                       {loop::apply("ne", {named, named}), loop::literal({row.target, 1}, kernel::literal_of_int(nan)),
                        loop::apply(row, {named})});
  }

  // How often each node of a formula is used: nodes used twice get a name.
  void count_uses(const ExprRef& expr) {
    if (++uses_[expr.get()] > 1) return;
    for (const ExprRef& operand : expr->operands) count_uses(operand);
  }

  ValueRef load(const ExprRef& expr) {
    Values at;
    for (const ExprRef& index : expr->operands) at.push_back(value(index));
    const Stage* stage = kernel_.stage(expr->name);
    const bool inlined = stage != nullptr && is_inline(schedule_, expr->name);
    const Tensor* tensor = inlined ? nullptr : &tensors_.at(expr->name);
    const ValueRef mask =
        expr->has_else ? inside(inlined ? shape_of(*stage) : tensor->shape, expr->operands, at) : nullptr;
    const loop::Type type{expr->type, 1};
    if (!inlined) {
      const ValueRef address = address_of(*tensor, at);
      return mask ? loop::load_masked(expr->name, type, address, mask, expr->value)
                  : loop::load(expr->name, type, address);
    }
    std::string key = expr->name;
    for (const ValueRef& index : at) key += "," + loop::print(index);
    if (mask) key += " else " + kernel::literal_str(expr->value, expr->type);
    if (const auto it = computed_.find(key); it != computed_.end()) return it->second;
    ValueRef result;
    if (mask) {
      result = branch(mask, {expr->name}, {loop::literal(type, expr->value)},
                      [&] { return Values{compute(*stage, at)}; })[0];
    } else {
      result = let(expr->name, compute(*stage, at));
    }
    computed_[key] = result;
    return result;
  }

  // --- stages

  // The value of a stage at one point, rounded to its type (N11).
  ValueRef compute(const Stage& stage, const Values& at) {
    const auto env = env_;
    const auto bounds = bounds_;
    const auto uses = uses_;
    env_.clear();  // an inlined stage sees its own indices, not those of the stage that reads it
    bounds_.clear();
    for (std::size_t i = 0; i < at.size(); ++i) bind(stage.indices[i].name, at[i]);
    kernel::add_bounds(bounds_, stage.indices);
    uses_.clear();
    count_uses(stage.expr);
    ValueRef result = stage.reduce ? reduction(stage, *stage.reduce) : value(stage.expr);
    if (is_storage_only(stage.type)) result = loop::apply(convert_row(stage.type), {result});
    env_ = env;
    bounds_ = bounds;
    uses_ = uses;
    shared_.clear();
    return result;
  }

  // Whether partial results may be rounded to the stage's type: 16-bit floats would lose digits at every addition, and
  // narrow integers their order; sums and products of integers are equal modulo their width.
  static bool accumulates_in_memory(const Stage& stage) {
    if (register_type(stage.type) == stage.type) return true;
    const Reducer kind = stage.reduce->kind;
    return !is_float(stage.type) && kind != Reducer::max && kind != Reducer::min;
  }

  void root(const Stage& stage) {
    const bool by_data = stage.reduce && data_where(stage) != nullptr && !reads_target(*data_where(stage));
    if (by_data && !layout_.brute_force_where && accumulates_in_memory(stage)) return scatter(stage);
    kernel::add_bounds(bounds_, stage.indices);
    loops(stage.indices, 0, [&] {
      Values at;
      for (const kernel::Index& index : stage.indices) at.push_back(env_.at(index.name));
      store(stage, at, compute(stage, at));
    });
    bounds_.clear();
  }

  void store(const Stage& stage, const Values& at, ValueRef value) {
    Stmt stmt;
    stmt.kind = Stmt::Kind::store;
    stmt.base = stage.name;
    stmt.address = address_of(tensors_.at(stage.name), at);
    stmt.value = std::move(value);
    out_->push_back(std::move(stmt));
  }

  // --- reductions

  ValueRef identity(const Stage& stage) {
    const DType type = register_type(stage.type);
    return loop::literal({type, 1}, graph::identity_of(stage.reduce->kind, stage.type));
  }

  // The combination of two partial results: the first one in order is the accumulator (N3).
  static ValueRef combine(Reducer kind, const ValueRef& acc, const ValueRef& x) {
    switch (kind) {
      case Reducer::dot:
      case Reducer::sum:
        return loop::apply("add", {acc, x});
      case Reducer::prod:
        return loop::apply("mul", {acc, x});
      case Reducer::max:
        return loop::apply("max", {x, acc});  // x > acc ? x : acc (N6)
      case Reducer::min:
        return loop::apply("min", {x, acc});
      case Reducer::all:
        return loop::apply("and", {acc, x});
      case Reducer::any:
        return loop::apply("or", {acc, x});
      default:
        return x;
    }
  }

  // One more term: a chain of fma for a dot of floats (N3), else the combination with the term.
  ValueRef accumulate(const Stage& stage, const ValueRef& acc) {
    const Reducer kind = stage.reduce->kind;
    if (kind == Reducer::dot && is_float(acc->type.element)) {
      const ValueRef a = value(stage.expr->operands[0]);
      const ValueRef b = value(stage.expr->operands[1]);
      return loop::apply("fma", {a, b, acc});
    }
    return combine(kind, acc, value(stage.expr));
  }

  struct Progress {
    std::size_t level = 0;
    std::vector<bool> solved;
  };

  // Splits an equality `index == value` at its removed index p into value = s*p + rest. Null name: nothing is removed
  // that is not bound yet, or the value is data.
  struct Solvable {
    std::string removed;
    std::int64_t stride = 1;
    ValueRef position;  // s * position == this
  };

  bool bound(const std::string& index) const { return env_.contains(index); }

  std::optional<Solvable> solve(const kernel::Equality& equality) {
    const std::optional<kernel::Affine> affine = kernel::affine_of(equality.value);
    if (!affine) return std::nullopt;
    std::vector<std::string> open;
    for (const auto& [name, coefficient] : affine->terms) {
      if (!bound(name)) open.push_back(name);
    }
    if (!bound(equality.index)) {
      if (!open.empty()) return std::nullopt;
      return Solvable{equality.index, 1, value(equality.value)};  // W1
    }
    if (open.size() != 1) return std::nullopt;
    Solvable out;
    out.removed = open[0];
    ValueRef rest = loop::simplified(loop::apply("sub", {env_.at(equality.index), loop::dim_value(affine->offset)}));
    for (const auto& [name, coefficient] : affine->terms) {
      if (name == out.removed) {
        out.stride = coefficient.constant();
      } else {
        rest = integer("sub", rest, integer("mul", env_.at(name), loop::dim_value(coefficient)));
      }
    }
    out.position = rest;
    return out;
  }

  Values descend(const Stage& stage, Progress progress, const Values& acc, const ValueRef& low, const ValueRef& high) {
    const Reduce& reduce = *stage.reduce;
    // An equality is applied at the outermost loop where only its removed index is open (W1, W2), or, by brute force,
    // where its data can be read.
    for (std::size_t k = 0; k < reduce.where.size(); ++k) {
      if (progress.solved[k]) continue;
      const kernel::Equality& equality = reduce.where[k];
      ValueRef condition;
      if (kernel::affine_of(equality.value)) {
        const std::optional<Solvable> solvable = solve(equality);
        if (!solvable) continue;
        progress.solved[k] = true;
        if (solvable->stride == 1) {
          bind(solvable->removed, solvable->position);
          continue;
        }
        const ValueRef position = let("at", solvable->position);
        const ValueRef stride = loop::index_literal(solvable->stride);
        condition = loop::apply("eq", {loop::apply("rem", {position, stride}), loop::index_literal(0)});
        bind(solvable->removed, integer("div", position, stride));
      } else {
        if (progress.level < reduce.indices.size()) continue;
        progress.solved[k] = true;
        condition = loop::apply("eq", {value(equality.value), env_.at(equality.index)});
      }
      return branch(condition, hints(stage, acc.size()), acc, [&] { return descend(stage, progress, acc, low, high); });
    }
    if (progress.level == reduce.indices.size()) return step(stage, acc);
    const kernel::Index& index = reduce.indices[progress.level];
    const bool outermost = progress.level == 0;
    const bool innermost = progress.level + 1 == reduce.indices.size();
    Progress next = progress;
    ++next.level;
    const ValueRef first = outermost && low ? low : loop::index_literal(0);
    const ValueRef last = outermost && high ? high : loop::dim_value(index.extent);
    if (innermost && reduce.lanes > 1) return lanes(stage, next, acc, index, first, last);
    return loop_over(
        index.name, first, last, 1, acc, hints(stage, acc.size()),
        [&](const ValueRef&, const Values& carried) { return descend(stage, next, carried, nullptr, nullptr); });
  }

  static std::vector<std::string> hints(const Stage& stage, std::size_t count) {
    if (count == 1) return {stage.name};
    std::vector<std::string> names;
    for (std::size_t k = 0; k < count; ++k) names.push_back(fmt::format("{}{}", stage.name, k));
    return names;
  }

  Values step(const Stage& stage, const Values& acc) {
    const Reducer kind = stage.reduce->kind;
    if (kind != Reducer::argmax && kind != Reducer::argmin) return {accumulate(stage, acc[0])};
    const ValueRef x = let("x", value(stage.expr));
    const ValueRef better = let("better", loop::apply(kind == Reducer::argmax ? "gt" : "lt", {x, acc[0]}));
    const ValueRef at = loop::apply("i32", {env_.at(stage.reduce->indices[0].name)});
    return {loop::apply("select", {better, x, acc[0]}), loop::apply("select", {better, at, acc[1]})};
  }

  // The innermost reduce index r goes to lane r mod L; a last partial group leaves the other lanes untouched.
  Values lanes(const Stage& stage, const Progress& next, const Values& acc, const kernel::Index& index,
               const ValueRef& first, const ValueRef& last) {
    const auto count = static_cast<std::int64_t>(acc.size());
    const auto lane = [&](const ValueRef& at, const ValueRef& value) {
      const auto env = env_;  // an index that `where` removes is another one in each lane
      bind(index.name, at);
      ValueRef result = descend(stage, next, {value}, nullptr, nullptr)[0];
      env_ = env;
      shared_.clear();
      return result;
    };
    const ValueRef length = integer("sub", last, first);
    const ValueRef rest = integer("rem", length, loop::index_literal(count));
    const ValueRef whole = integer("sub", last, rest);
    const auto all = [&](const ValueRef& at, const Values& carried) {
      Values out;
      for (std::int64_t l = 0; l < count; ++l) {
        out.push_back(lane(integer("add", at, loop::index_literal(l)), carried[static_cast<std::size_t>(l)]));
      }
      return out;
    };
    const bool no_group = loop::print(whole) == loop::print(first);
    Values sums = no_group ? acc : loop_over(index.name, first, whole, count, acc, hints(stage, acc.size()), all);
    const bool known = rest->kind == loop::Value::Kind::literal;
    for (std::int64_t l = 0; l + 1 < count; ++l) {
      if (known && l >= rest->literal.integer) break;
      const ValueRef at = integer("add", whole, loop::index_literal(l));
      ValueRef& sum = sums[static_cast<std::size_t>(l)];
      if (known) {
        sum = let(stage.name, lane(at, sum));
      } else {
        sum = branch(loop::apply("lt", {loop::index_literal(l), rest}), {stage.name}, {sum},
                     [&] { return Values{lane(at, sum)}; })[0];
      }
    }
    return sums;
  }

  // One block: all its lanes, from `from` or the identity, to one value.
  ValueRef block_value(const Stage& stage, const ValueRef& low, const ValueRef& high, bool begins) {
    const Reduce& reduce = *stage.reduce;
    Values acc;
    for (std::int64_t l = 0; l < reduce.lanes; ++l) acc.push_back(identity(stage));
    if (begins && reduce.from) acc[0] = let(stage.name, value(reduce.from));
    if (reduce.kind == Reducer::argmax || reduce.kind == Reducer::argmin) {
      acc = {loop::literal({stage.expr->type, 1}, graph::identity_of(reduce.kind, stage.expr->type)),
             loop::literal({DType::i32, 1}, kernel::literal_of_int(0))};
    }
    const auto env = env_;
    Values sums = descend(stage, {0, std::vector<bool>(reduce.where.size(), false)}, acc, low, high);
    env_ = env;
    shared_.clear();
    if (reduce.kind == Reducer::argmax || reduce.kind == Reducer::argmin) return sums[1];
    for (std::size_t half = sums.size() / 2; half >= 1; half /= 2) {
      for (std::size_t l = 0; l < half; ++l) sums[l] = let(stage.name, combine(reduce.kind, sums[l], sums[l + half]));
    }
    return sums[0];
  }

  ValueRef reduction(const Stage& stage, const Reduce& reduce) {
    kernel::add_bounds(bounds_, reduce.indices);
    for (const kernel::Index& index : reduce.indices) env_.erase(index.name);
    if (reduce.block == 0) return block_value(stage, nullptr, nullptr, true);
    const Dim& extent = reduce.indices[0].extent;
    if (extent.range(layout_.range_of).high <= reduce.block) return block_value(stage, nullptr, nullptr, true);
    const ValueRef end = loop::dim_value(extent);
    const auto cut = [&](const ValueRef& begin) {
      return integer("min", integer("add", begin, loop::index_literal(reduce.block)), end);
    };
    const ValueRef zero = loop::index_literal(0);
    const ValueRef head = block_value(stage, zero, cut(zero), true);
    return loop_over("block", loop::index_literal(reduce.block), end, reduce.block, {head}, {stage.name},
                     [&](const ValueRef& begin, const Values& carried) {
                       return Values{combine(reduce.kind, carried[0], block_value(stage, begin, cut(begin), false))};
                     })[0];
  }

  // --- W3

  // The equality whose value is data, if there is one.
  static const kernel::Equality* data_where(const Stage& stage) {
    for (const kernel::Equality& equality : stage.reduce->where) {
      if (!kernel::affine_of(equality.value)) return &equality;
    }
    return nullptr;
  }

  // Whether the data is read at the very index that it decides: then no order of loops can read it first.
  static bool reads_target(const kernel::Equality& equality) {
    const std::function<bool(const ExprRef&)> reads = [&](const ExprRef& expr) {
      return (expr->kind == Expr::Kind::index && expr->name == equality.index) ||
             std::any_of(expr->operands.begin(), expr->operands.end(), reads);
    };
    return reads(equality.value);
  }

  // Fill with `from` or the identity, run the reduce indices in order, compute v, accumulate there.
  void scatter(const Stage& stage) {
    const Reduce& reduce = *stage.reduce;
    const kernel::Equality& equality = *data_where(stage);
    kernel::add_bounds(bounds_, stage.indices);
    kernel::add_bounds(bounds_, reduce.indices);
    loops(stage.indices, 0, [&] {
      Values at;
      for (const kernel::Index& index : stage.indices) at.push_back(env_.at(index.name));
      store(stage, at, reduce.from ? value(reduce.from) : identity(stage));
    });
    // Left indices that the data depends on run outside; the others inside the check.
    std::set<std::string> read;
    const std::function<void(const ExprRef&)> collect = [&](const ExprRef& expr) {
      if (expr->kind == Expr::Kind::index) read.insert(expr->name);
      for (const ExprRef& operand : expr->operands) collect(operand);
    };
    collect(equality.value);
    std::vector<kernel::Index> outer;
    std::vector<kernel::Index> inner;
    const kernel::Index* target = nullptr;
    for (const kernel::Index& index : stage.indices) {
      if (index.name == equality.index) {
        target = &index;
      } else {
        (read.contains(index.name) ? outer : inner).push_back(index);
      }
    }
    outer.insert(outer.end(), reduce.indices.begin(), reduce.indices.end());
    loops(outer, 0, [&] {
      const ValueRef v = let(equality.index, value(equality.value));
      const ValueRef valid = loop::apply("and", {loop::apply("ge", {v, loop::index_literal(0)}),
                                                 loop::apply("lt", {v, loop::dim_value(target->extent)})});
      branch(valid, {}, {}, [&] {
        bind(equality.index, v);
        loops(inner, 0, [&] {
          Values at;
          for (const kernel::Index& index : stage.indices) at.push_back(env_.at(index.name));
          const Tensor& tensor = tensors_.at(stage.name);
          const loop::Type type{register_type(tensor.type), 1};
          uses_.clear();
          count_uses(stage.expr);
          store(stage, at, accumulate(stage, loop::load(stage.name, type, address_of(tensor, at))));
        });
        return Values{};
      });
    });
    bounds_.clear();
  }

  const kernel::Kernel& kernel_;
  const kernel::Schedule& schedule_;
  const KernelLayout& layout_;
  Block* out_ = nullptr;
  std::map<std::string, Tensor> tensors_;
  std::set<std::string> scope_;
  std::map<std::string, ValueRef> env_;       // index -> value
  kernel::IndexBounds bounds_;                // of the indices, for range checks
  std::map<std::string, ValueRef> computed_;  // inline stages at a point
  std::map<const Expr*, ValueRef> shared_;    // named subexpressions
  std::map<const Expr*, int> uses_;
};

}  // namespace

std::vector<std::string> symbols_of(const kernel::Kernel& kernel, const KernelLayout& layout) {
  std::set<std::string> symbols;
  const auto add = [&](const Dim& dim) {
    for (std::string& symbol : dim.symbols()) symbols.insert(std::move(symbol));
  };
  const std::function<void(const ExprRef&)> walk = [&](const ExprRef& expr) {
    if (!expr) return;
    if (expr->kind == Expr::Kind::dim) add(expr->dim);
    for (const ExprRef& operand : expr->operands) walk(operand);
  };
  for (const kernel::Param& param : kernel.params) {
    for (const Dim& dim : param.shape) add(dim);
  }
  for (const Stage& stage : kernel.stages) {
    for (const kernel::Index& index : stage.indices) add(index.extent);
    walk(stage.expr);
    if (!stage.reduce) continue;
    for (const kernel::Index& index : stage.reduce->indices) add(index.extent);
    for (const kernel::Equality& equality : stage.reduce->where) walk(equality.value);
    walk(stage.reduce->from);
  }
  for (const std::vector<Dim>& strides : layout.strides) {
    for (const Dim& stride : strides) add(stride);
  }
  return {symbols.begin(), symbols.end()};
}

loop::Func lower_kernel(const kernel::Kernel& kernel, const kernel::Schedule& schedule, const KernelLayout& layout,
                        std::string name) {
  return Lowering(kernel, schedule, layout).run(std::move(name));
}

}  // namespace tusk
