"""Skipgrid, a generator of neural-network accelerators that do no work for zeros.

The parts: `skipgrid.rtl` (the hardware), `skipgrid.golden` (what it computes), `skipgrid.host` (models, compiler, devices), `skipgrid.fpga`
(boards), `skipgrid.benches` (what is measured, and tried at random), `skipgrid.reference` (pages and the files beside generated Verilog),
`skipgrid.scripts` (the command line), `skipgrid.models` and `skipgrid.workloads` (what they are tried on).
"""

__version__ = "0.1.0"
