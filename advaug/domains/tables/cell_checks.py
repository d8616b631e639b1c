"""Cells that no real row could hold, and how far each column has drifted.

The real rows give a column's range, grid, levels and missing cells.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import ks_2samp

from advaug import containers
from advaug.containers.columns import Series
from advaug.domains.tables.columns import Array, Number, TableLayout, in_whole_steps
from advaug.domains.tables.value_sets import words_of
from advaug.sampling.constraints import Finding
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
    for identifier in layout.identifiers:
        name = identifier.name
        yield from faults_of_identifier(name, old.get_column(name), made.get_column(name))


def findings(layout: TableLayout) -> Iterator[Finding]:
    """What was found of single columns, a sentence each; one for all columns of amounts."""
    if n_amounts := len(layout.amounts):
        words = f"in {n_amounts} sparse columns 0 is a special value"
        yield Finding(words, "special value", max(one.n_rows for one in layout.numbers), 0.0)
    for number in (one for one in layout.numbers if not one.is_amount):
        support, calendar = number.n_rows, number.calendar
        unit = f" {calendar.tick}s since 1970" if calendar is not None and calendar.dtype else ""
        kinds = list(words_of(number.name, number.values, number.shown, unit))
        if calendar is not None and not calendar.is_whole_units:
            kinds.append(("calendar", f"{number.name} {calendar.words}"))
        yield from (Finding(words, kind, support, 0.0) for kind, words in kinds)
    for category in layout.categories:
        if category.is_code:
            words = f"{category.name} is a code: its numbers are names, and not mixed"
            yield Finding(words, "code", category.n_rows, 0.0)
    for identifier in layout.identifiers:
        yield Finding(identifier.words, "identifier", identifier.n_rows, 0.0)


def faults_of_identifier(name: Any, old: Series, made: Series) -> Iterator[Fault]:
    """Cells that name a real row or another new one."""
    known, values = set(containers.objects(old)), containers.objects(made)
    _, first = np.unique([str(value) for value in values], return_index=True)
    is_first = np.isin(np.arange(len(values)), first)
    is_taken = np.array([value in known for value in values], dtype=bool) | ~is_first
    yield Fault(
        np.flatnonzero(is_taken),
        False,
        lambda row: f"{name} = {values[row]} is the identifier of another row",
    )


def faults_of_number(number: Number, column: Series) -> Iterator[Fault]:
    """Missing cells where no real one is missing, cells off the values, and out of range."""
    name, slack = number.name, ROUNDING * number.scale
    cells, dtype = containers.numbers(column), column.to_numpy().dtype

    def spelt(value: float) -> str:
        return str(np.int64(value).view(dtype)) if number.unit else f"{value:.15g}"

    def words_of_cell(why: str, row: int) -> str:
        return f"{name} = {spelt(cells[row])} {why}"

    values, low, high = number.counted(cells), float(number.low), float(number.high)
    least, largest = map(spelt, number.spelt(np.array([low, high])).tolist())
    is_missing = np.isnan(values)
    if not number.has_missing:
        yield Fault(np.flatnonzero(is_missing), False, lambda row: f"{name} is missing")
    for is_off, why in reasons_of_number(number, cells, slack):
        yield Fault(
            np.flatnonzero(is_off & ~is_missing),
            False,
            partial(words_of_cell, why),
        )
    yield Fault(
        np.flatnonzero(values < low - slack),
        True,
        lambda row: f"{name} = {spelt(cells[row])} is below {least}, the least real value",
    )
    yield Fault(
        np.flatnonzero(values > high + slack),
        True,
        lambda row: f"{name} = {spelt(cells[row])} is above {largest}, the largest real value",
    )


def reasons_of_number(number: Number, cells: Array, slack: float) -> Iterator[tuple[Array, str]]:
    """Which cells a column cannot hold, and why."""
    sets, values = number.values, number.counted(cells)
    if number.calendar is not None:
        yield ~number.calendar.spells(cells), f"is no {number.calendar.name}"
    is_apart = sets.is_in_gap(values, slack)
    if sets.gaps.size:
        why = "is none of its values" if len(sets.levels) else "lies where no real value does"
        yield is_apart & (values > float(number.low)) & (values < float(number.high)), why
    if sets.step is not None:
        yield ~sets.holds(values, slack) & ~is_apart, f"is off its grid of {number.grid:g}"
    elif number.is_plain and number.grid:
        is_off = np.abs(values - in_whole_steps(values, number.grid)) > slack
        yield is_off, f"is off its grid of {number.grid:g}"


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
    distance = max(
        float(ks_2samp(old, made, method="asymp").statistic), abs(missing[0] - missing[1])
    )
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
