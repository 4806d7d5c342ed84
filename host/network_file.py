"""A network as one file: all of its arrays, and one text for the rest, in NumPy's .npz."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skipgrid.golden.layer import Activation, Function, Layer, Mixture, Winners

from .network import ModelError, Network, Port

ENDING = ".npz"
TEXT = "network"  # the name of the text among the arrays
VERSION = 1
PARTS = {part.__name__: part for part in (Activation, Function, Layer, Mixture, Winners, Port, Network)}


def save_network(network: Network, path: Path) -> None:
    """Write a network to a file that ends in .npz."""
    arrays: dict[str, NDArray[Any]] = {}
    text = json.dumps({"version": VERSION, "network": _plain(network, "", arrays)})
    named: dict[str, Any] = {TEXT: np.array(text), **arrays}
    np.savez_compressed(path, **named)


def load_network(path: Path) -> Network:
    """The network of a file; ModelError if it holds none."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        text = json.loads(str(arrays[TEXT]))
        if text["version"] != VERSION:
            raise ModelError(f"{path} is of version {text['version']} of the format, but this program reads {VERSION}")
        network = _made(text["network"], arrays)
        if isinstance(network, Network):
            _check(network)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from None
    except ModelError:
        raise
    except Exception:  # of zip files, of compression, of NumPy, of JSON, of the parts: a damaged file can meet any of them
        raise ModelError(f"{path} holds no network that skipgrid has saved; the model comes first, then the data") from None
    if not isinstance(network, Network):
        raise ModelError(f"{path} holds a {type(network).__name__}, not a network")
    return network


def _check(network: Network) -> None:
    """TypeError unless the parts are what a network has."""
    parts = ((network.name, str), (network.input, Port), (network.output, Port), *((layer, Layer) for layer in network.layers))
    if not all(isinstance(part, kind) for part, kind in parts):
        raise TypeError("a part is of another kind")


def _plain(value: Any, name: str, arrays: dict[str, NDArray[Any]]) -> Any:
    """A value as JSON has it; arrays go to `arrays` by the names of what they are in."""
    if type(value) in PARTS.values():
        members = {field.name: _plain(getattr(value, field.name), f"{name}.{field.name}", arrays) for field in fields(value)}
        return {"is": type(value).__name__, **members}
    if isinstance(value, tuple):
        return [_plain(item, f"{name}.{number}", arrays) for number, item in enumerate(value)]
    if isinstance(value, (np.ndarray, np.floating)):
        arrays[name] = np.asarray(value)
        return {"is": "array", "name": name}
    return value


def _made(plain: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """The value that JSON and arrays stand for."""
    if isinstance(plain, list):
        return tuple(_made(item, arrays) for item in plain)
    if not isinstance(plain, dict):
        return plain
    if plain["is"] == "array":
        array = arrays[plain["name"]]
        return array if array.ndim else array[()]
    return PARTS[plain["is"]](**{name: _made(value, arrays) for name, value in plain.items() if name != "is"})
