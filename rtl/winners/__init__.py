"""Winners: the k largest of a tensor, or of each of its pixels."""
