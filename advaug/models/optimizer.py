"""One loop over weights, for the stacked nets of the committee and for a single net.

AdamW is written out here: the first `torch.optim` optimizer of a process imports for seconds.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor

Weights = tuple[Tensor, ...]
Gradients = tuple[Tensor, ...]  # one for each weight
Schedule = Callable[[float], float]  # share of the training done -> share of the peak rate
Batch = TypeVar("Batch")


def one_cycle(progress: float) -> float:
    """Share of the peak learning rate: up over the first quarter, then down to one per cent."""
    return 0.1 + 3.6 * progress if progress < 0.25 else max(1 - (progress - 0.25) / 0.75, 0.01)


def constant_rate(progress: float) -> float:
    """Half of the peak learning rate: a call of `partial_fit` does not know which is the last."""
    return 0.5


class AdamW:
    """Adam with decoupled weight decay (Loshchilov, Hutter. ICLR 2019) on a few tensors."""

    def __init__(self, weights: Weights, weight_decay: float) -> None:
        self.weights = list(weights)
        self.weight_decay = weight_decay
        self.mean = [torch.zeros_like(weight) for weight in weights]
        self.square = [torch.zeros_like(weight) for weight in weights]
        self.count = 0

    def step(self, gradients: Gradients, learning_rate: float) -> None:
        """Change the weights in place, by one step down the gradients."""
        self.count += 1
        mean_bias, square_bias = 1 - 0.9**self.count, 1 - 0.999**self.count
        torch._foreach_lerp_(self.mean, gradients, 0.1)
        torch._foreach_mul_(self.square, 0.999)
        torch._foreach_addcmul_(self.square, gradients, gradients, 0.001)
        size = torch._foreach_div(self.square, square_bias)
        torch._foreach_sqrt_(size)
        torch._foreach_add_(size, 1e-8)
        with torch.no_grad():
            torch._foreach_mul_(self.weights, 1 - learning_rate * self.weight_decay)
            torch._foreach_addcdiv_(self.weights, self.mean, size, -learning_rate / mean_bias)


def in_one_vector(weights: Weights) -> tuple[Tensor, Weights]:
    """All numbers of some weights in one vector, and the weights as views of it.

    AdamW changes one vector in a few operations, where many small tensors take some for each.
    """
    vector = torch.cat([weight.flatten() for weight in weights])
    parts = vector.split([weight.numel() for weight in weights])
    pairs = zip(parts, weights, strict=True)
    return vector, tuple(part.view_as(weight) for part, weight in pairs)


def gradients_of(value: Tensor, weights: Weights) -> Gradients:
    """The gradient in each weight, 0 where there is none; no weight's `grad` is touched."""
    return torch.autograd.grad(value, weights, allow_unused=True, materialize_grads=True)


def fit_weights(
    weights: Weights,
    gradients: Callable[[Batch, Weights], Gradients],
    batches: Iterable[tuple[float, Batch]],
    *,
    learning_rate: float,
    weight_decay: float,
    schedule: Schedule = one_cycle,
) -> None:
    """Take one AdamW step for each batch; the weights are changed in place.

    Parameters
    ----------
    weights : tuple of Tensor that require a gradient
    gradients : callable (batch, weights) -> one Tensor for each weight
    batches : iterable of (progress, batch)
        `progress` is the share of the training that is done.
    learning_rate : float
        The peak rate, of which `schedule` takes a share.
    """
    optimizer = AdamW(weights, weight_decay)
    for progress, batch in batches:
        with torch.enable_grad():
            slopes = gradients(batch, weights)
        optimizer.step(slopes, learning_rate * schedule(progress))
