"""`Constraints`: rules in every form they are given in, checked against rows.

A rule binds a synthetic row only where the row's parent keeps it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Protocol, TypeAlias

import numpy as np

from advaug import containers
from advaug.domains.tables.rules.evaluation import Array, Cells, holds
from advaug.domains.tables.rules.mining import KINDS, Finding, mined
from advaug.domains.tables.rules.objects import FrozenColumns, Written
from advaug.domains.tables.rules.parser import ConstraintSyntaxError, parse, refuse_values
from advaug.domains.tables.rules.syntax_tree import Node, columns


class Rule(Protocol):
    """A rule of your own over named columns.

    `names` are the columns it reads; `holds(cells)` says of each row whether it is kept, where
    ``cells[name]`` is a column, float64 (NaN: missing) or objects (None: missing). Where a move
    breaks it, its columns go back to the parent's cells, with those that other rules tie to them.
    Signals and sequences hook in here: whatever has names and cells can be asked.
    """

    names: Sequence[str]

    def holds(self, cells: Cells) -> Array:
        """(rows,) of bool."""
        ...


@dataclass(frozen=True)
class Expression:
    """A rule with a tree: read from the language, or from a rule object's text."""

    text: str
    tree: Node

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(columns(self.tree))

    def holds(self, cells: Cells) -> Array:
        return holds(self.tree, cells)


Given: TypeAlias = "str | Written | FrozenColumns | Rule | Callable[[Any], Any]"


class Constraints:
    """Rules that rows must keep: a synthetic row may not break one that its parent keeps.

    Parameters
    ----------
    rules : str, rule object, callable, or a list of them
        Expressions over column names such as ``"open_acc <= total_acc"``, ``"rate == a / b"``,
        ``"if status == 'child' then income == 0"`` or ``"kind in {'a', 'b'}"``; objects (`Range`,
        `Integer`, `Monotone`, `FrozenColumns`, `OneHot`, `Linear`, `Equal`, `If`, `OneOf`);
        callables from rows in your container to one bool a row. Columns of an array are x0, x1,
        ...; a name with blanks or dots stands in `backticks`. Dates count in days since 1970.

    Notes
    -----
    Numbers compare equal within 1e-12 of the terms they are made of (1e-6 where a column is
    float32): .1 + .2 == .3 holds. Where a value is undefined, as after a division by zero, the
    comparison is neither true nor false, and a rule that hangs on it does not hold. A row with a
    missing cell in a column that a rule reads (other than by ``is missing``) is not judged by it
    and counts as holding.

    Raises
    ------
    ValueError : a rule cannot be read, or does not fit the columns; place and reason are named.

    Examples
    --------
    >>> import pandas as pd
    >>> from advaug.constraints import Constraints
    >>> X = pd.DataFrame({"open": [1, 5], "total": [3, 4]})
    >>> Constraints(["open <= total", "total in {3, 4}"]).check(X)
    {'open <= total': array([ True, False]), 'total in {3, 4}': array([ True,  True])}
    """

    def __init__(self, rules: "Given | Sequence[Given] | Constraints | None" = ()) -> None:
        if isinstance(rules, Constraints):
            rules = rules.rules
        elif rules is None:
            rules = []
        self.rules: list[Any] = list(rules) if isinstance(rules, list | tuple) else [rules]
        self.expressions: list[Expression] = []
        self.own: list[Rule] = []
        self.calls: list[Callable[[Any], Any]] = []
        self.frozen: list[str] = []
        self.findings: list[Finding] = []
        for rule in self.rules:
            self._add(rule)

    def _add(self, rule: Any) -> None:
        if isinstance(rule, str | Written):
            text = (rule if isinstance(rule, str) else rule.text).strip()
            self.expressions.append(Expression(text, parse(text)))
        elif isinstance(rule, FrozenColumns):
            self.frozen += [rule.columns] if isinstance(rule.columns, str) else list(rule.columns)
        elif hasattr(rule, "holds") and hasattr(rule, "names"):
            self.own.append(rule)
        elif callable(rule):
            self.calls.append(rule)
        else:
            raise TypeError(
                "a constraint is a text such as 'a <= b', a rule object or a callable, got "
                f"{type(rule).__name__}: {rule!r}"
            )

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    def __repr__(self) -> str:
        return f"Constraints({self.rules!r})"

    @property
    def named(self) -> list[Any]:
        """The rules over named columns: what can be mended cell by cell."""
        return [*self.expressions, *self.own]

    @property
    def names(self) -> list[str]:
        """All columns that are named."""
        return list(dict.fromkeys([*(n for rule in self.named for n in rule.names), *self.frozen]))

    def check(self, X: Any) -> dict[str, Array]:
        """Which rows keep which rule.

        Parameters
        ----------
        X : rows in any container that the estimators take

        Returns
        -------
        dict of rule -> ndarray of bool (rows,). A row with a missing cell in a column that the
        rule reads counts as holding. Frozen columns have no line: they are a matter of parents.
        """
        if self.named and containers.is_sequences(X):
            raise ValueError(
                f"constraint {name_of(self.named[0])!r} reads columns, but X holds sequences, "
                "which have none: pass a callable from rows to one bool a row, e.g. "
                "constraints=lambda rows: [row.startswith('http') for row in rows]; what must stay "
                "is SequenceAdapter(frozen=[...], protected='a regular expression')"
            )
        cells = self.read(X)
        answers = {name_of(rule): answer(rule, cells) for rule in self.named}
        return answers | {name_of(rule): called(rule, X, cells.n_rows) for rule in self.calls}

    @classmethod
    def infer(
        cls, X: Any, *, kinds: Sequence[str] = tuple(KINDS), by_chance: float = 20.0
    ) -> "Constraints":
        """Rules that all rows of X keep: look through them before you use them.

        Parameters
        ----------
        X : rows in any container that the estimators take
        kinds : of {"sum", "share", "product", "one_hot", "monotone", "implication", "integer",
            "range"}
            a + b == c (or of three); b == k * a; a * b == c and a / b == c up to c's digits;
            exactly one of several flags; a <= b; if a is at a level (or 0) then b is at one (or
            0); whole numbers; least and largest value.
        by_chance : float
            A relation counts if at least so many rows would break it were its columns
            independent (for equalities: so many rows show it with no term 0).

        Returns
        -------
        Constraints, with `findings`: (rule, support, by_chance) for each, where the support is
        the number of rows it is seen in.

        Examples
        --------
        >>> import numpy as np, pandas as pd
        >>> a, b = np.arange(1, 61) % 7 + 1, np.arange(1, 61) % 11 + 2
        >>> X = pd.DataFrame({"a": a, "b": b, "total": a + b})
        >>> Constraints.infer(X, kinds=["sum"]).findings
        [Finding(rule='total == a + b', support=60, by_chance=60.0)]
        """
        frame = containers.open_table(X)
        is_array = containers.kind_of_container(X) != "frame"
        names = [f"x{name}" if is_array else str(name) for name in frame.columns]
        findings = mined(cells_of(X, names), tuple(kinds), by_chance)
        found = cls([finding.rule for finding in findings])
        found.findings = findings
        return found

    def read(self, X: Any) -> Cells:
        """The columns that rules name; ValueError where one is unknown or of another kind."""
        n_rows = containers.count(X)
        if not self.names:
            return Cells({}, n_rows)
        cells = cells_of(X, self.names, self.expressions)
        kinds = {name: kind_of_cells(cells, name) for name in cells.columns}
        for rule in self.expressions:
            refuse_values(rule.tree, rule.text, kinds)
        return cells


