// What compile is told about outputs: one thing for all, a list in their order, or a dict by their names.
#pragma once

#include <concepts>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "frontend/model/tensor.hpp"

namespace tusk {

/// How a user wrote it.
enum class Form { none, one, list, dict };

/// An object of Keras (a loss, an optimizer, ...), the name of one, or None.
template <class Handle>
class Named {
 public:
  Named() = default;
  Named(NoneType) {}                                    // NOLINT: each stands where Keras takes it
  Named(const char* name) : name_(name) {}              // NOLINT
  Named(std::string name) : name_(std::move(name)) {}   // NOLINT
  Named(Handle object) : object_(std::move(object)) {}  // NOLINT
  const std::string& name() const { return name_; }     // as it was typed; empty: an object or None
  const Handle& object() const { return object_; }
  bool is_none() const { return name_.empty() && !object_; }

 private:
  std::string name_;
  Handle object_;
};

template <class Item>
struct PerOutput {
  Form form = Form::none;
  std::vector<std::string> names = {};  // of a dict
  std::vector<Item> items = {};

  PerOutput() = default;
  PerOutput(NoneType) {}  // NOLINT
  template <class One>
  requires std::convertible_to<One, Item> &&(!std::same_as<std::remove_cvref_t<One>, NoneType>)PerOutput(One&& one)
      : form(Form::one), items{Item(std::forward<One>(one))} {}                    // NOLINT
  PerOutput(std::initializer_list<Item> list) : form(Form::list), items(list) {}   // NOLINT
  PerOutput(std::vector<Item> list) : form(Form::list), items(std::move(list)) {}  // NOLINT
  PerOutput(std::initializer_list<std::pair<std::string, Item>> dict)              // NOLINT
      : PerOutput(std::vector<std::pair<std::string, Item>>(dict)) {}
  PerOutput(const std::vector<std::pair<std::string, Item>>& dict) : form(Form::dict) {  // NOLINT
    for (const auto& [name, item] : dict) {
      names.push_back(name);
      items.push_back(item);
    }
  }

  bool is_none() const { return form == Form::none; }
};

}  // namespace tusk
