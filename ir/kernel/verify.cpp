#include "ir/kernel/verify.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <set>

#include "ir/kernel/affine.hpp"
#include "ir/kernel/parse.hpp"
#include "ir/kernel/print.hpp"
#include "ir/text/count.hpp"
#include "ir/text/word.hpp"

namespace tusk::kernel {
namespace {

bool is_name(std::string_view name) { return text::is_word(name) && !is_reserved(name); }

bool is_argument(Reducer kind) { return kind == Reducer::argmax || kind == Reducer::argmin; }
bool is_logical(Reducer kind) { return kind == Reducer::all || kind == Reducer::any; }

std::set<std::string> symbols_of(const Kernel& kernel) {
  std::set<std::string> out;
  const auto add = [&](const Dim& dim) {
    if (dim.is_constant()) return;
    for (std::string& symbol : dim.symbols()) out.insert(std::move(symbol));
  };
  for (const Param& param : kernel.params) std::for_each(param.shape.begin(), param.shape.end(), add);
  for (const Stage& stage : kernel.stages) {
    for (const Index& index : stage.indices) add(index.extent);
    if (stage.reduce) {
      for (const Index& index : stage.reduce->indices) add(index.extent);
    }
    for (const ExprRef& expr : expressions_of(stage)) {
      for_each_node(expr, [&](const ExprRef& node) { add(node->dim); });
    }
  }
  return out;
}

// One stage of a kernel, against the parameters and the stages above it.
class StageVerifier {
 public:
  StageVerifier(const Kernel& kernel, std::size_t number, const std::set<std::string>& symbols, const RangeOf& range_of)
      : kernel_(kernel), number_(number), stage_(kernel.stages[number]), symbols_(symbols), range_of_(range_of) {}

  Status run() {
    CHECK(head());
    if (stage_.reduce) CHECK(reduction(*stage_.reduce));
    CHECK(formula());
    CHECK(overwrites());
    return done();
  }

 private:
  Diagnostic fail(std::string_view rule, const std::string& what) const {
    Diagnostic out = error(fmt::format("kernel-{}", rule),
                           fmt::format("kernel `{}`, stage `{}`: {}", kernel_.name, stage_.name, what));
    if (!kernel_.layers.empty()) out.layer = kernel_.layers[0];
    return out;
  }

  Status head() {
    if (!is_name(stage_.name)) return fail("name", "this is no name");
    if (kernel_.stage(stage_.name) != &stage_) return fail("name", "a stage above has this name");
    if (stage_.type == DType::index) return fail("type", "a stage has a type of elements, not index");
    if (!stage_.expr) return fail("type", "the stage has no formula");
    std::vector<Index> all = stage_.indices;
    if (stage_.reduce) all.insert(all.end(), stage_.reduce->indices.begin(), stage_.reduce->indices.end());
    for (const Index& index : all) {
      if (!is_name(index.name)) return fail("name", fmt::format("`{}` is no name of an index", index.name));
      if (const Range extent = index.extent.range(range_of_); extent.high < 0)
        return fail("index", fmt::format("the extent {} of index `{}` is negative", index.extent.str(), index.name));
      if (!declared_.insert(index.name).second)
        return fail("name", fmt::format("two indices are named `{}`", index.name));
      if (symbols_.contains(index.name))
        return fail("name", fmt::format("index `{}` has the name of a symbol", index.name));
    }
    add_bounds(bounds_, all);
    return done();
  }

  Status reduction(const Reduce& reduce) {
    const std::string_view kind = name_of(reduce.kind);
    if (reduce.indices.empty()) return fail("reduce", fmt::format("{} has no index", kind));
    if (is_argument(reduce.kind)) {
      if (reduce.indices.size() != 1) return fail("argument", fmt::format("{} has exactly one reduce index", kind));
      if (register_type(stage_.type) != DType::i32) {
        return fail("argument", fmt::format("{} gives i32, the stage is {}", kind, name_of(stage_.type)));
      }
      if (reduce.from || !reduce.where.empty())
        return fail("argument", fmt::format("{} has neither `from` nor `where`", kind));
    }
    if (reduce.kind == Reducer::dot &&
        !(stage_.expr->kind == Expr::Kind::row && stage_.expr->row->basic == Basic::mul)) {
      return fail("g4", "dot needs a product as its top node (rule G4)");
    }
    CHECK(order(reduce));
    if (reduce.from) CHECK(start(*stage_.reduce));
    for (const Equality& equality : reduce.where) CHECK(where(reduce, equality));
    return done();
  }

