"""Cells that no real row could hold, and how far each column has drifted.

The real rows give a column's range, grid, levels and missing cells.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.stats import ks_2samp

from advaug import containers
from advaug.containers.columns import Series
from advaug.domains.tables.columns import Number, TableLayout, in_whole_steps
from advaug.sampling.faults import Drift, Fault

ROUNDING = 1e-6  # A cell may miss its grid or bounds by this share of the column's scale.


def faults(layout: TableLayout, real: Any, new: Any) -> Iterator[Fault]:
    """All faults of the cells of new rows, column by column; ValueError if the columns differ."""
    old, made = containers.open_table(real), containers.open_table(new)
    if differs := containers.other_names(old.columns, made.columns):
        raise ValueError(
            f"the synthetic rows have {differs}: give both tables the same columns in the same "
            "order, e.g. X_synthetic[list(X_real.columns)]"
        )
    for number in layout.numbers:
        yield from faults_of_number(number, made.get_column(number.name))
    for category in layout.categories:
        name = category.name
        yield from faults_of_category(name, old.get_column(name), made.get_column(name))


def faults_of_number(number: Number, column: Series) -> Iterator[Fault]:
    """Missing cells where no real one is missing, cells off the grid and out of range."""
    name, slack = number.name, ROUNDING * number.scale
    values, dtype = containers.numbers(column), column.to_numpy().dtype

    def spelt(value: float) -> str:
        return str(np.int64(value).view(dtype)) if number.unit else f"{value:.6g}"

    low, high = float(number.low), float(number.high)
    is_missing = np.isnan(values)
    if not number.has_missing:
        yield Fault(np.flatnonzero(is_missing), False, lambda row: f"{name} is missing")
    if number.grid:
        is_off = np.abs(values - in_whole_steps(values, number.grid)) > slack
        yield Fault(
            np.flatnonzero(is_off & ~is_missing),
            False,
            lambda row: f"{name} = {spelt(values[row])} is off its grid of {number.grid:g}",
        )
    yield Fault(
        np.flatnonzero(values < low - slack),
        True,
        lambda row: f"{name} = {spelt(values[row])} is below {spelt(low)}, the least real value",
    )
    yield Fault(
        np.flatnonzero(values > high + slack),
        True,
        lambda row: f"{name} = {spelt(values[row])} is above {spelt(high)}, the largest real value",
    )


def faults_of_category(name: Any, old: Series, made: Series) -> Iterator[Fault]:
    """Levels that no real row has, and missing cells where no real one is missing."""
    known, _ = containers.levels(old)
    code, values = containers.codes(made, known), containers.objects(made)
    yield Fault(np.flatnonzero(code == -2), False, lambda row: f"{name} = {values[row]!r} is new")
    if not containers.missing(old).any():
        yield Fault(np.flatnonzero(code == -1), False, lambda row: f"{name} is missing")


def drifts(layout: TableLayout, real: Any, new: Any) -> list[Drift]:
    """Every column of new rows against real ones of the class, the farthest first."""
    old, made = containers.open_table(real), containers.open_table(new)
    all_drifts = [
        drift_of_numbers(number.name, old.get_column(number.name), made.get_column(number.name))
        for number in layout.numbers
    ]
    names = [category.name for category in layout.categories]
    all_drifts += [
        drift_of_levels(name, old.get_column(name), made.get_column(name)) for name in names
    ]
    return sorted(all_drifts, key=lambda drift: -drift.distance)


def drift_of_numbers(name: Any, real: Series, new: Series) -> Drift:
    old, made = (containers.numbers(x) / containers.ticks_a_day(x) for x in (real, new))
    missing = (float(np.isnan(old).mean()), float(np.isnan(made).mean()))
    old, made = old[~np.isnan(old)], made[~np.isnan(made)]
    if not len(old) or not len(made):
        nothing = np.zeros(1)
        return Drift(name, abs(missing[0] - missing[1]), missing, np.arange(2), nothing, nothing)
    low, high = np.percentile(np.concatenate([old, made]), [0.5, 99.5])
    edges = np.linspace(low, high if high > low else low + 1, 17)
    shares = [np.histogram(x.clip(edges[0], edges[-1]), edges)[0] / len(x) for x in (old, made)]
    distance = max(float(ks_2samp(old, made).statistic), abs(missing[0] - missing[1]))
    is_date = real.to_numpy().dtype.kind == "M"
    return Drift(name, distance, missing, edges, shares[0], shares[1], is_date)


def drift_of_levels(name: Any, old: Series, made: Series) -> Drift:
    known, _ = containers.levels(old)
    shares = []
    for column in (old, made):
        code = containers.codes(column, known)
        # The places after the known levels are of missing cells and of unknown levels.
        code = np.where(code < 0, len(known) - 1 - code, code)
        shares.append(np.bincount(code, minlength=len(known) + 2) / len(code))
    names = [str(level) for level in containers.objects(known)] + ["missing", "unknown"]
    shown = np.flatnonzero(shares[0] + shares[1])
    return Drift(
        column=name,
        distance=float(np.abs(shares[0] - shares[1]).sum() / 2),
        missing=(float(shares[0][-2]), float(shares[1][-2])),
        bins=np.array(names)[shown],
        real=shares[0][shown],
        new=shares[1][shown],
    )
