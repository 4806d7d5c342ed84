/* What this system brings for the driver, in bus_pio.c or bus_dma.c, and what its CPU does meanwhile. */
#pragma once
#include "skipgrid.h"
#include "soc.h"

extern const struct skipgrid_bus soc_bus;

/* Cycles of the CPU in `move`, and pieces of other work that it has done in `wait`, since somebody set them to 0. */
extern uint32_t soc_moving, soc_work;

/* A piece of other work: what a program would do with the time. How many cycles 1,024 of them take; 0 where `wait` does none. */
void soc_work_once(void);
uint32_t soc_work_cycles(void);

/* The handler, which start.S calls; a bit of `lines` for each interrupt that waits. */
void interrupted(uint32_t lines);

static inline uint32_t soc_load(uint32_t address) { return *(const volatile uint32_t *)address; }

static inline void soc_store(uint32_t address, uint32_t value) { *(volatile uint32_t *)address = value; }

static inline uint32_t soc_cycles(void) {
  uint32_t cycles;
  __asm__ volatile("rdcycle %0" : "=r"(cycles));
  return cycles;
}

/* Nothing that was written before waits in the compiler, and nothing is read ahead: somebody else uses the memory. Where the CPU has a
   cache, here it is written back and emptied. */
static inline void soc_fence(void) { __asm__ volatile("" ::: "memory"); }
