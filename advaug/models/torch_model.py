"""The user's own torch module as the attacked model: it is frozen in use, then as it was before.

The module is shared, never copied: `copy.deepcopy` and scikit-learn's `clone` return the same
object.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from threading import Lock
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from advaug.core.domain import RowCoding
from advaug.core.objectives import Logits
from advaug.models.protocol import Array, AttackedModel


@dataclass
class FrozenModule:
    """The flags that a module had before it was frozen, and how many blocks use it."""

    module: nn.Module
    training: list[nn.Module]
    trainable: list[nn.Parameter]
    n_blocks: int = 0

    @classmethod
    def of(cls, module: nn.Module) -> Self:
        """Set the module to eval mode, and its parameters to ask for no gradient."""
        training = [part for part in module.modules() if part.training]
        trainable = [weight for weight in module.parameters() if weight.requires_grad]
        if training:
            module.eval()
        for weight in trainable:
            weight.requires_grad_(False)
        return cls(module, training, trainable)

    def restore(self) -> None:
        """Set every flag back."""
        for part in self.training:
            part.training = True
        for weight in self.trainable:
            weight.requires_grad_(True)


# One entry for each module in use, by its identity: several estimators, or threads, may share it.
FROZEN: dict[int, FrozenModule] = {}
LOCK = Lock()


@contextmanager
def frozen_module(module: nn.Module) -> Iterator[None]:
    """A block in which the module is frozen; blocks of one module may overlap.

    The first block freezes the module, the last one to end sets every flag back.
    """
    with LOCK:
        entry = FROZEN.get(id(module)) or FrozenModule.of(module)
        FROZEN[id(module)] = entry
        entry.n_blocks += 1
    try:
        yield
    finally:
        with LOCK:
            entry.n_blocks -= 1
            if not entry.n_blocks:
                FROZEN.pop(id(module)).restore()


def embedding_of(module: nn.Module) -> nn.Embedding | None:
    """The module's first embedding of tokens."""
    return next((part for part in module.modules() if isinstance(part, nn.Embedding)), None)


