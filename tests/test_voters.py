"""Models of scikit-learn that vote: the same answers as scikit-learn's own, at less cost."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier

from advaug.models.extra_trees import ExtraTrees
from advaug.models.read_trees import read_trees
from advaug.sampling.balanced_boosting import BalancedBoosting, binned
from advaug.sampling.voters import CLIP_AT, MANY_CLASSES, VOTERS, cheapest_first, logistic

SETTINGS = {
    **{"max_iter": 15, "max_bins": 64, "class_weight": "balanced", "max_features": 0.6},
    **{"max_leaf_nodes": 15, "min_samples_leaf": 5, "early_stopping": False, "random_state": 3},
}


def tables():
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(700, 6)).astype(np.float32)
    yield "normal", normal, (normal[:, 0] + rng.normal(size=700) > 1).astype(int)
    rounded = np.round(normal, 1)
    rounded[:, 0] = rng.integers(0, 40, 700)
    yield "few distinct values", rounded, rng.integers(0, 5, 700)
    yield "half of the rows at 0", np.where(normal < 0, 0, normal), np.arange(700) % 3
    yield "equal weights", normal.clip(-1, 1), np.arange(700) % 2
    yield "few rows", normal[:40], (np.arange(40) < 9).astype(int)


@pytest.mark.parametrize(("name", "X", "y"), tables())
def test_balanced_boosting_answers_as_scikit_learns_own(name, X, y):
    new = np.concatenate([X, np.random.default_rng(1).normal(size=(900, 6)).round(2)])
    own = BalancedBoosting(**SETTINGS).fit(X, y)
    theirs = HistGradientBoostingClassifier(**SETTINGS).fit(X, y)
    np.testing.assert_array_equal(own.predict_proba(new), theirs.predict_proba(new))


@pytest.mark.parametrize("family", [*VOTERS, logistic])
def test_a_voter_weighs_classes_equally_and_clips_cells_that_lie_far_off(family):
    x = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
    y = (torch.arange(1000) % 10 == 0).long()  # The label has nothing to do with the row.
    x[:5] = 1e4
    voter = family(x, y, 2, torch.Generator().manual_seed(0))
    new = torch.randn(1000, 3, generator=torch.Generator().manual_seed(1))
    assert 0.25 < float(voter(new)[:, 1].mean()) < 0.75, "without weights it is 0.1"
    far = torch.tensor([[1e6, -1e6, 0.0]])
    assert torch.equal(voter(far), voter(far.clamp(-CLIP_AT, CLIP_AT)))


def test_the_voter_with_trees_for_each_class_is_asked_first_where_classes_are_few():
    names = [VOTERS[k].__name__ for k in cheapest_first(MANY_CLASSES - 1)]
    assert names == ["boosting", "extra_trees"]
    assert cheapest_first(MANY_CLASSES) == (0, 1)


@pytest.mark.parametrize(("name", "X", "y"), tables())
def test_extra_trees_are_those_of_scikit_learns_forest(name, X, y):
    settings = {"min_samples_leaf": 3, "max_features": 4}
    own = ExtraTrees(7, **settings, seed=5).fit(X, y)
    forest = ExtraTreesClassifier(7, **settings, class_weight="balanced", random_state=5)
    theirs = read_trees(forest.fit(X, y))
    np.testing.assert_array_equal(own.first, theirs.first)
    for part in ("column", "threshold", "left", "right", "value"):
        np.testing.assert_array_equal(getattr(own.nodes, part), getattr(theirs.nodes, part))


def test_bins_of_a_column_with_empty_quantiles_hold_rows_all_of_them():
    cells = np.r_[np.zeros(900), np.linspace(1, 2, 100)][:, None]
    bins, edges = binned(cells, np.ones(1000), 10)  # The last quantile is between 0 and 1.
    assert len(np.unique(bins)) == len(edges[0]) + 1 == bins.max() + 1
    np.testing.assert_array_equal(bins[:, 0], np.searchsorted(edges[0], cells[:, 0]))
