"""The node tests of the `onnx` package, quantised and cut: which operators run on the accelerator, which on the host, and why.

Each test is one node with its inputs. Those of 8 bits are taken as they are, the others as ONNX Runtime's static quantisation makes them,
in both of its formats; where it leaves a node in float, there are QuantizeLinear and DequantizeLinear before and behind it. A test's
outputs by the golden model are compared with ONNX Runtime's default session, over the test's own inputs and some random ones.
"""

import contextlib
import io
import logging
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx.backend.test.loader import load_model_tests
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from skipgrid.host.execution import run_golden
from skipgrid.host.network import ModelError
from skipgrid.host.onnx.cut import Cut, cut_model
from skipgrid.host.onnx.graph import QUANTISED, first_line
from skipgrid.host.onnx.runtime import Reference

OPERATORS = (
    "Conv",
    "QLinearConv",
    "ConvTranspose",
    "Gemm",
    "MatMul",
    "QLinearMatMul",
    "MaxPool",
    "GlobalMaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Add",
    "Concat",
    "BatchNormalization",
    "Relu",
    "Clip",
    "LeakyRelu",
    "Sigmoid",
    "Softmax",
    "Flatten",
    "Reshape",
    "Transpose",
    "Slice",
    "Split",
    "Pad",
    "Resize",
)
OF_DATA = ("Add", "Concat")  # which may read several tensors that are not constant
RANDOM = 3  # inputs of each model, besides its own
ACCELERATOR, HOST, REFUSED, FAILED = "accelerator", "host", "refused", "failed"
PAGE = """\
# Operators

This page is written by `skipgrid operators` from the node tests of onnx {onnx}, with ONNX Runtime {onnxruntime}. Each test is one node.
Its weights are made constant; a test that is not of 8 bits already is quantised by `onnxruntime.quantization.quantize_static`, in the
formats QDQ and QOperator, so that most tests make two models. All outputs are compared with those of ONNX Runtime's default session, over
the test's own inputs and {random} random ones: {verdict}.

What runs on the host is computed there by ONNX Runtime. What only moves elements is shown as of the host here, where it is alone; between
layers it costs nothing. Relu, Clip and Pad join a layer, too, and so do a MaxPool behind one and, where the accelerator holds tables,
functions of one value, such as LeakyRelu and Sigmoid.

{table}
"""


@dataclass(frozen=True)
class Trial:
    """A node test in one format.

    where: ACCELERATOR, HOST, REFUSED by ONNX Runtime itself, or FAILED. remark: why. in_float: whether outputs differ by one step from
    those of ONNX Runtime, which computes in float32 there.
    """

    operator: str
    test: str
    form: str
    where: str
    remark: str = ""
    in_float: bool = False


def node_tests() -> dict[str, list[Any]]:
    """The tests of each of the operators, as the onnx package has them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what other tests divide by
        every: list[Any] = load_model_tests(kind="node")
    found: dict[str, list[Any]] = {operator: [] for operator in OPERATORS}
    for case in every:
        nodes = case.model.graph.node
        if len(nodes) == 1 and nodes[0].op_type in found and not nodes[0].domain:
            found[nodes[0].op_type].append(case)
    return found


def trials(case: Any) -> Iterator[Trial]:
    """Try a node test in each format that it has."""
    model, inputs = with_constants(
        case.model, dict(zip((value.name for value in case.model.graph.input), case.data_sets[0][0], strict=True))
    )
    rng = np.random.default_rng(0)
    batches = [inputs, *({name: _like(values, rng) for name, values in inputs.items()} for _ in range(RANDOM))]
    operator = model.graph.node[0].op_type
    with tempfile.TemporaryDirectory(prefix="skipgrid-") as folder, _quiet():
        source = Path(folder) / "model.onnx"
        onnx.save(model, source)
        if any(values.dtype in (np.uint8, np.int8) for values in inputs.values()):
            yield _tried(operator, case.name, "as it is", source, batches)
            return
        forms = {form: _quantised(source, form, batches) for form in ("QDQ", "QOperator")}
        if not any(forms.values()):
            yield _tried(operator, case.name, "between roundings", _rounded(source, batches), batches)
        for form, path in forms.items():
            if path:
                yield _tried(operator, case.name, form, path, batches)


def with_constants(model: onnx.ModelProto, inputs: Mapping[str, NDArray[Any]]) -> tuple[onnx.ModelProto, dict[str, NDArray[Any]]]:
    """A model with all inputs as initializers but the data, and what is left of the inputs: the first, or several of the same batch."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    (node,) = changed.graph.node
    first = np.asarray(inputs[node.input[0]])
    data = {node.input[0]: first}
    if node.op_type in OF_DATA:
        data |= {name: values for name, values in inputs.items() if np.shape(values)[:1] == first.shape[:1]}
    kept = [value for value in changed.graph.input if value.name in data]
    del changed.graph.input[:]
    changed.graph.input.extend(kept)
    changed.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(values), name) for name, values in inputs.items() if name not in data
    )
    return changed, data


