"""Cells that no real row could hold, and how far each column has drifted."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import ks_2samp

from advaug import containers
from advaug.adapters import TabularCoding

ROUNDING = 1e-6  # of a column's scale, by which a cell may miss its grid or bounds


@dataclass(frozen=True)
class Cells:
    """For each row what is wrong with its cells, in words, and how many of them.

    impossible : no value of the column: a fraction of whole things, an unknown level, a gap
        where there never was one.
    beyond : outside the range of the real rows.
    """

    impossible: np.ndarray[Any, Any]
    beyond: np.ndarray[Any, Any]
    words: list[list[str]]


def check_cells(coding: TabularCoding, real: Any, new: Any) -> Cells:
    """Every cell of the new rows against its column among the real ones."""
    old, made = opened(real, new)
    n = len(made)
    cells = Cells(np.zeros(n, int), np.zeros(n, int), [[] for _ in range(n)])
    for number in coding.numbers:
        _number(cells, number, readable(made.get_column(number.name), number.name))
    for category in coding.categories:
        column = made.get_column(category.name)
        known, _ = containers.levels(old.get_column(category.name))
        code = containers.codes(column, known)
        blank = (code == -1) & ~containers.missing(old.get_column(category.name)).any()
        values = containers.objects(column)
        note(
            cells,
            cells.impossible,
            code == -2,
            lambda k, v=values, c=category: f"{c.name} = {v[k]!r}: no such level",
        )
        note(cells, cells.impossible, blank, lambda k, c=category: f"{c.name} is missing")
    return cells


def _number(cells: Cells, number: Any, values: np.ndarray[Any, Any]) -> None:
    blank = np.isnan(values)
    slack = ROUNDING * number.scale
    low, high = float(number.low), float(number.high)
    if number.grid:
        off = np.abs(values - np.rint(values / number.grid) * number.grid) > slack
        note(
            cells,
            cells.impossible,
            off & ~blank,
            lambda k: f"{number.name} = {values[k]:g}: no whole number",
        )
    if not number.has_missing:
        note(cells, cells.impossible, blank, lambda k: f"{number.name} is missing")
    note(
        cells,
        cells.beyond,
        values < low - slack,
        lambda k: f"{number.name} = {values[k]:g} < {low:g}, the least",
    )
    note(
        cells,
        cells.beyond,
        values > high + slack,
        lambda k: f"{number.name} = {values[k]:g} > {high:g}, the most",
    )
