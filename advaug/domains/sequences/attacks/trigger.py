"""Universal trigger: the few tokens that, put behind (or before) every row, flip most of them."""

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import torch
from jaxtyping import Int
from torch import Tensor

from advaug.core.objectives import Objective
from advaug.core.parameters import Parameters
from advaug.core.space import Space
from advaug.core.ties import at_most, stable_argmax
from advaug.domains.sequences.attacks.candidates import edit_space_of, query
from advaug.domains.sequences.attacks.trigger_search import TriggerSearch, insert_trigger
from advaug.domains.sequences.space import EditSpace

PLACES = ("end", "start")


@dataclass
class Trigger(Parameters):
    """Universal trigger: the same few tokens at the end (or start) of every row.

    Raised is the share of rows that it flips, softened: the mean of sigmoid(objective(row with
    trigger) / s), s an eighth of the rows' median, where a row that grows surer counts as it was.
    Token by token, from the row outwards, the `exact` best ones are asked on all rows and the
    `beam` best triggers go on; then each token is looked for anew, `rounds` times. Ranked are
    tokens to first order by the gradient at a net's `torch.nn.Embedding`, row by row; for any
    other model, by what each of the `max_queried_tokens` most frequent ones does alone.

    Inside the trigger only tokens follow each other that the corpus (or the table of safe moves)
    knows as neighbours. Where it meets a row, tokens must stay two: words keep a blank between
    them, and a row where that cannot be stays. A row takes as many tokens, those next to it, as
    its budget of edits and the longest row of `fit` leave room for; where rows keep their lengths,
    the tokens overwrite its end (or start). All rows learn one trigger, which flips the class that
    is easiest to flip: take more triggers for others. Learn it on rows that the model has not been
    trained on: on its own it is surer than on others.

    Parameters
    ----------
    length : int
        Tokens of the trigger.
    count : int
        Triggers: each further one is learnt from rows that the earlier ones have not flipped, and
        for what it adds; a row takes the one that does it the most harm (one query a trigger).
    place : {"end", "start"}
        Where it is put.
    rounds : int
        How often each token is looked for anew.
    exact : int
        Tokens that are asked for each place and each trigger of the beam.
    beam : int
        Triggers that go on.
    batch_size : int
        Rows that are asked.
    max_queried_tokens : int
        Tokens that a model without an embedding is asked about, the most frequent first.
    tokens : int Tensor (count, length), optional
        Learnt triggers, numbers of tokens (`adapter_.words`) as they are read; None: learn from
        the rows of the call.

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

    raises: ClassVar[str] = "margin"
    is_minimal: ClassVar[bool] = True
    length: int = 3
    count: int = 1
    place: str = "end"
    rounds: int = 1
    exact: int = 16
    beam: int = 3
    batch_size: int = 128
    max_queried_tokens: int = 1000
    tokens: Tensor | None = field(default=None, repr=False, compare=False)

    def learn(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Self:
        """The same attack with the triggers learnt from these rows."""
        edits = edit_space_of(space, self)
        self._check()
        budget = edits.budget(seed, radius.ceil()).long()
        best, found = query(objective, seed.long(), seed), list[Tensor]()
        while len(found) < self.count and bool((left := at_most(best, 0.0)).any() or not found):
            order = torch.randperm(len(seed), generator=generator, device=generator.device)
            order = order.to(seed.device)
            rows = (order[left[order]] if left.any() else order)[: self.batch_size]
            some = (objective.take(rows), seed[rows], edits, budget[rows], best[rows])
            hunt = TriggerSearch.of(*some, self.max_queried_tokens, at_end=self.place == "end")
            found.append(hunt.found(self.length, self.rounds, self.exact, self.beam))
            if len(found) < self.count:
                x = self._placed(found[-1], seed.long(), edits, budget)
                best = best.maximum(query(objective, x, seed))
        return replace(self, tokens=self._read(torch.stack(found)).cpu())

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        edits, tokens = edit_space_of(space, self), self.tokens
        if tokens is None:
            tokens = self.learn(objective, seed, space, radius, generator).tokens
        budget = edits.budget(seed, radius.ceil()).long()
        outward = self._read(tokens.to(seed.device))  # type: ignore[union-attr]
        tried = [self._placed(one, seed.long(), edits, budget) for one in outward]
        if len(tried) == 1:
            return tried[0].to(seed)
        worth = torch.stack([query(objective, x, seed) for x in tried], 1)
        best = stable_argmax(worth)
        return torch.stack(tried)[best, torch.arange(len(seed), device=best.device)].to(seed)

    def _read(self, tokens: Int[Tensor, "count length"]) -> Int[Tensor, "count length"]:
        """From the row outwards to as they are read, and back."""
        return tokens.flip(1) if self.place == "start" else tokens

    def _placed(
        self, outward: Tensor, x: Tensor, edits: EditSpace, budget: Tensor
    ) -> Int[Tensor, "batch length"]:
        return insert_trigger(
            x, outward.expand(len(x), -1), edits, budget, at_end=self.place == "end"
        )

    def _check(self) -> None:
        if self.place not in PLACES:
            raise ValueError(f"place must be one of {PLACES}, got {self.place!r}")
        numbers = (
            self.length,
            self.count,
            self.exact,
            self.beam,
            self.batch_size,
            self.max_queried_tokens,
        )
        if min(numbers) < 1 or self.rounds < 0:
            raise ValueError(
                "length, count, exact, beam, batch and max_queried_tokens must be 1 or more, "
                f"rounds 0 or more, got {self}"
            )