def operators_page(tried: Mapping[str, Iterable[Trial]], tests: Mapping[str, int]) -> str:
    """The page of all trials; tests: how many each operator has."""
    every = [trial for some in tried.values() for trial in some]
    failed = [f"{trial.test} ({trial.form})" for trial in every if trial.where == FAILED]
    in_float = sum(trial.in_float for trial in every)
    verdict = f"{', '.join(failed)} are wrong" if failed else "all are equal, bit for bit"
    if in_float and not failed:
        verdict = f"all are equal, bit for bit, but for {in_float} models at ties that ONNX Runtime computes in float32"
    lines = ["| operator | node tests | models | on the accelerator | on the host | refused by ONNX Runtime | remarks |"]
    lines.append("| --- " + "| ---: " * 5 + "| --- |")
    lines += [operator_row(operator, list(some), tests[operator]) for operator, some in tried.items()]
    versions = {name: version(name) for name in ("onnx", "onnxruntime")}
    return PAGE.format(**versions, random=RANDOM, verdict=verdict, table="\n".join(lines))


def operator_row(operator: str, tried: list[Trial], tests: int) -> str:
    """An operator's row of the page."""
    counts = Counter(trial.where for trial in tried)
    remarks = Counter(trial.remark for trial in tried if trial.remark)
    text = "; ".join(f"{count}: {remark}" for remark, count in remarks.most_common())
    cells = [f"`{operator}`", tests, len(tried), *(counts[where] for where in (ACCELERATOR, HOST, REFUSED)), text.replace("|", "\\|")]
    return "| " + " | ".join(map(str, cells)) + " |"


class _Batches(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, batches: list[dict[str, NDArray[Any]]]) -> None:
        self.left = iter(batches)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        return next(self.left, None)


def _quantised(source: Path, form: str, batches: list[dict[str, NDArray[Any]]]) -> Path | None:
    """The quantised model beside a float one; None where the quantiser leaves it as it is."""
    target = source.with_name(f"{form}.onnx")
    try:
        quantize_static(
            source,
            target,
            _Batches(batches),
            quant_format=QuantFormat[form],
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            reduce_range=True,
            extra_options={"WeightSymmetric": True, "ForceQuantizeNoInputCheck": True},  # poolings and moves too, whatever they read
        )
    except Exception:  # it has no class of exceptions of its own
        return None
    return target if {proto.op_type for proto in onnx.load(target).graph.node}.intersection(QUANTISED) else None


