/* Provokes every error of the accelerator and of the driver, each by its name, and runs an image after each: it must be right. */
#include "console.h"
#include "job.h"
#if SOC_BY_DMA
#include "interrupts.h"
#endif

typedef enum skipgrid_error error_t;

enum { GUARD = 16, UNTOUCHED = 0x5ca1ab1e, SLOT = SKIPGRID_LAYERS - 1, MOST_INPUT = SKIPGRID_ENTRIES / 2 + 256 };

#define ZEROS(n) (((uint32_t)(n) << 9) * 0x10001u) /* a word of the code with k = 7 that stands for 2 n zeros; n is up to 127 */
#define VALUES 0x00010001u                         /* one that stands for two values of 1 */
#define NOWHERE ((uint32_t *)(SOC_RAM + 2 * SOC_RAM_BYTES))

static struct skipgrid core = {.bus = &soc_bus, .patience = 1000};
static uint32_t guarded[GUARD + JOB_OUTPUT_WORDS + GUARD];
static uint32_t *const out = guarded + GUARD;
static uint32_t input[MOST_INPUT];
static const struct skipgrid_words none = {NULL, 0};

static const struct skipgrid_start *image(void) { return job[0].start; }

/* Some words of the code. */
static struct skipgrid_words coded(uint32_t word, uint32_t count) {
  struct skipgrid_words words = {input, count};
  while (count) input[--count] = word;
  return words;
}

static error_t run_image(uint32_t room) { return skipgrid_run(&core, 0, image()->input, out, room); }

/* Programs of one descriptor, in the last slot. */

static struct skipgrid_descriptor storing(uint32_t C, uint32_t H, uint32_t W) {
  struct skipgrid_descriptor load = {.opcode = SKIPGRID_OPCODE_LOAD, .from_stream = 1, .final = 1, .k_in = 7};
  load.elements = C * H * W;
  load.C = C;
  load.H = H;
  load.W = W;
  return load;
}

/* One input, one output, and one weight. */
static struct skipgrid_descriptor multiplying(void) {
  struct skipgrid_descriptor layer = {.opcode = SKIPGRID_OPCODE_LAYER, .from_stream = 1, .to_stream = 1, .final = 1, .k_in = 7, .high = 255};
  layer.elements = layer.C = layer.H = layer.W = layer.K = layer.R = layer.S = 1;
  layer.stride_rows = layer.stride_columns = layer.unit_stride_rows = layer.unit_stride_columns = 1;
  layer.out_rows = layer.out_columns = layer.pool_rows = layer.pool_columns = layer.span_rows = 1;
  layer.stride_pixels = layer.unit_stride_pixels = layer.filter_row_weights = layer.group_weights = layer.weights_end = 1;
  layer.stored_channels = layer.stored_columns = layer.stored_rows = 1;
  layer.groups = layer.last_lanes = layer.end_lanes = 1;
  layer.first_pixel = -1;
  layer.stride_weights = layer.unit_stride_weights = 0xffff;
  layer.lead = 16;
  layer.positive_max = 255;
  return layer;
}

static error_t load(const uint32_t *words, uint32_t count) {
  const struct skipgrid_words packet = {words, count};
  return skipgrid_load(&core, &packet, 1);
}

static error_t run_with(struct skipgrid_descriptor descriptor, struct skipgrid_words words) {
  uint32_t packet[1 + SKIPGRID_SLOT_WORDS];
  error_t error;
  packet[0] = SKIPGRID_LOAD_HEADER(SKIPGRID_TARGET_PROGRAM, SLOT * SKIPGRID_SLOT_WORDS);
  skipgrid_pack_descriptor(&descriptor, packet + 1);
  error = load(packet, 1 + SKIPGRID_SLOT_WORDS);
  return error ? error : skipgrid_run(&core, SLOT, words, out, JOB_OUTPUT_WORDS);
}

/* The input stream. */

static error_t ended_early(void) { return run_with(storing(1, 4, 16), coded(ZEROS(16), 1)); }

static error_t ran_over(void) { return run_with(storing(1, 5, 8), coded(ZEROS(16), 2)); }

static error_t bits_left(void) { return run_with(storing(1, 2, 16), coded(ZEROS(16), 2)); }

static error_t entries_full(void) {
  const uint32_t channels = SKIPGRID_ENTRIES / 256 + 1;
  return run_with(storing(channels, 16, 16), coded(VALUES, 128 * channels));
}

