"""scikit-learn's estimator checks, which feed tables only, on signals (n, channels, time).

Each check takes an estimator and a way to use it, `rows_of(estimator, X, y)`: what comes out.
"""

import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from advaug import AdversarialOverSampler, AdversarialTransformer
from advaug.adapters import SignalAdapter
from advaug.aeon import CollectionAugmenter, CollectionOverSampler
from advaug.models import Ensemble
from tests.test_signals import as_list, rows_equal, waves


def sampled(estimator, X, y):
    return estimator.fit_resample(X, y)[0]


def transformed(estimator, X, y):
    return estimator.fit(X, y).transform(X)


SMALL = Ensemble(2, max_iter=25)
USES = {
    "sampler": (AdversarialOverSampler(surrogate=SMALL, random_state=0), sampled),
    "transformer": (AdversarialTransformer(surrogate=SMALL, random_state=0), transformed),
    "augmenter": (
        AdversarialTransformer(surrogate=SMALL, random_state=0, when="fit"),
        lambda estimator, X, y: estimator.fit_transform(X, y),
    ),
}


@pytest.fixture(params=USES)
def use(request):
    """A fresh estimator, and what turns it, X and y into signals."""
    estimator, rows_of = USES[request.param]
    return clone(estimator), rows_of


def from_memory_map(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


def reversed_twice(X):
    return np.ascontiguousarray(X[:, :, ::-1])[:, :, ::-1]


# What holds the same numbers, from X and a folder.
SAME = {
    "fortran order": lambda X, _: np.asfortranarray(X),
    "negative strides": lambda X, _: reversed_twice(X),
    "read-only": from_memory_map,
    "big-endian": lambda X, _: X.astype(">f8"),
    "list of lists": lambda X, _: X.tolist(),
}


@pytest.mark.parametrize("name", SAME)
def test_any_container_of_the_same_numbers_gives_the_same(use, name, tmp_path):
    estimator, rows_of = use
    X, y = waves()
    expected = rows_of(clone(estimator), X, y)
    found = rows_of(clone(estimator), SAME[name](X, tmp_path), y)
    np.testing.assert_allclose(np.asarray(found, float), expected, atol=1e-5)


@pytest.mark.parametrize("kind", [list, tuple])
def test_lists_of_arrays_of_one_length_are_signals_too(use, kind):
    estimator, rows_of = use
    X, y = waves()
    made = rows_of(estimator, kind(X), y)
    assert {row.shape for row in made} == {X.shape[1:]}
    assert np.isfinite(np.stack(made)).all()


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", "i1", "i2", "i4", "i8", "u2", "bool"])
def test_every_dtype_comes_back_and_the_users_signals_stay(use, dtype):
    estimator, rows_of = use
    X, y = waves()
    X = (X > 0) if dtype == "bool" else (30 * X + 60).astype(dtype)
    before = X.copy()
    made = rows_of(estimator, X, y)
    assert made.dtype == X.dtype
    np.testing.assert_array_equal(X, before)
    assert made.shape[1:] == X.shape[1:]


def test_single_precision_gives_what_double_gives(use):
    estimator, rows_of = use
    X, y = waves()
    X = X.astype(np.float32)
    one, two = (rows_of(clone(estimator), X.astype(kind), y) for kind in ("f4", "f8"))
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_clones_have_the_same_settings_and_nothing_fitted(use):
    estimator, rows_of = use
    X, y = waves()
    estimator.set_params(adapter=SignalAdapter(least_snr=20.0), adapter__sampling_rate=50.0)
    rows_of(estimator, X, y)
    twin = clone(estimator)
    assert twin.get_params()["adapter__least_snr"] == 20.0
    assert twin.get_params()["adapter__sampling_rate"] == 50.0
    assert not [name for name in vars(twin) if name.endswith("_")]


def test_fitting_again_and_pickling_change_nothing(use):
    estimator, rows_of = use
    X, y = waves()
    first = rows_of(estimator, X, y)
    rows_of(estimator, *waves(channels=3, time=25))  # nothing of another fit is left
    np.testing.assert_array_equal(rows_of(estimator, X, y), first)
    twin = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(rows_of(twin, X, y), first)
    if hasattr(estimator, "transform"):
        np.testing.assert_array_equal(twin.transform(X), estimator.transform(X))


def test_fit_does_not_touch_settings_or_global_chance(use):
    estimator, rows_of = use
    X, y = waves()
    before = {name: repr(value) for name, value in estimator.get_params().items()}
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    rows_of(estimator, X, y)
    assert {name: repr(value) for name, value in estimator.get_params().items()} == before
    assert np.random.random() == expected  # noqa: NPY002


def test_channels_are_counted_as_features(use):
    estimator, rows_of = use
    X, y = waves(channels=3)
    rows_of(estimator, X, y)
    assert estimator.n_features_in_ == 3
    assert not hasattr(estimator, "feature_names_in_")


def test_transform_takes_rows_in_any_order_and_number():
    X, y = waves()
    transformer = clone(USES["transformer"][0]).set_params(attack="bim").fit(X, y)
    order = np.random.default_rng(0).permutation(len(X))
    np.testing.assert_allclose(transformer.transform(X[order]), transformer.transform(X)[order],
                               atol=1e-5)  # fmt: skip
    few = [transformer.transform(X[k : k + 1])[0] for k in range(5)]
    np.testing.assert_allclose(few, transformer.transform(X)[:5], atol=1e-5)


def test_an_unfitted_transformer_says_so():
    with pytest.raises(NotFittedError):
        AdversarialTransformer().transform(waves()[0])


def objects(X):
    rows = np.empty(len(X), object)
    rows[:] = as_list(X)
    return rows


# What is no set of signals -> the error and what it says. X, y -> X, y.
REFUSED = {
    "sparse": (lambda X, y: (sparse.csr_matrix(X[:, 0]), y), TypeError, r"pass X.toarray\(\)"),
    "masked": (lambda X, y: (np.ma.masked_array(X, X > 0), y), TypeError, "masked array"),
    "objects": (lambda X, y: (objects(X), y), ValueError, r"pass the signals as list\(X\)"),
    "object dtype": (lambda X, y: (X.astype(object), y), ValueError, r"pass X.astype\(float\)"),
    "complex": (lambda X, y: (X + 1j, y), ValueError, "Complex data not supported"),
    "unequal lists": (
        lambda X, y: ([row[:, k % 2 :].tolist() for k, row in enumerate(X)], y),
        ValueError,
        r"row 1 of X is a list of \[39, 39\] numbers.* pass \[np.array\(row\) for row in X\]",
    ),
    "unequal flat lists": (
        lambda X, y: ([row[0, k % 2 :].tolist() for k, row in enumerate(X)], y),
        ValueError,
        r"row 1 of X is a list of 39 numbers.* pass \[np.array\(\[row\]\) for row in X\]",
    ),
    "four axes": (lambda X, y: (X[:, None], y), ValueError, "signals are numbers in arrays"),
    "no time": (lambda X, y: (X[:, :, :0], y), ValueError, "signals are numbers in arrays"),
    "no channel": (lambda X, y: (X[:, :0], y), ValueError, "signals are numbers in arrays"),
    "no signal": (lambda X, y: (X[:0], y[:0]), ValueError, "0 sample"),
    "infinity": (lambda X, y: (np.where(X > 1, np.inf, X), y), ValueError, "holds infinity"),
    "short y": (lambda X, y: (X, y[:-1]), ValueError, "inconsistent numbers of samples"),
    "no y": (lambda X, y: (X, None), ValueError, "requires y to be passed"),
    "missing label": (
        lambda X, y: (X, np.where(np.arange(len(y)) == 5, np.nan, y)),
        ValueError,
        "no label at row 5",
    ),
    "no classes": (lambda X, y: (X, np.linspace(0, 1, len(y))), ValueError, "continuous"),
    "one class": (lambda X, y: (X, 0 * y), ValueError, "class"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_set_of_signals_is_refused_with_its_mend(use, name):
    estimator, rows_of = use
    broken, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        rows_of(estimator.set_params(adapter="signal"), *broken(*waves()))


OTHERS = {
    "more channels": (lambda X: np.concatenate([X, X], 1), "X has 4 channels, but was fitted"),
    "one channel": (lambda X: X[:, :1], r"fitted with 2: pass \(n, 2, time\)"),
    "two axes": (lambda X: X[:, 0], r"an array \(n, time\) has one channel"),
    "another list": (lambda X: [row[:1] for row in X], "X has 1 channels"),
    "unequal lengths": (as_list, "signal 1 has 37 samples, another 40, but fit has seen one"),
    "gaps": (lambda X: np.where(X > 1, np.nan, X), "has missing values in channel"),
    "nothing": (lambda X: X[:0], "0 sample"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_signals_than_those_of_fit_are_refused_with_their_mend(name):
    X, y = waves()
    transformer = clone(USES["transformer"][0]).fit(X, y)
    other, message = OTHERS[name]
    with pytest.raises(ValueError, match=message):
        transformer.transform(other(X))


def test_labels_may_be_of_any_kind(use):
    estimator, rows_of = use
    X, y = waves()
    expected = rows_of(clone(estimator), X, y)
    for labels in (y.astype(float), y.astype(bool), np.array(["a", "b"])[y], y.tolist()):
        np.testing.assert_array_equal(rows_of(clone(estimator), X, labels), expected)


def test_a_signal_far_longer_than_the_others_is_named(use):
    estimator, rows_of = use
    X, y = waves()
    rows = [*as_list(X)[:-1], np.tile(X[-1], 20)]
    with pytest.warns(UserWarning, match="signal 47 has 800 samples, half of them at most 3"):
        made = rows_of(estimator, rows, y)
    assert [row.shape for row in made[: len(rows)]] == [row.shape for row in rows]


def test_lists_of_lists_come_back_as_such():
    X, y = waves()
    X_new, _ = clone(USES["sampler"][0]).fit_resample(X.tolist(), y)
    assert isinstance(X_new[-1][0][0], float)
    assert rows_equal([np.array(row) for row in X_new[: len(y)]], list(X))


def test_without_aeon_its_faces_name_the_mend(monkeypatch):
    monkeypatch.setattr("advaug.aeon.BaseCollectionTransformer", object)
    for face in (CollectionAugmenter, CollectionOverSampler):
        with pytest.raises(ImportError, match=r"pip install 'advaug\[aeon\]'"):
            face()
