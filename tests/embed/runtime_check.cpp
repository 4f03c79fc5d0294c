// Runs every function of tusk_runtime.hpp on special and random operands: compares vectors with scalars, and prints a
// hash of the bits of each group. The lines must be equal for all compilers, flags and machines (check_runtime.sh). The
// argument is log2 of the number of random operands.
#if defined(__clang__)
#pragma clang fp contract(off)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

#include "tusk_runtime.hpp"

#include <cstdio>
#include <cstdlib>
#include <initializer_list>

namespace {

int faults = 0;

struct Random {
  std::uint64_t state = 0x9e3779b97f4a7c15U;
  std::uint64_t next() {  // splitmix64
    std::uint64_t z = state += 0x9e3779b97f4a7c15U;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
  }
};

struct Hash {
  std::uint64_t value = 0xcbf29ce484222325U;
  void add(std::uint64_t x) {
    value = (value ^ x) * 0x9e3779b97f4a7c15U;
    value ^= value >> 32;
  }
  void add(float x) { add(x != x ? std::uint64_t{0x7fc00000} : tusk::bits_of<std::uint32_t>(x)); }
  void add(double x) { add(x != x ? std::uint64_t{0x7ff8} << 48 : tusk::bits_of<std::uint64_t>(x)); }
  void add(std::int32_t x) { add(static_cast<std::uint64_t>(static_cast<std::uint32_t>(x))); }
  void add(std::uint32_t x) { add(static_cast<std::uint64_t>(x)); }
  void add(std::int64_t x) { add(static_cast<std::uint64_t>(x)); }
  void add(bool x) { add(std::uint64_t{x}); }
};

bool same(float a, float b) {
  return (a != a && b != b) || tusk::bits_of<std::uint32_t>(a) == tusk::bits_of<std::uint32_t>(b);
}
bool same(std::int32_t a, std::int32_t b) { return a == b; }
bool same(std::uint32_t a, std::uint32_t b) { return a == b; }

// A float of a random kind: any bits, few mantissa bits (halfway cases), near 1, denormal, special.
float random_float(Random& random) {
  const std::uint64_t r = random.next();
  const auto bits = static_cast<std::uint32_t>(r);
  constexpr float special[] = {0.0F,
                               -0.0F,
                               1.0F,
                               -1.0F,
                               0.5F,
                               1.5F,
                               2.5F,
                               8388607.5F,
                               8388608.0F,
                               16777216.0F,
                               2147483648.0F,
                               -2147483648.0F,
                               4294967296.0F,
                               1e-45F,
                               -1e-45F,
                               1.17549435e-38F,
                               3.4028234e38F,
                               -3.4028234e38F,
                               tusk::infinity<float>,
                               -tusk::infinity<float>,
                               tusk::nan<float>,
                               65504.0F,
                               65520.0F,
                               5.9604645e-8F};
  switch (r >> 32 & 7U) {
    case 0:
      return special[(r >> 40) % (sizeof special / sizeof *special)];
    case 1:
      return tusk::bits_of<float>(bits & 0x80ffffffU);  // denormals and the least normals
    case 2:
      return tusk::bits_of<float>(bits & 0xfff80000U);  // few bits
    case 3:
      return tusk::bits_of<float>((bits & 0x80ffffffU) + 0x3f000000U);
    case 4:
      return static_cast<float>(static_cast<std::int32_t>(bits) >> (r >> 40 & 31U)) * 0.5F;
    default:
      return tusk::bits_of<float>(bits);
  }
}

double random_double(Random& random) {
  const std::uint64_t r = random.next();
  const std::uint64_t bits = random.next();
  switch (r & 7U) {
    case 0:
      return static_cast<double>(random_float(random));
    case 1:
      return tusk::bits_of<double>(bits & 0x803fffffffffffffU);  // denormals
    case 2:
      return tusk::bits_of<double>(bits & 0xfffffff000000000U);
    case 3:
      return tusk::bits_of<double>((bits & 0x803fffffffffffffU) + 0x3fe0000000000000U);
    case 4:
      return tusk::bits_of<double>((bits & 0x80ffffffffffffffU) + 0x1ff0000000000000U);  // products near 2^-1022
    case 5:
      return tusk::bits_of<double>((bits & 0x80ffffffffffffffU) + 0x5ff0000000000000U);
    default:
      return tusk::bits_of<double>(bits);
  }
}

// An addend for a * b: related to the product, so that cancellation, halfway cases and rounding at the sticky bit
// happen.
template <class T>
T related(T product, Random& random, T other) {
  const std::uint64_t r = random.next();
  if ((r & 3U) == 0) return other;
  // The sign of a NaN that a product makes is the machine's.
  const auto bits = tusk::words(product != product ? tusk::nan<T> : product);
  using W = decltype(bits);
  const W ulps = static_cast<W>(r >> 8 & 7U);
  const W exponent = static_cast<W>(r >> 16 & 63U) << (std::numeric_limits<T>::digits - 1);
  const T near = tusk::bits_of<T>(static_cast<W>((r & 4U) != 0 ? bits + ulps : bits - exponent));
  return (r & 8U) != 0 ? -near : near;
}

template <class V, class F>
void compare(const char* what, V v, const F& scalar) {
  constexpr int n = tusk::lanes<V>;
  tusk::element_t<V> lanes[n];
  tusk::store(lanes, v);
  for (int i = 0; i < n; ++i) {
    if (same(lanes[i], scalar(i))) continue;
    if (++faults < 10) std::printf("FAULT %s: lane %d of %d\n", what, i, n);
    return;
  }
}

template <int N>
void vectors(const float* a, const float* b, const float* c, const std::int32_t* i, const std::int32_t* j) {
  using F = typename tusk::vector<float, N>::type;
  using I = typename tusk::vector<std::int32_t, N>::type;
  using U = typename tusk::vector<std::uint32_t, N>::type;
  const F x = tusk::load<F>(a);
  const F y = tusk::load<F>(b);
  const F z = tusk::load<F>(c);
  const I s = tusk::load<I>(i);
  const I t = tusk::load<I>(j);
  const U u = tusk::as_u32(s);
  const U w = tusk::as_u32(t);
  const auto un = [](std::int32_t k) { return static_cast<std::uint32_t>(k); };
#define CHECK(expression, scalar) compare(#expression, expression, [&]([[maybe_unused]] int k) { return scalar; })
  CHECK(x + y, a[k] + b[k]);
  CHECK(x - y, a[k] - b[k]);
  CHECK(x * y, a[k] * b[k]);
  CHECK(x / y, a[k] / b[k]);
  CHECK(-x, -a[k]);
  CHECK(tusk::fma(x, y, z), tusk::fma(a[k], b[k], c[k]));
  CHECK(tusk::sqrt(x), tusk::sqrt(a[k]));
  CHECK(tusk::abs(x), tusk::abs(a[k]));
  CHECK(tusk::max(x, y), tusk::max(a[k], b[k]));
  CHECK(tusk::min(x, y), tusk::min(a[k], b[k]));
  CHECK(tusk::floor(x), tusk::floor(a[k]));
  CHECK(tusk::ceil(x), tusk::ceil(a[k]));
  CHECK(tusk::trunc(x), tusk::trunc(a[k]));
  CHECK(tusk::rint(x), tusk::rint(a[k]));
  CHECK(tusk::select(x < y, x, z), (a[k] < b[k] ? a[k] : c[k]));
  CHECK(tusk::select(x <= y, x, z), (a[k] <= b[k] ? a[k] : c[k]));
  CHECK(tusk::select(x == y, x, z), (a[k] == b[k] ? a[k] : c[k]));
  CHECK(tusk::select(x != y, x, z), (a[k] != b[k] ? a[k] : c[k]));
  CHECK(tusk::select(tusk::mask_not(tusk::bit_and(x > y, s >= t)), x, z),
        (!(a[k] > b[k] && i[k] >= j[k]) ? a[k] : c[k]));
  CHECK(tusk::select(tusk::bit_xor(x > y, u >= w), s, t), ((a[k] > b[k]) != (un(i[k]) >= un(j[k])) ? i[k] : j[k]));
  CHECK(tusk::from_mask<I>(x < y), (a[k] < b[k] ? 1 : 0));
  CHECK(tusk::select(tusk::to_mask(s), x, z), (i[k] != 0 ? a[k] : c[k]));
  CHECK(tusk::select(tusk::splat<decltype(x < y)>(true), x, z), a[k]);
  CHECK(tusk::splat<F>(a[3]), a[3]);
  CHECK(tusk::splat<U>(un(i[3])), un(i[3]));
  CHECK(tusk::add(s, t), tusk::add(i[k], j[k]));
  CHECK(tusk::sub(s, t), tusk::sub(i[k], j[k]));
  CHECK(tusk::mul(s, t), tusk::mul(i[k], j[k]));
  CHECK(tusk::div(s, t), tusk::div(i[k], j[k]));
  CHECK(tusk::rem(u, w), tusk::rem(un(i[k]), un(j[k])));
  CHECK(tusk::fma(s, t, s), tusk::fma(i[k], j[k], i[k]));
  CHECK(tusk::mulhi(s, t), tusk::mulhi(i[k], j[k]));
  CHECK(tusk::mulhi(u, w), tusk::mulhi(un(i[k]), un(j[k])));
  CHECK(tusk::neg(s), tusk::neg(i[k]));
  CHECK(tusk::abs(s), tusk::abs(i[k]));
  CHECK(tusk::max(s, t), tusk::max(i[k], j[k]));
  CHECK(tusk::min(u, w), tusk::min(un(i[k]), un(j[k])));
  CHECK(u + w, un(i[k]) + un(j[k]));
  CHECK(u * w, un(i[k]) * un(j[k]));
  CHECK(tusk::bit_and(s, t), (i[k] & j[k]));
  CHECK(tusk::bit_or(s, t), (i[k] | j[k]));
  CHECK(tusk::bit_xor(u, w), (un(i[k]) ^ un(j[k])));
  CHECK(tusk::shl(s, t), tusk::shl(i[k], j[k]));
  CHECK(tusk::shr(s, t), tusk::shr(i[k], j[k]));
  CHECK(tusk::shr(u, t), tusk::shr(un(i[k]), j[k]));
  CHECK(tusk::as_f32(s), tusk::as_f32(i[k]));
  CHECK(tusk::as_i32(x), tusk::as_i32(a[k]));
  CHECK(tusk::convert<I>(x), tusk::saturate<std::int32_t>(a[k]));
  CHECK(tusk::convert<U>(x), tusk::saturate<std::uint32_t>(a[k]));
  CHECK(tusk::convert<F>(s), static_cast<float>(i[k]));
  CHECK(tusk::convert<F>(u), static_cast<float>(un(i[k])));
  CHECK(tusk::round_f16(x), tusk::round_f16(a[k]));
  CHECK(tusk::round_bf16(x), tusk::round_bf16(a[k]));
  CHECK(tusk::wrap_i8(x), tusk::wrap_i8(a[k]));
  CHECK(tusk::wrap_u8(s), tusk::wrap_u8(i[k]));
  CHECK(tusk::ramp<I>(), k);
  for (const std::int64_t count : {-1, 0, 1, N / 2, N - 1, N, N + 5}) {
    CHECK(tusk::first(count, x, y), (k < count ? a[k] : b[k]));
    CHECK(tusk::load_first<F>(a, count, 7.0F), (k < count ? a[k] : 7.0F));
    float out[N + 1];
    for (float& f : out) f = 5.0F;
    tusk::store_first(out, x, count);
    CHECK(tusk::load<F>(out), (k < count ? a[k] : 5.0F));
    if (out[N] != 5.0F) ++faults;
    for (float& f : out) f = 5.0F;
    tusk::store_masked(out, x, tusk::ramp<I>() < tusk::splat<I>(static_cast<std::int32_t>(count)));
    CHECK(tusk::load<F>(out), (k < count ? a[k] : 5.0F));
    CHECK(tusk::load_masked<F>(a, tusk::ramp<I>() < tusk::splat<I>(static_cast<std::int32_t>(count)), 7.0F),
          (k < count ? a[k] : 7.0F));
  }
  float part[N + 1] = {};
  tusk::store_first<N - 1>(part, x);
  CHECK(tusk::load<F>(part), (k < N - 1 ? a[k] : 0.0F));
  std::uint16_t halves[N];
  std::uint8_t bytes[N];
  std::int8_t small[N];
  tusk::store<tusk::f16>(halves, x);
  CHECK((tusk::load<F, tusk::f16>(halves)), tusk::round_f16(a[k]));
  tusk::store<tusk::bf16>(halves, x);
  CHECK((tusk::load<F, tusk::bf16>(halves)), tusk::round_bf16(a[k]));
  CHECK((tusk::load_first<F, tusk::bf16>(halves, 1, 3.0F)), (k < 1 ? tusk::round_bf16(a[k]) : 3.0F));
  tusk::store<tusk::i8>(small, s);
  CHECK((tusk::load<I, tusk::i8>(small)), tusk::wrap_i8(i[k]));
  tusk::store<tusk::u8>(bytes, s);
  CHECK((tusk::load<I, tusk::u8>(bytes)), tusk::wrap_u8(i[k]));
  using M = decltype(x < y);
  tusk::store<tusk::bit>(bytes, M(x < y));
  CHECK(tusk::select(tusk::load<M, tusk::bit>(bytes), x, z), (a[k] < b[k] ? a[k] : c[k]));
  // Trees, by hand.
  float sums[N];
  float most[N];
  std::int32_t whole[N];
  bool all = true;
  for (int k = 0; k < N; ++k) {
    sums[k] = most[k] = a[k];
    whole[k] = i[k];
    all = all && a[k] <= b[k];
  }
  for (int half = N / 2; half > 0; half /= 2) {
    for (int k = 0; k < half; ++k) {
      sums[k] = sums[k] + sums[k + half];
      most[k] = most[k] > most[k + half] ? most[k] : most[k + half];
      whole[k] = tusk::add(whole[k], whole[k + half]);
    }
  }
  const bool any = tusk::tree_or(x == x);
  if (!same(tusk::tree_add(x), sums[0]) || !same(tusk::tree_max(x), most[0]) || tusk::tree_add(s) != whole[0] ||
      all != static_cast<bool>(tusk::tree_and(x <= y)) || any != !same(a[0], tusk::nan<float>)) {
    // `any` is only a plausibility test: it may also hold by another lane.
    if (!same(a[0], tusk::nan<float>) && ++faults < 10) std::printf("FAULT tree of %d\n", N);
  }
#undef CHECK
}

}  // namespace

