#include "passes/schedule.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <functional>
#include <limits>

#include "ir/kernel/verify.hpp"
#include "passes/contraction.hpp"
#include "passes/lower_kernel.hpp"

namespace tusk {
namespace {

using kernel::Expr;
using kernel::ExprRef;
using kernel::Index;
using kernel::IndexCount;
using kernel::Kernel;
using kernel::Schedule;
using kernel::Stage;
using kernel::StageSchedule;

constexpr std::int64_t kOpen = 64;         // what an open size counts as
constexpr std::int64_t kWorthACopy = 16;   // terms for each element that is transposed
constexpr std::int64_t kWorthABorder = 4;  // terms for each element that is copied to have a border
constexpr std::int64_t kWrittenOut = 25;   // terms of a reduction that is unrolled as a whole
constexpr std::int64_t kMostRows = 16;
constexpr std::int64_t kMostLines = 160;  // sums of a tile by the terms that are written out

const Index& index_named(const Stage& stage, const std::string& name) {
  return *std::ranges::find(stage.indices, name, &Index::name);
}

// A register tile: rows along some indices, registers along the lanes.
struct Tiling {
  std::vector<IndexCount> rows;
  std::int64_t vectors = 1;
};

// So many turns of a loop over tiles, each with so many rows or registers.
struct Turns {
  std::int64_t count = 0;
  std::int64_t size = 1;
};

// As KernelLowering::segments_of cuts a constant extent.
std::vector<Turns> cut_evenly(std::int64_t extent, std::int64_t tile) {
  const std::int64_t turns = (extent + tile - 1) / tile;
  const std::int64_t larger = extent % turns;
  return {{larger, extent / turns + 1}, {turns - larger, extent / turns}};
}

std::vector<Turns> cut_with_rest(std::int64_t extent, std::int64_t tile) {
  return {{extent / tile, tile}, {extent % tile > 0 ? 1 : 0, extent % tile}};
}

class Chooser {
 public:
  Chooser(Kernel& kernel, Schedule& schedule, const kernel::Function& function, const kernel::Step& step,
          const TargetMachine& target, const RangeOf& range_of)
      : kernel_(kernel), schedule_(schedule), function_(function), step_(step), target_(target), range_of_(range_of) {}

  void run() {
    std::vector<std::string> roots;
    for (const Stage& stage : kernel_.stages) {
      if (!schedule_.is_inline(stage.name)) roots.push_back(stage.name);
    }
    for (const std::string& root : roots) choose(root);
  }

 private:
  // An extent with its symbols at their smallest, or their largest up to what an open one counts as.
  std::int64_t counted(const Dim& extent, bool smallest = false) const {
    const std::int64_t value = extent.value([&](std::string_view symbol) {
      const Range range = range_of_(symbol);
      return smallest ? range.low : std::min(range.high, kOpen);
    });
    return std::max<std::int64_t>(1, value);
  }

  // Strides of arguments and results are those of the step, what the kernel keeps for itself is dense.
  bool is_legal(const Schedule& schedule) const {
    if (!kernel::verify(kernel_, schedule)) return false;
    KernelLayout layout;
    layout.range_of = range_of_;
    const auto add = [&](int id) { layout.strides.push_back(function_.tensors[static_cast<std::size_t>(id)].strides); };
    std::ranges::for_each(step_.args, add);
    std::size_t k = 0;
    for (const std::string& result : kernel_.results) {
      if (kernel_.param(result) == nullptr) add(step_.results[k]);
      ++k;
    }
    for (const Stage* stage : scratch_stages(kernel_, schedule))
      layout.strides.push_back(kernel::dense_strides(kernel::buffer_shape(kernel_, schedule, *stage)));
    return static_cast<bool>(lower_kernel(kernel_, schedule, layout, "f"));
  }

  bool is_legal_with(const StageSchedule& record) const {
    Schedule schedule = schedule_;
    schedule.stages.push_back(record);
    return is_legal(schedule);
  }

