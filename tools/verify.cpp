#include "tools/verify.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <vector>

#include "driver/compiled.hpp"
#include "ir/base/compare.hpp"
#include "ir/base/printable.hpp"
#include "tools/recording.hpp"
#include "tools/trace_layers.hpp"

namespace tusk {
namespace {

std::vector<std::string> names_of(const std::vector<CompiledModel::Tensor>& tensors) {
  std::vector<std::string> names;
  for (const CompiledModel::Tensor& tensor : tensors) names.push_back(tensor.name);
  return names;
}

}  // namespace

Status verify_folder(const VerifyOptions& options) {
  TRY(const CompiledModel model, CompiledModel::load(options.folder));
  if (!model.has_function("predict"))
    return error("call",
                 fmt::format("{} has no function predict, which recorded calls are compared with", options.folder))
        .note("tusk compile --functions predict,train_step gives both");
  if (!options.model.empty()) {
    TRY(const std::string other, other_model(options));
    if (!other.empty()) fmt::print(stderr, "note: {}\n", printable(other));
  }
  TRY(const std::vector<RecordedCall> calls,
      recorded_calls(options.recording, names_of(model.inputs()), names_of(model.outputs())));
  if (calls.empty())
    return error("recording", fmt::format("{} records no call: it needs in/NAME and out/NUMBER", options.recording));
  if (options.rtol && !(*options.rtol >= 0))
    return error("option", fmt::format("--rtol {}: expected a number from 0 on", *options.rtol));
  const double rtol = options.rtol.value_or(model.tolerance());
  int wrong = 0;
  const RecordedCall* first_wrong = nullptr;
  for (const RecordedCall& call : calls) {
    TRY(const std::vector<Array> results, model.predict(call.inputs));
    for (std::size_t k = 0; k < results.size(); ++k) {
      if (call.outputs[k].shape() != results[k].shape()) {
        return error("shape", fmt::format("{}out/{} has {} elements, recorded are {} in another shape", call.prefix, k,
                                          results[k].size(), call.outputs[k].size()));
      }
      const double apart = relative_difference(results[k], call.outputs[k]);
      const bool good = apart <= rtol;
      wrong += good ? 0 : 1;
      if (!good && first_wrong == nullptr) first_wrong = &call;
      fmt::print("{} {}out/{} {}: {:.2e}\n", good ? "ok   " : "WRONG", call.prefix, k,
                 printable(model.outputs()[k].name), apart);
    }
  }
  if (first_wrong == nullptr) return done();
  Diagnostic problem = error(
      "verify", wrong == 1 ? fmt::format("1 output differs by more than {} of its largest value", rtol)
                           : fmt::format("{} outputs differ by more than {} of their largest value", wrong, rtol));
  if (options.model.empty()) {
    problem.note("with --model FILE, the first layer that differs is named");
  } else {
    TRY(const std::string finding, first_difference(options, first_wrong->inputs));
    problem.note(finding);
  }
  return problem;
}

}  // namespace tusk
