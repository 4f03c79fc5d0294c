#include "frontend/import/layer_list.hpp"

#include <algorithm>
#include <mutex>
#include <vector>

#include "ir/text/suggest.hpp"

namespace tusk {
namespace {

/// One line for each layer.
const std::vector<KnownLayer>& built_in() {
  static const std::vector<KnownLayer> kList = {
      known_layer<InputLayer>(),
      known_layer<layers::Dense>(),
      known_layer<layers::Activation>(),
      known_layer<layers::Conv1D>(),
      known_layer<layers::Conv2D>(),
      known_layer<layers::Conv3D>(),
      known_layer<layers::DepthwiseConv2D>(),
      known_layer<layers::SeparableConv2D>(),
      known_layer<layers::Conv2DTranspose>(),
      known_layer<layers::MaxPooling2D>(),
      known_layer<layers::AveragePooling2D>(),
      known_layer<layers::GlobalMaxPooling2D>(),
      known_layer<layers::GlobalAveragePooling2D>(),
      known_layer<layers::BatchNormalization>(),
      known_layer<layers::Flatten>(),
      known_layer<layers::Reshape>(),
      known_layer<layers::ZeroPadding2D>(),
      known_layer<layers::Dropout>(),
      known_layer<layers::Add>(),
      known_layer<layers::Concatenate>(),
      known_layer<layers::Rescaling>(),
  };
  return kList;
}

struct Registry {
  std::mutex mutex;
  std::vector<std::unique_ptr<KnownLayer>> layers;  // addresses stay
};

Registry& registry() {
  static Registry instance;
  return instance;
}

/// Keras' other layers: a name among these is not mistyped.
constexpr std::string_view kOthers[] = {"Embedding",
                                        "EinsumDense",
                                        "Masking",
                                        "Identity",
                                        "Lambda",
                                        "Wrapper",
                                        "ReversibleEmbedding",
                                        "TernaryDense",
                                        "ReLU",
                                        "Softmax",
                                        "LeakyReLU",
                                        "PReLU",
                                        "ELU",
                                        "Conv1DTranspose",
                                        "Conv3DTranspose",
                                        "DepthwiseConv1D",
                                        "SeparableConv1D",
                                        "MaxPooling1D",
                                        "MaxPooling3D",
                                        "AveragePooling1D",
                                        "AveragePooling3D",
                                        "GlobalMaxPooling1D",
                                        "GlobalMaxPooling3D",
                                        "GlobalAveragePooling1D",
                                        "GlobalAveragePooling3D",
                                        "AdaptiveAveragePooling1D",
                                        "AdaptiveAveragePooling2D",
                                        "AdaptiveAveragePooling3D",
                                        "AdaptiveMaxPooling1D",
                                        "AdaptiveMaxPooling2D",
                                        "AdaptiveMaxPooling3D",
                                        "LayerNormalization",
                                        "GroupNormalization",
                                        "UnitNormalization",
                                        "RMSNormalization",
                                        "SpectralNormalization",
                                        "Multiply",
                                        "Subtract",
                                        "Average",
                                        "Maximum",
                                        "Minimum",
                                        "Dot",
                                        "Cropping1D",
                                        "Cropping2D",
                                        "Cropping3D",
                                        "Permute",
                                        "RepeatVector",
                                        "UpSampling1D",
                                        "UpSampling2D",
                                        "UpSampling3D",
                                        "ZeroPadding1D",
                                        "ZeroPadding3D",
                                        "SpatialDropout1D",
                                        "SpatialDropout2D",
                                        "SpatialDropout3D",
                                        "GaussianNoise",
                                        "GaussianDropout",
                                        "AlphaDropout",
                                        "ActivityRegularization",
                                        "LSTM",
                                        "GRU",
                                        "SimpleRNN",
                                        "CuDNNLSTM",
                                        "CuDNNGRU",
                                        "Bidirectional",
                                        "TimeDistributed",
                                        "RNN",
                                        "LSTMCell",
                                        "GRUCell",
                                        "SimpleRNNCell",
                                        "StackedRNNCells",
                                        "ConvLSTM1D",
                                        "ConvLSTM2D",
                                        "ConvLSTM3D",
                                        "MultiHeadAttention",
                                        "Attention",
                                        "AdditiveAttention",
                                        "GroupQueryAttention",
                                        "Normalization",
                                        "CategoryEncoding",
                                        "Discretization",
                                        "Hashing",
                                        "HashedCrossing",
                                        "IntegerLookup",
                                        "StringLookup",
                                        "TextVectorization",
                                        "STFTSpectrogram",
                                        "MelSpectrogram",
                                        "Pipeline",
                                        "Resizing",
                                        "CenterCrop",
                                        "RandomFlip",
                                        "RandomRotation",
                                        "RandomZoom",
                                        "RandomTranslation",
                                        "RandomContrast",
                                        "RandomBrightness",
                                        "RandomCrop",
                                        "Functional",
                                        "Model",
                                        "Sequential",
                                        "TFOpLambda",
                                        "SlicingOpLambda",
                                        "TensorFlowOpLayer"};

}  // namespace

const KnownLayer* layer_class(std::string_view class_name) {
  for (const KnownLayer& layer : built_in()) {
    if (layer.class_name == class_name) return &layer;
  }
  Registry& known = registry();
  const std::lock_guard lock(known.mutex);
  for (const auto& layer : known.layers) {
    if (layer->class_name == class_name) return layer.get();
  }
  return nullptr;
}

void register_layer(KnownLayer layer) {
  Registry& known = registry();
  const std::lock_guard lock(known.mutex);
  known.layers.push_back(std::make_unique<KnownLayer>(std::move(layer)));
}

std::string near_class(std::string_view class_name) {
  std::vector<std::string_view> names(std::begin(kOthers), std::end(kOthers));
  for (const KnownLayer& layer : built_in()) names.push_back(layer.class_name);
  return text::suggestion(class_name, names);
}

bool is_keras_class(std::string_view class_name) {
  return std::ranges::find(kOthers, class_name) != std::end(kOthers) || layer_class(class_name) != nullptr;
}

std::string supported_classes() {
  std::string out;
  for (const KnownLayer& layer : built_in()) out += (out.empty() ? "" : ", ") + layer.class_name;
  return out;
}

}  // namespace tusk
