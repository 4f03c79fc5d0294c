// Any bytes as a ZIP archive: refused with a message, or every member is read or refused.
#include "frontend/files/zip.hpp"

#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/zip_checksums.hpp"

using namespace tusk;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto bytes = std::make_shared<const Bytes>(tusk_fuzz::with_checksums(tusk_fuzz::bytes_of(data, size)));
  const Expected<ZipReader> zip = ZipReader::from_bytes(std::move(bytes), "the input");
  if (!zip) return tusk_fuzz::refused(zip.problem()), 0;
  for (const ZipMember& member : zip->members()) {
    if (!zip->has(member.name)) tusk_fuzz::broken("a member is missing", member.name, "");
    const Expected<Bytes> content = zip->read(member.name);
    if (!content) {
      tusk_fuzz::refused(content.problem());
    } else if (content->size() != member.size) {
      tusk_fuzz::broken("a member has another size than its claim", member.name, "");
    }
  }
  return 0;
}