static error_t pixels_full(void) { return run_with(storing(1, SKIPGRID_SIDE, SKIPGRID_SIDE), coded(ZEROS(127), SKIPGRID_PIXELS / 254 + 2)); }

static error_t features_too_many(void) { return run_with(storing(SKIPGRID_FEATURES, 1, 2), coded(ZEROS(127), SKIPGRID_FEATURES / 127 + 1)); }

static error_t nothing_comes(void) {
  error_t error;
  core.patience = 20;
  error = skipgrid_run(&core, 0, none, out, JOB_OUTPUT_WORDS);
  core.patience = 1000;
  return error;
}

/* Descriptors. */

static error_t unknown(void) {
  struct skipgrid_descriptor layer = multiplying();
  layer.opcode = 9;
  return run_with(layer, coded(1, 1));
}

static error_t no_rows(void) {
  struct skipgrid_descriptor layer = multiplying();
  layer.H = 0;
  return run_with(layer, coded(1, 1));
}

static error_t weights_too_many(void) {
  struct skipgrid_descriptor layer = multiplying();
  layer.weights_end = SKIPGRID_WEIGHTS + 1;
  return run_with(layer, coded(1, 1));
}

static error_t channels_too_many(void) {
  struct skipgrid_descriptor layer = multiplying();
  layer.channels_base = SKIPGRID_CHANNELS;
  return run_with(layer, coded(1, 1));
}

static error_t input_missing(void) {
  struct skipgrid_descriptor layer = multiplying();
  layer.from_stream = 0;
  layer.H = 2;
  return run_with(layer, none);
}

static error_t not_ended(void) {
  struct skipgrid_descriptor load = storing(1, 2, 16);
  load.final = 0;
  return run_with(load, coded(ZEROS(16), 1));
}

#if !SKIPGRID_FUNCTIONS
static error_t not_built(void) {
  struct skipgrid_descriptor layer = multiplying();
  layer.looked_up = 1;
  return run_with(layer, coded(1, 1));
}
#endif

#if SKIPGRID_SLOTS
static error_t list_wrong(void) {
  const uint32_t list[2] = {SKIPGRID_LOAD_HEADER(SKIPGRID_TARGET_LISTS, 0), (SKIPGRID_SLOTS + 1u) << 16};
  struct skipgrid_descriptor layer = multiplying();
  error_t error = load(list, 2);
  layer.lists = layer.slots = 1;
  return error ? error : run_with(layer, coded(1, 1));
}
#endif

/* The load port. What these store lies behind all that the model has. */

static error_t load_target(void) {
  const uint32_t words[2] = {SKIPGRID_LOAD_HEADER(15, 0), 0};
  return load(words, 2);
}

static error_t load_address(void) {
  const uint32_t words[2] = {SKIPGRID_LOAD_HEADER(SKIPGRID_TARGET_PROGRAM, SKIPGRID_TARGET_PROGRAM_ADDRESSES), 0};
  return load(words, 2);
}

static error_t load_cut(void) {
  const uint32_t words[2] = {SKIPGRID_LOAD_HEADER(SKIPGRID_TARGET_CHANNELS, SKIPGRID_CHANNELS - 1), 0};
  return load(words, 2);
}

/* What the program asks of the driver. */

static error_t stopped(void) {
  error_t error = skipgrid_begin(&core, 0, image()->input, out, JOB_OUTPUT_WORDS);
  if (!error && skipgrid_poll(&core) == SKIPGRID_BUSY) error = skipgrid_stop(&core);
  return error ? error : skipgrid_poll(&core);
}

static error_t busy(void) {
  error_t error = skipgrid_begin(&core, 0, image()->input, out, JOB_OUTPUT_WORDS), found[2];
  if (error) return error;
  found[0] = skipgrid_load(&core, image()->packets, 1);
  found[1] = skipgrid_begin(&core, 0, image()->input, out, JOB_OUTPUT_WORDS);
  error = skipgrid_wait(&core);
  if (error) return error;
  return found[0] == found[1] ? found[0] : SKIPGRID_OK;
}

static error_t no_room(void) { return run_image(image()->output.count - 1); }

static error_t no_room_at_all(void) { return run_image(0) ? run_image(0) : run_image(1); }

static error_t no_room_to_encode(void) {
  static const uint8_t bytes[64] = {1, 2, 3, 4, 5, 6, 7, 8};
  uint32_t used;
  return skipgrid_encode(bytes, sizeof bytes, 0, out, 2, &used);
}

