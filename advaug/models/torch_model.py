"""The user's own torch module, borrowed for an attack and given back as it was.

Shared, never copied: `copy.deepcopy` and scikit-learn's `clone` hand on the same object.
"""

import warnings
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


def are_probabilities(output: Tensor) -> bool:
    """Whether every row adds up to 1, or is one number between 0 and 1."""
    rows = output.reshape(len(output), -1)
    if not bool(((rows >= 0) & (rows <= 1)).all()):
        return False
    if rows.shape[1] > 1:
        return bool(((rows.sum(1) - 1).abs() < 1e-3).all())
    return len(rows) > 1 and bool((rows != rows[0]).any())


def log_odds_of(probability: Tensor) -> Tensor:
    """Probabilities as logits: log p, or log(p / (1 - p)) where there is one a row."""
    least = torch.finfo(probability.dtype).tiny
    log = probability.clamp_min(least).log()
    is_single = probability.dim() == 1 or probability.shape[1] == 1
    return log - (1 - probability).clamp_min(least).log() if is_single else log


class TorchModel:
    """A user's module as the attacked model.

    Parameters
    ----------
    module : nn.Module
        From rows to logits: (batch, classes), or (batch,) or (batch, 1) for two classes. While
        in use it is in eval mode, its parameters ask for no gradients; then all is as it was.
    classes : array, optional
        The classes that the logits stand for.
    reads_encoded : bool, default=False
        Whether it takes rows as the adapter encodes them, not in the user's own units.

    Examples
    --------
    >>> import torch
    >>> from advaug.models.torch_model import TorchModel
    >>> net = torch.nn.Linear(3, 1)
    >>> TorchModel(net).logits(torch.zeros(2, 3)).shape
    torch.Size([2, 2])
    """

    def __init__(self, module: nn.Module, classes: Any = None, reads_encoded: bool = False) -> None:
        self.module = module
        self.classes = classes
        self.reads_encoded = reads_encoded
        self.gives_probabilities = False
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
        output = self._output(x)
        return two_sided(log_odds_of(output) if self.gives_probabilities else output).to(x)

    def look(self, x: Tensor) -> None:
        """Find out whether the module gives probabilities: then their logs are attacked."""
        with self, torch.no_grad():
            self.gives_probabilities = are_probabilities(self._output(x))
        if self.gives_probabilities:
            warnings.warn(
                "surrogate gives probabilities, not logits: their logs are attacked, whose "
                "gradient vanishes where the model is sure; leave out its last softmax or sigmoid",
                UserWarning,
                stacklevel=2,
            )

    def _output(self, x: Tensor) -> Tensor:
        output: Tensor = self.module(x if self._weight is None else x.to(self._weight))
        return output
