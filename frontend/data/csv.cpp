#include "frontend/data/csv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>

#include "frontend/files/gzip.hpp"
#include "frontend/model/error.hpp"
#include "ir/base/utf8.hpp"
#include "ir/text/suggest.hpp"

namespace tusk {
namespace {

constexpr std::size_t kShownLine = 200;  // of a line in a message

bool ends_line(char c) { return c == '\n' || c == '\r'; }

/// Line and column of a byte; \r\n is one end of a line.
SourceSpot spot_of(std::string_view text, std::size_t at, const std::string& file) {
  int line = 1;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < at; ++i) {
    if (text[i] == '\n' || (text[i] == '\r' && !text.substr(i + 1).starts_with('\n'))) {
      ++line;
      begin = i + 1;
    }
  }
  const std::size_t end = std::min(text.find_first_of("\r\n", begin), text.size());
  const auto column = static_cast<int>(code_points(text.substr(begin, at - begin))) + 1;
  std::string shown(end - begin <= kShownLine ? text.substr(begin, end - begin) : "");
  return {file, line, column, std::move(shown)};
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  Number number{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

}  // namespace

/// Cuts the bytes into fields.
class CsvReader {
 public:
  CsvReader(Bytes bytes, std::string file, const CsvOptions& options) {
    table_.file_ = std::move(file);
    table_.bytes_ = std::make_shared<const Bytes>(std::move(bytes));
    table_.options_ = options;
    text_ = text_of(*table_.bytes_);
  }

  Expected<Table> read() {
    if (const std::string_view mark = "\xef\xbb\xbf"; text_.starts_with(mark)) at_ = mark.size();
    std::vector<Table::Field> row;
    while (next_line()) {
      CHECK(read_row(row));
      if (width_ == 0) {
        width_ = row.size();
        CHECK(name_columns(row));
        if (table_.options_.header) continue;
      }
      if (row.size() != width_) {
        const std::size_t where = row.size() > width_ ? row[width_].begin : row.back().end;
        return refuse(where, fmt::format("a row of {} fields, expected {} as in the first one", row.size(), width_));
      }
      table_.fields_.insert(table_.fields_.end(), row.begin(), row.end());
      ++table_.rows_;
    }
    if (width_ == 0) return error("csv-format", fmt::format("{} has no rows", in_quotes(table_.file_)));
    return std::move(table_);
  }

 private:
  Diagnostic refuse(std::size_t at, std::string message) const {
    Diagnostic problem = error("csv-format", std::move(message));
    problem.spot = spot_of(text_, at, table_.file_);
    return problem;
  }
  bool at_end() const { return at_ == text_.size(); }

  bool next_line() {
    while (!at_end() && ends_line(text_[at_])) ++at_;
    return !at_end();
  }

  Status read_row(std::vector<Table::Field>& row) {
    row.clear();
    while (true) {
      CHECK(read_field(row));
      if (at_end() || text_[at_] != table_.options_.separator) return done();
      ++at_;
    }
  }

  Status read_field(std::vector<Table::Field>& row) {
    const char quote = table_.options_.quote;
    const std::size_t begin = at_;
    if (quote != 0 && !at_end() && text_[at_] == quote) {
      ++at_;
      while (true) {
        at_ = text_.find(quote, at_);
        if (at_ == std::string_view::npos) return refuse(begin, "a quote is opened here and never closed");
        ++at_;
        if (at_end() || text_[at_] != quote) break;
        ++at_;
      }
      if (!at_end() && !ends_line(text_[at_]) && text_[at_] != table_.options_.separator) {
        return refuse(at_, "text behind the closing quote of a field")
            .note("a quote inside of a field is doubled; {.quote = 0} takes quotes as characters");
      }
    } else {
      while (!at_end() && !ends_line(text_[at_]) && text_[at_] != table_.options_.separator) ++at_;
    }
    row.push_back({begin, at_});
    return done();
  }

  Status name_columns(const std::vector<Table::Field>& row) {
    std::set<std::string> seen;
    for (const Table::Field& field : row) {
      std::string name = table_.options_.header ? table_.field_text(field) : std::to_string(table_.names_.size());
      if (!seen.insert(name).second)
        return refuse(field.begin, fmt::format("two columns are named {}", in_quotes(name)));
      table_.names_.push_back(std::move(name));
    }
    return done();
  }

