// model.weights.h5: `PATH/vars/N` holds the N-th variable of the object at PATH; its children stand at PATH/ATTRIBUTE,
// the elements of a list at PATH/ATTRIBUTE/CLASS, PATH/ATTRIBUTE/CLASS_1, ... counted in the order of the list.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "frontend/files/bytes.hpp"
#include "frontend/import/weight_stores.hpp"

namespace tusk {
namespace {

// What else Keras saves beside the layers of a model, by the names of the model's attributes.
const std::set<std::string, std::less<>> kNotLayers = {"optimizer", "metrics", "loss_tracker", "compiled_metrics",
                                                       "compiled_loss"};
// Keras 2.12 and 2.13 reach the layers by this attribute first.
constexpr std::string_view kOldLayers = "_layer_checkpoint_dependencies";

// Parts of Keras' own layers in the order in which their variables stand in `weights`.
constexpr std::array<std::string_view, 17> kPartOrder = {
    "cell",         "cells",         "forward_layer", "backward_layer", "query_dense", "_query_dense",
    "key_dense",    "_key_dense",    "gate_dense",    "_gate_dense",    "value_dense", "_value_dense",
    "output_dense", "_output_dense", "layer",         "layers",         kOldLayers};

std::size_t part_rank(std::string_view part) {
  return static_cast<std::size_t>(std::find(kPartOrder.begin(), kPartOrder.end(), part) - kPartOrder.begin());
}

/// Attributes of a layer: Keras' own parts first, then public names, then private ones.
bool part_before(const std::string& a, const std::string& b) {
  const auto key = [](const std::string& part) { return std::pair(part_rank(part), part.starts_with('_')); };
  return key(a) != key(b) ? key(a) < key(b) : a < b;
}

/// The number of a group CLASS_N of a list; CLASS alone is the first.
std::optional<std::uint64_t> list_number(std::string_view group, std::string_view class_group) {
  if (group == class_group) return 0;
  if (!group.starts_with(class_group) || group[class_group.size()] != '_') return std::nullopt;
  group.remove_prefix(class_group.size() + 1);
  std::uint64_t number = 0;
  const auto [end, code] = std::from_chars(group.data(), group.data() + group.size(), number);
  if (code != std::errc() || end != group.data() + group.size() || number == 0) return std::nullopt;
  return number;
}

/// The name of a layer's group in a list, which comes from its class in Python.
std::string group_name(const LayerWeights& layer) {
  std::string name = snake_case(layer.class_name);
  // The one class that is exported, and named in configurations, by another name than its own.
  return name == "group_query_attention" ? "grouped_query_attention" : name;
}

std::string join_path(const std::string& parent, std::string_view child) {
  return parent.empty() ? std::string(child) : fmt::format("{}/{}", parent, child);
}

class WeightGroups : public Weights::Store {
 public:
  explicit WeightGroups(const Hdf5File& file) : hdf5_(file), file_(file.name()) {}

  Status read();
  Status fill(LayerWeights& model) override {
    shared_.clear();
    LayerPath path;
    return fill(model, "", path);
  }
  std::vector<std::string> unused() const override {
    std::vector<std::string> paths;
    for (const auto& [path, stored] : arrays_) {
      if (!used_.contains(path)) paths.push_back(path);
    }
    return paths;
  }

  Expected<std::vector<Array>> optimizer() const override {
    std::vector<Array> out;
    for (;;) {
      const std::string path = fmt::format("optimizer/vars/{}", out.size());
      if (!hdf5_.has(path)) return out;
      TRY(Array array, hdf5_.array(path));
      out.push_back(std::move(array));
    }
  }

 private:
  struct Group {
    std::set<std::string, std::less<>> children;
  };

  /// Adds a group and those around it. False if there are too many: a name with many backslashes makes a group of each
  /// of its parts.
  bool add_group(std::string_view path) {
    groups_[std::string(path)];
    while (!path.empty()) {
      const std::size_t cut = path.rfind('/');
      const std::string_view parent = cut == std::string_view::npos ? std::string_view() : path.substr(0, cut);
      const std::string_view child = cut == std::string_view::npos ? path : path.substr(cut + 1);
      taken_ += kGroup + 2 * path.size();
      if (taken_ > kMaxTaken) return false;
      if (!groups_[std::string(parent)].children.insert(std::string(child)).second) return true;
      path = parent;
    }
    return true;
  }

