"""A program compiled and run by itself: without the golden model, without ONNX, and with any code."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from skipgrid import host
from skipgrid.benches.fuzz.trials import SMALL
from skipgrid.golden import Activation, Layer, run_network, size_bits
from skipgrid.host.compiler.codes import PARAMETERS, shortest_codes
from skipgrid.host.compiler.program import CODE_PARAMETER, compile_network
from skipgrid.host.network import Network, Port
from skipgrid.host.network_file import save_network
from skipgrid.host.run import run_program
from skipgrid.host.simulation.device import SimulatedDevice
from skipgrid.scripts.sources import with_imports

HOST = Path(host.__path__[0])
COMPUTES = {"network.py", "limits.py", "topk.py", "gates.py", "router.py"}  # of the golden model
ALONE = """
    import sys

    for name in ("onnx", "onnxruntime"):
        sys.modules[name] = None
    import skipgrid.golden.network

    def refuse(*_):
        raise AssertionError("the golden model was asked")

    skipgrid.golden.network.accumulate = refuse

    from pathlib import Path

    import numpy as np

    from skipgrid.host.compiler.program import compile_network
    from skipgrid.host.network_file import load_network
    from skipgrid.host.run import run_program
    from skipgrid.host.simulation.device import SimulatedDevice
    from skipgrid.rtl.config import preset

    config = preset("1x8")
    network, inputs = load_network(Path("network.npz")), np.load("inputs.npy")
    results = run_program(SimulatedDevice(config), compile_network(network, config), inputs)
    np.save("outputs.npy", [result.output for result in results])
    assert not [name for name in sys.modules if name.startswith("skipgrid.benches")]
"""


def made_network() -> Network:
    """Two layers, of which the first pools."""
    rng = np.random.default_rng(7)
    shapes, layers = ((3, 8, 8), (4, 4, 4)), []
    for number, (shape, K, pool) in enumerate(zip(shapes, (4, 5), (2, 1), strict=True)):
        weights = rng.integers(-64, 65, (K, shape[0], 3, 3)).astype(np.int8)
        scale = np.full(K, 0.004, np.float32)
        layers.append(Layer(f"layer {number}", weights, np.zeros(K, np.int32), scale, shape, pads=(1,) * 4, low=0, pool=(pool,) * 2))
        layers[-1] = layers[-1].replaced(pool_stride=(pool,) * 2)
    ends = (Port(name, shape, Activation()) for name, shape in (("x", shapes[0]), ("y", layers[-1].out_shape)))
    return Network("made", tuple(layers), *ends)


def made_inputs(count: int) -> np.ndarray:
    rng = np.random.default_rng(8)
    return np.where(rng.random((count, 3, 8, 8)) < 0.3, rng.integers(1, 256, (count, 3, 8, 8)), 0).astype(np.uint8)


@pytest.mark.xdist_group("1x8")
def test_a_program_runs_without_the_golden_model_and_onnx(tmp_path: Path) -> None:
    network, inputs = made_network(), made_inputs(3)
    save_network(network, tmp_path / "network.npz")
    np.save(tmp_path / "inputs.npy", inputs)
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(ALONE)], cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    expected = [run_network(x, network.layers)[-1] for x in inputs]
    assert all(output.any() for output in expected)
    np.testing.assert_array_equal(np.load(tmp_path / "outputs.npy"), expected)


@pytest.mark.parametrize("file", ["run.py", "network_file.py", "compiler/program.py", "devices/serial_device.py", "simulation/device.py"])
def test_what_a_program_needs_knows_layers_and_their_code_only(file: str) -> None:
    golden = {path.name for path in with_imports(HOST / file) if path.parent.name == "golden"}
    assert not golden & COMPUTES, f"host/{file} takes more of the golden model than what a layer is, its numbers and its code"
    assert "onnx" not in {path.parent.name for path in with_imports(HOST / file)}


@pytest.mark.xdist_group("small")
def test_the_code_is_chosen_by_a_sample_or_given() -> None:
    network, inputs = made_network(), made_inputs(2)
    device = SimulatedDevice(SMALL)
    chosen = compile_network(network, SMALL, *shortest_codes(network, inputs))
    expected = [run_network(x, network.layers)[-1] for x in inputs]
    for program in (chosen, compile_network(network, SMALL), compile_network(network, SMALL, k_in=7, k_out=0)):
        results = list(run_program(device, program, inputs))
        np.testing.assert_array_equal([result.output for result in results], expected)
        assert all(sum(result.layer_cycles) == result.cycles for result in results)
    assert (chosen.k_in, chosen.k_out) == (1, 0)
    with pytest.raises(ValueError, match=r"Descriptor\.k_in holds 0 to 7, not 8"):
        compile_network(network, SMALL, k_in=8)
    device.close()


@pytest.mark.parametrize("zeros", [0.6, 0.7, 0.8, 0.9])
def test_a_code_that_is_not_chosen_is_hardly_longer(zeros: float) -> None:
    rng = np.random.default_rng(0)
    tensor = np.where(rng.random(40_000) < zeros, 0, rng.integers(1, 256, 40_000)).astype(np.uint8)
    assert size_bits(tensor, CODE_PARAMETER) <= 1.06 * min(size_bits(tensor, k) for k in PARAMETERS)
