// cond: one of two regions runs.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "ir/graph/backward.hpp"
#include "ir/graph/rewrite.hpp"
#include "ir/ops/common.hpp"

namespace tusk::graph {
namespace {

Expected<std::vector<Type>> cond_types(const InferContext& c) {
  if (c.is_number(0) || !(c.operands[0] == Type{DType::boolean, {}}))
    return c.fail("c1", fmt::format("the condition is {}, expected bool[]", str(c.operands[0])));
  if (c.op.regions.size() != 2 || !c.op.regions[0].params.empty() || !c.op.regions[1].params.empty())
    return c.fail("c2", "it needs two regions without parameters");
  const std::vector<Operand>& then = c.op.regions[0].yields;
  const std::vector<Operand>& other = c.op.regions[1].yields;
  if (then.empty() || then.size() != other.size()) {
    return c.fail("c2", fmt::format("the regions yield {} and {} values, expected equally many, at least one",
                                    then.size(), other.size()));
  }
  std::vector<Type> results;
  for (std::size_t k = 0; k < then.size(); ++k) {
    for (const Operand& o : {then[k], other[k]}) {
      if (o.kind != Operand::Kind::value && o.kind != Operand::Kind::global)
        return c.fail("c3", fmt::format("result {} is a number, which has no type of its own", k));
    }
    results.push_back(type_of(c.module, c.function, then[k]));
    const Type against = type_of(c.module, c.function, other[k]);
    if (!(results[k] == against))
      return c.fail("c3",
                    fmt::format("result {} is {} in one region, {} in the other", k, str(results[k]), str(against)));
  }
  return results;
}

std::vector<Array> run_chosen(const EvalContext& c) {
  const bool holds = c.choice(c.operands[0].int_at(0) != 0 ? 1 : 0) != 0;
  return c.run_region(c.op.regions[holds ? 0 : 1], {});
}

// A region's ops again, with values of their own.
class Again {
 public:
  explicit Again(Function& function) : function_(function) {}

  std::vector<Op> ops(std::vector<Op> list) {
    for (Op& op : list) {
      for (Operand& o : op.operands) o = operand(o);
      for (Region& region : op.regions) {
        for (int& param : region.params) param = fresh(param);
        region.ops = ops(std::move(region.ops));
        for (Operand& o : region.yields) o = operand(o);
      }
      for (int& result : op.results) result = fresh(result);
    }
    return list;
  }

  Operand operand(Operand o) const {
    const auto it = o.kind == Operand::Kind::value ? copies_.find(o.id) : copies_.end();
    if (it != copies_.end()) o.id = it->second;
    return o;
  }

 private:
  int fresh(int id) {
    const Value value = function_.values[static_cast<std::size_t>(id)];
    return copies_[id] = function_.add_value(value.name, value.type);
  }

