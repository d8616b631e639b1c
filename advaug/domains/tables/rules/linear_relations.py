"""Columns that are a weighted sum of others: means, balances, shares that sum to a constant.

From left to right, each column is explained by the independent ones before it. The weights must be
short numbers or small fractions, and all rows must keep the equality with them.
"""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from advaug.domains.tables.rules.candidates import Candidate, Table
from advaug.domains.tables.rules.equalities import shortest, spelt
from advaug.domains.tables.rules.evaluation import Array
from advaug.domains.tables.rules.syntax_tree import literal

EXPLAINED = 1e-5  # A column is a sum of others if so many standard deviations are left of it,
NEARLY = 1.5  # or, where it is rounded, so many halves of its step.
SURE = 8  # A weight of so many standard errors is more than noise.
MOST_TERMS = 12
NEAR_ONE = 0.2  # A weight so near to -1 is one of a part of a total.
ROUNDED = 2.0  # A column is more than rounding if its standard deviation holds so many steps.
LARGEST_DENOMINATOR = 12
LARGEST_SHORT = 10**6  # A weight with a larger denominator is one of a float's.


def linear(table: Table) -> Iterator[Candidate]:
    """c == w * a + v * b + ... + constant, and parts of a total that are each rounded."""
    yield from weighted_sums(table)
    yield from rounded_totals(table)


def weighted_sums(table: Table) -> Iterator[Candidate]:
    """c == w * a + v * b + ... + constant."""
    columns = [
        at
        for at in table.distinct
        if at not in table.flags and np.isfinite(table.of_all_rows(at).std())  # no cell is missing
    ]
    x = table.x[:, columns]
    if len(x) < table.least + len(columns):
        return
    mean, scale = x.mean(0), x.std(0)
    z, basis = (x - mean) / scale, np.empty((len(x), 0))
    free: list[int] = []
    for k, at in enumerate(columns):
        rest = z[:, k]
        for _ in range(2):  # The second time removes the rounding of the first.
            rest = rest - basis @ (basis.T @ rest)
        left = np.abs(rest).max()
        if free and left <= max(NEARLY * float(table.slack[at]) / scale[k], EXPLAINED):
            used = needed(z[:, free], z[:, k])
            weights = np.linalg.lstsq(z[:, free][:, used], z[:, k], rcond=None)[0]
            of = [free[j] for j in np.flatnonzero(used)]
            parts = [columns[j] for j in of]
            if len(parts) <= MOST_TERMS:
                yield from weighted_sum(table, at, parts, weights * scale[k] / scale[of])
        if left > EXPLAINED:
            basis = np.column_stack([basis, rest / np.linalg.norm(rest)])
            free.append(k)


def rounded_totals(table: Table) -> Iterator[Candidate]:
    """Columns that sum to one number, such as 100 %, but for the rounding of each of them."""
    step = table.steps
    for unit in sorted({one for one in step if one}):
        group = [
            at
            for at in table.distinct
            if step[at] == unit and at not in table.flags and not np.isnan(table.x[:, at]).any()
        ]
        while len(group) > 2:
            last = group.pop()
            if parts := parts_of_total(table, last, group, unit):
                group = [at for at in group if at not in parts]
                yield from total_of(table, last, parts, unit)


def parts_of_total(table: Table, last: int, group: list[int], unit: float) -> list[int]:
    """The columns which with the last one sum to one number in the rows that are guessed on."""
    x = table.x[:, group]
    centered, target = x - x.mean(0), table.x[:, last] - table.x[:, last].mean()
    weights = np.linalg.lstsq(centered, target, rcond=None)[0]
    is_part, is_none = np.abs(weights + 1) < NEAR_ONE, np.abs(weights) < NEAR_ONE
    parts = [at for at, is_one in zip(group, is_part, strict=True) if is_one]
    if len(parts) < 2 or not (is_part | is_none).all():
        return []
    columns = table.x[:, [*parts, last]]
    spread, room = np.ptp(columns.sum(1)), (len(parts) + 1) * unit * (1 + EXPLAINED)
    is_sum = 0 < spread <= room and bool((columns.std(0) > ROUNDED * unit).all())
    is_known = table.is_linked(table.names[last], table.names[parts[0]])
    return parts if is_sum and not is_known else []


def total_of(table: Table, last: int, parts: list[int], unit: float) -> Iterator[Candidate]:
    """The last column as what the others leave of the total."""
    columns = [table.of_all_rows(at) for at in (*parts, last)]
    sums = np.sum(columns, axis=0)
    if not np.isfinite(sums).all():
        return
    low, high = float(sums.min()), float(sums.max())
    total = shortest(low, high)  # the number between them that has the fewest digits
    digits, room = round(-np.log10(unit)), max(total - low, high - total)
    random = np.random.default_rng(0)
    some = [random.permutation(column) for column in table.x[:, [*parts, last]].T]
    by_chance = int((np.abs(np.sum(some, axis=0) - total) > room).sum())
    if by_chance < table.least:
        return
    table.link(table.names[last], *(table.names[part] for part in parts))
    rest = " - ".join([literal(total), *map(table.quoted, parts)])
    steps = float(np.ceil(room / unit - EXPLAINED))
    near = f"round({rest}, {digits})" if digits else f"round({rest})"
    most = literal(round(steps * unit, digits))
    yield Candidate((f"abs({table.quoted(last)} - {near}) <= {most}",), by_chance)


