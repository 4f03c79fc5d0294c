#include "codegen/mlir/processor.hpp"

#include <algorithm>
#include <array>

namespace tusk::mlir {
namespace {

struct Machine {
  std::string_view target, triple, cpu, tune, features, abi;
  int vector_bits = 0;
  bool fma = true, fma_f64 = true, rounding = true, wide = true;
  int index_bits = 64;
};

constexpr std::string_view kLinux = "x86_64-unknown-linux-gnu";
constexpr std::string_view kThumb = "thumbv7em-unknown-none-gnueabihf";  // GNU's calls memcpy, not __aeabi_memcpy

#if defined(__aarch64__)
constexpr Machine kGeneric{"generic", "aarch64-unknown-linux-gnu", "generic", "", "+neon", "", 128};
#else
constexpr Machine kGeneric{"generic", kLinux, "x86-64", "", "", "", 128, false, false, false};
#endif

constexpr std::array kMachines = {
    kGeneric,
    Machine{"znver4", kLinux, "x86-64-v4", "znver4", "", "", 512},
    Machine{"skylake-avx512", kLinux, "x86-64-v4", "skylake-avx512", "", "", 512},
    Machine{"haswell", kLinux, "x86-64-v3", "haswell", "", "", 256},
    Machine{"armv8-a", "aarch64-unknown-linux-gnu", "generic", "", "+neon", "", 128},
    Machine{"riscv64", "riscv64-unknown-linux-gnu", "generic-rv64", "", "+m,+a,+f,+d,+c", "lp64d", 0, true, true,
            false},
    Machine{"wasm", "wasm32-unknown-unknown", "generic", "", "+simd128", "", 128, false, false, true, true, 32},
    Machine{"cortex-m7", kThumb, "cortex-m7", "", "-fp64", "", 0, true, false, false, false, 32},
    Machine{"cortex-m4", kThumb, "cortex-m4", "", "", "", 0, true, false, false, false, 32},
};

const Machine& machine_of(const TargetMachine& target) {
  const auto it = std::ranges::find(kMachines, target.name, &Machine::target);
  return it == kMachines.end() ? kMachines.front() : *it;
}

}  // namespace

Processor processor_of(const TargetMachine& target) {
  const Machine& machine = machine_of(target);
  return {std::string(machine.triple),   std::string(machine.cpu), std::string(machine.tune),
          std::string(machine.features), std::string(machine.abi), machine.vector_bits};
}

Options options_for(const TargetMachine& target, std::string_view profile) {
  const Machine& machine = machine_of(target);
  Options out;
  out.muladd = profile == "muladd";
  out.has_fma = machine.fma;
  out.has_fma_f64 = machine.fma_f64;
  out.has_rounding = machine.rounding;
  out.has_wide = machine.wide;
  out.index_bits = machine.index_bits;
  if (target.registers > 0) out.vector_registers = target.registers;
  return out;
}

bool is_64_bit(const TargetMachine& target) { return machine_of(target).index_bits == 64; }

}  // namespace tusk::mlir
