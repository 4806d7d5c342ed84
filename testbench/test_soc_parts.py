# amaranth: UnusedElaboratable=no
# Above: Amaranth does not warn of a component that was refused while it was made.
"""The parts of the system on a chip, each by itself."""

from collections.abc import Callable

import pytest

from skipgrid.fpga.soc.bridge import AxiLiteBridge
from skipgrid.fpga.soc.dma import Dma
from skipgrid.fpga.soc.ram import Ram
from skipgrid.fpga.soc.stream_port import StreamPort


def test_dma(simulate: Callable[..., None]) -> None:
    simulate(Dma(), "bench_dma")


def test_ram(simulate: Callable[..., None]) -> None:
    simulate(Ram(1024), "bench_soc_parts", only="ram")


def test_bridge(simulate: Callable[..., None]) -> None:
    simulate(AxiLiteBridge(), "bench_soc_parts", only="bridge")


def test_stream_port(simulate: Callable[..., None]) -> None:
    simulate(StreamPort(), "bench_soc_parts", only="stream_port")


@pytest.mark.parametrize("words", [512, 1025, 3 << 10])
def test_the_memorys_size_is_a_power_of_two(words: int) -> None:
    with pytest.raises(ValueError, match=f"a memory has a power of two of words, and 1,024 at least, not {words:,}"):
        Ram(words)
