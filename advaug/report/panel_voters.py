"""The families that sit on the report's panel, on coded rows."""

from collections.abc import Mapping

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from advaug.models.protocol import ModelFamily, Voter
from advaug.sampling.judges.families import nets
from advaug.sampling.voters import boosting, extra_trees, fit_voter


def logistic(x: Tensor, y: Tensor, n_classes: int, generator: torch.Generator) -> Voter:
    """Regularised logistic regression, classes balanced."""
    model = LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000)
    return fit_voter(make_pipeline(StandardScaler(), model), x, y, n_classes)


PANEL: Mapping[str, ModelFamily] = {
    "nets": nets,
    "trees": extra_trees,
    "boosting": boosting,
    "logistic": logistic,
}
