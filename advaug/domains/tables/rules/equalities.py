"""Equalities that all rows keep: shares, sums, products and quotients, also where they are rounded.

A guess is tried on a few rows, then on a sample; the factor is computed from all rows.
"""

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np

from advaug.domains.tables.rules.candidates import Candidate, Table
from advaug.domains.tables.rules.evaluation import Array
from advaug.domains.tables.rules.syntax_tree import literal

MOST_FOR_THREE = 60  # Tables with more columns are not searched for sums of three.
FIRST_PROBES = 8  # Sums of three are tried on so many rows before the others.
FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "log({0})": np.log,
    "log({0} + 1)": np.log1p,
    "sqrt({0})": np.sqrt,
    "{0} * {0}": np.square,
}
FEWEST_PROBES = 4  # A guess needs so many probes without a missing cell.
MOST_DIGITS_OF_A_FACTOR = 12


def sums(table: Table) -> Iterator[Candidate]:
    """c == a + b and d == a + b + c."""
    width = len(table.names)
    for parts in combinations(table.distinct, 2):
        yield from sums_of(table, parts, fits(table, table.probe[:, list(parts)].sum(1)[:, None]))
    if width > MOST_FOR_THREE:
        return
    few = table.probe[:FIRST_PROBES]
    for a, b in combinations(table.distinct, 2):
        thirds = [c for c in table.distinct if c > b]
        guess = few[:, [a]] + few[:, [b]] + few[:, thirds]
        for third, total in np.argwhere(fits(table, guess)):
            one = np.zeros((1, width), dtype=bool)
            one[0, total] = True
            yield from sums_of(table, (a, b, thirds[third]), one)


def fits(table: Table, guesses: Array) -> Array:
    """(guesses, columns): which columns equal a guess in the first probes, up to rounding."""
    probe = table.probe[: len(guesses)]
    off = np.abs(probe[:, None] - guesses[:, :, None])
    slack = table.slack + table.rounding * np.abs(guesses)[:, :, None]
    is_known = (~np.isnan(off)).sum(0) >= min(FEWEST_PROBES, len(probe))
    return np.asarray(~(off > slack).any(0) & is_known)


def sums_of(table: Table, parts: tuple[int, ...], fit: Array) -> Iterator[Candidate]:
    """The columns that equal the sum of the parts."""
    for at in np.flatnonzero(fit[0]).tolist():
        if at in parts or at in table.repeated:
            continue
        total, terms = table.x[:, at], table.x[:, list(parts)]
        known = ~np.isnan(total) & ~np.isnan(terms).any(1)
        busy = int(((terms != 0).all(1) & known).sum())
        off, size = np.abs(total - terms.sum(1)), np.abs(terms).sum(1)
        beyond = (off - table.rounding * size)[known]
        if busy >= table.least and (beyond <= table.slack[at]).all():
            text = " + ".join(map(table.quoted, parts))
            table.link(table.names[at], *(table.names[part] for part in parts))
            yield spelt(table, at, text, busy, is_exact=bool((beyond <= 0).all()))


def shares(table: Table) -> Iterator[Candidate]:
    """b == k * a with one k in all rows."""
    for a in range(len(table.names)):
        if a in table.repeated:
            continue
        for at in scaled(table, table.probe[:, [a]])[0]:
            pair = table.names[a], table.names[at]
            if at == a or table.is_linked(*pair) or at in table.repeated:
                continue
            busy = int((np.abs(table.x[:, a] * table.x[:, at]) > 0).sum())
            text, is_exact = multiple(table, int(at), table.quoted(a), table.all_x[:, a])
            if text and busy >= table.least:
                table.link(*pair)
                if is_exact:
                    table.repeated.add(int(at))
                yield spelt(table, int(at), text, busy, is_exact=is_exact)


def products(table: Table) -> Iterator[Candidate]:
    """c == k * a * b and c == k * a / b."""
    found: set[frozenset[int]] = set()
    columns = table.distinct
    for sign in "*/":
        for a in columns:
            others = [b for b in columns if (b > a if sign == "*" else b != a)]
            if not others:
                continue
            guess = combined(table.probe[:, [a]], sign, table.probe[:, others])
            for b, hits in zip(others, scaled(table, guess), strict=True):
                for at in hits:
                    three = frozenset((a, b, int(at)))
                    if len(three) == 3 and three not in found and at not in table.repeated:
                        for candidate in product_of(table, a, sign, b, int(at)):
                            found.add(three)
                            yield candidate


