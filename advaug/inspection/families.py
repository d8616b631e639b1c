"""The families that sit on the report's panel, on coded rows."""

from collections.abc import Mapping

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from advaug.families import boosting, fitted, trees
from advaug.validity.jury import Family, Probability, nets


def logistic(x: Tensor, y: Tensor, n_classes: int, generator: torch.Generator) -> Probability:
    """Regularised logistic regression, classes balanced."""
    model = LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000)
    return fitted(make_pipeline(StandardScaler(), model), x, y, n_classes)


PANEL: Mapping[str, Family] = {
    "nets": nets,
    "trees": trees,
    "boosting": boosting,
    "logistic": logistic,
}
