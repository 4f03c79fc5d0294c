// A layer that has been built and is called again, on anything: it computes, or says what it was built for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <vector>

#include "frontend/import/load_model.hpp"
#include "frontend/layers/layers.hpp"
#include "tests/unit/wrong_definition.hpp"

namespace tusk::layers {
namespace {

namespace fs = std::filesystem;

// Two calls of one layer.
template <class Handle>
std::function<void()> twice(Handle (*make)(), std::vector<InputDim> first, std::vector<InputDim> second) {
  return [=] {
    const Handle layer = make();
    layer(Input(first));
    layer(Input(second));
  };
}

TEST(CalledAgain, SaysWhatItWasBuiltFor) {
  const std::string made = "its weights were made for inputs whose axis ";
  expect({
      {twice(+[] { return Dense(2); }, {5}, {6}), made + "-1 is 5, found (None, 6) [layer-built]", "dense"},
      {twice(+[] { return Conv2D(2, 3); }, {8, 8, 1}, {8, 8, 3}), made + "-1 is 1, found (None, 8, 8, 3) [layer-built]",
       "conv2d"},
      {twice(+[] { return Conv2D(2, 3); }, {8, 8, 1}, {8}), "Conv2D needs rank 4, found (None, 8) [layer-rank]",
       "conv2d"},
      {twice(+[] { return BatchNormalization(); }, {1}, {3}), made + "1 is 1, found (None, 3) [layer-built]",
       "batch_normalization"},
      {twice(+[] { return BatchNormalization(); }, {3}, {3, 3}),
       "BatchNormalization needs rank 2, found (None, 3, 3) [layer-rank]", "batch_normalization"},
      {twice(+[] { return LayerNormalization(); }, {1}, {4, 3}), made + "-1 is 1, found (None, 4, 3) [layer-built]",
       "layer_normalization"},
      {twice(+[] { return PReLU(); }, {1, 3}, {4, 3}), made + "1 is 1, found (None, 4, 3) [layer-built]", "p_re_lu"},
      {twice(+[] { return EinsumDense("ab,bc->ac", 2); }, {1}, {3}), made + "1 is 1, found (None, 3) [layer-built]",
       "einsum_dense"},
      {twice(+[] { return ZeroPadding2D(1); }, {3, 3, 1}, {3}),
       "ZeroPadding2D needs rank 4, found (None, 3) [layer-rank]", "zero_padding2d"},
      {twice(+[] { return MaxPooling2D(); }, {4, 4, 1}, {4, 4}),
       "MaxPooling2D needs rank 4, found (None, 4, 4) [layer-rank]", "max_pooling2d"},
      {twice(+[] { return TimeDistributed(Dense(2, {.name = "inner"})); }, {4, 5}, {4, 6}),
       made + "-1 is 5, found (None, 6) [layer-built]", "inner"},
  });
}

TEST(CalledAgain, TakesWhatFits) {
  const Dense dense(2);
  dense(Input({5}));
  EXPECT_EQ(keras_shape(dense(Input({7, 5})).shape()), "(None, 7, 2)");
  EXPECT_EQ(keras_shape(dense(Input({None, 5})).shape()), "(None, None, 2)");
  const LayerNormalization norm;
  norm(Input({4, 3}));
  EXPECT_EQ(keras_shape(norm(Input({3})).shape()), "(None, 3)");
}

// Every layer of our own goldens.
TEST(CalledAgain, NeverCrashes) {
  static const std::vector<std::vector<InputDim>> kShapes = {
      {}, {1}, {3}, {None}, {2, 3}, {None, 5}, {4, 4, 1}, {8, 8, 3}, {None, None, 3}, {3, 4, 5, 6}, {2, 2, 2, 2, 2}};
  int called = 0;
  int refused = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(fs::path(TUSK_SOURCE_DIR) / "tests/parity/goldens")) {
    if (entry.path().extension() != ".keras") continue;
    const Expected<LoadedModel> loaded = read_architecture(entry.path());
    ASSERT_TRUE(loaded) << entry.path();
    for (const Layer& layer : loaded->model.layers()) {
      for (const std::vector<InputDim>& shape : kShapes) {
        std::vector<Tensor> inputs;
        for (std::size_t i = 0; i < layer.base().min_inputs(); ++i) inputs.push_back(Input(shape));
        try {
          layer.base().apply(inputs, {});
          ++called;
        } catch (const Error&) {
          ++refused;
        }
      }
    }
  }
  EXPECT_GT(called, 500);
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace tusk::layers
