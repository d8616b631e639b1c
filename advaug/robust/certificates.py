"""Certain numbers: how far each row must move before a model can predict another class.

Attacks only find moves. For trees and linear models the shortest one can be computed: no attack,
known or unknown, needs less than `lower`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from advaug import containers
from advaug.attacks.leaf_cells import LeafCells, RowSearch
from advaug.attacks.nearest_cells import BranchAndBound, walk
from advaug.core.space import Space
from advaug.estimators.attacked_model import check_classifier, columns_of, native_steps
from advaug.estimators.validation import learnt_coding, target_of
from advaug.models.fitted_trees import FittedTrees, fitted_trees
from advaug.models.protocol import Array
from advaug.models.sklearn_to_torch import Affine, sklearn_to_torch
from advaug.robust.nets import AdapterParameter
from advaug.sampling.domain import Coding

EXACT = 1e-3  # Bounds that differ by a smaller share are one number.
TRIED = 20  # Rows of another prediction that a search may start from.
BEYOND = 1 + 1e-9  # times a radius: it is proven that no move of the radius changes a row.
FARTHEST = 1e9  # Encoded numbers: beyond it there is no bound.
OVERSHOOTS = (1e-9, 1e-6, 1e-4)  # By such shares a move to the boundary is lengthened over it.


@dataclass(frozen=True, eq=False)
class Certificates:
    """Bounds of the smallest move that changes each row's prediction.

    Parameters
    ----------
    lower : ndarray (rows,)
        No smaller move changes the prediction. 0 for rows that are predicted wrong as they are,
        infinite where no valid move does.
    upper : ndarray (rows,)
        A move of this length does. Infinite where none was found.

    See Also
    --------
    advaug.robust.certify : What makes them.

    Examples
    --------
    >>> import numpy as np
    >>> from advaug.robust import Certificates
    >>> bounds = Certificates(lower=np.array([0.0, 0.2, 0.4]), upper=np.array([0.0, 0.2, 0.5]))
    >>> bounds.is_exact.tolist(), round(bounds.robust_accuracy(0.1), 2)
    ([True, True, False], 0.67)
    """

    lower: Array
    upper: Array

    @property
    def is_exact(self) -> Array:
        """Whether both bounds are the same number."""
        return np.isclose(self.lower, self.upper, rtol=EXACT, atol=0)

    def robust_accuracy(self, radius: float) -> float:
        """The share of rows that no move of this length changes, for certain.

        Parameters
        ----------
        radius : float
            In the units of the bounds.

        Returns
        -------
        float
            It is an accuracy if `certify` was given y.
        """
        return float((self.lower > radius).mean())


class RowBounds(Protocol):
    """Bounds of the smallest move of one row, (lower, upper), and its prediction as a place."""

    def __call__(self, row: int, /) -> tuple[float, float]: ...


def certify(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    norm: float = np.inf,
    radius: float | None = None,
    budget: Mapping[Any, Any] | None = None,
    adapter: AdapterParameter = "auto",
    time_limit: float = 1.0,
) -> Certificates:
    """Bounds of the smallest move that changes the prediction of each row.

    For trees they come from branch and bound over the cells between all thresholds, for linear
    models from a formula. A move is valid if an attack may make it: frozen and missing cells stay,
    bounds, whole numbers and gaps of the columns are kept.

    Parameters
    ----------
    model : classifier
        Fitted: trees of scikit-learn, XGBoost, LightGBM or CatBoost, or a linear model of
        scikit-learn, alone or behind scalers.
    X : array or frame of numbers
        The rows. No column may be a category, a text or a date.
    y : array-like of shape (n_rows,), optional
        The label of each row; the bounds of a row that is predicted wrong are 0.
    norm : {inf, 2, 1}, default=inf
        The norm of moves.
    radius : float > 0, optional
        Only whether moves of this length change a prediction: `lower` is hardly above it, and
        `upper` infinite, where none does. For trees this takes much less time than the shortest
        move.
    budget : dict or Series of column -> budget, optional
        What a radius of 1 is, in the columns' own units, so that each column has its own cost; all
        others are frozen. See `AdversarialTransformer`.
    adapter : "auto", "tabular" or an adapter, default="auto"
        It gives the units: by default robust standard deviations of the columns of X.
    time_limit : float > 0, default=1.0
        Seconds for a row of a tree ensemble. Where they do not suffice, `lower` is less than
        `upper`.

    Returns
    -------
    Certificates
        With `lower`, `upper`, `is_exact` and `robust_accuracy(radius)`.

    Raises
    ------
    TypeError
        For a model without certificates.
    ValueError
        For columns that are no numbers.

    See Also
    --------
    advaug.robust.robustness_table : With `certify=True` a column beside those of the attacks.
    advaug.attacks.LeafSearch : The attack that makes such moves.

    References
    ----------
    Kantchelian, Tygar, Joseph. Evasion and hardening of tree ensemble classifiers. ICML 2016.
    Chen, Zhang, Si, Li, Boning, Hsieh. Robustness verification of tree-based models. NeurIPS 2019.
    Devos, Meert, Davis. Versatile verification of tree ensembles. ICML 2021.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from advaug.robust import certify
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(10, max_depth=3, random_state=0).fit(X, y)
    >>> bounds = certify(forest, X, y)
    >>> bool(bounds.is_exact.all()), round(bounds.robust_accuracy(0.1), 2)
    (True, 0.9)
    """
    if norm not in (np.inf, 2, 1):
        raise ValueError(f"norm must be inf, 2 or 1, got {norm!r}")
    if not time_limit > 0:
        raise ValueError(f"time_limit must be above 0, got {time_limit}")
    if radius is not None and not radius > 0:
        raise ValueError(f"radius must be above 0, got {radius}")
    check_classifier(model)
    X = containers.owned(X)
    coding = learnt_coding(adapter, X)
    coding = coding if budget is None else coding.budgeted(budget)
    table = NumberTable.of(coding, X, norm)
    predicted = np.asarray(model.predict(X))
    bounds_of = row_bounds(model, table, predicted, time_limit, radius or np.inf)
    wrong = np.zeros(len(predicted), bool) if y is None else predicted != target_of(X, y)
    bounds = [(0.0, 0.0) if wrong[row] else bounds_of(row) for row in range(len(predicted))]
    lower, upper = np.array(bounds, dtype=np.float64).reshape(-1, 2).T
    return Certificates(lower, upper)


def row_bounds(
    model: Any, table: "NumberTable", predicted: Array, time_limit: float, radius: float
) -> RowBounds:
    """What computes the bounds of a row; TypeError for a model without certificates."""
    name = type(model).__name__
    if (trees := fitted_trees(model)) is not None:
        codes = trees.predict(table.values)
        if not np.array_equal(np.asarray(model.classes_)[codes], predicted):
            raise TypeError(f"{name} does not predict as its trees do: it has no certificates")
        if (boxes := trees.leaf_boxes()) is None:
            raise TypeError(f"{name} has too many sets of categories for certificates")
        return TreeBounds(trees, LeafCells.of(boxes), table, codes, time_limit, radius)
    if (linear := linear_scores(model, table.values.shape[1])) is not None:
        codes = np.searchsorted(model.classes_, predicted)
        return LinearBounds(*linear, table, codes)
    raise TypeError(
        f"{name} has no certificates: they are known for trees (scikit-learn, XGBoost, LightGBM, "
        "CatBoost) and linear models, alone or behind scalers"
    )


# ---------------------------------------------------------------- rows in the units of the radius


@dataclass(frozen=True, eq=False)
class NumberTable:
    """A table's numbers in the columns' units, and where they may move in those of the radius.

    Parameters
    ----------
    values : float64 ndarray (rows, columns)
    place : int ndarray (columns,)
        The coordinate of each column in encoded rows.
    center, scale : float64 ndarray (columns,)
        An encoded number is (value - center) / scale.
    space : Space
    step : float64 ndarray (columns,)
        The distance between neighbouring values; 0 where any value is valid.
    width : int
        Of encoded rows.
    is_free : bool ndarray (rows, columns)
    norm : {inf, 2, 1}
    """

    values: Array
    place: Array
    center: Array
    scale: Array
    space: Space
    step: Array
    width: int
    is_free: Array
    norm: float

    @classmethod
    def of(cls, coding: Coding, X: Any, norm: float) -> "NumberTable":
        """From the rows; ValueError for columns that are no numbers."""
        if "columns" not in coding.provides:
            raise ValueError(
                "certificates are for tables: pass an array (rows, columns) or a frame"
            )
        seed = coding.encode(X)
        place, center, scale = columns_of(coding, seed.shape[1])
        space = coding.space(norm)
        is_free = space.mask_frozen(torch.ones_like(seed), seed).numpy()[:, place] != 0
        values = containers.number_matrix(X)
        is_free &= ~np.isnan(values)
        steps = native_steps(coding, seed, values, place, scale)
        return cls(values, place, center, scale, space, steps, seed.shape[1], is_free, norm)

    def encoded(self, values: Array, column: Array) -> torch.Tensor:
        """Numbers of columns in the units of the radius."""
        return torch.from_numpy((values - self.center[column]) / self.scale[column])

    def nearest(self, row: int, low: Array, high: Array, column: Array) -> Array:
        """The valid numbers of a row in intervals of its columns, in their units; NaN for none."""
        seed, step = self.values[row, column], self.step[column]
        low = self.in_steps(low, seed, step, np.ceil)
        high = self.in_steps(high, seed, step, np.floor)
        start, least, largest = (self.encoded(each, column) for each in (seed, low, high))
        at = torch.from_numpy(self.place[column])
        found = self.space.nearest_between(start, least, largest, at).numpy()
        native = self.in_steps(
            found * self.scale[column] + self.center[column], seed, step, np.rint
        )
        native = np.minimum(np.maximum(native, low), high)
        return np.where(self.is_free[row, column] & (low <= high), native, np.nan)

    def in_steps(self, values: Array, seed: Array, step: Array, rounded: Any) -> Array:
        """Numbers brought to whole steps from a row's own, in columns that have steps."""
        has_steps = (step > 0) & np.isfinite(values)
        width = np.where(step > 0, step, 1.0)
        start = np.mod(seed, width)  # 0 for whole numbers, so that nothing is rounded.
        count = rounded(np.where(has_steps, values - start, 0.0) / width)
        return np.where(has_steps, start + count * width, values)

    def room(self, row: int, sign: float) -> Array:
        """How far each column of a row may move up or down, in the units of the radius."""
        column = np.arange(len(self.scale))
        seed = torch.zeros(1, self.width, dtype=torch.float64)
        seed[0, torch.from_numpy(self.place)] = self.encoded(self.values[row], column).nan_to_num()
        end = self.space.projector(seed, None)(seed + sign * FARTHEST)
        room = (end - seed).abs()[0].numpy()[self.place]
        return np.where(self.is_free[row], np.where(room < FARTHEST / 2, room, np.inf), 0.0)

    def share(self, row: int, sign: float) -> Array:
        """The share of the radius by which each column may move up or down."""
        column = np.arange(len(self.scale))
        step = self.values[row] + sign * self.scale
        with np.errstate(divide="ignore"):
            return 1 / self.share_cost(step - self.values[row], column)

    def cost(self, row: int, values: Array, column: Array) -> Array:
        """The least radius at which columns of a row may take values; infinite for NaN."""
        move = values - self.values[row, column]
        cost = self.share_cost(move, column)
        if self.norm != np.inf:  # A column's own share of the radius is looked at in `radius`.
            cost = np.where(np.isinf(cost), np.inf, np.abs(move) / self.scale[column])
        return np.where(np.isnan(cost), np.inf, cost)

    def share_cost(self, move: Array, column: Array) -> Array:
        """The least radius at which columns may move so far by themselves."""
        by = torch.from_numpy(move / self.scale[column])
        return self.space.radius_of(by, torch.from_numpy(self.place[column])).numpy()

    def radius(self, row: int, values: Array) -> float:
        """The least radius at which a whole row may take values."""
        is_moved = ~np.isnan(values)
        column = np.flatnonzero(is_moved)
        move = (values - self.values[row])[column] / self.scale[column]
        own = self.share_cost(move * self.scale[column], column).max(initial=0.0)
        return float(own if self.norm == np.inf else max(np.linalg.norm(move, self.norm), own))


