"""Model families that had no part in making the rows, each trained once a fold.

A real row is judged by the models that never saw it, and a new row by those that never saw its
parent: both are asked on equal terms.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.core.neighbors import nearest
from advaug.models.committee import Ensemble, stratified_folds

FOLDS = 5
SUREST = 6.0  # log-odds beyond it count no more: one sure family must not outvote the others
SLOPE = 4.0  # of log-odds on the log of the ratio of distances

Probability = Callable[[Tensor], Tensor]  # (batch, width) -> (batch, classes)


class ModelFamily(Protocol):
    """A kind of model: trained on rows, it gives probabilities, all classes weighed alike."""

    def __call__(
        self, x: Tensor, y: Tensor, n_classes: int, generator: torch.Generator, /
    ) -> Probability: ...


def nets(x: Tensor, y: Tensor, n_classes: int, generator: torch.Generator) -> Probability:
    """A fresh committee of small nets."""
    return Ensemble(n_repeats=1).fit(x, y, n_classes, generator).probability


def neighbours(x: Tensor, y: Tensor, n_classes: int, generator: torch.Generator) -> Probability:
    """By distance: the odds of two classes are the ratio of the distances to their 3 nearest rows,
    to the fourth power."""
    own = [x[y == label] for label in range(n_classes)]

    def probability(rows: Tensor) -> Tensor:
        away = [
            nearest(rows, some, 3)[0].mean(1) if len(some) else torch.full((len(rows),), torch.inf)
            for some in own
        ]
        return (-SLOPE * (torch.stack(away, dim=1) + 1e-6).log()).softmax(1)

    return probability


FAMILIES: Mapping[str, ModelFamily] = {"nets": nets, "neighbours": neighbours}


@dataclass(frozen=True)
class CrossFittedModels:
    """For each family a model a fold, trained without the fold's rows."""

    models: Mapping[str, tuple[Probability, ...]]
    fold_of_row: Int[Tensor, " rows"]

    def probability(
        self, x: Float[Tensor, "batch width"], fold: Int[Tensor, " batch"]
    ) -> dict[str, Float[Tensor, "batch classes"]]:
        """Each family's probabilities, by the models that did not see the row's fold."""
        found: dict[str, Tensor] = {}
        for name, models in self.models.items():
            for one in fold.unique().tolist():
                rows = (fold == one).nonzero()[:, 0]
                answer = models[one](x[rows]).float()
                found.setdefault(name, answer.new_empty(len(x), answer.shape[1]))[rows] = answer
        return found


def fit_cross_fitted(
    families: Mapping[str, ModelFamily],
    x: Float[Tensor, "rows width"],
    y: Int[Tensor, " rows"],
    generator: torch.Generator,
) -> CrossFittedModels:
    """Train every family on the rows, once a fold."""
    fold, n_classes = stratified_folds(y, FOLDS, generator), int(y.max()) + 1
    seen = [(fold != one).nonzero()[:, 0] for one in range(FOLDS)]
    models = {
        name: tuple(family(x[rows], y[rows], n_classes, generator) for rows in seen)
        for name, family in families.items()
    }
    return CrossFittedModels(models, fold)


def agreement(
    probability: Mapping[str, Float[Tensor, "batch classes"]], label: int
) -> Float[Tensor, " batch"]:
    """The families' mean log-odds of a label."""
    odds = [p[:, label].double().logit(1e-9).clamp(-SUREST, SUREST) for p in probability.values()]
    return torch.stack(odds).mean(0).float()
