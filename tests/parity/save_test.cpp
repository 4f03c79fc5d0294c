// What is saved is what Keras saves: the same arrays at the same places.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "frontend/export/config.hpp"
#include "frontend/export/save_model.hpp"
#include "frontend/files/hdf5.hpp"
#include "frontend/files/zip.hpp"
#include "frontend/import/load_model.hpp"
#include "tests/parity/recorded.hpp"

namespace tusk {
namespace {

namespace fs = std::filesystem;

Hdf5File weights_of(Bytes archive, const std::string& name) {
  const auto zip = value_or_throw(ZipReader::from_bytes(std::make_shared<const Bytes>(std::move(archive)), name));
  return value_or_throw(Hdf5File::from_bytes(value_or_throw(zip.read("model.weights.h5")), name));
}

bool same_array(const Array& a, const Array& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && std::ranges::equal(a.bytes(), b.bytes());
}

// Arrays of layers and their names; of the optimizer elsewhere.
void expect_same_weights(const Hdf5File& ours, const Hdf5File& theirs) {
  const auto mine = value_or_throw(ours.tree("", {"optimizer"}));
  const auto wanted = value_or_throw(theirs.tree("", {"optimizer"}));
  EXPECT_EQ(mine.datasets, wanted.datasets);
  for (const std::string& path : wanted.datasets) {
    if (!ours.has(path)) continue;
    EXPECT_TRUE(same_array(value_or_throw(ours.array(path)), value_or_throw(theirs.array(path)))) << path;
  }
  for (const std::string& path : mine.groups) {
    if (path == "vars" || !path.ends_with("/vars")) continue;
    EXPECT_TRUE(theirs.has(path)) << path << " is not in Keras' file";
    if (!theirs.has(path)) continue;
    EXPECT_EQ(value_or_throw(ours.string_attribute(path, "name")),
              value_or_throw(theirs.string_attribute(path, "name")))
        << path;
  }
}

TEST(Save, WritesWhatKerasWrites) {
  std::vector<fs::path> files;
  const fs::path here = fs::path(TUSK_SOURCE_DIR) / "tests/parity/goldens";
  for (const fs::path& folder : {here, shared() / "goldens"}) {
    if (!fs::exists(folder)) {
      fmt::print("left out: the models of {}\n", folder.string());
      continue;
    }
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.path().extension() == ".keras") files.push_back(entry.path());
    }
  }
  int cases = 0;
  std::vector<std::string> refused;
  for (const fs::path& file : files) {
    SCOPED_TRACE(file.string());
    Bytes theirs = value_or_throw(read_file(file));
    const Expected<LoadedModel> loaded = read_model(theirs, file.string());
    if (!loaded) {  // what cannot be read is the business of other tests
      refused.push_back(file.stem().string());
      continue;
    }
    if (!loaded->keras_version.starts_with("3.15")) continue;  // older ones have other paths
    const auto written = keras_bytes(loaded->model);
    ASSERT_TRUE(written) << written.problem().str();
    expect_same_weights(weights_of(*written, "ours"), weights_of(std::move(theirs), "theirs"));
    const Expected<LoadedModel> again = read_model(*written, "again.keras");
    ASSERT_TRUE(again) << again.problem().str();
    EXPECT_EQ(to_json(again->model), to_json(loaded->model));
    const auto rewritten = keras_bytes(again->model);
    ASSERT_TRUE(rewritten);
    EXPECT_TRUE(*rewritten == *written) << "written twice, it has other bytes";
    ++cases;
  }
  EXPECT_GE(cases, 100);
  fmt::print("{} models are saved as Keras saved them; {} cannot be read\n", cases, refused.size());
}

// The part of exchange.py that is ours: reads what Keras has saved in a folder and saves it anew beside it.
TEST(Save, Exchange) {
  const char* folder = std::getenv("TUSK_EXCHANGE");
  if (folder == nullptr) GTEST_SKIP() << "a part of tests/parity/exchange.py";
  for (const fs::directory_entry& entry : fs::directory_iterator(fs::path(folder) / "keras")) {
    const Model model = load_model(entry.path());
    const fs::path out = fs::path(folder) / "tusk" / entry.path().filename();
    const Status saved = save_model(out, model);
    ASSERT_TRUE(saved) << saved.problem().str();
    const Status weights = save_weights(fs::path(out).replace_extension(".weights.h5"), model);
    ASSERT_TRUE(weights) << weights.problem().str();
  }
}

}  // namespace
}  // namespace tusk
