"""Columns that are learnt at once are what they are column by column."""

import numpy as np
import pytest

from advaug import containers
from advaug.adapters import TabularAdapter
from advaug.domains.tables.columns import learn_column
from advaug.domains.tables.continuous import learn_continuous

ROWS = 60
RNG = np.random.default_rng(0)
CONTINUOUS = {
    "normal": RNG.normal(size=ROWS),
    "tiny": 1e-9 * RNG.normal(size=ROWS),
    "far": 1e6 + RNG.normal(size=ROWS),
    "skewed": RNG.lognormal(sigma=4, size=ROWS),
}
OTHERS = {
    "repeated": np.append(RNG.normal(size=ROWS - 6), [0.25] * 6),
    "whole": RNG.permutation(ROWS).astype(float),
    "cents": RNG.permutation(10 * ROWS)[:ROWS] / 100,
    "scaled counts": RNG.permutation(ROWS) / 3.7,
    "missing": np.append(RNG.normal(size=ROWS - 1), np.nan),
    "sentinel": np.append(RNG.normal(size=ROWS - 1), -999.0),
    "constant": np.full(ROWS, 0.3),
    "huge": np.append(RNG.normal(size=ROWS - 1), 1e17),
}


def facts(number):
    """All that is known of a column, as plain values."""
    values = {
        name: np.asarray(value).tolist() for name, value in sorted(vars(number.values).items())
    }
    return {**vars(number), "values": values, "low": repr(number.low), "high": repr(number.high)}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_continuous_columns_are_learnt_as_one_by_one(dtype):
    X = np.stack([*CONTINUOUS.values(), *OTHERS.values()], 1).astype(dtype)
    found = learn_continuous(X, frozen=[1])
    names = [*CONTINUOUS, *OTHERS]
    assert {names[place] for place in found} <= set(CONTINUOUS)
    assert {0, 1, 3} <= set(found)
    for place, column in containers.each_column(X):
        if place in found:
            assert facts(found[place]) == facts(learn_column(column, place == 1))


def test_moved_cells_beside_a_real_value_are_that_value():
    X = RNG.normal(size=(40, 2))
    X[3, 1] = np.nan
    coding = TabularAdapter().fit(X)
    x = coding.encode(X[:4])
    moved = x.clone()
    moved[:, :2] += 0.3
    moved[0, 0] = coding.encode(X[7:8])[0, 0]  # in float32, so that it is near the value
    new = coding.decode(moved, x, X[:4])
    assert new[0, 0] == X[7, 0]
    assert np.isnan(new[3, 1])
    scale = np.array([number.scale for number in coding.layout.numbers])
    there = np.s_[1:3]
    np.testing.assert_allclose((new - X[:4])[there], np.tile(0.3 * scale, (2, 1)), rtol=1e-5)


def test_infinity_is_told_column_by_column():
    X = RNG.normal(size=(30, 3))
    X[4, 1] = np.inf
    assert 1 not in learn_continuous(X, [])
