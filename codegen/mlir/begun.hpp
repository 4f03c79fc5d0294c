// Work beside what the caller does.
#pragma once

#include <future>
#include <system_error>

namespace tusk::mlir {

/// The result of a function that runs on a thread of its own; where the system gives none, when the result is wanted.
template <class Function>
auto begun(Function function) -> std::future<decltype(function())> {
  try {
    return std::async(std::launch::async, function);
  } catch (const std::system_error&) {
    return std::async(std::launch::deferred, function);
  }
}

}  // namespace tusk::mlir
