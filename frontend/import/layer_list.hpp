// Which classes of layers a file may name.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "frontend/export/field_writer.hpp"
#include "frontend/import/fields.hpp"
#include "frontend/model/layer.hpp"

namespace tusk {

/// How a layer is made from its configuration, and the other way.
struct KnownLayer {
  std::string class_name;  // "Dense"; "package>Name" for a registered one
  Layer (*make)(FieldReader& fields) = nullptr;
  void (*write)(const LayerBase& layer, FieldWriter& fields) = nullptr;
};

namespace detail {

template <class Handle>
struct ImplOf;
template <class Impl>
struct ImplOf<LayerOf<Impl>> {
  using type = Impl;
};

}  // namespace detail

template <class Handle>
KnownLayer known_layer(std::string package = {}) {
  using Impl = typename detail::ImplOf<Handle>::type;
  const std::string name(class_name_of<Impl>());
  return {package.empty() ? name : package + ">" + name,
          [](FieldReader& fields) {
            typename Impl::Config config;
            Impl::fields(fields, config);
            fields.finish();
            Layer layer = Handle::from_config(std::move(config));
            layer.base().set_dtype_policy(fields.dtype_policy());
            layer.base().set_identity(class_name_of<Impl>(), fields.layer());
            return layer;
          },
          [](const LayerBase& layer, FieldWriter& fields) {
            typename Impl::Config config = static_cast<const Impl&>(layer).config;
            Impl::fields(fields, config);
          }};
}

/// The layer of a class, or null.
const KnownLayer* layer_class(std::string_view class_name);
/// How a layer is known, or null.
const KnownLayer* known_layer_of(const LayerBase& layer);
/// "; did you mean `Dense`?" for a class that Keras does not have either.
std::string near_class(std::string_view class_name);
/// True for layers of Keras, supported or not.
bool is_keras_class(std::string_view class_name);
/// The supported ones.
std::vector<std::string> supported_classes();

void register_layer(KnownLayer layer);
/// Lets files name a custom layer, as keras.saving.register_keras_serializable(package) does.
template <class Handle>
void register_layer(std::string package = "Custom") {
  register_layer(known_layer<Handle>(std::move(package)));
}

}  // namespace tusk
