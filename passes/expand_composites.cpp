#include "passes/expand_composites.hpp"

#include "ir/graph/inline.hpp"

namespace tusk {

Status expand_composites(graph::Module& module) {
  for (graph::Function& function : module.functions) {
    CHECK(graph::expand_composites(module, function, function.ops));
  }
  return done();
}

}  // namespace tusk
