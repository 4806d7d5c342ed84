"""From layers to what the accelerator loads.

A network becomes a `Program` in program.py: its layers are lowered (lowering.py), found to fit (fits.py, buffers.py) and placed
(placement.py), and become load packets (packets.py) and descriptors (descriptors.py). A single layer that is too large is cut by passes.py.
"""
