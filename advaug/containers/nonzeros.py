"""Sparse matrices cell by cell: only what is not zero is read and written."""

from typing import Any, TypeAlias

import numpy as np
from scipy import sparse

from advaug.containers.rows import kind_of_container

Array: TypeAlias = np.ndarray[Any, Any]


def is_sparse_floats(X: Any) -> bool:
    """Whether X is a sparse matrix of floats."""
    return kind_of_container(X) == "sparse" and X.dtype.kind == "f"


def nonzeros(X: Any) -> tuple[Array, Array, Array]:
    """Rows, columns and values of the cells that are not zero, column by column."""
    by_column = sparse.csc_matrix(X, copy=True)
    by_column.sum_duplicates()
    by_column.eliminate_zeros()
    columns = np.repeat(np.arange(X.shape[1]), np.diff(by_column.indptr))
    return by_column.indices.astype(np.int64), columns, by_column.data.astype(np.float64)


def put_values(X: Any, rows: Array, columns: Array, values: Array) -> Any:
    """A copy of a sparse matrix with other values in some cells, in its own format and dtype."""
    old_rows, old_columns, old = nonzeros(X)
    stays = ~np.isin(old_rows * X.shape[1] + old_columns, rows * X.shape[1] + columns)
    is_there = values != 0
    places = (
        np.concatenate([old_rows[stays], rows[is_there]]),
        np.concatenate([old_columns[stays], columns[is_there]]),
    )
    cells = np.concatenate([old[stays], values[is_there]]).astype(X.dtype)
    return X.__class__(sparse.csr_matrix((cells, places), shape=X.shape).asformat(X.format))
