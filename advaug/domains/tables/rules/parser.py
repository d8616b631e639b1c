"""The small language of rules, read by hand into a tree. Nothing is ever run by Python.

rule    := "if" either "then" rule | either
either  := both ("or" both)*                      both := denied ("and" denied)*
denied  := "not" denied | asked
asked   := sum ((== != < <= > >=) sum)* | sum ["not"] "in" {values} | sum "is" ["not"] "missing"
sum     := product ((+ -) product)*               product := signed ((* /) signed)*
signed  := (- +) signed | atom ["**" signed]
atom    := number | 'text' | column | `any column` | function(sum, ...) | "(" rule ")"
"""

import math
import re
from difflib import get_close_matches
from typing import NamedTuple, NoReturn

from advaug.domains.tables.rules.evaluation import constant
from advaug.domains.tables.rules.syntax_tree import (
    COMPARISONS,
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
    columns,
    walk,
)

LONGEST = 10_000  # characters of a rule
DEEPEST = 40  # brackets, signs and powers within each other
LARGEST_POWER = 100  # a written exponent; one read from a column may be any number

TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<text>'[^'\n]*'|\"[^\"\n]*\")"
    r"|(?P<column>`[^`\n]+`)"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<sign>\*\*|==|!=|<=|>=|[-+*/<>(){}\[\],])"
)
MEANT = {  # what is no part of the language, and what was probably meant
    ".": "attributes are no part of the language; a column with a dot is written `in.backticks`",
    "=": "an equality is written ==",
    "&": "write and",
    "|": "write or",
    "~": "write not",
    "!": "write not, or != between values",
    "^": "a power is written **",
    "%": "there is no remainder",
    "'": "the text is not closed",
    '"': "the text is not closed",
    "`": "the column is not closed",
}


class ConstraintSyntaxError(ValueError):
    """A rule that cannot be read, or does not fit the columns: says where and why."""

    def __init__(self, reason: str, text: str, at: int, width: int = 1) -> None:
        start = max(0, at - 60)  # of a long rule only the surroundings
        line = text[start : at + 60].replace("\n", " ").replace("\t", " ")
        caret = " " * (at - start) + "^" * max(1, min(width, len(line) - (at - start)))
        super().__init__(f"{reason} (character {at + 1} of the rule)\n  {line}\n  {caret}")
        self.reason, self.at = reason, at


class Token(NamedTuple):
    kind: str
    text: str
    at: int


def parse(text: str) -> Node:
    """The tree of a rule; `Refused` with place and reason."""
    if len(text) > LONGEST:
        raise ConstraintSyntaxError(
            f"the rule has {len(text)} characters: at most {LONGEST}", text, LONGEST
        )
    reader = Reader(text)
    tree = reader.rule()
    if reader.now.kind != "end":
        reader.refuse(f"{reader.now.text!r} is not expected here")
    refuse_values(tree, text)
    if not columns(tree):
        raise ConstraintSyntaxError("the rule names no column", text, 0, len(text))
    for node in walk(tree):
        refuse_constants(node, text)
    return tree


def tokens(text: str) -> list[Token]:
    """Words and signs with their places, an 'end' behind them."""
    found, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            reason = MEANT.get(text[at], "it is no part of the language")
            raise ConstraintSyntaxError(f"{text[at]!r} cannot stand here: {reason}", text, at)
        kind = str(match.lastgroup)
        if kind != "space":
            found.append(Token(kind, match.group(), at))
        at = match.end()
    return [*found, Token("end", "the end", len(text))]


