#include "ir/graph/interpret.hpp"

#include <fmt/format.h>
#include <algorithm>

#include "ir/graph/inline.hpp"
#include "ir/graph/print.hpp"
#include "ir/graph/rewrite.hpp"
#include "ir/text/count.hpp"

namespace tusk::graph {
namespace {

DType exact_type(DType type) { return is_float(type) ? DType::f64 : DType::i64; }

Array exact(const Array& array) { return array.converted(exact_type(array.dtype())); }

// Integers wrap to their dtype; floats keep the precision of double.
Array wrapped(const Array& array, DType type) {
  return is_float(type) ? array.converted(DType::f64) : array.converted(type).converted(DType::i64);
}

class Interpreter {
 public:
  Interpreter(const Module& module, const Function& function, const SymbolValues& symbols,
              const InterpretOptions& options)
      : module_(module), function_(function), symbols_(symbols), options_(options), values_(function.values.size()) {}

  Expected<std::vector<Array>> run(std::vector<Array> inputs) {
    for (std::size_t i = 0; i < inputs.size(); ++i) set(function_.params[i], std::move(inputs[i]));
    find_last_uses();
    for (std::size_t i = 0; i < function_.ops.size(); ++i) {
      CHECK(run(function_.ops[i], dies_after_[i]));
    }
    std::vector<Array> out;
    for (const Operand& result : function_.results) out.push_back(read(result));
    for (const Update& update : function_.updates) out.push_back(read(update.value));
    return out;
  }

 private:
  std::optional<Array>& slot(int id) { return values_[static_cast<std::size_t>(id)]; }
  void set(int id, Array value) { slot(id) = std::move(value); }

  Array read(const Operand& operand) {
    switch (operand.kind) {
      case Operand::Kind::value:
        return slot(operand.id).value();
      case Operand::Kind::global:
        return exact(module_.globals[static_cast<std::size_t>(operand.id)].value);
      case Operand::Kind::literal: {
        Array out(operand.literal.is_integer ? DType::i64 : DType::f64, {});
        operand.literal.is_integer ? out.set_int(0, operand.literal.integer) : out.set(0, operand.literal.real);
        return out;
      }
      case Operand::Kind::dim:
        break;
    }
    Array out(DType::i64, {});
    out.set_int(0, operand.dim.value(value_of(symbols_)));
    return out;
  }

  /// `last_read`: values that no later op reads.
  Status run(const Op& op, const std::vector<int>& last_read = {}) {
    const auto free_them = [&] {
      for (const int id : last_read) slot(id).reset();
    };
    EvalContext context{op, {}, {}, {}, value_of(symbols_), {}, options_.choices};
    for (const Operand& operand : op.operands) {
      context.operands.push_back(read(operand));
      context.operand_types.push_back(type_of(module_, function_, operand));
    }
    if (op.regions.empty()) free_them();  // now: the op may free them, too, before it is done
    for (const int id : op.results) context.result_types.push_back(function_.values[static_cast<std::size_t>(id)].type);
    // A region cannot return an error through an op's evaluate, so the first one waits here.
    std::optional<Diagnostic> problem;
    context.run_region = [&](const Region& region, std::vector<Array> inputs) {
      Expected<std::vector<Array>> results = run(region, std::move(inputs));
      if (results) return *std::move(results);
      if (!problem) problem = results.problem();
      return std::vector<Array>(region.yields.size());
    };
    std::vector<Array> results;
    if (op.def->evaluate != nullptr) {
      results = op.def->evaluate(context);
    } else if (!op.def->body.empty()) {
      TRY(results, run_body(op, context));
    } else {
      return error("no-evaluate", fmt::format("`{}` has no reference meaning", text_name(op)));
    }
    if (problem) return *problem;
    for (std::size_t i = 0; i < results.size(); ++i) results[i] = wrapped(results[i], context.result_types[i].dtype);
    if (options_.observer) options_.observer(op, results);
    free_them();
    for (std::size_t i = 0; i < results.size(); ++i) set(op.results[i], std::move(results[i]));
    return done();
  }

