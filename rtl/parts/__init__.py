"""Parts that others are made of: skid buffers, AXI, the forms that an FPGA's family prefers."""
