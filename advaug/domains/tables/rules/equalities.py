"""Equalities that all rows keep: shares, sums, products and quotients, also where they are rounded.

A guess is tried on a few rows, then on a sample; the factor is computed from all rows.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import combinations
from typing import NamedTuple, TypeVar

import numpy as np

from advaug.domains.tables.rules.candidates import Candidate, Table, known
from advaug.domains.tables.rules.evaluation import DATE_PARTS, Array
from advaug.domains.tables.rules.syntax_tree import literal

MOST_FOR_THREE = 60  # Tables with more columns are not searched for sums of three,
MOST_FOR_THREE_FACTORS = 25  # and these not for products of three.
FIRST_PROBES = 8  # Sums of three are tried on so many rows before the others.
FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "log({0})": np.log,
    "log10({0})": np.log10,
    "log2({0})": np.log2,
    "log({0} + 1)": np.log1p,
    "sqrt({0})": np.sqrt,
    "{0} * {0}": np.square,
}


def whole_parts(size: int, x: Array) -> Array:
    return np.floor(x / size)


PARTS_OF_DATES: dict[str, Callable[[Array], Array]] = {
    f"{name}({{0}})": part for name, part in DATE_PARTS.items()
} | {"weekday_of({0}) + 1": lambda days: DATE_PARTS["weekday_of"](days) + 1}
PARTS_OF_NUMBERS: dict[str, Callable[[Array], Array]] = {
    f"floor({{0}} / {size})": partial(whole_parts, size)
    for size in (7, 10, 12, 60, 100, 1000, 10_000)
}
FORMS: dict[str, Callable[[Array, Array], Array]] = {  # A 1 stands beside a rate.
    "{0} * {1}": np.multiply,
    "{0} / {1}": np.divide,
    "{0} / ({1} * {1})": lambda a, b: a / (b * b),
    "{0} * (1 - {1})": lambda a, b: a * (1 - b),
    "{0} * (1 + {1})": lambda a, b: a * (1 + b),
    "{0} * (1 - {1} / 100)": lambda a, b: a * (1 - b / 100),
    "{0} * (1 + {1} / 100)": lambda a, b: a * (1 + b / 100),
}
FEWEST_PROBES = 4  # A guess needs so many probes without a missing cell.
CELLS_AT_ONCE = 2**15  # What a processor's cache holds.
MOST_DIGITS_OF_A_FACTOR = 12
Guess = TypeVar("Guess")


class Product(NamedTuple):
    """A guess: a column is a multiple of a form of others."""

    form: str
    factors: tuple[int, ...]
    at: int


def sums(table: Table) -> Iterator[Candidate]:
    """c == a + b and d == a + b + c."""
    for n_terms in (2, 3) if len(table.names) <= MOST_FOR_THREE else (2,):
        probe = table.probe[:FIRST_PROBES] if n_terms == 3 else table.probe
        for some in few_at_once(table, list(combinations(table.distinct, n_terms))):
            fit = fits(table, probe[:, np.array(some)].sum(2))
            for at, total in np.argwhere(fit).tolist():
                yield from sums_of(table, some[at], total)


def few_at_once(table: Table, guesses: Sequence[Guess]) -> Iterator[Sequence[Guess]]:
    """The guesses, as many at once as are compared with all columns without much memory."""
    height = max(CELLS_AT_ONCE // (FEWEST_PROBES * max(len(table.names), 1)), 1)
    yield from (guesses[k : k + height] for k in range(0, len(guesses), height))


def fits(table: Table, guesses: Array) -> Array:
    """(guesses, columns): which columns equal a guess in the first probes, up to rounding.

    A few probes refute most guesses.
    """
    fit = np.zeros((guesses.shape[1], table.probe.shape[1]), dtype=bool)
    possible = np.arange(len(fit))
    for probe in (table.probe[:FEWEST_PROBES], table.probe[: len(guesses)]):
        some = guesses[: len(probe), possible, None]
        off = np.abs(probe[:, None] - some)
        is_near = ~(off > table.slack + table.rounding * np.abs(some)).any(0)
        is_possible = is_near.any(1)
        possible, off, is_near = possible[is_possible], off[:, is_possible], is_near[is_possible]
    is_known = (~np.isnan(off)).sum(0) >= min(FEWEST_PROBES, len(probe))
    fit[possible] = is_near & is_known
    return fit


def sums_of(table: Table, parts: tuple[int, ...], at: int) -> Iterator[Candidate]:
    """The column `at` as the sum of the parts, if enough rows show it."""
    if at in parts or at in table.repeated:
        return
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
    for a, hits in enumerate(scaled(table, table.probe)):
        if a in table.repeated:
            continue
        for at in hits:
            pair = table.names[a], table.names[at]
            if at == a or table.is_linked(*pair) or at in table.repeated:
                continue
            busy = int((np.abs(table.x[:, a] * table.x[:, at]) > 0).sum())
            text, is_exact = multiple(table, int(at), table.quoted(a), table.of_all_rows(a))
            if text and busy >= table.least:
                table.link(*pair)
                if is_exact:
                    table.repeated.add(int(at))
                yield spelt(table, int(at), text, busy, is_exact=is_exact)


def products(table: Table) -> Iterator[Candidate]:
    """c == k * f(a, b) with one of `FORMS`, and d == k * a * b * c.

    Of several spellings of one relation the one whose rounding says most is taken.
    """
    found: dict[frozenset[int], list[Product]] = {}
    for product in [*products_of_two(table), *products_of_three(table)]:
        found.setdefault(frozenset((product.at, *product.factors)), []).append(product)
    columns = zip(table.steps, map(known, table.x.T), strict=True) if found else ()
    fineness = [step / cells.std() for step, cells in columns]
    for spellings in found.values():
        for product in sorted(spellings, key=lambda one: fineness[one.at]):
            if candidate := product_of(table, product):
                yield candidate
                break


def products_of_two(table: Table) -> Iterator[Product]:
    columns = table.distinct
    for form, function in FORMS.items():
        is_ordered = form != "{0} * {1}"
        pairs = [
            (a, b)
            for b in columns
            if may_be_rate(table, form, b)
            for a in columns
            if (a != b if is_ordered else a < b)
        ]
        yield from products_in(table, form, pairs, function)


def products_of_three(table: Table) -> Iterator[Product]:
    if len(table.names) <= MOST_FOR_THREE_FACTORS:
        threes = list(combinations(table.distinct, 3))
        yield from products_in(table, "{0} * {1} * {2}", threes, lambda *of: np.prod(of, 0))


def products_in(
    table: Table, form: str, factors: Sequence[tuple[int, ...]], function: Callable[..., Array]
) -> Iterator[Product]:
    """The columns that are multiples of a form in all probes."""
    for some in few_at_once(table, factors):
        guess = defined(function, *table.probe[:, np.array(some)].transpose(2, 0, 1))
        for own, hits in zip(some, scaled(table, guess), strict=True):
            for at in hits.tolist():
                if at not in own and at not in table.repeated:
                    yield Product(form, own, at)


def may_be_rate(table: Table, form: str, at: int) -> bool:
    """Whether a column may stand in a form: rates are shares, or numbers from 0 to 100."""
    if "1" not in form.replace("{1}", ""):
        return True
    rates = known(table.x[:, at])
    most = 100.0 if "100" in form else 1.0
    return bool(rates.min() >= 0 and most / 100 < rates.max() <= most and at not in table.flags)


def product_of(table: Table, product: Product) -> Candidate | None:
    """The candidate, if enough rows show it."""
    form, factors, at = product
    x, z = table.x[:, list(factors)], table.x[:, at]
    is_busy = (~np.isin(x, (0, 1))).all(1) & (z != 0) & ~np.isnan(x.sum(1) + z)
    if (busy := int(is_busy.sum())) < table.least:
        return None
    function = FORMS.get(form, lambda *three: np.prod(three, 0))
    guess = defined(function, *(table.of_all_rows(factor) for factor in factors))
    text, is_exact = multiple(table, at, form.format(*map(table.quoted, factors)), guess)
    if not text:
        return None
    table.link(table.names[at], *(table.names[factor] for factor in factors))
    # Factors move by less than a step of their decimals: the product keeps its own.
    return spelt(table, at, text, busy, is_exact=is_exact and not table.digits[at])


def extremes(table: Table) -> Iterator[Candidate]:
    """d == max(a, b, ...), d == min(a, b, ...) and c == abs(a - b)."""
    for at in table.distinct:
        for name, sign in (("max", 1.0), ("min", -1.0)):
            x = sign * table.x
            parts = [a for a in possible_parts(table, sign, at) if (x[:, a] <= x[:, at]).all()]
            if len(parts) < 2 or not (x[:, parts].max(1) == x[:, at]).all():
                continue
            parts = needed(x, parts, at)
            counts = [int((x[:, a] == x[:, at]).sum()) for a in parts]
            if len(parts) > 1 and len(x) - max(counts) >= table.least:
                table.link(table.names[at], *(table.names[part] for part in parts))
                text = f"{name}({', '.join(map(table.quoted, parts))})"
                yield Candidate((f"{table.quoted(at)} == {text}",), float(len(x) - max(counts)))
    for some in few_at_once(table, list(combinations(table.distinct, 2))):
        guess = np.abs(np.diff(table.probe[:, np.array(some)]))[:, :, 0]
        for pair, at in np.argwhere(fits(table, guess)).tolist():
            a, b = some[pair]
            if at in (a, b) or at in table.repeated:
                continue
            busy = int(
                min((table.x[:, a] > table.x[:, b]).sum(), (table.x[:, a] < table.x[:, b]).sum())
            )
            text = f"abs({table.quoted(a)} - {table.quoted(b)})"
            if busy >= table.least:
                table.link(table.names[at], table.names[a], table.names[b])
                yield spelt(table, at, text, busy, is_exact=not table.digits[at])


def possible_parts(table: Table, sign: float, at: int) -> list[int]:
    """The columns that are at most the column `at` in the probes; at least, by a sign of -1."""
    fit = np.all(sign * table.probe <= sign * table.probe[:, [at]], axis=0)
    return [a for a in table.distinct if fit[a] and a != at]


def needed(x: Array, parts: list[int], at: int) -> list[int]:
    """The parts without those that others make needless."""
    kept = list(parts)
    for part in parts:
        rest = [other for other in kept if other != part]
        if len(rest) > 1 and (x[:, rest].max(1) == x[:, at]).all():
            kept = rest
    return kept


def functions(table: Table) -> Iterator[Candidate]:
    """b == k * log(a), k * sqrt(a) or k * a * a: of several spellings the shortest."""
    hits = {}
    for text, function in FUNCTIONS.items():
        guess = np.nan_to_num(function(table.probe), nan=np.inf, posinf=np.inf)
        hits[text] = scaled(table, np.where(np.isnan(table.probe), np.nan, guess))
    for a in table.distinct:
        found: dict[int, list[tuple[int, str, bool]]] = {}
        for text, function in FUNCTIONS.items():
            for at in hits[text][a].tolist():
                if at == a or at in table.repeated:
                    continue
                spelt_out = text.format(table.quoted(a))
                rule, is_exact = multiple(table, at, spelt_out, function(table.of_all_rows(a)))
                if rule:
                    found.setdefault(at, []).append((len(rule), rule, is_exact))
        for at, spellings in found.items():
            pair = table.names[a], table.names[at]
            busy = int((~np.isin(table.x[:, a], (0, 1)) & (table.x[:, at] != 0)).sum())
            if not table.is_linked(*pair) and busy >= table.least:
                table.link(*pair)
                _, rule, is_exact = min(spellings)
                yield spelt(table, at, rule, busy, is_exact=is_exact)


def leading_parts(table: Table) -> Iterator[Candidate]:
    """b == month_of(a) of dates, b == floor(a / 100) of whole numbers."""
    dates = [at for at in table.distinct if table.names[at] in table.cells.dates]
    others = [at for at in table.distinct if at not in dates]
    hits: dict[int, tuple[Array, ...]] = {}
    for columns, parts in ((dates, PARTS_OF_DATES), (others, PARTS_OF_NUMBERS)):
        if columns:
            found = [fits(table, function(table.probe[:, columns])) for function in parts.values()]
            hits |= dict(zip(columns, zip(*found, strict=True), strict=True))
    for a in table.distinct:
        parts = PARTS_OF_DATES if a in dates else PARTS_OF_NUMBERS
        for (form, function), fit in zip(parts.items(), hits[a], strict=True):
            for at in np.flatnonzero(fit).tolist():
                pair = table.names[a], table.names[at]
                if at == a or table.is_linked(*pair) or at in table.repeated:
                    continue
                guess, cells = function(table.x[:, a]), table.x[:, at]
                _, counts = np.unique(cells[~np.isnan(cells)], return_counts=True)
                by_chance = float(counts.sum() - counts.max())
                if by_chance >= table.least and ((guess == cells) | np.isnan(guess + cells)).all():
                    table.link(*pair)
                    text = form.format(table.quoted(a))
                    yield Candidate((f"{table.quoted(at)} == {text}",), by_chance)


def defined(function: Callable[..., Array], *factors: Array) -> Array:
    """The values of a form; one that is undefined is infinite."""
    value = function(*factors)
    return np.where(np.isnan(value) & ~np.isnan(sum(factors)), np.inf, value)


def scaled(table: Table, guesses: Array) -> list[Array]:
    """For each guess (probes, guesses) the columns that are one multiple of it in all probes.

    A few probes refute most guesses.
    """
    few = slice(FEWEST_PROBES)
    low, high, is_known = bounds(
        table.probe[few, None], guesses[few, :, None], table.slack, table.rounding, fewest=0
    )
    possible = np.flatnonzero(((low <= high) & is_known).any(1))
    if not len(possible):
        return [possible] * guesses.shape[1]
    is_one = np.zeros((guesses.shape[1], table.probe.shape[1]), dtype=bool)
    low, high, is_known = bounds(
        table.probe[:, None], guesses[:, possible, None], table.slack, table.rounding
    )
    is_one[possible] = (low <= high) & ((low > 0) | (high < 0)) & is_known
    return [np.flatnonzero(row) for row in is_one]


def bounds(
    z: Array, guess: Array, slack: Array, rounding: float, fewest: int = FEWEST_PROBES
) -> tuple[Array, Array, Array]:
    """Least and largest k with which k * guess is z, up to rounding, and whether it can be said.

    fewest : so many rows must say something of k
    """
    quotient = z / guess
    room = slack / np.abs(guess) + rounding * np.abs(quotient)
    is_known = ~np.isnan(z) & ~np.isnan(guess)
    is_zero = is_known & (guess == 0)
    is_wrong = (is_zero & (np.abs(z) > slack)) | (is_known & np.isinf(guess))
    is_used = is_known & ~is_zero
    low = np.where(is_used, quotient - room, -np.inf).max(0)
    high = np.where(is_used, quotient + room, np.inf).min(0)
    return low, high, (is_used.sum(0) >= fewest) & ~is_wrong.any(0)


def multiple(table: Table, at: int, text: str, guess: Array) -> tuple[str, bool]:
    """The column as k * text, and whether it is exact; "" where no k fits all rows."""
    exact = factor(table, guess, at, np.zeros(()))
    k = factor(table, guess, at, table.slack[at]) if exact is None else exact
    if k is None:
        return "", False
    return text if k == 1 else f"{literal(k)} * {text}", exact is not None


def factor(table: Table, guess: Array, at: int, slack: Array) -> float | None:
    """The shortest k with which k * guess is the column in all rows; None if there is none."""
    low, high, is_known = bounds(table.of_all_rows(at), guess, slack, table.rounding)
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
