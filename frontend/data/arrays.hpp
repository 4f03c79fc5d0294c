// What programs do to arrays before they train, as NumPy and keras.utils do it. All throw an Error where shapes do not
// fit.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "ir/base/array.hpp"

namespace tusk {

/// x.reshape(shape): one size may be -1, which is found out.
Array reshape(const Array& x, std::vector<std::int64_t> shape);

/// x.astype(type). Numbers that an integer cannot hold become the nearest one that i32 can, and wrap from there.
Array cast(const Array& x, DType type);

/// x / divisor, each element rounded once. Floats keep their type, others become f64, as in NumPy:
/// cast(x, DType::f32) / 255.
Array operator/(const Array& x, double divisor);

/// x[begin:end] of axis 0, by Python's rules: negative numbers count from the end, what is beyond it is left out.
Array slice(const Array& x, std::int64_t begin, std::int64_t end = std::numeric_limits<std::int64_t>::max());

/// Arrays behind each other along axis 0: numpy.concatenate. One dtype, equal other axes.
Array concatenate(const std::vector<Array>& arrays);

/// keras.utils.to_categorical: labels [...] or [..., 1] to f32 [..., num_classes] with a 1 at each label. 0 classes:
/// the largest label + 1. Refuses labels outside of 0 .. num_classes - 1. (Keras gives f64, which fit makes f32.)
Array to_categorical(const Array& labels, std::int64_t num_classes = 0);

/// keras.ops.one_hot: labels [...] to f32 [..., num_classes]; a label outside gives a row of zeros.
Array one_hot(const Array& labels, std::int64_t num_classes);

/// numpy.load of a .npy file (docs: frontend/files/npy.hpp), and numpy.save: the file has exactly this name.
Array load_npy(const std::filesystem::path& path);
void save_npy(const std::filesystem::path& path, const Array& array);
/// The same for .npz archives; arrays by name. They are not deflated, as numpy.savez has it.
std::map<std::string, Array> load_npz(const std::filesystem::path& path);
void save_npz(const std::filesystem::path& path, const std::map<std::string, Array>& arrays);

}  // namespace tusk
