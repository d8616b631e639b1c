"""Relations that all rows keep, for the user to confirm.

A relation that independent columns would keep too is no finding: shuffled columns must break it in
many rows.
"""

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np

from advaug.domains.tables.rules.evaluation import Array, Cells
from advaug.domains.tables.rules.objects import Equal, Integer, OneHot, Range
from advaug.domains.tables.rules.syntax_tree import literal, quoted

MOST_LEVELS = 12  # Categories with more levels are not tried as guards.
MOST_OF_A_KIND = 200  # Only the strongest findings of a kind are returned.
MOST_FOR_THREE = 60  # Tables with more columns are not searched for sums of three.
PROBES = 24  # So many rows refute most wrong guesses.
MOST_DIGITS = 6  # A quotient with more decimals is not rounded.


class Finding(NamedTuple):
    """A rule, the number of rows that show it, and how many rows would break it by chance."""

    rule: str
    support: int
    by_chance: float


class Table:
    """Columns of numbers and of texts, and a few rows that test a guess first."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        numeric = [name for name, column in cells.columns.items() if column.dtype != object]
        self.names = [name for name in numeric if np.ptp(self.known(name)) > 0]
        self.constant = [name for name in numeric if name not in self.names]
        columns = [cells[name] for name in self.names]
        self.x = np.stack(columns, 1) if columns else np.empty((cells.n_rows, 0))
        self.texts = [name for name in cells.columns if name not in numeric]
        few = np.random.default_rng(0).permutation(cells.n_rows)[:PROBES]
        self.probe = self.x[few]

    def quoted(self, at: int) -> str:
        """A column's name in the syntax of rules."""
        return quoted(self.names[at])

    def known(self, name: str) -> Array:
        """The cells that are not missing; one 0 if all of them are."""
        column = self.cells[name]
        known = column[~np.isnan(column)]
        return known if len(known) else np.zeros(1)


def mine(cells: Cells, kinds: tuple[str, ...], least: float) -> list[Finding]:
    """Findings of the kinds, the strongest of each kind first."""
    table, findings = Table(cells), []
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"kinds: {kind!r} is none of {', '.join(KINDS)}")
        some = sorted(KINDS[kind](table, least), key=lambda one: -one.by_chance)
        findings += some[:MOST_OF_A_KIND]
    return findings


def ranges(table: Table, least: float) -> Iterator[Finding]:
    for name in [*table.names, *table.constant]:
        known = table.known(name)
        yield Finding(Range(name, float(known.min()), float(known.max())).text, len(known), 0.0)


def integers(table: Table, least: float) -> Iterator[Finding]:
    for name in table.names:
        known = table.known(name)
        if np.array_equal(known, np.rint(known)):
            yield Finding(Integer(name).text, len(known), 0.0)


def monotone(table: Table, least: float) -> Iterator[Finding]:
    """a <= b in all rows, without findings that follow from two others."""
    width = len(table.names)
    keeps = np.zeros((width, width), dtype=bool)
    found: dict[tuple[int, int], tuple[int, float]] = {}
    ordered = [np.sort(table.known(name)) for name in table.names]
    for a in range(width):
        x = table.x[:, a, None]
        with np.errstate(invalid="ignore"):
            fine = (~(x > table.x)).all(0)
        for b in np.flatnonzero(fine).tolist():
            both = ~np.isnan(table.x[:, a]) & ~np.isnan(table.x[:, b])
            below = np.searchsorted(ordered[b], table.x[both, a], side="left") / len(ordered[b])
            if a != b and below.sum() >= least:
                keeps[a, b] = True
                found[a, b] = int(both.sum()), float(below.sum())
    for (a, b), (support, chance) in found.items():
        is_equal = keeps[b, a]
        between = keeps[a] & keeps[:, b] & ~keeps[:, a] & ~keeps[b]
        if a < b if is_equal else not between.any():
            operator = "==" if is_equal else "<="
            yield Finding(f"{table.quoted(a)} {operator} {table.quoted(b)}", support, chance)


def close(left: Array, right: Array, size: Array) -> Array:
    """Equal up to rounding, or missing."""
    return ~(np.abs(left - right) > 1e-9 * size)


def sums(table: Table, least: float) -> Iterator[Finding]:
    """c == a + b and d == a + b + c, and constant shares c == k * a."""
    for count in (2, 3) if len(table.names) <= MOST_FOR_THREE else (2,):
        for parts in combinations(range(len(table.names)), count):
            chosen = list(parts)
            guess = table.probe[:, chosen].sum(1)
            size = np.abs(table.probe[:, chosen]).sum(1)
            fits = close(table.probe, guess[:, None], size[:, None]).all(0)
            for at in np.flatnonzero(fits).tolist():
                if at in parts:
                    continue
                total, terms = table.x[:, at], table.x[:, chosen]
                known = ~np.isnan(total) & ~np.isnan(terms).any(1)
                busy = known & ((terms != 0).sum(1) == count)
                fine = close(total, terms.sum(1), np.abs(terms).sum(1))[known].all()
                if fine and busy.sum() >= least:
                    text = f"{table.quoted(at)} == {' + '.join(map(table.quoted, parts))}"
                    yield Finding(text, int(known.sum()), float(busy.sum()))


