"""Weights of rows, for models that take them and for those that do not.

A row of weight 2 counts as the row twice. A model that takes no weights is trained on rows drawn in
proportion to their weights.
"""

from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.models.protocol import ModelFamily, Voter


def takes_weights(fit: Callable[..., Any]) -> bool:
    """Whether what trains a model has a parameter `sample_weight`."""
    return "sample_weight" in signature(fit).parameters


def fit_family(
    family: ModelFamily,
    x: Float[Tensor, "rows width"],
    y: Int[Tensor, " rows"],
    n_classes: int,
    generator: torch.Generator,
    weight: Float[Tensor, " rows"] | None,
) -> Voter:
    """A voter trained on weighted rows: by their weights, or on rows drawn by them."""
    if weight is None:
        return family(x, y, n_classes, generator)
    if takes_weights(family):
        weighted: Callable[..., Voter] = family
        return weighted(x, y, n_classes, generator, sample_weight=weight)
    drawn = rows_by_weight(weight, generator)
    return family(x[drawn], y[drawn], n_classes, generator)


def rows_by_weight(
    weight: Float[Tensor, " rows"], generator: torch.Generator
) -> Int[Tensor, " rows"]:
    """As many rows as there are, each as often as its share of the weight says, or once more.

    Systematic sampling: where all weights are equal, each row is drawn once.
    """
    heights = weight.double().cumsum(0)
    at = torch.arange(len(weight)) + torch.rand((), generator=generator, dtype=torch.float64)
    drawn = torch.searchsorted(heights * (len(weight) / heights[-1]), at, right=True)
    return drawn.clamp_max(len(weight) - 1)
