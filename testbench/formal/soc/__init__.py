"""Proofs of what is in `fpga/soc`."""
