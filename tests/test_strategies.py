"""How many rows there shall be."""

import pickle
from collections import Counter

import numpy as np
import pytest
from imblearn.utils import check_sampling_strategy
from sklearn.base import clone

from advaug import AdversarialOverSampler, grow
from advaug.estimators.strategies import rows_to_make


def test_every_class_grows_to_a_multiple_of_the_largest():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(90, 3)), np.repeat([0, 1, 2], [50, 30, 10])
    X[:, 0] += 3 * y
    sampler = AdversarialOverSampler(sampling_strategy=grow(1.5), random_state=0)
    X_new, y_new = sampler.fit_resample(X, y)
    assert np.bincount(y_new).tolist() == [75, 75, 75]
    np.testing.assert_array_equal(X_new[:90], X)


def test_a_strategy_survives_clone_and_pickle():
    sampler = clone(AdversarialOverSampler(sampling_strategy=grow(2.0)))
    assert pickle.loads(pickle.dumps(sampler)).sampling_strategy([0, 0, 1]) == {0: 4, 1: 4}
    assert grow(1.2)([0, 0, 1]) == {0: 3, 1: 3}, "2.4 rows are 3"


@pytest.mark.parametrize("factor", [0.5, float("nan")])
def test_a_factor_that_would_drop_rows_is_refused(factor):
    with pytest.raises(ValueError, match="factor must be at least 1"):
        grow(factor)


COUNTS = [{"a": 50, "b": 20}, {"b": 30, "a": 30}, {0: 10, 1: 50, 2: 50, 3: 7}, {True: 3, False: 9}]
WORDS = ["auto", "minority", "not minority", "not majority", "all"]
REFUSED = ["majority", "most", 0.1, 1.5, ["a"], {"a": 3}, {"z": 90}]


@pytest.mark.parametrize("counts", COUNTS, ids=str)
@pytest.mark.parametrize("strategy", [*WORDS, *REFUSED, 0.9, grow(1.5), Counter], ids=str)
def test_counts_alone_give_what_imbalanced_learn_finds_in_all_labels(strategy, counts):
    y = np.repeat(np.array(list(counts)), list(counts.values()))
    counts = dict(sorted(counts.items()))
    try:
        expected = check_sampling_strategy(strategy, y, "over-sampling")
    except ValueError:
        with pytest.raises(ValueError, match=r"\w"):
            rows_to_make(strategy, counts)
    else:
        assert rows_to_make(strategy, counts) == expected


def test_counts_may_be_of_more_rows_than_memory_holds():
    counts = {"no": 10**13, "yes": 10**9}
    assert rows_to_make("auto", counts) == {"yes": 10**13 - 10**9}
    assert rows_to_make(0.5, counts) == {"yes": 5 * 10**12 - 10**9}
    assert rows_to_make(grow(2), counts) == {"no": 10**13, "yes": 2 * 10**13 - 10**9}
    X, y = np.arange(40.0)[:, None], np.repeat(["no", "yes"], [30, 10])
    sampler = AdversarialOverSampler(random_state=0).fit_sample(X, y, counts)
    assert sampler.sampling_strategy_ == {"yes": 10**13 - 10**9}


def test_a_ratio_below_the_present_one_is_refused_with_that_ratio():
    X, y = np.random.default_rng(0).normal(size=(60, 3)), np.repeat(["no", "yes"], [40, 20])
    with pytest.raises(ValueError, match=r"class 'yes' has 20 rows already, a ratio of 0\.5 to"):
        AdversarialOverSampler(sampling_strategy=0.3).fit_resample(X, y)
    _, grown = AdversarialOverSampler(
        sampling_strategy=0.6, recipe="interpolate", random_state=0
    ).fit_resample(X, y)
    assert (grown == "yes").sum() == 24
