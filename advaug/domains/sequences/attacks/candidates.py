"""What attacks on sequences share: a space of edits, rows that are asked, edits that are picked.

They take the edits that the space proposes, so that every row they make is one that it allows.
"""

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.core.objectives import Objective
from advaug.core.space import Space
from advaug.core.ties import exceeds
from advaug.domains.sequences.proposals import Proposals
from advaug.domains.sequences.space import EditSpace

NO_EDIT = -(2**60)


def edit_space_of(space: Space, attack: Any) -> EditSpace:
    """The space, if it is one of edits; TypeError where rows are no sequences."""
    if not isinstance(space, EditSpace):
        raise TypeError(
            f"{type(attack).__name__} edits sequences (texts or lists of tokens), got rows of "
            f"another kind ({type(space).__name__}): take 'square' or 'pgd' for numbers"
        )
    return space


def query(objective: Objective, x: Int[Tensor, "batch length"], like: Tensor) -> Tensor:
    """The objective at rows of token numbers, without a gradient."""
    with torch.no_grad():
        return objective(x.to(like)).detach()


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
    value: Float[Tensor, " some"], owner: Int[Tensor, " some"], count: int
) -> Int[Tensor, " fewer"]:
    """Places of the `count` highest values of each owner; of tied ones, the first."""
    order = value.argsort(descending=True, stable=True)
    order = order[owner[order].argsort(stable=True)]
    starts = exceeds(value[order[:-1]], value[order[1:]]) | owner[order].diff().bool()
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
