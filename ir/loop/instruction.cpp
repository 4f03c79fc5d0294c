#include "ir/loop/instruction.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "ir/base/array.hpp"
#include "ir/base/convert.hpp"

namespace tusk::loop {
namespace {

using Run = Instruction::Run;
// A bool in a register. One byte, 0 or 1, and a type of its own.
enum class Bool : std::uint8_t { no, yes };
Bool truth(bool value) { return value ? Bool::yes : Bool::no; }

// Integer arithmetic wraps: it runs on the unsigned type.
template <class T>
using Wrap = std::make_unsigned_t<T>;

struct Add {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>)
      return a + b;
    else
      return static_cast<T>(static_cast<Wrap<T>>(a) + static_cast<Wrap<T>>(b));
  }
};
struct Sub {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>)
      return a - b;
    else
      return static_cast<T>(static_cast<Wrap<T>>(a) - static_cast<Wrap<T>>(b));
  }
};
struct Mul {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>)
      return a * b;
    else
      return static_cast<T>(static_cast<Wrap<T>>(a) * static_cast<Wrap<T>>(b));
  }
};
struct Neg {
  template <class T>
  T operator()(T a) const {
    if constexpr (std::is_floating_point_v<T>)
      return -a;
    else
      return static_cast<T>(Wrap<T>{0} - static_cast<Wrap<T>>(a));
  }
};
struct Div {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      return a / b;
    } else {
      if (b == 0) return 0;
      if constexpr (std::is_signed_v<T>) {
        if (b == -1) return Neg{}(a);
      }
      return a / b;
    }
  }
};
struct Rem {
  template <class T>
  T operator()(T a, T b) const {
    if (b == 0) return 0;
    if constexpr (std::is_signed_v<T>) {
      if (b == -1) return 0;
    }
    return a % b;
  }
};
struct FloorDiv {
  std::int64_t operator()(std::int64_t a, std::int64_t b) const {
    const std::int64_t r = Rem{}(a, b);
    return Div{}(a, b) - (r != 0 && (r < 0) != (b < 0) ? 1 : 0);
  }
};
struct FloorRem {
  std::int64_t operator()(std::int64_t a, std::int64_t b) const {
    const std::int64_t r = Rem{}(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
  }
};
struct Mulhi {
  template <class T>
  T operator()(T a, T b) const {
    using Wide = std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>;
    return static_cast<T>(static_cast<Wide>(a) * static_cast<Wide>(b) >> 32);
  }
};
struct Abs {
  template <class T>
  T operator()(T a) const {
    if constexpr (std::is_floating_point_v<T>)
      return std::fabs(a);
    else if constexpr (std::is_signed_v<T>)
      return a < 0 ? Neg{}(a) : a;
    else
      return a;
  }
};
struct Min {
  template <class T>
  T operator()(T a, T b) const {
    return a < b ? a : b;
  }
};
struct Max {
  template <class T>
  T operator()(T a, T b) const {
    return a > b ? a : b;
  }
};
struct Fma {
  template <class T>
  T operator()(T a, T b, T c) const {
    if constexpr (std::is_floating_point_v<T>)
      return std::fma(a, b, c);
    else
      return Add{}(Mul{}(a, b), c);
  }
};
struct MulAdd {
  template <class T>
  T operator()(T a, T b, T c) const {
    return Add{}(Mul{}(a, b), c);
  }
};
struct Sqrt {
  template <class T>
  T operator()(T a) const {
    return std::sqrt(a);
  }
};
struct Floor {
  template <class T>
  T operator()(T a) const {
    return std::floor(a);
  }
};
struct Ceil {
  template <class T>
  T operator()(T a) const {
    return std::ceil(a);
  }
};
struct Trunc {
  template <class T>
  T operator()(T a) const {
    return std::trunc(a);
  }
};
struct Rint {
  template <class T>
  T operator()(T a) const {
    return std::nearbyint(a);
  }
};
struct And {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_same_v<T, Bool>)
      return truth(a == Bool::yes && b == Bool::yes);
    else
      return a & b;
  }
};
struct Or {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_same_v<T, Bool>)
      return truth(a == Bool::yes || b == Bool::yes);
    else
      return a | b;
  }
};
struct Xor {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_same_v<T, Bool>)
      return truth(a != b);
    else
      return a ^ b;
  }
};
struct Not {
  Bool operator()(Bool a) const { return truth(a == Bool::no); }
};
template <class Compare>
struct Test {
  template <class T>
  Bool operator()(T a, T b) const {
    return truth(Compare{}(a, b));
  }
};
struct Select {
  template <class T>
  T operator()(Bool a, T b, T c) const {
    return a == Bool::yes ? b : c;
  }
};
struct Shl {
  template <class T, class Count>
  T operator()(T a, Count count) const {
    return static_cast<T>(static_cast<Wrap<T>>(a) << (count & static_cast<Count>(8 * sizeof(T) - 1)));
  }
};
struct Shr {
  template <class T, class Count>
  T operator()(T a, Count count) const {
    return static_cast<T>(a >> (count & static_cast<Count>(8 * sizeof(T) - 1)));
  }
};

