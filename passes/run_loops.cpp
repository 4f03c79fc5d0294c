#include "passes/run_loops.hpp"

#include <fmt/format.h>
#include <algorithm>

#include "ir/loop/interpret.hpp"
#include "passes/lower_program.hpp"

namespace tusk {

Expected<std::vector<Array>> run_loops(const kernel::Program& program, const loop::Module& loops, std::string_view name,
                                       const std::vector<Array>& inputs, const Symbols& symbols, std::byte poison,
                                       States* states) {
  const auto found = std::find_if(program.functions.begin(), program.functions.end(),
                                  [&](const kernel::Function& f) { return f.name == name; });
  if (found == program.functions.end()) return error("run", fmt::format("there is no function `{}`", name));
  const kernel::Function& function = *found;
  const ValueOf value_of = [&](std::string_view symbol) -> std::int64_t {
    const auto it = symbols.find(std::string(symbol));
    return it == symbols.end() ? 1 : it->second;
  };
  const auto shape_of = [&](const kernel::Tensor& tensor) {
    std::vector<std::int64_t> shape;
    for (const Dim& dim : tensor.shape) shape.push_back(dim.value(value_of));
    return shape;
  };
  const auto tensor = [&](int id) -> const kernel::Tensor& { return function.tensors[static_cast<std::size_t>(id)]; };
  std::vector<Array> in = inputs;
  for (std::size_t k = 0; k < function.inputs.size(); ++k) {
    const kernel::Tensor& t = tensor(function.inputs[k]);
    if (k >= in.size() || in[k].dtype() != t.type || in[k].shape() != shape_of(t)) {
      return error("run", fmt::format("input {} of {} needs {}{}", k, name, name_of(t.type), shape_str(t.shape)));
    }
  }
  std::vector<Array> results;
  for (const int id : function.outputs) {
    results.emplace_back(tensor(id).type, shape_of(tensor(id)));
    if (tensor(id).type != DType::boolean) std::ranges::fill(results.back().writable_bytes(), poison);
  }
  std::vector<Array> constants;
  for (const int id : global_tensors(function, kernel::Tensor::Place::constant))
    constants.push_back(program.globals[static_cast<std::size_t>(tensor(id).global)].value);
  std::vector<std::pair<std::string, Array>> changing;
  for (const int id : global_tensors(function, kernel::Tensor::Place::state)) {
    const kernel::Global& state = program.globals[static_cast<std::size_t>(tensor(id).global)];
    const bool given = states != nullptr && states->contains(state.path);
    changing.emplace_back(state.path, given ? states->at(state.path) : state.value);
  }
  Array arena(DType::u8, {std::max<std::int64_t>(64, function.arena_bytes)});
  std::ranges::fill(arena.writable_bytes(), poison);
  std::vector<loop::BufferArg> buffers;
  const auto add = [&](Array& array) {
    const std::span<std::byte> bytes = array.writable_bytes();
    buffers.push_back({bytes.data(), static_cast<std::int64_t>(bytes.size())});
  };
  for (Array& array : in) add(array);
  for (Array& array : results) add(array);
  for (Array& array : constants) add(array);
  for (auto& [path, value] : changing) add(value);
  add(arena);
  std::vector<std::int64_t> scalars;
  for (const loop::Scalar& scalar : loops.func(name)->scalars) scalars.push_back(value_of(scalar.name));
  loop::Interpreter interpreter(loops, program.profile == "muladd" ? loop::Profile::muladd : loop::Profile::fma);
  CHECK(interpreter.run(name, buffers, scalars));
  for (std::size_t k = 0; k < in.size(); ++k) {
    if (!std::ranges::equal(in[k].bytes(), inputs[k].bytes()))
      return error("run", fmt::format("input {} of {} was written", k, name));
  }
  if (states != nullptr) {
    for (auto& [path, value] : changing) states->insert_or_assign(path, std::move(value));
  }
  return results;
}

}  // namespace tusk
