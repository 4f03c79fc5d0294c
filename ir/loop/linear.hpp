// Index arithmetic in one normal form: a number and a sum of numbers times products of names.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ir/loop/loop.hpp"

namespace tusk::loop {

/// constant + sum of coefficient * atom. An atom is a name, a product of atoms, or arithmetic that is no sum (`n div
/// 3`). No two terms have the same atom, no coefficient is 0.
struct Linear {
  struct Term {
    ValueRef atom;
    std::int64_t coefficient = 1;
  };
  std::int64_t constant = 0;
  std::vector<Term> terms;
};

/// A number that divides every value of a name: the step of a loop that starts at 0. 1 where nothing is known.
using MultipleOf = std::function<std::int64_t(const std::string&)>;

/// The sum that an index value is. Quotients and remainders by a number give up the terms that the number divides:
/// (32*o + 5) div 32 is o, and rem 32 it is 5.
Linear linear_of(const ValueRef& value, const MultipleOf& multiple_of = {});

/// The sum as a value: terms in their order, the number last.
ValueRef value_of(const Linear& linear);

/// value_of(linear_of(value)).
ValueRef normal(const ValueRef& value, const MultipleOf& multiple_of = {});

/// Whether a name occurs in a value, and the predicate holds for it.
bool any_name(const ValueRef& value, const std::function<bool(const std::string&)>& predicate);

}  // namespace tusk::loop
