#include "ir/graph/callable.hpp"

#include "driver/compile.hpp"
#include "driver/compiled.hpp"
#include "driver/temporary_folder.hpp"

namespace tusk::graph {
namespace {

class Compiled final : public Callable {
 public:
  explicit Compiled(CompiledModel model) : model_(std::move(model)) {}
  Expected<std::vector<Array>> operator()(const std::vector<Array>& inputs) const override {
    return model_.predict(inputs);
  }

 private:
  CompiledModel model_;
};

}  // namespace

Expected<std::shared_ptr<const Callable>> make_callable(Module module) {
  CompileOptions options;
  options.profile = module.profile;
  options.self_test = false;
  options.embed_weights = false;  // the code does not depend on them, so it is found again
  TRY(const auto files, compile(std::move(module), options));
  TRY(const TemporaryFolder folder, TemporaryFolder::make());
  CHECK(write_files(folder.path().string(), files));
  TRY(CompiledModel model, CompiledModel::load_cached(folder.path().string(), "-O2"));
  return std::shared_ptr<const Callable>(std::make_shared<Compiled>(std::move(model)));
}

}  // namespace tusk::graph
