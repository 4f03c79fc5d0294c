// The exception of the public C++ API.
#pragma once

#include <exception>
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

}  // namespace tusk
