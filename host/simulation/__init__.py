"""Accelerators, boards and units in simulation: their Verilog, compiled by Verilator behind C++, and kept."""
