"""Forests whose leaves are labelled again, so that most training rows keep their class when moved.

Vos, Verwer. Adversarially robust decision tree relabeling. ECML PKDD 2022: of each tree the largest
set of rows is kept of which no two of different classes can reach one leaf, and each leaf that they
reach gets their class. For two classes this set is exact, by a maximum matching.
"""

from copy import deepcopy
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from advaug.core.leaf_boxes import LeafBoxes
from advaug.models.read_trees import read_trees


def relabelled(forest: Any, rows: np.ndarray, y: np.ndarray, radius: float) -> Any:
    """A copy of a fitted forest of two classes; the radius is in every column (norm inf)."""
    new = deepcopy(forest)
    is_second = y == forest.classes_[1]
    for tree in new.estimators_:
        boxes = read_trees(tree).leaf_boxes()
        first, second = (reached(boxes, rows[side], radius) for side in (~is_second, is_second))
        keeps_first, keeps_second = independent(first.astype(float) @ second.T > 0)
        label = boxes.value.argmax(1)
        label[first[keeps_first].any(0)] = 0
        label[second[keeps_second].any(0)] = 1
        corner = np.where(np.isfinite(boxes.lower), boxes.lower, boxes.upper)
        leaf = tree.apply(np.where(np.isfinite(corner), corner, 0.0))
        tree.tree_.value[leaf, 0] = np.eye(2)[label]
    return new


def reached(boxes: LeafBoxes, rows: np.ndarray, radius: float) -> np.ndarray:
    """(rows, boxes): whether a moved row can lie in a box."""
    found = np.ones((len(rows), len(boxes.tree)), bool)
    for column, values in enumerate(rows.T[:, :, None]):
        found &= values - radius <= boxes.upper[:, column]
        found &= values + radius >= boxes.lower[:, column]
    return found


def independent(meets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest sets of both sides of which no two meet: what Konig's vertex cover leaves."""
    partner = maximum_bipartite_matching(csr_matrix(meets), perm_type="column")
    keeps, is_met = partner < 0, np.zeros(meets.shape[1], bool)
    front = keeps.copy()
    while front.any():
        new = meets[front].any(0) & ~is_met
        is_met |= new
        front = np.isin(partner, new.nonzero()[0]) & ~keeps
        keeps |= front
    return keeps, ~is_met
