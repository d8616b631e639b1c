"""The under-sampler drops whole rows of the user's, as many as asked for, and for its reasons."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from imblearn.pipeline import make_pipeline
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from advaug import AdversarialUnderSampler
from advaug.sampling import encoded_dataset as pools

SEED = 0


def blobs(many=120, few=30, gap=4.0):
    """Two round classes side by side; 1 is the rare one."""
    rng = np.random.default_rng(SEED)
    X = rng.normal(size=(many + few, 3))
    y = np.repeat([0, 1], [many, few])
    X[y == 1, 0] += gap
    return X, y


def frame():
    X, y = blobs()
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    table["kind"] = pd.Categorical(np.where(X[:, 1] > 0, "up", "down"))
    table["id"] = np.arange(len(X)) + 2**53
    table.loc[3, "b"] = np.nan
    return table, pd.Series(np.where(y == 1, "rare", "common"), name="target")


def thinner(**settings):
    return AdversarialUnderSampler(**{"random_state": SEED} | settings)


@pytest.mark.parametrize("drop", ["redundant", "noisy", "both"])
@pytest.mark.parametrize(
    ("strategy", "expected"),
    [("auto", [30, 30]), (0.5, [60, 30]), ({0: 77}, [77, 30]), ({0: 50, 1: 20}, [50, 20])],
)
def test_counts_are_exact(drop, strategy, expected):
    _, y = thinner(drop=drop, sampling_strategy=strategy).fit_resample(*blobs())
    assert np.bincount(y).tolist() == expected


def test_a_frame_keeps_its_rows_dtypes_and_index():
    X, y = frame()
    X.index = [f"row {i}" for i in range(len(X))]
    before = X.copy()
    sampler = thinner()
    X_new, y_new = sampler.fit_resample(X, y)
    pd.testing.assert_frame_equal(X_new, X.iloc[sampler.sample_indices_])
    pd.testing.assert_series_equal(y_new, y.iloc[sampler.sample_indices_])
    pd.testing.assert_frame_equal(X, before)
    assert (np.diff(sampler.sample_indices_) > 0).all()


def test_every_container_loses_the_same_rows():
    X, y = blobs()
    sampler = thinner()
    expected, _ = sampler.fit_resample(X, y)
    kept = sampler.sample_indices_
    for given, back in [
        (X.tolist(), np.asarray),
        (sparse.csr_array(X), lambda rows: rows.toarray()),
        (pd.DataFrame(X, columns=list("abc")), lambda rows: rows.to_numpy()),
        (pl.DataFrame(X, schema=list("abc")), lambda rows: rows.to_numpy()),
    ]:
        rows, labels = sampler.fit_resample(given, y)
        assert type(rows) is type(given)
        np.testing.assert_array_equal(back(rows), expected)
        np.testing.assert_array_equal(labels, y[kept])


def test_images_are_thinned_too():
    rng = np.random.default_rng(SEED)
    y = np.repeat([0, 1], [40, 10])
    X = (rng.integers(0, 128, size=(50, 4, 4)) + 100 * y[:, None, None]).astype(np.uint8)
    X_new, y_new = thinner().fit_resample(X, y)
    assert X_new.shape == (20, 4, 4)
    assert np.bincount(y_new).tolist() == [10, 10]


def test_mislabelled_rows_are_the_first_to_go():
    X, y = blobs(gap=6.0)
    rng = np.random.default_rng(1)
    wrong = rng.choice(np.flatnonzero(y == 0), 6, replace=False)
    X[wrong, 0] += 6.0  # where the other class lives
    for drop in ("noisy", "both"):
        sampler = thinner(drop=drop, doubt=0.5, sampling_strategy={0: 110})
        sampler.fit_resample(X, y)
        assert not np.isin(wrong, sampler.sample_indices_).any()
        assert (sampler.distances_[wrong] < 0).all()
    kept = thinner(drop="redundant", sharpness=np.inf, sampling_strategy={0: 110})
    kept.fit_resample(X, y)
    assert np.isin(wrong, kept.sample_indices_).all()


def test_without_chance_all_that_went_lay_deeper_than_all_that_stayed():
    X, y = blobs()
    sampler = thinner(drop="redundant", sharpness=np.inf)
    sampler.fit_resample(X, y)
    stays = np.isin(np.arange(len(y)), sampler.sample_indices_)[y == 0]
    depth = sampler.distances_[y == 0]
    assert depth[~stays].min() >= depth[stays].max()
    assert np.isnan(sampler.distances_[y == 1]).all()
    # the border lies between the blobs: the deepest rows are those farthest from the other class
    assert np.corrcoef(depth, -X[y == 0, 0])[0, 1] > 0.8


def test_labels_without_meaning_are_thinned_by_chance():
    X, y = blobs(gap=0.0)
    sampler = thinner(drop="redundant", sharpness=np.inf)
    _, y_new = sampler.fit_resample(X, y)
    assert sampler.surrogate_auc_[0] < 0.6
    assert np.isnan(sampler.distances_).all()
    assert np.bincount(y_new).tolist() == [30, 30]


def test_rows_that_the_committee_was_not_given_are_judged_as_well(monkeypatch):
    monkeypatch.setattr(pools, "MAX_ROWS", 25)
    X, y = blobs()
    sampler = thinner(drop="redundant", sharpness=np.inf)
    sampler.fit_resample(X, y)
    assert np.isfinite(sampler.distances_[y == 0]).all()
    assert len(sampler.sample_indices_) == 60


def test_a_row_is_judged_by_the_models_that_have_not_seen_it():
    X, y = blobs(gap=2.0)
    sampler = thinner()
    sampler.fit_resample(X, y)
    committee, x = sampler.surrogate_, sampler.adapter_.encode(X)
    for fold in committee.fold_of_row.unique().tolist():
        rows = (committee.fold_of_row == fold).numpy() & (y == 0)
        expected = committee.held_out_members(fold).probability(x[rows])[:, 0]
        np.testing.assert_allclose(sampler.probabilities_[rows], expected, atol=1e-5)


def test_the_same_seed_drops_the_same_rows_in_any_batch_size():
    X, y = blobs()
    kept = [thinner(batch_size=b) for b in (7, 7, 4096)]
    for sampler in kept:
        sampler.fit_resample(X, y)
    for sampler in kept[1:]:
        np.testing.assert_array_equal(sampler.sample_indices_, kept[0].sample_indices_)
    other = thinner(random_state=1)
    other.fit_resample(X, y)
    assert not np.array_equal(other.sample_indices_, kept[0].sample_indices_)


def test_several_classes_are_cut_to_the_smallest():
    X, _ = blobs()
    y = np.repeat(["a", "b", "c"], [80, 45, 25])
    X[y == "b", 1] += 4
    X[y == "c", 2] += 4
    _, y_new = thinner().fit_resample(X, y)
    assert np.unique(y_new, return_counts=True)[1].tolist() == [25, 25, 25]


def test_it_works_in_a_pipeline_and_a_grid_search():
    X, y = frame()
    search = GridSearchCV(
        make_pipeline(thinner(), LogisticRegression()),
        {"adversarialundersampler__sharpness": [0.0, 3.0]},
        cv=2,
        error_score="raise",
    )
    assert search.fit(X[["a", "c"]], y).best_score_ > 0.9


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"drop": "all"}, "drop"), ({"sharpness": -1}, "sharpness"), ({"doubt": 2}, "doubt")],
)
def test_a_wrong_setting_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        thinner(**settings).fit_resample(*blobs())


def test_more_rows_than_there_are_is_refused():
    with pytest.raises(ValueError, match="number of samples"):
        thinner(sampling_strategy={0: 500}).fit_resample(*blobs())
