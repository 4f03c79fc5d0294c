#include "frontend/model/cells.hpp"

#include <algorithm>

#include "ir/base/utf8.hpp"

namespace tusk {
namespace {

struct CodeRange {
  char32_t first, last;
};

// The blocks that names are written in, after Unicode's East Asian Width (wide and full), and of combining marks.
constexpr CodeRange kWide[] = {{0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0x33FF},  {0x3400, 0x4DBF},
                               {0x4E00, 0xA4CF},   {0xA960, 0xA97C},   {0xAC00, 0xD7A3},  {0xF900, 0xFAFF},
                               {0xFE30, 0xFE6F},   {0xFF01, 0xFF60},   {0xFFE0, 0xFFE6},  {0x1F300, 0x1F64F},
                               {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};
constexpr CodeRange kNone[] = {{0x0300, 0x036F}, {0x200B, 0x200F}, {0x20D0, 0x20F0}, {0xFE00, 0xFE0F}};

std::int64_t cells_of(const CodePoint& character) {
  if (!character.value) return 1;
  const auto holds = [&](const CodeRange& range) {
    return range.first <= *character.value && *character.value <= range.last;
  };
  return std::ranges::any_of(kWide, holds) ? 2 : std::ranges::any_of(kNone, holds) ? 0 : 1;
}

}  // namespace

std::int64_t cells_of(std::string_view text) {
  std::int64_t count = 0;
  while (!text.empty()) {
    const CodePoint next = first_code_point(text);
    count += cells_of(next);
    text.remove_prefix(next.bytes);
  }
  return count;
}

std::string first_cells(std::string_view text, std::int64_t count) {
  std::string out;
  while (!text.empty() && count > 0) {
    const CodePoint next = first_code_point(text);
    out += cells_of(next) <= count ? text.substr(0, next.bytes) : " ";
    count -= cells_of(next);
    text.remove_prefix(next.bytes);
  }
  return out;
}

}  // namespace tusk