  bool has(const std::string& path) const { return groups_.contains(path); }
  const std::set<std::string, std::less<>>& children(const std::string& path) const {
    static const std::set<std::string, std::less<>> kNone;
    const auto found = groups_.find(path);
    return found == groups_.end() ? kNone : found->second.children;
  }

  /// Paths of the variables that an object holds itself.
  std::vector<std::string> own_variables(const std::string& path) const {
    std::vector<std::string> paths;
    while (true) {
      std::string next = join_path(path, fmt::format("vars/{}", paths.size()));
      if (!arrays_.contains(next)) return paths;
      paths.push_back(std::move(next));
    }
  }

  void all_variables(const std::string& path, std::vector<std::string>& out) const {
    for (std::string& variable : own_variables(path)) out.push_back(std::move(variable));
    std::vector<std::string> parts(children(path).begin(), children(path).end());
    std::sort(parts.begin(), parts.end(), part_before);
    for (const std::string& part : parts) {
      if (part != "vars") all_variables(join_path(path, part), out);
    }
  }

  /// Where a layer's group is: a shared layer was saved where Keras met it first.
  std::string locate(const LayerWeights& layer, std::string group) {
    if (layer.shared.empty()) return group;
    std::vector<std::string> here;
    all_variables(group, here);
    const auto first = shared_.find(layer.shared);
    if (here.empty() && first != shared_.end()) return first->second;
    if (!here.empty()) shared_.emplace(layer.shared, group);
    return group;
  }

  /// Variables of a layer without those of the layers inside it, or with them, in the order of Keras' `weights`.
  std::vector<std::string> variables_of(const LayerWeights& layer, const std::string& group, bool with_inner);

  /// Groups of the layers inside a layer.
  std::vector<std::string> inner_groups(const LayerWeights& layer, const std::string& path) const;
  Status fill(LayerWeights& layer, const std::string& group, LayerPath& path);

  static constexpr std::size_t kGroup = 128;
  static constexpr std::size_t kMaxTaken = std::size_t{16} << 20;

