"""Rows that are sequences: texts, or lists of tokens, in a list, an array or a series."""

from itertools import islice
from numbers import Integral
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from advaug.containers.columns import is_free_text, kind_of_column
from advaug.containers.rows import kind_of_container, own_table

LOOKED_AT = 1000  # rows by which a container is recognised


def is_sequences(X: Any) -> bool:
    """Whether rows are texts, token lists of texts, or lists of whole numbers, unequally long.

    Lists of numeric rows of one length are tables. A frame of one column holds texts if these are
    too many for levels of a category, or lists of tokens.
    """
    if (only := only_column(X)) is not None:
        return is_sequences(only) and not _are_levels(only)
    if not _is_flat(X):
        return False
    X = _as_list(X)
    some = [row for row in islice(X, LOOKED_AT) if not _is_missing(row)]
    if any(isinstance(row, str | bytes) for row in some):  # refused by number, or among others
        return True
    if not some or not all(_is_token_list(row) for row in some):
        return False
    tokens = [token for row in some for token in islice(row, LOOKED_AT)]
    if tokens and all(isinstance(token, str) for token in tokens):
        return True
    if not any(isinstance(token, Integral | str) for token in tokens):
        return False
    # Ones of one length are a table; every row is asked, as one may differ.
    counts = {len(row) if _is_token_list(row) else -1 for row in X}
    is_usual = all(isinstance(token, Integral | str) for token in tokens)
    return len(counts) > 1 and (is_usual or any(isinstance(token, str) for token in tokens))


def _as_list(X: Any) -> Any:
    """The cells of a series of any library, which hands out lists as its own type otherwise."""
    if hasattr(X, "to_pylist"):
        return X.to_pylist()
    return X.to_list() if hasattr(X, "to_list") else X


def only_column(X: Any) -> Any:
    """The column of a frame or an array of texts that has no other; None for all others."""
    if isinstance(X, np.ndarray):
        return X[:, 0] if X.ndim == 2 and X.shape[1] == 1 and X.dtype.kind in "OU" else None
    is_frame = isinstance(X, pd.DataFrame) or nw.dependencies.is_into_dataframe(X)
    if not is_frame or X.shape[1] != 1:
        return None
    frame = own_table(X)
    return frame.get_column(frame.columns[0]).to_native()


def _are_levels(only: Any) -> bool:
    """Whether the cells of a column are texts, few enough for the levels of a category."""
    only = pd.Series(only) if isinstance(only, np.ndarray) else only
    column = nw.from_native(only, series_only=True)
    return kind_of_column(column) == "text" and not is_free_text(column)


def _is_flat(X: Any) -> bool:
    if isinstance(X, pd.Series):
        held = X.cat.categories if isinstance(X.dtype, pd.CategoricalDtype) else X
        return held.dtype == object or pd.api.types.is_string_dtype(held.dtype)
    if isinstance(X, np.ndarray):
        return X.ndim == 1 and X.dtype.kind in "OUTS"
    return isinstance(X, list | tuple) or nw.dependencies.is_into_series(X)


def _is_missing(row: Any) -> bool:
    return row is None or row is pd.NA or (isinstance(row, float) and row != row)


def _is_token_list(row: Any) -> bool:
    if isinstance(row, np.ndarray):
        return row.ndim == 1 and row.dtype.kind in "iuOU"
    return isinstance(row, list | tuple)


def sequences(X: Any) -> list[Any]:
    """The rows as a list of texts or token lists; ValueError naming the first that is neither."""
    if (only := only_column(X)) is not None:
        X = only
    if kind_of_container(X) == "frame" or (isinstance(X, np.ndarray) and X.ndim > 1):
        raise TypeError(
            f"sequences are one column of texts or token lists, got {type(X).__name__} of shape "
            f"{X.shape}: pass {_column_alone(X)}"
        )
    if isinstance(X, pd.Series) and isinstance(X.dtype, pd.CategoricalDtype):
        raise TypeError(
            "X is a series of categories, which new texts are none of: pass X.astype(str)"
        )
    rows = list(_as_list(X))
    if all(type(row) is str for row in rows):
        return rows
    for place, row in enumerate(rows):
        if _is_missing(row):
            raise ValueError(
                f"row {place} of X is {row}: a sequence is a text or a list of tokens. Drop the "
                "row, or write an empty one"
            )
        if not isinstance(row, str) and not _is_token_list(row):
            raise ValueError(
                f"row {place} of X is {type(row).__name__} ({row!r:.40}): a sequence is a text or "
                "a list of tokens" + (": write row.decode()" if isinstance(row, bytes) else "")
            )
        if isinstance(row, str) != isinstance(rows[0], str):
            raise ValueError(
                f"row {place} of X is {type(row).__name__}, but row 0 is "
                f"{type(rows[0]).__name__}: pass all rows as texts, or all as lists of tokens"
            )
    return rows


def _column_alone(X: Any) -> str:
    """How to write the sequences of a frame or an array with two axes."""
    if isinstance(X, np.ndarray):
        if X.dtype.kind in "iu":
            return "[row[row != 0] for row in X], without the padding"
        return "X[:, 0]" if X.shape[1] == 1 else "X.tolist()"
    return "the column alone, e.g. X['text']"


def refuse_no_tokens(rows: list[Any]) -> None:
    """ValueError naming the first row with a token that is neither a text nor a whole number."""
    for place, row in enumerate(rows):
        if isinstance(row, str | np.ndarray):
            continue
        for k, token in enumerate(row):
            if not isinstance(token, str | Integral):
                raise ValueError(
                    f"row {place} of X has {token!r:.40} ({type(token).__name__}) as token {k}: "
                    "tokens are texts or whole numbers. Leave it out, or write a text for it"
                )


def put_sequences(X: Any, rows: list[Any]) -> Any:
    """As many rows as X has, in X's container, with its index, name and dtype."""
    if (only := only_column(X)) is not None:
        if isinstance(X, np.ndarray):
            return put_sequences(only, rows)[:, None]
        if isinstance(X, pd.DataFrame):
            return put_sequences(only, rows).to_frame().set_axis(X.columns, axis=1)
        frame = own_table(X)
        column = nw.from_native(put_sequences(only, rows), series_only=True)
        return frame.with_columns(column.alias(frame.columns[0])).to_native()
    if isinstance(X, pd.Series):
        return pd.Series(rows, index=X.index, dtype=X.dtype, name=X.name)
    if isinstance(X, np.ndarray):
        if X.dtype.kind != "O":
            return np.array(rows, dtype=str if X.dtype.kind == "U" else X.dtype)
        filled = np.empty(len(rows), dtype=object)
        filled[:] = rows
        return filled
    if isinstance(X, list | tuple):
        return rows
    column = nw.from_native(X, series_only=True)
    backend = nw.get_native_namespace(column)
    return nw.new_series(column.name, rows, column.dtype, backend=backend).to_native()


def like_row(row: Any, tokens: list[Any]) -> Any:
    """Tokens as a row of the same kind."""
    if isinstance(row, str):
        return "".join(tokens)
    if isinstance(row, np.ndarray):
        return np.array(tokens, dtype=row.dtype if row.dtype.kind != "U" else str)
    return tuple(tokens) if isinstance(row, tuple) else tokens
