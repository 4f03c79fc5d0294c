#include "ir/kernel/affine.hpp"

#include <unordered_map>
#include <unordered_set>

namespace tusk::kernel {
namespace {

void add_to(Affine& sum, const Affine& other, const Dim& factor) {
  for (const auto& [name, coefficient] : other.terms) {
    const Dim scaled = coefficient * factor;
    bool found = false;
    for (auto& [present, total] : sum.terms) {
      if (present != name) continue;
      total += scaled;
      found = true;
    }
    if (!found) sum.terms.emplace_back(name, scaled);
  }
  std::erase_if(sum.terms, [](const auto& term) { return term.second == Dim(0); });
  sum.offset += other.offset * factor;
}

// Every part of the sum divided, where that leaves no remainder.
std::optional<Affine> divided(const Affine& sum, const Dim& by) {
  Affine out;
  const std::optional<Dim> offset = sum.offset.exact_div(by);
  if (!offset) return std::nullopt;
  out.offset = *offset;
  for (const auto& [name, coefficient] : sum.terms) {
    const std::optional<Dim> quotient = coefficient.exact_div(by);
    if (!quotient) return std::nullopt;
    out.terms.emplace_back(name, *quotient);
  }
  return out;
}

struct Rewriter {
  const std::function<ExprRef(const ExprRef&)>& rewrite;
  std::unordered_map<const Expr*, ExprRef> done;

  ExprRef run(const ExprRef& expr) {
    if (!expr) return expr;
    if (const auto it = done.find(expr.get()); it != done.end()) return it->second;
    std::vector<ExprRef> operands;
    bool changed = false;
    for (const ExprRef& operand : expr->operands) {
      operands.push_back(run(operand));
      changed = changed || operands.back() != operand;
    }
    ExprRef node = expr;
    if (changed && expr->kind == Expr::Kind::row) {
      node = apply(*expr->row, std::move(operands));
    } else if (changed) {
      Expr copy = *expr;
      copy.operands = std::move(operands);
      node = std::make_shared<const Expr>(std::move(copy));
    }
    return done[expr.get()] = rewrite(node);
  }
};

void visit_nodes(const ExprRef& expr, const std::function<void(const ExprRef&)>& visit,
                 std::unordered_set<const Expr*>& seen) {
  if (!expr || !seen.insert(expr.get()).second) return;
  for (const ExprRef& operand : expr->operands) visit_nodes(operand, visit, seen);
  visit(expr);
}

}  // namespace

Dim Affine::coefficient(std::string_view index) const {
  for (const auto& [name, coefficient] : terms) {
    if (name == index) return coefficient;
  }
  return Dim(0);
}

std::optional<Affine> affine_of(const ExprRef& expr) {
  if (!expr || expr->type != DType::index) return std::nullopt;
  switch (expr->kind) {
    case Expr::Kind::literal:
      return Affine{{}, Dim(expr->value.integer)};
    case Expr::Kind::index:
      return Affine{{{expr->name, Dim(1)}}, Dim(0)};
    case Expr::Kind::dim:
      return Affine{{}, expr->dim};
    case Expr::Kind::load:
      return std::nullopt;
    case Expr::Kind::row:
      break;
  }
  if (expr->operands.size() != 2 || expr->operands[0]->type != DType::index) return std::nullopt;
  std::optional<Affine> left = affine_of(expr->operands[0]);
  const std::optional<Affine> right = affine_of(expr->operands[1]);
  if (!left || !right) return std::nullopt;
  switch (expr->row->basic) {
    case Basic::add:
      add_to(*left, *right, Dim(1));
      return left;
    case Basic::sub:
      add_to(*left, *right, Dim(-1));
      return left;
    case Basic::mul: {
      if (!left->terms.empty() && !right->terms.empty()) return std::nullopt;
      Affine out;
      if (right->terms.empty()) {
        add_to(out, *left, right->offset);
      } else {
        add_to(out, *right, left->offset);
      }
      return out;
    }
    case Basic::div:
      return right->terms.empty() ? divided(*left, right->offset) : std::nullopt;
    default:
      return std::nullopt;
  }
}

ExprRef expr_of(const Affine& affine) {
  ExprRef sum;
  for (const auto& [name, coefficient] : affine.terms) {
    const bool negative = coefficient.is_constant() && coefficient.constant() < 0;
    const Dim factor = negative && sum ? coefficient * Dim(-1) : coefficient;
    ExprRef term = index(name);
    if (factor != Dim(1)) term = apply("mul", {dim_value(factor), std::move(term)});
    sum = sum ? apply(negative ? "sub" : "add", {std::move(sum), std::move(term)}) : term;
  }
  if (!sum) return dim_value(affine.offset);
  if (affine.offset == Dim(0)) return sum;
  const bool negative = affine.offset.is_constant() && affine.offset.constant() < 0;
  return apply(negative ? "sub" : "add", {sum, dim_value(negative ? affine.offset * Dim(-1) : affine.offset)});
}

ExprRef rewritten(const ExprRef& expr, const std::function<ExprRef(const ExprRef&)>& rewrite) {
  return Rewriter{rewrite, {}}.run(expr);
}

ExprRef substitute(const ExprRef& expr, const std::map<std::string, ExprRef>& values) {
  return rewritten(expr, [&](const ExprRef& node) {
    if (node->kind != Expr::Kind::index) return node;
    const auto it = values.find(node->name);
    return it == values.end() ? node : it->second;
  });
}

ExprRef rename_tensors(const ExprRef& expr, const std::map<std::string, std::string>& names) {
  return rewritten(expr, [&](const ExprRef& node) {
    const auto it = node->kind == Expr::Kind::load ? names.find(node->name) : names.end();
    if (it == names.end() || it->second == node->name) return node;
    Expr copy = *node;
    copy.name = it->second;
    return ExprRef(std::make_shared<const Expr>(std::move(copy)));
  });
}

void for_each_node(const ExprRef& expr, const std::function<void(const ExprRef&)>& visit) {
  std::unordered_set<const Expr*> seen;
  visit_nodes(expr, visit, seen);
}

void for_each_load(const ExprRef& expr, const std::function<void(const ExprRef&)>& visit) {
  for_each_node(expr, [&](const ExprRef& node) {
    if (node->kind == Expr::Kind::load) visit(node);
  });
}

std::vector<ExprRef> expressions_of(const Stage& stage) {
  std::vector<ExprRef> out = {stage.expr};
  if (!stage.reduce) return out;
  if (stage.reduce->from) out.push_back(stage.reduce->from);
  for (const Equality& equality : stage.reduce->where) out.push_back(equality.value);
  return out;
}

bool is_result(const Kernel& kernel, std::string_view stage) {
  return std::find(kernel.results.begin(), kernel.results.end(), stage) != kernel.results.end();
}

bool reads_own_element(const Stage& stage, std::string_view tensor) {
  bool own = true;
  for (const ExprRef& expr : expressions_of(stage)) {
    for_each_load(expr, [&](const ExprRef& load) {
      if (load->name != tensor) return;
      own = own && load->operands.size() == stage.indices.size();
      for (std::size_t i = 0; own && i < load->operands.size(); ++i) {
        own = load->operands[i]->kind == Expr::Kind::index && load->operands[i]->name == stage.indices[i].name;
      }
    });
  }
  return own;
}

}  // namespace tusk::kernel
