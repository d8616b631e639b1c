"""Columns, tables and targets of every dtype, drawn at random, for the tests of what holds for all.

`COLUMNS` are columns of pandas. `VALUES` are plain Python values, and `DTYPES` says in which dtypes
each library holds them. All are functions of (a numpy generator, how many rows).
"""

import datetime as dt
import enum
import re
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from scipy import sparse

BIG = 2**53 + 1
START = dt.datetime(2020, 1, 1)
PARIS = pl.Datetime("ns", "Europe/Paris")

COLUMNS = {
    "id": lambda rng, n: BIG + rng.integers(0, 2**40, n),
    "count": lambda rng, n: rng.poisson(3, n).astype("uint8"),
    "float32": lambda rng, n: rng.normal(size=n).astype("float32"),
    "bool": lambda rng, n: rng.random(n) < 0.3,
    "unordered": lambda rng, n: pd.Categorical(rng.choice(["a", "b"], n), categories=list("zba")),
    "ordered": lambda rng, n: pd.Categorical(rng.choice([1, 2, 3], n), ordered=True),
    "string": lambda rng, n: pd.Series(rng.choice(["x", "y", "w"], n)),
    "naive": lambda rng, n: pd.Timestamp("2020") + pd.to_timedelta(rng.integers(0, 900, n), "D"),
    "aware": lambda rng, n: (
        pd.Timestamp("2020-01-01 00:30", tz="Europe/Paris")
        + pd.to_timedelta(rng.integers(0, 9000, n), "h")
    ).as_unit("ms"),
    "Int64": lambda rng, n: pd.array(rng.poisson(3, n), dtype="Int64"),
    "boolean": lambda rng, n: pd.array(rng.random(n) < 0.5, dtype="boolean"),
    "constant": lambda rng, n: np.full(n, 7),
    "empty": lambda rng, n: np.full(n, np.nan),
}
HOLES = ["float32", "unordered", "ordered", "string", "naive", "aware", "Int64", "boolean"]
INDICES = {
    "range": lambda rng, n: pd.RangeIndex(n),
    "shuffled": lambda rng, n: pd.Index(rng.permutation(n) * 3, name="key"),
    "strings": lambda rng, n: pd.Index([f"row {k}" for k in rng.permutation(n)]),
}


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


LAYOUTS = {
    "negative strides": lambda X: np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1],
    "every second column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "read-only": read_only,
    "big-endian": lambda X: X.astype(">f8"),
    "Fortran": np.asfortranarray,
    "float16": lambda X: X.astype("f2"),
    "float32": lambda X: X.astype("f4"),
    "longdouble": lambda X: X.astype(np.longdouble),
    "object": lambda X: X.astype(object),
    "int64": lambda X: X.astype(int),
    "big-endian int": lambda X: X.astype(">i4"),
    "list of lists": lambda X: X.tolist(),
    "csr matrix": sparse.csr_matrix,
    "csc array": sparse.csc_array,
    "coordinate matrix": sparse.coo_matrix,
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
}


def days(rng, n):
    return [START.date() + dt.timedelta(k) for k in rng.integers(0, 900, n).tolist()]


def with_sentinel(rng, n):
    return np.where(rng.random(n) < 0.3, -999.0, rng.normal(50, 9, n)).tolist()


