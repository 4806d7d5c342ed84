/* The driver of skipgrid.h. C99 without a library: nothing is called but the five functions of the bus. */
#include "skipgrid.h"

enum { ABSENT, IDLE, RUNNING }; /* of skipgrid.state */

static uint32_t get(const struct skipgrid *core, uint32_t address) { return core->bus->read(core->bus->context, address); }

static void put(const struct skipgrid *core, uint32_t address, uint32_t value) { core->bus->write(core->bus->context, address, value); }

static uint32_t patience(const struct skipgrid *core) { return core->patience ? core->patience : SKIPGRID_PATIENCE; }

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
  if (status & SKIPGRID_STATUS_BUSY_MASK || !(status & (SKIPGRID_STATUS_DONE_MASK | SKIPGRID_STATUS_ERROR_MASK))) return status;
  if (status & SKIPGRID_STATUS_ERROR_MASK) {
    uint32_t error = get(core, SKIPGRID_REG_ERROR);
    uint32_t code = (error & SKIPGRID_ERROR_CODE_MASK) >> SKIPGRID_ERROR_CODE_SHIFT;
    if (code) { /* otherwise a handler has read it in between */
      core->layer = (error & SKIPGRID_ERROR_LAYER_MASK) >> SKIPGRID_ERROR_LAYER_SHIFT;
      core->code = code;
    }
  }
  core->ended = 1;
  put(core, SKIPGRID_REG_CONTROL, SKIPGRID_CONTROL_CLEAR_MASK);
  return status;
}

/* Leaves the core idle and all ways empty. A packet of which the core has taken a part is ended by one word more; what it sends is
   dropped. At the load port that word ends any packet, and the error that it makes is cleared. */
static enum skipgrid_error give_up(struct skipgrid *core, enum skipgrid_port port) {
  static const uint32_t zero = 0;
  const struct skipgrid_words end = {&zero, 1};
  uint32_t polls;
  put(core, SKIPGRID_REG_CONTROL, SKIPGRID_CONTROL_STOP_MASK);
  core->bus->cancel(core->bus->context);
  prepare(core, port, end, NULL, 0);
  for (polls = 0; polls < patience(core); polls++) {
    uint32_t busy = observe(core) & SKIPGRID_STATUS_BUSY_MASK;
    if (port == SKIPGRID_PORT_INPUT ? !busy : core->transfer.in_moved) break;
    if (move(core)) {
      core->bus->cancel(core->bus->context);
      prepare(core, port, end, NULL, 0);
    }
  }
  core->bus->cancel(core->bus->context);
  if (polls == patience(core)) return SKIPGRID_TIMED_OUT;
  if (port == SKIPGRID_PORT_LOAD) core->load_open = 0;
  return SKIPGRID_OK;
}

/* Before something new: BUSY while anything is under way, and an error that nobody has seen yet. */
static enum skipgrid_error enter(struct skipgrid *core) {
  enum skipgrid_error result = SKIPGRID_OK;
  if (core->state == ABSENT) return SKIPGRID_NO_CORE;
  if (core->state == RUNNING || core->inside) return SKIPGRID_BUSY;
  core->inside = 1;
  core->code = core->ended = 0;
  if (observe(core) & SKIPGRID_STATUS_BUSY_MASK) result = SKIPGRID_BUSY;
  else if (core->code) result = (enum skipgrid_error)core->code;
  else if (core->load_open) result = give_up(core, SKIPGRID_PORT_LOAD);
  core->code = core->ended = 0;
  if (result) core->inside = 0;
  return result;
}

