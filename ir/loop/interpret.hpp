// The loop interpreter: runs loop IR in the very arithmetic of its rows. It is the oracle for bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "ir/base/expected.hpp"
#include "ir/loop/loop.hpp"

namespace tusk::loop {

struct BufferArg {
  std::byte* data = nullptr;
  std::int64_t bytes = 0;
};

/// Numerics N10: with `muladd` every fma row rounds twice.
enum class Profile : std::uint8_t { fma, muladd };

/// Runs functions of a module, of which it keeps a copy. Every access is checked: one out of range is an error that
/// names function, buffer and address. Loops that are `parallel` run on one thread,
/// backwards.
class Interpreter {
 public:
  explicit Interpreter(const Module& module, Profile profile = Profile::fma);
  ~Interpreter();
  Interpreter(Interpreter&&) noexcept;
  Interpreter& operator=(Interpreter&&) noexcept;

  /// Scalars are values of integer types, or the bits of floats in the low end. The first run of a module verifies it.
  Status run(std::string_view func, std::span<const BufferArg> buffers, std::span<const std::int64_t> scalars);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tusk::loop
