"""Max pooling behind the requantiser: each window of the convolution is computed once, however many pools take it."""
