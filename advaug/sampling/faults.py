"""What is wrong with new rows where no one rule says so: wrong cells, columns that drifted,
and numbers that real rows do not have."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
RARE = 0.05  # Share of real rows that count as strange.


@dataclass(frozen=True)
class Fault:
    """What is wrong with one part of some new rows, as no real row has it."""

    rows: Array
    is_beyond: bool  # The values are outside the range of the real ones; else no values of theirs.
    words: Callable[[int], str]  # what is wrong with one of the rows


@dataclass(frozen=True)
class Trait:
    """A number of each row, large where a row is strange, beside that of real rows left out.

    new, real : the number of each row
    meaning : what is counted, and what a large one means
    words : what is strange in a new row, by its place
    """

    name: str
    new: Array
    real: Array
    meaning: str
    words: Callable[[int], str]

    @property
    def is_strange(self) -> Array:
        """Which new rows are stranger than RARE of the real ones."""
        is_rare: Array = self.new > np.quantile(self.real, 1 - RARE)
        return is_rare


@dataclass(frozen=True)
class TellTale:
    """How well a learner tells new rows of a class from real ones.

    auc : area under the ROC curve of rows that it has not seen
    columns : (name, by how much the AUC drops without it), the worst first
    """

    auc: float
    columns: list[tuple[Any, float]]


@dataclass(frozen=True)
class PairGap:
    """How strongly two columns depend on each other, in real and in new rows: 0 to 1.

    Of two numbers it is a correlation, from -1 to 1.
    """

    columns: tuple[Any, Any]
    real: float
    new: float

    @property
    def gap(self) -> float:
        """The absolute difference."""
        return abs(self.real - self.new)


@dataclass(frozen=True)
class Dependence:
    """Pair-wise dependence of the columns of new rows of a class beside that of real ones.

    worst : the pairs that differ most, in order
    gap, usual_gap : mean difference of all pairs, of new rows and of other real ones
    usual_worst : largest difference between two samples of real rows
    """

    worst: list[PairGap]
    gap: float
    usual_gap: float
    usual_worst: float


@dataclass(frozen=True)
class Drift:
    """How far one column of new rows of a class lies from the real rows of the class.

    distance : Kolmogorov-Smirnov distance of numbers, total variation of levels, in [0, 1]
    missing : share of missing cells, real and new
    bins, real, new : a histogram of both
        Bins are edges of numbers (of dates: in days since 1970) or names of levels.
    is_date : whether the bins are dates
    """

    column: Any
    distance: float
    missing: tuple[float, float]
    bins: Array
    real: Array
    new: Array
    is_date: bool = False
