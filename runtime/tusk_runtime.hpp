// tusk_runtime.hpp: arithmetic with one defined result, for code that Tusk emits. C++17, standard library only.
//
// Whatever the compiler, its flags and the machine, each function here gives the same bits: integers wrap, divisions
// and conversions are defined for all operands, fma rounds once (in software where the machine has none), and nothing
// calls libm. NaNs are one value: their payload and sign may differ. The file is part of the emitted code and belongs
// to its user.
//
// Vectors double the machine's own: f32x16 is one register with AVX-512, two with AVX2, four with SSE or NEON, sixteen
// floats elsewhere. Everything has internal linkage, so that files compiled with different flags can be linked
// together.
#ifndef TUSK_RUNTIME_V1
#define TUSK_RUNTIME_V1

#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#if defined(__FAST_MATH__) || defined(_M_FP_FAST)
#error "Tusk: -ffast-math changes results; compile this file without it"
#endif
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0
#error "Tusk: this machine computes float in another precision (on 32-bit x86, use -msse2 -mfpmath=sse)"
#endif

// TUSK_SCALAR asks for code without vector types, intrinsics and builtins, as it is compiled by MSVC.
#if defined(__GNUC__) && !defined(TUSK_SCALAR)
#define TUSK_GNU 1
#else
#define TUSK_GNU 0
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#define TUSK_INLINE static __forceinline
#define TUSK_KERNEL __declspec(noinline)
#else
#define TUSK_INLINE [[gnu::always_inline]] static inline
#define TUSK_KERNEL [[gnu::noinline]]
#endif

#if TUSK_GNU && defined(__SSE2__)
#include <immintrin.h>
#elif TUSK_GNU && defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#define TUSK_NEON 1
#endif

// Lanes of 32 bits in the widest register that has fma. (32-bit ARM flushes denormals in NEON, so it counts as a
// machine without vectors.)
#if TUSK_GNU && defined(__AVX512F__) && defined(__FMA__)
#define TUSK_LANES 16
#elif TUSK_GNU && defined(__AVX2__) && defined(__FMA__)
#define TUSK_LANES 8
#elif TUSK_GNU && (defined(__SSE2__) || defined(TUSK_NEON) || defined(__wasm_simd128__))
#define TUSK_LANES 4
#else
#define TUSK_LANES 1
#endif

// Whether the machine has fma in hardware, so that the builtin is one instruction.
#if TUSK_GNU && (defined(__FP_FAST_FMAF) || defined(__FMA__) || (defined(__riscv_flen) && __riscv_flen >= 32))
#define TUSK_FMA_F32 1
#else
#define TUSK_FMA_F32 0
#endif
#if TUSK_GNU && (defined(__FP_FAST_FMA) || defined(__FMA__) || (defined(__riscv_flen) && __riscv_flen >= 64))
#define TUSK_FMA_F64 1
#else
#define TUSK_FMA_F64 0
#endif