# ---------------------------------------------------------------- trees


@dataclass(frozen=True, eq=False)
class TreeBounds(RowBounds):
    """Bounds by branch and bound over the cells of a tree ensemble."""

    trees: FittedTrees
    cells: LeafCells
    table: NumberTable
    codes: Array
    time_limit: float
    radius: float

    def __call__(self, row: int, /) -> tuple[float, float]:
        """Lower and upper bound of the smallest move of a row."""
        cells, table = self.cells, self.table
        own, column = self.places[row], cells.column
        outer = self.trees.read_as(cells.low, cells.high)
        inner = cells.inside(4 * self.trees.resolution)
        has_steps = table.step[column] > 0  # What is read in a cell lies in it.
        low, high = (np.where(has_steps, *ends) for ends in zip(outer, inner, strict=True))
        cost = table.cost(row, table.nearest(row, *outer, column), column)
        move = table.nearest(row, low, high, column)
        move[own] = table.values[row]

        def succeeds(at: Array) -> bool:
            return bool(self.trees.predict(move[at][None])[0] != self.codes[row])

        search = self._search(row, own, cost)
        limit = search.size_of(self.radius * BEYOND)
        best = walk(search, self._known(row, search, limit), limit)
        best = best if best is None or succeeds(best) else None
        found = BranchAndBound(search, succeeds, best, limit).run(seconds=self.time_limit)
        lower = float(search.length(found.least))
        if found.cells is None or not succeeds(found.cells):
            return lower, np.inf
        return lower, max(lower, table.radius(row, move[found.cells]))

    @cached_property
    def places(self) -> Array:
        """The cells of each row."""
        return self.cells.of_rows(self.trees.read(self.table.values))

    def _known(self, row: int, search: RowSearch, limit: float) -> Array | None:
        """The cells of the nearest of the rows that are predicted otherwise, if one is valid."""
        others = self.places[self.codes != self.codes[row]]
        others = np.unique(np.where(self.table.is_free[row], others, self.places[row]), axis=0)
        total = search.total(search.size[others].T) if len(others) else np.empty(0)
        for other in others[np.argsort(total)[:TRIED]]:
            if search.cost(other) < limit and search.excess(search.sums(other)) > search.noise:
                return np.asarray(other)
        return None

    def _search(self, row: int, own: Array, cost: Array) -> RowSearch:
        boxes, code = self.cells.boxes, self.codes[row]
        others = np.delete(np.arange(len(boxes.offset)), code)
        value = (boxes.value[:, others] - boxes.value[:, [code]]).T.copy()
        offset = boxes.offset[others] - boxes.offset[code]
        if (value == np.rint(value)).all() and (offset == np.rint(offset)).all():
            # Of tied classes the first one is predicted.
            offset = offset + np.where(others < code, 0.5, -0.5)
        noise = self.trees.noise(boxes)
        missing = np.isnan(self.table.values[row])
        return RowSearch.of(self.cells, own, cost, value, offset, noise, self.table.norm, missing)


