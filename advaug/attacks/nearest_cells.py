"""The nearest row of another prediction: a local search, then branch and bound.

A node is a range of cells in each column. Its bound relaxes the ensemble: every tree may pick its
own leaf. The cheapest node is opened first, so at any time the cheapest bound is a proof.
"""

import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from advaug.attacks.leaf_cells import RowSearch, valid_neighbours

Array = np.ndarray[Any, Any]

HALVINGS = 16  # of the price of a move, from one at which no move pays
GROWTH = 2.0  # of the ball in which a first success is looked for
REFINEMENTS = 2  # of the price between the last failure and the first success
SLACK = 1e-9
CLOSE = 1 - SLACK  # A total that is nearer than this to another one is no better.


# ---------------------------------------------------------------- the local search


def new_totals(search: RowSearch, at: Int[Array, " columns"]) -> Float[Array, " cells"]:
    """The total if one column moved to a cell, for every cell."""
    sizes = search.size[at]
    if search.norm != np.inf:
        return np.asarray(search.total(sizes) - sizes[search.column] + search.size)
    order = np.argsort(sizes)
    others = np.full(len(sizes), sizes[order[-1]])
    others[order[-1]] = sizes[order[-2]] if len(sizes) > 1 else 0.0
    return np.asarray(np.maximum(others[search.column], search.size))


def climb(
    search: RowSearch, at: Int[Array, " columns"], price: float, limit: float
) -> tuple[Int[Array, " columns"], bool]:
    """Single moves that raise the sum by more than their price, until one succeeds or none does."""
    at = at.copy()
    while True:
        excess = search.excess(search.sums_of_moves(at))
        totals = new_totals(search, at)
        is_near = totals < limit
        worth = np.where(is_near, excess - price * np.where(is_near, totals, 0.0), -np.inf)
        best = int(worth.argmax())
        own = excess[at[0]] - price * totals[at[0]]
        if not worth[best] > own + search.noise:
            return at, False
        at[search.column[best]] = best
        if excess[best] > search.noise:
            return at, True


def settle(search: RowSearch, at: Int[Array, " columns"]) -> Int[Array, " columns"]:
    """Single moves that cost less and keep the success."""
    at = at.copy()
    while True:
        excess = search.excess(search.sums_of_moves(at))
        totals = new_totals(search, at)
        if search.norm == np.inf:  # Of equal maxima the smaller sum.
            sizes = search.size[at]
            totals = totals + 1e-6 * (sizes.sum() - sizes[search.column] + search.size)
        best = int(np.where(excess > search.noise, totals, np.inf).argmin())
        if not totals[best] < totals[at[0]] * CLOSE:
            return at
        at[search.column[best]] = best


def walk(
    search: RowSearch, best: Int[Array, " columns"] | None, limit: float
) -> Int[Array, " columns"] | None:
    """A success of a total below the limit, from the row itself outwards.

    It is `best`, or None, where none is nearer.
    """
    best = first_success(search, best, limit if best is None else search.cost(best))
    if best is None or not search.cost(best) > 0:
        return best
    near, kept = search.cropped(search.cost(best) * (1 + SLACK))
    best = np.searchsorted(kept, best)
    return np.asarray(kept[shrink(near, best) if near.norm == np.inf else refine(near, best)])


def first_success(
    search: RowSearch, best: Int[Array, " columns"] | None, limit: float
) -> Int[Array, " columns"] | None:
    """A success in the smallest of growing balls that single moves find one in, else `best`."""
    limit = min(limit, search.farthest() * (1 + SLACK))
    total, largest = least_possible(search, limit), 0.0
    while largest < limit and np.isfinite(total):
        largest = total = min(total, limit)
        around, kept = search.cropped(total)
        at, is_success = climb(around, around.own, 0.0, total)
        if is_success:
            return np.asarray(kept[settle(around, at)])
        total *= search.size_of(GROWTH)
    return best


