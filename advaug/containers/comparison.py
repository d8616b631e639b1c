"""Two tables side by side: whether the columns of the second are those of the first."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from advaug.containers.columns import kind_of_column, missing, objects
from advaug.containers.dtypes import Series


def other_names(known: Sequence[Any], names: Sequence[Any]) -> str:
    """In what the names of columns differ from those that are known; "" where they do not."""
    lacking = [name for name in known if name not in names]
    added = [name for name in names if name not in known]
    parts = [f"no column {lacking[0]!r}"] if lacking else []
    parts += [f"a column {added[0]!r} too many"] if added else []
    if not parts and list(known) != list(names):
        place = next(k for k, (a, b) in enumerate(zip(known, names, strict=True)) if a != b)
        parts = [f"{names[place]!r} where {known[place]!r} stands (the order differs)"]
    return " and ".join(parts)


def refuse_no_numbers(column: Series) -> None:
    """ValueError where a column that held numbers holds something else."""
    if kind_of_column(column) in ("number", "integer", "boolean") or missing(column).all():
        return
    raise ValueError(
        f"column {column.name!r} held numbers in earlier rows, but holds {column.dtype} here: "
        "bring both to one dtype"
    )


def refuse_other_levels(column: Series, known: Series) -> None:
    """ValueError where no cell is a known level, for texts are compared with numbers."""
    if missing(column).all() or not len(known):
        return
    cells, levels = objects(column), objects(known)
    cell = cells[np.flatnonzero(~missing(column))[0]]
    if isinstance(cell, str) == isinstance(levels[0], str):
        return
    if not {cell for cell in cells if cell is not None} & set(levels):
        raise ValueError(
            f"column {column.name!r} held levels such as {levels[0]!r} in earlier rows, but holds "
            f"{cell!r} here: bring both to one dtype"
        )
