"""From layers to what the accelerator loads.

Whether it holds them is said in fits.py, room.py and bounds.py, where they lie in placement.py, and what becomes of them in packets.py
and descriptors.py. A layer that is too large is cut by passes.py.
"""