def least_possible(search: RowSearch, limit: float) -> float:
    """A total at which a success may be possible: every tree may pick its own box."""
    levels = np.sort(search.totals[(search.totals > 0) & (search.totals < limit)])
    first = np.flatnonzero(np.append(True, search.tree[1:] != search.tree[:-1]))
    below, above = 0, len(levels) - 1
    while above - below > 1:
        middle = (below + above) // 2
        value = np.where(search.totals <= levels[middle], search.value, -np.inf)
        most = np.maximum.reduceat(value, first, axis=1).sum(1) + search.offset
        below, above = (below, middle) if most.max() > 0 else (middle, above)
    return float(levels[above] * (1 + SLACK)) if len(levels) else np.inf


def refine(search: RowSearch, best: Int[Array, " columns"]) -> Int[Array, " columns"]:
    """A nearer success than `best` by moves that gain most for their price, at falling prices."""
    around = replace(search.within(search.cost(best)), known={})
    at, price, failed = search.own, first_price(around), None
    for _ in range(HALVINGS):
        at, is_success = climb(around, at, price, search.cost(best))
        if is_success:
            best = settle(around, at)
            break
        failed, price = price, price / 2
    else:
        best = settle(search, best)
    for _ in range(REFINEMENTS):
        if failed is None:
            break
        around = around.within(around.cost(best))
        middle = float(np.sqrt(failed * price))
        at, is_success = climb(around, search.own, middle, around.cost(best))
        if is_success:
            price, best = middle, settle(around, at)
        else:
            failed = middle
    return spare(around, best, price)


def spare(around: RowSearch, best: Int[Array, " columns"], price: float) -> Int[Array, " columns"]:
    """Without one of the moved columns after the other, if others can make up for it."""
    is_better = True
    while is_better:
        is_better, limit = False, around.cost(best)
        around = around.within(limit)
        for column in np.flatnonzero(best != around.own):
            at = best.copy()
            at[column] = around.own[column]
            at, is_success = climb(around.held(int(column)), at, price, limit)
            if is_success:
                at = settle(around, at)
                if around.cost(at) < limit * CLOSE:
                    best, is_better = at, True
                    break
    return best


def shrink(search: RowSearch, best: Int[Array, " columns"]) -> Int[Array, " columns"]:
    """In ever smaller balls, the sum raised by single moves that stay in the ball."""
    low, limit = 0.0, search.cost(best)
    inside = search.within(limit)
    while limit - low > 0.05 * limit:
        tried = (low + limit) / 2
        around = inside.within(tried)
        at, is_success = climb(around, around.own, 0.0, tried)
        if not is_success:
            start = np.where(around.size[best] < tried, best, around.own)
            at, is_success = climb(around, start, 0.0, tried)
        if is_success:
            best = settle(around, at)
            inside, limit = around, around.cost(best)
        else:
            low = tried
    return settle(search.within(limit * (1 + SLACK)), best)


def first_price(search: RowSearch) -> float:
    """A price at which hardly any move pays."""
    gain = search.excess(search.sums_of_moves(search.own))
    totals = new_totals(search, search.own)
    pays = np.isfinite(totals) & (totals > 0)
    gain = gain - gain[search.own[0]]
    return float((gain[pays] / totals[pays]).max(initial=0.0))


# ---------------------------------------------------------------- branch and bound


@dataclass(frozen=True, eq=False, repr=False)
class Node:
    """A range of cells in each column, the boxes that meet it, and what each of them costs there.

    Parameters
    ----------
    goal : int
    low, high : int ndarray (columns,)
    boxes : int ndarray (some,)
    totals : float64 ndarray (some,)
    """

    goal: int
    low: Int[Array, " columns"]
    high: Int[Array, " columns"]
    boxes: Int[Array, " some"]
    totals: Float[Array, " some"]


@dataclass(frozen=True, eq=False, repr=False)
class Outcome:
    """The nearest success that was found, and a total that every success costs at least.

    Parameters
    ----------
    cells : int ndarray (columns,) or None
    least : float
        Infinite where there is no success at all.
    """

    cells: Int[Array, " columns"] | None
    least: float


