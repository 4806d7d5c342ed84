"""One file for each board; `skipgrid.fpga.board` finds them."""
