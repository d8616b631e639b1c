"""Model families of scikit-learn on coded rows: what votes beside the nets on a new row's label.

Trees see steps and corners that small nets smooth over; asked together they are right more often
than either alone.
"""

from typing import Any

import numpy as np
import torch
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from torch import Tensor

from advaug.sampling.encoded_dataset import sample_of_classes
from advaug.sampling.judges.cross_fitted import Probability

FARTHEST = 8.0  # robust standard deviations at which coded numbers are cut
WIDE = 32  # columns a tree looks at for a split
MAX_ROWS = 2000  # rows of each class that the voters learn from


def fitted(model: Any, x: Tensor, y: Tensor, n_classes: int) -> Probability:
    """A classifier trained on coded rows, asked in tensors; a class it has not seen gets 0."""
    model.fit(cut(x), y.numpy())

    def probability(rows: Tensor) -> Tensor:
        found = np.zeros((len(rows), n_classes), np.float32)
        found[:, model.classes_] = model.predict_proba(cut(rows))
        return torch.from_numpy(found).to(rows.device)

    return probability


def cut(x: Tensor) -> np.ndarray[Any, Any]:
    return np.asarray(x.cpu().clamp(-FARTHEST, FARTHEST).numpy())


def seed_of(generator: torch.Generator) -> int:
    return int(torch.randint(2**31, (), generator=generator))


def extra_trees(x: Tensor, y: Tensor, n_classes: int, generator: torch.Generator) -> Probability:
    """Extra trees, classes balanced."""
    model = ExtraTreesClassifier(
        100,
        min_samples_leaf=3,
        max_features=max(1, min(x.shape[1] // 2, WIDE)),
        class_weight="balanced",
        random_state=seed_of(generator),
    )
    return fitted(model, x, y, n_classes)


def boosting(x: Tensor, y: Tensor, n_classes: int, generator: torch.Generator) -> Probability:
    """Boosted trees, classes balanced, stopped early: they vote, they need not win alone."""
    model = HistGradientBoostingClassifier(
        max_iter=60,
        learning_rate=0.07,
        max_leaf_nodes=15,
        min_samples_leaf=10,
        max_features=min(1.0, 2 * WIDE / x.shape[1]),
        max_bins=64,  # histograms of 255 bins cost four times as much
        class_weight="balanced",
        early_stopping=False,
        random_state=seed_of(generator),
    )
    return fitted(model, x, y, n_classes)


def train_voters(
    x: Tensor, y: Tensor, n_classes: int, generator: torch.Generator
) -> tuple[Probability, ...]:
    """Trees and boosting, trained on at most MAX_ROWS rows of each class."""
    few = sample_of_classes(y, seed_of(generator), MAX_ROWS)
    return tuple(family(x[few], y[few], n_classes, generator) for family in (extra_trees, boosting))
