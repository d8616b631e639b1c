"""What a tree says of columns: numbers row by row, and answers that are yes, no or neither.

Where a value is undefined (a division by zero, the root of a negative number, an overflow) a
comparison is neither true nor false, and a rule that comes to neither does not hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from advaug.domains.tables.rules.syntax_tree import (
    And,
    Binary,
    Call,
    Column,
    Compare,
    Constant,
    Implies,
    Member,
    Missing,
    Negative,
    Node,
    Not,
    Or,
    Sum,
    columns,
    walk,
)

Array: TypeAlias = np.ndarray[Any, Any]

ROUNDING = 1e-12  # two numbers are equal up to this share of the terms they were added up from
ROUNDING_FLOAT32 = 1e-6  # where a column holds them in 32 bits


@dataclass(frozen=True)
class Cells:
    """Columns as rules read them: float64 with NaN, or objects with None, where missing.

    `coarse` names the columns that hold their numbers in 32 bits or fewer.
    """

    columns: Mapping[str, Array]
    n_rows: int
    coarse: frozenset[str] = frozenset()

    @classmethod
    def of_nothing(cls) -> "Cells":
        """One row without columns, for constants."""
        return cls({}, 1)

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def take(self, rows: Array) -> "Cells":
        """Some of the rows."""
        some = {name: cells[rows] for name, cells in self.columns.items()}
        return Cells(some, int(np.arange(self.n_rows)[rows].size), self.coarse)

    def missing(self, name: str) -> Array:
        """Which cells hold nothing."""
        cells = self.columns[name]
        if cells.dtype != object:
            return np.isnan(cells)
        return np.equal(cells, np.array(None)).astype(bool)

    def rounding(self, node: Node) -> float:
        """The share of rounding that equal numbers may differ by."""
        return ROUNDING_FLOAT32 if self.coarse & columns(node).keys() else ROUNDING


def holds(tree: Node, cells: Cells) -> Array:
    """Which rows keep the rule; one with a missing cell that the rule reads is not judged: True."""
    return truth(tree, cells) | unjudged(tree, cells)


def truth(node: Node, cells: Cells) -> Array:
    """Which rows a part of a rule is true of."""
    with np.errstate(all="ignore"):
        return answer(node, cells)[0]


def unjudged(tree: Node, cells: Cells) -> Array:
    """Rows with a missing cell that the rule reads, other than asking whether it is missing."""
    hidden = np.zeros(cells.n_rows, dtype=bool)
    for name in columns(tree, with_missing=False):
        hidden |= cells.missing(name)
    return hidden


def answer(node: Node, cells: Cells) -> tuple[Array, Array]:
    """(yes, no) for each row; neither where it is undefined (Kleene's three values)."""
    match node:
        case Compare():
            return compared(node, cells)
        case Member(of, values):
            several = [answer(Compare("==", of, Constant(value)), cells) for value in values]
            return np.any([yes for yes, _ in several], 0), np.all([no for _, no in several], 0)
        case Missing(of):
            gone = cells.missing(of.name)
            return gone, ~gone
        case Column(name):
            return cells[name] == 1, cells[name] == 0
        case Not(of):
            yes, no = answer(of, cells)
            return no, yes
        case And(parts):
            several = [answer(part, cells) for part in parts]
            return np.all([yes for yes, _ in several], 0), np.any([no for _, no in several], 0)
        case Or(parts):
            several = [answer(part, cells) for part in parts]
            return np.any([yes for yes, _ in several], 0), np.all([no for _, no in several], 0)
        case Implies(guard, then):
            (guard_yes, guard_no), (yes, no) = answer(guard, cells), answer(then, cells)
            return guard_no | yes, guard_yes & no
    raise TypeError(f"no truth: {node!r}")


def is_text(node: Node, cells: Cells) -> bool:
    return (isinstance(node, Constant) and isinstance(node.value, str)) or (
        isinstance(node, Column) and cells[node.name].dtype == object
    )


def compared(node: Compare, cells: Cells) -> tuple[Array, Array]:
    left, right = node.left, node.right
    if is_text(left, cells) or is_text(right, cells):
        equal = np.equal(texts(left, cells), texts(right, cells)).astype(bool)
        equal = np.broadcast_to(equal, cells.n_rows)
        return (equal, ~equal) if node.operator == "==" else (~equal, equal)
    if isinstance(left, Compare | Member | Missing | Not | And | Or | Implies) or isinstance(
        right, Compare | Member | Missing | Not | And | Or | Implies
    ):
        (yes, no), (other_yes, other_no) = answer(left, cells), answer(right, cells)
        return (yes & other_yes) | (no & other_no), (yes & other_no) | (no & other_yes)
    a, b = number(left, cells), number(right, cells)
    slack = cells.rounding(node) * (size(left, cells) + size(right, cells))
    known = np.isfinite(a) & np.isfinite(b)
    match node.operator:
        case "==" | "!=":
            yes = np.abs(a - b) <= slack
        case "<=" | ">":
            yes = a <= b + slack
        case _:
            yes = a >= b - slack
    yes = ~yes if node.operator in ("!=", ">", "<") else yes
    return yes & known, ~yes & known


def texts(node: Node, cells: Cells) -> Any:
    return cells[node.name] if isinstance(node, Column) else getattr(node, "value", None)


def number(node: Node, cells: Cells) -> Array:
    """The node's value in each row, NaN where it is missing or undefined."""
    match node:
        case Constant(value):
            return np.full(cells.n_rows, float(value))
        case Column(name):
            return cells[name]
        case Sum(terms):
            total = number(terms[0], cells)
            for term in terms[1:]:
                minus = isinstance(term, Negative)
                total = total - number(term.of, cells) if minus else total + number(term, cells)  # type: ignore[union-attr]
            return total
        case Negative(of):
            return -number(of, cells)
        case Binary(operator, left, right):
            a, b = number(left, cells), number(right, cells)
            return defined(a * b if operator == "*" else a / b if operator == "/" else a**b)
        case Call("round", (of, digits)):
            unit = 10.0 ** number(digits, cells)
            return np.rint(number(of, cells) * unit) / unit
        case Call(function, arguments):
            return called(function, [number(one, cells) for one in arguments])
    raise TypeError(f"no number: {node!r}")


def called(function: str, values: list[Array]) -> Array:
    if function in ("min", "max"):
        return (np.minimum if function == "min" else np.maximum).reduce(values)
    plain = {"abs": np.abs, "ceil": np.ceil, "floor": np.floor, "round": np.rint}
    plain |= {"exp": np.exp, "log": np.log, "sqrt": np.sqrt}
    return defined(plain[function](values[0]))


def defined(values: Array) -> Array:
    """Infinities as NaN: from then on they compare as neither."""
    return np.where(np.isfinite(values), values, np.nan)


def size(node: Node, cells: Cells) -> Array:
    """How large the terms are that a value is added up from: what its rounding is a share of."""
    return np.abs(number(in_size(node), cells))


@lru_cache(maxsize=4096)
def in_size(node: Node) -> Node:
    """The node with every difference as a sum of sizes."""
    match node:
        case Sum(terms):
            return Sum(tuple(in_size(term) for term in terms))
        case Negative(of):
            return in_size(of)
        case Binary("*", left, right):
            return Binary("*", in_size(left), in_size(right))
        case Binary("/", left, right):
            return Binary("/", in_size(left), Call("abs", (right,)))
        case Call("abs" | "round", arguments):
            return in_size(arguments[0])
        case Constant(value):
            return Constant(abs(float(value)))
    return Call("abs", (node,))


def constant(node: Node) -> float | None:
    """The value of a number that names no column, NaN where it is undefined; else None."""
    if columns(node) or any(isinstance(part, Compare | Member | Missing) for part in walk(node)):
        return None
    with np.errstate(all="ignore"):
        return float(number(node, Cells.of_nothing())[0])
