/* The driver's bus in the system without a DMA: the CPU moves each word itself, and looks before whether it can. */
#include "soc_bus.h"

enum { MOST = 256 }; /* words of one call */

uint32_t soc_moving, soc_work;

static uint32_t held;     /* 1: a word was written, and had not been taken when STATUS was read last */
static uint32_t failures; /* of the CPU's accesses, when they were counted last */

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

/* Writes words while there is room. One that was written is sent when it has been taken. */
static void send(struct skipgrid_transfer *transfer) {
  const uint32_t to_load = transfer->port == SKIPGRID_PORT_LOAD;
  const uint32_t room = to_load ? SOC_STREAM_PORT_STATUS_LOAD_ROOM : SOC_STREAM_PORT_STATUS_INPUT_ROOM;
  const uint32_t next = to_load ? SOC_STREAM_PORT_LOAD : SOC_STREAM_PORT_INPUT;
  const uint32_t last = to_load ? SOC_STREAM_PORT_LOAD_LAST : SOC_STREAM_PORT_INPUT_LAST;
  uint32_t written = transfer->in_moved + held, most = written + MOST;
  while (written < transfer->in_count && written < most && soc_load(SOC_STREAM_PORT_STATUS) & room) {
    const uint32_t word = transfer->in[written++];
    soc_store(written < transfer->in_count ? next : last, word);
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
  const uint32_t begin = soc_cycles(), before = failures;
  if (!transfer->started) cancel(context);
  send(transfer);
  if (transfer->port == SKIPGRID_PORT_INPUT) take(transfer); /* nothing comes while packets are loaded */
  failures = soc_load(SOC_CONSOLE_FAILURES);
  soc_moving += soc_cycles() - begin;
  return failures != before;
}

const struct skipgrid_bus soc_bus = {read, write, move, cancel, NULL, NULL};

void soc_work_once(void) {}

void interrupted(uint32_t lines);
void interrupted(uint32_t lines) { (void)lines; } /* this system has no interrupts */
