"""Equalities that say nothing new: to first order they follow from others in some real rows.

If gross == net + tax and tax == 0.19 * net, then gross == 1.19 * net needs no rule of its own, and
a repair could not serve all three.
"""

from collections.abc import Iterable

import numpy as np

from advaug.domains.tables.rules.candidates import known
from advaug.domains.tables.rules.evaluation import Array, Cells, number
from advaug.domains.tables.rules.syntax_tree import (
    Binary,
    Call,
    Compare,
    Negative,
    Node,
    Sum,
    columns,
)

ROWS = 8  # Gradients are compared in so many rows.
STEP = 1e-4  # standard deviations of a column, for its derivative
NEW = 1e-3  # An equality is new if so much of its gradient is left without the others' directions.


class Gradients:
    """The directions of the equalities that were accepted, in each of a few rows."""

    def __init__(self, cells: Cells) -> None:
        some = np.random.default_rng(1).permutation(cells.n_rows)[:ROWS]
        self.rows = cells.take(some)
        numeric = [name for name, column in cells.columns.items() if column.dtype != object]
        self.scale = {name: float(known(cells[name]).std()) or 1.0 for name in numeric}
        self.place = {name: k for k, name in enumerate(numeric)}
        self.directions: list[Array] = []  # of each equality: (rows, columns), orthonormal

    def adds(self, tree: Node) -> bool:
        """Whether the equality does not follow from those before; if so, it is accepted."""
        gradient = self._gradient(smooth(difference(tree)), columns(tree))
        length = np.linalg.norm(gradient, axis=1)
        is_used = length > 0
        rest = gradient / np.where(is_used, length, 1.0)[:, None]
        for direction in self.directions:
            rest = rest - (rest * direction).sum(1, keepdims=True) * direction
        left = np.linalg.norm(rest, axis=1)
        if is_used.any() and (left[is_used] <= NEW).mean() > 0.5:
            return False
        self.directions.append(np.where(left > NEW, rest.T / left.clip(NEW), 0.0).T)
        return True

    def _gradient(self, node: Node, names: Iterable[str]) -> Array:
        """(rows, columns) in units of the columns' spread; 0 where it is undefined."""
        gradient = np.zeros((self.rows.n_rows, len(self.place)))
        for name in names:
            step = STEP * self.scale[name]
            up, down = (self._moved(name, sign * step) for sign in (1, -1))
            gradient[:, self.place[name]] = number(node, up) - number(node, down)
        return np.nan_to_num(gradient)

    def _moved(self, name: str, step: float) -> Cells:
        moved = {**self.rows.columns, name: self.rows[name] + step}
        return Cells(moved, self.rows.n_rows, self.rows.coarse)


def difference(tree: Node) -> Node:
    """left - right."""
    match tree:
        case Compare("==", left, right):
            return Sum((left, Negative(right)))
        case Compare(_, Call("abs", (of,)), _):
            return of
    raise TypeError(f"no equality: {tree!r}")


def smooth(node: Node) -> Node:
    """The expression without its rounding."""
    match node:
        case Call("round", (of, *_)):
            return smooth(of)
        case Sum(terms):
            return Sum(tuple(smooth(term) for term in terms))
        case Negative(of):
            return Negative(smooth(of))
        case Binary(operator, left, right):
            return Binary(operator, smooth(left), smooth(right))
    return node
