// A thin harness around a board's system: shifts bytes through its UART, bit by bit, at the rate of the other side of the line.
#include "unit.h"

namespace {

constexpr uint64_t NEVER = ~0ull;

struct Board : Unit {
    uint64_t last_edge = 0;  // when a byte was last on the line, either way

    // Bytes to the board: the bit that is on the line, and when the next one begins.
    unsigned out_bits = 0;  // stop bit and data that are still to come, lowest first, under a leading one
    double out_next = 0;
    uint64_t out_due = 0;

    // Bytes from the board: bits that have been sampled, under a leading one.
    unsigned in_bits = 0;
    double in_next = 0;
    uint64_t in_due = NEVER;
};

}  // namespace

extern "C" {

Board* board_new() {
    auto* b = new Board;
    b->top.rx = 1;
    b->reset();
    return b;
}

void board_delete(Board* b) { delete b; }

uint64_t board_cycle(const Board* b) { return b->cycle; }

// Cycles since a byte was last on the line.
uint64_t board_quiet(const Board* b) { return b->cycle - b->last_edge; }

// LEDs: ready, busy, error from the lowest bit up.
int board_lights(const Board* b) { return b->top.ready | b->top.busy << 1 | b->top.error << 2; }

// Runs for some cycles, or, if until_zero, to the end of the first zero byte from the board. `clocks` is a bit's time on the other side.
// in: bytes to the board, of which *taken were begun. out: bytes from the board, at most `capacity`; *count is how many.
void board_run(Board* b, uint64_t cycles, double clocks, const uint8_t* in, uint64_t in_count, uint64_t* taken, uint8_t* out,
               uint64_t capacity, uint64_t* count, int until_zero) {
    const uint64_t end = b->cycle + cycles;
    uint64_t sent = 0, received = 0;
    while (b->cycle < end && received < capacity) {
        if (b->cycle >= b->out_due) {
            if (b->out_bits > 1) {
                b->top.rx = b->out_bits & 1;
                b->out_bits >>= 1;
            } else if (sent < in_count) {
                b->out_bits = in[sent++] | 3u << 8;  // stop bit, and the leading one
                b->top.rx = 0;
                if (b->out_next + clocks < b->cycle) b->out_next = b->cycle;
            }
            if (b->out_bits) {
                b->out_next += clocks;
                b->out_due = uint64_t(b->out_next);
                b->last_edge = b->cycle;
                if (b->out_bits == 1) b->out_bits = 0;  // the stop bit is on the line now
            }
        }
        b->clock();
        if (b->in_due == NEVER) {
            if (!b->top.tx) {
                b->in_bits = 1;
                b->in_next = double(b->cycle) + 1.5 * clocks;
                b->in_due = uint64_t(b->in_next);
            }
        } else if (b->cycle >= b->in_due) {
            if (b->in_bits >= 1u << 8) {  // in the middle of the stop bit
                b->in_due = NEVER;
                b->last_edge = b->cycle;
                uint8_t byte = 0;
                for (int bit = 0; bit < 8; ++bit) byte |= (b->in_bits >> (7 - bit) & 1) << bit;
                out[received++] = byte;
                if (until_zero && !byte) break;
            } else {
                b->in_bits = b->in_bits << 1 | b->top.tx;
                b->in_next += clocks;
                b->in_due = uint64_t(b->in_next);
            }
        }
    }
    *taken = sent;
    *count = received;
}

}  // extern "C"
