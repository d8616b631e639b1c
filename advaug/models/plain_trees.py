"""Fitted trees of scikit-learn as plain arrays, which predict as their models do.

The arrays are those of the formulas, so they can be stored in a file that holds no code and read by
other versions of scikit-learn. Its own compiled trees are built of them when rows are predicted.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.tree._tree import NODE_DTYPE, TREE_LEAF, Tree
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from sklearn.utils.extmath import softmax

from advaug.core.tensor_fields import StoredFields
from advaug.models.protocol import Array

NO_BITS = np.zeros((0, 8), np.uint32)  # No column is a category.


@dataclass(frozen=True, eq=False, repr=False)
class NodeTable:
    """The nodes of several trees, one tree after the other.

    Parameters
    ----------
    first : int ndarray (trees + 1,)
        Where each tree begins.
    column : int ndarray (nodes,)
        The column that a node looks at; -1 at a leaf.
    threshold : ndarray (nodes,)
        A row goes left where it is at most this.
    left, right : int ndarray (nodes,)
        Places of the children in the tree: behind their parent.
    value : ndarray (nodes, values)
    """

    first: Int[Array, " firsts"]
    column: Int[Array, " nodes"]
    threshold: Float[Array, " nodes"]
    left: Int[Array, " nodes"]
    right: Int[Array, " nodes"]
    value: Float[Array, "nodes values"]

    @classmethod
    def of(cls, trees: Iterable[tuple[Array, ...]]) -> Self:
        """Of each tree its columns, thresholds, left and right children and values."""
        parts = list(zip(*trees, strict=True))
        first = np.cumsum([0, *map(len, parts[0])])
        column, threshold, left, right, value = (np.concatenate(part) for part in parts)
        leaf = column < 0
        small = np.where(leaf, 0, left).astype(np.int32), np.where(leaf, 0, right).astype(np.int32)
        return cls(first, column.astype(np.int32), threshold, *small, value)

    def trees(self, n_columns: int) -> Iterable[tuple[Array, ...]]:
        """The same of each tree; ValueError where nodes lead out of it, or back."""
        for start, stop in zip(self.first[:-1], self.first[1:], strict=True):
            column, left, right = (
                part[start:stop].astype(np.int64) for part in (self.column, self.left, self.right)
            )
            place, inner = np.arange(stop - start), column >= 0
            for child in (left[inner], right[inner]):
                if not ((child > place[inner]) & (child < len(place))).all():
                    raise ValueError("the nodes of a tree lead out of it, or back")
            if not len(place) or (column >= n_columns).any():
                raise ValueError("a tree has no node, or looks at a column that is not there")
            yield column, self.threshold[start:stop], left, right, self.value[start:stop]


@dataclass(frozen=True, eq=False, repr=False)
class PlainForest(StoredFields):
    """The mean of trees whose leaves hold probabilities."""

    nodes: NodeTable
    n_columns: int

    @classmethod
    def of(cls, trees: Iterable[Tree], n_columns: int) -> Self:
        """From fitted trees of scikit-learn."""
        nodes = NodeTable.of(
            (
                tree.feature,
                tree.threshold,
                tree.children_left,
                tree.children_right,
                tree.value[:, 0],
            )
            for tree in trees
        )
        return cls(nodes, n_columns)

    @cached_property
    def trees(self) -> list[Tree]:
        """scikit-learn's own trees."""
        return [compiled_tree(self.n_columns, *parts) for parts in self.nodes.trees(self.n_columns)]

    def predict_proba(self, X: Float[Array, "rows columns"]) -> Float[Array, "rows classes"]:
        """Probabilities of float32 rows, without the 200 microseconds of joblib a tree."""
        total = np.zeros((len(X), self.nodes.value.shape[1]))
        for tree in self.trees:
            total += tree.predict(X)
        return total / len(self.trees)


def compiled_tree(
    n_columns: int, column: Array, threshold: Array, left: Array, right: Array, value: Array
) -> Tree:
    """A tree of scikit-learn."""
    leaf = column < 0
    nodes = np.zeros(len(column), NODE_DTYPE)
    nodes["left_child"], nodes["right_child"] = (
        np.where(leaf, TREE_LEAF, child) for child in (left, right)
    )
    nodes["feature"], nodes["threshold"] = column.clip(0), threshold
    tree = Tree(n_columns, np.array([value.shape[1]], dtype=np.intp), 1)
    values = np.ascontiguousarray(value[:, None], dtype=np.float64)
    state = {"max_depth": len(nodes), "node_count": len(nodes), "nodes": nodes, "values": values}
    tree.__setstate__(state)
    return tree


@dataclass(frozen=True, eq=False, repr=False)
class PlainBoosting(StoredFields):
    """Sums of trees as log-odds; `baseline` is their start, a column for each sum."""

    nodes: NodeTable
    n_columns: int
    baseline: Float[Array, "1 sums"]

    @classmethod
    def of(cls, model: HistGradientBoostingClassifier) -> Self:
        inner = (one.nodes for stage in model._predictors for one in stage)
        nodes = NodeTable.of(
            (
                np.where(one["is_leaf"] == 1, -1, one["feature_idx"]),
                *(one[name] for name in ("num_threshold", "left", "right")),
                one["value"][:, None],
            )
            for one in inner
        )
        return cls(nodes, model.n_features_in_, np.atleast_2d(model._baseline_prediction))

    @cached_property
    def trees(self) -> list[TreePredictor]:
        """scikit-learn's own trees."""
        return [compiled_predictor(*parts) for parts in self.nodes.trees(self.n_columns)]

    def predict_proba(self, X: Float[Array, "rows columns"]) -> Float[Array, "rows classes"]:
        """Probabilities of rows without missing numbers."""
        n_sums = self.baseline.shape[1]
        X, n_threads = np.asarray(X, dtype=np.float64), _openmp_effective_n_threads()
        raw = np.zeros((len(X), n_sums), order="F")
        raw += self.baseline
        bits = NO_BITS, np.zeros(self.n_columns, np.uint32)
        for place, tree in enumerate(self.trees):
            raw[:, place % n_sums] += tree.predict(X, *bits, n_threads)
        if n_sums > 1:
            return np.asarray(softmax(raw))
        last = expit(raw[:, 0])
        return np.stack([1 - last, last], axis=1)


def compiled_predictor(
    column: Array, threshold: Array, left: Array, right: Array, value: Array
) -> TreePredictor:
    """A boosted tree of scikit-learn."""
    nodes = np.zeros(len(column), PREDICTOR_RECORD_DTYPE)
    nodes["is_leaf"], nodes["feature_idx"] = column < 0, column.clip(0)
    nodes["num_threshold"], nodes["value"] = threshold, value[:, 0]
    nodes["left"], nodes["right"] = left, right
    return TreePredictor(nodes, NO_BITS, NO_BITS)


def plain_form(classifier: Any) -> Any:
    """Trees as plain arrays; any other classifier as it is."""
    if type(classifier) is ExtraTreesClassifier:
        trees = (one.tree_ for one in classifier.estimators_)
        return PlainForest.of(trees, classifier.n_features_in_)
    if isinstance(classifier, HistGradientBoostingClassifier):
        return PlainBoosting.of(classifier)
    return classifier
