// IDX files, as those of MNIST: http://yann.lecun.com/exdb/mnist/
#pragma once

#include <span>
#include <string_view>

#include "frontend/files/bytes.hpp"
#include "ir/base/array.hpp"
#include "ir/base/expected.hpp"

namespace tusk {

/// The array of an IDX file, not packed: u8, i8, i32, f32 or f64. `name` stands for the file in messages.
Expected<Array> read_idx(std::span<const std::byte> bytes, std::string_view name);

}  // namespace tusk
