// A thin harness around the generated accelerator: moves whole buffers through its ports, cycle by cycle.
#include "accelerator.h"
#include "chaos.h"

namespace {

void offer(Device& d, const Source& load, const Source& in) {
    d.top.s_axis_load_tvalid = load.offers();
    if (load.offers()) {
        d.top.s_axis_load_tdata = load.words[load.taken];
        d.top.s_axis_load_tlast = load.last[load.taken];
    }
    d.top.s_axis_in_tvalid = in.offers();
    if (in.offers()) {
        d.top.s_axis_in_tdata = in.words[in.taken];
        d.top.s_axis_in_tlast = in.last[in.taken];
    }
}

}  // namespace

extern "C" {

Device* skipgrid_new(const char* trace_file) {
    auto* d = new Device;
#if TRACES
    d->context.traceEverOn(true);
    d->top.trace(&d->trace, 99);
    d->trace.open(trace_file);
#else
    (void)trace_file;
#endif
    d->top.clk = 0;
    d->top.rst = 1;
    d->top.eval();
    for (int i = 0; i < 4; ++i) d->clock();
    d->top.rst = 0;
    d->top.eval();
    return d;
}

void skipgrid_delete(Device* d) {
    d->record();
    d->top.final();
#if TRACES
    d->trace.close();
#endif
    delete d;
}

uint64_t skipgrid_cycle(const Device* d) { return d->cycle; }

// Registers: 0 for OKAY, the response otherwise, -1 if there is no answer.
int skipgrid_write(Device* d, uint32_t address, uint32_t value) {
    d->top.s_axil_awaddr = address;
    d->top.s_axil_wdata = value;
    d->top.s_axil_wstrb = 15;
    d->top.s_axil_awvalid = d->top.s_axil_wvalid = d->top.s_axil_bready = 1;
    d->top.eval();
    for (int i = 0; i < 1000; ++i) {
        const bool taken = d->top.s_axil_awready && d->top.s_axil_wready;
        d->clock();
        if (taken) {
            d->top.s_axil_awvalid = d->top.s_axil_wvalid = 0;
            d->top.eval();
        }
        if (d->top.s_axil_bvalid) return d->top.s_axil_bresp;
    }
    return -1;
}

int skipgrid_read(Device* d, uint32_t address, uint32_t* value) {
    d->top.s_axil_araddr = address;
    d->top.s_axil_arvalid = d->top.s_axil_rready = 1;
    d->top.eval();
    for (int i = 0; i < 1000; ++i) {
        const bool taken = d->top.s_axil_arready;
        d->clock();
        if (taken) {
            d->top.s_axil_arvalid = 0;
            d->top.eval();
        }
        if (d->top.s_axil_rvalid) {
            *value = d->top.s_axil_rdata;
            const int response = d->top.s_axil_rresp;
            d->clock();
            return response;
        }
    }
    return -1;
}

// Sends words to the load and input streams and takes output words until all load words are taken and, if until_irq,
// the run has ended. Returns 0, or 1 if nothing moved for idle_limit cycles, or 2 if the output buffer is full.
int skipgrid_run(Device* d, const uint32_t* load_words, const uint8_t* load_last, uint64_t load_count, const uint32_t* in_words,
                 const uint8_t* in_last, uint64_t in_count, uint32_t* out_words, uint8_t* out_last, uint64_t out_capacity,
                 int until_irq, uint64_t idle_limit, uint64_t* in_taken, uint64_t* out_count) {
    Source load{load_words, load_last, load_count}, in{in_words, in_last, in_count};
    uint64_t out = 0, idle = 0;
    int status = 0;
    d->top.m_axis_out_tready = 1;
    for (;;) {
        offer(*d, load, in);
        d->settle();
        const bool load_moves = load.offers() && d->top.s_axis_load_tready;
        const bool in_moves = in.offers() && d->top.s_axis_in_tready;
        const bool out_moves = d->top.m_axis_out_tvalid;
        if (!load.offers() && !out_moves && (!until_irq || d->top.irq)) break;
        if (out_moves) {
            if (out == out_capacity) {
                status = 2;
                break;
            }
            out_words[out] = d->top.m_axis_out_tdata;
            out_last[out] = d->top.m_axis_out_tlast | d->top.m_axis_out_tuser << 1;
            ++out;
        }
        d->edge();
        load.taken += load_moves;
        in.taken += in_moves;
        idle = load_moves || in_moves || out_moves ? 0 : idle + 1;
        if (idle > idle_limit) {
            status = 1;
            break;
        }
    }
    d->top.m_axis_out_tready = 0;
    d->top.s_axis_in_tvalid = d->top.s_axis_load_tvalid = 0;
    d->top.eval();
    *in_taken = in.taken;
    *out_count = out;
    return status;
}

// The same, with the ports stalled and disturbed (see chaos.h), and with the start of a run where `start` is 1. Returns an `Ended`.
int skipgrid_chaos(Device* d, const Chaos* chaos, const uint32_t* load_words, const uint8_t* load_last, uint64_t load_count,
                   const uint32_t* in_words, const uint8_t* in_last, uint64_t in_count, uint32_t* out_words, uint8_t* out_flags,
                   uint64_t out_capacity, int start, uint64_t* out_count) {
    Disturbed run(*d, *chaos, {load_words, load_last, load_count}, {in_words, in_last, in_count}, {out_words, out_flags, out_capacity});
    const Ended ended = run.run(start);
    *out_count = run.sink.count;
    return ended;
}

}  // extern "C"
