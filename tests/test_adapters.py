import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal
from scipy import sparse

from advaug.adapters import ImageAdapter, SignalAdapter, TabularAdapter
from advaug.core.norms import draw
from advaug.core.row_random import RowRandom
from advaug.domains.tables.adapter import FARTHEST
from advaug.estimators.choices import choose_adapter
from advaug.registry import ADAPTERS

BIG = 2**53 + 1
N = 40


def mixed(n=N, seed=0):
    """Every kind of column that the tabular adapter reads, with missing cells."""
    rng = np.random.default_rng(seed)
    lost = rng.random(n) < 0.2
    days = pd.date_range("2020-03-01", periods=n)
    return pd.DataFrame(
        {
            "float": rng.normal(size=n),
            "small": rng.normal(size=n).astype("float32"),
            "holes": np.where(lost, np.nan, rng.normal(size=n)),
            "id": BIG + rng.integers(0, 10**6, n),
            "count": rng.poisson(3, n).astype("uint8"),
            "whole": np.where(lost, np.nan, rng.poisson(3, n)),
            "nullable": pd.array(rng.poisson(3, n), dtype="Int64"),
            "lost": pd.Series(rng.poisson(3, n), dtype="Int64").mask(lost),
            "flag": rng.random(n) < 0.4,
            "maybe": pd.Series(rng.random(n) < 0.4, dtype="boolean").mask(lost),
            "level": pd.Categorical(rng.choice(["a", "b", "c"], n), categories=list("zcbay")),
            "order": pd.Categorical(rng.choice([1, 2, 3], n), ordered=True),
            "text": pd.Series(rng.choice(["x", "y"], n)).mask(lost),
            "day": days,
            "zone": (days + pd.Timedelta(minutes=30)).tz_localize("Europe/Paris").as_unit("ms"),
            "lapse": pd.to_timedelta(rng.integers(0, 99, n), unit="h"),
            "constant": 7,
        },
        index=rng.permutation(n),
    )


def moved(coding, rows, seed=0, radius=2.0):
    """Encoded rows, and the same anywhere valid within the radius."""
    x = coding.encode(rows)
    space = coding.space(math.inf)
    random = RowRandom.of(seed, 0, torch.arange(len(x)))
    size = torch.full((len(x),), radius)
    y = space.sample(x, size, draw(x, random.at(0)))
    return x, space.snap(y, x, size, draw(x, random.at(1)))


