"""Proofs of what is in `rtl/topk`."""
