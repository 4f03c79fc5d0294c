// Cases for the engine matrix (law 4): emitted C++ with what the loop interpreter computed.
//
//     emit_cases FOLDER [--profile fma|muladd[@TARGET]] [--besides PROFILE] [--graphs N] [--kernels N] [--masks N]
//                [--contractions N] [--seed S] [--unlike FOLDER] [--models FOLDER]...
//
// Every sample of every op and its gradient, training steps, N random graphs, kernels, formulas of truths, and
// contractions, the last for TARGET with small caches, so that they meet every part of a schedule; with --models,
// instead of all these, the models of the files below its folders. FOLDER gets their
// files and all_0.cpp, all_1.cpp, ...: programs that run the self-tests of many cases and name those that fail. With
// --besides, only cases whose code or expected values differ from those of PROFILE. With --unlike, only
// cases of which that folder does not have the same files, but for comments.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/cpp/package.hpp"
#include "codegen/mlir/interface.hpp"
#include "codegen/mlir/load.hpp"
#include "codegen/mlir/processor.hpp"
#include "driver/compile.hpp"
#include "tests/property/engine_cases.hpp"

namespace {

using namespace tusk;
using namespace tusk::engine_cases;

constexpr std::size_t kBatch = 64;  // cases in a program: few enough to build beside each other

using Files = std::vector<std::pair<std::string, std::string>>;

Files files_of(const Case& c) {
  cpp::PackageInput input{c.name, c.lowered.program, c.lowered.loops, "", "", std::string(version())};
  input.self_tests = self_tests(c);
  input.threads = c.threads;
  if (c.object_for != nullptr) {
    const mlir::Program program = must(mlir::print_program(input, *c.object_for), c.title);
    const mlir::Job job{program.text, mlir::processor_of(*c.object_for), program.exported, program.data};
    input.object = must(mlir::emit(*must(mlir::find_backend(), c.title), job, mlir::Output::object), c.title);
  }
  Files files;
  for (auto& [file, text] : must(cpp::print_package(input), c.title)) files.emplace_back(file, text);
  return files;
}

bool same_code(const Files& a, const Files& b) {
  const auto without_profile = [](std::string text) {
    for (const std::string_view profile : {"profile fma", "profile muladd"})
      for (std::size_t at; (at = text.find(profile)) != std::string::npos;) text.erase(at, profile.size());
    return text;
  };
  return std::ranges::equal(a, b, [&](const auto& x, const auto& y) {
    return !x.first.ends_with("pp") || without_profile(x.second) == without_profile(y.second);
  });
}

// A line's comment is no code; a line with a string is left as it is, for the string may hold what starts one.
std::string without_comments(std::string_view text) {
  std::string code;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    if (line.find('"') == std::string_view::npos) line = line.substr(0, std::min(line.find("//"), line.find("/*")));
    (code += line) += '\n';
    begin = end + 1;
  }
  return code;
}

bool has_all(const std::filesystem::path& folder, const Files& files) {
  return std::ranges::all_of(files, [&](const auto& file) {
    const bool is_source = file.first.ends_with(".o") || file.first.ends_with(".cpp") || file.first.ends_with(".hpp") ||
                           file.first.ends_with(".h");
    if (!is_source || file.first.ends_with("_self_test_main.cpp")) return true;
    std::ifstream in(folder / file.first, std::ios::binary);
    return in && without_comments(std::string(std::istreambuf_iterator<char>(in), {})) == without_comments(file.second);
  });
}

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
}

}  // namespace

