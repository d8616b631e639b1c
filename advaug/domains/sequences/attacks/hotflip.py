"""HotFlip: edits ranked by the gradient at a net's embedding, the best asked, a beam goes on."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from advaug.attacks.problem import MOST_CELLS, marked
from advaug.core.chance import Chance
from advaug.core.objectives import Objective
from advaug.core.parameters import Parameters
from advaug.core.space import Space
from advaug.core.ties import at_most, exceeds, largest_size, stable_topk
from advaug.domains.sequences.attacks.candidates import (
    edit_space_of,
    query,
    top_per_owner,
    unique_per_owner,
)
from advaug.domains.sequences.attacks.embedding import embedded, vectors
from advaug.domains.sequences.space import EditSpace


@dataclass
class HotFlip(Parameters):
    """White box: allowed edits ranked by the gradient at the embedding, the best re-scored.

    A token v at place p is worth (E[v] - E[x_p]) . dJ/dE_p to first order; the `exact` best edits
    of each row in the beam are asked, the best `beam` go on, until the row succeeds or its edits
    are spent. Needs a net with a `torch.nn.Embedding` of the tokens; substitutions only.

    Parameters
    ----------
    exact : int
        Edits of a row that are asked at every step.
    beam : int
        Rows that go on from each seed.
    tries : int
        Substitutes a place that are ranked: all where there are no more, else evenly chosen ones.
    stop_at : float, optional
        A row whose objective is above this value is done.

    References
    ----------
    Ebrahimi, Rao, Lowd, Dou. HotFlip: white-box adversarial examples for text classification.
    ACL 2018.

    Examples
    --------
    >>> from advaug.attacks import HotFlip
    >>> HotFlip(beam=3).exact
    8
    """

    raises: ClassVar[str] = "margin"
    is_minimal: ClassVar[bool] = True
    exact: int = 8
    beam: int = 1
    tries: int = 16
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
        if min(self.exact, self.beam, self.tries) < 1:
            raise ValueError(f"exact, beam and tries must be 1 or more, got {self}")
        chance, x = Chance.of(seed, generator), seed.long()
        table = vectors(objective, edits, seed).to(seed.device)
        width = max(MOST_CELLS // (x.shape[1] * self.tries * table.shape[1]), 1)
        budget = edits.budget(seed, radius.ceil())
        found, worth = x.clone(), torch.empty_like(seed[:, 0])
        for rows in torch.arange(len(x), device=x.device).split(width):
            found[rows], worth[rows] = self._searched(
                objective.take(rows), x[rows], edits, budget[rows], chance.take(rows), table, seed
            )
        return marked(found.to(seed), worth)

    def _searched(
        self,
        objective: Objective,
        seed: Tensor,
        space: EditSpace,
        budget: Tensor,
        chance: Chance,
        table: Tensor,
        like: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The best row of the beam for each seed, and its worth."""
        end = torch.inf if self.stop_at is None else self.stop_at
        x, worth = seed.clone(), query(objective, seed, like)
        beam, source = x, torch.arange(len(x), device=x.device)
        for step in range(int(budget.max()) if len(x) else 0):
            going = (step < budget[source]) & at_most(worth[source], end)
            beam, source = beam[going], source[going]
            if not len(source):
                break
            tried, row = self._flips(
                objective.take(source), beam, space, chance.take(source), table, like
            )
            if not len(row):
                break
            row, tried = unique_per_owner(
                source[row], tried
            )  # two edits in either order are one row
            value = query(objective.take(row), tried, like)
            kept = top_per_owner(value, row, self.beam)
            beam, source, value = tried[kept], row[kept], value[kept]
            champion = top_per_owner(value, source, 1)
            champion = champion[exceeds(value[champion], worth[source[champion]])]
            x[source[champion]], worth[source[champion]] = beam[champion], value[champion]
            chance.drawn += 3
        return x, worth

    def _flips(
        self,
        objective: Objective,
        x: Tensor,
        space: EditSpace,
        chance: Chance,
        table: Tensor,
        like: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The edits that gain most to first order, and which row each belongs to."""
        with embedded(objective, x.to(like)) as (value, vector):
            (gradient,) = torch.autograd.grad(value.sum(), vector)
        gradient, vector = gradient.to(x.device), vector.to(x.device)  # a net stays where it is
        new, valid = space.substitutes(x, self.tries, chance)
        gain = torch.einsum("bltd,bld->blt", table[new.clamp_min(0)], gradient)
        gain = gain - (gradient * vector).sum(-1, keepdim=True)
        gain = gain.masked_fill(~valid, -torch.inf).flatten(1)
        best = stable_topk(gain, min(self.exact, gain.shape[1]), unit=largest_size(gain))
        row, rank = gain.gather(1, best).isfinite().nonzero().unbind(1)
        pick = best[row, rank]
        tried = x[row]
        tried[torch.arange(len(row), device=x.device), pick // self.tries] = new.flatten(1)[
            row, pick
        ]
        return tried, row
