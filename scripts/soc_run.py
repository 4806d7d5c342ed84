"""A compiled model on the example system on a chip: what its firmware says, beside the golden model's outputs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from skipgrid.driver.errors import DriverError
from skipgrid.driver.header import driver_files
from skipgrid.fpga.soc.system import Transfers
from skipgrid.host.devices.device import Words
from skipgrid.host.firmware import compile_firmware
from skipgrid.host.simulation.soc import SimulatedSoc, build_soc
from skipgrid.reference.compiled import Compiled
from skipgrid.reference.description import describe
from skipgrid.reference.job import job_files
from skipgrid.rtl.errors import Error

FIGURES = 7  # words that the firmware says of an image, before its output


@dataclass(frozen=True)
class SocImage:
    """One image. Cycles are the CPU's: from before the driver begins the run until it has ended.

    recognised: the place of the largest output. words_in: of the input stream. core_cycles: the register TOTAL_CYCLES.
    moving_cycles: of these cycles, those in which the CPU moved words, or the driver asked the DMA. free_cycles: those in which it did
    other work. waits: cycles in which the DMA had no word for the input stream, from the start of its transfer on.
    output: the words of the output stream. bit_exact_golden: each of them is that of the golden model.
    """

    recognised: int
    words_in: int
    core_cycles: int
    cycles: int
    moving_cycles: int
    free_cycles: int
    waits: int
    output: list[int]
    bit_exact_golden: bool


@dataclass(frozen=True)
class SocRun:
    """What a run on the system gave. correct: None without labels. cycles: from the CPU's first instruction to its last one."""

    model: str
    config: str
    system: str
    firmware_bytes: int
    cycles: int
    load_words: int
    load_cycles: int
    correct: int | None
    bit_exact_golden: bool
    images: list[SocImage]

    def mean(self, figure: str) -> float:
        """Of a figure of the images."""
        return fmean(getattr(image, figure) for image in self.images)


def firmware(compiled: Compiled, labels: Sequence[int] | None, transfers: Transfers, program: str = "main") -> bytes:
    """The firmware with a compiled model in it; ModelError or ToolError if it cannot be made."""
    driver = {name: text.encode() for name, text in driver_files(describe(compiled.plan.config)).items()}
    return compile_firmware(program, transfers, job_files(compiled, labels) | driver)


def run_soc(
    compiled: Compiled, labels: Sequence[int] | None, transfers: Transfers, listen: Callable[[str], Any] = lambda _: None
) -> SocRun:
    """Run a compiled model's images on the system. listen: hears each line that the firmware says.

    ModelError if the system does not run such a model; ToolError if something is missing, or the firmware fails.
    """
    content = firmware(compiled, labels, transfers)
    soc = _booted(compiled, transfers, content, listen)
    expected = [compiled.words[image[0]["starts"][0]["output"]["name"]] for image in compiled.segments[0]["images"]]
    said = iter(soc.words.tolist())
    load_words, load_cycles = next(said), next(said)
    images = list(_images(said, expected))
    return SocRun(
        model=compiled.manifest["model"],
        config=compiled.plan.config.name,
        system=transfers.value,
        firmware_bytes=len(content),
        cycles=soc.cycle,
        load_words=load_words,
        load_cycles=load_cycles,
        correct=None if labels is None else sum(image.recognised == label for image, label in zip(images, labels, strict=True)),
        bit_exact_golden=all(image.bit_exact_golden for image in images),
        images=images,
    )


def provoke_errors(compiled: Compiled, transfers: Transfers, listen: Callable[[str], Any] = lambda _: None) -> list[str]:
    """Provoke every error that the accelerator can give in this configuration, and its driver's, and run the first image after each.

    Their names. ToolError, behind what the firmware says of it, if one is another, or the image is not right. listen: as of `run_soc`.
    """
    soc = _booted(compiled, transfers, firmware(compiled, None, transfers, "errors"), listen)
    names = {error.value: error.name for error in (*Error, *DriverError)}
    return list(dict.fromkeys(names[number] for number in soc.words.tolist() if number))


def _booted(compiled: Compiled, transfers: Transfers, content: bytes, listen: Callable[[str], Any]) -> SimulatedSoc:
    """A system whose firmware has run to its end."""
    soc = SimulatedSoc(build_soc(compiled.plan.config, transfers), content)
    for line in soc.lines():
        listen(line)
    return soc


def _images(said: Iterator[int], expected: Sequence[Words]) -> Iterator[SocImage]:
    """The images, of the words that the firmware said of them."""
    for words in expected:
        recognised, words_in, core, cycles, moving, free, waits = (next(said) for _ in range(FIGURES))
        output = [next(said) for _ in range(next(said))]
        yield SocImage(recognised, words_in, core, cycles, moving, free, waits, output, np.array_equal(output, words))
