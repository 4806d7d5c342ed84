"""What describes the hardware to those who use it: tables, pages, pictures, and the files beside generated Verilog."""
