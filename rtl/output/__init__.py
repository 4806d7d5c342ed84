"""The output: sums are drained in order, requantised, and become tokens and words again."""
