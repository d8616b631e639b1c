"""A recursive-descent parser for the small language of rules. Python never runs a rule.

rule        := "if" disjunction "then" rule | disjunction
disjunction := conjunction ("or" conjunction)*
conjunction := negation ("and" negation)*
negation    := "not" negation | comparison
comparison  := sum ((== != < <= > >=) sum)* | sum ["not"] "in" {values}
             | sum "is" ["not"] "missing"
sum         := product ((+ -) product)*           product := signed ((* /) signed)*
signed      := (- +) signed | atom ["**" signed]
atom        := number | date | 'text' | column | `any column` | function(sum, ...) | "(" rule ")"
date        := 2024-01-31 | 2024-01-31T12:30 | 2024-01-31T12:30:59
"""

import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple, NoReturn

from advaug.core.known_names import did_you_mean
from advaug.domains.tables.rules.evaluation import constant
from advaug.domains.tables.rules.syntax_tree import (
    COMPARISONS,
    DATE_FUNCTIONS,
    FUNCTIONS,
    ORDER,
    RESERVED,
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
    children,
    columns,
    walk,
)

LONGEST = 10_000  # A rule has at most so many characters.
DEEPEST = 40  # Brackets, signs and powers are nested at most so deep.
DEEPEST_TREE = 120  # Brackets and chains of factors together make a tree at most so deep.
LARGEST_POWER = 100  # An exponent that is written as a number is at most so large.

TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<date>\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?)"
    r"|(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<text>'[^'\n]*'|\"[^\"\n]*\")"
    r"|(?P<column>`[^`\n]+`)"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<symbol>\*\*|==|!=|<=|>=|[-+*/<>(){}\[\],])"
)
HINTS = {  # characters that are not part of the language -> what to write instead
    ".": "attributes are not part of the language; a column with a dot is written `in.backticks`",
    "=": "an equality is written ==",
    "&": "write and",
    "|": "write or",
    "~": "write not",
    "!": "write not, or != between values",
    "^": "a power is written **",
    ":": "it is not part of the language; a time stands behind its date and a T, 2024-01-31T12:00",
    "%": "remainders are not part of the language",
    "'": "the text is not closed",
    '"': "the text is not closed",
    "`": "the column is not closed",
}


class ConstraintSyntaxError(ValueError):
    """A rule that cannot be parsed or does not fit the columns; the message says where and why."""

    def __init__(self, reason: str, text: str, at: int, width: int = 1) -> None:
        start = max(0, at - 60)  # A long rule is cut around the place.
        line = text[start : at + 60].replace("\n", " ").replace("\t", " ")
        caret = " " * (at - start) + "^" * max(1, min(width, len(line) - (at - start)))
        super().__init__(f"{reason} (character {at + 1} of the rule)\n  {line}\n  {caret}")
        self.reason, self.at = reason, at


class Token(NamedTuple):
    kind: str
    text: str
    at: int


def parse(text: str) -> Node:
    """The syntax tree of a rule; `ConstraintSyntaxError` with place and reason."""
    if len(text) > LONGEST:
        raise ConstraintSyntaxError(
            f"the rule has {len(text)} characters: at most {LONGEST}", text, LONGEST
        )
    reader = Reader(text)
    tree = reader.rule()
    if reader.token.kind != "end":
        reader.fail(f"{reader.token.text!r} is not expected here")
    refuse_depth(tree, text)
    refuse_values(tree, text)
    if not columns(tree):
        raise ConstraintSyntaxError("the rule names no column", text, 0, len(text))
    for node in walk(tree):
        refuse_constants(node, text)
    return tree


def refuse_depth(tree: Node, text: str) -> None:
    """`ConstraintSyntaxError` for a tree that recursive functions could not descend."""
    level = [tree]
    for _ in range(DEEPEST_TREE):
        level = [child for node in level for child in children(node)]
        if not level:
            return
    reason = f"brackets and factors make the rule deeper than {DEEPEST_TREE} levels"
    raise ConstraintSyntaxError(reason, text, level[0].at)


def tokens(text: str) -> list[Token]:
    """Words and symbols with their places, and an "end" after the last one."""
    result, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            reason = HINTS.get(text[at], "it is not part of the language")
            raise ConstraintSyntaxError(f"{text[at]!r} cannot stand here: {reason}", text, at)
        kind = str(match.lastgroup)
        if kind != "space":
            result.append(Token(kind, match.group(), at))
        at = match.end()
    return [*result, Token("end", "the end", len(text))]


