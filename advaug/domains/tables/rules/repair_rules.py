"""How a broken rule can be mended, read off its tree: planes to project to, columns to compute.

What none of these reaches is mended by the parent's own cells, which keep the rule.
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
    Missing,
    Negative,
    Node,
    Not,
    Or,
    Sum,
    columns,
    walk,
)

MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
DENIED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
ZERO = Constant(0.0)
Guards: TypeAlias = tuple[Node, ...]


@dataclass(frozen=True)
class LinearConstraint:
    """sum of weight * column <= bound (or == bound), where all guards hold."""

    weights: dict[str, float]
    bound: float
    is_equality: bool
    is_strict: bool
    guards: Guards


@dataclass(frozen=True)
class ComputedColumn:
    """One of the columns as an expression of the others; the first is the one that stands alone."""

    choices: tuple[tuple[str, Node], ...]
    guards: Guards


@dataclass(frozen=True)
class ChosenValue:
    """The column takes the nearest of some numbers, or the one text."""

    column: str
    values: tuple[float | str, ...]
    guards: Guards


RepairRule: TypeAlias = LinearConstraint | ComputedColumn | ChosenValue


def repair_rules_of(node: Node, guards: Guards = ()) -> list[RepairRule]:
    """What can be done where the rule is broken."""
    match node:
        case And(parts):
            return [mend for part in parts for mend in repair_rules_of(part, guards)]
        case Implies(guard, then):
            return repair_rules_of(then, (*guards, guard))
        case Or(parts):
            if isinstance(one := as_member(parts), Member):
                return repair_rules_of(one, guards)
            return repair_rules_of(parts[-1], (*guards, *(Not(part) for part in parts[:-1])))
        case Not(of):
            return repair_rules_of(denied, guards) if (denied := negated(of)) else []
        case Column(name):
            return [LinearConstraint({name: 1.0}, 1.0, True, False, guards)]
        case Member(Column(name), values):
            return [ChosenValue(name, values, guards)]
        case Compare(_, left, right) if is_truth(left) or is_truth(right):
            ways = [(left, right), (right, left), (Not(left), Not(right)), (Not(right), Not(left))]
            return [mend for a, b in ways for mend in repair_rules_of(b, (*guards, a))]
        case Compare():
            return of_comparison(node, guards)
    return []


def is_truth(node: Node) -> bool:
    return isinstance(node, Compare | Member | Missing | Not | And | Or | Implies)


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
    """The opposite, without a `not` at its top; None where there is no such."""
    match node:
        case Not(of):
            return of
        case And(parts):
            return Or(tuple(Not(part) for part in parts))
        case Or(parts):
            return And(tuple(Not(part) for part in parts))
        case Implies(guard, then):
            return And((guard, Not(then)))
        case Compare(operator, left, right) if not (is_truth(left) or is_truth(right)):
            return Compare(DENIED[operator], left, right)
        case Column():
            return Compare("==", node, Constant(0.0))
    return None


def of_comparison(node: Compare, guards: Guards) -> list[RepairRule]:
    """Mends of a comparison between two numbers or two texts."""
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
        plane = plane_of(left, right, True, False, guards)
        return [plane] if plane else computed(left, right, guards)
    if operator in (">", ">="):
        operator, left, right = MIRRORED[operator], right, left
    return of_order(left, right, operator == "<", guards)


def of_order(less: Node, more: Node, is_strict: bool, guards: Guards) -> list[RepairRule]:
    """Mends of less <= more."""
    if plane := plane_of(less, more, False, is_strict, guards):
        return [plane]
    match less, more:
        case Call("max", parts), _:
            return [mend for part in parts for mend in of_order(part, more, is_strict, guards)]
        case _, Call("min", parts):
            return [mend for part in parts for mend in of_order(less, part, is_strict, guards)]
        case Call("abs", (of,)), _:
            sides = [plane_of(side, more, False, is_strict, guards) for side in (of, Negative(of))]
            planes = [side for side in sides if side]
            return [*planes] if len(planes) == 2 else computed(of, Constant(0.0), guards)
        case _, Column(name) if name not in columns(less):
            return [ComputedColumn(((name, Call("max", (more, less))),), guards)]
        case Column(name), _ if name not in columns(more):
            return [ComputedColumn(((name, Call("min", (less, more))),), guards)]
    return []


def plane_of(
    left: Node, right: Node, is_equality: bool, is_strict: bool, guards: Guards
) -> LinearConstraint | None:
    form = linear(Sum((left, Negative(right))))
    if form is None or not any(form[0].values()):
        return None
    weights = {name: weight for name, weight in form[0].items() if weight}
    return LinearConstraint(weights, -form[1], is_equality, is_strict, guards)


def linear(node: Node) -> tuple[dict[str, float], float] | None:
    """Weights and constant of a linear expression, None where it is not linear."""
    if not columns(node):
        value = constant(node)
        return None if value is None else ({}, value)
    match node:
        case Column(name):
            return {name: 1.0}, 0.0
        case Negative(of):
            return scaled(linear(of), -1.0)
        case Sum(terms):
            weights: dict[str, float] = {}
            total = 0.0
            for term in terms:
                form = linear(term)
                if form is None:
                    return None
                total += form[1]
                for name, weight in form[0].items():
                    weights[name] = weights.get(name, 0.0) + weight
            return weights, total
        case Binary("*", left, right) if not columns(left):
            return scaled(linear(right), constant(left))
        case Binary("*", left, right) if not columns(right):
            return scaled(linear(left), constant(right))
        case Binary("/", left, right) if not columns(right):
            return scaled(linear(left), 1 / (constant(right) or 1.0))
    return None


def scaled(
    form: tuple[dict[str, float], float] | None, by: float | None
) -> tuple[dict[str, float], float] | None:
    if form is None or by is None:
        return None
    return {name: weight * by for name, weight in form[0].items()}, form[1] * by


def computed(left: Node, right: Node, guards: Guards) -> list[RepairRule]:
    """The equality solved for each column that stands in it once, a lone one first."""
    terms = flat(Sum((left, Negative(right))))
    often = Counter(n.name for n in walk(terms) if isinstance(n, Column))
    alone = [
        part.name for term in terms.terms for part in (lone(term),) if isinstance(part, Column)
    ]
    names = sorted((n for n, count in often.items() if count == 1), key=lambda n: n not in alone)
    solved = [(name, solution) for name in names if (solution := isolated(terms, name))]
    return [ComputedColumn(tuple(solved), guards)] if solved else []


def lone(term: Node) -> Node:
    return term.of if isinstance(term, Negative) else term


def flat(node: Sum) -> Sum:
    """Sums within sums opened, as far as plain signs go."""
    terms: list[Node] = []
    for term in node.terms:
        match term:
            case Sum():
                terms += flat(term).terms
            case Negative(Sum() as inner):
                terms += [
                    t.of if isinstance(t, Negative) else Negative(t) for t in flat(inner).terms
                ]
            case Negative(Negative(of)):
                terms += flat(Sum((of,))).terms
            case Constant(0.0):
                continue
            case Negative(Constant(0.0)):
                continue
            case _:
                terms.append(term)
    return Sum(tuple(terms))


def isolated(node: Node, name: str, target: Node = ZERO) -> Node | None:
    """What the column must be for node == target; None where that cannot be solved."""
    match node:
        case Column():
            return target
        case Negative(of):
            return isolated(of, name, Negative(target))
        case Sum(terms):
            inner = next(term for term in terms if name in columns(term))
            rest = tuple(Negative(term) for term in terms if term is not inner)
            zero = target == ZERO
            return isolated(inner, name, Sum(rest if zero and rest else (target, *rest)))
        case Binary("*", left, right):
            inner, other = (left, right) if name in columns(left) else (right, left)
            return isolated(inner, name, Binary("/", target, other))
        case Binary("/", left, right) if name in columns(left):
            return isolated(left, name, Binary("*", target, right))
        case Binary("/", left, right):
            return isolated(right, name, Binary("/", left, target))
    return None
