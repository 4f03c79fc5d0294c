#include "ir/graph/state_bytes.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string_view>

#include "driver/compile.hpp"

namespace tusk::graph {
namespace {

// "TUSKST", the version, a zero; the SHA-256 of the layout.
constexpr std::string_view kMagic = "TUSKST";
constexpr char kVersion = '1';
constexpr std::size_t kDigest = 8;
constexpr std::size_t kHeader = 40;

Diagnostic problem(std::string message) { return error("state-bytes", std::move(message)); }

std::string hexadecimal(std::span<const std::byte> bytes) {
  std::string out;
  for (const std::byte byte : bytes) out += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  return out;
}

Status check(std::span<const std::byte> bytes, std::size_t size, const std::string& layout) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.size() < kHeader)
    return problem(fmt::format("{} bytes are no state: its header alone has {}", text.size(), kHeader));
  if (text.substr(0, kHeader).find_first_not_of('\0') == std::string_view::npos)
    return problem("the state was never initialised: it begins with zeros").note("init() comes before everything else");
  if (!text.starts_with(kMagic) || text[kMagic.size() + 1] != '\0')
    return problem("the bytes are no state of emitted code: they do not begin with TUSKST")
        .note("write the bytes of the struct State as they are, from its first one on");
  if (text[kMagic.size()] != kVersion)
    return problem(fmt::format("the state has version {}, this Tusk reads version {}", text[kMagic.size()], kVersion))
        .note("read it with the version of Tusk that emitted the code");
  const std::string found = hexadecimal(bytes.subspan(kDigest, kHeader - kDigest));
  if (found != layout)
    return problem(fmt::format("the state has another layout: {}..., expected {}...", found.substr(0, 16),
                               layout.substr(0, 16)))
        .note("the model, the functions, the optimizer and the metrics must be those of the emitted code")
        .note("\"layout_sha256\" in its manifest.json is the layout");
  if (bytes.size() != size)
    return problem(fmt::format("the state has {} bytes, expected {}", bytes.size(), size))
        .note(bytes.size() < size ? "it is cut short: fetch it again" : "more stands behind it than the struct State");
  return done();
}

}  // namespace

Expected<std::map<std::string, Array>> states_of(Module module, std::span<const std::byte> bytes) {
  EmitOptions options;
  options.profile = module.profile;
  options.self_test = false;
  options.embed_weights = false;
  TRY(const auto files, compile(std::move(module), options));
  const nlohmann::json manifest = nlohmann::json::parse(files.at("manifest.json"));
  if (!manifest.contains("state")) return problem("the functions of the model change no state");
  const nlohmann::json& state = manifest["state"];
  CHECK(check(bytes, state["bytes"].get<std::size_t>(), state["layout_sha256"].get<std::string>()));
  std::map<std::string, Array> out;
  for (const nlohmann::json& variable : state["variables"]) {
    Array value(dtype_named(variable["type"].get<std::string>()).value(),
                variable["shape"].get<std::vector<std::int64_t>>());
    const std::span<std::byte> to = value.writable_bytes();
    const auto from = bytes.subspan(variable["offset"].get<std::size_t>(), to.size());
    std::copy(from.begin(), from.end(), to.begin());
    out.emplace(variable["path"].get<std::string>(), std::move(value));
  }
  return out;
}

}  // namespace tusk::graph
