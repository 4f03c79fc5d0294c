// Files of weights as Keras would lay them out, for tests.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hdf5_bytes.hpp"

namespace tusk::test {

/// A tree of groups and datasets. '|' stands between the names of a path.
struct Tree {
  std::map<std::string, Tree> children;
  std::optional<float> value;
  std::vector<Hdf5Bytes::Message> attributes;

  Tree& at(std::string_view path) {
    if (path.empty()) return *this;
    const std::size_t end = std::min(path.find('|'), path.size());
    return children[std::string(path.substr(0, end))].at(path.substr(std::min(end + 1, path.size())));
  }
  std::uint64_t write(Hdf5Bytes& file) const {
    if (value) return file.floats({1}, {*value});
    std::vector<Hdf5Bytes::Message> messages = attributes;
    for (const auto& [name, child] : children) messages.push_back(Hdf5Bytes::link(name, child.write(file)));
    return file.group(messages);
  }
  Bytes file() const {
    Hdf5Bytes out;
    const std::uint64_t root = write(out);
    return out.file(root);
  }
};

/// A file of groups: every path is a dataset of one float, 0, 1, 2, ... in the order given; a path that ends in '|' is
/// an empty group.
inline Tree groups(const std::vector<std::string>& paths) {
  Tree root;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (paths[i].ends_with('|')) {
      root.at(paths[i].substr(0, paths[i].size() - 1));
    } else {
      root.at(paths[i]).value = static_cast<float>(i);
    }
  }
  return root;
}

/// A legacy file: the weights of each layer, numbered through.
inline Tree lists(const std::vector<std::pair<std::string, std::vector<std::string>>>& layers) {
  Tree root;
  std::vector<std::string> names;
  float value = 0;
  for (const auto& [layer, weights] : layers) {
    if (layer != "top_level_model_weights") names.push_back(layer);
    Tree& group = root.at(layer);
    group.attributes.push_back(Hdf5Bytes::strings("weight_names", weights));
    for (std::string weight : weights) {
      std::replace(weight.begin(), weight.end(), '/', '|');
      group.at(weight).value = value++;
    }
  }
  root.attributes.push_back(Hdf5Bytes::strings("layer_names", names));
  return root;
}

}  // namespace tusk::test