@dataclass(eq=False, repr=False)
class BranchAndBound:
    """The search for the nearest success of one row.

    Parameters
    ----------
    search : `RowSearch`
    succeeds : callable
        From cells to whether the prediction is another one, where the sum leaves a doubt.
    best : int ndarray (columns,) or None
        A success that is known.
    limit : float
        Without one, no success of this total or more is looked for.
    """

    search: RowSearch
    succeeds: Callable[[Int[Array, " columns"]], bool]
    best: Int[Array, " columns"] | None = None
    limit: float = np.inf

    def __post_init__(self) -> None:
        self.limit = self.limit if self.best is None else self.search.cost(self.best)
        self.n_trees = len(np.unique(self.search.tree))
        self.queue: list[tuple[float, int, Node]] = []
        self.number = count()
        # A range must begin and end at cells that a valid row can lie in.
        self.behind, self.before = valid_neighbours(self.search.size)

    def run(self, max_boxes: float = np.inf, seconds: float = np.inf) -> Outcome:
        """Open the cheapest nodes until none can be cheaper than the best success."""
        stop, self.seen = time.monotonic() + seconds, 0
        self._add_roots()
        while self.queue and self.queue[0][0] < self.limit * CLOSE:
            if self.seen >= max_boxes or time.monotonic() > stop:
                return Outcome(self.best, self.queue[0][0])
            bound, _, node = heapq.heappop(self.queue)
            self._open(node, bound)
        return Outcome(self.best, self.limit)

    def _add_roots(self) -> None:
        search, totals = self.search, self.search.totals
        boxes = np.flatnonzero(totals < self.limit)
        low, high = search.ends()
        for goal in range(len(search.value)):
            self._push(Node(goal, low, high, boxes, totals[boxes]), 0.0)

    def _push(self, node: Node, bound: float) -> None:
        """Queue a node by its bound, unless that reaches the limit."""
        self.seen += len(node.boxes)
        bound = self._bound(node, bound)
        if bound < self.limit * CLOSE:
            heapq.heappush(self.queue, (bound, next(self.number), node))

    def _by_tree(self, node: Node) -> tuple[Array, Array]:
        """The value of each box of a node, and the place of each tree's first one."""
        tree = self.search.tree[node.boxes]
        first = np.concatenate([[True], tree[1:] != tree[:-1]]).nonzero()[0]
        return self.search.value[node.goal, node.boxes], first

    def _bound(self, node: Node, bound: float) -> float:
        """The smallest total at which the goal is possible; infinite if there is none.

        It is possible if it is reached where each tree picks its own box within the total.
        """
        if not len(node.boxes):
            return np.inf
        value, first = self._by_tree(node)
        if len(first) < self.n_trees:
            return np.inf
        needed = -self.search.noise - self.search.offset[node.goal]

        def is_possible(total: float) -> bool:
            within = np.where(node.totals <= total, value, -np.inf)
            return bool(np.add.reduce(np.maximum.reduceat(within, first)) > needed)

        if is_possible(bound):
            return bound
        levels = np.sort(node.totals[(node.totals > bound) & (node.totals < self.limit)])
        if not len(levels) or not is_possible(levels[-1]):
            return np.inf
        below, above = -1, len(levels) - 1
        while above - below > 1:
            middle = (below + above) // 2
            if is_possible(levels[middle]):
                above = middle
            else:
                below = middle
        return float(levels[above])

    def _open(self, node: Node, bound: float) -> None:
        """The node's relaxed optimum, if that is a row; else two parts of the node."""
        search = self.search
        keeps = node.totals < self.limit
        if not keeps.all():
            node = Node(node.goal, node.low, node.high, node.boxes[keeps], node.totals[keeps])
        picked = self._picked(node, bound)
        begin = np.maximum(search.begin[:, picked], node.low[:, None])
        end = np.minimum(search.end[:, picked], node.high[:, None])
        top, bottom = begin.max(1), end.min(1)
        if (top > bottom).any():
            self._split(node, bound, *conflict(begin, end, top, bottom))
            return
        at = np.minimum(np.maximum(search.own, top), bottom)
        total = search.cost(at)
        is_success = self._is_success(at)
        if is_success and total < self.limit:
            self.best, self.limit = at, total
        if is_success and total <= bound:
            return
        nearest = np.minimum(np.maximum(search.own, node.low), node.high)
        extra = search.size[at] - search.size[nearest]
        if extra.max() > 0:
            column = int(extra.argmax())
            side = at[column] if at[column] > search.own[column] else at[column] + 1
            self._split(node, bound, column, side)
        elif not is_success:
            self._leave_out(node, bound, top, bottom)

    def _is_success(self, at: Int[Array, " columns"]) -> bool:
        search = self.search
        excess = search.excess(search.sums(at))
        if abs(excess) > search.noise:
            return bool(excess > 0)
        return self.succeeds(at)

    def _leave_out(self, node: Node, bound: float, top: Array, bottom: Array) -> None:
        """Split off a part of the node's cells, outside of those that are no success."""
        for column in range(len(top)):
            if node.low[column] < top[column]:
                return self._split(node, bound, column, int(top[column]))
            if node.high[column] > bottom[column]:
                return self._split(node, bound, column, int(bottom[column]) + 1)
        return None

    def _picked(self, node: Node, bound: float) -> Array:
        """Of each tree the highest box within the bound; of equal ones the cheapest."""
        value, first = self._by_tree(node)
        value = np.where(node.totals <= bound, value, -np.inf)
        highest = np.maximum.reduceat(value, first)
        place = np.repeat(np.arange(len(first)), np.diff([*first, len(value)]))
        tied = np.flatnonzero(value == highest[place])
        order = tied[np.lexsort((node.totals[tied], place[tied]))]
        is_first = np.concatenate([[True], place[order][1:] != place[order][:-1]])
        return np.asarray(node.boxes[order[is_first]])

    def _split(self, node: Node, bound: float, column: int, at: int) -> None:
        """The cells of a column before and from `at` on, as two nodes."""
        high, low = node.high.copy(), node.low.copy()
        high[column], low[column] = self.before[at - 1], self.behind[at]
        for low_, high_ in ((node.low, high), (low, node.high)):
            if low_[column] <= high_[column]:
                self._push(self._part(node, column, low_, high_), bound)

    def _part(self, node: Node, column: int, low: Array, high: Array) -> Node:
        """The node in another range of one column."""
        search, own = self.search, self.search.own[column]
        begin, end = search.begin[column, node.boxes], search.end[column, node.boxes]
        meets = (begin <= high[column]) & (end >= low[column])
        begin, end, boxes, totals = begin[meets], end[meets], node.boxes[meets], node.totals[meets]

        def size(least: int, largest: int) -> Array:
            first, last = np.maximum(begin, least), np.minimum(end, largest)
            return np.asarray(search.size[np.minimum(np.maximum(own, first), last)])

        after = size(low[column], high[column])
        if search.norm == np.inf:
            totals = np.maximum(totals, after)
        else:
            totals = totals + after - size(node.low[column], node.high[column])
        keeps = totals < self.limit
        return Node(node.goal, low, high, boxes[keeps], totals[keeps])


def conflict(begin: Array, end: Array, top: Array, bottom: Array) -> tuple[int, int]:
    """The column and the cell that part the picked boxes most evenly."""
    column = np.tile((top > bottom).nonzero()[0], 2)
    at = np.where(np.arange(len(column)) < len(column) // 2, top[column], bottom[column] + 1)
    left = np.count_nonzero(end[column] < at[:, None], axis=1)
    right = np.count_nonzero(begin[column] >= at[:, None], axis=1)
    best = int(np.lexsort((left + right, np.minimum(left, right)))[-1])
    return int(column[best]), int(at[best])
