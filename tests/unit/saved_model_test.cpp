// Containers of saved models and the arrays in them: the two formats behind one interface.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "frontend/files/hdf5.hpp"
#include "frontend/files/zip.hpp"
#include "frontend/import/saved_model.hpp"
#include "hdf5_bytes.hpp"

namespace tusk {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::Hdf5Bytes;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

template <class T>
std::string problem_of(const Expected<T>& expected) {
  return expected ? "no problem" : expected.problem().message;
}

fs::path temporary(std::string_view name) { return fs::path(testing::TempDir()) / fmt::format("tusk_model_{}", name); }

Bytes bytes(std::string_view text) {
  const auto span = bytes_of(text);
  return {span.begin(), span.end()};
}

/// A tree of groups and datasets. '|' stands between the names of a path.
struct Tree {
  std::map<std::string, Tree> children;
  std::optional<float> value;
  std::vector<Hdf5Bytes::Message> attributes;

  Tree& at(std::string_view path) {
    if (path.empty()) return *this;
    const std::size_t end = std::min(path.find('|'), path.size());
    return children[std::string(path.substr(0, end))].at(path.substr(std::min(end + 1, path.size())));
  }
  std::uint64_t write(Hdf5Bytes& file) const {
    if (value) return file.floats({1}, {*value});
    std::vector<Hdf5Bytes::Message> messages = attributes;
    for (const auto& [name, child] : children) messages.push_back(Hdf5Bytes::link(name, child.write(file)));
    return file.group(messages);
  }
  Bytes file() const {
    Hdf5Bytes out;
    const std::uint64_t root = write(out);
    return out.file(root);
  }
};

/// A file of groups: every path is a dataset of one float, 0, 1, 2, ... in the order given; a path that ends in '|' is
/// an empty group.
Tree groups(const std::vector<std::string>& paths) {
  Tree root;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (paths[i].ends_with('|')) {
      root.at(paths[i].substr(0, paths[i].size() - 1));
    } else {
      root.at(paths[i]).value = static_cast<float>(i);
    }
  }
  return root;
}

/// A legacy file: the weights of each layer, numbered through.
Tree lists(const std::vector<std::pair<std::string, std::vector<std::string>>>& layers) {
  Tree root;
  std::vector<std::string> names;
  float value = 0;
  for (const auto& [layer, weights] : layers) {
    if (layer != "top_level_model_weights") names.push_back(layer);
    Tree& group = root.at(layer);
    group.attributes.push_back(Hdf5Bytes::strings("weight_names", weights));
    for (std::string weight : weights) {
      std::replace(weight.begin(), weight.end(), '/', '|');
      group.at(weight).value = value++;
    }
  }
  root.attributes.push_back(Hdf5Bytes::strings("layer_names", names));
  return root;
}

Weights weights_of(const Tree& tree) {
  const auto file = Hdf5File::from_bytes(tree.file(), "w.h5");
  EXPECT_TRUE(file) << problem_of(file);
  auto weights = Weights::read(*file);
  EXPECT_TRUE(weights) << problem_of(weights);
  return *weights;
}

LayerWeights layer(std::string class_name, std::string name, int count = -1, std::vector<LayerWeights> layers = {}) {
  LayerWeights out{std::move(class_name), std::move(name), {}, count < 0, std::move(layers), {}, {}};
  for (int i = 0; i < count; ++i) out.variables.push_back({fmt::format("w{}", i), {1}});
  return out;
}
LayerWeights model(std::vector<LayerWeights> layers) { return layer("Functional", "model", 0, std::move(layers)); }

std::vector<int> values(const LayerWeights& layer) {
  std::vector<int> out;
  for (const Array& array : layer.arrays) out.push_back(static_cast<int>(array.at(0)));
  return out;
}

