"""The faces of an adapter: settings that learn a coding, and the coding that they learn."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor

from advaug.core.features import Features
from advaug.core.space import Space

Array: TypeAlias = np.ndarray[Any, Any]

# `native` gives one number for each column, an affine function of the encoded row.
AFFINE_COLUMNS = "affine_columns"


class RepairStatus(IntEnum):
    """What the rules have done to a new row."""

    UNTOUCHED = 0
    REPAIRED = 1
    REVERTED = 2  # It has its parent's cells wherever a broken rule reads.
    REPLACED = 3  # It is a copy of a real row, since a rule could not be kept.


class RowConstraints(Protocol):
    """Rules over rows: a new row may not break one that its parent keeps.

    It is built from the user's rules and the real rows, which are the parents.
    """

    @property
    def shares(self) -> dict[str, float]:
        """The share of the real rows that keep each rule; ValueError where a rule does not fit."""
        ...

    def repair(self, x: Tensor, seed: Tensor, parents: Tensor) -> tuple[Tensor, Tensor]:
        """Encoded rows that keep the rules, and a `RepairStatus` for each.

        `seed` are their parents, encoded, and `parents` these rows' numbers among the real rows.
        """
        ...

    def finish(self, new: Any, rows: Any) -> tuple[Any, Array]:
        """Decoded rows repaired in their own dtypes, and which of them still break a rule.

        `rows` are their parents, in the user's container.
        """
        ...


@dataclass(frozen=True)
class Fault:
    """What is wrong with one part of some new rows, as no real row has it."""

    rows: Array
    is_beyond: bool  # The values are outside the range of the real ones; else no values of theirs.
    words: Callable[[int], str]  # what is wrong with one of the rows


@dataclass(frozen=True)
class Drift:
    """How far one column of new rows of a class lies from the real rows of the class.

    distance : Kolmogorov-Smirnov distance of numbers, total variation of levels, in [0, 1]
    missing : share of missing cells, real and new
    bins, real, new : a histogram of both; bins are edges of numbers or names of levels
    """

    column: Any
    distance: float
    missing: tuple[float, float]
    bins: Array
    real: Array
    new: Array


class Coding(Protocol):
    """What an adapter has learnt: rows to tensors, their space, and back.

    A coding that inherits from this class gets the members with a default.
    """

    @property
    def provides(self) -> frozenset[str]:
        """What attacks and models may rely on, such as `AFFINE_COLUMNS`; by default nothing."""
        return frozenset()

    def encode(self, X: Any) -> Tensor:
        """(rows, *shape) float32, on the CPU."""
        ...

    def native(self, x: Tensor) -> Tensor:
        """Encoded rows as the user's own net takes them: differentiable, in the user's units."""
        ...

    def features(self, x: Tensor, generator: torch.Generator) -> Features:
        """What a committee sees of encoded rows like `x`."""
        ...

    def space(self, norm: float = math.inf) -> Space:
        """Where encoded rows may move."""
        ...

    def decode(self, moved: Tensor, seed: Tensor, rows: Any) -> Any:
        """Copies of `rows` (encoded: `seed`) with the cells edited that `moved` has moved."""
        ...

    def changes(self, before: Any, after: Any) -> list[dict[str, Any]]:
        """For each row what moved: name -> (before, after)."""
        ...

    def constraints(self, rules: Any, X: Any) -> RowConstraints:
        """The user's rules, over rows like the real rows X.

        `advaug.sampling.constraints.CallableConstraints` suits any domain.
        """
        ...

    def faults(self, real_rows: Any, new_rows: Any) -> list[Fault]:
        """What no real row could hold; by default nothing is found."""
        return []

    def drifts(self, real_rows: Any, new_rows: Any) -> list[Drift]:
        """How far each column of the new rows has drifted; by default nothing is found."""
        return []


class Adapter(Protocol):
    """Settings; `fit` returns a new coding and leaves the adapter as it was."""

    def accepts(self, X: Any) -> bool:
        """Whether this kind of container is its own."""
        ...

    def fit(self, X: Any) -> Coding:
        """Learn scale, bounds and levels from the rows."""
        ...


@dataclass(frozen=True)
class FittedAdapter:
    """An adapter that has learnt already: rows seen later are measured in the same units.

    Examples
    --------
    >>> import numpy as np
    >>> from advaug.adapters import FittedAdapter, TabularAdapter
    >>> coding = TabularAdapter().fit(np.arange(8.0).reshape(4, 2))
    >>> FittedAdapter(coding).fit(np.zeros((1, 2))) is coding
    True
    """

    coding: Coding

    def accepts(self, X: Any) -> bool:
        return True

    def fit(self, X: Any) -> Coding:
        return self.coding


def not_finite(moved: Tensor) -> np.ndarray[Any, Any]:
    """Rows that came out as NaN or infinity."""
    return (~moved.flatten(1).isfinite().all(1)).nonzero()[:, 0].numpy()


def refuse_not_finite(moved: Tensor) -> None:
    """ValueError naming the rows that are not finite: a model's gradient was not."""
    rows = not_finite(moved)
    if len(rows):
        raise ValueError(
            f"the attacked model has no finite gradient at {len(rows)} rows (first: row "
            f"{rows[0]} of its batch): check its output there for NaN or infinity"
        )
