/* How skipgrid.c reaches its core in a LiteX SoC, by the DMAs there. For one C file that includes it:
   static struct skipgrid core = {.bus = &skipgrid_litex};
   What is sent, and the room for what is received, lies in memory that the DMAs can reach, at multiples of 4, and shares no line of a data
   cache with what others write meanwhile. */
#ifndef SKIPGRID_LITEX_H
#define SKIPGRID_LITEX_H

#include <generated/csr.h>
#include <generated/mem.h>
#include <system.h>

#include "skipgrid.h"

static uint32_t skipgrid_litex_read(void *context, uint32_t address) {
  (void)context;
  return csr_read_simple(SKIPGRID_BASE + address);
}

static void skipgrid_litex_write(void *context, uint32_t address, uint32_t value) {
  (void)context;
  csr_write_simple(value, SKIPGRID_BASE + address);
}

/* Words of a packet that have left memory; all of them only when the core has taken the last one. */
static uint32_t skipgrid_litex_sent(uint32_t done, uint32_t offset, uint32_t count) {
  return done ? count : offset < count ? offset : count - 1;
}

static int skipgrid_litex_move(void *context, struct skipgrid_transfer *transfer) {
  (void)context;
  if (!transfer->started) {
    flush_cpu_dcache(); /* DMAs read and write memory */
    if (transfer->port == SKIPGRID_PORT_LOAD) {
      skipgrid_load_base_write((uintptr_t)transfer->in);
      skipgrid_load_length_write(4 * transfer->in_count);
      skipgrid_load_enable_write(1);
    } else {
      skipgrid_output_base_write((uintptr_t)transfer->out);
      skipgrid_output_length_write(4 * transfer->out_room);
      skipgrid_output_enable_write(1);
      skipgrid_input_base_write((uintptr_t)transfer->in);
      skipgrid_input_length_write(4 * transfer->in_count);
      skipgrid_input_enable_write(1);
    }
  }
  if (transfer->port == SKIPGRID_PORT_LOAD) {
    uint32_t done = skipgrid_load_status_read();
    transfer->in_moved = skipgrid_litex_sent(done, skipgrid_load_offset_read(), transfer->in_count);
  } else {
    uint32_t done = skipgrid_input_status_read(), status = skipgrid_output_status_read();
    if (transfer->in_count) transfer->in_moved = skipgrid_litex_sent(done, skipgrid_input_offset_read(), transfer->in_count);
    transfer->out_moved = skipgrid_output_offset_read();
    if (status & 1u << CSR_SKIPGRID_OUTPUT_STATUS_OVERFLOW_OFFSET) transfer->out_moved++; /* how many more there were is not counted */
    transfer->out_ended = status >> CSR_SKIPGRID_OUTPUT_STATUS_DONE_OFFSET & 1;
    transfer->out_cut = status >> CSR_SKIPGRID_OUTPUT_STATUS_CUT_OFFSET & 1;
    if (transfer->out_ended) flush_cpu_dcache(); /* what it has of the room is old */
  }
  return 0; /* LiteX's DMAs tell of no errors of the bus */
}

static void skipgrid_litex_cancel(void *context) {
  (void)context;
  skipgrid_load_enable_write(0);
  skipgrid_input_enable_write(0);
  skipgrid_output_enable_write(0); /* takes and drops what comes */
}

static const struct skipgrid_bus skipgrid_litex = {
  .read = skipgrid_litex_read,
  .write = skipgrid_litex_write,
  .move = skipgrid_litex_move,
  .cancel = skipgrid_litex_cancel,
};

#endif
