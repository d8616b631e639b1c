"""Signals beside aeon: its classifiers in our pipelines, our transformers in its own."""

import numpy as np
import pytest
from imblearn.pipeline import make_pipeline
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

from advaug.aeon import CollectionAugmenter, CollectionOverSampler
from tests.test_signals import as_list, rows_equal, sampler_of, transformer_of, waves

pytest.importorskip("aeon")
neighbours = pytest.importorskip("aeon.classification.distance_based")
convolutions = pytest.importorskip("aeon.classification.convolution_based")
collection = pytest.importorskip("aeon.transformations.collection")
checks = pytest.importorskip("aeon.testing.estimator_checking")
aeon_pipeline = pytest.importorskip("aeon.pipeline").make_pipeline
pytestmark = pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaWarning")

MOVES_IN_FIT = CollectionAugmenter(transformer_of(adapter="signal", when="fit"), random_state=0)
CHECKED = [
    CollectionOverSampler(sampler_of(adapter="signal"), random_state=0),
    MOVES_IN_FIT,
    CollectionAugmenter(transformer_of(adapter="signal", when="always"), random_state=0),
]
# Each other check of aeon passes: name of the check and estimator -> why it cannot.
CANNOT_PASS = {
    ("check_transformer_output", repr(MOVES_IN_FIT)): (
        "cases are moved while a pipeline is fitted, not when it predicts: fit_transform differs "
        "from fit and transform"
    ),
}


@pytest.mark.filterwarnings("ignore:too few rows to learn from", "ignore:.*rows were not moved by")
@checks.parametrize_with_checks(CHECKED)
def test_every_check_of_aeon_passes(check):
    key = check.func.__name__, repr(check.keywords.get("estimator"))
    if key not in CANNOT_PASS:
        check()
        return
    with pytest.raises(AssertionError):
        check()


LENGTHS = {"equal": np.asarray, "unequal": as_list}
every_length = pytest.mark.parametrize("name", LENGTHS)


def neighbour():
    return neighbours.KNeighborsTimeSeriesClassifier(
        distance="dtw", distance_params={"window": 0.2}
    )


def data_of(name, **fields):
    X, y = waves(**fields)
    return LENGTHS[name](X), y


@pytest.mark.slow
@every_length
def test_aeons_classifiers_work_behind_the_sampler_in_cross_validation_and_grid_search(name):
    X, y = data_of(name)
    pipeline = make_pipeline(sampler_of(adapter="signal"), neighbour())
    assert cross_val_score(pipeline, X, y, cv=2, error_score="raise").mean() > 0.7
    grid = {
        "adversarialoversampler__recipe": ["harden"],
        "kneighborstimeseriesclassifier__n_neighbors": [1, 3],
    }
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.predict(X)) == len(X)


@pytest.mark.slow
def test_a_rocket_works_behind_the_sampler():
    X, y = waves()
    pipeline = make_pipeline(
        sampler_of(), convolutions.MiniRocketClassifier(n_kernels=84, random_state=0)
    )
    assert cross_val_score(pipeline, X, y, cv=2, error_score="raise").mean() > 0.8


@every_length
def test_the_over_sampler_gives_what_ours_gives(name):
    X, y = data_of(name)
    sampler = CollectionOverSampler(sampler_of())
    X_new, y_new = sampler.fit_transform(X, y)
    X_own, y_own = sampler_of().fit_resample(X, y)
    assert rows_equal(X_new, X_own)
    np.testing.assert_array_equal(y_new, y_own)
    assert len(sampler.sampler_.provenance_) == len(y_new) - len(y)


@every_length
def test_the_augmenter_moves_what_an_aeon_pipeline_learns_and_nothing_else(name):
    X, y = data_of(name)
    X_test, y_test = data_of(name, seed=1)
    augmenter = CollectionAugmenter(transformer_of(when="fit", radius=0.5))
    moved = augmenter.fit_transform(X, y)
    assert [row.shape for row in moved] == [row.shape for row in X]
    assert not rows_equal(moved, X)
    assert rows_equal(augmenter.transform(X_test), X_test)
    pipeline = aeon_pipeline(augmenter, neighbour()).fit(X, y)
    same = neighbour().fit(moved, y)
    np.testing.assert_array_equal(pipeline.predict_proba(X_test), same.predict_proba(X_test))
    assert (pipeline.predict(X_test) == y_test).mean() > 0.7


def test_aeon_pipelines_with_the_augmenter_are_cross_validated_and_searched():
    X, y = waves()
    pipeline = aeon_pipeline(
        collection.Normalizer(), CollectionAugmenter(transformer_of(when="fit")), neighbour()
    )
    assert cross_val_score(pipeline, X, y, cv=2, error_score="raise").mean() > 0.7
    augmenter = CollectionAugmenter(transformer_of(when="fit"))
    assert augmenter.get_params()["transformer__radius"] == 0.3


def test_clones_and_random_states():
    X, y = waves()
    sampler = CollectionOverSampler(sampler_of(), random_state=7)
    one, two = (clone(sampler).fit_transform(X, y)[0] for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert sampler.sampler.random_state == 0
    other = CollectionOverSampler(sampler_of()).fit_transform(X, y)[0]
    assert not np.array_equal(one, other)


def test_labels_are_asked_for():
    X, y = waves()
    with pytest.raises(ValueError, match="requires_y is true"):
        CollectionOverSampler(sampler_of()).fit(X)
    with pytest.raises(ValueError, match="needs labels"):
        CollectionOverSampler(sampler_of()).fit(X, y).transform(X)
