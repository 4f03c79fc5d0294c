// One thing for all, a list in order, or a dict by names: how Keras takes arrays of inputs, losses of outputs, ...
#pragma once

#include <concepts>
#include <initializer_list>
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "frontend/model/tensor.hpp"

namespace tusk {

/// How a user wrote it.
enum class Form { none, one, list, dict };

template <class Item>
struct Given {
  Form form = Form::none;
  std::vector<std::string> names = {};  // of a dict
  std::vector<Item> items = {};

  Given() = default;
  Given(NoneType) {}  // NOLINT: each stands where Keras takes it
  template <class One>
  requires std::convertible_to<One, Item> &&(!std::same_as<std::remove_cvref_t<One>, NoneType>)Given(One&& one)
      : form(Form::one), items{Item(std::forward<One>(one))} {}                   // NOLINT
  Given(std::initializer_list<Item> list) : form(Form::list), items(list) {}      // NOLINT
  Given(std::vector<Item> list) : form(Form::list), items(std::move(list)) {}     // NOLINT
  Given(std::initializer_list<std::pair<std::string, Item>> dict) { add(dict); }  // NOLINT
  Given(const std::vector<std::pair<std::string, Item>>& dict) { add(dict); }     // NOLINT
  template <class Less>
  Given(const std::map<std::string, Item, Less>& dict) {
    add(dict);
  }  // NOLINT

  bool is_none() const { return form == Form::none; }

 private:
  void add(const auto& dict) {
    form = Form::dict;
    for (const auto& [name, item] : dict) {
      names.push_back(name);
      items.push_back(item);
    }
  }
};

/// Arrays for the inputs or the outputs of a model.
using Data = Given<Array>;

}  // namespace tusk