class Reader:
    """Descends through the grammar, one token ahead."""

    def __init__(self, text: str) -> None:
        self.text, self.tokens, self.place, self.depth = text, tokens(text), 0, 0

    @property
    def now(self) -> Token:
        return self.tokens[self.place]

    def refuse(self, reason: str) -> NoReturn:
        raise ConstraintSyntaxError(reason, self.text, self.now.at, len(self.now.text))

    def took(self, *words: str) -> Token | None:
        """The token if it is one of the words or signs; the reader steps on."""
        token = self.now
        if token.kind in ("name", "sign") and token.text in words:
            self.place += 1
            return token
        return None

    def need(self, word: str) -> None:
        if not self.took(word):
            self.refuse(f"expected {word!r}, got {self.now.text!r}")

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            self.refuse(f"nested deeper than {DEEPEST} levels")

    def rule(self) -> Node:
        token = self.took("if")
        if not token:
            return self.either()
        self.deeper()
        guard = self.either()
        self.need("then")
        node = Implies(guard, self.rule(), token.at)
        self.depth -= 1
        return node

    def either(self) -> Node:
        parts = [self.both()]
        while self.took("or"):
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else Or(tuple(parts), parts[0].at)

    def both(self) -> Node:
        parts = [self.denied()]
        while self.took("and"):
            parts.append(self.denied())
        return parts[0] if len(parts) == 1 else And(tuple(parts), parts[0].at)

    def denied(self) -> Node:
        if token := self.took("not"):
            self.deeper()
            node = Not(self.denied(), token.at)
            self.depth -= 1
            return node
        return self.asked()

    def asked(self) -> Node:
        left = self.sum()
        pairs: list[Node] = []
        while token := self.took(*COMPARISONS):
            right = self.sum()
            pairs.append(Compare(token.text, left, right, token.at))
            left = right
        if pairs:
            return pairs[0] if len(pairs) == 1 else And(tuple(pairs), pairs[0].at)
        if token := self.took("is"):
            denies = self.took("not")
            self.need("missing")
            if not isinstance(left, Column):
                raise ConstraintSyntaxError("only a column can be missing", self.text, left.at)
            asked: Node = Missing(left, token.at)
            return Not(asked, token.at) if denies else asked
        denies = self.took("not")
        if token := self.took("in"):
            asked = Member(left, self.values(), token.at)
            return Not(asked, token.at) if denies else asked
        if denies:
            self.refuse(f"expected 'in', got {self.now.text!r}")
        return left

    def values(self) -> tuple[float | str, ...]:
        """{1, 2} or {'a', 'b'}."""
        if not self.took("{", "[", "("):
            self.refuse(f"expected values in braces, such as {{1, 2}}, got {self.now.text!r}")
        values: list[float | str] = []
        while not values or self.took(","):
            node = self.signed()
            if isinstance(node, Negative) and isinstance(node.of, Constant):
                node = Constant(-float(node.of.value), node.at)
            if not isinstance(node, Constant):
                raise ConstraintSyntaxError(
                    "only numbers and texts can stand in braces", self.text, node.at
                )
            if values and isinstance(node.value, str) != isinstance(values[0], str):
                reason = "numbers and texts cannot stand in the same braces"
                raise ConstraintSyntaxError(reason, self.text, node.at)
            values.append(node.value)
        if not self.took("}", "]", ")"):
            self.refuse(f"expected ',' or '}}', got {self.now.text!r}")
        return tuple(values)

    def sum(self) -> Node:
        terms = [self.product()]
        while token := self.took("+", "-"):
            term = self.product()
            terms.append(Negative(term, token.at) if token.text == "-" else term)
        return terms[0] if len(terms) == 1 else Sum(tuple(terms), terms[0].at)

    def product(self) -> Node:
        node, length = self.signed(), 0
        while token := self.took("*", "/"):
            length += 1
            if length > DEEPEST:
                self.refuse(f"more than {DEEPEST} factors in a row")
            node = Binary(token.text, node, self.signed(), token.at)
        return node

    def signed(self) -> Node:
        self.deeper()
        if token := self.took("-"):
            node: Node = Negative(self.signed(), token.at)
        elif self.took("+"):
            node = self.signed()
        else:
            node = self.atom()
            if token := self.took("**"):
                node = Binary("**", node, self.signed(), token.at)
        self.depth -= 1
        return node

    def atom(self) -> Node:
        token = self.now
        self.place += 1
        match token.kind, token.text:
            case "number", text:
                if not math.isfinite(float(text)):
                    raise ConstraintSyntaxError(
                        "the number is too large", self.text, token.at, len(text)
                    )
                return Constant(float(text), token.at)
            case "text", text:
                return Constant(text[1:-1], token.at)
            case "column", text:
                return Column(text[1:-1], token.at)
            case "sign", "(":
                node = self.rule()
                self.need(")")
                return node
            case "name", "true" | "false":
                return Constant(float(token.text == "true"), token.at)
            case "name", name if self.now.text == "(":
                return self.call(name, token.at)
            case "name", name if name not in RESERVED:
                return Column(name, token.at)
        self.place -= 1
        self.refuse(f"expected a column, number, text or '(', got {token.text!r}")

    def call(self, name: str, at: int) -> Node:
        if name not in FUNCTIONS:
            close = get_close_matches(name, FUNCTIONS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(FUNCTIONS)}"
            raise ConstraintSyntaxError(
                f"there is no function {name!r}: {hint}", self.text, at, len(name)
            )
        self.need("(")
        self.deeper()
        arguments = [self.sum()]
        while self.took(","):
            arguments.append(self.sum())
        self.need(")")
        self.depth -= 1
        fewest, most = FUNCTIONS[name]
        if not fewest <= len(arguments) <= most:
            asks = str(fewest) if fewest == most else f"{fewest} or more"
            raise ConstraintSyntaxError(
                f"{name} takes {asks} argument(s), got {len(arguments)}", self.text, at
            )
        return Call(name, tuple(arguments), at)


