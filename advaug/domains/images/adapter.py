"""Images: one unit of radius is the way from black to white.

Arrays (n, h, w) or (n, channels, h, w) of uint8 in 0..255, other whole numbers, or floats.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_array
from torch import Tensor

from advaug import containers
from advaug.core.box import Box
from advaug.core.finite import refuse_not_finite
from advaug.core.parameters import Parameters
from advaug.core.space import Space
from advaug.sampling.changes import Changes, farthest_cells
from advaug.sampling.constraints import CallableConstraints
from advaug.sampling.defaults import Defaults
from advaug.sampling.domain import Adapter, Coding
from advaug.sampling.recipes import Explore


@dataclass
class ImageAdapter(Adapter, Parameters):
    """One unit of radius = black to white.

    Parameters
    ----------
    low, high : float, optional
        The values of black and white. By default 0 and 255 for uint8, the range of the dtype's
        data otherwise (0 and 1 if the floats lie between them).

    Examples
    --------
    >>> import numpy as np
    >>> from advaug.adapters import ImageAdapter
    >>> coding = ImageAdapter().fit(np.zeros((5, 8, 8), dtype=np.uint8))
    >>> coding.high
    255.0
    """

    low: float | None = None
    high: float | None = None

    def accepts(self, X: Any) -> bool:
        """4-d arrays, and 3-d ones of uint8 (a 3-d float array could be a signal: say which)."""
        return isinstance(X, np.ndarray) and (X.ndim == 4 or (X.ndim == 3 and X.dtype == np.uint8))

    def check(self, X: Any) -> Any:
        """X as an array."""
        return check_array(X, dtype=None, ensure_all_finite=False, allow_nd=True)

    def fit(self, X: Any) -> "ImageCoding":
        """Learn black and white; ValueError for empty or not finite images."""
        X = containers.as_array(X)
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
        least, most = float(X.min()), float(X.max())  # Python's floats overflow without a warning.
        in_unit = least >= 0 and most <= 1
        usual = (0.0, 255.0) if X.dtype == np.uint8 else (0.0, 1.0) if in_unit else (least, most)
        if not np.isfinite(most - least):
            raise ValueError(f"images span more than floats hold, {least:g} to {most:g}: divide X")
        low = usual[0] if self.low is None else self.low
        high = usual[1] if self.high is None else self.high
        whole = X.dtype.kind in "iub"
        return ImageCoding(low, high if high > low else low + 1, whole, X.shape[1:])


@dataclass(frozen=True)
class ImageCoding(Coding):
    """Learnt black and white; whole-numbered pixels stay whole."""

    low: float
    high: float
    is_whole: bool
    shape: tuple[int, ...] = ()

    def encode(self, X: Any) -> Tensor:
        """(n, *shape) float32 in units of black to white."""
        if self.shape and np.shape(X)[1:] != self.shape:
            raise ValueError(
                f"images are {np.shape(X)[1:]}, but were {self.shape} in fit: resize them to "
                f"{self.shape}, or fit on images of their shape"
            )
        values = (containers.as_array(X).astype(np.float64) - self.low) / (self.high - self.low)
        return torch.tensor(values, dtype=torch.float32)

    def native(self, x: Tensor) -> Tensor:
        """Float images in their own values; pixels of whole numbers from 0 (black) to 1 (white)."""
        return x if self.is_whole else x * (self.high - self.low) + self.low

    def space(self, norm: float = math.inf) -> Space:
        """The box between black and white, on the grid of whole values where pixels are whole."""
        lower, upper, step = torch.tensor(
            [0.0, 1.0, 1 / (self.high - self.low)], dtype=torch.float32
        ).unbind()
        return Box(lower, upper, norm, grid=step if self.is_whole else None)

    def decode(self, moved: Tensor, seed: Tensor, rows: Any) -> Any:
        """Copies of the images with the moved pixels written, in their own dtype."""
        refuse_not_finite(moved)
        by = (moved.double() - seed.double()).numpy() * (self.high - self.low)
        by = np.rint(by) if self.is_whole else by
        images = np.array(rows)
        values = images.astype(np.float64)
        least, most = np.minimum(values, self.low), np.maximum(values, self.high)
        shifted = np.clip(values + by, least, most)
        return np.where(by == 0, images, shifted.astype(images.dtype))

    def defaults(self) -> Defaults:
        """Pixels of two images are mixed, not swapped."""
        return Defaults(candidates=lambda: Explore(max_mix=0.5, n_neighbors=8, noise_std=0.0))

    def constraints(self, rules: Any, X: Any) -> CallableConstraints:
        """Callables from rows to one bool a row."""
        return CallableConstraints(rules, X, "images")

    def changes(self, before: Any, after: Any) -> list[Changes]:
        """For each image and channel the pixel that moved farthest: (row, column)."""
        height, width = np.shape(before)[-2:]
        old, new = (
            containers.as_array(X).reshape(len(X), -1, height * width) for X in (before, after)
        )
        moves = np.abs(new.astype(np.float64) - old.astype(np.float64))
        channels = old.shape[1]

        def name(channel: int, cell: int) -> str:
            pixel = f"pixel {divmod(cell, width)}"
            return pixel if channels == 1 else f"channel {channel}, {pixel}"

        return [
            {name(*at): (a[at].item(), b[at].item()) for at in farthest_cells(move)}
            for a, b, move in zip(old, new, moves, strict=True)
        ]
