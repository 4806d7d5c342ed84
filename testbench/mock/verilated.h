// What a harness needs of Verilator, for the accelerator beside it.
#pragma once
struct VerilatedContext {};
