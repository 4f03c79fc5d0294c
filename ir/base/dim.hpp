// Symbolic dimensions: integers, symbols, sums, products, floor divisions and max0, kept in one canonical form.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tusk {

class Dim;

/// Closed range of integers.
struct Range {
  std::int64_t low = 0;
  std::int64_t high = 0;
};

/// Looks up the range of a symbol. Every symbol of a verified module has one.
using RangeOf = std::function<Range(std::string_view symbol)>;
/// Looks up the value of a symbol at run time.
using ValueOf = std::function<std::int64_t(std::string_view symbol)>;

/// A sum of integer * product of atoms; an atom is `symbol // unit`, `(sum) // divisor` or `max0(sum)`.
/// Two dims are equal for all values of their symbols if their canonical forms are equal. A symbol that is declared
/// with `step s` is held as s * (symbol // s), so that divisions by factors of s are exact.
class Dim {
 public:
  Dim() = default;
  Dim(std::int64_t constant);  // NOLINT: an integer is a dimension
  static Dim symbol(std::string_view name, std::int64_t step = 1);

  bool is_constant() const;
  /// The value of a constant dim.
  std::int64_t constant() const;
  /// The constant term of the sum.
  std::int64_t constant_term() const;
  /// The name, if this dim is exactly one symbol.
  std::optional<std::string> as_symbol() const;

  friend Dim operator+(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a, const Dim& b);
  friend Dim operator*(const Dim& a, const Dim& b);
  friend bool operator==(const Dim& a, const Dim& b);
  Dim& operator+=(const Dim& b) { return *this = *this + b; }
  Dim& operator*=(const Dim& b) { return *this = *this * b; }

  /// Floor division by a positive integer.
  Dim floor_div(std::int64_t divisor) const;
  /// ceil(this / divisor).
  Dim ceil_div(std::int64_t divisor) const;
  /// max(0, this).
  Dim max0() const;
  /// The quotient q with q * divisor == this, if it is provably exact.
  std::optional<Dim> exact_div(const Dim& divisor) const;

  std::int64_t value(const ValueOf& of) const;
  /// Bounds by interval arithmetic; exact for a single occurrence of each symbol.
  Range range(const RangeOf& of) const;
  /// Every symbol replaced by what `of` gives.
  Dim substituted(const std::function<Dim(std::string_view, std::int64_t step)>& of) const;
  /// Names of the symbols that occur, each once, sorted.
  std::vector<std::string> symbols() const;

  /// The text form; reading it back gives an equal dim.
  std::string str() const;

  /// A factor of a product. (Public only because it is ordered by a free function.)
  struct Atom {
    enum class Kind { symbol, floor_div, max0 } kind = Kind::symbol;
    std::string name;                  // symbol
    std::int64_t divisor = 1;          // symbol: its unit; floor_div: the divisor
    std::shared_ptr<const Dim> inner;  // floor_div, max0
    friend bool operator<(const Atom& a, const Atom& b);
    friend bool operator==(const Atom& a, const Atom& b);
  };
  static bool less(const Dim& a, const Dim& b);

  /// The sum as it is held, for translations into other forms. In order: positive terms, negative terms, the constant.
  struct Term {
    std::int64_t coefficient = 0;
    std::vector<Atom> factors;  // none: the constant
  };
  std::vector<Term> terms() const;

 private:
  using Product = std::vector<Atom>;  // sorted
  static Dim of_atom(Atom atom);
  std::string term_str(const Product& product, std::int64_t coefficient) const;

  std::map<Product, std::int64_t> terms_;  // no zero coefficients; the empty product is the constant
};

/// A shape is one dim for each axis.
using Shape = std::vector<Dim>;
std::string shape_str(const Shape& shape);
Dim product(const Shape& shape);

}  // namespace tusk
