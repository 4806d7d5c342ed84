"""What `skipgrid bench` measures and `skipgrid fuzz` tries: each output compared with the golden model's."""
