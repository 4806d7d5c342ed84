"""The input: words become tokens, and tokens become entries of the activation buffers."""
