#include "frontend/layers/categories.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "frontend/model/emit.hpp"
#include "frontend/ops/ops.hpp"

namespace tusk::layers {
namespace {

/// Ids (integers) in the mode; those that are no category count nowhere. `weights`: of what is counted.
Tensor encoded(const Tensor& ids, CategoryMode mode, std::int64_t depth, DType type,
               const std::optional<Tensor>& weights = {}) {
  Tensor x = ids;
  if (mode == "one_hot" && x.rank() > 1 && x.shape().back() == Dim(1))
    x = emit::reshape(x, Shape(x.shape().begin(), x.shape().end() - 1));
  const Tensor same = ops::call("OneHot", {{"x", x}, {"num_classes", depth}, {"dtype", "bool"}});
  if (mode == "one_hot") return emit::cast(same, type);
  const std::int64_t axis = x.rank() > 1 ? 1 : 0;
  if (mode != "count") return emit::cast(emit::reduce("any", same, {axis}), type);
  if (!weights) return emit::reduce("sum", emit::cast(same, type), {axis});
  return emit::reduce("sum", emit::map("select", {same, emit::leading(emit::to_float(*weights), same.shape()), 0}),
                      {axis});
}

Tensor as_ids(const Tensor& x) { return emit::cast(x, DType::i32); }

}  // namespace

void DiscretizationImpl::build(const Shape& in) {
  if (config.bin_boundaries.values.empty())
    fail("field-value", "bin_boundaries is not given: call adapt in Keras and save the model again");
  if (!std::ranges::is_sorted(config.bin_boundaries.values)) fail("field-value", "bin_boundaries is not sorted");
  check_elements(in);
}

Tensor DiscretizationImpl::call(Tensor input, const Call&) {
  const Tensor x = emit::to_float(input);
  const std::vector<double>& boundaries = config.bin_boundaries.values;
  Array array(emit::compute_dtype(), {static_cast<std::int64_t>(boundaries.size())});
  for (std::size_t i = 0; i < boundaries.size(); ++i) array.set(static_cast<std::int64_t>(i), boundaries[i]);
  const Tensor bins = ops::call("Digitize", {{"x", x}, {"bins", array}});
  if (config.output_mode == "int") return bins;
  return encoded(bins, config.output_mode, static_cast<std::int64_t>(boundaries.size()) + 1, emit::compute_dtype());
}

void CategoryEncodingImpl::build(const Shape&) {
  check_field("num_tokens", config.num_tokens);
  if (config.output_mode == "int") fail("field-value", "output_mode is int, expected one_hot, multi_hot or count");
}

std::vector<Tensor> CategoryEncodingImpl::call_all(const std::vector<Tensor>& inputs, const Call&) {
  std::optional<Tensor> weights;
  if (inputs.size() == 2) {
    if (!(config.output_mode == "count")) fail("layer-inputs", "weights are given, but the mode is not count");
    weights = inputs[1];
  }
  const DType type = dtype_policy().variable;  // as Keras, not what it computes in
  return {encoded(as_ids(inputs[0]), config.output_mode, config.num_tokens, type, weights)};
}

void IntegerLookupImpl::build(const Shape&) {
  if (config.vocabulary.empty())
    fail("field-value", "vocabulary is not given in the configuration; give it to the layer in Keras as a list");
  check_field("num_oov_indices", config.num_oov_indices, 0);
  if (config.num_oov_indices == 0 && !config.invert) {
    fail("field-value",
         "num_oov_indices is 0, so that other integers than those of the vocabulary are an error, which "
         "a compiled function cannot raise; expected 1 or more");
  }
  // The list may begin with the special tokens.
  std::vector<std::int64_t> special(static_cast<std::size_t>(first_oov()), config.mask_token.value_or(0));
  special.insert(special.end(), static_cast<std::size_t>(config.num_oov_indices), config.oov_token);
  tokens_ = config.vocabulary;
  if (tokens_.size() >= special.size() && std::equal(special.begin(), special.end(), tokens_.begin()))
    tokens_.erase(tokens_.begin(), tokens_.begin() + static_cast<std::ptrdiff_t>(special.size()));
  std::vector<std::int64_t> sorted = tokens_;
  std::ranges::sort(sorted);
  if (std::ranges::adjacent_find(sorted) != sorted.end()) fail("field-value", "vocabulary has a number twice");
}

// A table over the range of the vocabulary, or a comparison with each of its numbers if the range is wide.
Tensor IntegerLookupImpl::looked_up(const Tensor& input) const {
  const Tensor x = emit::cast(input, DType::i64);
  const std::int64_t first = first_oov() + config.num_oov_indices;
  const Tensor oov = emit::map(
      "add", {emit::map("mod", {x, static_cast<double>(config.num_oov_indices)}), static_cast<double>(first_oov())});
  Tensor y =
      config.num_oov_indices == 1 ? emit::filled("oov", DType::i64, x.shape(), static_cast<double>(first_oov())) : oov;
  if (tokens_.empty()) return y;
  const auto [low, high] = std::ranges::minmax(tokens_);
  constexpr std::int64_t kMostTable = 1 << 20;
  if (high - low >= 0 && high - low < kMostTable) {
    Array table(DType::i64, {high - low + 1});
    for (std::int64_t i = 0; i < table.size(); ++i) table.set_int(i, -1);
    for (std::size_t i = 0; i < tokens_.size(); ++i)
      table.set_int(tokens_[i] - low, first + static_cast<std::int64_t>(i));
    const Tensor at = emit::map("sub", {x, static_cast<double>(low)});
    const Tensor inside =
        emit::map("and", {emit::map("ge", {at, 0}), emit::map("le", {at, static_cast<double>(high - low)})});
    const Tensor index = emit::cast(emit::map("select", {inside, at, 0}), DType::i32);
    const Tensor found = emit::op("gather", {emit::constant("places", std::move(table)), index},
                                  {{{"axis", std::int64_t{0}}, {"batch", std::int64_t{0}}}});
    return emit::map("select", {emit::map("and", {inside, emit::map("ge", {found, 0})}), found, y});
  }
  const auto count = static_cast<std::int64_t>(tokens_.size());
  Array values(DType::i64, {count});
  for (std::int64_t i = 0; i < count; ++i) values.set_int(i, tokens_[static_cast<std::size_t>(i)]);
  Shape shape = x.shape();
  shape.emplace_back(count);
  check_elements(shape);
  const Tensor same =
      emit::map("eq", {emit::leading(x, shape), emit::aligned(emit::constant("vocabulary", std::move(values)), shape)});
  const Tensor places = emit::op("iota", {}, {{{"shape", shape}, {"axis", x.rank()}}});
  const Tensor place = emit::cast(emit::reduce("max", emit::map("select", {same, places, -1}), {x.rank()}), DType::i64);
  return emit::map("select", {emit::map("ge", {place, 0}), emit::map("add", {place, static_cast<double>(first)}), y});
}

// From places back to numbers; what has none is the oov_token.
Tensor IntegerLookupImpl::inverted(const Tensor& input) const {
  const Tensor x = as_ids(input);
  const std::int64_t first = first_oov() + config.num_oov_indices;
  Array table(DType::i64, {first + static_cast<std::int64_t>(tokens_.size())});
  for (std::int64_t i = 0; i < table.size(); ++i) {
    const bool is_token = i >= first;
    table.set_int(i, is_token          ? tokens_[static_cast<std::size_t>(i - first)]
                     : i < first_oov() ? *config.mask_token
                                       : config.oov_token);
  }
  const std::int64_t size = table.size();
  const Tensor found = emit::op("gather", {emit::constant("vocabulary", std::move(table)), x},
                                {{{"axis", std::int64_t{0}}, {"batch", std::int64_t{0}}}});
  const Tensor inside = emit::map("and", {emit::map("ge", {x, 0}), emit::map("lt", {x, static_cast<double>(size)})});
  return emit::map("select", {inside, found, static_cast<double>(config.oov_token)});
}

Tensor IntegerLookupImpl::call(Tensor x, const Call&) {
  if (is_float(x.dtype())) fail("layer-dtype", "IntegerLookup needs integers, found floats");
  if (config.invert) return inverted(x);
  Tensor places = looked_up(x);
  if (config.mask_token) {
    // In a vector of counts the mask token counts nowhere.
    const double place = config.output_mode == "int" ? 0 : -1;
    const Tensor wide = emit::cast(x, DType::i64);
    places = emit::map("select", {emit::map("eq", {wide, static_cast<double>(*config.mask_token)}), place, places});
  }
  if (config.output_mode == "int") return places;
  const std::int64_t size = first_oov() + config.num_oov_indices + static_cast<std::int64_t>(tokens_.size());
  const bool pad = config.pad_to_max_tokens && config.max_tokens;
  return encoded(as_ids(places), config.output_mode, pad ? *config.max_tokens : size, DType::i64);
}

}  // namespace tusk::layers
