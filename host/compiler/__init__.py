"""From layers to what the accelerator loads: does it fit, and then weights, channels and a program of descriptors."""
