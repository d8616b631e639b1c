"""What the defences with a net inside share: a net on an adapter's encoding, begun and trained."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_array, get_tags
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from advaug import containers
from advaug.core.devices import resolve
from advaug.estimators.attacked_model import check_logits
from advaug.estimators.validation import SHARED_CONSTRAINTS, check_rows
from advaug.models.committee import one_cycle, stratified_folds
from advaug.models.torch_model import TorchModel, are_probabilities
from advaug.models.training import Loss, SmallNet, Training
from advaug.sampling.domain import Coding

Array = np.ndarray[Any, Any]

PROBED = 64  # rows on which a user's net is tried before it is trained
ASKED = 4096  # rows asked at once

NET_CONSTRAINTS: dict[str, list[Any]] = {
    "module": [StrOptions({"auto"}), nn.Module],
    "training": [StrOptions({"auto"}), Training],
    **{name: SHARED_CONSTRAINTS[name] for name in ("adapter", "device", "random_state")},
}


@dataclass(frozen=True)
class Net:
    """A net and the coding of the rows that it reads, on the CPU."""

    module: nn.Module
    coding: Coding
    reads_encoded: bool

    def native(self, x: Tensor) -> Tensor:
        """Encoded rows as the net takes them."""
        return x if self.reads_encoded else self.coding.native(x)

    def logits(self, X: Any) -> Tensor:
        """(rows, outputs) of rows in their container; the small net's do not feel the batch."""
        module, x = self.exact(self.coding.encode(X))
        return answers(module, self.native(x))

    def activations(self, X: Any) -> Tensor:
        """(rows, width): what the last linear layer reads of rows in their container."""
        module, x = self.exact(self.coding.encode(X))
        layers = [part for part in module.modules() if isinstance(part, nn.Linear)]
        if not layers:
            raise ValueError("surrogate has no nn.Linear whose input could be read: take on='rows'")
        read: list[Tensor] = []
        hook = layers[-1].register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
        try:
            answers(module, self.native(x))
        finally:
            hook.remove()
        return torch.cat(read).flatten(1).to(x)

    def exact(self, x: Tensor) -> tuple[nn.Module, Tensor]:
        """Module and rows, of the small net in float64: its answers do not feel the batch."""
        if not self.reads_encoded:
            return self.module, x
        return copy.deepcopy(self.module).double(), x.double()


def answers(module: nn.Module, rows: Tensor) -> Tensor:
    """The module's logits of rows as it takes them, part by part."""
    with TorchModel(module) as frozen, torch.no_grad():
        return torch.cat([frozen.logits(part) for part in rows.split(ASKED)])


def asked(estimator: Any, X: Any) -> Tensor:
    """The logits of checked rows by a fitted estimator's net."""
    check_is_fitted(estimator, "net_")
    X = check_rows(estimator, containers.owned(X), reset=False)
    if not get_tags(estimator).input_tags.allow_nan and not containers.is_sequences(X):
        check_array(X, accept_sparse="csr", dtype=None, allow_nd=True)
    logits: Tensor = estimator.net_.logits(X)
    return logits


class AsksNet:
    """Mixin of a classifier with a net inside, `net_` with a logit for each of `classes_`."""

    net_: Net
    classes_: Any

    @property
    def model_(self) -> TorchModel:
        """The net as an attack takes it."""
        return TorchModel(self.net_.module, self.classes_, self.net_.reads_encoded)

    def predict_proba(self, X: Any) -> Array:
        """Probabilities, ndarray (rows, classes)."""
        return np.asarray(asked(self, X).double().softmax(1).numpy())

    def predict(self, X: Any) -> Array:
        """The most probable class of each row."""
        most = self.predict_proba(X).argmax(1)
        return np.asarray(self.classes_[most])


def new_net(
    module: Any,
    coding: Coding,
    x: Tensor,
    outputs: int,
    training: Training,
    generator: torch.Generator,
) -> Net:
    """A small net with first weights, or a copy of the user's, tried on some rows.

    ValueError naming `module` if it does not take the rows to one logit a class, or with one
    output to one number.
    """
    if isinstance(module, str):
        features = coding.features(x, generator)
        return Net(SmallNet(x, outputs, training.hidden_width, generator, features), coding, True)
    if not any(weight.requires_grad for weight in module.parameters()):
        raise ValueError("module has no parameter that asks for a gradient: there is none to train")
    net = Net(copy.deepcopy(module).cpu().float(), coding, False)
    rows = net.native(x[:PROBED])
    logits = outputs if outputs > 1 else None
    check_logits(
        TorchModel(net.module), rows, logits, "module", slopes="gradient" in coding.provides
    )
    if outputs == 1:
        return with_one_output(net, rows)
    if are_probabilities(answers(net.module, rows)):
        raise ValueError("module gives probabilities: leave out its last softmax or sigmoid")
    return net


def with_one_output(net: Net, rows: Tensor) -> Net:
    """The net; ValueError if it gives more than a number a row."""
    with TorchModel(net.module), torch.no_grad():
        shape = tuple(net.module(rows).shape)
    if shape not in {(len(rows),), (len(rows), 1)}:
        raise ValueError(
            f"module gives numbers of shape {shape} for {len(rows)} rows: its last layer must have "
            "one output"
        )
    return net


def chosen(training: str | Training) -> Training:
    """The settings named or given; ValueError for what no net can be trained with."""
    training = Training() if isinstance(training, str) else training
    training.check()
    return training


def trained(
    net: Net,
    loss: Loss,
    y: Tensor,
    training: Training,
    device: Any,
    generator: torch.Generator,
    schedule: Callable[[float], float] = one_cycle,
) -> int:
    """Train the net in place, on the device, on the loss of rows 0 ... len(y) - 1; the epochs.

    torch's own generators, which dropout draws from, are as they were afterwards.
    """
    rows, watched = torch.arange(len(y)), None
    if training.patience:
        part = stratified_folds(y, max(round(1 / training.held_out), 2), generator)
        rows, watched = (part != 0).nonzero()[:, 0], (part == 0).nonzero()[:, 0]
    if not len(rows) or (watched is not None and not len(watched)):
        raise ValueError(f"{len(y)} rows are too few to hold some out: leave patience out")
    with own_chance(resolve(device), generator):
        epochs = training.fit(net.module, loss, rows, generator, watched, schedule)
    net.module.cpu().eval()
    return epochs


@contextmanager
def own_chance(device: torch.device, generator: torch.Generator) -> Iterator[None]:
    """A block in which torch's own generators are seeded, then as they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        yield
