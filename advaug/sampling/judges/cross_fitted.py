"""Model families that had no part in making the rows, each trained once for every fold.

A real row is judged by the models that have not seen it, a new row by those that have not seen its
parent: both are judged on equal terms.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.core.neighbors import nearest
from advaug.models.committee import Ensemble, stratified_folds
from advaug.models.protocol import ModelFamily, Voter

CV = 5
MAX_LOG_ODDS = 6.0  # Larger log-odds are clipped: one sure family must not outvote the others.
DISTANCE_POWER = 4.0  # The odds are the ratio of the distances, to this power.


def nets(x: Tensor, y: Tensor, n_classes: int, generator: torch.Generator) -> Voter:
    """A new committee of small nets."""
    return Ensemble(n_repeats=1).fit(x, y, n_classes, generator).probability


def neighbors(x: Tensor, y: Tensor, n_classes: int, generator: torch.Generator) -> Voter:
    """The odds of two classes from the mean distances to the 3 nearest rows of each."""
    own = [x[y == label] for label in range(n_classes)]

    def vote(rows: Tensor) -> Tensor:
        distance = [
            nearest(rows, some, 3)[0].mean(1) if len(some) else torch.full((len(rows),), torch.inf)
            for some in own
        ]
        return (-DISTANCE_POWER * (torch.stack(distance, dim=1) + 1e-6).log()).softmax(1)

    return vote


FAMILIES: Mapping[str, ModelFamily] = {"nets": nets, "neighbors": neighbors}


@dataclass(frozen=True)
class CrossFittedModels:
    """For each family one model for every fold, trained without the fold's rows."""

    models: Mapping[str, tuple[Voter, ...]]
    fold_of_row: Int[Tensor, " rows"]

    def probability(
        self, x: Float[Tensor, "batch width"], fold: Int[Tensor, " batch"]
    ) -> dict[str, Float[Tensor, "batch classes"]]:
        """Each family's probabilities, by the models that have not seen the row's fold."""
        probability: dict[str, Tensor] = {}
        for name, models in self.models.items():
            for one in fold.unique().tolist():
                rows = (fold == one).nonzero()[:, 0]
                votes = models[one](x[rows]).float()
                every = probability.setdefault(name, votes.new_empty(len(x), votes.shape[1]))
                every[rows] = votes
        return probability


def fit_cross_fitted(
    families: Mapping[str, ModelFamily],
    x: Float[Tensor, "rows width"],
    y: Int[Tensor, " rows"],
    generator: torch.Generator,
) -> CrossFittedModels:
    """Train every family on the rows, once for each fold."""
    fold, n_classes = stratified_folds(y, CV, generator), int(y.max()) + 1
    known = [(fold != one).nonzero()[:, 0] for one in range(CV)]
    models = {
        name: tuple(family(x[rows], y[rows], n_classes, generator) for rows in known)
        for name, family in families.items()
    }
    return CrossFittedModels(models, fold)


def agreement(
    probability: Mapping[str, Float[Tensor, "batch classes"]], label: int
) -> Float[Tensor, " batch"]:
    """The families' mean log-odds of a label."""
    log_odds = [p[:, label].double().logit(1e-9) for p in probability.values()]
    return torch.stack(log_odds).clamp(-MAX_LOG_ODDS, MAX_LOG_ODDS).mean(0).float()
