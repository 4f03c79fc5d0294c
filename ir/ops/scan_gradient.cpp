#include "ir/ops/scan_gradient.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "ir/graph/backward.hpp"
#include "ir/graph/rewrite.hpp"
#include "ir/ops/common.hpp"

namespace tusk::graph {
namespace {

bool is_tensor(const Operand& o) { return o.kind == Operand::Kind::value || o.kind == Operand::Kind::global; }

// A value of each position, as one tensor outside of the loop. Position p lies at index p of the axis, or at
// length-1-p (rev).
struct Stacked {
  Operand whole;
  std::int64_t axis = 0;
  std::int64_t rev = 0;
};

// What a scan takes and stacks, as its attributes list it.
struct Sides {
  Ints axes, rev;
};

class ScanGradient {
 public:
  explicit ScanGradient(GradContext& g)
      : g_(g),
        carries_(static_cast<std::size_t>(std::get<std::int64_t>(g.attr("carries")))),
        length_(std::get<Shape>(g.attr("length"))[0]),
        takes_{std::get<Ints>(g.attr("take_axes")), std::get<Ints>(g.attr("take_rev"))},
        stacks_{std::get<Ints>(g.attr("stack_axes")), std::get<Ints>(g.attr("stack_rev"))},
        forward_(g.op),
        body_(forward_.regions[0]),
        step_(g.b.module(), g.b.function(), back_) {
    step_.layer = g.op.layer;
  }

  void run() {
    find_captures();
    seed();
    const Status ok = backward(step_, body_.ops, cotangents_, wanted_);
    if (!ok) {
      g_.b.problem = ok.problem();
      return;
    }
    define(body_.ops);  // bodies of composites, and what inner scans save
    yield_carries();
    yield_takes();
    for (const Operand& capture : captures_) yield_capture(capture);
    drop_dead();
    bring_forward_values();
    finish();
  }

 private:
  const Type& type(int id) const { return g_.b.function().values[static_cast<std::size_t>(id)].type; }
  Type type(const Operand& o) const { return g_.b.type(o); }
  bool floating(const Operand& o) const { return is_float(type(o).dtype); }
  std::string name(int id) const { return g_.b.function().values[static_cast<std::size_t>(id)].name; }

  int parameter(const std::string& of, Type of_type) {
    return g_.b.function().add_value("d_" + of, std::move(of_type));
  }

  // Floating values that the body reads without their being its own.
  void find_captures() {
    for (const int id : body_.params) own_.insert(id);
    define(body_.ops);
    const auto look = [&](const Operand& o) {
      if (!is_tensor(o) || !floating(o) || (o.kind == Operand::Kind::value && own_.contains(o.id))) return;
      if (std::ranges::find(captures_, o) == captures_.end()) captures_.push_back(o);
    };
    for (const Op& op : body_.ops) for_each_operand(op, look);
    for (const Operand& o : body_.yields) look(o);
    std::erase_if(captures_, [&](const Operand& o) { return !g_.wanted(o); });
    wanted_ = captures_;
    for (const int id : body_.params) {
      if (floating(Operand::value(id))) wanted_.push_back(Operand::value(id));
    }
  }

  void define(const std::vector<Op>& ops) {
    for (const Op& op : ops) {
      own_.insert(op.results.begin(), op.results.end());
      for (const Region& region : op.regions) {
        own_.insert(region.params.begin(), region.params.end());
        define(region.ops);
      }
    }
  }

  // The gradients that come from outside: carried ones of the last carries, taken ones of the stacks.
  void seed() {
    for (std::size_t k = 0; k < carries_; ++k) {
      const int id = body_.params[k];
      if (!floating(Operand::value(id))) continue;
      const int d = parameter(name(id), type(id));
      carried_.push_back({k, d});
      initial_.push_back(g_.dy[k] ? *g_.dy[k] : g_.b.fill(type(id), 0));
      if (is_tensor(body_.yields[k])) cotangents_.add(step_, body_.yields[k], Operand::value(d));
    }
    for (std::size_t k = 0; k < stacks_.axes.size(); ++k) {
      const std::optional<Operand>& dy = g_.dy[carries_ + k];
      const Operand& yielded = body_.yields[carries_ + k];
      if (!dy || !is_tensor(yielded)) continue;
      const int d = take({*dy, stacks_.axes[k], stacks_.rev[k]}, type(yielded), "y");
      cotangents_.add(step_, yielded, Operand::value(d));
    }
  }

  // A further take of the backward scan, which goes through the positions from the last to the first.
  int take(const Stacked& from, Type slice, const std::string& of) {
    taken_.push_back(from);
    taken_params_.push_back(parameter(of, std::move(slice)));
    return taken_params_.back();
  }