VALUES = {  # plain Python values
    "price": lambda rng, n: (rng.integers(0, 3000, n) / 100).tolist(),
    "stars": lambda rng, n: (rng.integers(1, 11, n) / 2).tolist(),
    "real": lambda rng, n: rng.normal(size=n).tolist(),
    "heavy": lambda rng, n: (rng.standard_cauchy(n) * 1e6).tolist(),
    "sentinel": with_sentinel,
    "count": lambda rng, n: rng.poisson(3, n).tolist(),
    "calendar": lambda rng, n: [int(day.strftime("%Y%m%d")) for day in days(rng, n)],
    "serial": lambda rng, n: rng.permutation(n).tolist(),
    "row id": lambda rng, n: (1000 + rng.permutation(n)).tolist(),
    "huge": lambda rng, n: (2**60 + rng.integers(0, 999, n)).tolist(),
    "constant": lambda rng, n: [7] * n,
    "none": lambda rng, n: [None] * n,
    "truth": lambda rng, n: (rng.random(n) < 0.4).tolist(),
    "text": lambda rng, n: rng.choice(["x", "y", "w"], n).tolist(),
    "bytes": lambda rng, n: [bytes([k]) for k in rng.integers(0, 3, n).tolist()],
    "mixed": lambda rng, n: [k if k % 2 else f"s{k}" for k in rng.integers(0, 5, n).tolist()],
    "decimal": lambda rng, n: [Decimal(k) / 100 for k in rng.integers(0, 3000, n).tolist()],
    "date": days,
    "time": lambda rng, n: [dt.time(k // 60, k % 60) for k in rng.integers(0, 1440, n).tolist()],
    "stamp": lambda rng, n: [
        START + dt.timedelta(0, k) for k in rng.integers(0, 10**7, n).tolist()
    ],
    "span": lambda rng, n: [dt.timedelta(minutes=k) for k in rng.integers(0, 999, n).tolist()],
    "list": lambda rng, n: [[k, 1] for k in range(n)],
    "struct": lambda rng, n: [{"k": k} for k in range(n)],
    "complex": lambda rng, n: (1j * rng.normal(size=n)).tolist(),
    "too huge": lambda rng, n: [2**100 + k for k in range(n)],
}
REFUSED = {"list", "struct", "complex", "too huge"}

FLOATS = ["float64", "float32", "Float64", "Float32", "double[pyarrow]", "object"]
INTEGERS = ["int64", "uint64", "Int64", "int64[pyarrow]", "object"]
SMALL_INTEGERS = ["int32", "UInt32", *INTEGERS]
DATES = ["datetime64[s]", "date32[day][pyarrow]", "date64[ms][pyarrow]", "period[D]", "period[M]"]
STAMPS = ["datetime64[s]", "datetime64[ns, Europe/Paris]", "timestamp[us][pyarrow]"]
TEXTS = ["str", "string[python]", "string[pyarrow]", "object"]
POLARS_FLOATS = [pl.Float64, pl.Float32]
POLARS_INTEGERS = [pl.Int64, pl.UInt64, pl.Int128]
ARROW_FLOATS, ARROW_INTEGERS = [pa.float64(), pa.float32()], [pa.int64(), pa.uint64()]
ARROW_TEXTS = [pa.string(), pa.large_string()]

DTYPES = {  # library -> values -> the dtypes that hold them
    "pandas": {
        "price": [*FLOATS, "float16", "Sparse[float64]"],
        "stars": [*FLOATS, "float16", "category"],
        "real": [*FLOATS, "float16"],
        "heavy": FLOATS,
        "sentinel": FLOATS,
        "count": [*FLOATS, *SMALL_INTEGERS, "uint8", "Int8", "Sparse[int64]", "category"],
        "calendar": SMALL_INTEGERS,
        "serial": SMALL_INTEGERS,
        "row id": SMALL_INTEGERS,
        "huge": ["float64", *INTEGERS],
        "constant": [*SMALL_INTEGERS, "Int8", "Sparse[int64]"],
        "none": [*FLOATS, *TEXTS],
        "truth": ["bool", "boolean", "bool[pyarrow]", "category", "object"],
        "text": [*TEXTS, "category"],
        "bytes": ["object"],
        "mixed": ["object"],
        "decimal": ["decimal128(10, 2)[pyarrow]", "object"],
        "date": [*DATES, "category", "object"],
        "time": ["time64[us][pyarrow]", "object"],
        "stamp": [*STAMPS, "object"],
        "span": ["timedelta64[us]", "duration[ms][pyarrow]", "object"],
        "list": ["object"],
        "struct": ["object"],
        "complex": ["complex128", "object"],
    },
    "polars": {
        **dict.fromkeys(["price", "stars", "real", "heavy", "sentinel"], POLARS_FLOATS),
        "count": [pl.Float64, pl.Int32, pl.UInt8, *POLARS_INTEGERS],
        "calendar": [pl.Int32, *POLARS_INTEGERS],
        "serial": [pl.Int32, *POLARS_INTEGERS],
        "row id": [pl.Int32, *POLARS_INTEGERS],
        "huge": POLARS_INTEGERS,
        "constant": [pl.UInt8, *POLARS_INTEGERS],
        "none": [pl.Null, pl.Float64, pl.String, pl.Categorical],
        "truth": [pl.Boolean],
        "text": [pl.String, pl.Categorical, pl.Enum(["x", "y", "w", "unused"])],
        "bytes": [pl.Binary],
        "decimal": [pl.Decimal(10, 2)],
        "date": [pl.Date],
        "time": [pl.Time],
        "stamp": [pl.Datetime("ms"), PARIS],
        "span": [pl.Duration("us")],
        "list": [pl.List(pl.Int64)],
        "struct": [pl.Struct({"k": pl.Int64})],
        "too huge": [pl.Int128],
    },
    "arrow": {
        **dict.fromkeys(["price", "stars", "real", "heavy", "sentinel"], ARROW_FLOATS),
        "count": [pa.int8(), *ARROW_FLOATS, *ARROW_INTEGERS],
        **dict.fromkeys(["calendar", "serial", "row id", "huge"], ARROW_INTEGERS),
        "constant": [pa.int8(), *ARROW_INTEGERS],
        "none": [pa.null(), pa.float64(), *ARROW_TEXTS],
        "truth": [pa.bool_()],
        "text": [*ARROW_TEXTS, pa.dictionary(pa.int32(), pa.string())],
        "bytes": [pa.binary()],
        "decimal": [pa.decimal128(10, 2), pa.decimal256(50, 2)],
        "date": [pa.date32(), pa.date64()],
        "time": [pa.time32("s"), pa.time64("us")],
        "stamp": [pa.timestamp("ms"), pa.timestamp("us", "Europe/Paris")],
        "span": [pa.duration("us")],
        "list": [pa.list_(pa.int64())],
        "struct": [pa.struct({"k": pa.int64()})],
    },
}
# "values: dtype" -> both, for each library; COLUMNS of pandas have a name of their own.
TYPED = {
    library: {f"{values}: {dtype}": (values, dtype) for values in held for dtype in held[values]}
    for library, held in DTYPES.items()
}
TABLES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
NO_GAPS = re.compile("u?int|bool$|Sparse|complex")  # dtypes of pandas that hold no missing cell


def can_have_gaps(library, name):
    """Whether a column of this name can have missing cells."""
    if name in COLUMNS:
        return name in HOLES
    values, dtype = TYPED[library][name]
    is_numpy = library == "pandas" and NO_GAPS.match(dtype) and "pyarrow" not in dtype
    return values not in REFUSED and not is_numpy


def column_of(library, name, rng, n, has_gaps):
    """A column of the library, with a fifth of its cells missing if it has gaps."""
    is_gap = rng.random(n) < 0.2
    if name in COLUMNS:
        column = pd.Series(COLUMNS[name](rng, n))
        return column.mask(is_gap) if has_gaps else column
    values, dtype = TYPED[library][name]
    cells = VALUES[values](rng, n)
    if has_gaps:
        cells = [None if gap else cell for gap, cell in zip(is_gap, cells, strict=True)]
    if library == "arrow":
        return pa.array(cells, dtype)
    if library == "polars":
        if dtype != PARIS:
            return pl.Series(cells, dtype=dtype)
        return pl.Series(cells, dtype=pl.Datetime("ns", "UTC")).dt.convert_time_zone("Europe/Paris")
    if dtype.startswith("period"):
        return pd.Series(pd.PeriodIndex(cells, dtype=dtype))
    if dtype.startswith("decimal128"):
        return pd.Series(cells, dtype=pd.ArrowDtype(pa.decimal128(10, 2)))
    return pd.Series(cells, dtype=dtype)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2
    GREEN = 3


TARGETS = {  # codes -> labels of a dtype
    "int64": lambda codes: codes,
    "uint8": lambda codes: codes.astype("u1"),
    "negative": lambda codes: (codes - 1).tolist(),
    "float": lambda codes: codes.astype(float),
    "half": lambda codes: codes.astype("f2"),
    "longdouble": lambda codes: codes.astype("g"),
    "bool": lambda codes: codes > 0,
    "text": lambda codes: np.array(["no", "yes", "may be"])[codes],
    "object": lambda codes: np.array(["no", "yes", "may be"], dtype=object)[codes],
    "list": lambda codes: [["no", "yes", "may be"][k] for k in codes],
    "StringDType": lambda codes: np.array(["a", "b", "c"], dtype=np.dtypes.StringDType())[codes],
    "series": lambda codes: pd.Series(codes, name="label"),
    "frame": lambda codes: pd.DataFrame({"label": codes}),
    "category": lambda codes: pd.Series(pd.Categorical.from_codes(codes, list("abcd"))),
    "ordered": lambda codes: pd.Series(pd.Categorical.from_codes(codes, list("cab"), ordered=True)),
    "string": lambda codes: pd.Series(np.array(["a", "b", "c"])[codes], dtype="string"),
    "Int64": lambda codes: pd.Series(codes, dtype="Int64"),
    "arrow backed": lambda codes: pd.Series(codes, dtype="int64[pyarrow]"),
    "interval": lambda codes: pd.Series(pd.cut(codes, [-1, 0, 1, 2])),
    "period": lambda codes: pd.Series(pd.PeriodIndex(["2020", "2021", "2022"], freq="Y")[codes]),
    "decimal": lambda codes: pd.Series([Decimal(k) / 2 for k in codes.tolist()]),
    "date": lambda codes: [dt.date(2020, 1, 1 + k) for k in codes.tolist()],
    "datetime64": lambda codes: np.array(["2020", "2021", "2022"], dtype="M8[D]")[codes],
    "zone": lambda codes: pd.Series(pd.to_datetime(codes, unit="D", utc=True)),
    "mixed": lambda codes: [[0, "yes", 2.5][k] for k in codes],
    "Enum": lambda codes: [list(Colour)[k] for k in codes],
    "polars": lambda codes: pl.Series("label", codes),
    "polars Enum": lambda codes: pl.Series(
        np.array(["a", "b", "c"])[codes], dtype=pl.Enum(["c", "b", "a"])
    ),
    "polars Decimal": lambda codes: pl.Series([Decimal(k) for k in codes.tolist()]),
    "arrow": lambda codes: pa.array(codes),
    "arrow chunks": lambda codes: pa.chunked_array([pa.array(codes[:5]), pa.array(codes[5:])]),
    "arrow dictionary": lambda codes: pa.array(list("abc")).take(codes).dictionary_encode(),
    "one gap": lambda codes: [None, *codes[1:].tolist()],
    "complex": lambda codes: codes * 1j,
    "regression": lambda codes: codes + np.arange(len(codes)) / 7,
}
REFUSED_TARGETS = ["one gap", "complex", "regression"]
# Targets that scikit-learn's own classifiers take.
SORTABLE = [
    *(
        "int64",
        "uint8",
        "negative",
        "float",
        "half",
        "longdouble",
        "bool",
        "text",
        "object",
        "list",
    ),
    *("StringDType", "series", "frame", "category", "ordered", "string", "Int64", "arrow backed"),
    *("polars", "polars Enum", "arrow", "arrow chunks", "arrow dictionary", *REFUSED_TARGETS),
]
