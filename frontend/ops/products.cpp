// Operations that multiply and sum: matmul, dot, tensordot, einsum.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "frontend/model/error.hpp"
#include "frontend/ops/operation.hpp"

namespace tusk::ops {
namespace {

using Results = std::vector<Tensor>;
using Names = std::vector<std::string>;

Error refused(const Tensor& a, const Tensor& b, std::string_view what) {
  return Error(
      error("ops-shapes", fmt::format("{} of {} and {}", what, keras_shape(a.shape()), keras_shape(b.shape()))));
}

/// The type of Keras' result: bools and uint8 stay what they are; int8 becomes int32 in matmul and einsum only.
Tensor of_keras_type(const Tensor& y, DType type, bool widens) {
  const bool stays = type == DType::boolean || type == DType::u8 || (type == DType::i8 && !widens);
  if (!stays || y.dtype() == type) return y;
  if (type == DType::boolean) return emit::cast(y, type);
  // Beyond the type's range TensorFlow saturates in whole vectors and wraps in their remainder; here all saturate.
  const double low = type == DType::u8 ? 0 : -128;
  return emit::cast(emit::map("min", {emit::map("max", {y, low}), low + 255}), type);
}

/// Two operands of one type that can be multiplied.
std::pair<Tensor, Tensor> operands(const Arguments& a) {
  std::vector<Tensor> x = emit::with_one_dtype({a.tensor("x1"), a.tensor("x2")});
  for (Tensor& of : x) {
    if (of.dtype() == DType::boolean) of = emit::cast(of, DType::i32);
  }
  return {x[0], x[1]};
}

/// The extents of a summed axis, if both are known, are equal.
void check_equal(const Tensor& a, std::int64_t i, const Tensor& b, std::int64_t j, std::string_view what) {
  const Dim& left = a.shape()[static_cast<std::size_t>(i)];
  const Dim& right = b.shape()[static_cast<std::size_t>(j)];
  if (left.is_constant() && right.is_constant() && !(left == right)) throw refused(a, b, what);
}

Tensor product(const Tensor& a, const Tensor& b, Names of_a, Names of_b, Names of_y) {
  graph::ContractSpec spec;
  spec.a = std::move(of_a);
  spec.b = std::move(of_b);
  spec.y = std::move(of_y);
  return emit::contract(a, b, std::nullopt, std::move(spec));
}

// The last two axes are matrices, those before them broadcast; a vector is a row on the left and a column on the right.
Tensor matmul_of(const Arguments& arguments) {
  auto [a, b] = operands(arguments);
  const bool row = a.rank() == 1;
  const bool column = b.rank() == 1;
  if (a.rank() == 0 || b.rank() == 0) throw refused(a, b, "matmul");
  check_equal(a, a.rank() - 1, b, column ? 0 : b.rank() - 2, "matmul");
  // The axes in front of the matrices, from behind: those of extent 1 are stretched where the other has more.
  const auto batch_of = [](const Tensor& x) { return x.rank() < 2 ? 0 : static_cast<std::size_t>(x.rank() - 2); };
  const std::size_t batch = std::max(batch_of(a), batch_of(b));
  // Clang 14 captures no bindings by itself.
  const auto aligned = [&, &a = a, &b = b](Tensor x, const Tensor& other) {
    const std::size_t own = batch_of(x);
    const std::size_t others = batch_of(other);
    Shape shape = x.shape();
    emit::Ints dims;
    for (std::size_t i = 0; i < shape.size(); ++i) dims.push_back(static_cast<std::int64_t>(i));
    for (std::size_t i = 1; i <= std::min(own, others); ++i) {
      Dim& extent = shape[own - i];
      const Dim& wanted = other.shape()[others - i];
      if (extent == Dim(1)) extent = wanted;
      if (extent.is_constant() && wanted.is_constant() && !(extent == wanted) && !(wanted == Dim(1)))
        throw refused(a, b, "matmul");
    }
    return shape == x.shape() ? x : emit::broadcast(x, shape, dims);
  };
  const Tensor left = aligned(a, b);
  const Tensor right = aligned(b, a);
  const auto names = [&](const Tensor& x, const Names& matrix) {
    Names out;
    for (std::size_t i = batch - batch_of(x); i < batch; ++i) out.push_back(fmt::format("n{}", i));
    out.insert(out.end(), matrix.begin(), matrix.end());
    return out;
  };
  Names y;
  for (std::size_t i = 0; i < batch; ++i) y.push_back(fmt::format("n{}", i));
  if (!row) y.emplace_back("m");
  if (!column) y.emplace_back("o");
  return product(left, right, names(left, row ? Names{"k"} : Names{"m", "k"}),
                 names(right, column ? Names{"k"} : Names{"k", "o"}), y);
}

/// The type that the operands have in common.
DType common_type(const Arguments& a) { return emit::with_one_dtype({a.tensor("x1"), a.tensor("x2")}).front().dtype(); }

Results matmul(const Arguments& a) { return {of_keras_type(matmul_of(a), common_type(a), true)}; }

/// Sums over pairs of axes; what is left of a, then of b.
Tensor contracted(const Tensor& a, const Tensor& b, const emit::Ints& of_a, const emit::Ints& of_b,
                  std::string_view what) {
  Names left;
  Names right;
  Names y;
  for (std::int64_t i = 0; i < a.rank(); ++i) {
    const auto it = std::ranges::find(of_a, i);
    left.push_back(it != of_a.end() ? fmt::format("k{}", it - of_a.begin()) : fmt::format("p{}", i));
    if (it == of_a.end()) y.push_back(left.back());
  }
  for (std::int64_t i = 0; i < b.rank(); ++i) {
    const auto it = std::ranges::find(of_b, i);
    right.push_back(it != of_b.end() ? fmt::format("k{}", it - of_b.begin()) : fmt::format("q{}", i));
    if (it == of_b.end()) y.push_back(right.back());
  }
  for (std::size_t i = 0; i < of_a.size(); ++i) check_equal(a, of_a[i], b, of_b[i], what);
  return product(a, b, left, right, y);
}

// The last axis of the first and the last but one of the second.
Results dot(const Arguments& arguments) {
  const auto [a, b] = operands(arguments);
  if (a.rank() == 0 || b.rank() == 0) {
    const std::vector<Tensor> x = emit::broadcast_together({a, b});
    return {emit::map("mul", {x[0], x[1]})};
  }
  return {of_keras_type(contracted(a, b, {a.rank() - 1}, {std::max<std::int64_t>(b.rank() - 2, 0)}, "dot"),
                        common_type(arguments), false)};
}

Results inner(const Arguments& arguments) {
  const auto [a, b] = operands(arguments);
  if (a.rank() == 0 || b.rank() == 0) throw refused(a, b, "inner");
  return {of_keras_type(contracted(a, b, {a.rank() - 1}, {b.rank() - 1}, "inner"), common_type(arguments), false)};
}

Results vdot(const Arguments& arguments) {
  auto [a, b] = operands(arguments);
  a = emit::reshape(a, {tusk::product(a.shape())});
  b = emit::reshape(b, {tusk::product(b.shape())});
  return {of_keras_type(contracted(a, b, {0}, {0}, "vdot"), common_type(arguments), false)};
}

Results outer(const Arguments& arguments) {
  auto [a, b] = operands(arguments);
  const Dim rows = tusk::product(a.shape());
  const Dim columns = tusk::product(b.shape());
  const Tensor left = emit::broadcast(emit::reshape(a, {rows}), {rows, columns}, {0});
  const Tensor right = emit::broadcast(emit::reshape(b, {columns}), {rows, columns}, {1});
  return {emit::map("mul", {left, right})};
}

// axes: a number n for the last n axes and the first n, or two lists.
Results tensordot(const Arguments& arguments) {
  const auto [a, b] = operands(arguments);
  emit::Ints of_a;
  emit::Ints of_b;
  const Argument& axes = arguments.at("axes");
  if (const Argument::List* pair = axes.get<Argument::List>()) {
    if (pair->size() != 2) arguments.refuse("axes", "a number or two lists of axes");
    for (std::size_t k = 0; k < 2; ++k) {
      Arguments one;
      one.set("axes", (*pair)[k]);
      for (const std::int64_t axis : one.ints("axes").value_or(emit::Ints{}))
        (k == 0 ? of_a : of_b).push_back(emit::axis_of(k == 0 ? a : b, axis));
    }
  } else {
    const std::int64_t count = arguments.integer("axes", 2);
    if (count < 0 || count > std::min(a.rank(), b.rank())) arguments.refuse("axes", "as many axes as both have");
    for (std::int64_t i = 0; i < count; ++i) {
      of_a.push_back(a.rank() - count + i);
      of_b.push_back(i);
    }
  }
  if (of_a.size() != of_b.size()) arguments.refuse("axes", "lists of one length");
  return {of_keras_type(contracted(a, b, of_a, of_b, "tensordot"), common_type(arguments), false)};
}

// Every element of the first, times the whole second.
Results kron(const Arguments& arguments) {
  auto [a, b] = operands(arguments);
  Shape left;
  Shape right;
  Shape shape;
  const auto rank = static_cast<std::size_t>(std::max(a.rank(), b.rank()));
  const auto extent = [&](const Tensor& x, std::size_t axis) {
    const std::size_t missing = rank - x.shape().size();
    return axis < missing ? Dim(1) : x.shape()[axis - missing];
  };
  for (std::size_t axis = 0; axis < rank; ++axis) {
    left.insert(left.end(), {extent(a, axis), Dim(1)});
    right.insert(right.end(), {Dim(1), extent(b, axis)});
    shape.push_back(extent(a, axis) * extent(b, axis));
  }
  if (left.size() > kMostAxes) arguments.refuse("x1", fmt::format("at most {} axes", kMostAxes / 2));
  check_elements(shape);
  const std::vector<Tensor> x =
      emit::broadcast_together({emit::reshape(a, std::move(left)), emit::reshape(b, std::move(right))});
  const Tensor y = emit::reshape(emit::map("mul", {x[0], x[1]}), std::move(shape));
  return {of_keras_type(y, common_type(arguments), false)};
}

/// Components of vectors of 2 or 3 along an axis, which goes; that of z is absent in a plane.
std::vector<std::optional<Tensor>> components(const Arguments& arguments, const Tensor& x, std::int64_t along,
                                              std::string_view name) {
  const std::int64_t axis = emit::axis_of(x, along);
  const std::int64_t count = x.dim(axis);
  if (count != 2 && count != 3) arguments.refuse(name, fmt::format("an axis of 2 or 3, it has {}", count));
  Shape shape = x.shape();
  shape.erase(shape.begin() + axis);
  std::vector<std::optional<Tensor>> out(3);
  for (std::int64_t i = 0; i < count; ++i)
    out[static_cast<std::size_t>(i)] = emit::reshape(emit::slice(x, axis, i, i + 1), shape);
  return out;
}

// a x b, in three dimensions or (as a number) in the plane.
Results cross(const Arguments& arguments) {
  const auto [left, right] = operands(arguments);
  const auto axis = [&](std::string_view name) { return arguments.integer(arguments.has("axis") ? "axis" : name, -1); };
  const auto a = components(arguments, left, axis("axisa"), "axisa");
  const auto b = components(arguments, right, axis("axisb"), "axisb");
  const auto times = [&](std::size_t i, std::size_t k) -> std::optional<Tensor> {
    if (!a[i] || !b[k]) return std::nullopt;
    const std::vector<Tensor> both = emit::broadcast_together({*a[i], *b[k]});
    return emit::map("mul", {both[0], both[1]});
  };
  const auto component = [&](std::size_t i, std::size_t k) {
    const std::optional<Tensor> plus = times(i, k);
    const std::optional<Tensor> minus = times(k, i);
    if (plus && minus) return emit::map("sub", {*plus, *minus});
    return plus ? *plus : emit::map("neg", {*minus});
  };
  if (!a[2] && !b[2]) return {component(0, 1)};
  const std::vector<Tensor> y{component(1, 2), component(2, 0), component(0, 1)};
  return {call("Stack", {{"x", y}, {"axis", axis("axisc")}})};
}

// Distances between all rows of one and all rows of the other.
Results cdist(const Arguments& arguments) {
  const std::vector<Tensor> x = emit::with_one_dtype({arguments.floats("x"), arguments.floats("y")});
  for (const auto& [of, name] : {std::pair(x[0], "x"), std::pair(x[1], "y")}) {
    if (of.rank() < 2) arguments.refuse(name, "rows of numbers");
  }
  check_equal(x[0], x[0].rank() - 1, x[1], x[1].rank() - 1, "cdist");
  const auto spread_out = [](const Tensor& of, std::int64_t from_end) {
    Shape shape = of.shape();
    shape.insert(shape.end() - from_end, Dim(1));
    return emit::reshape(of, std::move(shape));
  };
  const std::vector<Tensor> both = emit::broadcast_together({spread_out(x[0], 1), spread_out(x[1], 2)});
  const Tensor apart = emit::map("sub", {both[0], both[1]});
  return {emit::map("sqrt", {emit::reduce("sum", emit::map("mul", {apart, apart}), {apart.rank() - 1})})};
}

/// An operand of einsum and the names of its axes.
struct Term {
  Tensor x;
  Names names;
};

/// Names of axes are words of small letters: A is a_upper.
std::string letter_name(char letter) {
  return std::string(1, static_cast<char>(letter | 0x20)) + (letter < 'a' ? "_upper" : "");
}

bool has(const Names& names, const std::string& name) { return std::ranges::find(names, name) != names.end(); }

/// Without the axes that nothing reads any more.
Term summed(Term term, const Names& wanted) {
  emit::Ints axes;
  Names left;
  for (std::size_t i = 0; i < term.names.size(); ++i) {
    if (has(wanted, term.names[i])) {
      left.push_back(term.names[i]);
    } else {
      axes.push_back(static_cast<std::int64_t>(i));
    }
  }
  if (!axes.empty()) term.x = emit::reduce("sum", term.x, axes);
  return {term.x, left};
}

Results einsum(const Arguments& arguments) {
  std::string text = arguments.text("subscripts", "");
  std::erase(text, ' ');
  const auto fail = [&](std::string_view why) {
    return Error(error("einsum-equation", fmt::format("`{}`: {}", text.substr(0, 80), why)));
  };
  if (text.find("->") == std::string::npos) {
    // Letters that stand once, in the order of the alphabet, behind what an ellipsis stands for.
    std::string once;
    for (char c = 'A'; c <= 'z'; ++c) {
      const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
      if (letter && std::ranges::count(text, c) == 1) once += c;
    }
    text += (text.find("...") == std::string::npos ? "->" : "->...") + once;
  }
  const std::size_t arrow = text.find("->");
  Names parts{""};
  for (const char c : text.substr(0, arrow)) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  std::vector<Tensor> operands = emit::with_one_dtype(arguments.tensors("operands"));
  if (parts.size() != operands.size())
    throw fail(fmt::format("it names {} operands, given are {}", parts.size(), operands.size()));
  // An ellipsis stands for the axes that have no letter, the same ones in every operand.
  std::size_t elided = 0;
  const auto read = [&](const std::string& part, std::optional<std::size_t> rank) {
    Names names;
    for (std::size_t i = 0; i < part.size(); ++i) {
      if (part.compare(i, 3, "...") == 0) {
        const std::size_t count = rank ? *rank - std::min(*rank, part.size() - 3) : elided;
        if (rank) elided = std::max(elided, count);
        for (std::size_t e = 0; e < count; ++e) names.push_back(fmt::format("e{}", count - 1 - e));
        i += 2;
        continue;
      }
      const bool is_letter = (part[i] >= 'a' && part[i] <= 'z') || (part[i] >= 'A' && part[i] <= 'Z');
      if (!is_letter) throw fail(fmt::format("`{}` is no letter", part[i]));
      if (has(names, letter_name(part[i]))) throw fail("a letter stands twice in one operand");
      names.push_back(letter_name(part[i]));
    }
    if (rank && names.size() != *rank) throw fail("an operand has another rank");
    return names;
  };
  std::vector<Term> terms;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Tensor x = operands[i].dtype() == DType::boolean ? emit::cast(operands[i], DType::i32) : operands[i];
    terms.push_back({x, read(parts[i], x.shape().size())});
  }
  const Names output = read(text.substr(arrow + 2), std::nullopt);
  std::map<std::string, Dim> extents;
  for (const Term& term : terms) {
    for (std::size_t i = 0; i < term.names.size(); ++i) {
      const auto [it, is_new] = extents.try_emplace(term.names[i], term.x.shape()[i]);
      const Dim& extent = term.x.shape()[i];
      if (!is_new && it->second.is_constant() && extent.is_constant() && !(it->second == extent))
        throw fail(fmt::format("an axis is {} and {}", it->second.str(), extent.str()));
    }
  }
  for (const std::string& name : output) {
    if (!extents.contains(name)) throw fail("a letter of the output is in no operand");
  }
  // From the left, two at a time; an index is summed as soon as nobody reads it.
  Term result = terms.front();
  for (std::size_t i = 1; i <= terms.size(); ++i) {
    Names later = output;
    for (std::size_t k = i + 1; k < terms.size(); ++k)
      later.insert(later.end(), terms[k].names.begin(), terms[k].names.end());
    if (i == terms.size()) {
      result = summed(result, later);
      break;
    }
    const auto wanted = [&](const Names& other) {
      Names out = later;
      out.insert(out.end(), other.begin(), other.end());
      return out;
    };
    const Term left = summed(result, wanted(terms[i].names));
    const Term right = summed(terms[i], wanted(left.names));
    Names y;
    for (const Names* names : {&left.names, &right.names}) {
      for (const std::string& name : *names) {
        if (has(later, name) && !has(y, name)) y.push_back(name);
      }
    }
    // The last product writes its axes in the order of the output.
    if (i + 1 == terms.size()) y = output;
    result = {product(left.x, right.x, left.names, right.names, y), y};
  }
  emit::Ints perm;
  for (const std::string& name : output) perm.push_back(std::ranges::find(result.names, name) - result.names.begin());
  return {of_keras_type(emit::transpose(result.x, std::move(perm)), operands.front().dtype(), true)};
}

constexpr OperationDef kProductTable[] = {
    {"Matmul", "x1 x2", matmul}, {"Dot", "x1 x2", dot},
    {"Inner", "x1 x2", inner},   {"Vdot", "x1 x2", vdot},
    {"Outer", "x1 x2", outer},   {"Tensordot", "x1 x2 | axes", tensordot},
    {"Kron", "x1 x2", kron},     {"Cross", "x1 x2 | axisa axisb axisc axis", cross},
    {"CDist", "x y", cdist},     {"Einsum", "*operands | subscripts", einsum},
};

}  // namespace

std::span<const OperationDef> product_operations() { return kProductTable; }

}  // namespace tusk::ops
