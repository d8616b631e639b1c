"""The faces of a judge, so that the sampler takes any: one that has learnt a class answers."""

from dataclasses import dataclass
from typing import Protocol, Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Verdict:
    """For each row: kept or not, the label's probability and the plausibility p-value."""

    keeps: Bool[Tensor, " batch"]
    probability: Float[Tensor, " batch"]
    p_value: Float[Tensor, " batch"]


class FittedJudge(Protocol):
    """A judge that has seen the rows and one class."""

    def to(self, device: torch.device | str) -> Self:
        """The same bench on another device."""
        ...

    def verdict(
        self, x: Float[Tensor, "batch width"], probability: Float[Tensor, " batch"]
    ) -> Verdict:
        """Judge rows whose label members that were not attacked give `probability`."""
        ...


class Judge(Protocol):
    """Settings that learn a bench from real rows.

    They are given what the committee sees of rows; one with `reads_rows = True`, and its bench,
    the encoded rows themselves.
    """

    def fit(
        self,
        x: Float[Tensor, "rows width"],
        y: Int[Tensor, " rows"],
        label: int,
        generator: torch.Generator,
    ) -> FittedJudge:
        """Learn what rows of the class `label` look like among the real rows."""
        ...
