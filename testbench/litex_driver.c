/* Firmware of a LiteX SoC: the driver, by the DMAs, through what goes right and what goes wrong. What it has done stands in ctrl_scratch. */
#include "skipgrid_litex.h"
#include "example.h" /* packets, input and output of a layer */

enum { GUARD = 8, MOST = OUTPUT_WORDS + GUARD, UNTOUCHED = 0x5ca1ab1e, FAILED = 1 << 31, FINISHED = 1 << 30 };

static uint32_t output[MOST];
static uint32_t longer[INPUT_WORDS + 4];

static void stop_here(uint32_t what) {
  ctrl_scratch_write(what);
  for (;;) { }
}

/* Compilers call these where there is no library. */
void *memset(void *to, int value, __SIZE_TYPE__ count) {
  unsigned char *byte = to;
  while (count--) *byte++ = (unsigned char)value;
  return to;
}

void *memcpy(void *to, const void *from, __SIZE_TYPE__ count) {
  unsigned char *byte = to;
  const unsigned char *source = from;
  while (count--) *byte++ = *source++;
  return to;
}

/* A step that must give this. */
static void expect(uint32_t step, uint32_t got, uint32_t wanted) {
  if (got != wanted) stop_here(FAILED | step << 16 | (got & 0xffff));
  ctrl_scratch_write(step);
}

static void fill(void) {
  uint32_t n;
  for (n = 0; n < MOST; n++) output[n] = UNTOUCHED;
}

/* How many words of the buffer are the output's first ones, if all others are as they were. */
static uint32_t right_words(void) {
  uint32_t n = 0, count;
  while (n < OUTPUT_WORDS && output[n] == expected[n]) n++;
  for (count = n; n < MOST; n++) if (output[n] != UNTOUCHED) return MOST;
  return count;
}

static void run_right(struct skipgrid *core, uint32_t step) {
  const struct skipgrid_words words = {input, INPUT_WORDS};
  fill();
  expect(step, skipgrid_run(core, 0, words, output, OUTPUT_WORDS), SKIPGRID_OK);
  expect(step, skipgrid_received(core), OUTPUT_WORDS);
  expect(step, right_words(), OUTPUT_WORDS);
}

void run(void) {
  struct skipgrid core = {.bus = &skipgrid_litex, .patience = 50};
  const struct skipgrid_words whole = {input, INPUT_WORDS}, part = {input, INPUT_WORDS / 2}, more = {longer, INPUT_WORDS + 4};
  const struct skipgrid_words none = {NULL, 0}, cut = {packets[1].words, packets[1].count - 1};
  const uint32_t nowhere[2] = {0xf0000000, 1};
  const struct skipgrid_words refused = {nowhere, 2};
  uint32_t n;

  expect(1, skipgrid_probe(&core, SKIPGRID_CONFIG_HASH + 1), SKIPGRID_WRONG_CONFIG);
  expect(2, skipgrid_probe(&core, SKIPGRID_CONFIG_HASH), SKIPGRID_OK);
  expect(3, skipgrid_load(&core, packets, PACKETS), SKIPGRID_OK);
  run_right(&core, 4);
  run_right(&core, 5);

  for (n = 0; n < OUTPUT_WORDS; n++) { /* every room that is too small */
    fill();
    expect(6, skipgrid_run(&core, 0, whole, output, n), SKIPGRID_BUFFER_SMALL);
    expect(6, right_words(), n);
  }
  run_right(&core, 7);

  expect(8, skipgrid_run(&core, 0, part, output, OUTPUT_WORDS), SKIPGRID_STREAM_ENDED_EARLY);
  run_right(&core, 9);
  for (n = 0; n < INPUT_WORDS + 4; n++) longer[n] = n < INPUT_WORDS ? input[n] : 0;
  expect(10, skipgrid_run(&core, 0, more, output, OUTPUT_WORDS), SKIPGRID_STREAM_BITS_LEFT);
  run_right(&core, 11);
  expect(12, skipgrid_run(&core, 0, none, output, OUTPUT_WORDS), SKIPGRID_TIMED_OUT);
  run_right(&core, 13);

  expect(14, skipgrid_begin(&core, 0, whole, output, OUTPUT_WORDS), SKIPGRID_OK);
  expect(14, skipgrid_stop(&core), SKIPGRID_OK);
  expect(14, skipgrid_poll(&core), SKIPGRID_STOPPED);
  run_right(&core, 15);

  expect(16, skipgrid_load(&core, &refused, 1), SKIPGRID_LOAD_TARGET);
  expect(17, skipgrid_load(&core, &cut, 1), SKIPGRID_LOAD_CUT);
  expect(18, skipgrid_load(&core, packets, PACKETS), SKIPGRID_OK);
  run_right(&core, 19);
  stop_here(FINISHED);
}

__attribute__((naked, section(".start"))) void start(void) { __asm__("la sp, stack\n j run"); }
