/* Loads the model, runs it over the images of job.h, and says what was recognised and where the cycles went. */
#include "console.h"
#include "job.h"

static struct skipgrid core = {.bus = &soc_bus};
static uint32_t out[JOB_OUTPUT_WORDS];
static uint8_t bytes[JOB_ELEMENTS];

static int failed(const char *what, enum skipgrid_error error) {
  say(what);
  say(": ");
  say(skipgrid_name(error));
  say(", ");
  say(skipgrid_sentence(error));
  say("\n");
  return 1;
}

/* The place of the largest activation; coded bytes above JOB_POSITIVE_MAX stand for negative ones. */
static uint32_t largest(void) {
  int32_t most = -256;
  uint32_t place, found = 0;
  for (place = 0; place < JOB_ELEMENTS; place++) {
    const int32_t value = bytes[place] > JOB_POSITIVE_MAX ? bytes[place] - 256 : bytes[place];
    if (value > most) {
      most = value;
      found = place;
    }
  }
  return found;
}

static uint32_t load(void) {
  uint32_t begin = soc_cycles(), words = 0, packet;
  enum skipgrid_error error = skipgrid_load(&core, JOB_PACKETS, JOB_PACKETS_COUNT);
  const uint32_t cycles = soc_cycles() - begin;
  if (error) return (uint32_t)failed("loading", error);
  for (packet = 0; packet < JOB_PACKETS_COUNT; packet++) words += JOB_PACKETS[packet].count;
  say("loaded ");
  say_number(words);
  say(" words in ");
  say_number(cycles);
  say(" cycles\n");
  tell(words);
  tell(cycles);
  return 0;
}

static int classify(uint32_t number, uint32_t work_cycles) {
  const struct skipgrid_start *image = job[number].start;
  uint32_t begin, whole, total, words, free, word;
  enum skipgrid_error error;
  soc_moving = soc_work = 0;
  begin = soc_cycles();
  error = skipgrid_run(&core, 0, image->input, out, JOB_OUTPUT_WORDS);
  whole = soc_cycles() - begin;
  total = skipgrid_register(&core, SKIPGRID_REG_TOTAL_CYCLES);
  words = skipgrid_received(&core);
  free = (uint32_t)((uint64_t)soc_work * work_cycles >> 10);
  if (!error) error = skipgrid_decode(out, words, image->k_out, bytes, JOB_ELEMENTS);
  say("image ");
  say_number(number);
  if (error) return failed("", error);
  say(": ");
  say_number(largest());
  if (job[number].label >= 0) {
    say(" (is ");
    say_number((uint32_t)job[number].label);
    say(")");
  }
  say("; cycles: ");
  say_number(whole);
  say(" in all, ");
  say_number(total);
  say(" of the core, ");
  say_number(soc_moving);
  say(" of the CPU for ");
  say_number(image->input.count + words);
  say(" words, ");
  say_number(free);
  say(" of the CPU free\n");
  tell(largest());
  tell(image->input.count);
  tell(total);
  tell(whole);
  tell(soc_moving);
  tell(free);
  tell(SOC_BY_DMA ? soc_load(SOC_DMA_SEND_WAITS) : 0);
  tell(words);
  for (word = 0; word < words; word++) tell(out[word]);
  return 0;
}

int main(void) {
  const uint32_t work_cycles = soc_work_cycles();
  uint32_t number;
  enum skipgrid_error error = skipgrid_probe(&core, MODEL_CONFIG_HASH);
  if (error) return failed("looking for the core", error);
  say("found " SKIPGRID_CONFIG_NAME "\n");
  if (load()) return 1;
  for (number = 0; number < JOB_IMAGES; number++)
    if (classify(number, work_cycles)) return 1;
  if (soc_load(SOC_CONSOLE_FAILURES)) {
    say("the bus has answered accesses with errors\n");
    return 1;
  }
  return 0;
}