CONTAINERS = {
    "frame": mixed(),
    "array": mixed()[["float", "holes"]].to_numpy(),
    "float32": np.random.default_rng(0).normal(size=(N, 3)).astype("f4"),
    "big-endian": np.random.default_rng(0).normal(size=(N, 3)).astype(">f8"),
    "integers": np.random.default_rng(0).poisson(3, (N, 3)),
    "polars": pl.DataFrame({"a": np.arange(N) / 7, "b": ["u", "v"] * (N // 2)}),
    "images": np.random.default_rng(0).integers(0, 256, (N, 4, 5), dtype="u1"),
    "channels": np.random.default_rng(0).random((N, 2, 4, 5)).astype("f4"),
    "grey int": np.random.default_rng(0).integers(-100, 100, (N, 1, 4, 5)),
}


def equal(a, b):
    if isinstance(a, pd.DataFrame):
        assert_frame_equal(a, b)
        return
    assert type(a) is type(b)
    assert getattr(a, "dtype", None) == getattr(b, "dtype", None)
    assert_array_equal(np.asarray(a), np.asarray(b))


# ---------------------------------------------------------------- there and back


@pytest.mark.parametrize("rows", CONTAINERS.values(), ids=CONTAINERS)
def test_rows_that_have_not_moved_come_back_equal(rows):
    coding = choose_adapter("auto", rows).fit(rows)
    x = coding.encode(rows)
    assert x.dtype == torch.float32
    assert bool(x.isfinite().all())
    equal(coding.decode(x, x.clone(), rows), rows)


@pytest.mark.parametrize("rows", CONTAINERS.values(), ids=CONTAINERS)
def test_rows_that_moved_are_encoded_where_they_moved_to(rows):
    coding = choose_adapter("auto", rows).fit(rows)
    x, y = moved(coding, rows)
    out = coding.decode(y, x, rows)
    assert type(out) is type(rows)
    assert not torch.equal(x, y)
    again = coding.encode(out)
    torch.testing.assert_close(again, y, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("rows", CONTAINERS.values(), ids=CONTAINERS)
def test_decoding_leaves_the_users_rows_alone(rows):
    before = rows.copy() if hasattr(rows, "copy") else rows.clone()
    coding = choose_adapter("auto", rows).fit(rows)
    x, y = moved(coding, rows)
    coding.decode(y, x, rows)
    equal(rows, before)


@pytest.mark.parametrize("seed", range(3))
def test_a_moved_frame_keeps_dtypes_index_holes_bounds_and_levels(seed):
    rows = mixed(seed=seed)
    coding = TabularAdapter(max_flips=3).fit(rows)
    x, y = moved(coding, rows, seed, radius=3.0)
    out = coding.decode(y, x, rows)
    assert (out.dtypes == rows.dtypes).all()
    assert out.index.equals(rows.index)
    assert out.isna().equals(rows.isna())
    assert out["constant"].eq(7).all()
    for name in rows:
        old, new = rows[name].dropna(), out[name].dropna()
        if old.dtype == "category" or name == "text":
            assert set(new) <= set(old)
        else:
            assert old.min() <= new.min(), name
            assert new.max() <= old.max(), name
        assert name == "constant" or not new.eq(old).all(), f"{name} never moved"
    assert (out["whole"].dropna() % 1 == 0).all()


def test_an_id_beyond_2_to_the_53_moves_by_whole_steps_and_keeps_its_other_digits():
    rows = pd.DataFrame({"id": BIG + 2 * np.arange(N)})
    coding = TabularAdapter().fit(rows)
    x = coding.encode(rows)
    number = coding.layout.numbers[0]
    out = coding.decode(x + 3 / number.scale, x, rows)
    assert (out["id"] - rows["id"]).tolist()[:-2] == [3] * (N - 2)
    assert out["id"].iloc[-1] == rows["id"].iloc[-1]  # the largest may not grow


@pytest.mark.parametrize(
    ("freq", "unit"), [("D", "86400s"), ("h", "3600s"), ("min", "60s"), ("s", "1s")]
)
@pytest.mark.parametrize("resolution", ["s", "us", "ns"])
def test_moments_stay_on_the_coarsest_clock_that_the_column_keeps(freq, unit, resolution):
    rows = pd.DataFrame({"t": pd.date_range("2020-01-05", periods=N, freq=freq)})
    rows["t"] = rows["t"].dt.as_unit(resolution)
    coding = TabularAdapter().fit(rows)
    x, y = moved(coding, rows)
    out = coding.decode(y, x, rows)["t"]
    assert (out == out.dt.floor(unit)).all()
    assert out.nunique() > 1
    assert not (out == rows["t"]).all()


def test_plain_dates_of_polars_stay_dates():
    rows = pl.DataFrame({"d": pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 2, 9), eager=True)})
    coding = TabularAdapter().fit(rows)
    x, y = moved(coding, rows)
    out = coding.decode(y, x, rows)
    assert out.schema == rows.schema
    assert not out.equals(rows)


# ---------------------------------------------------------------- the unit of radius


def test_one_unit_is_one_robust_standard_deviation():
    rng = np.random.default_rng(0)
    values = 50 + 7 * rng.normal(size=4000)
    values[:40] = 1e6  # outliers that a plain standard deviation would follow
    rows = values[:, None]
    coding = TabularAdapter().fit(rows)
    x = coding.encode(rows)
    out = coding.decode(x + 1, x, rows)
    has_room = rows[:, 0] < values[40:].max() - 8
    np.testing.assert_allclose((out - rows)[has_room], 7, rtol=0.05)


def test_one_unit_is_black_to_white():
    rows = np.zeros((3, 4, 4), dtype="u1")
    coding = ImageAdapter().fit(rows)
    x = coding.encode(rows)
    assert (coding.decode(x + 1, x, rows) == 255).all()
    assert (coding.decode(x + 100 / 255, x, rows) == 100).all()


@pytest.mark.parametrize(
    ("pixels", "black", "white"),
    [
        (np.array([3, 9], "u1"), 0, 255),
        (np.array([0.2, 0.9]), 0, 1),
        (np.array([-2.0, 5.0]), -2, 5),
        (np.array([10, 400], "i4"), 10, 400),
    ],
    ids=["uint8", "unit floats", "floats", "int32"],
)
def test_black_and_white_follow_from_the_dtype_and_the_data(pixels, black, white):
    coding = ImageAdapter().fit(pixels.reshape(1, 1, 1, 2))
    assert (coding.low, coding.high) == (black, white)
    given = ImageAdapter(low=-10, high=500).fit(pixels.reshape(1, 1, 1, 2))
    assert (given.low, given.high) == (-10, 500)


def test_uint8_pixels_stop_at_black_and_white():
    rows = np.array([[[0, 255, 250, 5]]], dtype="u1")
    coding = ImageAdapter().fit(rows)
    x = coding.encode(rows)
    assert coding.decode(x - 0.11, x, rows).tolist() == [[[0, 227, 222, 0]]]
    assert coding.decode(x + 0.11, x, rows).tolist() == [[[28, 255, 255, 33]]]


# ---------------------------------------------------------------- what may move


def test_frozen_columns_never_move():
    rows = mixed()
    frozen = ["float", "level", "day", "lost", "flag"]
    coding = TabularAdapter(frozen=frozen, max_flips=5).fit(rows)
    x, y = moved(coding, rows)
    out = coding.decode(y, x, rows)
    assert_frame_equal(out[frozen], rows[frozen])
    assert not out["id"].equals(rows["id"])


@pytest.mark.parametrize("flips", [1, 2, 4])
def test_no_row_flips_more_categories_than_allowed(flips):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({name: rng.choice(list("abc"), N) for name in "pqrstu"})
    coding = TabularAdapter(max_flips=flips).fit(rows)
    x, y = moved(coding, rows)
    flipped = (coding.decode(y, x, rows) != rows).sum(axis=1)
    assert flipped.max() == flips


def test_rare_levels_are_never_flipped_to():
    rng = np.random.default_rng(0)
    common = rng.choice([f"c{k}" for k in range(30)], 600)
    rows = pd.DataFrame({"c": pd.Categorical([*common, *(f"rare{k}" for k in range(9))])})
    coding = TabularAdapter().fit(rows)
    x, y = moved(coding, rows)
    out = coding.decode(y, x, rows)["c"]
    flipped = out[out.to_numpy() != rows["c"].to_numpy()]
    assert len(flipped) > 50
    assert sum(level.startswith("rare") for level in set(flipped)) <= 1


def test_changes_name_each_moved_cell_with_both_values():
    before = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    after = pd.DataFrame({"a": [1, 5], "b": ["y", None]})
    coding = TabularAdapter().fit(before)
    assert coding.changes(before, after) == [{"b": ("x", "y")}, {"a": (2, 5)}]


def test_changes_of_a_table_come_the_farthest_first_in_units_of_radius():
    rng = np.random.default_rng(0)
    before = pd.DataFrame({"wide": 100 * rng.normal(size=50), "fine": rng.normal(size=50)})
    coding = TabularAdapter().fit(before)
    after = before + np.array([50.0, 2.0])
    assert [list(row) for row in coding.changes(before, after)] == [["fine", "wide"]] * 50
    gone = after.mask(after == after["wide"][0])
    assert list(coding.changes(before, gone)[0]) == ["fine", "wide"]
    assert coding.changes(before, gone)[0]["wide"] == (before["wide"][0], None)


def test_changes_of_images_name_the_pixel_of_each_channel_that_moved_farthest():
    before = np.zeros((2, 2, 3, 4), dtype="u1")
    after = before.copy()
    after[1, 0, 2, 1], after[1, 0, 0, 0], after[1, 1, 1, 3] = 9, 3, 10
    coding = ImageAdapter().fit(before)
    farthest = {"channel 1, pixel (1, 3)": (0, 10), "channel 0, pixel (2, 1)": (0, 9)}
    assert coding.changes(before, after) == [{}, farthest]
    coding = ImageAdapter().fit(before[:, 0])
    assert coding.changes(before[:, 0], after[:, 0]) == [{}, {"pixel (2, 1)": (0, 9)}]


def test_changes_of_signals_name_the_sample_of_each_channel_that_moved_farthest():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(2, 30)) * [[1.0], [100.0]] for _ in range(9)]
    coding = SignalAdapter().fit(X)
    after = [row.copy() for row in X[:3]]
    after[1][0, 7] += 3
    after[1][1, 4], after[1][1, 5] = X[1][1, 4] + 9, np.nan
    after[2] = after[2][:, :20]
    farthest = ["channel 0, sample 7", "channel 1, sample 4"]
    none, moved, shorter = coding.changes(X[:3], after)
    assert (none, list(moved), shorter) == ({}, farthest, {"samples": (30, 20)})
    assert moved[farthest[1]] == (X[1][1, 4], after[1][1, 4])


