"""Rules as Python objects: each of them writes an expression of the language.

A column is called by its name; the columns of an array are x0, x1, ...
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from advaug.domains.tables.rules.syntax_tree import literal, quoted


@dataclass(frozen=True)
class Range:
    """low <= column <= high; None is no bound. A bound may be a date.

    Parameters
    ----------
    column : str
        The column's name.
    low : float or date, optional
        Smallest value; None: there is none.
    high : float or date, optional
        Largest value; None: there is none.

    See Also
    --------
    advaug.constraints.Monotone : Each column is at least the one before it.
    advaug.constraints.OneOf :
        The column holds one of the values: all numbers or dates, or all texts.

    Examples
    --------
    >>> from advaug.constraints import Range
    >>> Range("age", 0, 120).text
    'age >= 0 and age <= 120'
    """

    column: str
    low: float | date | None = None
    high: float | date | None = None

    @property
    def text(self) -> str:
        bounds = {">=": self.low, "<=": self.high}
        parts = [
            f"{quoted(self.column)} {sign} {literal(bound)}"
            for sign, bound in bounds.items()
            if bound is not None
        ]
        if not parts:
            raise ValueError(f"Range({self.column!r}) has neither low nor high: give one")
        return " and ".join(parts)


@dataclass(frozen=True)
class Integer:
    """The column holds whole numbers: column == round(column).

    Parameters
    ----------
    column : str
        The column's name.

    See Also
    --------
    advaug.constraints.Range : The column lies between two bounds.

    Examples
    --------
    >>> from advaug.constraints import Integer
    >>> Integer("items").text
    'items == round(items)'
    """

    column: str

    @property
    def text(self) -> str:
        return f"{quoted(self.column)} == round({quoted(self.column)})"


@dataclass(frozen=True)
class Monotone:
    """columns[0] <= columns[1] <= ...: each column is at least the one before it.

    Parameters
    ----------
    columns : sequence of str
        The columns' names, two or more.

    See Also
    --------
    advaug.constraints.Range : The column lies between two bounds.
    advaug.constraints.Linear : The sum of weight * column, compared with a number.

    Examples
    --------
    >>> from advaug.constraints import Monotone
    >>> Monotone(["first", "last"]).text
    'first <= last'
    """

    columns: Sequence[str]

    @property
    def text(self) -> str:
        return " <= ".join(map(quoted, at_least_two(self, self.columns)))


@dataclass(frozen=True)
class OneHot:
    """Every column holds 0 or 1, and exactly one of them holds 1.

    Parameters
    ----------
    columns : sequence of str
        The columns' names, two or more.

    See Also
    --------
    advaug.constraints.OneOf :
        The column holds one of the values: all numbers or dates, or all texts.

    Examples
    --------
    >>> from advaug.constraints import OneHot
    >>> OneHot(["red", "blue"]).text
    'red + blue == 1 and red in {0, 1} and blue in {0, 1}'
    """

    columns: Sequence[str]

    @property
    def text(self) -> str:
        names = [quoted(column) for column in at_least_two(self, self.columns)]
        return " and ".join(
            [f"{' + '.join(names)} == 1", *(f"{name} in {{0, 1}}" for name in names)]
        )


@dataclass(frozen=True)
class Linear:
    """The sum of weight * column, compared with a number.

    Parameters
    ----------
    weights : dict of column -> weight
        The factor of each column, by the column's name.
    operator : {"==", "<=", ">=", "<", ">"}
        How the sum is compared with the bound.
    bound : float, default=0
        The number on the right.

    See Also
    --------
    advaug.constraints.Equal : The column is what an expression of others says.

    Examples
    --------
    >>> from advaug.constraints import Linear
    >>> Linear({"a": 1, "b": 2, "total": -1}, "==").text
    'a + 2 * b - total == 0'
    """

    weights: dict[str, float]
    operator: str
    bound: float = 0.0

    @property
    def text(self) -> str:
        if self.operator not in ("==", "<=", ">=", "<", ">"):
            raise ValueError(f"operator must be one of == <= >= < >, got {self.operator!r}")
        total = ""
        for name, weight in self.weights.items():
            term = quoted(name) if abs(weight) == 1 else f"{literal(abs(weight))} * {quoted(name)}"
            sign = "-" if weight < 0 else "+"
            total += f" {sign} {term}" if total else f"-{term}" if weight < 0 else term
        return f"{total} {self.operator} {literal(self.bound)}"


@dataclass(frozen=True)
class Equal:
    """column == expression, within a tolerance; a repair computes the column again.

    Parameters
    ----------
    column : str
        The column's name.
    expression : str
        Such as "a / b".
    tolerance : float, default=0
        Largest difference, in the column's unit; .005 where values are rounded to two decimals.

    See Also
    --------
    advaug.constraints.Linear : The sum of weight * column, compared with a number.

    Examples
    --------
    >>> from advaug.constraints import Equal
    >>> Equal("rate", "a / b", tolerance=0.005).text
    'abs(rate - (a / b)) <= 0.005'
    """

    column: str
    expression: str
    tolerance: float = 0.0

    @property
    def text(self) -> str:
        if not self.tolerance:
            return f"{quoted(self.column)} == {self.expression}"
        difference = f"{quoted(self.column)} - ({self.expression})"
        return f"abs({difference}) <= {literal(self.tolerance)}"


@dataclass(frozen=True)
class OneOf:
    """The column holds one of the values: all numbers or dates, or all texts.

    Parameters
    ----------
    column : str
        The column's name.
    values : sequence of float, date or str
        What the column may hold.

    See Also
    --------
    advaug.constraints.OneHot : Every column holds 0 or 1, and exactly one of them holds 1.
    advaug.constraints.Range : The column lies between two bounds.

    Examples
    --------
    >>> from advaug.constraints import OneOf
    >>> OneOf("status", ["child", "adult"]).text
    "status in {'child', 'adult'}"
    """

    column: str
    values: Sequence[float | str | date]

    @property
    def text(self) -> str:
        if isinstance(self.values, str) or not len(self.values):
            raise ValueError(f"OneOf needs a list of values, got {self.values!r}")
        return f"{quoted(self.column)} in {{{', '.join(map(literal, self.values))}}}"


@dataclass(frozen=True)
class If:
    """Where `guard` holds, `then` holds too; both are texts or rule objects.

    Parameters
    ----------
    guard : str or rule object
        The condition.
    then : str or rule object
        What holds where the condition does.

    See Also
    --------
    advaug.constraints.OneOf :
        The column holds one of the values: all numbers or dates, or all texts.
    advaug.constraints.Range : The column lies between two bounds.

    Examples
    --------
    >>> from advaug.constraints import If, Range
    >>> If("status == 'child'", Range("income", high=0)).text
    "if (status == 'child') then (income <= 0)"
    """

    guard: "str | RuleObject"
    then: "str | RuleObject"

    @property
    def text(self) -> str:
        guard, then = (
            part if isinstance(part, str) else part.text for part in (self.guard, self.then)
        )
        return f"if ({guard}) then ({then})"


@dataclass(frozen=True)
class FrozenColumns:
    """The columns hold the parent's own cells in every new row.

    Parameters
    ----------
    columns : sequence of str
        The columns' names.

    See Also
    --------
    advaug.adapters.TabularAdapter : Its `frozen` keeps columns from being read, too.

    Examples
    --------
    >>> import pandas as pd
    >>> from advaug.constraints import Constraints, FrozenColumns
    >>> X = pd.DataFrame({"id": [1, 2], "open": [1, 5], "total": [3, 4]})
    >>> rules = Constraints([FrozenColumns(["id"]), "open <= total"])
    >>> {rule: kept.tolist() for rule, kept in rules.check(X).items()}
    {'open <= total': [True, False]}
    """

    columns: Sequence[str]


RuleObject: TypeAlias = Range | Integer | Monotone | OneHot | Linear | Equal | OneOf | If


def at_least_two(rule: RuleObject, columns: Sequence[str]) -> Sequence[str]:
    """The columns, if there are two or more."""
    if isinstance(columns, str) or len(columns) < 2:
        raise ValueError(f"{type(rule).__name__} needs two columns or more, got {columns!r}")
    return columns
