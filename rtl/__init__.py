"""The hardware in Amaranth; the data's way from the input port to the output port is `Accelerator.elaborate`, in accelerator.py.

from skipgrid.rtl.accelerator import Accelerator
from skipgrid.rtl.config import preset
from skipgrid.rtl.verilog import generate_verilog

verilog = generate_verilog(Accelerator(preset("4x32")), "skipgrid")
"""
