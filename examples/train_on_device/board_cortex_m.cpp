// A Cortex-M without an operating system: the vector table, what runs before main, and text by semihosting, which a
// debugger or QEMU shows.
#include <cstdint>

#include "board.hpp"

int main();

namespace {

std::uintptr_t call_host(std::uintptr_t operation, std::uintptr_t argument) {
  register std::uintptr_t r0 asm("r0") = operation;
  register std::uintptr_t r1 asm("r1") = argument;
  asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

}  // namespace

void print(const char* text) { call_host(0x04, reinterpret_cast<std::uintptr_t>(text)); }  // SYS_WRITE0

void end(int code) {
  const std::uintptr_t report[2] = {0x20026, static_cast<std::uintptr_t>(code)};  // the application ended by itself
  call_host(0x20, reinterpret_cast<std::uintptr_t>(report));                      // SYS_EXIT_EXTENDED
  while (true) {
  }
}

// Of board.ld.
extern "C" std::uint32_t stack_top[], data_begin[], data_end[], data_in_flash[], bss_begin[], bss_end[];

extern "C" [[noreturn]] void reset() {
#if defined(__ARM_FP)
  *reinterpret_cast<volatile std::uint32_t*>(0xE000ED88) |= 0xFU << 20;  // CPACR: the floating-point unit is on
  asm volatile("dsb\n isb");
#endif
  for (std::uint32_t *to = data_begin, *from = data_in_flash; to != data_end;) *to++ = *from++;
  for (std::uint32_t* to = bss_begin; to != bss_end;) *to++ = 0;
  end(main());
}

extern "C" [[noreturn]] void fault() {
  print("fault\n");
  end(2);
}

// The stack pointer, then reset, NMI, hard fault, memory, bus and usage faults.
extern "C" {
[[gnu::section(".vectors"), gnu::used]] void* const vectors[] = {
    stack_top,
    reinterpret_cast<void*>(reset),
    reinterpret_cast<void*>(fault),
    reinterpret_cast<void*>(fault),
    reinterpret_cast<void*>(fault),
    reinterpret_cast<void*>(fault),
    reinterpret_cast<void*>(fault),
};
}
