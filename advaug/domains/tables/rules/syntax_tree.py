"""The syntax tree of a rule: a dozen plain nodes, and which columns they read.

`at` is a node's place in the text it was read from: errors point there.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

ARITHMETIC = ("+", "-", "*", "/", "**")
ORDER = ("<", "<=", ">", ">=")
COMPARISONS = ("==", "!=", *ORDER)
FUNCTIONS = {  # name -> fewest and most arguments
    "abs": (1, 1),
    "ceil": (1, 1),
    "exp": (1, 1),
    "floor": (1, 1),
    "log": (1, 1),
    "max": (2, 99),
    "min": (2, 99),
    "round": (1, 2),
    "sqrt": (1, 1),
}


def place() -> Any:
    """A field that two equal nodes may differ in."""
    return field(default=0, compare=False, repr=False)


@dataclass(frozen=True)
class Constant:
    value: float | str
    at: int = place()


@dataclass(frozen=True)
class Column:
    name: str
    at: int = place()


@dataclass(frozen=True)
class Sum:
    terms: tuple["Node", ...]
    at: int = place()


@dataclass(frozen=True)
class Negative:
    of: "Node"
    at: int = place()


@dataclass(frozen=True)
class Binary:
    """left `*`, `/` or `**` right."""

    operator: str
    left: "Node"
    right: "Node"
    at: int = place()


@dataclass(frozen=True)
class Call:
    function: str
    arguments: tuple["Node", ...]
    at: int = place()


@dataclass(frozen=True)
class Compare:
    operator: str
    left: "Node"
    right: "Node"
    at: int = place()


@dataclass(frozen=True)
class Member:
    of: "Node"
    values: tuple[float | str, ...]
    at: int = place()


@dataclass(frozen=True)
class Missing:
    of: Column
    at: int = place()


@dataclass(frozen=True)
class Not:
    of: "Node"
    at: int = place()


@dataclass(frozen=True)
class And:
    parts: tuple["Node", ...]
    at: int = place()


@dataclass(frozen=True)
class Or:
    parts: tuple["Node", ...]
    at: int = place()


@dataclass(frozen=True)
class Implies:
    guard: "Node"
    then: "Node"
    at: int = place()


Node: TypeAlias = (
    Constant
    | Column
    | Sum
    | Negative
    | Binary
    | Call
    | Compare
    | Member
    | Missing
    | Not
    | And
    | Or
    | Implies
)


def children(node: Node) -> list[Node]:
    """The nodes right below."""
    below: list[Any] = []
    for one in fields(node):
        value = getattr(node, one.name)
        below += value if isinstance(value, tuple) else [value]
    return [value for value in below if hasattr(value, "at")]


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def columns(node: Node, *, with_missing: bool = True) -> dict[str, int]:
    """Names of the columns it reads, in order, with their first place.

    `with_missing=False` leaves out what is only asked whether it is missing.
    """
    if isinstance(node, Missing) and not with_missing:
        return {}
    if isinstance(node, Column):
        return {node.name: node.at}
    found: dict[str, int] = {}
    for child in children(node):
        found = columns(child, with_missing=with_missing) | found
    return dict(sorted(found.items(), key=lambda item: item[1]))


def named(column: str) -> str:
    """A column's name as the language writes it."""
    return column if column.isidentifier() and column not in RESERVED else f"`{column}`"


def spelt_value(value: float | str) -> str:
    """A number or text as the language writes it."""
    if isinstance(value, str):
        return f"'{value}'" if "'" not in value else f'"{value}"'
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


RESERVED = frozenset(
    {"if", "then", "and", "or", "not", "in", "is", "missing", "true", "false", *FUNCTIONS}
)
