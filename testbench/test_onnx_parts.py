"""Parts of the host take the kernels that ONNX Runtime takes for these nodes in the whole model."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from onnx_models import Branches, quantised
from skipgrid.host.execution import run_golden
from skipgrid.host.onnx.cut import cut_model
from skipgrid.host.onnx.runtime import Reference

AVERAGE = {"kernel_shape": [3, 3], "strides": [1, 1], "pads": [1, 1, 1, 1]}


def behind_a_layer(net: Branches) -> list[str]:
    return [net.add("AveragePool", net.conv("x", 8), **AVERAGE)]


def before_a_layer(net: Branches) -> list[str]:
    return [net.conv(net.add("AveragePool", "x", **AVERAGE), 8)]


def beside_a_layer(net: Branches) -> list[str]:
    """What is averaged is pooled too, on the accelerator."""
    half = net.several("Split", 2, "x", np.array([4, 4], np.int64), axis=2)[1]
    largest = net.add("MaxPool", half, kernel_shape=[3, 3], strides=[1, 1])
    return [net.gemm(net.add("Flatten", largest), 4), net.add("AveragePool", half, **AVERAGE)]


def beside_what_no_output_needs(net: Branches) -> list[str]:
    net.conv("x", 4)
    return [net.add("AveragePool", "x", **AVERAGE)]


def an_output_that_is_read_too(net: Branches) -> list[str]:
    """No output needs what reads it."""
    average = net.add("AveragePool", "x", **AVERAGE)
    net.add("GlobalMaxPool", average)
    return [average]


def float_beside_what_no_output_needs(net: Branches) -> list[str]:
    """ONNX Runtime quantises weights of a float operator between integers only if nothing else reads its output."""
    larger = net.add("ConvTranspose", net.add("Sigmoid", "x"), net.weights(3, 2, 1, 1), strides=[2, 1])
    net.add("Transpose", larger, perm=[0, 2, 1, 3])
    return [net.conv(larger, 2)]


@pytest.mark.parametrize("quant_format", ["QDQ", "QOperator"])
@pytest.mark.parametrize("activation", ["uint8", "int8"])
@pytest.mark.parametrize("made", [behind_a_layer, before_a_layer, beside_a_layer, beside_what_no_output_needs, an_output_that_is_read_too])
def test_averages_are_rounded_as_in_the_whole_model(
    made: Callable[[Branches], list[str]], activation: str, quant_format: str, tmp_path: Path
) -> None:
    equal(made, activation, quant_format, tmp_path)


def test_weights_stay_as_they_are_in_the_whole_model(tmp_path: Path) -> None:
    equal(float_beside_what_no_output_needs, "int8", "QOperator", tmp_path)


def equal(made: Callable[[Branches], list[str]], activation: str, quant_format: str, tmp_path: Path) -> None:
    """Compare 20 batches with ONNX Runtime's default session."""
    net = Branches(np.random.default_rng(0), x=(1, 3, 8, 8))
    model = net.save(tmp_path / "model.onnx", *made(net))
    cut = cut_model(quantised(model, net.drawn(3), quant_format, activation, per_channel=True), host_only=True)
    reference = Reference(cut)
    for tensors in net.drawn(20):
        ours = run_golden(cut, tensors)
        for end, theirs in reference.outputs(tensors).items():
            np.testing.assert_array_equal(ours[end], theirs)
