#include "frontend/training/loss_list.hpp"

#include <array>
#include <nlohmann/json.hpp>

#include "frontend/training/class_list.hpp"
#include "frontend/training/losses.hpp"

namespace tusk {
namespace {

using nlohmann::json;

struct KnownLoss {
  std::string_view class_name;
  std::string_view function;
  std::string_view shorter;  // this one in capitals, too
  Loss (*make)(const json& config);
  Loss (*make_named)(std::string_view name);
  nlohmann::ordered_json (*write)(const Loss& loss);
};

template <class Handle>
constexpr KnownLoss known(std::string_view function, std::string_view shorter = {}) {
  using Impl = typename class_list::ImplOf<Handle>::type;
  return {class_name_of<Impl>(),
          function,
          shorter,
          [](const json& given) -> Loss {
            typename Impl::Config config;
            FieldReader fields(given, "loss", std::string(class_name_of<Impl>()), 3);
            Impl::fields(fields, config);
            fields.finish();
            if (given.contains("reduction") && given["reduction"].is_null()) config.reduction = "none";
            return Handle(std::move(config));
          },
          [](std::string_view name) -> Loss {
            typename Impl::Config config;
            if (name != class_name_of<Impl>()) config.name = name;
            return Handle(std::move(config));
          },
          class_list::written<Impl, Loss>};
}

constexpr auto kLosses = std::to_array<KnownLoss>({
    known<losses::BinaryCrossentropy>("binary_crossentropy", "bce"),
    known<losses::BinaryFocalCrossentropy>("binary_focal_crossentropy"),
    known<losses::CategoricalCrossentropy>("categorical_crossentropy"),
    known<losses::CategoricalFocalCrossentropy>("categorical_focal_crossentropy"),
    known<losses::CategoricalGeneralizedCrossEntropy>("categorical_generalized_cross_entropy"),
    known<losses::CategoricalHinge>("categorical_hinge"),
    known<losses::Circle>("circle"),
    known<losses::CosineSimilarity>("cosine_similarity"),
    known<losses::CTC>("ctc"),
    known<losses::Dice>("dice"),
    known<losses::Hinge>("hinge"),
    known<losses::Huber>("huber"),
    known<losses::KLDivergence>("kl_divergence", "kld"),
    known<losses::LogCosh>("log_cosh"),
    known<losses::MeanAbsoluteError>("mean_absolute_error", "mae"),
    known<losses::MeanAbsolutePercentageError>("mean_absolute_percentage_error", "mape"),
    known<losses::MeanSquaredError>("mean_squared_error", "mse"),
    known<losses::MeanSquaredLogarithmicError>("mean_squared_logarithmic_error", "msle"),
    known<losses::Poisson>("poisson"),
    known<losses::SparseCategoricalCrossentropy>("sparse_categorical_crossentropy"),
    known<losses::SquaredHinge>("squared_hinge"),
    known<losses::Tversky>("tversky"),
});

bool is_in_capitals(std::string_view name, std::string_view word) {
  return std::ranges::equal(name, word,
                            [](char a, char b) { return a == std::toupper(static_cast<unsigned char>(b)); });
}

}  // namespace

std::vector<std::string_view> loss_classes() {
  std::vector<std::string_view> out;
  for (const KnownLoss& loss : kLosses) out.push_back(loss.class_name);
  return out;
}

Loss loss_named(std::string_view name) {
  for (const KnownLoss& loss : kLosses) {
    const bool is_short = !loss.shorter.empty() && (name == loss.shorter || is_in_capitals(name, loss.shorter));
    if (name == loss.class_name || name == loss.function || is_short) return loss.make_named(name);
  }
  std::vector<std::string_view> known;
  for (const KnownLoss& loss : kLosses) {
    for (const std::string_view each : {loss.class_name, loss.function, loss.shorter}) {
      if (!each.empty()) known.push_back(each);
    }
  }
  throw Error(
      error("training-name", fmt::format("there is no loss {}{}", in_quotes(name), text::suggestion(name, known)))
          .note(fmt::format("the losses are {}", fmt::join(loss_classes(), ", "))));
}

Loss loss_from_config(const json& config) {
  if (config.is_string()) return loss_named(config.get<std::string>());
  const std::string name = class_list::class_of(config, "a loss");
  if (name == "function" && config.contains("config") && config["config"].is_string())
    return loss_named(config["config"].get<std::string>());
  const auto found = std::ranges::find(kLosses, name, &KnownLoss::class_name);
  if (found == kLosses.end()) return loss_named(name);
  return found->make(class_list::config_of(config));
}

nlohmann::ordered_json loss_config(const Loss& loss) { return class_list::envelope_of(kLosses, loss, "keras.losses"); }

}  // namespace tusk
