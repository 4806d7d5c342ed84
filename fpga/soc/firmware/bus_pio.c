/* The driver's bus in the system without a DMA: the CPU moves each word itself, and looks before whether it can. */
#include "soc_bus.h"

enum { MOST = 256 }; /* words of one call */

uint32_t soc_moving, soc_work;

static uint32_t held; /* 1: a word was written, and had not been taken when STATUS was read last */

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
  soc_store(SOC_STREAM_PORT_CANCEL, 0);
  held = 0;
}

/* Whether the bus answers with an error at one of the ends of some words: then none of them is sent, or taken. */
static int outside(const uint32_t *words, uint32_t count) {
  const uint32_t before = soc_load(SOC_CONSOLE_FAILURES);
  if (!count) return 0;
  soc_load((uint32_t)words);
  soc_load((uint32_t)(words + count - 1));
  return soc_load(SOC_CONSOLE_FAILURES) != before;
}

/* Writes words while there is room. One that was written is sent when it has been taken. */
static void send(struct skipgrid_transfer *transfer) {
  const uint32_t to_load = transfer->port == SKIPGRID_PORT_LOAD, last = transfer->in_count - 1;
  const uint32_t room = to_load ? SOC_STREAM_PORT_STATUS_LOAD_ROOM : SOC_STREAM_PORT_STATUS_INPUT_ROOM;
  const uint32_t port = to_load ? SOC_STREAM_PORT_LOAD : SOC_STREAM_PORT_INPUT;
  const uint32_t port_last = to_load ? SOC_STREAM_PORT_LOAD_LAST : SOC_STREAM_PORT_INPUT_LAST;
  uint32_t written = transfer->in_moved + held;
  if (written < transfer->in_count) {
    const uint32_t *word = transfer->in + written, *end = transfer->in + last;
    if (end > word + MOST) end = word + MOST;
    while (word < end && soc_load(SOC_STREAM_PORT_STATUS) & room) soc_store(port, *word++);
    written = (uint32_t)(word - transfer->in);
    if (written == last && soc_load(SOC_STREAM_PORT_STATUS) & room) {
      soc_store(port_last, *word);
      written++;
    }
  }
  held = written && !(soc_load(SOC_STREAM_PORT_STATUS) & room);
  transfer->in_moved = written - held;
}

/* Takes the words that wait. */
static void take(struct skipgrid_transfer *transfer) {
  uint32_t taken;
  for (taken = 0; taken < MOST && !(transfer->out_ended && transfer->out_room); taken++) {
    const uint32_t status = soc_load(SOC_STREAM_PORT_STATUS);
    uint32_t word;
    if (!(status & SOC_STREAM_PORT_STATUS_OUTPUT_WAITS)) return;
    word = soc_load(SOC_STREAM_PORT_OUTPUT);
    if (transfer->out_moved < transfer->out_room) transfer->out[transfer->out_moved] = word;
    transfer->out_moved++;
    transfer->out_ended = (status & SOC_STREAM_PORT_STATUS_OUTPUT_LAST) != 0;
    transfer->out_cut = (status & SOC_STREAM_PORT_STATUS_OUTPUT_CUT) != 0;
  }
}

static int move(void *context, struct skipgrid_transfer *transfer) {
  const uint32_t begin = soc_cycles();
  if (!transfer->started) {
    cancel(context);
    if (outside(transfer->in, transfer->in_count) || outside(transfer->out, transfer->out_room)) return 1;
  }
  send(transfer);
  if (transfer->port == SKIPGRID_PORT_INPUT) take(transfer); /* nothing comes while packets are loaded */
  soc_moving += soc_cycles() - begin;
  return 0;
}

const struct skipgrid_bus soc_bus = {read, write, move, cancel, NULL, NULL};

void soc_work_once(void) {}

uint32_t soc_work_cycles(void) { return 0; }

void interrupted(uint32_t lines) { (void)lines; } /* this system has no interrupts */
