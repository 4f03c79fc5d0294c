// The way between exceptions and errors as values.
#pragma once

#include <new>
#include <stdexcept>
#include <utility>

#include "ir/base/error.hpp"

namespace tusk {

/// The value, or its problem as an Error.
template <class T>
T value_or_throw(Expected<T> expected) {
  if (!expected) throw Error(expected.problem());
  return *std::move(expected);
}

/// Runs code that throws Errors; gives them back as values. So is memory that a file claims and nobody has.
template <class Function>
auto catch_errors(Function function) -> Expected<decltype(function())> {
  try {
    return function();
  } catch (const Error& failure) {
    return failure.problem();
  } catch (const std::bad_alloc&) {
    return error("memory", "out of memory: the model is too large for this machine");
  } catch (const std::length_error&) {
    return error("memory", "out of memory: the model is too large for this machine");
  }
}

}  // namespace tusk
