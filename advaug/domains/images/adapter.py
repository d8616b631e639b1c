"""Images: one unit of radius is the way from black to white.

Arrays (n, h, w), (n, channels, h, w) or (n, h, w, channels) of uint8 in 0..255, other whole
numbers, or floats.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from sklearn.utils import check_array
from torch import Tensor

from advaug import containers
from advaug.core.box import Box
from advaug.core.finite import refuse_not_finite
from advaug.core.known_names import refuse_unknown
from advaug.core.parameters import Parameters
from advaug.core.short_repr import ShortRepr
from advaug.core.space import Space
from advaug.sampling.changes import Changes, farthest_cells
from advaug.sampling.constraints import CallableConstraints
from advaug.sampling.defaults import Defaults
from advaug.sampling.domain import Adapter, Coding
from advaug.sampling.recipes import Explore

Array: TypeAlias = np.ndarray[Any, Any]
PerChannel: TypeAlias = float | Sequence[float]
UNITS = ("low", "high", "mean", "std")
COLOURS = (1, 3, 4)  # How many channels an image has whose last axis is taken for them.
# Mean and deviation of pixels from 0 (black) to 1 (white) that nets are usually trained on.
USUAL_UNITS: dict[str, tuple[PerChannel, PerChannel]] = {
    "mean=0.0, std=1.0": (0.0, 1.0),
    "mean=0.5, std=0.5": (0.5, 0.5),
    "mean=0.0, std=1 / 255": (0.0, 1 / 255),
    "mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]": (
        (0.485, 0.456, 0.406),
        (0.229, 0.224, 0.225),
    ),
}


@dataclass
class ImageAdapter(Adapter, Parameters):
    """One unit of radius = black to white.

    Parameters
    ----------
    low, high : float or a sequence of them, one for each channel, optional
        The values of black and white. By default 0 and 255 for uint8, the range of the dtype's
        data otherwise (0 and 1 if the floats lie between them).
    mean, std : float or a sequence of them, one for each channel, optional
        What your own net reads: (pixel - mean) / std of pixels from 0 (black) to 1 (white), as in
        `torchvision.transforms.Normalize`. By default whole numbers are read from 0 to 1, and
        floats as they are in X. For -1 to 1 take mean=0.5, std=0.5.
    channels : {"auto", "first", "last"}, default="auto"
        Which axis of 4-d arrays holds the channels. "auto" is "last" where the last axis has 1, 3
        or 4 places, and the others have more. Your own net gets channels first; if it cannot read
        them, channels last.

    See Also
    --------
    advaug.adapters.SignalAdapter : One unit of radius = one standard deviation of a channel.
    advaug.adapters.TabularAdapter :
        One unit of radius = one robust standard deviation of a number, or one flip of a category.

    Examples
    --------
    >>> import numpy as np
    >>> from advaug.adapters import ImageAdapter
    >>> X = np.full((5, 8, 8, 3), 255, dtype=np.uint8)
    >>> coding = ImageAdapter(mean=0.5, std=0.5).fit(X)
    >>> coding.high, coding.encode(X).shape, coding.native(coding.encode(X)).max().item()
    (255.0, torch.Size([5, 3, 8, 8]), 1.0)
    """

    low: PerChannel | None = None
    high: PerChannel | None = None
    mean: PerChannel | None = None
    std: PerChannel | None = None
    channels: Literal["auto", "first", "last"] = "auto"

    def accepts(self, X: Any) -> bool:
        """4-d arrays, and 3-d ones of uint8 (a 3-d float array could be a signal: say which)."""
        return isinstance(X, np.ndarray) and (X.ndim == 4 or (X.ndim == 3 and X.dtype == np.uint8))

    def check(self, X: Any) -> Any:
        """X as an array."""
        return check_array(X, dtype=None, ensure_all_finite=False, allow_nd=True)

    def fit(self, X: Any) -> "ImageCoding":
        """Learn black and white; ValueError for empty or not finite images."""
        X = containers.as_array(X)
        refuse_no_images(X)
        least, most = float(X.min()), float(X.max())  # Python's floats overflow without a warning.
        in_unit = least >= 0 and most <= 1
        usual = (0.0, 255.0) if X.dtype == np.uint8 else (0.0, 1.0) if in_unit else (least, most)
        if not np.isfinite(most - least):
            raise ValueError(f"images span more than floats hold, {least:g} to {most:g}: divide X")
        is_last = X.ndim == 4 and self._are_channels_last(X.shape[1:])
        n_channels = 1 if X.ndim == 3 else X.shape[-1 if is_last else 1]
        units = {name: checked_units(name, getattr(self, name), n_channels) for name in UNITS}
        low, high = (
            usual[at] if units[name] is None else units[name] for at, name in enumerate(UNITS[:2])
        )
        if np.ndim(low) == np.ndim(high) == 0:
            high = high if high > low else low + 1
        elif not np.less(low, high).all():
            raise ValueError(f"low must be below high in each channel, got {low} and {high}")
        return ImageCoding(
            low, high, X.dtype.kind in "iub", X.shape[1:], units["mean"], units["std"], is_last
        )

    def _are_channels_last(self, shape: tuple[int, ...]) -> bool:
        refuse_unknown("channels", self.channels, ("auto", "first", "last"))
        if self.channels == "auto":
            is_small = shape[-1] in COLOURS and min(shape[:2]) > shape[-1]
            return is_small and shape[0] not in COLOURS
        return self.channels == "last"


def refuse_no_images(X: Any) -> None:
    """ValueError for an array that holds no images of finite numbers."""
    if X.ndim not in (3, 4):
        raise ValueError(
            f"images are (n, h, w) or (n, c, h, w), got shape {X.shape}: reshape X (one image "
            "is X[None])"
        )
    if X.dtype.kind not in "iufb" or not X.size:
        raise ValueError(f"images must hold numbers, got {X.dtype} of shape {X.shape}")
    if X.dtype.kind == "f" and not np.isfinite(X).all():
        row = np.flatnonzero(~np.isfinite(X.reshape(len(X), -1)).all(1))[0]
        raise ValueError(f"image {row} holds NaN or infinity: repair or drop it")


def checked_units(name: str, value: Any, n_channels: int) -> Any:
    """A number, or a tuple of one for each channel; ValueError, naming the parameter, for others.

    A sequence of one number is that number.
    """
    if value is None:
        return None
    numbers = np.asarray(value, dtype=np.float64)
    if numbers.ndim > 1 or (numbers.ndim and len(numbers) not in (1, n_channels)):
        raise ValueError(
            f"{name} must be a number or one for each of the {n_channels} channels, got {value!r}"
        )
    if not np.isfinite(numbers).all() or (name == "std" and (numbers <= 0).any()):
        raise ValueError(f"{name} must be finite{' and above 0' * (name == 'std')}, got {value!r}")
    return float(numbers) if numbers.size == 1 and not numbers.ndim else unpacked(numbers.tolist())


def unpacked(numbers: list[float]) -> Any:
    return numbers[0] if len(numbers) == 1 else tuple(numbers)


@dataclass(frozen=True, repr=False)
class ImageCoding(ShortRepr, Coding):
    """Learnt black and white; whole-numbered pixels stay whole.

    `shape` is that of an image in X. Encoded images have their channels first.
    """

    low: PerChannel
    high: PerChannel
    is_whole: bool
    shape: tuple[int, ...] = ()
    mean: PerChannel | None = None
    std: PerChannel | None = None
    is_channels_last: bool = False

    @property
    def white_less_black(self) -> PerChannel:
        """The way from black to white, in values of X."""
        way: PerChannel = np.subtract(self.high, self.low).tolist()
        return way

    @property
    def _range(self) -> tuple[Array, Array]:
        """Black, and the way from it to white, to broadcast over encoded images."""
        low, way = (
            np.asarray(each)[:, None, None] if np.ndim(each) else np.asarray(each)
            for each in (self.low, self.white_less_black)
        )
        return low, way

    def _channels_first(self, X: Any) -> Array:
        images = containers.as_array(X)
        return np.moveaxis(images, -1, 1) if self.is_channels_last else images

    def encode(self, X: Any) -> Tensor:
        """(n, *shape) float32 in units of black to white, channels first."""
        if self.shape and np.shape(X)[1:] != self.shape:
            raise ValueError(
                f"images are {np.shape(X)[1:]}, but were {self.shape} in fit: resize them to "
                f"{self.shape}, or fit on images of their shape"
            )
        low, way = self._range
        values = (self._channels_first(X).astype(np.float64) - low) / way
        return torch.tensor(values, dtype=torch.float32)

    def native(self, x: Tensor) -> Tensor:
        """(pixel - mean) / std, channels first.

        Without them float images in their own values; pixels of whole numbers from 0 (black) to 1
        (white).
        """
        if self.mean is None and self.std is None:
            low, way = (for_channels(each, x) for each in (self.low, self.white_less_black))
            return x if self.is_whole else x * way + low
        mean, std = self.mean or 0.0, self.std or 1.0
        return normalized(x, mean, std)

    def layouts(self) -> list[Callable[[Tensor], Tensor]]:
        """Channels first, then last, where X has them there."""
        if not self.is_channels_last:
            return [self.native]
        return [self.native, self._native_channels_last]

    def _native_channels_last(self, x: Tensor) -> Tensor:
        return self.native(x).movedim(1, -1)

    def other_units(self) -> dict[str, Callable[[Tensor], Tensor]]:
        """The usual ranges, means and deviations, and X's own."""
        width = 1 if len(self.shape) < 3 else self.shape[-1 if self.is_channels_last else 0]
        usual = {
            f"adapter=ImageAdapter({name})": partial(normalized, mean=mean, std=std)
            for name, (mean, std) in USUAL_UNITS.items()
            if np.ndim(mean) == 0 or np.size(mean) == width
        }
        return usual | {"images standardised (ImageAdapter(mean=..., std=...))": standardized}

    def space(self, norm: float = math.inf) -> Space:
        """The box between black and white, on the grid of whole values where pixels are whole."""
        lower, upper = torch.tensor([0.0, 1.0], dtype=torch.float32).unbind()
        step = torch.tensor(1 / self._range[1], dtype=torch.float32)
        return Box(lower, upper, norm, grid=step if self.is_whole else None)

    def decode(self, moved: Tensor, seed: Tensor, rows: Any) -> Any:
        """Copies of the images with the moved pixels written, in their own dtype."""
        refuse_not_finite(moved)
        low, way = self._range
        by = (moved.double() - seed.double()).numpy() * way
        by = np.rint(by) if self.is_whole else by
        images = self._channels_first(np.array(rows))
        values = images.astype(np.float64)
        least, most = np.minimum(values, low), np.maximum(values, low + way)
        shifted = np.clip(values + by, least, most)
        new = np.where(by == 0, images, shifted.astype(images.dtype))
        return np.ascontiguousarray(np.moveaxis(new, 1, -1)) if self.is_channels_last else new

    def defaults(self) -> Defaults:
        """Pixels of two images are mixed, not swapped."""
        return Defaults(candidates=lambda: Explore(max_mix=0.5, n_neighbors=8, noise_std=0.0))

    def constraints(self, rules: Any, X: Any) -> CallableConstraints:
        """Callables from rows to one bool a row."""
        return CallableConstraints(rules, X, "images")

    def changes(self, before: Any, after: Any) -> list[Changes]:
        """For each image and channel the pixel that moved farthest: (row, column)."""
        images = [self._channels_first(X) for X in (before, after)]
        height, width = images[0].shape[-2:]
        old, new = (each.reshape(len(each), -1, height * width) for each in images)
        moves = np.abs(new.astype(np.float64) - old.astype(np.float64))
        channels = old.shape[1]

        def name(channel: int, cell: int) -> str:
            pixel = f"pixel {divmod(cell, width)}"
            return pixel if channels == 1 else f"channel {channel}, {pixel}"

        return [
            {name(*at): (a[at].item(), b[at].item()) for at in farthest_cells(move)}
            for a, b, move in zip(old, new, moves, strict=True)
        ]


def normalized(x: Tensor, mean: PerChannel, std: PerChannel) -> Tensor:
    """(x - mean) / std, channel by channel where there is one of them for each."""
    return (x - for_channels(mean, x)) / for_channels(std, x)


def for_channels(value: PerChannel, like: Tensor) -> float | Tensor:
    """A number, or one for each channel, to broadcast over encoded images."""
    return torch.tensor(value).to(like)[:, None, None] if isinstance(value, Sequence) else value


def standardized(x: Tensor) -> Tensor:
    """Images with mean 0 and deviation 1 in each channel."""
    axes = [0, -2, -1]
    return (x - x.mean(axes, keepdim=True)) / x.std(axes, keepdim=True).clamp_min(1e-6)
