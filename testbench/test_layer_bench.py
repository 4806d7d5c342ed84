"""Layers for measuring: their zeros, and tables that cannot be read."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from skipgrid.benches.layers import Workload, make_layer, read_table
from skipgrid.golden import run_layer, run_network
from skipgrid.host.compiler.fits import group_weights
from skipgrid.host.onnx.importer import import_model
from skipgrid.rtl.config import preset

ROOT = Path(__file__).parent.parent


def neighbours(nonzero: NDArray[np.bool_]) -> float:
    """The share of nonzeros whose right neighbour in the same channel is nonzero too."""
    return float((nonzero[:, :, 1:] & nonzero[:, :, :-1]).sum() / max(1, nonzero[:, :, :-1].sum()))


def togetherness(nonzero: NDArray[np.bool_]) -> float:
    """How much the channels of a pixel are nonzero together: the mean correlation of two channels, from the spread of their counts."""
    channels, share = len(nonzero), nonzero.mean()
    spread = nonzero.sum(axis=0).var() / (channels * share * (1 - share))
    return float((spread - 1) / (channels - 1))


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("number", range(13))
def test_input_and_output_have_the_share_of_zeros_asked_for(number: int, clustered: bool) -> None:
    workload = read_table()[number]
    layer, x = make_layer(workload, number, clustered=clustered)
    assert np.count_nonzero(x == 0) == round(workload.sparsity * x.size)
    assert np.mean(run_layer(x, layer) == 0) == pytest.approx(workload.sparsity, abs=0.02)


def test_clustered_zeros_lie_together_as_in_real_feature_maps() -> None:
    network = import_model(ROOT / "models" / "lenet5.onnx")
    with np.load(ROOT / "models" / "digits.npz") as data:
        inputs = network.activations(data["images"][:40])
    maps = [[output != 0 for output in run_network(x, list(network.layers))[:2]] for x in inputs]
    table = read_table()
    clustered = [make_layer(workload, number, clustered=True)[1] != 0 for number, workload in enumerate(table)]
    independent = [make_layer(workload, number)[1] != 0 for number, workload in enumerate(table)]

    real = [float(np.mean([neighbours(pair[layer]) for pair in maps])) for layer in (0, 1)]
    assert min(real) <= float(np.mean([neighbours(x) for x in clustered])) <= max(real) + 0.1
    assert float(np.mean([neighbours(x) for x in independent])) < min(real) / 2

    real = [float(np.mean([togetherness(pair[layer]) for pair in maps])) for layer in (0, 1)]
    assert 0.8 * max(real) <= float(np.mean([togetherness(x) for x in clustered]))
    assert float(np.mean([togetherness(x) for x in independent])) < max(real) / 2


@pytest.mark.parametrize("name", ["4x32", "2x64"])
def test_large_presets_hold_a_group_of_every_published_layer(name: str) -> None:
    config = preset(name)
    for number, workload in enumerate(read_table()):
        layer, x = make_layer(workload, number)
        assert group_weights(layer) <= config.weights
        assert np.count_nonzero(x) <= config.entries


def test_the_same_seed_gives_the_same_layer() -> None:
    first, again, other = (make_layer(read_table()[0], seed) for seed in (3, 3, 4))
    assert np.array_equal(first[0].weights, again[0].weights)
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[1], other[1])


@pytest.mark.parametrize("sparsity", [0.0, 1.0])
def test_all_dense_and_all_zero_inputs_can_be_made(sparsity: float) -> None:
    workload = replace(Workload("one", 3, 4, 5, 6, 2, 3, 1, 1, 0.5), sparsity=sparsity)
    for clustered in (False, True):
        _, x = make_layer(workload, 0, clustered=clustered)
        assert np.mean(x == 0) == sparsity


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,3,4,4,8,3,3,1,x,0.5", "line 2 of the layer table cannot be read"),
        ("a,3,4,4,8,3,3,1", "line 2 of the layer table cannot be read"),
        ("a,0,4,4,8,3,3,1,1,0.5", "sizes and stride are at least 1, pad at least 0"),
        ("a,3,4,4,8,3,3,1,1,1.5", "sparsity lies in 0...1, not at 1.5"),
    ],
)
def test_a_bad_row_of_a_table_is_named(tmp_path: Path, line: str, message: str) -> None:
    table = tmp_path / "table.csv"
    table.write_text(f"layer,C,H,W,K,R,S,pad,stride,sparsity\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_table(table)
