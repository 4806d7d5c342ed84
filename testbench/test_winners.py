"""The winners of a stored tensor, inside the accelerator; and how layers with winners are compiled."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from simulation import ALL, SERIAL, SMALL, shapes
from skipgrid.golden import Layer, Winners
from skipgrid.host.compiler.descriptors import network_program
from skipgrid.host.compiler.fits import DoesNotFit, check_fits
from skipgrid.host.compiler.passes import plan
from skipgrid.host.compiler.placement import place
from skipgrid.rtl.accelerator import Accelerator
from skipgrid.rtl.config import Config
from skipgrid.rtl.descriptor import Descriptor
from skipgrid.rtl.layouts import Opcode, WinnersOf


@shapes({"all": ALL, "2 rows": SMALL.replaced(winners=128), "serial": SERIAL.replaced(winners=128)}, "all")
def test_winners(simulate: Callable[..., None], config: Config) -> None:
    simulate(Accelerator(config), "bench_winners", config)


def conv(K: int = 4, C: int = 4, winners: Winners | None = None, **fields: Any) -> Layer:
    """A layer of 3 x 3 windows whose output is as large as its input, but for its channels."""
    weights = np.ones((K, C, 3, 3), np.int8)
    bias, scale = np.zeros(K, np.int32), np.full(K, 0.01, np.float32)
    return Layer("conv", weights, bias, scale, **({"shape": (C, 6, 5), "pads": (1, 1, 1, 1)} | fields), winners=winners)


def steps(layers: list[Layer], config: Config, **options: Any) -> list[tuple[Any, ...]]:
    """Of each descriptor: the opcode, the buffer, whether input and output are streams, whether it is the last one, winners of what, k."""
    found = []
    for words in network_program(place(layers, config), config, k_in=0, k_out=0, **options):
        bits = Descriptor.from_bits(int.from_bytes(words.tobytes(), "little"))
        choice = WinnersOf(bits.winners_of).name
        found.append((Opcode(bits.opcode).name, bits.buffer, bits.from_stream, bits.to_stream, bits.final, choice, bits.winners))
    return found


def test_a_layer_says_itself_who_wins() -> None:
    layers = [conv(winners=Winners(7)), conv(), conv(winners=Winners(share=0.5, period=9)), conv(winners=Winners(3, per_pixel=True))]
    config = SMALL.replaced(winners=128, pixel_winners=3, layers=8)
    assert steps(layers, config) == [
        ("LAYER", 0, 1, 0, 0, "TENSOR", 7),
        ("LAYER", 1, 0, 0, 0, "NONE", 0),
        ("LAYER", 0, 0, 0, 0, "TENSOR", 60),
        ("LAYER", 1, 0, 1, 1, "PIXEL", 3),
    ]
    assert steps(layers[:1], config, buffer=1, load=True) == [("LOAD", 1, 0, 0, 0, "NONE", 0), ("LAYER", 1, 0, 1, 1, "TENSOR", 7)]


def test_where_all_win_nothing_is_chosen() -> None:
    """But with a period: there, later tensors are compared with the first one's smallest element."""
    every = [Winners(share=1), Winners(120), Winners(500), Winners(share=1, per_pixel=True), Winners(4, per_pixel=True)]
    assert {steps([conv(winners=winners)], SMALL)[0][-2:] for winners in every} == {("NONE", 0)}
    assert steps([conv(winners=Winners(share=1, period=2))], SMALL.replaced(winners=128))[0][-2:] == ("TENSOR", 120)


def test_what_does_not_fit() -> None:
    config = SMALL.replaced(winners=128)
    with pytest.raises(DoesNotFit, match="conv: it keeps its winners only, for which custom has no unit; set winners=128 in its"):
        check_fits(conv(winners=Winners(1)), SMALL)
    pixels = Winners(3, per_pixel=True)
    with pytest.raises(DoesNotFit, match="conv: it keeps each pixel's winners only, for which custom has no unit; set pixel_winners=3"):
        check_fits(conv(winners=pixels), config)
    with pytest.raises(DoesNotFit, match="set pixel_winners=1 in its configuration"):
        check_fits(conv(winners=Winners(0, per_pixel=True)), config)
    with pytest.raises(DoesNotFit, match="conv: 3 channels of each pixel win, but custom finds up to 2"):
        check_fits(conv(winners=pixels), SMALL.replaced(pixel_winners=2))
    wide = conv(K=32, C=1)
    check_fits(wide, config)
    many = "conv: there are 960 outputs among which winners are chosen, but custom holds 128; set winners=1024 in its configuration"
    with pytest.raises(DoesNotFit, match=many):
        check_fits(wide.replaced(winners=Winners(1)), config)
    check_fits(wide.replaced(winners=Winners(1)), config.replaced(winners=1024))


def test_winners_of_a_layer_in_passes_are_refused() -> None:
    config = SMALL.replaced(winners=128)
    layer = conv(K=24, C=8, shape=(8, 6, 5), winners=Winners(9))  # 72 weights a lane for each of six groups
    with pytest.raises(DoesNotFit, match="conv: winners are chosen from a whole output, but custom computes this one in 2 passes"):
        plan(layer, np.ones(layer.shape, np.uint8), config)
    assert len(plan(conv(winners=Winners(9)), np.ones((4, 6, 5), np.uint8), config)) == 1


def test_winners_of_pixels_are_chosen_in_bands_of_rows() -> None:
    config = SMALL.replaced(pixel_winners=4)
    winners = Winners(2, per_pixel=True)
    tall = conv(shape=(4, 16, 12), winners=winners)  # more pixels than are held
    assert len(plan(tall, np.ones(tall.shape, np.uint8), config)) > 1
    wide = conv(K=24, C=8, shape=(8, 6, 5), winners=winners)
    with pytest.raises(DoesNotFit, match="conv: winners are chosen from all channels of a pixel, but custom computes this one in 2 passes"):
        plan(wide, np.ones(wide.shape, np.uint8), config)