  // A further stack of the backward scan; gives its number.
  std::size_t stack(const Operand& yielded, std::int64_t axis, std::int64_t rev) {
    stacked_.push_back({yielded, axis, rev});
    return stacked_.size() - 1;
  }

  void yield_carries() {
    for (const auto& [k, d] : carried_) {
      const std::optional<Operand> found = cotangents_.find(Operand::value(body_.params[k]));
      next_.push_back(found ? *found : step_.fill(type(body_.params[k]), 0));
    }
  }

  void yield_takes() {
    for (std::size_t j = 0; j < takes_.axes.size(); ++j) {
      const int id = body_.params[carries_ + j];
      const std::optional<Operand> found = cotangents_.find(Operand::value(id));
      if (found) take_gradients_.push_back({carries_ + j, stack(*found, takes_.axes[j], takes_.rev[j])});
    }
  }

  const Op* producer(const Operand& o) const {
    if (o.kind != Operand::Kind::value) return nullptr;
    const auto it = std::ranges::find_if(back_, [&](const Op& op) { return op.results[0] == o.id; });
    return it == back_.end() ? nullptr : &*it;
  }

  // A step's shares of the gradient of a capture are added by map.add; each share finds its own way.
  void yield_capture(const Operand& capture) {
    const std::optional<Operand> found = cotangents_.find(capture);
    if (!found) return;
    std::vector<Operand> open = {*found};
    std::vector<Operand> carried;
    while (!open.empty()) {
      const Operand share = open.back();
      open.pop_back();
      const Op* op = producer(share);
      if (op != nullptr && text_name(*op) == "map.add" && type(op->operands[0]) == type(share) &&
          type(op->operands[1]) == type(share)) {
        open.push_back(op->operands[1]);
        open.push_back(op->operands[0]);
      } else if (op == nullptr || !hoist(capture, *op)) {
        carried.push_back(share);
      }
    }
    if (carried.empty()) return;
    const Type of = type(capture);
    const int sum = parameter("sum", of);
    Operand total = Operand::value(sum);
    for (const Operand& share : carried) total = step_.map("add", {total, share});
    sums_.push_back({capture, sum});
    next_.push_back(total);
    initial_.push_back(g_.b.fill(of, 0));
  }

  // Whether a share is a sum that can run over all positions after the loop.
  bool hoist(const Operand& capture, const Op& op) {
    const bool contract = op.def->name == "contract" && op.operands.size() == 2;
    if (!contract && text_name(op) != "reduce.sum") return false;
    std::vector<Source> sources;
    std::int64_t rev = 0;
    bool turned = false;
    for (const Operand& x : op.operands) {
      const std::optional<Source> source = source_of(x);
      if (!source) return false;
      if (!source->of_step) {
        if (turned && source->rev != rev) return false;
        turned = true;
        rev = source->rev;
      }
      sources.push_back(*source);
    }
    for (Source& source : sources) {
      if (source.of_step) {
        source.rev = rev;
        source.number = stack(source.value, 0, rev);
      }
    }
    hoisted_.push_back({capture, op, sources});
    return true;
  }

  // Where the operand of a hoisted sum comes from: stacked by the backward scan, or there in the forward scan.
  struct Source {
    Operand value;
    bool of_step = false;
    std::size_t number = 0;  // of the backward scan's stack
    std::int64_t axis = 0, rev = 0;
  };
  std::optional<Source> source_of(const Operand& x) {
    if (x.kind != Operand::Kind::value) return std::nullopt;
    if (!own_.contains(x.id)) {
      // A value of the backward body, unless it lies outside of both.
      const bool of_step = producer(x) != nullptr || std::ranges::find(taken_params_, x.id) != taken_params_.end() ||
                           std::ranges::any_of(carried_, [&](const auto& c) { return c.second == x.id; });
      return of_step ? std::optional(Source{x, true}) : std::nullopt;
    }
    if (invariant(x.id)) return std::nullopt;
    const Stacked& at = saved(x.id);
    return Source{x, false, 0, at.axis, at.rev};
  }

  // Whether a value of the forward body is the same at every position.
  bool invariant(int id) const {
    const auto op = std::ranges::find_if(
        body_.ops, [&](const Op& o) { return std::ranges::find(o.results, id) != o.results.end(); });
    if (op == body_.ops.end() || !op->regions.empty()) return false;
    return std::ranges::all_of(op->operands, [&](const Operand& o) {
      return o.kind != Operand::Kind::value || !own_.contains(o.id) || invariant(o.id);
    });
  }

