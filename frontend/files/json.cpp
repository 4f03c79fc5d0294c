#include "frontend/files/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "frontend/files/bytes.hpp"

namespace tusk {
namespace {

using nlohmann::json;

// The library's own parser knows neither NaN nor a bound on depth, and throws; its values are what the front end uses.
class JsonReader {
 public:
  JsonReader(std::string_view text, std::string_view name, std::string_view pairs)
      : text_(text), name_(name), pairs_(pairs) {}

  Expected<json> read() {
    if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;
    json value;
    CHECK(read_value(value, 0));
    skip();
    if (at_ != text_.size()) return fault("text after the end of the value");
    return value;
  }

 private:
  Diagnostic fault(std::string_view what) const { return fault(what, at_); }
  Diagnostic fault(std::string_view what, std::size_t at) const {
    const std::string_view before = text_.substr(0, at);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
    return error("json", fmt::format("{} is not valid JSON: {} at line {}, column {} (byte {})", name_, what, line,
                                     at - line_start + 1, at + 1));
  }

  bool at_end() const { return at_ == text_.size(); }
  void skip() {
    while (!at_end() && std::string_view(" \t\n\r").find(text_[at_]) != std::string_view::npos) ++at_;
  }
  bool take(std::string_view token) {
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }

  Status read_value(json& out, int depth) {
    if (depth > kMaxJsonDepth) {
      return error("json-depth", fmt::format("{}: nesting too deep at byte {}, the limit is {} levels", name_, at_ + 1,
                                             kMaxJsonDepth));
    }
    skip();
    if (at_end()) return fault("the text ends in the middle of a value");
    switch (text_[at_]) {
      case '{':
        return read_object(out, depth);
      case '[':
        return read_list(out, depth);
      case '"': {
        TRY(out, read_string());
        return done();
      }
      default:
        break;
    }
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    if (take("null")) {
      out = nullptr;
    } else if (take("true")) {
      out = true;
    } else if (take("false")) {
      out = false;
    } else if (take("NaN")) {
      out = std::numeric_limits<double>::quiet_NaN();
    } else if (take("Infinity")) {
      out = kInfinity;
    } else if (take("-Infinity")) {
      out = -kInfinity;
    } else {
      return read_number(out);
    }
    return done();
  }

  Status read_object(json& out, int depth) {
    out = json::object();
    ++at_;
    skip();
    if (take("}")) return done();
    std::vector<std::string> keys;
    const bool is_pairs = std::exchange(next_is_pairs_, false);
    while (true) {
      skip();
      if (at_end() || text_[at_] != '"') return fault(at_end() ? "the text ends inside an object" : "expected a key");
      TRY(const std::string key, read_string());
      skip();
      if (!take(":")) return fault("expected ':'");
      json value;
      next_is_pairs_ = !pairs_.empty() && key == pairs_;
      CHECK(read_value(value, depth + 1));
      next_is_pairs_ = false;
      if (is_pairs && !out.contains(key)) keys.push_back(key);
      out[key] = std::move(value);
      skip();
      if (take("}")) {
        if (is_pairs && !out.contains("class_name")) out = in_order(keys, std::move(out));
        return done();
      }
      if (!take(",")) return fault(at_end() ? "the text ends inside an object" : "expected ',' or '}'");
    }
  }

  static json in_order(const std::vector<std::string>& keys, json object) {
    json out = json::array();
    for (const std::string& key : keys) out.push_back(json::array({key, std::move(object[key])}));
    return out;
  }

  Status read_list(json& out, int depth) {
    next_is_pairs_ = false;
    out = json::array();
    ++at_;
    skip();
    if (take("]")) return done();
    while (true) {
      json value;
      CHECK(read_value(value, depth + 1));
      out.push_back(std::move(value));
      skip();
      if (take("]")) return done();
      if (!take(",")) return fault(at_end() ? "the text ends inside a list" : "expected ',' or ']'");
    }
  }

