"""Over-samplers that imbalanced-learn lacks, each written from its paper in a few lines.

A rule makes `count` new rows of a class from its own rows, the other classes' rows and a numpy
Generator. Rows are standardised and one-hot encoded, so one unit means the same in all columns.
"""

from collections.abc import Callable

import numpy as np
from sklearn.neighbors import NearestNeighbors

Rule = Callable[[np.ndarray, np.ndarray, int, np.random.Generator], np.ndarray]


def nearest(x: np.ndarray, reference: np.ndarray, k: int) -> np.ndarray:
    """Places of the k nearest reference rows of each row."""
    k = min(k, len(reference))
    return NearestNeighbors(n_neighbors=k).fit(reference).kneighbors(x, return_distance=False)


def between(a: np.ndarray, b: np.ndarray, rng: np.random.Generator, low: float = 0.0) -> np.ndarray:
    """A random point on each line from a to b, at least the share `low` from a."""
    return a + rng.uniform(low, 1, (len(a), 1)) * (b - a)


def polynom_star(
    own: np.ndarray, others: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Evenly spaced points between each row and the class's mean (Gazzah, Essoukri Ben Amara.
    New oversampling approaches based on polynomial fitting for imbalanced data sets. DAS 2008:
    the star topology)."""
    order, rounds = rng.permutation(len(own)), -(-count // len(own))
    at = np.arange(count)
    share = (at // len(own) + 1) / (rounds + 1)
    rows = own[order[at % len(own)]]
    return rows + share[:, None] * (own.mean(0) - rows)


def prowsyn(
    own: np.ndarray,
    others: np.ndarray,
    count: int,
    rng: np.random.Generator,
    levels: int = 5,
    n_neighbors: int = 5,
    theta: float = 1.0,
) -> np.ndarray:
    """Points between rows of one level of distance from the other classes, near levels more
    often (Barua, Islam, Murase. ProWSyn: proximity weighted synthetic oversampling technique. PAKDD
    2013)."""
    level, left = np.full(len(own), levels - 1), np.arange(len(own))
    for near in range(levels - 1):
        if not len(left):
            break
        taken = left[np.unique(nearest(others, own[left], n_neighbors))]
        level[taken], left = near, np.setdiff1d(left, taken)
    weight = np.exp(-theta * level)
    first = rng.choice(len(own), count, p=weight / weight.sum())
    second = np.array([rng.choice(np.flatnonzero(level == level[row])) for row in first])
    return between(own[first], own[second], rng)


def geometric_smote(
    own: np.ndarray, others: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """A point of the half ball around a row whose surface holds a neighbor: one of its five nearest
    rows of the class or the nearest row of another class, whichever is closer (Douzas, Bacao.
    Geometric SMOTE. Information Sciences 501, 2019: combined selection, truncation 1, deformation
    0)."""
    at = rng.integers(len(own), size=count)
    center = own[at]
    if len(own) > 1:
        places = nearest(own, own, 6)[:, 1:]
        same_class = own[places[at, rng.integers(places.shape[1], size=count)]]
    else:
        same_class = center
    other_class = others[nearest(own, others, 1)[at, 0]]
    gaps = [np.linalg.norm(row - center, axis=1) for row in (same_class, other_class)]
    closer = (gaps[0] <= gaps[1])[:, None]
    radius = np.minimum(*gaps)[:, None]
    axis = np.where(closer, same_class, other_class) - center
    axis /= np.maximum(np.linalg.norm(axis, axis=1, keepdims=True), 1e-12)
    ball = rng.normal(size=center.shape)
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    ball *= rng.uniform(size=(count, 1)) ** (1 / center.shape[1])
    along = (ball * axis).sum(1, keepdims=True)
    ball -= 2 * np.minimum(along, 0) * axis  # the half that looks away is mirrored
    return center + radius * ball


def crossover(
    own: np.ndarray,
    others: np.ndarray,
    count: int,
    rng: np.random.Generator,
    tolerance: float = 0.2,
) -> np.ndarray:
    """Counterfactuals: a row of another class takes over, from a row of the class, the columns in
    which that row differs from its nearest row of another class (after Temraz, Keane. Solving the
    class imbalance problem using a counterfactual method for data augmentation. MLWA 9, 2022)."""
    at = rng.integers(len(own), size=count)
    closest = nearest(own, others, 1)[:, 0]
    alike = nearest(others[closest], others, 6)
    other = others[alike[at, rng.integers(alike.shape[1], size=count)]]
    differs = np.abs(own - others[closest])[at] > tolerance
    return np.where(differs, own[at], other)


def mixup(own: np.ndarray, others: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Mixtures of a row of the class and a row of any class, its own share Beta(.2, .2) and at
    least half, so that the label is its own (after Zhang, Cisse, Dauphin, Lopez-Paz. mixup. ICLR
    2018)."""
    share = rng.beta(0.2, 0.2, (count, 1))
    share = np.maximum(share, 1 - share)
    everyone = np.concatenate([own, others])
    partner = everyone[rng.integers(len(everyone), size=count)]
    return share * own[rng.integers(len(own), size=count)] + (1 - share) * partner


RULES: dict[str, Rule] = {
    "polynom_star": polynom_star,
    "prowsyn": prowsyn,
    "geometric_smote": geometric_smote,
    "crossover": crossover,
    "mixup": mixup,
}
