"""The search for a universal trigger: token by token, from the row outwards, with a beam."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.attacks.black_box import MAX_CELLS
from advaug.core.ties import largest_size, stable_topk
from advaug.domains.sequences.attacks.candidates import EditProblem
from advaug.domains.sequences.attacks.embedding import embedded, vectors_or_none
from advaug.domains.sequences.space import EditSpace
from advaug.domains.sequences.splicing import END, lengths, spliced

SOFT = 0.125  # of the rows' median worth: how sharply what is over is told from what is not
TINY = 1e-9


def insert_trigger(
    x: Int[Tensor, "batch length"],
    outward: Int[Tensor, "batch tokens"],
    edits: EditSpace,
    budget: Int[Tensor, " batch"],
    *,
    at_end: bool,
) -> Int[Tensor, "batch length"]:
    """The rows with as many of the tokens as they may take, the first one next to the row.

    A row where words would run together, or a frozen token would be lost, stays.
    """
    count, width = lengths(x), outward.shape[1]
    room = count if edits.keeps_length else x.shape[1] - count
    size = budget.minimum(room).minimum((outward != END).sum(1))
    removed = size if edits.keeps_length else torch.zeros_like(size)
    if at_end:
        start, near = count - removed, count - removed - 1
    else:
        start, near = torch.zeros_like(count), removed
    row = torch.arange(len(x), device=x.device)
    inside = (near >= 0) & (near < count)
    near = near.clamp(0, x.shape[1] - 1)
    beside = torch.where(inside, x[row, near], END)
    first = outward[:, 0]
    fits = edits.meet(beside, first) if at_end else edits.meet(first, beside)
    led = x
    if not at_end and edits.seams is not None:  # a blank before the row's first word costs an edit
        twin = edits.seams.twin(edits.plain(beside)).masked_fill(edits.is_frozen(beside), -1)
        turned = ~fits & (twin >= 0) & (budget > 1) & (not edits.keeps_length)
        led, size = x.clone(), size.minimum(budget - turned.long())
        led[row[turned], near[turned]] = twin[turned]
        fits = fits | turned
    at = torch.arange(width, device=x.device)
    block = outward if at_end else outward.gather(1, (size[:, None] - 1 - at).clamp_min(0))
    held = edits.is_frozen(x) & in_window(x, start, removed)
    fits = fits & (size > 0) & ~held.any(1)
    return torch.where(fits[:, None], spliced(led, start, removed, block, size), x)


def in_window(
    x: Int[Tensor, "batch length"], start: Int[Tensor, " batch"], size: Int[Tensor, " batch"]
) -> Bool[Tensor, "batch length"]:
    """Which places lie in a window of each row."""
    at = torch.arange(x.shape[1], device=x.device)
    return (at >= start[:, None]) & (at < (start + size)[:, None])


@dataclass(frozen=True)
class TriggerSearch:
    """The search for one trigger on some rows; triggers are held from the row outwards."""

    problem: EditProblem
    at_end: bool
    before: Float[Tensor, " rows"]  # the objective of the rows without it
    soft: float  # the objective that counts as clearly over
    pool: Int[Tensor, " some"]  # tokens that may be taken
    table: Float[Tensor, "tokens width"] | None
    alone: Float[Tensor, " tokens"] | None = None  # what each token of the pool does by itself

    @classmethod
    def of(cls, problem: EditProblem, before: Tensor, most: int, *, at_end: bool) -> Self:
        """The search on these rows; a model without an embedding is queried about `most` tokens."""
        pool = tokens_of(problem.edits)
        table = vectors_or_none(problem.objective, problem.edits, problem.seed)
        soft = SOFT * float(before.abs().median()) + TINY
        if table is not None:
            return cls(problem, at_end, before, soft, pool, table)
        search = cls(problem, at_end, before, soft, pool[:most], None)
        return replace(search, alone=search.worth(search.pool[:, None]))

    def found(
        self, length: int, n_sweeps: int, n_candidates: int, beam_width: int
    ) -> Int[Tensor, " length"]:
        """The best trigger that is found, each token looked for `n_sweeps` times anew."""
        leaders = self.pool.new_zeros(1, 0)
        for place in [*range(length)] * (1 + n_sweeps):
            every = self._varied(leaders, place, n_candidates)
            leaders = every[stable_topk(self.worth(every)[None], min(beam_width, len(every)))[0]]
        return leaders[0]

    def _varied(
        self, leaders: Int[Tensor, "some tokens"], place: int, n_candidates: int
    ) -> Int[Tensor, "more tokens_or_one_more"]:
        """The triggers, and those that differ from one at a place, or are longer by it."""
        grows = place == leaders.shape[1]
        if grows:
            leaders = torch.cat([leaders, self.pool[:1].expand(len(leaders), 1)], 1)
        tried = [] if grows else [leaders]
        for one in leaders:
            if place and (one[place] == END or one[place - 1] == END):
                continue
            known = one[:place] if grows else one
            rank = self._ranked(known, place).masked_fill(~self._fitting(known, place), -torch.inf)
            unit = largest_size(rank[None])
            top = stable_topk(rank[None], min(n_candidates, len(rank)), unit)[0]
            new = self.pool[top[rank[top] > -torch.inf]]
            many = one.repeat(len(new), 1)
            many[:, place] = new
            tried.append(many)
        every: Tensor = torch.cat([*tried, leaders[:0]]).unique(dim=0)
        if len(every):
            return every
        return leaders.index_fill(1, leaders.new_tensor([place]), END)  # nothing may follow

    def _fitting(self, one: Int[Tensor, " tokens"], place: int) -> Bool[Tensor, " pool"]:
        """Tokens of the pool that may stand at a place of a trigger."""
        fits = torch.ones_like(self.pool, dtype=torch.bool)
        for near in (place - 1, place + 1):
            if not 0 <= near < len(one) or one[near] == END:
                continue
            beside = one[near].expand_as(self.pool)
            # At the end outwards is onwards; at the start it is backwards.
            is_left = (near < place) == self.at_end
            pair = (beside, self.pool) if is_left else (self.pool, beside)
            free = self.problem.edits.anywhere()
            fits &= self.problem.edits.seen(*pair) | (
                (torch.isin(pair[0], free) | torch.isin(pair[1], free))
                & self.problem.edits.meet(*pair)
            )
        return fits

    def _ranked(self, one: Int[Tensor, " tokens"], place: int) -> Float[Tensor, " pool"]:
        """What each token of the pool promises at a place of a trigger."""
        if self.table is None:
            return self.alone  # type: ignore[return-value]
        width = max(
            MAX_CELLS // max(len(self.pool), self.problem.seed.shape[1] * self.table.shape[1]), 1
        )
        gains = [
            self._promised(one, place, rows)
            for rows in torch.arange(len(self.problem.seed), device=self.problem.seed.device).split(
                width
            )
        ]
        return torch.stack(gains).sum(0)

    def _promised(self, one: Tensor, place: int, rows: Tensor) -> Float[Tensor, " pool"]:
        """To first order, the share over with each token, added up over some rows."""
        problem = self.problem.take(rows)
        held = one if place < len(one) else torch.cat([one, self._neutral(one)])
        x = self._with(held[None], rows)
        with embedded(problem.objective, x.to(problem.seed)) as (value, vector):
            (gradient,) = torch.autograd.grad(value.sum(), vector)
        value = value.detach().to(problem.seed)
        gradient, vector = gradient.to(problem.seed), vector.detach().to(problem.seed)
        count = lengths(x)
        size = (count - lengths(problem.tokens)).clamp_min(0)
        if problem.edits.keeps_length:
            size = problem.budget.minimum(count).clamp_max(len(held))
        at = count - size + place if self.at_end else size - 1 - place
        takes = (place < size) & (x != problem.tokens).any(1)
        at = at.clamp(0, x.shape[1] - 1)
        row = torch.arange(len(rows), device=x.device)
        slope, old = gradient[row, at], vector[row, at]
        gain = slope @ self.table[self.pool].T - (slope * old).sum(1)[:, None]  # type: ignore[index]
        promised: Tensor = self._over(value[:, None] + gain * takes[:, None], rows).sum(0)
        return promised

    def _neutral(self, one: Int[Tensor, " tokens"]) -> Int[Tensor, " one"]:
        """The most frequent token that may come next: where a gradient is taken first."""
        fits = self._fitting(one, len(one))
        if not len(one) and self.at_end and self.problem.edits.seams is not None:
            opens = self.problem.edits.seams.opens[self.pool]
            fits = opens if bool(opens.any()) else fits
        return self.pool[fits.long().argmax()][None]

    def _over(self, value: Float[Tensor, "rows *more"], rows: Tensor) -> Tensor:
        """Near 1 for rows that are over, near 0 for others; surer than before counts as before."""
        floor = self.before[rows].view(-1, *[1] * (value.dim() - 1))
        return (value.maximum(floor) / self.soft).sigmoid()

    def _with(self, triggers: Int[Tensor, "some tokens"], rows: Tensor) -> Tensor:
        """Each trigger at each of the rows, trigger by trigger."""
        problem = self.problem.take(rows.repeat(len(triggers)))
        every = triggers.repeat_interleave(len(rows), 0)
        return insert_trigger(
            problem.tokens, every, problem.edits, problem.budget, at_end=self.at_end
        )

    def worth(self, triggers: Int[Tensor, "some tokens"]) -> Float[Tensor, " some"]:
        """The softened share of rows that are over with each trigger: as many queries as rows."""
        rows = torch.arange(len(self.problem.seed), device=self.problem.seed.device)
        many = max(MAX_CELLS // self.problem.seed.numel(), 1)
        means = []
        for part in triggers.split(many):
            place = rows.repeat(len(part))
            value, _ = self.problem.take(place).measure_tokens(self._with(part, rows))
            means.append(self._over(value.view(len(part), -1).T, rows).mean(0))
        return torch.cat(means).nan_to_num(nan=-torch.inf)


def tokens_of(edits: EditSpace) -> Int[Tensor, " some"]:
    """Tokens that the corpus has somewhere free, or that the table puts anywhere; usual first."""
    seen = torch.cat([edits.bigrams.followers.values, edits.anywhere()])
    if not len(seen):
        raise ValueError(
            "a trigger needs tokens that may be put in: SequenceAdapter(moves={'': [...]}) lists "
            "some, only_listed_moves=False takes those of the corpus"
        )
    often = torch.bincount(seen, minlength=edits.size)
    order = often.argsort(descending=True, stable=True)
    return order[: int((often > 0).sum())]
