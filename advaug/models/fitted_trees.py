"""A fitted classifier that is an ensemble of trees, perhaps behind scalers, in its own columns."""

from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from advaug.core.leaf_boxes import LeafBoxes
from advaug.models.protocol import Array
from advaug.models.read_trees import read_trees
from advaug.models.sklearn_to_torch import steps_of
from advaug.models.tree_ensemble import TreeEnsemble

SCALERS = (MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler)


@dataclass(frozen=True, eq=False, repr=False)
class FittedTrees:
    """Scalers of columns, one after the other, and the trees behind them."""

    scalers: list[Any]
    trees: TreeEnsemble

    def predict(self, X: Float[Array, "rows columns"]) -> Int[Array, " rows"]:
        """The place of the predicted class."""
        for scaler in self.scalers:
            X = scaler.transform(X)
        return self.trees.predict(X)

    @property
    def resolution(self) -> float:
        """The share of a number that is lost where it is read."""
        return float(np.finfo(np.float32 if self.trees.reads_float32 else np.float64).eps)

    def read_as(self, low: Array, high: Array) -> tuple[Array, Array]:
        """The ends of the numbers that are read as numbers from low to high.

        Both are numbers that the trees can read; reading rounds to the nearest one.
        """
        if self.scalers:  # Their arithmetic rounds too.
            share = 4 * self.resolution
            return low - share * np.abs(low), high + share * np.abs(high)
        if not self.trees.reads_float32:
            return low, high
        narrow = (np.asarray(end, dtype=np.float32) for end in (low, high))
        with np.errstate(over="ignore"):
            below, above = map(np.nextafter, narrow, (np.float32(-np.inf), np.float32(np.inf)))
        return (low + below.astype(np.float64)) / 2, (high + above.astype(np.float64)) / 2

    def read(self, X: Float[Array, "rows columns"]) -> Float[Array, "rows columns"]:
        """Rows as the trees read them, in front of the scalers."""
        is_rounded = self.trees.reads_float32 and not self.scalers
        return X.astype(np.float32).astype(np.float64) if is_rounded else X

    def noise(self, boxes: LeafBoxes) -> float:
        """What the sum of a row's leaves may be off by, in the float of the library."""
        eps = float(np.finfo(self.trees.start.dtype).eps)
        largest = np.zeros(boxes.tree[-1] + 1)
        np.maximum.at(largest, boxes.tree, np.abs(boxes.value).max(1))
        return eps * (len(largest) + 1) * float(largest.sum() + np.abs(boxes.offset).max())

    def leaf_boxes(self) -> LeafBoxes | None:
        """The leaves as boxes of rows in front of the scalers; None if there are too many."""
        boxes, places = self.trees.leaf_boxes(), np.arange(self.trees.n_columns)
        for scaler in reversed(self.scalers if boxes is not None else []):
            ends = scaler_ends(scaler, self.trees.n_columns)
            factor = ends[1] - ends[0]
            boxes = boxes.scaled(places, ends[0], factor)  # type: ignore[union-attr]
        return boxes


def scaler_ends(scaler: Any, n_columns: int) -> Float[Array, "2 columns"]:
    """What a scaler makes of 0 and of 1 in each column."""
    ends = np.repeat(np.array([[0.0], [1.0]]), n_columns, axis=1)
    return np.asarray(scaler.transform(ends))


def for_arrays(scaler: Any) -> Any:
    """A copy of a scaler that neither asks for the names of columns nor returns any."""
    own = copy(scaler)
    for name in ("feature_names_in_", "_sklearn_output_config"):
        vars(own).pop(name, None)
    return own


def fitted_trees(estimator: Any) -> FittedTrees | None:
    """The trees of a fitted classifier; None if it is not made of trees, or not read as numbers."""
    scalers, last = steps_of(estimator)
    if any(type(scaler) not in SCALERS or getattr(scaler, "clip", False) for scaler in scalers):
        return None
    trees = read_trees(last)
    return None if trees is None else FittedTrees([*map(for_arrays, scalers)], trees)
