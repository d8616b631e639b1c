"""Weights, groups and what else belongs to a row: docs/row-metadata.md, and `sample_weight`."""

import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from advaug.models.training import Training
from advaug.robust import (
    AdversarialClassifier,
    AdversarialDetector,
    AdversarialRegressor,
    RejectingClassifier,
)
from advaug.robust.robust_net import row_weights

PAGE = Path(__file__).parents[1] / "docs" / "row-metadata.md"
SHORT = Training(epochs=30, learning_rate=0.01)


@pytest.mark.slow
def test_the_page_runs_as_it_stands():
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(block, names)
    assert len(names["weight_new"]) == len(names["X_new"])
    assert (names["parent"][:300] == np.arange(300)).all()
    assert len(names["inner"]) == len(names["X_train"])


def contradicted(n=150):
    """Rows, and the same rows with opposite targets."""
    X = np.random.default_rng(0).normal(size=(n, 3))
    y = (X[:, 0] + X[:, 1] > 0).astype(int)
    return X, y, np.vstack([X, X]), np.concatenate([y, 1 - y]), np.repeat([1.0, 0.0], n)


@pytest.mark.parametrize("loss", ["adversarial", "free", "trades"])
def test_a_classifier_does_not_learn_rows_without_weight(loss):
    X, y, rows, labels, weight = contradicted()
    model = AdversarialClassifier(loss=loss, radius=0.1, training=SHORT, random_state=0)
    assert model.fit(rows, labels, sample_weight=weight).score(X, y) > 0.9
    assert model.fit(rows, labels, 3 * weight[::-1]).score(X, y) < 0.1
    assert 0.2 < model.fit(rows, labels).score(X, y) < 0.8


def test_a_regressor_does_not_learn_rows_without_weight():
    X, _, rows, _, weight = contradicted()
    target = np.concatenate([X[:, 0], -X[:, 0]])
    model = AdversarialRegressor(radius=0.1, training=SHORT, random_state=0)
    assert model.fit(rows, target, sample_weight=weight).score(X, X[:, 0]) > 0.8
    assert model.fit(rows, target).score(X, X[:, 0]) < 0.3
    again = AdversarialRegressor(radius=0.1, training=SHORT, random_state=0)
    for _ in range(3):
        again.partial_fit(rows, target, sample_weight=weight)
    assert again.score(X, X[:, 0]) > 0.8


@pytest.mark.parametrize("make", [AdversarialClassifier, AdversarialRegressor])
def test_equal_weights_are_none(make):
    X, y, *_ = contradicted(60)
    brief = Training(epochs=2)
    plain, weighted = (
        make(training=brief, random_state=0).fit(X, y, sample_weight=weight)
        for weight in (None, np.full(60, 7.0))
    )
    assert (plain.predict(X) == weighted.predict(X)).all()


def test_weights_multiply_those_of_the_classes():
    _, _, rows, labels, weight = contradicted(60)
    model = AdversarialClassifier(class_weight={0: 2, 1: 1}, training=SHORT, random_state=0)
    model.fit(rows, labels, sample_weight=weight)
    codes = model._encode_labels(labels, labels)
    given = model._row_weights(codes, row_weights(weight, labels)).numpy()
    expected = weight * np.where(labels == 0, 2, 1)
    np.testing.assert_allclose(given, expected / expected.mean(), rtol=1e-5)


BAD = {
    "negative": ([-1.0] + [1.0] * 59, "Negative values in data passed to `sample_weight`"),
    "nothing": ([0.0] * 60, "at least one non-zero number"),
    "too few": ([1.0] * 59, "sample_weight.shape"),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("make", [AdversarialClassifier, AdversarialRegressor])
def test_what_is_no_weight_is_refused(make, bad):
    X, y, *_ = contradicted(60)
    weight, message = BAD[bad]
    with pytest.raises(ValueError, match=message):
        make(training=SHORT).fit(X, y, sample_weight=weight)


def test_weights_of_a_rejecting_classifier_are_its_estimators():
    X, y, rows, labels, weight = contradicted()
    detector = AdversarialDetector(training=Training(epochs=2), random_state=0)
    model = RejectingClassifier(LogisticRegression(), detector)
    model.fit(rows, labels, sample_weight=weight)
    plain = LogisticRegression().fit(rows, labels, sample_weight=weight)
    np.testing.assert_array_equal(model.predict_proba(X), plain.predict_proba(X))
    assert model.score(X, y) > 0.9
