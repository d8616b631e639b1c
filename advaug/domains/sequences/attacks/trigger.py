"""Universal trigger: the few tokens that, put behind (or before) every row, flip most of them."""

from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Self, cast

import torch
from jaxtyping import Int
from torch import Tensor

from advaug.core.known_names import refuse_unknown
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem, Loss
from advaug.core.ties import at_most, stable_argmax
from advaug.domains.sequences.attacks.candidates import EditProblem
from advaug.domains.sequences.attacks.trigger_search import TriggerSearch, insert_trigger

PLACES = ("end", "start")


@dataclass
class Trigger(Attack, Parameters):
    """Universal trigger: the same few tokens at the end (or start) of every row.

    It raises the share of rows that it flips, softened: the mean of sigmoid(objective(row with
    trigger) / s), s an eighth of the rows' median, where a row that grows surer counts as it was.
    Token by token, from the row outwards, the `n_candidates` best ones are queried on all rows and
    the beam keeps the `beam_width` best triggers; then each token is searched again, `n_sweeps`
    times. Tokens are ranked to first order by the gradient at a net's `torch.nn.Embedding`; for any
    other model, by the score of each of the `max_queried_tokens` most frequent ones as a trigger.

    Two tokens of the trigger are neighbours only where the corpus, or the table of safe moves, has
    them as such. The trigger must not run into a word of the row: there is a blank between them, or
    the row stays. A row takes as many tokens, those next to it, as its budget of edits and the
    longest row of `fit` leave room for; where rows keep their lengths, the tokens overwrite its end
    (or start). One trigger flips mostly the class that is easiest to flip: take more triggers for
    the others. Learn it on rows that the model has not been trained on: it is surer of its own.

    Parameters
    ----------
    length : int
        Tokens of the trigger.
    count : int
        Triggers: each further one is learnt from rows that the earlier ones have not flipped, and
        for what it adds; a row takes the one of the highest objective (one query a trigger).
    place : {"end", "start"}
        Where it is put.
    n_sweeps : int
        How often each token is searched again.
    n_candidates : int
        Tokens that are queried for each place and each trigger of the beam.
    beam_width : int
        Triggers that the beam keeps.
    batch_size : int
        Rows that are queried.
    max_queried_tokens : int
        Tokens that a model without an embedding is queried about, the most frequent first.
    tokens : int Tensor (count, length), optional
        Learnt triggers, numbers of tokens (`adapter_.words`) as they are read; None: learn from
        the rows of the call.

    See Also
    --------
    advaug.attacks.HotFlip :
        White box: allowed edits ranked by the gradient at the embedding, the best re-scored.
    advaug.attacks.Greedy : Black box: tokens ranked by importance, then edited one after the other.

    References
    ----------
    Wallace, Feng, Kandpal, Gardner, Singh. Universal adversarial triggers for attacking and
    analyzing NLP. EMNLP 2019.

    Examples
    --------
    >>> from advaug.attacks import Trigger
    >>> Trigger(length=2).place
    'end'
    """

    loss: ClassVar[Loss] = "margin"
    is_min_norm: ClassVar[bool] = True
    is_universal: ClassVar[bool] = True
    requires: ClassVar[frozenset[str]] = frozenset({"edits"})
    length: int = 3
    count: int = 1
    place: Literal["end", "start"] = "end"
    n_sweeps: int = 1
    n_candidates: int = 16
    beam_width: int = 3
    batch_size: int = 128
    max_queried_tokens: int = 1000
    tokens: Tensor | None = field(default=None, repr=False, compare=False)

    def fit(self, problem: AttackProblem) -> Self:
        """The same attack with the triggers learnt from the problem's rows."""
        problem = EditProblem.of(problem, self)
        self._check()
        (best, unit), found = problem.measure_tokens(problem.tokens), list[Tensor]()
        while len(found) < self.count:
            left = at_most(best, 0.0, unit)
            if found and not left.any():
                break
            order = problem.random.at(len(found)).uniform(1)[:, 0].argsort(stable=True)
            rows = (order[left[order]] if left.any() else order)[: self.batch_size]
            search = TriggerSearch.of(
                problem.take(rows), best[rows], self.max_queried_tokens, at_end=self.place == "end"
            )
            found.append(search.run(self.length, self.n_sweeps, self.n_candidates, self.beam_width))
            if len(found) < self.count:
                best = best.maximum(problem.measure_tokens(self._put(found[-1], problem))[0])
        return replace(self, tokens=self._read(torch.stack(found)).cpu())

    def __call__(self, problem: AttackProblem) -> Tensor:
        problem = EditProblem.of(problem, self)
        tokens = self.fit(problem).tokens if self.tokens is None else self.tokens
        outward = self._read(cast(Tensor, tokens).to(problem.seed.device))
        tried = [self._put(one, problem) for one in outward]
        if len(tried) == 1:
            return tried[0].to(problem.seed)
        values, units = zip(*(problem.measure_tokens(x) for x in tried), strict=True)
        best = stable_argmax(torch.stack(values, 1), units[0][:, None])
        row = torch.arange(len(best), device=best.device)
        return torch.stack(tried)[best, row].to(problem.seed)

    def _read(self, tokens: Int[Tensor, "count length"]) -> Int[Tensor, "count length"]:
        """From the row outwards to as they are read, and back."""
        return tokens.flip(1) if self.place == "start" else tokens

    def _put(self, outward: Tensor, problem: EditProblem) -> Int[Tensor, "batch length"]:
        every, at_end = outward.expand(len(problem.seed), -1), self.place == "end"
        return insert_trigger(problem.tokens, every, problem.edits, problem.budget, at_end=at_end)

    def _check(self) -> None:
        refuse_unknown("place", self.place, PLACES)
        sizes = (self.length, self.count, self.n_candidates, self.beam_width, self.batch_size)
        if min(*sizes, self.max_queried_tokens) < 1 or self.n_sweeps < 0:
            raise ValueError(
                "length, count, n_candidates, beam_width, batch_size and max_queried_tokens must "
                f"be 1 or more, n_sweeps 0 or more, got {self}"
            )
