"""The grid: units of work become ranges of entries, and these become sums in the rows' lanes."""
