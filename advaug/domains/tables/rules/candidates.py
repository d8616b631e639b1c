"""What the miner searches: columns of numbers and of texts, and a few rows that test guesses."""

from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from advaug.domains.tables.rules.evaluation import ROUNDING_FLOAT32, Array, Cells
from advaug.domains.tables.rules.syntax_tree import literal, quoted

PROBES = 24  # So many rows refute most wrong guesses.
MOST_DIGITS = 6  # A number with more decimals is not rounded.
FEWEST_STEPS = 20  # A column is rounded if its standard deviation holds so many of its steps.
MOST_LEVELS = 12  # All values of a column with so few are levels.
ATOM = 0.05  # In a column with more values those are levels that hold such a share of its rows.
COMMON = 0.25  # "Is another value" is a condition for values that hold such a share.


class Candidate(NamedTuple):
    """Spellings of one rule, the strictest first, and how many rows would break it by chance."""

    spellings: tuple[str, ...]
    by_chance: float


class Level(NamedTuple):
    """A condition on one column: that it holds some value, does not hold it, or is missing."""

    text: str
    name: str
    rows: Array
    is_fixed: bool = False  # Repairs can make no other row meet it.
    is_missing: bool = False


class Table:
    """The columns of some rows, and which pairs of them a rule already connects.

    Parameters
    ----------
    cells : the rows on which rules are guessed
    every : all rows
    least : float
        So many rows must break a rule by chance, otherwise it does not count.
    """

    def __init__(self, cells: Cells, every: Cells, least: float) -> None:
        self.cells, self.every, self.least = cells, every, least
        numeric = [name for name, column in cells.columns.items() if column.dtype != object]
        self.names = [name for name in numeric if np.ptp(known(cells[name])) > 0]
        self.constant = [name for name in numeric if name not in self.names]
        self.texts = [name for name in cells.columns if name not in numeric]
        columns = [cells[name] for name in self.names]
        self.x = np.stack(columns, 1) if columns else np.empty((cells.n_rows, 0))
        few = np.random.default_rng(0).permutation(cells.n_rows)[:PROBES]
        self.probe = self.x[few]
        self.rounding = ROUNDING_FLOAT32 if cells.coarse else 1e-9
        self.linked: set[frozenset[str]] = set()
        self.repeated: set[int] = set()

    def of_all_rows(self, at: int) -> Array:
        """A column of numbers in all rows, of which no copy is made."""
        return self.every[self.names[at]]

    @cached_property
    def steps(self) -> list[float]:
        """The unit of the last decimal of each column's numbers; 0 if there are many decimals."""
        return [step_of(known(self.cells[name])) for name in self.names]

    @cached_property
    def digits(self) -> list[int | None]:
        """How many decimals a column's numbers have; None if it has too few steps to be rounded."""
        return [
            None
            if not step or known(self.cells[name]).std() < FEWEST_STEPS * step
            else round(-np.log10(step))
            for name, step in zip(self.names, self.steps, strict=True)
        ]

    @cached_property
    def slack(self) -> Array:
        """Half of a step of each rounded column, else 0."""
        return np.array([0.0 if d is None else 0.5000001 * 10.0**-d for d in self.digits])

    @cached_property
    def flags(self) -> list[int]:
        """The columns of 0 and 1."""
        return [
            at
            for at, name in enumerate(self.names)
            if np.isin(known(self.cells[name]), (0, 1)).all()
        ]

    @property
    def distinct(self) -> list[int]:
        """The columns that are no multiple of an earlier one."""
        return [at for at in range(len(self.names)) if at not in self.repeated]

    def quoted(self, at: int) -> str:
        """A column's name in the syntax of rules."""
        return quoted(self.names[at])

    def literal(self, name: str, value: Any) -> str:
        """A value of a column in the syntax of rules."""
        is_date = name in self.cells.dates
        return literal(datetime(1970, 1, 1) + timedelta(days=value) if is_date else value)

    def link(self, *columns: str) -> None:
        """A rule connects the first column with each of the others."""
        self.linked |= {frozenset((columns[0], other)) for other in columns[1:]}

    def is_linked(self, one: str, other: str) -> bool:
        return frozenset((one, other)) in self.linked

    @cached_property
    def values(self) -> dict[str, Array]:
        """The distinct values of columns that are not constant, texts first."""
        distinct: dict[str, Array] = {}
        for name in self.texts:
            texts = {value for value in self.cells[name] if value is not None}
            if len(texts) > 1 and all(isinstance(text, str) for text in texts):
                distinct[name] = np.array(sorted(texts), dtype=object)
        for name in self.names:
            distinct[name] = np.unique(known(self.cells[name]))
        return distinct

    @cached_property
    def levels(self) -> list[Level]:
        """What may stand in an implication."""
        found = [level for name in self.values for level in self._levels_of(name)]
        for name in self.cells.columns:
            rows = self.cells.missing(name)
            if rows.any():
                found.append(Level(f"{quoted(name)} is missing", name, rows, is_missing=True))
        return found

    def _levels_of(self, name: str) -> list[Level]:
        column, values = self.cells[name], self.values[name]
        if column.dtype == object and len(values) > MOST_LEVELS:
            return []
        least = self.least if len(values) <= MOST_LEVELS else ATOM * len(column)
        counted = [(value, np.equal(column, value).astype(bool)) for value in self._common(name)]
        levels = [
            Level(f"{quoted(name)} == {self.literal(name, value)}", name, rows)
            for value, rows in counted
            if rows.sum() >= least
        ]
        if len(values) <= MOST_LEVELS:
            return levels
        # Where a number has an atom, such as 0, that it is another one is a condition too.
        is_known = ~self.cells.missing(name)
        return levels + [
            Level(one.text.replace(" == ", " != "), name, is_known & ~one.rows, is_fixed=True)
            for one in levels
            if one.rows.mean() >= COMMON
        ]

    def _common(self, name: str) -> list[float | str]:
        """The values of a column that hold enough rows to be levels, or all of a few."""
        values, column = self.values[name], self.cells[name]
        if len(values) <= MOST_LEVELS:
            return list(values.tolist())
        unique, counts = np.unique(known(column), return_counts=True)
        return list(unique[counts >= ATOM * len(column)].tolist())


def known(column: Array) -> Array:
    """The cells that are not missing; one 0 if all of them are."""
    cells = column[~np.isnan(column)]
    return cells if len(cells) else np.zeros(1)


def step_of(cells: Array) -> float:
    """The unit of the last decimal of a column's numbers; 0 if there are many decimals."""
    noise = 1e-9 * max(1.0, np.abs(cells).max())

    def has_digits(x: Array, digits: int) -> bool:
        return bool(np.abs(x - np.round(x, digits)).max() <= noise)

    # A few cells refute most guesses.
    if has_digits(cells[:PROBES], MOST_DIGITS):
        for digits in range(MOST_DIGITS + 1):
            if has_digits(cells[:PROBES], digits) and has_digits(cells, digits):
                return float(10.0**-digits)
    return 0.0
