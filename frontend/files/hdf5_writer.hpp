// HDF5 files as h5py and our reader take them: groups, whole arrays and texts. The same bytes for the same tree.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/files/bytes.hpp"
#include "ir/base/array.hpp"
#include "ir/base/expected.hpp"

namespace tusk {

/// A group, or a dataset where there is an array.
struct Hdf5Tree {
  std::map<std::string, Hdf5Tree> children;  // of a group
  std::optional<Array> array;
  std::map<std::string, std::string> attributes;          // UTF-8
  std::map<std::string, std::vector<std::string>> lists;  // attributes, too; an empty one has numbers, as h5py makes it

  /// What stands at a path, names joined by '/'; new groups where there is nothing.
  Hdf5Tree& at(std::string_view path);
};

/// A whole file. bf16 is written as Keras does: 2 opaque bytes, with the attribute dtype = "bfloat16". Refuses a group
/// with more than 65,000 members, names over 60,000 bytes and lists over 4000 texts, which the old form of the format
/// cannot hold.
Expected<Bytes> hdf5_bytes(const Hdf5Tree& root);

}  // namespace tusk
