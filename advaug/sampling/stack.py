"""The teacher: nets and models of other families, weighted by what they predict out of fold.

Each data set has another best model. A map that is learnt on held-out probabilities finds it, where
a mean of all of them is pulled down by the worst.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from advaug.models.committee import Committee
from advaug.models.cross_fitted import CrossFittedModels, fit_cross_fitted
from advaug.models.out_of_fold import OutOfFoldModel
from advaug.models.protocol import Array, CrossFitted, ModelFamily
from advaug.models.stacking import learn_map, log_probability, mapped
from advaug.sampling.encoded_dataset import EncodedDataset

PULL = 10.0  # How strongly the weights are held to a mean of all models, in rows.
ROWS = 4096  # Rows that are predicted at once.


@dataclass(frozen=True)
class Stack:
    """Cross-fitted models and the map from their probabilities to one.

    A new row is predicted by the models of all folds; none of them is trained again on all rows.

    Parameters
    ----------
    committee : Committee
    row_models : tuple of CrossFitted
        Other cross-fitted models, which read encoded rows.
    families : CrossFittedModels
        Models that read the committee's features.
    slope : ndarray (models, classes)
        Weights of the log-probabilities: of the committee, the row models, the families.
    bias : ndarray (classes,)
    held_out : ndarray (rows, classes)
        Probabilities of the training rows, by models that have not seen them.
    """

    committee: Committee
    row_models: tuple[CrossFitted, ...]
    families: CrossFittedModels
    slope: Array
    bias: Array
    held_out: Array

    @property
    def names(self) -> list[str]:
        """Names of the models, in the order of `slope`."""
        rows = [type(model).__name__ for model in self.row_models]
        return ["nets", *rows, *self.families.models]

    def without_fold(self, fold: int) -> Self:
        """The stack of the models that have not seen the rows of a fold of the committee.

        Row models have folds of their own, so there may be none.
        """
        if self.row_models:
            raise ValueError("row models have other folds than the committee")
        models = {name: (votes[fold],) for name, votes in self.families.models.items()}
        families = replace(self.families, models=models)
        return replace(self, committee=self.committee.held_out_members(fold), families=families)

    def probability(self, x: Float[Tensor, "batch *shape"]) -> Array:
        """Probabilities (batch, classes) at the class shares of the training rows."""
        return np.concatenate([self._probability(part) for part in x.split(ROWS)])

    def _probability(self, x: Float[Tensor, "batch *shape"]) -> Array:
        features = self.committee.features(x)
        return self.read(x, features, self.committee.read(features))

    def read(
        self,
        x: Float[Tensor, "batch *shape"],
        features: Float[Tensor, "batch width"],
        members: Float[Tensor, "members batch classes"],
    ) -> Array:
        """The same of rows of which features and the members' logits are known."""
        families = self.families.models.values()
        weights = self.slope[1 + len(self.row_models) :]
        log_q = [
            log_softmax_of(members.mean(0)),
            *(log_softmax_of(model.logits(x)) for model in self.row_models),
            *(
                np.mean([log_probability(vote(features).numpy()) for vote in votes], axis=0)
                if weight.any()
                else np.zeros((len(x), len(self.bias)))
                for votes, weight in zip(families, weights, strict=True)
            ),
        ]
        return mapped(np.stack(log_q), self.slope, self.bias)


def log_softmax_of(logits: Tensor) -> Array:
    """Logits as log-probabilities that are not infinite."""
    return log_probability(logits.cpu().double().softmax(-1).numpy())


def fit_stack(
    dataset: EncodedDataset,
    families: Mapping[str, ModelFamily],
    row_models: tuple[CrossFitted, ...],
    generator: torch.Generator,
    weight: Float[Tensor, " rows"] | None = None,
) -> Stack:
    """Train each family without each fold, and learn the weights of all models on held-out rows."""
    x, y, features = dataset.x, dataset.y, dataset.features
    fold = dataset.committee.fold_of_row
    crossed = fit_cross_fitted(families, features, y, dataset.n_classes, generator, fold, weight)
    votes = crossed.probability(features, crossed.fold_of_row)
    log_q = np.stack(
        [
            log_softmax_of(dataset.logits),
            *(log_softmax_of(OutOfFoldModel.of(model)(x)) for model in row_models),
            *(log_probability(vote.double().numpy()) for vote in votes.values()),
        ]
    )
    start = np.zeros((len(log_q) + 1, dataset.n_classes))
    start[:-1] = 1 / len(log_q)
    each = None if weight is None else weight.double().numpy()
    slope, bias = learn_map(log_q, y.numpy(), start, PULL, each)
    held_out = mapped(log_q, slope, bias)
    return Stack(dataset.committee, row_models, crossed, slope, bias, held_out)
