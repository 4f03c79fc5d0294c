#include "frontend/import/layer_list.hpp"

#include <algorithm>
#include <mutex>
#include <vector>

#include "ir/text/suggest.hpp"

namespace tusk {
namespace {

/// One line for each layer.
const std::vector<KnownLayer>& built_in() {
  static const std::vector<KnownLayer> kList = {known_layer<InputLayer>(),
                                                known_layer<layers::Dense>(),
                                                known_layer<layers::EinsumDense>(),
                                                known_layer<layers::Embedding>(),
                                                known_layer<layers::Activation>(),
                                                known_layer<layers::Identity>(),
                                                known_layer<layers::ReLU>(),
                                                known_layer<layers::LeakyReLU>(),
                                                known_layer<layers::PReLU>(),
                                                known_layer<layers::ELU>(),
                                                known_layer<layers::Softmax>(),
                                                known_layer<layers::Conv1D>(),
                                                known_layer<layers::Conv2D>(),
                                                known_layer<layers::Conv3D>(),
                                                known_layer<layers::Conv1DTranspose>(),
                                                known_layer<layers::Conv2DTranspose>(),
                                                known_layer<layers::Conv3DTranspose>(),
                                                known_layer<layers::DepthwiseConv1D>(),
                                                known_layer<layers::DepthwiseConv2D>(),
                                                known_layer<layers::SeparableConv1D>(),
                                                known_layer<layers::SeparableConv2D>(),
                                                known_layer<layers::MaxPooling1D>(),
                                                known_layer<layers::MaxPooling2D>(),
                                                known_layer<layers::MaxPooling3D>(),
                                                known_layer<layers::AveragePooling1D>(),
                                                known_layer<layers::AveragePooling2D>(),
                                                known_layer<layers::AveragePooling3D>(),
                                                known_layer<layers::GlobalMaxPooling1D>(),
                                                known_layer<layers::GlobalMaxPooling2D>(),
                                                known_layer<layers::GlobalMaxPooling3D>(),
                                                known_layer<layers::GlobalAveragePooling1D>(),
                                                known_layer<layers::GlobalAveragePooling2D>(),
                                                known_layer<layers::GlobalAveragePooling3D>(),
                                                known_layer<layers::AdaptiveMaxPooling1D>(),
                                                known_layer<layers::AdaptiveMaxPooling2D>(),
                                                known_layer<layers::AdaptiveMaxPooling3D>(),
                                                known_layer<layers::AdaptiveAveragePooling1D>(),
                                                known_layer<layers::AdaptiveAveragePooling2D>(),
                                                known_layer<layers::AdaptiveAveragePooling3D>(),
                                                known_layer<layers::BatchNormalization>(),
                                                known_layer<layers::LayerNormalization>(),
                                                known_layer<layers::GroupNormalization>(),
                                                known_layer<layers::UnitNormalization>(),
                                                known_layer<layers::RMSNormalization>(),
                                                known_layer<layers::Normalization>(),
                                                known_layer<layers::Flatten>(),
                                                known_layer<layers::Reshape>(),
                                                known_layer<layers::Permute>(),
                                                known_layer<layers::RepeatVector>(),
                                                known_layer<layers::ZeroPadding1D>(),
                                                known_layer<layers::ZeroPadding2D>(),
                                                known_layer<layers::ZeroPadding3D>(),
                                                known_layer<layers::Cropping1D>(),
                                                known_layer<layers::Cropping2D>(),
                                                known_layer<layers::Cropping3D>(),
                                                known_layer<layers::UpSampling1D>(),
                                                known_layer<layers::UpSampling2D>(),
                                                known_layer<layers::UpSampling3D>(),
                                                known_layer<layers::Dropout>(),
                                                known_layer<layers::SpatialDropout1D>(),
                                                known_layer<layers::SpatialDropout2D>(),
                                                known_layer<layers::SpatialDropout3D>(),
                                                known_layer<layers::GaussianDropout>(),
                                                known_layer<layers::GaussianNoise>(),
                                                known_layer<layers::AlphaDropout>(),
                                                known_layer<layers::ActivityRegularization>(),
                                                known_layer<layers::Add>(),
                                                known_layer<layers::Subtract>(),
                                                known_layer<layers::Multiply>(),
                                                known_layer<layers::Average>(),
                                                known_layer<layers::Maximum>(),
                                                known_layer<layers::Minimum>(),
                                                known_layer<layers::Concatenate>(),
                                                known_layer<layers::Dot>(),
                                                known_layer<layers::Rescaling>(),
                                                known_layer<layers::ReversibleEmbedding>(),
                                                known_layer<layers::Masking>(),
                                                known_layer<layers::Attention>(),
                                                known_layer<layers::AdditiveAttention>(),
                                                known_layer<layers::MultiHeadAttention>(),
                                                known_layer<layers::GroupQueryAttention>(),
                                                known_layer<layers::TimeDistributed>(),
                                                known_layer<layers::SpectralNormalization>(),
                                                known_layer<layers::Discretization>(),
                                                known_layer<layers::CategoryEncoding>(),
                                                known_layer<layers::IntegerLookup>(),
                                                known_layer<layers::Resizing>(),
                                                known_layer<layers::CenterCrop>(),
                                                known_layer<layers::RandomCrop>(),
                                                known_layer<layers::AutoContrast>(),
                                                known_layer<layers::STFTSpectrogram>(),
                                                known_layer<layers::MelSpectrogram>(),
                                                known_layer<layers::LayerScale>(),
                                                known_layer<layers::StochasticDepth>(),
                                                known_layer<layers::CustomScaleLayer>(),
                                                known_layer<layers::RandomFlip>(),
                                                known_layer<layers::RandomRotation>(),
                                                known_layer<layers::RandomZoom>(),
                                                known_layer<layers::RandomTranslation>(),
                                                known_layer<layers::RandomContrast>(),
                                                known_layer<layers::RandomBrightness>(),
                                                known_layer<layers::RandomShear>(),
                                                known_layer<layers::RandomSaturation>(),
                                                known_layer<layers::RandomHue>(),
                                                known_layer<layers::RandomPosterization>(),
                                                known_layer<layers::RandomSharpness>(),
                                                known_layer<layers::RandomInvert>(),
                                                known_layer<layers::RandomColorDegeneration>(),
                                                known_layer<layers::RandomGrayscale>(),
                                                known_layer<layers::RandomColorJitter>(),
                                                known_layer<layers::RandomErasing>(),
                                                known_layer<layers::RandomGaussianBlur>(),
                                                known_layer<layers::Solarization>(),
#define TUSK_KNOWN(Name) known_layer<layers::Name>(),
                                                TUSK_REFUSED_RANDOM_IMAGES(TUSK_KNOWN)
#undef TUSK_KNOWN
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
constexpr std::string_view kOthers[] = {"Lambda",
                                        "Wrapper",
                                        "TernaryDense",
                                        "LSTM",
                                        "GRU",
                                        "SimpleRNN",
                                        "CuDNNLSTM",
                                        "CuDNNGRU",
                                        "Bidirectional",
                                        "RNN",
                                        "LSTMCell",
                                        "GRUCell",
                                        "SimpleRNNCell",
                                        "StackedRNNCells",
                                        "ConvLSTM1D",
                                        "ConvLSTM2D",
                                        "ConvLSTM3D",
                                        "Hashing",
                                        "HashedCrossing",
                                        "StringLookup",
                                        "TextVectorization",
                                        "Pipeline",
                                        "Functional",
                                        "Model",
                                        "Sequential",
                                        "TFOpLambda",
                                        "SlicingOpLambda",
                                        "TensorFlowOpLayer",
                                        "Equalization",
                                        "ContrastLimitedAdaptiveHistogramEqualization",
                                        "MaxNumBoundingBoxes"};

}  // namespace

const KnownLayer* layer_class(std::string_view class_name) {
  if (class_name == "GroupedQueryAttention") class_name = "GroupQueryAttention";  // .h5 files have Python's name
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

const KnownLayer* known_layer_of(const LayerBase& layer) {
  if (const KnownLayer* known = layer_class(layer.class_name())) return known;
  Registry& known = registry();
  const std::lock_guard lock(known.mutex);
  for (const auto& registered : known.layers) {
    const std::string_view name = registered->class_name;
    if (name.substr(name.find('>') + 1) == layer.class_name()) return registered.get();
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

std::vector<std::string> supported_classes() {
  std::vector<std::string> out;
  for (const KnownLayer& layer : built_in()) out.push_back(layer.class_name);
  return out;
}

}  // namespace tusk
