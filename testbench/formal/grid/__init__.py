"""Proofs of what is in `rtl/grid`."""
