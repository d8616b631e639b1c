"""Whole numbers that spell a date or a time of day: 20240320, 320, 202403, 1745.

New rows move such a number by days, months, minutes or seconds, so that each of them exists.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from advaug.domains.tables.value_sets import Array

# Whole numbers that are all dates or times by chance, at most so often.
BY_CHANCE = 1e-6
FIRST_YEAR, LAST_YEAR = 1800, 2200
FEWEST_HOURS = 5  # Times of day are of so many different hours.
YMD = ("year", "month", "day")
SIZES = {"year": 10_000, "month": 100, "day": 100}  # Of a field that others precede.

Fields: TypeAlias = tuple[Array, ...]


@dataclass(frozen=True)
class Calendar:
    """A way to spell moments as whole numbers.

    Parameters
    ----------
    name : str
        What is spelt, and how: "date (yyyymmdd)".
    tick : str
        What one step is.
    count : callable
        Spelt numbers as counts of ticks; of a number that spells nothing the nearest moment.
    spell : callable
        Counts of ticks as spelt numbers.
    chance : float
        The share of whole numbers in the range that spell something.
    """

    name: str
    tick: str
    count: Callable[[Array], Array]
    spell: Callable[[Array], Array]
    chance: float

    def spells(self, values: Array) -> Array:
        """Which numbers spell a moment."""
        known = np.isfinite(values) & (np.abs(values) < 1e15)
        whole = np.where(known, values, 0.0)
        return np.asarray(known & (self.spell(self.count(whole)) == whole))

    def reads(self, unique: Array) -> bool:
        """Whether distinct values all spell moments, and would hardly do so by chance."""
        if len(unique) * np.log(self.chance) > np.log(BY_CHANCE):
            return False
        if self.tick in ("minute", "second"):
            hours = np.unique(unique // (100 if self.tick == "minute" else 10_000))
            if (
                len(hours) < FEWEST_HOURS
                or unique.max() % 100 == 0
                or not (unique % 100 > 30).any()
            ):
                return False
        return bool(self.spells(unique).all())


def month_count(year: Array, month: Array) -> Array:
    """Months since January 1970, of the nearest month and year."""
    year = year.clip(FIRST_YEAR, LAST_YEAR)
    return np.asarray((year - 1970) * 12 + month.clip(1, 12) - 1)


def days_of(year: Array, month: Array, day: Array) -> Array:
    """Days since 1970, NaN where a field is missing; a day that does not exist is the nearest."""
    months = month_count(year, month)
    known = np.isfinite(months + day)
    starts = np.where(known, months, 0).astype("int64").astype("datetime64[M]")
    first, following = (m.astype("datetime64[D]").astype(np.int64) for m in (starts, starts + 1))
    days = first + np.where(known, day, 1).clip(1, following - first) - 1
    return np.where(known, days, np.nan)


def fields_of(days: Array) -> Fields:
    """Year, month and day of counts of days since 1970."""
    known = np.isfinite(days)
    dates = np.rint(np.where(known, days, 0)).astype(np.int64).astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    number = months.astype(np.int64)
    day = (dates - months.astype("datetime64[D]")).astype(np.int64) + 1
    fields = (1970 + number // 12, number % 12 + 1, day)
    return tuple(np.where(known, field, np.nan) for field in fields)


def parts(values: Array, *sizes: int) -> Fields:
    """The fields of spelt numbers, the first one whatever its size, the others of such sizes."""
    found: list[Array] = []
    for size in reversed(sizes):
        values, field = np.divmod(values, size)
        found.insert(0, field)
    return (values, *found)


def read_date(order: tuple[str, ...], values: Array) -> Array:
    """Days of dates whose fields are spelt in an order."""
    fields = dict(zip(order, parts(values, *(SIZES[name] for name in order[1:])), strict=True))
    return days_of(fields["year"], fields["month"], fields["day"])


def spell_date(order: tuple[str, ...], days: Array) -> Array:
    fields = dict(zip(YMD, fields_of(days), strict=True))
    spelt = np.zeros_like(fields["year"])
    for name in order:
        spelt = spelt * SIZES[name] + fields[name]
    return spelt


def year_month(values: Array) -> Array:
    return month_count(*parts(values, 100))


def spelt_year_month(months: Array) -> Array:
    year, month = np.divmod(np.rint(months), 12)
    return np.asarray((1970 + year) * 100 + month + 1)


def hour_minute(values: Array) -> Array:
    hour, minute = parts(values, 100)
    return np.asarray((hour * 60 + minute.clip(max=59)).clip(0, 24 * 60 - 1))


def spelt_hour_minute(minutes: Array) -> Array:
    hour, minute = np.divmod(np.rint(minutes), 60)
    return np.asarray(hour * 100 + minute)


def hour_minute_second(values: Array) -> Array:
    hour, minute, second = parts(values, 100, 100)
    seconds = (hour * 60 + minute.clip(max=59)) * 60 + second.clip(max=59)
    return np.asarray(seconds.clip(0, 24 * 3600 - 1))


def spelt_hour_minute_second(seconds: Array) -> Array:
    minutes, second = np.divmod(np.rint(seconds), 60)
    return np.asarray(spelt_hour_minute(minutes) * 100 + second)


def date(letters: str, *order: str) -> Calendar:
    """Dates whose fields are spelt in an order."""
    read, spell = partial(read_date, order), partial(spell_date, order)
    return Calendar(f"date ({letters})", "day", read, spell, 0.0366)


CALENDARS = (
    date("yyyymmdd", *YMD),
    date("ddmmyyyy", "day", "month", "year"),
    date("mmddyyyy", "month", "day", "year"),
    Calendar("month (yyyymm)", "month", year_month, spelt_year_month, 0.12),
    Calendar("time (HHMMSS)", "second", hour_minute_second, spelt_hour_minute_second, 0.36),
    Calendar("time (HHMM)", "minute", hour_minute, spelt_hour_minute, 0.6),
)


def find_calendar(values: Array) -> Calendar | None:
    """The calendar that all whole numbers of a column are spelt by; None if there is none."""
    unique = np.unique(values)
    if not len(unique) or unique[0] < 0 or not np.array_equal(unique, np.rint(unique)):
        return None
    return next((one for one in CALENDARS if one.reads(unique)), None)
