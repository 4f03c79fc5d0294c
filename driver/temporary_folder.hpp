// A folder that goes when it is no longer needed.
#pragma once

#include <filesystem>

#include "ir/base/expected.hpp"

namespace tusk {

class TemporaryFolder {
 public:
  static Expected<TemporaryFolder> make();
  TemporaryFolder() = default;
  TemporaryFolder(TemporaryFolder&& other) noexcept;
  TemporaryFolder& operator=(TemporaryFolder&& other) noexcept;
  ~TemporaryFolder();

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;  // empty: none
};

}  // namespace tusk
