"""Rules that a new row must keep where its parent keeps them: callables over rows, in any domain.

A domain with rules of its own, which can repair rows, fills `RowConstraints` by itself.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from advaug import containers
from advaug.core.parameters import is_auto
from advaug.core.problem import Repair

Array = np.ndarray[Any, Any]


class RepairStatus(IntEnum):
    """What the rules have done to a new row."""

    UNTOUCHED = 0
    REPAIRED = 1
    REVERTED = 2  # It has its parent's cells wherever a broken rule reads.
    REPLACED = 3  # It is a copy of a real row, since a rule could not be kept.


class Finding(NamedTuple):
    """A rule that all real rows keep, and its kind.

    support : how many rows show it
    by_chance : how many rows would break it if columns were independent
    """

    rule: str
    kind: str
    support: int
    by_chance: float


class RowConstraints(Protocol):
    """Rules over rows: a new row may not break one that its parent keeps.

    It is built from the user's rules and the real rows, which are the parents.
    """

    @property
    def shares(self) -> dict[str, float]:
        """The share of the real rows that keep each rule; ValueError where a rule does not fit."""
        ...

    @property
    def findings(self) -> list[Finding]:
        """Those of the rules that were found in the real rows; by default none."""
        return []

    @property
    def repairs(self) -> bool:
        """Whether `repair` may change a row; by default not."""
        return False

    def take(self, rows: Array) -> Self:
        """The same rules over some of the real rows."""
        ...

    def repair(self, x: Tensor, seed: Tensor, parents: Tensor) -> tuple[Tensor, Tensor]:
        """Encoded rows that keep the rules, and a `RepairStatus` for each.

        `seed` are their parents, encoded, and `parents` these rows' numbers among the real rows.
        """
        ...

    def finish(self, new: Any, rows: Any) -> tuple[Any, Array]:
        """Decoded rows repaired in their own dtypes, and which of them still break a rule.

        `rows` are their parents, in the user's container. By default nothing is repaired.
        """
        is_broken = np.zeros(containers.count(new), dtype=bool)
        for of_rule in self.broken(new, rows).values():
            is_broken |= of_rule
        return new, is_broken

    def broken(self, new: Any, rows: Any) -> dict[str, Array]:
        """Rule -> which new rows break it though their parents, `rows`, keep it."""
        ...


@dataclass(frozen=True)
class RowRepair(Repair):
    """The rules, at work on the rows of an attack.

    parents : the numbers of these rows among the real rows
    """

    constraints: RowConstraints
    parents: Tensor

    def __call__(self, x: Tensor, seed: Tensor) -> Tensor:
        return self.constraints.repair(x, seed, self.parents)[0]

    def take(self, rows: Tensor) -> Self:
        return replace(self, parents=self.parents[rows.to(self.parents.device)])


class CallableConstraints(RowConstraints):
    """Callables from rows, in the user's container, to one bool a row. They repair nothing.

    Parameters
    ----------
    rules : callable, list of callables, None, or "auto", which finds nothing
    X : the real rows
    kind : str
        What the rows are, for errors: "images".
    hint : str
        What else the user may do, for errors.

    Examples
    --------
    >>> import numpy as np
    >>> from advaug.sampling.constraints import CallableConstraints
    >>> rules = CallableConstraints(lambda rows: rows.sum(1) > 2, np.array([[1, 1], [1, 2]]))
    >>> list(rules.shares.values())
    [0.5]
    """

    def __init__(self, rules: Any, X: Any, kind: str = "such rows", hint: str = "") -> None:
        self.rules, self.X = [rule for rule in list_of_rules(rules) if not is_auto(rule)], X
        others = [name_of(rule) for rule in self.rules if not callable(rule)]
        if others:
            raise ValueError(
                f"constraints over columns ({', '.join(others[:3])}) need a table: for "
                f"{kind} pass callables from rows to one bool a row{hint}"
            )

    @cached_property
    def shares(self) -> dict[str, float]:
        """The share of the real rows that keep each rule."""
        shares = (float(rows_that_keep(rule, self.X).mean()) for rule in self.rules)
        return dict(zip(names_of(self.rules), shares, strict=True))

    def take(self, rows: Array) -> "CallableConstraints":
        """The same rules over some of the real rows; without a rule none of them is read."""
        rows = rows if self.rules else rows[:0]
        return CallableConstraints(self.rules, containers.take(self.X, rows))

    def repair(self, x: Tensor, seed: Tensor, parents: Tensor) -> tuple[Tensor, Tensor]:
        """The rows as they are."""
        return x, torch.full((len(x),), RepairStatus.UNTOUCHED, dtype=torch.int8, device=x.device)

    def broken(self, new: Any, rows: Any) -> dict[str, Array]:
        """Rule -> which new rows break it though their parents keep it."""
        answers = (rows_that_keep(rule, rows) & ~rows_that_keep(rule, new) for rule in self.rules)
        return dict(zip(names_of(self.rules), answers, strict=True))


def list_of_rules(rules: Any) -> list[Any]:
    """One rule, several or None as a list."""
    if rules is None:
        return []
    is_one = callable(rules) or isinstance(rules, str) or not isinstance(rules, Iterable)
    return [rules] if is_one else list(rules)


def name_of(rule: Any) -> str:
    """What reports call a rule."""
    return str(getattr(rule, "text", None) or getattr(rule, "__name__", None) or repr(rule))


def names_of(rules: list[Any]) -> list[str]:
    """What reports call rules: the second rule of one name is "name (2)".

    Examples
    --------
    >>> names_of(["a < b", "a < b"])
    ["'a < b'", "'a < b' (2)"]
    """
    names: list[str] = []
    for name in map(name_of, rules):
        count = sum(known == name or known.startswith(f"{name} (") for known in names)
        names.append(f"{name} ({count + 1})" if count else name)
    return names


def rows_that_keep(rule: Callable[[Any], Any], rows: Any) -> Array:
    """Which rows keep a callable rule."""
    # The rule gets a copy, since it may write into its rows.
    answer = rule(containers.copied(rows))
    return one_bool_a_row(rule, answer, containers.count(rows))


def one_bool_a_row(rule: Any, answer: Any, n_rows: int) -> Array:
    """A rule's answer; ValueError if it is not one bool for each row."""
    answer = np.asarray(answer)
    if answer.shape != (n_rows,) or answer.dtype != bool:
        raise ValueError(
            f"constraint {name_of(rule)} must return one bool for each of the {n_rows} rows, "
            f"got {answer.dtype} of shape {answer.shape}"
        )
    return answer
