#include "passes/plan_memory.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <functional>
#include <map>
#include <numeric>

#include "ir/kernel/affine.hpp"
#include "passes/lower_kernel.hpp"

namespace tusk {
namespace {

using kernel::Kernel;
using kernel::Schedule;
using kernel::Stage;
using kernel::Step;
using kernel::Tensor;

constexpr std::int64_t kAlign = 64;

std::int64_t bytes_of(const kernel::Program& program, const Tensor& tensor) {
  const std::int64_t elements = product(tensor.shape).range(program.range_of()).high;
  return (elements * size_of(tensor.type) + kAlign - 1) / kAlign * kAlign;
}

// --- lifetimes

struct Life {
  int first = -1;
  int last = -1;
};

// Positions number the calls; a tensor that is used in a loop and exists outside of it lives to the loop's end.
class Lifetimes {
 public:
  Lifetimes(const kernel::Function& function)
      : function_(function), lives_(function.tensors.size()), written_in_(function.tensors.size()) {
    walk(function.steps, {});
  }

  std::vector<Life> lives_by_root() const { return lives_; }
  int positions() const { return position_; }

 private:
  struct LoopRange {
    int id, begin, end;
  };

  int root(int id) const {
    const Tensor& t = function_.tensors[static_cast<std::size_t>(id)];
    return t.place == Tensor::Place::view ? t.base : id;
  }

  static int calls(const std::vector<Step>& steps) {
    int n = 0;
    for (const Step& step : steps) n += step.kind == Step::Kind::call ? 1 : calls(step.body);
    return n;
  }

  void touch(int tensor, bool write, const std::vector<LoopRange>& loops) {
    const auto id = static_cast<std::size_t>(root(tensor));
    Life& life = lives_[id];
    int first = position_;
    int last = position_;
    const bool fresh = life.first < 0;
    if (fresh) written_in_[id] = loops.empty() ? -1 : loops.back().id;
    // Every enclosing loop that does not enclose the first write runs again, so the value must survive to its end.
    bool inside = written_in_[id] == -1;
    for (const LoopRange& loop : loops) {
      if (inside) {
        first = std::min(first, loop.begin);
        last = std::max(last, loop.end);
      }
      if (loop.id == written_in_[id]) inside = true;
    }
    // Read before any write in its body: a value of the round before.
    if (fresh && !write && !loops.empty()) {
      first = loops.front().begin;
      last = loops.front().end;
    }
    // Written from inside a loop but first touched outside: covered above. A part of a stack is written in every round.
    life.first = fresh ? first : std::min(life.first, first);
    life.last = std::max(life.last, last);
  }

  void walk(const std::vector<Step>& steps, std::vector<LoopRange> loops) {
    for (const Step& step : steps) {
      if (step.kind == Step::Kind::loop) {
        std::vector<LoopRange> inner = loops;
        inner.push_back({next_loop_++, position_, position_ + std::max(0, calls(step.body) - 1)});
        mark_stacks(step.body, inner);
        walk(step.body, inner);
        continue;
      }
      if (step.kind == Step::Kind::branch) {  // lives as if it always ran
        touch(step.condition, false, loops);
        walk(step.body, loops);
        continue;
      }
      for (const int arg : step.args) touch(arg, false, loops);
      for (const int result : step.results) touch(result, true, loops);
      for (const int scratch : step.scratch) touch(scratch, true, loops);
      ++position_;
    }
  }

  // A tensor of which rounds write parts (a view at the loop's position) holds all of them to the loop's end and begins
  // with it.
  void mark_stacks(const std::vector<Step>& body, const std::vector<LoopRange>& loops) {
    for (const Step& step : body) {
      if (step.kind == Step::Kind::branch) mark_stacks(step.body, loops);
      for (const int result : step.results) {
        const Tensor& t = function_.tensors[static_cast<std::size_t>(result)];
        if (t.place != Tensor::Place::view || t.offset.symbols().empty()) continue;
        Life& life = lives_[static_cast<std::size_t>(t.base)];
        if (life.first < 0)
          written_in_[static_cast<std::size_t>(t.base)] = loops.size() > 1 ? loops[loops.size() - 2].id : -1;
        life.first = life.first < 0 ? loops.back().begin : std::min(life.first, loops.back().begin);
        life.last = std::max(life.last, loops.back().end);
      }
    }
  }

