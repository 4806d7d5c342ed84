"""Proofs of what is in `rtl/output`."""
