// Lists of classes that configurations name: what losses, optimizers, schedules and metrics share.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "frontend/export/object_writer.hpp"
#include "frontend/files/bytes.hpp"
#include "frontend/import/fields.hpp"
#include "frontend/model/error.hpp"
#include "ir/text/suggest.hpp"

namespace tusk::class_list {

/// The Impl of LossOf<Impl>, OptimizerOf<Impl>, ...
template <class Handle>
struct ImplOf;
template <template <class> class Of, class Impl>
struct ImplOf<Of<Impl>> {
  using type = Impl;
};

/// A class by its name, and how a configuration makes one, and one a configuration.
template <class Handle>
struct Known {
  std::string_view class_name;
  Handle (*make)(const nlohmann::json& config);
  nlohmann::ordered_json (*write)(const Handle& handle) = nullptr;
};

/// The fields of a handle's config, with the name that it has.
template <class Impl, class Base>
nlohmann::ordered_json written(const Base& handle) {
  typename Impl::Config config = static_cast<const Impl&>(handle.base()).config;
  if constexpr (requires { handle.name(); }) config.name = handle.name();
  ObjectWriter writer;
  Impl::fields(writer, config);
  return std::move(writer.json);
}

/// A handle, read field by field.
template <class Base, class Handle>
constexpr Known<Base> known() {
  using Impl = typename ImplOf<Handle>::type;
  return {class_name_of<Impl>(),
          [](const nlohmann::json& given) -> Base {
            typename Impl::Config config;
            const auto name = given.find("name");
            FieldReader fields(given,
                               name != given.end() && name->is_string() ? name->get<std::string>() : std::string(),
                               std::string(class_name_of<Impl>()), 3);
            Impl::fields(fields, config);
            // Keras wrote those of the outer optimizer, too, which mean nothing there.
            if constexpr (requires { config.inner_optimizer; }) fields.ignore_rest();
            fields.finish();
            return Handle(std::move(config));
          },
          written<Impl, Base>};
}

inline bool equal_in_any_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

/// The "config" of an envelope.
inline const nlohmann::json& config_of(const nlohmann::json& envelope) {
  static const nlohmann::json kNothing = nlohmann::json::object();
  const auto inner = envelope.find("config");
  if (inner == envelope.end() || inner->is_null()) return kNothing;
  if (!inner->is_object())
    throw Error(error("training-config", fmt::format("expected an object as the config, found {}", json_text(*inner))));
  return *inner;
}

/// The "class_name" of an envelope; throws [training-config].
inline std::string class_of(const nlohmann::json& envelope, std::string_view what) {
  if (envelope.is_object() && envelope.contains("class_name") && envelope["class_name"].is_string()) {
    // Keras' own classes have none.
    const auto registered = envelope.find("registered_name");
    if (registered != envelope.end() && registered->is_string() && *registered != "function") {
      throw Error(error("training-name", fmt::format("{} is a class of the program that saved it, not Keras' own",
                                                     in_quotes(registered->get<std::string>()))));
    }
    return envelope["class_name"].get<std::string>();
  }
  throw Error(
      error("training-config", fmt::format("expected a configuration of {}, found {}", what, json_text(envelope))));
}

/// The envelope of a handle; throws [config-class].
nlohmann::ordered_json envelope_of(const auto& all, const auto& handle, std::string_view module) {
  const std::string_view name = handle.base().class_name();
  const auto found = std::ranges::find_if(all, [&](const auto& each) { return each.class_name == name; });
  if (found == all.end() || found->write == nullptr)
    throw Error(error("config-class", fmt::format("class {} has no name in files", name))
                    .note("a file can hold Keras' own losses, metrics, optimizers and schedules"));
  return object_envelope(module, name, found->write(handle));
}

/// The class of this name, in any case; throws [training-name].
template <class Handle, std::size_t count>
const Known<Handle>& named(const std::array<Known<Handle>, count>& all, std::string_view name, std::string_view what) {
  const auto found =
      std::ranges::find_if(all, [&](const Known<Handle>& each) { return equal_in_any_case(each.class_name, name); });
  if (found != all.end()) return *found;
  std::vector<std::string_view> classes;
  for (const Known<Handle>& each : all) classes.push_back(each.class_name);
  throw Error(
      error("training-name", fmt::format("there is no {} {}{}", what, in_quotes(name), text::suggestion(name, classes)))
          .note(fmt::format("expected one of {}", fmt::join(classes, ", "))));
}

}  // namespace tusk::class_list
