"""Networks in files: what is saved comes back, and what is no network is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from cli_support import MODEL
from skipgrid.golden import Winners, run_network
from skipgrid.host.network import ModelError, Network
from skipgrid.host.network_file import load_network, save_network
from skipgrid.host.onnx.importer import import_model

EXPERTS = MODEL.with_name("experts.npz")


def same(one: Network, other: Network) -> bool:
    """Whether two networks are equal to the last bit: their files are."""
    return one.input == other.input and one.output == other.output and repr(one) == repr(other)


def test_lenet5_comes_back(tmp_path: Path) -> None:
    network = import_model(MODEL)
    first = network.layers[0].replaced(winners=Winners(share=0.3, magnitude=True), threshold=2)
    changed = Network("changed", (first, *network.layers[1:]), network.input, network.output)
    save_network(changed, tmp_path / "lenet5.npz")
    back = load_network(tmp_path / "lenet5.npz")
    assert same(back, changed)
    for one, other in zip(back.layers, changed.layers, strict=True):
        for name in ("weights", "bias", "scale"):
            assert getattr(one, name).dtype == getattr(other, name).dtype
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (back.layers[0].winners, back.layers[0].threshold) == (first.winners, 2)


def test_experts_come_back(tmp_path: Path) -> None:
    network = load_network(EXPERTS)
    save_network(network, tmp_path / "again.npz")
    back = load_network(tmp_path / "again.npz")
    x = np.random.default_rng(1).integers(0, 256, network.input_shape).astype(np.uint8)
    for one, other in zip(run_network(x, network.layers), run_network(x, back.layers), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_scale_of_a_port_comes_back(tmp_path: Path) -> None:
    network = import_model(MODEL)
    port = type(network.input)("x", network.input.shape, network.input.activation, np.float32(0.1))
    save_network(Network("floats", network.layers, port, network.output), tmp_path / "floats.npz")
    scale = load_network(tmp_path / "floats.npz").input.scale
    assert scale == np.float32(0.1)
    assert scale.dtype == np.float32


@pytest.mark.parametrize("content", [b"", b"no archive", EXPERTS.read_bytes()[:5000]], ids=["empty", "text", "cut"])
def test_what_is_no_network_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.npz"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"broken\.npz holds no network that skipgrid has saved"):
        load_network(path)


def test_a_damaged_file_is_refused_or_read(tmp_path: Path) -> None:
    """Bits flipped anywhere: either nothing that matters was hit, or one sentence says so."""
    path, whole = tmp_path / "damaged.npz", EXPERTS.read_bytes()
    refused = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        content = bytearray(whole)
        # Archives say at their end where everything is, and each file in them begins with its name.
        places = rng.integers(*((len(content) - 900, len(content)) if seed % 2 else (0, 3000)), 1 + seed % 5)
        for place in places:
            content[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        try:
            load_network(path)
        except ModelError as error:
            refused += 1
            assert str(error) == f"{path} holds no network that skipgrid has saved; the model comes first, then the data"  # noqa: PT017
    assert refused > 20


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"version": 1, "network": {"is": "Layer", "name": {"is": "array", "name": "none"}}}',
        '{"version": 1, "network": {"is": "Network", "name": 3, "layers": 4, "input": 5, "output": 6}}',
        '{"version": 1, "network": {"is": "os.system"}}',
        '{"version": 1}',
        "7",
    ],
)
def test_a_text_that_makes_no_network_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "text.npz"
    np.savez(path, network=np.array(text))
    with pytest.raises(ModelError, match=r"text\.npz holds no network that skipgrid has saved"):
        load_network(path)


def test_other_arrays_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, images=np.zeros(3))
    with pytest.raises(ModelError, match=r"data\.npz holds no network that skipgrid has saved"):
        load_network(path)
    np.savez(path, network=np.array('{"version": 9}'))
    with pytest.raises(ModelError, match=r"data\.npz is of version 9 of the format, but this program reads 1"):
        load_network(path)
    np.savez(path, network=np.array('{"version": 1, "network": {"is": "Winners", "k": 3}}'))
    with pytest.raises(ModelError, match=r"data\.npz holds a Winners, not a network"):
        load_network(path)
    with pytest.raises(ModelError, match=r"missing\.npz cannot be read: No such file or directory"):
        load_network(tmp_path / "missing.npz")


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("layers", {"stride": [1.5, 1]}),
        ("layers", {"pool": [2]}),
        ("layers", {"shape": "133"}),
        ("layers", {"threshold": 2.5}),
        ("layers", {"low": 0.5}),
        ("layers", {"winners": {"is": "Winners", "k": 1.5}}),
        ("layers", {"y": {"is": "Activation", "dtype": "uint8", "zero_point": "3"}}),
        ("input", {"shape": [1, 28, 27]}),
        ("input", {"scale": 0.5}),
        ("output", {"activation": {"is": "Activation", "dtype": "int8", "zero_point": 0}}),
        ("output", {"scale": {"is": "array", "name": "nan"}}),
    ],
)
def test_parts_that_a_network_cannot_have_are_refused(tmp_path: Path, part: str, change: dict[str, object]) -> None:
    path = tmp_path / "changed.npz"
    save_network(import_model(MODEL), path)
    with np.load(path) as stored:
        arrays = dict(stored)
    text = json.loads(str(arrays["network"]))
    (text["network"][part][0] if part == "layers" else text["network"][part]).update(change)
    np.savez(path, **arrays | {"network": np.array(json.dumps(text)), "nan": np.float32("nan")})
    with pytest.raises(ModelError, match=r"changed\.npz holds no network that skipgrid has saved"):
        load_network(path)
