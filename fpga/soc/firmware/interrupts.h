/* Interrupts of PicoRV32, in the system that has them. They are levels, so a handler masks those that it does not end. */
#pragma once
#include "soc_bus.h"

extern volatile uint32_t soc_interrupted; /* one has come */

/* Where a core is named, the handler goes on with its run, and says how far that is; otherwise it wakes up `wait`, and no more. */
extern struct skipgrid *volatile soc_handles;
extern volatile enum skipgrid_error soc_handled;

/* Interrupts whose bit is 1 do not come from here on. */
static inline void soc_mask(uint32_t lines) {
  uint32_t before;
  __asm__ volatile(".insn r 0x0b, 0, 3, %0, %1, x0" : "=r"(before) : "r"(lines) : "memory"); /* maskirq */
}
