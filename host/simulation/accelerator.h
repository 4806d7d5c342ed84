// The accelerator in simulation: the generated Verilog as Verilator compiles it, with its clock and its waveforms.
#pragma once
#include "Vskipgrid.h"
#include "verilated.h"
#if VM_TRACE_FST
#include "verilated_fst_c.h"
using Trace = VerilatedFstC;
#elif VM_TRACE_VCD
#include "verilated_vcd_c.h"
using Trace = VerilatedVcdC;
#endif
#define TRACES (VM_TRACE_FST || VM_TRACE_VCD)
#include <cstdint>

struct Source {  // an AXI4-Stream that sends packets
    const uint32_t* words = nullptr;
    const uint8_t* last = nullptr;
    uint64_t count = 0, taken = 0;
    bool offers() const { return taken < count; }
};

struct Device {
    VerilatedContext context;
    Vskipgrid top{&context};
    uint64_t cycle = 0;
#if TRACES
    Trace trace;
#endif

    // Takes over what was offered, and lets outputs follow it: two evaluations, one for each edge.
    void clock() {
        edge();
        settle();
    }

    void edge() {
        record();
        top.clk = 1;
        top.eval();
        ++cycle;
#if TRACES
        trace.dump(10 * cycle - 5);
#endif
        top.clk = 0;
    }

    void settle() { top.eval(); }

    // The waveforms' second half of a cycle, as the edge finds it.
    void record() {
#if TRACES
        top.eval();
        trace.dump(10 * cycle);
#endif
    }
};
