"""The user's own torch module, borrowed for an attack and given back as it was.

Shared, never copied: `copy.deepcopy` and scikit-learn's `clone` hand on the same object.
"""

from collections.abc import Callable
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn


def freeze(module: nn.Module) -> Callable[[], None]:
    """Eval mode and parameters without gradients; call the result to set every flag back."""
    training = [part for part in module.modules() if part.training]
    wanting = [weight for weight in module.parameters() if weight.requires_grad]
    if training:
        module.eval()
    for weight in wanting:
        weight.requires_grad_(False)

    def restore() -> None:
        for part in training:
            part.training = True
        for weight in wanting:
            weight.requires_grad_(True)

    return restore


def two_sided(logits: Float[Tensor, "batch *classes"]) -> Float[Tensor, "batch all_classes"]:
    """One logit z for class 1 becomes (-z/2, z/2); more classes stay."""
    logits = logits[:, None] if logits.dim() == 1 else logits.flatten(1)
    return torch.cat([-logits / 2, logits / 2], dim=1) if logits.shape[1] == 1 else logits


class Frozen:
    """A user's module as the attacked model.

    Parameters
    ----------
    module : nn.Module
        From rows to logits: (batch, classes), or (batch,) or (batch, 1) for two classes. While
        in use it is in eval mode, its parameters ask for no gradients; then all is as it was.

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
        self._depth = 0
        self._restore: Callable[[], None] | None = None
        self._weight: Tensor | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __enter__(self) -> Self:
        """Freeze the module until the end of the block, once for a whole attack."""
        if not self._depth:
            self._restore = freeze(self.module)
            self._weight = next(self.module.parameters(), None)  # says device and dtype
        self._depth += 1
        return self

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        if not self._depth and self._restore is not None:
            self._restore()
            self._restore = self._weight = None

    def logits(self, x: Tensor) -> Tensor:
        """(batch, *shape) -> (batch, classes), on the module's own device and dtype."""
        if not self._depth:
            with self:
                return self.logits(x)
        rows = x if self._weight is None else x.to(self._weight)
        return two_sided(self.module(rows)).to(x)
