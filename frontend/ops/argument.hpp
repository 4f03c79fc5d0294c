// What an operation is called with, as Python has it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "frontend/model/choices.hpp"
#include "frontend/model/emit.hpp"
#include "frontend/model/tensor.hpp"
#include "ir/base/array.hpp"

namespace tusk::ops {

/// start:stop:step of an index; what is absent is the whole axis.
struct Slice {
  std::optional<std::int64_t> start, stop, step;
};

/// One argument: None, a bool, a number, a text, a tensor, an array of numbers, a list, a slice, or `...`.
class Argument {
 public:
  struct None {};
  struct Ellipsis {};
  using List = std::vector<Argument>;

  Argument() = default;
  template <class T>
  requires std::is_arithmetic_v<T> Argument(T number) {  // NOLINT: arguments are written as in Python
    if constexpr (std::is_same_v<T, bool>) {
      is_ = number;
    } else if constexpr (std::is_integral_v<T>) {
      is_ = static_cast<std::int64_t>(number);
    } else {
      is_ = static_cast<double>(number);
    }
  }
  Argument(const char* text) : is_(std::string(text)) {}     // NOLINT
  Argument(std::string text) : is_(std::move(text)) {}       // NOLINT
  Argument(Tensor tensor) : is_(std::move(tensor)) {}        // NOLINT
  Argument(const Variable& weight) : is_(Tensor(weight)) {}  // NOLINT
  Argument(Array array) : is_(std::move(array)) {}           // NOLINT
  Argument(List list) : is_(std::move(list)) {}              // NOLINT
  Argument(Slice slice) : is_(slice) {}                      // NOLINT
  Argument(Ellipsis dots) : is_(dots) {}                     // NOLINT
  template <class T>
  Argument(const std::vector<T>& list) : is_(List(list.begin(), list.end())) {}  // NOLINT
  template <class T>
  Argument(const std::optional<T>& value) {  // NOLINT
    if (value) *this = Argument(*value);
  }

  template <class T>
  const T* get() const {
    return std::get_if<T>(&is_);
  }
  template <class T>
  T* get() {
    return std::get_if<T>(&is_);
  }
  bool is_none() const { return get<None>() != nullptr; }
  /// A number, whatever its type.
  std::optional<double> number() const;
  /// As Python shows it, shortly.
  std::string str() const;

  /// Calls `visit` on every tensor in it, lists from the left.
  template <class Visit>
  void each_tensor(Visit&& visit) {
    if (Tensor* tensor = get<Tensor>()) visit(*tensor);
    if (List* list = get<List>()) {
      for (Argument& entry : *list) entry.each_tensor(visit);
    }
  }

 private:
  std::variant<None, bool, std::int64_t, double, std::string, Tensor, Array, List, Slice, Ellipsis> is_;
};

/// The arguments of one call by the names of the parameters. What is not given has the default that the reader names.
/// Reading throws an Error that says which argument is wrong.
class Arguments {
 public:
  Arguments(std::initializer_list<std::pair<const std::string_view, Argument>> given) : given_(given) {}
  Arguments() = default;

  void set(std::string_view name, Argument value) { given_[name] = std::move(value); }
  const std::map<std::string_view, Argument>& given() const { return given_; }
  std::map<std::string_view, Argument>& given() { return given_; }

  bool has(std::string_view name) const { return !at(name).is_none(); }
  /// Given as None, where that is another thing than not given.
  bool is_null(std::string_view name) const { return given_.contains(name) && !has(name); }
  const Argument& at(std::string_view name) const;
  bool flag(std::string_view name, bool otherwise) const;
  std::int64_t integer(std::string_view name, std::optional<std::int64_t> otherwise = {}) const;
  double number(std::string_view name, std::optional<double> otherwise = {}) const;
  std::string text(std::string_view name, std::string_view otherwise) const;
  /// A list of integers; one integer is a list of one. Absent: none.
  std::optional<emit::Ints> ints(std::string_view name) const;
  /// A number, or a list or array of them, known while the model is defined.
  std::vector<double> known_numbers(std::string_view name) const;
  /// Axes of x counted from 0; None stands for all.
  emit::Ints axes(std::string_view name, const Tensor& x) const;
  /// A dtype by name; None stands for `otherwise`.
  DType dtype(std::string_view name, DType otherwise) const;

  DataFormat data_format() const { return DataFormat::named(text("data_format", "channels_last")); }

  /// A tensor; arrays and numbers become constants.
  Tensor tensor(std::string_view name) const;
  /// A tensor of floats.
  Tensor floats(std::string_view name) const { return emit::to_float(tensor(name)); }
  /// A list of tensors.
  std::vector<Tensor> tensors(std::string_view name) const;

  /// Throws: the argument is not as expected.
  [[noreturn]] void refuse(std::string_view name, std::string_view expected) const;

 private:
  std::map<std::string_view, Argument> given_;
};

/// "float32", ... as a type of tensors.
std::optional<DType> dtype_named(std::string_view name);

/// What Python's numbers are beside tensors: of the tensors' type, or (comparisons and a few more) int32 and float32.
enum class Numbers { weak, typed };

/// Arguments as tensors of one dtype and shape, by the rules of NumPy; with `to_floats` integers become floats. Numbers
/// stay numbers where one is a tensor.
std::vector<emit::Arg> together(const std::vector<Argument>& arguments, bool to_floats = false,
                                Numbers numbers = Numbers::weak);
/// The same, all of them tensors.
std::vector<Tensor> tensors_together(const std::vector<Argument>& arguments, bool to_floats = false,
                                     Numbers numbers = Numbers::weak);

}  // namespace tusk::ops
