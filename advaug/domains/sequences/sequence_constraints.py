"""Rules that new sequences keep: found ones, those of the user as text, and callables.

Found are rules of order in rows of events, and brackets and quotes that all texts pair.
"""

import ast
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from advaug import containers
from advaug.core.parameters import is_auto
from advaug.domains.sequences.order_rules import (
    END,
    FALSE_RULES,
    INIT,
    KINDS,
    NOT_SUCCESSION,
    ONCE,
    PRECEDENCE,
    RESPONSE,
    Occurrences,
    OrderRule,
    find_order_rules,
)
from advaug.domains.sequences.spelling import PAIRS, QUOTE, balance_of
from advaug.domains.sequences.tokenizer import Tokenizer
from advaug.sampling.constraints import (
    Array,
    CallableConstraints,
    Finding,
    RepairStatus,
    RowConstraints,
    list_of_rules,
)

# How rules are written; a user may write them so, too.
TEXTS = {
    INIT: "starts with {a}",
    END: "ends with {a}",
    ONCE: "{a} at most once",
    PRECEDENCE: "{a} before each {b}",
    RESPONSE: "{b} after each {a}",
    NOT_SUCCESSION: "no {a} before any {b}",
}
TOKEN = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|-?\d+"
PATTERNS = {
    kind: re.compile(text.format(a=f"(?P<a>{TOKEN})", b=f"(?P<b>{TOKEN})"))
    for kind, text in TEXTS.items()
}
MARKS = (*PAIRS, (QUOTE, QUOTE))
MARK_RULES = tuple(
    f"{a} is paired" if a == b else f"{a} and {b} are paired" for a, b in MARKS
)  # In the order of `balance_of`.
PAIRED = "paired marks"


@dataclass(frozen=True)
class OrderRules:
    """Rules of order over the events that they name."""

    rules: tuple[OrderRule, ...]

    @property
    def names(self) -> list[str]:
        return [order_text(rule) for rule in self.rules]

    @cached_property
    def number(self) -> dict[Any, int]:
        """The number of each event that a rule names."""
        named = (event for rule in self.rules for event in (rule.first, rule.second))
        events = dict.fromkeys(event for event in named if event is not None)
        return {event: k for k, event in enumerate(events)}

    def read(self, tokens: Sequence[Any]) -> Int[Tensor, " tokens"]:
        """Tokens as numbers of events; one more for all others."""
        return torch.tensor([self.number.get(token, len(self.number)) for token in tokens]).long()

    def keep(
        self, values: Int[Tensor, "rows length"], length: Int[Tensor, " rows"]
    ) -> Bool[Tensor, "rows rules"]:
        """Which rows of such numbers keep each rule."""
        there = torch.arange(values.shape[1], device=values.device) < length[:, None]
        rows = Occurrences.of(values.masked_fill(~there, -1), len(self.number))
        answers = []
        for rule in self.rules:
            at = [self.number.get(event, 0) for event in (rule.first, rule.second)]
            a, b = torch.tensor(at, device=values.device)[:, None]
            answers.append(rows.keep(rule.kind, a, b)[:, 0])
        return torch.stack(answers, 1)


@dataclass(frozen=True)
class PairRules:
    """Brackets and quotes of some kinds, by their numbers in MARKS, are paired."""

    kinds: tuple[int, ...]

    @property
    def names(self) -> list[str]:
        return [MARK_RULES[kind] for kind in self.kinds]

    def read(self, tokens: Sequence[Any]) -> Int[Tensor, "tokens kinds"]:
        """For each token how many marks it opens less those it closes; quotes are counted."""
        balance = [balance_of(str(token)) for token in tokens]
        return torch.tensor(balance).long().view(-1, len(MARKS))[:, list(self.kinds)]

    def keep(
        self, values: Int[Tensor, "rows length kinds"], length: Int[Tensor, " rows"]
    ) -> Bool[Tensor, "rows kinds"]:
        """Which rows close all that they open, and nothing else; of quotes, hold an even number."""
        there = torch.arange(values.shape[1], device=values.device) < length[:, None]
        depth = (values * there[..., None]).cumsum(1)
        last = depth[:, -1]
        is_quote = torch.tensor([MARKS[kind][0] == QUOTE for kind in self.kinds])
        return torch.where(
            is_quote.to(last.device), last % 2 == 0, (last == 0) & (depth >= 0).all(1)
        )


