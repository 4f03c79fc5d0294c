// Saved models as containers: what is opened, what is refused and how.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "frontend/files/zip.hpp"
#include "frontend/import/saved_model.hpp"
#include "tests/unit/error_of.hpp"
#include "weight_files.hpp"

namespace tusk {
namespace {

namespace fs = std::filesystem;
using test::groups;
using test::Hdf5Bytes;
using test::lists;
using test::Tree;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

fs::path temporary(std::string_view name) { return fs::path(testing::TempDir()) / fmt::format("tusk_model_{}", name); }

Bytes file_bytes(std::string_view text) {
  const auto span = bytes_of(text);
  return {span.begin(), span.end()};
}

constexpr std::string_view kConfig =
    R"({"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": [
    {"module": "keras.layers", "class_name": "InputLayer", "config": {"name": "x"}},
    {"module": "keras.src.ops.numpy", "class_name": "Add", "config": {"name": "add"}},
    {"module": "keras.layers", "class_name": "Dense", "config": {"name": "d"}}]}})";

/// The refusal (or "no problem") of an archive with these members.
std::string archive_problem(const std::vector<ZipEntry>& members) {
  const fs::path path = temporary("archive.keras");
  EXPECT_TRUE(write_zip(path, members, ZipMethod::store));
  const auto opened = read_saved_model(path);
  fs::remove(path);
  return problem_of(opened);
}

TEST(SavedModel, ReadsArchiveFolderAndPair) {
  const Bytes weights = groups({"layers|dense|vars|0", "vars|"}).file();
  const Bytes metadata = file_bytes(R"({"keras_version": "3.15.1", "date_saved": "2026-01-01@00:00:00"})");
  const fs::path archive = temporary("good.h5");  // whatever it is called
  ASSERT_TRUE(write_zip(
      archive, {{"model.weights.h5", weights}, {"config.json", file_bytes(kConfig)}, {"metadata.json", metadata}},
      ZipMethod::deflate));
  const fs::path folder = temporary("folder");
  fs::create_directories(folder);
  ASSERT_TRUE(write_file(folder / "config.json", bytes_of(kConfig)));
  ASSERT_TRUE(write_file(folder / "metadata.json", metadata));
  ASSERT_TRUE(write_file(folder / "model.weights.h5", weights));
  for (auto& opened : {read_saved_model(archive), read_saved_model(folder),
                       read_saved_model(folder / "config.json", folder / "model.weights.h5")}) {
    ASSERT_TRUE(opened) << problem_of(opened);
    EXPECT_EQ(opened->keras_major(), 3);
    EXPECT_EQ(opened->sha256.size(), 64U);
    LayerWeights tree = layer_tree(opened->config);
    ASSERT_EQ(tree.layers.size(), 1U);
    Weights all = opened->weights;
    ASSERT_TRUE(all.fill(tree));
    EXPECT_EQ(tree.layers[0].arrays.size(), 1U);
    EXPECT_THAT(all.unused(), IsEmpty());
  }
  EXPECT_EQ(read_saved_model(archive)->keras_version, "3.15.1");
  EXPECT_TRUE(read_weights(archive));
  EXPECT_THAT(problem_of(read_saved_model(folder / "model.weights.h5")), HasSubstr("weights only"));
  EXPECT_THAT(problem_of(read_saved_model(folder / "config.json")), HasSubstr("architecture without weights"));
  fs::remove(archive);
  fs::remove_all(folder);
}