def test_a_net_sees_the_columns_in_their_own_units_and_order():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {"a": rng.normal(5, 3, N), "b": rng.poisson(9, N), "c": rng.random(N) < 0.5}
    )
    coding = TabularAdapter().fit(rows)
    native = coding.native(coding.encode(rows))
    np.testing.assert_allclose(native, rows.astype(float), rtol=1e-5, atol=1e-5)


def test_a_net_cannot_read_categories_and_is_told_which():
    rows = mixed()[["float", "level"]]
    coding = TabularAdapter().fit(rows)
    with pytest.raises(ValueError, match=r"cannot read the category columns \['level'\]"):
        coding.native(coding.encode(rows))


# ---------------------------------------------------------------- which adapter, which error


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        (np.zeros((3, 2)), "tabular"),
        ([[1, 2], [3, 4]], "tabular"),
        (sparse.csr_matrix(np.eye(3)), "tabular"),
        (pd.DataFrame({"a": [1]}), "tabular"),
        (pl.DataFrame({"a": [1]}), "tabular"),
        (np.zeros((3, 2, 2), dtype="u1"), "image"),
        (np.zeros((3, 1, 2, 2)), "image"),
    ],
    ids=lambda rows: type(rows).__name__,
)
def test_the_adapter_is_found_by_looking_at_the_rows(rows, name):
    assert type(choose_adapter("auto", rows)) is ADAPTERS[name]


