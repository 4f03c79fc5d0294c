#include "frontend/export/operation_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace tusk {
namespace {

using Json = nlohmann::ordered_json;
using NextTensor = std::function<Json()>;

bool is_of_call(const ops::OperationImpl& operation, std::string_view parameter) {
  const std::string words = fmt::format(" {} ", operation.def().parameters);
  const std::size_t at =
      std::min(words.find(fmt::format(" {} ", parameter)), words.find(fmt::format(" *{} ", parameter)));
  return at < words.find('|');
}

// Operations that are not in ops/numpy.py.
constexpr std::pair<std::string_view, std::string_view> kModules[] = {
    {"nn",
     " AdaptiveAveragePool AdaptiveMaxPool AveragePool BatchNorm Celu Conv ConvTranspose DepthToSpace DepthwiseConv "
     "DotProductAttention Elu Gelu Glu HardShrink HardSigmoid HardSilu HardTanh LayerNorm LeakyRelu LogSigmoid "
     "LogSoftmax MaxPool Moments MultiHot Normalize OneHot RMSNorm Relu Relu6 Selu SeparableConv Sigmoid Silu "
     "SoftShrink Softmax Softplus Softsign SpaceToDepth SparsePlus SparseSigmoid Sparsemax Squareplus TanhShrink "
     "Threshold Unfold "},
    {"math",
     " CDist Erf Erfc Erfinv ExtractSequences FFT FFT2 IFFT2 IRFFT InTopK Logsumexp RFFT Rsqrt STFT SegmentMax "
     "SegmentMin SegmentSum TopK "},
    {"core", " Cast ConvertToTensor SaturateCast Scatter ScatterUpdate Slice SliceUpdate StopGradient Unstack "},
    {"image", " CropImages ExtractPatches GaussianBlur HSVToRGB PadImages RGBToGrayscale RGBToHSV Resize "},
    {"linalg", " Norm "}};

Json values_of(const Array& array, std::size_t axis, std::int64_t& next) {
  if (axis == array.shape().size()) {
    const std::int64_t at = next++;
    if (array.dtype() == DType::boolean) return array.at(at) != 0;
    return is_float(array.dtype()) ? Json(array.at(at)) : Json(array.int_at(at));
  }
  Json list = Json::array();
  for (std::int64_t i = 0; i < array.shape()[axis]; ++i) list.push_back(values_of(array, axis + 1, next));
  return list;
}

Json special(std::string_view class_name, Json config) {
  return Json{{"class_name", class_name}, {"config", std::move(config)}};
}

Json written(const ops::Argument& value, const NextTensor& next_tensor) {
  if (const bool* flag = value.get<bool>()) return *flag;
  if (const std::int64_t* number = value.get<std::int64_t>()) return *number;
  if (const double* number = value.get<double>()) return *number;
  if (const std::string* text = value.get<std::string>()) return *text;
  if (value.get<Tensor>() != nullptr) return next_tensor();
  if (value.get<ops::Argument::Ellipsis>() != nullptr) return special("__ellipsis__", Json::object());
  if (const auto* list = value.get<ops::Argument::List>()) {
    Json out = Json::array();
    for (const ops::Argument& entry : *list) out.push_back(written(entry, next_tensor));
    return out;
  }
  if (const Array* array = value.get<Array>()) {
    std::int64_t first = 0;
    return special("__numpy__", {{"value", values_of(*array, 0, first)}, {"dtype", keras_dtype(array->dtype())}});
  }
  if (const ops::Slice* slice = value.get<ops::Slice>()) {
    const auto bound = [](const std::optional<std::int64_t>& of) { return of ? Json(*of) : Json(); };
    return special("__slice__",
                   {{"start", bound(slice->start)}, {"stop", bound(slice->stop)}, {"step", bound(slice->step)}});
  }
  return {};
}

}  // namespace

std::string module_of(const ops::OperationDef& def) {
  const auto* it = std::ranges::find_if(kModules, [&](const auto& module) {
    return module.second.find(fmt::format(" {} ", def.name)) != std::string_view::npos;
  });
  return fmt::format("keras.src.ops.{}", it == std::end(kModules) ? "numpy" : it->first);
}

Json config_of(const ops::OperationImpl& operation) {
  Json out{{"name", operation.name()}};
  for (const auto& [name, value] : in_order(operation.def(), operation.arguments())) {
    if (!is_of_call(operation, name)) out[std::string(name)] = written(*value, [] { return Json(); });
  }
  return out;
}

Json call_of(const ops::OperationImpl& operation, const NextTensor& next) {
  Json kwargs = Json::object();
  for (const auto& [name, value] : in_order(operation.def(), operation.arguments())) {
    if (is_of_call(operation, name)) kwargs[std::string(name)] = written(*value, next);
  }
  // What takes all positional arguments that are left has no name.
  Json args = Json::array();
  const std::string_view parameters = operation.def().parameters;
  if (const std::size_t star = parameters.find('*'); star != std::string_view::npos) {
    const std::string rest(parameters.substr(star + 1, parameters.find(' ', star) - star - 1));
    if (kwargs.contains(rest)) {
      args = kwargs[rest].is_array() ? kwargs[rest] : Json::array({kwargs[rest]});
      kwargs.erase(rest);
    }
  }
  // The classes of these have other names for the same parameters in another method, so that they go by position.
  if (operation.def().name.starts_with("Segment")) {
    for (Json& each : kwargs) args.push_back(std::move(each));
    kwargs = Json::object();
  }
  return Json{{"args", std::move(args)}, {"kwargs", std::move(kwargs)}};
}

}  // namespace tusk
