"""Proofs of what is in `rtl/experts`."""