class Reader:
    """Descends through the grammar with one token of look-ahead."""

    def __init__(self, text: str) -> None:
        self.text, self.tokens, self.place, self.depth = text, tokens(text), 0, 0

    @property
    def token(self) -> Token:
        return self.tokens[self.place]

    def fail(self, reason: str, at: int | None = None, width: int = 1) -> NoReturn:
        """Refuse the rule at the current token or at another place."""
        if at is None:
            at, width = self.token.at, len(self.token.text)
        raise ConstraintSyntaxError(reason, self.text, at, width)

    def accept(self, *words: str) -> Token | None:
        """The token if it is one of the words or symbols; the reader moves to the next one."""
        token = self.token
        if token.kind not in ("name", "symbol") or token.text not in words:
            return None
        self.place += 1
        return token

    def expect(self, word: str) -> None:
        if not self.accept(word):
            self.fail(f"expected {word!r}, got {self.token.text!r}")

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            self.fail(f"nested deeper than {DEEPEST} levels")

    def rule(self) -> Node:
        token = self.accept("if")
        if not token:
            return self.disjunction()
        self.deeper()
        guard = self.disjunction()
        self.expect("then")
        node = Implies(guard, self.rule(), at=token.at)
        self.depth -= 1
        return node

    def disjunction(self) -> Node:
        return self.chain("or", self.conjunction, Or)

    def conjunction(self) -> Node:
        return self.chain("and", self.negation, And)

    def chain(self, word: str, part: Callable[[], Node], kind: type[And] | type[Or]) -> Node:
        """Parts with the word between them; a single part as it is."""
        parts = [part()]
        while self.accept(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else kind(tuple(parts), at=parts[0].at)

    def negation(self) -> Node:
        if token := self.accept("not"):
            self.deeper()
            node = Not(self.negation(), at=token.at)
            self.depth -= 1
            return node
        return self.comparison()

    def comparison(self) -> Node:
        left = self.sum()
        pairs: list[Node] = []
        while token := self.accept(*COMPARISONS):
            right = self.sum()
            pairs.append(Compare(token.text, left, right, at=token.at))
            left = right
        if pairs:
            return pairs[0] if len(pairs) == 1 else And(tuple(pairs), at=pairs[0].at)
        if token := self.accept("is"):
            is_negated = self.accept("not")
            self.expect("missing")
            if not isinstance(left, Column):
                self.fail("only a column can be missing", left.at)
            node: Node = Missing(left, at=token.at)
            return Not(node, at=token.at) if is_negated else node
        is_negated = self.accept("not")
        if token := self.accept("in"):
            node = Member(left, self.values(), at=token.at)
            return Not(node, at=token.at) if is_negated else node
        if is_negated:
            self.fail(f"expected 'in', got {self.token.text!r}")
        return left

    def values(self) -> tuple[float | str, ...]:
        """{1, 2} or {'a', 'b'}."""
        if not self.accept("{", "[", "("):
            self.fail(f"expected values in braces, such as {{1, 2}}, got {self.token.text!r}")
        values: list[float | str] = []
        while not values or self.accept(","):
            node = self.signed()
            if isinstance(node, Negative) and isinstance(node.of, Constant):
                node = Constant(-float(node.of.value), at=node.at)
            if not isinstance(node, Constant):
                self.fail("only numbers and texts can stand in braces", node.at)
            if values and isinstance(node.value, str) != isinstance(values[0], str):
                reason = "numbers and texts cannot stand in the same braces"
                self.fail(reason, node.at)
            values.append(node.value)
        if not self.accept("}", "]", ")"):
            self.fail(f"expected ',' or '}}', got {self.token.text!r}")
        return tuple(values)

    def sum(self) -> Node:
        terms = [self.product()]
        while token := self.accept("+", "-"):
            term = self.product()
            terms.append(Negative(term, at=token.at) if token.text == "-" else term)
        return terms[0] if len(terms) == 1 else Sum(tuple(terms), at=terms[0].at)

    def product(self) -> Node:
        node, length = self.signed(), 0
        while token := self.accept("*", "/"):
            length += 1
            if length > DEEPEST:
                self.fail(f"more than {DEEPEST} factors in a row")
            node = Binary(token.text, node, self.signed(), at=token.at)
        return node

    def signed(self) -> Node:
        self.deeper()
        if token := self.accept("-"):
            node: Node = Negative(self.signed(), at=token.at)
        elif self.accept("+"):
            node = self.signed()
        else:
            node = self.atom()
            if token := self.accept("**"):
                node = Binary("**", node, self.signed(), at=token.at)
        self.depth -= 1
        return node

    def atom(self) -> Node:
        token = self.token
        self.place += 1
        match token.kind, token.text:
            case "number", text:
                if not math.isfinite(float(text)):
                    self.fail("the number is too large", token.at, len(text))
                return Constant(float(text), at=token.at)
            case "date", text:
                return Constant(self.days(text, token.at), at=token.at)
            case "text", text:
                return Constant(text[1:-1], at=token.at)
            case "column", text:
                return Column(text[1:-1], at=token.at)
            case "symbol", "(":
                node = self.rule()
                self.expect(")")
                return node
            case "name", "true" | "false":
                return Constant(float(token.text == "true"), at=token.at)
            case "name", name if self.token.text == "(":
                return self.call(name, token.at)
            case "name", name if name not in RESERVED:
                return Column(name, at=token.at)
        self.place -= 1
        self.fail(f"expected a column, number, text or '(', got {token.text!r}")

    def days(self, text: str, at: int) -> float:
        """Days since 1970, as rules read the cells of a column of dates."""
        try:
            return (datetime.fromisoformat(text) - datetime(1970, 1, 1)) / timedelta(days=1)
        except ValueError:
            self.fail(f"there is no date {text}", at, len(text))

    def call(self, name: str, at: int) -> Node:
        if name not in FUNCTIONS:
            hint = did_you_mean(name, FUNCTIONS, "there are")
            self.fail(f"there is no function {name!r}: {hint}", at, len(name))
        self.expect("(")
        self.deeper()
        arguments = [self.sum()]
        while self.accept(","):
            arguments.append(self.sum())
        self.expect(")")
        self.depth -= 1
        fewest, most = FUNCTIONS[name]
        if not fewest <= len(arguments) <= most:
            asks = str(fewest) if fewest == most else f"{fewest} or more"
            self.fail(f"{name} takes {asks} argument(s), got {len(arguments)}", at)
        return Call(name, tuple(arguments), at=at)


def kind_of(node: Node, text: str, kinds: dict[str, str] | None = None) -> str:
    """ "number", "text", "condition", or "any" of a column that is not known yet.

    `kinds` gives each column's kind: "number", "text", or "boolean", which counts as a number and
    as a condition. `ConstraintSyntaxError` where kinds clash.
    """

    def need(wanted: str, part: Node, what: str) -> None:
        got = kind_of(part, text, kinds)
        if got not in (wanted, "any") and not (got == "boolean" and wanted != "text"):
            name = (
                f"column {part.name!r} is a {got}" if isinstance(part, Column) else f"got a {got}"
            )
            raise ConstraintSyntaxError(f"{what} must be a {wanted}: {name}", text, part.at)

    match node:
        case Constant(value):
            return "text" if isinstance(value, str) else "number"
        case Column(name):
            return "any" if kinds is None else kinds[name]
        case Sum(parts) | Call(_, parts):
            for part in parts:
                need("number", part, "this")
            return "number"
        case Negative(of):
            need("number", of, "what follows a minus")
            return "number"
        case Binary(operator, left, right):
            for part in (left, right):
                need("number", part, f"each side of {operator}")
            return "number"
        case Compare(operator, left, right):
            kind, other = kind_of(left, text, kinds), kind_of(right, text, kinds)
            flags = any({kind, other} <= {"boolean", one} for one in ("number", "condition"))
            if kind != other and "any" not in (kind, other) and not flags:
                raise ConstraintSyntaxError(
                    f"a {kind} is compared with a {other}", text, node.at, len(operator)
                )
            if operator in ORDER:
                for part in (left, right):
                    need("number", part, f"each side of {operator}")
            return "condition"
        case Member(of, values):
            kind = "text" if isinstance(values[0], str) else "number"
            need(kind, of, "what stands before these braces")
            return "condition"
        case Missing():
            return "condition"
        case Not(of):
            need("condition", of, "what follows not")
        case And(parts) | Or(parts):
            for part in parts:
                need("condition", part, "each side of and, or")
        case Implies(guard, then):
            need("condition", guard, "what follows if")
            need("condition", then, "what follows then")
    return "condition"


def refuse_values(tree: Node, text: str, kinds: dict[str, str] | None = None) -> None:
    """`ConstraintSyntaxError` if kinds clash, or if the rule is a number or a text."""
    if kind_of(tree, text, kinds) not in ("condition", "boolean", "any"):
        raise ConstraintSyntaxError(
            "a rule must be a condition, such as a <= b", text, 0, len(text)
        )


def refuse_no_dates(tree: Node, text: str, dates: frozenset[str]) -> None:
    """`ConstraintSyntaxError` if a part of a date is asked of numbers."""
    for node in walk(tree):
        if isinstance(node, Call) and node.function in DATE_FUNCTIONS:
            names = columns(node)
            if not dates & names.keys():
                raise ConstraintSyntaxError(
                    f"{node.function} reads a column of dates, which {', '.join(names)} is not",
                    text,
                    node.at,
                    len(node.function),
                )


def refuse_constants(node: Node, text: str) -> None:
    """`ConstraintSyntaxError` if a part without columns is no finite number, or a power is huge."""
    if isinstance(node, Binary):
        right = constant(node.right)
        if node.operator == "/" and right == 0:
            raise ConstraintSyntaxError("division by zero", text, node.at)
        if node.operator == "**" and right is not None and not abs(right) <= LARGEST_POWER:
            raise ConstraintSyntaxError(
                f"the power is larger than {LARGEST_POWER}", text, node.at, 2
            )
    if isinstance(node, Sum | Negative | Binary | Call):
        value = constant(node)
        if value is not None and not math.isfinite(value):
            raise ConstraintSyntaxError("this is not a finite number", text, node.at)
    if isinstance(node, Call) and node.function == "round" and len(node.arguments) == 2:
        digits = constant(node.arguments[1])
        if digits is None or digits != int(digits) or abs(digits) > 15:
            raise ConstraintSyntaxError(
                "round takes whole digits from -15 to 15", text, node.arguments[1].at
            )
