// A thin harness around the expert router: reads and writes its registers, and sends tokens through it while both sides may pause.
#include "unit.h"
#include <random>

constexpr int kStuck = 10000;  // cycles without a word

extern "C" {

Unit* router_new() {
    auto* unit = new Unit;
    unit->reset();
    return unit;
}

void router_delete(Unit* unit) { delete unit; }

// Writes a register and returns the answer's code, or -1 if none comes.
int router_write(Unit* unit, uint32_t address, uint32_t value) {
    auto& top = unit->top;
    top.s_axil_awaddr = address;
    top.s_axil_wdata = value;
    top.s_axil_wstrb = 15;
    top.s_axil_awvalid = top.s_axil_wvalid = top.s_axil_bready = 1;
    for (int i = 0; i < kStuck; ++i) {
        top.eval();
        const bool taken = top.s_axil_awvalid && top.s_axil_awready, answered = top.s_axil_bvalid;
        const int code = top.s_axil_bresp;
        unit->clock();
        if (taken) top.s_axil_awvalid = top.s_axil_wvalid = 0;
        if (answered) return code;
    }
    return -1;
}

// Reads a register into value and returns the answer's code, or -1 if none comes.
int router_read(Unit* unit, uint32_t address, uint32_t* value) {
    auto& top = unit->top;
    top.s_axil_araddr = address;
    top.s_axil_arvalid = top.s_axil_rready = 1;
    for (int i = 0; i < kStuck; ++i) {
        top.eval();
        const bool taken = top.s_axil_arvalid && top.s_axil_arready, answered = top.s_axil_rvalid;
        const int code = top.s_axil_rresp;
        *value = top.s_axil_rdata;
        unit->clock();
        if (taken) top.s_axil_arvalid = 0;
        if (answered) return code;
    }
    return -1;
}

// Sends all words, of which those with bit `in_last` end a token, and takes words until as many tokens have ended in bit `out_last`;
// then watches for `idle` cycles more whether anything else comes. In `pauses` of 256 cycles each side pauses, at random.
// Every word gets the number of the cycle in which it passed. Returns the number of words that came out, at most `room`, or -1 if
// nothing moves any more.
int64_t router_run(Unit* unit, int pressure, const uint64_t* words, uint64_t count, int in_last, int out_last, uint64_t idle, int pauses,
                   uint64_t seed, uint64_t* in_cycles, uint64_t* pairs, uint64_t* out_cycles, uint64_t room) {
    auto& top = unit->top;
    std::mt19937 random(seed);
    uint64_t taken = 0, out = 0, unfinished = 0;
    for (uint64_t i = 0; i < count; ++i) unfinished += words[i] >> in_last & 1;
    top.pressure = pressure;
    top.scores_valid = 0;
    int still = 0;
    while ((unfinished || idle) && out < room) {
        if (!unfinished) --idle;
        else if (++still == kStuck) return -1;
        if (!top.scores_valid) {
            top.scores_valid = taken < count && int(random() & 255) >= pauses;
            if (top.scores_valid) top.scores_payload = words[taken];
        }
        top.pairs_ready = int(random() & 255) >= pauses;
        top.eval();
        const bool in_moves = top.scores_valid && top.scores_ready, out_moves = top.pairs_valid && top.pairs_ready;
        if (in_moves) in_cycles[taken++] = unit->cycle;
        if (out_moves) {
            pairs[out] = top.pairs_payload;
            out_cycles[out] = unit->cycle;
            const bool ends = pairs[out] >> out_last & 1;
            if (ends && unfinished) --unfinished;
            ++out;
        }
        if (in_moves || out_moves) still = 0;
        unit->clock();
        if (in_moves) top.scores_valid = 0;
    }
    top.scores_valid = top.pairs_ready = 0;
    return out;
}
}
