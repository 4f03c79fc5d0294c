// The exception of the public C++ API, and the way between it and errors as values.
#pragma once

#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include "ir/base/expected.hpp"

namespace tusk {

/// What every function of the front end throws: the full text, as a user reads it.
class Error : public std::exception {
 public:
  explicit Error(Diagnostic problem) : problem_(std::move(problem)), text_(problem_.str()) {}

  const char* what() const noexcept override { return text_.c_str(); }
  const Diagnostic& problem() const { return problem_; }

 private:
  Diagnostic problem_;
  std::string text_;
};

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
