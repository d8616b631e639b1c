"""What moved between a row and its copy, as people read it."""

from typing import Any

import numpy as np

Changes = dict[Any, tuple[Any, Any]]


def farthest_cells(moves: np.ndarray[Any, Any]) -> list[tuple[int, int]]:
    """(channel, cell) of the longest move of each channel that moved, the longest first.

    Parameters
    ----------
    moves : ndarray (channels, cells)

    Examples
    --------
    >>> import numpy as np
    >>> farthest_cells(np.array([[0.0, 1.0], [3.0, 0.0], [0.0, 0.0]]))
    [(1, 0), (0, 1)]
    """
    cells, longest = moves.argmax(1), moves.max(1)
    order = np.argsort(-longest, kind="stable")
    return [(int(k), int(cells[k])) for k in order if longest[k] > 0]
