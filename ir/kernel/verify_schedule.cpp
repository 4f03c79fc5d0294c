// Whether a schedule is legal for its kernel.
#include <fmt/format.h>
#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "ir/kernel/affine.hpp"
#include "ir/kernel/verify.hpp"

namespace tusk::kernel {
namespace {

Diagnostic schedule_error(const Kernel& kernel, std::string_view rule, const std::string& what) {
  return error(fmt::format("schedule-{}", rule), fmt::format("schedule of kernel `{}`: {}", kernel.name, what));
}

// A stage that is made at an index of its consumer: nothing else reads it, and all reads are of that part.
Status verify_place(const Kernel& kernel, const Schedule& schedule, const StageSchedule& record) {
  const auto fail = [&](const std::string& what) {
    return schedule_error(
        kernel, "at",
        fmt::format("stage `{}` at `{}` of `{}`: {} (rule R3)", record.stage, record.at, record.consumer, what));
  };
  const Stage& stage = *kernel.stage(record.stage);
  const Stage* consumer = kernel.stage(record.consumer);
  const StageSchedule* how = schedule.of(record.consumer);
  if (consumer == nullptr || consumer <= &stage || schedule.is_inline(record.consumer) || how == nullptr)
    return fail("the consumer must be a later stage at root with a record of its own");
  if (!how->consumer.empty()) return fail("the consumer is made at an index itself");
  if (is_result(kernel, record.stage)) return fail("a result is made whole");
  if (std::ranges::find(consumer->indices, record.at, &Index::name) == consumer->indices.end())
    return fail("the consumer has no such index");
  const auto counts = [&](const std::vector<IndexCount>& list) {
    return std::ranges::any_of(list, [&](const IndexCount& c) { return c.index == record.at && c.count > 1; });
  };
  if (counts(how->tile) || counts(how->split) || how->vector.index == record.at)
    return fail("the consumer takes several of that index at a time");
  const std::vector<AxisAt> axes = axes_at(kernel, schedule, stage);
  if (axes.empty()) return fail("a read takes other parts");
  const Index& given = *std::ranges::find(consumer->indices, record.at, &Index::name);
  if (given.extent != stage.indices[axes[0].axis].extent) return fail("the extents differ");
  for (const AxisAt& at : axes) {
    const std::string& own = stage.indices[at.axis].name;
    if (record.vector.index == own || std::ranges::find(record.order, own) != record.order.end() ||
        std::ranges::find(record.parallel, own) != record.parallel.end() ||
        std::ranges::find(record.tile, own, &IndexCount::index) != record.tile.end() ||
        std::ranges::find(record.split, own, &IndexCount::index) != record.split.end())
      return fail(fmt::format("its index `{}` has no loop", own));
  }
  // All that reads it is the consumer, or inline in the consumer alone.
  const std::function<Status(const std::string&)> check_readers = [&](const std::string& name) -> Status {
    for (const Stage& other : kernel.stages) {
      bool reads = false;
      for (const ExprRef& expr : expressions_of(other))
        for_each_load(expr, [&](const ExprRef& load) { reads = reads || load->name == name; });
      if (!reads || &other == consumer) continue;
      if (!schedule.is_inline(other.name)) return fail(fmt::format("`{}` reads it, too", other.name));
      CHECK(check_readers(other.name));
    }
    return done();
  };
  return check_readers(record.stage);
}

// Sums that rest in memory between two parts of their first reduce index keep their order and their bits (R1).
Status verify_outer(const Kernel& kernel, const StageSchedule& record) {
  const std::string& index = record.outer.index;
  const std::int64_t count = record.outer.count;
  const auto fail = [&](const std::string& what) {
    return schedule_error(kernel, "outer",
                          fmt::format("stage `{}`, `outer {} {}`: {} (rule R1)", record.stage, index, count, what));
  };
  const Stage& stage = *kernel.stage(record.stage);
  if (!stage.reduce || stage.reduce->indices.empty() || stage.reduce->indices[0].name != index)
    return fail("it is not the first index that the stage itself sums over");
  const Reduce& reduce = *stage.reduce;
  if (reduce.kind == Reducer::argmax || reduce.kind == Reducer::argmin || reduce.kind == Reducer::last)
    return fail(fmt::format("a part of {} is no value of the stage", name_of(reduce.kind)));
  if (register_type(stage.type) != stage.type) return fail("a sum would be rounded between two parts");
  if (count < 1) return fail("a part has at least one term");
  if (reduce.block > 0 && count % reduce.block != 0)
    return fail(fmt::format("a part is no multiple of a block, {} terms", reduce.block));
  if (reduce.block > 0 && reduce.from) return fail("only the first block starts from another value");
  if (reduce.block == 0 && reduce.lanes > 1) return fail(fmt::format("a sum has {} lanes", reduce.lanes));
  if (!record.consumer.empty()) return fail("the stage is made at an index of its consumer");
  for (const ExprRef& expr : expressions_of(stage)) {
    bool reads_itself = false;
    for_each_load(expr, [&](const ExprRef& load) { reads_itself = reads_itself || load->name == stage.name; });
    if (reads_itself) return fail("it reads what lies where its sums are");
  }
  return done();
}

// Threads that share a loop must not share what is made in it for one of its values.
Status verify_parallel(const Kernel& kernel, const Schedule& schedule, const StageSchedule& record) {
  const Stage& stage = *kernel.stage(record.stage);
  const std::vector<std::string> order = loop_order(stage, record);
  const auto depth = [&](const std::string& index) { return std::ranges::find(order, index) - order.begin(); };
  for (const StageSchedule& made : schedule.stages) {
    if (made.consumer != record.stage) continue;
    for (const std::string& index : record.parallel) {
      if (depth(index) > depth(made.at)) continue;
      return schedule_error(kernel, "parallel",
                            fmt::format("stage `{}`, `parallel` {}: `{}` is made at `{}`, in memory that the threads "
                                        "would share",
                                        record.stage, index, made.stage, made.at));
    }
  }
  return done();
}

// The record of one stage at root.
Status verify(const Kernel& kernel, const Schedule& schedule, const StageSchedule& record) {
  const auto fail = [&](std::string_view rule, const std::string& what) {
    return schedule_error(kernel, rule, fmt::format("stage `{}`: {}", record.stage, what));
  };
  constexpr std::int64_t kMost = 4096;  // elements of a tile
  const Stage* stage = kernel.stage(record.stage);
  if (stage == nullptr) return fail("stage", "there is none of this name");
  if (schedule.is_inline(record.stage))
    return fail("stage", "it is computed where it is read, so it has no loops of its own");
  if (std::ranges::count(schedule.stages, record.stage, &StageSchedule::stage) > 1) return fail("stage", "named twice");
  std::set<std::string> seen;
  const auto check_index = [&](std::string_view word, const std::string& index, std::int64_t least,
                               std::int64_t count) -> Status {
    if (std::ranges::find(stage->indices, index, &Index::name) == stage->indices.end())
      return fail("index", fmt::format("`{}` names `{}`, which is none of its indices", word, index));
    if (!seen.insert(fmt::format("{} {}", word, index)).second)
      return fail("index", fmt::format("`{}` names `{}` twice", word, index));
    if (count < least || count > kMost)
      return fail("count", fmt::format("`{}` {} {} is not within {} to {}", word, index, count, least, kMost));
    return done();
  };
  std::int64_t elements = 1;
  for (const auto& [index, count] : record.tile) {
    CHECK(check_index("tile", index, 1, count));
    elements *= count;
    if (elements > kMost) return fail("count", fmt::format("a tile of {} elements, at most {}", elements, kMost));
  }
  for (const auto& [index, count] : record.split) CHECK(check_index("split", index, 2, count));
  for (const std::string& index : record.order) {
    if (index != record.outer.index) CHECK(check_index("order", index, 0, 0));
  }
  if (std::ranges::count(record.order, record.outer.index) > 1)
    return fail("index", fmt::format("`order` names `{}` twice", record.outer.index));
  if (const auto& [index, lanes] = record.vector; !index.empty()) {
    CHECK(check_index("vector", index, 2, lanes));
    if (lanes > 32 || (lanes & (lanes - 1)) != 0)
      return fail("count", fmt::format("{} lanes, a register has 2, 4, 8, 16 or 32", lanes));
    const auto tile = std::ranges::find(record.tile, index, &IndexCount::index);
    if (tile != record.tile.end() && tile->count % lanes != 0)
      return fail("count",
                  fmt::format("a tile of {} along `{}` is no multiple of {} lanes", tile->count, index, lanes));
  }
  for (const std::string& index : record.unroll) {
    bool found = false;
    for (const Stage& other : kernel.stages) {
      if (!other.reduce || (other.name != record.stage && !schedule.is_inline(other.name))) continue;
      const auto it = std::ranges::find(other.reduce->indices, index, &Index::name);
      if (it == other.reduce->indices.end()) continue;
      found = true;
      if (!it->extent.is_constant() || it->extent.constant() > 64)
        return fail("count", fmt::format("`{}` has {} terms, at most 64 are written out", index, it->extent.str()));
    }
    if (!found) return fail("index", fmt::format("`unroll` names `{}`, under which nothing is summed", index));
  }
  for (const std::string& index : record.parallel) CHECK(check_index("parallel", index, 0, 0));
  if (record.grain < 1 || record.grain > INT32_MAX)
    return fail("count", fmt::format("`parallel` by {} is not within 1 to {}", record.grain, INT32_MAX));
  if (!record.outer.index.empty()) CHECK(verify_outer(kernel, record));
  if (!record.parallel.empty()) CHECK(verify_parallel(kernel, schedule, record));
  if (!record.consumer.empty()) CHECK(verify_place(kernel, schedule, record));
  return done();
}

}  // namespace

Status verify(const Kernel& kernel, const Schedule& schedule) {
  const auto fail = [&](std::string_view rule, const std::string& what) { return schedule_error(kernel, rule, what); };
  for (const StageSchedule& record : schedule.stages) CHECK(verify(kernel, schedule, record));
  std::set<std::string_view> inlined;
  for (const std::string& name : schedule.inline_stages) {
    if (kernel.stage(name) == nullptr) return fail("stage", fmt::format("there is no stage `{}`", name));
    if (!inlined.insert(name).second) return fail("stage", fmt::format("stage `{}` is named twice", name));
    if (is_result(kernel, name)) return fail("result", fmt::format("`{}` is a result, which stands at root", name));
  }
  // An inline stage reads where its consumer stands; an inout parameter must not have been overwritten by then. `old`:
  // the parameters whose old value an inline stage reads, and whether only at its own element.
  std::map<std::string_view, std::map<std::string, bool>> old;
  std::set<std::string_view> overwritten;
  for (const Stage& stage : kernel.stages) {
    std::map<std::string, bool> reads;
    std::optional<Diagnostic> problem;
    const auto note = [&](const std::string& param, bool own) {
      reads[param] = reads.try_emplace(param, true).first->second && own;
    };
    for (const ExprRef& expr : expressions_of(stage)) {
      for_each_load(expr, [&](const ExprRef& load) {
        const Param* param = kernel.param(load->name);
        if (param != nullptr && param->inout && !overwritten.contains(load->name))
          note(param->name, reads_own_element(stage, load->name));
        if (const auto it = old.find(load->name); it != old.end()) {
          for (const auto& [name, own] : it->second) {
            const bool here = own && reads_own_element(stage, load->name);
            if (overwritten.contains(name) || (stage.name == name && !here)) {
              problem = fail("inout", fmt::format("stage `{}` reads `{}` inline, which wants the old value of `{}`",
                                                  stage.name, load->name, name));
            }
            note(name, here);
          }
        }
      });
    }
    if (problem) return *problem;
    if (inlined.contains(stage.name)) old[stage.name] = std::move(reads);
    if (kernel.param(stage.name) != nullptr) overwritten.insert(stage.name);
  }
  return done();
}

}  // namespace tusk::kernel
