/* What a Cortex-M does before newlib's start: the floating-point unit is switched on. */
#include <stdint.h>

extern void _start(void);
extern void _exit(int code);

static void reset(void) {
  *(volatile uint32_t*)0xE000ED88 |= 0xFU << 20; /* CPACR */
  __asm volatile("dsb\n isb");
  _start();
}

static void fault(void) { _exit(2); }

/* The stack pointer (newlib asks the host for another one), then reset, NMI, hard fault, memory, bus and usage faults.
 */
__attribute__((section(".vectors"), used)) static void (*const vectors[])(void) = {
    (void (*)(void))0x20100000, reset, fault, fault, fault, fault, fault};
