"""Greedy: queries rank the tokens of a row by importance, the most important ones are edited."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem, Loss, mark_undefined
from advaug.core.ties import at_most, exceeds, stable_argmax, stable_argsort
from advaug.domains.sequences.attacks.candidates import (
    EditProblem,
    distinct_valid,
    take_proposals,
)
from advaug.domains.sequences.splicing import END, lengths, spliced

PROPOSED = 32  # edits that are proposed for one that is queried


@dataclass
class Greedy(Attack, Parameters):
    """Black box: tokens ranked by importance, then edited one after the other.

    The importance of a token is what the score loses without it. At each place, the most important
    first, some allowed edits are queried and the best one is made if it gains, until the row
    succeeds or has as many edits as the radius (rounded up) and the space allow. It makes about
    places + n_candidates * edits queries a row, and takes no gradient.

    Parameters
    ----------
    n_candidates : int
        Allowed edits that are queried at a place.
    places : int
        Places whose loss is queried, spread evenly over longer rows.
    patience : int
        Places that are tried for one edit of the budget.
    stop_at : float, optional
        A row whose objective is above this value is done; None goes on to the last edit.

    See Also
    --------
    advaug.attacks.HotFlip :
        White box: allowed edits ranked by the gradient at the embedding, the best re-scored.
    advaug.attacks.Trigger :
        Universal trigger: the same few tokens at the end (or start) of every row.

    References
    ----------
    Jin, Jin, Zhou, Szolovits. Is BERT really robust? A strong baseline for natural language
    attack on text classification and entailment (TextFooler). AAAI 2020.

    Examples
    --------
    >>> from advaug.attacks import Greedy
    >>> Greedy(n_candidates=20).places
    64
    """

    loss: ClassVar[Loss] = "margin"
    is_min_norm: ClassVar[bool] = True
    requires: ClassVar[frozenset[str]] = frozenset({"edits"})
    n_candidates: int = 12
    places: int = 64
    patience: int = 3
    stop_at: float | None = 0.0

    def __call__(self, problem: AttackProblem) -> Tensor:
        problem = EditProblem.of(problem, self)
        if min(self.n_candidates, self.places, self.patience) < 1:
            raise ValueError(f"n_candidates, places and patience must be 1 or more, got {self}")
        x, left = problem.tokens, problem.budget
        value, unit = problem.measure_tokens(x)
        first, order = value, self._order(problem, unit)
        most = self.patience * left  # of each row: another batch must not change what it tries
        end = torch.inf if self.stop_at is None else self.stop_at
        for rank in range(min(order.shape[1], int(most.max()) if len(x) else 0)):
            is_open = (left >= 1) & at_most(value, end, unit) & (order[:, rank] >= 0)
            rows = (is_open & (rank < most)).nonzero()[:, 0]
            if not len(rows):
                continue
            place = (order[rows, rank] + 0.5) / lengths(x[rows])
            best, gain = self._best(problem.take(rows).at(1 + rank), x[rows], place, unit[rows])
            better = exceeds(gain, value[rows], unit[rows])
            rows, best = rows[better], best[better]
            shift = lengths(best) - lengths(x[rows])
            later = order[rows] > order[rows, rank][:, None]
            order[rows] += later * shift[:, None]
            value = value.index_copy(0, rows, gain[better])
            x[rows], left[rows] = best, left[rows] - 1
        return mark_undefined(x.to(problem.seed), first)

    def _order(
        self, problem: EditProblem, unit: Float[Tensor, " batch"]
    ) -> Int[Tensor, "batch places"]:
        """Places whose token costs the objective most first; -1 where there is none to edit.

        Places that cost the same are in random order.
        """
        x = problem.tokens
        count = lengths(x)[:, None]
        k = torch.arange(min(self.places, x.shape[1]), device=x.device)[None]
        place = torch.where(count <= self.places, k, k * count // self.places)
        frozen = problem.edits.is_frozen(x.gather(1, place.clamp_max(x.shape[1] - 1)))
        free = (place < count) & ~frozen
        row, column = free.nonzero().unbind(1)
        at = place[row, column]
        without = spliced(x[row], at, torch.ones_like(at), x[row, :1], torch.zeros_like(at))
        gain = torch.full(free.shape, -torch.inf, device=x.device, dtype=unit.dtype)
        gain[row, column] = problem.take(row).measure_tokens(without)[0]
        keys = problem.random.at(0).uniform(gain.shape[1])
        order = stable_argsort(gain, unit[:, None], keys)
        return place.gather(1, order).masked_fill(~free.gather(1, order), END)

    def _best(
        self,
        problem: EditProblem,
        x: Int[Tensor, "batch length"],
        place: Float[Tensor, " batch"],
        unit: Float[Tensor, " batch"],
    ) -> tuple[Tensor, Tensor]:
        """The best of some allowed edits at a place, and its objective."""
        many = place[:, None].expand(-1, PROPOSED * self.n_candidates)
        proposals = problem.edits.proposals(x, many, problem.random)
        ranked = distinct_valid(proposals).long().argsort(dim=1, descending=True, stable=True)
        row = torch.arange(len(x), device=x.device)
        rows = row.repeat_interleave(self.n_candidates)
        pick = ranked[:, : self.n_candidates].flatten()
        tried = take_proposals(proposals, rows).made(x[rows], pick)
        value = problem.take(rows).measure_tokens(tried)[0].view(len(x), -1)
        best = stable_argmax(value, unit[:, None])
        return tried.view(len(x), -1, x.shape[1])[row, best], value[row, best]