TEST(SavedModel, ReadsLegacyFiles) {
  Tree root;
  root.children["model_weights"] = lists({{"d", {"d/kernel:0"}}});
  root.attributes = {Hdf5Bytes::strings("model_config", {std::string(kConfig)}, true),
                     Hdf5Bytes::strings("keras_version", {"2.2.4-tf"}, true)};
  const fs::path path = temporary("legacy.keras");
  ASSERT_TRUE(write_file(path, root.file()));
  auto opened = read_saved_model(path);
  ASSERT_TRUE(opened) << problem_of(opened);
  EXPECT_EQ(opened->keras_version, "2.2.4-tf");
  EXPECT_EQ(opened->keras_major(), 2);
  LayerWeights tree = layer_tree(opened->config);
  ASSERT_TRUE(opened->weights.fill(tree));
  EXPECT_EQ(tree.layers[0].arrays.size(), 1U);
  root.children.clear();
  ASSERT_TRUE(write_file(path, root.file()));
  EXPECT_THAT(problem_of(read_saved_model(path)), HasSubstr("model_weights is missing"));
  ASSERT_TRUE(write_file(path, lists({{"d", {"d/kernel:0"}}}).file()));
  const auto weights_only = read_saved_model(path);
  EXPECT_THAT(problem_of(weights_only), HasSubstr("weights only"));
  EXPECT_THAT(weights_only.problem().str(), HasSubstr("model.to_json()"));
  fs::remove(path);
}

// What is read of a configuration takes many times its size.
TEST(SavedModel, SmallArchivesHaveSmallConfigurationsBesideLargeWeights) {
  const auto problem = [](std::size_t config, std::size_t weights) {
    const fs::path path = temporary("packed.keras");
    EXPECT_TRUE(write_zip(path, {{"config.json", Bytes(config, std::byte{' '})}, {"model.weights.h5", Bytes(weights)}},
                          ZipMethod::deflate));
    const auto opened = read_saved_model(path);
    fs::remove(path);
    return problem_of(opened);
  };
  EXPECT_THAT(problem(900 << 10, 0), HasSubstr("is not valid JSON"));
  EXPECT_THAT(problem(1100 << 10, 0), HasSubstr("claims 1126400 bytes, more than 978176"));
  EXPECT_THAT(problem(200 << 10, 15 << 20), HasSubstr("is not valid JSON"));
  EXPECT_THAT(problem(300 << 10, 15 << 20), HasSubstr("claims 307200 bytes, more than 262144"));
}

TEST(SavedModel, RefusesBrokenArchives) {
  const Bytes weights = groups({"layers|dense|vars|0", "vars|"}).file();
  const Bytes config = file_bytes(kConfig);
  EXPECT_EQ(archive_problem({{"config.json", config}, {"model.weights.h5", weights}}), "no problem");
  EXPECT_THAT(archive_problem({{"model.weights.h5", weights}}), HasSubstr("config.json is missing"));
  EXPECT_THAT(archive_problem({{"config.json", config}}), HasSubstr("model.weights.h5 is missing"));
  EXPECT_THAT(archive_problem({{"config.json", file_bytes("{\"a\"")}, {"model.weights.h5", weights}}),
              AllOf(HasSubstr("config.json"), HasSubstr("line 1, column 5")));
  EXPECT_THAT(archive_problem({{"config.json", file_bytes(std::string(20000, '['))}, {"model.weights.h5", weights}}),
              HasSubstr("nesting too deep"));
  EXPECT_THAT(archive_problem({{"config.json", file_bytes("[1]")}, {"model.weights.h5", weights}}),
              HasSubstr("holds no model"));
  EXPECT_THAT(
      archive_problem({{"config.json", config}, {"model.weights.h5", Bytes(weights.begin(), weights.end() - 9)}}),
      AllOf(HasSubstr("model.weights.h5"), HasSubstr("cut short")));
  const fs::path path = temporary("broken.keras");
  const Bytes whole = *zip_bytes({{"config.json", config}, {"model.weights.h5", weights}}, ZipMethod::store);
  for (const auto& [content, message] : std::vector<std::pair<Bytes, std::string>>{
           {{}, "not a Keras archive"},
           {file_bytes(std::string("\x89HDF\r\n\x1a\n") + std::string(64, '\0')), "not a Keras archive"},
           {file_bytes("\x08\x07onnx"), "not a Keras archive"},
           {Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(whole.size() / 2)), "cut short"}}) {
    ASSERT_TRUE(write_file(path, content));
    EXPECT_THAT(problem_of(read_saved_model(path)), AllOf(HasSubstr(message), HasSubstr("broken.keras")));
  }
  fs::remove(path);
}