enum skipgrid_error skipgrid_probe(struct skipgrid *core, uint32_t config_hash) {
  core->state = ABSENT;
  core->result = SKIPGRID_OK;
  core->received = core->layer = 0;
  core->inside = core->ended = 0;
  core->load_open = 1; /* whoever was here before may have left a packet open */
  if (!core->bus || !core->bus->read || !core->bus->write || !core->bus->move || !core->bus->cancel) return SKIPGRID_BAD_ARGUMENT;
  if (get(core, SKIPGRID_REG_IDENTIFICATION) != SKIPGRID_IDENTIFICATION) return SKIPGRID_NO_CORE;
  if (get(core, SKIPGRID_REG_VERSION) != SKIPGRID_VERSION_WORD) return SKIPGRID_WRONG_VERSION;
  if (config_hash != SKIPGRID_CONFIG_HASH || get(core, SKIPGRID_REG_CONFIG_HASH) != config_hash) return SKIPGRID_WRONG_CONFIG;
  observe(core); /* what happened before is nobody's any more */
  core->state = IDLE;
  return SKIPGRID_OK;
}

static enum skipgrid_error load_packet(struct skipgrid *core, const struct skipgrid_words *packet) {
  struct skipgrid_transfer *transfer = &core->transfer;
  enum skipgrid_error result = SKIPGRID_OK;
  if (!packet->words || !packet->count) return SKIPGRID_BAD_ARGUMENT;
  prepare(core, SKIPGRID_PORT_LOAD, *packet, NULL, 0);
  core->load_open = 1;
  for (;;) {
    uint32_t before = transfer->in_moved;
    if (move(core)) result = SKIPGRID_TRANSFER_FAILED;
    else if (transfer->in_moved == transfer->in_count) break;
    else if (transfer->in_moved != before) core->waited = 0;
    else if (++core->waited >= patience(core)) result = SKIPGRID_TIMED_OUT;
    if (result) {
      give_up(core, SKIPGRID_PORT_LOAD);
      return result;
    }
    if (core->bus->wait) core->bus->wait(core->bus->context);
  }
  core->load_open = 0;
  observe(core);
  return (enum skipgrid_error)core->code;
}

enum skipgrid_error skipgrid_load(struct skipgrid *core, const struct skipgrid_words *packets, uint32_t count) {
  enum skipgrid_error result = count && !packets ? SKIPGRID_BAD_ARGUMENT : enter(core);
  if (result) return result;
  for (; count && !result; count--) result = load_packet(core, packets++);
  core->inside = 0;
  return result;
}

enum skipgrid_error skipgrid_begin(struct skipgrid *core, uint32_t program, struct skipgrid_words input, uint32_t *out, uint32_t room) {
  enum skipgrid_error result = enter(core);
  if (result) {
    if (core->state == IDLE && !core->inside) core->result = result;
    return result;
  }
  core->received = core->layer = 0;
  if (program >= SKIPGRID_LAYERS || (input.count && !input.words) || (room && !out)) result = SKIPGRID_BAD_ARGUMENT;
  if (!result) {
    prepare(core, SKIPGRID_PORT_INPUT, input, out, room);
    put(core, SKIPGRID_REG_PROGRAM, program);
    if (move(core)) { /* a DMA's channels stand ready before the core starts */
      core->bus->cancel(core->bus->context);
      result = SKIPGRID_TRANSFER_FAILED;
    }
  }
  core->result = result;
  if (!result) core->state = RUNNING;
  core->inside = 0;
  if (!result) put(core, SKIPGRID_REG_CONTROL, SKIPGRID_CONTROL_START_MASK); /* last: the run may end in a handler from here on */
  return result;
}

/* One step of a run, and its end. */
static void advance(struct skipgrid *core) {
  const struct skipgrid_transfer *transfer = &core->transfer;
  uint32_t in_before = transfer->in_moved, out_before = transfer->out_moved;
  int wrong = move(core), complete = transfer->in_moved == transfer->in_count && (transfer->out_ended || !transfer->out_room);
  enum skipgrid_error result;
  core->received = transfer->out_moved;
  observe(core);
  result = (enum skipgrid_error)core->code;
  if (wrong) {
    result = SKIPGRID_TRANSFER_FAILED;
  } else if (!result && !(core->ended && complete)) {
    core->waited = transfer->in_moved == in_before && transfer->out_moved == out_before ? core->waited + 1 : 0;
    if (core->waited < patience(core)) return;
    result = SKIPGRID_TIMED_OUT;
  } else if (!result && transfer->out_cut) { /* of another run, so that something is wrong with the way */
    result = SKIPGRID_TRANSFER_FAILED;
  } else if (!result && transfer->out_moved > transfer->out_room) {
    result = SKIPGRID_BUFFER_SMALL;
  }
  if (!core->ended) give_up(core, SKIPGRID_PORT_INPUT);
  else if (result) core->bus->cancel(core->bus->context);
  core->result = result;
  core->state = IDLE;
}

