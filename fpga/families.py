"""How each family of FPGAs is synthesised, placed and packed, and how its tools' reports are read."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

NAME = "top"  # of the top module, and of the files of one build


@dataclass(frozen=True)
class Area:
    """What was placed: LUT4s, flip-flops, multipliers, block RAMs, single-port RAMs, and logic cells (iCE40: a LUT and a flip-flop)."""

    lut: int
    ff: int
    dsp: int
    bram: int
    spram: int
    lc: int


class Family(ABC):
    """A family of FPGAs.

    title: for people. synthesis: the yosys commands. constraints: ending of the file that amaranth-boards writes pins into.
    placer: nextpnr's name. packer: what makes the bitstream, with its ending `bitstream`.
    reference: the board whose FPGA stands for the family where no board is named.
    """

    title: str
    synthesis: str
    constraints: str
    placer: str
    packer: str
    placed: str  # ending of the placer's result
    bitstream: str
    reference: str

    @abstractmethod
    def device(self, platform: Any) -> list[str]:
        """nextpnr's options for the platform's FPGA."""

    @abstractmethod
    def files(self, placed: str) -> list[str]:
        """nextpnr's options for the constraints, and the file with the result."""

    @abstractmethod
    def pack(self, platform: Any, placed: str, bitstream: str) -> list[str]:
        """The packer's arguments."""

    @abstractmethod
    def area(self, used: dict[str, int], log: str) -> Area:
        """The area, from nextpnr's counts of cells and its log."""


class Ice40(Family):
    """Lattice iCE40 UltraPlus."""

    title = "iCE40UP5K"
    synthesis = f"synth_ice40 -device u -dsp -spram -top {NAME}"
    constraints, placer, packer, placed, bitstream = "pcf", "nextpnr-ice40", "icepack", "asc", "bin"
    reference = "icebreaker"
    PACKED = re.compile(r"Info:\s+(\d+) LCs used as (.+)")

    def device(self, platform: Any) -> list[str]:
        return [{"iCE40UP5K": "--up5k"}[platform.device], "--package", platform.package.lower()]

    def files(self, placed: str) -> list[str]:
        return ["--pcf", f"{NAME}.pcf", "--asc", placed]

    def pack(self, platform: Any, placed: str, bitstream: str) -> list[str]:
        return [placed, bitstream]

    def area(self, used: dict[str, int], log: str) -> Area:
        cells = {kind.strip(): int(count) for count, kind in self.PACKED.findall(log)}
        both = cells.get("LUT4 and DFF", 0)
        return Area(
            lut=cells.get("LUT4 only", 0) + both,
            ff=cells.get("DFF only", 0) + both,
            dsp=used["ICESTORM_DSP"],
            bram=used["ICESTORM_RAM"],
            spram=used["ICESTORM_SPRAM"],
            lc=used["ICESTORM_LC"],
        )


class Ecp5(Family):
    """Lattice ECP5."""

    title = "ECP5"
    # Names that nothing needs are purged before mapping: with some, yosys 0.70 cannot put what ABC mapped back into the design.
    synthesis = f"synth_ecp5 -top {NAME} -run begin:map_luts; opt_clean -purge; synth_ecp5 -top {NAME} -run map_luts:"
    constraints, placer, packer, placed, bitstream = "lpf", "nextpnr-ecp5", "ecppack", "config", "bit"
    reference = "ulx3s-85f"

    def device(self, platform: Any) -> list[str]:
        size = platform.device.removeprefix("LFE5U-").removesuffix("F").lower()
        # nextpnr's own choice takes hours over the last nets of a full one; router2 rips nets up for the clock only if told to.
        router = ["--router", "router2", "--tmg-ripup"] if size == "85" else []
        return [f"--{size}k", "--package", platform.package.replace("BG", "CABGA"), "--speed", platform.speed, *router]

    def files(self, placed: str) -> list[str]:
        return ["--lpf", f"{NAME}.lpf", "--textcfg", placed]

    def pack(self, platform: Any, placed: str, bitstream: str) -> list[str]:
        return ["--compress", "--input", placed, "--bit", bitstream]

    def area(self, used: dict[str, int], log: str) -> Area:
        lut = used["TRELLIS_COMB"]
        return Area(lut=lut, ff=used["TRELLIS_FF"], dsp=used["MULT18X18D"], bram=used["DP16KD"], spram=0, lc=lut)


class Gowin(Family):
    """Gowin LittleBee."""

    title = "GW1NR-9C"
    synthesis = f"synth_gowin -family gw1n -nowidelut -top {NAME}"  # wide multiplexers took three times the LUTs
    constraints, placer, packer, placed, bitstream = "cst", "nextpnr-gowin", "gowin_pack", "json", "fs"
    reference = "tang-nano-9k"

    def _die(self, platform: Any) -> str:
        return platform.family.replace("GW1NR", "GW1N")  # R: with memory in the package

    def device(self, platform: Any) -> list[str]:
        return ["--device", platform.part, "--vopt", f"family={self._die(platform)}"]

    def files(self, placed: str) -> list[str]:
        return ["--vopt", f"cst={NAME}.cst", "--write", placed]

    def pack(self, platform: Any, placed: str, bitstream: str) -> list[str]:
        # The pins of the configuration memory are free once the FPGA is configured.
        return ["-d", self._die(platform), "--sspi_as_gpio", "--mspi_as_gpio", "-o", bitstream, placed]

    def area(self, used: dict[str, int], log: str) -> Area:
        lut = used["LUT4"]  # carries and distributed memory among them
        multipliers = sum(count for name, count in used.items() if name.startswith("MULT"))
        return Area(lut=lut, ff=used["DFF"], dsp=multipliers, bram=used["BSRAM"], spram=0, lc=lut)


FAMILIES: dict[str, Family] = {"ice40": Ice40(), "ecp5": Ecp5(), "gowin": Gowin()}


def find_family(name: str) -> Family:
    """The family of that name; ValueError names those that exist."""
    if name not in FAMILIES:
        raise ValueError(f"there is no family {name!r}; there are {', '.join(FAMILIES)}")
    return FAMILIES[name]