template <class To>
struct Convert {
  template <class From>
  To operator()(From a) const {
    if constexpr (std::is_same_v<From, Bool>) {
      if constexpr (std::is_same_v<To, Bool>)
        return a;
      else
        return a == Bool::yes ? To{1} : To{0};
    } else if constexpr (std::is_same_v<To, Bool>) {
      return truth(a != 0);
    } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
      return saturate<To>(a);
    } else {
      return static_cast<To>(a);
    }
  }
};
struct ToF16 {
  template <class From>
  float operator()(From a) const {
    return f16_value(f16_bits(Convert<float>{}(a)));
  }
};
struct ToBf16 {
  template <class From>
  float operator()(From a) const {
    return bf16_value(bf16_bits(Convert<float>{}(a)));
  }
};
template <class Narrow>
struct ToNarrow {
  template <class From>
  std::int32_t operator()(From a) const {
    return static_cast<Narrow>(Convert<std::int32_t>{}(a));
  }
};
template <class To>
struct Bitcast {
  template <class From>
  To operator()(From a) const {
    if constexpr (sizeof(From) == sizeof(To))
      return std::bit_cast<To>(a);
    else
      return To{};
  }
};

// The loops over lanes.

template <class F, class R, class A>
bool run1(const Instruction& i, Diagnostic&) {
  auto* out = static_cast<R*>(i.out);
  const auto* a = static_cast<const A*>(i.a);
  for (std::int64_t l = 0; l < i.n; ++l) out[l] = F{}(a[l]);
  return true;
}

template <class F, class R, class A, class B>
bool run2(const Instruction& i, Diagnostic&) {
  auto* out = static_cast<R*>(i.out);
  const auto* a = static_cast<const A*>(i.a);
  const auto* b = static_cast<const B*>(i.b);
  for (std::int64_t l = 0; l < i.n; ++l) out[l] = F{}(a[l], b[l]);
  return true;
}

template <class F, class R, class A, class B>
bool run3(const Instruction& i, Diagnostic&) {
  auto* out = static_cast<R*>(i.out);
  const auto* a = static_cast<const A*>(i.a);
  const auto* b = static_cast<const B*>(i.b);
  const auto* c = static_cast<const B*>(i.c);
  for (std::int64_t l = 0; l < i.n; ++l) out[l] = F{}(a[l], b[l], c[l]);
  return true;
}

template <class T>
bool run_splat(const Instruction& i, Diagnostic&) {
  std::fill_n(static_cast<T*>(i.out), i.n, *static_cast<const T*>(i.a));
  return true;
}

bool run_ramp(const Instruction& i, Diagnostic&) {
  auto* out = static_cast<std::int32_t*>(i.out);
  for (std::int64_t l = 0; l < i.n; ++l) out[l] = static_cast<std::int32_t>(l);
  return true;
}

template <class T>
bool run_first(const Instruction& i, Diagnostic&) {
  const std::int64_t count = *static_cast<const std::int64_t*>(i.a);
  auto* out = static_cast<T*>(i.out);
  for (std::int64_t l = 0; l < i.n; ++l) out[l] = static_cast<const T*>(l < count ? i.b : i.c)[l];
  return true;
}

