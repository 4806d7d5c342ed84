"""The page of operators is that of this onnx, this ONNX Runtime and this cut."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from skipgrid.benches.node_tests import FAILED, OPERATORS, node_tests, operator_row, trials

PAGE = Path(__file__).resolve().parent.parent / "docs" / "operators.md"
QUICK = ("Conv", "ConvTranspose", "Gemm", "MatMul", "MaxPool", "BatchNormalization", "Split")


@pytest.fixture(scope="module")
def tests() -> dict[str, list[Any]]:
    return node_tests()


@pytest.mark.xdist_group("node tests")
@pytest.mark.parametrize("operator", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in OPERATORS])
def test_every_node_test_runs_or_onnxruntime_refuses_it(operator: str, tests: dict[str, list[Any]]) -> None:
    """Equal to ONNX Runtime bit for bit; and the page says where."""
    tried = [trial for case in tests[operator] for trial in trials(case)]
    assert not [trial for trial in tried if trial.where == FAILED]
    text = PAGE.read_text(encoding="utf-8")
    if f"onnx {version('onnx')}, with ONNX Runtime {version('onnxruntime')}" not in text:
        pytest.skip("docs/operators.md was written with another onnx or ONNX Runtime; type: skipgrid operators")
    assert operator_row(operator, tried, len(tests[operator])) in text, "docs/operators.md is not as the cut; type: skipgrid operators"
