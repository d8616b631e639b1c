"""Trees as tensors, asked on the device of the rows: all trees go down one level at a time.

Of two children the right one stands next to the left one, so a step is three look-ups and an
addition for each row and tree, whatever the trees look like. Nothing goes to the host (as Nakandala
et al. A tensor compiler for unified machine learning prediction serving. OSDI 2020).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.core.devices import at_once
from advaug.core.tensor_fields import MovableFields
from advaug.models.tree_ensemble import Link, Nodes, TreeEnsemble, lowered_to_float32

PAIRS = 2**17  # Rows times trees that a CPU walks at once: the places of more leave its cache.


@dataclass(frozen=True, eq=False, repr=False)
class TreeTensors(MovableFields):
    """Trees of numbers, level by level.

    Parameters
    ----------
    column : int32 Tensor (nodes,)
        The column that a node looks at; 0 at a leaf.
    threshold : float32 Tensor (nodes,)
        A row goes left where its value is at most this; infinite at a leaf.
    left : int32 Tensor (nodes,)
        The left child, or the leaf itself. The right child is the next node.
    value : float32 Tensor (nodes, values)
        What a leaf adds to the outputs.
    root : int32 Tensor (trees,)
        The first node of each tree, the deepest tree first.
    share : float32 Tensor (sums, trees)
        With what factor each tree counts in each sum; outputs are the values of the sums in turn.
    shift : float32 Tensor (outputs,)
    n_deeper : tuple of int
        How many trees have nodes below each depth: the other ones have come to their leaves.
    link : {"mean", "logistic", "exponential", "softmax"}
        From outputs to probabilities.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from advaug.models.read_trees import read_trees
    >>> X, y = make_classification(200, random_state=0)
    >>> forest = RandomForestClassifier(10, random_state=0).fit(X, y)
    >>> trees = TreeTensors.of(read_trees(forest))
    >>> trees(torch.from_numpy(X[:6]).float()).argmax(1)
    tensor([0, 0, 1, 1, 0, 1])
    >>> forest.predict(X[:6])
    array([0, 0, 1, 1, 0, 1])
    """

    column: Int[Tensor, " nodes"]
    threshold: Float[Tensor, " nodes"]
    left: Int[Tensor, " nodes"]
    value: Float[Tensor, "nodes values"]
    root: Int[Tensor, " trees"]
    share: Float[Tensor, "sums trees"]
    shift: Float[Tensor, " outputs"]
    n_deeper: tuple[int, ...]
    link: Link

    @classmethod
    def of(cls, trees: TreeEnsemble) -> Self:
        """The same trees; ValueError where they look at categories."""
        nodes = trees.nodes
        if (nodes.level_set >= 0).any():
            raise ValueError("trees that look at categories are no tensors: ask them as they are")
        places = _by_level(nodes, trees.first)
        order = np.concatenate([place for place, _ in places])
        is_leaf, depth = nodes.column[order] < 0, _depths(places, len(trees.output))
        inner = np.cumsum(~is_leaf) - 1
        deepest = np.argsort(-depth, kind="stable")
        sums = np.zeros((trees.n_outputs // nodes.value.shape[1], len(depth)), np.float32)
        sums[trees.output, np.arange(len(depth))] = 1 / trees.divisor
        threshold = np.where(is_leaf, np.inf, lowered_to_float32(nodes.threshold[order]))
        left = np.where(is_leaf, np.arange(len(order)), len(depth) + 2 * inner)
        parts = {
            "column": np.where(is_leaf, 0, nodes.column[order]).astype(np.int32),
            "threshold": threshold.astype(np.float32),
            "left": left.astype(np.int32),
            "value": nodes.value[order].astype(np.float32),
            "root": deepest.astype(np.int32),
            "share": sums[:, deepest],
            "shift": (trees.start / trees.divisor + trees.shift).astype(np.float32),
        }
        return cls(
            **{name: torch.from_numpy(part) for name, part in parts.items()},
            n_deeper=tuple(int((depth > level).sum()) for level in range(depth.max())),
            link=trees.link,
        )

    def __call__(self, rows: Float[Tensor, "batch width"]) -> Float[Tensor, "batch classes"]:
        """The probabilities of the classes, for rows without missing numbers."""
        outputs = self.outputs(rows)
        if self.link == "mean":
            return outputs
        if self.link == "softmax":
            return outputs.softmax(1)
        last = (outputs[:, 0] * (2 if self.link == "exponential" else 1)).sigmoid()
        return torch.stack([1 - last, last], 1)

    def outputs(self, rows: Float[Tensor, "batch width"]) -> Float[Tensor, "batch outputs"]:
        """What the link makes probabilities of."""
        wide = max(len(self.root), rows.shape[1])
        height = max(at_once(rows.device, PAIRS) // wide, 1)
        return torch.cat([self._outputs(some) for some in rows.float().split(height)])

    def _outputs(self, rows: Tensor) -> Tensor:
        value = self.value.index_select(0, self.leaves(rows).flatten())
        sums = self.share @ value.view(len(self.root), len(rows) * self.value.shape[1])
        by_row = sums.view(len(sums), len(rows), self.value.shape[1]).transpose(0, 1)
        return by_row.flatten(1) + self.shift

    def leaves(self, rows: Float[Tensor, "batch width"]) -> Int[Tensor, "trees batch"]:
        """The node that each row comes to in each tree, in the order of `root`."""
        count, cells = len(rows), rows.T.reshape(-1)
        start = self.column * count  # Columns lie one after the other: a node's cells are near.
        node = self.root.repeat_interleave(count)
        row = torch.arange(count, dtype=torch.int32, device=rows.device).repeat(len(self.root))
        for n_trees in self.n_deeper:
            now = node[: n_trees * count]
            cell = start.index_select(0, now).add_(row[: len(now)])
            goes_right = cells.index_select(0, cell) > self.threshold.index_select(0, now)
            now.copy_(self.left.index_select(0, now).add_(goes_right))
        return node.view(len(self.root), count)


def _by_level(
    nodes: Nodes, first: Int[np.ndarray, " firsts"]
) -> list[tuple[Int[np.ndarray, " some"], Int[np.ndarray, " some"]]]:
    """The nodes of each depth with the numbers of their trees; children stand side by side."""
    place, tree = first[:-1].astype(np.int64), np.arange(len(first) - 1)
    levels = []
    while len(place):
        levels.append((place, tree))
        is_inner = nodes.column[place] >= 0
        inner, tree = place[is_inner], tree[is_inner]
        children = np.stack([nodes.left[inner], nodes.right[inner]], 1) + first[tree][:, None]
        place, tree = children.ravel(), tree.repeat(2)
    return levels


def _depths(
    levels: list[tuple[Int[np.ndarray, " some"], Int[np.ndarray, " some"]]], n_trees: int
) -> Int[np.ndarray, " trees"]:
    """How many levels of nodes each tree has below its first one."""
    depth = np.zeros(n_trees, int)
    for level, (_, tree) in enumerate(levels):
        depth[tree] = level
    return depth
