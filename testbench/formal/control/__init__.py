"""Proofs of what is in `rtl/control`."""
