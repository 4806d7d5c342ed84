/* The driver of skipgrid.h. C99 without a library: nothing is called but the five functions of the bus. */
#include "skipgrid.h"

enum { ABSENT, IDLE, RUNNING }; /* the states of a core */

static uint32_t get(const struct skipgrid *core, uint32_t address) { return core->bus->read(core->bus->context, address); }

static void put(const struct skipgrid *core, uint32_t address, uint32_t value) { core->bus->write(core->bus->context, address, value); }

static void cancel(const struct skipgrid *core) { core->bus->cancel(core->bus->context); }

static int move(struct skipgrid *core) {
  int wrong = core->bus->move(core->bus->context, &core->transfer);
  core->transfer.started = 1;
  return wrong;
}

static void prepare(struct skipgrid *core, enum skipgrid_port port, struct skipgrid_words in, uint32_t *out, uint32_t room) {
  struct skipgrid_transfer *transfer = &core->transfer;
  transfer->port = port;
  transfer->in = in.words;
  transfer->in_count = in.count;
  transfer->out = out;
  transfer->out_room = room;
  transfer->in_moved = transfer->out_moved = 0;
  transfer->started = transfer->out_ended = transfer->out_cut = 0;
  core->waited = 0;
}

/* Reads STATUS. If a run or a load packet has ended, keeps how, and clears it in the core, so that irq falls. */
static uint32_t observe(struct skipgrid *core) {
  uint32_t status = get(core, SKIPGRID_REG_STATUS);
  if (status & SKIPGRID_STATUS_BUSY_MASK) return status;
  if (status & SKIPGRID_STATUS_ERROR_MASK) {
    uint32_t error = get(core, SKIPGRID_REG_ERROR);
    core->layer = (error & SKIPGRID_ERROR_LAYER_MASK) >> SKIPGRID_ERROR_LAYER_SHIFT;
    core->ended = (enum skipgrid_error)((error & SKIPGRID_ERROR_CODE_MASK) >> SKIPGRID_ERROR_CODE_SHIFT);
  } else if (status & SKIPGRID_STATUS_DONE_MASK) {
    core->ended = SKIPGRID_OK;
  } else {
    return status;
  }
  put(core, SKIPGRID_REG_CONTROL, SKIPGRID_CONTROL_CLEAR_MASK);
  return status;
}

/* Leaves the core idle and all ways empty. A packet of which the core has taken a part is ended by one word more; what it sends is
   dropped. At the load port that word ends any packet, and the error that it makes is cleared. */
static enum skipgrid_error give_up(struct skipgrid *core, enum skipgrid_port port) {
  static const uint32_t zero = 0;
  const struct skipgrid_words end = {&zero, 1};
  put(core, SKIPGRID_REG_CONTROL, SKIPGRID_CONTROL_STOP_MASK);
  cancel(core);
  prepare(core, port, end, NULL, 0);
  for (; core->waited < core->patience; core->waited++) {
    uint32_t busy = observe(core) & SKIPGRID_STATUS_BUSY_MASK;
    if (port == SKIPGRID_PORT_INPUT ? !busy : core->transfer.in_moved) break;
    if (move(core)) {
      cancel(core);
      core->transfer.started = 0;
    }
  }
  cancel(core);
  if (core->waited == core->patience) return SKIPGRID_TIMED_OUT;
  if (port == SKIPGRID_PORT_LOAD) core->load_open = 0;
  return SKIPGRID_OK;
}

/* Into the driver, unless it is in use: a handler may have interrupted it. */
static enum skipgrid_error enter(struct skipgrid *core) {
  if (core->state == ABSENT) return SKIPGRID_NO_CORE;
  if (core->inside) return SKIPGRID_BUSY;
  core->inside = 1;
  return SKIPGRID_OK;
}

/* Out of the driver. What interrupted it, and may have to be told to a handler, interrupts again. */
static void leave(struct skipgrid *core) {
  core->inside = 0;
  if (!core->masked) return;
  put(core, SKIPGRID_REG_INTERRUPT_ENABLE, core->masked);
  core->masked = 0;
}

/* Likewise for something new, unless a run is under way, or there is an error that nobody has seen. */
static enum skipgrid_error enter_idle(struct skipgrid *core) {
  enum skipgrid_error result = enter(core);
  if (result) return result;
  result = SKIPGRID_BUSY;
  if (core->state == IDLE) {
    core->ended = SKIPGRID_OK;
    if (!(observe(core) & SKIPGRID_STATUS_BUSY_MASK)) result = core->load_open ? give_up(core, SKIPGRID_PORT_LOAD) : core->ended;
    core->ended = SKIPGRID_OK;
  }
  if (result) core->inside = 0;
  return result;
}