  const kernel::Function& function_;
  std::vector<Life> lives_;
  std::vector<int> written_in_;  // the loop in which it is first touched, -1 at top
  int position_ = 0;
  int next_loop_ = 0;
};

// --- placing

std::int64_t overlap_free_offset(const std::vector<Block>& placed, const Block& block) {
  std::vector<std::pair<std::int64_t, std::int64_t>> taken;
  for (const Block& other : placed) {
    if (other.first <= block.last && block.first <= other.last)
      taken.emplace_back(other.offset, other.offset + other.bytes);
  }
  std::sort(taken.begin(), taken.end());
  std::int64_t offset = 0;
  for (const auto& [begin, end] : taken) {
    if (begin - offset >= block.bytes) break;
    offset = std::max(offset, end);
  }
  return offset;
}

std::int64_t place(std::vector<Block>& blocks, const std::vector<std::size_t>& order) {
  std::vector<Block> placed;
  std::int64_t peak = 0;
  for (const std::size_t i : order) {
    blocks[i].offset = overlap_free_offset(placed, blocks[i]);
    placed.push_back(blocks[i]);
    peak = std::max(peak, blocks[i].offset + blocks[i].bytes);
  }
  return peak;
}

std::int64_t lower_bound_of(const std::vector<Block>& blocks, int positions) {
  std::int64_t bound = 0;
  for (int at = 0; at < positions; ++at) {
    std::int64_t live = 0;
    for (const Block& block : blocks) live += block.first <= at && at <= block.last ? block.bytes : 0;
    bound = std::max(bound, live);
  }
  return bound;
}

// First fit in several orders; while it misses the bound, blocks of the worst order change places, by a fixed sequence
// of numbers, so that the plan is the same everywhere.
std::int64_t place_best(std::vector<Block>& blocks, std::int64_t bound) {
  const std::size_t n = blocks.size();
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  const std::function<bool(const Block&, const Block&)> rules[] = {
      [](const Block& a, const Block& b) { return a.bytes > b.bytes; },
      [](const Block& a, const Block& b) {
        return a.bytes * (a.last - a.first + 1) > b.bytes * (b.last - b.first + 1);
      },
      [](const Block& a, const Block& b) { return a.last - a.first > b.last - b.first; },
      [](const Block& a, const Block& b) { return a.first < b.first; },
  };
  std::int64_t best = INT64_MAX;
  std::vector<Block> best_blocks = blocks;
  std::vector<std::size_t> best_order;
  for (const auto& rule : rules) {
    std::vector<std::size_t> sorted = order;
    std::stable_sort(sorted.begin(), sorted.end(),
                     [&](std::size_t a, std::size_t b) { return rule(blocks[a], blocks[b]); });
    const std::int64_t peak = place(blocks, sorted);
    if (peak < best) {
      best = peak;
      best_blocks = blocks;
      best_order = sorted;
    }
  }
  std::uint32_t state = 1;
  const auto next = [&state](std::size_t limit) {
    state = state * 1664525U + 1013904223U;
    return static_cast<std::size_t>(state >> 8) % limit;
  };
  const std::size_t tries = n < 2 ? 0 : std::min<std::size_t>(4000, 4000000 / (n * n) + 50);
  for (std::size_t t = 0; t < tries && best > bound; ++t) {
    std::vector<std::size_t> trial = best_order;
    for (std::size_t swaps = 1 + next(3); swaps > 0; --swaps) std::swap(trial[next(n)], trial[next(n)]);
    const std::int64_t peak = place(blocks, trial);
    if (peak <= best) {
      best = peak;
      best_blocks = blocks;
      best_order = trial;
    }
  }
  blocks = best_blocks;
  return n == 0 ? 0 : best;
}

// --- the plan of one function

void for_each_call(const std::vector<Step>& steps, const std::function<void(const Step&)>& visit) {
  for (const Step& step : steps) {
    if (step.kind != Step::Kind::call) {
      for_each_call(step.body, visit);
    } else {
      visit(step);
    }
  }
}

std::vector<Block> blocks_of(const kernel::Program& program, const kernel::Function& function) {
  std::vector<Life> lives = Lifetimes(function).lives_by_root();
  std::vector<int> group(function.tensors.size());
  std::iota(group.begin(), group.end(), 0);
  const auto is_arena = [&](int id) {
    return function.tensors[static_cast<std::size_t>(id)].place == Tensor::Place::arena;
  };
  // A result takes over the memory of an operand that dies here.
  const std::function<void(const std::vector<Step>&, int&)> share = [&](const std::vector<Step>& steps, int& position) {
    for (const Step& step : steps) {
      if (step.kind != Step::Kind::call) {
        share(step.body, position);
        continue;
      }
      const int here = position++;
      if (step.results.size() != 1 || !is_arena(step.results[0])) continue;
      const Kernel& kernel = program.kernels[static_cast<std::size_t>(step.kernel)];
      const Schedule& schedule = program.schedules[static_cast<std::size_t>(step.kernel)];
      const int result = step.results[0];
      const Tensor& to = function.tensors[static_cast<std::size_t>(result)];
      if (lives[static_cast<std::size_t>(result)].first != here || group[static_cast<std::size_t>(result)] != result)
        continue;
      for (std::size_t k = 0; k < step.args.size(); ++k) {
        const Tensor& arg = function.tensors[static_cast<std::size_t>(step.args[k])];
        const int root = arg.place == Tensor::Place::view ? arg.base : step.args[k];
        const Tensor& from = function.tensors[static_cast<std::size_t>(root)];
        if (!is_arena(root) || root == result || lives[static_cast<std::size_t>(root)].last != here) continue;
        if (size_of(from.type) != size_of(to.type) || arg.shape != to.shape || arg.strides != to.strides) continue;
        if (product(from.shape) != product(to.shape) || (arg.place == Tensor::Place::view && arg.offset != Dim(0)))
          continue;
        const int shared = static_cast<int>(std::count_if(step.args.begin(), step.args.end(), [&](int other) {
          const Tensor& t = function.tensors[static_cast<std::size_t>(other)];
          return (t.place == Tensor::Place::view ? t.base : other) == root;
        }));
        if (shared != 1 || !kernel::reads_pointwise(kernel, schedule, kernel.params[k].name)) continue;
        int head = root;
        while (group[static_cast<std::size_t>(head)] != head) head = group[static_cast<std::size_t>(head)];
        group[static_cast<std::size_t>(result)] = head;
        break;
      }
    }
  };
  int position = 0;
  share(function.steps, position);
  std::map<int, Block> by_head;
  for (std::size_t id = 0; id < function.tensors.size(); ++id) {
    if (!is_arena(static_cast<int>(id)) || lives[id].first < 0) continue;
    int head = static_cast<int>(id);
    while (group[static_cast<std::size_t>(head)] != head) head = group[static_cast<std::size_t>(head)];
    const auto [it, fresh] = by_head.try_emplace(head);
    Block& block = it->second;
    block.tensors.push_back(static_cast<int>(id));
    block.bytes = std::max(block.bytes, bytes_of(program, function.tensors[id]));
    block.first = fresh ? lives[id].first : std::min(block.first, lives[id].first);
    block.last = fresh ? lives[id].last : std::max(block.last, lives[id].last);
  }
  std::vector<Block> blocks;
  for (auto& [head, block] : by_head) blocks.push_back(std::move(block));
  return blocks;
}

void add_scratch(const kernel::Program& program, kernel::Function& function, std::vector<Step>& steps) {
  for (Step& step : steps) {
    if (step.kind != Step::Kind::call) {
      add_scratch(program, function, step.body);
      continue;
    }
    step.scratch.clear();
    const Kernel& kernel = program.kernels[static_cast<std::size_t>(step.kernel)];
    const Schedule& schedule = program.schedules[static_cast<std::size_t>(step.kernel)];
    for (const Stage* stage : scratch_stages(kernel, schedule)) {
      Tensor tensor;
      tensor.name = fmt::format("{}_{}", kernel.name, stage->name);
      const auto taken = [&](const std::string& name) {
        return std::any_of(function.tensors.begin(), function.tensors.end(),
                           [&](const Tensor& t) { return t.name == name; });
      };
      while (taken(tensor.name)) tensor.name += "_";
      tensor.type = stage->type;
      tensor.shape = buffer_shape(kernel, schedule, *stage);
      tensor.strides = kernel::dense_strides(tensor.shape);
      function.tensors.push_back(std::move(tensor));
      step.scratch.push_back(static_cast<int>(function.tensors.size()) - 1);
    }
  }
}

}  // namespace

kernel::Program plan_memory(kernel::Program program) {
  for (kernel::Function& function : program.functions) {
    add_scratch(program, function, function.steps);
    std::vector<Block> blocks = blocks_of(program, function);
    function.arena_lower_bound = lower_bound_of(blocks, Lifetimes(function).positions());
    function.arena_bytes = place_best(blocks, function.arena_lower_bound);
    for (const Block& block : blocks) {
      for (const int id : block.tensors)
        function.tensors[static_cast<std::size_t>(id)].arena_offset = Dim(block.offset);
    }
  }
  return program;
}

MemoryPlan memory_plan(const kernel::Program& program, const kernel::Function& function) {
  MemoryPlan plan;
  plan.blocks = blocks_of(program, function);
  for (Block& block : plan.blocks)
    block.offset = function.tensors[static_cast<std::size_t>(block.tensors[0])].arena_offset.constant();
  for_each_call(function.steps, [&](const Step& step) {
    plan.step_names.push_back(program.kernels[static_cast<std::size_t>(step.kernel)].name);
  });
  plan.peak = function.arena_bytes;
  plan.lower_bound = function.arena_lower_bound;
  return plan;
}

std::string memory_plan_svg(const MemoryPlan& plan, const kernel::Function& function) {
  const double step_width = std::max(14.0, 900.0 / std::max<double>(1.0, static_cast<double>(plan.step_names.size())));
  const double height = 480;
  const double left = 90;
  const double top = 40;
  const double width = left + step_width * static_cast<double>(plan.step_names.size()) + 20;
  const double scale = plan.peak > 0 ? height / static_cast<double>(plan.peak) : 0;
  const auto escaped = [](std::string_view text) {
    std::string out;
    for (const char c : text) out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
    return out;
  };
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{:.0f}\" height=\"{:.0f}\" font-family=\"sans-serif\" "
      "font-size=\"10\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
      "<text x=\"10\" y=\"20\" font-size=\"14\">{}: arena {} bytes, lower bound {} bytes</text>\n",
      width, height + top + 150, escaped(function.name), plan.peak, plan.lower_bound);
  static constexpr const char* kColors[] = {"#8dd3c7", "#ffffb3", "#bebada", "#fb8072",
                                            "#80b1d3", "#fdb462", "#b3de69", "#fccde5"};
  for (std::size_t i = 0; i < plan.blocks.size(); ++i) {
    const Block& block = plan.blocks[i];
    std::string names;
    for (const int id : block.tensors)
      names += (names.empty() ? "" : " = ") + function.tensors[static_cast<std::size_t>(id)].name;
    const double x = left + step_width * block.first;
    const double y = top + scale * static_cast<double>(plan.peak - block.offset - block.bytes);
    const double w = step_width * (block.last - block.first + 1);
    const double h = scale * static_cast<double>(block.bytes);
    svg += fmt::format(
        "<g><title>{}: {} bytes at {}, steps {} to {}</title>"
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\" stroke=\"#555\"/>",
        escaped(names), block.bytes, block.offset, block.first, block.last, x, y, w, h,
        kColors[i % std::size(kColors)]);
    if (h > 11) {
      const auto fits = static_cast<std::size_t>(w / 5.5);
      svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", x + 3, y + std::min(h / 2 + 4, h - 2),
                         escaped(names.substr(0, fits)));
    }
    svg += "</g>\n";
  }
  for (std::size_t i = 0; i < plan.step_names.size(); ++i) {
    svg += fmt::format("<text transform=\"translate({:.1f},{:.1f}) rotate(60)\">{}</text>\n",
                       left + step_width * static_cast<double>(i) + 3, top + height + 12, escaped(plan.step_names[i]));
  }
  for (int tick = 0; tick <= 4; ++tick) {
    const double y = top + height * (4 - tick) / 4;
    svg += fmt::format("<text x=\"{:.0f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", left - 6, y + 4,
                       plan.peak * tick / 4);
  }
  return svg + "</svg>\n";
}

}  // namespace tusk