  Table table_;
  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t width_ = 0;
};

std::size_t Table::place_of(std::string_view name) const {
  const auto place = std::ranges::find(names_, name);
  if (place != names_.end()) return static_cast<std::size_t>(place - names_.begin());
  const std::vector<std::string_view> known(names_.begin(), names_.end());
  throw Error(error("csv-column", fmt::format("{} has no column {}{}", in_quotes(file_), in_quotes(name),
                                              text::suggestion(name, known))));
}

std::string Table::field_text(const Field& field) const {
  std::string_view text = text_of(*bytes_).substr(field.begin, field.end - field.begin);
  const char quote = options_.quote;
  if (quote == 0 || !text.starts_with(quote)) return std::string(text);
  text = text.substr(1, text.size() - 2);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    out += text[i];
    if (text[i] == quote) ++i;  // it is doubled
  }
  return out;
}

std::vector<std::string> Table::text(std::string_view name) const {
  const std::size_t column = place_of(name);
  std::vector<std::string> out;
  for (std::size_t at = column; at < fields_.size(); at += names_.size()) out.push_back(field_text(fields_[at]));
  return out;
}

void Table::number(const Field& field, std::string_view name, Array& out, std::int64_t at) const {
  const std::string unquoted = field_text(field);
  const std::string_view text = trimmed(unquoted);
  const auto refuse = [&](std::string_view message) {
    Diagnostic problem = error(
        "csv-number",
        fmt::format("{} in column {} {}", text.empty() ? "an empty field" : in_quotes(text), in_quotes(name), message));
    problem.spot = spot_of(text_of(*bytes_), field.begin, file_);
    return problem;
  };
  const auto does_not_fit = [&] { return Error(refuse(fmt::format("does not fit {}", name_of(out.dtype())))); };
  if (text.empty() && !options_.missing) {
    throw Error(refuse("is no number").note("read_csv(..., {.missing = NAN}) gives a number to empty fields"));
  }
  const std::optional<double> value = text.empty() ? options_.missing : number_of<double>(text);
  if (!value) throw Error(refuse("is no number that f64 holds"));
  if (is_float(out.dtype())) {
    out.set(at, *value);
    if (std::isfinite(*value) && !std::isfinite(out.at(at))) throw does_not_fit();
    return;
  }
  constexpr double kExact = 0x1p53;  // up to here 3.0 and 3e2 are integers, too
  auto integer = text.empty() ? std::nullopt : number_of<std::int64_t>(text);
  if (!integer && std::abs(*value) <= kExact && *value == std::trunc(*value))
    integer = static_cast<std::int64_t>(*value);
  if (!integer) throw does_not_fit();
  out.set_int(at, *integer);
  if (out.int_at(at) != *integer) throw does_not_fit();
}

Array Table::numbers_at(const std::vector<std::size_t>& places, DType type) const {
  Array out(type, {rows_, static_cast<std::int64_t>(places.size())});
  std::int64_t at = 0;
  for (std::size_t row = 0; row < fields_.size(); row += names_.size()) {
    for (const std::size_t place : places) number(fields_[row + place], names_[place], out, at++);
  }
  return out;
}

Array Table::column(std::string_view name, DType type) const {
  return numbers_at({place_of(name)}, type).reshaped({rows_});
}

Array Table::numbers(const std::vector<std::string>& columns, DType type) const {
  std::vector<std::size_t> places;
  for (const std::string& name : columns.empty() ? names_ : columns) places.push_back(place_of(name));
  return numbers_at(places, type);
}

Array Table::numbers_without(const std::vector<std::string>& columns, DType type) const {
  std::set<std::size_t> left_out;
  for (const std::string& name : columns) left_out.insert(place_of(name));
  std::vector<std::size_t> places;
  for (std::size_t place = 0; place < names_.size(); ++place) {
    if (!left_out.contains(place)) places.push_back(place);
  }
  return numbers_at(places, type);
}

Table read_csv(const std::filesystem::path& path, const CsvOptions& options) {
  Bytes bytes = value_or_throw(read_unpacked(path));
  return value_or_throw(CsvReader(std::move(bytes), path.string(), options).read());
}

}  // namespace tusk
