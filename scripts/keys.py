"""The keys of kept figures: hashes of what is measured, the Verilog and all that is sent to it, and of how it is counted.

So a figure goes stale when one of these changes, and by no change of a message or a comment.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from skipgrid import models
from skipgrid.benches.recorder import Fingerprint, Recorder, accelerator_verilog, verilog_of
from skipgrid.rtl.config import Config, preset

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skipgrid.host.network import Network

SENT = 20  # images that are coded as they are sent; of all others, what they hold is enough
MODELS = Path(models.__path__[0])
DENSITY_LAYER = "GoogLeNet Inception4e.3"
SEED = 0  # of everything random in the kept figures
# How the 13 layers are measured: what a record's name has behind the preset's, then whether zeros lie together, and the share of weights
# that are zero.
LAYERS: dict[str, tuple[bool, float | None]] = {
    "": (False, None),
    "-clustered": (True, None),
    "-weights80": (False, 0.8),
    "-weights90": (False, 0.9),
}


def key_of(name: str) -> str:
    """The key that a record of this name has if it is measured now; ToolError if a tool is missing that tells."""
    kind, _, place = name.partition("-")
    fingerprint = Fingerprint()
    KINDS[kind](fingerprint, place)
    return fingerprint.digits


def _digits(fingerprint: Fingerprint, place: str) -> None:
    fingerprint.add(accelerator_verilog(preset(place)))
    _add_network(fingerprint, preset(place), _lenet())


def _layers(fingerprint: Fingerprint, place: str) -> None:
    from skipgrid.benches.layers import Pruned, bench_layers, read_table

    name, dash, kind = place.partition("-")
    config, (clustered, weights) = preset(name), LAYERS[dash + kind]
    pruned = None if weights is None else Pruned(weights, config)
    fingerprint.add(accelerator_verilog(config))
    for result in bench_layers(Recorder(config, fingerprint), read_table(), SEED, clustered=clustered, pruned=pruned):
        fingerprint.add(asdict(result))


def _density(fingerprint: Fingerprint, place: str) -> None:
    from skipgrid.benches.layers import make_layer, measure_layer, read_table
    from skipgrid.golden import dense_cycles

    from .bench_density import DENSITIES

    workload = next(row for row in read_table() if row.layer == DENSITY_LAYER)
    device = Recorder(preset(place), fingerprint)
    fingerprint.add(accelerator_verilog(device.config))
    for share in DENSITIES:
        fingerprint.add(asdict(measure_layer(device, replace(workload, sparsity=1 - share), SEED)))
    fingerprint.add(dense_cycles(make_layer(workload, SEED)[0], device.config.rows, device.config.lanes))


def _winners(fingerprint: Fingerprint, place: str) -> None:
    from skipgrid.benches.winners import SHARES, with_share, with_winners

    config = with_winners(preset(place))
    fingerprint.add(accelerator_verilog(config))
    for share in (None, *SHARES):
        _add_network(fingerprint, config, with_share(_lenet("lenet5-plain"), share))


def _experts(fingerprint: Fingerprint, place: str) -> None:
    from skipgrid.benches import router
    from skipgrid.benches.experts import experts_of, with_chosen, with_experts
    from skipgrid.host.network_file import load_network
    from skipgrid.rtl.experts.router import ExpertRouter

    network = load_network(MODELS / "experts.npz")
    mixture = experts_of(network)
    for chosen in (mixture.k, mixture.experts):
        config = with_experts(preset(place), network, chosen)
        fingerprint.add(accelerator_verilog(config))
        _add_network(fingerprint, config, with_chosen(network, chosen))
    sizes = {"experts": router.EXPERTS, "cells": router.CELLS, "fraction": router.FRACTION}
    scores = router.make_scores(router.TOKENS, SEED, router.Favour.LOGITS)
    fingerprint.add(verilog_of(ExpertRouter(**sizes)), scores, router.WINDOW)


def _boards(fingerprint: Fingerprint, _place: str) -> None:
    from skipgrid.benches.boards import LINK_IMAGES, SETTLED
    from skipgrid.fpga.board import all_boards
    from skipgrid.fpga.system import System
    from skipgrid.host.onnx.cut import cut_model
    from skipgrid.host.plan import plan_model
    from skipgrid.host.starts import plan_starts

    cut = cut_model(MODELS / "lenet5.onnx")
    batches = [({cut.model.inputs[0].name: image[np.newaxis]}, 1) for image in _images()[:SENT]]
    fingerprint.add(_images(), LINK_IMAGES, SETTLED)
    for board in all_boards().values():
        for images in plan_starts(plan_model(cut, board.config), batches).images.values():
            starts = [start for stages in images for stage in stages for start in stage.starts]
            fingerprint.add(*(words for start in starts for words in (*start.packets, start.sent)))
        system = System(board.config, clock_hz=board.clock_hz, baud=board.baud)
        fingerprint.add(verilog_of(system), board.name, board.clock_hz, board.baud)


def _topk(fingerprint: Fingerprint, _place: str) -> None:
    from skipgrid.benches.topk import HISTOGRAM_SHARES, INDEX_BITS, LENGTHS, STREAMING_K, make_tensors
    from skipgrid.rtl.topk.histogram_topk import HistogramTopK
    from skipgrid.rtl.topk.streaming_topk import StreamingTopK

    for signed in (False, True):
        fingerprint.add(verilog_of(StreamingTopK(cells=max(STREAMING_K), signed=signed, index_bits=INDEX_BITS)))
    fingerprint.add(verilog_of(HistogramTopK(index_bits=INDEX_BITS)), STREAMING_K, HISTOGRAM_SHARES)
    for length in LENGTHS:
        fingerprint.add(*make_tensors(length, SEED, np.uint8), *make_tensors(length, SEED, np.int8))


def _units(fingerprint: Fingerprint, place: str) -> None:
    from skipgrid.fpga.build import Build

    from .measurements import UNITS
    from .synth import alone

    for unit, settings in UNITS:
        board, ring, _ = alone(place, "1x8", unit, list(settings))
        with TemporaryDirectory() as folder:
            build = Build(board, Path(folder), design=ring)
            build.prepare()
            fingerprint.add(unit, build.design_hash())


KINDS: dict[str, Callable[[Fingerprint, str], None]] = {
    "digits": _digits,
    "layers": _layers,
    "density": _density,
    "winners": _winners,
    "experts": _experts,
    "boards": _boards,
    "topk": _topk,
    "units": _units,
}


def _add_network(fingerprint: Fingerprint, config: Config, network: "Network") -> None:
    """Add what goes to a device when a network runs over all digits."""
    from skipgrid.golden import coded_bytes, dense_cycles, dense_macs, encode
    from skipgrid.host.compiler.codes import shortest_codes
    from skipgrid.host.compiler.program import compile_network
    from skipgrid.host.run import load_program

    inputs = network.activations(_images())
    program = compile_network(network, config, *shortest_codes(network, inputs))
    device = Recorder(config, fingerprint)
    load_program(device, program)
    for x in inputs[:SENT]:
        device.run([encode(coded_bytes(x, network.layers[0].x), program.k_in)])
    counted = [(dense_macs(layer), dense_cycles(layer, config.rows, config.lanes)) for layer in network.layers]
    fingerprint.add(inputs, counted)


@cache
def _lenet(name: str = "lenet5") -> "Network":
    from skipgrid.host.onnx.importer import import_model

    return import_model(MODELS / f"{name}.onnx")


@cache
def _images() -> "NDArray[np.generic]":
    from .images import read_data

    return read_data(MODELS / "digits.npz")[0]
