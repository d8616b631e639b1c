"""What must hold for any rows: the user's own come back first and equal, new ones are valid."""

import datetime as dt
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal, assert_series_equal
from scipy import sparse

from advaug import AdversarialOverSampler, AdversarialTransformer
from advaug.models import Ensemble
from tests.frames import BIG, COLUMNS, HOLES, INDICES, LAYOUTS

QUICK = Ensemble(n_repeats=2, cv=2, hidden_width=8, max_iter=5)
# A failing frame is shown as it was found: to shrink it would take minutes.
few = settings(max_examples=15, phases=[Phase.explicit, Phase.generate])


def sampler(**settings):
    return AdversarialOverSampler(surrogate=QUICK, random_state=0, **settings)


@st.composite
def problems(draw):
    """A mixed pandas frame of two or three unequal classes that differ in a float column."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    sizes = draw(st.sampled_from([(30, 9), (25, 8, 12)]))
    names = draw(st.lists(st.sampled_from(list(COLUMNS)), min_size=3, max_size=8, unique=True))
    holed = draw(st.sets(st.sampled_from(HOLES)))
    y = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    X = pd.DataFrame({"signal": rng.normal(size=len(y)) + 2 * y})
    for name in names:
        column = pd.Series(COLUMNS[name](rng, len(y)))
        X[name] = column.mask(rng.random(len(y)) < 0.2) if name in holed else column
    X.index = INDICES[draw(st.sampled_from(list(INDICES)))](rng, len(y))
    return X, y


def check_valid(X, X_new, parents):
    """Levels, whole numbers, bounds and holes of the new rows."""
    new = X_new.iloc[len(X) :]
    assert_array_equal(new.isna(), X.isna().to_numpy()[parents])
    for name in X:
        known, made = X[name].dropna(), new[name].dropna()
        if X[name].dtype == "category" or name == "string":
            assert set(made) <= set(known), name
        elif len(made):
            assert known.min() <= made.min(), name
            assert made.max() <= known.max(), name
        if name == "naive":
            assert (made == made.dt.normalize()).all(), "a plain date is a whole day"


def check_alike(X, wanted):
    """Equal, but for the last digit of float32: matrix products of other shapes round otherwise.

    An id is one of 2**40 in a frame here, more than float32 tells apart.
    """
    X, wanted = X.copy(), wanted.copy()
    if "id" in X:
        assert np.abs(X.pop("id") - wanted.pop("id")).max() < 2**40 * 1e-5
    assert_frame_equal(X, wanted, rtol=1e-4, atol=1e-5)


@few
@given(problems())
def test_the_users_rows_come_first_and_new_ones_are_valid_whatever_the_frame(problem):
    X, y = problem
    before, target = X.copy(deep=True), y.copy()
    s = sampler()
    X_new, y_new = s.fit_resample(X, y)
    assert_frame_equal(X, before)
    assert_array_equal(y, target)
    assert_frame_equal(X_new.iloc[: len(X)], X)
    assert_array_equal(y_new[: len(y)], y)
    assert (X_new.dtypes == X.dtypes).all()
    assert type(X_new.index) is type(X.index)
    assert_array_equal(s.parent_indices_[: len(X)], np.arange(len(X)))
    assert np.bincount(y_new).tolist() == [np.bincount(y).max()] * len(np.bincount(y))
    check_valid(X, X_new, s.parent_indices_[len(X) :])


@few
@given(problems(), st.sampled_from(["boundary", "harden", "translate", "interpolate"]))
def test_every_recipe_makes_valid_rows(problem, recipe):
    X, y = problem
    s = sampler(recipe=recipe)
    X_new, _ = s.fit_resample(X, y)
    assert_frame_equal(X_new.iloc[: len(X)], X)
    check_valid(X, X_new, s.parent_indices_[len(X) :])


@few
@given(problems())
def test_the_same_seed_gives_the_same_rows_in_any_batch_size(problem):
    X, y = problem
    wanted, _ = sampler().fit_resample(X, y)
    assert_frame_equal(sampler().fit_resample(X, y)[0], wanted)
    check_alike(sampler(batch_size=7).fit_resample(X, y)[0], wanted)


@pytest.mark.parametrize("recipe", ["match", "boundary", "harden", "translate", "interpolate"])
def test_no_recipe_and_no_attack_depends_on_the_batch_size(recipe):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [80, 20])
    X = pd.DataFrame({"a": rng.normal(size=100) + 2 * y, "b": rng.poisson(3, 100), "c": y})
    X["c"] = pd.Categorical(rng.choice(list("uvw"), 100))
    for attack in ("auto",) if recipe == "interpolate" else ("auto", "pgd", "noise"):
        settings = {"recipe": recipe, "attack": attack}
        wanted, _ = sampler(**settings).fit_resample(X, y)
        check_alike(sampler(**settings, batch_size=7).fit_resample(X, y)[0], wanted)


def test_another_seed_gives_other_rows():
    X = np.random.default_rng(0).normal(size=(40, 3))
    y = np.repeat([0, 1], [30, 10])
    a, b = (
        AdversarialOverSampler(surrogate=QUICK, random_state=k).fit_resample(X, y)[0]
        for k in (0, 1)
    )
    assert not np.isin(b[40:, 0], a[40:, 0]).any()


def test_the_global_generators_stay_untouched():
    X = np.random.default_rng(0).normal(size=(40, 3))
    y = np.repeat([0, 1], [30, 10])

    def states():
        numpys = pickle.dumps(np.random.get_state())  # noqa: NPY002
        return numpys, torch.get_rng_state().tolist(), torch.get_num_threads()

    before = states()
    AdversarialOverSampler(surrogate=QUICK, random_state=0).fit_resample(X, y)
    AdversarialTransformer(surrogate=QUICK, random_state=0).fit(X, y).transform(X)
    assert states() == before


STRATEGIES = [
    ("auto", {0: 30, 1: 30, 2: 30}),
    ("minority", {0: 30, 1: 30, 2: 12}),
    ("not minority", {0: 30, 1: 8, 2: 30}),
    ("all", {0: 30, 1: 30, 2: 30}),
    ({1: 11, 2: 40}, {0: 30, 1: 11, 2: 40}),
    ({0: 31}, {0: 31, 1: 8, 2: 12}),
    (lambda y: {0: 50, 1: 17, 2: 12}, {0: 50, 1: 17, 2: 12}),
]


@pytest.mark.parametrize(
    ("strategy", "counts"),
    STRATEGIES,
    ids=lambda value: "callable" if callable(value) else str(value),
)
def test_counts_are_exact_for_every_strategy(strategy, counts):
    y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [30, 8, 12]))
    X = np.random.default_rng(1).normal(size=(50, 3)) + 2 * y[:, None]
    _, y_new = sampler(sampling_strategy=strategy).fit_resample(X, y)
    assert dict(enumerate(np.bincount(y_new).tolist())) == counts


@given(st.floats(0.43, 1.0))
@settings(max_examples=5)
def test_a_share_gives_that_share_of_two_classes(share):
    y = np.repeat([0, 1], [50, 20])
    X = np.random.default_rng(1).normal(size=(70, 3)) + 2 * y[:, None]
    _, y_new = sampler(sampling_strategy=share).fit_resample(X, y)
    assert np.bincount(y_new).tolist() == [50, int(share * 50)]


# ---------------------------------------------------------------- containers


RNG = np.random.default_rng(0)
LABELS = np.repeat([0, 1], [30, 10])
PLAIN = RNG.normal(size=(40, 4)) + LABELS[:, None]
WHOLE = np.rint(PLAIN * 4)


def mapped(X, folder):
    target = np.memmap(folder / "X.bin", dtype=X.dtype, mode="w+", shape=X.shape)
    target[:] = X
    target.flush()
    return np.memmap(folder / "X.bin", dtype=X.dtype, mode="r", shape=X.shape)


def check_equal_to_plain(X, wanted):
    out, y = sampler().fit_resample(X, LABELS)
    assert isinstance(out, np.ndarray) or type(out) is type(X)
    assert getattr(out, "dtype", None) == getattr(X, "dtype", None)
    dense = out.toarray() if sparse.issparse(out) else np.asarray(out)
    assert_array_equal(dense.astype(float), wanted)
    assert len(y) == len(wanted)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_and_container_gives_the_rows_of_the_plain_array(layout):
    # Whole numbers, so that every dtype holds them and their rounding is the same.
    wanted, _ = sampler().fit_resample(WHOLE, LABELS)
    assert not np.array_equal(wanted[40:], wanted[:20])
    check_equal_to_plain(LAYOUTS[layout](WHOLE), wanted)


def test_a_memmap_gives_the_rows_of_the_plain_array(tmp_path):
    check_equal_to_plain(mapped(PLAIN, tmp_path), sampler().fit_resample(PLAIN, LABELS)[0])


def test_polars_in_is_polars_out_with_the_same_schema():
    n = len(LABELS)
    start = dt.datetime(2020, 1, 1)
    X = pl.DataFrame(
        {
            "float": PLAIN[:, 0],
            "id": BIG + RNG.integers(0, 99, n),
            "short": pl.Series([None, *range(n - 1)], dtype=pl.Int16),
            "flag": PLAIN[:, 1] > 0,
            "text": RNG.choice(["u", "v"], n),
            "category": pl.Series(RNG.choice(["u", "v"], n), dtype=pl.Categorical),
            "enum": pl.Series(RNG.choice(["u", "v"], n), dtype=pl.Enum(["u", "v", "unused"])),
            "day": [start.date() + dt.timedelta(int(k)) for k in RNG.integers(0, 99, n)],
            "time": pl.Series(
                [start + dt.timedelta(hours=k) for k in range(n)]
            ).dt.replace_time_zone("Europe/Paris"),
        }
    )
    s = sampler()
    out, y = s.fit_resample(X, pl.Series("label", LABELS))
    assert out.schema == X.schema
    assert out[:n].equals(X)
    assert isinstance(y, pl.Series)
    assert y.name == "label"
    assert y.to_list() == [*LABELS, *[1] * 20]
    parents = X[s.parent_indices_[n:]]
    assert out[n:]["short"].is_null().to_list() == parents["short"].is_null().to_list()
    assert not out[n:].equals(parents)


@pytest.mark.parametrize(
    "images",
    [
        RNG.integers(0, 200, (40, 5, 6)).astype("u1"),
        RNG.random((40, 2, 4, 3)).astype("f4"),
        RNG.random((40, 1, 4, 3)),
    ],
    ids=lambda images: f"{images.ndim}-d {images.dtype}",
)
@pytest.mark.parametrize("recipe", ["match", "boundary", "harden", "translate", "interpolate"])
def test_images_keep_shape_dtype_and_range(images, recipe):
    images = images.copy()
    images[LABELS == 1] = images[LABELS == 1] / 2
    s = sampler(recipe=recipe)
    out, y = s.fit_resample(images, LABELS)
    assert out.dtype == images.dtype
    assert out.shape == (60, *images.shape[1:])
    assert y.tolist() == [*LABELS, *[1] * 20]
    assert_array_equal(out[:40], images)
    assert out.min() >= 0
    assert out.max() <= (255 if images.dtype == np.uint8 else 1)
    assert not np.array_equal(out[40:], images[s.parent_indices_[40:]])


@given(st.integers(0, 99))
@settings(max_examples=5)
def test_a_series_of_labels_goes_on_with_the_frames_index(seed):
    rng = np.random.default_rng(seed)
    index = rng.permutation(40) + 5
    X, y = pd.DataFrame(PLAIN, index=index), pd.Series(LABELS, index=index, name="label")
    X_new, y_new = sampler().fit_resample(X, y)
    assert_series_equal(y_new.iloc[:40], y)
    assert X_new.index.equals(y_new.index)
    assert X_new.index.is_unique