enum skipgrid_error skipgrid_probe(struct skipgrid *core, uint32_t config_hash) {
  core->state = ABSENT;
  core->inside = core->masked = 0;
  core->load_open = 1; /* whoever was here before may have left a packet open */
  if (!core->patience) core->patience = SKIPGRID_PATIENCE;
  if (!core->bus) return SKIPGRID_BAD_ARGUMENT;
  if (get(core, SKIPGRID_REG_IDENTIFICATION) != SKIPGRID_IDENTIFICATION) return SKIPGRID_NO_CORE;
  if (get(core, SKIPGRID_REG_VERSION) != SKIPGRID_VERSION_WORD) return SKIPGRID_WRONG_VERSION;
  if (config_hash != SKIPGRID_CONFIG_HASH || get(core, SKIPGRID_REG_CONFIG_HASH) != config_hash) return SKIPGRID_WRONG_CONFIG;
  observe(core); /* what happened before is nobody's any more */
  put(core, SKIPGRID_REG_INTERRUPT_ENABLE, SKIPGRID_INTERRUPT_ENABLE_DONE_MASK | SKIPGRID_INTERRUPT_ENABLE_ERROR_MASK);
  core->state = IDLE;
  return SKIPGRID_OK;
}

/* One step of a transfer: BUSY, or why it cannot go on. */
static enum skipgrid_error step(struct skipgrid *core) {
  uint32_t before = core->transfer.in_moved + core->transfer.out_moved;
  if (move(core)) return SKIPGRID_TRANSFER_FAILED;
  core->waited = core->transfer.in_moved + core->transfer.out_moved == before ? core->waited + 1 : 0;
  return core->waited < core->patience ? SKIPGRID_BUSY : SKIPGRID_TIMED_OUT;
}

static void pause(const struct skipgrid *core) {
  if (core->bus->wait) core->bus->wait(core->bus->context);
}

static enum skipgrid_error load_packet(struct skipgrid *core, const struct skipgrid_words *packet) {
  const struct skipgrid_transfer *transfer = &core->transfer;
  enum skipgrid_error result;
  if (!packet->words || !packet->count) return SKIPGRID_BAD_ARGUMENT;
  prepare(core, SKIPGRID_PORT_LOAD, *packet, NULL, 0);
  core->load_open = 1;
  for (;;) {
    result = step(core);
    if (result != SKIPGRID_BUSY || transfer->in_moved == transfer->in_count) break;
    pause(core);
  }
  if (result != SKIPGRID_BUSY) {
    give_up(core, SKIPGRID_PORT_LOAD);
    return result;
  }
  core->load_open = 0;
  observe(core);
  return core->ended;
}

enum skipgrid_error skipgrid_load(struct skipgrid *core, const struct skipgrid_words *packets, uint32_t count) {
  enum skipgrid_error result = count && !packets ? SKIPGRID_BAD_ARGUMENT : enter_idle(core);
  if (result) return result;
  for (; count && !result; count--) result = load_packet(core, packets++);
  core->inside = 0;
  return result;
}

enum skipgrid_error skipgrid_begin(struct skipgrid *core, uint32_t program, struct skipgrid_words input, uint32_t *out, uint32_t room) {
  enum skipgrid_error result = SKIPGRID_BAD_ARGUMENT;
  if (program < SKIPGRID_LAYERS && (input.words || !input.count) && (out || !room)) result = enter_idle(core);
  if (result) return result;
  core->received = core->layer = 0;
  core->ended = SKIPGRID_BUSY;
  prepare(core, SKIPGRID_PORT_INPUT, input, out, room);
  put(core, SKIPGRID_REG_PROGRAM, program);
  if (move(core)) { /* a DMA's channels stand ready before the core starts */
    cancel(core);
    result = SKIPGRID_TRANSFER_FAILED;
  } else {
    core->state = RUNNING;
    put(core, SKIPGRID_REG_CONTROL, SKIPGRID_CONTROL_START_MASK);
  }
  leave(core);
  return result;
}

