"""Conditions that follow from others: levels, codes that depend on codes, ranges of a number."""

from collections.abc import Iterator
from functools import cache, partial
from itertools import pairwise

import numpy as np

from advaug.domains.tables.rules.candidates import MOST_LEVELS, Candidate, Level, Table
from advaug.domains.tables.rules.evaluation import DATE_PARTS, Array
from advaug.domains.tables.rules.syntax_tree import quoted

MOST_PARTS = 31  # A part of dates with more values tells no level.
MOST_CODES = 100  # A column with more values is no code.


def dependencies(table: Table) -> Iterator[Candidate]:
    """b is a function of a: of a code, or of the range in which a number lies."""
    codes = cache(partial(codes_of, table))
    repeats: set[str] = set()
    for a, own in table.values.items():
        most = min(len(own), MOST_CODES)
        others = [b for b, values in table.values.items() if b != a and len(values) <= most]
        if not others:
            continue
        order = np.argsort(codes(a), kind="stable")
        for b in others:
            if a in repeats or b in repeats or table.is_linked(a, b):
                continue
            spellings, by_chance = dependency(table, a, b, codes(a)[order], codes(b)[order])
            if spellings and by_chance >= table.least:
                table.link(a, b)
                if len(table.values[b]) == len(own):
                    repeats.add(b)  # Each is a function of the other.
                yield Candidate(spellings, by_chance)


def codes_of(table: Table, name: str) -> Array:
    """The place of each cell among the column's values, -1 where it is missing."""
    column, values = table.cells[name], table.values[name]
    if column.dtype != object:
        return np.where(np.isnan(column), -1, np.searchsorted(values, column))
    place = {value: k for k, value in enumerate(values)}
    return np.array([place.get(value, -1) for value in column])


def dependency(table: Table, a: str, b: str, x: Array, y: Array) -> tuple[tuple[str, ...], float]:
    """Spellings and how many rows would break them by chance; none where b does not follow.

    x and y are the codes of both columns, in the order of x.
    """
    known = (x >= 0) & (y >= 0)
    x, y = x[known], y[known]
    n_levels, changes = len(table.values[b]), np.diff(y) != 0
    if (changes & (np.diff(x) == 0)).any():
        return (), 0.0
    pairs = np.unique(x * n_levels + y)
    share = np.bincount(y, minlength=n_levels) / max(len(y), 1)
    of_level = np.bincount(x, minlength=len(table.values[a]))
    guards, thens = np.divmod(pairs, n_levels)
    by_chance = float(((of_level[guards] - 1) * (1 - share[thens])).sum())
    is_ordered = a in table.names and len(guards) > MOST_LEVELS
    if is_ordered and 0 < changes.sum() == len(np.unique(y)) - 1 < MOST_LEVELS:
        return of_ranges(table, a, b, guards, thens), float(len(y) * (1 - share.max()))
    if len(table.values[a]) > MOST_CODES:
        return (), 0.0
    levels = [table.literal(a, level) for level in table.values[a]]
    return of_codes(table, quoted(a), levels, b, guards, thens), by_chance


def of_codes(
    table: Table, code: str, levels: list[str], b: str, guards: Array, thens: Array
) -> tuple[str, ...]:
    """(if code in {...} then b == ...) and ..."""
    parts = []
    for then in np.unique(thens):
        named = ", ".join(levels[k] for k in guards[thens == then])
        value = table.literal(b, table.values[b][then])
        guard = f"in {{{named}}}" if (guards[thens == then].size > 1) else f"== {named}"
        parts.append(f"(if {code} {guard} then {quoted(b)} == {value})")
    return (" and ".join(parts),)


def levels_of_dates(table: Table) -> Iterator[Candidate]:
    """A level that follows from a part of a date, such as the name of its weekday."""
    dates = [name for name in table.names if name in table.cells.dates]
    for a in (name for name in dates if len(table.values[name]) > MOST_CODES):
        for part, function in DATE_PARTS.items():
            cells = function(table.cells[a])
            values = np.unique(cells[~np.isnan(cells)])
            if not 1 < len(values) <= MOST_PARTS:
                continue
            for b, levels in table.values.items():
                if b == a or len(levels) > len(values) or table.is_linked(a, b):
                    continue
                yield from levels_of_part(table, a, b, part, np.searchsorted(values, cells), values)


