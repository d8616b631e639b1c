"""What are no rows of ours, each with the call that makes rows of it."""

from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

LARGE = {  # library -> the call that brings its rows into memory
    "cudf": "X.to_pandas()",
    "dask": "X.compute()",
    "dask_expr": "X.compute()",
    "datasets": "X.to_pandas()",
    "duckdb": "X.df()",
    "h2o": "X.as_data_frame()",
    "ibis": "X.to_pandas()",
    "modin": "X.modin.to_pandas()",
    "pyspark": "X.toPandas()",
    "ray": "X.to_pandas()",
    "vaex": "X.to_pandas_df()",
    "xarray": "X.to_numpy()",
}
SIGNAL = "a signal is (channels, time)"
LONG_ROW = 8  # Rows of padded tokens have so many places at least.


def refuse_large(X: Any) -> None:
    """TypeError naming the library whose rows may not fit into memory, and how to bring them in."""
    library, _, below = type(X).__module__.partition(".")
    mend = LARGE.get(library)
    if library == "polars" and type(X).__name__ == "LazyFrame":
        mend = "X.collect()"
    if library == "pyspark" and below.startswith("pandas"):
        mend = "X.to_pandas()"
    if mend:
        raise TypeError(
            f"X is a {type(X).__name__} of {library}, which is never read whole by itself: pass "
            f"{mend} if its rows fit into memory, or a sample of them"
        )


def refuse_no_table(X: Any) -> None:
    """TypeError for containers of Python or numpy that hold rows in a form of their own."""
    is_records = isinstance(X, np.ndarray) and X.dtype.names is not None
    is_dicts = isinstance(X, list | tuple) and bool(X) and isinstance(X[0], dict)
    what = "a list of dicts" if is_dicts else type(X).__name__
    is_dict = isinstance(X, dict) and not hasattr(X, "tocsr")  # Some of scipy's matrices are one.
    if is_dict or is_records or is_dicts:
        raise TypeError(f"X is {what}: pass pd.DataFrame(X)")
    if isinstance(X, range | set | frozenset | memoryview) or hasattr(X, "__next__"):
        raise TypeError(f"X is a {what}: pass list(X), with a list of numbers for each row")


def refuse_rows_of_frames(X: Any) -> None:
    """ValueError for a list whose rows are frames, tensors or images, with the mend."""
    if not isinstance(X, list | tuple) or not len(X):
        return
    row = X[0]
    if isinstance(row, pd.DataFrame) or nw.dependencies.is_into_dataframe(row):
        raise ValueError(
            f"row 0 of X is a frame of shape {tuple(row.shape)}: {SIGNAL}, pass "
            "[frame.to_numpy().T for frame in X] where a frame's rows are times and its columns "
            "channels"
        )
    if hasattr(row, "detach") and row.ndim > 1:
        mend = "[row.numpy() for row in X] for signals (channels, time)"
        raise ValueError(
            f"row 0 of X is a tensor of shape {tuple(row.shape)}: pass torch.stack(X) for images, "
            f"or {mend}"
        )
    is_image = isinstance(row, np.ndarray) and (
        row.ndim == 3 or (row.ndim == 2 and row.dtype == np.uint8)
    )
    if not is_image:
        return
    other = next((k for k, one in enumerate(X) if np.shape(one) != row.shape), None)
    if other is not None:
        raise ValueError(
            f"image {other} of X is {np.shape(X[other])}, image 0 is {row.shape}: resize all "
            "images to one shape, then pass np.stack(X)"
        )
    raise ValueError(f"X is a list of arrays of shape {row.shape}: pass images as np.stack(X)")


def refuse_other_count(X: Any, n_rows: int, n_labels: int) -> None:
    """ValueError where there are more or fewer labels than rows, with the mend for a panel."""
    if n_rows == n_labels:
        return
    message = f"Found input variables with inconsistent numbers of samples: {[n_rows, n_labels]}"
    is_panel = isinstance(X, pd.DataFrame) and X.index.nlevels == 2
    if is_panel and len(X.index.unique(level=0)) == n_labels:
        raise ValueError(
            f"{message}. X is a panel, with one row for each signal and time: pass adapter='signal'"
        )
    raise ValueError(f"{message}: pass one label for each row")


def looks_padded(X: Any) -> bool:
    """Whether whole numbers stand in front of zeros in rows of many lengths, as padded tokens do.

    A table of counts has zeros in between.
    """
    if not isinstance(X, np.ndarray) or X.ndim != 2 or X.dtype.kind not in "iu":
        return False
    if X.shape[1] < LONG_ROW or not (X >= 0).all():
        return False
    lengths = (X > 0).sum(1)
    is_prefix = (X > 0) == (np.arange(X.shape[1]) < lengths[:, None])
    return bool(is_prefix.all()) and len(np.unique(lengths)) > 2
