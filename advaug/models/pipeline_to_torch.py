"""A fitted pipeline as a torch module of encoded rows, where what comes before its model is affine.

Scalers, imputers, one-hot encoders and columns that pass through change encoded rows affinely: in
[numbers | flags of missing numbers | one-hot categories] an imputer adds its value times the flag,
and an encoder is a matrix. That matrix is found by transforming rows, so no type is looked at; a
preprocessing that is not affine is found out, and then the pipeline is queried.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from advaug import containers
from advaug.core.domain import RowCoding
from advaug.models.sklearn_to_torch import SCALERS, dense, formula_of, linear_layer, steps_of

Array = np.ndarray[Any, Any]

N_REAL = 400  # Real rows at most from which the matrix is found.
N_MIXED = 64  # Rows, mixed from two real ones, at which it must be right.
MOST_COLUMNS = 4096  # Transformed columns at most: texts in thousands of words are left alone.
TOLERANCE = 1e-4  # Encoded rows are float32; relative to the largest number of a column.


def pipeline_to_torch(estimator: Any, coding: RowCoding, X: Any) -> nn.Module | None:
    """The fitted pipeline as a module from encoded rows to its decision.

    None if its model has no formula, or if what comes before the model is not affine in them.
    """
    steps, last = steps_of(estimator)
    n_affine = max((k + 1 for k, step in enumerate(steps) if type(step) not in SCALERS), default=0)
    if (decision := formula_of(last)) is None:
        return None
    try:
        affine = affine_layer(steps[:n_affine], coding, X)
        scalers = [SCALERS[type(step)](step) for step in steps[n_affine:]]
    except Exception:  # A transformer of another package may raise anything; it is queried then.
        return None
    parts = [affine, *scalers, decision]
    if any(part is None for part in parts):
        return None
    return nn.Sequential(*(part for part in parts if part is not None))


def affine_layer(steps: list[Any], coding: RowCoding, X: Any) -> nn.Module | None:
    """The layer that does to encoded rows what fitted transformers do to rows; None if none does.

    It is the least-squares fit to real rows and to rows in which one column is moved, and must be
    right at rows in which many columns are.
    """
    generator = np.random.default_rng(0)
    n = containers.count(X)
    real = containers.take(X, np.linspace(0, n - 1, min(N_REAL, n)).astype(int))
    seed = coding.encode(real)
    if seed.dim() != 2:
        return None
    space = coding.space()
    column = space.column_index(seed).numpy()
    moved, start = moved_one_by_one(seed, column, generator)
    mixed, own = mixed_rows(seed, column, generator)
    places = torch.cat([start, own])
    base, new = seed[places], torch.cat([moved, mixed])
    anywhere = torch.full((len(new),), torch.inf)
    new = space.snap(new, base, anywhere, torch.full_like(new, 0.5))  # Levels that rows may take.
    rows = coding.decode(new, base, containers.take(real, places.numpy()))
    transformed = np.vstack([transform(steps, each) for each in (real, rows)])
    if not np.isfinite(transformed).all():
        return None
    x = torch.cat([seed, coding.encode(rows)]).double().numpy()
    x = np.hstack([x, np.ones((len(x), 1))])
    n_fitted = len(x) - len(own)
    weight = np.linalg.lstsq(x[:n_fitted], transformed[:n_fitted], rcond=1e-9)[0]
    largest = 1 + np.abs(transformed).max(0)
    if not (np.abs(x @ weight - transformed) <= TOLERANCE * largest).all():
        return None
    return linear_layer(weight[:-1], weight[-1])


def moved_one_by_one(
    seed: Tensor, column: Array, generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Copies of rows with one cell at each level, or at the ends of its column, and their places.

    `column` tells the user's column that each coordinate belongs to.
    """
    low, high = seed.amin(0), seed.amax(0)
    ends = torch.stack([low, high], 1)
    start = torch.from_numpy(generator.integers(len(seed), size=2 * seed.shape[1]))
    moved = seed[start].clone()
    for k in range(seed.shape[1]):
        block = torch.from_numpy(np.flatnonzero(column == column[k]))
        for side, row in enumerate((2 * k, 2 * k + 1)):
            if len(block) > 1:
                moved[row, block] = 0.0
                moved[row, k] = 1.0
            else:
                moved[row, k] = ends[k, side]
    return moved, start


def mixed_rows(
    seed: Tensor, column: Array, generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Rows of which each column is that of one of two real rows, and the places of the first."""
    own, other = torch.from_numpy(generator.integers(len(seed), size=(2, N_MIXED)))
    is_other = generator.random((N_MIXED, int(column.max()) + 1))[:, column] < 0.5
    return torch.where(torch.from_numpy(is_other), seed[other], seed[own]), own


def transform(steps: list[Any], rows: Any) -> Array:
    """Rows after fitted transformers, as numbers; ValueError if there are too many of them."""
    for step in steps:
        rows = step.transform(rows)
    if np.shape(rows)[1] > MOST_COLUMNS:
        raise ValueError(f"{np.shape(rows)[1]} columns are too many to look for a matrix")
    return np.asarray(dense(rows), dtype=np.float64)
