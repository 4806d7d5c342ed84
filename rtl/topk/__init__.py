"""Top-K units by themselves: of a stream of scores, the k largest."""