TEST(Weights, SnakeCase) {
  for (const auto& [name, expected] :
       std::map<std::string, std::string>{{"Dense", "dense"},
                                          {"Conv2DTranspose", "conv2d_transpose"},
                                          {"ReLU", "re_lu"},
                                          {"PReLU", "p_re_lu"},
                                          {"LSTM", "lstm"},
                                          {"ConvLSTM2D", "conv_lstm2d"},
                                          {"SeparableConv1D", "separable_conv1d"},
                                          {"StackedRNNCells", "stacked_rnn_cells"},
                                          {"RMSNormalization", "rms_normalization"},
                                          {"TFOpLambda", "tf_op_lambda"},
                                          {"pkg>MyLayer2", "my_layer2"},
                                          {"GlobalAveragePooling1D", "global_average_pooling1d"}}) {
    EXPECT_EQ(snake_case(name), expected);
  }
}

TEST(Weights, GroupsAreCountedByClass) {
  Weights weights = weights_of(
      groups({"layers|dense|vars|0", "layers|dense_1|vars|0", "layers|dense_1|vars|1",
              "layers|functional|layers|dense|vars|0", "layers|input_layer|vars|", "optimizer|vars|0", "vars|"}));
  LayerWeights tree = model({layer("InputLayer", "x", 0), layer("Dense", "z", 1),
                             layer("Functional", "inner", 0, {layer("InputLayer", "i", 0), layer("Dense", "d", 1)}),
                             layer("Dense", "a", 2)});
  const Status status = weights.fill(tree);
  ASSERT_TRUE(status) << problem_of(status);
  EXPECT_THAT(values(tree.layers[1]), ElementsAre(0));
  EXPECT_THAT(values(tree.layers[3]), ElementsAre(1, 2));
  EXPECT_THAT(values(tree.layers[2].layers[1]), ElementsAre(3));
  EXPECT_THAT(weights.unused(), IsEmpty());
}

TEST(Weights, PartsComeInTheOrderOfKeras) {
  Weights weights = weights_of(groups(
      {"layers|bidirectional|backward_layer|cell|vars|0", "layers|bidirectional|forward_layer|cell|vars|0",
       "layers|multi_head_attention|key_dense|vars|0", "layers|multi_head_attention|output_dense|vars|0",
       "layers|multi_head_attention|query_dense|vars|0", "layers|multi_head_attention|value_dense|vars|0",
       "layers|rnn|cell|cells|gru_cell|vars|0", "layers|rnn|cell|cells|lstm_cell|vars|0",
       "layers|rnn|cell|cells|lstm_cell_1|vars|0", "layers|spectral_normalization|layer|vars|0",
       "layers|spectral_normalization|layer|vars|1", "layers|spectral_normalization|vars|0",
       "layers|spectral_normalization|vars|1", "layers|grouped_query_attention|_query_dense|vars|0",
       "layers|time_distributed|layer|layers|dense|vars|0", "layers|time_distributed|layer|layers|dense_1|vars|0"}));
  const LayerWeights cells =
      layer("StackedRNNCells", "s", -1, {layer("LSTMCell", "a"), layer("GRUCell", "b"), layer("LSTMCell", "c")});
  const LayerWeights inner = layer("Functional", "f", 0, {layer("Dense", "p", 1), layer("Dense", "q", 1)});
  LayerWeights tree = model({layer("Bidirectional", "bi", 2), layer("MultiHeadAttention", "mha", 4),
                             layer("RNN", "rnn", 3, {cells}), layer("SpectralNormalization", "sn", 3),
                             layer("GroupQueryAttention", "gqa", 1), layer("TimeDistributed", "td", 0, {inner})});
  const Status status = weights.fill(tree);
  ASSERT_TRUE(status) << problem_of(status);
  EXPECT_THAT(values(tree.layers[0]), ElementsAre(1, 0));
  EXPECT_THAT(values(tree.layers[1]), ElementsAre(4, 2, 5, 3));
  EXPECT_THAT(values(tree.layers[2]), ElementsAre(7, 6, 8));
  EXPECT_THAT(values(tree.layers[3]), ElementsAre(11, 12, 10));
  EXPECT_THAT(values(tree.layers[4]), ElementsAre(13));
  EXPECT_THAT(values(tree.layers[5].layers[0].layers[1]), ElementsAre(15));
  EXPECT_THAT(weights.unused(), IsEmpty());
}