def needed(z: Array, target: Array) -> Array:
    """The columns whose weight is more than the noise of least squares."""
    weights = np.linalg.lstsq(z, target, rcond=None)[0]
    noise = float(np.std(target - z @ weights)) * np.sqrt(np.diag(np.linalg.inv(z.T @ z)))
    return np.asarray(np.abs(weights) > SURE * noise + EXPLAINED)


def weighted_sum(table: Table, at: int, parts: list[int], weights: Array) -> Iterator[Candidate]:
    """The column as a sum with short weights, or of one part with its own, if all rows keep it.

    A column that was standardized, or scaled to 0 to 1, has no short weight.
    """
    found = list(sum_with(table, at, parts, [shortened(weight) for weight in weights.tolist()]))
    is_linked = table.is_linked(table.names[at], table.names[parts[0]])
    if not found and len(parts) == 1 and not is_linked:
        steep = slope(table, at, parts[0])
        found = list(sum_with(table, at, parts, [Fraction(steep)])) if np.isfinite(steep) else []
    yield from found


def slope(table: Table, at: int, part: int) -> float:
    """How steep a column rises with another one, by the two rows that lie farthest apart."""
    x, z = table.of_all_rows(part), table.of_all_rows(at)
    first, last = x.argmin(), x.argmax()
    return float((z[last] - z[first]) / (x[last] - x[first]))


def sum_with(table: Table, at: int, parts: list[int], short: list[Fraction]) -> Iterator[Candidate]:
    """The column as a sum with these weights, if all rows keep it."""
    busy = int((table.x[:, at] != 0).sum())
    if busy < table.least:
        return
    total = table.of_all_rows(at)
    computed, size, slack = np.zeros_like(total), np.abs(total), 0.0
    for part, weight in zip(parts, short, strict=True):  # of all rows one term at a time
        one = table.of_all_rows(part) * float(weight)
        computed, size = computed + one, size + np.abs(one)
        slack = max(slack, slack_of(table, at, one))
    rest, exact = total - computed, table.rounding * size
    has_short = all(weight.denominator < LARGEST_SHORT for weight in short)
    halves = 1 if has_short else 2  # The slope of a rounded column is not exact.
    for room in (exact, halves * slack + exact, EXPLAINED * size):
        low, high = float((rest - room).max()), float((rest + room).min())
        if low <= high:
            break
    else:
        return
    is_short = has_short or low <= 0 <= high
    constant = shortest(low, high) if is_short else float(np.median(rest))
    if len(parts) == 1 and not constant:
        return  # A multiple of another column is a share.
    text = " + ".join(term(w, table.quoted(part)) for w, part in zip(short, parts, strict=True))
    text = (text if not constant else f"{text} + {literal(constant)}").replace("+ -", "- ")
    table.link(table.names[at], *(table.names[part] for part in parts))
    if room is exact or table.digits[at] is not None:
        yield spelt(table, at, text, busy, is_exact=room is exact)
        return
    # So spelt the column is computed from the others: a thin band is no place to project to.
    digits = -int(np.ceil(np.log10(1.1 * np.abs(rest - constant).max())))
    near = f"round({text}, {digits + 1})"
    yield Candidate((f"abs({table.quoted(at)} - {near}) <= {literal(10.0**-digits)}",), busy)


def slack_of(table: Table, at: int, terms: Array) -> float:
    """By how much the column may differ since it is rounded: 0 if its terms need no rounding."""
    steps = terms * 10.0 ** (table.digits[at] or 0)
    return 0.0 if (np.abs(steps - np.rint(steps)) < EXPLAINED).all() else float(table.slack[at])


def shortened(weight: float) -> Fraction:
    """A small fraction near the weight, or the weight with three digits."""
    small = Fraction(weight).limit_denominator(LARGEST_DENOMINATOR)
    is_near = small and abs(float(small) - weight) <= 1e-3 * abs(weight)
    return small if is_near else Fraction(f"{weight:.3g}")


def term(weight: Fraction, column: str) -> str:
    """weight * column: `-2 * a / 3`, or `0.17 * a`."""
    if weight.denominator > LARGEST_DENOMINATOR:
        return f"{literal(float(weight))} * {column}"
    top = {1: column, -1: f"-{column}"}.get(weight.numerator, f"{weight.numerator} * {column}")
    return top if weight.denominator == 1 else f"{top} / {weight.denominator}"
