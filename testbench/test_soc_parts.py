"""The parts of the system on a chip: the DMA, the memory, the bridge and the stream port."""

from collections.abc import Callable

from skipgrid.fpga.soc.dma import Dma


def test_dma(simulate: Callable[..., None]) -> None:
    simulate(Dma(), "bench_dma")
