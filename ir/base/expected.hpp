// Errors as values. A Diagnostic is what a user reads; Expected<T> is a T or a Diagnostic.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace tusk {

/// Where in a text an error lies: file, 1-based line and column, and the line itself for the caret.
struct SourceSpot {
  std::string file;
  int line = 0;
  int column = 0;
  std::string text;
};

/// One error for a user. `code` is the label of docs/errors.md ("contract-c2"); `message` says the situation with both
/// facts, lower case, no period; `layer` is the path in the user's model; `notes` are lines printed below (expected,
/// found, advice).
struct Diagnostic {
  std::string code;
  std::string message;
  std::string layer;
  std::vector<std::string> notes;
  std::optional<SourceSpot> spot;

  Diagnostic& note(std::string line) {
    notes.push_back(std::move(line));
    return *this;
  }
  /// The whole text: "error: message [code]", the layer, the notes, the source line with a caret.
  std::string str() const;
};

inline Diagnostic error(std::string code, std::string message) {
  return {std::move(code), std::move(message), {}, {}, {}};
}

/// A value of type T, or the Diagnostic that says why there is none.
template <class T>
class [[nodiscard]] Expected {
 public:
  Expected(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Expected(Diagnostic problem) : state_(std::in_place_index<1>, std::move(problem)) {}

  explicit operator bool() const { return state_.index() == 0; }
  T& operator*() & { return std::get<0>(state_); }
  const T& operator*() const& { return std::get<0>(state_); }
  T&& operator*() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  Diagnostic& problem() { return std::get<1>(state_); }
  const Diagnostic& problem() const { return std::get<1>(state_); }

 private:
  std::variant<T, Diagnostic> state_;
};

/// Success without a value.
struct Done {};
using Status = Expected<Done>;
inline Status done() { return Done{}; }

}  // namespace tusk

#define TUSK_CONCAT2(a, b) a##b
#define TUSK_CONCAT(a, b) TUSK_CONCAT2(a, b)
/// Binds the value of an Expected to a declaration, or returns its problem.
#define TRY(declaration, expression)                                              \
  auto TUSK_CONCAT(try_, __LINE__) = (expression);                                \
  if (!TUSK_CONCAT(try_, __LINE__)) return TUSK_CONCAT(try_, __LINE__).problem(); \
  declaration = *std::move(TUSK_CONCAT(try_, __LINE__))
/// Returns the problem of an Expected, if there is one.
#define CHECK(expression) \
  if (auto check_ = (expression); !check_) return check_.problem()