int main(int argc, char** argv) {
  std::string folder;
  std::string profile = "fma";
  std::string besides;
  std::string unlike;
  Counts counts;
  std::vector<std::string> models;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    if (!flag.starts_with("--")) {
      folder = flag;
      continue;
    }
    const std::string value = i + 1 < argc ? argv[++i] : "";
    if (flag == "--profile") {
      profile = value;
    } else if (flag == "--besides") {
      besides = value;
    } else if (flag == "--unlike") {
      unlike = value;
    } else if (flag == "--models") {
      models.push_back(value);
    } else if (flag == "--graphs") {
      counts.graphs = std::stoull(value);
    } else if (flag == "--kernels") {
      counts.kernels = std::stoull(value);
    } else if (flag == "--masks") {
      counts.masks = std::stoull(value);
    } else if (flag == "--contractions") {
      counts.contractions = std::stoull(value);
    } else if (flag == "--seed") {
      counts.seed = std::stoull(value);
    } else {
      fmt::print(stderr, "unknown flag {}\n", flag);
      return 1;
    }
  }
  if (folder.empty()) return 1;
  std::vector<std::string> left_out;
  const auto cases_for = [&](const std::string& engine) {
    return models.empty() ? all_cases(Engine(engine), counts) : model_cases(Engine(engine), models, left_out);
  };
  std::vector<Case> cases = cases_for(profile);
  for (const std::string& line : left_out) fmt::print(stderr, "left out: {}\n", line);
  if (!besides.empty()) {
    const std::size_t told = left_out.size();
    const std::vector<Case> others = cases_for(besides);
    left_out.resize(told);
    std::vector<Case> different;
    for (std::size_t i = 0; i < cases.size(); ++i)
      if (!same_code(files_of(cases[i]), files_of(others[i]))) different.push_back(std::move(cases[i]));
    cases = std::move(different);
  }

  if (!unlike.empty()) std::erase_if(cases, [&](const Case& c) { return has_all(unlike, files_of(c)); });

  std::filesystem::create_directories(folder);
  const bool threads = Engine(profile).target->fork > 0;
  for (const auto& [name, text] : cpp::runtime_files(threads))
    write(std::filesystem::path(folder) / name, std::string(text));
  for (std::size_t first = 0; first < cases.size(); first += kBatch) {
    std::string includes;
    std::string calls;
    std::string objects;  // a file to a line
    for (std::size_t i = first; i < std::min(cases.size(), first + kBatch); ++i) {
      const Case& c = cases[i];
      std::string name;
      // Helpers of the C functions lie outside of the model's namespace.
      includes += fmt::format("#define check check_{0}\n#define weights_of weights_of_{0}\n", i);
      for (const auto& [file, text] : files_of(c)) {
        const bool main = file.ends_with("_self_test_main.cpp");
        if (main) name = file.substr(0, file.size() - std::string_view("_self_test_main.cpp").size());
        const bool source = file.ends_with(".cpp") && !main;
        if (source) includes += fmt::format("#include \"{}\"\n", file);
        const bool object = file.ends_with(".o");
        if (object) objects += file + "\n";
        if (source || object || file.ends_with(".h") || file.ends_with(".hpp"))
          write(std::filesystem::path(folder) / file, text);
      }
      includes += "#undef check\n#undef weights_of\n";
      const bool has_states = std::ranges::any_of(c.lowered.program.globals, &kernel::Global::is_state);
      const std::string state = has_states ? fmt::format("static {}::State state; ", name) : "";
      const auto call = [&](const std::string& arguments, const std::string& with) {
        calls += fmt::format(
            "  failed += run<{0}::Arena>([](auto& arena) {{ {1}return {0}::self_test(arena{2}); }}, "
            "\"{3}{4}\");\n",
            name, state, arguments, c.title, with);
      };
      call(has_states ? ", state" : "", "");
      if (threads) call(has_states ? ", state, &pool" : fmt::format(", {}::weights(), &pool", name), " in threads");
    }
    if (threads) includes += "#include \"tusk_thread_pool.hpp\"\nstatic tusk::ThreadPool pool(3);\n";
    write(std::filesystem::path(folder) / fmt::format("all_{}.objects", first / kBatch), objects);
    write(std::filesystem::path(folder) / fmt::format("all_{}.cpp", first / kBatch), fmt::format(R"({0}
#include <cstdio>

namespace {{

template <class Arena, class SelfTest>
int run(SelfTest self_test, const char* title) {{
  static Arena arena;
  const auto status = self_test(arena);
  if (static_cast<int>(status) == 0) return 0;
  std::printf("%s: status %d\n", title, static_cast<int>(status));
  return 1;
}}

}}  // namespace

int main() {{
  int failed = 0;
{1}  return failed == 0 ? 0 : 1;
}}
)",
                                                                                                 includes, calls));
  }
  if (models.empty()) {
    fmt::print("{} cases, seed {}\n", cases.size(), counts.seed);
  } else {
    fmt::print("{} cases, {} left out\n", cases.size(), left_out.size());
  }
  return 0;
}
