"""Bounded proofs of the components, in the folders of `rtl`: what is proved stands in one file for each component."""
