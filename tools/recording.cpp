#include "tools/recording.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

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

// An array under a prefix: by the tensor's name, by what is left of it in file names, by its number, or as the only one
// there (Keras renames the input of a Sequential model).
const Array* find(const Arrays& arrays, const std::string& prefix, const std::string& name, std::size_t number,
                  bool single) {
  std::vector<std::pair<std::string, const Array*>> there;
  for (auto it = arrays.lower_bound(prefix); it != arrays.end() && it->first.starts_with(prefix); ++it)
    there.emplace_back(it->first.substr(prefix.size()), &it->second);
  const auto first = [&](const auto& fits) {
    const auto found = std::ranges::find_if(there, [&](const auto& entry) { return fits(entry.first); });
    return found == there.end() ? nullptr : found->second;
  };
  if (const Array* array = first([&](const std::string& key) { return key == name; })) return array;
  if (const Array* array = first([&](const std::string& key) { return plain(key) == plain(name); })) return array;
  if (const Array* array = first([&](const std::string& key) { return key == std::to_string(number); })) return array;
  return single && !there.empty() ? there.back().second : nullptr;
}

// "call1/" of "call1/out/0".
std::optional<std::string> call_of(const std::string& key) {
  const std::size_t at = key.find("out/");
  if (at == std::string::npos) return std::nullopt;
  const std::string prefix = key.substr(0, at);
  const bool known = prefix.starts_with("set") || prefix.starts_with("call") || prefix.starts_with("case");
  if (prefix.empty() || (known && prefix.find('/') + 1 == prefix.size())) return prefix;
  return std::nullopt;
}

}  // namespace

Expected<std::vector<RecordedCall>> recorded_calls(const std::string& file, const std::vector<std::string>& inputs,
                                                   const std::vector<std::string>& outputs) {
  TRY(const Arrays arrays, read_npz(file));
  std::vector<RecordedCall> calls;
  for (const auto& [key, array] : arrays) {
    const std::optional<std::string> prefix = call_of(key);
    const bool known = std::ranges::any_of(calls, [&](const RecordedCall& c) { return c.prefix == prefix; });
    if (!prefix || known) continue;
    RecordedCall call{*prefix, {}, {}};
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      const Array* input = find(arrays, *prefix + "in/", inputs[k], k, inputs.size() == 1);
      if (input == nullptr) input = find(arrays, "in/", inputs[k], k, inputs.size() == 1);
      if (input == nullptr) return error("recording", fmt::format("{} has no {}in/{}", file, *prefix, inputs[k]));
      call.inputs.push_back(*input);
    }
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      const Array* output = find(arrays, *prefix + "out/", std::to_string(k), k, false);
      if (output == nullptr) output = find(arrays, *prefix + "out/", outputs[k], k, false);
      if (output == nullptr) return error("recording", fmt::format("{} has no {}out/{}", file, *prefix, k));
      call.outputs.push_back(*output);
    }
    calls.push_back(std::move(call));
  }
  return calls;
}

}  // namespace tusk
