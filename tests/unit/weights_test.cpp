// The arrays of a saved model: the two formats behind one interface.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "frontend/files/hdf5.hpp"
#include "frontend/import/weights.hpp"
#include "tests/unit/error_of.hpp"
#include "weight_files.hpp"

namespace tusk {
namespace {

using test::groups;
using test::lists;
using test::Tree;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

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

}  // namespace
}  // namespace tusk