/* One step of a run, and its end. */
static void advance(struct skipgrid *core) {
  const struct skipgrid_transfer *transfer = &core->transfer;
  enum skipgrid_error result = step(core);
  core->received = transfer->out_moved;
  observe(core);
  if (result != SKIPGRID_TRANSFER_FAILED && core->ended != SKIPGRID_BUSY) {
    if (core->ended) result = core->ended;
    else if (transfer->in_moved == transfer->in_count && (transfer->out_ended || !transfer->out_room)) {
      result = transfer->out_moved > transfer->out_room ? SKIPGRID_BUFFER_SMALL : SKIPGRID_OK;
      if (transfer->out_cut) result = SKIPGRID_TRANSFER_FAILED; /* of another run: something is wrong with the way */
    }
  }
  if (result == SKIPGRID_BUSY) return;
  if (core->ended == SKIPGRID_BUSY) give_up(core, SKIPGRID_PORT_INPUT);
  else if (result || !transfer->out_ended) cancel(core);
  core->result = result;
  core->state = IDLE;
}

enum skipgrid_error skipgrid_poll(struct skipgrid *core) {
  enum skipgrid_error result = enter(core);
  if (result) return result;
  if (core->state == RUNNING) advance(core);
  result = core->state == RUNNING ? SKIPGRID_BUSY : core->result;
  leave(core);
  return result;
}

enum skipgrid_error skipgrid_wait(struct skipgrid *core) {
  for (;;) {
    enum skipgrid_error result = skipgrid_poll(core);
    if (result != SKIPGRID_BUSY) return result;
    pause(core);
  }
}

enum skipgrid_error skipgrid_stop(struct skipgrid *core) {
  enum skipgrid_error result = enter(core);
  if (result) return result;
  result = give_up(core, SKIPGRID_PORT_INPUT);
  if (core->state == RUNNING) {
    core->result = SKIPGRID_STOPPED;
    core->state = IDLE;
  }
  core->inside = 0;
  return result;
}

enum skipgrid_error skipgrid_interrupt(struct skipgrid *core) {
  if (core->state == ABSENT) return SKIPGRID_NO_CORE;
  if (core->inside) {
    uint32_t enable = get(core, SKIPGRID_REG_INTERRUPT_ENABLE);
    if (enable) core->masked = (uint8_t)enable;
    put(core, SKIPGRID_REG_INTERRUPT_ENABLE, 0);
    return SKIPGRID_BUSY;
  }
  if (core->state == RUNNING) return skipgrid_poll(core);
  observe(core);
  return SKIPGRID_UNEXPECTED_INTERRUPT;
}

/* The run-length code: value (8 bits), quotient in unary (ones, ended by a zero; seven are not ended), remainder (k bits). */

/* Bits of a token before its remainder. */
static uint32_t unary_end(uint32_t quotient) { return 8 + (quotient < SKIPGRID_MAX_QUOTIENT ? quotient + 1 : SKIPGRID_MAX_QUOTIENT); }

enum skipgrid_error skipgrid_encode(const uint8_t *bytes, uint32_t count, uint32_t k, uint32_t *words, uint32_t room, uint32_t *used) {
  uint32_t most, run = 0, word = 0, fill = 0, written = 0; /* fill: bits in the word that is not written yet */
  if (k > SKIPGRID_MAX_K || (count && !bytes) || (room && !words) || !used) return SKIPGRID_BAD_ARGUMENT;
  most = ((SKIPGRID_MAX_QUOTIENT + 1) << k) - 1; /* zeros of one token */
  for (;; count--) {
    uint32_t value = count ? *bytes++ : 0;
    if (value || run == most || (run && !count)) {
      uint32_t quotient = run >> k, length = unary_end(quotient);
      uint32_t token = value | ((1u << quotient) - 1) << 8 | (run & ((1u << k) - 1)) << length;
      word |= token << fill;
      fill += length + k;
      if (fill >= 32) {
        if (written < room) words[written] = word;
        written++;
        fill -= 32;
        word = token >> (length + k - fill);
      }
      run = 0;
    }
    if (!count) break;
    if (!value) run++;
  }
  if (fill) {
    if (written < room) words[written] = word;
    written++;
  }
  *used = written;
  return written > room ? SKIPGRID_BUFFER_SMALL : SKIPGRID_OK;
}

enum skipgrid_error skipgrid_decode(const uint32_t *words, uint32_t count, uint32_t k, uint8_t *bytes, uint32_t elements) {
  uint32_t at = 0; /* the next bit of the first word */
  if (k > SKIPGRID_MAX_K || (count && !words) || (elements && !bytes)) return SKIPGRID_BAD_ARGUMENT;
  while (elements) {
    uint32_t token, value, quotient, length, run;
    if (!count) return SKIPGRID_CODE_WRONG;
    token = words[0] >> at;
    if (at && count > 1) token |= words[1] << (32 - at);
    value = token & 0xff;
    for (quotient = 0; quotient < SKIPGRID_MAX_QUOTIENT && token >> (8 + quotient) & 1;) quotient++;
    length = unary_end(quotient);
    run = (quotient << k) + (token >> length & ((1u << k) - 1));
    length += k;
    if (count == 1 && at + length > 32) return SKIPGRID_CODE_WRONG; /* the words end inside the token */
    if (run + (value != 0) > elements) return SKIPGRID_CODE_WRONG;
    elements -= run + (value != 0);
    for (; run; run--) *bytes++ = 0;
    if (value) *bytes++ = (uint8_t)value;
    at += length;
    if (at >= 32) {
      at -= 32;
      words++;
      count--;
    }
  }
  if (at && words[0] >> at) return SKIPGRID_CODE_WRONG; /* bits are left, or words */
  return count == (at != 0) ? SKIPGRID_OK : SKIPGRID_CODE_WRONG;
}

