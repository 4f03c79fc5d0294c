// How lower_kernel works inside: one kernel on its way to loops. Its parts are blocks and stages (lower_kernel.cpp),
// expressions (lower_expression.cpp), register tiles (lower_tile.cpp), reductions (lower_reduction.cpp) and sums whose
// target is data (lower_scatter.cpp).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ir/kernel/affine.hpp"
#include "ir/kernel/kernel.hpp"
#include "ir/loop/loop.hpp"
#include "passes/lower_kernel.hpp"

namespace tusk::lowering {

using Values = std::vector<loop::ValueRef>;

/// A tensor with a buffer: its shape and strides.
struct Tensor {
  DType type = DType::f32;
  Shape shape;
  std::vector<Dim> strides;
};

/// The value of an index in a register: `base` in its first lane, `lane` more in each that follows.
struct Position {
  loop::ValueRef base;
  std::int64_t lane = 0;
};

/// One register of a tile: where its indices are. Without a schedule a tile has one of a single lane.
struct Point {
  std::map<std::string, Position> at;
  int lanes = 1;
  loop::ValueRef count;                                  // of lanes in use, null: all
  std::map<const kernel::Expr*, loop::ValueRef> shared;  // named subexpressions
};

/// How far the loops of a reduction are: indices in loops, and equalities that hold already.
struct Progress {
  std::size_t level = 0;
  std::vector<bool> solved;
};

/// An equality as stride * removed == position.
struct Solvable {
  std::string removed;
  std::int64_t stride = 1;
  Position position;
};

/// What a register tile takes along an index: registers of so many lanes, or single elements.
struct Slot {
  Position position;  // in a segment: the offset from the place of the tile
  int lanes = 1;
  loop::ValueRef count;  // of lanes in use, null: all
};

/// Part of the loop over tiles of an index: from low to high, each turn takes these slots.
struct Segment {
  loop::ValueRef low, high;
  std::int64_t step = 1;
  bool is_last = false;  // at most one turn, whose count of lanes is what is left
  std::vector<Slot> slots;
};

/// The slots that were chosen for the indices of a stage.
using Slots = std::map<std::string, std::vector<Slot>>;

/// Thrown where a schedule asks for what cannot be done; says why.
struct IllegalSchedule {
  std::string why;
};

inline loop::ValueRef integer(std::string_view row, loop::ValueRef a, loop::ValueRef b) {
  return loop::simplified(loop::apply(row, {std::move(a), std::move(b)}));
}

/// The mask of the first lanes.
loop::ValueRef first_lanes(const loop::ValueRef& count, int lanes);

/// Where a sum of this stage starts, in the type of registers.
loop::ValueRef identity(const kernel::Stage& stage);

/// The equality whose value is data, if there is one.
const kernel::Equality* data_where(const kernel::Stage& stage);

/// Whether the data is read at the very index that it decides: then no order of loops can read it first.
bool reads_target(const kernel::Equality& equality);

class KernelLowering {
 public:
  KernelLowering(const kernel::Kernel& kernel, const kernel::Schedule& schedule, const KernelLayout& layout)
      : kernel_(kernel), schedule_(schedule), layout_(layout) {}

  loop::Func run(std::string name);

 private:
  // Names and blocks. A name is defined once in a function.
  std::string fresh(const std::string& hint);
  void within(loop::Block& block, const std::function<void()>& fill);
  loop::ValueRef let(const std::string& hint, loop::ValueRef value);
  Point& here() { return points_[here_]; }
  void bind(const std::string& index, loop::ValueRef value);  // at all points
  bool bound(const std::string& index) { return here().at.contains(index); }
  void at_points(std::vector<Point> points, const std::function<void()>& body);
  void at_each_point(const std::function<void(std::size_t)>& body);

  // What a statement gives: a fresh name for each value, and its type.
  Values results_of(loop::Stmt& stmt, const std::vector<std::string>& hints, const Values& like);
  // for index = low to high step { yields = body(carried) }; gives what is carried out.
  Values loop_over(const std::string& index, const loop::ValueRef& low, const loop::ValueRef& high, std::int64_t step,
                   const Values& init, const std::vector<std::string>& hints,
                   const std::function<Values(const loop::ValueRef&, const Values&)>& body);
  // if condition { yields = taken() } else { yields = other }
  Values branch(const loop::ValueRef& condition, const std::vector<std::string>& hints, const Values& other,
                const std::function<Values()>& taken);
  void loops(const std::vector<kernel::Index>& indices, std::size_t level, const std::function<void()>& body);

  // Expressions.
  loop::ValueRef arranged(loop::ValueRef index) const;
  loop::ValueRef integer_here(std::string_view row, loop::ValueRef a, loop::ValueRef b) const;
  loop::ValueRef wide(const loop::ValueRef& value, int lanes);
  loop::ValueRef row_of(const Row& row, Values operands);
  loop::ValueRef row_of(std::string_view row, Values operands);
  Position position(const kernel::ExprRef& expr);
  loop::ValueRef address_of(const Tensor& tensor, const std::vector<Position>& at) const;
  std::int64_t lane_stride(const Tensor& tensor, const std::vector<Position>& at) const;
  loop::ValueRef inside(const Shape& shape, const std::vector<kernel::ExprRef>& indices,
                        const std::vector<Position>& at);
  loop::ValueRef value(const kernel::ExprRef& expr);
  loop::ValueRef numbers_along(const Row& row, const Position& at);
  loop::ValueRef bits_of(const Row& row, const loop::ValueRef& x);
  void count_uses(const kernel::ExprRef& expr);
  loop::ValueRef load(const kernel::ExprRef& expr);
  loop::ValueRef read(const kernel::Expr& load, const Tensor& tensor, const std::vector<Position>& at,
                      const loop::ValueRef& mask);
  std::string key_of(const kernel::Expr& load, const std::vector<Position>& at, const loop::ValueRef& mask) const;