enum skipgrid_error skipgrid_poll(struct skipgrid *core) {
  if (core->state == ABSENT) return SKIPGRID_NO_CORE;
  if (core->inside) return SKIPGRID_BUSY;
  core->inside = 1;
  if (core->state == RUNNING) advance(core);
  core->inside = 0;
  return core->state == RUNNING ? SKIPGRID_BUSY : core->result;
}

enum skipgrid_error skipgrid_wait(struct skipgrid *core) {
  for (;;) {
    enum skipgrid_error result = skipgrid_poll(core);
    if (result != SKIPGRID_BUSY) return result;
    if (core->bus->wait) core->bus->wait(core->bus->context);
  }
}

enum skipgrid_error skipgrid_run(struct skipgrid *core, uint32_t program, struct skipgrid_words input, uint32_t *out, uint32_t room) {
  enum skipgrid_error result = skipgrid_begin(core, program, input, out, room);
  return result ? result : skipgrid_wait(core);
}

enum skipgrid_error skipgrid_stop(struct skipgrid *core) {
  enum skipgrid_error result;
  if (core->state == ABSENT) return SKIPGRID_NO_CORE;
  if (core->inside) return SKIPGRID_BUSY;
  core->inside = 1;
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
  observe(core);
  if (core->inside) return SKIPGRID_BUSY;
  return core->state == RUNNING ? skipgrid_poll(core) : SKIPGRID_UNEXPECTED_INTERRUPT;
}

uint32_t skipgrid_received(const struct skipgrid *core) { return core->received; }

uint32_t skipgrid_error_layer(const struct skipgrid *core) { return core->layer; }

uint32_t skipgrid_register(const struct skipgrid *core, uint32_t address) { return get(core, address); }

/* The run-length code: value (8 bits), quotient in unary (ones, ended by a zero; seven are not ended), remainder (k bits). */

struct bits { /* a stream that is written */
  uint32_t *words;
  uint32_t room, used, word, fill; /* fill: bits of the word that is not written yet */
};

static void put_word(struct bits *bits) {
  if (bits->used < bits->room) bits->words[bits->used] = bits->word;
  bits->used++;
}

static void put_token(struct bits *bits, uint32_t run, uint32_t value, uint32_t k) {
  uint32_t quotient = run >> k, unary = quotient < SKIPGRID_MAX_QUOTIENT ? quotient + 1 : SKIPGRID_MAX_QUOTIENT;
  uint32_t remainder = run & ((1u << k) - 1);
  uint32_t token = value | ((1u << quotient) - 1) << 8 | remainder << (8 + unary);
  uint32_t fill = bits->fill + 8 + unary + k;
  bits->word |= token << bits->fill;
  if (fill >= 32) {
    put_word(bits);
    fill -= 32;
    bits->word = bits->fill ? token >> (32 - bits->fill) : 0;
  }
  bits->fill = fill;
}

enum skipgrid_error skipgrid_encode(const uint8_t *bytes, uint32_t count, uint32_t k, uint32_t *words, uint32_t room, uint32_t *used) {
  struct bits bits;
  uint32_t most, run = 0;
  if (k > SKIPGRID_MAX_K || (count && !bytes) || (room && !words) || !used) return SKIPGRID_BAD_ARGUMENT;
  bits.words = words;
  bits.room = room;
  bits.used = bits.word = bits.fill = 0;
  most = ((SKIPGRID_MAX_QUOTIENT + 1) << k) - 1; /* zeros of one token */
  for (; count; count--, bytes++) {
    if (*bytes) {
      put_token(&bits, run, *bytes, k);
      run = 0;
    } else {
      if (run == most) {
        put_token(&bits, run, 0, k);
        run = 0;
      }
      run++;
    }
  }
  if (run) put_token(&bits, run, 0, k);
  if (bits.fill) put_word(&bits);
  *used = bits.used;
  return bits.used > room ? SKIPGRID_BUFFER_SMALL : SKIPGRID_OK;
}