TEST(Weights, OlderSpellingsOfGroups) {
  // Keras 2.13: layers with weights were counted twice; others once.
  Weights twos =
      weights_of(groups({"_layer_checkpoint_dependencies|dense|vars|0", "_layer_checkpoint_dependencies|dense_2|vars|0",
                         "_layer_checkpoint_dependencies|dense_10|vars|0", "vars|"}));
  LayerWeights tree = model({layer("Dense", "a", 1), layer("Dense", "b", 1), layer("Dense", "c", 1)});
  ASSERT_TRUE(twos.fill(tree));
  EXPECT_THAT(values(tree.layers[1]), ElementsAre(1));
  EXPECT_THAT(values(tree.layers[2]), ElementsAre(2));
  // Keras 2 on Windows.
  Weights windows = weights_of(groups(
      {"layers\\dense|vars|0", "layers\\dense_1|vars|0", "layers\\dense_2|vars|0", "vars|", "metrics\\mean|vars|0"}));
  ASSERT_TRUE(windows.fill(tree));
  EXPECT_THAT(values(tree.layers[2]), ElementsAre(2));
  EXPECT_THAT(windows.unused(), IsEmpty());
}

TEST(Weights, SharedLayersAreStoredOnce) {
  Weights weights =
      weights_of(groups({"layers|functional|layers|dense|vars|0", "layers|functional_1|layers|dense_1|vars|0"}));
  LayerWeights shared = layer("Dense", "both", 1);
  shared.shared = "Dense/both";
  LayerWeights tree =
      model({layer("Functional", "f", 0, {shared}), layer("Functional", "g", 0, {shared, layer("Dense", "h", 1)})});
  const Status status = weights.fill(tree);
  ASSERT_TRUE(status) << problem_of(status);
  EXPECT_THAT(values(tree.layers[0].layers[0]), ElementsAre(0));
  EXPECT_THAT(values(tree.layers[1].layers[0]), ElementsAre(0));
  EXPECT_THAT(values(tree.layers[1].layers[1]), ElementsAre(1));
}

TEST(Weights, ProblemsNameLayerAndVariable) {
  Weights weights = weights_of(groups({"layers|dense|vars|0", "layers|extra|vars|0"}));
  LayerWeights few = model({layer("Dense", "head", 2)});
  EXPECT_THAT(problem_of(weights.fill(few)),
              AllOf(HasSubstr("\"head\" has 2 weights (w0, w1)"), HasSubstr("has 1 at layers/dense")));
  LayerWeights shape = model({layer("Dense", "head", 1)});
  shape.layers[0].variables[0].shape = {4, 3};
  EXPECT_THAT(problem_of(weights.fill(shape)),
              HasSubstr("weight \"w0\" of layer \"head\" has shape (1), expected (4, 3)"));
  LayerWeights right = model({layer("Dense", "head", 1)});
  EXPECT_TRUE(weights.fill(right));
  EXPECT_THAT(weights.unused(), ElementsAre("layers/extra/vars/0"));
}

TEST(Weights, ListsAreTrainableFirst) {
  const Tree tree = lists({{"x", {}},
                           {"net", {"d/kernel", "bn/gamma", "e/kernel", "bn/mean"}},
                           {"head", {"head/kernel"}},
                           {"top_level_model_weights", {"scale"}}});
  const auto wanted = [](int own) {
    LayerWeights bn = layer("BatchNormalization", "bn", 2);
    bn.variables[1].trainable = false;
    LayerWeights out = model({layer("InputLayer", "x", 0),
                              layer("Functional", "net", 0, {layer("Dense", "d", 1), bn, layer("Dense", "e", 1)}),
                              layer("Dense", "head", 1)});
    out.variables.assign(static_cast<std::size_t>(own), {"scale", {1}});
    return out;
  };
  Weights weights = weights_of(tree);
  LayerWeights found = wanted(1);
  const Status status = weights.fill(found);
  ASSERT_TRUE(status) << problem_of(status);
  EXPECT_THAT(values(found.layers[1].layers[0]), ElementsAre(0));
  EXPECT_THAT(values(found.layers[1].layers[1]), ElementsAre(1, 3));
  EXPECT_THAT(values(found.layers[1].layers[2]), ElementsAre(2));
  EXPECT_THAT(values(found.layers[2]), ElementsAre(4));
  EXPECT_THAT(values(found), ElementsAre(5));
  EXPECT_THAT(weights.unused(), IsEmpty());

  // One list for the model inside, whose layers then only say where they are.
  found = wanted(0);
  found.layers[1] =
      layer("Functional", "net", 4, {layer("Dense", "d"), layer("BatchNormalization", "bn"), layer("Dense", "e")});
  found.layers[1].variables[2].trainable = false;
  weights = weights_of(tree);
  ASSERT_TRUE(weights.fill(found));
  EXPECT_THAT(values(found.layers[1]), ElementsAre(0, 1, 3, 2));
  EXPECT_THAT(weights.unused(), ElementsAre("top_level_model_weights/scale"));
}

