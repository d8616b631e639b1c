from functools import partial

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
from pandas.testing import assert_frame_equal, assert_index_equal
from scipy import sparse

from advaug import containers

X = np.arange(12.0).reshape(4, 3)
BIG = 2**53 + 1  # the first whole number that float64 cannot hold


def series(values, dtype=None):
    frame = pd.DataFrame({"c": pd.Series(values, dtype=dtype)})
    return nw.from_native(frame, eager_only=True)["c"]


def shifted(column, by, low=None, high=None):
    cells = column.to_numpy()
    cells = cells.view(np.int64) if cells.dtype.kind in "mM" else cells
    low = cells.min() if low is None else low
    high = cells.max() if high is None else high
    rows = np.flatnonzero(by)
    return containers.add_to_cells(column, rows, np.asarray(by, float)[rows], low, high).to_native()


# ---------------------------------------------------------------- kinds


@pytest.mark.parametrize(
    ("X", "kind"),
    [
        (X, "array"),
        (sparse.csr_matrix(X), "sparse"),
        (sparse.csr_array(X), "sparse"),
        (X.tolist(), "list"),
        (tuple(X.tolist()), "list"),
        (pd.DataFrame(X), "frame"),
        (pl.DataFrame(X), "frame"),
    ],
)
def test_every_container_is_recognised(X, kind):
    assert containers.kind_of_container(X) == kind


def test_what_holds_no_rows_is_refused_by_its_type():
    with pytest.raises(TypeError, match="cannot read rows from int: pass a numpy array"):
        containers.kind_of_container(7)


@pytest.mark.parametrize(
    ("values", "dtype", "kind"),
    [
        ([1, 2], "int64", "integer"),
        ([1, 2], "uint8", "integer"),
        ([1, None], "Int64", "integer"),
        ([1.5, 2], "float32", "number"),
        ([1.5, None], "Float64", "number"),
        ([True, False], "bool", "boolean"),
        ([True, None], "boolean", "boolean"),
        (["a", "b"], "category", "category"),
        (["a", "b"], "str", "text"),
        (["a", "b"], "string", "text"),
        (pd.to_datetime(["2020", "2021"]), None, "moment"),
        (pd.to_datetime(["2020", "2021"], utc=True), None, "moment"),
        (pd.to_timedelta([1, 2], unit="h"), None, "moment"),
    ],
)
def test_every_dtype_has_its_kind(values, dtype, kind):
    assert containers.kind_of_column(series(values, dtype)) == kind


@pytest.mark.parametrize(
    "dtype", [">f8", ">i4", "f2", np.longdouble, "f4", "i8", "u1", "?"], ids=str
)
def test_arrays_come_out_in_a_dtype_that_torch_reads_with_equal_values(dtype):
    values = (X % 2).astype(dtype)
    out = containers.as_array(values)
    assert out.dtype.isnative
    assert out.dtype.kind != "f" or out.dtype.itemsize in (4, 8)
    assert np.array_equal(out, values)


def test_complex_numbers_are_refused():
    with pytest.raises(ValueError, match="Complex data not supported"):
        containers.as_array(X + 1j)


def test_a_column_that_stands_twice_is_named():
    with pytest.raises(ValueError, match="column 'b' stands twice in X"):
        containers.open_table(pd.DataFrame(X, columns=["a", "b", "b"]))


@pytest.mark.parametrize(
    "rows",
    [
        X,
        X.astype("f4"),
        np.asfortranarray(X),
        X.astype(object),
        X.astype(int),
        sparse.csr_matrix(X),
        sparse.csc_array(X),
        pd.DataFrame(X, columns=list("abc"), index=[7, 5, 3, 1]),
        pl.DataFrame(X, schema=list("abc")),
    ],
    ids=lambda rows: type(rows).__name__ + str(getattr(rows, "dtype", "")),
)
def test_a_table_opened_and_closed_is_the_same(rows):
    out = containers.close_table(rows, containers.open_table(rows))
    assert type(out) is type(rows)
    assert getattr(out, "dtype", None) == getattr(rows, "dtype", None)
    plain, before = (t.toarray() if sparse.issparse(t) else np.asarray(t) for t in (out, rows))
    assert np.array_equal(plain, before)
    if isinstance(rows, pd.DataFrame):
        assert_frame_equal(out, rows)


