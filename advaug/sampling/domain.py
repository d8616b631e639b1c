"""What a domain must fill so that every estimator, report and command works on its rows.

An adapter holds settings and learns a coding; the coding turns rows into tensors and back. Both
inherit from the protocols here. Members whose body is not "..." have a default.
"""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from advaug import containers
from advaug.core.domain import CELLS, Capabilities, RowCoding
from advaug.core.features import Features, FlatFeatures
from advaug.core.short_repr import ShortRepr
from advaug.sampling.changes import Changes
from advaug.sampling.constraints import CallableConstraints, Finding, RowConstraints
from advaug.sampling.defaults import Defaults
from advaug.sampling.faults import Dependence, Drift, Fault, TellTale, Trait


@runtime_checkable
class Coding(RowCoding, Protocol):
    """What an adapter has learnt: a coding of rows, and what is done with such rows."""

    def check(self, X: Any) -> Any:
        """X as `encode` and `decode` take it; by default it is that already."""
        return X

    def budgeted(self, radius: Any) -> "Coding":
        """The same coding, in which a radius of 1 is each column's own budget.

        radius : mapping of column -> number or (low, high), in the column's units
        """
        raise TypeError(
            f"radius must be a number, got {radius!r}: budgets by column are for tables"
        )

    def widened(self, bounds: Mapping[Any, tuple[Any, Any]]) -> "Coding":
        """The same coding for rows of which more is known than was seen in `fit`.

        bounds : column -> its least and largest value; by default rows have no columns
        """
        return self

    def features(self, x: Tensor, generator: torch.Generator) -> Features:
        """What the committee sees of encoded rows like `x`."""
        return FlatFeatures()

    def defaults(self) -> Defaults:
        """What estimators do with such rows where the user does not say so."""
        return Defaults()

    def constraints(self, rules: Any, X: Any) -> RowConstraints:
        """The user's rules, over rows like the real rows X: by default callables.

        "auto" stands for the relations that all rows of X keep; by default none is looked for.
        """
        return CallableConstraints(rules, X)

    @property
    def findings(self) -> list[Finding]:
        """What was found of single columns, a sentence each; by default nothing."""
        return []

    @property
    def identifiers(self) -> list[Any]:
        """Columns that only tell rows apart, so that new rows get fresh values; by default none."""
        return []

    def renumber(self, new_rows: Any, numbers: np.ndarray[Any, Any]) -> Any:
        """New rows with fresh values where a cell tells rows apart; by default as they are.

        numbers : a number for each new row, which no other new row has, from 0
        """
        return new_rows

    def faults(self, real_rows: Any, new_rows: Any) -> list[Fault] | None:
        """What no real row could hold; None where rows have no columns."""
        return None

    def drifts(self, real_rows: Any, new_rows: Any) -> list[Drift]:
        """How far each column of the new rows has drifted; by default nothing is found."""
        return []

    def tell_tale(self, real_rows: Any, new_rows: Any, seed: int) -> TellTale | None:
        """Whether a learner tells new rows of a class from its real ones, and by which columns.

        By default rows have no columns, so None.
        """
        return None

    def dependence(self, real_rows: Any, new_rows: Any, seed: int) -> Dependence | None:
        """How columns depend on each other; None by default, since rows have no columns."""
        return None

    def over_budget(self, new_rows: Any, rows: Any) -> np.ndarray[Any, Any]:
        """Which rows have moved beyond a budget of their column; by default there are none."""
        return np.zeros(containers.count(rows), dtype=bool)

    def traits(self, real_rows: Any, own_rows: Any, new_rows: Any, seed: int) -> list[Trait]:
        """Numbers in which new rows of a class should be as its real rows are, which are left out.

        By default there are none.
        """
        return []

    def changes(self, before: Any, after: Any) -> list[Changes]:
        """For each row what moved, the farthest first: name of the cell -> (before, after).

        A cell is named as its user knows it: a column, a place among the tokens, a sample or a
        pixel. Of thousands of cells the one that moved farthest stands for its channel.
        """
        return [{} for _ in range(len(before))]

    @property
    def lists_changes(self) -> bool:
        """Whether the provenance of new rows lists their changes."""
        return False

    @property
    def why_unmoved(self) -> str:
        """Why an attack leaves a row where it is, and what moves it."""
        return (
            "the model is flat there, every cell is frozen, missing or at its bound, or no success "
            "lies within the radius. Raise radius, freeze less, or take another attack, such as "
            "'square' for a model that is flat"
        )

    @property
    def caveat(self) -> str:
        """What no check of the report can see in such rows: a sentence, or nothing."""
        return ""

    def keys(self, X: Any) -> Iterator[Hashable] | None:
        """What equal rows have in common; None where new rows hardly ever repeat others."""
        return None

    def against_repeats(self, recipe: str) -> str:
        """What makes more new rows by a recipe differ: the end of a sentence."""
        return "or take another recipe"


@runtime_checkable
class Adapter(Protocol):
    """Settings of a domain; `fit` returns a new coding and leaves the adapter as it was."""

    @property
    def provides(self) -> Capabilities:
        """What the coding will provide, as far as that is known before `fit`."""
        return CELLS

    def accepts(self, X: Any) -> bool:
        """Whether X is a container of this domain."""
        ...

    def check(self, X: Any) -> Any:
        """X as `fit` and `encode` take it; TypeError or ValueError with the mend."""
        return X

    def fit(self, X: Any) -> Coding:
        """Learn scale, bounds and levels from the rows."""
        ...


@dataclass(frozen=True, repr=False)
class FittedAdapter(ShortRepr, Adapter):
    """An adapter that has learnt already: rows seen later are measured in the same units.

    Parameters
    ----------
    coding : Coding
        Of a fitted sampler or transformer, `adapter_`, or what `fit` of an adapter returns.

    See Also
    --------
    advaug.adapters.TabularAdapter :
        One unit of radius = one robust standard deviation of a number, or one flip of a category.

    Examples
    --------
    >>> import numpy as np
    >>> from advaug.adapters import FittedAdapter, TabularAdapter
    >>> coding = TabularAdapter().fit(np.arange(8.0).reshape(4, 2))
    >>> FittedAdapter(coding).fit(np.zeros((1, 2))) is coding
    True
    """

    coding: Coding

    @property
    def provides(self) -> Capabilities:
        return self.coding.provides

    def accepts(self, X: Any) -> bool:
        return True

    def check(self, X: Any) -> Any:
        return self.coding.check(X)

    def fit(self, X: Any) -> Coding:
        return self.coding