TEST(Weights, ListsGoByNameOrElseByOrder) {
  Weights weights = weights_of(lists({{"b", {"kernel"}}, {"act", {}}, {"a", {"kernel"}}}));
  LayerWeights named = model({layer("Dense", "a", 1), layer("Dense", "b", 1)});
  ASSERT_TRUE(weights.fill(named));
  EXPECT_THAT(values(named.layers[0]), ElementsAre(1));
  LayerWeights renamed = model({layer("Dense", "first", 1), layer("ReLU", "r", 0), layer("Dense", "second", 1)});
  ASSERT_TRUE(weights.fill(renamed));
  EXPECT_THAT(values(renamed.layers[0]), ElementsAre(0));
  EXPECT_THAT(values(renamed.layers[2]), ElementsAre(1));
  LayerWeights more = model({layer("Dense", "a", 1), layer("Dense", "b", 1), layer("Dense", "c", 1)});
  EXPECT_THAT(problem_of(weights.fill(more)), HasSubstr("no weights for layer \"c\""));
  LayerWeights count = model({layer("Dense", "a", 2), layer("Dense", "b", 1)});
  EXPECT_THAT(problem_of(weights.fill(count)), HasSubstr("\"a\" has 2 weights (w0, w1)"));
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
  const Bytes metadata = bytes(R"({"keras_version": "3.15.1", "date_saved": "2026-01-01@00:00:00"})");
  const fs::path archive = temporary("good.h5");  // whatever it is called
  ASSERT_TRUE(write_zip(archive,
                        {{"model.weights.h5", weights}, {"config.json", bytes(kConfig)}, {"metadata.json", metadata}},
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

TEST(SavedModel, RefusesBrokenArchives) {
  const Bytes weights = groups({"layers|dense|vars|0", "vars|"}).file();
  const Bytes config = bytes(kConfig);
  EXPECT_EQ(archive_problem({{"config.json", config}, {"model.weights.h5", weights}}), "no problem");
  EXPECT_THAT(archive_problem({{"model.weights.h5", weights}}), HasSubstr("config.json is missing"));
  EXPECT_THAT(archive_problem({{"config.json", config}}), HasSubstr("model.weights.h5 is missing"));
  EXPECT_THAT(archive_problem({{"config.json", bytes("{\"a\"")}, {"model.weights.h5", weights}}),
              AllOf(HasSubstr("config.json"), HasSubstr("line 1, column 5")));
  EXPECT_THAT(archive_problem({{"config.json", bytes(std::string(20000, '['))}, {"model.weights.h5", weights}}),
              HasSubstr("nesting too deep"));
  EXPECT_THAT(archive_problem({{"config.json", bytes("[1]")}, {"model.weights.h5", weights}}),
              HasSubstr("holds no model"));
  EXPECT_THAT(
      archive_problem({{"config.json", config}, {"model.weights.h5", Bytes(weights.begin(), weights.end() - 9)}}),
      AllOf(HasSubstr("model.weights.h5"), HasSubstr("cut short")));
  const fs::path path = temporary("broken.keras");
  const Bytes whole = *zip_bytes({{"config.json", config}, {"model.weights.h5", weights}}, ZipMethod::store);
  for (const auto& [content, message] : std::vector<std::pair<Bytes, std::string>>{
           {{}, "not a Keras archive"},
           {bytes(std::string("\x89HDF\r\n\x1a\n") + std::string(64, '\0')), "not a Keras archive"},
           {bytes("\x08\x07onnx"), "not a Keras archive"},
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
