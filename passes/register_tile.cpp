#include "passes/register_tile.hpp"

#include <algorithm>
#include <functional>
#include <limits>

#include "passes/added_stages.hpp"

namespace tusk::scheduling {
namespace {

using kernel::Index;
using kernel::IndexCount;
using kernel::Stage;
using kernel::StageSchedule;

constexpr std::int64_t kWrittenOut = 25;  // terms of a reduction that is unrolled as a whole
constexpr std::int64_t kMostRows = 16;
constexpr double kLine = 64;              // bytes that a cache fetches at once
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

// Short reductions are written out, so that their places are numbers.
void unroll(const Stage& stage, StageSchedule& record) {
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

// The extent of an index, or of one remainder of it.
std::int64_t part_of(const Choice& choice, const Stage& root, const StageSchedule& record, const std::string& name,
                     bool smallest) {
  const std::int64_t extent = choice.counted(index_named(root, name).extent, smallest);
  const auto it = std::ranges::find(record.split, name, &IndexCount::index);
  return it == record.split.end() ? extent : (extent + it->count - 1) / it->count;
}

// Bytes between rows of what an operand reads, along an index of the root; 0 where it does not move, or by data.
std::int64_t row_stride(const Choice& choice, const Contraction& contraction, const ReadOperand& operand,
                        const std::string& row) {
  const std::vector<Dim> strides = choice.strides_of(operand.load->name);
  std::int64_t bytes = 0;
  for (std::size_t k = 0; k < operand.axes.size(); ++k) {
    if (!operand.axes[k].contains(contraction.inner.at(row))) continue;
    const std::optional<kernel::Affine> at = kernel::affine_of(operand.load->operands[k]);
    const Dim by = at ? at->coefficient(contraction.inner.at(row)) : Dim(0);
    // An index that an equality removes moves by one.
    bytes += size_of(choice.type_of(operand.load->name)) * choice.counted(by == Dim(0) ? strides[k] : strides[k] * by);
  }
  return bytes;
}

// Cycles that a line of an operand takes which a term brings into the first cache: mostly it is behind other terms. Of
// rows that come from beyond the second cache prefetchers follow few at a time, and none from page to page; windows
// read them several times.
double line_cost(const Choice& choice, const Contraction& contraction, const Stage& root, const ReadOperand& operand,
                 const Tiling& tiling) {
  constexpr double kNear = 0.1;
  constexpr double kFar = 0.9;
  // Of a sample, which lies outermost.
  double bytes = choice.bytes_of(operand.load->name);
  if (root.indices.size() > 2 && contraction.depends(operand, root.indices[0].name))
    bytes /= static_cast<double>(choice.counted(root.indices[0].extent));
  if (bytes <= static_cast<double>(choice.target.l2)) return kNear;
  std::int64_t apart = choice.target.page;  // bytes between rows, those that lie side by side
  for (const Index& index : root.indices) {
    const std::int64_t stride =
        contraction.depends(operand, index.name) ? row_stride(choice, contraction, operand, index.name) : 0;
    if (stride > 0) apart = std::min(apart, stride);
  }
  const bool on_rows =
      std::ranges::any_of(tiling.rows, [&](const IndexCount& row) { return contraction.depends(operand, row.index); });
  if (!on_rows || apart >= choice.target.page) return kNear;
  double cost = kFar;
  for (const IndexCount& row : tiling.rows) {
    if (row.count > 1 && row_stride(choice, contraction, operand, row.index) >= choice.target.page) cost = 4 * kFar;
  }
  for (const Index& index : choice.kernel.stage(contraction.stage)->reduce->indices) {
    const bool slides = std::ranges::any_of(
        operand.axes, [&](const std::set<std::string>& axis) { return axis.size() > 1 && axis.contains(index.name); });
    if (slides) cost /= static_cast<double>(choice.counted(index.extent));
  }
  return std::max(kNear, cost);
}

// Cycles of one term for one register, from what a tile loads and multiplies; infinite if it does not fit. Of open
// sizes the smallest and the largest count alike.
double cost_of(const Choice& choice, const Contraction& contraction, const Stage& root, const StageSchedule& record,
               const Tiling& tiling) {
  const std::string& vector = record.vector.index;
  const Stage& summing = *choice.kernel.stage(contraction.stage);
  std::int64_t written = 1;
  for (const Index& index : summing.reduce->indices) {
    const bool is_written = std::ranges::find(record.unroll, index.name) != record.unroll.end();
    if (!is_written) continue;
    // Of the terms of a division, one remainder has its share.
    std::int64_t share = 1;
    for (const Contraction::Division& division : contraction.divisions) {
      if (std::ranges::find(division.reduce, index.name) != division.reduce.end()) share = division.stride;
    }
    written *= (choice.counted(index.extent) + share - 1) / share;
  }
  const std::int64_t lanes = summing.reduce->lanes;
  // Rows whose lines share a set of the first cache push each other out.
  for (const ReadOperand& operand : contraction.operands) {
    for (const auto& [row, count] : tiling.rows) {
      if (!contraction.depends(operand, row) || count <= choice.target.ways - 2) continue;
      const std::int64_t stride = row_stride(choice, contraction, operand, row);
      if (stride > 0 && stride % choice.target.page == 0) return std::numeric_limits<double>::infinity();
    }
  }
  const std::string& innermost = summing.reduce->indices.back().name;
  std::vector<double> line_costs;
  for (const ReadOperand& operand : contraction.operands)
    line_costs.push_back(line_cost(choice, contraction, root, operand, tiling));
  const auto cycles = [&](const std::vector<std::int64_t>& rows, std::int64_t v) {
    std::int64_t kept = 0;  // registers that several rows read
    std::int64_t loads = 0;
    double lines = 0;  // cycles of those that a term brings into the first cache
    auto each = line_costs.begin();
    std::int64_t sums = v;
    for (const std::int64_t r : rows) sums *= r;
    for (const ReadOperand& operand : contraction.operands) {
      std::int64_t own = !vector.empty() && contraction.depends(operand, vector) ? v : 1;
      bool on_rows = false;
      const std::int64_t registers = own;
      auto touched = static_cast<double>(own);
      for (std::size_t k = 0; k < rows.size(); ++k) {
        if (!contraction.depends(operand, tiling.rows[k].index)) continue;
        own *= rows[k];
        on_rows = true;
        const std::int64_t bytes = rows[k] * row_stride(choice, contraction, operand, tiling.rows[k].index);
        touched *= std::min(static_cast<double>(rows[k]), static_cast<double>(bytes) / kLine + 0.5);
      }
      loads += own;
      // Terms that lie side by side share their lines.
      const bool shares = !operand.axes.empty() && operand.axes.back().contains(innermost);
      lines += *each++ * (shares ? touched * 4 / kLine : touched);
      if (!on_rows) kept = std::max(kept, registers);
    }
    if (sums * lanes > 1 && sums * lanes * written > kMostLines) return std::numeric_limits<double>::infinity();
    if (sums * lanes + kept + 1 > choice.target.registers) return std::numeric_limits<double>::infinity();
    return std::max({static_cast<double>(sums) / choice.target.fmas, static_cast<double>(loads) / choice.target.loads,
                     static_cast<double>(choice.target.latency) / static_cast<double>(lanes)}) +
           0.25 +  // the loop itself
           lines;
  };
  double mean = 0;
  for (const bool smallest : {true, false}) {
    std::int64_t elements =
        vector.empty()
            ? 1
            : (part_of(choice, root, record, vector, smallest) + record.vector.count - 1) / record.vector.count;
    if (tiling.vectors > elements) return std::numeric_limits<double>::infinity();
    const std::vector<Turns> along_lanes = cut_with_rest(elements, tiling.vectors);
    std::vector<std::vector<Turns>> along_rows;
    for (const auto& [index, count] : tiling.rows) {
      const std::int64_t extent = part_of(choice, root, record, index, smallest);
      const bool is_open = extent != part_of(choice, root, record, index, !smallest);
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

// Weights that the cache does not hold are read once for each sample; or each of their panels once, and all samples for
// each panel.
bool panels_go_outside(const Choice& choice, const Contraction& contraction, const Stage& root,
                       const StageSchedule& record) {
  const std::string& first = root.indices[0].name;
  double weights = 0;
  double samples = 0;
  for (const ReadOperand& operand : contraction.operands) {
    const bool on_lanes = contraction.depends(operand, record.vector.index);
    if (on_lanes && !contraction.depends(operand, first)) weights += choice.bytes_of(operand.load->name);
    if (!on_lanes) samples += choice.bytes_of(operand.load->name);
  }
  const std::int64_t width = tile_width(record);
  const auto panels =
      static_cast<double>((part_of(choice, root, record, record.vector.index, false) + width - 1) / width);
  const auto cache = static_cast<double>(choice.target.l2);
  const auto count = static_cast<double>(choice.counted(root.indices[0].extent));
  return weights > cache / 2 && weights / panels < cache * 3 / 4 &&
         weights + samples * panels < 0.7 * (weights * count + samples);
}

// Neither a sample nor all panels stay in the cache: whichever is less is read again and again. Rows of a sample are
// slower to read than panels are.
bool rows_are_read_again(const Choice& choice, const Contraction& contraction, const Stage& root, std::int64_t sample,
                         const StageSchedule& record) {
  double weights = 0;
  for (const ReadOperand& operand : contraction.operands) {
    const bool of_sample = contraction.depends(operand, root.indices[0].name);
    if (contraction.depends(operand, record.vector.index) && !of_sample) weights += choice.bytes_of(operand.load->name);
  }
  const auto cache = static_cast<double>(choice.target.l2);
  return root.indices.size() > 2 && weights > 4 * cache && static_cast<double>(sample) < 2 * cache;
}

// Panels of the operand that lies along the lanes stay in the cache while rows pass: their loop is outside of the
// rows', and outside of all that the panel does not depend on where the rows' operand is small enough to be read
// again. Rows go innermost; those that will lie in panels, too, have what slides over them inside.
void order(const Choice& choice, const Contraction& contraction, const Stage& root, const std::vector<IndexCount>& rows,
           bool in_panels, StageSchedule& record) {
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
      own = std::min<std::int64_t>(own * choice.counted(choice.shape_of(operand.load->name)[k]), 1 << 30);
    bytes = std::max(bytes, own);
  }
  const bool panels_outside = panels_go_outside(choice, contraction, root, record);
  const bool fits =
      bytes <= choice.target.l2 / 2 || panels_outside || rows_are_read_again(choice, contraction, root, bytes, record);
  std::vector<std::string> out;
  bool placed = false;
  for (std::size_t k = 0; k < root.indices.size(); ++k) {
    const std::string& name = root.indices[k].name;
    if (name == vector) continue;
    const bool sample = k == 0 && root.indices.size() > 2 && !panels_outside;
    if (!placed && !panel_depends(name) && ((fits && !sample) || is_row(name))) {
      out.push_back(vector);
      placed = true;
    }
    out.push_back(name);
  }
  if (!placed) out.push_back(vector);
  std::erase_if(out, is_row);
  auto at = out.end();
  if (in_panels) {
    std::erase(out, vector);
    at = std::ranges::find_if(out, [&](const std::string& name) { return !panel_depends(name); });
    at = out.insert(at, vector) + 1;
  }
  for (const IndexCount& row : rows) at = out.insert(at, row.index) + 1;
  record.order = std::move(out);
}

// Where what is read does not stay in the cache from one tile to the next, blocks of terms go outside of all tiles; of
// operands in panels, what a tile reads.
bool parts_for_cache(const Choice& choice, const Contraction& contraction, bool is_blocks, StageSchedule& record) {
  const Stage& stage = *choice.kernel.stage(contraction.stage);
  const kernel::Reduce& reduce = *stage.reduce;
  const Index& first = reduce.indices[0];
  const bool panels =
      std::ranges::all_of(contraction.operands, [](const ReadOperand& operand) { return is_in_panels(operand); });
  double all = 0;
  double of_first = 0;  // what moves along with it
  for (const ReadOperand& operand : contraction.operands) {
    double bytes = choice.bytes_of(operand.load->name);
    if (panels) bytes /= static_cast<double>(choice.counted(choice.shape_of(operand.load->name)[0]));
    all += bytes;
    if (operand.depends.contains(first.name)) of_first += bytes;
  }
  const auto room = static_cast<double>(choice.target.l2) / 2;
  if (all <= room || (!panels && choice.bytes_of(stage.name) > all)) return false;
  if (is_blocks) of_first /= static_cast<double>(choice.counted(stage.indices[0].extent));
  const std::int64_t block = std::max<std::int64_t>(1, reduce.block);
  const double of_block = of_first / static_cast<double>(choice.counted(first.extent)) * static_cast<double>(block);
  if (of_block > 4 * room) return false;  // one part would not stay either
  const auto blocks = static_cast<std::int64_t>(std::max(1.0, std::min(room / of_block, 64.0)));
  if (is_blocks && choice.counted(first.extent) <= blocks * block) return false;
  StageSchedule parted = record;
  parted.outer = {first.name, blocks * block};
  // One block after the other.
  if (is_blocks && !parted.order.empty() && parted.order[0] == stage.indices[0].name)
    parted.order.insert(parted.order.begin() + 1, first.name);
  if (!choice.is_legal_with(parted)) return false;
  record = std::move(parted);
  return true;
}

// The sums of a block and those of all blocks before it need a register each. Where there are not so many, the latter
// rest in memory while a block is summed, tile by tile: a compiler that has to choose may choose the former.
void rest_between_blocks(const Choice& choice, const kernel::Reduce& reduce, StageSchedule& record) {
  if (reduce.indices[0].extent.range(choice.range_of).high <= reduce.block) return;
  std::int64_t sums = 1;
  for (const auto& [index, count] : record.tile)
    sums *= index == record.vector.index ? count / record.vector.count : count;
  if (sums * (std::max<std::int64_t>(1, reduce.lanes) + 1) + 2 <= choice.target.registers) return;
  StageSchedule resting = record;
  resting.outer = {reduce.indices[0].name, reduce.block};
  for (const Index& index : choice.kernel.stage(record.stage)->indices) {
    if (std::ranges::find(resting.order, index.name) == resting.order.end()) resting.order.push_back(index.name);
  }
  resting.order.push_back(resting.outer.index);
  if (choice.is_legal_with(resting)) record = std::move(resting);
}

}  // namespace

// Where terms exist for some h only, h runs by its remainders, and the taps are written out.
void choose_split(const Choice& choice, const Contraction& contraction, StageSchedule& record) {
  const Stage& root = *choice.kernel.stage(record.stage);
  const Stage& stage = *choice.kernel.stage(contraction.stage);
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

void choose_tile(const Choice& choice, const Contraction& contraction, StageSchedule& record, const std::string& row) {
  const Stage& root = *choice.kernel.stage(record.stage);
  const Stage& stage = *choice.kernel.stage(contraction.stage);
  unroll(stage, record);
  const std::string& vector = record.vector.index;
  std::vector<std::string> rows;
  for (const Index& index : root.indices) {
    const auto is_place = [&](const StageSchedule& copy) {
      return copy.consumer == root.name && copy.at == index.name;
    };
    if (index.name == vector || index.extent == Dim(1) || std::ranges::any_of(choice.schedule.stages, is_place))
      continue;
    // Rows are worth their code where they share what they read.
    const bool shares = std::ranges::any_of(
        contraction.operands, [&](const ReadOperand& operand) { return !contraction.depends(operand, index.name); });
    if (shares && (row.empty() || index.name == row)) rows.push_back(index.name);
  }
  double best = std::numeric_limits<double>::infinity();
  Tiling chosen;
  const auto consider = [&](const Tiling& tiling) {
    const double cost = cost_of(choice, contraction, root, record, tiling);
    if (cost >= best) return;
    best = cost;
    chosen = tiling;
  };
  const std::int64_t elements = vector.empty() ? 1 : part_of(choice, root, record, vector, false);
  for (std::int64_t v = 1; v <= (vector.empty() ? 1 : 8); ++v) {
    // Copies at run time have whole panels.
    if (!row.empty() && v > 1 && elements % (v * record.vector.count) != 0) continue;
    if (row.empty()) consider({{}, v});
    for (std::size_t k = rows.size(); k-- > 0;) {  // of equal ones neighbours in memory
      for (std::int64_t r = 2; r <= kMostRows; ++r) {
        if (row.empty() || index_named(root, row).extent.constant() % r == 0) consider({{{rows[k], r}}, v});
      }
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
  order(choice, contraction, root, chosen.rows, !row.empty(), record);
}

double cycles_of_term(const Choice& choice, const Contraction& contraction, const StageSchedule& record) {
  Tiling tiling;
  for (const IndexCount& tile : record.tile) {
    if (tile.index == record.vector.index) {
      tiling.vectors = std::max<std::int64_t>(1, tile.count / record.vector.count);
    } else {
      tiling.rows.push_back(tile);
    }
  }
  return cost_of(choice, contraction, *choice.kernel.stage(record.stage), record, tiling);
}

void choose_outer(const Choice& choice, const Contraction& contraction, bool is_blocks, StageSchedule& record) {
  const Stage& stage = *choice.kernel.stage(contraction.stage);
  const kernel::Reduce& reduce = *stage.reduce;
  if (contraction.stage != record.stage || reduce.from) return;
  const Index& first = reduce.indices[0];
  // A chain goes on from part to part where those are samples of a gradient by weights, not taps of a window.
  const bool is_chain = reduce.block == 0 && !is_blocks;
  const auto all_move = [&](const ReadOperand& operand) {
    return std::ranges::any_of(
        operand.axes, [&](const std::set<std::string>& axis) { return axis == std::set<std::string>{first.name}; });
  };
  if (is_chain && (reduce.indices.size() < 2 || !std::ranges::all_of(contraction.operands, all_move))) return;
  if (first.extent.range(choice.range_of).low < 1) return;
  if (std::ranges::find(record.unroll, first.name) != record.unroll.end()) return;
  if (parts_for_cache(choice, contraction, is_blocks, record) || reduce.block == 0) return;
  rest_between_blocks(choice, reduce, record);
}

}  // namespace tusk::scheduling