def kind_of(node: Node, text: str, kinds: dict[str, str] | None = None) -> str:
    """'number', 'text', 'truth', or 'any' of a column not known yet; `Refused` where kinds clash.

    `kinds` says of each column whether it holds numbers, texts, or truths (which count as both).
    """

    def need(wanted: str, part: Node, why: str) -> None:
        got = kind_of(part, text, kinds)
        if got not in (wanted, "any") and not (got == "boolean" and wanted in ("truth", "number")):
            name = (
                f"column {part.name!r} is a {got}" if isinstance(part, Column) else f"got a {got}"
            )
            raise ConstraintSyntaxError(f"{why} a {wanted}: {name}", text, part.at)

    match node:
        case Constant(value):
            return "text" if isinstance(value, str) else "number"
        case Column(name):
            return "any" if kinds is None else kinds[name]
        case Sum(parts) | Call(_, parts):
            for part in parts:
                need("number", part, "this must be")
            return "number"
        case Negative(of):
            need("number", of, "a minus needs")
            return "number"
        case Binary(operator, left, right):
            for part in (left, right):
                need("number", part, f"{operator} needs on both sides")
            return "number"
        case Compare(operator, left, right):
            kind, other = kind_of(left, text, kinds), kind_of(right, text, kinds)
            flags = {kind, other} <= {"boolean", "number"} or {kind, other} <= {"boolean", "truth"}
            if kind != other and "any" not in (kind, other) and not flags:
                raise ConstraintSyntaxError(
                    f"a {kind} is compared with a {other}", text, node.at, len(operator)
                )
            if operator in ORDER:
                for part in (left, right):
                    need("number", part, f"{operator} needs on both sides")
            if operator == "!=" and "truth" in (kind, other):
                raise ConstraintSyntaxError(
                    "write not (... == ...) between truths", text, node.at, 2
                )
            return "truth"
        case Member(of, values):
            need("text" if isinstance(values[0], str) else "number", of, "what is in braces needs")
            return "truth"
        case Missing():
            return "truth"
        case Not(of):
            need("truth", of, "not needs")
        case And(parts) | Or(parts):
            for part in parts:
                need("truth", part, "and, or need on both sides")
        case Implies(guard, then):
            need("truth", guard, "if needs")
            need("truth", then, "then needs")
    return "truth"


def refuse_values(tree: Node, text: str, kinds: dict[str, str] | None = None) -> None:
    """Refused if kinds clash, or the whole is a number or a text."""
    if kind_of(tree, text, kinds) not in ("truth", "boolean", "any"):
        raise ConstraintSyntaxError(
            "a rule must be true or false, such as a <= b", text, 0, len(text)
        )


def refuse_constants(node: Node, text: str) -> None:
    """Refused if a part without columns is no number, or a power is huge."""
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
            raise ConstraintSyntaxError("this is no finite number", text, node.at)
    if isinstance(node, Call) and node.function == "round" and len(node.arguments) == 2:
        digits = constant(node.arguments[1])
        if digits is None or digits != int(digits) or abs(digits) > 15:
            raise ConstraintSyntaxError(
                "round takes whole digits from -15 to 15", text, node.arguments[1].at
            )
