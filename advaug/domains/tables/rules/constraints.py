"""`Constraints`: the user's rules in every form, and which rows keep them.

A rule binds a synthetic row only where the row's parent keeps it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from advaug import containers
from advaug.core.known_names import did_you_mean
from advaug.domains.tables.rules.candidates import Candidate
from advaug.domains.tables.rules.evaluation import Array, Cells, has_missing, holds, is_true
from advaug.domains.tables.rules.mining import EQUALITIES, KINDS, RELATIONS, mine
from advaug.domains.tables.rules.objects import FrozenColumns, RuleObject
from advaug.domains.tables.rules.parser import (
    ConstraintSyntaxError,
    parse,
    refuse_no_dates,
    refuse_values,
)
from advaug.domains.tables.rules.redundancy import Gradients
from advaug.domains.tables.rules.syntax_tree import Implies, Node, columns
from advaug.sampling.constraints import (
    Finding,
    list_of_rules,
    name_of,
    names_of,
    one_bool_a_row,
    rows_that_keep,
)

FEWEST_BROKEN = 50  # A relation is kept unasked if chance would break it in so many rows.
MOST_COLUMNS = 100  # In wider tables nothing is looked for unasked, since it would take seconds.


@runtime_checkable
class Rule(Protocol):
    """A rule of your own over named columns.

    `names` are the columns that it reads. `holds(cells)` says which rows keep it; ``cells[name]``
    is a column of float64 (NaN: missing) or of objects (None: missing). Where a new row violates
    the rule, these columns and those that other rules connect to them get the parent's cells.
    """

    @property
    def names(self) -> Sequence[str]:
        """The columns."""
        ...

    def holds(self, cells: Cells) -> Array:
        """(rows,) of bool."""
        ...


@dataclass(frozen=True)
class Expression:
    """A rule as text, from the user or from a rule object, and its syntax tree."""

    text: str
    tree: Node

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(columns(self.tree))

    def holds(self, cells: Cells) -> Array:
        return holds(self.tree, cells)

    def support(self, cells: Cells) -> int:
        """How many rows show the rule: no cell is missing, and a guard is true."""
        shows = ~has_missing(self.tree, cells)
        if isinstance(self.tree, Implies):
            shows &= is_true(self.tree.guard, cells)
        return int(shows.sum())


RuleInput: TypeAlias = "str | RuleObject | FrozenColumns | Rule | Callable[[Any], Any]"


class Constraints:
    """Rules that rows must keep: a synthetic row may not break a rule that its parent keeps.

    Parameters
    ----------
    rules : str, rule object, callable, or a list of them
        Expressions over column names such as ``"open_acc <= total_acc"``, ``"rate == a / b"``,
        ``"if status == 'child' then income == 0"``, ``"pay == round(rate * hours, 2)"``,
        ``"day < 2024-01-31"`` or ``"kind in {'a', 'b'}"``; objects (`Range`, `Integer`, `Monotone`,
        `FrozenColumns`, `OneHot`, `Linear`, `Equal`, `If`, `OneOf`); callables from rows in your
        container to one bool a row. Columns of an array are x0, x1, ...; a name with blanks or dots
        stands in `backticks`. A date counts as the number of days since 1970.

    Raises
    ------
    ValueError
        A rule cannot be parsed or does not fit the columns. The error names the place and the
        reason.

    See Also
    --------
    advaug.constraints.Range : The column lies between two bounds.
    advaug.constraints.Equal : The column is what an expression of others says.
    advaug.constraints.If : Where `guard` holds, `then` holds too; both are texts or rule objects.

    Notes
    -----
    Two numbers are equal if they differ by at most 1e-12 of the terms of their sums (1e-6 where a
    column is float32): .1 + .2 == .3 holds. A comparison with an undefined value, such as a
    division by zero, is neither true nor false, and a rule that depends on it does not hold. A rule
    does not judge a row with a missing cell in a column that it reads (other than by ``is
    missing``): the row counts as one that keeps it.

    Examples
    --------
    >>> import pandas as pd
    >>> from advaug.constraints import Constraints
    >>> X = pd.DataFrame({"open": [1, 5], "total": [3, 4]})
    >>> Constraints(["open <= total", "total in {3, 4}"]).check(X)
    {'open <= total': array([ True, False]), 'total in {3, 4}': array([ True,  True])}
    """

    def __init__(self, rules: "RuleInput | Sequence[RuleInput] | Constraints | None" = ()) -> None:
        self.rules: list[Any] = list_of_rules(rules)
        self.expressions: list[Expression] = []
        self.custom_rules: list[Rule] = []
        self.callables: list[Callable[[Any], Any]] = []
        self.frozen: list[str] = []
        self.findings: list[Finding] = []
        if isinstance(rules, Constraints):
            vars(self).update(vars(rules))  # Rules that were parsed are not parsed again.
            return
        for rule in self.rules:
            self._add(rule)

    def _add(self, rule: Any) -> None:
        if isinstance(rule, Expression):
            self.expressions.append(rule)
        elif isinstance(rule, str | RuleObject):
            text = (rule if isinstance(rule, str) else rule.text).strip()
            self.expressions.append(Expression(text, parse(text)))
        elif isinstance(rule, FrozenColumns):
            self.frozen += [rule.columns] if isinstance(rule.columns, str) else list(rule.columns)
        elif isinstance(rule, Rule):
            self.custom_rules.append(rule)
        elif callable(rule):
            self.callables.append(rule)
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
    def column_rules(self) -> list[Rule]:
        """The rules over columns, which can be repaired cell by cell."""
        return [*self.expressions, *self.custom_rules]

    @property
    def names(self) -> list[str]:
        """All columns that rules name."""
        names = (name for rule in self.column_rules for name in rule.names)
        return list(dict.fromkeys([*names, *self.frozen]))

    def check(self, X: Any) -> dict[str, Array]:
        """Which rows keep which rule.

        Parameters
        ----------
        X : container of rows
            Rows in any container that the estimators take.

        Returns
        -------
        dict of rule -> ndarray of bool (rows,)
            Which rows keep the rule. A row with a missing cell in a column that the rule reads
            counts as one that keeps it. Frozen columns are not listed: only rows with a parent can
            break them.
        """
        if self.column_rules and containers.is_sequences(X):
            raise ValueError(
                f"constraint {name_of(self.column_rules[0])!r} reads columns, but X holds "
                "sequences, which have none: pass a callable from rows to one bool a row, e.g. "
                "lambda rows: [len(row) < 9 for row in rows]"
            )
        cells = self.read(X)
        answers = [rule_holds(rule, cells) for rule in self.column_rules]
        answers += [rows_that_keep(rule, X) for rule in self.callables]
        names = names_of([*self.column_rules, *self.callables])
        return dict(zip(names, answers, strict=True))

    @classmethod
    def infer(
        cls, X: Any, *, kinds: Sequence[str] = tuple(KINDS), by_chance: float = 20.0
    ) -> "Constraints":
        """Rules that all rows of X keep. Read them before you use them.

        Parameters
        ----------
        X : container of rows
            Rows in any container that the estimators take.
        kinds : of {"share", "sum", "product", "function", "extreme", "part", "linear", \
"one_hot", "dependency", "monotone", "implication", "integer", "range"}
            b == k * a; a + b == c (or of three); k * a * b == c and k * a / b == c, of three
            factors, of squares and of rates (a * (1 - b)); each of these also where the column is
            rounded: c == round(k * a, 2). Logarithms, square roots and squares. The largest or
            least of several columns, abs(a - b). Parts of dates (month_of(a)) and of whole numbers
            (floor(a / 100)). Weighted sums with a constant, such as a mean, or one column in
            another unit. Exactly or at most one of several flags; b follows from the code a or from
            the range of a; a <= b; if a is at a level or missing then b is at a level or missing;
            whole numbers; least and largest value.
        by_chance : float
            A relation counts if so many rows would break it with independent columns. An equality
            counts if so many rows have no term 0 in it.

        Returns
        -------
        Constraints
            With `findings`: (rule, kind, support, by_chance) for each rule. The support is the
            number of rows without a missing cell in the rule's columns in which its guard is true.

        Notes
        -----
        Of more than 4000 rows a random sample gives the guesses; all rows decide. An order counts
        only where rows crowd at a == b: two numbers may be ordered in all rows by chance.

        Examples
        --------
        >>> import numpy as np, pandas as pd
        >>> a, b = np.arange(1, 61) % 7 + 1, np.arange(1, 61) % 11 + 2
        >>> X = pd.DataFrame({"a": a, "b": b, "total": a + b})
        >>> Constraints.infer(X, kinds=["sum"]).findings
        [Finding(rule='total == a + b', kind='sum', support=60, by_chance=60.0)]
        """
        return cls._mined(X, writable_names(X), kinds, by_chance)

    @classmethod
    def _mined(
        cls, X: Any, names: Sequence[str], kinds: Sequence[str], by_chance: float
    ) -> "Constraints":
        cells, found = cells_of(X, names), []
        with np.errstate(all="ignore"):  # What overflows or is undefined is no finding.
            for kind, candidate in mine(cells, tuple(kinds), by_chance):
                if rule := kept_by_all(candidate, cells):
                    support = rule.support(cells)
                    found.append((rule, Finding(rule.text, kind, support, candidate.by_chance)))
            found = without_redundant(found, cells)
        inferred = cls([rule for rule, _ in found])
        inferred.rules = [rule.text for rule, _ in found]
        inferred.findings = [finding for _, finding in found]
        return inferred

    @classmethod
    def found(cls, X: Any, without: Sequence[Any] = ()) -> "Constraints":
        """What ``constraints="auto"`` keeps: relations that too many rows show to be chance.

        Nothing is found in fewer than `FEWEST_BROKEN` rows or more than `MOST_COLUMNS` columns.
        The columns `without` are in none.
        """
        n_columns = len(containers.column_names(X))
        if containers.count(X) < FEWEST_BROKEN or n_columns > MOST_COLUMNS:
            return cls()
        left_out = {*rule_names(X, without)}
        names = [name for name in writable_names(X) if name not in left_out]
        return cls._mined(X, names, RELATIONS, FEWEST_BROKEN)

    def read(self, X: Any) -> Cells:
        """The columns that rules name; ValueError where one is unknown or of another kind."""
        cells = self.cells(X)
        self.check_kinds(cells)
        return cells

    def cells(self, X: Any) -> Cells:
        """The columns that rules name; ValueError where one is unknown."""
        if not self.names:
            return Cells({}, containers.count(X))
        return cells_of(X, self.names, self.expressions)

    def check_kinds(self, cells: Cells) -> None:
        """ValueError where a rule reads texts as numbers, or numbers as texts."""
        kinds = {name: kind_of_cells(cells, name) for name in cells.columns}
        for rule in self.expressions:
            refuse_values(rule.tree, rule.text, kinds)
            refuse_no_dates(rule.tree, rule.text, cells.dates)


def kept_by_all(candidate: Candidate, cells: Cells) -> Expression | None:
    """The candidate's strictest spelling that all rows keep."""
    for text in candidate.spellings:
        try:
            rule = Expression(text, parse(text))
        except ConstraintSyntaxError:  # A level with both kinds of quotes, or too many levels.
            return None
        if all(rule.holds(part).all() for part in cells.parts()):
            return rule
    return None