def _rounded(source: Path, batches: list[dict[str, NDArray[Any]]]) -> Path:
    """The model beside a float one, with its data and its first output rounded to 8 bits; the same one where these are not float32."""
    model = onnx.load(source)
    (node,) = model.graph.node
    ends = [node.input[0], node.output[0]]
    values = [[batch[ends[0]] for batch in batches], [outputs[0] for outputs in _run(source, batches)]]
    if any(each.dtype != np.float32 or not each.size for some in values for each in some):
        return source
    rounding = []
    for end, some in zip(ends, values, strict=True):
        low, high = min(0.0, *(float(each.min()) for each in some)), max(0.0, *(float(each.max()) for each in some))
        scale = np.float32((high - low) / 255 or 1)
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(scale), f"{end}_scale"))
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(round(-low / float(scale)), np.uint8), f"{end}_zero"))
        before, behind = (end, f"{end}_rounded") if end == ends[0] else (f"{end}_float", end)
        steps = [f"{end}_scale", f"{end}_zero"]
        rounding.append(onnx.helper.make_node("QuantizeLinear", [before, *steps], [f"{end}_codes"], f"{end}_quantise"))
        rounding.append(onnx.helper.make_node("DequantizeLinear", [f"{end}_codes", *steps], [behind], f"{end}_dequantise"))
    node.input[0], node.output[0] = f"{ends[0]}_rounded", f"{ends[1]}_float"
    model.graph.node.insert(0, rounding[0])
    model.graph.node.insert(1, rounding[1])
    model.graph.node.extend(rounding[2:])
    target = source.with_name("rounded.onnx")
    onnx.save(model, target)
    return target


def _run(path: Path, batches: list[dict[str, NDArray[Any]]]) -> list[list[NDArray[Any]]]:
    """A model's outputs by ONNX Runtime's default session: one for all batches, as a model in training mode remembers them."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return [list(session.run(None, batch)) for batch in batches]


def _like(values: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Random values of the same type, shape and range."""
    if not values.size or values.dtype.kind not in "iuf":
        return values
    if values.dtype.kind == "f":
        return rng.uniform(values.min(), values.max(), values.shape).astype(values.dtype)
    return rng.integers(values.min(), values.max(), values.shape, endpoint=True).astype(values.dtype)


def _tried(operator: str, test: str, form: str, path: Path, batches: list[dict[str, NDArray[Any]]]) -> Trial:
    """What comes of a model over its batches."""
    try:
        theirs = _run(path, batches)
    except Exception as error:  # ONNX Runtime's have no class of their own in common
        reason = first_line(error).rsplit("Error ", 1)[-1].rsplit(" : ", 1)[-1].rstrip(".")
        return Trial(operator, test, form, REFUSED, f"ONNX Runtime: {reason}")
    try:
        cut = cut_model(path, host_only=True)
        in_float = _compared(cut, batches, theirs)
    except ModelError as error:
        return Trial(operator, test, form, FAILED, str(error))
    if in_float is None:
        return Trial(operator, test, form, FAILED, "its outputs are wrong")
    where = ACCELERATOR if cut.layers else HOST
    remark = "; ".join(dict.fromkeys(node.why for node in cut.host_nodes))
    return Trial(operator, test, form, where, remark, in_float)


def _compared(cut: Cut, batches: list[dict[str, NDArray[Any]]], theirs: list[list[NDArray[Any]]]) -> bool | None:
    """Whether outputs differ where ONNX Runtime computes in float32; None if they differ otherwise."""
    in_float = False
    for batch, expected in zip(batches, theirs, strict=True):
        stored = run_golden(cut, batch)
        for end, values in zip(cut.model.outputs, expected, strict=True):
            ours = stored[end.name]
            if ours.dtype == values.dtype and np.array_equal(ours, values, equal_nan=values.dtype.kind == "f"):
                continue
            if not all(Reference(cut).explains(batch, image) for image in range(cut.model.batch)):
                return None
            in_float = True
    return in_float


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Where neither the quantiser nor ONNX Runtime says anything."""
    onnxruntime.set_default_logger_severity(4)
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        onnxruntime.set_default_logger_severity(2)