  // A forward value of all positions: what was taken, what is stacked already, else one more stack.
  const Stacked& saved(int id) {
    if (const auto it = saved_.find(id); it != saved_.end()) return it->second;
    return saved_.emplace(id, save(id)).first->second;
  }
  Stacked save(int id) {
    const Operand value = Operand::value(id);
    for (std::size_t j = 0; j < takes_.axes.size(); ++j) {
      if (body_.params[carries_ + j] == id) return {g_.operand(carries_ + j), takes_.axes[j], takes_.rev[j]};
    }
    for (std::size_t k = 0; k < stacks_.axes.size(); ++k) {
      const Operand& yielded = body_.yields[carries_ + k];
      if (yielded == value) return {g_.result(carries_ + k), stacks_.axes[k], stacks_.rev[k]};
      const auto carry =
          std::ranges::find(body_.params.begin(), body_.params.begin() + static_cast<std::ptrdiff_t>(carries_), id);
      const auto c = static_cast<std::size_t>(carry - body_.params.begin());
      if (c < carries_ && body_.yields[c] == yielded) return before(c, k);
    }
    Type whole = type(id);
    whole.shape.insert(whole.shape.begin(), length_);
    const int result = g_.b.function().add_value(name(id) + "_saved", std::move(whole));
    forward_.results.push_back(result);
    extra_yields_.push_back(value);
    return {Operand::value(result), 0, 0};
  }

  // The carry that enters each position, where stack k holds the one that leaves: all of the stack but the last, behind
  // the first carry.
  Stacked before(std::size_t carry, std::size_t k) {
    const std::int64_t axis = stacks_.axes[k];
    const Operand first = g_.operand(carry);
    const Operand rest = g_.result(carries_ + k);
    Shape shape = type(first).shape;
    shape.insert(shape.begin() + axis, Dim(1));
    const Operand head = g_.b.reshape(first, shape);
    const bool rev = stacks_.rev[k] != 0;
    const Operand all =
        g_.b.add("concat", rev ? std::vector{rest, head} : std::vector{head, rest}, attrs_of({{"axis", axis}}));
    shape[static_cast<std::size_t>(axis)] = length_;
    Shape from(shape.size(), Dim(0));
    if (rev) {
      from[static_cast<std::size_t>(axis)] = Dim(1);
      shape[static_cast<std::size_t>(axis)] = length_ + Dim(1);
    }
    return {g_.b.add("slice", {all}, attrs_of({{"start", from}, {"limit", shape}, {"step", Ints(shape.size(), 1)}})),
            axis, stacks_.rev[k]};
  }

  void drop_dead() {
    std::vector<bool> live(g_.b.function().values.size(), false);
    const auto mark = [&](const Operand& o) {
      if (o.kind == Operand::Kind::value) live[static_cast<std::size_t>(o.id)] = true;
    };
    for (const Operand& o : next_) mark(o);
    for (const Stacked& s : stacked_) mark(s.whole);
    remove_dead_ops(back_, live);
  }

  // Forward values that the backward body reads become takes, or are computed again where no position changes them.
  void bring_forward_values() {
    std::vector<Op> again;
    const auto bring = [&](Operand& o) {
      if (o.kind == Operand::Kind::value && own_.contains(o.id)) o.id = here(o.id, again);
    };
    for (Op& op : back_) for_each_operand(op, bring);
    for (Operand& o : next_) bring(o);
    for (Stacked& s : stacked_) bring(s.whole);
    back_.insert(back_.begin(), again.begin(), again.end());
  }
  int here(int id, std::vector<Op>& again) {
    if (const auto it = here_.find(id); it != here_.end()) return it->second;
    if (!invariant(id)) return here_[id] = take(saved(id), type(id), name(id));
    Op op = *std::ranges::find_if(body_.ops,
                                  [&](const Op& o) { return std::ranges::find(o.results, id) != o.results.end(); });
    for (Operand& o : op.operands) {
      if (o.kind == Operand::Kind::value && own_.contains(o.id)) o.id = here(o.id, again);
    }
    for (int& result : op.results) {
      const int copy = g_.b.function().add_value(name(result), type(result));
      here_[result] = copy;
      result = copy;
    }
    again.push_back(std::move(op));
    return here_[id];
  }

