// What is saved is what Keras saves: the same arrays at the same places.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "frontend/export/compile_config.hpp"
#include "frontend/export/config.hpp"
#include "frontend/export/save_model.hpp"
#include "frontend/files/hdf5.hpp"
#include "frontend/files/json.hpp"
#include "frontend/files/npy.hpp"
#include "frontend/files/zip.hpp"
#include "frontend/import/compile_config.hpp"
#include "frontend/import/load_model.hpp"
#include "frontend/training/fit.hpp"
#include "frontend/training/loss_list.hpp"
#include "frontend/training/metric_list.hpp"
#include "frontend/training/optimizer_list.hpp"
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

struct Compared {
  int configs = 0, shapes = 0;
};

// For which shapes Keras has built each layer of a model: it does so before it reads the weights.
void expect_same_shapes(const nlohmann::json& ours, const nlohmann::json& theirs, const std::string& what,
                        Compared& count) {
  if (!theirs.is_object()) return;
  if (theirs.contains("module")) {
    ++count.configs;
    if (theirs.contains("build_config")) ++count.shapes;
    EXPECT_EQ(ours.value("build_config", nlohmann::json()), theirs.value("build_config", nlohmann::json())) << what;
  }
  for (const char* key : {"config", "layer"}) {
    if (theirs.contains(key) && ours.contains(key)) expect_same_shapes(ours[key], theirs[key], what + "/" + key, count);
  }
  if (!theirs.contains("layers")) return;
  ASSERT_EQ(ours["layers"].size(), theirs["layers"].size()) << what;
  for (std::size_t i = 0; i < theirs["layers"].size(); ++i) {
    const nlohmann::json& layer = theirs["layers"][i];
    const std::string name = layer["config"].value("name", "?");
    expect_same_shapes(ours["layers"][i], layer, what + "/" + name, count);
  }
}

nlohmann::json config_of(const Bytes& archive, const std::string& name) {
  const auto zip = value_or_throw(ZipReader::from_bytes(std::make_shared<const Bytes>(archive), name));
  return value_or_throw(parse_json(text_of(value_or_throw(zip.read("config.json"))), name));
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
  Compared compared;
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
    expect_same_shapes(config_of(*written, "ours"), config_of(theirs, "theirs"), "config", compared);
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
  EXPECT_GE(compared.shapes, 200);
  fmt::print("{} models are saved as Keras saved them, {} of {} layers with shapes; {} cannot be read\n", cases,
             compared.shapes, compared.configs, refused.size());
}

// What Keras wrote of an object, and what we write of the one that was made from it.
void expect_same_config(const nlohmann::json& ours, const nlohmann::json& theirs, const std::string& what) {
  for (const char* key : {"module", "class_name", "registered_name"}) EXPECT_EQ(ours[key], theirs[key]) << what;
  for (const auto& [key, value] : theirs["config"].items()) {
    if (key == "dtype" || key == "exclude_layers") continue;  // Keras' own defaults: nothing else is read
    EXPECT_TRUE(ours["config"].contains(key)) << what << ": " << key;
    if (!ours["config"].contains(key)) continue;
    const bool is_array = value.is_object() && value.contains("config") && value["config"].contains("value");
    if (value.is_object() && value.contains("class_name") && !is_array) {
      expect_same_config(ours["config"][key], value, what + "/" + key);
    } else {
      EXPECT_EQ(ours["config"][key], is_array ? value["config"]["value"] : value) << what << ": " << key;
    }
  }
}

void expect_same_choices(const nlohmann::json& ours, const nlohmann::json& theirs, const std::string& what) {
  if (theirs.is_object() && theirs.contains("class_name")) return expect_same_config(ours, theirs, what);
  if (!theirs.is_structured()) {
    EXPECT_EQ(ours, theirs) << what;
    return;
  }
  ASSERT_EQ(ours.size(), theirs.size()) << what;
  for (const auto& [key, value] : theirs.items())
    expect_same_choices(theirs.is_array() ? ours[std::stoul(key)] : ours[key], value, what + "/" + key);
}