# ---------------------------------------------------------------- shift


@pytest.mark.parametrize("dtype", ["int64", "uint64", "Int64", "UInt64"])
def test_whole_numbers_beyond_2_to_the_53_keep_every_digit(dtype):
    ids = [BIG, BIG + 2, BIG + 100]
    out = shifted(series(ids, dtype), [3, 0, -4])
    assert out.tolist() == [BIG + 3, BIG + 2, BIG + 96]
    assert str(out.dtype) == dtype


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("uint8", [0, 250, 255]),
        ("uint64", [0, 2**64 - 3, 2**64 - 1]),
        ("int8", [-128, 100, 127]),
        ("int64", [-(2**63), 5, 2**63 - 1]),
    ],
)
@pytest.mark.parametrize("by", [-300.0, 300.0, 1e19, -1e19])
def test_whole_numbers_stop_at_their_bounds_instead_of_wrapping(dtype, values, by):
    out = [int(cell) for cell in shifted(series(values, dtype), [by, by, by])]
    # A step of more than 2**63 may be cut to it.
    step = int(np.clip(by, -(2.0**63), 2.0**63))
    assert out == [min(max(cell + step, values[0]), values[2]) for cell in values]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Paris"])
def test_moments_keep_their_unit_and_time_zone(unit, zone):
    days = pd.date_range("2020-03-28", periods=3, tz=zone).as_unit(unit)
    ticks = pd.Timedelta(hours=1) // pd.Timedelta(1, unit=unit)
    out = shifted(series(days), [ticks, 0, -ticks])
    hour = pd.Timedelta(hours=1)
    assert out.dtype == days.dtype
    assert out.tolist() == [days[0] + hour, days[1], days[2] - hour]


def test_moments_stop_at_their_bounds():
    days = pd.date_range("2020-01-01", periods=3).as_unit("ns")
    out = shifted(series(days), [-1e17, 0, 1e17])
    assert out.tolist() == days.tolist()


@pytest.mark.parametrize("dtype", ["bool", "boolean"])
def test_a_boolean_flips_from_half_a_step_on(dtype):
    out = shifted(series([True, True, False], dtype), [-1, -0.4, 1], False, True)
    assert out.tolist() == [False, True, True]
    assert str(out.dtype) == dtype


@pytest.mark.parametrize("dtype", ["float32", "float64", "Float32"])
def test_floats_move_in_their_own_dtype_and_within_bounds(dtype):
    out = shifted(series([0.0, 0.5, 1.0], dtype), [0.25, 9, -9])
    assert out.tolist() == [0.25, 1.0, 0.0]
    assert str(out.dtype) == dtype


@pytest.mark.parametrize("dtype", ["float64", "int64", "uint8"])
def test_a_cell_beyond_the_bounds_is_never_moved_by_force(dtype):
    # 90 was not seen in fit, where the bounds were learnt: it may move towards them only.
    out = shifted(series([5, 90, 90], dtype), [1, 1, -1], 0, 10)
    assert out.tolist() == [6, 90, 89]


def test_cells_that_are_not_named_stay_even_beyond_the_bounds():
    out = shifted(series([5.0, 0.5, -5.0]), [0, 0.25, 0], 0, 1)
    assert out.tolist() == [5.0, 0.75, -5.0]


# ---------------------------------------------------------------- levels, codes, missing


def test_levels_come_most_frequent_first_and_only_from_the_cells():
    dtype = pd.CategoricalDtype(["unused", "c", "b", "a"], ordered=True)
    column = series(["b", "a", None, "a", "c", "b", "a"], dtype)
    known, counts = containers.levels(column)
    assert known.to_list() == ["a", "b", "c"]
    assert counts.tolist() == [3, 2, 1]


def test_codes_say_place_missing_and_unknown():
    known, _ = containers.levels(series(["a", "a", "b"], "category"))
    column = series(["b", None, "z", "a"], "category")
    assert containers.codes(column, known).tolist() == [1, -1, -2, 0]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1.0, np.nan, 3.0], "float64"),
        ([1, None, 3], "Int64"),
        ([True, None, True], "boolean"),
        (["a", None, "b"], "category"),
        (["a", None, "b"], "str"),
        (pd.to_datetime(["2020", None, "2021"], utc=True), None),
    ],
)
def test_missing_cells_are_seen_in_every_dtype(values, dtype):
    assert containers.missing(series(values, dtype)).tolist() == [False, True, False]


