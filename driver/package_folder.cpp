#include "driver/package_folder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>

#include "driver/compile.hpp"

namespace tusk {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kHead = 4096;

std::string head_of(const fs::path& file) {
  std::error_code problem;
  if (!fs::is_regular_file(file, problem)) return "";
  std::ifstream in(file, std::ios::binary);
  std::string head(kHead, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(in.gcount()));
  return head;
}

// What the kinds of files begin with, and have soon behind it.
struct Mark {
  std::string_view begin, then;
};
constexpr Mark kMarks[] = {
    {"// ", "\n// Made by tusk "},                                     // C++
    {"/* ", "\n   Made by tusk "},                                     // the header for C
    {"# The library ", ", and its self test where tests are built."},  // CMakeLists.txt
    {"{\n  \"name\": ", "\n  \"tusk\": "},                             // manifest.json
    {"// tusk_runtime.hpp: ", "code that Tusk emits"},
    {"// tusk_threads.hpp: ", "code that Tusk emits"},
    {"// tusk_thread_pool.hpp: ", "functions that Tusk emits"},
    {"# ", "\n# Made by tusk "},        // the loops of an object, assembly
    {"; ", "\n; Made by tusk "},        // LLVM IR
    {"TUSKWT1", ""},                    // weights
    {"<svg ", " bytes, lower bound "},  // the memory plan
};

// An object says who made it behind its code.
bool is_own_object(const fs::path& file) {
  std::error_code problem;
  if (file.extension() != ".o" || !fs::is_regular_file(file, problem)) return false;
  std::ifstream in(file, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(in), {});
  return bytes.find("Made by tusk ") != std::string::npos;
}

bool made_by_tusk(std::string_view head) {
  return std::ranges::any_of(kMarks, [&](const Mark& mark) {
    return head.starts_with(mark.begin) && head.find(mark.then) != std::string_view::npos;
  });
}

}  // namespace

Expected<std::vector<std::string>> write_package(const std::string& folder,
                                                 const std::map<std::string, std::string>& files) {
  std::error_code problem;
  for (const auto& [name, bytes] : files) {
    const fs::path file = fs::path(folder) / name;
    if (!fs::exists(file, problem)) continue;
    const std::string head = head_of(file);
    if (made_by_tusk(head) || head == bytes || is_own_object(file)) continue;
    return error("output-taken", fmt::format("{} is there, and Tusk has not written it", file.string()))
        .note("give -o a folder of its own, or delete or move the file");
  }
  CHECK(write_files(folder, files));
  std::vector<std::string> others;
  for (fs::directory_iterator it(folder, problem); !problem && it != fs::directory_iterator(); it.increment(problem)) {
    const std::string name = it->path().filename().string();
    if (!files.contains(name) && it->is_regular_file(problem) &&
        (made_by_tusk(head_of(it->path())) || is_own_object(it->path())))
      others.push_back(name);
  }
  std::ranges::sort(others);
  return others;
}

}  // namespace tusk