  void finish() {
    // The forward scan, with what it saves.
    if (!extra_yields_.empty()) {
      Sides stacks = stacks_;
      stacks.axes.resize(stacks.axes.size() + extra_yields_.size(), 0);
      stacks.rev.resize(stacks.axes.size(), 0);
      body_.yields.insert(body_.yields.end(), extra_yields_.begin(), extra_yields_.end());
      forward_.attrs.set("stack_axes", stacks.axes);
      forward_.attrs.set("stack_rev", stacks.rev);
    }
    Region region;
    for (const auto& [k, d] : carried_) region.params.push_back(d);
    for (const auto& [capture, sum] : sums_) region.params.push_back(sum);
    region.params.insert(region.params.end(), taken_params_.begin(), taken_params_.end());
    region.ops = std::move(back_);
    region.yields = next_;
    std::vector<Operand> operands = initial_;
    Sides takes;
    for (const Stacked& t : taken_) {
      operands.push_back(t.whole);
      takes.axes.push_back(t.axis);
      takes.rev.push_back(1 - t.rev);
    }
    Sides stacks;
    for (const Stacked& s : stacked_) {
      region.yields.push_back(s.whole);
      stacks.axes.push_back(s.axis);
      stacks.rev.push_back(1 - s.rev);
    }
    if (region.yields.empty()) return;
    const std::vector<Operand> results = g_.b.add_all("scan", std::move(operands),
                                                      attrs_of({{"length", Shape{length_}},
                                                                {"carries", static_cast<std::int64_t>(next_.size())},
                                                                {"take_axes", takes.axes},
                                                                {"take_rev", takes.rev},
                                                                {"stack_axes", stacks.axes},
                                                                {"stack_rev", stacks.rev}}),
                                                      {std::move(region)});
    if (!g_.b.problem) share_out(results);
    g_.forward = std::move(forward_);
  }

  void share_out(const std::vector<Operand>& results) {
    for (std::size_t i = 0; i < carried_.size(); ++i) g_.dx[carried_[i].first] = results[i];
    for (const auto& [operand, number] : take_gradients_) g_.dx[operand] = results[next_.size() + number];
    for (std::size_t i = 0; i < sums_.size(); ++i)
      g_.captured.emplace_back(sums_[i].first, results[carried_.size() + i]);
    for (const Hoisted& h : hoisted_) {
      std::vector<Stacked> at;
      for (const Source& s : h.sources) {
        at.push_back(s.of_step ? Stacked{results[next_.size() + s.number], 0, s.rev} : saved(s.value.id));
      }
      g_.captured.emplace_back(h.capture, over_all(h.op, at));
    }
  }

  // The sum of one step as a sum over all positions too.
  Operand over_all(const Op& op, const std::vector<Stacked>& at) {
    if (op.def->name == "contract") {
      auto spec = std::get<ContractSpec>(attr_of(op, "spec"));
      std::string t = "t";
      const auto taken = [&](const std::vector<std::string>& names) {
        return std::ranges::find(names, t) != names.end();
      };
      while (taken(spec.a) || taken(spec.b) || taken(spec.y)) t += "t";
      spec.a.insert(spec.a.begin() + at[0].axis, t);
      spec.b.insert(spec.b.begin() + at[1].axis, t);
      return g_.b.contract(at[0].whole, at[1].whole, std::nullopt, spec);
    }
    Ints axes = {at[0].axis};
    for (const std::int64_t axis : std::get<Ints>(attr_of(op, "axes")))
      axes.push_back(axis + (axis >= at[0].axis ? 1 : 0));
    std::ranges::sort(axes);
    return g_.b.reduce("sum", at[0].whole, axes);
  }

  struct Hoisted {
    Operand capture;
    Op op;
    std::vector<Source> sources;
  };

  GradContext& g_;
  std::size_t carries_;
  Dim length_;
  Sides takes_, stacks_;
  Op forward_;
  Region& body_;           // of forward_
  std::vector<Op> back_;   // the backward body
  Builder step_;           // appends to it
  Cotangents cotangents_;  // inside it
  std::set<int> own_;      // values of the forward body
  std::vector<Operand> captures_, wanted_;
  std::map<int, Stacked> saved_;
  std::map<int, int> here_;  // forward values in the backward body
  std::vector<Operand> extra_yields_;

  // The backward scan: carries are gradients of carries, then sums.
  std::vector<std::pair<std::size_t, int>> carried_;  // carry, parameter
  std::vector<std::pair<Operand, int>> sums_;         // capture, parameter
  std::vector<Operand> initial_, next_;
  std::vector<Stacked> taken_;
  std::vector<int> taken_params_;
  std::vector<Stacked> stacked_;                                     // `whole` is what a position yields
  std::vector<std::pair<std::size_t, std::size_t>> take_gradients_;  // operand, stack
  std::vector<Hoisted> hoisted_;
};

}  // namespace

void scan_gradient(GradContext& g) { ScanGradient(g).run(); }

}  // namespace tusk::graph
