// A unit in simulation: the generated Verilog as Verilator compiles it, with its clock. Harnesses begin with it.
#pragma once
#include "Vskipgrid.h"
#include "verilated.h"
#include <cstdint>

struct Unit {
    VerilatedContext context;
    Vskipgrid top{&context};
    uint64_t cycle = 0;

    ~Unit() { top.final(); }

    void clock() {
        top.clk = 1;
        top.eval();
        top.clk = 0;
        top.eval();
        ++cycle;
    }

    // Some cycles in reset; the inputs are those that the harness has set.
    void reset() {
        top.clk = 0;
        top.rst = 1;
        top.eval();
        for (int i = 0; i < 4; ++i) clock();
        top.rst = 0;
        top.eval();
    }
};
