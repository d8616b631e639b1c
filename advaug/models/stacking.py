"""The map that is learnt on held-out rows from one or several models' probabilities to one's.

p ~ softmax(sum_m slope_m * log q_m + bias), a slope for each model and class, a bias for each class
(stacking: Wolpert. Neural Networks, 1992; Breiman. Machine Learning, 1996; of one model: diagonal
Dirichlet calibration, Kull et al. NeurIPS 2019).
"""

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from advaug.models.protocol import Array

LEAST = 1e-4  # probability under which the learnt map sees no difference


def log_probability(q: Array) -> Array:
    """Logarithms of probabilities; none of them is infinite."""
    return np.asarray(np.log(np.clip(q, LEAST, 1 - LEAST)))


def mapped(log_q: Array, slope: Array, bias: Array) -> Array:
    """Probabilities of log q (models, rows, classes) and slopes (models, classes)."""
    return np.asarray(softmax((slope[:, None] * log_q).sum(0) + bias, axis=1))


def balanced(
    probability: Float[Array, "rows classes"], share: Float[Array, " classes"]
) -> Float[Array, "rows classes"]:
    """Probabilities with each class divided by its share: for the real shares, as they would be
    if all classes were equally frequent."""
    odds = probability / share
    return np.asarray(odds / odds.sum(1, keepdims=True))


def learn_map(
    log_q: Array, codes: Array, start: Array, pull: float, weight: Array | None = None
) -> tuple[Array, Array]:
    """Slopes (models, classes) and biases of least log-loss on held-out rows.

    They are held to `start` (models + 1, classes), the biases last, as strongly as `pull` says. A
    row of weight 2 counts as two rows.
    """
    n_models, n, n_classes = log_q.shape
    each = np.ones((n, 1)) if weight is None else weight[:, None]
    truth, size = np.eye(n_classes)[codes], n_models * n_classes
    first = start.ravel()

    def loss(flat: Array) -> tuple[float, Array]:
        slope, bias = flat[:size].reshape(n_models, 1, n_classes), flat[size:]
        logits, off = (slope * log_q).sum(0) + bias, flat - first
        excess = each * (softmax(logits, axis=1) - truth)
        value = pull * (off**2).sum() / 2 - (each * truth * log_softmax(logits, axis=1)).sum()
        by_each = np.concatenate([(excess * log_q).sum(1).ravel(), excess.sum(0)])
        return value / each.sum(), (by_each + pull * off) / each.sum()

    bounds = [(0, None)] * size + [(None, None)] * n_classes
    found = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds).x
    return found[:size].reshape(n_models, n_classes), found[size:]