TEST(Save, ConfigurationsAreThoseOfKeras) {
  const fs::path folder = shared() / "goldens";
  if (!fs::exists(folder / "manifest.json")) GTEST_SKIP() << "left out: the configurations in " << folder;
  const nlohmann::json manifest =
      value_or_throw(parse_json(text_of(value_or_throw(read_file(folder / "manifest.json"))), "manifest.json"));
  std::map<std::string, int> counts;
  for (const nlohmann::json& entry : manifest["goldens"]) {
    const auto name = entry["name"].get<std::string>();
    const std::string kind = entry.value("kind", "");
    const nlohmann::json config = entry.value("config", nlohmann::json());
    if (kind == "loss" && config.is_object()) {
      expect_same_config(loss_config(loss_from_config(config)), config, name);
    } else if (kind == "metric" && config.is_object()) {
      expect_same_config(metric_config(metric_from_config(config)), config, name);
    } else if (kind == "schedule" && config.is_object()) {
      expect_same_config(schedule_config(schedule_from_config(config)), config, name);
    } else if (entry.contains("compile_config")) {
      const CompileOptions options = compile_options_from(entry["compile_config"]);
      const nlohmann::json ours = compile_config(options, optimizer_of(options));
      for (const auto& [key, value] : entry["compile_config"].items()) {
        if (key != "jit_compile") expect_same_choices(ours[key], value, name + "/" + key);
      }
    } else {
      continue;
    }
    ++counts[kind];
  }
  EXPECT_GE(counts["loss"], 30);
  EXPECT_GE(counts["metric"], 60);
  EXPECT_GE(counts["schedule"], 10);
  EXPECT_GE(counts["training"], 70);
  fmt::print("configurations as Keras writes them: {}\n", counts);
}

std::vector<double> losses_of(const Model& model, const Array& x, const Array& y, std::int64_t first,
                              std::int64_t count) {
  std::vector<double> out;
  for (std::int64_t step = first; step < first + count; ++step) {
    const auto batch = [&](const Array& all) {
      std::vector<std::int64_t> shape(all.shape().begin() + 1, all.shape().end());
      const std::size_t size = all.bytes().size() / static_cast<std::size_t>(all.shape()[0]);
      return Array::of_bytes(all.dtype(), shape, all.bytes().subspan(static_cast<std::size_t>(step) * size, size));
    };
    const Array inputs = batch(x);
    const FitOptions options{.batch_size = inputs.shape()[0], .verbose = 0, .shuffle = false};
    out.push_back(model.fit(inputs, batch(y), options)["loss"].back());
  }
  return out;
}

void add_values(std::map<std::string, Array>& arrays, const std::string& name, const std::vector<Variable>& variables) {
  for (std::size_t i = 0; i < variables.size(); ++i) arrays[fmt::format("{}/{}", name, i)] = variables[i].value();
}

// The part of exchange.py that is ours: reads what Keras has saved in a folder and saves it anew beside it. Where there
// are batches, it trains on the second third of them, saves, and trains on the last.
TEST(Save, Exchange) {
  const char* given = std::getenv("TUSK_EXCHANGE");
  if (given == nullptr) GTEST_SKIP() << "a part of tests/parity/exchange.py";
  const fs::path folder = given;
  std::vector<std::string> configs;
  const auto add = [&](auto make) {
    // Some have no defaults.
    if (const auto made = catch_errors([&] { return python_json(make()); })) configs.push_back(*made);
  };
  for (const std::string_view name : loss_classes()) add([&] { return loss_config(loss_named(name)); });
  for (const std::string_view name : optimizer_classes()) {
    if (name == "LossScaleOptimizer" || name == "MultiOptimizer") continue;  // want others
    add([&] { return optimizer_config(optimizer_named(name)); });
  }
  for (const std::string_view name : metric_classes())
    add([&] { return metric_config(metric_from_config({{"class_name", name}})); });
  ASSERT_TRUE(write_file(folder / "tusk" / "configs.json", bytes_of(fmt::format("[{}]", fmt::join(configs, ",")))));
  for (const fs::directory_entry& entry : fs::directory_iterator(folder / "keras")) {
    if (entry.path().extension() != ".keras") continue;
    const std::string name = entry.path().stem().string();
    const Model model = load_model(entry.path());
    model.save((folder / "tusk" / (name + ".keras")).string());
    if (fs::exists(folder / "keras" / (name + ".h5"))) model.save((folder / "tusk" / (name + ".h5")).string());
    model.save_weights((folder / "tusk" / (name + ".weights.h5")).string());
    const fs::path batches = folder / "keras" / (name + ".npz");
    if (!fs::exists(batches)) continue;
    const auto data = value_or_throw(read_npz(batches));
    const std::int64_t steps = data.at("x").shape()[0] / 3;
    std::map<std::string, Array> results;
    for (const int third : {1, 2}) {
      const std::vector<double> losses = losses_of(model, data.at("x"), data.at("y"), third * steps, steps);
      Array& out = results[fmt::format("losses/{}", third)] = Array(DType::f64, {steps});
      std::ranges::copy(losses, out.as_writable<double>().begin());
      if (third == 2) continue;
      for (const char* ending : {".keras", ".h5"})
        model.save((folder / "tusk" / (name + "_trained" + ending)).string());
      add_values(results, "weights", model.weights());
      add_values(results, "optimizer", model.optimizer().variables());
    }
    const Status written = write_npz(folder / "tusk" / (name + ".npz"), results);
    ASSERT_TRUE(written) << written.problem().str();
  }
}

}  // namespace
}  // namespace tusk
