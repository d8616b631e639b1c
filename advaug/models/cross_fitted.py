"""Models of several families, each trained once for every fold of the rows.

A real row is predicted by the models that have not seen it, a new row by those that have not seen
its parent: both on equal terms.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.models.committee import stratified_folds
from advaug.models.protocol import ModelFamily, Voter
from advaug.models.weighting import fit_family

CV = 5


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
    n_classes: int,
    generator: torch.Generator,
    fold: Int[Tensor, " rows"] | None = None,
    weight: Float[Tensor, " rows"] | None = None,
) -> CrossFittedModels:
    """Train every family on the rows, once for each fold; by default there are CV of them."""
    fold = stratified_folds(y, CV, generator) if fold is None else fold
    known = [(fold != one).nonzero()[:, 0] for one in range(int(fold.max()) + 1)]
    models = {
        name: tuple(
            fit_family(
                family,
                x[rows],
                y[rows],
                n_classes,
                generator,
                None if weight is None else weight[rows],
            )
            for rows in known
        )
        for name, family in families.items()
    }
    return CrossFittedModels(models, fold)
