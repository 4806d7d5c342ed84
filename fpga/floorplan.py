"""Where on the die the multipliers and block RAMs of a large grid go: side by side, in the order of their lanes.

They lie in lines across the die, in groups of four. nextpnr's placer, left alone, scatters them; then a lane's multiplier and its weights
are far apart, and its other cells cannot be near both.
"""

from collections.abc import Iterable

# The columns at which the groups of an LFE5U-85F begin, left and right of its middle.
LEFT, RIGHT = (4, 13, 22, 31, 40, 49, 58), (69, 78, 87, 96, 105, 114)
MULTIPLIERS = (10, 34, 58)  # their lines, from above
BLOCKS = (22, 46, 70, 82)


def multipliers(columns: Iterable[int], line: int) -> list[str]:
    """The places of the MULT18X18D in groups of a line."""
    return [f"X{column + place}/Y{line}/MULT18_{place}" for column in columns for place in (0, 1, 4, 5)]


def blocks(columns: Iterable[int], line: int) -> list[str]:
    """The places of the DP16KD in groups of a line."""
    return [f"X{column + 2 * place}/Y{line}/EBR{place}" for column in columns for place in range(4)]


def grid_of_128(*, lists: bool = False) -> dict[str, str]:
    """The places of 4 rows of 32 lanes, with 4,096 weights each, 8,192 entries and 512 channels, on an LFE5U-85F; by their cells' names.

    Each pair of rows has half of the die, with the weights that both multiply between its multipliers. Entries and pointers of a row lie
    in the line through the middle, and at the centre what all rows share, with the requantiser's multipliers.

    lists: half of a lane's weights give their places to the lists' indices, of two lanes in one block.
    """
    above, upper, lower, edge = BLOCKS
    halves = (
        # Columns of multipliers; places of weights.
        (LEFT[1:], [*blocks(LEFT[:5], above), *blocks(LEFT[:1], lower), *blocks(LEFT[2:6], edge), *blocks(LEFT[1:], lower)]),
        (
            RIGHT,
            [
                *blocks(RIGHT[2:], above),
                *blocks(RIGHT[:1], edge),
                *blocks(RIGHT[5:], edge),
                *blocks(RIGHT[1:5], edge),
                *blocks(RIGHT, lower),
            ],
        ),
    )
    plan: dict[str, str] = {}
    for pair, (columns, weights) in enumerate(halves):
        top, middle, bottom = MULTIPLIERS
        free = iter([*multipliers(columns, top), *multipliers(columns[1:5], middle), *multipliers(columns, bottom)])
        stored = iter(weights)
        for lane in range(32):
            for row in (2 * pair, 2 * pair + 1):
                plan[f"system.accelerator.grid.row{row}.lane{lane}.multiplier.mult"] = next(free)
            places = next(stored), next(stored)
            of_lane = [f"weights{pair}.lanes{lane // 4 * 4}.block{8 * (lane % 4) + half}" for half in ((0,) if lists else (0, 4))]
            if lists and lane % 2 == 0:
                of_lane.append(f"indices{pair}.lanes{lane // 8 * 8}.block{8 * (lane % 8 // 2)}")
            plan |= zip((f"system.accelerator.grid.{block}" for block in of_lane), places, strict=False)
    for row, groups in enumerate((LEFT[:3], LEFT[3:6], RIGHT[:3], RIGHT[3:])):
        banks = [*(f"entries{row}.bank0.0.{number}" for number in range(10)), f"starts{row}.bank0.0.0", f"ends{row}.bank0.0.0"]
        plan |= zip((f"system.accelerator.input.memory.{name}" for name in banks), blocks(groups, upper), strict=True)
    shared = ["control.sequencer.program*.0.0", *(f"output.requantiser0.{name}.0.0" for name in ("bias", "scale"))]
    bounds = [f"output.drain.{name}.0.{number}" for name in ("upper", "lower") for number in range(8)]
    link = [f"system.link.executor.{name}.memory.0.0" for name in ("requests", "answers")]
    products = [f"output.requantiser0.product_{name}*MULT18X18D*" for name in ("TRELLIS", "low_high", "high_low", "high_high")]
    plan |= zip((f"system.accelerator.{name}" for name in shared), blocks(LEFT[6:], upper), strict=False)
    plan |= zip((f"system.accelerator.{name}" for name in products), multipliers(LEFT[6:], MULTIPLIERS[1]), strict=True)
    plan |= zip((f"system.accelerator.{name}" for name in bounds), blocks((*LEFT[5:], *RIGHT[:2]), above), strict=True)
    return plan | dict(zip(link, blocks(LEFT[6:], edge), strict=False))