int main(int count, char** arguments) {
  const int log2_count = count > 1 ? std::atoi(arguments[1]) : 18;
  const std::int64_t rounds = std::int64_t{1} << log2_count;
  Random random;
  Hash fma32, fma64, roots, whole, integers, conversions, memory;
  for (std::int64_t round = 0; round < rounds; ++round) {
    const float a = random_float(random);
    const float b = random_float(random);
    const float c = related(a * b, random, random_float(random));
    fma32.add(tusk::fma(a, b, c));
    const double p = random_double(random);
    const double q = random_double(random);
    const double r = related(p * q, random, random_double(random));
    fma64.add(tusk::fma(p, q, r));
    if (round % 4 != 0) continue;
    roots.add(tusk::sqrt(a));
    roots.add(tusk::sqrt(tusk::abs(b)));
    roots.add(tusk::sqrt(tusk::abs(p)));
    if (!same(tusk::soft_sqrt(a), tusk::sqrt(a)) ||
        tusk::as_i64(tusk::soft_sqrt(tusk::abs(r))) != tusk::as_i64(tusk::sqrt(tusk::abs(r)))) {
      if (r == r && ++faults < 10) std::printf("FAULT sqrt %a %a\n", static_cast<double>(a), r);
    }
    for (const float x : {a, b, c}) {
      whole.add(tusk::floor(x));
      whole.add(tusk::ceil(x));
      whole.add(tusk::trunc(x));
      whole.add(tusk::rint(x));
      whole.add(tusk::abs(x));
      conversions.add(tusk::saturate<std::int32_t>(x));
      conversions.add(tusk::saturate<std::uint32_t>(x));
      conversions.add(tusk::saturate<std::int64_t>(x));
      conversions.add(tusk::round_f16(x));
      conversions.add(tusk::round_bf16(x));
      conversions.add(tusk::wrap_i8(x));
      conversions.add(tusk::wrap_u8(x));
    }
    for (const double x : {p, q}) {
      whole.add(tusk::floor(x));
      whole.add(tusk::ceil(x));
      whole.add(tusk::trunc(x));
      whole.add(tusk::rint(x));
      whole.add(tusk::max(x, r));
      conversions.add(tusk::saturate<std::int64_t>(x));
      conversions.add(tusk::saturate<std::int32_t>(x));
      conversions.add(static_cast<float>(x));
    }
    constexpr std::int64_t edges[] = {0, 1, -1, 2, 7, -7, INT32_MIN, INT32_MAX, INT64_MIN, INT64_MAX, 33, 64};
    const std::uint64_t bits = random.next();
    const std::int64_t i =
        (bits & 1U) != 0 ? edges[(bits >> 8) % 12] : static_cast<std::int64_t>(random.next() >> (bits & 63U));
    const std::int64_t j =
        (bits & 2U) != 0 ? edges[(bits >> 16) % 12] : static_cast<std::int64_t>(random.next() >> (bits >> 32 & 63U));
    const auto s = static_cast<std::int32_t>(i);
    const auto t = static_cast<std::int32_t>(j);
    const auto u = static_cast<std::uint32_t>(i);
    const auto w = static_cast<std::uint32_t>(j);
    for (const std::int64_t x : {tusk::add(i, j), tusk::sub(i, j), tusk::mul(i, j), tusk::div(i, j), tusk::rem(i, j),
                                 tusk::neg(i), tusk::abs(i), tusk::shl(i, j), tusk::shr(i, j), tusk::floor_div(i, j),
                                 tusk::floor_rem(i, j), tusk::min(i, j), tusk::max(i, 5), tusk::fma(i, j, 3)}) {
      integers.add(x);
    }
    for (const std::int32_t x : {tusk::add(s, t), tusk::sub(s, t), tusk::mul(s, t), tusk::div(s, t), tusk::rem(s, t),
                                 tusk::mulhi(s, t), tusk::neg(s), tusk::abs(s), tusk::shl(s, t), tusk::shr(s, w)}) {
      integers.add(x);
    }
    for (const std::uint32_t x : {tusk::div(u, w), tusk::rem(u, w), tusk::mulhi(u, w), tusk::neg(u), tusk::abs(u),
                                  tusk::shl(u, t), tusk::shr(u, w)}) {
      integers.add(x);
    }
    if (round % 64 != 0) continue;
    float x[32], y[32], z[32];
    std::int32_t m[32], n[32];
    for (int k = 0; k < 32; ++k) {
      x[k] = random_float(random);
      y[k] = random_float(random);
      z[k] = related(x[k] * y[k], random, random_float(random));
      m[k] = static_cast<std::int32_t>(random.next() >> (random.next() & 63U));
      n[k] = (bits & 4U) != 0 ? k - 16 : static_cast<std::int32_t>(edges[random.next() % 12]);
    }
    vectors<2>(x, y, z, m, n);
    vectors<4>(x, y, z, m, n);
    vectors<8>(x, y, z, m, n);
    vectors<16>(x, y, z, m, n);
    vectors<32>(x, y, z, m, n);
  }
  for (std::uint32_t h = 0; h < 65536; ++h) {
    const auto bits = static_cast<std::uint16_t>(h);
    memory.add(tusk::f16_value(bits));
    memory.add(tusk::bf16_value(bits));
    const float f = tusk::f16_value(bits);
    if (f == f && tusk::f16_bits(f) != bits && ++faults < 10) std::printf("FAULT f16 %x\n", h);
  }
  const auto line = [](const char* name, const Hash& hash) {
    std::printf("%-12s %016llx\n", name, static_cast<unsigned long long>(hash.value));
  };
  line("fma f32", fma32);
  line("fma f64", fma64);
  line("sqrt", roots);
  line("whole", whole);
  line("integers", integers);
  line("conversions", conversions);
  line("memory", memory);
  std::printf("faults %d\n", faults);
  return faults == 0 ? 0 : 1;
}