def shares(table: Table, least: float) -> Iterator[Finding]:
    """b == k * a with one k in all rows."""
    for a, b in combinations(range(len(table.names)), 2):
        with np.errstate(all="ignore"):
            quotients = table.probe[:, b] / table.probe[:, a]
        quotients = quotients[np.isfinite(quotients)]
        k = float(np.median(quotients)) if len(quotients) else 0.0
        if k in (0.0, 1.0):
            continue
        known = ~np.isnan(table.x[:, a]) & ~np.isnan(table.x[:, b])
        x, y = table.x[known, a], table.x[known, b]
        if close(y, k * x, np.abs(y) + np.abs(k * x)).all() and (x != 0).sum() >= least:
            text = f"{table.quoted(b)} == {literal(k)} * {table.quoted(a)}"
            yield Finding(text, int(known.sum()), float((x != 0).sum()))


def products(table: Table, least: float) -> Iterator[Finding]:
    """c == a * b, and c == a / b up to the digits that c was rounded to."""
    spread = [np.nanstd(table.x[:, k]) for k in range(len(table.names))]
    slack = np.array([rounded_by(table.known(name)) for name in table.names])
    for a in range(len(table.names)):
        for b in range(len(table.names)):
            ways = [("*", table.probe[:, a] * table.probe[:, b])] if a < b else []
            with np.errstate(all="ignore"):
                ways += [("/", table.probe[:, a] / table.probe[:, b])] if a != b else []
            for sign, guess in ways:
                allowed = slack if sign == "/" else np.zeros_like(slack)
                off = np.abs(table.probe - guess[:, None])
                fits = ~(off > allowed + 1e-9 * np.abs(guess[:, None]))
                for at in np.flatnonzero(fits.all(0) & np.isfinite(guess).any()):
                    if at in (a, b) or allowed[at] > 0.05 * spread[at]:
                        continue
                    yield from product(table, (a, b, int(at)), sign, float(allowed[at]), least)


def product(
    table: Table, columns: tuple[int, int, int], sign: str, slack: float, least: float
) -> Iterator[Finding]:
    x, y, z = table.x[:, columns].T
    with np.errstate(all="ignore"):
        value = x * y if sign == "*" else x / y
    known = ~np.isnan(x + y + z)
    if not np.isfinite(value[known]).all():
        return
    off = np.abs(z - value)[known]
    busy = ((x != 0) & (x != 1) & (y != 0) & (y != 1))[known]
    if (off <= slack + 1e-9 * np.abs(value[known])).all() and busy.sum() >= least:
        a, b, c = (table.names[k] for k in columns)
        if sign == "/" and (off <= 1e-9 * np.abs(value[known])).all():
            return  # It is a finding of `*` already.
        text = Equal(c, f"{quoted(a)} {sign} {quoted(b)}", slack).text
        yield Finding(text, int(known.sum()), float(busy.sum()))


def rounded_by(known: Array) -> float:
    """A little over half of the numbers' last digit; 0 if they have no digits or many of them."""
    for digits in range(1, MOST_DIGITS + 1):
        if np.allclose(known, np.round(known, digits), rtol=0, atol=1e-9):
            return 0.0 if np.array_equal(known, np.rint(known)) else 0.6 * 10.0**-digits
    return 0.0


def one_hot(table: Table, least: float) -> Iterator[Finding]:
    """Groups of 0/1 columns of which exactly one is 1."""
    flags = [k for k, name in enumerate(table.names) if np.isin(table.known(name), (0, 1)).all()]
    x = np.nan_to_num(table.x[:, flags], nan=2.0).astype(np.int64)
    together = x.T @ x
    waiting = sorted(range(len(flags)), key=lambda k: -together[k, k])
    while waiting:
        group = [waiting.pop(0)]
        for other in list(waiting):
            if not together[other, group].any():
                group.append(other)
        if len(group) > 1 and (x[:, group].sum(1) == 1).all():
            waiting = [k for k in waiting if k not in group]
            names = [table.names[flags[k]] for k in group]
            share = x[:, group].mean(0)
            yield Finding(OneHot(names).text, len(x), float(len(x) * (1 - (share**2).sum())))


def implications(table: Table, least: float) -> Iterator[Finding]:
    """If a has one level, or is 0, then b always has one level, or is 0."""
    possible = list(states(table))
    if not possible:
        return
    texts, names, rows = zip(*possible, strict=True)
    yes = np.stack(rows, 1)
    known = np.stack([~table.cells.missing(name) for name in names], 1)
    both = yes.T.astype(np.float32) @ yes.astype(np.float32)
    support = yes.T.astype(np.float32) @ known.astype(np.float32)
    share = yes.sum(0) / known.sum(0).clip(1)
    for a, b in np.argwhere((both == support) & (support > 0)):
        by_chance = float(support[a, b] * (1 - share[b]))
        if names[a] != names[b] and by_chance >= least:
            yield Finding(f"if {texts[a]} then {texts[b]}", int(support[a, b]), by_chance)


def states(table: Table) -> Iterator[tuple[str, str, Array]]:
    """(text, column, rows) of each state that may stand in an implication."""
    for name in table.texts:
        column = table.cells[name]
        levels = list(dict.fromkeys(value for value in column if value is not None))
        if 1 < len(levels) <= MOST_LEVELS and all(isinstance(level, str) for level in levels):
            for level in levels:
                is_at = np.equal(column, level).astype(bool)
                yield f"{quoted(name)} == {literal(level)}", name, is_at
    for at, name in enumerate(table.names):
        is_zero = table.x[:, at] == 0
        if 0 < is_zero.sum() < len(is_zero):
            yield f"{quoted(name)} == 0", name, is_zero


KINDS: dict[str, Callable[[Table, float], Iterator[Finding]]] = {
    "sum": sums,
    "share": shares,
    "product": products,
    "one_hot": one_hot,
    "monotone": monotone,
    "implication": implications,
    "integer": integers,
    "range": ranges,
}
