"""What a model is run over, as commands read it from a file: a tensor for each of its inputs, and labels if there are any."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    faults = list(_label_faults(labels, images))
    if faults:
        raise ValueError("; ".join(faults))
    if not len(images):
        raise ValueError(f"{path} holds no images")
    return images, labels


def read_inputs(path: Path, inputs: "Sequence[End]", limit: int | None = None) -> "tuple[dict[str, NDArray[Any]], NDArray[Any] | None]":
    """A tensor for each of a model's inputs, by their names or, of one input, as `images`, at most `limit` images; and labels, if any.

    ValueError says all that the file lacks, or that is not of the type and shape that an input has, or holds no numbers.
    """
    arrays, names = read_arrays(path), [end.name for end in inputs]
    single = len(names) == 1 and IMAGES in arrays
    tensors = {names[0]: arrays[IMAGES]} if single else {name: arrays[name] for name in names if name in arrays}
    missing = [name for name in names if name not in tensors]
    if missing:
        wanted = f"{names[0]!r}, or {IMAGES!r}" if len(names) == 1 and names[0] != IMAGES else ", ".join(map(repr, names))
        lacks = f"has no array{'s' * (len(missing) > 1)} {', '.join(map(repr, missing))}"
        raise ValueError(f"{path} {lacks}; it has {_listed(arrays)}, but the model wants {wanted}; {SAVE}")
    scalars = [name for name, tensor in tensors.items() if tensor.ndim == 0]
    if scalars:
        raise ValueError(f"{path}: {', '.join(map(repr, scalars))} is a single number; a batch of tensors is needed")
    faults = []
    counts = {len(tensor) for tensor in tensors.values()}
    if len(counts) > 1:
        each = " and ".join(f"{len(tensor)} of {name!r}" for name, tensor in tensors.items())
        faults.append(f"{path} has {each}; the same number of each input is needed")
    tensors = {name: tensor[:limit] for name, tensor in tensors.items()}
    labels = arrays[LABELS][:limit] if LABELS in arrays else None
    if not min(map(len, tensors.values())):
        faults.append(f"{path} holds no images")
    elif labels is not None:
        faults += _label_faults(labels, next(iter(tensors.values())))
    faults += [fault for end in inputs for fault in _input_faults(tensors[end.name], end, alone=len(inputs) == 1)]
    if faults:
        raise ValueError("; ".join(faults))
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


def check_labels(labels: "NDArray[Any]", classes: int) -> None:
    """ValueError unless each label is one of the classes that the model tells apart."""
    wrong = [number for number, label in enumerate(labels.tolist()) if not 0 <= label < classes]
    if wrong:
        raise ValueError(
            f"image {wrong[0]} has the label {labels[wrong[0]]}, but the model tells {classes} classes apart, 0 to {classes - 1};"
            " number the labels as the model's outputs"
        )


def _input_faults(tensor: "NDArray[Any]", end: "End", *, alone: bool) -> "Iterator[str]":
    """What keeps a tensor from being a model's input: its type, its shape, what it holds. alone: whether the model has no other input."""
    import numpy as np

    from skipgrid.host.network import reshaped

    shape = end.of_image
    if tensor.dtype != end.dtype:
        yield (
            f"the images are {tensor.dtype}, but the model's input {end.name!r} is {end.dtype};"
            f" prepare them as for the model's training, and store them with .astype(numpy.{end.dtype})"
        )
    if tensor.shape[1:] != shape:
        listed = ", ".join(("N", *map(str, shape)))
        yield f"the images' shape is {tensor.shape}, but the model's input {end.name!r} is ({listed})" + reshaped(tensor.shape[1:], shape)
    if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
        wrong = np.flatnonzero(~np.isfinite(tensor).reshape(len(tensor), -1).all(axis=1))
        value = tensor[wrong[0]][~np.isfinite(tensor[wrong[0]])].flat[0]
        more = f", as {'does another' if len(wrong) == 2 else f'do {len(wrong) - 1:,} others'}" if len(wrong) > 1 else ""
        where = "" if alone else f" in {end.name!r}"
        yield f"image {wrong[0]} holds {value}{where}, which no 8-bit activation stands for{more}; leave it out, or mend it"


def _label_faults(labels: "NDArray[Any]", images: "NDArray[Any]") -> "Iterator[str]":
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        yield f"the labels are {labels.dtype} of shape {labels.shape}; one integer for each image is needed"
    elif images.shape[:1] != labels.shape:
        yield f"the images' shape is {images.shape}, but there are {len(labels)} labels; one label for each image is needed"


def _listed(arrays: "dict[str, NDArray[Any]]") -> str:
    return ", ".join(map(repr, arrays)) or "none"
