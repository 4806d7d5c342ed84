"""What a layer is: the one description that the importer makes, the golden model runs and the compiler lowers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

Dtype = Literal["uint8", "int8"]
MAX_PERIOD = 32767


def _check_integers(what: str, *values: object) -> None:
    """TypeError, naming what they are, unless all values are integers."""
    if not all(isinstance(value, (int, np.integer)) and not isinstance(value, bool) for value in values):
        raise TypeError(f"{what} must be an integer, not {', '.join(map(repr, values))}")


@dataclass(frozen=True)
class Activation:
    """How a tensor of activations is held: its 8-bit type and its zero point.

    dtype: "uint8" or "int8".
    zero_point: the activation that counts as zero: skipped, coded as a run, padded with. Inside the type's range.
    """

    dtype: Dtype = "uint8"
    zero_point: int = 0

    @property
    def low(self) -> int:
        """The smallest value of the type."""
        return int(np.iinfo(self.dtype).min)

    @property
    def high(self) -> int:
        """The largest value of the type."""
        return int(np.iinfo(self.dtype).max)

    def __post_init__(self) -> None:
        if self.dtype not in ("uint8", "int8"):
            raise TypeError(f"activations are uint8 or int8, not {self.dtype}")
        _check_integers("the zero point", self.zero_point)
        if not self.low <= self.zero_point <= self.high:
            raise ValueError(f"the zero point of {self.dtype} activations lies in {self.low}...{self.high}, not at {self.zero_point}")


@dataclass(frozen=True, eq=False)
class Function:
    """A function of one value, as all of its values.

    before: how what it is of is held.
    values: (256,), in the output's type: of each value of that type, from its lowest up.
    """

    before: Activation
    values: NDArray[np.integer]

    def __post_init__(self) -> None:
        if self.values.dtype not in (np.uint8, np.int8) or self.values.shape != (256,):
            raise TypeError(f"a function has 256 values of uint8 or int8, not {self.values.dtype} of shape {self.values.shape}")

    @property
    def never_falls(self) -> bool:
        """Whether it is no smaller of larger values."""
        return bool((np.diff(self.values.astype(int)) >= 0).all())

    def __call__(self, x: NDArray[np.integer]) -> NDArray[np.integer]:
        """Of some values of the type before."""
        return np.asarray(self.values[x.astype(np.int64) - self.before.low])


@dataclass(frozen=True)
class Winners:
    """How many elements of a tensor keep their values; all others become zero.

    k: the number, 0 or more; all win if there are fewer elements. share: instead of k, their share of all elements, 0...1.
    magnitude: the largest |y - zero_point| win instead of the largest y - zero_point.
    per_pixel: k channels of each pixel win, or a share of them, instead of elements of the whole tensor.
    period: k winners are chosen of every so many tensors, 1...32,767, the first one among them; in those between, all elements win that
        are not smaller than the smallest winner was.
    """

    k: int | None = None
    share: float | None = None
    magnitude: bool = False
    per_pixel: bool = False
    period: int = 1

    def __post_init__(self) -> None:
        if (self.k is None) == (self.share is None):
            raise ValueError(f"winners are given by k or by their share, one of the two, not by k={self.k} and share={self.share}")
        _check_integers("k and the period of winners", self.k or 0, self.period)
        if self.k is not None and self.k < 0:
            raise ValueError(f"k is 0 or more, not {self.k}")
        if self.share is not None and not 0 <= self.share <= 1:
            raise ValueError(f"the share of winners lies in 0...1, not at {self.share}")
        if not 1 <= self.period <= MAX_PERIOD:
            raise ValueError(f"winners are chosen anew after a period of 1 to {MAX_PERIOD:,} tensors, not of {self.period}")
        if self.per_pixel and self.period > 1:
            raise ValueError(f"the winners of pixels are chosen anew in each tensor, not after a period of {self.period}")

    def count(self, elements: int) -> int:
        """The winners among so many elements; a share is rounded to the nearest number, to the even one of two."""
        return min(self.k, elements) if self.k is not None else round((self.share or 0) * elements)


@dataclass(frozen=True, eq=False)
class Mixture:
    """Which experts of a layer an input goes to. The layer's output channels are divided among them, the same number of each in turn.

    gate: reads the layer's input, and gives a score for each expert, (experts, 1, 1): its y - zero_point, in units of 2**-SCORE_FRACTION.
    k: experts that are chosen, those with the largest scores, equal ones by lower index; their weights are the softmax of these.
    """

    gate: "Layer"
    k: int

    @property
    def experts(self) -> int:
        """How many there are to choose from."""
        return self.gate.out_shape[0]

    def __post_init__(self) -> None:
        if self.gate.out_shape != (self.experts, 1, 1) or self.gate.mixture is not None:
            raise ValueError(f"layer {self.gate.name}: a gate gives one score for each expert, not a tensor of {self.gate.out_shape}")
        if self.gate.winners is not None:
            raise ValueError(f"layer {self.gate.name}: all scores of a gate count, so it has no winners")
        _check_integers(f"layer {self.gate.name}: the number of chosen experts", self.k)
        if not 1 <= self.k <= self.experts:
            raise ValueError(f"layer {self.gate.name}: of {self.experts} experts 1 to all are chosen, not {self.k}")


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution (or fully connected layer) with what follows it up to the next stored tensor.

    y = winners(weighed(threshold(function(max_pool(clamp(rne(float32(conv(x - z) + bias) * scale) + zero_point, low, high))))))

    A fully connected layer is a convolution whose filter is as large as its input: weights (K, C, H, W).

    name: what reports and messages call it.
    weights: int8 (K, C, R, S).
    bias: int32 (K,).
    scale: float32 (K,), positive: float32(x_scale * w_scale / y_scale).
    shape: (C, H, W) of the input.
    x, y: how input and output are held.
    stride: (rows, columns).
    pads: (top, left, bottom, right), in pixels that hold the input's zero point.
    low, high: the clamp after requantisation, in the type of what is `rounded`; ReLU is low = y.zero_point.
    pool: (rows, columns) of the max pooling; (1, 1) is none.
    pool_stride: (rows, columns).
    function: what becomes of each rounded value; None if they are the outputs. The zero_point above is that of what is `rounded`.
    threshold: outputs with |y - zero_point| below it become the zero point; 0 and 1 change nothing.
    mixture: the outputs of experts that are not chosen become zero, and those of the chosen are weighed; None if there are no experts.
    winners: of all outputs only so many keep their values; None if all do.
    """

    name: str
    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    scale: NDArray[np.float32]
    shape: tuple[int, int, int]
    x: Activation = Activation()
    y: Activation = Activation()
    stride: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    low: int | None = None
    high: int | None = None
    pool: tuple[int, int] = (1, 1)
    pool_stride: tuple[int, int] = (1, 1)
    function: Function | None = None
    threshold: int = 0
    mixture: Mixture | None = None
    winners: Winners | None = None

    def __post_init__(self) -> None:
        for field, dtype, axes in (("weights", "int8", 4), ("bias", "int32", 1), ("scale", "float32", 1)):
            array = getattr(self, field)
            if array.dtype != dtype or array.ndim != axes:
                self._refuse(f"{field} is {dtype} with {axes} axes, not {array.dtype} of shape {array.shape}", TypeError)
        for field, count in (("shape", 3), ("stride", 2), ("pads", 4), ("pool", 2), ("pool_stride", 2)):
            if not isinstance(getattr(self, field), tuple) or len(getattr(self, field)) != count:
                self._refuse(f"{field} is a tuple of {count} integers, not {getattr(self, field)!r}", TypeError)
            _check_integers(f"layer {self.name}: each of {field}", *getattr(self, field))
        _check_integers(f"layer {self.name}: the clamp and the threshold", *self.clamp, self.threshold)
        K, C, R, S = self.weights.shape
        top, left, bottom, right = self.pads
        if min(self.weights.shape) < 1 or min(self.shape) < 1:
            self._refuse(f"input and weights hold one element or more, not {self.shape} and {self.weights.shape}")
        if self.bias.shape != (K,) or self.scale.shape != (K,):
            self._refuse(f"{K} output channels want a bias and a scale each, not {self.bias.size} biases and {self.scale.size} scales")
        if self.shape[0] != C:
            self._refuse(f"the input has {self.shape[0]} channels, but the weights are for {C}")
        if not (np.isfinite(self.scale).all() and (self.scale > 0).all()):
            self._refuse("every scale is positive and finite")
        if min(self.stride) < 1 or min(self.pool) < 1 or min(self.pool_stride) < 1 or min(self.pads) < 0 or self.threshold < 0:
            self._refuse("strides and pools are 1 or more, pads and the threshold 0 or more")
        if self.function is not None and self.function.values.dtype != self.y.dtype:
            self._refuse(f"its function gives {self.function.values.dtype}, but its output is {self.y.dtype}", TypeError)
        rounded = self.rounded
        if not rounded.low <= self.clamp[0] <= self.clamp[1] <= rounded.high:
            what = f"{rounded.dtype} output's" if self.function is None else f"function's {rounded.dtype} input's"
            self._refuse(f"the clamp {self.clamp} does not lie in the {what} {rounded.low}...{rounded.high}")
        if self.shape[1] + top + bottom < R or self.shape[2] + left + right < S:
            self._refuse(f"a filter of {R} x {S} does not fit into an input of {self.shape[1]} x {self.shape[2]} with pads {self.pads}")
        if self.conv_shape[1] < self.pool[0] or self.conv_shape[2] < self.pool[1]:
            self._refuse(f"a pool of {self.pool[0]} x {self.pool[1]} does not fit into {self.conv_shape[1]} x {self.conv_shape[2]} outputs")
        if self.mixture is not None:
            gate = self.mixture.gate
            if K % self.mixture.experts:
                self._refuse(f"{K} output channels cannot be divided among {self.mixture.experts} experts")
            if (gate.shape, gate.x) != (self.shape, self.x):
                self._refuse(f"its gate takes {gate.x} of {gate.shape}, but it takes {self.x} of {self.shape}")

    def _refuse(self, why: str, error: type[Exception] = ValueError) -> NoReturn:
        raise error(f"layer {self.name}: {why}")

    @property
    def rounded(self) -> Activation:
        """How what requantisation gives is held: what the function is of, or the output."""
        return self.y if self.function is None else self.function.before

    @property
    def clamp(self) -> tuple[int, int]:
        """(low, high) after requantisation, where None means the type's own range."""
        return (self.rounded.low if self.low is None else self.low, self.rounded.high if self.high is None else self.high)

    @property
    def conv_shape(self) -> tuple[int, int, int]:
        """(K, rows, columns) of the convolution's output, before pooling."""
        _, height, width = self.shape
        K, _, R, S = self.weights.shape
        top, left, bottom, right = self.pads
        return K, (height + top + bottom - R) // self.stride[0] + 1, (width + left + right - S) // self.stride[1] + 1

    @property
    def out_shape(self) -> tuple[int, int, int]:
        """(K, rows, columns) of the stored output."""
        K, rows, columns = self.conv_shape
        return K, (rows - self.pool[0]) // self.pool_stride[0] + 1, (columns - self.pool[1]) // self.pool_stride[1] + 1

    def replaced(self, **changes: object) -> "Layer":
        """A copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


def check_network(layers: Sequence[Layer]) -> None:
    """ValueError unless each layer's output is what the next one takes."""
    for layer, after in pairwise(layers):
        if layer.out_shape != after.shape:
            raise ValueError(f"layer {layer.name} makes {layer.out_shape}, but layer {after.name} takes {after.shape}")
        if layer.y != after.x:
            raise ValueError(f"layer {layer.name} makes {layer.y}, but layer {after.name} takes {after.x}")
