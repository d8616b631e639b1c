"""How columns depend on each other in new rows and in real ones, pair by pair.

Spearman's correlation of two numbers, the correlation ratio of a number and a category, Cramér's V
of two categories. All of them are read from one product of whitened columns.
"""

from typing import Any

import numpy as np
from scipy.stats import rankdata

from advaug.domains.tables.columns import Array, TableLayout
from advaug.domains.tables.tell_tale import cells_of, some_of
from advaug.sampling.faults import Dependence, PairGap

FEWEST_ROWS = 50  # Coefficients of fewer real rows are noise: a half of them is the control.
FEWEST_OTHERS = 10  # So are those of fewer rows off a column's commonest value, or at a level.
MOST_COLUMNS = 40  # Of more columns so many are read, by chance.
MOST_LEVELS = 12  # Rarer levels of a category count as one.
MOST_PAIRS = 12  # So many pairs are listed.


def dependence(layout: TableLayout, real: Any, new: Any, seed: int) -> Dependence | None:
    """The pairs that differ most between a half of the real rows and as many new ones.

    The other half is the control. None where rows are few, or where there is no pair.
    """
    random = np.random.RandomState(seed)
    old, made = (cells_of(layout, some_of(X, random), real) for X in (real, new))
    size = min(len(old) // 2, len(made))
    names = [*(one.name for one in layout.numbers), *(one.name for one in layout.categories)]
    if 2 * size < FEWEST_ROWS or len(names) < 2:
        return None
    is_number = np.arange(len(names)) < len(layout.numbers)
    varied = np.flatnonzero([len(old) - most_alike(cells) >= FEWEST_OTHERS for cells in old.T])
    some = np.sort(random.permutation(varied)[:MOST_COLUMNS])
    if len(some) < 2:
        return None
    old, is_number = old[random.permutation(len(old))][:, some], is_number[some]
    made = made[:, some]
    for k in np.flatnonzero(~is_number):
        old[:, k], made[:, k] = shared_levels(old[:, k], made[:, k])
    half, other, alike = (
        coefficients(rows, is_number) for rows in (old[:size], old[size : 2 * size], made[:size])
    )
    one, two = np.triu_indices(len(some), 1)
    gaps, usual = (np.abs(half - others)[one, two] for others in (alike, other))
    worst = [
        PairGap((names[some[i]], names[some[j]]), float(half[i, j]), float(alike[i, j]))
        for i, j in ((one[k], two[k]) for k in np.argsort(-gaps, kind="stable")[:MOST_PAIRS])
    ]
    return Dependence(worst, float(gaps.mean()), float(usual.mean()), float(usual.max()))


def most_alike(cells: Array) -> int:
    """How many rows hold the commonest value."""
    return int(np.unique(cells, return_counts=True)[1].max())


def shared_levels(real: Array, new: Array) -> tuple[Array, Array]:
    """Places of a category's levels, the most frequent first, and -1 for those that few rows have.

    Few real or few new rows would decide alone how strongly the category depends on another.
    """
    known, counts = np.unique(real, return_counts=True)
    first = known[np.argsort(-counts, kind="stable")][: MOST_LEVELS - 1]
    places = [
        np.where(np.isin(codes, first), (codes[:, None] == first).argmax(1), len(first))
        for codes in (real, new)
    ]
    held = [np.bincount(place, minlength=len(first) + 1) for place in places]
    is_rare = np.minimum(*held) < FEWEST_OTHERS
    old, made = (np.where(is_rare[place], -1, place) for place in places)
    return old, made


def coefficients(rows: Array, is_number: Array) -> Array:
    """(columns, columns): how strongly each pair depends, 0 to 1; two numbers from -1 to 1.

    Categories are places of levels; -1 is no level.
    """
    blocks = [
        ranks(cells) if is_n else indicators(cells)
        for cells, is_n in zip(rows.T, is_number, strict=True)
    ]
    freedom = [
        block.any(0).sum() - (not is_n) for block, is_n in zip(blocks, is_number, strict=True)
    ]
    joined = np.concatenate(blocks, 1)
    products = joined.T @ joined / len(rows)
    ends = np.cumsum([0, *(block.shape[1] for block in blocks)])
    squares = np.add.reduceat(np.add.reduceat(products**2, ends[:-1], 0), ends[:-1], 1)
    found = np.sqrt(squares / np.minimum.outer(freedom, freedom).clip(1))
    signed = np.outer(is_number, is_number)
    starts = products[np.ix_(ends[:-1], ends[:-1])]
    return np.where(signed, starts, found.clip(max=1.0))


def ranks(cells: Array) -> Array:
    """(rows, 1): ranks of mean 0 and variance 1; a missing cell has the lowest one."""
    rank = rankdata(cells)
    return ((rank - rank.mean()) / (rank.std() or 1.0))[:, None]


def indicators(places: Array) -> Array:
    """(rows, levels): centred and divided by the root of the share."""
    is_level = places[:, None] == np.arange(max(places.max(), 0) + 1)
    share = is_level.mean(0)
    return np.asarray((is_level - share) / np.sqrt(np.where(share > 0, share, 1.0)))