  Status order(const Reduce& reduce) const {
    const bool power = reduce.lanes >= 1 && (reduce.lanes & (reduce.lanes - 1)) == 0;
    if (!power) return fail("order", fmt::format("lanes are a power of two, found {}", reduce.lanes));
    if (reduce.block < 0) return fail("order", fmt::format("a block has a positive length, found {}", reduce.block));
    const bool by_data =
        std::any_of(reduce.where.begin(), reduce.where.end(), [](const Equality& e) { return !affine_of(e.value); });
    const bool serial = is_argument(reduce.kind) || is_logical(reduce.kind) || reduce.kind == Reducer::last;
    if ((serial || by_data) && (reduce.lanes != 1 || reduce.block != 0)) {
      return fail("order",
                  fmt::format("{} has one lane and no block", by_data ? "a reduction by data" : name_of(reduce.kind)));
    }
    if (reduce.indices.size() == 1 && reduce.block % reduce.lanes != 0) {
      return fail("order", fmt::format("a block of the index that goes to lanes holds whole groups of them: {} is no "
                                       "multiple of {}",
                                       reduce.block, reduce.lanes));
    }
    return done();
  }

  Status start(const Reduce& reduce) {
    CHECK(expression(reduce.from, "from"));
    if (reduce.from->type != register_type(stage_.type)) {
      return fail("type", fmt::format("`from` is {}, the stage computes {}", name_of(reduce.from->type),
                                      name_of(register_type(stage_.type))));
    }
    std::string used;
    for_each_node(reduce.from, [&](const ExprRef& node) {
      const auto of_reduce = [&](const Index& index) {
        return node->kind == Expr::Kind::index && index.name == node->name;
      };
      if (std::any_of(reduce.indices.begin(), reduce.indices.end(), of_reduce)) used = node->name;
    });
    if (!used.empty()) return fail("from", fmt::format("`from` uses the reduce index `{}`", used));
    return done();
  }

  // Section 3.3: an equality removes exactly one index, W1 the one on its left, W2 one on its right; W3 none, it is
  // data.
  Status where(const Reduce& reduce, const Equality& equality) {
    if (!equality.value || equality.value->type != DType::index)
      return fail("where", fmt::format("`{} ==` is followed by no index", equality.index));
    const std::string text = fmt::format("`{} == {}`", equality.index, print(equality.value, DType::index));
    const std::optional<Affine> affine = affine_of(equality.value);
    if (!affine) {
      const bool on_left = std::any_of(stage_.indices.begin(), stage_.indices.end(),
                                       [&](const Index& index) { return index.name == equality.index; });
      if (!on_left)
        return fail("where", fmt::format("{} is solved by data, so `{}` is an index of the stage (rule W3)", text,
                                         equality.index));
      if (reduce.where.size() != 1)
        return fail("where", fmt::format("{} is solved by data and stands alone (rule W3)", text));
      return expression(equality.value, "where");
    }
    std::vector<std::string> removed;
    if (!declared_.contains(equality.index)) removed.push_back(equality.index);
    for (const auto& [name, coefficient] : affine->terms) {
      if (!declared_.contains(name)) removed.push_back(name);
    }
    if (removed.size() != 1) {
      return fail("where", fmt::format("{} removes one index, found {}{}{}", text, removed.empty() ? "none" : "",
                                       fmt::join(removed, ", "),
                                       removed.empty() ? "; all are declared" : "; declare the others"));
    }
    declared_.insert(removed[0]);
    if (removed[0] == equality.index) {
      replaced_[removed[0]] = substitute(equality.value, replaced_);
      return done();
    }
    const Dim stride = affine->coefficient(removed[0]);
    if (!stride.is_constant() || stride.constant() < 1) {
      return fail("where", fmt::format("{}: the factor of `{}` is a positive number (rule W2)", text, removed[0]));
    }
    // stride * p == index - rest
    Affine rest = *affine;
    std::erase_if(rest.terms, [&](const auto& term) { return term.first == removed[0]; });
    const ExprRef multiple = apply("sub", {index(equality.index), expr_of(rest)});
    Bounds position = bounds_of(substitute(multiple, replaced_), bounds_, range_of_);
    if (position.low) position.low = position.low->ceil_div(stride.constant());
    if (position.high) position.high = position.high->floor_div(stride.constant());
    bounds_[removed[0]] = position;
    return done();
  }