@dataclass(frozen=True)
class SequenceConstraints(RowConstraints):
    """Rules over sequences. A new row may not break one that its parent keeps.

    Parameters
    ----------
    callables : CallableConstraints
        The user's functions, over the real rows.
    parts : tuple of OrderRules and PairRules
    found : tuple of Finding
    real : dict of rule -> float
        The share of the real rows that keep it.
    cutter : Tokenizer
    words : tuple
        The tokens that encoded rows number.
    """

    callables: CallableConstraints
    parts: tuple[OrderRules | PairRules, ...]
    found: tuple[Finding, ...]
    real: dict[str, float]
    cutter: Tokenizer
    words: tuple[Any, ...]

    @classmethod
    def of(
        cls, rules: Any, X: Any, cutter: Tokenizer, words: tuple[Any, ...], hint: str
    ) -> "SequenceConstraints":
        """The rules as the user gives them, with those found in the rows X where "auto" is one."""
        rules = list_of_rules(rules)
        written = [rule for rule in rules if isinstance(rule, str) and not is_auto(rule)]
        others = [rule for rule in rules if not isinstance(rule, str)]
        rows = containers.sequences(X)
        orders, pairs = given(written, hint), marks_given(written)
        found: list[Finding] = []
        if any(is_auto(rule) for rule in rules):
            more, found = found_in(rows, cutter, words)
            orders += [rule for rule in more[0] if rule not in orders]
            pairs += [kind for kind in more[1] if kind not in pairs]
        parts: tuple[OrderRules | PairRules, ...] = ()
        parts += (OrderRules(tuple(orders)),) if orders else ()
        parts += (PairRules(tuple(pairs)),) if pairs else ()
        callables = CallableConstraints(others, X, "sequences", hint)
        made = cls(callables, parts, tuple(found), {}, cutter, words)
        shares = dict.fromkeys((finding.rule for finding in found), 1.0)
        if written:
            shares = {name: float(kept.mean()) for name, kept in made._kept(rows).items()}
        return replace(made, real=shares)

    @property
    def shares(self) -> dict[str, float]:
        return {**self.real, **self.callables.shares}

    @property
    def findings(self) -> list[Finding]:
        return list(self.found)

    def take(self, rows: Array) -> Self:
        return replace(self, callables=self.callables.take(rows))

    def repair(self, x: Tensor, seed: Tensor, parents: Tensor) -> tuple[Tensor, Tensor]:
        """Rows that break a rule which their parent keeps become that parent."""
        broken = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        for part in self.parts:
            table = self._tables[part].to(x.device)
            kept = [part.keep(table[self._plain(one)], (one != -1).sum(1)) for one in (seed, x)]
            broken |= (kept[0] & ~kept[1]).any(1)
        status = torch.where(broken, RepairStatus.REVERTED, RepairStatus.UNTOUCHED)
        return torch.where(broken[:, None], seed, x), status.to(torch.int8)

    def broken(self, new: Any, rows: Any) -> dict[str, Array]:
        before, after = (self._kept(containers.sequences(one)) for one in (rows, new))
        own = {name: before[name] & ~after[name] for name in before}
        return {**own, **self.callables.broken(new, rows)}

    @cached_property
    def _tables(self) -> dict[Any, Tensor]:
        """What each part reads of the known tokens; the last line is for unknown ones."""
        return {part: part.read([*self.words, None]) for part in self.parts}

    def _plain(self, x: Tensor) -> Int[Tensor, "rows length"]:
        """Known tokens without the mark of being frozen, and one number for all others."""
        size = len(self.words)
        known = torch.where(x >= size, x - size, x).long()
        return torch.where(known < 0, size, known)

    def _kept(self, rows: Sequence[Any]) -> dict[str, Array]:
        """Rule -> which rows keep it."""
        if not self.parts:
            return {}
        numbers, tokens = numbered_rows([self.cutter(row)[0] for row in rows])
        length = (numbers >= 0).sum(1)
        answers: dict[str, Array] = {}
        for part in self.parts:
            kept = part.keep(part.read(tokens)[numbers.clamp_min(0)], length).numpy()
            answers |= dict(zip(part.names, kept.T, strict=True))
        return answers