@contextmanager
def quiet_compiler() -> Iterator[None]:
    """A block without the warning of torch's compiler, which looks at the rows' own gradient."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The .grad attribute of a Tensor that is not a")
        yield


def reads_tokens(module: nn.Module) -> bool:
    """Whether the module, or a scripted one, has an embedding, which takes whole numbers."""
    return embedding_of(module) is not None or any(
        getattr(part, "original_name", "") == "Embedding" for part in module.modules()
    )


def output_tensor(output: Any) -> Tensor:
    """The logits in what a module returns: a tensor, a tuple that begins with it, an object with
    `logits`, or a dict with "logits" or with one tensor alone.

    TypeError for what holds none.
    """
    named = getattr(output, "logits", None)
    if isinstance(output, Mapping):
        tensors = [value for value in output.values() if isinstance(value, Tensor)]
        named = output.get("logits", tensors[0] if len(tensors) == 1 else None)
    elif isinstance(output, list | tuple) and named is None:
        named = next((value for value in output if isinstance(value, Tensor)), None)
    found = output if isinstance(output, Tensor) else named
    if not isinstance(found, Tensor):
        holds = list(output) if isinstance(output, Mapping) else type(output).__name__
        raise TypeError(f"it returns {holds}: return the logits, or name them 'logits'")
    return found


def two_class_logits(output: Any) -> Float[Tensor, "batch all_classes"]:
    """Logits with a column for each class: one logit z of class 1 becomes (-z/2, z/2).

    output : what a module returns, see `output_tensor`
    """
    logits = output_tensor(output)
    logits = logits[:, None] if logits.dim() == 1 else logits.flatten(1)
    return torch.cat([-logits / 2, logits / 2], dim=1) if logits.shape[1] == 1 else logits


def refuse_nan(
    output: Tensor, rows: Tensor, name: str = "surrogate", numbers: Array | None = None
) -> None:
    """ValueError naming a row of X for which a model returns NaN, and what mends it.

    `rows` are what the model has read, with NaN where X has no value, and `numbers` their numbers
    in X; None: they are all of X.
    """
    if not bool(output.isnan().any()):
        return
    first = int(output.flatten(1).isnan().any(1).nonzero()[0])
    number = first if numbers is None else numbers[first]
    has_missing = bool(rows[first].isnan().any())
    raise ValueError(
        f"{name} returns NaN for row {number} of X, "
        + (
            "in which values are missing: it reads NaN there, and signals of unequal length are "
            "padded with NaN at the end. Begin its forward with x = torch.nan_to_num(x), or mask "
            "x.isnan()"
            if has_missing
            else "which has no missing value: look for NaN in its weights, and for a logarithm, "
            "root or division in its forward"
        )
    )


def are_probabilities(output: Tensor) -> bool:
    """Whether every row adds up to 1, or is one number between 0 and 1."""
    rows = output.reshape(len(output), -1)
    if not bool(((rows >= 0) & (rows <= 1)).all()):
        return False
    if rows.shape[1] > 1:
        rounding = max(1e-3, 4 * torch.finfo(rows.dtype).eps)
        return bool(((rows.float().sum(1) - 1).abs() < rounding).all())
    return len(rows) > 1 and bool((rows != rows[0]).any())


def log_odds_of(probability: Tensor) -> Tensor:
    """Logits of probabilities: log p, or log(p / (1 - p)) where each row has only one."""
    probability = probability.to(torch.promote_types(probability.dtype, torch.float32))
    least = torch.finfo(probability.dtype).tiny
    log = probability.clamp_min(least).log()
    is_single = probability.dim() == 1 or probability.shape[1] == 1
    return log - (1 - probability).clamp_min(least).log() if is_single else log


class TorchModel(AttackedModel):
    """A user's module as the attacked model.

    Parameters
    ----------
    module : nn.Module
        From rows to logits: (batch, classes), or (batch,) or (batch, 1) for two classes. They may
        be the first of a tuple, the "logits" of a dict or of an object. The module may be
        compiled, scripted, in half precision, and may write into its rows: it gets copies in its
        own dtype. In use it is in eval mode and its parameters ask for no gradient; afterwards it
        is as it was before.
    classes : array, optional
        The classes that the logits stand for.
    reads_encoded : bool, default=False
        Whether it takes rows as the adapter encodes them, instead of in the user's own units.
    layout : callable, optional
        From encoded rows to those that the module takes, where these are not `coding.native`.

    See Also
    --------
    advaug.models.QueriedEstimator :
        Any fitted classifier, queried by its most detailed method that agrees with `predict`.

    Examples
    --------
    >>> import torch
    >>> from advaug.models import TorchModel
    >>> net = torch.nn.Linear(3, 1)
    >>> TorchModel(net).logits(torch.zeros(2, 3)).shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        module: nn.Module,
        classes: Array | None = None,
        reads_encoded: bool = False,
        layout: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.module = module
        self.classes = classes
        self.reads_encoded = reads_encoded
        self.layout = layout
        self.gives_probabilities = False
        self.is_compiled = any(hasattr(part, "_orig_mod") for part in module.modules())

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    @property
    def provides(self) -> frozenset[str]:
        """A gradient in the rows, and in the vectors of an embedding if it has one."""
        return frozenset({"gradient"} | ({"embedding"} if embedding_of(self.module) else set()))

    @contextmanager
    def frozen(self) -> Iterator[Self]:
        """A block in which the module is frozen: it is faster to do so once for a whole attack."""
        with frozen_module(self.module):
            yield self

    def logits(self, x: Tensor) -> Tensor:
        """(batch, *shape) -> (batch, classes), on the module's own device and dtype."""
        with frozen_module(self.module):
            output = self._output(x)
        logits = two_class_logits(log_odds_of(output) if self.gives_probabilities else output)
        return logits.to(x) if x.is_floating_point() else logits.float().to(x.device)

    def rows_for(self, coding: RowCoding, x: Tensor) -> Tensor:
        """Encoded rows as the module takes them."""
        if self.layout is not None:
            return self.layout(x)
        return x if self.reads_encoded else coding.native(x)

    def encoded_logits(self, coding: RowCoding, rows: Any, seed: Tensor) -> Logits:
        """The module's logits of encoded rows, which it takes in the user's units."""
        if self.reads_encoded and self.layout is None:
            return self.logits
        return lambda x: self.logits(self.rows_for(coding, x))

    def detect_probabilities(self, x: Tensor) -> None:
        """Find out whether the module returns probabilities: then their logarithms are attacked."""
        with self.frozen(), torch.no_grad():
            self.gives_probabilities = are_probabilities(self._output(x))
        if self.gives_probabilities:
            warnings.warn(
                "surrogate returns probabilities; their logarithm is attacked and may have "
                "vanishing gradients for confident predictions. Return logits instead (remove the "
                "final softmax or sigmoid)",
                UserWarning,
                stacklevel=2,
            )

    def _output(self, x: Tensor) -> Tensor:
        weights = (weight for weight in self.module.parameters() if weight.is_floating_point())
        weight = next(weights, None)  # It tells device and dtype.
        dtype = torch.float32 if weight is None else weight.dtype
        if x.is_floating_point() and weight is None:
            dtype = x.dtype
        elif not x.is_floating_point() and reads_tokens(self.module):
            dtype = x.dtype  # Half precision would round the numbers of tokens.
        given = x.to(device=x.device if weight is None else weight.device, dtype=dtype)
        given = given.clone() if given is x else given  # The module may write into what it gets.
        with quiet_compiler() if self.is_compiled else nullcontext():
            return output_tensor(self.module(given))
