"""What a committee sees of a row: numbers in a vector, differentiable in the row.

Tables and images are read as they are; a domain whose rows say little cell by cell brings its own.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.core.tensor_fields import MovableFields


class Features(Protocol):
    """Encoded rows to vectors; the rows' gradient flows through where they have one."""

    @property
    def descriptors(self) -> slice | None:
        """The features that a new row must have like its class's real ones; None: no such."""
        ...

    @property
    def is_differentiable(self) -> bool:
        """Whether they have a gradient in the rows."""
        ...

    def to(self, device: torch.device | str) -> Self:
        """The same features on another device."""
        ...

    def describe(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch descriptors"]:
        """The descriptors alone, at less cost than all features; by default there are none."""
        return x.flatten(1)[:, :0]

    def __call__(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch width"]: ...


def features_of(
    features: Features, x: Float[Tensor, "rows *shape"], at_once: int = 4096
) -> Float[Tensor, "rows width"]:
    """The features of many rows, some at once; those that are the rows' own cells share them."""
    if isinstance(features, FlatFeatures):
        return features(x)
    return torch.cat([features(rows) for rows in x.split(at_once)])


@dataclass(frozen=True)
class FlatFeatures(Features):
    """The cells of a row, one after the other."""

    descriptors: ClassVar[None] = None
    is_differentiable: ClassVar[bool] = True

    def to(self, device: torch.device | str) -> Self:
        return self

    def __call__(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch width"]:
        return x.flatten(1)


@dataclass(frozen=True, eq=False)
class VaryingFeatures(MovableFields, Features):
    """The cells that are not equal in all rows: a table has a place for each level of a category.

    Parameters
    ----------
    cells : int Tensor (width,)
        Their places in a row.
    """

    cells: Int[Tensor, " width"]
    descriptors: ClassVar[None] = None
    is_differentiable: ClassVar[bool] = True

    def __call__(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch width"]:
        return x.flatten(1).index_select(1, self.cells)


def varying_features(x: Float[Tensor, "rows *shape"]) -> Features:
    """Features of rows like `x`: all cells, but those that are equal in all rows."""
    cells = (x != x[:1]).flatten(1).any(0).nonzero()[:, 0]
    has_all = len(cells) in (0, x[0].numel())
    return FlatFeatures() if has_all else VaryingFeatures(cells)