def test_numbers_are_nan_where_missing_and_ticks_for_moments():
    days = pd.to_datetime(["1970-01-02", None]).as_unit("s")
    assert np.array_equal(containers.numbers(series(days)), [86400.0, np.nan], equal_nan=True)
    assert np.array_equal(
        containers.numbers(series([True, None], "boolean")), [1.0, np.nan], equal_nan=True
    )


# ---------------------------------------------------------------- take and join


@pytest.mark.parametrize(
    ("index", "added"),
    [
        (pd.RangeIndex(4), [4, 5, 6]),
        (pd.RangeIndex(10, 18, 2, name="id"), [18, 20, 22]),
        (pd.Index([7, 3, 9, 1], name="id"), [10, 11, 12]),
        (pd.Index(list("wxyz"), name="id"), ["x", "x", "w"]),
        (pd.date_range("2020", periods=4), pd.date_range("2020", periods=4)[[1, 1, 0]]),
        (
            pd.MultiIndex.from_product([["a", "b"], [0, 1]], names=["p", "q"]),
            [("a", 1), ("a", 1), ("a", 0)],
        ),
    ],
    ids=["range", "stepped range", "integers", "strings", "dates", "levels"],
)
def test_an_index_goes_on_counting_or_repeats_the_parents_labels(index, added):
    frame = pd.DataFrame(X, columns=list("abc"), index=index)
    parents = np.array([1, 1, 0])
    batches = [containers.take(frame, parents[:2]), containers.take(frame, parents[2:])]
    out = containers.join(frame, zip(batches, (parents[:2], parents[2:]), strict=True), 3)
    assert_frame_equal(out.iloc[:4], frame, check_freq=False)
    assert list(out.index[4:]) == list(added)
    assert type(out.index) is type(index)
    assert out.index.names == index.names
    assert np.array_equal(out.to_numpy()[4:], X[parents])


@pytest.mark.parametrize(
    "rows",
    [
        X,
        X.tolist(),
        sparse.csr_matrix(X),
        sparse.coo_matrix(X),
        sparse.dok_array(X),
        pl.DataFrame(X),
        pd.DataFrame(X),
        pd.Series(X[:, 0]),
        pl.Series(X[:, 0]),
    ],
    ids=lambda rows: f"{type(rows).__module__}.{type(rows).__name__}",
)
def test_rows_are_taken_and_joined_below_in_any_container(rows):
    parents = np.array([3, 0, 3])
    out = containers.join(rows, [(containers.take(rows, parents), parents)], 3)
    assert type(out) is type(rows)
    plain, before = (t.toarray() if sparse.issparse(t) else np.asarray(t) for t in (out, rows))
    assert np.array_equal(plain, np.concatenate([before, before[parents]]))


# ---------------------------------------------------------------- labels


@pytest.mark.parametrize(
    "y",
    [
        ["a", "b", "a"],
        np.array(["a", "b", "a"]),
        np.array(["a", "b", "a"], dtype=object),
        pd.Series(["a", "b", "a"], dtype="category"),
        pd.Series(["a", "b", "a"], dtype="string"),
        pd.DataFrame({"y": ["a", "b", "a"]}),
        pl.Series(["a", "b", "a"]),
        pl.Series(["a", "b", "a"], dtype=pl.Categorical),
    ],
    ids=lambda y: f"{type(y).__name__} {getattr(y, 'dtype', '')}",
)
def test_labels_are_read_from_any_container(y):
    assert containers.labels(y).tolist() == ["a", "b", "a"]


@pytest.mark.parametrize(
    "y",
    [
        [1.0, 2.0, np.nan],
        ["a", "b", None],
        pd.Series([1, 2, None], dtype="Int64"),
        pd.Series([True, False, None], dtype="boolean"),
        pd.Series(["a", "b", None], dtype="category"),
        pl.Series([1, 2, None]),
        pd.DataFrame({"y": ["a", "b", None]}),
    ],
    ids=lambda y: f"{type(y).__name__} {getattr(y, 'dtype', '')}",
)
def test_the_row_of_a_missing_label_is_named(y):
    with pytest.raises(ValueError, match="no label at row 2"):
        containers.labels(y)


