"""How fast the simulated device is against the cocotb bench: both run the same layer of the same Verilog, one after the other.

    python testbench/simulation_speed.py [--preset 4x32] [--json FILE]

Clock times depend on the machine and on what else it does; their ratio, measured in one run, says what the harness is worth.
"""

import argparse
import json
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skipgrid.benches.layers import make_layer, read_table
from skipgrid.golden import coded_bytes, encode, run_layer
from skipgrid.host.compiler.descriptors import descriptor
from skipgrid.host.compiler.packets import channel_packet, program_packet, weight_packets
from skipgrid.host.compiler.placement import place
from skipgrid.rtl.config import Config, preset

LAYER = "AlexNetC Conv3"
REPEATS = 50  # on the simulated device, where one run is over in a few milliseconds


@dataclass(frozen=True)
class Packets:
    """What a run of the layer takes and gives: load packets, the input's coded bytes, and the output's words."""

    load: list[NDArray[np.uint32]]
    coded: NDArray[np.uint8]
    expected: NDArray[np.uint32]


def layer_packets(config: Config) -> Packets:
    """The layer of the published table by which simulators are compared."""
    workload = next(row for row in read_table() if row.layer == LAYER)
    layer, x = make_layer(workload, seed=0)
    placed = place([layer], config)[0]
    program = descriptor(placed, config, buffer=0, from_stream=True, to_stream=True, final=True)
    load = [*weight_packets(placed, config), channel_packet(placed, config), program_packet([program])]
    return Packets(load, coded_bytes(x, layer.x), encode(coded_bytes(run_layer(x, layer), layer.y), 0))


def simulated_device(config: Config) -> float:
    """Clock cycles a second of the simulated device."""
    from skipgrid.host.simulation.device import SimulatedDevice

    packets, device = layer_packets(config), SimulatedDevice(config)
    for packet in packets.load:
        device.load(packet)
    words = encode(packets.coded, 0)
    device.run([words])
    cycles, seconds = device.cycle, time.process_time()
    for _ in range(REPEATS):
        run = device.run([words])
    assert np.array_equal(run.packets[0], packets.expected)
    return (device.cycle - cycles) / (time.process_time() - seconds)


def cocotb_bench(config: Config) -> float:
    """Clock cycles a second of the cocotb bench."""
    from simulation import Bench, Settings
    from skipgrid.rtl.accelerator import Accelerator

    settings = Settings("verilator", 1, waves=False, long=False)
    bench = Bench(Accelerator(config), "bench_speed", config)
    bench.run(settings)
    measured = json.loads((bench.folder(settings) / "speed.json").read_text(encoding="utf-8"))
    return float(measured["cycles"] / measured["seconds"])


def main() -> None:
    """Measure both, print them, and write the JSON file asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="4x32", help="the accelerator (default 4x32)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")
    arguments = parser.parse_args()
    config = preset(arguments.preset)
    device, bench = simulated_device(config), cocotb_bench(config)
    report = {
        "preset": config.name,
        "layer": LAYER,
        "simulated_device_hz": round(device),
        "cocotb_bench_hz": round(bench),
        "ratio": device / bench,
        "tools": {name: version(name) for name in ("verilator", "cocotb", "cocotbext-axi")},
    }
    print(f"{LAYER} on {config.name}: {device:,.0f} cycles/s simulated device, {bench:,.0f} cycles/s cocotb, {device / bench:.1f} times")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