  void choose(const std::string& root) {
    StageSchedule record;
    record.stage = root;
    const Stage& stage = *kernel_.stage(root);
    if (stage.indices.empty()) return;
    // Results lie along their last axis; a narrow one fills no register.
    const std::string vector = stage.indices.back().name;
    const Dim extent = stage.indices.back().extent;
    const bool has_lanes = target_.lanes > 1 && counted(extent) >= 4;
    const std::optional<Contraction> contraction = contraction_of(kernel_, schedule_, stage);
    if (has_lanes) {
      std::int64_t lanes = target_.lanes;
      while (lanes / 2 >= counted(extent)) lanes /= 2;
      record.vector = {vector, lanes};
      if (!is_legal_with(record)) {
        if (!contraction || !transpose(root, *contraction, vector) || !is_legal_with(record)) return;
      }
    }
    if (contraction) {
      divide(*contraction, record);
      if (has_lanes) add_borders(root, *contraction, record);
      tile(*contraction_of(kernel_, schedule_, *kernel_.stage(root)), record);
    } else if (has_lanes && counted(extent) >= 2 * record.vector.count) {
      record.tile.push_back({vector, 2 * record.vector.count});
    }
    if (!has_lanes && record.tile.empty()) return;
    // Tiles repeat what one register does, so one shows whether it can be done. A form that is not foreseen keeps its
    // lanes, with which the copies were placed.
    StageSchedule one = record;
    one.tile.clear();
    const bool is_known = has_lanes && one.split.empty() && one.unroll.empty();
    if (!is_known && !is_legal_with(one)) {
      if (!has_lanes) return;
      record = {root, {}, record.vector, {}, {}, {}, {}, {}};
    }
    schedule_.stages.push_back(std::move(record));
  }

  // --- copies

  std::string fresh(const std::string& wanted) const {
    std::string name = wanted;
    const auto taken = [&] { return kernel_.stage(name) != nullptr || kernel_.param(name) != nullptr; };
    for (int i = 1; taken(); ++i) name = fmt::format("{}_{}", wanted, i);
    return name;
  }

  // How many terms an element of the operand takes part in.
  std::int64_t reuse(const Contraction& contraction, const ReadOperand& operand) const {
    std::int64_t count = 1;
    const Stage& stage = *kernel_.stage(contraction.stage);
    for (const std::vector<Index>* list : {&stage.indices, &stage.reduce->indices}) {
      for (const Index& index : *list) {
        if (!operand.depends.contains(index.name))
          count = std::min<std::int64_t>(count * counted(index.extent), 1 << 20);
      }
    }
    return count;
  }

  // The loads of a tensor in the summing stage read a copy of it. `moved` gives the operands in the copy.
  void read_copy(const std::string& summing, const std::string& tensor, const std::string& copy,
                 const std::function<std::vector<ExprRef>(const std::vector<ExprRef>&)>& moved) {
    for (Stage& stage : kernel_.stages) {
      if (stage.name != summing) continue;
      stage.expr = kernel::rewritten(stage.expr, [&](const ExprRef& expr) -> ExprRef {
        if (expr->kind != Expr::Kind::load || expr->name != tensor) return expr;
        Expr load = *expr;
        load.name = copy;
        load.operands = moved(expr->operands);
        return std::make_shared<const Expr>(std::move(load));
      });
    }
  }

  void insert_before(const std::string& root, Stage stage) {
    // In front of what is inline in the root, too: a stage reads only those above it.
    auto at = std::ranges::find(kernel_.stages, root, &Stage::name);
    while (at != kernel_.stages.begin() && schedule_.is_inline((at - 1)->name)) --at;
    kernel_.stages.insert(at, std::move(stage));
  }

  DType type_of(const std::string& tensor) const {
    const kernel::Param* param = kernel_.param(tensor);
    return param != nullptr ? param->type : kernel_.stage(tensor)->type;
  }
  Shape shape_of_tensor(const std::string& tensor) const {
    const kernel::Param* param = kernel_.param(tensor);
    return param != nullptr ? param->shape : shape_of(*kernel_.stage(tensor));
  }
  bool has_buffer(const std::string& tensor) const {
    const kernel::Param* param = kernel_.param(tensor);
    return param != nullptr ? !param->inout : kernel_.stage(tensor) != nullptr && !schedule_.is_inline(tensor);
  }
  int reads(const std::string& summing, const std::string& tensor) const {
    int count = 0;
    kernel::for_each_load(kernel_.stage(summing)->expr,
                          [&](const ExprRef& load) { count += load->name == tensor ? 1 : 0; });
    return count;
  }