def name_of(rule: Any) -> str:
    """How a rule is called in reports."""
    return str(getattr(rule, "text", None) or getattr(rule, "__name__", None) or repr(rule))


def answer(rule: Any, cells: Cells) -> Array:
    """The answer of a rule over named columns."""
    return one_bool_a_row(rule, rule.holds(cells), cells.n_rows)


def called(rule: Callable[[Any], Any], rows: Any, n_rows: int) -> Array:
    """The answer of a callable over whole rows."""
    # A copy: what a rule writes into its rows must not be shipped.
    return one_bool_a_row(rule, rule(rows.copy() if hasattr(rows, "copy") else rows), n_rows)


def one_bool_a_row(rule: Any, answer: Any, n_rows: int) -> Array:
    answer = np.asarray(answer)
    if answer.shape != (n_rows,) or answer.dtype != bool:
        raise ValueError(
            f"constraint {name_of(rule)} must return one bool for each of the {n_rows} rows, "
            f"got {answer.dtype} of shape {answer.shape}"
        )
    return answer


def broken(rules: Any, before: Any, after: Any, n_rows: int) -> Array:
    """Which of the rows break a rule that they kept before."""
    rules = Constraints(rules)
    bad = np.zeros(n_rows, dtype=bool)
    for rule in rules.calls:
        bad |= called(rule, before, n_rows) & ~called(rule, after, n_rows)
    if rules.names:
        old, new = (cells_of(rows, rules.names, rules.expressions) for rows in (before, after))
        for one in rules.named:
            bad |= answer(one, old) & ~answer(one, new)
        for name in rules.frozen:
            bad |= differs(old, new, name)
    return bad


def differs(old: Cells, new: Cells, name: str) -> Array:
    """Rows in which a column has another cell than before."""
    same = np.equal(old[name], new[name]).astype(bool)
    return ~(same | (old.missing(name) & new.missing(name)))


def cells_of(X: Any, names: Sequence[str], rules: Sequence[Expression] = ()) -> Cells:
    """Some columns of a container; ValueError that names the one which it lacks."""
    frame = containers.open_table(X)
    is_array = containers.kind_of_container(X) != "frame"
    known = {f"x{name}" if is_array else str(name): name for name in frame.columns}
    if len(known) < len(frame.columns):
        raise ValueError("two columns of X read the same as text: rename one of them")
    for rule in rules:
        for name, at in columns(rule.tree).items():
            if name not in known:
                raise ConstraintSyntaxError(unknown(name, list(known)), rule.text, at, len(name))
    for name in names:
        if name not in known:
            raise ValueError(f"constraints: {unknown(name, list(known))}")
    series = {name: frame.get_column(known[name]) for name in names}
    coarse = [name for name in names if containers.is_coarse(series[name])]
    cells = {name: containers.cells(column) for name, column in series.items()}
    return Cells(cells, len(frame), frozenset(coarse))


def unknown(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    few = ", ".join(map(repr, known[:12])) + (", ..." if len(known) > 12 else "")
    return f"there is no column {name!r}: " + (
        f"did you mean {close[0]!r}?" if close else f"X has {few}"
    )


def kind_of_cells(cells: Cells, name: str) -> str:
    """'text', 'boolean' or 'number'."""
    values = cells[name]
    if values.dtype == object:
        return "text"
    return "boolean" if np.isin(values[~np.isnan(values)], (0.0, 1.0)).all() else "number"
