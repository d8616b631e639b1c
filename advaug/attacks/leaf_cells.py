"""Rows of whole numbers for a tree ensemble: every column is cut into cells at all thresholds.

The ensemble's scores are constant in a product of cells, one of each column. So the search for the
nearest row of another prediction is a search over cells, each of which has a cost.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from jaxtyping import Bool, Float, Int

from advaug.core.leaf_boxes import LeafBoxes

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False, repr=False)
class LeafCells:
    """The cells of all columns, one column after the other, and the boxes as ranges of cells.

    Parameters
    ----------
    boxes : `LeafBoxes`
    first : int ndarray (columns + 1,)
        The place of each column's first cell; behind its last cell is a blank one.
    low, high : float64 ndarray (cells,)
        The least and the largest number of each cell.
    begin, end : int32 ndarray (columns, boxes)
        The places of the first and of the last cell of each box. A box that only missing numbers
        come to has none: it begins behind its end.
    """

    boxes: LeafBoxes
    first: Int[Array, " columns_1"]
    low: Float[Array, " cells"]
    high: Float[Array, " cells"]
    begin: Int[Array, "columns boxes"]
    end: Int[Array, "columns boxes"]

    @classmethod
    def of(cls, boxes: LeafBoxes) -> Self:
        """Cut the columns at the bounds of all boxes."""
        first, lows, highs, begins, ends = [0], [], [], [], []
        for lower, upper in zip(boxes.lower.T, boxes.upper.T, strict=True):
            edges = np.unique(lower[np.isfinite(lower)])
            begin = np.searchsorted(edges, lower, "right")
            end = np.searchsorted(edges, upper, "right")
            high = np.concatenate([np.nextafter(edges, -np.inf), [np.inf, np.inf]])
            is_bounded = np.isfinite(upper)
            high[end[is_bounded]] = upper[is_bounded]
            lows.append(np.concatenate([[-np.inf], edges, [np.nan]]))
            highs.append(high)
            is_empty = lower > upper
            begins.append(np.where(is_empty, len(edges) + 1, begin) + first[-1])
            ends.append(np.where(is_empty, 0, end) + first[-1])
            first.append(first[-1] + len(edges) + 2)
        begin, end = (np.stack(part).astype(np.int32) for part in (begins, ends))
        return cls(boxes, np.array(first), np.concatenate(lows), np.concatenate(highs), begin, end)

    @property
    def column(self) -> Int[Array, " cells"]:
        """The column of each cell."""
        return np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))

    def inside(self, share: float) -> tuple[Float[Array, " cells"], Float[Array, " cells"]]:
        """The ends of the cells, moved inwards by what rounding numbers by a share may cost."""
        at = self.column

        def slack(edge: Array) -> Array:
            is_end = np.isfinite(edge)
            return share * (np.where(is_end, np.abs(edge), 0.0) + self.boxes.rounding[at])

        half = (self.high - self.low) / 2
        low = self.low + np.minimum(slack(self.low), half)
        return low, self.high - np.minimum(slack(self.high), half)

    def of_rows(self, rows: Float[Array, "rows columns"]) -> Int[Array, "rows columns"]:
        """The places of the cells that rows lie in; the first of the column for NaN."""
        found = np.empty(rows.shape, np.int64)
        for column, values in enumerate(rows.T):
            start, stop = self.first[column], self.first[column + 1] - 1
            rank = np.searchsorted(self.low[start + 1 : stop], values, "right")
            found[:, column] = start + np.where(np.isnan(values), 0, rank)
        return found


@dataclass(eq=False, repr=False)
class RowSearch:
    """The boxes near one row, the costs of its cells, and what the scores must come to.

    Parameters
    ----------
    column : int ndarray (cells,)
    own : int ndarray (columns,)
        The cells of the row itself.
    size : float64 ndarray (cells,)
        The cost of each cell, to the power of the norm; infinite where no valid row can be.
    norm : {inf, 2, 1}
    begin, end : int32 ndarray (columns, boxes)
    tree : int ndarray (boxes,)
    totals : float64 ndarray (boxes,)
        What a row must cost at least that lies in the box.
    value : float64 ndarray (goals, boxes)
        What a box adds to each goal: the score of another class less that of the row's own.
    offset : float64 ndarray (goals,)
        A goal is reached where its sum is above 0.
    noise : float
        A sum that is no farther from 0 leaves a doubt.
    known : dict, optional
        What `sums_of_moves` has returned. It is right for all searches within this one.
    """

    column: Int[Array, " cells"]
    own: Int[Array, " columns"]
    size: Float[Array, " cells"]
    norm: float
    begin: Int[Array, "columns boxes"]
    end: Int[Array, "columns boxes"]
    tree: Int[Array, " boxes"]
    totals: Float[Array, " boxes"]
    value: Float[Array, "goals boxes"]
    offset: Float[Array, " goals"]
    noise: float
    known: dict[bytes, Array] | None = None

    @classmethod
    def of(
        cls,
        cells: LeafCells,
        own: Int[Array, " columns"],
        cost: Float[Array, " cells"],
        value: Float[Array, "goals boxes"],
        offset: Float[Array, " goals"],
        noise: float,
        norm: float,
        missing: Bool[Array, " columns"] | None = None,
    ) -> Self:
        """All boxes that a valid row may lie in, with ranges that begin and end at valid cells."""
        begin, end, tree = cells.begin.copy(), cells.end.copy(), cells.boxes.tree
        column = cells.column
        keeps: Any = np.ones(len(tree), bool)
        if missing is not None and missing.any():
            keeps = cells.boxes.takes_missing[:, missing].all(1)
            begin[missing], end[missing] = own[missing, None], own[missing, None]
            cost = np.where(missing[column], np.inf, cost)
        is_blank = np.isnan(cells.low)
        cost = np.where(is_blank, np.inf, cost)
        cost[own] = 0.0
        behind, before = valid_neighbours(cost)
        for at in np.unique(column[np.isinf(cost) & ~is_blank]):
            begin[at], end[at] = behind[begin[at].clip(max=len(cost) - 1)], before[end[at]]
        keeps &= (begin <= end).all(0)
        if not keeps.all():
            begin, end, tree, value = begin[:, keeps], end[:, keeps], tree[keeps], value[:, keeps]
        size = cost**2 if norm == 2 else cost
        nearest = np.minimum(np.maximum(own[:, None], begin), end)
        return cls(
            column=column,
            own=own,
            size=size,
            norm=norm,
            begin=begin,
            end=end,
            tree=tree,
            totals=total_of(size.take(nearest), norm),
            value=value,
            offset=offset,
            noise=noise,
        )

    def take(self, boxes: Array) -> Self:
        """The same with some of the boxes."""
        return replace(
            self,
            begin=self.begin[:, boxes],
            end=self.end[:, boxes],
            tree=self.tree[boxes],
            totals=self.totals[boxes],
            value=self.value[:, boxes],
        )

    def total(self, sizes: Float[Array, "columns *some"]) -> Any:
        """The costs of columns taken together: a length to the power of the norm."""
        return total_of(sizes, self.norm)

    def length(self, total: Any) -> Any:
        return np.sqrt(total) if self.norm == 2 else total

    def size_of(self, length: float) -> float:
        return length**2 if self.norm == 2 else length

    def cost(self, at: Int[Array, " columns"]) -> float:
        """The total of the cells `at`."""
        return float(self.total(self.size[at]))

    def ends(self) -> tuple[Int[Array, " columns"], Int[Array, " columns"]]:
        """The first and the last cell of each column that a valid row can lie in."""
        places = np.flatnonzero(np.isfinite(self.size))
        first = np.unique(self.column[places], return_index=True)[1]
        last = np.concatenate([first[1:], [len(places)]]) - 1
        return places[first], places[last]

    def farthest(self) -> float:
        """The largest total of any valid row."""
        size = np.where(np.isfinite(self.size), self.size, 0.0)
        first = np.searchsorted(self.column, np.arange(len(self.own)))
        return float(self.total(np.maximum.reduceat(size, first)))

    def held(self, column: int) -> Self:
        """The same, but a column stays where it is."""
        is_other = (self.column == column) & (np.arange(len(self.size)) != self.own[column])
        return replace(self, size=np.where(is_other, np.inf, self.size))

    def within(self, limit: float) -> Self:
        """Only the boxes that cost less than a total."""
        return self.take(np.flatnonzero(self.totals < limit))

    def cropped(self, limit: float) -> tuple[Self, Int[Array, " kept"]]:
        """Boxes and cells that cost less than a total, and which cells these are.

        The blank cell behind each column's last stays.
        """
        is_last = np.append(self.column[1:] != self.column[:-1], True)
        is_kept, near = (self.size < limit) | is_last, self.within(limit)
        before = np.concatenate([[0], np.cumsum(is_kept)]).astype(np.int32)
        end = np.minimum(before[near.end + 1], before[np.flatnonzero(is_last)][:, None]) - 1
        return replace(
            near,
            column=self.column[is_kept],
            own=before[self.own],
            size=self.size[is_kept],
            begin=before[near.begin],
            end=end,
        ), np.flatnonzero(is_kept)

    def sums_of_moves(self, at: Int[Array, " columns"]) -> Float[Array, "goals cells"]:
        """Each goal's sum if one column moved to a cell, for every cell, from the cells `at`."""
        if self.known is None:
            return self._sums_of_moves(at)
        if (place := at.tobytes()) not in self.known:
            self.known[place] = self._sums_of_moves(at)
        return self.known[place]

    def _sums_of_moves(self, at: Int[Array, " columns"]) -> Float[Array, "goals cells"]:
        outside = (self.begin > at[:, None]) | (self.end < at[:, None])
        count = outside.sum(0, dtype=np.uint16)
        around, near = (count == 0).nonzero()[0], (count == 1).nonzero()[0]
        by = outside[:, near].argmax(0)
        begin = np.concatenate([self.begin[:, around].ravel(), self.begin[by, near]])
        end = np.concatenate([self.end[:, around].ravel(), self.end[by, near]]) + 1
        change = np.empty((len(self.value), len(self.size)))
        for goal, value in enumerate(self.value):
            added = np.concatenate([*[value[around]] * len(at), value[near]])
            change[goal] = np.bincount(begin, added, len(self.size))
            change[goal] -= np.bincount(end, added, len(self.size))
        return np.asarray(change.cumsum(1) + self.offset[:, None])

    def sums(self, at: Int[Array, " columns"]) -> Float[Array, " goals"]:
        """Each goal's sum in the cells `at`."""
        around = ((self.begin <= at[:, None]) & (self.end >= at[:, None])).all(0)
        return np.asarray(self.value[:, around].sum(1) + self.offset)

    def excess(self, sums: Float[Array, "goals *shape"]) -> Any:
        """The sum of the best goal: above 0 where the prediction is another one."""
        return sums.max(0)


def total_of(sizes: Float[Array, "columns *some"], norm: float) -> Any:
    """The costs of columns taken together: a length to the power of the norm."""
    return sizes.max(0) if norm == np.inf else sizes.sum(0)


def valid_neighbours(cost: Float[Array, " cells"]) -> tuple[Array, Array]:
    """From each cell on the next one of finite cost, and the last one up to it."""
    places, is_valid = np.arange(len(cost)), np.isfinite(cost)
    behind = np.minimum.accumulate(np.where(is_valid, places, len(cost))[::-1])[::-1]
    before = np.maximum.accumulate(np.where(is_valid, places, -1))
    return behind.astype(np.int32), before.astype(np.int32)