  // An operand whose lanes lie apart is copied with their axis as the last one.
  bool transpose(const std::string& root, const Contraction& contraction, const std::string& vector) {
    bool any = false;
    for (const ReadOperand& operand : contraction.operands) {
      const Expr& load = *operand.load;
      if (!contraction.depends(operand, vector) || !has_buffer(load.name) || reads(contraction.stage, load.name) != 1)
        continue;
      if (reuse(contraction, operand) < kWorthACopy) return false;
      std::optional<std::size_t> axis;
      for (std::size_t k = 0; k < load.operands.size(); ++k) {
        const Expr& at = *load.operands[k];
        if (at.kind == Expr::Kind::index && at.name == contraction.inner.at(vector)) axis = k;
      }
      if (!axis || *axis + 1 == load.operands.size()) continue;
      const Shape shape = shape_of_tensor(load.name);
      Stage copy;
      copy.name = fresh(load.name + "_transposed");
      copy.type = type_of(load.name);
      std::vector<ExprRef> at(shape.size());
      const auto add = [&](std::size_t k) {
        copy.indices.push_back({fmt::format("t{}", k), shape[k]});
        at[k] = kernel::index(copy.indices.back().name);
      };
      for (std::size_t k = 0; k < shape.size(); ++k) {
        if (k != *axis) add(k);
      }
      add(*axis);
      copy.expr = kernel::load(load.name, register_type(copy.type), at);
      read_copy(contraction.stage, load.name, copy.name, [&](const std::vector<ExprRef>& old) {
        std::vector<ExprRef> moved = old;
        moved.erase(moved.begin() + static_cast<std::ptrdiff_t>(*axis));
        moved.push_back(old[*axis]);
        return moved;
      });
      insert_before(root, std::move(copy));
      any = true;
    }
    return any;
  }

  // An operand that is read out of range is copied with a border of what is read there.
  void add_borders(const std::string& root, const Contraction& contraction, const StageSchedule& how) {
    for (const ReadOperand& operand : contraction.operands) {
      const Expr& load = *operand.load;
      if (!load.has_else || !has_buffer(load.name) || reads(contraction.stage, load.name) != 1) continue;
      if (reuse(contraction, operand) < kWorthABorder) continue;
      const Stage& stage = *kernel_.stage(contraction.stage);
      const kernel::IndexBounds bounds = bounds_in(stage, range_of_);
      const Shape shape = shape_of_tensor(load.name);
      std::vector<std::int64_t> low(shape.size(), 0);
      Stage copy;
      copy.name = fresh(load.name + "_bordered");
      copy.type = type_of(load.name);
      std::vector<ExprRef> at;
      bool known = true;
      bool needed = false;
      for (std::size_t k = 0; k < shape.size() && known; ++k) {
        const kernel::Bounds own = kernel::bounds_of(load.operands[k], bounds, range_of_);
        Index index{fmt::format("t{}", k), shape[k]};
        ExprRef from = kernel::index(index.name);
        const bool inside = own.low && own.high && kernel::at_least_zero(*own.low, range_of_) &&
                            kernel::at_least_zero(shape[k] - Dim(1) - *own.high, range_of_);
        if (!inside) {
          known = own.low && own.high && own.low->is_constant() && own.high->is_constant();
          if (!known) break;
          low[k] = own.low->constant();
          index.extent = Dim(own.high->constant() - low[k] + 1);
          from = kernel::expr_of({{{index.name, Dim(1)}}, Dim(low[k])});
          needed = true;
        }
        copy.indices.push_back(index);
        at.push_back(from);
      }
      if (!known || !needed) continue;
      copy.expr = kernel::load_else(load.name, register_type(copy.type), at, load.value);
      const std::string name = copy.name;
      const Kernel before = kernel_;
      read_copy(contraction.stage, load.name, copy.name, [&](const std::vector<ExprRef>& old) {
        std::vector<ExprRef> moved = old;
        for (std::size_t k = 0; k < moved.size(); ++k) {
          if (low[k] != 0) moved[k] = kernel::expr_of(shifted(*kernel::affine_of(moved[k]), -low[k]));
        }
        return moved;
      });
      insert_before(root, std::move(copy));
      place_copy(root, name, how);
      if (!is_legal_with(how)) {  // a form that is not foreseen: leave it as it was
        kernel_ = before;
        std::erase_if(schedule_.stages, [&](const StageSchedule& record) { return record.stage == name; });
        return;
      }
    }
  }

