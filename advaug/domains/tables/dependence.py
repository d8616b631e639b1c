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
FEWEST_OTHERS = 10  # So are those of a column that fewer real rows leave at its commonest value.
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
    old = old[random.permutation(len(old))]
    half, other, alike = (
        coefficients(rows[:, some], old[:, some], is_number[some])
        for rows in (old[:size], old[size : 2 * size], made[:size])
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


def coefficients(rows: Array, real: Array, is_number: Array) -> Array:
    """(columns, columns): how strongly each pair depends, 0 to 1; two numbers from -1 to 1."""
    blocks = [
        ranks(rows[:, k]) if is_number[k] else indicators(rows[:, k], real[:, k])
        for k in range(rows.shape[1])
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


def indicators(codes: Array, real: Array) -> Array:
    """(rows, levels): centred and divided by the root of the share, rare levels as one."""
    known, counts = np.unique(real, return_counts=True)
    common = known[np.argsort(-counts, kind="stable")[: MOST_LEVELS - 1]]
    is_level = np.concatenate([codes[:, None] == common, ~np.isin(codes, common)[:, None]], 1)
    share = is_level.mean(0)
    return np.asarray((is_level - share) / np.sqrt(np.where(share > 0, share, 1.0)))
