"""Skipgrid, a generator of neural-network accelerators that do no work for zeros.

The parts: `skipgrid.rtl` (the hardware), `skipgrid.golden` (the reference), `skipgrid.host` (models, compiler, devices), `skipgrid.benches`
(what is measured and tried at random), `skipgrid.fpga` (boards), `skipgrid.scripts` (the command line), `skipgrid.models` and
`skipgrid.workloads` (what they are tried on).
"""

__version__ = "0.1.0"
