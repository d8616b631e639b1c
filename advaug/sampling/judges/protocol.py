"""What a judge is: settings that learn a class, and what they have learnt, which accepts rows."""

from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.core.domain import RowCoding
from advaug.core.short_repr import ShortRepr


@dataclass(frozen=True, repr=False)
class Verdict(ShortRepr):
    """Which rows are accepted, and how plausible each of them is."""

    accepts: Bool[Tensor, " batch"]
    p_value: Float[Tensor, " batch"]


class FittedJudge(Protocol):
    """A judge that has seen the rows and one class. It inherits from this protocol."""

    def to(self, device: torch.device | str) -> Self:
        """The same judge on another device."""
        return self

    def admits(
        self, described: Float[Tensor, "batch descriptors"], columns: slice
    ) -> Bool[Tensor, " batch"]:
        """Which rows `verdict` may accept, by the descriptors in `columns` of their features.

        By default all of them.
        """
        return torch.ones(len(described), dtype=torch.bool, device=described.device)

    def verdict(
        self, x: Float[Tensor, "batch *shape"], probability: Float[Tensor, " batch"]
    ) -> Verdict:
        """Judge rows of which held-out voters predict the label with `probability`."""
        ...


@runtime_checkable
class Judge(Protocol):
    """Settings that learn from real rows. A judge inherits from this protocol."""

    @property
    def reads_rows(self) -> bool:
        """Whether it reads encoded rows; else the features that the committee sees of them."""
        return False

    @property
    def requires(self) -> frozenset[str]:
        """What the domain must provide, such as "edits" or "descriptors"."""
        return frozenset()

    def for_rows(self, coding: RowCoding) -> "Judge":
        """The judge, told how the rows are coded, before it is fitted; by default as it is."""
        return self

    def fit(
        self,
        x: Float[Tensor, "rows *shape"],
        y: Int[Tensor, " rows"],
        label: int,
        generator: torch.Generator,
    ) -> FittedJudge:
        """Learn what rows of the class `label` look like among the real rows."""
        ...
