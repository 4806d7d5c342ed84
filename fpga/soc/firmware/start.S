# The first instructions, at address 0, and the interrupt handler, at 0x10. Interrupts are PicoRV32's own, with instructions of its own.

#include "soc.h"

  .section .text.start, "ax"
  .global start
start:
  j begin

  .org 0x10
interrupt:
  addi sp, sp, -64
  sw ra, 0(sp)
  sw t0, 4(sp)
  sw t1, 8(sp)
  sw t2, 12(sp)
  sw a0, 16(sp)
  sw a1, 20(sp)
  sw a2, 24(sp)
  sw a3, 28(sp)
  sw a4, 32(sp)
  sw a5, 36(sp)
  sw a6, 40(sp)
  sw a7, 44(sp)
  sw t3, 48(sp)
  sw t4, 52(sp)
  sw t5, 56(sp)
  sw t6, 60(sp)
  .insn r 0x0b, 0, 0, a0, ra, x0  # getq a0, q1: the interrupts that wait, a bit each
  call interrupted
  lw ra, 0(sp)
  lw t0, 4(sp)
  lw t1, 8(sp)
  lw t2, 12(sp)
  lw a0, 16(sp)
  lw a1, 20(sp)
  lw a2, 24(sp)
  lw a3, 28(sp)
  lw a4, 32(sp)
  lw a5, 36(sp)
  lw a6, 40(sp)
  lw a7, 44(sp)
  lw t3, 48(sp)
  lw t4, 52(sp)
  lw t5, 56(sp)
  lw t6, 60(sp)
  addi sp, sp, 64
  .insn r 0x0b, 0, 2, x0, x0, x0  # retirq

begin:
  li sp, SOC_RAM_BYTES
  la t0, bss
  la t1, bss_end
1:
  bgeu t0, t1, 2f
  sw zero, 0(t0)
  addi t0, t0, 4
  j 1b
2:
  call main
  li t0, SOC_CONSOLE_EXIT
  sw a0, 0(t0)
3:
  j 3b
