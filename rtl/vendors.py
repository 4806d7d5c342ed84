"""Which FPGA a design is made for: components that have a form of their own on some of them ask here.

Every such component has a generic form, for simulation, for Verilog, and for all other FPGAs; `platform` is None for the first two.
"""


def is_ultraplus(platform: object) -> bool:
    """Lattice iCE40 UltraPlus, the iCE40 that has SPRAMs and multipliers."""
    from amaranth.vendor import SiliconBluePlatform  # noqa: PLC0415 -- needed where there is a platform only

    return isinstance(platform, SiliconBluePlatform) and platform.device.startswith("iCE40UP")


def is_ecp5(platform: object) -> bool:
    """Lattice ECP5."""
    from amaranth.vendor import LatticePlatform  # noqa: PLC0415

    return isinstance(platform, LatticePlatform) and platform.family == "ecp5"
