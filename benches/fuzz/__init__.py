"""Trials: random networks on accelerators that are disturbed in every way, each output compared with the golden model's."""
