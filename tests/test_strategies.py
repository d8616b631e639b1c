"""How many rows there shall be."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from advaug import AdversarialOverSampler, grow


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


@pytest.mark.parametrize("factor", [0.5, float("nan")])
def test_a_factor_that_would_drop_rows_is_refused(factor):
    with pytest.raises(ValueError, match="factor must be at least 1"):
        grow(factor)