def without_redundant(
    found: list[tuple[Expression, Finding]], cells: Cells
) -> list[tuple[Expression, Finding]]:
    """The rules without equalities that follow from stricter or shorter ones."""
    equalities = [at for at, (_, finding) in enumerate(found) if finding.kind in EQUALITIES]
    if not equalities:
        return found
    gradients = Gradients(cells)

    def strictness(at: int) -> tuple[bool, bool, int]:
        text = found[at][0].text
        return "abs(" in text, "round(" in text, len(text)

    order = sorted(equalities, key=strictness)
    dropped = {at for at in order if not gradients.adds(found[at][0].tree)}
    return [one for at, one in enumerate(found) if at not in dropped]


def rule_holds(rule: Rule, cells: Cells) -> Array:
    """Which rows keep a rule over columns."""
    return one_bool_a_row(rule, rule.holds(cells), cells.n_rows)


def rule_names(X: Any, keys: Sequence[Any]) -> dict[str, Any]:
    """The columns of X as rules name them -> as X does: x0, x1, ... in an array."""
    is_array = containers.kind_of_container(X) != "frame"
    return {f"x{key}" if is_array else str(key): key for key in keys}


def writable_names(X: Any) -> list[str]:
    """The columns that a rule can name; none where two columns read the same."""
    if containers.is_float_array(X):
        return [*rule_names(X, containers.column_names(X))]
    frame = containers.open_table(X)
    names = rule_names(X, frame.columns)
    if len(names) < len(frame.columns):
        return []
    return [
        name
        for name, key in names.items()
        if name
        and not set(name) & {"`", "\n"}
        and containers.kind_of_column(frame.get_column(key)) != "unreadable"
    ]


