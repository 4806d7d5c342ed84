"""Activations that are too many for the buffers: which image, which layer, how many, and what to set."""

from collections.abc import Iterator

import numpy as np
import pytest

from skipgrid.benches.fuzz.trials import SMALL
from skipgrid.benches.images import measure_images
from skipgrid.golden import Activation, Layer, Winners
from skipgrid.host.compiler.buffers import check_pixels
from skipgrid.host.compiler.fits import DoesNotFit
from skipgrid.host.compiler.program import compile_network
from skipgrid.host.network import Network, Port
from skipgrid.host.simulation.device import SimulatedDevice

SHAPE = (4, 10, 10)


def convolution(name: str, shape: tuple[int, int, int] = SHAPE) -> Layer:
    """A layer that changes nothing."""
    K = shape[0]
    weights = np.eye(K, dtype=np.int8).reshape(K, K, 1, 1)
    return Layer(name, weights, np.zeros(K, np.int32), np.ones(K, np.float32), shape)


def network(*layers: Layer) -> Network:
    ends = (Port(name, shape, Activation()) for name, shape in (("x", layers[0].shape), ("y", layers[-1].out_shape)))
    return Network("copies", layers, *ends)


@pytest.fixture(scope="module")
def device() -> Iterator[SimulatedDevice]:
    made = SimulatedDevice(SMALL)
    yield made
    made.close()


@pytest.mark.xdist_group("small")
def test_the_image_and_the_layers_are_named(device: SimulatedDevice) -> None:
    copies = network(convolution("first"), convolution("second"), convolution("third"))
    inputs = np.zeros((3, *SHAPE), np.uint8)
    inputs[1, :2] = 1
    inputs[2, :3] = 1
    runs = measure_images(device, compile_network(copies, SMALL), inputs)
    assert [next(runs).bit_exact_golden for _ in range(2)] == [True, True]
    with pytest.raises(DoesNotFit) as refused:
        next(runs)
    assert str(refused.value) == (
        "image 2: the input of first has 300 and the input of second has 300 nonzero activations, 600 at once, but small holds 512;"
        " set entries=1024 in its configuration"
    )
    inputs[0] = 1
    (alone,) = list(measure_images(device, compile_network(network(convolution("only")), SMALL), inputs[:1]))
    assert alone.bit_exact_golden


def test_pixels_are_counted_before_anything_runs() -> None:
    shape = (1, 14, 12)
    tall = network(convolution("first", shape), convolution("second", shape))
    sentence = "the input of first has 168 and the input of second has 168 pixels, 336 at once, but small holds 256; set pixels=512 in its"
    with pytest.raises(DoesNotFit, match=sentence):
        compile_network(tall, SMALL)
    check_pixels(tall.layers[:1], SMALL)
    check_pixels([tall.layers[0].replaced(winners=Winners(3))], SMALL)