/* A network's ends. A float's value is its fraction, 24 bits with the leading one, times 2^(exponent - 150); not of infinities and NaN. */

union skipgrid_number {
  float value;
  uint32_t bits;
};

#define NUMBER_SIGN 0x80000000u
#define NUMBER_INFINITE 0x7f800000u

static uint32_t fraction(uint32_t bits) { return (bits & 0x7fffffu) | (bits << 1 >> 24 ? 0x800000u : 0); }

static int32_t exponent(uint32_t bits) { return bits << 1 >> 24 ? (int32_t)(bits << 1 >> 24) : 1; }

/* value / 2^shift, rounded to nearest, ties to even; shift is at most 30. */
static uint32_t rounded(uint32_t value, uint32_t shift) {
  uint32_t whole = value >> shift, rest = value - (whole << shift);
  return whole + (2 * rest + (whole & 1) > 1u << shift);
}

/* The least activation's distance to the zero point, 0 to 255. */
static uint32_t below(int32_t zero_point, int is_signed) { return ((uint32_t)zero_point + (is_signed ? 128 : 0)) & 0xff; }

/* |value / scale| as a float32 is rounded, then as an integer: 0 to 256, which is more than any activation. */
static uint32_t steps(uint32_t value, uint32_t scale) {
  uint32_t dividend = fraction(value), divisor = fraction(scale), quotient = 0, bit;
  int32_t power = exponent(value) - exponent(scale);
  if (!dividend || !divisor) return 0;
  for (; divisor < 0x800000u; power++) divisor <<= 1;
  for (; dividend < divisor; power--) dividend <<= 1;
  if (power < -2) return 0;
  if (power > 7) return 256;
  for (bit = 0; bit < 24; bit++) { /* long division: 24 bits of quotient * 2^(23 - power), the first of them 1 */
    quotient <<= 1;
    if (dividend >= divisor) {
      dividend -= divisor;
      quotient |= 1;
    }
    dividend <<= 1;
  }
  return rounded(quotient + (dividend + (quotient & 1) > divisor), (uint32_t)(23 - power));
}

void skipgrid_quantise(const float *values, uint32_t count, float scale, int32_t zero_point, int is_signed, uint8_t *bytes) {
  uint32_t lower = below(zero_point, is_signed), upper = 255 - lower;
  union skipgrid_number number, step;
  step.value = scale;
  for (; count; count--) {
    uint32_t magnitude, most;
    number.value = *values++;
    most = number.bits & NUMBER_SIGN ? lower : upper;
    magnitude = number.bits & ~NUMBER_SIGN;
    magnitude = magnitude > NUMBER_INFINITE ? 0 : magnitude == NUMBER_INFINITE ? 256 : steps(magnitude, step.bits);
    if (magnitude > most) magnitude = most;
    *bytes++ = (uint8_t)(number.bits & NUMBER_SIGN ? 0 - magnitude : magnitude);
  }
}

void skipgrid_dequantise(const uint8_t *bytes, uint32_t count, float scale, int32_t zero_point, int is_signed, float *values) {
  uint32_t lower = below(zero_point, is_signed);
  union skipgrid_number number, step;
  step.value = scale;
  for (; count; count--) {
    int32_t steps = (int32_t)((*bytes++ + lower) & 0xff) - (int32_t)lower;
    uint32_t product = fraction(step.bits) * (uint32_t)(steps < 0 ? -steps : steps), shift = 0;
    while (product >> shift > 0xffffff) shift++;
    /* The leading one, or a carry, counts the exponent up. */
    number.bits = rounded(product, shift) + (((uint32_t)exponent(step.bits) - 1 + shift) << 23);
    if (number.bits > NUMBER_INFINITE) number.bits = NUMBER_INFINITE;
    if (!steps) number.bits = 0;
    number.bits |= (uint32_t)steps & NUMBER_SIGN;
    *values++ = number.value;
  }
}
