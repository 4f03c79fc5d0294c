#include "frontend/model/dtype_policy.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "frontend/model/error.hpp"
#include "ir/text/suggest.hpp"

namespace tusk {
namespace {

struct Known {
  std::string_view name;
  DType compute;
  DType variable;
};
constexpr Known kPolicies[] = {{"float32", DType::f32, DType::f32},       {"float64", DType::f64, DType::f64},
                               {"float16", DType::f16, DType::f16},       {"bfloat16", DType::bf16, DType::bf16},
                               {"mixed_float16", DType::f16, DType::f32}, {"mixed_bfloat16", DType::bf16, DType::f32}};

DtypePolicy& current() {
  thread_local DtypePolicy policy;
  return policy;
}

}  // namespace

DtypePolicy DtypePolicy::named(std::string_view name) {
  const auto* it = std::ranges::find(kPolicies, name, &Known::name);
  if (it != std::end(kPolicies)) return {std::string(name), it->compute, it->variable};
  std::vector<std::string_view> names;
  for (const Known& known : kPolicies) names.push_back(known.name);
  throw Error(
      error("dtype-policy", fmt::format("there is no dtype policy `{}` here{}", name, text::suggestion(name, names)))
          .note(fmt::format("supported are {}", fmt::join(names, ", "))));
}

const DtypePolicy& dtype_policy() { return current(); }

void set_dtype_policy(std::string_view name) { current() = DtypePolicy::named(name); }

}  // namespace tusk
