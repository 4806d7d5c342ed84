"""The accelerator in a LiteX SoC: `add_skipgrid` in soc.py adds it to one."""
