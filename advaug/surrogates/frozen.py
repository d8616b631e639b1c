"""The user's own torch module, borrowed for an attack and given back as it was.

Shared, never copied: `copy.deepcopy` and scikit-learn's `clone` hand on the same object.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn


@contextmanager
def frozen(module: nn.Module) -> Iterator[nn.Module]:
    """Eval mode and parameters without gradients inside; every flag as it was afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    wants = [(weight, weight.requires_grad) for weight in module.parameters()]
    try:
        module.eval()
        for weight, _ in wants:
            weight.requires_grad_(False)
        yield module
    finally:
        for part, mode in modes:
            part.training = mode
        for weight, want in wants:
            weight.requires_grad_(want)


def two_sided(logits: Float[Tensor, "batch *classes"]) -> Float[Tensor, "batch all_classes"]:
    """One logit z for class 1 becomes (-z/2, z/2); more classes stay."""
    logits = logits[:, None] if logits.dim() == 1 else logits.flatten(1)
    return torch.cat([-logits / 2, logits / 2], dim=1) if logits.shape[1] == 1 else logits


class Frozen:
    """A user's module as the attacked model.

    Parameters
    ----------
    module : nn.Module
        From rows to logits: (batch, classes), or (batch,) or (batch, 1) for two classes.

    Examples
    --------
    >>> import torch
    >>> from advaug.surrogates import Frozen
    >>> net = torch.nn.Linear(3, 1)
    >>> Frozen(net).logits(torch.zeros(2, 3)).shape
    torch.Size([2, 2])
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def logits(self, x: Tensor) -> Tensor:
        """(batch, *shape) -> (batch, classes), on the module's own device and dtype."""
        with frozen(self.module) as module:
            weight = next(module.parameters(), None)
            rows = x if weight is None else x.to(device=weight.device, dtype=weight.dtype)
            return two_sided(module(rows)).to(device=x.device, dtype=x.dtype)