def test_an_index_of_nullable_integers_goes_on_counting():
    index = pd.Index([5, 2], dtype="Int64")
    out = containers.longer_index(index, np.array([0]))
    assert_index_equal(out, pd.Index([5, 2, 6], dtype="Int64"))


def test_a_sparse_matrix_is_read_and_edited_a_block_of_columns_at_a_time(monkeypatch):
    monkeypatch.setattr("advaug.containers.tables.BLOCK", 4)
    widths = []
    whole = sparse.random(9, 11, 0.4, "csr", random_state=0)
    toarray = sparse.csc_matrix.toarray

    def counting(self, *args, **settings):
        widths.append(self.shape[1])
        return toarray(self, *args, **settings)

    monkeypatch.setattr(sparse.csc_matrix, "toarray", counting)
    cells = np.stack([column.to_numpy() for _, column in containers.each_column(whole)], 1)
    edits = {
        place: partial(containers.put_numbers, rows=np.array([2]), numbers=np.array([7.0]))
        for place in (10, 0, 5)
    }
    new = containers.edit_columns(whole, edits)
    assert max(widths) == 4
    monkeypatch.undo()
    np.testing.assert_array_equal(cells, whole.toarray())
    expected = whole.toarray()
    expected[2, [0, 5, 10]] = 7.0
    assert type(new) is type(whole)
    np.testing.assert_array_equal(new.toarray(), expected)
    assert new.nnz == np.count_nonzero(expected)


def test_an_edited_frame_shares_no_cell_with_the_users_own():
    X = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0], "c": ["u", "v"]})
    before = X.copy()
    by, ends = np.ones((2, 1)), (np.zeros(1), np.full(1, 9.0))
    moved = containers.add_to_floats(
        X, [0], lambda some: by[:, some], *ends, lambda cells, some: cells
    )
    edited = containers.edit_columns(X, {2: lambda column: column})
    for new in (moved, edited):
        new.loc[0, "b"] = 7.0
    assert moved["a"].tolist() == [2.0, 3.0]
    pd.testing.assert_frame_equal(X, before)


@pytest.mark.parametrize(
    "rows",
    [
        np.arange(12.0).reshape(4, 3),
        np.arange(12, dtype=np.int16).reshape(4, 3),
        np.arange(12, dtype=np.float16).reshape(4, 3),
        np.arange(12).reshape(4, 3).tolist(),
        np.arange(12).reshape(4, 3).astype(object),
        pd.DataFrame(np.arange(12.0).reshape(4, 3), columns=list("abc")),
        sparse.csr_array(np.arange(12.0).reshape(4, 3)),
    ],
)
def test_columns_are_edited_in_a_copy_of_the_same_container(rows):
    edits = {1: partial(containers.put_numbers, rows=np.array([3]), numbers=np.array([50]))}
    new = containers.edit_columns(rows, edits)
    expected = np.arange(12.0).reshape(4, 3)
    expected[3, 1] = 50
    assert type(new) is type(rows)
    assert getattr(new, "dtype", None) == getattr(rows, "dtype", None)
    for found, wanted in ((new, expected), (rows, np.arange(12.0).reshape(4, 3))):
        dense = found.toarray() if sparse.issparse(found) else np.asarray(found, dtype=float)
        np.testing.assert_array_equal(dense, wanted)


def test_a_level_is_put_into_a_pandas_category_by_its_code_and_not_where_its_dtype_lacks_it():
    cells = pd.Categorical(["b", None, "a", "b"], categories=["b", "x", "a"], ordered=True)
    column = nw.from_native(pd.Series(cells, [5, 6, 7, 9], name="c"), series_only=True)
    values = nw.from_native(pd.Series(["a", "lacking", "x"], dtype=object), series_only=True)
    put = containers.put_cells(column, np.array([1, 2, 3]), values).to_native()
    expected = pd.Categorical(["b", "a", "a", "x"], dtype=cells.dtype)
    pd.testing.assert_series_equal(put, pd.Series(expected, [5, 6, 7, 9], name="c"))
    assert column.to_native().isna().sum() == 1, "the column itself stays as it was"
