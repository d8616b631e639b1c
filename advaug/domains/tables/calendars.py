"""Numbers that spell a date or a time of day, such as 20240320 or 1745, and columns of moments.

New rows move such a cell by whole days, months, minutes or seconds, so that each of them exists.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from advaug.core.storable import storable
from advaug.domains.tables.value_sets import (
    FAR,
    FEWEST_OTHERS,
    MOST_ATOMS,
    SENTINEL_ROWS,
    Array,
    are_whole,
)

# Whole numbers that are all dates or times by chance, at most so often.
BY_CHANCE = 1e-6
FIRST_YEAR, LAST_YEAR = 1800, 2200
FEWEST_HOURS = 5  # Times of day are of so many different hours.
YMD = ("year", "month", "day")
SIZES = {"year": 10_000, "short_year": 100, "month": 100, "day": 100}  # Of fields after the first.
FIRST_SHORT_YEAR = 1970  # Years of two digits are those from here on.
LEAP_YEAR = 2000  # Days without a year are those of this one.
EPOCH_WEEK = 7  # Days since 1970 that are multiples of it are Thursdays, the middle of ISO weeks.
SECONDS_A_TICK = {"day": 86_400, "hour": 3600, "minute": 60, "second": 1}
TICKS_A_SECOND = {"D": 1 / 86_400, "s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
FRACTIONS = {"millisecond": 10**3, "microsecond": 10**6}  # of a second

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
    hour : int
        Of times of day: the place of the hour, 100 in 1745.
    dtype : str
        Of a column of moments: its dtype in numpy.
    width : float
        Of a column of moments: how many of its own units a step is.
    """

    name: str
    tick: str
    count: Callable[[Array], Array]
    spell: Callable[[Array], Array]
    chance: float
    hour: int = 0
    dtype: str = ""
    width: float = 1.0

    @property
    def is_whole_units(self) -> bool:
        """Whether it counts moments in whole units, and nothing else is known of them."""
        return bool(self.dtype) and self.tick in (*SECONDS_A_TICK, *FRACTIONS)

    @property
    def words(self) -> str:
        """What is said of a column."""
        return f"is always a {self.name}" if self.dtype else f"spells a {self.name}"

    def shown(self, count: float) -> str:
        """A count of ticks as the column shows it."""
        spelt = self.spell(np.array([count]))[0]
        return str(np.int64(spelt).view(self.dtype)) if self.dtype else f"{spelt:.15g}"

    def spells(self, values: Array) -> Array:
        """Which numbers spell a moment."""
        known = np.isfinite(values) & ((np.abs(values) < 1e15) | bool(self.dtype))
        whole = np.where(known, values, 0.0)
        return np.asarray(known & (self.spell(self.count(whole)) == whole))

    def reads(self, unique: Array) -> bool:
        """Whether distinct values all spell moments, and would hardly do so by chance."""
        if not len(unique) or len(unique) * np.log(self.chance) > np.log(BY_CHANCE):
            return False
        if self.hour:
            hours = np.unique(unique // self.hour)
            if (
                len(hours) < FEWEST_HOURS
                or unique.max() % 100 == 0
                or not (unique % 100 > 30).any()
            ):
                return False
        return bool(self.spells(unique).all())

    def then(self, pattern: "Calendar") -> "Calendar":
        """The days that it counts, counted by a pattern of days."""
        return replace(
            self,
            name=pattern.name if self.dtype else f"{self.name}, always a {pattern.name}",
            tick=pattern.tick,
            count=partial(one_after_the_other, self.count, pattern.count),
            spell=partial(one_after_the_other, pattern.spell, self.spell),
        )

    def with_specials(self, values: Array, places: Array) -> "Calendar":
        """With numbers that spell nothing, such as 0 and 99991231, at places of their own."""
        return replace(
            self,
            count=partial(count_specials, self.count, values, places),
            spell=partial(spell_specials, self.spell, values, places),
        )


@storable
def one_after_the_other(
    first: Callable[[Array], Array], second: Callable[[Array], Array], values: Array
) -> Array:
    return second(first(values))


@storable
def count_specials(
    count: Callable[[Array], Array], specials: Array, places: Array, values: Array
) -> Array:
    """The place of a special number, the count of any other."""
    found = count(values)
    for special, place in zip(specials, places, strict=True):
        found = np.where(values == special, place, found)
    return found


@storable
def spell_specials(
    spell: Callable[[Array], Array], specials: Array, places: Array, counts: Array
) -> Array:
    """The inverse of `count_specials`."""
    found = spell(counts)
    for special, place in zip(specials, places, strict=True):
        found = np.where(np.abs(counts - place) < 0.5, special, found)
    return found


def month_count(year: Array, month: Array) -> Array:
    """Months since January 1970, of the nearest month and year."""
    year = year.clip(FIRST_YEAR, LAST_YEAR)
    return np.asarray((year - 1970) * 12 + month.clip(1, 12) - 1)


def days_of(year: Array, month: Array, day: Array) -> Array:
    """Days since 1970, NaN where a field is missing; a day that does not exist is the nearest."""
    months = month_count(year, month)
    known = np.isfinite(months + day)
    starts = np.where(known, months, 0).astype(np.int64)
    first, following = (
        (starts + later).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
        for later in (0, 1)
    )
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


@storable
def read_date(order: tuple[str, ...], values: Array) -> Array:
    """Days of dates whose fields are spelt in an order."""
    fields = dict(zip(order, parts(values, *(SIZES[name] for name in order[1:])), strict=True))
    year = fields.get("year", np.full_like(values, LEAP_YEAR))
    if "short_year" in fields:
        year = (fields["short_year"] - FIRST_SHORT_YEAR) % 100 + FIRST_SHORT_YEAR
    return days_of(year, fields["month"], fields["day"])


@storable
def spell_date(order: tuple[str, ...], days: Array) -> Array:
    fields = dict(zip(YMD, fields_of(days), strict=True))
    fields["short_year"] = fields["year"] % 100
    spelt = np.zeros_like(fields["year"])
    for name in order:
        spelt = spelt * SIZES[name] + fields[name]
    return spelt


@storable
def day_of_year(values: Array) -> Array:
    """Days of numbers such as 2024032, the 32nd day of 2024."""
    year, day = parts(values, 1000)
    first, last = (
        days_of(year, *(np.full_like(year, k) for k in end)) for end in ((1, 1), (12, 31))
    )
    return np.asarray((first + day - 1).clip(first, last))


@storable
def spelt_day_of_year(days: Array) -> Array:
    year, _, _ = fields_of(days)
    first = days_of(year, np.ones_like(year), np.ones_like(year))
    return np.asarray(year * 1000 + np.rint(days) - first + 1)


@storable
def year_week(values: Array) -> Array:
    """ISO weeks since 1970 of numbers such as 202405."""
    year, week = parts(values, 100)
    first = days_of(year, np.ones_like(year), np.ones_like(year))
    return np.asarray(np.ceil(first / EPOCH_WEEK) + week.clip(1, 53) - 1)


@storable
def spelt_year_week(weeks: Array) -> Array:
    thursday = EPOCH_WEEK * np.rint(weeks)
    year, _, _ = fields_of(thursday)
    first = days_of(year, np.ones_like(year), np.ones_like(year))
    return np.asarray(year * 100 + (thursday - first) // EPOCH_WEEK + 1)


@storable
def year_quarter(values: Array) -> Array:
    """Quarters since 1970 of numbers such as 20241."""
    year, quarter = parts(values, 10)
    return np.asarray((year.clip(FIRST_YEAR, LAST_YEAR) - 1970) * 4 + quarter.clip(1, 4) - 1)


@storable
def spelt_year_quarter(quarters: Array) -> Array:
    year, quarter = np.divmod(np.rint(quarters), 4)
    return np.asarray((1970 + year) * 10 + quarter + 1)


@storable
def read_moment(clock: str, values: Array) -> Array:
    """Hours, minutes or seconds since 1970 of a date with a time of day, such as 2024032017."""
    day, time = np.divmod(values, CLOCKS[clock].size)
    days = read_date(YMD, day)
    return np.asarray(days * CLOCKS[clock].a_day + CLOCKS[clock].count(time))


@storable
def spell_moment(clock: str, counts: Array) -> Array:
    day, time = np.divmod(np.rint(counts), CLOCKS[clock].a_day)
    return np.asarray(spell_date(YMD, day) * CLOCKS[clock].size + CLOCKS[clock].spell(time))


def hour_of_day(values: Array) -> Array:
    return values.clip(0, 23)


@storable
def year_month(values: Array) -> Array:
    return month_count(*parts(values, 100))


@storable
def spelt_year_month(months: Array) -> Array:
    year, month = np.divmod(np.rint(months), 12)
    return np.asarray((1970 + year) * 100 + month + 1)


@storable
def hour_minute(values: Array) -> Array:
    hour, minute = parts(values, 100)
    return np.asarray((hour * 60 + minute.clip(max=59)).clip(0, 24 * 60 - 1))


@storable
def spelt_hour_minute(minutes: Array) -> Array:
    hour, minute = np.divmod(np.rint(minutes), 60)
    return np.asarray(hour * 100 + minute)


@storable
def hour_minute_second(values: Array) -> Array:
    hour, minute, second = parts(values, 100, 100)
    seconds = (hour * 60 + minute.clip(max=59)) * 60 + second.clip(max=59)
    return np.asarray(seconds.clip(0, 24 * 3600 - 1))


@storable
def spelt_hour_minute_second(seconds: Array) -> Array:
    minutes, second = np.divmod(np.rint(seconds), 60)
    return np.asarray(spelt_hour_minute(minutes) * 100 + second)


@dataclass(frozen=True)
class Clock:
    """A way to spell the time of day behind a date: the place of the date, and ticks in a day."""

    tick: str
    size: int
    a_day: int
    count: Callable[[Array], Array]
    spell: Callable[[Array], Array]


CLOCKS = {
    "HH": Clock("hour", 10**2, 24, hour_of_day, np.rint),
    "HHMM": Clock("minute", 10**4, 24 * 60, hour_minute, spelt_hour_minute),
    "HHMMSS": Clock("second", 10**6, 24 * 3600, hour_minute_second, spelt_hour_minute_second),
}


def date(letters: str, *order: str) -> Calendar:
    """Dates whose fields are spelt in an order."""
    read, spell = partial(read_date, order), partial(spell_date, order)
    return Calendar(f"date ({letters})", "day", read, spell, 0.0366)


def moment(clock: str) -> Calendar:
    """Dates with a time of day."""
    read, spell = partial(read_moment, clock), partial(spell_moment, clock)
    return Calendar(f"moment (yyyymmdd{clock})", CLOCKS[clock].tick, read, spell, 0.0366)


CALENDARS = (
    date("yyyymmdd", *YMD),
    date("ddmmyyyy", "day", "month", "year"),
    date("mmddyyyy", "month", "day", "year"),
    date("mmdd", "month", "day"),
    date("ddmm", "day", "month"),
    date("yymmdd", "short_year", "month", "day"),
    date("ddmmyy", "day", "month", "short_year"),
    date("mmddyy", "month", "day", "short_year"),
    *map(moment, CLOCKS),
    Calendar("month (yyyymm)", "month", year_month, spelt_year_month, 0.12),
    Calendar("time (HHMMSS)", "second", hour_minute_second, spelt_hour_minute_second, 0.36, 10_000),
    Calendar("day of the year (yyyyddd)", "day", day_of_year, spelt_day_of_year, 0.366),
    Calendar("quarter (yyyyq)", "quarter", year_quarter, spelt_year_quarter, 0.4),
    Calendar("week (yyyyww)", "week", year_week, spelt_year_week, 0.53),
    Calendar("time (HHMM)", "minute", hour_minute, spelt_hour_minute, 0.6, 100),
)


@storable
def month_of(days: Array) -> Array:
    """Months since 1970."""
    year, month, _ = fields_of(days)
    return month_count(year, month)


@storable
def first_of_month(months: Array) -> Array:
    year, month = np.divmod(np.rint(months), 12)
    return days_of(1970 + year, month + 1, np.ones_like(months))


@storable
def last_of_month(months: Array) -> Array:
    return np.asarray(first_of_month(months + 1) - 1)


@storable
def weekday_of(days: Array) -> Array:
    """Weekdays since Monday, 29 December 1969; of the two other days of a week the one before."""
    week, day = np.divmod(days + 3, 7)
    return np.asarray(5 * week + day.clip(max=4))


@storable
def spelt_weekday(counts: Array) -> Array:
    week, day = np.divmod(np.rint(counts), 5)
    return np.asarray(7 * week + day - 3)


PATTERNS = (  # of days
    Calendar("first day of a month", "month", month_of, first_of_month, 0.033),
    Calendar("last day of a month", "month", month_of, last_of_month, 0.033),
    Calendar("weekday", "weekday", weekday_of, spelt_weekday, 5 / 7),
)


def find_calendar(values: Array) -> Calendar | None:
    """The calendar that all whole numbers of a column are spelt by; None if there is none."""
    if not are_whole(values) or not np.ptp(values):
        return None  # Of numbers with decimals, or of one number alone, nothing is said.
    calendar = best_of(CALENDARS, values)
    return calendar if calendar is None else with_pattern(calendar, values)


def with_pattern(calendar: Calendar, values: Array) -> Calendar:
    """The calendar, by the pattern that all its days follow, if there is one."""
    days = calendar.count(values)
    if calendar.tick != "day" or not np.ptp(days % 7):  # Steps of a week say more.
        return calendar
    pattern = best_of(PATTERNS, days)
    return calendar if pattern is None else calendar.then(pattern)


def best_of(calendars: tuple[Calendar, ...], values: Array) -> Calendar | None:
    """The calendar by which all numbers spell something; None if there is none.

    A few numbers that repeat below or above all others may spell nothing, such as 0 and 99991231.
    Of several calendars with one tick, the one by which the numbers span least is meant.
    """
    unique, counts = np.unique(values, return_counts=True)
    found = [(one, unique[one.spells(unique)]) for one in calendars]
    found = [(one, own) for one, own in found if reads_nearly_all(one, own, unique, counts)]
    if not found:
        return None
    alike = [pair for pair in found if pair[0].tick == found[0][0].tick]
    calendar, own = min(alike, key=lambda pair: float(np.ptp(pair[0].count(pair[1]))))
    return with_specials_of(calendar, own, unique)


def reads_nearly_all(calendar: Calendar, own: Array, unique: Array, counts: Array) -> bool:
    """Whether all numbers are its `own`, but for a few special ones below or above."""
    if not calendar.reads(own):
        return False
    is_special = ~np.isin(unique, own)
    return not is_special.any() or bool(
        is_special.sum() <= MOST_ATOMS
        and len(own) >= FEWEST_OTHERS
        and (counts[is_special] >= SENTINEL_ROWS).all()
        and ((unique < own[0]) | (unique > own[-1]))[is_special].all()
    )


def with_specials_of(calendar: Calendar, own: Array, unique: Array) -> Calendar:
    """The calendar with the numbers that it does not read far below and above its own."""
    below, above = unique[unique < own[0]], unique[unique > own[-1]]
    if not len(below) + len(above):
        return calendar
    counts = calendar.count(own)
    apart = FAR * (np.ptp(counts) + 1)
    places = [
        counts.min() - apart * np.arange(len(below), 0, -1),
        counts.max() + apart * np.arange(1, len(above) + 1),
    ]
    return calendar.with_specials(np.concatenate([below, above]), np.concatenate(places))


# ---------------------------------------------------------------- columns of moments


@storable
def count_steps(width: float, values: Array) -> Array:
    return np.asarray(np.rint(values / width))


@storable
def whole_steps(width: float, counts: Array) -> Array:
    """Counts in the column's own units, exact where none is missing."""
    known = np.isfinite(counts)
    steps = np.rint(np.where(known, counts, 0)).astype(np.int64) * np.int64(width)
    return steps if known.all() else np.where(known, steps, np.nan)


def moment_calendar(values: Array, dtype: np.dtype[Any]) -> Calendar | None:
    """Moments counted in the largest unit of which all are whole: days, hours, ... microseconds.

    None where they have more digits than that.
    """
    second = TICKS_A_SECOND.get(np.datetime_data(dtype)[0], 1)
    widths = {name: size * second for name, size in SECONDS_A_TICK.items()}
    widths |= {name: second / size for name, size in FRACTIONS.items()}
    for tick, width in widths.items():
        count, spell = partial(count_steps, width), partial(whole_steps, width)
        if width >= 1 and np.array_equal(count(values) * width, values):
            return with_pattern(
                Calendar(f"whole {tick}", tick, count, spell, 1.0, 0, dtype.str, width), values
            )
    return None
