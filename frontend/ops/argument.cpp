#include "frontend/ops/argument.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "frontend/model/error.hpp"

namespace tusk::ops {

std::optional<double> Argument::number() const {
  if (const bool* flag = get<bool>()) return *flag ? 1.0 : 0.0;
  if (const std::int64_t* whole = get<std::int64_t>()) return static_cast<double>(*whole);
  if (const double* number = get<double>()) return *number;
  return std::nullopt;
}

std::string Argument::str() const {
  if (is_none()) return "None";
  if (const bool* flag = get<bool>()) return *flag ? "True" : "False";
  if (const std::int64_t* whole = get<std::int64_t>()) return std::to_string(*whole);
  if (const double* number = get<double>()) return fmt::format("{}", *number);
  if (const std::string* text = get<std::string>()) return fmt::format("'{}'", text->substr(0, 40));
  if (const Tensor* tensor = get<Tensor>()) return fmt::format("a tensor of shape {}", keras_shape(tensor->shape()));
  if (const Array* array = get<Array>()) return fmt::format("an array of shape ({})", fmt::join(array->shape(), ", "));
  if (get<Slice>() != nullptr) return "a slice";
  if (get<Ellipsis>() != nullptr) return "...";
  std::string entries;
  const List& list = *get<List>();
  for (std::size_t i = 0; i < std::min<std::size_t>(list.size(), 6); ++i)
    entries += (i == 0 ? "" : ", ") + list[i].str();
  return fmt::format("[{}{}]", entries, list.size() > 6 ? ", ..." : "");
}

namespace {

constexpr std::pair<std::string_view, DType> kTypes[] = {
    {"float32", DType::f32}, {"float64", DType::f64},  {"float16", DType::f16}, {"bfloat16", DType::bf16},
    {"int8", DType::i8},     {"uint8", DType::u8},     {"int32", DType::i32},   {"uint32", DType::u32},
    {"int64", DType::i64},   {"bool", DType::boolean},
};

}  // namespace

std::optional<DType> dtype_named(std::string_view name) {
  for (const auto& [known, type] : kTypes) {
    if (known == name) return type;
  }
  return std::nullopt;
}

const Argument& Arguments::at(std::string_view name) const {
  static const Argument none;
  const auto it = given_.find(name);
  return it == given_.end() ? none : it->second;
}

void Arguments::refuse(std::string_view name, std::string_view expected) const {
  throw Error(error("ops-argument", fmt::format("{} is {}, expected {}", name, at(name).str(), expected)));
}

bool Arguments::flag(std::string_view name, bool otherwise) const {
  if (!has(name)) return otherwise;
  if (const bool* flag = at(name).get<bool>()) return *flag;
  const auto* number = at(name).get<std::int64_t>();
  if (number != nullptr && (*number == 0 || *number == 1)) return *number == 1;  // as Python takes them
  refuse(name, "True or False");
}

namespace {

std::optional<std::int64_t> whole(const Argument& argument) {
  if (const std::int64_t* value = argument.get<std::int64_t>()) return *value;
  const Array* array = argument.get<Array>();
  if (array != nullptr && array->size() == 1 && !is_float(array->dtype())) return array->int_at(0);
  return std::nullopt;
}

}  // namespace

std::int64_t Arguments::integer(std::string_view name, std::optional<std::int64_t> otherwise) const {
  if (otherwise && !has(name)) return *otherwise;
  if (const std::optional<std::int64_t> value = whole(at(name)); value && std::abs(*value) <= INT32_MAX) return *value;
  refuse(name, "an integer");
}

double Arguments::number(std::string_view name, std::optional<double> otherwise) const {
  if (otherwise && !has(name)) return *otherwise;
  if (const std::optional<double> value = at(name).number()) return *value;
  const Array* array = at(name).get<Array>();
  if (array != nullptr && array->size() == 1) return array->at(0);
  refuse(name, "a number");
}

std::string Arguments::text(std::string_view name, std::string_view otherwise) const {
  if (!has(name)) return std::string(otherwise);
  if (const std::string* text = at(name).get<std::string>()) return *text;
  refuse(name, "a text");
}

std::optional<emit::Ints> Arguments::ints(std::string_view name) const {
  if (!has(name)) return std::nullopt;
  if (const std::optional<std::int64_t> one = whole(at(name))) return emit::Ints{*one};
  emit::Ints out;
  if (const Array* array = at(name).get<Array>(); array != nullptr && !is_float(array->dtype())) {
    for (std::int64_t i = 0; i < array->size(); ++i) out.push_back(array->int_at(i));
    return out;
  }
  const Argument::List* list = at(name).get<Argument::List>();
  if (list == nullptr) refuse(name, "integers");
  for (const Argument& entry : *list) {
    const std::optional<std::int64_t> value = whole(entry);
    if (!value || std::abs(*value) > INT32_MAX) refuse(name, "integers");
    out.push_back(*value);
  }
  return out;
}

std::vector<double> Arguments::known_numbers(std::string_view name) const {
  const Argument& given = at(name);
  if (const std::optional<double> one = given.number()) return {*one};
  std::vector<double> out;
  if (const Array* array = given.get<Array>(); array != nullptr && array->shape().size() <= 1) {
    for (std::int64_t i = 0; i < array->size(); ++i) out.push_back(array->at(i));
  } else if (const Argument::List* list = given.get<Argument::List>()) {
    for (const Argument& entry : *list)
      out.push_back(entry.number().value_or(std::numeric_limits<double>::quiet_NaN()));
  }
  if (out.empty() || out.size() > 65536 || std::ranges::any_of(out, [](double x) { return std::isnan(x); }))
    refuse(name, "numbers that are known while the model is defined");
  return out;
}

emit::Ints Arguments::axes(std::string_view name, const Tensor& x) const {
  emit::Ints out;
  if (const std::optional<emit::Ints> given = ints(name)) {
    for (const std::int64_t axis : *given) out.push_back(emit::axis_of(x, axis));
    std::ranges::sort(out);
    if (std::ranges::adjacent_find(out) != out.end()) refuse(name, "different axes");
    return out;
  }
  for (std::int64_t axis = 0; axis < x.rank(); ++axis) out.push_back(axis);
  return out;
}

DType Arguments::dtype(std::string_view name, DType otherwise) const {
  if (!has(name)) return otherwise;
  if (const std::optional<DType> type = dtype_named(text(name, ""))) return *type;
  refuse(name, "a dtype");
}

namespace {

// The type that numbers have among themselves: bool, int32 or float32.
DType type_of_number(const Argument& argument) {
  return argument.get<bool>() != nullptr           ? DType::boolean
         : argument.get<std::int64_t>() != nullptr ? DType::i32
                                                   : DType::f32;
}

/// Nested lists of numbers as an array; nothing if they are no array.
std::optional<Array> array_of(const Argument& argument) {
  if (const Array* array = argument.get<Array>()) return *array;
  if (const std::optional<double> number = argument.number())
    return Array::splat(type_of_number(argument), {}, *number);
  const Argument::List* list = argument.get<Argument::List>();
  if (list == nullptr || list->empty()) return std::nullopt;
  std::vector<Array> parts;
  DType type = DType::boolean;
  for (const Argument& entry : *list) {
    std::optional<Array> part = array_of(entry);
    if (!part || (!parts.empty() && part->shape() != parts[0].shape())) return std::nullopt;
    if (type == DType::boolean || is_float(part->dtype())) type = part->dtype();
    parts.push_back(*std::move(part));
  }
  std::vector<std::int64_t> shape = parts[0].shape();
  shape.insert(shape.begin(), static_cast<std::int64_t>(parts.size()));
  Array out(type, shape);
  std::int64_t at = 0;
  for (const Array& part : parts) {
    for (std::int64_t i = 0; i < part.size(); ++i) out.set(at++, part.at(i));
  }
  return out;
}

}  // namespace

Tensor Arguments::tensor(std::string_view name) const {
  if (const Tensor* tensor = at(name).get<Tensor>()) return *tensor;
  if (std::optional<Array> array = array_of(at(name))) return emit::constant(name, *std::move(array));
  refuse(name, "a tensor");
}

std::vector<Tensor> Arguments::tensors(std::string_view name) const {
  const Argument::List* list = at(name).get<Argument::List>();
  if (list == nullptr || list->empty()) refuse(name, "a list of tensors");
  std::vector<Tensor> out;
  for (const Argument& entry : *list) {
    Arguments one;
    one.set(name, entry);
    out.push_back(one.tensor(name));
  }
  return out;
}

namespace {

struct Together {
  std::vector<std::optional<Tensor>> tensors;
  std::vector<double> numbers;  // where there is no tensor
  DType type = DType::f32;
};

Together in_one_type(const std::vector<Argument>& arguments, bool to_floats, Numbers numbers) {
  Together out;
  std::vector<Tensor> tensors;
  DType number_type = DType::boolean;
  for (const Argument& argument : arguments) {
    const std::optional<double> number = argument.number();
    out.numbers.push_back(number.value_or(0));
    out.tensors.emplace_back();
    if (number) {
      if (type_of_number(argument) == DType::f32 || number_type == DType::boolean)
        number_type = type_of_number(argument);
      continue;
    }
    Arguments one;
    one.set("x", argument);
    tensors.push_back(one.tensor("x"));
  }
  const bool cast = (to_floats || number_type == DType::f32) && !emit::common_float(tensors);
  for (Tensor& x : tensors) {
    if (cast || (number_type == DType::i32 && x.dtype() == DType::boolean))
      x = cast ? emit::to_float(x) : emit::cast(x, DType::i32);
  }
  tensors = emit::broadcast_together(std::move(tensors));
  if (numbers == Numbers::typed && number_type == DType::f32) {
    for (Tensor& x : tensors) x = emit::to_wide_float(x);
    for (double& number : out.numbers) number = static_cast<double>(static_cast<float>(number));
  }
  out.type = !tensors.empty() ? tensors.front().dtype() : to_floats ? DType::f32 : number_type;
  std::size_t next = 0;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (!arguments[i].number()) out.tensors[i] = tensors[next++];
  }
  return out;
}

}  // namespace

std::vector<emit::Arg> together(const std::vector<Argument>& arguments, bool to_floats, Numbers numbers) {
  const Together all = in_one_type(arguments, to_floats, numbers);
  const bool any = std::ranges::any_of(all.tensors, [](const auto& x) { return x.has_value(); });
  std::vector<emit::Arg> out;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (all.tensors[i]) {
      out.emplace_back(*all.tensors[i]);
    } else if (any) {
      out.emplace_back(all.numbers[i]);
    } else {
      out.emplace_back(emit::constant("number", Array::splat(all.type, {}, all.numbers[i])));
    }
  }
  return out;
}

std::vector<Tensor> tensors_together(const std::vector<Argument>& arguments, bool to_floats, Numbers numbers) {
  const Together all = in_one_type(arguments, to_floats, numbers);
  Shape shape;
  for (const std::optional<Tensor>& x : all.tensors) {
    if (x) shape = x->shape();
  }
  std::vector<Tensor> out;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    out.push_back(all.tensors[i] ? *all.tensors[i] : emit::filled("number", all.type, shape, all.numbers[i]));
  }
  return out;
}

}  // namespace tusk::ops
