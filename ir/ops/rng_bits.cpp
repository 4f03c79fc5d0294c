// rng_bits: random bits that depend on a key, a counter and the place of the element alone.
#include <fmt/format.h>

#include "ir/base/philox.hpp"
#include "ir/ops/common.hpp"

namespace tusk::graph {
namespace {

Expected<std::vector<Type>> infer(const InferContext& c) {
  const Type wanted[] = {{DType::u32, {Dim(2)}}, {DType::u32, {}}};
  const char* const labels[] = {"c1", "c2"};
  const char* const names[] = {"the key", "the counter"};
  for (std::size_t i = 0; i < 2; ++i) {
    if (c.operands[i] != wanted[i])
      return c.fail(labels[i], fmt::format("{} is {}, expected {}", names[i], str(c.operands[i]), str(wanted[i])));
  }
  return std::vector<Type>{{DType::u32, c.shape("shape")}};
}

std::vector<Array> evaluate(const EvalContext& c) {
  const auto word = [&](std::size_t operand, std::int64_t i) {
    return static_cast<std::uint32_t>(c.operands[operand].int_at(i));
  };
  Array out(DType::i64, c.result_shape());
  for (std::int64_t i = 0; i < out.size(); ++i)
    out.set_int(i, philox({static_cast<std::uint32_t>(i), word(1, 0), 0, 0}, {word(0, 0), word(0, 1)})[0]);
  return {out};
}

std::vector<kernel::Stage> lower(const LowerContext& c) {
  const std::vector<kernel::Index> indices = LowerContext::indices(c.results[0].shape);
  kernel::ExprRef place = index_constant(0);
  Dim stride(1);
  for (std::size_t axis = indices.size(); axis-- > 0;) {
    place = plus(times(kernel::index(indices[axis].name), stride), place);
    stride = stride * indices[axis].extent;
  }
  return {pointwise("y0", indices, DType::u32,
                    kernel::apply("philox", {kernel::apply("u32", {place}), c.operand(1, {}),
                                             c.operand(0, {index_constant(0)}), c.operand(0, {index_constant(1)})}))};
}

}  // namespace

extern const OpDef kRngBits;
const OpDef kRngBits = {
    .name = "rng_bits",
    .doc =
        "y[i0, i1, ...] = 32 random bits: the first word of Philox4x32-10 with this key and the counter (place, "
        "counter, "
        "0, 0), place = the row-major index of the element, modulo 2^32. Equal operands give equal bits, whatever "
        "layout, batch or schedule: `%y = rng_bits %key, %counter {shape=[2,3]} : u32[2,3]`.",
    .min_operands = 2,
    .max_operands = 2,
    .attrs = {{"shape", AttrSpec::Kind::shape, {}, "of the result"}},
    .constraints = {{"c1", "the key is u32[2]"}, {"c2", "the counter is u32[]"}},
    .infer = infer,
    .evaluate = evaluate,
    .gradient_note = "integers have no gradient",
    .lower = lower,
    .samples =
        {"func f(%k: u32[2], %n: u32[]) -> (%y) { %y = rng_bits %k, %n {shape=[3,5]} }",
         "func f(%k: u32[2], %n: u32[]) -> (%y) { %y = rng_bits %k, %n {shape=[]} }",
         "func f(%k: u32[2], %n: u32[]) -> (%y) { %y = rng_bits %k, %n {shape=[2,batch,time]} }",
         "func f(%k: u32[2], %n: u32[], %x: f32[batch,6]) -> (%y) { %b = rng_bits %k, %n {shape=[batch,6]}  %t = "
         "map.ge %b, 1073741824  %s = map.mul %x, 1.5  %y = map.select %t, %s, 0 }"},
};

}  // namespace tusk::graph
