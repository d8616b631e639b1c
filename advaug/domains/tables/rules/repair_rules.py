"""How a broken rule can be repaired, derived from its syntax tree.

A rule gives linear constraints to project onto, columns to compute, or values to choose from. Where
none of these helps, the parent's own cells keep the rule.
"""

from collections import Counter
from dataclasses import dataclass
from typing import TypeAlias

from advaug.domains.tables.rules.evaluation import constant
from advaug.domains.tables.rules.syntax_tree import (
    And,
    Binary,
    Call,
    Column,
    Compare,
    Constant,
    Implies,
    Member,
    Negative,
    Node,
    Not,
    Or,
    Sum,
    columns,
    is_truth,
    walk,
)

MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
ZERO = Constant(0.0)
DEVIATION = Column("parent's deviation\0")  # No table has a column of this name.
Guards: TypeAlias = tuple[Node, ...]


@dataclass(frozen=True)
class LinearConstraint:
    """sum of weight * column <= bound (or == bound) where all guards hold."""

    weights: dict[str, float]
    bound: float
    is_equality: bool
    is_strict: bool
    guards: Guards


@dataclass(frozen=True)
class Tolerance:
    """abs(deviation) <= most."""

    deviation: Node
    most: Node


@dataclass(frozen=True)
class ComputedColumn:
    """Choices of one column and its expression of the others; first a column that stands alone.

    With a tolerance the expression reads `DEVIATION` too, by which the parent is off.
    """

    choices: tuple[tuple[str, Node], ...]
    guards: Guards
    tolerance: Tolerance | None = None


@dataclass(frozen=True)
class ChosenValue:
    """The column holds the nearest of some numbers, or one text."""

    column: str
    values: tuple[float | str, ...]
    guards: Guards


RepairRule: TypeAlias = LinearConstraint | ComputedColumn | ChosenValue


def repair_rules_of(node: Node, guards: Guards = ()) -> list[RepairRule]:
    """The repairs of a rule, which apply where the guards hold."""
    match node:
        case And(parts):
            return [repair for part in parts for repair in repair_rules_of(part, guards)]
        case Implies(guard, then):
            return repair_rules_of(then, (*guards, guard))
        case Or(parts):
            if isinstance(one := as_member(parts), Member):
                return repair_rules_of(one, guards)
            return repair_rules_of(parts[-1], (*guards, *(Not(part) for part in parts[:-1])))
        case Not(of):
            return repair_rules_of(opposite, guards) if (opposite := negated(of)) else []
        case Column(name):
            return [LinearConstraint({name: 1.0}, 1.0, True, False, guards)]
        case Member(Column(name), values):
            return [ChosenValue(name, values, guards)]
        case Compare(operator, left, right) if is_truth(left) or is_truth(right):
            right = Not(right) if operator == "!=" else right
            pairs = [(left, right), (right, left)]
            pairs += [(Not(guard), Not(then)) for guard, then in pairs]
            return [r for guard, then in pairs for r in repair_rules_of(then, (*guards, guard))]
        case Compare():
            return repairs_of_comparison(node, guards)
    return []


def as_member(parts: tuple[Node, ...]) -> Member | None:
    """a == 1 or a == 2 as a in {1, 2}."""
    names, values = set(), []
    for part in parts:
        match part:
            case Compare("==", Column(name), Constant(value)):
                names.add(name)
                values.append(value)
            case _:
                return None
    return Member(Column(names.pop()), tuple(values)) if len(names) == 1 else None


def negated(node: Node) -> Node | None:
    """The opposite without a `not` at its top; None where there is none."""
    match node:
        case Not(of):
            return of
        case And(parts):
            return Or(tuple(Not(part) for part in parts))
        case Or(parts):
            return And(tuple(Not(part) for part in parts))
        case Implies(guard, then):
            return And((guard, Not(then)))
        case Compare(operator, left, right):
            return Compare(NEGATED[operator], left, right)
        case Column():
            return Compare("==", node, Constant(0.0))
    return None


def repairs_of_comparison(node: Compare, guards: Guards) -> list[RepairRule]:
    """Repairs of a comparison between two numbers or two texts."""
    operator, left, right = node.operator, node.left, node.right
    if isinstance(left, Constant) or (isinstance(right, Column) and not isinstance(left, Column)):
        operator, left, right = MIRRORED[operator], right, left
    match left, right:
        case Column(name), Constant(str(value)):
            return [ChosenValue(name, (value,), guards)] if operator == "==" else []
    if any(isinstance(c, Constant) and isinstance(c.value, str) for c in (left, right)):
        return []
    if operator == "!=":
        return []
    if operator == "==":
        linear = linear_constraint(left, right, True, False, guards)
        return [linear] if linear else computed_column(left, right, guards)
    if operator in (">", ">="):
        operator, left, right = MIRRORED[operator], right, left
    return repairs_of_order(left, right, operator == "<", guards)


