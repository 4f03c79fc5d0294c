// Automatic names: dense, dense_1, ... (Keras gives the same ones in the same order).
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace tusk {

/// The next name for an object of the class: "Conv2D" gives conv2d, then conv2d_1. One counter for each name and
/// thread; names that a user gives do not count, as in Keras.
std::string automatic_name(std::string_view class_name);

/// Starts all counters again (keras.utils.clear_session).
void clear_session();

/// The name if nobody has it, else the first of name_1, name_2, ... that is free; enters it into `taken`.
std::string unique_name(std::string name, std::set<std::string>& taken);

namespace detail {

template <class T>
constexpr std::string_view spelled_type() {
  // "... [with T = tusk::layers::DenseImpl; ...]" (GCC), "... [T = tusk::layers::DenseImpl]" (Clang)
  std::string_view text = __PRETTY_FUNCTION__;
  text.remove_prefix(text.find("T = ") + 4);
  return text.substr(0, text.find_first_of(";]"));
}

}  // namespace detail

/// "Dense" for a type tusk::layers::DenseImpl: how a class is called in files and messages.
template <class Impl>
constexpr std::string_view class_name_of() {
  if constexpr (requires { Impl::class_name; }) {
    return Impl::class_name;
  } else {
    std::string_view name = detail::spelled_type<Impl>();
    if (const std::size_t colon = name.rfind(':'); colon != std::string_view::npos) name.remove_prefix(colon + 1);
    if (name.ends_with("Impl")) name.remove_suffix(4);
    return name;
  }
}

}  // namespace tusk