  Hdf5File hdf5_;
  std::string file_;
  std::size_t taken_ = 0;  // bytes of groups_, about
  std::map<std::string, Group, std::less<>> groups_;
  std::map<std::string, std::string, std::less<>> arrays_;  // how the file writes each path
  std::set<std::string, std::less<>> used_;
  std::map<std::string, std::string> shared_;  // groups of shared layers, by their key
};

Status WeightGroups::read() {
  TRY(const Hdf5File::Tree tree, hdf5_.tree("", kNotLayers));
  // On Windows, Keras 2 joined the names by backslashes.
  const auto portable = [](std::string path) {
    std::replace(path.begin(), path.end(), '\\', '/');
    return path;
  };
  const auto is_layer = [](std::string_view path) { return !kNotLayers.contains(path.substr(0, path.find('/'))); };
  groups_[""];
  for (const std::string& stored : tree.groups) {
    const std::string path = portable(stored);
    if (is_layer(path) && !add_group(path))
      return error("weights", fmt::format("{} has too many groups", in_quotes(file_)));
  }
  for (const std::string& stored : tree.datasets) {
    const std::string path = portable(stored);
    if (!is_layer(path)) continue;
    if (!arrays_.emplace(path, stored).second) {
      return error("weights", fmt::format("{} has {} twice", in_quotes(file_), in_quotes(path)));
    }
  }
  if (!has("vars") && !has("layers") && arrays_.empty()) {
    return error("weights", fmt::format("{} holds no weights of Keras", in_quotes(file_)));
  }
  return done();
}

std::vector<std::string> WeightGroups::inner_groups(const LayerWeights& layer, const std::string& path) const {
  const std::string kind = snake_case(layer.class_name);
  std::vector<std::string> groups;
  for (const LayerWeights& inner : layer.layers) {
    if (!inner.part.empty()) groups.push_back(join_path(path, inner.part));
  }
  if (!groups.empty()) return groups;
  if (kind == "bidirectional" && layer.layers.size() == 2) {
    return {join_path(path, "forward_layer"), join_path(path, "backward_layer")};
  }
  std::string list = join_path(path, kind == "stacked_rnn_cells" ? "cells" : "layers");
  const std::string old_list = join_path(path, kOldLayers);
  // By rank: layers with weights were met twice, so their numbers go by twos.
  const bool by_rank = !has(list) && has(old_list);
  if (by_rank) list = old_list;
  if (!has(list) && layer.layers.size() == 1) {
    for (const std::string_view part : {"layer", "cell"}) {
      if (has(join_path(path, part))) return {join_path(path, part)};
    }
  }
  std::map<std::string, std::size_t> met;
  for (const LayerWeights& inner : layer.layers) {
    const std::string name = group_name(inner);
    std::uint64_t number = met[name]++;
    if (by_rank) {
      std::vector<std::uint64_t> numbers;
      for (const std::string& child : children(list)) {
        if (const auto n = list_number(child, name)) numbers.push_back(*n);
      }
      std::sort(numbers.begin(), numbers.end());
      number = number < numbers.size() ? numbers[number] : ~std::uint64_t{0};
    }
    groups.push_back(join_path(list, number == 0 ? name : fmt::format("{}_{}", name, number)));
  }
  return groups;
}

std::vector<std::string> WeightGroups::variables_of(const LayerWeights& layer, const std::string& group,
                                                    bool with_inner) {
  std::vector<std::string> paths = own_variables(group);
  if (snake_case(layer.class_name) == "spectral_normalization" && paths.size() == 2) {
    // The wrapper saves the kernel of its layer once more, before its vector.
    std::vector<std::string> inner;
    all_variables(join_path(group, "layer"), inner);
    if (with_inner && !inner.empty()) {
      used_.insert(inner[0]);
      paths.insert(paths.end(), inner.begin() + 1, inner.end());
    } else if (!with_inner) {
      used_.insert(paths[0]);
      paths.erase(paths.begin());
    }
    return paths;
  }
  if (!with_inner) return paths;
  if (layer.layers.empty()) {
    paths.clear();
    all_variables(group, paths);
    return paths;
  }
  const std::vector<std::string> groups = inner_groups(layer, group);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const LayerWeights& inner = layer.layers[i];
    for (std::string& path : variables_of(inner, locate(inner, groups[i]), true)) paths.push_back(std::move(path));
  }
  return paths;
}

Status WeightGroups::fill(LayerWeights& layer, const std::string& nominal_group, LayerPath& path) {
  const std::string group = locate(layer, nominal_group);
  const bool with_inner = layer.layers.empty() || wants_inner(layer);
  const std::vector<std::string> found = variables_of(layer, group, with_inner);
  if (!layer.any && found.size() != layer.variables.size()) {
    return weight_error(
        path, fmt::format("layer {} has {}, {} has {} at {}", in_quotes(layer.name), count_text(layer.variables),
                          in_quotes(file_), found.size(), group.empty() ? "its root" : group));
  }
  layer.arrays.clear();
  for (std::size_t i = 0; i < found.size(); ++i) {
    const VariableSpec* variable = layer.any ? nullptr : &layer.variables[i];
    TRY(Array array, read_weight(hdf5_, arrays_.find(found[i])->second, path, variable));
    used_.insert(found[i]);
    layer.arrays.push_back(std::move(array));
  }
  if (with_inner) return done();
  const std::vector<std::string> groups = inner_groups(layer, group);
  for (std::size_t i = 0; i < layer.layers.size(); ++i) {
    path.push_back(layer.layers[i].name);
    CHECK(fill(layer.layers[i], groups[i], path));
    path.pop_back();
  }
  return done();
}

}  // namespace

Expected<std::shared_ptr<Weights::Store>> read_weight_groups(const Hdf5File& file) {
  auto store = std::make_shared<WeightGroups>(file);
  CHECK(store->read());
  return std::shared_ptr<Weights::Store>(std::move(store));
}

}  // namespace tusk
