"""Labels without any signal: what a benchmark says of them is what it leaks."""

import numpy as np
import pytest
from imblearn.pipeline import make_pipeline
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier

from advaug import AdversarialOverSampler
from advaug.models import Ensemble

QUICK = Ensemble(n_repeats=2, hidden_width=16, max_iter=30)
RECIPES = ["match", "translate"]


def problem(seed, n=400):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 5)), rng.permutation(np.repeat([0, 1], [n - n // 8, n // 8]))


def sampler(recipe, seed):
    return AdversarialOverSampler(recipe=recipe, surrogate=QUICK, random_state=seed)


def auc(model, X, y):
    """Area under the curve of the pooled held-out probabilities."""
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    return roc_auc_score(y, cross_val_predict(model, X, y, cv=folds, method="predict_proba")[:, 1])


def error_of_auc(y):
    """Standard error of the AUC of a score that knows nothing (Hanley and McNeil 1982)."""
    positives, negatives = np.bincount(y)
    return ((positives + negatives + 1) / (12 * positives * negatives)) ** 0.5


MODELS = [LogisticRegression(), DecisionTreeClassifier(min_samples_leaf=5, random_state=0)]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_oversampling_inside_the_folds_finds_nothing_in_random_labels(model, recipe):
    scores, errors = [], []
    for seed in range(3):
        X, y = problem(seed)
        scores.append(auc(make_pipeline(sampler(recipe, seed), model), X, y))
        errors.append(error_of_auc(y))
    error = np.sqrt(np.mean(np.square(errors)) / len(errors))
    assert abs(np.mean(scores) - 0.5) < 3 * error


@pytest.mark.parametrize("recipe", RECIPES)
def test_oversampling_before_the_split_finds_what_is_not_there(recipe):
    # The control: the same measurement does see a leak.
    X, y = problem(0)
    X_new, y_new = sampler(recipe, 0).fit_resample(X, y)
    assert auc(MODELS[1], X_new, y_new) > 0.5 + 6 * error_of_auc(y_new)
