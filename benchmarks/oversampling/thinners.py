"""Under-samplers: what is left of a training fold, for the table `undersample`.

The strategy "under" leaves as many rows of each class as the smallest has. Tomek links and edited
neighbors clean and ask for no count; instance hardness comes near to it; the others keep it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from imblearn import under_sampling
from sklearn.ensemble import RandomForestClassifier

from benchmarks.oversampling.samplers import Fold, Sampler, options_of


def by_imblearn(make: Callable[..., Any], counts: bool, is_seeded: bool, fold: Fold) -> tuple:
    """One of imbalanced-learn's under-samplers at its defaults, on the encoded rows."""
    options = {"sampling_strategy": fold.totals} if counts else {}
    options |= {"random_state": fold.seed} if is_seeded else {}
    return make(**options).fit_resample(fold.matrix, fold.y)


def instance_hardness(fold: Fold) -> tuple:
    """Rows that a cross-validated forest is least sure of go first (Smith, Martinez, Giraud-Carrier
    2014); as many folds as the smallest class has rows, five at most."""
    forest = RandomForestClassifier(100, n_jobs=1, random_state=fold.seed)
    folds = min(5, int(np.bincount(fold.y).min()))
    sampler = under_sampling.InstanceHardnessThreshold(
        estimator=forest, sampling_strategy=fold.totals, random_state=fold.seed, cv=folds
    )
    return sampler.fit_resample(fold.matrix, fold.y)


def by_advaug(method: str, fold: Fold) -> tuple:
    """The library's own, on the rows as they are."""
    from advaug import AdversarialUnderSampler

    drop, values = options_of(method)
    values = {"drop": drop, "random_state": fold.seed} | values
    sampler = AdversarialUnderSampler(sampling_strategy=fold.totals, **values)
    sampler.fit_resample(fold.X, fold.y)
    return fold.matrix[sampler.sample_indices_], fold.y[sampler.sample_indices_]


THINNERS: dict[str, Sampler] = {
    "random_under": partial(by_imblearn, under_sampling.RandomUnderSampler, True, True),
    "tomek": partial(by_imblearn, under_sampling.TomekLinks, False, False),
    "enn": partial(by_imblearn, under_sampling.EditedNearestNeighbours, False, False),
    "near_miss": partial(by_imblearn, under_sampling.NearMiss, True, False),
    "instance_hardness": instance_hardness,
}
KEEPS_COUNTS = ("random_under", "near_miss", "advaug_under")
