"""A model's outputs, image by image, whatever their axes are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def of_images(tensor: NDArray[Any], batch: int) -> list[NDArray[Any]]:
    """What an output is for each image of a batch: where its first axis is none of images, all of it for each of them."""
    return list(tensor) if tensor.shape[:1] == (batch,) else [tensor] * batch


def joined(images: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """An output of all images; of objects, if its size differs from image to image."""
    if len({image.shape for image in images}) == 1:
        return np.stack(images)
    together = np.empty(len(images), object)
    for number, image in enumerate(images):
        together[number] = image
    return together
