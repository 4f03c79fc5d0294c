#include "tools/verify.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <vector>

#include "driver/compiled.hpp"
#include "frontend/files/npy.hpp"

namespace tusk {
namespace {

using Arrays = std::map<std::string, Array>;

std::string plain(std::string_view name) {
  std::string out;
  for (const char c : name) out += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  while (!out.empty() && out.back() == '_') out.pop_back();
  return out;
}

// An array under PREFIX by the tensor's name, by its number, or as the only one.
const Array* find(const Arrays& arrays, const std::string& prefix, const std::string& name, std::size_t number,
                  bool single) {
  const auto end = arrays.lower_bound(prefix + "\x7f");
  const Array* last = nullptr;
  for (auto it = arrays.lower_bound(prefix); it != end; ++it) {
    const std::string key = it->first.substr(prefix.size());
    if (key == name || plain(key) == plain(name) || key == std::to_string(number)) return &it->second;
    last = &it->second;
  }
  return single ? last : nullptr;
}

// The largest difference over the largest recorded value; NaN and inf must stand where they are recorded.
double difference(const Array& found, const Array& recorded) {
  double largest = 0;
  double worst = 0;
  for (std::int64_t i = 0; i < found.size(); ++i) {
    const double expected = recorded.at(i);
    const double value = found.at(i);
    if (std::isnan(expected) && std::isnan(value)) continue;
    if (std::isinf(expected) && value == expected) continue;
    if (std::isfinite(expected)) largest = std::max(largest, std::abs(expected));
    const double apart = std::abs(value - expected);
    worst = std::isfinite(apart) ? std::max(worst, apart) : INFINITY;
  }
  return largest > 0 ? worst / largest : worst;
}

}  // namespace

Status verify_folder(const VerifyOptions& options) {
  TRY(const Arrays arrays, read_npz(options.recording));
  TRY(const CompiledModel model, CompiledModel::load(options.folder));
  std::vector<std::string> calls;
  for (const auto& [key, array] : arrays) {
    const std::size_t at = key.find("out/");
    if (at == std::string::npos) continue;
    const std::string prefix = key.substr(0, at);
    const bool known =
        prefix.empty() || ((prefix.starts_with("set") || prefix.starts_with("call") || prefix.starts_with("case")) &&
                           prefix.find('/') + 1 == prefix.size());
    if (known && std::find(calls.begin(), calls.end(), prefix) == calls.end()) calls.push_back(prefix);
  }
  if (calls.empty())
    return error("recording", fmt::format("{} records no call: it needs in/NAME and out/NUMBER", options.recording));
  int wrong = 0;
  for (const std::string& prefix : calls) {
    std::vector<Array> inputs;
    for (std::size_t k = 0; k < model.inputs().size(); ++k) {
      const bool single = model.inputs().size() == 1;
      const Array* input = find(arrays, prefix + "in/", model.inputs()[k].name, k, single);
      if (input == nullptr)
        input = find(arrays, "in/", model.inputs()[k].name, k, single);  // call<k> repeats the inputs
      if (input == nullptr)
        return error("recording", fmt::format("{} has no {}in/{}", options.recording, prefix, model.inputs()[k].name));
      inputs.push_back(*input);
    }
    TRY(const std::vector<Array> results, model.predict(inputs));
    for (std::size_t k = 0; k < results.size(); ++k) {
      const Array* recorded = find(arrays, prefix + "out/", std::to_string(k), k, false);
      if (recorded == nullptr) recorded = find(arrays, prefix + "out/", model.outputs()[k].name, k, false);
      if (recorded == nullptr)
        return error("recording", fmt::format("{} has no {}out/{}", options.recording, prefix, k));
      if (recorded->shape() != results[k].shape()) {
        return error("shape", fmt::format("{}out/{} has {} elements, recorded are {} in another shape", prefix, k,
                                          results[k].size(), recorded->size()));
      }
      const double apart = difference(results[k], *recorded);
      const bool good = apart <= options.rtol;
      wrong += good ? 0 : 1;
      fmt::print("{} {}out/{} {}: {:.2e}\n", good ? "ok   " : "WRONG", prefix, k, model.outputs()[k].name, apart);
    }
  }
  if (wrong > 0)
    return error("verify",
                 fmt::format("{} outputs differ by more than {} of their largest value", wrong, options.rtol));
  return done();
}

}  // namespace tusk