  static kernel::Affine shifted(kernel::Affine affine, std::int64_t by) {
    affine.offset = affine.offset + Dim(by);
    return affine;
  }

  // A copy is made sample by sample where its only reader runs over them, and with lanes of its own.
  void place_copy(const std::string& root, const std::string& name, const StageSchedule& how) {
    StageSchedule record;
    record.stage = name;
    const Stage& copy = *kernel_.stage(name);
    if (counted(copy.indices.back().extent) >= target_.lanes) record.vector = {copy.indices.back().name, target_.lanes};
    const std::string first = kernel_.stage(root)->indices.front().name;
    const auto try_with = [&](const StageSchedule& changed) {
      Schedule schedule = schedule_;
      schedule.stages.push_back(changed);
      schedule.stages.push_back(how);
      if (!is_legal(schedule)) return false;
      schedule_.stages.push_back(changed);
      return true;
    };
    StageSchedule placed = record;
    placed.consumer = root;
    placed.at = first;
    if (kernel_.stage(root)->indices.size() > 2 && try_with(placed)) return;
    if (try_with(record)) return;
    record.vector = {"", 1};
    placed.vector = record.vector;
    if (kernel_.stage(root)->indices.size() > 2) try_with(placed);
  }

  // --- tiles

  // Where terms exist for some h only, h runs by its remainders, and the taps are written out.
  void divide(const Contraction& contraction, StageSchedule& record) {
    const Stage& root = *kernel_.stage(record.stage);
    const Stage& stage = *kernel_.stage(contraction.stage);
    for (const Contraction::Division& division : contraction.divisions) {
      using Names = std::pair<const std::string, std::string>;
      const auto at = std::ranges::find(contraction.inner, division.index, &Names::second);
      if (at == contraction.inner.end() || !index_named(root, at->first).extent.is_constant()) continue;
      bool small = true;
      for (const std::string& name : division.reduce) {
        const Dim& extent = std::ranges::find(stage.reduce->indices, name, &Index::name)->extent;
        small = small && extent.is_constant() && extent.constant() <= 16;
      }
      if (!small) continue;
      record.split.push_back({at->first, division.stride});
      record.unroll.insert(record.unroll.end(), division.reduce.begin(), division.reduce.end());
    }
  }

  void tile(const Contraction& contraction, StageSchedule& record) {
    const Stage& root = *kernel_.stage(record.stage);
    const Stage& stage = *kernel_.stage(contraction.stage);
    unroll(stage, record);
    const std::string& vector = record.vector.index;
    std::vector<std::string> rows;
    for (const Index& index : root.indices) {
      const auto is_place = [&](const StageSchedule& copy) {
        return copy.consumer == root.name && copy.at == index.name;
      };
      if (index.name == vector || index.extent == Dim(1) || std::ranges::any_of(schedule_.stages, is_place)) continue;
      // Rows are worth their code where they share what they read.
      const bool shares = std::ranges::any_of(
          contraction.operands, [&](const ReadOperand& operand) { return !contraction.depends(operand, index.name); });
      if (shares) rows.push_back(index.name);
    }
    double best = std::numeric_limits<double>::infinity();
    Tiling chosen;
    const auto consider = [&](const Tiling& tiling) {
      const double cost = cost_of(contraction, root, record, tiling);
      if (cost >= best) return;
      best = cost;
      chosen = tiling;
    };
    for (std::int64_t v = 1; v <= (vector.empty() ? 1 : 8); ++v) {
      consider({{}, v});
      for (std::size_t k = rows.size(); k-- > 0;) {  // of equal ones neighbours in memory
        for (std::int64_t r = 2; r <= kMostRows; ++r) consider({{{rows[k], r}}, v});
      }
      // Two axes of pixels, where one is too short to be cut well.
      for (std::size_t k = 0; k + 1 < rows.size(); ++k) {
        for (std::int64_t r = 2; r <= kMostRows / 2; ++r) {
          for (std::int64_t q = 2; r * q <= kMostRows; ++q) consider({{{rows[k], r}, {rows[k + 1], q}}, v});
        }
      }
    }
    record.tile.insert(record.tile.end(), chosen.rows.begin(), chosen.rows.end());
    if (!vector.empty() && chosen.vectors > 1) record.tile.push_back({vector, chosen.vectors * record.vector.count});
    order(contraction, root, chosen.rows, record);
  }

