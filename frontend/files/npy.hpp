// NumPy's .npy arrays and .npz archives of them.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "frontend/files/bytes.hpp"
#include "frontend/files/zip.hpp"
#include "ir/base/array.hpp"
#include "ir/base/expected.hpp"

namespace tusk {

/// One array. Little endian f2 f4 f8 i1 i4 i8 u1 u4 and bool, in C or Fortran order (which is brought into C order).
/// `name` stands for the array in messages.
Expected<Array> read_npy(std::span<const std::byte> bytes, std::string_view name = "the array");
/// The reverse, format version 1.0. bf16 has no NumPy type and is refused.
Expected<Bytes> npy_bytes(const Array& array);

/// Every array of an archive, by its key: the member's name without ".npy".
Expected<std::map<std::string, Array>> read_npz(const std::filesystem::path& path);
Expected<std::map<std::string, Array>> read_npz(const ZipReader& zip);
Status write_npz(const std::filesystem::path& path, const std::map<std::string, Array>& arrays,
                 ZipMethod method = ZipMethod::deflate);

}  // namespace tusk