  Expected<std::vector<Array>> run(const Region& region, std::vector<Array> inputs) {
    for (std::size_t i = 0; i < region.params.size(); ++i) set(region.params[i], std::move(inputs[i]));
    for (const Op& op : region.ops) CHECK(run(op));
    std::vector<Array> out;
    for (const Operand& operand : region.yields) out.push_back(read(operand));
    return out;
  }

  // A composite, by its body.
  Expected<std::vector<Array>> run_body(const Op& op, EvalContext& context) {
    TRY(const Function body, instantiate_body(module_, function_, op));
    std::vector<Array> inputs;
    for (std::size_t i = 0; i < op.operands.size(); ++i) {
      const bool tensor = op.operands[i].kind == Operand::Kind::value || op.operands[i].kind == Operand::Kind::global;
      if (tensor) inputs.push_back(std::move(context.operands[i]));
    }
    return Interpreter(module_, body, symbols_, {{}, options_.choices}).run(std::move(inputs));
  }

  // Values of the function are freed behind the op that reads them last; those inside regions stay.
  void find_last_uses() {
    dies_after_.resize(function_.ops.size());
    std::vector<int> last(function_.values.size(), -1);
    for (std::size_t i = 0; i < function_.ops.size(); ++i) {
      for_each_operand(function_.ops[i], [&](const Operand& o) {
        if (o.kind == Operand::Kind::value) last[static_cast<std::size_t>(o.id)] = static_cast<int>(i);
      });
    }
    const auto keep = [&](const Operand& o) {
      if (o.kind == Operand::Kind::value) last[static_cast<std::size_t>(o.id)] = -1;
    };
    std::ranges::for_each(function_.results, keep);
    for (const Update& update : function_.updates) keep(update.value);
    for (std::size_t id = 0; id < last.size(); ++id) {
      if (last[id] >= 0) dies_after_[static_cast<std::size_t>(last[id])].push_back(static_cast<int>(id));
    }
  }

  const Module& module_;
  const Function& function_;
  const SymbolValues& symbols_;
  InterpretOptions options_;
  std::vector<std::optional<Array>> values_;
  std::vector<std::vector<int>> dies_after_;
};

Status check_symbols(const Function& function, const SymbolValues& symbols) {
  for (const Value& value : function.values) {
    for (const Dim& dim : value.type.shape) {
      for (const std::string& name : dim.symbols()) {
        if (!symbols.contains(name)) return error("input-symbol", fmt::format("symbol `{}` has no value", name));
      }
    }
  }
  return done();
}

Status check_input(const Function& function, std::size_t i, const Array& input, const ValueOf& of) {
  const Value& param = function.values[static_cast<std::size_t>(function.params[i])];
  std::vector<std::int64_t> shape;
  for (const Dim& dim : param.type.shape) shape.push_back(dim.value(of));
  if (input.shape() != shape || exact_type(input.dtype()) != exact_type(param.type.dtype)) {
    return error("input-type", fmt::format("%{} is {}[{}], expected {} with [{}]", param.name, name_of(input.dtype()),
                                           fmt::join(input.shape(), ","), str(param.type), fmt::join(shape, ",")));
  }
  return done();
}

}  // namespace

Expected<std::vector<Array>> interpret(const Module& module, const Function& function, std::vector<Array> inputs,
                                       const SymbolValues& symbols, const InterpretOptions& options) {
  if (inputs.size() != function.params.size()) {
    return error("input-count", fmt::format("`{}` takes {}, found {}", function.name,
                                            text::count_of(function.params.size(), "input"), inputs.size()));
  }
  CHECK(check_symbols(function, symbols));
  CHECK(check_weights(module, function));
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    CHECK(check_input(function, i, inputs[i], value_of(symbols)));
    const DType type = function.values[static_cast<std::size_t>(function.params[i])].type.dtype;
    inputs[i] = wrapped(inputs[i], type);
  }
  return Interpreter(module, function, symbols, options).run(std::move(inputs));
}

Expected<std::vector<Array>> interpret(const Module& module, std::string_view function, std::vector<Array> inputs,
                                       const SymbolValues& symbols, const InterpretOptions& options) {
  const Function* found = module.function(function);
  if (found == nullptr) return error("function-unknown", fmt::format("the module has no function `{}`", function));
  return interpret(module, *found, std::move(inputs), symbols, options);
}

}  // namespace tusk::graph
