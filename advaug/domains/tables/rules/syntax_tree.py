"""The syntax tree of a rule: a dozen plain nodes, and which columns they read.

`at` is a node's place in the text of the rule; errors point there.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any

ARITHMETIC = ("+", "-", "*", "/", "**")
ORDER = ("<", "<=", ">", ">=")
COMPARISONS = ("==", "!=", *ORDER)
DATE_FUNCTIONS = ("year_of", "quarter_of", "month_of", "day_of", "weekday_of", "hour_of")
FUNCTIONS = {  # name -> least and largest number of arguments
    "abs": (1, 1),
    "ceil": (1, 1),
    "exp": (1, 1),
    "floor": (1, 1),
    "log": (1, 1),
    "log10": (1, 1),
    "log2": (1, 1),
    "max": (2, 99),
    "min": (2, 99),
    "round": (1, 2),
    "sqrt": (1, 1),
} | dict.fromkeys(DATE_FUNCTIONS, (1, 1))


@dataclass(frozen=True)
class Node:
    """A node and its place in the text, which does not count when two nodes are compared."""

    at: int = field(default=0, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True)
class Constant(Node):
    value: float | str


@dataclass(frozen=True)
class Column(Node):
    name: str


@dataclass(frozen=True)
class Sum(Node):
    terms: tuple[Node, ...]


@dataclass(frozen=True)
class Negative(Node):
    of: Node


@dataclass(frozen=True)
class Binary(Node):
    """left `*`, `/` or `**` right."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Call(Node):
    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Compare(Node):
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Member(Node):
    of: Node
    values: tuple[float | str, ...]


@dataclass(frozen=True)
class Missing(Node):
    of: Column


@dataclass(frozen=True)
class Not(Node):
    of: Node


@dataclass(frozen=True)
class And(Node):
    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Or(Node):
    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Implies(Node):
    guard: Node
    then: Node


def is_truth(node: Node) -> bool:
    """Whether the node is true or false; a column of 0 and 1 may be read as either."""
    return isinstance(node, Compare | Member | Missing | Not | And | Or | Implies)


def children(node: Node) -> list[Node]:
    """The nodes directly below."""
    below: list[Any] = []
    for one in fields(node):
        value = getattr(node, one.name)
        below += value if isinstance(value, tuple) else [value]
    return [value for value in below if isinstance(value, Node)]


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def columns(node: Node, *, with_missing: bool = True) -> dict[str, int]:
    """The columns that the node reads, in order: name -> first place in the text.

    `with_missing=False` leaves out those that only stand before "is missing".
    """
    if isinstance(node, Missing) and not with_missing:
        return {}
    if isinstance(node, Column):
        return {node.name: node.at}
    names: dict[str, int] = {}
    for child in children(node):
        names = columns(child, with_missing=with_missing) | names
    return dict(sorted(names.items(), key=lambda item: item[1]))


def quoted(column: str) -> str:
    """A column's name in the syntax of rules."""
    return column if column.isidentifier() and column not in RESERVED else f"`{column}`"


def literal(value: float | str | date) -> str:
    """A number, date or text in the syntax of rules."""
    if isinstance(value, date):
        return value.isoformat().removesuffix("T00:00:00")
    if isinstance(value, str):
        return f"'{value}'" if "'" not in value else f'"{value}"'
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot stand in a rule: give a finite number, or leave it out")
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


RESERVED = frozenset(
    {"if", "then", "and", "or", "not", "in", "is", "missing", "true", "false", *FUNCTIONS}
)
