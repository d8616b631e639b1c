"""Cells that no real row could hold, and how far each column has drifted.

A column's range, grid, levels and gaps are those of the real rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import ks_2samp

from advaug import containers
from advaug.containers.columns import Series
from advaug.domains.tables.adapter import Category, Number, TabularCoding

ROUNDING = 1e-6  # of a column's scale, by which a cell may miss its grid or bounds

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Fault:
    """What is wrong with one column in some of the rows."""

    rows: Array
    is_beyond: bool  # outside the range that was seen; else no value of the column at all
    words: Callable[[int], str]  # of one of the rows


@dataclass(frozen=True)
class Drift:
    """How far a column of new rows of a class lies from the real ones of the class.

    distance : Kolmogorov-Smirnov distance of numbers, total variation of levels, in [0, 1]
    bins, real, new : what a histogram of both shows; bins are edges of numbers or names of levels
    """

    column: Any
    distance: float
    missing: tuple[float, float]
    bins: Array
    real: Array
    new: Array


def read_numbers(column: Series, name: Any) -> Array:
    """A column of numbers as floats; ValueError if it holds something else."""
    try:
        return containers.numbers(column)
    except Exception as error:
        raise ValueError(
            f"column {name!r} holds numbers in the real rows, but {column.dtype} in the synthetic "
            f"ones: bring both to one dtype ({error})"
        ) from error


def faults(coding: TabularCoding, real: Any, new: Any) -> Iterator[Fault]:
    """All that is wrong with the cells of new rows, column by column."""
    old, made = containers.open_table(real), containers.open_table(new)
    for number in coding.numbers:
        yield from faults_of_number(number, read_numbers(made.get_column(number.name), number.name))
    for category in coding.categories:
        yield from faults_of_category(
            category, old.get_column(category.name), made.get_column(category.name)
        )


def faults_of_number(number: Number, values: Array) -> Iterator[Fault]:
    name, slack = number.name, ROUNDING * number.scale
    low, high = float(number.low), float(number.high)
    blank = np.isnan(values)
    if not number.has_missing:
        yield Fault(np.flatnonzero(blank), False, lambda row: f"{name} is missing")
    if number.grid:
        off = np.abs(values - np.rint(values / number.grid) * number.grid) > slack
        yield Fault(
            np.flatnonzero(off & ~blank),
            False,
            lambda row: f"{name} = {values[row]:.6g} is off its grid of {number.grid:g}",
        )
    yield Fault(
        np.flatnonzero(values < low - slack),
        True,
        lambda row: f"{name} = {values[row]:.6g} is under {low:.6g}, the least real one",
    )
    yield Fault(
        np.flatnonzero(values > high + slack),
        True,
        lambda row: f"{name} = {values[row]:.6g} is over {high:.6g}, the largest real one",
    )


def faults_of_category(category: Category, old: Series, made: Series) -> Iterator[Fault]:
    known, _ = containers.levels(old)
    code, values = containers.codes(made, known), containers.objects(made)
    yield Fault(
        np.flatnonzero(code == -2), False, lambda row: f"{category.name} = {values[row]!r} is new"
    )
    if not containers.missing(old).any():
        yield Fault(np.flatnonzero(code == -1), False, lambda row: f"{category.name} is missing")


def drifts(coding: TabularCoding, real: Any, new: Any) -> list[Drift]:
    """Every column of new rows against real ones of the class, the farthest first."""
    old, made = containers.open_table(real), containers.open_table(new)
    found = [
        drift_of_numbers(
            number.name,
            read_numbers(old.get_column(number.name), number.name),
            read_numbers(made.get_column(number.name), number.name),
        )
        for number in coding.numbers
    ]
    found += [
        drift_of_levels(
            category.name, old.get_column(category.name), made.get_column(category.name)
        )
        for category in coding.categories
    ]
    return sorted(found, key=lambda drift: -drift.distance)


def drift_of_numbers(name: Any, old: Array, made: Array) -> Drift:
    missing = (float(np.isnan(old).mean()), float(np.isnan(made).mean()))
    old, made = old[~np.isnan(old)], made[~np.isnan(made)]
    if not len(old) or not len(made):
        nothing = np.zeros(1)
        return Drift(name, abs(missing[0] - missing[1]), missing, np.arange(2), nothing, nothing)
    low, high = np.percentile(np.concatenate([old, made]), [0.5, 99.5])
    edges = np.linspace(low, high if high > low else low + 1, 17)
    shares = [np.histogram(x.clip(edges[0], edges[-1]), edges)[0] / len(x) for x in (old, made)]
    distance = max(float(ks_2samp(old, made).statistic), abs(missing[0] - missing[1]))
    return Drift(name, distance, missing, edges, *shares)


def drift_of_levels(name: Any, old: Series, made: Series) -> Drift:
    known, _ = containers.levels(old)
    shares = []
    for column in (old, made):
        code = containers.codes(column, known)
        code = np.where(code < 0, len(known) - 1 - code, code)  # then missing, then unknown
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