  Status read_number(json& out) {
    const std::size_t start = at_;
    const auto digits = [&] {
      const std::size_t first = at_;
      while (!at_end() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
      return at_ - first;
    };
    take("-");
    const std::size_t integer_start = at_;
    const std::size_t integer = digits();
    if (integer == 0) return fault("unexpected character", start);
    if (integer > 1 && text_[integer_start] == '0') return fault("a number with leading zeros", start);
    bool whole = true;
    if (take(".")) {
      whole = false;
      if (digits() == 0) return fault("a number without digits after its point", start);
    }
    if (take("e") || take("E")) {
      whole = false;
      if (!take("+")) take("-");
      if (digits() == 0) return fault("a number without digits in its exponent", start);
    }
    const char* first = text_.data() + start;
    const char* last = text_.data() + at_;
    if (whole) {
      std::int64_t small = 0;
      if (std::from_chars(first, last, small).ec == std::errc()) {
        out = small;
        return done();
      }
      std::uint64_t large = 0;
      if (std::from_chars(first, last, large).ec == std::errc()) {
        out = large;
        return done();
      }
    }
    double number = 0;
    if (std::from_chars(first, last, number).ec == std::errc::result_out_of_range) {
      // Python reads 1e999 as infinity and 1e-999 as 0; neither stands in a real configuration.
      return fault("a number out of range", start);
    }
    out = number;
    return done();
  }

  /// Four hexadecimal digits of \uXXXX, or -1.
  int read_hex4() {
    unsigned value = 0;
    if (text_.size() - at_ < 4) return -1;
    const char* first = text_.data() + at_;
    if (std::from_chars(first, first + 4, value, 16).ptr != first + 4) return -1;
    at_ += 4;
    return static_cast<int>(value);
  }

  static void append_utf8(std::string& out, std::uint32_t code) {
    const auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(static_cast<unsigned char>(byte))); };
    if (code < 0x80) {
      put(code);
    } else if (code < 0x800) {
      put(0xc0U | code >> 6);
      put(0x80U | (code & 63U));
    } else if (code < 0x10000) {
      put(0xe0U | code >> 12);
      put(0x80U | (code >> 6 & 63U));
      put(0x80U | (code & 63U));
    } else {
      put(0xf0U | code >> 18);
      put(0x80U | (code >> 12 & 63U));
      put(0x80U | (code >> 6 & 63U));
      put(0x80U | (code & 63U));
    }
  }

  Status read_escape(std::string& out) {
    const std::size_t start = at_ - 1;
    if (at_end()) return fault("the text ends inside a string");
    static constexpr std::string_view kNames = "\"\\/bfnrt";
    static constexpr std::string_view kValues = "\"\\/\b\f\n\r\t";
    const char name = text_[at_++];
    if (const std::size_t k = kNames.find(name); k != std::string_view::npos) {
      out.push_back(kValues[k]);
      return done();
    }
    if (name != 'u') return fault("an unknown escape", start);
    const int unit = read_hex4();
    if (unit < 0) return fault("an escape without four hexadecimal digits", start);
    auto code = static_cast<std::uint32_t>(unit);
    if (code >= 0xd800 && code < 0xdc00 && take("\\u")) {
      const int low = read_hex4();
      if (low < 0xdc00 || low > 0xdfff) return fault("half a surrogate pair", start);
      code = 0x10000 + ((code - 0xd800) << 10) + (static_cast<std::uint32_t>(low) - 0xdc00);
    }
    if (code >= 0xd800 && code < 0xe000) return fault("half a surrogate pair", start);
    append_utf8(out, code);
    return done();
  }

  /// Bytes of the UTF-8 sequence that begins here, or 0.
  std::size_t utf8_length() const {
    const auto byte = [&](std::size_t k) {
      return at_ + k < text_.size() ? static_cast<std::uint32_t>(static_cast<unsigned char>(text_[at_ + k])) : 0U;
    };
    const std::uint32_t first = byte(0);
    const std::size_t length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (length == 0) return 0;
    std::uint32_t code = first & (0x7fU >> length);
    for (std::size_t k = 1; k < length; ++k) {
      if ((byte(k) & 0xc0U) != 0x80U) return 0;
      code = code << 6 | (byte(k) & 63U);
    }
    const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    return overlong || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : length;
  }

  Expected<std::string> read_string() {
    ++at_;
    std::string out;
    while (!at_end()) {
      const auto byte = static_cast<unsigned char>(text_[at_]);
      if (byte == '"') {
        ++at_;
        return out;
      }
      if (byte == '\\') {
        ++at_;
        CHECK(read_escape(out));
      } else if (byte < 0x20) {
        return fault("a control character inside a string");
      } else if (byte < 0x80) {
        out.push_back(text_[at_++]);
      } else {
        const std::size_t length = utf8_length();
        if (length == 0) return fault("invalid UTF-8");
        out += text_.substr(at_, length);
        at_ += length;
      }
    }
    return fault("the text ends inside a string");
  }

  std::string_view text_;
  std::string_view name_, pairs_;
  std::size_t at_ = 0;
  bool next_is_pairs_ = false;  // the value that begins here stands under that key
};

}  // namespace

Expected<json> parse_json(std::string_view text, std::string_view name, std::string_view pairs) {
  return JsonReader(text, name, pairs).read();
}

const json* member(const json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

std::string text_member(const json& object, const char* key) {
  const json* value = member(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

}  // namespace tusk
