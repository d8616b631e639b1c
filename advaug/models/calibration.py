"""From scores of linear models to logits: how sure a score is, rows held out tell."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.functional import hessian, jacobian
from torch.nn.functional import cross_entropy

STEPS = 20  # of Newton's method, for one number a class and one more


def class_weights(
    y: Int[Tensor, " rows"], each: Float[Tensor, " rows"], n_classes: int
) -> Float[Tensor, " classes"]:
    """What makes all classes equally heavy, and all of them together as heavy as all rows."""
    of_class = each.new_zeros(n_classes).index_add_(0, y, each)
    return each.sum() / (n_classes * torch.where(of_class > 0, of_class, 1))


def calibrated(
    scores: Float[Tensor, "rows classes"],
    y: Int[Tensor, " rows"],
    each: Float[Tensor, " rows"],
) -> tuple[float, Float[Tensor, " classes"]]:
    """Sharpness and offsets under which held-out scores are the most likely log-probabilities."""
    each = each.double()
    heavy = each * class_weights(y, each, scores.shape[1])[y]
    heavy, scores = heavy / heavy.sum(), scores.double()

    def loss(theta: Tensor) -> Tensor:
        logits = theta[0].exp() * scores + theta[1:]
        misfit = (heavy * cross_entropy(logits, y, reduction="none")).sum()
        return misfit + 1e-3 * (theta * theta).sum()

    theta = torch.zeros(1 + scores.shape[1], dtype=torch.float64)
    for _ in range(STEPS):
        slope, bend = jacobian(loss, theta), hessian(loss, theta)
        size, along = torch.linalg.eigh(bend)
        step = along @ ((along.T @ slope) / size.abs().clamp_min(1e-3))
        theta = theta - step / max(float(step.norm()), 1.0)
    return float(theta[0].exp()), theta[1:].float()
