// A sum that shows whether bytes are damaged. It is no defence against anybody.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace tusk {

/// Over the whole 64-bit words of the bytes; the emitted `open` computes the same of weights.
inline std::uint64_t checksum_of_words(std::string_view bytes, std::uint64_t sum = 0) {
  for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, 8);
    sum = (sum ^ word) * 0x9e3779b97f4a7c15U;
    sum ^= sum >> 32;
  }
  return sum;
}

}  // namespace tusk