def cells_of(X: Any, names: Sequence[str], rules: Sequence[Expression] = ()) -> Cells:
    """Some columns of a container; ValueError names a column that it lacks."""
    keys = containers.column_names(X)
    known = rule_names(X, keys)
    if len(known) < len(keys) and names:
        raise ValueError("two columns of X read the same as text: rename one of them")
    for rule in rules:
        for name, at in columns(rule.tree).items():
            if name not in known:
                raise ConstraintSyntaxError(no_column(name, list(known)), rule.text, at, len(name))
    for name in names:
        if name not in known:
            raise ValueError(f"constraints: {no_column(name, list(known))}")
    if containers.is_float_array(X):
        numbers = {name: np.asarray(X[:, known[name]], np.float64) for name in names}
        return Cells(numbers, len(X), frozenset(names if X.itemsize < 8 else ()))
    frame = containers.open_table(X)
    series = {name: frame.get_column(known[name]) for name in names}
    for name, column in series.items():
        if containers.kind_of_column(column) == "unreadable":
            raise ValueError(
                f"no rule can read column {name!r} ({column.dtype}): {containers.mend_of(column)}"
            )
    coarse = [name for name in names if containers.is_coarse(series[name])]
    cells = {name: containers.cells(column) for name, column in series.items()}
    dates = [name for name in names if series[name][:1].to_numpy().dtype.kind == "M"]
    return Cells(cells, len(frame), frozenset(coarse), frozenset(dates))


def no_column(name: str, known: list[str]) -> str:
    return f"there is no column {name!r}: {did_you_mean(name, known, 'X has')}"


def kind_of_cells(cells: Cells, name: str) -> str:
    """'text', 'boolean' or 'number'."""
    values = cells[name]
    if values.dtype == object:
        return "text"
    return "boolean" if np.isin(values[~np.isnan(values)], (0.0, 1.0)).all() else "number"
