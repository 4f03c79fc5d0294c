#include "frontend/model/written_shapes.hpp"

#include "frontend/model/trace.hpp"

namespace tusk {
namespace {

std::vector<Shape> results_for(const Node& node, const std::vector<Shape>& inputs) {
  Trace trace("call", Trace::Weights::described);
  std::vector<Tensor> values;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    values.push_back(trace.parameter("x", {node.inputs[i].dtype(), inputs[i]}));
  return node.with(std::move(values), [&](const std::vector<Tensor>& reads, Call call) {
    call.training = false;
    std::vector<Shape> shapes;
    for (const Tensor& result : trace.run(*node.layer, reads, call)) shapes.push_back(result.shape());
    return shapes;
  });
}

const Shape& written(const WrittenShapes& shapes, const Tensor& tensor) {
  const Tensor::Result& of = *tensor.result();
  return shapes.at(of.node.get())[static_cast<std::size_t>(of.index)];
}

WrittenShapes written_shapes(const FunctionalImpl& model, const std::vector<Shape>& given);

std::vector<Shape> results_of(const Node& node, const std::vector<Shape>& inputs) {
  std::vector<Shape> results;
  for (const graph::Type& output : node.outputs) results.push_back(output.shape);
  if (const auto* inner = dynamic_cast<const FunctionalImpl*>(node.layer.get())) {
    const WrittenShapes shapes = written_shapes(*inner, inputs);
    for (std::size_t i = 0; i < results.size(); ++i) results[i] = written(shapes, inner->outputs[i]);
    return results;
  }
  bool as_computed = true;
  for (std::size_t i = 0; i < inputs.size(); ++i) as_computed = as_computed && inputs[i] == node.inputs[i].shape();
  if (as_computed) return results;
  try {
    return results_for(node, inputs);
  } catch (const Error&) {  // Keras could not call the model either: only its summary can be had
    return results;
  }
}

// `given`: of what the model is called on; empty: as its inputs say.
WrittenShapes written_shapes(const FunctionalImpl& model, const std::vector<Shape>& given) {
  WrittenShapes out;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const Shape& declared = model.inputs[i].shape();
    const bool fits = given[i].size() == declared.size();
    out[model.inputs[i].result()->node.get()] = {fits ? given[i] : declared};
  }
  for (const auto& node : model.nodes) {
    if (out.contains(node.get())) continue;
    std::vector<Shape> inputs;
    for (const Tensor& input : node->inputs) inputs.push_back(written(out, input));
    out[node.get()] = node->layer->written_shapes(inputs, results_of(*node, inputs));
  }
  return out;
}

}  // namespace

WrittenShapes written_shapes(const FunctionalImpl& model) { return written_shapes(model, {}); }

}  // namespace tusk
