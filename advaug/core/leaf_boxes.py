"""The leaves of a tree ensemble as boxes, for searches and proofs that need no model any more.

The boxes of one tree are disjoint and cover every row. A row's scores are the sum of the values of
the boxes that it lies in, one of each tree, and its largest score is the predicted class.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from jaxtyping import Bool, Float, Int

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False, repr=False)
class LeafBoxes:
    """Closed boxes, the tree that each belongs to, and what it adds to the scores of the classes.

    Parameters
    ----------
    lower, upper : float64 ndarray (boxes, columns)
        Infinite where a column has no bound.
    takes_missing : bool ndarray (boxes, columns)
        Whether a row may lie in the box whose value of the column is missing.
    tree : int ndarray (boxes,)
        In ascending order.
    value : float64 ndarray (boxes, classes)
    offset : float64 ndarray (classes,)
        The scores of a row before any tree.
    rounding : float64 ndarray (columns,)
        How large numbers were before a column was shifted: their rounding is a share of that.
    """

    lower: Float[Array, "boxes columns"]
    upper: Float[Array, "boxes columns"]
    takes_missing: Bool[Array, "boxes columns"]
    tree: Int[Array, " boxes"]
    value: Float[Array, "boxes classes"]
    offset: Float[Array, " classes"]
    rounding: Float[Array, " columns"]

    def scaled(
        self,
        place: Int[Array, " columns"],
        center: Float[Array, " columns"],
        scale: Float[Array, " columns"],
    ) -> Self:
        """The boxes for rows whose coordinate place[c] is (column c - center) / scale."""

        lower, upper = np.empty_like(self.lower), np.empty_like(self.upper)
        lower[:, place], upper[:, place] = (
            (self.lower - center) / scale,
            (self.upper - center) / scale,
        )
        after = np.empty_like(upper)
        after[:, place] = (np.nextafter(self.upper, np.inf) - center) / scale
        # An upper bound may not become the next box's lower one.
        joins = (after == upper) & (lower < upper) & np.isfinite(upper)
        upper = np.where(joins, np.nextafter(upper, -np.inf), upper)
        takes_missing, rounding = np.empty_like(self.takes_missing), np.empty_like(self.rounding)
        takes_missing[:, place] = self.takes_missing
        rounding[place] = (self.rounding + np.abs(center)) / scale
        return replace(
            self,
            lower=lower,
            upper=upper,
            takes_missing=takes_missing,
            rounding=rounding,
        )

    def between_steps(
        self,
        start: Float[Array, " columns"],
        step: Float[Array, " columns"],
        read: Callable[[Array], Array],
    ) -> Self:
        """The boxes with bounds well between the numbers that columns with steps may hold.

        These are start + k * step, which the trees read as read(start + k * step). So rounding
        never carries one of them over a bound, not even where a bound is one of them.
        """
        has_steps = step > 0
        width = np.where(has_steps, step, 1.0)

        def near(bound: Array) -> tuple[Array, Array]:
            count = np.rint((bound - start) / width)
            return count, read(start + count * width)

        (first, least), (last, largest) = near(self.lower), near(self.upper)
        first, last = first + (least < self.lower), last - (largest > self.upper)
        lower = np.where(has_steps, start + (first - 0.25) * width, self.lower)
        upper = np.where(has_steps, start + (last + 0.25) * width, self.upper)
        return replace(self, lower=lower, upper=upper)
