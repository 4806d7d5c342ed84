"""Averages of whole feature maps: which layers read slices of their input's channels, and what the accelerator makes of them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from simulation import CUTS
from skipgrid.benches.images import measure_images
from skipgrid.golden import Layer, Winners, run_layer
from skipgrid.host.compiler.averaging import sliced
from skipgrid.host.compiler.program import compile_network
from skipgrid.host.network import Network, Port
from skipgrid.host.simulation.device import SimulatedDevice
from skipgrid.rtl.config import Form, preset

GRID = preset("4x32")


def average(C: int, H: int = 4, W: int = 3, **fields: Any) -> Layer:
    """Of each channel."""
    weights = np.eye(C, dtype=np.int8).reshape(C, C, 1, 1).repeat(H, axis=2).repeat(W, axis=3)
    return Layer("average", weights, np.full(C, 3, np.int32), np.full(C, 1 / (H * W), np.float32), (C, H, W)).replaced(**fields)


def convolution(C: int, K: int, H: int, W: int, R: int, rng: np.random.Generator, **fields: Any) -> Layer:
    """A layer whose outputs are half zeros, about."""
    weights = rng.integers(-9, 10, (K, C, R, R)).astype(np.int8)
    return Layer("conv", weights, np.zeros(K, np.int32), np.full(K, 0.01, np.float32), (C, H, W), pads=(R // 2,) * 4, low=0).replaced(
        **fields
    )


@pytest.mark.parametrize(
    ("C", "size"),
    [(128, 32), (1280, 32), (64, 16), (32, 8), (20, 5), (48, 12), (96, 24), (37, 37), (1, 1)],  # as many units as rows, or full lanes
)
def test_how_large_slices_are(C: int, size: int) -> None:
    layer = average(C)
    (found,) = sliced([layer], GRID)
    assert found.shape == ((size, 12, C // size) if size < C else (C, 4, 3))
    x = np.random.default_rng(C).integers(0, 256, layer.shape).astype(np.uint8)
    y = run_layer(x.transpose(1, 2, 0).reshape(12, -1, size).transpose(2, 0, 1) if size < C else x, found)
    assert np.array_equal(y.transpose(1, 2, 0).ravel(), run_layer(x, layer).ravel())


OTHERS = {
    "another bias": average(64).replaced(bias=np.arange(64, dtype=np.int32)),
    "another scale": average(64).replaced(scale=np.linspace(0.1, 1, 64, dtype=np.float32)),
    "another channel": average(64).replaced(weights=average(64).weights + (np.arange(64) == 5).reshape(1, -1, 1, 1).astype(np.int8)),
    "padded": average(64, pads=(1, 0, 0, 0)),
    "several windows": average(64).replaced(shape=(64, 5, 3)),
    "winners": average(64, winners=Winners(9, per_pixel=True)),
    "too many rows": average(64, 20, 20),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_sliced(name: str) -> None:
    assert sliced([OTHERS[name]], GRID.replaced(pixel_winners=16)) == [OTHERS[name]]


def test_what_the_layer_before_stores() -> None:
    """The pooling unit stores pixels as they are; the grid's pools are stored in any shape."""
    rng = np.random.default_rng(0)
    for pool, divided in (((1, 1), True), ((2, 2), True), ((3, 3), False)):
        before = convolution(16, 64, 9, 9, 3, rng, pool=pool, pool_stride=(min(pool[0], 2),) * 2)
        after = average(64, *before.out_shape[1:])
        assert (sliced([before, after], GRID)[1] is not after) == divided


def test_slices_are_pixels_of_the_buffers() -> None:
    few = GRID.replaced(pixels=64)
    assert sliced([average(64, 8, 8)], few)[0].shape == (64, 8, 8)
    assert sliced([average(64, 4, 4)], few)[0].shape == (16, 16, 4)
    before = convolution(4, 64, 4, 4, 3, np.random.default_rng(0))
    assert sliced([before, average(64, 4, 4)], few)[1].shape == (32, 16, 2)


@pytest.fixture(scope="module")
def device(request: pytest.FixtureRequest) -> Iterator[SimulatedDevice]:
    made = SimulatedDevice(request.param)
    yield made
    made.close()


def run(device: SimulatedDevice, layers: tuple[Layer, ...], zeros: float) -> tuple[list[int], NDArray[np.integer]]:
    """The cycles of each layer, whose outputs are golden's, and what the second one reads."""
    ends = Port("x", layers[0].shape, layers[0].x), Port("y", layers[-1].out_shape, layers[-1].y)
    program = compile_network(Network("network", layers, *ends), device.config)
    rng = np.random.default_rng(1)
    x = (rng.integers(1, 256, (2, *layers[0].shape)) * (rng.random((2, *layers[0].shape)) >= zeros)).astype(np.uint8)
    results = list(measure_images(device, program, x))
    assert all(result.bit_exact_golden for result in results)
    return results[-1].layer_cycles, run_layer(x[-1], layers[0])


@pytest.mark.parametrize(
    "device",
    [
        pytest.param(CUTS, id="parallel", marks=pytest.mark.xdist_group("cuts")),
        pytest.param(CUTS.replaced(rows=1, scan=1, form=Form.SERIAL), id="serial", marks=pytest.mark.slow),
        pytest.param(CUTS.replaced(form=Form.SPREAD, winners=64), id="spread", marks=pytest.mark.slow),
    ],
    indirect=True,
)
def test_golden_agrees(device: SimulatedDevice) -> None:
    rng = np.random.default_rng(0)
    for C, H, W in ((8, 3, 5), (12, 5, 5), (20, 2, 4)):
        run(device, (average(C, H, W),), 0.5)
        before = convolution(3, C, H, W, 3, rng)
        run(device, (before, average(C, H, W), convolution(C, 5, 1, 1, 1, rng)), 0.5)


@pytest.mark.parametrize("device", [pytest.param(GRID, id="4x32", marks=pytest.mark.slow)], indirect=True)
def test_cycles_follow_the_nonzeros(device: SimulatedDevice) -> None:
    """Each nonzero is read once: 1.2 cycles for those of a row, or of a slice if it has more, and 150, at most."""
    rng = np.random.default_rng(0)
    for C, zeros in ((128, 0.5), (128, 0.9), (64, 0.5), (256, 0.7)):
        layers = convolution(16, C, 8, 8, 1, rng), average(C, 8, 8)
        cycles, x = run(device, layers, zeros)
        size = sliced(layers, device.config)[1].shape[0]
        of_slices = np.count_nonzero(x.reshape(-1, size, 64), axis=(1, 2))
        assert cycles[1] <= 1.2 * max(of_slices.sum() / device.config.rows, of_slices.max()) + 150
