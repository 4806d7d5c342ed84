"""The documentation's pages. What `skipgrid generate` writes beside the Verilog has parts of them."""