def product_of(table: Table, a: int, sign: str, b: int, at: int) -> Iterator[Candidate]:
    x, y, z = table.x[:, [a, b, at]].T
    busy = int((~np.isin(x, (0, 1)) & ~np.isin(y, (0, 1)) & (z != 0) & ~np.isnan(x + y + z)).sum())
    if busy < table.least:
        return
    guess = combined(table.all_x[:, a], sign, table.all_x[:, b])
    text, is_exact = multiple(table, at, f"{table.quoted(a)} {sign} {table.quoted(b)}", guess)
    if text:
        table.link(*(table.names[column] for column in (at, a, b)))
        # Factors move by less than a step of their decimals: the product keeps its own.
        yield spelt(table, at, text, busy, is_exact=is_exact and not table.digits[at])


def functions(table: Table) -> Iterator[Candidate]:
    """b == k * log(a), k * sqrt(a) or k * a * a."""
    for a in table.distinct:
        for text, function in FUNCTIONS.items():
            guess = np.nan_to_num(function(table.probe[:, [a]]), nan=np.inf, posinf=np.inf)
            guess = np.where(np.isnan(table.probe[:, [a]]), np.nan, guess)
            for at in scaled(table, guess)[0]:
                pair = table.names[a], table.names[at]
                if at == a or table.is_linked(*pair) or at in table.repeated:
                    continue
                spelt_out = text.format(table.quoted(a))
                rule, is_exact = multiple(table, int(at), spelt_out, function(table.all_x[:, a]))
                busy = int((~np.isin(table.x[:, a], (0, 1)) & (table.x[:, at] != 0)).sum())
                if rule and busy >= table.least:
                    table.link(*pair)
                    yield spelt(table, int(at), rule, busy, is_exact=is_exact)


def combined(x: Array, sign: str, y: Array) -> Array:
    """Products or quotients; a quotient that is undefined is infinite."""
    if sign == "*":
        return x * y
    value = x / y
    return np.where(np.isnan(value) & ~np.isnan(x + y), np.inf, value)


def scaled(table: Table, guesses: Array) -> list[Array]:
    """For each guess (probes, guesses) the columns that are one multiple of it in all probes."""
    low, high, is_known = bounds(
        table.probe[:, None], guesses[:, :, None], table.slack, table.rounding
    )
    is_one = (low <= high) & ((low > 0) | (high < 0))
    return [np.flatnonzero(row) for row in is_one & is_known]


def bounds(z: Array, guess: Array, slack: Array, rounding: float) -> tuple[Array, Array, Array]:
    """Least and largest k with which k * guess is z, up to rounding, and whether it can be said."""
    quotient = z / guess
    room = slack / np.abs(guess) + rounding * np.abs(quotient)
    is_known = ~np.isnan(z) & ~np.isnan(guess)
    is_zero = is_known & (guess == 0)
    is_wrong = (is_zero & (np.abs(z) > slack)) | (is_known & np.isinf(guess))
    is_used = is_known & ~is_zero
    low = np.where(is_used, quotient - room, -np.inf).max(0)
    high = np.where(is_used, quotient + room, np.inf).min(0)
    return low, high, (is_used.sum(0) >= FEWEST_PROBES) & ~is_wrong.any(0)


def multiple(table: Table, at: int, text: str, guess: Array) -> tuple[str, bool]:
    """The column as k * text, and whether it is exact; "" where no k fits all rows."""
    exact = factor(table, guess, at, np.zeros(()))
    k = factor(table, guess, at, table.slack[at]) if exact is None else exact
    if k is None:
        return "", False
    return text if k == 1 else f"{literal(k)} * {text}", exact is not None


def factor(table: Table, guess: Array, at: int, slack: Array) -> float | None:
    """The shortest k with which k * guess is the column in all rows; None if there is none."""
    low, high, is_known = bounds(table.all_x[:, at], guess, slack, table.rounding)
    if not is_known or not low <= high:
        return None
    return shortest(float(low), float(high))


def shortest(low: float, high: float) -> float:
    """The number between the bounds that has the fewest digits."""
    if low <= 0 <= high:
        return 0.0
    middle = (low + high) / 2
    for digits in range(1, MOST_DIGITS_OF_A_FACTOR + 1):
        short = float(f"{middle:.{digits}g}")
        if low <= short <= high:
            return short
    return middle


def spelt(table: Table, at: int, text: str, by_chance: float, *, is_exact: bool) -> Candidate:
    """column == expression; if it is rounded: as usual, and where halves are rounded otherwise."""
    column, digits = table.quoted(at), table.digits[at]
    if is_exact or digits is None:
        return Candidate((f"{column} == {text}",), by_chance)
    rounded = f"round({text}, {digits})" if digits else f"round({text})"
    halves = f"abs({column} - {rounded}) <= {literal(10.0**-digits)}"
    return Candidate((f"{column} == {rounded}", halves), by_chance)
