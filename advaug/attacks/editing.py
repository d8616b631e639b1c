"""Attacks on sequences: a few tokens edited, the most telling places first, each edit re-scored.

They take the edits that the space proposes, so that every row they make is one that it allows.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from advaug.attacks.ground import MOST_CELLS, marked
from advaug.chance import Chance
from advaug.objectives import Objective
from advaug.settings import Settings
from advaug.spaces import Edits
from advaug.spaces.edits import END, Proposals, lengths, spliced
from advaug.spaces.protocol import Space

DRAWN = 32  # proposals drawn for one that is scored
NO_EDIT = -(2**60)


def edits_of(space: Space, attack: Any) -> Edits:
    """The space, if it is one of edits; TypeError where rows are no sequences."""
    if not isinstance(space, Edits):
        raise TypeError(
            f"{type(attack).__name__} edits sequences (texts or lists of tokens), got rows of "
            f"another kind ({type(space).__name__}): take 'square' or 'pgd' for numbers"
        )
    return space


def asked(objective: Objective, x: Int[Tensor, "batch length"], like: Tensor) -> Tensor:
    """The objective at rows of token numbers, without a gradient."""
    with torch.no_grad():
        return objective(x.to(like)).detach()


@dataclass
class Greedy(Settings):
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
        edits = edits_of(space, self)
        if min(self.candidates, self.places, self.patience) < 1:
            raise ValueError(f"candidates, places and patience must be 1 or more, got {self}")
        chance, x = Chance.of(seed, generator), seed.long()
        first = value = asked(objective, x, seed)
        order = self._order(objective, x, edits, value, seed)
        left = edits.budget(seed, radius.ceil())
        end = torch.inf if self.stop_at is None else self.stop_at
        for rank in range(min(order.shape[1], self.patience * int(left.max()) if len(x) else 0)):
            rows = ((left >= 1) & (value <= end) & (order[:, rank] >= 0)).nonzero()[:, 0]
            if not len(rows):
                continue
            some = chance.take(rows)
            some.drawn = chance.drawn + 3 * rank
            place = (order[rows, rank] + 0.5) / lengths(x[rows])
            best, gain = self._best(objective.take(rows), x[rows], edits, place, some, seed)
            better = gain > value[rows]
            rows, best = rows[better], best[better]
            shift = lengths(best) - lengths(x[rows])
            later = order[rows] > order[rows, rank][:, None]
            order[rows] += later * shift[:, None]
            x[rows], value[rows], left[rows] = best, gain[better], left[rows] - 1
        return marked(x.to(seed), first)

    def _order(
        self, objective: Objective, x: Tensor, space: Edits, value: Tensor, like: Tensor
    ) -> Int[Tensor, "batch places"]:
        """Places whose token costs the objective most first; -1 where there is none to edit."""
        count = lengths(x)[:, None]
        k = torch.arange(min(self.places, x.shape[1]), device=x.device)[None]
        place = torch.where(count <= self.places, k, k * count // self.places)
        free = (place < count) & ~space.is_frozen(x.gather(1, place.clamp_max(x.shape[1] - 1)))
        row, column = free.nonzero().unbind(1)
        gain = torch.full(free.shape, -torch.inf, device=x.device, dtype=value.dtype)
        for part in torch.arange(len(row)).split(max(MOST_CELLS // x.shape[1], 1)):
            rows, at = row[part], place[row[part], column[part]]
            without = spliced(x[rows], at, torch.ones_like(at), x[rows, :1], torch.zeros_like(at))
            gain[rows, column[part]] = asked(objective.take(rows), without, like)
        order = gain.argsort(dim=1, descending=True, stable=True)
        return place.gather(1, order).masked_fill(~free.gather(1, order), END)

    def _best(
        self,
        objective: Objective,
        x: Tensor,
        space: Edits,
        place: Float[Tensor, " batch"],
        chance: Chance,
        like: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The best of some allowed edits at a place, and what it is worth."""
        many = place[:, None].expand(-1, DRAWN * self.candidates)
        proposals = space.proposals(x, many, chance)
        ranked = different(proposals).long().argsort(dim=1, descending=True, stable=True)
        rows = torch.arange(len(x), device=x.device).repeat_interleave(self.candidates)
        pick = ranked[:, : self.candidates].flatten()
        tried = taken(proposals, rows).made(x[rows], pick)
        worth = torch.cat([
            asked(objective.take(rows[part]), tried[part], like)
            for part in torch.arange(len(rows)).split(max(MOST_CELLS // x.shape[1], 1))
        ]).view(len(x), -1)  # fmt: skip
        gain, best = worth.max(1)
        return tried.view(len(x), -1, x.shape[1])[torch.arange(len(x)), best], gain


def different(proposals: Proposals) -> Bool[Tensor, "batch tries"]:
    """Allowed edits without those that stand in the row before."""
    sizes = proposals.removed * 4 + proposals.size
    key = (proposals.block[..., 0] * 16 + sizes).masked_fill(~proposals.valid, NO_EDIT)
    ordered, place = key.sort(dim=1, stable=True)
    is_first = torch.ones_like(proposals.valid)
    is_first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return torch.zeros_like(is_first).scatter(1, place, is_first) & proposals.valid


def taken(proposals: Proposals, rows: Int[Tensor, " some"]) -> Proposals:
    """The proposals of some rows, or of some several times."""
    return replace(proposals, **{name: part[rows] for name, part in vars(proposals).items()})


@dataclass
class HotFlip(Settings):
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
        Edits a place that are drawn and ranked.
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
        edits = edits_of(space, self)
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
        space: Edits,
        budget: Tensor,
        chance: Chance,
        table: Tensor,
        like: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The best row of the beam for each seed, and its worth."""
        end = torch.inf if self.stop_at is None else self.stop_at
        x, worth = seed.clone(), asked(objective, seed, like)
        beam, source = x, torch.arange(len(x), device=x.device)
        for step in range(int(budget.max()) if len(x) else 0):
            going = (step < budget[source]) & (worth[source] <= end)
            beam, source = beam[going], source[going]
            if not len(source):
                break
            tried, row = self._flips(
                objective.take(source), beam, space, chance.take(source), table, like
            )
            if not len(row):
                break
            row = source[row]
            value = asked(objective.take(row), tried, like)
            kept = leaders(value, row, self.beam)
            beam, source, value = tried[kept], row[kept], value[kept]
            champion = leaders(value, source, 1)
            champion = champion[value[champion] > worth[source[champion]]]
            x[source[champion]], worth[source[champion]] = beam[champion], value[champion]
            chance.drawn += 3
        return x, worth

    def _flips(
        self,
        objective: Objective,
        x: Tensor,
        space: Edits,
        chance: Chance,
        table: Tensor,
        like: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The edits that gain most to first order, and which row each belongs to."""
        with embedded(objective, x.to(like)) as (value, vector):
            (gradient,) = torch.autograd.grad(value.sum(), vector)
        gradient, vector = gradient.to(x.device), vector.to(x.device)  # a net stays where it is
        at = torch.arange(x.shape[1], device=x.device).repeat_interleave(self.tries)
        place = (at + 0.5) / lengths(x)[:, None].clamp_min(1)
        proposals = space.proposals(x, place.clamp_max(1 - 1e-6), chance)
        flips = proposals.valid & (proposals.removed == 1) & (proposals.size == 1)
        flips &= at < lengths(x)[:, None]
        new = proposals.block[..., 0].clamp_min(0)
        start = proposals.start.clamp_max(x.shape[1] - 1)
        old = (gradient * vector).sum(-1).gather(1, start)
        slope = gradient.gather(1, start[..., None].expand(-1, -1, gradient.shape[-1]))
        gain = (slope * table[new]).sum(-1) - old
        gain = gain.masked_fill(~flips, -torch.inf)
        best = gain.topk(min(self.exact, gain.shape[1]), dim=1)
        row, rank = best.values.isfinite().nonzero().unbind(1)
        return taken(proposals, row).made(x[row], best.indices[row, rank]), row


def leaders(
    value: Float[Tensor, " some"], owner: Int[Tensor, " some"], count: int
) -> Int[Tensor, " fewer"]:
    """Places of the `count` highest values of each owner."""
    order = value.argsort(descending=True, stable=True)
    order = order[owner[order].argsort(stable=True)]
    sorted_owner = owner[order]
    first = torch.searchsorted(sorted_owner, sorted_owner)
    rank = torch.arange(len(order), device=order.device) - first
    return order[rank < count]


@contextmanager
def embedded(objective: Objective, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """The objective's value and the embedded tokens (batch, length, width) that it came from."""
    caught: list[Tensor] = []

    def catch(module: nn.Module, _: Any, output: Any) -> Any:
        is_first = isinstance(module, nn.Embedding) and not caught
        if not is_first or output.shape[:2] != x.shape:
            return output
        caught.append(output.detach().requires_grad_(True))
        return caught[0]

    hook = register_module_forward_hook(catch)
    try:
        with torch.enable_grad():
            value = objective(x)
            if not caught:
                raise ValueError(
                    "HotFlip needs a net that embeds its tokens with torch.nn.Embedding, one "
                    "vector a token: take attack='greedy', which only asks"
                )
            yield value, caught[0]
    finally:
        hook.remove()


def vectors(
    objective: Objective, space: Edits, like: Float[Tensor, "batch length"]
) -> Float[Tensor, "tokens width"]:
    """The net's own vector of every token, by rows that hold each token once."""
    length = like.shape[1]
    every = torch.arange(-(-space.size // length) * length, device=like.device)
    rows = every.clamp_max(space.size - 1).view(-1, length)
    nobody = torch.zeros(len(rows), dtype=torch.long, device=like.device)
    with embedded(objective.take(nobody), rows.to(like)) as (_, vector):
        return vector.detach().flatten(0, 1)[: space.size]
