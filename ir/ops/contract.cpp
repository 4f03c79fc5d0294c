// contract: Dense, all convolutions, their gradients, attention products: one op.
#include <fmt/format.h>
#include <algorithm>
#include <map>

#include "ir/ops/common.hpp"

namespace tusk::graph {
namespace {

using AxisNames = std::vector<std::string>;

bool holds(const AxisNames& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

const ContractSpec& spec_of(const Attr& attr) { return std::get<ContractSpec>(attr); }

// The index of an equality that is computed from the other two: it stands neither in the result nor under the reducer.
// With h in the result that is p (rule W2), else h (rule W1).
const std::string& removed(const ContractSpec& spec, const Where& where) {
  return holds(spec.y, where.whole) ? where.position : where.whole;
}

bool is_removed(const ContractSpec& spec, std::string_view name) {
  return std::any_of(spec.where.begin(), spec.where.end(), [&](const Where& w) { return removed(spec, w) == name; });
}

// C4: in order of appearance in b, then a.
AxisNames reduce_order(const ContractSpec& spec) {
  AxisNames out;
  for (const AxisNames* operand : {&spec.b, &spec.a}) {
    for (const std::string& name : *operand) {
      if (!holds(spec.y, name) && !holds(out, name) && !is_removed(spec, name)) out.push_back(name);
    }
  }
  return out;
}

// Extents of all indices: from the operands, else as written.
using Extents = std::map<std::string, Dim>;
Extents extents_of(const ContractSpec& spec, const Shape& a, const Shape& b) {
  Extents extents;
  for (const auto& [name, extent] : spec.extents) extents[name] = extent;
  for (std::size_t i = 0; i < spec.a.size(); ++i) extents[spec.a[i]] = a[i];
  for (std::size_t i = 0; i < spec.b.size(); ++i) extents.try_emplace(spec.b[i], b[i]);
  return extents;
}

Expected<std::vector<Type>> infer_contract(const InferContext& c) {
  const ContractSpec& spec = spec_of(c.attr("spec"));
  const Type& a = c.operands[0];
  const Type& b = c.operands[1];
  for (const auto& [names, type, what] : {std::tuple(&spec.a, &a, "a"), std::tuple(&spec.b, &b, "b")}) {
    if (names->size() != type->shape.size()) {
      return c.fail(
          "c6", fmt::format("{} has {} indices, but the operand has rank {}", what, names->size(), type->shape.size()));
    }
  }
  if (a.dtype != b.dtype || a.dtype == DType::boolean) {
    return c.fail("c7",
                  fmt::format("operands are {} and {}, expected equal numbers", name_of(a.dtype), name_of(b.dtype)));
  }
  // C1, and equal extents of what a and b share.
  std::map<std::string, int> tensors;
  for (const AxisNames* names : {&spec.a, &spec.b, &spec.y}) {
    for (std::size_t i = 0; i < names->size(); ++i) {
      if (std::find(names->begin() + static_cast<std::ptrdiff_t>(i) + 1, names->end(), (*names)[i]) != names->end()) {
        return c.fail("c1", fmt::format("index {} occurs twice in one tensor", (*names)[i]));
      }
      ++tensors[(*names)[i]];
    }
  }
  for (const auto& [name, count] : tensors) {
    const auto named =
        static_cast<int>(std::count_if(spec.where.begin(), spec.where.end(), [&, &index = name](const Where& w) {
          return w.whole == index || w.position == index || w.tap == index;
        }));
    const bool shared = count >= 2 && named == 0;
    const bool related = count == 1 && named == 1;
    if (!shared && !related) {
      return c.fail("c1",
                    fmt::format("index {} must be in two of a, b, y, or in one of them and in one `where`", name));
    }
  }
  for (const Where& w : spec.where) {
    if (w.stride < 1 || w.dilation < 1) return c.fail("c2", fmt::format("factors of {} must be at least 1", w.whole));
    for (const AxisNames* names : {&spec.a, &spec.b, &spec.y}) {
      const int count =
          (holds(*names, w.whole) ? 1 : 0) + (holds(*names, w.position) ? 1 : 0) + (holds(*names, w.tap) ? 1 : 0);
      if (count != 1)
        return c.fail("c2",
                      fmt::format("{}, {} and {} must stand in three different tensors", w.whole, w.position, w.tap));
    }
  }
  Extents extents;
  for (const auto& [name, extent] : spec.extents) {
    if (!holds(spec.y, name) || holds(spec.a, name) || holds(spec.b, name)) {
      return c.fail("c3", fmt::format("an extent is written for {}, which an operand fixes", name));
    }
    CHECK(c.at_least(extent, Dim(0), "c3", "the extent of index " + name));
    extents[name] = extent;
  }
  for (std::size_t i = 0; i < spec.a.size(); ++i) extents[spec.a[i]] = a.shape[i];
  for (std::size_t i = 0; i < spec.b.size(); ++i) {
    const auto [it, fresh] = extents.try_emplace(spec.b[i], b.shape[i]);
    if (!fresh) CHECK(c.equal(b.shape[i], it->second, "c6", "index " + spec.b[i]));
  }
  Type y{a.dtype == DType::i8 || a.dtype == DType::u8 ? DType::i32 : a.dtype, {}};
  for (const std::string& name : spec.y) {
    const auto it = extents.find(name);
    if (it == extents.end()) return c.fail("c3", fmt::format("index {} of y needs an extent", name));
    y.shape.push_back(it->second);
  }
  if (c.operands.size() == 3) {
    const Type& init = c.operands[2];
    if (init.dtype != y.dtype || init.shape.size() != y.shape.size()) {
      return c.fail("c5", fmt::format("init is {}, expected {}", str(init), str(y)));
    }
    for (std::size_t i = 0; i < y.shape.size(); ++i)
      CHECK(c.equal(init.shape[i], y.shape[i], "c5", "index " + spec.y[i] + " of init"));
  }
  return std::vector<Type>{y};
}

// An index of a tensor as a sum over loop variables: the sum of factors[v] * loop[v], plus `base`.
struct Address {
  Ints factors;
  std::int64_t base = 0;
};

// to[n] += a[n * a_step] * b[n * b_step]; the steps of products of matrices and of channels become vectors.
void add_products(double* to, std::int64_t count, const double* a, std::int64_t a_step, const double* b,
                  std::int64_t b_step) {
  if (a_step == 0 && b_step == 1) {
    for (std::int64_t n = 0; n < count; ++n) to[n] += *a * b[n];
  } else if (a_step == 1 && b_step == 1) {
    for (std::int64_t n = 0; n < count; ++n) to[n] += a[n] * b[n];
  } else {
    for (std::int64_t n = 0; n < count; ++n) to[n] += a[n * a_step] * b[n * b_step];
  }
}

std::vector<Array> evaluate_contract(const EvalContext& c) {
  const ContractSpec& spec = spec_of(c.attr("spec"));
  const Array& a = c.operands[0];
  const Array& b = c.operands[1];
  Extents extents =
      extents_of(spec, Shape(a.shape().begin(), a.shape().end()), Shape(b.shape().begin(), b.shape().end()));
  const AxisNames reduced = reduce_order(spec);
  AxisNames loops = spec.y;
  loops.insert(loops.end(), reduced.begin(), reduced.end());
  const auto position_of = [&](std::string_view name) {
    return static_cast<std::size_t>(std::find(loops.begin(), loops.end(), name) - loops.begin());
  };
  // Brute force over W2: p runs through its whole extent and counts where the equality holds, so every `where` is
  // h == s*p + d*i - o with all of p, i known. Both removed kinds: h is computed from p and i; for W2 it is compared.
  Ints y_shape = c.result_shape();
  Ints reduce_shape;
  for (const std::string& name : reduced) reduce_shape.push_back(c.dim(extents.at(name)));
  Array out(is_float(c.result_types[0].dtype) ? DType::f64 : DType::i64, y_shape);
  const bool integer = !is_float(c.result_types[0].dtype);
  const Ints a_strides = strides_of(a.shape());
  const Ints b_strides = strides_of(b.shape());
  const AxisNames* operand_names[] = {&spec.a, &spec.b};
  const Ints* operand_strides[] = {&a_strides, &b_strides};

  struct Solved {  // one equality: the removed index is (sum of factors * loops + base) / divisor, if that is whole and
                   // in range
    Ints factors;
    std::int64_t base = 0, divisor = 1, extent = 0, a_stride = 0, b_stride = 0;
  };
  std::vector<Solved> solved;
  Address address[2] = {{Ints(loops.size(), 0), 0}, {Ints(loops.size(), 0), 0}};
  for (const Where& w : spec.where) {
    const std::string& gone = removed(spec, w);
    Solved s;
    s.factors.assign(loops.size(), 0);
    if (gone == w.whole) {
      s.factors[position_of(w.position)] = w.stride;
      s.factors[position_of(w.tap)] = w.dilation;
      s.base = -c.dim(w.offset);
    } else {
      s.factors[position_of(w.whole)] = 1;
      s.factors[position_of(w.tap)] = -w.dilation;
      s.base = c.dim(w.offset);
      s.divisor = w.stride;
    }
    s.extent = c.dim(extents.at(gone));
    for (int k = 0; k < 2; ++k) {
      const auto it = std::find(operand_names[k]->begin(), operand_names[k]->end(), gone);
      if (it == operand_names[k]->end()) continue;
      (k == 0 ? s.a_stride : s.b_stride) =
          (*operand_strides[k])[static_cast<std::size_t>(it - operand_names[k]->begin())];
    }
    solved.push_back(std::move(s));
  }
  for (int k = 0; k < 2; ++k) {
    for (std::size_t i = 0; i < operand_names[k]->size(); ++i) {
      const std::string& name = (*operand_names[k])[i];
      if (!is_removed(spec, name)) address[k].factors[position_of(name)] += (*operand_strides[k])[i];
    }
  }
  // Addresses are sums over loops: the part of y is computed once for each result, that of the outer reduce indices
  // once for each of their points. Results along the last index of y are summed side by side where no removed index
  // depends on it, since their terms lie side by side, too; each one's order of terms is the same either way.
  const std::size_t rank = y_shape.size();
  const bool in_rows =
      rank > 0 && std::none_of(solved.begin(), solved.end(), [&](const Solved& s) { return s.factors[rank - 1] != 0; });
  Ints row_shape(y_shape.begin(), y_shape.end() - (in_rows ? 1 : 0));
  const std::int64_t row = in_rows ? y_shape.back() : 1;
  const std::int64_t row_step[2] = {in_rows ? address[0].factors[rank - 1] : 0,
                                    in_rows ? address[1].factors[rank - 1] : 0};
  const std::int64_t inner = reduce_shape.empty() ? 1 : reduce_shape.back();
  Ints outer_reduce = reduce_shape;
  if (!outer_reduce.empty()) outer_reduce.pop_back();
  const auto part = [](const Ints& factors, std::size_t first, const Ints& index) {
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < index.size(); ++i) sum += factors[first + i] * index[i];
    return sum;
  };
  const auto inner_step = [&](const Ints& factors) { return reduce_shape.empty() ? 0 : factors.back(); };
  const std::int64_t step[2] = {inner_step(address[0].factors), inner_step(address[1].factors)};
  struct Point {
    std::int64_t a = 0, b = 0;
    std::vector<std::int64_t> solved;  // before the division
  };
  const auto moved = [&](const Point& from, std::size_t first, const Ints& index, Point& to) {
    to.a = from.a + part(address[0].factors, first, index);
    to.b = from.b + part(address[1].factors, first, index);
    for (std::size_t i = 0; i < solved.size(); ++i)
      to.solved[i] = from.solved[i] + part(solved[i].factors, first, index);
  };
  Point origin{0, 0, std::vector<std::int64_t>(solved.size())};
  for (std::size_t i = 0; i < solved.size(); ++i) origin.solved[i] = solved[i].base;
  Point of_y = origin;
  Point of_r = origin;
  // Adds what the removed indices take the addresses on by; false where one of them does not exist.
  const auto complete = [&](std::int64_t k, std::int64_t& ia, std::int64_t& ib) {
    for (std::size_t i = 0; i < solved.size(); ++i) {
      const Solved& s = solved[i];
      const std::int64_t value = of_r.solved[i] + k * inner_step(s.factors);
      if (value < 0) return false;
      const std::int64_t index = s.divisor == 1 ? value : value / s.divisor;
      if (index >= s.extent || (s.divisor != 1 && value % s.divisor != 0)) return false;
      ia += index * s.a_stride;
      ib += index * s.b_stride;
    }
    return true;
  };
  // Calls add(ia, ib) with the addresses of the first terms of a row, for each term in its order.
  const auto for_each_term = [&](const Ints& y, const auto& add) {
    moved(origin, 0, y, of_y);
    for_each_index(outer_reduce, [&](const Ints& r) {
      moved(of_y, rank, r, of_r);
      for (std::int64_t k = 0; k < inner; ++k) {
        std::int64_t ia = of_r.a + k * step[0];
        std::int64_t ib = of_r.b + k * step[1];
        if (complete(k, ia, ib)) add(ia, ib);
      }
    });
  };
  const Array* init = c.operands.size() == 3 ? &c.operands[2] : nullptr;
  std::int64_t first = 0;
  if (integer) {
    const std::span<std::int64_t> sums = out.as_writable<std::int64_t>();
    for_each_index(row_shape, [&](const Ints& y) {
      std::int64_t* to = sums.data() + first;
      for (std::int64_t n = 0; n < row; ++n) to[n] = init != nullptr ? init->int_at(first + n) : 0;
      for_each_term(y, [&](std::int64_t ia, std::int64_t ib) {
        for (std::int64_t n = 0; n < row; ++n) to[n] += a.int_at(ia + n * row_step[0]) * b.int_at(ib + n * row_step[1]);
      });
      first += row;
    });
    return {out};
  }
  const double* af = a.as<double>().data();
  const double* bf = b.as<double>().data();
  const std::span<double> sums = out.as_writable<double>();
  for_each_index(row_shape, [&](const Ints& y) {
    double* to = sums.data() + first;
    for (std::int64_t n = 0; n < row; ++n) to[n] = init != nullptr ? init->at(first + n) : 0;
    for_each_term(y, [&](std::int64_t ia, std::int64_t ib) {
      add_products(to, row, af + ia, row_step[0], bf + ib, row_step[1]);
    });
    first += row;
  });
  return {out};
}

// The gradient exchanges the roles of the result and the operand and keeps the equalities: it is a contract again.
void gradient_contract(GradContext& g) {
  if (!g.dy[0]) return;
  const ContractSpec& spec = spec_of(*g.op.attrs.find("spec"));
  const auto exchanged = [&](bool by_a) {
    ContractSpec out;
    out.a = by_a ? spec.y : spec.a;
    out.b = by_a ? spec.b : spec.y;
    out.y = by_a ? spec.a : spec.b;
    out.where = spec.where;
    const Shape shape = g.b.type(g.operand(by_a ? 0 : 1)).shape;
    for (std::size_t i = 0; i < out.y.size(); ++i) {
      if (!holds(out.a, out.y[i]) && !holds(out.b, out.y[i])) out.extents.emplace_back(out.y[i], shape[i]);
    }
    return out;
  };
  g.dx[0] = g.b.contract(*g.dy[0], g.operand(1), std::nullopt, exchanged(true));
  g.dx[1] = g.b.contract(g.operand(0), *g.dy[0], std::nullopt, exchanged(false));
  if (g.op.operands.size() == 3) g.dx[2] = *g.dy[0];
}

std::vector<kernel::Stage> lower_contract(const LowerContext& c) {
  const ContractSpec& spec = spec_of(c.attr("spec"));
  const Extents extents = extents_of(spec, c.operands[0].shape, c.operands[1].shape);
  kernel::Stage stage;
  stage.name = "y0";
  stage.type = c.results[0].dtype;
  for (std::size_t i = 0; i < spec.y.size(); ++i) stage.indices.push_back({spec.y[i], c.results[0].shape[i]});
  kernel::Reduce reduce;
  reduce.kind = kernel::Reducer::dot;
  for (const std::string& name : reduce_order(spec)) reduce.indices.push_back({name, extents.at(name)});
  if (reduce.indices.empty()) reduce.indices.push_back({reduce_names(stage.indices, 1)[0], Dim(1)});

  std::map<std::string, kernel::ExprRef> substituted;  // W1: h as s*p + d*i - o
  std::vector<std::string> guarded;                    // indices whose loads may fall outside
  for (const Where& w : spec.where) {
    kernel::ExprRef value = plus(
        plus(times(kernel::index(w.position), w.stride), times(kernel::index(w.tap), w.dilation)), w.offset * Dim(-1));
    if (removed(spec, w) == w.whole) {
      // The largest element read is s*(P-1) + d*(I-1) - o; with no offset and an end inside no load needs a guard.
      const Dim last =
          (extents.at(w.position) - Dim(1)) * Dim(w.stride) + (extents.at(w.tap) - Dim(1)) * Dim(w.dilation) - w.offset;
      const Dim room = extents.at(w.whole) - Dim(1) - last;
      const Range slack = room.range(c.module.ranges());
      const Range low = (w.offset * Dim(-1)).range(c.module.ranges());
      if (slack.low < 0 || low.low < 0) guarded.push_back(w.whole);
      substituted[w.whole] = std::move(value);
    } else {
      guarded.push_back(w.position);
      reduce.where.push_back({w.whole, std::move(value)});
    }
  }
  const auto read = [&](std::size_t operand, const AxisNames& names) {
    std::vector<kernel::ExprRef> at;
    bool guard = false;
    for (const std::string& name : names) {
      const auto it = substituted.find(name);
      at.push_back(it != substituted.end() ? it->second : kernel::index(name));
      guard = guard || holds(guarded, name);
    }
    return guard ? c.operand_else(operand, std::move(at), kernel::literal_of_int(0))
                 : c.operand(operand, std::move(at));
  };
  stage.expr = kernel::apply("mul", {read(0, spec.a), read(1, spec.b)});
  if (c.operands.size() == 3) reduce.from = c.operand(2, LowerContext::refs(stage.indices));
  stage.reduce = std::move(reduce);
  return {ordered(std::move(stage))};
}

}  // namespace

extern const OpDef kContract;
const OpDef kContract = {
    .name = "contract",
    .doc =
        "y = init + the sum of a*b over every index that y lacks (rules W1 and W2 of docs/ir.md for `where`); reads "
        "outside an "
        "operand count as 0. `{ a[n,k] b[k,o] -> y[n,o] }` is Dense, "
        "`{ a[n,h,w,c] b[i,j,c,o] -> y[n,p<14,q<14,o] where h == 2*p + i - 1, w == 2*q + j - 1 }` a convolution.",
    .min_operands = 2,
    .max_operands = 3,
    .attrs = {{"spec", AttrSpec::Kind::spec, {}, "the index relation"}},
    .constraints =
        {{"c1", "an index occurs at most once in a tensor, and in two of a, b, y, or in one of them and one `where`"},
         {"c2", "a `where` is h == s*p + d*i - o with s, d >= 1; h, p, i stand in three different tensors"},
         {"c3", "extents that no operand fixes are written, and no others"},
         {"c4", "reduce indices run in order of appearance in b, then a"},
         {"c5", "init has the type of y"},
         {"c6", "ranks match, and an index of both operands has one extent"},
         {"c7", "operands have one dtype, not bool; i8 and u8 give i32"}},
    .infer = infer_contract,
    .evaluate = evaluate_contract,
    .gradient = gradient_contract,
    .lower = lower_contract,
    .samples =
        {
            "func f(%x: f32[batch,5], %k: f32[5,3]) -> (%y) { %y = contract %x, %k { a[n,k] b[k,o] -> y[n,o] } }",
            "func f(%x: f32[2,5], %k: f32[5,3], %b: f32[2,3]) -> (%y) { %y = contract %x, %k, %b { a[n,k] b[k,o] -> "
            "y[n,o] } }",
            "func f(%x: f32[3,70], %k: f32[70,2]) -> (%y) { %y = contract %x, %k { a[n,k] b[k,o] -> y[n,o] } }",
            "func f(%x: f32[batch,40], %k: f32[40]) -> (%y) { %y = contract %x, %k { a[n,k] b[k] -> y[n] } }",
            "func f(%x: f32[batch,6,2], %k: f32[3,2,4]) -> (%y) { %y = contract %x, %k { a[n,t,c] b[i,c,o] -> "
            "y[n,p<6,o] where t == p + i - 1 } }",
            "func f(%x: f32[batch,5,5,2], %k: f32[3,3,2,3]) -> (%y) { %y = contract %x, %k { a[n,h,w,c] b[i,j,c,o] -> "
            "y[n,p<3,q<2,o] where h == 2*p + i - 1, w == 2*q + j } }",
            "func f(%x: f32[1,7,2], %k: f32[2,2,2]) -> (%y) { %y = contract %x, %k { a[n,t,c] b[i,c,o] -> y[n,p<4,o] "
            "where t == p + 3*i } }",
            "func f(%x: f32[batch,3,3,2], %k: f32[3,3,2,2]) -> (%y) { %y = contract %x, %k { a[n,p,q,c] b[i,j,o,c] -> "
            "y[n,h<6,w<7,o] where h == 2*p + i - 1, w == 2*q + j } }",
            "func f(%x: f32[1,3,2], %k: f32[3,2,2]) -> (%y) { %y = contract %x, %k { a[n,p,c] b[i,o,c] -> y[n,h<9,o] "
            "where h == 3*p + 2*i - 1 } }",
            "func f(%x: f32[batch,5,5,3], %k: f32[3,3,3,2]) -> (%y) { %y = contract %x, %k { a[n,h,w,c] b[i,j,c,m] -> "
            "y[n,p<5,q<5,c,m] where h == p + i - 1, w == q + j - 1 } }",
            "func f(%x: f32[batch,6,2], %z: f32[batch,6,3]) -> (%y) { %y = contract %x, %z { a[n,t,c] b[n,p,o] -> "
            "y[i<3,c,o] where t == p + i - 1 } }",
            "func f(%x: f32[batch,3,2,4], %z: f32[batch,5,2,4]) -> (%y) { %y = contract %x, %z { a[n,t,h,d] b[n,s,h,d] "
            "-> y[n,h,t,s] } }",
            "func f(%x: i8[3,5], %k: i8[5,2]) -> (%y) { %y = contract %x, %k { a[n,k] b[k,o] -> y[n,o] } }",
            "func f(%x: i32[3,5], %k: i32[5,2]) -> (%y) { %y = contract %x, %k { a[n,k] b[k,o] -> y[n,o] } }",
            "func f(%x: f16[3,5], %k: f16[5,2]) -> (%y) { %y = contract %x, %k { a[n,k] b[k,o] -> y[n,o] } }",
            "func f(%x: f64[3,5], %k: f64[5,2]) -> (%y) { %y = contract %x, %k { a[n,k] b[k,o] -> y[n,o] } }",
            "func f(%x: f32[3], %k: f32[2]) -> (%y) { %y = contract %x, %k { a[i] b[j] -> y[j,i] } }",
            "func f(%x: f32[time,2], %k: f32[3,2,2]) -> (%y) { %y = contract %x, %k { a[t,c] b[i,c,o] -> y[p<time,o] "
            "where t == p + i - 2 } }",
            "func f(%x: f32[batch,600], %z: f32[batch,3]) -> (%y) { %y = contract %x, %z { a[n,k] b[n,o] -> y[k,o] } }",
        },
};

}  // namespace tusk::graph
