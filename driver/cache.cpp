#include "driver/cache.hpp"

#include <cstdlib>
#include <string>

namespace tusk {

namespace fs = std::filesystem;

fs::path cache_folder() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
  };
  fs::path folder;
  if (std::getenv("TUSK_CACHE") != nullptr) {
    folder = variable("TUSK_CACHE");
  } else if (!variable("XDG_CACHE_HOME").empty()) {
    folder = fs::path(variable("XDG_CACHE_HOME")) / "tusk";
  } else if (!variable("HOME").empty()) {
    folder = fs::path(variable("HOME")) / ".cache" / "tusk";
  }
  if (folder.empty()) return {};
  std::error_code problem;
  if (fs::create_directories(folder, problem)) fs::permissions(folder, fs::perms::owner_all, problem);
  return fs::is_directory(folder, problem) ? folder : fs::path();
}

}  // namespace tusk