bool run_tree(const Instruction& i, Diagnostic& problem) {
  const auto& plan = *static_cast<const TreePlan*>(i.plan);
  auto* room = static_cast<std::byte*>(const_cast<void*>(i.b));
  std::memcpy(room, i.a, static_cast<std::size_t>(i.n * plan.bytes));
  for (std::int64_t half = i.n / 2; half >= 1; half /= 2) {
    plan.row({.run = plan.row, .out = room, .a = room, .b = room + half * plan.bytes, .n = half}, problem);
  }
  std::memcpy(i.out, room, static_cast<std::size_t>(plan.bytes));
  return true;
}

// Calls f with a value of the C++ type of a register.
template <class F>
Run with_type(DType type, F f) {
  switch (type) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    case DType::i32:
      return f(std::int32_t{});
    case DType::u32:
      return f(std::uint32_t{});
    case DType::i64:
    case DType::index:
      return f(std::int64_t{});
    case DType::boolean:
      return f(Bool{});
    default:
      return nullptr;  // storage only
  }
}

template <class T>
Run number_row(Basic op, bool muladd) {
  switch (op) {
    case Basic::add:
      return run2<Add, T, T, T>;
    case Basic::sub:
      return run2<Sub, T, T, T>;
    case Basic::mul:
      return run2<Mul, T, T, T>;
    case Basic::div:
      return run2<Div, T, T, T>;
    case Basic::neg:
      return run1<Neg, T, T>;
    case Basic::abs:
      return run1<Abs, T, T>;
    case Basic::min:
      return run2<Min, T, T, T>;
    case Basic::max:
      return run2<Max, T, T, T>;
    case Basic::fma:
      return muladd ? run3<MulAdd, T, T, T> : run3<Fma, T, T, T>;
    case Basic::lt:
      return run2<Test<std::less<>>, Bool, T, T>;
    case Basic::le:
      return run2<Test<std::less_equal<>>, Bool, T, T>;
    case Basic::gt:
      return run2<Test<std::greater<>>, Bool, T, T>;
    case Basic::ge:
      return run2<Test<std::greater_equal<>>, Bool, T, T>;
    default:
      return nullptr;
  }
}

template <class T>
Run float_row(Basic op) {
  switch (op) {
    case Basic::sqrt:
      return run1<Sqrt, T, T>;
    case Basic::floor:
      return run1<Floor, T, T>;
    case Basic::ceil:
      return run1<Ceil, T, T>;
    case Basic::trunc:
      return run1<Trunc, T, T>;
    case Basic::rint:
      return run1<Rint, T, T>;
    default:
      return nullptr;
  }
}

template <class T>
Run bit_row(Basic op) {
  switch (op) {
    case Basic::logical_and:
      return run2<And, T, T, T>;
    case Basic::logical_or:
      return run2<Or, T, T, T>;
    case Basic::logical_xor:
      return run2<Xor, T, T, T>;
    default:
      return nullptr;
  }
}

template <class T>
Run convert_row_run(DType target) {
  switch (target) {
    case DType::f32:
      return run1<Convert<float>, float, T>;
    case DType::f64:
      return run1<Convert<double>, double, T>;
    case DType::i32:
      return run1<Convert<std::int32_t>, std::int32_t, T>;
    case DType::u32:
      return run1<Convert<std::uint32_t>, std::uint32_t, T>;
    case DType::i64:
    case DType::index:
      return run1<Convert<std::int64_t>, std::int64_t, T>;
    case DType::boolean:
      return run1<Convert<Bool>, Bool, T>;
    case DType::f16:
      return run1<ToF16, float, T>;
    case DType::bf16:
      return run1<ToBf16, float, T>;
    case DType::i8:
      return run1<ToNarrow<std::int8_t>, std::int32_t, T>;
    case DType::u8:
      return run1<ToNarrow<std::uint8_t>, std::int32_t, T>;
  }
  return nullptr;
}