  Function& function_;
  std::map<int, int> copies_;
};

// What the regions read of floating values that are not their own, and that somebody wants the gradient of.
std::vector<Operand> captures_of(const GradContext& g) {
  std::set<int> own;
  const std::function<void(const std::vector<Op>&)> define = [&](const std::vector<Op>& ops) {
    for (const Op& op : ops) {
      own.insert(op.results.begin(), op.results.end());
      for (const Region& region : op.regions) {
        own.insert(region.params.begin(), region.params.end());
        define(region.ops);
      }
    }
  };
  for (const Region& region : g.op.regions) define(region.ops);
  std::vector<Operand> out;
  const auto look = [&](const Operand& o) {
    const bool is_outside = o.kind == Operand::Kind::global || (o.kind == Operand::Kind::value && !own.contains(o.id));
    if (!is_outside) return;
    if (!is_float(g.b.type(o).dtype) || !g.wanted(o) || std::ranges::find(out, o) != out.end()) return;
    out.push_back(o);
  };
  for (const Region& region : g.op.regions) {
    for (const Op& op : region.ops) for_each_operand(op, look);
    for (const Operand& o : region.yields) look(o);
  }
  return out;
}

// The same choice again: each region computes its forward values anew, then the gradients of what it captures.
void cond_gradient(GradContext& g) {
  const std::vector<Operand> captures = captures_of(g);
  if (captures.empty()) return;
  std::vector<Region> regions;
  for (const Region& region : g.op.regions) {
    Again again(g.b.function());
    std::vector<Op> forward = again.ops(region.ops);
    std::vector<Op> back;
    Builder inside(g.b.module(), g.b.function(), back);
    inside.layer = g.op.layer;
    Cotangents cotangents;
    for (std::size_t k = 0; k < region.yields.size(); ++k) {
      if (g.dy[k] && is_float(g.b.type(region.yields[k]).dtype))
        cotangents.add(inside, again.operand(region.yields[k]), *g.dy[k]);
    }
    const Status ok = backward(inside, forward, cotangents, captures);
    if (!ok) {
      g.b.problem = ok.problem();
      return;
    }
    Region out;
    for (const Operand& capture : captures) {
      const std::optional<Operand> found = cotangents.find(capture);
      out.yields.push_back(found ? *found : inside.fill(g.b.type(capture), 0));
    }
    out.ops = std::move(forward);
    out.ops.insert(out.ops.end(), back.begin(), back.end());
    regions.push_back(std::move(out));
  }
  const std::vector<Operand> results = g.b.add_all("cond", {g.operand(0)}, {}, std::move(regions));
  if (g.b.problem) return;
  for (std::size_t i = 0; i < captures.size(); ++i) g.captured.emplace_back(captures[i], results[i]);
}

}  // namespace

extern const OpDef kCond;
const OpDef kCond = {
    .name = "cond",
    .doc =
        "The first region runs if the condition holds, else the second; what it yields are the results. The regions "
        "may read any value defined outside. A choice by element is map.select.",
    .min_operands = 1,
    .max_operands = 1,
    .constraints = {{"c1", "the condition is bool[]"},
                    {"c2", "two regions without parameters yield equally many values, at least one"},
                    {"c3", "what they yield has equal types"}},
    .infer = cond_types,
    .evaluate = run_chosen,
    .gradient = cond_gradient,
    .samples =
        {
            "func f(%c: bool[], %x: f32[batch,3]) -> (%y) { %y = cond %c region () { %a = map.mul %x, 2  yield %a } "
            "region () { %b = map.tanh %x  yield %b } }",
            // What is yielded lies outside; two results, one of them an integer.
            "func f(%n: i32[], %x: f32[4], %w: f32[4]) -> (%y, %m) { %r = map.mod %n, 2  %c = map.eq %r, 0  "
            "%y, %m = cond %c region () { %a = map.mul %x, %w  %k = map.add %n, 1  yield %a, %k } "
            "region () { yield %x, %n } }",
            // Sums of several axes, and a choice inside of a choice.
            "func f(%c: bool[], %d: bool[], %x: f32[batch,2], %w: f32[2,3]) -> (%y) { %y = cond %c region () { "
            "%z = contract %x, %w { a[n,k] b[k,o] -> y[n,o] }  %s = cond %d region () { %e = map.exp %z  yield %e } "
            "region () { yield %z }  %t = reduce.sum %s {axes=[0]}  yield %t } region () { "
            "%u = reduce.max %w {axes=[0]}  yield %u } }",
            // In a loop over positions, by what is taken there.
            "func f(%h0: f32[2], %x: f32[5,2], %on: bool[5]) -> (%h, %ys) { %h, %ys = scan %h0, %x, %on {length=[5], "
            "carries=1, take_axes=[0,0], take_rev=[0,0], stack_axes=[0], stack_rev=[0]} "
            "region (%c: f32[2], %t: f32[2], %o: bool[]) { %n = cond %o region () { %a = map.mul %c, %t  "
            "%b = map.tanh %a  yield %b } region () { yield %c }  yield %n, %n } }",
        },
};

}  // namespace tusk::graph
