"""The leaves of a tree ensemble as boxes, for a search from leaf to leaf.

A point's cell is the box that the leaves of all trees around it have in common: the ensemble's
prediction is constant in it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.core.tensor_fields import TensorFields


class Cell(NamedTuple):
    """Bounds just inside of boxes, and the values just beyond each of their faces."""

    lower: Tensor
    upper: Tensor
    below: Tensor
    above: Tensor


@dataclass(frozen=True, repr=False)
class Trees(TensorFields):
    """Nodes of all trees, padded to one length: a row goes left where x[column] <= threshold.

    Parameters
    ----------
    column : int Tensor (trees, nodes)
        The column that a node looks at; -1 at a leaf.
    threshold : float64 Tensor (trees, nodes)
    left, right : int Tensor (trees, nodes)
        The numbers of a node's children.
    slack : float64 Tensor (trees, nodes)
        A value that is at least so far beyond a threshold stays beyond it when it is rounded.
    depth : int
        The largest number of nodes above a leaf.
    """

    column: Int[Tensor, "trees nodes"]
    threshold: Float[Tensor, "trees nodes"]
    left: Int[Tensor, "trees nodes"]
    right: Int[Tensor, "trees nodes"]
    slack: Float[Tensor, "trees nodes"]
    depth: int

    def scaled(
        self,
        place: Int[Tensor, " columns"],
        center: Float[Tensor, " columns"],
        scale: Float[Tensor, " columns"],
    ) -> "Trees":
        """The trees for rows whose coordinate place[c] is (column c - center) / scale."""
        at = self.column.clamp_min(0)
        middle, unit = center.double()[at], scale.double()[at]
        threshold = (self.threshold - middle) / unit
        eps = torch.finfo(torch.float32).eps
        slack = 4 * eps * ((self.threshold.abs() + middle.abs()) / unit + threshold.abs())
        column = torch.where(self.column < 0, -1, place[at])
        return Trees(column, threshold, self.left, self.right, slack, self.depth)

    def cell(self, x: Float[Tensor, "batch width"]) -> "Cell":
        """The box around each point in which no tree changes its leaf."""
        wide = x.double()
        nothing = torch.full_like(wide, torch.inf)
        lower, below, upper, above = -nothing, -nothing, nothing, nothing
        tree = torch.arange(len(self.column), device=x.device).expand(len(x), -1)
        node = torch.zeros_like(tree)
        for _ in range(self.depth):
            column, edge = self.column[tree, node], self.threshold[tree, node]
            slack, is_leaf = self.slack[tree, node], column < 0
            at = column.clamp_min(0)
            goes_left = wide.gather(1, at) <= edge
            over = edge.masked_fill(is_leaf | ~goes_left, torch.inf)
            under = edge.masked_fill(is_leaf | goes_left, -torch.inf)
            upper = upper.scatter_reduce(1, at, over - slack, "amin")
            above = above.scatter_reduce(1, at, over + slack, "amin")
            lower = lower.scatter_reduce(1, at, under + slack, "amax")
            below = below.scatter_reduce(1, at, under - slack, "amax")
            child = torch.where(goes_left, self.left[tree, node], self.right[tree, node])
            node = torch.where(is_leaf, node, child)
        return Cell(*(bound.to(x.dtype) for bound in (lower, upper, below, above)))

    def boxes(
        self, width: int
    ) -> tuple[Float[Tensor, "leaves width"], Float[Tensor, "leaves width"]]:
        """Lower and upper bounds just inside of every leaf of every tree."""
        lowers, uppers = [], []
        for tree in range(len(self.column)):
            waiting: list[tuple[int, dict[int, float], dict[int, float]]] = [(0, {}, {})]
            while waiting:
                node, low, high = waiting.pop()
                column = int(self.column[tree, node])
                if column < 0:
                    lowers.append(bounds_row(low, width, -torch.inf))
                    uppers.append(bounds_row(high, width, torch.inf))
                    continue
                edge, slack = float(self.threshold[tree, node]), float(self.slack[tree, node])
                tighter = min(high.get(column, torch.inf), edge - slack)
                higher = max(low.get(column, -torch.inf), edge + slack)
                waiting.append((int(self.left[tree, node]), low, {**high, column: tighter}))
                waiting.append((int(self.right[tree, node]), {**low, column: higher}, high))
        return torch.stack(lowers), torch.stack(uppers)


def bounds_row(bounds: dict[int, float], width: int, unbounded: float) -> Float[Tensor, " width"]:
    """One bound for each column: `unbounded` where none is given."""
    row = torch.full((width,), unbounded, dtype=torch.float64)
    for column, bound in bounds.items():
        row[column] = bound
    return row