  // Short reductions are written out, so that their places are numbers.
  void unroll(const Stage& stage, StageSchedule& record) const {
    std::int64_t terms = 1;
    for (const Index& index : stage.reduce->indices) {
      if (!index.extent.is_constant()) return;
      terms = std::min<std::int64_t>(terms * index.extent.constant(), 1 << 20);
    }
    if (stage.reduce->lanes > 1) return;
    const auto add = [&](const Index& index) {
      if (std::ranges::find(record.unroll, index.name) == record.unroll.end()) record.unroll.push_back(index.name);
    };
    if (terms <= kWrittenOut) {
      for (const Index& index : stage.reduce->indices) add(index);
    } else if (!stage.reduce->indices.empty() && stage.reduce->indices.back().extent.constant() <= 4) {
      add(stage.reduce->indices.back());
    }
  }

  // Cycles of one term for one register, from what a tile loads and multiplies; infinite if it does not fit. Of open
  // sizes the smallest and the largest count alike.
  double cost_of(const Contraction& contraction, const Stage& root, const StageSchedule& record,
                 const Tiling& tiling) const {
    const std::string& vector = record.vector.index;
    const Stage& summing = *kernel_.stage(contraction.stage);
    std::int64_t written = 1;
    for (const Index& index : summing.reduce->indices) {
      const bool is_written = std::ranges::find(record.unroll, index.name) != record.unroll.end();
      if (!is_written) continue;
      // Of the terms of a division, one remainder has its share.
      std::int64_t share = 1;
      for (const Contraction::Division& division : contraction.divisions) {
        if (std::ranges::find(division.reduce, index.name) != division.reduce.end()) share = division.stride;
      }
      written *= (counted(index.extent) + share - 1) / share;
    }
    const std::int64_t lanes = summing.reduce->lanes;
    const auto cycles = [&](const std::vector<std::int64_t>& rows, std::int64_t v) {
      std::int64_t kept = 0;  // registers that several rows read
      std::int64_t loads = 0;
      std::int64_t sums = v;
      for (const std::int64_t r : rows) sums *= r;
      for (const ReadOperand& operand : contraction.operands) {
        std::int64_t own = !vector.empty() && contraction.depends(operand, vector) ? v : 1;
        bool on_rows = false;
        const std::int64_t lines = own;
        for (std::size_t k = 0; k < rows.size(); ++k) {
          if (!contraction.depends(operand, tiling.rows[k].index)) continue;
          own *= rows[k];
          on_rows = true;
        }
        loads += own;
        if (!on_rows) kept = std::max(kept, lines);
      }
      if (sums * lanes > 1 && sums * lanes * written > kMostLines) return std::numeric_limits<double>::infinity();
      if (sums * lanes + kept + 1 > target_.registers) return std::numeric_limits<double>::infinity();
      return std::max({static_cast<double>(sums) / target_.fmas, static_cast<double>(loads) / target_.loads,
                       static_cast<double>(target_.latency) / static_cast<double>(lanes)}) +
             0.25;  // the loop itself
    };
    double mean = 0;
    for (const bool smallest : {true, false}) {
      std::int64_t elements =
          vector.empty() ? 1
                         : (part_of(root, record, vector, smallest) + record.vector.count - 1) / record.vector.count;
      if (tiling.vectors > elements) return std::numeric_limits<double>::infinity();
      const std::vector<Turns> along_lanes = cut_with_rest(elements, tiling.vectors);
      std::vector<std::vector<Turns>> along_rows;
      for (const auto& [index, count] : tiling.rows) {
        const std::int64_t extent = part_of(root, record, index, smallest);
        const bool is_open = extent != part_of(root, record, index, !smallest);
        if (count > extent && !is_open) return std::numeric_limits<double>::infinity();
        along_rows.push_back(is_open ? cut_with_rest(extent, count) : cut_evenly(extent, count));
        elements *= extent;
      }
      double all = 0;
      std::vector<std::int64_t> sizes;
      const std::function<void(std::int64_t)> visit = [&](std::int64_t times) {
        if (times == 0) return;
        if (sizes.size() < along_rows.size()) {
          for (const auto& [count, size] : along_rows[sizes.size()]) {
            sizes.push_back(size);
            visit(times * count);
            sizes.pop_back();
          }
          return;
        }
        for (const auto& [count, size] : along_lanes) {
          if (count > 0) all += static_cast<double>(times * count) * cycles(sizes, size);
        }
      };
      visit(1);
      mean += all / static_cast<double>(elements) / 2;
    }
    return mean;
  }