// How an element of memory becomes a register and back.
struct HalfMemory {
  using Stored = std::uint16_t;
  using Register = float;
  static float get(Stored bits) { return f16_value(bits); }
  static Stored put(float value) { return f16_bits(value); }
};
struct BrainMemory {
  using Stored = std::uint16_t;
  using Register = float;
  static float get(Stored bits) { return bf16_value(bits); }
  static Stored put(float value) { return bf16_bits(value); }
};
struct BoolMemory {
  using Stored = std::uint8_t;
  using Register = Bool;
  static Bool get(Stored byte) { return truth(byte != 0); }
  static Stored put(Bool value) { return static_cast<Stored>(value); }
};
template <class S, class R>
struct PlainMemory {
  using Stored = S;
  using Register = R;
  static R get(S value) { return value; }
  static S put(R value) { return static_cast<S>(value); }
};

template <class F>
Run with_memory(DType type, F f) {
  switch (type) {
    case DType::f32:
      return f(PlainMemory<float, float>{});
    case DType::f64:
      return f(PlainMemory<double, double>{});
    case DType::f16:
      return f(HalfMemory{});
    case DType::bf16:
      return f(BrainMemory{});
    case DType::i8:
      return f(PlainMemory<std::int8_t, std::int32_t>{});
    case DType::u8:
      return f(PlainMemory<std::uint8_t, std::int32_t>{});
    case DType::i32:
      return f(PlainMemory<std::int32_t, std::int32_t>{});
    case DType::u32:
      return f(PlainMemory<std::uint32_t, std::uint32_t>{});
    case DType::i64:
      return f(PlainMemory<std::int64_t, std::int64_t>{});
    case DType::boolean:
      return f(BoolMemory{});
    case DType::index:
      break;
  }
  return nullptr;
}

bool out_of_range(const Access& access, std::string_view verb, std::int64_t address, std::int64_t lanes,
                  std::int64_t count, Diagnostic& problem) {
  problem =
      error("loop-range", fmt::format("in `{}`: {} {}[{}]{}, which has {} elements", access.func, verb, access.buffer,
                                      address, lanes == 1 ? "" : fmt::format(" of {} lanes", lanes), count));
  return false;
}

// Addresses wrap, so that a wild one is an error and nothing undefined.
std::int64_t lane_address(std::int64_t address, std::int64_t l) { return Add{}(address, l); }

template <class M>
bool run_load(const Instruction& i, Diagnostic& problem) {
  using Stored = typename M::Stored;
  const auto& access = *static_cast<const Access*>(i.plan);
  const std::int64_t address = *static_cast<const std::int64_t*>(i.a);
  const std::int64_t count = access.view->bytes / static_cast<std::int64_t>(sizeof(Stored));
  const std::int64_t first = -(access.view->before / static_cast<std::int64_t>(sizeof(Stored)));
  if (address < first || address > count - i.n) return out_of_range(access, "load of", address, i.n, count, problem);
  const std::byte* data = access.view->data + address * static_cast<std::int64_t>(sizeof(Stored));
  auto* out = static_cast<typename M::Register*>(i.out);
  for (std::int64_t l = 0; l < i.n; ++l) {
    Stored element;
    std::memcpy(&element, data + l * static_cast<std::int64_t>(sizeof(Stored)), sizeof(Stored));
    out[l] = M::get(element);
  }
  return true;
}

template <class M>
bool run_masked_load(const Instruction& i, Diagnostic& problem) {
  using Stored = typename M::Stored;
  const auto& access = *static_cast<const Access*>(i.plan);
  const std::int64_t address = *static_cast<const std::int64_t*>(i.a);
  const std::int64_t count = access.view->bytes / static_cast<std::int64_t>(sizeof(Stored));
  const std::int64_t first = -(access.view->before / static_cast<std::int64_t>(sizeof(Stored)));
  const auto* mask = static_cast<const Bool*>(i.b);
  auto* out = static_cast<typename M::Register*>(i.out);
  for (std::int64_t l = 0; l < i.n; ++l) {
    if (mask[l] == Bool::no) {
      out[l] = *static_cast<const typename M::Register*>(i.c);
      continue;
    }
    const std::int64_t at = lane_address(address, l);
    if (at < first || at >= count) return out_of_range(access, "load of", at, 1, count, problem);
    Stored element;
    std::memcpy(&element, access.view->data + at * static_cast<std::int64_t>(sizeof(Stored)), sizeof(Stored));
    out[l] = M::get(element);
  }
  return true;
}

