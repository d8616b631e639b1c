"""Model families of scikit-learn on encoded rows: they vote beside the nets on a new row's label.

Trees see steps and corners that small nets smooth over. Nets and trees together are right more
often than either alone.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from torch import Tensor

from advaug.models.protocol import ModelFamily, Voter
from advaug.sampling.encoded_dataset import sample_of_classes

CLIP_AT = 8.0  # Robust standard deviations beyond which encoded numbers are clipped.
MAX_FEATURES = 32  # Columns that a tree looks at for a split.
MAX_ROWS = 2000  # Rows of each class that the voters learn from.


def fit_voter(classifier: Any, x: Tensor, y: Tensor, n_classes: int) -> Voter:
    """A scikit-learn classifier fitted on encoded rows; a class that it has not seen gets 0."""
    classifier.fit(clipped(x), y.numpy())

    def vote(rows: Tensor) -> Tensor:
        probability = np.zeros((len(rows), n_classes), np.float32)
        probability[:, classifier.classes_] = classifier.predict_proba(clipped(rows))
        return torch.from_numpy(probability).to(rows.device)

    return vote


def clipped(x: Tensor) -> np.ndarray[Any, Any]:
    """Encoded rows as an array, outliers clipped."""
    return np.asarray(x.cpu().clamp(-CLIP_AT, CLIP_AT).numpy())


def draw_seed(generator: torch.Generator) -> int:
    return int(torch.randint(2**31, (), generator=generator))


def extra_trees(x: Tensor, y: Tensor, n_classes: int, generator: torch.Generator) -> Voter:
    """Extra trees on balanced classes."""
    model = ExtraTreesClassifier(
        100,
        min_samples_leaf=3,
        max_features=max(1, min(x.shape[1] // 2, MAX_FEATURES)),
        class_weight="balanced",
        random_state=draw_seed(generator),
    )
    return fit_voter(model, x, y, n_classes)


def boosting(x: Tensor, y: Tensor, n_classes: int, generator: torch.Generator) -> Voter:
    """Few boosted trees on balanced classes: one vote of several need not be the best alone."""
    model = HistGradientBoostingClassifier(
        max_iter=60,
        learning_rate=0.07,
        max_leaf_nodes=15,
        min_samples_leaf=10,
        max_features=min(1.0, 2 * MAX_FEATURES / x.shape[1]),
        max_bins=64,  # Histograms of 255 bins cost four times as much.
        class_weight="balanced",
        early_stopping=False,
        random_state=draw_seed(generator),
    )
    return fit_voter(model, x, y, n_classes)


def train_voters(
    x: Tensor,
    y: Tensor,
    n_classes: int,
    generator: torch.Generator,
    families: Iterable[ModelFamily] = (extra_trees, boosting),
) -> tuple[Voter, ...]:
    """A voter of each family, trained on at most MAX_ROWS rows of each class."""
    few = sample_of_classes(y, draw_seed(generator), MAX_ROWS)
    return tuple(family(x[few], y[few], n_classes, generator) for family in families)
