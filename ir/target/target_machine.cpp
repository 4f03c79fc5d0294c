#include "ir/target/target_machine.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace tusk {
namespace {

constexpr TargetMachine with_threads(TargetMachine machine) {
  machine.fork = 9'000;  // 3 us
  return machine;
}

constexpr std::string_view kAvx512 = "-mavx512f -mavx512vl -mavx512bw -mavx512dq -mfma";

// Sources: the vendors' optimisation manuals. Of znver4 measured: one multiply-add a cycle and 118.2 GFLOP/s, so its
// clock; reads behind the first cache (bench/bandwidth.c).
constexpr std::array kTargets = {
    TargetMachine{"generic", "", ""},  // plain loops
    with_threads({.name = "znver4",
                  .condition = "TUSK_LANES >= 16",  // AMD Zen 4: AVX-512 in halves
                  .flags = kAvx512,
                  .lanes = 16,
                  .registers = 32,
                  .fmas = 1,
                  .loads = 1,
                  .latency = 4,
                  .l2 = 1 << 20,
                  .l3 = 32 << 20,
                  .bandwidth = {.l2 = 32, .l3 = 27, .dram = 5},
                  .ghz = 3.7}),
    with_threads({"skylake-avx512", "TUSK_LANES >= 16", kAvx512, 16, 32, 2, 2, 4, 1 << 20}),  // servers of Intel
    with_threads({"haswell", "TUSK_LANES >= 8", "-mavx2 -mfma", 8, 16, 2, 2, 5,
                  256 << 10}),  // AVX2 and FMA: Intel since 2013, AMD since 2017
    with_threads({"armv8-a", "defined(TUSK_NEON)", "", 4, 32, 2, 2, 4, 512 << 10}),     // 64-bit Arm with NEON
    TargetMachine{"riscv64", "defined(__riscv)", "", 1, 28, 1, 1, 5, 0},                // 64-bit RISC-V, no vectors
    TargetMachine{"wasm", "defined(__wasm_simd128__)", "", 4, 16, 1, 1, 4, 256 << 10},  // WebAssembly with simd128
    TargetMachine{"cortex-m7", "defined(__ARM_ARCH_7EM__)", "", 1, 28, 1, 1, 3, 0},     // single precision, no vectors
    TargetMachine{"cortex-m4", "defined(__ARM_ARCH_7EM__)", "", 1, 28, 1, 0.5, 3, 0},   // single precision, no vectors
};

std::string_view native_name() {
#if defined(__x86_64__) && defined(__GNUC__)
  if (__builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512vl") != 0)
    return __builtin_cpu_is("intel") != 0 ? "skylake-avx512" : "znver4";
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) return "haswell";
#elif defined(__aarch64__)
  return "armv8-a";
#endif
  return "generic";
}

}  // namespace

std::span<const TargetMachine> targets() { return kTargets; }

const TargetMachine& generic_target() { return kTargets[0]; }

Expected<const TargetMachine*> target_named(std::string_view name) {
  const std::string_view wanted = name == "native" ? native_name() : name;
  const auto it = std::ranges::find(kTargets, wanted, &TargetMachine::name);
  if (it != kTargets.end()) return &*it;
  std::string names = "native";
  for (const TargetMachine& target : kTargets) names += fmt::format(", {}", target.name);
  return error("target-name", fmt::format("there is no target `{}`; there are {}", name, names));
}

}  // namespace tusk
