#include "driver/jit_code.hpp"

#include <cstring>
#include <thread>
#include <utility>

#include "codegen/mlir/interface.hpp"

namespace tusk {
namespace {

constexpr std::string_view kMagic = "TUSKJIT1";

void put(std::string& out, std::uint64_t number) {
  char bytes[8];
  std::memcpy(bytes, &number, 8);
  out.append(bytes, 8);
}
void put(std::string& out, const std::string& text) {
  put(out, text.size());
  out += text;
}
void put(std::string& out, const mlir::Group& group);
template <class T>
void put(std::string& out, const std::vector<T>& list) {
  put(out, list.size());
  for (const T& each : list) put(out, each);
}
void put(std::string& out, const mlir::Group& group) {
  put(out, group.texts);
  put(out, group.exported);
  put(out, group.shared);
}

// Each takes what it reads off the bytes; false where there is not enough.
bool get(std::string_view& in, std::uint64_t& number) {
  if (in.size() < 8) return false;
  std::memcpy(&number, in.data(), 8);
  in.remove_prefix(8);
  return true;
}
bool get(std::string_view& in, std::string& text) {
  std::uint64_t size = 0;
  if (!get(in, size) || in.size() < size) return false;
  text = in.substr(0, size);
  in.remove_prefix(size);
  return true;
}
bool get(std::string_view& in, mlir::Group& group);
template <class T>
bool get(std::string_view& in, std::vector<T>& list) {
  std::uint64_t count = 0;
  if (!get(in, count) || in.size() / 8 < count) return false;
  for (std::uint64_t k = 0; k < count; ++k) {
    if (!get(in, list.emplace_back())) return false;
  }
  return true;
}
bool get(std::string_view& in, mlir::Group& group) {
  return get(in, group.texts) && get(in, group.exported) && get(in, group.shared);
}

}  // namespace

Expected<JitCode> jit_code(const cpp::PackageInput& input, const TargetMachine& target) {
  JitCode out;
  const auto threads = static_cast<int>(std::thread::hardware_concurrency());
  TRY(out.groups, mlir::print_groups(input, target, threads));
  TRY(out.data, mlir::group_data(input));
  TRY(out.described, cpp::describe(input));
  return out;
}

std::string packed(const JitCode& code) {
  std::string out(kMagic);
  put(out, code.described.manifest);
  put(out, code.described.weights);
  put(out, code.described.state);
  put(out, code.data);
  put(out, code.groups);
  return out;
}

std::optional<JitCode> unpacked(std::string_view bytes) {
  if (!bytes.starts_with(kMagic)) return std::nullopt;
  bytes.remove_prefix(kMagic.size());
  JitCode out;
  const bool is_whole = get(bytes, out.described.manifest) && get(bytes, out.described.weights) &&
                        get(bytes, out.described.state) && get(bytes, out.data) && get(bytes, out.groups);
  return is_whole && bytes.empty() ? std::optional(std::move(out)) : std::nullopt;
}

}  // namespace tusk
