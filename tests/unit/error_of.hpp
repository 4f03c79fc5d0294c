// What a user reads when code throws, or gives back what went wrong.
#pragma once

#include <string>

#include "frontend/model/error.hpp"

namespace tusk {

/// The whole text of the Error that the code throws.
template <class Code>
std::string error_of(Code code) {
  try {
    code();
  } catch (const Error& failure) {
    return failure.what();
  }
  return "no error";
}

template <class T>
std::string problem_of(const Expected<T>& expected) {
  return expected ? "no problem" : expected.problem().message;
}

}  // namespace tusk
