"""Files that commands read and write: those that the package brings are found anywhere, and none is left half written."""

import io
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipgrid.models import MODELS

from .extras import need

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER = "models"  # in a clone, and so in the README
TRACES = (".fst", ".vcd")
ARRAYS = ".npz"
ONNX = ".onnx"
PICTURES = (".png", ".svg", ".pdf")


class BadOption(ValueError):
    """What an option or an argument says cannot be; the command ends with exit code 2 before it does anything."""


def project() -> Path:
    """The folder of the clone that the command is run in; ValueError if it is run elsewhere."""
    folder = Path.cwd()
    if not (folder / "docs").is_dir() or not (folder / "rtl" / "accelerator.py").is_file():
        raise ValueError(f"{folder} is not a clone of the project; run this command in one")
    return folder


def shipped(path: Path) -> Path:
    """The file of that name; or if there is none, the package's own: `models/lenet5.onnx`, `lenet5.onnx` or `lenet5` do for one."""
    if path.exists() or path.is_absolute() or path.parent not in (Path(), Path(FOLDER)):
        return path
    for ending in ("", ".onnx", ".npz"):
        own = MODELS / f"{path.name}{ending}"
        if path.name and own.is_file():
            return own
    return path


def check_input(path: Path) -> None:
    """BadOption if a file cannot be read."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise BadOption(f"{path}: {error.strerror}") from error


def check_output(path: Path) -> None:
    """BadOption if a file cannot be written there; to be asked before the work whose result it is for."""
    if path.is_dir():
        raise BadOption(f"{path} is a folder; name a file in it")
    if not path.exists():
        check_folder(path.parent)
    elif not os.access(path, os.W_OK):
        raise BadOption(f"{path} cannot be written: permission denied")


def check_folder(path: Path) -> None:
    """The same for a folder in which files are written, and which is made if it is missing."""
    above = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    if not above.is_dir():
        raise BadOption(f"{path} cannot be written: {above} is no folder")
    if not os.access(above, os.W_OK):
        raise BadOption(f"{path} cannot be written: permission denied")


def check_link(path: Path) -> None:
    """The same for a link that is made, or made anew."""
    if path.exists() and not path.is_symlink():
        raise BadOption(f"{path} exists and is no link; choose another name for --link")
    if not path.absolute().parent.is_dir():
        raise BadOption(f"{path} cannot be made: there is no folder {path.parent}")


def check_trace(path: Path) -> None:
    """The same for waveforms."""
    if path.suffix not in TRACES:
        raise BadOption(f"waveforms are written to a file that ends in {' or '.join(TRACES)}, not to {path}")
    check_output(path)


def check_picture(path: Path) -> None:
    """The same for a picture, whose kind is its name's ending."""
    if path.suffix not in PICTURES:
        raise BadOption(f"pictures are written to a file that ends in {', '.join(PICTURES[:-1])} or {PICTURES[-1]}, not to {path}")
    check_output(path)
    need("matplotlib")


def check_arrays(path: Path) -> None:
    """The same for arrays."""
    if path.suffix != ARRAYS:
        raise BadOption(f"arrays are written to a file that ends in {ARRAYS}, not to {path}")
    check_output(path)


def check_model(path: Path) -> None:
    """The same for an ONNX model."""
    if path.suffix != ONNX:
        raise BadOption(f"models are written to a file that ends in {ONNX}, not to {path}")
    check_output(path)


def write_arrays(path: Path, arrays: "Mapping[str, NDArray[Any]]") -> None:
    """Write arrays by their names; one of objects, whose sizes differ, as an array for each, with its number behind the name."""
    import numpy as np

    content, plain = io.BytesIO(), dict(arrays)
    for name, array in arrays.items():
        if array.dtype == object:
            del plain[name]
            plain |= {f"{name} {number}": each for number, each in enumerate(array)}
    np.savez_compressed(content, **plain)  # type: ignore[arg-type]
    write(path, content.getvalue())


def write(path: Path, content: str | bytes) -> None:
    """Write a file, with the folders above it: all of it, or if that fails nothing, and what was there before stays."""
    data = content if isinstance(content, bytes) else content.encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():  # a device or a pipe
            path.write_bytes(data)
        else:
            _replace(path.resolve(), data)  # a link stays one
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _replace(path: Path, data: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as staged:
        try:
            staged.write(data)
            staged.flush()
            Path(staged.name).chmod(_mode(path))
            Path(staged.name).replace(path)
        except BaseException:
            Path(staged.name).unlink(missing_ok=True)
            raise


def _mode(path: Path) -> int:
    """The permissions of a file, or those that a new one would have."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
