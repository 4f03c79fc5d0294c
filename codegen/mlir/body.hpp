// The text of an MLIR function's body as it grows. Internal to codegen/mlir.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ir/loop/loop.hpp"

namespace tusk::mlir {

/// Lines of a function, in which equal operations without effects stand once for each region that sees them.
class Body {
 public:
  /// The name of an operation's result; `pure`: an equal one that stands above serves again.
  std::string pure(const std::string& operation);
  std::string read(const std::string& operation);
  /// An operation without a result, or whose results the text names.
  void line(const std::string& text);
  /// An operation in front of all others, which stands once: constants, room on the stack.
  std::string in_front(const std::string& operation, std::string_view name = {});

  void open(const std::string& text);  // up to the brace that opens a region
  void close(const std::string& text = "}");
  void between(const std::string& text);  // "} else {"
  std::string fresh() { return "%" + std::to_string(next_++); }

  /// The place of the operations that follow, in a file that a debugger shows; 0: none.
  void at_line(int line) { line_ = line; }
  int current_line() const { return line_; }

  /// All of it, behind the operations of in_front.
  std::string take() const { return front_ + text_; }

 private:
  std::string place() const { return line_ == 0 ? "" : " loc(#line" + std::to_string(line_) + ")"; }

  std::string front_, text_;
  std::map<std::string, std::string> fronts_;
  std::vector<std::map<std::string, std::string>> seen_ = {{}};
  std::vector<int> opened_;  // the lines of regions
  int next_ = 0;
  int line_ = 0;
};

}  // namespace tusk::mlir
