"""Rules of order in rows of events: what begins a row, what comes before what, what comes once.

The templates are those of DECLARE (Pesic, Schonenberg, van der Aalst. DECLARE: full support for
loosely-structured processes. EDOC 2007). A rule is found where all rows keep it and rows of the
same events in any order would not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.core.tensor_fields import MovableFields
from advaug.domains.sequences.splicing import lengths

MOST_EVENTS = 200  # So many of the most frequent events are compared with each other.
CELLS = 2**21  # Rows times pairs of events that are looked at at once.
FALSE_RULES = 0.01  # Rules that would be found by chance in rows without any.
KINDS = ("init", "end", "absence of a second", "precedence", "response", "not succession")
INIT, END, ONCE, PRECEDENCE, RESPONSE, NOT_SUCCESSION = range(len(KINDS))
NEVER = 2**30


@dataclass(frozen=True)
class OrderRule:
    """A kind of KINDS and one or two events; the second is None where there is one."""

    kind: int
    first: Any
    second: Any = None


@dataclass(frozen=True)
class Occurrences(MovableFields):
    """Of each event, where it stands first and last in each row, and how often it is there."""

    first: Int[Tensor, "rows events"]  # NEVER where the row has none.
    last: Int[Tensor, "rows events"]  # -1 where it has none.
    count: Int[Tensor, "rows events"]
    length: Int[Tensor, " rows"]

    @classmethod
    def of(cls, x: Int[Tensor, "rows length"], n_events: int) -> Self:
        """Of rows of events, -1 behind them; `n_events` and more stand for what is no event."""
        row, place = ((x >= 0) & (x < n_events)).nonzero().T
        cell = row * n_events + x[row, place]
        first = torch.full((len(x) * n_events,), NEVER, device=x.device)
        last, count = torch.full_like(first, -1), torch.zeros_like(first)
        return cls(
            first=first.scatter_reduce(0, cell, place, "amin").view(-1, n_events),
            last=last.scatter_reduce(0, cell, place, "amax").view(-1, n_events),
            count=count.scatter_add(0, cell, torch.ones_like(cell)).view(-1, n_events),
            length=lengths(x),
        )

    def take(self, rows: slice) -> "Occurrences":
        return Occurrences(self.first[rows], self.last[rows], self.count[rows], self.length[rows])

    def keep(
        self, kind: int, a: Int[Tensor, " rules"], b: Int[Tensor, " rules"]
    ) -> Bool[Tensor, "rows rules"]:
        """Which rows keep rules of a kind over the events a, or a and b."""
        if kind == INIT:
            return self.first[:, a] == 0
        if kind == END:
            return self.last[:, a] == self.length[:, None] - 1
        if kind == ONCE:
            return self.count[:, a] <= 1
        if kind == PRECEDENCE:
            return (self.count[:, b] == 0) | (self.first[:, a] < self.first[:, b])
        if kind == RESPONSE:
            return (self.count[:, a] == 0) | (self.last[:, b] > self.last[:, a])
        return self.first[:, a] > self.last[:, b]  # A row without one of them keeps it.

    def shows(
        self, kind: int, a: Int[Tensor, " rules"], b: Int[Tensor, " rules"]
    ) -> Bool[Tensor, "rows rules"]:
        """Which rows hold what the rules speak of."""
        if kind == PRECEDENCE:
            return self.count[:, b] > 0
        is_there = self.count[:, a] > 0
        return is_there & (self.count[:, b] > 0) if kind == NOT_SUCCESSION else is_there

    def by_chance(
        self, kind: int, a: Int[Tensor, " rules"], b: Int[Tensor, " rules"]
    ) -> Float[Tensor, "rows rules"]:
        """The probability that a row breaks a rule if its events stood in any order.

        Of `absence of a second`: if the event came independently of itself.
        """
        one, two = (self.count[:, event].double() for event in (a, b))
        if kind in (INIT, END):
            return 1 - one / self.length[:, None].clamp_min(1)
        if kind == ONCE:
            mean = one.mean(0)
            share = 1 - mean * (-mean).exp() / (1 - (-mean).exp()).clamp_min(1e-12)
            return (one > 0) * share.clamp_min(0)
        if kind in (PRECEDENCE, RESPONSE):
            return (two if kind == PRECEDENCE else one) / (one + two).clamp_min(1)
        ways = torch.lgamma(one + two + 1) - torch.lgamma(one + 1) - torch.lgamma(two + 1)
        return ((one > 0) & (two > 0)) * (1 - (-ways).exp())


@dataclass(frozen=True)
class FoundOrder:
    """A rule that all rows keep, how many show it, and how many would break it by chance."""

    rule: OrderRule
    support: int
    by_chance: float


def find_order_rules(x: Int[Tensor, "rows length"], tokens: Sequence[Any]) -> list[FoundOrder]:
    """The rules that all rows of token numbers keep, without those that follow from others.

    Examples
    --------
    >>> import torch
    >>> from advaug.domains.sequences.order_rules import find_order_rules
    >>> rows = torch.tensor([[0, 1, 2, 3], [0, 2, 1, 3], [0, 2, 2, 3]]).repeat(30, 1)
    >>> [found.rule for found in find_order_rules(rows, ["in", "see", "buy", "out"])][:2]
    [OrderRule(kind=0, first='in', second=None), OrderRule(kind=1, first='out', second=None)]
    """
    holds = rows_with_token(x, len(tokens))
    least = math.log(len(KINDS) / FALSE_RULES)  # Fewer rows are too few for any rule.
    used = holds.argsort(descending=True, stable=True)[:MOST_EVENTS]
    used = used[holds[used] > least].sort().values
    if not len(used):
        return []
    event = torch.full((len(tokens) + 1,), len(used))
    event[used], event[-1] = torch.arange(len(used)), -1
    rows = Occurrences.of(event[x], len(used))
    candidates = {
        kind: kept_by_all(rows, kind, *pairs_of(kind, rows)) for kind in range(len(KINDS))
    }
    return [
        FoundOrder(named(kind, a, b, [tokens[k] for k in used.tolist()]), support, by_chance)
        for kind, a, b, support, by_chance in without_implied(rows, candidates)
    ]


def rows_with_token(x: Int[Tensor, "rows length"], size: int) -> Int[Tensor, " tokens"]:
    """How many rows hold each token."""
    counts = torch.zeros(size, dtype=torch.long)
    for some in x.split(max(CELLS // x.shape[1], 1)):
        numbered = some + size * torch.arange(len(some))[:, None]
        counts += (numbered[some >= 0].unique() % size).bincount(minlength=size)
    return counts


def named(kind: int, a: int, b: int, events: list[Any]) -> OrderRule:
    return OrderRule(kind, events[a], None if kind <= ONCE else events[b])


def pairs_of(kind: int, rows: Occurrences) -> tuple[Tensor, Tensor]:
    """All events, or the pairs of different ones that enough rows hold for a rule to surprise."""
    n_events = rows.first.shape[1]
    if kind <= ONCE:
        return torch.arange(n_events), torch.arange(n_events)
    is_there = (rows.count > 0).float()
    together = (is_there.T @ is_there).fill_diagonal_(0)
    a, b = (together >= least_chance(n_events)).nonzero().T
    return a, b


def least_chance(n_events: int) -> float:
    """How many rows must break a rule by chance: so that FALSE_RULES are found where none is."""
    return math.log(len(KINDS) * n_events**2 / FALSE_RULES)


def kept_by_all(
    rows: Occurrences, kind: int, a: Int[Tensor, " pairs"], b: Int[Tensor, " pairs"]
) -> tuple[Tensor, Tensor]:
    """Those of the pairs whose rule no row breaks."""
    at = 0
    while at < len(rows.length) and len(a):
        some = rows.take(slice(at, at + max(CELLS // len(a) // 8, 8)))
        holds = some.keep(kind, a, b).all(0)
        at += len(some.length)
        a, b = a[holds], b[holds]
    return a, b


def without_implied(
    rows: Occurrences, candidates: dict[int, tuple[Tensor, Tensor]]
) -> list[tuple[int, int, int, int, float]]:
    """(kind, a, b, support, by chance) of rules that are surprising and do not follow from others.

    a comes before each b: so it does where a begins every row, or where it comes before each c, and
    c before each b. No a comes before any b: so it is where b comes once, and before each a.
    """
    n, found = rows.first.shape[1], {}
    for kind, (a, b) in candidates.items():
        chance, support = torch.zeros(len(a), dtype=torch.double), torch.zeros(len(a))
        step = max(CELLS // max(len(a), 1), 8) if kind != ONCE else len(rows.length)
        for at in range(0, len(rows.length), step):
            some = rows.take(slice(at, at + step))
            chance += some.by_chance(kind, a, b).sum(0)
            support += some.shows(kind, a, b).sum(0)
        is_odd = chance >= least_chance(n)
        found[kind] = (a[is_odd], b[is_odd], support[is_odd], chance[is_odd])
    holds = torch.zeros(len(KINDS), n, n, dtype=torch.bool)
    for kind, (a, b, *_) in found.items():
        holds[kind, a, b] = True
    once, init, end = (holds[kind].diagonal() for kind in (ONCE, INIT, END))
    before, after = holds[PRECEDENCE], holds[RESPONSE]
    implied = torch.zeros_like(holds)
    for kind, has_edge in ((PRECEDENCE, init[:, None]), (RESPONSE, end[None, :])):
        one = holds[kind].float()
        implied[kind] = (one @ one > 0) | has_edge
    first_once, last_once = init & once, end & once
    implied[NOT_SUCCESSION] = (before.T & once[None, :]) | (after.T & once[:, None])
    implied[NOT_SUCCESSION] |= first_once[None, :] | last_once[:, None]
    return [
        (kind, i, j, int(s), float(c))
        for kind, parts in found.items()
        for i, j, s, c in zip(*(part.tolist() for part in parts), strict=True)
        if not implied[kind, i, j]
    ]