  // The extent of an index, or of one remainder of it.
  std::int64_t part_of(const Stage& root, const StageSchedule& record, const std::string& name, bool smallest) const {
    const std::int64_t extent = counted(index_named(root, name).extent, smallest);
    const auto it = std::ranges::find(record.split, name, &IndexCount::index);
    return it == record.split.end() ? extent : (extent + it->count - 1) / it->count;
  }

  // Panels of the operand that lies along the lanes stay in the cache while rows pass: their loop is outside of the
  // rows', and outside of all that the panel does not depend on where the rows' operand is small enough to be read
  // again.
  void order(const Contraction& contraction, const Stage& root, const std::vector<IndexCount>& rows,
             StageSchedule& record) const {
    const std::string& vector = record.vector.index;
    if (vector.empty() || rows.empty()) return;
    const auto is_row = [&](const std::string& name) {
      return std::ranges::find(rows, name, &IndexCount::index) != rows.end();
    };
    const auto panel_depends = [&](const std::string& name) {
      return std::ranges::any_of(contraction.operands, [&](const ReadOperand& operand) {
        return contraction.depends(operand, vector) && contraction.depends(operand, name);
      });
    };
    std::int64_t bytes = 4;
    for (const ReadOperand& operand : contraction.operands) {
      const bool on_rows =
          std::ranges::any_of(rows, [&](const IndexCount& row) { return contraction.depends(operand, row.index); });
      if (contraction.depends(operand, vector) || !on_rows) continue;
      std::int64_t own = 4;
      for (std::size_t k = 1; k < operand.load->operands.size(); ++k)
        own = std::min<std::int64_t>(own * counted(shape_of_tensor(operand.load->name)[k]), 1 << 30);
      bytes = std::max(bytes, own);
    }
    const bool fits = bytes <= target_.l2 / 2;
    std::vector<std::string> out;
    bool placed = false;
    for (std::size_t k = 0; k < root.indices.size(); ++k) {
      const std::string& name = root.indices[k].name;
      if (name == vector) continue;
      const bool sample = k == 0 && root.indices.size() > 2;
      if (!placed && !panel_depends(name) && ((fits && !sample) || is_row(name))) {
        out.push_back(vector);
        placed = true;
      }
      out.push_back(name);
    }
    if (!placed) out.push_back(vector);
    // Rows innermost.
    std::erase_if(out, is_row);
    for (const IndexCount& row : rows) out.push_back(row.index);
    record.order = std::move(out);
  }

  Kernel& kernel_;
  Schedule& schedule_;
  const kernel::Function& function_;
  const kernel::Step& step_;
  const TargetMachine& target_;
  const RangeOf& range_of_;
};

}  // namespace

kernel::Program schedule(kernel::Program program, const TargetMachine& target) {
  if (target.registers == 0) return program;
  const RangeOf range_of = program.range_of();
  std::vector<bool> done(program.kernels.size(), false);
  for (kernel::Function& function : program.functions) {
    const std::function<void(const std::vector<kernel::Step>&)> visit = [&](const std::vector<kernel::Step>& steps) {
      for (const kernel::Step& step : steps) {
        if (step.kind != kernel::Step::Kind::call) {
          visit(step.body);
          continue;
        }
        const auto id = static_cast<std::size_t>(step.kernel);
        if (done[id]) continue;
        done[id] = true;
        Chooser(program.kernels[id], program.schedules[id], function, step, target, range_of).run();
      }
    };
    visit(function.steps);
  }
  return program;
}

}  // namespace tusk
