// Tables of text: comma-separated files and their like (RFC 4180).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/files/bytes.hpp"
#include "ir/base/array.hpp"

namespace tusk {

struct CsvOptions {
  bool header = true;                  // the first line has the names of the columns; without, they are "0", "1", ...
  char separator = ',';                // '\t' for .tsv
  char quote = '"';                    // around fields, doubled inside of them; 0: quotes are characters like others
  std::optional<double> missing = {};  // the number of an empty field (NAN, as pandas has it); without, it is refused
};

/// A file in memory. Columns are named; asking for one that is not there, or for numbers where text stands, throws an
/// Error that says file, line and column.
class Table {
 public:
  const std::vector<std::string>& names() const { return names_; }
  std::int64_t rows() const { return rows_; }

  /// The fields of a column as text [rows].
  std::vector<std::string> text(std::string_view name) const;
  /// A column as numbers [rows]. An integer dtype takes whole numbers that it can hold.
  Array column(std::string_view name, DType type = DType::f32) const;
  /// Columns side by side [rows, columns]; all of them, if none is named.
  Array numbers(const std::vector<std::string>& columns = {}, DType type = DType::f32) const;
  /// All columns but these: the features beside a label.
  Array numbers_without(const std::vector<std::string>& columns, DType type = DType::f32) const;

 private:
  friend class CsvReader;
  struct Field {
    std::size_t begin = 0, end = 0;  // in the bytes, with its quotes
  };
  std::size_t place_of(std::string_view name) const;
  std::string field_text(const Field& field) const;
  void number(const Field& field, std::string_view name, Array& out, std::int64_t at) const;
  Array numbers_at(const std::vector<std::size_t>& places, DType type) const;

  std::string file_;
  std::shared_ptr<const Bytes> bytes_;
  CsvOptions options_;
  std::vector<std::string> names_;
  std::vector<Field> fields_;  // row by row
  std::int64_t rows_ = 0;
};

/// Reads a file, packed by gzip or not. Every row has as many fields as the first one; empty lines are left out. Throws
/// an Error at a file that is none of this.
Table read_csv(const std::filesystem::path& path, const CsvOptions& options = {});

}  // namespace tusk
