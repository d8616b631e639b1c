"""Against your own model: the learner itself, trained on the fold, is what new rows are to test.

Rows of `explore` that the learner gets wrong and the voters do not are preferred.
"""

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from benchmarks.oversampling.learners import model_of
from benchmarks.oversampling.samplers import Fold, options_of


def by_advaug(method: str, fold: Fold) -> tuple:
    """advaug_own:<learner>[:hardness=strength]; 0 prefers nothing and is the control."""
    from advaug import AdversarialOverSampler
    from advaug.recipes import Explore

    learner, values = options_of(method)
    model = make_pipeline(FunctionTransformer(fold.encode), model_of(learner, fold))
    model.fit(fold.X, fold.y)
    sampler = AdversarialOverSampler(
        sampling_strategy=fold.totals,
        recipe=Explore(hardness=float(values.get("hardness", 1.0))),
        surrogate=model,
        random_state=fold.seed,
    )
    X, y = sampler.fit_resample(fold.X, fold.y)
    made = fold.encode(X.iloc[len(fold.X) :])
    return np.concatenate([fold.matrix, made]), y