  Status formula() {
    CHECK(expression(stage_.expr, "the formula"));
    const DType computed = register_type(stage_.type);
    const DType found = stage_.expr->type;
    if (stage_.reduce) {
      const Reducer kind = stage_.reduce->kind;
      const bool fits = is_logical(kind) ? found == DType::boolean : found != DType::boolean || kind == Reducer::last;
      if (!fits) return fail("type", fmt::format("{} of {}", name_of(kind), name_of(found)));
      if (is_argument(kind)) return done();
    }
    if (found != computed)
      return fail("type", fmt::format("the formula is {}, the stage computes {}", name_of(found), name_of(computed)));
    return done();
  }

  // Every node of an expression. `part` says which one it is, for errors.
  Status expression(const ExprRef& expr, std::string_view part) {
    std::optional<Diagnostic> problem;
    for_each_node(expr, [&](const ExprRef& node) {
      if (problem) return;
      if (Status ok = this->node(*node, part); !ok) problem = ok.problem();
    });
    if (problem) return *problem;
    return done();
  }

  Status node(const Expr& expr, std::string_view part) {
    switch (expr.kind) {
      case Expr::Kind::literal:
        if (is_storage_only(expr.type))
          return fail("type", fmt::format("a number of {}, which lives in memory only", name_of(expr.type)));
        return done();
      case Expr::Kind::index:
        if (declared_.contains(expr.name)) return done();
        return fail("index", fmt::format("`{}` in {} is no index of the stage", expr.name, part));
      case Expr::Kind::dim:
        return done();
      case Expr::Kind::load:
        return load(expr, part);
      case Expr::Kind::row:
        return row(expr);
    }
    return done();
  }

  Status row(const Expr& expr) {
    std::vector<DType> types;
    for (const ExprRef& operand : expr.operands) types.push_back(operand->type);
    if (expr.row == nullptr || row_type(*expr.row, types) != expr.type) {
      std::vector<std::string_view> names;
      for (const DType type : types) names.push_back(name_of(type));
      return fail("type", fmt::format("row `{}` of {} is not {}", expr.row != nullptr ? expr.row->name : "",
                                      fmt::join(names, ", "), name_of(expr.type)));
    }
    const bool divides = expr.type == DType::index && (expr.row->basic == Basic::div || expr.row->basic == Basic::rem);
    if (divides && (expr.operands[1]->kind != Expr::Kind::literal || expr.operands[1]->value.integer <= 0)) {
      return fail("index", "an index is divided by a positive number");
    }
    return done();
  }

  Status load(const Expr& expr, std::string_view part) {
    const Param* param = kernel_.param(expr.name);
    const Stage* source = nullptr;
    for (std::size_t i = 0; i < number_; ++i) {
      if (kernel_.stages[i].name == expr.name) source = &kernel_.stages[i];
    }
    if (source == nullptr && param == nullptr) {
      const bool later = kernel_.stage(expr.name) != nullptr;
      return fail("load", fmt::format("{} reads `{}`, which is {}", part, expr.name,
                                      later ? "not above" : "neither a parameter nor a stage"));
    }
    const DType type = register_type(source != nullptr ? source->type : param->type);
    const Shape shape = source != nullptr ? shape_of(*source) : param->shape;
    if (expr.type != type)
      return fail("type", fmt::format("a load of `{}` is {}, found {}", expr.name, name_of(type), name_of(expr.type)));
    if (expr.operands.size() != shape.size()) {
      return fail("load", fmt::format("`{}` has rank {}, found {}", expr.name, shape.size(),
                                      text::count_of(expr.operands.size(), "index")));
    }
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (expr.operands[i]->type != DType::index) {
        return fail("type", fmt::format("index {} of `{}` is {}", i, expr.name, name_of(expr.operands[i]->type)));
      }
      if (!expr.has_else) CHECK(inside(expr, i, shape[i]));
    }
    return done();
  }

