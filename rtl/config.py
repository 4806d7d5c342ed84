"""The one configuration: everything that is generated follows from it, and nothing else repeats a constant."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

MAX_QUOTIENT = 7  # ones of the unary part; that many are not ended by a zero
MAX_REMAINDER = 7  # bits of the remainder: k is 0...7
MAX_RUN = (MAX_QUOTIENT << MAX_REMAINDER) + (1 << MAX_REMAINDER) - 1  # zeros one token can stand for


def _power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


class Form(StrEnum):
    """How the parts around the grid are built.

    SERIAL: they work bit by bit, or element by element: they take less than half the logic, and more cycles, most where a layer has few
        multiplications for each input and output. With one row, whose drain looks at a lane at a time (scan is 1).
    PARALLEL: each takes an element or a word a cycle, and has few registers on its way, for few cycles from end to end.
    SPREAD: likewise, and the rows lie far from what they share, as on a large FPGA: registers on these ways, and behind the activation
        buffer, keep the clock up, and a unit takes a few cycles more from end to end. With 2 rows or more.
    """

    SERIAL = "serial"
    PARALLEL = "parallel"
    SPREAD = "spread"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Parameters of one accelerator.

    name: the preset's name.
    rows: PE rows, each working on its own window: 1, or an even number (two rows share a weight memory), at most 16.
    lanes: PE columns, each computing one output channel at a time: a power of two, 4...256.
    weights: int8 weights held a lane: a power of two, 256...32,768.
    entries: nonzero activations held on chip, by both activation buffers together: a power of two, 256...65,536.
    pixels: pixel pointers held, by both activation buffers together: a power of two, 64...65,536.
    features: the longest feature-map row, in columns x channels: a power of two, 64...65,536.
    side: the most rows or columns of a feature map, which with its padding has less than twice as many: a power of two,
        16...16,384.
    channels: output channels whose bias, scale and bounds are held, over all resident layers: a multiple of lanes.
    layers: layer descriptors held: a power of two, 2...256.
    scan: accumulators that the drain looks at in one cycle: a power of two, 1...lanes.
    sums: units whose sums a row may hold until their turn to be drained comes: 1 (they stay in the PEs' shadows), or a
        power of two up to 16 (in a small memory, so that rows with little work do not wait for one with much).
    ranges_ahead: ranges of entries that a row finds ahead besides the first four, 0...12: with few, rows wait where windows hold little.
    survivors: accumulators that the drain passes on in one cycle, 1 or 2, and results, tokens and entries with them: 2 need a second
        requantiser. 1 where the form is serial.
    pointers: pixel pointers that an activation writer stores in one cycle: 1, 2 or 4. 1 where the form is serial.
    form: how the parts around the grid are built: serial, bit by bit, for the least logic; parallel, for the fewest cycles; spread, with
        registers on the ways of a large FPGA, for its clock.
    soft_lanes: lanes whose multipliers are made of look-up tables, for FPGAs with fewer multipliers than PEs: the last ones of each
        row, 0 where the form is serial.
    winners: the unit is built that lets a layer's output keep its k largest elements only; of those that are not zero so many wait in its
        memory, all of the output at most: a power of two, 64...65,536; 0 for none.
    pixel_winners: likewise the unit that lets each pixel keep its k largest channels only, with so many compare cells: k is 1...64 at
        most; 0 for none.
    pool_elements: the unit is built that pools a layer's output behind the requantiser, up to 3 x 3, so that no window is computed for two
        pools: a row that it stores has fewer elements, and a pixel fewer than a quarter of them, where survivors is 2 with 7
        more for each of its pixels: a power of two, 64...65,536; 0 for none. Not where the form is serial.
    functions: tables held, of what becomes of each of 256 values, for layers with a function behind their requantisation: a power of two,
        1...64; 0 for none.
    slots: weight lists are built, by which a lane skips weights that are zero as well, and computes up to so many output channels at
        once: 8 or 16; 0 for none. There are as many lists as weights a lane. Not where the form is serial, nor where scan is 1.
    wide_program: a descriptor is fetched four words a cycle, which takes more memory blocks, and some 15 cycles less for each layer.
    experts, experts_chosen: a router is built that chooses up to `experts_chosen` of `experts` for each input of a layer, whose other
        experts are skipped: 2...64, and 1...8 of them; 0 and 0 for none. Not where the form is serial.
    """

    name: str = "custom"
    rows: int = 4
    lanes: int = 32
    weights: int = 8192
    entries: int = 32768
    pixels: int = 4096
    features: int = 8192
    side: int = 256
    channels: int = 2048
    layers: int = 16
    scan: int = 16
    sums: int = 16
    ranges_ahead: int = 4
    survivors: int = 1
    pointers: int = 1
    form: Form = Form.PARALLEL
    soft_lanes: int = 0
    winners: int = 0
    pixel_winners: int = 0
    pool_elements: int = 0
    functions: int = 0
    slots: int = 0
    wide_program: bool = False
    experts: int = 0
    experts_chosen: int = 0

    def __post_init__(self) -> None:
        sizes = (
            *("rows", "lanes", "weights", "entries", "pixels", "features", "side", "channels", "layers"),
            *("scan", "sums", "ranges_ahead", "survivors", "pointers", "soft_lanes"),
            *("winners", "pixel_winners", "pool_elements", "functions", "slots", "experts", "experts_chosen"),
        )
        for item in sizes:
            value = getattr(self, item)
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{item} must be an integer, not {value!r}")
        if not (self.rows == 1 or (self.rows % 2 == 0 and 2 <= self.rows <= 16)):
            raise ValueError(f"rows must be 1 or an even number up to 16 (two rows share a weight memory), not {self.rows}")
        for item, low, high in (
            ("lanes", 4, 256),
            ("weights", 256, 32768),
            ("entries", 256, 65536),
            ("pixels", 64, 65536),
            ("features", 64, 65536),
            ("side", 16, 16384),
            ("layers", 2, 256),
            ("sums", 1, 16),
        ):
            value = getattr(self, item)
            if not (_power_of_two(value) and low <= value <= high):
                raise ValueError(f"{item} must be a power of two from {low} to {high}, not {value}")
        if not (_power_of_two(self.scan) and self.scan <= self.lanes):
            raise ValueError(f"scan must be a power of two up to lanes ({self.lanes}), not {self.scan}")
        if self.form not in tuple(Form):
            raise ValueError(f"form must be one of {', '.join(Form)}, not {self.form!r}")
        if not isinstance(self.wide_program, bool):
            raise TypeError(f"wide_program must be True or False, not {self.wide_program!r}")
        if self.spread and self.rows == 1:
            raise ValueError("rows must be 2 or more where the form is spread, not 1")
        if not 0 <= self.ranges_ahead <= 12:
            raise ValueError(f"ranges_ahead must be from 0 to 12, not {self.ranges_ahead}")
        for item, choices in (("survivors", (1, 2)), ("pointers", (1, 2, 4))):
            if getattr(self, item) not in choices:
                raise ValueError(f"{item} must be {' or '.join(map(str, choices))}, not {getattr(self, item)}")
        if self.survivors > self.scan:
            raise ValueError(f"survivors must be at most scan ({self.scan}), not {self.survivors}")
        for item in ("rows", "scan", "survivors", "pointers"):
            if self.serial and getattr(self, item) != 1:
                raise ValueError(f"{item} must be 1 where the form is serial, not {getattr(self, item)}")
        if not 0 <= self.soft_lanes <= (0 if self.serial else self.lanes):
            raise ValueError(f"soft_lanes must be from 0 to lanes ({self.lanes}), and 0 where the form is serial, not {self.soft_lanes}")
        if self.winners and not (_power_of_two(self.winners) and 64 <= self.winners <= 65536):
            raise ValueError(f"winners must be a power of two from 64 to 65536, or 0 for none, not {self.winners}")
        if not 0 <= self.pixel_winners <= 64:
            raise ValueError(f"pixel_winners must be from 1 to 64, or 0 for none, not {self.pixel_winners}")
        if self.pool_elements and not (_power_of_two(self.pool_elements) and 64 <= self.pool_elements <= 65536):
            raise ValueError(f"pool_elements must be a power of two from 64 to 65536, or 0 for none, not {self.pool_elements}")
        if self.pool_elements and self.serial:
            raise ValueError(f"pool_elements must be 0 where the form is serial, not {self.pool_elements}")
        if self.functions and not (_power_of_two(self.functions) and self.functions <= 64):
            raise ValueError(f"functions must be a power of two from 1 to 64, or 0 for none, not {self.functions}")
        if self.slots not in (0, 8, 16):
            raise ValueError(f"slots must be 8 or 16, or 0 for none, not {self.slots}")
        if self.slots and (self.serial or self.scan == 1):
            raise ValueError(f"slots must be 0 where the form is serial, or scan is 1, not {self.slots}")
        if self.experts and not 2 <= self.experts <= 64:
            raise ValueError(f"experts must be from 2 to 64, or 0 for none, not {self.experts}")
        if self.experts and self.serial:
            raise ValueError(f"experts must be 0 where the form is serial, not {self.experts}")
        if not min(1, self.experts) <= self.experts_chosen <= min(8, self.experts):
            least, most = min(1, self.experts), min(8, self.experts)
            raise ValueError(f"experts_chosen must be from {least} to {most} of {self.experts} experts, not {self.experts_chosen}")
        if not (self.channels > 0 and self.channels % self.lanes == 0 and self.channels <= 65536):
            raise ValueError(f"channels must be a multiple of lanes ({self.lanes}) up to 65,536, not {self.channels}")

    @property
    def serial(self) -> bool:
        """Whether the parts around the grid work bit by bit."""
        return self.form == Form.SERIAL

    @property
    def parallel(self) -> bool:
        """Whether ways are short in cycles."""
        return self.form == Form.PARALLEL

    @property
    def spread(self) -> bool:
        """Whether there are registers on the rows' ways."""
        return self.form == Form.SPREAD

    @property
    def some_winners(self) -> bool:
        """Whether a unit that chooses winners is built."""
        return self.winners > 0 or self.pixel_winners > 0

    @property
    def overlaps(self) -> bool:
        """Whether a layer may begin while the winners of the one before are still being stored."""
        return self.winners > 0 and not self.serial

    @property
    def pool_channels(self) -> int:
        """The channels of a pixel that the pooling unit pools are fewer."""
        return self.pool_elements // 4

    @property
    def pool_word(self) -> int:
        """Neighbouring channels of a pixel that the pooling unit takes in one cycle."""
        return 8 if self.survivors > 1 else 1

    @property
    def weight_ports(self) -> int:
        """Rows that share one weight memory."""
        return min(self.rows, 2)

    @property
    def index_bits(self) -> int:
        """Width of the number of a slot."""
        return max(1, (self.slots - 1).bit_length())

    @property
    def count_bits(self) -> int:
        """Width of a number of slots, and of words in a list."""
        return self.slots.bit_length()

    @property
    def weight_copies(self) -> int:
        """Copies of the weights: one a row pair."""
        return self.rows // self.weight_ports

    @property
    def weight_bits(self) -> int:
        """Width of a weight address."""
        return (self.weights - 1).bit_length()

    @property
    def entry_bits(self) -> int:
        """Width of an entry's index; a pointer has one bit more, for the end of a full buffer."""
        return (self.entries - 1).bit_length()

    @property
    def pixel_bits(self) -> int:
        """Width of a pixel's index."""
        return (self.pixels - 1).bit_length()

    @property
    def feature_bits(self) -> int:
        """Width of f, the index within a feature-map row."""
        return (self.features - 1).bit_length()

    @property
    def coordinate_bits(self) -> int:
        """Width of an unsigned row or column number, with room for a padded one; signed ones have one bit more."""
        return self.side.bit_length()

    @property
    def element_bits(self) -> int:
        """Width of the number of a tensor's elements."""
        return self.pixel_bits + self.features.bit_length()

    @property
    def channel_bits(self) -> int:
        """Width of the index of a channel's parameters."""
        return (self.channels - 1).bit_length()

    @property
    def words_fetched(self) -> int:
        """Words of a descriptor that are fetched in a cycle."""
        return 4 if self.wide_program else 1

    @property
    def slices(self) -> int:
        """Cycles that the drain takes to look at all lanes of a row."""
        return self.lanes // self.scan

    @property
    def pes(self) -> int:
        """Processing elements, each of which multiplies once a cycle."""
        return self.rows * self.lanes

    @property
    def zeros_at_once(self) -> int:
        """Zeros that the two activation writers can pass in one cycle: runs of a loaded token and of survivors, or one where serial."""
        return 1 if self.serial else (1 + self.survivors) * MAX_RUN

    @property
    def hash(self) -> int:
        """32 bits that tell two configurations apart, in the register CONFIG_HASH. What is not built (0, False) does not count."""
        values = {key: value for key, value in asdict(self).items() if key != "name" and value}
        return int.from_bytes(hashlib.sha256(json.dumps(values, sort_keys=True).encode()).digest()[:4], "little")

    def replaced(self, **changes: object) -> "Config":
        """A copy with some parameters changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


_BUILT: dict[str, Any] = {"pool_elements": 8192, "functions": 8, "slots": 16, "wide_program": True}  # in each preset
PRESETS = {
    config.name: config
    for config in (
        Config(name="1x8", rows=1, lanes=8, weights=16384, scan=4, sums=4, pointers=4, **_BUILT),
        Config(name="2x16", rows=2, lanes=16, weights=8192, scan=8, survivors=2, pointers=4, **_BUILT),
        Config(name="4x32", rows=4, lanes=32, weights=8192, scan=32, survivors=2, pointers=4, **_BUILT),
        Config(name="2x64", rows=2, lanes=64, weights=4096, scan=64, survivors=2, pointers=4, **_BUILT),
    )
}


def preset(name: str) -> Config:
    """The preset of that name; ValueError names those that exist."""
    if name not in PRESETS:
        raise ValueError(f"there is no preset {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]
