#include "codegen/mlir/body.hpp"

namespace tusk::mlir {

std::string Body::pure(const std::string& operation) {
  for (const auto& scope : seen_) {
    if (const auto it = scope.find(operation); it != scope.end()) return it->second;
  }
  return seen_.back()[operation] = read(operation);
}

std::string Body::read(const std::string& operation) {
  std::string name = fresh();
  line(name + " = " + operation);
  return name;
}

void Body::line(const std::string& text) {
  text_.append(2 * seen_.size() + 2, ' ');
  text_ += text + place() + "\n";
}

std::string Body::in_front(const std::string& operation, std::string_view name) {
  if (const auto it = fronts_.find(operation); it != fronts_.end()) return it->second;
  std::string result = name.empty() ? fresh() : "%" + std::string(name);
  front_ += "    " + result + " = " + operation + "\n";
  return fronts_[operation] = result;
}

void Body::open(const std::string& text) {
  text_.append(2 * seen_.size() + 2, ' ');
  text_ += text + "\n";
  seen_.emplace_back();
  opened_.push_back(line_);
}

void Body::close(const std::string& text) {
  seen_.pop_back();
  line_ = opened_.back();
  opened_.pop_back();
  line(text);
}

void Body::between(const std::string& text) {
  seen_.back().clear();
  text_.append(2 * seen_.size(), ' ');
  text_ += text + "\n";
}

}  // namespace tusk::mlir
