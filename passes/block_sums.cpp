#include "passes/block_sums.hpp"

#include <algorithm>
#include <set>

#include "ir/kernel/affine.hpp"
#include "passes/contraction.hpp"

namespace tusk::scheduling {
namespace {

using kernel::ExprRef;
using kernel::Reduce;
using kernel::Reducer;
using kernel::Stage;

// Bytes of what a stage reads for one value of its first reduce index.
double bytes_of_block(const Choice& choice, const Stage& stage, const std::string& first) {
  double bytes = 0;
  std::set<std::string> seen;
  kernel::for_each_load(stage.expr, [&](const ExprRef& load) {
    if (!seen.insert(load->name).second) return;
    double own = static_cast<double>(size_of(choice.type_of(load->name)));
    const Shape shape = choice.shape_of(load->name);
    for (std::size_t k = 0; k < shape.size(); ++k) {
      if (!indices_in(load->operands[k]).contains(first)) own *= static_cast<double>(choice.counted(shape[k]));
    }
    bytes += own;
  });
  return bytes;
}

}  // namespace

bool is_worth_parting(const Choice& choice, const std::string& root) {
  const Stage& stage = *choice.kernel.stage(root);
  if (!stage.reduce || stage.reduce->block != 1) return false;
  const std::string& first = stage.reduce->indices[0].name;
  return bytes_of_block(choice, stage, first) > static_cast<double>(choice.target.l2) / 2;
}

std::optional<std::string> part_blocks(Choice& choice, const std::string& root) {
  const auto at = std::ranges::find(choice.kernel.stages, root, &Stage::name);
  if (!at->reduce || at->reduce->block != 1 || at->reduce->from || at->reduce->indices.size() < 2) return std::nullopt;
  const bool is_sum = at->reduce->kind == Reducer::dot || at->reduce->kind == Reducer::sum;
  if (!is_sum || at->reduce->lanes > 1 || register_type(at->type) != at->type) return std::nullopt;
  const kernel::Index first = at->reduce->indices[0];
  for (const kernel::Equality& equality : at->reduce->where) {
    if (equality.index == first.name || indices_in(equality.value).contains(first.name)) return std::nullopt;
  }
  if (first.extent.range(choice.range_of).low < 2) return std::nullopt;
  Stage blocks = *at;
  blocks.name = choice.fresh(root + "_blocks");
  blocks.indices.insert(blocks.indices.begin(), first);
  blocks.reduce->indices.erase(blocks.reduce->indices.begin());
  blocks.reduce->block = 0;
  Reduce sum;
  sum.kind = Reducer::sum;
  sum.indices = {{first.name, first.extent - Dim(1)}};
  const auto block = [&](ExprRef number) {
    std::vector<ExprRef> where{std::move(number)};
    for (const kernel::Index& index : at->indices) where.push_back(kernel::index(index.name));
    return kernel::load(blocks.name, at->type, std::move(where));
  };
  sum.from = block(kernel::literal(DType::index, kernel::literal_of_int(0)));
  const ExprRef one = kernel::literal(DType::index, kernel::literal_of_int(1));
  at->expr = block(kernel::apply("add", {kernel::index(first.name), one}));
  at->reduce = sum;
  const std::string name = blocks.name;
  choice.added.push_back({kernel::AddedStage::Kind::blocks, name, "", root, 0});
  choice.kernel.stages.insert(at, std::move(blocks));
  return name;
}

}  // namespace tusk::scheduling