def infinite():
    rows = np.zeros((4, 2))
    rows[3, 1] = -np.inf
    return rows


@pytest.mark.parametrize(
    ("adapter", "rows", "message"),
    [
        (TabularAdapter(), infinite(), "contains infinity: column 1, row 3"),
        (
            TabularAdapter(frozen=["zip"]),
            pd.DataFrame({"a": [1]}),
            r"frozen column 'zip' is not in X: it has \['a'\]",
        ),
        (
            TabularAdapter(),
            pd.DataFrame({"note": [f"word {k}" for k in range(99)]}),
            r"column 'note' looks like free text .*frozen=\['note'\]",
        ),
        (TabularAdapter(), np.zeros((2, 2, 2)), "Expected 2D array, got 3D array"),
        (ImageAdapter(), np.full((2, 1, 2, 2), np.nan), "image 0 holds NaN or infinity"),
        (ImageAdapter(), np.zeros((2, 2)), r"images are \(n, h, w\) or \(n, c, h, w\)"),
        (ImageAdapter(), np.full((2, 1, 1, 1), "a"), "images must hold numbers"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_learnt_is_named(adapter, rows, message):
    with pytest.raises(ValueError, match=message):
        adapter.fit(rows)


def test_infinity_that_comes_after_fit_is_named_too():
    coding = TabularAdapter().fit(np.random.default_rng(0).normal(size=(4, 2)))
    with pytest.raises(ValueError, match="contains infinity: column 1, row 3"):
        coding.encode(infinite())


def test_a_column_of_numbers_that_becomes_text_is_named():
    rows = pd.DataFrame({"a": np.arange(9.0)})
    with pytest.raises(ValueError, match="column 'a' held numbers in earlier rows"):
        TabularAdapter().fit(rows).encode(rows.assign(a="old"))


def test_another_number_of_columns_than_in_fit_is_refused():
    coding = TabularAdapter().fit(np.zeros((4, 2)))
    with pytest.raises(ValueError, match="X has 3 features, but was fitted with 2"):
        coding.encode(np.zeros((4, 3)))


@pytest.mark.parametrize("name", ["array", "images"])
def test_a_move_that_is_not_finite_is_refused_by_row(name):
    rows = CONTAINERS[name]
    coding = choose_adapter("auto", rows).fit(rows)
    x = coding.encode(rows)
    y = x.clone()
    y[5] = torch.nan
    with pytest.raises(ValueError, match=r"no finite gradient at 1 rows \(first: row 5 "):
        coding.decode(y, x, rows)


def test_text_frozen_is_only_copied():
    rows = pd.DataFrame({"note": [f"word {k}" for k in range(99)], "a": np.arange(99.0)})
    coding = TabularAdapter(frozen=["note"]).fit(rows)
    x, y = moved(coding, rows)
    assert x.shape == (99, 1)
    out = coding.decode(y, x, rows)
    assert out["note"].equals(rows["note"])
    assert not out["a"].equals(rows["a"])


def test_frozen_must_be_a_list_and_dates_must_keep_their_unit():
    X = pd.DataFrame({"age": [1.0, 2.0, 3.0], "day": pd.date_range("1960", periods=3)})
    with pytest.raises(TypeError, match=r"write frozen=\['age'\]"):
        TabularAdapter(frozen="age").fit(X)
    learnt = TabularAdapter(frozen=iter(["age"])).fit(X)
    assert [number.is_free for number in learnt.layout.numbers] == [False, True]
    other = X.assign(day=X["day"].astype("M8[s]"))
    with pytest.raises(ValueError, match=r"column 'day' is Datetime.*but was"):
        TabularAdapter().fit(X).encode(other)


def test_a_huge_cell_does_not_become_infinite():
    X = pd.DataFrame({"a": [1.0, 2.0, 3.0, 1e300]})
    assert TabularAdapter().fit(X).encode(X).isfinite().all()


def test_cells_far_from_the_rows_of_fit_are_encoded_at_the_farthest_place():
    X = pd.DataFrame({"a": np.arange(20.0), "b": np.arange(20.0) ** 2})
    far = pd.DataFrame({"a": [1e300, -1e300], "b": [-1e9, 1e9]})
    x = TabularAdapter().fit(X).encode(far)
    assert x.tolist() == [[FARTHEST, -FARTHEST], [-FARTHEST, FARTHEST]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_decoding_leaves_the_encoded_rows_as_they_are(dtype):
    X = np.random.default_rng(0).normal(size=(20, 3))
    coding = TabularAdapter().fit(X)
    seed = coding.encode(X).to(dtype)
    moved = seed + 0.5
    before = moved.clone()
    coding.decode(moved, seed, X)
    assert torch.equal(moved, before)


def test_a_committee_sees_the_cells_of_levels_that_some_row_holds():
    X = pd.DataFrame(
        {"a": np.arange(6.0), "b": pd.Categorical(list("xyxyxy")), "c": list("ppppqr")}
    )
    coding = TabularAdapter().fit(X)
    x = coding.encode(X)
    seen = coding.features(x, torch.Generator())(x)
    assert x.shape == (6, 1 + 2 * 5)
    assert torch.equal(seen, x[:, x.std(0) > 0])
    assert seen.shape == (6, 1 + 2 + 3)
