"""Trees as tensors answer as their library does, on the device of the rows, without the host."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.tree import DecisionTreeClassifier

from advaug.models.read_trees import read_trees
from advaug.models.tree_tensors import TreeTensors
from advaug.sampling.voters import boosting, extra_trees, full_extra_trees, slow_boosting
from tests.host_transfers import counted

MODELS = {
    "one tree": DecisionTreeClassifier(random_state=0),
    "one leaf": DecisionTreeClassifier(min_samples_leaf=300, random_state=0),
    "forest": RandomForestClassifier(12, random_state=0),
    "extra trees": ExtraTreesClassifier(12, min_samples_leaf=4, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=12, random_state=0),
    "histogram boosting": HistGradientBoostingClassifier(max_iter=12, random_state=0),
}


def table(n, n_classes, seed=0):
    """Rows of float32 numbers, some of them on a grid, so that rows lie on thresholds."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5)).astype(np.float32)
    X[:, 3] = X[:, 3].round(1)
    score = X[:, 0] + X[:, 1] * X[:, 2] + X[:, 3] + 0.5 * rng.normal(size=n)
    return X, np.digitize(score, np.quantile(score, np.arange(1, n_classes) / n_classes))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", MODELS)
def test_tree_tensors_answer_as_scikit_learn_does(name, n_classes, device):
    model = MODELS[name].fit(*table(500, n_classes))
    rows = table(10_000, n_classes, seed=1)[0]
    trees = TreeTensors.of(read_trees(model)).to(device)
    found = trees(torch.from_numpy(rows).to(device))
    assert found.device.type == device
    np.testing.assert_allclose(found.cpu(), model.predict_proba(rows), atol=2e-6)


def test_boosting_with_exponential_loss_has_its_own_link():
    X, y = table(500, 2)
    model = GradientBoostingClassifier(n_estimators=9, loss="exponential", random_state=0)
    trees = TreeTensors.of(read_trees(model.fit(X, y)))
    np.testing.assert_allclose(trees(torch.from_numpy(X)), model.predict_proba(X), atol=2e-6)


def test_votes_of_trees_are_summed():
    X, y = table(500, 3)
    model = AdaBoostClassifier(n_estimators=5, random_state=0).fit(X, y)
    trees = TreeTensors.of(read_trees(model))
    found = trees.outputs(torch.from_numpy(X)).argmax(1)
    np.testing.assert_array_equal(found, model.predict(X))


def test_no_row_depends_on_its_batch():
    X, y = table(500, 3)
    trees = TreeTensors.of(read_trees(RandomForestClassifier(12, random_state=0).fit(X, y)))
    rows = torch.from_numpy(X)
    some = torch.cat([trees(part) for part in rows.split(7)])
    torch.testing.assert_close(trees(rows), some, rtol=0, atol=1e-6)
    assert trees(rows[:0]).shape == (0, 3)


def test_trees_that_look_at_categories_are_refused():
    X, y = table(300, 2)
    X[:, 3] = X[:, 3].round().clip(0, 3)
    model = HistGradientBoostingClassifier(max_iter=20, categorical_features=[3]).fit(X, y)
    with pytest.raises(ValueError, match="categories"):
        TreeTensors.of(read_trees(model))


@pytest.mark.parametrize("family", [extra_trees, boosting, full_extra_trees, slow_boosting])
def test_a_voter_of_trees_asks_nothing_of_the_host(family, monkeypatch):
    X, y = table(400, 2)
    x, labels = torch.from_numpy(X), torch.from_numpy(y)
    voter = family(x, labels, 3, torch.Generator().manual_seed(0))
    expected = voter(x)
    assert expected.shape == (400, 3)
    assert not expected[:, 2].any()
    with counted(monkeypatch) as counts:
        found = voter(x)
    assert not counts
    assert torch.equal(found, expected)
    assert voter(x.to("meta")).device.type == "meta", "every step has a fixed shape"
