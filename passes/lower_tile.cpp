// Register tiles: loops over the tiles of a stage, whose elements are computed together.
#include <fmt/format.h>
#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

#include "passes/kernel_lowering.hpp"

namespace tusk::lowering {
namespace {

using kernel::Index;
using kernel::IndexCount;
using kernel::Stage;
using loop::Stmt;
using loop::ValueRef;

std::int64_t count_for(const std::vector<IndexCount>& list, std::string_view index) {
  const auto it = std::ranges::find(list, index, &IndexCount::index);
  return it == list.end() ? 1 : it->count;
}

std::vector<Slot> elements(std::int64_t count) {
  std::vector<Slot> out;
  for (std::int64_t k = 0; k < count; ++k) out.push_back({{loop::index_literal(k)}, 1, nullptr});
  return out;
}

Slot slot(std::int64_t offset, int lanes, ValueRef count = nullptr) {
  return {{loop::index_literal(offset), 1}, lanes, std::move(count)};
}

// Whole registers, then one for the rest: the smallest that holds it.
std::vector<Slot> registers_for(std::int64_t elements, int lanes) {
  std::vector<Slot> out;
  std::int64_t at = 0;
  for (; at + lanes <= elements; at += lanes) out.push_back(slot(at, lanes));
  const std::int64_t rest = elements - at;
  if (rest == 0) return out;
  int width = 1;
  while (width < rest) width *= 2;
  out.push_back(slot(at, width, rest == width ? nullptr : loop::index_literal(rest)));
  return out;
}

// The next smaller tile for the rest of an extent that is known at run time only.
std::int64_t smaller(std::int64_t tile) { return tile == 3 ? 2 : tile / 2; }

}  // namespace

// Rows are cut evenly: 14 by at most 6 are 5, 5 and 4.
std::vector<Segment> KernelLowering::segments_of(const Dim& extent, std::int64_t tile, int lanes) {
  if (lanes > 1) return vector_segments(extent, tile, lanes);
  std::vector<Segment> out;
  const Range range = extent.range(layout_.range_of);
  if (range.low == range.high) {
    if (range.high == 0) return out;
    const std::int64_t count = (range.high + tile - 1) / tile;
    const std::int64_t size = range.high / count;
    const std::int64_t larger = range.high % count;
    const std::int64_t cut = larger * (size + 1);
    if (larger > 0)
      out.push_back({loop::index_literal(0), loop::index_literal(cut), size + 1, false, elements(size + 1)});
    if (cut < range.high)
      out.push_back({loop::index_literal(cut), loop::index_literal(range.high), size, false, elements(size)});
    return out;
  }
  const ValueRef end = loop::dim_value(extent);
  ValueRef low = loop::index_literal(0);
  for (std::int64_t size = tile; size >= 1; size = smaller(size)) {
    const ValueRef length = integer("sub", end, low);
    const ValueRef high =
        size == 1 ? end : let("end", integer("sub", end, integer("rem", length, loop::index_literal(size))));
    out.push_back({low, high, size, false, elements(size)});
    low = high;
  }
  return out;
}

std::vector<Segment> KernelLowering::vector_segments(const Dim& extent, std::int64_t tile, int lanes) {
  std::vector<Segment> out;
  const Range range = extent.range(layout_.range_of);
  if (range.low == range.high) {
    const std::int64_t whole = range.high / tile * tile;
    if (whole > 0)
      out.push_back({loop::index_literal(0), loop::index_literal(whole), tile, false, registers_for(tile, lanes)});
    if (whole < range.high) {
      const std::int64_t rest = range.high - whole;
      out.push_back(
          {loop::index_literal(whole), loop::index_literal(range.high), rest, false, registers_for(rest, lanes)});
    }
    return out;
  }
  const ValueRef end = loop::dim_value(extent);
  ValueRef low = loop::index_literal(0);
  const auto add = [&](std::int64_t size) {
    const ValueRef length = integer("sub", end, low);
    const ValueRef high = let("end", integer("sub", end, integer("rem", length, loop::index_literal(size))));
    out.push_back({low, high, size, false, registers_for(size, lanes)});
    low = high;
  };
  if (tile > lanes) add(tile);
  add(lanes);
  out.push_back({low, end, lanes, true, {slot(0, lanes)}});
  return out;
}

// The loop over parts of the terms: what a part reads stays in the cache.
void KernelLowering::parts(const Stage& stage, const std::function<void()>& body) {
  const Dim& extent = stage.reduce->indices[0].extent;
  const std::int64_t size = how_->outer.count;
  const auto depth = std::exchange(part_depth_, std::nullopt);
  if (extent.range(layout_.range_of).high <= size) {
    body();
  } else {
    // Without a part nothing would be stored, not even what a sum starts from.
    if (extent.range(layout_.range_of).low < 1)
      throw IllegalSchedule{fmt::format("`outer` cuts `{}`, which may have no terms", stage.reduce->indices[0].name)};
    const ValueRef end = loop::dim_value(extent);
    loop_over("part", loop::index_literal(0), end, size, {}, {}, [&](const ValueRef& low, const Values&) {
      in_parts_ = &stage;
      part_low_ = low;
      part_high_ = let("part_end", integer("min", integer("add", low, loop::index_literal(size)), end));
      body();
      in_parts_ = nullptr;
      return Values{};
    });
  }
  part_depth_ = depth;
}

void KernelLowering::tiled(const Stage& stage, const kernel::StageSchedule& how, Slots chosen) {
  computed_.clear();
  how_ = &how;
  std::vector<Index> order;
  for (const Index& index : stage.indices) {
    if (chosen.contains(index.name)) order.push_back(index);
  }
  for (const std::string& name : loop_order(stage, how)) {
    if (!chosen.contains(name)) order.push_back(*std::ranges::find(stage.indices, name, &Index::name));
  }
  part_depth_.reset();
  if (!how.outer.index.empty()) {
    const auto named = std::ranges::find(how.order, how.outer.index);
    part_depth_ = named == how.order.end() ? 0 : static_cast<std::size_t>(named - how.order.begin());
  }
  tiles(stage, order, chosen);
  computed_.clear();
}

// The stages that are made for each value of an index of their consumer, whose loop has just begun.
void KernelLowering::make_at(const Stage& consumer, const std::string& index, const Slots& chosen) {
  for (const Stage& stage : kernel_.stages) {
    const kernel::StageSchedule* how = schedule_.of(stage.name);
    if (how == nullptr || how->consumer != consumer.name || how->at != index) continue;
    Slots places;
    for (const kernel::AxisAt& at : kernel::axes_at(kernel_, schedule_, stage))
      places[stage.indices[at.axis].name] = {{chosen.at(at.index)[0].position, 1, nullptr}};
    const kernel::StageSchedule* outer = how_;
    const std::vector<Point> points = points_;
    const auto depth = part_depth_;
    tiled(stage, *how, std::move(places));
    part_depth_ = depth;
    points_ = points;
    how_ = outer;
  }
}

void KernelLowering::tiles(const Stage& stage, const std::vector<Index>& order, Slots& chosen) {
  if (part_depth_ == chosen.size()) return parts(stage, [&] { tiles(stage, order, chosen); });
  if (chosen.size() == order.size()) return tile(stage, chosen);
  const Index& index = order[chosen.size()];
  const int lanes = how_->vector.index == index.name ? static_cast<int>(how_->vector.count) : 1;
  const std::int64_t tile = std::max<std::int64_t>(lanes, count_for(how_->tile, index.name));
  const std::int64_t parts = count_for(how_->split, index.name);
  const Range extent_range = index.extent.range(layout_.range_of);
  if (parts > 1 && extent_range.low != extent_range.high)
    throw IllegalSchedule{fmt::format("index `{}` is split, but its extent is open", index.name)};
  // h = parts * turn + remainder
  for (std::int64_t remainder = 0; remainder < parts; ++remainder) {
    const Dim extent = parts == 1 ? index.extent : Dim((extent_range.high - remainder + parts - 1) / parts);
    const auto place = [&](const Segment& segment, const ValueRef& turn) {
      std::vector<Slot>& slots = chosen[index.name];
      for (Slot part : segment.slots) {
        const ValueRef at = integer("add", turn, part.position.base);
        part.position.base =
            integer("add", integer("mul", at, loop::index_literal(parts)), loop::index_literal(remainder));
        part.position.lane *= parts;
        if (segment.is_last) part.count = integer("sub", segment.high, turn);
        slots.push_back(part);
      }
      if (slots.size() == 1 && lanes == 1) make_at(stage, index.name, chosen);
      tiles(stage, order, chosen);
      chosen.erase(index.name);
    };
    for (const Segment& segment : segments_of(extent, tile, lanes)) {
      const bool numbers = segment.low->kind == loop::Value::Kind::literal && segment.high->kind == segment.low->kind;
      if (numbers && segment.low->literal.integer + segment.step >= segment.high->literal.integer) {
        place(segment, segment.low);
        continue;
      }
      const bool is_shared = std::ranges::find(how_->parallel, index.name) != how_->parallel.end();
      const bool is_outermost = is_shared && !std::exchange(in_parallel_, in_parallel_ || is_shared);
      loop_over(index.name, segment.low, segment.high, segment.step, {}, {}, [&](const ValueRef& at, const Values&) {
        if (is_shared) shared_.insert(at->name);
        const bool from_zero =
            segment.low->kind == loop::Value::Kind::literal && segment.low->literal.integer % segment.step == 0;
        if (from_zero) steps_[at->name] = segment.step;
        places_.insert(at->name);
        place(segment, at);
        return Values{};
      });
      if (!is_outermost) continue;
      share(how_->grain);
      in_parallel_ = false;
    }
  }
}

// The loop that stands last becomes one of turns 0, 1, 2, ..., which threads share; together with loops that are all
// that it holds, if their bounds do not change in it.
void KernelLowering::share(std::int64_t grain) {
  Stmt outer = std::move(out_->back());
  out_->pop_back();
  const auto is_let = [](const Stmt& each) { return each.kind == Stmt::Kind::let || each.kind == Stmt::Kind::buffer; };
  const auto turns = [](const Stmt& stmt) {
    const ValueRef length = integer("sub", stmt.high, stmt.low);
    const ValueRef last = integer("add", length, loop::index_literal(stmt.step - 1));
    return stmt.step == 1 ? length : integer("div", last, loop::index_literal(stmt.step));
  };
  struct Joined {
    std::string name;
    ValueRef low, count;
    std::int64_t step;
  };
  std::vector<Joined> joined;
  loop::Block head;
  std::set<std::string> inside;
  Stmt* stmt = &outer;
  while (true) {
    joined.push_back({stmt->name, stmt->low, let("turns", turns(*stmt)), stmt->step});
    inside.insert(stmt->name);
    if (stmt->body.empty()) break;  // what it is over has no elements
    Stmt& inner = stmt->body.back();
    const bool alone = std::all_of(stmt->body.begin(), stmt->body.end() - 1, is_let) &&
                       inner.kind == Stmt::Kind::loop && shared_.contains(inner.name);
    if (!alone) break;
    for (const Stmt& each : std::span(stmt->body).first(stmt->body.size() - 1)) inside.insert(each.name);
    if (loop::reads_any(inner.low, inside) || loop::reads_any(inner.high, inside)) break;
    head.insert(head.end(), stmt->body.begin(), stmt->body.end() - 1);
    Stmt next = std::move(inner);
    *stmt = std::move(next);
  }
  const bool counts = outer.step == 1 && loop::equal(outer.low, loop::index_literal(0));
  if (joined.size() == 1 && counts) {
    outer.parallel = grain;
    out_->push_back(std::move(outer));
    return;
  }
  Stmt all;
  all.kind = Stmt::Kind::loop;
  all.parallel = grain;
  all.name = fresh("turn");
  all.low = loop::index_literal(0);
  all.high = loop::index_literal(1);
  for (const Joined& each : joined) all.high = integer("mul", all.high, each.count);
  within(all.body, [&] {
    ValueRef rest = loop::name(all.name, loop::kIndex);
    std::vector<ValueRef> at(joined.size());
    for (std::size_t k = joined.size(); k-- > 0;) {
      at[k] = k == 0 ? rest : integer("rem", rest, joined[k].count);
      if (k > 0) rest = integer("div", rest, joined[k].count);
      if (k > 1) rest = let("turn", rest);
    }
    for (std::size_t k = 0; k < joined.size(); ++k) {
      Stmt place;
      place.kind = Stmt::Kind::let;
      place.name = joined[k].name;
      place.type = loop::kIndex;
      place.value = integer("add", integer("mul", at[k], loop::index_literal(joined[k].step)), joined[k].low);
      out_->push_back(std::move(place));
    }
    out_->insert(out_->end(), head.begin(), head.end());
    std::move(outer.body.begin(), outer.body.end(), std::back_inserter(*out_));
  });
  out_->push_back(std::move(all));
}

// All elements of a tile: the slots of its indices, one with another.
void KernelLowering::tile(const Stage& stage, const Slots& chosen) {
  std::vector<Point> points(1);
  for (const Index& index : stage.indices) {
    std::vector<Point> more;
    for (const Point& point : points) {
      for (const Slot& part : chosen.at(index.name)) {
        Point next = point;
        next.at[index.name] = part.position;
        if (part.lanes > 1) {
          next.lanes = part.lanes;
          next.count = part.count;
        } else {
          next.at[index.name].lane = 0;
        }
        more.push_back(std::move(next));
      }
    }
    points = std::move(more);
  }
  tile_ = out_;
  at_points(std::move(points), [&] {
    for (Point& point : points_) {
      for (auto& [name, position] : point.at) position.base = arranged(position.base);
    }
    Values values = compute_here(stage);
    at_each_point([&](std::size_t k) { store(stage, values[k]); });
  });
  tile_ = nullptr;
  inner_.clear();
  pointers_.clear();
}

// Inline stages that are read by every register of the tile are computed for all of them together.
void KernelLowering::prepare(const Stage& stage) {
  const auto visit = [&](const kernel::ExprRef& load) {
    const Stage* made = kernel_.stage(load->name);
    if (made == nullptr || !schedule_.is_inline(load->name) || load->has_else) return;
    std::vector<Point> points;
    std::vector<std::string> keys;
    at_each_point([&](std::size_t) {
      std::vector<Position> at;
      for (const kernel::ExprRef& index : load->operands) at.push_back(position(index));
      std::string key = key_of(*load, at, nullptr);
      if (computed_.contains(key) || std::ranges::find(keys, key) != keys.end()) return;
      keys.push_back(std::move(key));
      points.push_back(point_of(*made, at));
    });
    if (points.empty()) return;
    Values values;
    at_points(std::move(points), [&] { values = compute_here(*made); });
    for (std::size_t k = 0; k < keys.size(); ++k) computed_[keys[k]] = let(made->name, values[k]);
  };
  if (!stage.reduce) kernel::for_each_load(stage.expr, visit);
  if (stage.reduce && stage.reduce->from) kernel::for_each_load(stage.reduce->from, visit);
}

}  // namespace tusk::lowering
