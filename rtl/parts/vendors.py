"""Which FPGA a design is made for: components that have a form of their own on some of them ask here.

Every such component has a generic form, for simulation and for all other FPGAs; `platform` is None for the first.
"""

FORMS = ("generic", "ice40", "ecp5")
"""What Verilog can be made for, besides a board: the families with forms of their own are iCE40 UltraPlus and ECP5."""


def find_platform(form: str) -> object:
    """A platform without pins, from which components take the forms of a family; ValueError names those that exist."""
    from amaranth.vendor import LatticePlatform, SiliconBluePlatform  # noqa: PLC0415 -- needed where there is a platform only

    class Ice40(SiliconBluePlatform):
        device, package, resources, connectors = "iCE40UP5K", "SG48", (), ()

    class Ecp5(LatticePlatform):
        device, package, speed, resources, connectors = "LFE5U-85F", "BG381", "6", (), ()

    if form not in FORMS:
        raise ValueError(f"there is no form for {form!r}; there are {', '.join(FORMS)}, the first of which is for all other FPGAs")
    return None if form == "generic" else Ice40() if form == "ice40" else Ecp5()


def is_ultraplus(platform: object) -> bool:
    """Lattice iCE40 UltraPlus, the iCE40 that has SPRAMs and multipliers."""
    from amaranth.vendor import SiliconBluePlatform  # noqa: PLC0415 -- needed where there is a platform only

    return isinstance(platform, SiliconBluePlatform) and platform.device.startswith("iCE40UP")


def is_ecp5(platform: object) -> bool:
    """Lattice ECP5."""
    from amaranth.vendor import LatticePlatform  # noqa: PLC0415

    return isinstance(platform, LatticePlatform) and platform.family == "ecp5"
