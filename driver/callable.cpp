#include "ir/graph/callable.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "driver/compile.hpp"
#include "driver/compiled.hpp"
#include "driver/temporary_folder.hpp"

namespace tusk::graph {
namespace {

class Compiled final : public Callable {
 public:
  explicit Compiled(CompiledModel model) : model_(std::move(model)), states_(model_.make_state()) {}

  Expected<std::vector<Array>> operator()(std::string_view function, const std::vector<Array>& inputs) override {
    return model_.call(function, inputs, states_.get());
  }

  bool has_state(std::string_view path) const { return static_cast<bool>(named(path)); }

  Expected<Array> state(std::string_view path) const override {
    TRY(const CompiledModel::Variable* variable, named(path));
    Array out(variable->type, variable->shape);
    const std::span<std::byte> bytes = out.writable_bytes();
    std::memcpy(bytes.data(), static_cast<const std::byte*>(states_.get()) + variable->offset, bytes.size());
    return out;
  }

  Status set_state(std::string_view path, const Array& value) override {
    TRY(const CompiledModel::Variable* variable, named(path));
    if (value.shape() != variable->shape) return error("state", fmt::format("@{} has another shape", path));
    const Array converted = value.converted(variable->type);
    std::memcpy(static_cast<std::byte*>(states_.get()) + variable->offset, converted.bytes().data(),
                converted.bytes().size());
    return done();
  }

 private:
  Expected<const CompiledModel::Variable*> named(std::string_view path) const {
    const auto found = std::ranges::find(model_.variables(), path, &CompiledModel::Variable::path);
    if (found == model_.variables().end()) return error("state", fmt::format("there is no state @{}", path));
    return &*found;
  }

  CompiledModel model_;
  CompiledModel::State states_;
};

}  // namespace

Expected<std::shared_ptr<Callable>> make_callable(Module module) {
  EmitOptions options;
  options.profile = module.profile;
  options.self_test = false;
  options.embed_weights = false;  // the code does not depend on them, so it is found again
  options.initial_states = false;
  TRY(options.passes.target, target_named("native"));
  const std::vector<Global> globals = module.globals;
  TRY(const auto files, compile(std::move(module), options));
  TRY(const TemporaryFolder folder, TemporaryFolder::make());
  CHECK(write_files(folder.path().string(), files));
  TRY(CompiledModel model, CompiledModel::load_cached(folder.path().string(), "-O2 -march=native"));
  auto compiled = std::make_shared<Compiled>(std::move(model));
  for (const Global& global : globals) {
    if (compiled->has_state(global.path)) CHECK(compiled->set_state(global.path, global.value));
  }
  return std::shared_ptr<Callable>(std::move(compiled));
}

}  // namespace tusk::graph