# ---------------------------------------------------------------- linear models


def linear_scores(model: Any, n_columns: int) -> tuple[Array, Array] | None:
    """Weights (columns, classes) and intercepts of a linear model; None for any other."""
    net = sklearn_to_torch(model)
    if not isinstance(net, nn.Sequential) or not all(map(is_linear, net)):
        return None
    with torch.no_grad():
        origin = net(torch.zeros(1, n_columns, dtype=torch.float64))
        weight = net(torch.eye(n_columns, dtype=torch.float64)) - origin
    weight, origin = weight.numpy(), origin.numpy()
    if weight.shape[1] == 1:
        weight, origin = np.hstack([-weight, weight]) / 2, np.hstack([-origin, origin]) / 2
    return weight, origin[0]


def is_linear(part: nn.Module) -> bool:
    return isinstance(part, nn.Linear) or (isinstance(part, Affine) and part.limits is None)


@dataclass(frozen=True, eq=False)
class LinearBounds(RowBounds):
    """Bounds by a formula: to each other class a hyperplane.

    Where columns hold whole numbers only, `lower` is that of any numbers, and `upper` that of a
    move in whole steps.
    """

    weight: Array
    intercept: Array
    table: NumberTable
    codes: Array

    def __call__(self, row: int, /) -> tuple[float, float]:
        """Lower and upper bound of the smallest move of a row."""
        table, code = self.table, self.codes[row]
        scores = table.values[row] @ self.weight + self.intercept
        rooms = [table.room(row, sign) for sign in (-1.0, 1.0)]
        shares = [table.share(row, sign) for sign in (-1.0, 1.0)]
        lower = upper = np.inf
        for other in np.delete(np.arange(len(scores)), code):
            slope = (self.weight[:, other] - self.weight[:, code]) * table.scale
            gap = max(float(scores[code] - scores[other]), 0.0)
            room, share = (np.where(slope > 0, up, down) for down, up in (rooms, shares))
            room = np.where(share > 0, room, 0.0)
            share = np.where(room > 0, share, 1.0) if table.norm == np.inf else np.ones(len(share))
            move = shortest_move(np.abs(slope) * share, room / share, gap, table.norm)
            lower = min(lower, float(np.linalg.norm(move, table.norm)))
            if np.isfinite(lower):
                upper = min(upper, self._witness(row, np.sign(slope) * move * share, room))
        return lower, max(lower, upper)

    def _witness(self, row: int, move: Array, room: Array) -> float:
        """The least radius of a valid move over the boundary; infinite if none was found."""
        table, column = self.table, np.arange(len(move))
        seed = table.values[row]
        for overshoot in OVERSHOOTS:
            size = np.minimum(np.abs(move) * (1 + overshoot), room)
            goal = seed + np.sign(move) * size * table.scale
            low, high = np.where(move > 0, goal, -np.inf), np.where(move < 0, goal, np.inf)
            values = table.nearest(row, low, high, column)
            before = np.where(
                move > 0,
                *(table.in_steps(goal, seed, table.step, each) for each in (np.floor, np.ceil)),
            )
            values = np.where(np.isnan(values), before, values)  # The next step is out of bounds.
            values = np.where(move == 0, seed, values)
            if (values @ self.weight + self.intercept).argmax() != self.codes[row]:
                return table.radius(row, values)
        return np.inf