def numbered_rows(cut: Sequence[Sequence[Any]]) -> tuple[Int[Tensor, "rows length"], list[Any]]:
    """Rows of tokens as numbers, -1 behind them, and the tokens that these stand for."""
    index: dict[Any, int] = {}
    numbers = [[index.setdefault(token, len(index)) for token in row] for row in cut]
    x = torch.full((len(cut), max(map(len, numbers), default=0) or 1), -1)
    for to, row in zip(x, numbers, strict=True):
        to[: len(row)] = torch.tensor(row, dtype=torch.long)
    return x, list(index) or [None]


def order_text(rule: OrderRule) -> str:
    """How a rule of order is written."""
    return TEXTS[rule.kind].format(a=literal(rule.first), b=literal(rule.second))


def literal(token: Any) -> str:
    return repr(str(token) if isinstance(token, str) else int(token or 0))


def given(written: Sequence[str], hint: str) -> list[OrderRule]:
    """The rules of order that a user has written; ValueError for a text that is no rule."""
    rules = []
    for text in written:
        matches = {kind: pattern.fullmatch(text.strip()) for kind, pattern in PATTERNS.items()}
        found = {kind: match for kind, match in matches.items() if match}
        if not found and text.strip() not in MARK_RULES:
            known = ", ".join(one.format(a="'a'", b="'b'") for one in TEXTS.values())
            raise ValueError(
                f"constraints over columns ({text!r}) need a table: for sequences pass callables "
                f"from rows to one bool a row{hint}; or write {known} or {MARK_RULES[0]!r}"
            )
        for kind, match in found.items():
            events = match.groupdict()
            second = ast.literal_eval(events["b"]) if "b" in events else None
            rules.append(OrderRule(kind, ast.literal_eval(events["a"]), second))
    return rules


def marks_given(written: Sequence[str]) -> list[int]:
    """The kinds of marks that a user wants to be paired."""
    return [MARK_RULES.index(text.strip()) for text in written if text.strip() in MARK_RULES]


def found_in(
    rows: Sequence[Any], cutter: Tokenizer, words: tuple[Any, ...]
) -> tuple[tuple[list[OrderRule], list[int]], list[Finding]]:
    """The rules that all rows keep: of order in lists of tokens, of pairs in texts."""
    if not rows:
        return ([], []), []
    if isinstance(rows[0], str):
        kinds, findings = found_pairs(rows)
        return ([], kinds), findings
    # Rows that repeat others say nothing new.
    numbers, tokens = numbered_rows(list(dict.fromkeys(tuple(cutter(row)[0]) for row in rows)))
    found = find_order_rules(numbers, tokens)
    findings = [
        Finding(order_text(one.rule), KINDS[one.rule.kind], one.support, one.by_chance)
        for one in found
    ]
    return ([one.rule for one in found], []), findings


def found_pairs(rows: Sequence[str]) -> tuple[list[int], list[Finding]]:
    """The marks that all texts pair, and that many hold.

    By chance: of n pairs of brackets in any order a share n / (n + 1) is not closed (Catalan's
    numbers), and half of the numbers of quotes are odd.
    """
    kinds, findings = [], []
    for kind, (opens, closes) in enumerate(MARKS):
        held = [row for row in rows if opens in row or closes in row]
        if not held:
            continue
        numbers, signs = numbered_rows([[s for s in row if s in (opens, closes)] for row in held])
        part = PairRules((kind,))
        if not part.keep(part.read(signs)[numbers.clamp_min(0)], (numbers >= 0).sum(1)).all():
            continue
        pairs = [row.count(opens) for row in held]
        chance = sum(0.5 if opens == closes else n / (n + 1) for n in pairs)
        if chance >= math.log(len(MARKS) / FALSE_RULES):
            kinds.append(kind)
            findings.append(Finding(MARK_RULES[kind], PAIRED, len(held), chance))
    return kinds, findings