def levels_of_part(
    table: Table, a: str, b: str, part: str, codes: Array, values: Array
) -> Iterator[Candidate]:
    """The candidate, if each value of the part goes with one level."""
    x, y, n_levels = codes, codes_of(table, b), len(table.values[b])
    known = (x < len(values)) & (y >= 0)
    pairs = np.unique(x[known] * n_levels + y[known])
    guards, thens = np.divmod(pairs, n_levels)
    if len(np.unique(guards)) < len(guards) or len(np.unique(thens)) < 2:
        return
    share = np.bincount(y[known], minlength=n_levels) / max(known.sum(), 1)
    by_chance = float((1 - share[y[known]]).sum())
    if by_chance >= table.least:
        table.link(a, b)
        texts = [table.literal("", value) for value in values.tolist()]
        spelt = of_codes(table, f"{part}({quoted(a)})", texts, b, guards, thens)
        yield Candidate(spelt, by_chance)


def of_ranges(table: Table, a: str, b: str, guards: Array, thens: Array) -> tuple[str, ...]:
    """(if a <= ... then b == ...) and ...: first with no row between two ranges."""
    last = [*np.flatnonzero(np.diff(thens)).tolist(), len(thens) - 1]
    known = table.values[a][guards]
    ends = [table.literal(a, known[k]) for k in last]
    step = 1 if np.array_equal(known, np.rint(known)) else 0
    gaps = [
        f"(if {quoted(a)} > {end} then {quoted(a)} >= {table.literal(a, known[k + 1])})"
        for k, end in zip(last[:-1], ends, strict=False)
        if known[k + 1] - known[k] > step
    ]
    ranges = [f"{quoted(a)} <= {ends[0]}"]
    ranges += [f"{low} < {quoted(a)} <= {high}" for low, high in pairwise(ends[:-1])]
    ranges += [f"{quoted(a)} > {ends[-2]}"]
    values = [table.literal(b, table.values[b][thens[k]]) for k in last]
    pairs = zip(ranges, values, strict=True)
    follows = [f"(if {one} then {quoted(b)} == {value})" for one, value in pairs]
    return " and ".join(follows + gaps), " and ".join(follows)


def implications(table: Table) -> Iterator[Candidate]:
    """If a has one level then b always has one; if a is missing then b has one, or reversed."""
    levels = table.levels
    if not levels:
        return
    follows, by_chance = what_follows(table, levels)
    opposite = opposites(levels)
    found: set[tuple[int, int]] = set()
    for a, b in np.argwhere(without_detours(follows)).tolist():
        one, other = levels[a], levels[b]
        if table.is_linked(one.name, other.name) or (one.is_missing and other.is_missing):
            continue  # Another rule says so, or no cell ever becomes missing.
        if (opposite.get(b, -1), opposite.get(a, -1)) not in found:
            found.add((a, b))
            yield Candidate((f"if {one.text} then {other.text}",), float(by_chance[a, b]))


def what_follows(table: Table, levels: list[Level]) -> tuple[Array, Array]:
    """(levels, levels): whether b holds wherever a does; how many rows break that by chance."""
    yes = np.stack([level.rows for level in levels], 1).astype(np.float32)
    known = [
        np.ones(len(yes), dtype=bool) if level.is_missing else ~table.cells.missing(level.name)
        for level in levels
    ]
    both, support = yes.T @ yes, yes.T @ np.stack(known, 1).astype(np.float32)
    by_chance = support * (1 - yes.sum(0) / np.sum(known, 1).clip(1))
    names = np.array([level.name for level in levels])
    may_follow = (names[:, None] != names) & ~np.array([level.is_fixed for level in levels])
    return (both == support) & (by_chance >= table.least) & may_follow, by_chance


def without_detours(follows: Array) -> Array:
    """Of levels that follow from each other the first stands for all; no rule follows from two."""
    equal = follows & follows.T
    first = (equal | np.eye(len(equal), dtype=bool)).argmax(1)
    stands = first == np.arange(len(first))
    direct = follows & stands[:, None] & stands
    direct &= direct.astype(np.float32) @ direct.astype(np.float32) == 0
    direct[first[~stands], ~stands] = direct[~stands, first[~stands]] = True
    return np.asarray(direct)


def opposites(levels: list[Level]) -> dict[int, int]:
    """The other level of columns that have two of them and no missing cell."""
    of_column: dict[str, list[int]] = {}
    for at, level in enumerate(levels):
        of_column.setdefault(level.name, []).append(at)
    pairs = (own for own in of_column.values() if len(own) == 2)
    full = [(a, b) for a, b in pairs if (levels[a].rows ^ levels[b].rows).all()]
    return {a: b for one, other in full for a, b in ((one, other), (other, one))}
