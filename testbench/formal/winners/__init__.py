"""Proofs of what is in `rtl/winners`."""
