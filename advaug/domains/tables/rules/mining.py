"""Relations that all rows keep, for the sampler to keep or the user to confirm.

A relation that independent columns would keep too is no finding: shuffled columns must break it in
many rows.
"""

from collections.abc import Callable, Iterator

import numpy as np

from advaug.domains.tables.rules.candidates import Candidate, Table, known
from advaug.domains.tables.rules.equalities import (
    extremes,
    functions,
    leading_parts,
    products,
    shares,
    sums,
)
from advaug.domains.tables.rules.evaluation import Array, Cells
from advaug.domains.tables.rules.implications import dependencies, implications, levels_of_dates
from advaug.domains.tables.rules.linear_relations import linear
from advaug.domains.tables.rules.objects import Integer, OneHot, Range
from advaug.domains.tables.rules.syntax_tree import quoted

MOST_OF_A_KIND = 200  # Only the strongest candidates of a kind are returned.
MOST_ROWS = 4000  # Rules are guessed on so many rows, and then checked on all of them:
FEWEST_OF_SAMPLE = 0.2  # such a share of the rows that must show a rule must be among these.
FEWEST_DISORDERED = 0.05  # An order counts if chance would break it in such a share of the rows,
TIES = 0.02  # and if such a share of the rows has equal numbers, or nearly equal ones
CROWDED = 2.5  # and gaps of up to twice their size are at most so many times as frequent.


def mine(cells: Cells, kinds: tuple[str, ...], least: float) -> Iterator[tuple[str, Candidate]]:
    """(kind, candidate), the strongest of each kind first; the caller checks them on all rows."""
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"kinds: {kind!r} is none of {', '.join(KINDS)}")
    some = cells
    if cells.n_rows > MOST_ROWS:
        some = cells.take(np.random.default_rng(0).permutation(cells.n_rows)[:MOST_ROWS])
    table = Table(some, cells, least * max(FEWEST_OF_SAMPLE, some.n_rows / max(cells.n_rows, 1)))
    for kind, search in KINDS.items():
        if kind in kinds:
            found = sorted(search(table), key=lambda one: -one.by_chance)[:MOST_OF_A_KIND]
            scale = cells.n_rows / max(some.n_rows, 1)
            yield from ((kind, Candidate(one.spellings, one.by_chance * scale)) for one in found)


def ranges(table: Table) -> Iterator[Candidate]:
    for name in [*table.names, *table.constant]:
        cells = known(table.every[name])
        yield Candidate((Range(name, float(cells.min()), float(cells.max())).text,), 0.0)


def integers(table: Table) -> Iterator[Candidate]:
    for name in table.names:
        cells = known(table.cells[name])
        if np.array_equal(cells, np.rint(cells)):
            yield Candidate((Integer(name).text,), 0.0)


def monotone(table: Table) -> Iterator[Candidate]:
    """a <= b in all rows that crowd at a == b, without findings that follow from two others."""
    width, flags = len(table.names), set(table.flags)
    keeps = np.zeros((width, width), dtype=bool)
    by_chance: dict[tuple[int, int], float] = {}
    ordered = [np.sort(known(table.cells[name])) for name in table.names]
    for a in range(width):
        fine = (~(table.x[:, a, None] > table.x)).all(0)
        for b in np.flatnonzero(fine).tolist():
            if a == b or table.is_linked(table.names[a], table.names[b]) or {a, b} <= flags:
                continue
            pair = table.x[:, [a, b]]
            pair = pair[~np.isnan(pair).any(1)]
            below = np.searchsorted(ordered[b], pair[:, 0], side="left") / len(ordered[b])
            least = max(table.least, FEWEST_DISORDERED * len(pair))
            if below.sum() >= least and is_edge(np.diff(pair[pair.any(1)])):
                keeps[a, b] = True
                by_chance[a, b] = float(below.sum())
    for (a, b), chance in by_chance.items():
        between = keeps[a] & keeps[:, b] & ~keeps[:, a] & ~keeps[b]
        if not between.any():
            yield Candidate((f"{table.quoted(a)} <= {table.quoted(b)}",), chance)


def is_edge(gap: Array) -> bool:
    """Whether gaps end sharply at 0, as a rule would cut them, and do not just become rare.

    Two zeros are no gap: they are a level of both columns.
    """
    width = np.quantile(gap, 0.1)
    near, following = (gap <= width).mean(), ((gap > width) & (gap <= 2 * width)).mean()
    is_crowded = (gap <= width / 2).mean() >= TIES and following <= CROWDED * near
    return bool((gap == 0).mean() >= TIES or is_crowded)


def followers(table: Table) -> Iterator[Candidate]:
    """Levels that follow from codes, from ranges, or from parts of dates."""
    yield from dependencies(table)
    yield from levels_of_dates(table)


def one_hot(table: Table) -> Iterator[Candidate]:
    """Groups of 0/1 columns of which exactly one is 1, or at most one."""
    flags = table.flags
    x = np.nan_to_num(table.x[:, flags], nan=2.0).astype(np.int64)
    together = x.T @ x
    waiting = sorted(range(len(flags)), key=lambda k: -together[k, k])
    while waiting:
        group = [waiting.pop(0)]
        for other in list(waiting):
            if not together[other, group].any():
                group.append(other)
        names, share = [table.names[flags[k]] for k in group], x[:, group].mean(0)
        is_exact = bool((x[:, group].sum(1) == 1).all())
        text = OneHot(names).text if is_exact else f"{' + '.join(map(quoted, names))} <= 1"
        chance = 1 - (share**2).sum() if is_exact else two_or_more(share)
        if len(group) > 1 and len(x) * chance >= table.least:
            waiting = [k for k in waiting if k not in group]
            for name in names:
                table.link(name, *names)
            yield Candidate((text,), float(len(x) * chance))


def two_or_more(share: Array) -> float:
    """The chance that two or more of some independent flags are 1."""
    none = np.prod(1 - share)
    return float(1 - none * (1 + (share / (1 - share).clip(1e-9)).sum()))


KINDS: dict[str, Callable[[Table], Iterator[Candidate]]] = {
    "share": shares,
    "sum": sums,
    "product": products,
    "function": functions,
    "extreme": extremes,
    "part": leading_parts,
    "linear": linear,
    "one_hot": one_hot,
    "dependency": followers,
    "monotone": monotone,
    "implication": implications,
    "integer": integers,
    "range": ranges,
}
# What new rows are made to keep: the columns' ranges and whole numbers are kept anyway.
RELATIONS = tuple(kind for kind in KINDS if kind not in ("integer", "range"))
EQUALITIES = ("share", "sum", "product", "function", "extreme", "part", "linear")  # between numbers
