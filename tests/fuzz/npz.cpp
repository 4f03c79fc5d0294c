// Any bytes as .npz, or as one .npy: refused with a message, or what is read is the same after writing and reading it.
#include "frontend/files/npy.hpp"

#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/zip_checksums.hpp"

using namespace tusk;

namespace {

void inverse(const Array& array) {
  const Expected<Bytes> written = npy_bytes(array);
  if (!written) tusk_fuzz::broken("an array is not written", written.problem().str(), "");
  const Expected<Array> again = read_npy(*written, "written");
  if (!again) tusk_fuzz::broken("a written array is not read", again.problem().str(), "");
  if (again->dtype() != array.dtype() || again->shape() != array.shape())
    tusk_fuzz::broken("a written array has another type", "", "");
  tusk_fuzz::equal(tusk::text_of(array.bytes()), tusk::text_of(again->bytes()));
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes = tusk_fuzz::bytes_of(data, size);
  if (!looks_like_zip(bytes)) {
    const Expected<Array> array = read_npy(bytes, "the input");
    if (!array) return tusk_fuzz::refused(array.problem()), 0;
    return inverse(*array), 0;
  }
  auto archive = std::make_shared<const Bytes>(tusk_fuzz::with_checksums(std::move(bytes)));
  const Expected<ZipReader> zip = ZipReader::from_bytes(std::move(archive), "the input");
  if (!zip) return tusk_fuzz::refused(zip.problem()), 0;
  const auto arrays = read_npz(*zip);
  if (!arrays) return tusk_fuzz::refused(arrays.problem()), 0;
  // Larger ones are read only: a copy of them is no memory that the reader takes.
  constexpr std::int64_t kMaxWritten = 1 << 20;
  for (const auto& [key, array] : *arrays) {
    if (array.size() <= kMaxWritten) inverse(array);
  }
  return 0;
}
