"""Which rows of a class can go: those far inside it, and those that look mislabelled.

Members of the committee that never saw the row say how probable its label is, and the first-order
adversarial distance says how far it lies from the decision boundary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.attacks.ascent import value_and_gradient
from advaug.core.objectives import Margin
from advaug.core.ties import at_least, tie_groups
from advaug.sampling.encoded_dataset import EncodedDataset

UNSEEN = -1  # the fold of a row that no member was trained on


@dataclass(frozen=True)
class Depth:
    """Of each row: the held-out probability of its own label, and the way to the border.

    `distance` is the length of the shortest step that takes the margin to 0, to first order (the
    step of DeepFool: Moosavi-Dezfooli, Fawzi, Frossard. CVPR 2016), in the adapter's units; below
    0 for rows on the wrong side.
    """

    probability: Float[Tensor, " rows"]
    distance: Float[Tensor, " rows"]

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Several blocks of rows as one."""
        return cls(*(torch.cat([vars(part)[name] for part in parts]) for name in vars(parts[0])))


def depth_of(
    dataset: EncodedDataset,
    x: Float[Tensor, "rows *shape"],
    label: int,
    fold: Int[Tensor, " rows"],
    device: torch.device,
    batch_size: int,
) -> Depth:
    """Depth of rows of one label; `fold` is the one that each was held out with, or UNSEEN."""
    probability, distance = x.new_empty(len(x)), x.new_empty(len(x))
    space = dataset.space.to(device)
    for one in fold.unique().tolist():
        members = dataset.committee if one == UNSEEN else dataset.committee.held_out_members(one)
        members = members.to(device)
        for rows in (fold == one).nonzero()[:, 0].split(batch_size):
            some = x[rows].to(device)
            own = torch.full((len(rows),), label, device=device)
            leaves = Margin(members.logits, own)
            value, gradient = value_and_gradient(leaves, some)
            move = space.steepest(gradient, some, torch.ones_like(value))
            gain = (gradient * move).flatten(1).sum(1).clamp_min(1e-6)
            distance[rows] = (-value / gain).cpu()
            probability[rows] = members.probability(some)[:, label].cpu()
    return Depth(probability, distance)


def order_of_dropping(
    depth: Depth, drop: str, sharpness: float, doubt: float, generator: torch.Generator
) -> Int[Tensor, " rows"]:
    """Places of the rows, the first to go first.

    Deep rows are drawn without replacement with weights exp(sharpness * rank of the depth), so
    that 0 is chance and infinity strictly the deepest first; doubtful ones go before all others.
    """
    count = len(depth.distance)
    chance = torch.rand(count, generator=generator, dtype=torch.float32)
    score = -torch.log(-torch.log(chance.clamp(1e-7, 1 - 1e-7)))
    if drop in ("redundant", "both"):
        inside = depth.distance.clamp_min(0)
        at = tie_groups(-inside)
        ties = at.bincount()
        rank = (ties.cumsum(0) - (ties + 1) / 2)[at] / max(count - 1, 1)
        score = rank if sharpness == torch.inf else score + sharpness * rank
    if drop in ("noisy", "both"):
        is_doubtful = ~at_least(depth.probability, doubt)
        score = torch.where(is_doubtful, score.max() + 1 + tie_groups(depth.probability), score)
    return score.argsort(descending=True, stable=True)
