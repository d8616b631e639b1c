"""Model families of the panel, which had no part in making the rows, and their agreement."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from advaug.core.neighbors import nearest
from advaug.core.storable import storable
from advaug.models.committee import Ensemble
from advaug.models.protocol import ModelFamily, Voter

MAX_LOG_ODDS = 6.0  # Larger log-odds are clipped: one sure family must not outvote the others.
DISTANCE_POWER = 4.0  # The odds are the ratio of the distances, to this power.


@dataclass(frozen=True, eq=False, repr=False)
class NeighborVotes:
    """The odds of classes from the mean distances to the 3 nearest rows of each."""

    own: tuple[Float[Tensor, "own width"], ...]

    def __call__(self, rows: Float[Tensor, "batch width"]) -> Float[Tensor, "batch classes"]:
        distance = [
            nearest(rows, some, 3)[0].mean(1) if len(some) else torch.full((len(rows),), torch.inf)
            for some in self.own
        ]
        return (-DISTANCE_POWER * (torch.stack(distance, dim=1) + 1e-6).log()).softmax(1)


@storable
def nets(x: Tensor, y: Tensor, n_classes: int, generator: torch.Generator) -> Voter:
    """A new committee of small nets."""
    return Ensemble(n_repeats=1).fit(x, y, n_classes, generator).probability


@storable
def neighbors(x: Tensor, y: Tensor, n_classes: int, generator: torch.Generator) -> Voter:
    """The nearest rows of each class."""
    return NeighborVotes(tuple(x[y == label] for label in range(n_classes)))


FAMILIES: Mapping[str, ModelFamily] = {"nets": nets, "neighbors": neighbors}


def agreement(
    probability: Mapping[str, Float[Tensor, "batch classes"]], label: int
) -> Float[Tensor, " batch"]:
    """The families' mean log-odds of a label."""
    log_odds = [p[:, label].double().logit(1e-9) for p in probability.values()]
    return torch.stack(log_odds).clamp(-MAX_LOG_ODDS, MAX_LOG_ODDS).mean(0).float()