  // G5: a load without `else` is proved in range.
  Status inside(const Expr& expr, std::size_t axis, const Dim& extent) const {
    const Bounds at = bounds_of(substitute(expr.operands[axis], replaced_), bounds_, range_of_);
    const bool above = at.low && at_least_zero(*at.low, range_of_);
    const bool below = at.high && at_least_zero(extent - Dim(1) - *at.high, range_of_);
    if (above && below) return done();
    Diagnostic out = fail("g5", fmt::format("index {} of `{}`, {}, may lie outside 0 .. {} (rule G5)", axis, expr.name,
                                            print(expr.operands[axis], DType::index), (extent - Dim(1)).str()));
    const auto text = [](const std::optional<Dim>& bound) { return bound ? bound->str() : std::string("unknown"); };
    out.note(fmt::format("proved is {} .. {}", text(at.low), text(at.high)));
    out.note("write `else` and a number, or clamp data by min and max");
    return out;
  }

  // A stage with the name of an inout parameter writes its new value in place.
  Status overwrites() const {
    const Param* param = kernel_.param(stage_.name);
    if (param == nullptr) return done();
    if (!param->inout) return fail("inout", "a parameter has this name and is not inout");
    if (!is_result(kernel_, stage_.name)) return fail("inout", "the new value of an inout parameter is a result");
    if (param->type != stage_.type || param->shape != shape_of(stage_)) {
      return fail("inout", fmt::format("the parameter is {}, the stage {}", type_str(param->type, param->shape),
                                       type_str(stage_.type, shape_of(stage_))));
    }
    if (!reads_own_element(stage_, stage_.name))
      return fail("inout", "the old value is read only at the element that is written");
    const bool by_data = stage_.reduce && !stage_.reduce->where.empty() && !affine_of(stage_.reduce->where[0].value);
    bool reads = false;
    for_each_load(stage_.expr, [&](const ExprRef& load) { reads = reads || load->name == stage_.name; });
    if (by_data && reads) return fail("inout", "a reduction by data reads the old value only in `from`");
    return done();
  }

  const Kernel& kernel_;
  std::size_t number_;
  const Stage& stage_;
  const std::set<std::string>& symbols_;  // of the kernel
  const RangeOf& range_of_;
  std::set<std::string> declared_;  // indices of the stage, and those that a `where` removes
  IndexBounds bounds_;
  std::map<std::string, ExprRef> replaced_;  // W1: the removed index is this
};

Diagnostic kernel_error(const Kernel& kernel, std::string_view rule, const std::string& what) {
  Diagnostic out = error(fmt::format("kernel-{}", rule), fmt::format("kernel `{}`: {}", kernel.name, what));
  if (!kernel.layers.empty()) out.layer = kernel.layers[0];
  return out;
}

}  // namespace

Status verify(const Kernel& kernel, const RangeOf& range_of) {
  if (!is_name(kernel.name)) return kernel_error(kernel, "name", "this is no name");
  for (const Param& param : kernel.params) {
    if (!is_name(param.name))
      return kernel_error(kernel, "name", fmt::format("`{}` is no name of a parameter", param.name));
    if (kernel.param(param.name) != &param)
      return kernel_error(kernel, "name", fmt::format("two parameters are named `{}`", param.name));
    if (param.type == DType::index)
      return kernel_error(kernel, "type", fmt::format("parameter `{}` has a type of elements, not index", param.name));
    for (const Dim& dim : param.shape) {
      if (dim.range(range_of).high < 0)
        return kernel_error(kernel, "index",
                            fmt::format("parameter `{}` has the negative extent {}", param.name, dim.str()));
    }
    if (param.inout && kernel.stage(param.name) == nullptr) {
      return kernel_error(kernel, "inout", fmt::format("no stage gives the new value of `{}`", param.name));
    }
  }
  if (kernel.results.empty()) return kernel_error(kernel, "result", "there is no result");
  std::set<std::string_view> results;
  for (const std::string& result : kernel.results) {
    if (kernel.stage(result) == nullptr)
      return kernel_error(kernel, "result", fmt::format("the result `{}` is no stage", result));
    if (!results.insert(result).second)
      return kernel_error(kernel, "result", fmt::format("the result `{}` is named twice", result));
  }
  const std::set<std::string> symbols = symbols_of(kernel);
  for (std::size_t i = 0; i < kernel.stages.size(); ++i) CHECK(StageVerifier(kernel, i, symbols, range_of).run());
  return done();
}

}  // namespace tusk::kernel
