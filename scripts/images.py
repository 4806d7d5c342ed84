"""What a model is run over, as commands read it from a file: a tensor for each of its inputs, and labels if there are any."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from skipgrid.host.onnx.model import End

SAVE = "numpy.savez(FILE, images=IMAGES, labels=LABELS) writes such a file"
IMAGES, LABELS = "images", "labels"


def read_arrays(path: Path) -> "dict[str, NDArray[Any]]":
    """The arrays of an npz file; ValueError says what it is instead."""
    import numpy as np

    try:
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise ValueError(f"{path} holds a single array; {SAVE}")
            return dict(arrays)
    except OSError:
        raise
    except Exception as error:  # of zip files, of compression, of NumPy: a damaged file can meet any of them
        if str(error).startswith(str(path)):
            raise
        if "pickle" in str(error):
            raise ValueError(f"{path} is not an npz file of plain arrays; {SAVE}") from error
        raise ValueError(f"{path} is not a readable npz file: {error}; {SAVE}") from error


def read_data(path: Path, limit: int | None = None) -> "tuple[NDArray[Any], NDArray[Any]]":
    """The images and labels of an npz file, at most `limit`; ValueError says what the file lacks."""
    arrays = read_arrays(path)
    missing = [name for name in (IMAGES, LABELS) if name not in arrays]
    if missing:
        raise ValueError(f"{path} has no array {missing[0]!r}; it has {_listed(arrays)}; {SAVE}")
    images, labels = arrays[IMAGES][:limit], arrays[LABELS][:limit]
    _check_labels(labels, images, path)
    return images, labels


def read_inputs(path: Path, names: "Sequence[str]", limit: int | None = None) -> "tuple[dict[str, NDArray[Any]], NDArray[Any] | None]":
    """A tensor for each of a model's inputs, by their names or, of one input, as `images`, at most `limit` images; and labels, if any."""
    arrays = read_arrays(path)
    single = len(names) == 1 and IMAGES in arrays
    tensors = {names[0]: arrays[IMAGES]} if single else {name: arrays[name] for name in names if name in arrays}
    missing = [name for name in names if name not in tensors]
    if missing:
        wanted = f"{names[0]!r}, or {IMAGES!r}" if len(names) == 1 and names[0] != IMAGES else ", ".join(map(repr, names))
        raise ValueError(f"{path} has no array {missing[0]!r}; it has {_listed(arrays)}, but the model wants {wanted}; {SAVE}")
    for name, tensor in tensors.items():
        if tensor.ndim == 0:
            raise ValueError(f"{path}: {name!r} is a single number; a batch of tensors is needed")
    counts = {len(tensor) for tensor in tensors.values()}
    if len(counts) > 1:
        each = " and ".join(f"{len(tensor)} of {name!r}" for name, tensor in tensors.items())
        raise ValueError(f"{path} has {each}; the same number of each input is needed")
    tensors = {name: tensor[:limit] for name, tensor in tensors.items()}
    labels = arrays[LABELS][:limit] if LABELS in arrays else None
    if labels is not None:
        _check_labels(labels, next(iter(tensors.values())), path)
    if not len(next(iter(tensors.values()))):
        raise ValueError(f"{path} holds no images")
    return tensors, labels


def drawn_inputs(inputs: "Sequence[End]", count: int) -> "dict[str, NDArray[Any]]":
    """Random tensors for a model's inputs: floats around zero, 8 bits over their whole range, and 0 or 1 where integers may count."""
    import numpy as np

    rng = np.random.default_rng(0)
    drawn = {}
    for end in inputs:
        shape = (count, *end.of_image)
        if end.dtype.kind == "f":
            drawn[end.name] = rng.standard_normal(shape).astype(end.dtype)
        elif end.dtype.itemsize > 1 or end.dtype.kind == "b":
            drawn[end.name] = rng.integers(0, 2, shape).astype(end.dtype)
        else:
            info = np.iinfo(end.dtype.name)
            drawn[end.name] = rng.integers(info.min, info.max, shape, end.dtype, endpoint=True)
    return drawn


def check_inputs(tensors: "dict[str, NDArray[Any]]", inputs: "Sequence[End]") -> None:
    """TypeError or ValueError unless each tensor is of the type and shape that the model's input has, and holds numbers."""
    import numpy as np

    from skipgrid.host.network import reshaped

    for end in inputs:
        tensor, shape = tensors[end.name], end.of_image
        listed = ", ".join(("N", *map(str, shape)))
        if tensor.dtype != end.dtype:
            raise TypeError(
                f"the images are {tensor.dtype}, but the model's input {end.name!r} is {end.dtype};"
                f" prepare them as for the model's training, and store them with .astype(numpy.{end.dtype})"
            )
        if tensor.shape[1:] != shape:
            raise ValueError(
                f"the images' shape is {tensor.shape}, but the model's input {end.name!r} is ({listed})" + reshaped(tensor.shape[1:], shape)
            )
        if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            number = int(np.argwhere(~np.isfinite(tensor))[0][0])
            value = tensor[number][~np.isfinite(tensor[number])][0]
            raise ValueError(f"image {number} holds {value}, which no 8-bit activation stands for; leave it out, or mend it")


def check_labels(labels: "NDArray[Any]", classes: int) -> None:
    """ValueError unless each label is one of the classes that the model tells apart."""
    wrong = [number for number, label in enumerate(labels.tolist()) if not 0 <= label < classes]
    if wrong:
        raise ValueError(
            f"image {wrong[0]} has the label {labels[wrong[0]]}, but the model tells {classes} classes apart, 0 to {classes - 1};"
            " number the labels as the model's outputs"
        )


def _check_labels(labels: "NDArray[Any]", images: "NDArray[Any]", path: Path) -> None:
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise TypeError(f"the labels are {labels.dtype} of shape {labels.shape}; one integer for each image is needed")
    if images.ndim == 0 or len(images) != len(labels):
        raise ValueError(f"the images' shape is {images.shape}, but there are {len(labels)} labels; one label for each image is needed")
    if not len(images):
        raise ValueError(f"{path} holds no images")


def _listed(arrays: "dict[str, NDArray[Any]]") -> str:
    return ", ".join(map(repr, arrays)) or "none"