/// The folder of further models, or nothing.
std::optional<fs::path> shared_folder(std::string_view what) {
  const char* chosen = std::getenv("TUSK_SHARED");
  const fs::path folder = fs::path(chosen != nullptr ? chosen : TUSK_SHARED_DEFAULT) / what;
  if (fs::is_directory(folder)) return folder;
  return std::nullopt;
}

struct Opened {
  int read = 0;
  int refused = 0;
  std::vector<std::string> problems;
};

/// Opens every model below a folder; all arrays must find their layer, and all layers their arrays.
Opened open_all(const fs::path& folder) {
  Opened result;
  std::set<fs::path> paths;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) paths.insert(entry.path());
  for (const fs::path& path : paths) {
    const std::string kind = path.extension().string();
    if (kind != ".keras" && kind != ".h5" && kind != ".hdf5") continue;
    auto opened = read_saved_model(path);
    if (!opened) {
      ++result.refused;
      if (opened.problem().code != "weights-only") result.problems.push_back(opened.problem().str());
      continue;
    }
    ++result.read;
    LayerWeights tree = layer_tree(opened->config);
    if (const Status status = opened->weights.fill(tree); !status) result.problems.push_back(status.problem().str());
    for (const std::string& unused : opened->weights.unused()) {
      result.problems.push_back(fmt::format("{}: unused {}", path.string(), unused));
    }
  }
  return result;
}

TEST(SavedModel, OpensOurOwnGoldens) {
  const Opened opened = open_all(fs::path(TUSK_SOURCE_DIR) / "tests/parity/goldens");
  EXPECT_THAT(opened.problems, IsEmpty());
  EXPECT_GT(opened.read, 10);
}

TEST(SavedModel, OpensModelsOfOthers) {
  for (const auto& [what, read] : {std::pair{"models", 45}, std::pair{"goldens", 700}}) {
    const auto folder = shared_folder(what);
    if (!folder) {
      fmt::print("left out: about {} files of {}\n", read, what);
      continue;
    }
    const Opened opened = open_all(*folder);
    EXPECT_THAT(opened.problems, IsEmpty());
    EXPECT_GE(opened.read, read);
  }
}

TEST(SavedModel, RefusesReportedFiles) {
  const std::vector<std::pair<std::string, std::string>> files = {
      {"25_hdf5_shape_bomb.keras", "shape (131072, 131072)"},
      {"26_links_external.h5", "another file"},
      {"26_links_soft.h5", "soft link"},
      {"26_links_storage.h5", "another file"},
      {"27_broken_empty.keras", "not a Keras archive"},
      {"27_broken_not_zip.keras", "not a Keras archive"},
      {"27_broken_cut_zip.keras", "cut short"},
      {"27_broken_no_config.keras", "config.json is missing"},
      {"27_broken_no_weights.keras", "model.weights.h5 is missing"},
      {"27_broken_bad_json.keras", "line 1, column 201"},
      {"27_broken_deep_json.keras", "nesting too deep"},
      {"27_broken_cut_weights.keras", "cut short"}};
  const auto folder = shared_folder("reports");
  if (!folder) GTEST_SKIP() << "left out: " << files.size() << " reported files";
  for (const auto& [file, message] : files) {
    auto opened = read_saved_model(*folder / file);
    std::string problem = problem_of(opened);
    if (opened) {
      LayerWeights tree = layer_tree(opened->config);
      problem = problem_of(opened->weights.fill(tree));
    }
    EXPECT_THAT(problem, AllOf(HasSubstr(message), HasSubstr(file)));
  }
}

}  // namespace
}  // namespace tusk