template <class M>
bool run_store(const Instruction& i, Diagnostic& problem) {
  using Stored = typename M::Stored;
  const auto& access = *static_cast<const Access*>(i.plan);
  const std::int64_t address = *static_cast<const std::int64_t*>(i.a);
  const std::int64_t count = access.view->bytes / static_cast<std::int64_t>(sizeof(Stored));
  const std::int64_t first = -(access.view->before / static_cast<std::int64_t>(sizeof(Stored)));
  const auto* mask = static_cast<const Bool*>(i.b);
  const auto* value = static_cast<const typename M::Register*>(i.c);
  for (std::int64_t l = 0; l < i.n; ++l) {
    if (mask != nullptr && mask[l] == Bool::no) continue;
    const std::int64_t at = lane_address(address, l);
    if (at < first || at >= count) return out_of_range(access, "store to", at, 1, count, problem);
    const Stored element = M::put(value[l]);
    std::memcpy(access.view->data + at * static_cast<std::int64_t>(sizeof(Stored)), &element, sizeof(Stored));
  }
  return true;
}

}  // namespace

std::int64_t register_bytes(DType type) {
  return type == DType::boolean ? 1 : type == DType::index ? 8 : size_of(type);
}

Run row_instruction(const Row& row, DType operand, bool muladd) {
  const Basic op = row.basic;
  if (operand == DType::index && op == Basic::div) return run2<FloorDiv, std::int64_t, std::int64_t, std::int64_t>;
  if (operand == DType::index && op == Basic::rem) return run2<FloorRem, std::int64_t, std::int64_t, std::int64_t>;
  return with_type(operand, [&](auto sample) -> Run {
    using T = decltype(sample);
    constexpr bool kBool = std::is_same_v<T, Bool>;
    constexpr bool kInteger = std::is_integral_v<T>;
    switch (op) {
      case Basic::eq:
        return run2<Test<std::equal_to<>>, Bool, T, T>;
      case Basic::ne:
        return run2<Test<std::not_equal_to<>>, Bool, T, T>;
      case Basic::select:
        return run3<Select, T, Bool, T>;
      case Basic::convert:
        return convert_row_run<T>(row.target);
      default:
        break;
    }
    if constexpr (kBool) {
      return op == Basic::logical_not ? run1<Not, Bool, Bool> : bit_row<Bool>(op);
    } else {
      if (op == Basic::bitcast) {
        return with_type(row.target, [](auto target) -> Run {
          using To = decltype(target);
          if constexpr (std::is_same_v<To, Bool>)
            return nullptr;
          else
            return run1<Bitcast<To>, To, T>;
        });
      }
      if constexpr (kInteger) {
        if (op == Basic::rem) return run2<Rem, T, T, T>;
        if (const Run run = bit_row<T>(op)) return run;
        if constexpr (sizeof(T) == 4) {
          if (op == Basic::mulhi) return run2<Mulhi, T, T, T>;
        }
      } else {
        if (const Run run = float_row<T>(op)) return run;
      }
      return number_row<T>(op, muladd);
    }
  });
}

Run shift_instruction(const Row& row, DType value, DType count) {
  return with_type(value, [&](auto sample) -> Run {
    using T = decltype(sample);
    if constexpr (std::is_integral_v<T>) {
      const bool left = row.basic == Basic::shl;
      if (count == DType::i64) return left ? run2<Shl, T, T, std::int64_t> : run2<Shr, T, T, std::int64_t>;
      return left ? run2<Shl, T, T, std::uint32_t> : run2<Shr, T, T, std::uint32_t>;
    } else {
      return nullptr;
    }
  });
}

Run splat_instruction(DType type) {
  return with_type(type, [](auto sample) -> Run { return run_splat<decltype(sample)>; });
}

Run ramp_instruction() { return run_ramp; }
Run tree_instruction() { return run_tree; }

Run first_instruction(DType type) {
  return with_type(type, [](auto sample) -> Run { return run_first<decltype(sample)>; });
}

Run load_instruction(DType memory, bool masked) {
  return with_memory(memory, [&](auto sample) -> Run {
    using M = decltype(sample);
    return masked ? run_masked_load<M> : run_load<M>;
  });
}

Run store_instruction(DType memory) {
  return with_memory(memory, [](auto sample) -> Run { return run_store<decltype(sample)>; });
}

}  // namespace tusk::loop
