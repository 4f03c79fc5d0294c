// Arrays that a model is called with: by position or name, of the ranks that it has, cut into batches.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "frontend/model/model.hpp"

namespace tusk {

/// One array for each input, in their order, from one, a list or a dict (which may have more). An axis of 1 behind the
/// others is added or taken away where that gives the rank of the input. Throws [model-arrays].
std::vector<Array> input_arrays(const Model& model, const Data& given);

/// An axis of 1 more or less behind the others, if the array then has that rank.
Array with_rank(const Array& array, std::size_t rank);

/// How large batches are that code is made for: as large as wished, but not many times as large as all samples.
std::int64_t batch_for(std::int64_t batch_size, std::int64_t samples);

/// Makes `out` these rows, in the memory that it has if that has room for just so many.
void copy_rows(const Array& whole, std::span<const std::int64_t> which, Array& out);
/// One behind the other.
Array joined(const std::vector<Array>& parts);

/// "(10, 28, 28)"
std::string shape_text(const std::vector<std::int64_t>& shape);

}  // namespace tusk