namespace tusk {
inline namespace v1 {

// ---- Shapes of values: a scalar, a native vector, or twice a half

template <class H>
struct twice {
  H lo, hi;
};

template <class V>
struct shape {  // a native vector; a mask is one of int32 with lanes 0 and -1
  static constexpr int lanes = static_cast<int>(sizeof(V) / 4);
  static constexpr bool is_scalar = std::is_arithmetic_v<V>;
  static constexpr bool is_twice = false;
};
template <class H>
struct shape<twice<H>> {
  static constexpr int lanes = 2 * (std::is_arithmetic_v<H> ? 1 : shape<H>::lanes);
  static constexpr bool is_scalar = false;
  static constexpr bool is_twice = true;
};
template <class V>
constexpr int lanes = shape<V>::is_scalar ? 1 : shape<V>::lanes;

template <class T, int N, bool = (N >= 4 && N <= TUSK_LANES)>
struct vector {
  using type = twice<typename vector<T, N / 2>::type>;
};
template <class T>
struct vector<T, 1, false> {
  using type = T;
};
#if TUSK_LANES > 1
template <class T, int N>
struct vector<T, N, true> {
  typedef std::conditional_t<std::is_same_v<T, bool>, std::int32_t, T> type __attribute__((vector_size(4 * N)));
};
#endif

#define TUSK_VECTORS(n)                                    \
  using f32x##n = typename vector<float, n>::type;         \
  using i32x##n = typename vector<std::int32_t, n>::type;  \
  using u32x##n = typename vector<std::uint32_t, n>::type; \
  using maskx##n = typename vector<bool, n>::type;
TUSK_VECTORS(2)
TUSK_VECTORS(4)
TUSK_VECTORS(8)
TUSK_VECTORS(16)
TUSK_VECTORS(32)
#undef TUSK_VECTORS

template <class V, class = void>
struct element {
  using type = std::remove_cv_t<std::remove_reference_t<decltype(std::declval<V&>()[0])>>;
};
template <class V>
struct element<V, std::enable_if_t<std::is_arithmetic_v<V>>> {
  using type = V;
};
template <class H>
struct element<twice<H>, void> {
  using type = typename element<H>::type;
};
/// The type of a lane.
template <class V>
using element_t = typename element<V>::type;
/// As many lanes of T.
template <class V, class T>
using lanes_of = typename vector<T, lanes<V>>::type;
/// A parameter that takes its type from another one: literals convert.
template <class V>
using same = typename std::enable_if<true, V>::type;

template <class H>
TUSK_INLINE twice<H> pair(H lo, H hi) {
  return {lo, hi};
}

// ---- Operators of `twice`; scalars and native vectors have those of the language

#define TUSK_OPERATOR(op)                                \
  template <class H>                                     \
  TUSK_INLINE auto operator op(twice<H> a, twice<H> b) { \
    return pair(a.lo op b.lo, a.hi op b.hi);             \
  }
TUSK_OPERATOR(+)
TUSK_OPERATOR(-)
TUSK_OPERATOR(*)
TUSK_OPERATOR(/)
TUSK_OPERATOR(<)
TUSK_OPERATOR(<=)
TUSK_OPERATOR(>)
TUSK_OPERATOR(>=)
TUSK_OPERATOR(==)
TUSK_OPERATOR(!=)
#undef TUSK_OPERATOR

template <class H>
TUSK_INLINE twice<H> operator-(twice<H> a) {
  return {-a.lo, -a.hi};
}

// ---- Bits

template <class To, class From>
TUSK_INLINE To bits_of(From x) {
  static_assert(sizeof(To) == sizeof(From), "equal sizes");
  To y;
  std::memcpy(&y, &x, sizeof y);
  return y;
}

/// The same bits in lanes of T.
template <class T, class V>
TUSK_INLINE auto cast_lanes(V x) {
  if constexpr (shape<V>::is_twice) {
    return pair(cast_lanes<T>(x.lo), cast_lanes<T>(x.hi));
  } else if constexpr (shape<V>::is_scalar) {
    return bits_of<T>(x);
  } else {
    return bits_of<lanes_of<V, T>>(x);
  }
}

template <class V>
TUSK_INLINE auto as_f32(V x) {
  return cast_lanes<float>(x);
}
template <class V>
TUSK_INLINE auto as_i32(V x) {
  return cast_lanes<std::int32_t>(x);
}
template <class V>
TUSK_INLINE auto as_u32(V x) {
  return cast_lanes<std::uint32_t>(x);
}
TUSK_INLINE double as_f64(std::int64_t x) { return bits_of<double>(x); }
TUSK_INLINE double as_f64(double x) { return x; }
TUSK_INLINE std::int64_t as_i64(double x) { return bits_of<std::int64_t>(x); }
TUSK_INLINE std::int64_t as_i64(std::int64_t x) { return x; }

template <class T>
struct word {
  using type = std::make_unsigned_t<T>;
};
template <>
struct word<float> {
  using type = std::uint32_t;
};
template <>
struct word<double> {
  using type = std::uint64_t;
};
/// The unsigned integer of the size of a lane.
template <class V>
using word_t = typename word<element_t<V>>::type;

template <class V>
TUSK_INLINE auto words(V x) {
  return cast_lanes<word_t<V>>(x);
}

/// A scalar in every lane. A bool gives a mask.
template <class V, class S>
TUSK_INLINE V splat(S x) {
  if constexpr (shape<V>::is_twice) {
    return {splat<decltype(V::lo)>(x), splat<decltype(V::hi)>(x)};
  } else if constexpr (shape<V>::is_scalar) {
    return x;
  } else if constexpr (std::is_same_v<S, bool>) {
    return (x ? -1 : 0) - V{};
  } else {
    return static_cast<element_t<V>>(x) - V{};  // x - 0 keeps the sign of zero, x + 0 does not
  }
}

// splat16(0.5F), splat16(1U), splat16(true): the vector of so many lanes.
#define TUSK_SPLAT(n)                                                                   \
  TUSK_INLINE f32x##n splat##n(float x) { return splat<f32x##n>(x); }                   \
  TUSK_INLINE maskx##n splat##n(bool x) { return splat<maskx##n>(x); }                  \
  template <class I>                                                                    \
  TUSK_INLINE std::conditional_t<std::is_signed_v<I>, i32x##n, u32x##n> splat##n(I x) { \
    using V = std::conditional_t<std::is_signed_v<I>, i32x##n, u32x##n>;                \
    return splat<V>(static_cast<element_t<V>>(x));                                      \
  }
TUSK_SPLAT(2)
TUSK_SPLAT(4)
TUSK_SPLAT(8)
TUSK_SPLAT(16)
TUSK_SPLAT(32)
#undef TUSK_SPLAT

/// f of each lane (of each pair of lanes), where the machine has no instruction.
template <class R, class F, class V>
TUSK_INLINE R map(F f, V a) {
  if constexpr (shape<V>::is_twice) {
    return {map<decltype(R::lo)>(f, a.lo), map<decltype(R::hi)>(f, a.hi)};
  } else if constexpr (shape<V>::is_scalar) {
    return f(a);
  } else {
    R r{};
    for (int i = 0; i < lanes<V>; ++i) r[i] = f(a[i]);
    return r;
  }
}
template <class R, class F, class V>
TUSK_INLINE R map(F f, V a, V b) {
  if constexpr (shape<V>::is_twice) {
    return {map<decltype(R::lo)>(f, a.lo, b.lo), map<decltype(R::hi)>(f, a.hi, b.hi)};
  } else if constexpr (shape<V>::is_scalar) {
    return f(a, b);
  } else {
    R r{};
    for (int i = 0; i < lanes<V>; ++i) r[i] = f(a[i], b[i]);
    return r;
  }
}

template <class V>
TUSK_INLINE V bit_and(V a, same<V> b) {
  if constexpr (shape<V>::is_twice) {
    return {bit_and(a.lo, b.lo), bit_and(a.hi, b.hi)};
  } else {
    return static_cast<V>(a & b);
  }
}
template <class V>
TUSK_INLINE V bit_or(V a, same<V> b) {
  if constexpr (shape<V>::is_twice) {
    return {bit_or(a.lo, b.lo), bit_or(a.hi, b.hi)};
  } else {
    return static_cast<V>(a | b);
  }
}
template <class V>
TUSK_INLINE V bit_xor(V a, same<V> b) {
  if constexpr (shape<V>::is_twice) {
    return {bit_xor(a.lo, b.lo), bit_xor(a.hi, b.hi)};
  } else {
    return static_cast<V>(a ^ b);
  }
}
template <class M>
TUSK_INLINE M mask_not(M m) {
  if constexpr (shape<M>::is_twice) {
    return {mask_not(m.lo), mask_not(m.hi)};
  } else if constexpr (shape<M>::is_scalar) {
    return !m;
  } else {
    return ~m;
  }
}

template <class M>
TUSK_INLINE M mask_eq(M a, same<M> b) {
  return mask_not(bit_xor(a, b));
}

// LLVM makes x < 0 ? x : 0 an instruction that takes -0 for less than +0, as those of Arm, RISC-V and wasm do (not
// those of x86), where it sees that this is a zero; here it does not.
template <class V>
TUSK_INLINE V unseen_zero(V x) {
#if TUSK_GNU && defined(__clang__) && !defined(__x86_64__) && !defined(__i386__)
  if constexpr (std::is_floating_point_v<element_t<V>>) {
    element_t<V> first{};
    if constexpr (shape<V>::is_scalar) {
      first = x;
    } else {
      first = x[0];
    }
    if (__builtin_constant_p(first) && first == 0) {
      auto bits = words(first);
      __asm__(""  // no instruction, but they may be any bits now
              : "+r"(bits));
      return splat<V>(cast_lanes<element_t<V>>(bits));
    }
  }
#endif
  return x;
}

/// m ? a : b, lane by lane.
template <class M, class V>
TUSK_INLINE V select(M m, V a, same<V> b) {
  if constexpr (shape<V>::is_twice) {
    return {select(m.lo, a.lo, b.lo), select(m.hi, a.hi, b.hi)};
  } else {
    return m ? unseen_zero(a) : unseen_zero(b);
  }
}

/// p, where it is read under a condition. GCC's vectorizer must not see it: several vectors of such reads get the mask
/// of the first (GCC 12, -O3 with AVX2 or AVX-512).
template <class T>
TUSK_INLINE const T* guarded(const T* p) {
#if TUSK_GNU && !defined(__clang__)
  __asm__ volatile(""  // no instruction, but p may be any pointer now
                   : "+r"(p));
#endif
  return p;
}

/// a << n and a >> n, the count modulo the width; a signed type keeps its sign.
template <class V, class N>
TUSK_INLINE V shl(V a, N n) {
  if constexpr (shape<V>::is_twice) {
    return {shl(a.lo, n.lo), shl(a.hi, n.hi)};
  } else if constexpr (shape<V>::is_scalar) {
    return static_cast<V>(words(a) << (static_cast<unsigned>(n) & (8 * sizeof(V) - 1)));
  } else {
    return cast_lanes<element_t<V>>(words(a) << (words(n) & splat<lanes_of<V, std::uint32_t>>(31U)));
  }
}
template <class V, class N>
TUSK_INLINE V shr(V a, N n) {
  if constexpr (shape<V>::is_twice) {
    return {shr(a.lo, n.lo), shr(a.hi, n.hi)};
  } else if constexpr (shape<V>::is_scalar) {
    return static_cast<V>(a >> (static_cast<unsigned>(n) & (8 * sizeof(V) - 1)));
  } else {
    return a >> cast_lanes<element_t<V>>(words(n) & splat<lanes_of<V, std::uint32_t>>(31U));
  }
}

// ---- Integers wrap

template <class V>
TUSK_INLINE V add(V a, same<V> b) {
  return cast_lanes<element_t<V>>(words(a) + words(b));
}
template <class V>
TUSK_INLINE V sub(V a, same<V> b) {
  return cast_lanes<element_t<V>>(words(a) - words(b));
}
template <class V>
TUSK_INLINE V mul(V a, same<V> b) {
  return cast_lanes<element_t<V>>(words(a) * words(b));
}
template <class V>
TUSK_INLINE V neg(V a) {
  return sub(splat<V>(element_t<V>{0}), a);
}

/// Truncates; a / 0 is 0, the least / -1 is the least.
template <class V>
TUSK_INLINE V div(V a, same<V> b) {
  using T = element_t<V>;
  const auto one = [](T x, T y) -> T {
    if (y == 0) return 0;
    if (std::is_signed_v<T> && y == static_cast<T>(-1)) return neg(x);
    return x / y;
  };
  return map<V>(one, a, b);
}
/// The remainder of div, with the sign of a; a rem 0 is 0.
template <class V>
TUSK_INLINE V rem(V a, same<V> b) {
  using T = element_t<V>;
  const auto one = [](T x, T y) -> T {
    if (y == 0 || (std::is_signed_v<T> && y == static_cast<T>(-1))) return 0;
    return x % y;
  };
  return map<V>(one, a, b);
}
/// The high 32 bits of the product of 32-bit integers.
template <class V>
TUSK_INLINE V mulhi(V a, same<V> b) {
  using T = element_t<V>;
  using Wide = std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>;
  return map<V>([](T x, T y) -> T { return static_cast<T>((static_cast<Wide>(x) * static_cast<Wide>(y)) >> 32); }, a,
                b);
}

/// Of addresses: rounds down, a divisor of 0 gives 0.
TUSK_INLINE std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  return sub(div(a, b), rem(a, b) != 0 && (a < 0) != (b < 0) ? 1 : 0);
}
TUSK_INLINE std::int64_t floor_rem(std::int64_t a, std::int64_t b) {
  const std::int64_t r = rem(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

// ---- All numbers

template <class V>
TUSK_INLINE V max(V a, same<V> b) {
  return select(a > b, a, b);
}
template <class V>
TUSK_INLINE V min(V a, same<V> b) {
  return select(a < b, a, b);
}

template <class V>
TUSK_INLINE V abs(V x) {
  using T = element_t<V>;
  if constexpr (std::is_floating_point_v<T>) {
    using W = word_t<V>;
    return cast_lanes<T>(bit_and(words(x), splat<decltype(words(x))>(static_cast<W>(~W{0} >> 1))));
  } else if constexpr (std::is_unsigned_v<T>) {
    return x;
  } else {
    return select(x < splat<V>(T{0}), neg(x), x);
  }
}

template <class T>
constexpr T infinity = std::numeric_limits<T>::infinity();
template <class T>
constexpr T nan = std::numeric_limits<T>::quiet_NaN();

// ---- fma: a * b + c with one rounding

// p + c in double, rounded to odd: an inexact sum takes the neighbour whose last bit is 1. Where p is the exact product
// of two floats, rounding that to float rounds a * b + c once, since double has more than two bits to spare; denormal
// and overflowing results included. `I` is the integer of the size of D; both may be vectors.
template <class I, class D>
TUSK_INLINE D add_to_odd(D p, D c) {
  const D s = p + c;
  const D b = s - p;
  const D e = (p - (s - b)) + (c - b);  // exact; NaN where s is infinite or NaN
  const I bits = bits_of<I>(s);
  const I one = I{} + 1;
  const I toward_e = (e > D{}) == (s > D{}) ? one : -one;
  const auto inexact = (e > D{}) | (e < D{});
  const auto even = (bits & one) == I{};
  return bits_of<D>(bits + ((inexact & even) ? toward_e : I{}));
}

struct u128 {
  std::uint64_t hi, lo;
};

// x >> n, with a 1 in the last place if a bit was lost.
TUSK_INLINE std::uint64_t shift_jam(std::uint64_t x, int n) {
  if (n == 0) return x;
  if (n >= 64) return x != 0 ? 1 : 0;
  return x >> n | ((x << (64 - n)) != 0 ? 1U : 0U);
}
TUSK_INLINE u128 shift_jam(u128 x, int n) {
  if (n >= 64) return {0, shift_jam(x.hi, n - 64) | (x.lo != 0 ? 1U : 0U)};
  if (n == 0) return x;
  return {x.hi >> n, shift_jam(x.lo, n) | x.hi << (64 - n)};
}
TUSK_INLINE u128 shift_left(u128 x, int n) {
  if (n >= 64) return {x.lo << (n - 64), 0};
  if (n == 0) return x;
  return {x.hi << n | x.lo >> (64 - n), x.lo << n};
}
TUSK_INLINE u128 multiply(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t low = 0xffffffffU;
  const std::uint64_t mid = (a >> 32) * (b & low) + ((a & low) * (b & low) >> 32);
  const std::uint64_t mid2 = (a & low) * (b >> 32) + (mid & low);
  return {(a >> 32) * (b >> 32) + (mid >> 32) + (mid2 >> 32), a * b};
}

// A finite double other than zero is m * 2^e, 2^52 <= m < 2^53.
struct split {
  std::uint64_t m;
  int e;
};
TUSK_INLINE split split_of(double x) {
  const std::uint64_t bits = words(x) & ~(std::uint64_t{1} << 63);
  const std::uint64_t hidden = std::uint64_t{1} << 52;
  split out{bits & (hidden - 1), static_cast<int>(bits >> 52)};
  if (out.e != 0) return {out.m | hidden, out.e - 1075};
  for (out.e = -1074; (out.m & hidden) == 0; --out.e) out.m <<= 1;
  return out;
}

// In integers: exact sum of a 106-bit product and a 53-bit number in 128 bits with a sticky last bit, then one
// rounding.
static inline double soft_fma(double a, double b, double c) {
  const double product = a * b;
  const std::uint64_t top = std::uint64_t{1} << 63;
  const auto finite = [](double x) { return abs(x) < infinity<double>; };
  if (a == 0 || b == 0 || !finite(a) || !finite(b)) return product + c;
  // The product may overflow, but it is no infinity; it may underflow to a zero, which keeps its sign.
  if (!finite(c)) return c;
  if (c == 0) return product;
  const split x = split_of(a);
  const split y = split_of(b);
  const split z = split_of(c);
  // Both summands get one unit 2^e. The larger one has bits to spare below, the smaller one may lose bits to the sticky
  // one: then their signs differ in magnitude so much that no cancellation reaches it.
  int e = x.e + y.e - 20;
  u128 p = shift_left(multiply(x.m, y.m), 20);
  u128 q = {0, z.m};
  const int up = z.e - e;
  if (up > 73) {
    q = shift_left(q, 73);
    p = up - 73 > 127 ? u128{0, 1} : shift_jam(p, up - 73);
    e = z.e - 73;
  } else if (up >= 0) {
    q = shift_left(q, up);
  } else {
    q = -up > 127 ? u128{0, 1} : shift_jam(q, -up);
  }
  std::uint64_t sign = (words(a) ^ words(b)) & top;
  u128 r = {p.hi + q.hi, p.lo + q.lo};
  if (r.lo < q.lo) ++r.hi;
  if ((words(c) & top) != sign) {
    const bool less = p.hi < q.hi || (p.hi == q.hi && p.lo < q.lo);
    if (less) {
      const u128 t = p;
      p = q;
      q = t;
      sign ^= top;
    }
    r = {p.hi - q.hi - (p.lo < q.lo ? 1U : 0U), p.lo - q.lo};
    if (r.hi == 0 && r.lo == 0) return 0;
  }
  for (int n = 64; n > 0; n /= 2) {  // until the highest bit is set
    const bool room = n == 64 ? r.hi == 0 : r.hi >> (64 - n) == 0;
    if (!room) continue;
    r = shift_left(r, n);
    e -= n;
  }
  std::uint64_t m = r.hi | (r.lo != 0 ? 1U : 0U);
  const int exponent = e + 127;  // |a * b + c| lies in [2^exponent, 2^(exponent + 1))
  if (exponent > 1023) return bits_of<double>(sign | std::uint64_t{0x7ff} << 52);
  if (exponent < -1022) m = shift_jam(m, -1022 - exponent);
  const std::uint64_t rest = m & 0x7ffU;
  m >>= 11;
  if (rest > 0x400U || (rest == 0x400U && (m & 1U) != 0)) ++m;
  // A carry out of the mantissa goes into the exponent, as it should.
  const std::uint64_t biased = exponent < -1022 ? 0 : static_cast<std::uint64_t>(exponent + 1022);
  return bits_of<double>(sign | (m + (biased << 52)));
}

TUSK_INLINE float fma_lanes(float a, float b, float c) {
#if TUSK_FMA_F32
  return __builtin_fmaf(a, b, c);
#else
  const double p = static_cast<double>(a) * static_cast<double>(b);
  return static_cast<float>(add_to_odd<std::int64_t>(p, static_cast<double>(c)));
#endif
}
TUSK_INLINE double fma_lanes(double a, double b, double c) {
#if TUSK_FMA_F64
  return __builtin_fma(a, b, c);
#else
  return soft_fma(a, b, c);
#endif
}

#if TUSK_LANES > 1
#if defined(TUSK_NEON)
TUSK_INLINE f32x4 fma_lanes(f32x4 a, f32x4 b, f32x4 c) { return vfmaq_f32(c, a, b); }
#elif defined(__FMA__)
TUSK_INLINE f32x4 fma_lanes(f32x4 a, f32x4 b, f32x4 c) { return _mm_fmadd_ps(a, b, c); }
#if TUSK_LANES >= 8
TUSK_INLINE f32x8 fma_lanes(f32x8 a, f32x8 b, f32x8 c) { return _mm256_fmadd_ps(a, b, c); }
#endif
#if TUSK_LANES >= 16
TUSK_INLINE f32x16 fma_lanes(f32x16 a, f32x16 b, f32x16 c) { return _mm512_fmadd_ps(a, b, c); }
#endif
#elif defined(__SSE2__)
TUSK_INLINE f32x4 fma_lanes(f32x4 a, f32x4 b, f32x4 c) {
  typedef std::int64_t i64x2 __attribute__((vector_size(16)));
  typedef double f64x2 __attribute__((vector_size(16)));
  const auto half = [](f32x4 x, f32x4 y, f32x4 z) {
    const f64x2 p = f64x2(_mm_cvtps_pd(x)) * f64x2(_mm_cvtps_pd(y));
    return f32x4(_mm_cvtpd_ps(add_to_odd<i64x2>(p, f64x2(_mm_cvtps_pd(z)))));
  };
  const auto high = [](f32x4 x) { return f32x4(_mm_movehl_ps(x, x)); };
  return _mm_movelh_ps(half(a, b, c), half(high(a), high(b), high(c)));
}
#endif
#endif

template <class V>
TUSK_INLINE V fma(V a, same<V> b, same<V> c) {
  using T = element_t<V>;
  if constexpr (std::is_integral_v<T>) {
    return add(mul(a, b), c);
  } else if constexpr (shape<V>::is_twice) {
    return {fma(a.lo, b.lo, c.lo), fma(a.hi, b.hi, c.hi)};
  } else {
    return fma_lanes(a, b, c);
  }
}

// ---- Square root

// Digit by digit, in integers: for machines without an instruction. x = m * 2^e with e even.
template <class T>
TUSK_INLINE T soft_sqrt(T x) {
  if (!(x > 0)) return x == 0 ? x : nan<T>;
  if (x == infinity<T>) return x;
  constexpr int digits = std::numeric_limits<T>::digits;
  split s = split_of(static_cast<double>(x));
  if ((s.e & 1) != 0) s = {s.m << 1, s.e - 1};
  // root = floor(sqrt(m * 4^-k)), two bits of the square at a time, until there are more than `digits` bits.
  constexpr int k = 27 - digits - 2;
  std::uint64_t root = 0;
  std::uint64_t rest = 0;
  for (int i = 62; i >= 2 * k; i -= 2) {
    rest = rest << 2 | (i >= 0 ? s.m >> i & 3U : 0U);
    const std::uint64_t trial = root << 2 | 1U;
    root <<= 1;
    if (rest >= trial) {
      rest -= trial;
      root |= 1U;
    }
  }
  // Keep `digits` bits and one to round by, which is enough: a root is never halfway between two numbers.
  int e = s.e / 2 + k + 1;
  for (; root >> (digits + 1) != 0; ++e) root >>= 1;
  root = (root >> 1) + (root & 1U);
  const std::uint64_t exponent = static_cast<std::uint64_t>(e + 1023) << 52;  // no root is denormal
  return static_cast<T>(static_cast<double>(root) * bits_of<double>(exponent));
}

#if TUSK_GNU && defined(__SSE2__)
TUSK_INLINE float sqrt_lanes(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }
TUSK_INLINE double sqrt_lanes(double x) { return _mm_cvtsd_f64(_mm_sqrt_pd(_mm_set_sd(x))); }
TUSK_INLINE f32x4 sqrt_lanes(f32x4 x) { return _mm_sqrt_ps(x); }
#if TUSK_LANES >= 8
TUSK_INLINE f32x8 sqrt_lanes(f32x8 x) { return _mm256_sqrt_ps(x); }
#endif
#if TUSK_LANES >= 16
TUSK_INLINE f32x16 sqrt_lanes(f32x16 x) { return _mm512_maskz_sqrt_ps(0xffff, x); }
#endif
#elif defined(TUSK_NEON)
TUSK_INLINE float sqrt_lanes(float x) { return vget_lane_f32(vsqrt_f32(vdup_n_f32(x)), 0); }
TUSK_INLINE double sqrt_lanes(double x) { return vget_lane_f64(vsqrt_f64(vdup_n_f64(x)), 0); }
TUSK_INLINE f32x4 sqrt_lanes(f32x4 x) { return vsqrtq_f32(x); }
#else
TUSK_INLINE float sqrt_lanes(float x) {
#if TUSK_GNU && defined(__ARM_FP) && (__ARM_FP & 4)
  // clang-format off
  __asm__("vsqrt.f32 %0, %1" : "=t"(x) : "t"(x));
  // clang-format on
  return x;
#elif TUSK_GNU && defined(__riscv_flen)
  // clang-format off
  __asm__("fsqrt.s %0, %1" : "=f"(x) : "f"(x));
  // clang-format on
  return x;
#else
  return soft_sqrt(x);
#endif
}
TUSK_INLINE double sqrt_lanes(double x) { return soft_sqrt(x); }
#endif

template <class V>
TUSK_INLINE V sqrt(V x) {
  if constexpr (shape<V>::is_twice) {
    return {sqrt(x.lo), sqrt(x.hi)};
  } else {
    return sqrt_lanes(x);
  }
}

// ---- Whole numbers

/// |r| with the sign of x.
template <class V>
TUSK_INLINE V with_sign_of(V r, V x) {
  using W = word_t<V>;
  const auto sign = splat<decltype(words(x))>(static_cast<W>(W{1} << (8 * sizeof(W) - 1)));
  return cast_lanes<element_t<V>>(bit_or(words(abs(r)), bit_and(words(x), sign)));
}

/// The nearest whole number, ties to even. Beyond 2^23 (2^52) every number is whole; below, adding that rounds.
template <class V>
TUSK_INLINE V rint(V x) {
  using T = element_t<V>;
  const V big = splat<V>(static_cast<T>(std::uint64_t{1} << (std::numeric_limits<T>::digits - 1)));
  const V a = abs(x);
  return with_sign_of(select(a < big, (a + big) - big, a), x);
}

template <class V>
TUSK_INLINE V floor_lanes(V x) {
  const V r = rint(x);
  return select(r > x, r - splat<V>(element_t<V>{1}), r);
}
#if TUSK_GNU && defined(__SSE4_1__)
TUSK_INLINE float floor_lanes(float x) { return _mm_cvtss_f32(_mm_floor_ss(_mm_set_ss(x), _mm_set_ss(x))); }
TUSK_INLINE f32x4 floor_lanes(f32x4 x) { return _mm_floor_ps(x); }
#if TUSK_LANES >= 8
TUSK_INLINE f32x8 floor_lanes(f32x8 x) { return _mm256_floor_ps(x); }
#endif
#if TUSK_LANES >= 16
TUSK_INLINE f32x16 floor_lanes(f32x16 x) { return _mm512_maskz_roundscale_ps(0xffff, x, 9); }
#endif
#elif defined(TUSK_NEON)
TUSK_INLINE f32x4 floor_lanes(f32x4 x) { return vrndmq_f32(x); }
#endif

template <class V>
TUSK_INLINE V floor(V x) {
  if constexpr (shape<V>::is_twice) {
    return {floor(x.lo), floor(x.hi)};
  } else {
    return floor_lanes(x);
  }
}
template <class V>
TUSK_INLINE V ceil(V x) {
  return -floor(-x);
}
template <class V>
TUSK_INLINE V trunc(V x) {
  return with_sign_of(floor(abs(x)), x);
}

// ---- Conversions

/// Float to integer: truncates, saturates out of range, NaN gives 0.
template <class Int, class Float>
TUSK_INLINE Int saturate(Float x) {
  constexpr Int least = std::numeric_limits<Int>::min();
  constexpr Int most = std::numeric_limits<Int>::max();
  constexpr Float end = static_cast<Float>(most / 2 + 1) * 2;  // most + 1, a power of two
  if (x != x) return 0;
  if (x < static_cast<Float>(least)) return least;
  if (x >= end) return most;
  return static_cast<Int>(x);
}

template <class To, class From>
TUSK_INLINE To convert_scalar(From x) {
  if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    return saturate<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

/// To the type of V, lane by lane. Masks have functions of their own.
template <class V, class From>
TUSK_INLINE V convert(From x) {
  return map<V>([](element_t<From> lane) { return convert_scalar<element_t<V>>(lane); }, x);
}
template <class V, class M>
TUSK_INLINE V from_mask(M m) {
  return select(m, splat<V>(element_t<V>{1}), splat<V>(element_t<V>{0}));
}
template <class V>
TUSK_INLINE auto to_mask(V x) {
  return x != splat<V>(element_t<V>{0});
}

TUSK_INLINE std::uint16_t f16_bits(float x) {
  const std::uint32_t bits = words(x);
  const std::uint32_t sign = bits >> 16 & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  std::uint32_t half = 0;
  if (magnitude > 0x7f800000U) {
    half = 0x7e00U;
  } else if (magnitude >= 0x477ff000U) {
    half = 0x7c00U;  // rounds to 65536 or more
  } else if (magnitude < 0x38800000U) {
    // The sum rounds at the last place of a denormal half.
    half = words(bits_of<float>(magnitude) + 0.5F) - 0x3f000000U;
  } else {
    half = (magnitude + 0xfffU + (magnitude >> 13 & 1U) - 0x38000000U) >> 13;
  }
  return static_cast<std::uint16_t>(sign | half);
}
TUSK_INLINE float f16_value(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16;
  const std::uint32_t rest = half & 0x7fffU;
  if (rest >= 0x7c00U) return bits_of<float>(sign | 0x7f800000U | (rest & 0x3ffU) << 13);
  if (rest >= 0x400U) return bits_of<float>(sign | ((rest << 13) + 0x38000000U));
  return bits_of<float>(sign | words(static_cast<float>(rest) * 0x1p-24F));
}
TUSK_INLINE std::uint16_t bf16_bits(float x) {
  const std::uint32_t bits = words(x);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<std::uint16_t>(bits >> 16 | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}
TUSK_INLINE float bf16_value(std::uint16_t bits) { return bits_of<float>(static_cast<std::uint32_t>(bits) << 16); }

/// Rounded to the 16-bit formats, as float; wrapped to 8 bits, as int32.
template <class V>
TUSK_INLINE auto round_f16(V x) {
  const auto one = [](element_t<V> lane) { return f16_value(f16_bits(static_cast<float>(lane))); };
  return map<lanes_of<V, float>>(one, x);
}
template <class V>
TUSK_INLINE auto round_bf16(V x) {
  const auto one = [](element_t<V> lane) { return bf16_value(bf16_bits(static_cast<float>(lane))); };
  return map<lanes_of<V, float>>(one, x);
}
template <class V>
TUSK_INLINE auto wrap_i8(V x) {
  const auto one = [](element_t<V> lane) -> std::int32_t {
    return static_cast<std::int8_t>(convert_scalar<std::int32_t>(lane));
  };
  return map<lanes_of<V, std::int32_t>>(one, x);
}
template <class V>
TUSK_INLINE auto wrap_u8(V x) {
  const auto one = [](element_t<V> lane) -> std::int32_t {
    return static_cast<std::uint8_t>(convert_scalar<std::int32_t>(lane));
  };
  return map<lanes_of<V, std::int32_t>>(one, x);
}

// ---- Memory

// How an element lies in memory, for types that are not computed in.
struct f16 {
  using raw = std::uint16_t;
  static float get(raw x) { return f16_value(x); }
  static raw put(float x) { return f16_bits(x); }
};
struct bf16 {
  using raw = std::uint16_t;
  static float get(raw x) { return bf16_value(x); }
  static raw put(float x) { return bf16_bits(x); }
};
struct i8 {
  using raw = std::int8_t;
  static std::int32_t get(raw x) { return x; }
  static raw put(std::int32_t x) { return static_cast<raw>(x); }
};
struct u8 {
  using raw = std::uint8_t;
  static std::int32_t get(raw x) { return x; }
  static raw put(std::int32_t x) { return static_cast<raw>(x); }
};
struct bit {
  using raw = std::uint8_t;
  static bool get(raw x) { return x != 0; }
  static raw put(std::int32_t x) { return x != 0 ? 1 : 0; }
};
template <class T>
struct plain {
  using raw = T;
  static T get(T x) { return x; }
  static T put(T x) { return x; }
};
template <class V, class S>
using storage = std::conditional_t<std::is_void_v<S>, plain<element_t<V>>, S>;
template <class V, class S>
using raw = typename storage<V, S>::raw;

// A lane of V: true is -1 in a native mask.
template <class V, class T>
TUSK_INLINE element_t<V> lane(T x) {
  if constexpr (std::is_same_v<T, bool> && !std::is_same_v<element_t<V>, bool>) {
    return x ? -1 : 0;
  } else {
    return x;
  }
}

/// The first n lanes from memory, `other` in the rest, which is not read.
template <class V, class S = void, class T>
TUSK_INLINE V load_first(const raw<V, S>* p, std::int64_t n, T other) {
  if constexpr (shape<V>::is_twice) {
    constexpr int half = lanes<V> / 2;
    return {load_first<decltype(V::lo), S>(p, n, other), load_first<decltype(V::hi), S>(p + half, n - half, other)};
  } else if constexpr (shape<V>::is_scalar) {
    return n > 0 ? storage<V, S>::get(*p) : other;
  } else {
    V v = splat<V>(other);
    for (int i = 0; i < lanes<V>; ++i) {
      if (i < n) v[i] = lane<V>(storage<V, S>::get(p[i]));
    }
    return v;
  }
}
template <class V, class S = void>
TUSK_INLINE V load(const raw<V, S>* p) {
  if constexpr (shape<V>::is_twice) {
    return {load<decltype(V::lo), S>(p), load<decltype(V::hi), S>(p + lanes<V> / 2)};
  } else if constexpr (shape<V>::is_scalar) {
    return storage<V, S>::get(*p);
  } else if constexpr (std::is_void_v<S>) {
    V v;
    std::memcpy(&v, p, sizeof v);
    return v;
  } else {
    V v{};
    for (int i = 0; i < lanes<V>; ++i) v[i] = lane<V>(storage<V, S>::get(p[i]));
    return v;
  }
}
/// Lanes whose mask is false are not read.
template <class V, class S = void, class M, class T>
TUSK_INLINE V load_masked(const raw<V, S>* p, M m, T other) {
  if constexpr (shape<V>::is_twice) {
    return {load_masked<decltype(V::lo), S>(p, m.lo, other),
            load_masked<decltype(V::hi), S>(p + lanes<V> / 2, m.hi, other)};
  } else if constexpr (shape<V>::is_scalar) {
    return m ? storage<V, S>::get(*p) : other;
  } else {
    V v = splat<V>(other);
    for (int i = 0; i < lanes<V>; ++i) {
      if (m[i] != 0) v[i] = lane<V>(storage<V, S>::get(p[i]));
    }
    return v;
  }
}

template <class S = void, class V>
TUSK_INLINE void store(raw<V, S>* p, V v) {
  if constexpr (shape<V>::is_twice) {
    store<S>(p, v.lo);
    store<S>(p + lanes<V> / 2, v.hi);
  } else if constexpr (shape<V>::is_scalar) {
    *p = storage<V, S>::put(v);
  } else if constexpr (std::is_void_v<S>) {
    std::memcpy(p, &v, sizeof v);
  } else {
    for (int i = 0; i < lanes<V>; ++i) p[i] = storage<V, S>::put(v[i]);
  }
}
/// The first N lanes, and nothing behind them.
template <int N, class S = void, class V>
TUSK_INLINE void store_first(raw<V, S>* p, V v) {
  if constexpr (N >= lanes<V>) {
    store<S>(p, v);
  } else if constexpr (N > 0) {
    if constexpr (shape<V>::is_twice) {
      constexpr int half = lanes<V> / 2;
      store_first<N, S>(p, v.lo);
      store_first<N - half, S>(p + half, v.hi);
    } else if constexpr (std::is_void_v<S>) {
      std::memcpy(p, &v, N * sizeof(*p));
    } else {
      for (int i = 0; i < N; ++i) p[i] = storage<V, S>::put(v[i]);
    }
  }
}
template <class S = void, class V>
TUSK_INLINE void store_first(raw<V, S>* p, V v, std::int64_t n) {
  if constexpr (shape<V>::is_twice) {
    store_first<S>(p, v.lo, n);
    store_first<S>(p + lanes<V> / 2, v.hi, n - lanes<V> / 2);
  } else if constexpr (shape<V>::is_scalar) {
    if (n > 0) *p = storage<V, S>::put(v);
  } else {
    for (int i = 0; i < lanes<V>; ++i) {
      if (i < n) p[i] = storage<V, S>::put(v[i]);
    }
  }
}
template <class S = void, class M, class V>
TUSK_INLINE void store_masked(raw<V, S>* p, V v, M m) {
  if constexpr (shape<V>::is_twice) {
    store_masked<S>(p, v.lo, m.lo);
    store_masked<S>(p + lanes<V> / 2, v.hi, m.hi);
  } else if constexpr (shape<V>::is_scalar) {
    if (m) *p = storage<V, S>::put(v);
  } else {
    for (int i = 0; i < lanes<V>; ++i) {
      if (m[i] != 0) p[i] = storage<V, S>::put(v[i]);
    }
  }
}

// ---- Lanes

/// start, start + 1, ... of int32.
template <class V>
TUSK_INLINE V ramp(std::int32_t start = 0) {
  if constexpr (shape<V>::is_twice) {
    return {ramp<decltype(V::lo)>(start), ramp<decltype(V::hi)>(start + lanes<V> / 2)};
  } else if constexpr (shape<V>::is_scalar) {
    return start;
  } else {
    constexpr std::int32_t count[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return load<V>(count) + splat<V>(start);
  }
}

/// lane < n ? a : b
template <class V>
TUSK_INLINE V first(std::int64_t n, V a, same<V> b) {
  constexpr int half = lanes<V> / 2;
  if constexpr (shape<V>::is_twice) {
    return {first(n, a.lo, b.lo), first(n - half, a.hi, b.hi)};
  } else if constexpr (shape<V>::is_scalar) {
    return n > 0 ? a : b;
  } else {
    const auto count = static_cast<std::int32_t>(max(std::int64_t{0}, min(n, lanes<V>)));
    using I = lanes_of<V, std::int32_t>;
    return select(ramp<I>() < splat<I>(count), a, b);
  }
}

/// Halves are combined until one lane is left: lane l with l + L/2, then with l + L/4, ...
template <class V, class F>
TUSK_INLINE element_t<V> tree(F f, V v) {
  if constexpr (shape<V>::is_twice) {
    return tree(f, f(v.lo, v.hi));
  } else if constexpr (shape<V>::is_scalar) {
    return v;
  } else if constexpr (lanes<V> == 4) {
    return f(f(v[0], v[2]), f(v[1], v[3]));
  } else {
    return tree(f, bits_of<twice<typename vector<element_t<V>, lanes<V> / 2>::type>>(v));
  }
}
template <class V>
TUSK_INLINE element_t<V> tree_add(V v) {
  const auto both = [](auto a, auto b) {
    if constexpr (std::is_floating_point_v<element_t<V>>) {
      return a + b;
    } else {
      return add(a, b);
    }
  };
  return tree(both, v);
}
template <class V>
TUSK_INLINE element_t<V> tree_mul(V v) {
  const auto both = [](auto a, auto b) {
    if constexpr (std::is_floating_point_v<element_t<V>>) {
      return a * b;
    } else {
      return mul(a, b);
    }
  };
  return tree(both, v);
}
template <class V>
TUSK_INLINE element_t<V> tree_max(V v) {
  return tree([](auto a, auto b) { return max(a, b); }, v);
}
template <class V>
TUSK_INLINE element_t<V> tree_min(V v) {
  return tree([](auto a, auto b) { return min(a, b); }, v);
}
template <class V>
TUSK_INLINE element_t<V> tree_and(V v) {
  return tree([](auto a, auto b) { return bit_and(a, b); }, v);
}
template <class V>
TUSK_INLINE element_t<V> tree_or(V v) {
  return tree([](auto a, auto b) { return bit_or(a, b); }, v);
}

}  // namespace v1
}  // namespace tusk

#endif  // TUSK_RUNTIME_V1
