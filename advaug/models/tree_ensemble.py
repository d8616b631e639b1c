"""A fitted ensemble of trees as plain arrays, which predicts as its own library does.

The arrays are those of the formulas, whatever library has grown the trees. They can be stored in a
file that holds no code. scikit-learn's compiled trees are built of them when rows are predicted.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
from jaxtyping import Bool, Float, Int, UInt32
from scipy.special import expit
from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from sklearn.utils.extmath import softmax

from advaug.core.leaf_boxes import LeafBoxes
from advaug.core.tensor_fields import StoredFields
from advaug.models.protocol import Array

Link = Literal["mean", "logistic", "exponential", "softmax"]
MAX_LEVELS = 256  # A level is a whole number below this.
MAX_BOXES = 200_000  # A leaf below several categorical splits becomes many boxes.


def lowered_to_float32(edge: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The largest float32 numbers that are at most `edge`: float32 rows go the same ways."""
    near = edge.astype(np.float32)
    with np.errstate(over="ignore"):  # Below the least float is only -inf.
        below = np.nextafter(near, np.float32(-np.inf))
    return np.where(near > edge, below, near)


@dataclass(frozen=True, eq=False, repr=False)
class Nodes:
    """The nodes of one tree, or of several trees one after the other.

    Parameters
    ----------
    column : int ndarray (nodes,)
        The column that a node looks at; -1 at a leaf.
    threshold : float64 ndarray (nodes,)
        A row goes left where its value is at most this.
    left, right : int ndarray (nodes,)
        Places of the children in the tree: behind their parent.
    missing_left : bool ndarray (nodes,)
        Whether a row goes left whose value is missing.
    level_set : int ndarray (nodes,)
        The set of levels that go left, where a node looks at a category; else -1.
    value : ndarray (nodes, values)
        What a leaf adds to the outputs, in the float of the library.
    """

    column: Int[Array, " nodes"]
    threshold: Float[Array, " nodes"]
    left: Int[Array, " nodes"]
    right: Int[Array, " nodes"]
    missing_left: Bool[Array, " nodes"]
    level_set: Int[Array, " nodes"]
    value: Float[Array, "nodes values"]

    @classmethod
    def of(cls, **parts: Any) -> Self:
        """From arrays or lists; `missing_left` and `level_set` may be left out."""
        column = np.asarray(parts.pop("column"), dtype=np.int32)
        is_leaf = column < 0
        left, right = (
            np.where(is_leaf, 0, parts.pop(side)).astype(np.int32) for side in ("left", "right")
        )
        return cls(
            column=column,
            threshold=np.asarray(parts.pop("threshold"), dtype=np.float64),
            left=left,
            right=right,
            missing_left=np.asarray(parts.pop("missing_left", is_leaf), dtype=bool) & ~is_leaf,
            level_set=np.asarray(parts.pop("level_set", np.full(len(column), -1)), dtype=np.int32),
            value=np.asarray(parts.pop("value")),
        )

    def cut(self, start: int, stop: int) -> Self:
        """Some of the nodes."""
        return type(self)(*(getattr(self, one.name)[start:stop] for one in fields(self)))


