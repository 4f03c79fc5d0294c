// The choice of lanes and blocks (N4): of shapes only, so that nothing else can change a bit.
#include <algorithm>

#include "ir/kernel/affine.hpp"
#include "ir/kernel/kernel.hpp"

namespace tusk::kernel {
namespace {

constexpr std::int64_t kMany = std::int64_t{1} << 30;  // beyond every threshold

std::int64_t counted(const Dim& extent) {
  const std::int64_t value = extent.value([](std::string_view symbol) { return symbol == "batch" ? 1 : 64; });
  return std::clamp<std::int64_t>(value, 0, kMany);
}

template <class Indices>
std::int64_t counted(const Indices& indices) {
  std::int64_t count = 1;
  for (const Index& index : indices) count = std::min(count * counted(index.extent), kMany);
  return count;
}

bool is_ordered_by_rule(Reducer kind) {
  switch (kind) {
    case Reducer::dot:
    case Reducer::sum:
    case Reducer::max:
    case Reducer::min:
    case Reducer::prod:
      return true;
    default:
      return false;
  }
}

// Solved by data (W3): the terms of an element come in the order of the data, one by one.
bool is_solved_by_data(const Reduce& reduce) {
  return std::any_of(reduce.where.begin(), reduce.where.end(),
                     [](const Equality& equality) { return !affine_of(equality.value); });
}

std::int64_t block_of(const std::vector<Index>& indices) {
  const bool is_static =
      std::all_of(indices.begin(), indices.end(), [](const Index& index) { return index.extent.symbols().empty(); });
  if (is_static && counted(indices) <= 4096) return 0;
  const std::vector<Index> inner(indices.begin() + 1, indices.end());
  const std::int64_t terms = std::max<std::int64_t>(1, counted(inner));
  std::int64_t block = 1;
  while (block * terms < 256) block *= 2;
  return block;
}

// The greatest power of two that is at most n, at least 1.
std::int64_t power_of_two_in(std::int64_t n) {
  std::int64_t power = 1;
  while (power * 2 <= n) power *= 2;
  return power;
}

// Softmax, mean, layer normalization: one operand, its last axis is the one that is summed.
bool is_contiguous(const Stage& stage) {
  const Reduce& reduce = *stage.reduce;
  if (reduce.kind == Reducer::dot || stage.expr->kind != Expr::Kind::load || stage.expr->operands.empty()) return false;
  const std::optional<Affine> last = affine_of(stage.expr->operands.back());
  return last && last->coefficient(reduce.indices.back().name) == Dim{1};
}

std::int64_t lanes_of(const Stage& stage) {
  const std::int64_t terms = counted(stage.reduce->indices.back().extent);
  if (terms >= 16 && is_contiguous(stage)) return 16;
  const std::int64_t outputs = counted(stage.indices);
  const std::int64_t lanes = outputs >= 64 ? 1 : outputs >= 16 ? 2 : outputs >= 8 ? 8 : 16;
  return std::min(lanes, power_of_two_in(terms));
}

}  // namespace

Order order_of(const Stage& stage) {
  if (!stage.reduce || stage.reduce->indices.empty()) return {};
  const Reduce& reduce = *stage.reduce;
  if (!is_ordered_by_rule(reduce.kind) || is_solved_by_data(reduce)) return {};
  // Of integers every order gives the same bits, and compilers vectorise the plain sum (GCC 12 makes wrong code of 16
  // lanes whose sum is then a byte).
  if (!is_float(stage.type)) return {};
  return {lanes_of(stage), block_of(reduce.indices)};
}

}  // namespace tusk::kernel
