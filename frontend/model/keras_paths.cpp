#include "frontend/model/keras_paths.hpp"

namespace tusk {
namespace {

void add_paths(const LayerBase& layer, const std::string& outer, std::map<Variable, std::string>& out) {
  if (const auto* model = dynamic_cast<const FunctionalImpl*>(&layer)) {
    for (const Layer& inner : model->layers) add_paths(inner.base(), "", out);
    return;
  }
  const std::string path = outer + layer.name() + "/";
  for (const Variable& variable : layer.own_weights()) out.try_emplace(variable, path + variable.name());
  for (const Layer& inner : layer.children()) add_paths(inner.base(), path, out);
}

}  // namespace

std::map<Variable, std::string> keras_paths(const Model& model) {
  std::map<Variable, std::string> out;
  add_paths(model.base(), "", out);
  return out;
}

}  // namespace tusk
