#include "passes/contraction.hpp"

#include <algorithm>

namespace tusk {
namespace {

using kernel::Expr;
using kernel::ExprRef;
using kernel::Index;
using kernel::Stage;

bool is_index_of(const std::vector<Index>& indices, const std::string& name) {
  return std::ranges::find(indices, name, &Index::name) != indices.end();
}

// The stage at root, or one that is inline in it and read at the same element, which sums. `without` are stages of
// which it is known that there is none: many ways may lead to one.
const Stage* summing(const kernel::Kernel& kernel, const kernel::Schedule& schedule, const Stage& stage,
                     std::map<std::string, std::string>& root, std::set<const Stage*>& without) {
  if (stage.reduce) return &stage;
  if (without.contains(&stage)) return nullptr;
  const Stage* found = nullptr;
  std::map<std::string, std::string> found_root;
  kernel::for_each_load(stage.expr, [&](const ExprRef& load) {
    const Stage* inner = kernel.stage(load->name);
    if (found != nullptr || inner == nullptr || !schedule.is_inline(load->name) || load->has_else) return;
    std::map<std::string, std::string> names;
    for (std::size_t i = 0; i < load->operands.size(); ++i) {
      if (load->operands[i]->kind != Expr::Kind::index) return;
      names[inner->indices[i].name] = root.at(load->operands[i]->name);
    }
    if (const Stage* sum = summing(kernel, schedule, *inner, names, without)) {
      found = sum;
      found_root = names;
    }
  });
  if (found != nullptr) root = found_root;
  if (found == nullptr) without.insert(&stage);
  return found;
}

}  // namespace

std::optional<Removed> removed_by(const Stage& stage, const kernel::Equality& equality) {
  const auto known = [&](const std::string& name) {
    return is_index_of(stage.indices, name) || is_index_of(stage.reduce->indices, name);
  };
  if (!known(equality.index)) return Removed{equality.index, 1};
  const std::optional<kernel::Affine> affine = kernel::affine_of(equality.value);
  if (!affine) return std::nullopt;
  for (const auto& [name, coefficient] : affine->terms) {
    if (!known(name) && coefficient.is_constant()) return Removed{name, coefficient.constant()};
  }
  return std::nullopt;
}

std::set<std::string> indices_in(const ExprRef& expr) {
  std::set<std::string> out;
  kernel::for_each_node(expr, [&](const ExprRef& node) {
    if (node->kind == Expr::Kind::index) out.insert(node->name);
  });
  return out;
}

kernel::IndexBounds bounds_in(const Stage& stage, const RangeOf& range_of) {
  kernel::IndexBounds bounds;
  kernel::add_bounds(bounds, stage.indices);
  kernel::add_bounds(bounds, stage.reduce->indices);
  for (const kernel::Equality& equality : stage.reduce->where) {
    if (const std::optional<Removed> removed = removed_by(stage, equality))
      kernel::add_removed_bounds(bounds, equality, removed->name, removed->stride, range_of);
  }
  return bounds;
}

std::optional<Contraction> contraction_of(const kernel::Kernel& kernel, const kernel::Schedule& schedule,
                                          const Stage& root) {
  Contraction out;
  std::map<std::string, std::string> outer;  // its indices -> those of the root stage
  for (const Index& index : root.indices) outer[index.name] = index.name;
  std::set<const Stage*> without;
  const Stage* stage = summing(kernel, schedule, root, outer, without);
  if (stage == nullptr) return std::nullopt;
  out.stage = stage->name;
  for (const auto& [own, of_root] : outer) out.inner[of_root] = own;
  // What a removed index depends on.
  std::map<std::string, std::set<std::string>> removed;
  for (const kernel::Equality& equality : stage->reduce->where) {
    const std::optional<Removed> gone = removed_by(*stage, equality);
    if (!gone) return std::nullopt;  // by data
    std::set<std::string> others = indices_in(equality.value);
    others.insert(equality.index);
    others.erase(gone->name);
    removed[gone->name] = others;
    if (gone->stride == 1) continue;
    Contraction::Division division{equality.index, gone->stride, {}};
    for (const std::string& name : others) {
      if (is_index_of(stage->reduce->indices, name)) division.reduce.push_back(name);
    }
    if (!is_index_of(stage->indices, equality.index)) return std::nullopt;
    out.divisions.push_back(std::move(division));
  }
  kernel::for_each_load(stage->expr, [&](const ExprRef& load) {
    ReadOperand operand{load, {}, {}};
    for (const ExprRef& index : load->operands) {
      std::set<std::string>& axis = operand.axes.emplace_back();
      for (const std::string& name : indices_in(index)) {
        const auto it = removed.find(name);
        for (const std::string& on : it == removed.end() ? std::set<std::string>{name} : it->second) axis.insert(on);
      }
      operand.depends.insert(axis.begin(), axis.end());
    }
    out.operands.push_back(std::move(operand));
  });
  return out;
}

double terms_of(const Stage& stage, const std::function<double(const Dim&)>& extent) {
  double out = 1;
  for (const Index& index : stage.reduce->indices) out *= extent(index.extent);
  for (const kernel::Equality& equality : stage.reduce->where) {
    const std::optional<kernel::Affine> affine = kernel::affine_of(equality.value);
    // By data: each term belongs to one value of the index.
    if (!affine) {
      const auto at = std::ranges::find(stage.indices, equality.index, &Index::name);
      if (at != stage.indices.end()) out /= std::max(1.0, extent(at->extent));
      continue;
    }
    const auto is_declared = [&](const std::string& name) {
      return is_index_of(stage.indices, name) || is_index_of(stage.reduce->indices, name);
    };
    if (!is_declared(equality.index)) continue;
    for (const auto& [name, coefficient] : affine->terms) {
      if (!is_declared(name)) out /= std::max(1.0, extent(coefficient));
    }
  }
  return out;
}

}  // namespace tusk
