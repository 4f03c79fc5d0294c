// A reader of HDF5 files from strangers: it follows hard links only and believes no size.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/files/bytes.hpp"
#include "ir/base/array.hpp"
#include "ir/base/expected.hpp"

namespace tusk {

/// True if the bytes begin with HDF5's signature.
bool looks_like_hdf5(std::span<const std::byte> bytes);

/// A file in memory. Paths are names joined by '/', from the root. Soft, external and user-defined links, external and
/// virtual storage and filters other than deflate and shuffle are refused before their target is touched. So are the
/// newer indices of chunks and layouts before version 3, which h5py does not write by itself. Copies share the file,
/// and what they remember of it: one thread at a time.
class Hdf5File {
 public:
  /// `name` stands for the file in messages. `stored` is the size of the archive that it came out of, if it did: a
  /// small archive holds no more for being packed twice.
  static Expected<Hdf5File> from_bytes(Bytes bytes, std::string name, std::optional<std::uint64_t> stored = {});
  static Expected<Hdf5File> open(const std::filesystem::path& path);

  const std::string& name() const { return name_; }

  /// True if a hard link of that path exists.
  bool has(std::string_view path) const;

  struct Tree {
    std::vector<std::string> groups;
    std::vector<std::string> datasets;
  };
  /// Paths of everything below a group, sorted; the group's own members in `skip` are left out unseen. A group that is
  /// reached twice (a cycle of hard links) is refused.
  Expected<Tree> tree(std::string_view group, const std::set<std::string, std::less<>>& skip = {}) const;

  /// An attribute of a group or dataset; nothing if it has none of that name.
  Expected<std::optional<std::string>> string_attribute(std::string_view object, const std::string& attribute) const;
  /// A list of strings. Long lists are split by Keras into NAME0, NAME1, ...; they come joined.
  Expected<std::optional<std::vector<std::string>>> strings_attribute(std::string_view object,
                                                                      const std::string& attribute) const;

  /// The elements of a dataset. 16-bit integers are widened; bfloat16 is recognised by its fields or by Keras'
  /// attribute dtype = "bfloat16".
  Expected<Array> array(std::string_view dataset) const;

 private:
  struct Store;
  Hdf5File() = default;

  std::string name_;
  std::shared_ptr<Store> store_;
};

}  // namespace tusk
