"""Columns and targets of every dtype: kept and written back, or refused by name with the mend."""

import datetime as dt
import enum
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch

from advaug import AdversarialOverSampler, AdversarialTransformer, AdversarialUnderSampler
from advaug.adapters import TabularAdapter
from advaug.models import Ensemble

pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

QUICK = Ensemble(n_repeats=2, cv=2, hidden_width=4, max_iter=3)
N = 60
RANDOM = np.random.default_rng(0)
Y = np.r_[np.zeros(44, int), np.ones(16, int)][RANDOM.permutation(N)]
A = RANDOM.normal(size=N) + 2 * Y
STEPS = RANDOM.integers(0, 300, N).tolist()
PRICES = [Decimal(k) / 100 for k in STEPS]
DAYS = [dt.date(2020, 1, 1) + dt.timedelta(k) for k in STEPS]
TIMES = [dt.time(k // 60, k % 60) for k in STEPS]
STAMPS = [dt.datetime(2020, 1, 1) + dt.timedelta(hours=k) for k in STEPS]


def arrow(values, dtype):
    return pd.DataFrame({"a": A, "q": pd.arrays.ArrowExtensionArray(pa.array(values, dtype))})


def objects(values):
    return pd.DataFrame({"a": A, "q": pd.Series(values, dtype=object)})


def polars(values, dtype):
    return pl.DataFrame({"a": A, "q": pl.Series(values, dtype=dtype)})


def cells(X):
    column = X["q"]
    return column.to_pylist() if hasattr(column, "to_pylist") else column.to_list()


HELD = {  # name -> a frame whose column "q" moves, and keeps its dtype
    "pandas Decimal": objects(PRICES),
    "pandas date": objects(DAYS),
    "pandas time": objects(TIMES),
    "pandas datetime": objects(STAMPS),
    "pandas timedelta": objects([dt.timedelta(minutes=k) for k in STEPS]),
    "pandas int": objects(STEPS),
    "pandas float": objects([k / 7 for k in STEPS]),
    "pandas period": pd.DataFrame({"a": A, "q": pd.PeriodIndex(DAYS, freq="D")}),
    "pandas zones": objects(
        [pd.Timestamp(s, tz=["UTC", "Asia/Tokyo"][k % 2]) for k, s in enumerate(STAMPS)]
    ),
    "pandas date32": arrow(DAYS, pa.date32()),
    "pandas date64": arrow(DAYS, pa.date64()),
    "pandas time64": arrow(TIMES, pa.time64("us")),
    "pandas decimal128": arrow(PRICES, pa.decimal128(10, 2)),
    "pandas decimal256": arrow(PRICES, pa.decimal256(50, 2)),
    "pandas float16": arrow([np.float16(k) for k in STEPS], pa.float16()),
    "arrow decimal128": pa.table({"a": A, "q": pa.array(PRICES, pa.decimal128(10, 2))}),
    "arrow date64": pa.table({"a": A, "q": pa.array(DAYS, pa.date64())}),
    "arrow time32": pa.table({"a": A, "q": pa.array(TIMES, pa.time32("s"))}),
    "polars Decimal": polars(PRICES, pl.Decimal(10, 2)),
    "polars Time": polars(TIMES, pl.Time),
    "polars Int128": polars(STEPS, pl.Int128),
}


def moved(frame, frozen=()):
    """The frame after each number has moved by a third of its spread."""
    coding = TabularAdapter(frozen=frozen).fit(frame)
    x = coding.encode(frame)
    to = x.clone()
    to[:, : len(coding.layout.numbers)] += 0.3
    return coding.decode(to, x, frame)


@pytest.mark.parametrize("name", HELD)
def test_a_column_is_read_by_its_values_and_written_in_its_own_dtype(name):
    frame = HELD[name]
    old, new = cells(frame), cells(moved(frame))
    assert old != new
    assert {type(cell) for cell in old} == {type(cell) for cell in new}
    assert min(old) <= min(new)
    assert max(new) <= max(old)
    assert cells(moved(frame, frozen=["q"])) == old


@pytest.mark.parametrize("name", ["polars Decimal", "pandas date32", "arrow time32"])
def test_the_sampler_keeps_schema_and_rows(name):
    frame = HELD[name]
    X, _ = AdversarialOverSampler(surrogate=QUICK, random_state=0).fit_resample(frame, Y)
    assert cells(X)[:N] == cells(frame)
    assert len(cells(X)) == 88
    assert set(cells(X)[N:]) - set(cells(frame))
    of_column = "dtypes" if isinstance(X, pd.DataFrame) else "schema"
    assert str(getattr(X, of_column)) == str(getattr(frame, of_column))


def test_new_decimals_have_the_scale_of_the_column():
    for name in ("polars Decimal", "pandas decimal128", "pandas Decimal"):
        assert {-cell.as_tuple().exponent for cell in cells(moved(HELD[name]))} <= {0, 1, 2}
    parts = cells(moved(objects([Decimal(k) / 8 for k in STEPS])))
    assert all(len(str(cell)) <= 12 for cell in parts)


def test_gaps_stay_where_they_are():
    for values, dtype in ((PRICES, pl.Decimal(10, 2)), (TIMES, pl.Time), (STEPS, pl.Int128)):
        gaps = [None if k % 7 == 0 else value for k, value in enumerate(values)]
        new = cells(moved(polars(gaps, dtype)))
        assert [cell is None for cell in new] == [cell is None for cell in gaps]


def test_a_cell_that_has_not_moved_keeps_every_digit():
    prices = [Decimal(10**25 + k) / 100 for k in STEPS]
    frame = polars(prices, pl.Decimal(38, 2))
    coding = TabularAdapter().fit(frame)
    x = coding.encode(frame)
    to = x.clone()
    to[0, 1] += 0.5
    assert cells(coding.decode(to, x, frame))[1:] == prices[1:]


@pytest.mark.parametrize("dtype", ["int64[pyarrow]", "uint64[pyarrow]"])
def test_whole_numbers_beyond_two_to_the_53_keep_their_digits_in_arrow(dtype):
    ids = [2**60 + k for k in range(N)]
    frame = pd.DataFrame({"a": A, "q": pd.array(ids, dtype=dtype)})
    table = pa.table({"a": A, "q": pa.array([None, *ids[1:]])})
    assert all(2**60 <= cell < 2**60 + N for cell in cells(moved(frame)))
    new = cells(moved(table))
    assert new[0] is None
    assert all(2**60 <= cell < 2**60 + N for cell in new[1:])


@pytest.mark.parametrize("held", [objects, lambda values: polars(values, pl.Int128)])
def test_whole_numbers_beyond_two_to_the_53_keep_their_digits_beside_gaps(held):
    ids = [None if k % 7 == 0 else 2**60 + 999 * k for k in range(N)]
    frame = held(ids)
    new = [None if pd.isna(cell) else cell for cell in cells(moved(frame))]
    assert [cell is None for cell in new] == [cell is None for cell in ids]
    assert {type(cell) for cell in new} == {int, type(None)}
    known = [cell for cell in ids if cell]
    assert all(known[0] <= cell <= known[-1] for cell in new if cell)
    assert new != ids


REFUSED = {
    "lists": (objects([[k, 1] for k in STEPS]), "each part of 'q'"),
    "dicts": (objects([{"k": k} for k in STEPS]), "each field of 'q'"),
    "complex": (pd.DataFrame({"a": A, "q": np.array(STEPS) * 1j}), "real and imaginary parts"),
    "signals": (objects([pd.Series([k, 1.0]) for k in STEPS]), "pass .np.stack"),
    "struct": (polars([{"k": k} for k in STEPS], pl.Struct({"k": pl.Int64})), "each field of 'q'"),
    "list": (polars([[k] for k in STEPS], pl.List(pl.Int64)), "each part of 'q'"),
    "array": (polars([[k, 1] for k in STEPS], pl.Array(pl.Int64, 2)), "each part of 'q'"),
    "huge": (polars([2**100 + k for k in STEPS], pl.Int128), "more than 64 bits"),
    "object": (polars([object() for _ in STEPS], pl.Object), "a dtype of its own"),
    "arrow list": (pa.table({"a": A, "q": [[k] for k in STEPS]}), "each part of 'q'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_by_name_and_may_be_frozen(name):
    frame, mend = REFUSED[name]
    with pytest.raises(TypeError, match=mend) as told:
        TabularAdapter().fit(frame)
    assert "'q'" in str(told.value)
    assert "\n" not in str(told.value)
    assert "frozen=['q']" in str(told.value)
    if name != "array":  # polars compares no arrays
        assert str(cells(moved(frame, frozen=["q"]))) == str(cells(frame))


def test_a_dtype_whose_rows_cannot_be_taken_is_refused_even_frozen():
    table = pa.table({"a": A, "q": pa.array([str(k % 3) for k in STEPS], pa.string_view())})
    with pytest.raises(TypeError, match=r"'q' is string_view, .* cast it"):
        TabularAdapter(frozen=["q"]).fit(table)


def test_mixed_cells_stay_a_category_whatever_a_batch_holds():
    mixed = [k if k % 2 else f"s{k % 5}" for k in STEPS]
    frame = objects(mixed)
    coding = TabularAdapter().fit(frame)
    whole = [k for k, cell in enumerate(mixed) if isinstance(cell, int)]
    some = frame.iloc[whole]
    x = coding.encode(some)
    to = x.clone()
    first = coding.layout.first_category
    to[:, first:] = 0
    level = coding.layout.categories[0].known.to_list().index("s0")
    to[:, first + level] = 1
    assert cells(coding.decode(to, x, some)) == ["s0"] * len(whole)


def test_an_object_array_is_read_as_a_frame_of_the_same_objects():
    rows = np.array([[a, k, day] for a, k, day in zip(A, STEPS, DAYS, strict=True)], dtype=object)
    of_array, of_frame = (TabularAdapter().fit(X) for X in (rows, pd.DataFrame(rows)))
    torch.testing.assert_close(of_array.encode(rows), of_frame.encode(pd.DataFrame(rows)))
    assert type(
        of_array.decode(of_array.encode(rows) + 0.3, of_array.encode(rows), rows)[0, 2]
    ) is (dt.date)


def test_texts_that_are_dates_or_numbers_are_refused_with_the_call_that_reads_them():
    spelt = {
        "day": [str(day) for day in pd.date_range("2020-01-01", periods=N).date],
        "us": [day.strftime("%m/%d/%Y") for day in pd.date_range("2020-01-01", periods=N)],
        "number": [str(k / 7) for k in range(N)],
        "comma": [f"{k / 7:.3f}".replace(".", ",") for k in range(N)],
        "thousands": [f"{k * 997:,}" for k in range(N)],
        "share": [f"{k / 7:.1f}%" for k in range(N)],
        "price": [f"${k * 997:,.2f}" for k in range(N)],
    }
    for name, texts in spelt.items():
        X = pd.DataFrame({name: texts, "a": A})
        with pytest.raises(ValueError, match=r"pass pd\.to_") as told:
            TabularAdapter().fit(X)
        call = str(told.value).partition("pass ")[2].partition("; otherwise")[0]
        mended = eval(call, {"pd": pd, "X": X})
        assert mended.notna().all()
        assert mended.nunique() == N
        TabularAdapter().fit(X.assign(**{name: mended}))


def test_columns_and_images_wider_than_floats_are_refused():
    wide = np.where(A > 0, 1.7e308, -1.7e308)
    with pytest.raises(ValueError, match="'w' spans more than floats can hold"):
        TabularAdapter().fit(pd.DataFrame({"w": wide, "a": A}))
    with pytest.raises(ValueError, match="images span more than floats hold"):
        AdversarialTransformer(surrogate=QUICK, adapter="image").fit(wide.reshape(N, 1, 1, 1), Y)


def test_the_spread_of_huge_numbers_is_finite():
    column = TabularAdapter().fit(pd.DataFrame({"w": [0.0] * 9 + [1e300]})).layout.numbers[0]
    assert column.scale == pytest.approx(3e299)


# ---------------------------------------------------------------- targets


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


def two(first, second, **how):
    return pd.Series([second if y else first for y in Y], **how)


TARGETS = {
    "intervals": pd.Series(pd.cut(A, [-9, 1.5, 99])),
    "periods": pd.Series(pd.PeriodIndex(["2020", "2021"], freq="Y")[Y]),
    "mixed": two(0, "yes", dtype=object),
    "mixed list": two(0, "yes", dtype=object).tolist(),
    "decimals": two(Decimal("1.5"), Decimal("2.5")),
    "dates": two(dt.date(2020, 1, 1), dt.date(2021, 1, 1)),
    "datetime64": np.array(["2020", "2021"], dtype="M8[D]")[Y],
    "datetime64[ns]": np.array(["2020", "2021"], dtype="M8[ns]")[Y],
    "zones": two(pd.Timestamp("2020", tz="UTC"), pd.Timestamp("2021", tz="UTC")),
    "durations": two(pd.Timedelta(1, "D"), pd.Timedelta(2, "D")),
    "an Enum": [Colour.RED if y else Colour.BLUE for y in Y],
    "half floats": Y.astype("f2"),
    "long doubles": Y.astype("g"),
    "StringDType": np.array(["a", "b"], dtype=np.dtypes.StringDType())[Y],
    "polars dates": pl.Series([dt.date(2020, 1, 1 + y) for y in Y.tolist()]),
    "polars Int128": pl.Series(Y.tolist(), dtype=pl.Int128),
    "polars Decimal": pl.Series([Decimal(y) for y in Y.tolist()], dtype=pl.Decimal(5, 2)),
    "torch half": torch.tensor(Y).half(),
}


@pytest.mark.parametrize("name", TARGETS)
def test_classes_of_any_dtype_are_balanced(name):
    y = TARGETS[name]
    X = pd.DataFrame({"a": A, "b": A**2})
    _, y_new = AdversarialOverSampler(surrogate=QUICK, random_state=0).fit_resample(X, y)
    assert type(y_new) is type(y)
    assert str(getattr(y_new, "dtype", "")) == str(getattr(y, "dtype", ""))
    labels = [str(label) for label in y_new]
    assert len(labels) > N
    assert {labels.count(label) for label in set(labels)} == {max(map(labels.count, set(labels)))}


def test_counts_may_name_such_classes_and_unknown_ones_are_told():
    X, y = pd.DataFrame({"a": A, "b": A**2}), TARGETS["dates"]
    first, second = sorted(set(y))
    sampler = AdversarialOverSampler(surrogate=QUICK, sampling_strategy={second: 20})
    assert sampler.fit_resample(X, y)[1].value_counts()[second] == 20
    under = AdversarialUnderSampler(surrogate=QUICK, sampling_strategy={first: 16})
    assert under.fit_resample(X, y)[1].value_counts()[first] == 16
    with pytest.raises(ValueError, match="names class 'x', which y does not have"):
        AdversarialOverSampler(sampling_strategy={"x": 20}).fit_resample(X, y)


def test_a_transformer_knows_such_classes_again():
    X, y = pd.DataFrame({"a": A, "b": A**2}), TARGETS["mixed"]
    transformer = AdversarialTransformer(surrogate=QUICK, random_state=0).fit(X, y)
    assert transformer.classes_.tolist() == [0, "yes"]
    assert len(transformer.transform(X, y)) == N
    with pytest.raises(ValueError, match="y holds 'no', which fit has not seen"):
        transformer.transform(X, y.replace("yes", "no"))


def test_complex_targets_are_refused_in_one_line():
    with pytest.raises(ValueError, match=r"^Complex data not supported: y .*$"):
        AdversarialOverSampler().fit_resample(np.c_[A, A], Y * 1j)


# ---------------------------------------------------------------- two tables


def test_a_second_table_of_other_columns_is_refused_by_what_differs():
    X = pd.DataFrame({"a": A, "b": A**2, "kind": pd.Categorical(["u", "v"] * 30)})
    coding = TabularAdapter().fit(X)
    cases = {
        "no column 'b'": X.drop(columns="b"),
        "a column 'z' too many": X.assign(z=1),
        "'b' where 'a' stands": X[["b", "a", "kind"]],
    }
    for told, other in cases.items():
        with pytest.raises(ValueError, match=told):
            coding.faults(X, other)
    for told, other in {
        "column 'a' held numbers": X.assign(a=X["a"].astype(str)),
        "column 'kind' held levels such as 'u' .* holds 7": X.assign(kind=7),
    }.items():
        with pytest.raises(ValueError, match=told):
            coding.encode(other)