@dataclass(frozen=True, eq=False, repr=False)
class TreeEnsemble(StoredFields):
    """outputs = (start + sum of the leaves' values) / divisor + shift.

    Parameters
    ----------
    nodes : `Nodes`
        Those of all trees.
    first : int ndarray (trees + 1,)
        Where each tree begins.
    output : int ndarray (trees,)
        The first output that each tree adds to.
    level_sets : uint32 ndarray (sets, 8)
        256 bits each: whether a level goes left.
    start, shift : ndarray (outputs,)
    divisor : int
    n_columns : int
    reads_float32 : bool
        Whether rows are rounded to float32 before they are compared.
    link : {"mean", "logistic", "exponential", "softmax"}
        From outputs to probabilities.
    """

    nodes: Nodes
    first: Int[Array, " firsts"]
    output: Int[Array, " trees"]
    level_sets: UInt32[Array, "sets 8"]
    start: Float[Array, " outputs"]
    shift: Float[Array, " outputs"]
    divisor: int
    n_columns: int
    reads_float32: bool
    link: Link

    @classmethod
    def of(
        cls,
        trees: list[Nodes],
        n_columns: int,
        link: Link,
        *,
        output: Any = None,
        level_sets: list[Array] | None = None,
        start: Any = None,
        shift: Any = None,
        divisor: int = 1,
        reads_float32: bool = False,
    ) -> Self:
        """From the nodes of each tree; a level set is 256 bools, whether the level goes left."""
        values = trees[0].value
        output = np.zeros(len(trees), np.int32) if output is None else np.asarray(output, np.int32)
        n_outputs = int(output.max()) + values.shape[1]
        zero = np.zeros(n_outputs, values.dtype)
        sets = np.array(level_sets or [], dtype=bool).reshape(-1, MAX_LEVELS)
        parts = zip(*(vars(tree).values() for tree in trees), strict=True)
        return cls(
            nodes=Nodes(*map(np.concatenate, parts)),
            first=np.cumsum([0, *(len(tree.column) for tree in trees)]),
            output=output,
            level_sets=np.packbits(sets, axis=1, bitorder="little").view("<u4"),
            start=zero if start is None else np.asarray(start, values.dtype),
            shift=zero if shift is None else np.asarray(shift, values.dtype),
            divisor=divisor,
            n_columns=n_columns,
            reads_float32=reads_float32,
            link=link,
        )

    @property
    def n_outputs(self) -> int:
        return len(self.start)

    def trees(self) -> Iterator[Nodes]:
        """The nodes of each tree; ValueError where nodes lead out of it, or back."""
        for start, stop in zip(self.first[:-1], self.first[1:], strict=True):
            tree = self.nodes.cut(int(start), int(stop))
            place, inner = np.arange(stop - start), tree.column >= 0
            for child in (tree.left[inner], tree.right[inner]):
                if not ((child > place[inner]) & (child < len(place))).all():
                    raise ValueError("the nodes of a tree lead out of it, or back")
            if not len(place) or (tree.column >= self.n_columns).any():
                raise ValueError("a tree has no node, or looks at a column that is not there")
            if (tree.level_set >= len(self.level_sets)).any():
                raise ValueError("a node looks for a set of levels that is not there")
            yield tree

    @cached_property
    def _compiled(self) -> list[TreePredictor]:
        return [self._compiled_tree(tree) for tree in self.trees()]

    def _compiled_tree(self, tree: Nodes) -> TreePredictor:
        """A boosted tree of scikit-learn, whose leaves hold their value, or their number."""
        nodes = np.zeros(len(tree.column), PREDICTOR_RECORD_DTYPE)
        nodes["is_leaf"], nodes["feature_idx"] = tree.column < 0, tree.column.clip(0)
        nodes["num_threshold"], nodes["left"], nodes["right"] = (
            tree.threshold,
            tree.left,
            tree.right,
        )
        nodes["missing_go_to_left"] = tree.missing_left
        nodes["is_categorical"], nodes["bitset_idx"] = (
            tree.level_set >= 0,
            tree.level_set.clip(0),
        )
        has_one = tree.value.shape[1] == 1
        nodes["value"] = tree.value[:, 0] if has_one else np.arange(len(tree.column))
        return TreePredictor(nodes, self.level_sets, self.level_sets)

    @cached_property
    def _category_columns(self) -> Int[Array, " categories"]:
        return np.unique(self.nodes.column[self.nodes.level_set >= 0])

    def decision_function(self, X: Float[Array, "rows columns"]) -> Float[Array, "rows outputs"]:
        """The outputs of rows of numbers, which are missing where they are NaN."""
        X = np.asarray(X, dtype=np.float32 if self.reads_float32 else np.float64)
        X, n_threads = X.astype(np.float64), _openmp_effective_n_threads()
        for column in self._category_columns:  # The compiled trees read a level as a byte.
            X[X[:, column] >= MAX_LEVELS, column] = -1
        every = np.full((1, 8), 2**32 - 1, np.uint32)
        levels = every, np.zeros(self.n_columns, np.uint32)
        total = np.zeros((len(X), self.n_outputs), self.start.dtype, order="F")
        total += self.start
        width = self.nodes.value.shape[1]
        for tree, output, first in zip(self._compiled, self.output, self.first, strict=False):
            found = tree.predict(X, *levels, n_threads)
            if width == 1:
                total[:, output] += found.astype(total.dtype)
            else:
                total += self.nodes.value[first + found.astype(np.int64)]
        return total / total.dtype.type(self.divisor) + self.shift

    def predict_proba(self, X: Float[Array, "rows columns"]) -> Float[Array, "rows classes"]:
        """The probabilities of the classes."""
        outputs = self.decision_function(X)
        if self.link == "mean":
            return outputs
        if self.link == "softmax":
            return np.asarray(softmax(outputs))
        last = expit(outputs[:, 0] * (2 if self.link == "exponential" else 1))
        return np.stack([1 - last, last], axis=1)

    def predict(self, X: Float[Array, "rows columns"]) -> Int[Array, " rows"]:
        """The place of the predicted class."""
        outputs = self.decision_function(X)
        if self.n_outputs > 1:
            return np.asarray(outputs.argmax(1))
        return np.asarray(outputs[:, 0] > 0).astype(np.int64)

    def leaf_boxes(self) -> LeafBoxes | None:
        """The leaves as boxes; None if there are too many.

        A bound is a number that a row can hold after rounding. Levels are whole numbers, and a
        set of them is several boxes, one for each run of neighbours.
        """
        found = []
        n_boxes = 0
        for place, tree in enumerate(self.trees()):
            lower, upper, takes, node = self._boxes_of(tree)
            n_boxes += len(node)
            if n_boxes > MAX_BOXES:
                return None
            value = self._scores(tree.value[node], int(self.output[place]))
            found.append((lower, upper, takes, np.full(len(node), place), value))
        offset = self._scores((self.start + self.shift * self.divisor)[None], 0)[0]
        lower, upper, takes, number, value = map(np.concatenate, zip(*found, strict=True))
        return LeafBoxes(lower, upper, takes, number, value, offset, np.zeros(self.n_columns))

    def _scores(self, value: Float[Array, "leaves values"], output: int) -> Array:
        """Outputs from `output` on as scores of the classes; one output parts two classes."""
        if self.n_outputs == 1:
            return np.hstack([-value, value]).astype(np.float64) / 2
        scores = np.zeros((len(value), self.n_outputs))
        scores[:, output : output + value.shape[1]] = value
        return scores

    def _boxes_of(self, tree: Nodes) -> tuple[Array, ...]:
        """Lower and upper bounds, whether missing numbers come there, and the leaves' nodes."""
        shape = (1, self.n_columns)
        endless = np.full(shape, np.inf)
        now: tuple[Array, ...] = (-endless, endless, np.ones(shape, bool), np.zeros(1, int))
        done = []
        while len(now[3]):
            is_leaf = tree.column[now[3]] < 0
            done.append(tuple(part[is_leaf] for part in now))
            inner = tuple(part[~is_leaf] for part in now)
            children = [self._child(tree, inner, is_left) for is_left in (True, False)]
            now = tuple(map(np.concatenate, zip(*children, strict=True)))
        return tuple(map(np.concatenate, zip(*done, strict=True)))

    def _child(self, tree: Nodes, boxes: tuple[Array, ...], is_left: bool) -> tuple[Array, ...]:
        """What of boxes goes to one side of their nodes."""
        row, least, largest, takes = self._intervals(tree, boxes[3], is_left)
        lower, upper, takes_missing, node = (part[row] for part in boxes)
        at = np.arange(len(row)), tree.column[node]
        lower[at], upper[at] = np.maximum(lower[at], least), np.minimum(upper[at], largest)
        takes_missing[at] &= takes
        keeps = (lower[at] <= upper[at]) | takes_missing[at]
        child = (tree.left if is_left else tree.right)[node]
        return lower[keeps], upper[keeps], takes_missing[keeps], child[keeps]

    def _intervals(self, tree: Nodes, node: Array, is_left: bool) -> tuple[Array, ...]:
        """What goes to a side: boxes by place, intervals of their columns, and missing numbers."""
        edge, place = self._readable(tree.threshold[node]), np.arange(len(node))
        takes = tree.missing_left[node] == is_left
        endless = np.full(len(node), -np.inf if is_left else np.inf)
        ends = (endless, edge) if is_left else (self._next(edge), endless)
        is_number = tree.level_set[node] < 0
        parts = [tuple(part[is_number] for part in (place, *ends, takes))]
        for at in np.flatnonzero(~is_number):
            goes = self._levels_left(int(tree.level_set[node[at]])) == is_left
            low, high = self._runs(goes, bool(takes[at]))
            # Only one of the boxes takes the missing numbers.
            parts.append((np.full(len(low), at), low, high, takes[at] & (np.arange(len(low)) == 0)))
        return tuple(map(np.concatenate, zip(*parts, strict=True)))

    def _runs(self, goes: Bool[Array, " levels"], others_go: bool) -> tuple[Array, Array]:
        """The intervals of levels that go to a side; unknown levels go where missing ones do."""
        whole = np.concatenate([[False, others_go], goes, [others_go, False]]).astype(int)
        first, stop = np.flatnonzero(np.diff(whole) == 1), np.flatnonzero(np.diff(whole) == -1)
        if not len(first):
            return np.array([np.inf]), np.array([-np.inf])
        high = self._readable(np.nextafter(stop - 1.0, -np.inf))
        low = np.where(first == 0, -np.inf, first - 1.0)
        return low, np.where(stop == len(whole) - 2, np.inf, high)

    def _levels_left(self, number: int) -> Bool[Array, " levels"]:
        bits = self.level_sets[number].astype("<u4").view(np.uint8)
        return np.unpackbits(bits, bitorder="little").astype(bool)

    def _readable(self, edge: Array) -> Array:
        """The largest number that a row can hold that is at most `edge`."""
        return lowered_to_float32(edge).astype(np.float64) if self.reads_float32 else edge

    def _next(self, edge: Array) -> Array:
        """The smallest number that a row can hold that is larger than `edge`, which it can hold."""
        if self.reads_float32:
            with np.errstate(over="ignore"):
                return np.nextafter(edge.astype(np.float32), np.float32(np.inf)).astype(np.float64)
        return np.nextafter(edge, np.inf)
