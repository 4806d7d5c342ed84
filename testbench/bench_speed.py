"""A layer at the accelerator's ports, timed; `simulation_speed.py` starts it."""

import json
import time
from pathlib import Path

import cocotb
import numpy as np
from cocotb.utils import get_sim_time

from ports import Packet, Ports
from simulation_speed import LAYER, layer_packets
from skipgrid.golden import encode
from streams import HALF_PERIOD


@cocotb.test
async def timed_layer(dut: object) -> None:
    ports = Ports(dut)
    packets = layer_packets(ports.config)
    await ports.begin("full")
    await ports.load(*packets.load)
    ports.send(encode(packets.coded, 0))
    began, seconds = get_sim_time("step"), time.process_time()
    await ports.start()
    await ports.finish()
    seconds = time.process_time() - seconds
    cycles = (get_sim_time("step") - began) / (2 * HALF_PERIOD * 1000)
    assert ports.received() == [Packet(packets.expected.tolist())], LAYER
    assert np.count_nonzero(packets.expected)
    Path("speed.json").write_text(json.dumps({"cycles": cycles, "seconds": seconds}), encoding="utf-8")
