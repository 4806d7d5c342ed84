/* The driver's bus in the system with a DMA: the CPU starts its channels, and is free until they, or the core, interrupt. */
#include "interrupts.h"

enum { PIECES = 256 }; /* of other work, in which a step of the driver's patience passes */

#define ENDS (SOC_DMA_STATUS_SENT | SOC_DMA_STATUS_RECEIVED | FAILURES)
#define FAILURES (SOC_DMA_STATUS_SEND_FAILED | SOC_DMA_STATUS_RECEIVE_FAILED)
#define UNDER_WAY (SOC_DMA_STATUS_SENDING | SOC_DMA_STATUS_RECEIVING)

uint32_t soc_moving, soc_work;
volatile uint32_t soc_interrupted;
struct skipgrid *volatile soc_handles;
volatile enum skipgrid_error soc_handled;

static uint32_t dropped; /* words of packets before, where what comes is dropped */

static uint32_t read(void *context, uint32_t address) {
  (void)context;
  return soc_load(SOC_ACCELERATOR + address);
}

static void write(void *context, uint32_t address, uint32_t value) {
  (void)context;
  soc_store(SOC_ACCELERATOR + address, value);
}

static void cancel(void *context) {
  (void)context;
  soc_store(SOC_DMA_CONTROL, SOC_DMA_CONTROL_CANCEL);
  while (soc_load(SOC_DMA_STATUS) & UNDER_WAY) continue; /* the bursts that have begun */
  soc_store(SOC_DMA_CONTROL, SOC_DMA_CONTROL_CLEAR);
  soc_fence();
}

static void start(const struct skipgrid_transfer *transfer) {
  uint32_t control = SOC_DMA_CONTROL_CLEAR; /* what was before */
  dropped = 0;
  soc_fence();
  if (transfer->in_count) {
    soc_store(SOC_DMA_SEND_ADDRESS, (uint32_t)transfer->in);
    soc_store(SOC_DMA_SEND_WORDS, transfer->in_count);
    soc_store(SOC_DMA_SEND_PORT, transfer->port == SKIPGRID_PORT_INPUT ? SOC_DMA_SEND_PORT_INPUT : 0);
    control |= SOC_DMA_CONTROL_SEND;
  }
  if (transfer->port == SKIPGRID_PORT_INPUT) { /* nothing comes while packets are loaded */
    soc_store(SOC_DMA_RECEIVE_ADDRESS, (uint32_t)transfer->out);
    soc_store(SOC_DMA_RECEIVE_ROOM, transfer->out_room);
    control |= SOC_DMA_CONTROL_RECEIVE;
  }
  soc_store(SOC_DMA_CONTROL, control);
}

static int move(void *context, struct skipgrid_transfer *transfer) {
  const uint32_t begin = soc_cycles();
  uint32_t status;
  if (!transfer->started) {
    if (soc_load(SOC_DMA_STATUS) & UNDER_WAY) cancel(context); /* a receiver of before to which nothing came */
    start(transfer);
  }
  status = soc_load(SOC_DMA_STATUS);
  if (transfer->in_count) transfer->in_moved = soc_load(SOC_DMA_SEND_MOVED);
  if (transfer->in_moved == transfer->in_count) status |= SOC_DMA_STATUS_SENT; /* if not a moment ago, then now */
  if (transfer->port == SKIPGRID_PORT_INPUT) transfer->out_moved = dropped + soc_load(SOC_DMA_RECEIVE_MOVED);
  if (status & SOC_DMA_STATUS_RECEIVED) {
    transfer->out_ended = 1;
    transfer->out_cut = (status & SOC_DMA_STATUS_CUT) != 0;
    if (!transfer->out_room) { /* whatever comes is dropped: the next packet, too */
      dropped = transfer->out_moved;
      soc_store(SOC_DMA_CONTROL, SOC_DMA_CONTROL_RECEIVE);
      status &= ~SOC_DMA_STATUS_RECEIVED;
    }
  }
  soc_store(SOC_DMA_INTERRUPT_ENABLE, ENDS & ~status); /* what is known already need not interrupt */
  soc_fence();
  soc_moving += soc_cycles() - begin;
  return (status & FAILURES) != 0;
}

/* Does other work until an interrupt comes, and returns how many pieces. */
static uint32_t work(uint32_t most) {
  uint32_t pieces;
  for (pieces = 0; pieces < most && !soc_interrupted; pieces++) soc_work_once();
  return pieces;
}

uint32_t soc_work_cycles(void) {
  const uint32_t begin = soc_cycles();
  soc_interrupted = 0;
  work(1024);
  return soc_cycles() - begin;
}

static void wait(void *context) {
  (void)context;
  soc_interrupted = 0;
  soc_mask(~(SOC_ACCELERATOR_IRQ | SOC_DMA_IRQ)); /* one that waits comes now */
  soc_work += work(PIECES);
  soc_mask(~0u);
}

void interrupted(uint32_t lines) {
  (void)lines;
  soc_interrupted = 1;
  if (!soc_handles) {
    soc_mask(~0u); /* until `wait` is called again */
    return;
  }
  soc_handled = skipgrid_interrupt(soc_handles);
  if (soc_handled == SKIPGRID_UNEXPECTED_INTERRUPT) soc_store(SOC_DMA_INTERRUPT_ENABLE, 0);
}

const struct skipgrid_bus soc_bus = {read, write, move, cancel, wait, NULL};

__attribute__((noinline)) void soc_work_once(void) { /* four random numbers */
  static uint32_t number = 1;
  uint32_t count;
  for (count = 0; count < 4; count++) {
    number ^= number << 13;
    number ^= number >> 17;
    number ^= number << 5;
  }
}
