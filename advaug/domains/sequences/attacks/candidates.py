"""What attacks on sequences share: the problem in edits, queries of tokens, edits that are picked.

They take the edits that the space proposes, so that every row they make is one that it allows.
"""

from dataclasses import dataclass, replace
from typing import Self, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.attacks.black_box import MAX_CELLS
from advaug.core.problem import AttackProblem
from advaug.core.ties import exceeds
from advaug.domains.sequences.proposals import Proposals
from advaug.domains.sequences.space import EditSpace

NO_EDIT = -(2**60)


@dataclass(frozen=True)
class EditProblem(AttackProblem):
    """The problem of rows that are edited: how many edits each may have, and queries of tokens."""

    @classmethod
    def of(cls, problem: AttackProblem, attack: object) -> Self:
        """The same problem, if its space is one of edits; TypeError where rows are no sequences."""
        if not isinstance(problem.space, EditSpace):
            raise TypeError(
                f"{type(attack).__name__} edits sequences (texts or lists of tokens), got rows of "
                f"another kind ({type(problem.space).__name__}): take 'square' or 'pgd' for numbers"
            )
        return cls(**vars(problem))

    @property
    def edits(self) -> EditSpace:
        """The space."""
        return cast(EditSpace, self.space)

    @property
    def tokens(self) -> Int[Tensor, "batch length"]:
        """The seeds as whole numbers."""
        return self.seed.long()

    @property
    def budget(self) -> Int[Tensor, " batch"]:
        """Edits that each row may have."""
        return self.edits.budget(self.seed, self.radius.ceil()).long()

    def measure_tokens(
        self, x: Int[Tensor, "batch length"]
    ) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]]:
        """The objective at rows of token numbers, and the unit of its noise, in memory's parts."""
        parts = torch.arange(len(x)).split(max(MAX_CELLS // x.shape[1], 1))
        found = [self.take(part).measure(x[part].to(self.seed)) for part in parts]
        value, unit = (torch.cat(several) for several in zip(*found, strict=True))
        return value.to(self.seed.device), unit.to(self.seed.device)


def distinct_valid(proposals: Proposals) -> Bool[Tensor, "batch tries"]:
    """Allowed edits without those that stand in the row before."""
    sizes = proposals.removed * 4 + proposals.size
    key = (proposals.block[..., 0] * 16 + sizes).masked_fill(~proposals.valid, NO_EDIT)
    ordered, place = key.sort(dim=1, stable=True)
    is_first = torch.ones_like(proposals.valid)
    is_first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return torch.zeros_like(is_first).scatter(1, place, is_first) & proposals.valid


def take_proposals(proposals: Proposals, rows: Int[Tensor, " some"]) -> Proposals:
    """The proposals of some rows, or of some several times."""
    return replace(proposals, **{name: part[rows] for name, part in vars(proposals).items()})


def top_per_owner(
    value: Float[Tensor, " some"],
    owner: Int[Tensor, " some"],
    count: int,
    unit: float | Tensor = 1.0,
) -> Int[Tensor, " fewer"]:
    """Places of the `count` highest values of each owner; of tied ones, the first.

    `unit`: of the values' noise, for all or for each of them.
    """
    order = value.argsort(descending=True, stable=True)
    order = order[owner[order].argsort(stable=True)]
    least = unit[order[1:]] if isinstance(unit, Tensor) else unit
    starts = exceeds(value[order[:-1]], value[order[1:]], least) | owner[order].diff().bool()
    group = torch.zeros_like(order)
    group[order[1:]] = starts.long().cumsum(0)
    order = group.argsort(stable=True)
    sorted_owner = owner[order]
    first = torch.searchsorted(sorted_owner, sorted_owner)
    rank = torch.arange(len(order), device=order.device) - first
    return order[rank < count]


def unique_per_owner(
    owner: Int[Tensor, " some"], x: Int[Tensor, "some length"]
) -> tuple[Int[Tensor, " fewer"], Int[Tensor, "fewer length"]]:
    """Each owner's rows without those that it has twice."""
    both = torch.cat([owner[:, None], x], 1).unique(dim=0)
    return both[:, 0], both[:, 1:]
