"""The C driver: what an integrator's firmware needs to run the accelerator, and the header of each configuration."""