static error_t wrong_code(void) {
  static uint8_t bytes[JOB_ELEMENTS + 1];
  return skipgrid_decode(image()->output.words, image()->output.count, image()->k_out, bytes, JOB_ELEMENTS + 1);
}

static error_t no_words(void) { return load(NULL, 2); }

static error_t no_program(void) { return skipgrid_run(&core, SKIPGRID_LAYERS, image()->input, out, JOB_OUTPUT_WORDS); }

/* The bus and the DMA. */

static error_t input_nowhere(void) {
  const struct skipgrid_words words = {NOWHERE, 100};
  return skipgrid_run(&core, 0, words, out, JOB_OUTPUT_WORDS);
}

static error_t output_nowhere(void) { return skipgrid_run(&core, 0, image()->input, NOWHERE, JOB_OUTPUT_WORDS); }

static error_t packet_nowhere(void) { return load(NOWHERE, 100); }

/* A load packet of which the driver does not know is refused, and irq rises. */
static error_t unexpected(void) {
  static const uint32_t words[2] = {SKIPGRID_LOAD_HEADER(15, 0), 0};
  struct skipgrid_transfer transfer = {.port = SKIPGRID_PORT_LOAD, .in = words, .in_count = 2};
  error_t error;
#if SOC_BY_DMA
  soc_handled = SKIPGRID_OK;
  soc_handles = &core;
  soc_mask(~(SOC_ACCELERATOR_IRQ | SOC_DMA_IRQ));
#endif
  while (transfer.in_moved < 2) {
    if (soc_bus.move(soc_bus.context, &transfer)) return SKIPGRID_TRANSFER_FAILED;
    transfer.started = 1;
  }
#if SOC_BY_DMA
  while (soc_handled == SKIPGRID_OK) soc_work_once();
  soc_mask(~0u);
  soc_handles = NULL;
  error = soc_handled;
#else
  error = skipgrid_interrupt(&core);
#endif
  return skipgrid_register(&core, SKIPGRID_REG_STATUS) & SKIPGRID_STATUS_ERROR_MASK ? SKIPGRID_OK : error;
}

/* Other cores than the one that this program is for. */

static uint32_t changed_register, changed_value;

static uint32_t changed_read(void *context, uint32_t address) {
  return address == changed_register ? changed_value : soc_bus.read(context, address);
}

static error_t found(uint32_t address, uint32_t value, uint32_t hash) {
  struct skipgrid_bus bus = soc_bus;
  struct skipgrid other = {.bus = &bus};
  bus.read = changed_read;
  changed_register = address;
  changed_value = value;
  return skipgrid_probe(&other, hash);
}

static error_t no_core(void) { return found(SKIPGRID_REG_IDENTIFICATION, 0, MODEL_CONFIG_HASH); }

static error_t other_version(void) { return found(SKIPGRID_REG_VERSION, SKIPGRID_VERSION_WORD + 1, MODEL_CONFIG_HASH); }

static error_t other_core(void) { return found(SKIPGRID_REG_CONFIG_HASH, MODEL_CONFIG_HASH + 1, MODEL_CONFIG_HASH); }

static error_t other_model(void) { return found(SKIPGRID_REG_IDENTIFICATION, SKIPGRID_IDENTIFICATION, MODEL_CONFIG_HASH + 1); }

/* Runs that are right, in the ways that a program may go. */

static error_t polled(void) {
  error_t error = skipgrid_begin(&core, 0, image()->input, out, JOB_OUTPUT_WORDS);
  if (error) return error;
  do error = skipgrid_poll(&core);
  while (error == SKIPGRID_BUSY);
  return error;
}

#if SOC_BY_DMA
static error_t handled(void) {
  error_t error = skipgrid_begin(&core, 0, image()->input, out, JOB_OUTPUT_WORDS);
  if (error) return error;
  soc_handled = SKIPGRID_BUSY;
  soc_handles = &core;
  soc_mask(~(SOC_ACCELERATOR_IRQ | SOC_DMA_IRQ));
  while (soc_handled == SKIPGRID_BUSY) soc_work_once();
  soc_mask(~0u);
  soc_handles = NULL;
  return soc_handled;
}
#endif