  // Stages.
  loop::ValueRef compute(const kernel::Stage& stage, const std::vector<Position>& at);
  Values compute_here(const kernel::Stage& stage);
  Point point_of(const kernel::Stage& stage, const std::vector<Position>& at);
  void root(const kernel::Stage& stage);
  void store(const kernel::Stage& stage, loop::ValueRef value);
  loop::ValueRef stored(const kernel::Stage& stage);
  std::vector<Position> own_element(const kernel::Stage& stage);

  // Register tiles.
  void parts(const kernel::Stage& stage, const std::function<void()>& body);
  void tiled(const kernel::Stage& stage, const kernel::StageSchedule& how, Slots chosen = {});
  void make_at(const kernel::Stage& consumer, const std::string& index, const Slots& chosen);
  void tiles(const kernel::Stage& stage, const std::vector<kernel::Index>& order, Slots& chosen);
  std::vector<Segment> segments_of(const Dim& extent, std::int64_t tile, int lanes);
  std::vector<Segment> vector_segments(const Dim& extent, std::int64_t tile, int lanes);
  void share(std::int64_t grain);
  void tile(const kernel::Stage& stage, const Slots& chosen);
  void prepare(const kernel::Stage& stage);

  // Reductions. Values of a tile: lanes of an order (N3) go together, points inside of each.
  loop::ValueRef accumulate(const kernel::Stage& stage, const loop::ValueRef& acc);
  std::optional<Solvable> solve(const kernel::Equality& equality);
  Values descend(const kernel::Stage& stage, Progress progress, const Values& acc, const loop::ValueRef& low,
                 const loop::ValueRef& high);
  Values each_alone(const kernel::Stage& stage, const Progress& progress, const Values& acc, const loop::ValueRef& low,
                    const loop::ValueRef& high);
  std::optional<bool> bind_removed(const kernel::Equality& equality, const Solvable& solvable);
  bool is_unrolled(const kernel::Index& index, const loop::ValueRef& first, const loop::ValueRef& last) const;
  Values unrolled(const kernel::Stage& stage, const Progress& next, Values acc, const kernel::Index& index,
                  const loop::ValueRef& first, const loop::ValueRef& last);
  Values step(const kernel::Stage& stage, const Values& acc);
  Values lanes(const kernel::Stage& stage, const Progress& next, const Values& acc, const kernel::Index& index,
               const loop::ValueRef& first, const loop::ValueRef& last);
  Values starts(const kernel::Stage& stage, bool begins);
  Values block_value(const kernel::Stage& stage, const loop::ValueRef& low, const loop::ValueRef& high,
                     const Values& starts);
  Values blocks(const kernel::Stage& stage, const loop::ValueRef& low, const loop::ValueRef& high, Values head);
  Values part_value(const kernel::Stage& stage);
  Values reduction(const kernel::Stage& stage, const kernel::Reduce& reduce);

  // Sums whose target is data (W3).
  void scatter(const kernel::Stage& stage);

  const kernel::Kernel& kernel_;
  const kernel::Schedule& schedule_;
  const KernelLayout& layout_;
  loop::Block* out_ = nullptr;
  std::map<std::string, Tensor> tensors_;
  std::set<std::string> scope_;
  std::map<std::string, int> names_;                   // how many names a hint has had
  std::vector<Point> points_ = std::vector<Point>(1);  // the registers that are computed together
  std::size_t here_ = 0;                               // the one whose expressions are made
  kernel::IndexBounds bounds_;                         // of the indices, for range checks
  std::map<std::string, loop::ValueRef> computed_;     // inline stages at a point; in a tile what is read, too
  std::map<const kernel::Expr*, int> uses_;
  int conditions_ = 0;                           // branches around
  const kernel::StageSchedule* how_ = nullptr;   // of the stage at root that is being made
  std::optional<std::size_t> part_depth_;        // loops around that of its parts, while that is not there
  const kernel::Stage* in_parts_ = nullptr;      // the stage at root whose first reduce index is cut into parts
  loop::ValueRef part_low_, part_high_;          // terms of the part
  loop::Block* tile_ = nullptr;                  // the block of the register tile, null outside
  std::set<std::string> inner_;                  // names that are defined in blocks inside of the register tile
  std::map<std::string, std::string> pointers_;  // buffers at the place of the register tile
  std::map<std::string, std::int64_t> steps_;    // of loops over tiles that start at 0
  bool in_parallel_ = false;                     // inside of a loop that threads share
  std::set<std::string> shared_;                 // names of loops that they may share
  std::set<std::string> places_;                 // names of loops over tiles
};

}  // namespace tusk::lowering
