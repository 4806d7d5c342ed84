"""Proofs of what is in `rtl/parts`."""
