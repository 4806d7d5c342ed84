"""Images and their labels, as commands read them from a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAVE = "numpy.savez(FILE, images=IMAGES, labels=LABELS) writes such a file"


def read_data(path: Path, limit: int | None = None) -> tuple["NDArray[Any]", "NDArray[Any]"]:
    """The images and labels of an npz file, at most `limit`; ValueError says what the file lacks."""
    import numpy as np

    try:
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise ValueError(f"{path} holds a single array; {SAVE}")
            missing = [name for name in ("images", "labels") if name not in arrays]
            if missing:
                raise ValueError(f"{path} has no array {missing[0]!r}; it has {', '.join(map(repr, arrays)) or 'none'}; {SAVE}")
            images, labels = arrays["images"][:limit], arrays["labels"][:limit]
    except OSError:
        raise
    except Exception as error:  # of zip files, of compression, of NumPy: a damaged file can meet any of them
        if str(error).startswith(str(path)):
            raise
        if "pickle" in str(error):
            raise ValueError(f"{path} is not an npz file of plain arrays; {SAVE}") from error
        raise ValueError(f"{path} is not a readable npz file: {error}; {SAVE}") from error
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise TypeError(f"the labels are {labels.dtype} of shape {labels.shape}; one integer for each image is needed")
    if images.ndim == 0 or len(images) != len(labels):
        raise ValueError(f"the images' shape is {images.shape}, but there are {len(labels)} labels; one label for each image is needed")
    if not len(images):
        raise ValueError(f"{path} holds no images")
    return images, labels


def check_labels(labels: "NDArray[Any]", classes: int) -> None:
    """ValueError unless each label is one of the classes that the model tells apart."""
    wrong = [number for number, label in enumerate(labels.tolist()) if not 0 <= label < classes]
    if wrong:
        raise ValueError(
            f"image {wrong[0]} has the label {labels[wrong[0]]}, but the model tells {classes} classes apart, 0 to {classes - 1};"
            " number the labels as the model's outputs"
        )