static const struct {
  error_t error;
  error_t (*provoke)(void);
} provocations[] = {
    {SKIPGRID_OK, polled},
#if SOC_BY_DMA
    {SKIPGRID_OK, handled},
#endif
    {SKIPGRID_STREAM_ENDED_EARLY, ended_early},
    {SKIPGRID_STREAM_RAN_OVER, ran_over},
    {SKIPGRID_STREAM_BITS_LEFT, bits_left},
    {SKIPGRID_DESCRIPTOR_UNKNOWN, unknown},
    {SKIPGRID_DESCRIPTOR_SIZE, no_rows},
    {SKIPGRID_WEIGHTS_TOO_MANY, weights_too_many},
    {SKIPGRID_CHANNELS_TOO_MANY, channels_too_many},
    {SKIPGRID_ENTRIES_FULL, entries_full},
    {SKIPGRID_PIXELS_FULL, pixels_full},
    {SKIPGRID_FEATURES_TOO_MANY, features_too_many},
    {SKIPGRID_INPUT_MISSING, input_missing},
    {SKIPGRID_PROGRAM_NOT_ENDED, not_ended},
    {SKIPGRID_LOAD_TARGET, load_target},
    {SKIPGRID_LOAD_ADDRESS, load_address},
    {SKIPGRID_LOAD_CUT, load_cut},
    {SKIPGRID_STOPPED, stopped},
#if !SKIPGRID_FUNCTIONS
    {SKIPGRID_NOT_BUILT, not_built},
#endif
#if SKIPGRID_SLOTS
    {SKIPGRID_LIST_WRONG, list_wrong},
#endif
    {SKIPGRID_NO_CORE, no_core},
    {SKIPGRID_WRONG_VERSION, other_version},
    {SKIPGRID_WRONG_CONFIG, other_core},
    {SKIPGRID_WRONG_CONFIG, other_model},
    {SKIPGRID_BUSY, busy},
    {SKIPGRID_BUFFER_SMALL, no_room},
    {SKIPGRID_BUFFER_SMALL, no_room_at_all},
    {SKIPGRID_BUFFER_SMALL, no_room_to_encode},
    {SKIPGRID_TRANSFER_FAILED, input_nowhere},
    {SKIPGRID_TRANSFER_FAILED, output_nowhere},
    {SKIPGRID_TRANSFER_FAILED, packet_nowhere},
    {SKIPGRID_TIMED_OUT, nothing_comes},
    {SKIPGRID_UNEXPECTED_INTERRUPT, unexpected},
    {SKIPGRID_CODE_WRONG, wrong_code},
    {SKIPGRID_BAD_ARGUMENT, no_words},
    {SKIPGRID_BAD_ARGUMENT, no_program},
};

static int guards_stand(void) {
  uint32_t word;
  for (word = 0; word < GUARD; word++)
    if (guarded[word] != UNTOUCHED || guarded[GUARD + JOB_OUTPUT_WORDS + word] != UNTOUCHED) return 0;
  return 1;
}

/* An image whose output is the golden model's, with nothing behind it. */
static int right(void) {
  const struct skipgrid_words expected = image()->output;
  uint32_t word;
  for (word = 0; word < JOB_OUTPUT_WORDS; word++) out[word] = UNTOUCHED;
  if (run_image(JOB_OUTPUT_WORDS) || skipgrid_received(&core) != expected.count) return 0;
  for (word = 0; word < expected.count; word++)
    if (out[word] != expected.words[word]) return 0;
  return expected.count == JOB_OUTPUT_WORDS || out[expected.count] == UNTOUCHED;
}

static int failed(const char *what) {
  say(what);
  say("\n");
  return 1;
}

int main(void) {
  uint32_t number, word;
  for (word = 0; word < GUARD; word++) guarded[word] = guarded[GUARD + JOB_OUTPUT_WORDS + word] = UNTOUCHED;
  if (skipgrid_probe(&core, MODEL_CONFIG_HASH)) return failed("there is no core");
  if (skipgrid_load(&core, JOB_PACKETS, JOB_PACKETS_COUNT)) return failed("the model cannot be loaded");
  for (number = 0; number < sizeof provocations / sizeof provocations[0]; number++) {
    const error_t wanted = provocations[number].error, error = provocations[number].provoke();
    say(skipgrid_name(error));
    say(": ");
    say(skipgrid_sentence(error));
    say("\n");
    if (error != wanted) {
      say("this was to be ");
      return failed(skipgrid_name(wanted));
    }
    if (!guards_stand()) return failed("this has written outside of its buffer");
    if (!right() || !guards_stand()) return failed("after this, an image is not right");
    tell(error);
  }
  return 0;
}