def repairs_of_order(less: Node, more: Node, is_strict: bool, guards: Guards) -> list[RepairRule]:
    """Repairs of less <= more, or of less < more."""
    if linear := linear_constraint(less, more, False, is_strict, guards):
        return [linear]
    match less, more:
        case Call("max", parts), _:
            return [r for part in parts for r in repairs_of_order(part, more, is_strict, guards)]
        case _, Call("min", parts):
            return [r for part in parts for r in repairs_of_order(less, part, is_strict, guards)]
        case Call("abs", (of,)), _:
            one, other = (
                linear_constraint(side, more, False, is_strict, guards)
                for side in (of, Negative(of))
            )
            if one and other:
                return [one, other]
            return computed_column(of, DEVIATION, guards, Tolerance(of, more))
        case _, Column(name) if name not in columns(less):
            return [ComputedColumn(((name, Call("max", (more, less))),), guards)]
        case Column(name), _ if name not in columns(more):
            return [ComputedColumn(((name, Call("min", (less, more))),), guards)]
    return []


def linear_constraint(
    left: Node, right: Node, is_equality: bool, is_strict: bool, guards: Guards
) -> LinearConstraint | None:
    """left <= right (or == right) as one linear constraint; None where it is not linear."""
    form = linear_form(Sum((left, Negative(right))))
    if form is None or not any(form[0].values()):
        return None
    weights = {name: weight for name, weight in form[0].items() if weight}
    return LinearConstraint(weights, -form[1], is_equality, is_strict, guards)


def linear_form(node: Node) -> tuple[dict[str, float], float] | None:
    """Weights and constant of an expression; None where it is not linear."""
    if not columns(node):
        value = constant(node)
        return None if value is None else ({}, value)
    match node:
        case Column(name):
            return {name: 1.0}, 0.0
        case Negative(of):
            return scaled(linear_form(of), -1.0)
        case Sum(terms):
            weights: dict[str, float] = {}
            total = 0.0
            for term in terms:
                form = linear_form(term)
                if form is None:
                    return None
                total += form[1]
                for name, weight in form[0].items():
                    weights[name] = weights.get(name, 0.0) + weight
            return weights, total
        case Binary("*", left, right) if not columns(left):
            return scaled(linear_form(right), constant(left))
        case Binary("*", left, right) if not columns(right):
            return scaled(linear_form(left), constant(right))
        case Binary("/", left, right) if not columns(right):
            return scaled(linear_form(left), 1 / (constant(right) or 1.0))
    return None


def scaled(
    form: tuple[dict[str, float], float] | None, by: float | None
) -> tuple[dict[str, float], float] | None:
    if form is None or by is None:
        return None
    return {name: weight * by for name, weight in form[0].items()}, form[1] * by


def computed_column(
    left: Node, right: Node, guards: Guards, tolerance: Tolerance | None = None
) -> list[RepairRule]:
    """The equality solved for each column that it names once; first those that are a term."""
    terms = flattened(Sum((left, Negative(right))))
    count = Counter(part.name for part in walk(terms) if isinstance(part, Column))
    del count[DEVIATION.name]
    parts = [term.of if isinstance(term, Negative) else term for term in terms.terms]
    alone = [part.name for part in parts if isinstance(part, Column)]
    names = sorted((n for n, times in count.items() if times == 1), key=lambda n: n not in alone)
    choices = [(name, solution) for name in names if (solution := solved_for(terms, name))]
    return [ComputedColumn(tuple(choices), guards, tolerance)] if choices else []


def flattened(node: Sum) -> Sum:
    """The sum with the terms of the sums in it, and without zeros."""
    terms: list[Node] = []
    for term in node.terms:
        match term:
            case Sum():
                terms += flattened(term).terms
            case Negative(Sum() as inner):
                parts = flattened(inner).terms
                terms += [t.of if isinstance(t, Negative) else Negative(t) for t in parts]
            case Negative(Negative(of)):
                terms += flattened(Sum((of,))).terms
            case Constant(0.0) | Negative(Constant(0.0)):
                continue
            case _:
                terms.append(term)
    return Sum(tuple(terms))


def solved_for(node: Node, name: str, target: Node = ZERO) -> Node | None:
    """The column's value with which node == target; None where it cannot be solved."""
    match node:
        case Column():
            return target
        case Negative(of):
            return solved_for(of, name, Negative(target))
        case Call("round", (of, *_)):  # A value that rounds to itself is one of many.
            return solved_for(of, name, target)
        case Sum(terms):
            inner = next(term for term in terms if name in columns(term))
            rest = tuple(Negative(term) for term in terms if term is not inner)
            zero = target == ZERO
            return solved_for(inner, name, Sum(rest if zero and rest else (target, *rest)))
        case Binary("*", left, right):
            inner, other = (left, right) if name in columns(left) else (right, left)
            return solved_for(inner, name, Binary("/", target, other))
        case Binary("/", left, right) if name in columns(left):
            return solved_for(left, name, Binary("*", target, right))
        case Binary("/", left, right):
            return solved_for(right, name, Binary("/", left, target))
    return None
