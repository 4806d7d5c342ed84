"""What the benches behind cocotbext-axi's drivers share: how a side of a port pauses, and accesses that are answered in time."""

import random
from collections.abc import Awaitable
from typing import Any, TypeVar

from cocotb.triggers import with_timeout
from cocotbext.axi import AxiLiteMaster, AxiStreamSink
from cocotbext.axi.stream import StreamSink

from streams import HALF_PERIOD, PROFILES, pace

ANSWERED = 20_000  # cycles in which an access is
T = TypeVar("T")


def behave(side: Any, profile: str, rng: random.Random) -> None:
    """Pause from now on as the profile says; a stalled side that takes is not ready before it has been offered something."""
    if profile == "full":
        side.set_pause_generator(None)
    elif profile == "stalled" and isinstance(side, AxiStreamSink | StreamSink):
        valid = side.bus.tvalid if isinstance(side, AxiStreamSink) else side.valid
        side.set_pause_generator(not (willing and valid.value == 1) for willing in pace(profile, rng))
    else:
        side.set_pause_generator(not willing for willing in pace(profile, rng))
    side.pause = False


def behave_all(master: AxiLiteMaster, rng: random.Random, profile: str | None = None) -> None:
    """The five channels of a register port: as the profile says, or each as a random one."""
    writes, reads = master.write_if, master.read_if
    for channel in (writes.aw_channel, writes.w_channel, writes.b_channel, reads.ar_channel, reads.r_channel):
        behave(channel, profile or rng.choice(PROFILES), rng)


async def answered(access: Awaitable[T]) -> T:
    """The answer to an access; SimTimeoutError if there is none for long."""
    answer: T = await with_timeout(access, 2 * HALF_PERIOD * ANSWERED, "ns")
    return answer
