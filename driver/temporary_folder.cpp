#include "driver/temporary_folder.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace tusk {

namespace fs = std::filesystem;

Expected<TemporaryFolder> TemporaryFolder::make() {
  std::error_code problem;
  std::string pattern = (fs::temp_directory_path(problem) / "tusk-XXXXXX").string();
  if (problem || mkdtemp(pattern.data()) == nullptr)
    return error("build", fmt::format("cannot make a temporary folder like {}: {}", pattern,
                                      problem ? problem.message() : std::system_category().message(errno)));
  TemporaryFolder out;
  out.path_ = pattern;
  return out;
}

TemporaryFolder::TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}

TemporaryFolder& TemporaryFolder::operator=(TemporaryFolder&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

}  // namespace tusk
