// What an Hdf5File keeps of its file. Only hdf5*.cpp include this.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/files/hdf5.hpp"
#include "frontend/files/hdf5_format.hpp"

namespace tusk {

struct Hdf5File::Store {
  Bytes bytes;
  hdf5::Format format;
  std::string name;
  std::uint64_t root = 0;
  std::map<std::uint64_t, hdf5::Links> groups;  // read so far, by address
  std::uint64_t budget = 0;                     // of all arrays together, in bytes
  std::uint64_t taken = 0;                      // bytes that arrays read so far have needed

  Diagnostic fail(std::string_view object, std::string_view why) const;
  Diagnostic fail(std::string_view object, const Diagnostic& why) const;

  /// Where a link leads; a diagnostic for any but a hard link.
  Expected<std::uint64_t> target(const hdf5::Link& link, std::string_view path) const;
  Expected<const hdf5::Links*> links(std::uint64_t address, const hdf5::Object& object, std::string_view path);
  Expected<hdf5::Object> object(std::uint64_t address, std::string_view path);
  /// The address of a path; nothing if it does not exist.
  Expected<std::optional<std::uint64_t>> find(std::string_view path);
  Expected<hdf5::Object> open(std::string_view path);
  Status walk(std::uint64_t address, const std::string& path, const std::set<std::string, std::less<>>& skip,
              std::set<std::uint64_t>& seen, Tree& tree, std::size_t depth);
  Status add_strings(const hdf5::Attribute& attribute, std::vector<std::string>& out);
};

}  // namespace tusk
