#include "ir/graph/gradients.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <iterator>

#include "ir/graph/backward.hpp"
#include "ir/graph/op.hpp"

namespace tusk::graph {

Expected<std::vector<Operand>> append_backward(Module& module, Function& function,
                                               const std::vector<std::pair<Operand, Operand>>& seeds,
                                               const std::vector<Operand>& wanted) {
  std::vector<Op> ops;
  Builder b(module, function, ops);
  Cotangents cotangents;
  for (const auto& [of, dy] : seeds) cotangents.add(b, of, dy);
  CHECK(backward(b, function.ops, cotangents, wanted));
  std::vector<Operand> gradients;
  for (const Operand& x : wanted) {
    const std::optional<Operand> dx = cotangents.find(x);
    gradients.push_back(dx ? *dx : b.fill(b.type(x), 0));
  }
  if (b.problem) return *b.problem;
  std::ranges::move(ops, std::back_inserter(function.ops));
  return gradients;
}

Expected<std::vector<Operand>> append_gradients(Module& module, Function& function, const Operand& loss,
                                                const std::vector<Operand>& wanted) {
  const Type type = type_of(module, function, loss);
  if (!is_float(type.dtype) || !type.shape.empty()) {
    return error("loss-type", fmt::format("a loss is a floating scalar, found {}", str(type)));
  }
  Builder b(module, function, function.ops);
  const Operand one = b.fill(type, 1);
  return append_backward(module, function, {{loss, one}}, wanted);
}

}  // namespace tusk::graph
