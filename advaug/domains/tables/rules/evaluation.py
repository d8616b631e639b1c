"""The value of a syntax tree in each row: a number, or a truth that is yes, no or neither.

A comparison with an undefined value (a division by zero, the root of a negative number, an
overflow) is neither true nor false, and a rule that is neither does not hold.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any, TypeAlias

import numpy as np

from advaug.domains.tables.calendars import fields_of
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
    is_truth,
    walk,
)

Array: TypeAlias = np.ndarray[Any, Any]

DATE_PARTS: dict[str, Callable[[Array], Array]] = {  # of days since 1970; Monday is weekday 0
    "year_of": lambda days: fields_of(np.floor(days))[0],
    "quarter_of": lambda days: np.floor((fields_of(np.floor(days))[1] + 2) / 3),
    "month_of": lambda days: fields_of(np.floor(days))[1],
    "day_of": lambda days: fields_of(np.floor(days))[2],
    "weekday_of": lambda days: np.floor(days + 3) % 7,
    "hour_of": lambda days: np.floor((days - np.floor(days)) * 24 + HALF_A_SECOND),
}
ROWS_AT_ONCE = 100_000  # Rules are checked on so many rows, so that memory stays bounded.
HALF_A_SECOND = 0.5 / 3600  # in hours: days are not exact
ROUNDING = 1e-12  # Two numbers are equal up to this share of the terms of their sums.
ROUNDING_FLOAT32 = 1e-6  # The share where a column holds its numbers in 32 bits.


@dataclass(frozen=True)
class Cells:
    """Columns as rules read them: float64 and NaN for missing cells, or objects and None.

    `coarse` names the columns that hold their numbers in 32 bits or fewer, `dates` those whose
    numbers are days since 1970.
    """

    columns: Mapping[str, Array]
    n_rows: int
    coarse: frozenset[str] = frozenset()
    dates: frozenset[str] = frozenset()

    @classmethod
    def of_nothing(cls) -> "Cells":
        """One row without columns, for constants."""
        return cls({}, 1)

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def take(self, rows: Array | slice) -> "Cells":
        """Some of the rows."""
        some = {name: cells[rows] for name, cells in self.columns.items()}
        n_rows = (
            len(range(self.n_rows)[rows])
            if isinstance(rows, slice)
            else int(np.arange(self.n_rows)[rows].size)
        )
        return Cells(some, n_rows, self.coarse, self.dates)

    def parts(self) -> Iterator["Cells"]:
        """The rows, some at once, of which no copy is made."""
        for start in range(0, max(self.n_rows, 1), ROWS_AT_ONCE):
            yield self.take(slice(start, start + ROWS_AT_ONCE))

    def missing(self, name: str) -> Array:
        """Which cells of a column are missing."""
        cells = self.columns[name]
        if cells.dtype != object:
            return np.isnan(cells)
        return np.equal(cells, np.array(None)).astype(bool)

    def rounding(self, node: Node) -> float:
        """By which share of their terms two equal numbers may differ."""
        return ROUNDING_FLOAT32 if self.coarse & columns(node).keys() else ROUNDING


def holds(tree: Node, cells: Cells) -> Array:
    """Which rows keep the rule; a row with a missing cell that the rule reads counts as one."""
    return is_true(tree, cells) | has_missing(tree, cells)


def is_true(node: Node, cells: Cells) -> Array:
    """The rows in which a part of a rule is true."""
    with np.errstate(all="ignore"):
        return truth(node, cells)[0]


def has_missing(tree: Node, cells: Cells) -> Array:
    """Rows with a missing cell in a column that the rule reads other than by "is missing"."""
    names = columns(tree, with_missing=False)
    return np.any([np.zeros(cells.n_rows, dtype=bool), *map(cells.missing, names)], 0)


def truth(node: Node, cells: Cells) -> tuple[Array, Array]:
    """(yes, no) for each row; neither where it is undefined (Kleene's three values)."""
    match node:
        case Compare():
            return compare(node, cells)
        case Member(of, values):
            return is_member(of, values, cells)
        case Missing(of):
            is_missing = cells.missing(of.name)
            return is_missing, ~is_missing
        case Column(name):
            return cells[name] == 1, cells[name] == 0
        case Not(of):
            yes, no = truth(of, cells)
            return no, yes
        case And(parts):
            no, yes = any_of([Not(part) for part in parts], cells)
            return yes, no
        case Or(parts):
            return any_of(parts, cells)
        case Implies(guard, then):
            return any_of([Not(guard), then], cells)
    raise TypeError(f"no truth: {node!r}")


def any_of(parts: Sequence[Node], cells: Cells) -> tuple[Array, Array]:
    """(yes, no): at least one part is true, or all of them are false."""
    truths = [truth(part, cells) for part in parts]
    return np.any([yes for yes, _ in truths], 0), np.all([no for _, no in truths], 0)


def is_text(node: Node, cells: Cells) -> bool:
    if isinstance(node, Column):
        return bool(cells[node.name].dtype == object)
    return isinstance(node, Constant) and isinstance(node.value, str)


def compare(node: Compare, cells: Cells) -> tuple[Array, Array]:
    """(yes, no) of a comparison between two texts, two truths or two numbers."""
    left, right = node.left, node.right
    if is_text(left, cells) or is_text(right, cells):
        equal = np.equal(text(left, cells), text(right, cells)).astype(bool)
        equal = np.broadcast_to(equal, cells.n_rows)
        return (equal, ~equal) if node.operator == "==" else (~equal, equal)
    if is_truth(left) or is_truth(right):
        (yes, no), (other_yes, other_no) = truth(left, cells), truth(right, cells)
        same = (yes & other_yes) | (no & other_no)
        differ = (yes & other_no) | (no & other_yes)
        return (same, differ) if node.operator == "==" else (differ, same)
    a, b = number(left, cells), number(right, cells)
    slack = cells.rounding(node) * (magnitude(left, cells) + magnitude(right, cells))
    is_known = np.isfinite(a) & np.isfinite(b)
    match node.operator:
        case "==" | "!=":
            yes = np.abs(a - b) <= slack
        case "<=" | ">":
            yes = a <= b + slack
        case _:
            yes = a >= b - slack
    yes = ~yes if node.operator in ("!=", ">", "<") else yes
    return yes & is_known, ~yes & is_known


def is_member(of: Node, values: tuple[float | str, ...], cells: Cells) -> tuple[Array, Array]:
    """(yes, no): the node is one of the texts, or equal to the nearest of the numbers."""
    if is_text(of, cells):
        known, column = set(values), np.broadcast_to(text(of, cells), cells.n_rows)
        yes = np.fromiter((value in known for value in column), bool, cells.n_rows)
        return yes, ~yes
    a, ordered = number(of, cells), np.unique(np.array(values, dtype=np.float64))
    place = np.searchsorted(ordered, a)
    sides = [ordered[(place - step).clip(0, len(ordered) - 1)] for step in (0, 1)]
    off = np.minimum(*(np.abs(a - side) for side in sides))
    yes = off <= cells.rounding(of) * (magnitude(of, cells) + np.abs(a))
    is_known = np.isfinite(a)
    return yes & is_known, ~yes & is_known


def text(node: Node, cells: Cells) -> Any:
    return cells[node.name] if isinstance(node, Column) else getattr(node, "value", None)


def number(node: Node, cells: Cells) -> Array:
    """The node's value in each row, NaN where it is missing or undefined."""
    match node:
        case Constant(value):
            return np.full(cells.n_rows, float(value))
        case Column(name):
            return cells[name]
        case Sum(terms):
            return reduce(np.add, (number(term, cells) for term in terms))
        case Negative(of):
            return -number(of, cells)
        case Binary(operator, left, right):
            a, b = number(left, cells), number(right, cells)
            return finite(a * b if operator == "*" else a / b if operator == "/" else a**b)
        case Call("round", (of, digits)):
            unit = 10.0 ** number(digits, cells)
            return np.rint(number(of, cells) * unit) / unit
        case Call(function, arguments):
            return apply(function, [number(one, cells) for one in arguments])
    raise TypeError(f"no number: {node!r}")


def apply(function: str, values: list[Array]) -> Array:
    if function in ("min", "max"):
        return (np.minimum if function == "min" else np.maximum).reduce(values)
    if function in DATE_PARTS:
        return finite(DATE_PARTS[function](values[0]))
    plain = {"abs": np.abs, "ceil": np.ceil, "floor": np.floor, "round": np.rint}
    plain |= {
        "exp": np.exp,
        "log": np.log,
        "log10": np.log10,
        "log2": np.log2,
        "sqrt": np.sqrt,
    }
    return finite(plain[function](values[0]))


def finite(values: Array) -> Array:
    """The values with NaN for infinities, so that no comparison with one is true or false."""
    return np.where(np.isfinite(values), values, np.nan)


def magnitude(node: Node, cells: Cells) -> Array:
    """The sum of the sizes of a value's terms; its rounding error is a share of it."""
    return np.abs(number(sum_of_sizes(node), cells))


@lru_cache(maxsize=4096)
def sum_of_sizes(node: Node) -> Node:
    """The node with the size of each term instead of the term."""
    match node:
        case Sum(terms):
            return Sum(tuple(sum_of_sizes(term) for term in terms))
        case Negative(of):
            return sum_of_sizes(of)
        case Binary("*", left, right):
            return Binary("*", sum_of_sizes(left), sum_of_sizes(right))
        case Binary("/", left, right):
            return Binary("/", sum_of_sizes(left), Call("abs", (right,)))
        case Call("abs" | "round", arguments):
            return sum_of_sizes(arguments[0])
        case Constant(value):
            return Constant(abs(float(value)))
    return Call("abs", (node,))


def constant(node: Node) -> float | None:
    """The value of an expression without columns, NaN where it is undefined; else None."""
    if columns(node) or any(map(is_truth, walk(node))):
        return None
    with np.errstate(all="ignore"):
        return float(number(node, Cells.of_nothing())[0])