def shortest_move(gain: Array, room: Array, gap: float, norm: float) -> Array:
    """The shortest move, at most `room` in each column, whose gains add up to `gap`.

    It is infinite where they cannot.
    """
    move, open_ = np.zeros(len(gain)), np.flatnonzero((gain > 0) & (room > 0))
    if gap <= 0:
        return move
    gain, room = gain[open_], room[open_]
    if norm == 1:  # The columns of the largest gain first.
        order = np.argsort(-gain)
        before = np.concatenate([[0.0], np.cumsum((gain * room)[order])])[:-1]
        needed = np.maximum(gap - before, 0.0) / gain[order]
        move[open_[order]] = np.minimum(needed, room[order])
        is_enough = (gain * room).sum() >= gap
    else:  # All at once, until one after the other has come to its bound.
        speed = gain if norm == 2 else np.ones(len(gain))
        order = np.argsort(room / speed)
        end, rate = (room / speed)[order], (gain * speed)[order]
        before = np.concatenate([[0.0], np.cumsum((gain * room)[order])])[:-1]
        left = np.cumsum(rate[::-1])[::-1]
        times = np.where(np.isfinite(before), (gap - before) / left, np.inf)
        reached = np.flatnonzero(times <= end)
        is_enough = len(reached) > 0
        if is_enough:
            move[open_] = np.minimum(speed * times[reached[0]], room)
    return move if is_enough else np.full(len(move), np.inf)