enum skipgrid_error skipgrid_decode(const uint32_t *words, uint32_t count, uint32_t k, uint8_t *bytes, uint32_t elements) {
  uint32_t at = 0; /* the next bit of the first word */
  if (k > SKIPGRID_MAX_K || (count && !words) || (elements && !bytes)) return SKIPGRID_BAD_ARGUMENT;
  while (elements) {
    uint32_t token, value, quotient = 0, length, run;
    if (!count) return SKIPGRID_CODE_WRONG;
    token = words[0] >> at;
    if (at && count > 1) token |= words[1] << (32 - at);
    value = token & 0xff;
    token >>= 8;
    while (quotient < SKIPGRID_MAX_QUOTIENT && token & 1) {
      quotient++;
      token >>= 1;
    }
    length = 8 + quotient + k;
    if (quotient < SKIPGRID_MAX_QUOTIENT) {
      length++;
      token >>= 1;
    }
    if (count == 1 && at + length > 32) return SKIPGRID_CODE_WRONG; /* the words end inside a token */
    run = (quotient << k) + (token & ((1u << k) - 1));
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

union number {
  float value;
  uint32_t bits;
};

#define NUMBER_SIGN 0x80000000u
#define NUMBER_INFINITE 0x7f800000u

static uint32_t fraction(uint32_t bits) { return (bits & 0x7fffffu) | (bits << 1 >> 24 ? 0x800000u : 0); }

static int32_t exponent(uint32_t bits) { return bits << 1 >> 24 ? (int32_t)(bits << 1 >> 24) : 1; }

/* value / 2^shift, rounded to nearest, ties to even; shift is 1 to 31, or 0. */
static uint32_t rounded(uint32_t value, uint32_t shift) {
  uint32_t whole = value >> shift, rest = value - (whole << shift);
  uint32_t half = shift ? 1u << (shift - 1) : 1;
  return whole + (rest > half || (rest == half && (whole & 1)));
}

/* The least activation's distance to the zero point, 0 to 255. */
static uint32_t below(int32_t zero_point, int is_signed) { return ((uint32_t)zero_point + (is_signed ? 128 : 0)) & 0xff; }

/* |value / scale| as a float32 is rounded, then as an integer: 0 to 256, which is more than any activation. */
static uint32_t steps(uint32_t value, uint32_t scale) {
  uint32_t dividend = fraction(value), divisor = fraction(scale), quotient = 0, bit;
  int32_t power = exponent(value) - exponent(scale);
  if (!dividend || !divisor) return 0;
  for (; !(dividend & 0x800000u); power--) dividend <<= 1;
  for (; !(divisor & 0x800000u); power++) divisor <<= 1;
  if (dividend < divisor) {
    dividend <<= 1;
    power--;
  }
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
  if (dividend > divisor || (dividend == divisor && (quotient & 1))) quotient++;
  return rounded(quotient, (uint32_t)(23 - power));
}

void skipgrid_quantise(const float *values, uint32_t count, float scale, int32_t zero_point, int is_signed, uint8_t *bytes) {
  uint32_t lower = below(zero_point, is_signed), upper = 255 - lower;
  union number number, step;
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
  union number number, step;
  step.value = scale;
  for (; count; count--) {
    uint32_t above = (*bytes++ + lower) & 0xff; /* the least activation */
    uint32_t product = fraction(step.bits) * (above < lower ? lower - above : above - lower), shift = 0, power;
    while (product >> shift > 0xffffffu) shift++;
    power = (uint32_t)exponent(step.bits) - 1 + shift;
    number.bits = rounded(product, shift) + (power << 23); /* the leading one, or a carry, counts the exponent up */
    if (number.bits > NUMBER_INFINITE) number.bits = NUMBER_INFINITE;
    if (!product) number.bits = 0;
    if (above < lower) number.bits |= NUMBER_SIGN;
    *values++ = number.value;
  }
}
