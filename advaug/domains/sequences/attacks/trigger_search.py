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

SOFTNESS = 0.125  # of the rows' median objective: width of the soft edge of success
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

    A row stays where words would run together or a frozen token would be lost.
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
    fits = edits.stay_apart(beside, first) if at_end else edits.stay_apart(first, beside)
    spaced = x
    if not at_end and edits.join_rules is not None:
        form = edits.join_rules.spaced_form(edits.plain(beside))
        form = form.masked_fill(edits.is_frozen(beside), -1)
        takes_space = ~fits & (form >= 0) & (budget > 1) & (not edits.keeps_length)
        size = size.minimum(budget - takes_space.long())  # the space costs an edit
        spaced = x.clone()
        spaced[row[takes_space], near[takes_space]] = form[takes_space]
        fits = fits | takes_space
    at = torch.arange(width, device=x.device)
    block = outward if at_end else outward.gather(1, (size[:, None] - 1 - at).clamp_min(0))
    held = edits.is_frozen(x) & in_window(x, start, removed)
    fits = fits & (size > 0) & ~held.any(1)
    return torch.where(fits[:, None], spliced(spaced, start, removed, block, size), x)


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
    softness: float  # the objective that counts as a clear success
    candidates: Int[Tensor, " some"]  # tokens that a trigger may hold
    table: Float[Tensor, "tokens width"] | None
    single_scores: Float[Tensor, " tokens"] | None = None  # of triggers of one candidate

    @classmethod
    def of(
        cls, problem: EditProblem, before: Tensor, max_queried_tokens: int, *, at_end: bool
    ) -> Self:
        """The search on these rows; a model without an embedding limits the candidates."""
        candidates = tokens_of(problem.edits)
        table = vectors_or_none(problem.objective, problem.edits, problem.seed)
        softness = SOFTNESS * float(before.abs().median()) + TINY
        if table is not None:
            return cls(problem, at_end, before, softness, candidates, table)
        search = cls(problem, at_end, before, softness, candidates[:max_queried_tokens], None)
        return replace(search, single_scores=search.scores(search.candidates[:, None]))

    def run(
        self, length: int, n_sweeps: int, n_candidates: int, beam_width: int
    ) -> Int[Tensor, " length"]:
        """The best trigger that is found; each token is searched again `n_sweeps` times."""
        beam = self.candidates.new_zeros(1, 0)
        for place in [*range(length)] * (1 + n_sweeps):
            every = self._variants(beam, place, n_candidates)
            beam = every[stable_topk(self.scores(every)[None], min(beam_width, len(every)))[0]]
        return beam[0]

    def _variants(
        self, beam: Int[Tensor, "some tokens"], place: int, n_candidates: int
    ) -> Int[Tensor, "more tokens_or_one_more"]:
        """The triggers, and those that differ from one at a place, or are longer by it."""
        grows = place == beam.shape[1]
        if grows:
            beam = torch.cat([beam, self.candidates[:1].expand(len(beam), 1)], 1)
        tried = [] if grows else [beam]
        for one in beam:
            if place and (one[place] == END or one[place - 1] == END):
                continue
            known = one[:place] if grows else one
            score = self._scores_at(known, place)
            score = score.masked_fill(~self._allowed(known, place), -torch.inf)
            unit = largest_size(score[None])
            top = stable_topk(score[None], min(n_candidates, len(score)), unit)[0]
            new = self.candidates[top[score[top] > -torch.inf]]
            many = one.repeat(len(new), 1)
            many[:, place] = new
            tried.append(many)
        every: Tensor = torch.cat([*tried, beam[:0]]).unique(dim=0)
        if len(every):
            return every
        return beam.index_fill(1, beam.new_tensor([place]), END)  # nothing may follow

    def _allowed(self, one: Int[Tensor, " tokens"], place: int) -> Bool[Tensor, " candidates"]:
        """Candidates that may stand at a place of a trigger."""
        fits = torch.ones_like(self.candidates, dtype=torch.bool)
        for near in (place - 1, place + 1):
            if not 0 <= near < len(one) or one[near] == END:
                continue
            beside = one[near].expand_as(self.candidates)
            # At the end outwards is onwards; at the start it is backwards.
            is_left = (near < place) == self.at_end
            pair = (beside, self.candidates) if is_left else (self.candidates, beside)
            free = self.problem.edits.anywhere()
            fits &= self.problem.edits.seen(*pair) | (
                (torch.isin(pair[0], free) | torch.isin(pair[1], free))
                & self.problem.edits.stay_apart(*pair)
            )
        return fits

    def _scores_at(self, one: Int[Tensor, " tokens"], place: int) -> Float[Tensor, " candidates"]:
        """A score that ranks the candidates for a place of a trigger."""
        if self.table is None:
            return self.single_scores  # type: ignore[return-value]
        rows, length = self.problem.seed.shape
        cells = max(len(self.candidates), length * self.table.shape[1])
        parts = torch.arange(rows, device=self.table.device).split(max(MAX_CELLS // cells, 1))
        scores = [self._first_order_scores(one, place, part) for part in parts]
        return torch.stack(scores).sum(0)

    def _first_order_scores(
        self, one: Tensor, place: int, rows: Tensor
    ) -> Float[Tensor, " candidates"]:
        """To first order, the soft successes of some rows with each candidate, added up."""
        problem = self.problem.take(rows)
        held = one if place < len(one) else torch.cat([one, self._neutral(one)])
        x = self._rows_with(held[None], rows)
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
        gain = slope @ self.table[self.candidates].T - (slope * old).sum(1)[:, None]  # type: ignore[index]
        scores: Tensor = self._soft_success(value[:, None] + gain * takes[:, None], rows).sum(0)
        return scores

    def _neutral(self, one: Int[Tensor, " tokens"]) -> Int[Tensor, " one"]:
        """The most frequent token that may come next: the gradient is taken at it."""
        fits = self._allowed(one, len(one))
        if not len(one) and self.at_end and self.problem.edits.join_rules is not None:
            opens = self.problem.edits.join_rules.opens[self.candidates]
            fits = opens if bool(opens.any()) else fits
        return self.candidates[fits.long().argmax()][None]

    def _soft_success(self, value: Float[Tensor, "rows *more"], rows: Tensor) -> Tensor:
        """Near 1 for rows that succeed, near 0 for others; surer than before counts as before."""
        floor = self.before[rows].view(-1, *[1] * (value.dim() - 1))
        return (value.maximum(floor) / self.softness).sigmoid()

    def _rows_with(self, triggers: Int[Tensor, "some tokens"], rows: Tensor) -> Tensor:
        """Each trigger at each of the rows, trigger by trigger."""
        problem = self.problem.take(rows.repeat(len(triggers)))
        every = triggers.repeat_interleave(len(rows), 0)
        return insert_trigger(
            problem.tokens, every, problem.edits, problem.budget, at_end=self.at_end
        )

    def scores(self, triggers: Int[Tensor, "some tokens"]) -> Float[Tensor, " some"]:
        """The softened share of rows that succeed with each trigger: as many queries as rows."""
        rows = torch.arange(len(self.problem.seed), device=self.problem.seed.device)
        many = max(MAX_CELLS // self.problem.seed.numel(), 1)
        means = []
        for part in triggers.split(many):
            place = rows.repeat(len(part))
            value, _ = self.problem.take(place).measure_tokens(self._rows_with(part, rows))
            means.append(self._soft_success(value.view(len(part), -1).T, rows).mean(0))
        return torch.cat(means).nan_to_num(nan=-torch.inf)


def tokens_of(edits: EditSpace) -> Int[Tensor, " some"]:
    """Tokens that the corpus or the table lets follow another, the most frequent first."""
    seen = torch.cat([edits.bigrams.followers.values, edits.anywhere()])
    if not len(seen):
        raise ValueError(
            "a trigger needs tokens that may be put in: SequenceAdapter(moves={'': [...]}) lists "
            "some, only_listed_moves=False takes those of the corpus"
        )
    often = torch.bincount(seen, minlength=edits.size)
    order = often.argsort(descending=True, stable=True)
    return order[: int((often > 0).sum())]
