"""Greedy: any model of texts or events is asked what each token is worth, then edited there."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.attacks.problem import MOST_CELLS, marked
from advaug.core.chance import Chance
from advaug.core.objectives import Objective
from advaug.core.parameters import Parameters
from advaug.core.space import Space
from advaug.core.ties import at_most, exceeds, stable_argmax, stable_argsort
from advaug.domains.sequences.attacks.candidates import (
    distinct_valid,
    edit_space_of,
    query,
    take_proposals,
)
from advaug.domains.sequences.space import EditSpace
from advaug.domains.sequences.splicing import END, lengths, spliced

DRAWN = 32  # proposals drawn for one that is scored


@dataclass
class Greedy(Parameters):
    """Black box: places ordered by what the score loses without them, each edited for the best.

    At each place, most telling first, some allowed edits are asked and the best one is made if it
    gains, until the row succeeds or has as many edits as the radius (rounded up) and the space
    allow. Asks about places + candidates * edits queries a row, and no gradient.

    Parameters
    ----------
    candidates : int
        Allowed edits that are asked at a place.
    places : int
        Places whose loss is asked, spread evenly over longer rows.
    patience : int
        Places that are tried for one edit of the budget.
    stop_at : float, optional
        A row whose objective is above this value is done; None goes on to the last edit.

    References
    ----------
    Jin, Jin, Zhou, Szolovits. Is BERT really robust? A strong baseline for natural language
    attack on text classification and entailment (TextFooler). AAAI 2020.

    Examples
    --------
    >>> from advaug.attacks import Greedy
    >>> Greedy(candidates=20).places
    64
    """

    raises: ClassVar[str] = "margin"
    is_minimal: ClassVar[bool] = True
    candidates: int = 12
    places: int = 64
    patience: int = 3
    stop_at: float | None = 0.0

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        edits = edit_space_of(space, self)
        if min(self.candidates, self.places, self.patience) < 1:
            raise ValueError(f"candidates, places and patience must be 1 or more, got {self}")
        chance, x = Chance.of(seed, generator), seed.long()
        first = value = query(objective, x, seed)
        order = self._order(objective, x, edits, value, chance, seed)
        left = edits.budget(seed, radius.ceil())
        most = self.patience * left  # of each row: another batch must not change what it tries
        end = torch.inf if self.stop_at is None else self.stop_at
        for rank in range(min(order.shape[1], int(most.max()) if len(x) else 0)):
            open_still = (left >= 1) & at_most(value, end) & (order[:, rank] >= 0) & (rank < most)
            rows = open_still.nonzero()[:, 0]
            if not len(rows):
                continue
            some = chance.take(rows)
            some.drawn = chance.drawn + 3 * rank
            place = (order[rows, rank] + 0.5) / lengths(x[rows])
            best, gain = self._best(objective.take(rows), x[rows], edits, place, some, seed)
            better = exceeds(gain, value[rows])
            rows, best = rows[better], best[better]
            shift = lengths(best) - lengths(x[rows])
            later = order[rows] > order[rows, rank][:, None]
            order[rows] += later * shift[:, None]
            x[rows], value[rows], left[rows] = best, gain[better], left[rows] - 1
        return marked(x.to(seed), first)

    def _order(
        self,
        objective: Objective,
        x: Tensor,
        space: EditSpace,
        value: Tensor,
        chance: Chance,
        like: Tensor,
    ) -> Int[Tensor, "batch places"]:
        """Places whose token costs the objective most first; -1 where there is none to edit.

        Places that cost the same are in random order.
        """
        count = lengths(x)[:, None]
        k = torch.arange(min(self.places, x.shape[1]), device=x.device)[None]
        place = torch.where(count <= self.places, k, k * count // self.places)
        free = (place < count) & ~space.is_frozen(x.gather(1, place.clamp_max(x.shape[1] - 1)))
        row, column = free.nonzero().unbind(1)
        gain = torch.full(free.shape, -torch.inf, device=x.device, dtype=value.dtype)
        for part in torch.arange(len(row)).split(max(MOST_CELLS // x.shape[1], 1)):
            rows, at = row[part], place[row[part], column[part]]
            without = spliced(x[rows], at, torch.ones_like(at), x[rows, :1], torch.zeros_like(at))
            gain[rows, column[part]] = query(objective.take(rows), without, like)
        order = stable_argsort(gain, keys=chance.draw(gain.shape[1]))
        return place.gather(1, order).masked_fill(~free.gather(1, order), END)

    def _best(
        self,
        objective: Objective,
        x: Tensor,
        space: EditSpace,
        place: Float[Tensor, " batch"],
        chance: Chance,
        like: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The best of some allowed edits at a place, and what it is worth."""
        many = place[:, None].expand(-1, DRAWN * self.candidates)
        proposals = space.proposals(x, many, chance)
        ranked = distinct_valid(proposals).long().argsort(dim=1, descending=True, stable=True)
        rows = torch.arange(len(x), device=x.device).repeat_interleave(self.candidates)
        pick = ranked[:, : self.candidates].flatten()
        tried = take_proposals(proposals, rows).made(x[rows], pick)
        worth = torch.cat([
            query(objective.take(rows[part]), tried[part], like)
            for part in torch.arange(len(rows)).split(max(MOST_CELLS // x.shape[1], 1))
        ]).view(len(x), -1)  # fmt: skip
        best, row = stable_argmax(worth), torch.arange(len(x), device=x.device)
        return tried.view(len(x), -1, x.shape[1])[row, best], worth[row, best]
