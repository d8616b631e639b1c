"""What the defences with a net inside share: a net on an adapter's encoding, made and trained."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import torch
from sklearn.utils import check_array, get_tags
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from advaug import containers
from advaug.core.devices import resolve
from advaug.core.norms import draw
from advaug.core.row_random import RowRandom
from advaug.core.storage import NotStorable, dumps, loads
from advaug.estimators.attacked_model import check_logits
from advaug.estimators.validation import SHARED_CONSTRAINTS, check_rows
from advaug.models.committee import stratified_folds
from advaug.models.optimizer import Schedule, one_cycle
from advaug.models.protocol import Array
from advaug.models.torch_model import (
    TorchModel,
    are_probabilities,
    output_tensor,
    refuse_nan,
)
from advaug.models.training import Loss, SmallNet, Training
from advaug.registry import AdapterName
from advaug.sampling.domain import Adapter, Coding

# The types of parameters that several defences have.
TrainingParameter = Training | Literal["auto"]
AdapterParameter = AdapterName | Adapter
ModuleParameter = nn.Module | Literal["auto"]
Device = str | torch.device
RandomState = int | np.random.RandomState | None

N_PROBED = 64  # Rows on which a user's net is tried before it is trained.
BATCH_SIZE = 4096  # Rows that are predicted at once.

NET_CONSTRAINTS: dict[str, list[Any]] = {
    "module": [StrOptions({"auto"}), nn.Module],
    "training": [StrOptions({"auto"}), Training],
    **{name: SHARED_CONSTRAINTS[name] for name in ("adapter", "device", "random_state")},
}


@dataclass(frozen=True)
class NetWithCoding:
    """A net, and the coding of the rows that it reads; it is on the CPU."""

    module: nn.Module
    coding: Coding
    reads_encoded: bool

    def __getstate__(self) -> dict[str, Any]:
        """Bytes without code, which skops can store too; a net of yours stays an object."""
        state = {one.name: getattr(self, one.name) for one in fields(self)}
        try:
            return {"stored": dumps(state)}
        except NotStorable:
            return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        stored = state.get("stored")
        vars(self).update(state if stored is None else loads(stored, dict, dict, "the net"))

    def native(self, x: Tensor) -> Tensor:
        """Encoded rows as the net takes them."""
        return x if self.reads_encoded else self.coding.native(x)

    def logits(self, X: Any) -> Tensor:
        """(rows, outputs) of rows in their container."""
        return self.encoded_logits(self.coding.encode(X))

    def encoded_logits(self, x: Tensor) -> Tensor:
        """(rows, outputs) of encoded rows; those of the small net do not depend on the batch."""
        module, x = self._exact(x)
        return batched_logits(module, self.native(x))

    def activations(self, X: Any) -> Tensor:
        """(rows, width): the input of the last linear layer, of rows in their container."""
        module, x = self._exact(self.coding.encode(X))
        layers = [part for part in module.modules() if isinstance(part, nn.Linear)]
        if not layers:
            raise ValueError(
                "surrogate has no nn.Linear whose input could be read: take inputs='rows'"
            )
        inputs: list[Tensor] = []
        hook = layers[-1].register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
        try:
            batched_logits(module, self.native(x))
        finally:
            hook.remove()
        return torch.cat(inputs).flatten(1).to(x)

    def _exact(self, x: Tensor) -> tuple[nn.Module, Tensor]:
        """Module and rows; of the small net in float64, whose sums do not feel the batch."""
        if not self.reads_encoded:
            return self.module, x
        return copy.deepcopy(self.module).double(), x.double()


def batched_logits(module: nn.Module, rows: Tensor) -> Tensor:
    """The module's logits of rows as it takes them, batch by batch."""
    with TorchModel(module).frozen() as model, torch.no_grad():
        logits = torch.cat([model.logits(part) for part in rows.split(BATCH_SIZE)])
    refuse_nan(logits, rows, "the net")
    return logits


def query_net(estimator: Any, X: Any) -> Tensor:
    """The logits of the net in a fitted estimator, at rows that are checked."""
    check_is_fitted(estimator, "net_")
    X = check_rows(estimator, containers.owned(X), reset=False)
    if not get_tags(estimator).input_tags.allow_nan and not containers.is_sequences(X):
        check_array(X, accept_sparse="csr", dtype=None, allow_nd=True)
    logits: Tensor = estimator.net_.logits(X)
    return logits


class NetClassifierMixin:
    """Mixin of a classifier with a net inside, `net_` with a logit for each of `classes_`."""

    net_: NetWithCoding
    classes_: Any

    @property
    def model_(self) -> TorchModel:
        """The net as an attack takes it."""
        return TorchModel(self.net_.module, self.classes_, self.net_.reads_encoded)

    def predict_proba(self, X: Any) -> Array:
        """Probabilities, ndarray (rows, classes)."""
        return np.asarray(query_net(self, X).double().softmax(1).numpy())

    def predict(self, X: Any) -> Array:
        """The most probable class of each row."""
        most_probable = self.predict_proba(X).argmax(1)  # It checks that there are classes.
        return np.asarray(self.classes_[most_probable])


def new_net(
    module: ModuleParameter,
    coding: Coding,
    x: Tensor,
    outputs: int,
    training: Training,
    generator: torch.Generator,
) -> NetWithCoding:
    """A small net with first weights, or a copy of the user's that is tried on some rows.

    ValueError, naming `module`, if it does not take rows to `outputs` numbers.
    """
    if isinstance(module, str):
        features = coding.features(x, generator)
        small = SmallNet(x, outputs, training.hidden_width, generator, features)
        return NetWithCoding(small, coding, True)
    if not any(weight.requires_grad for weight in module.parameters()):
        raise ValueError("module has no parameter that asks for a gradient: there is none to train")
    net = NetWithCoding(copy.deepcopy(module).cpu().float(), coding, False)
    numbers = probed_rows(net, x)
    rows = net.native(x[numbers])
    logits = outputs if outputs > 1 else None
    check_logits(
        TorchModel(net.module),
        rows,
        numbers,
        logits,
        "module",
        slopes="gradient" in coding.provides,
    )
    if outputs == 1:
        check_one_output(net.module, rows)
    elif are_probabilities(batched_logits(net.module, rows)):
        raise ValueError("module returns probabilities: remove its final softmax or sigmoid")
    return net


def probed_rows(net: NetWithCoding, x: Tensor) -> Array:
    """The numbers of the first rows, and of the one with the most missing values, if any has one:
    NaN in a single row would spoil the weights."""
    missing = torch.cat(
        [net.native(part).flatten(1).isnan().sum(1) for part in x.split(BATCH_SIZE)]
    )
    first = np.arange(min(len(x), N_PROBED))
    worst = int(missing.argmax())
    return np.append(first, worst) if missing[worst] and worst not in first else first


def check_one_output(module: nn.Module, rows: Tensor) -> None:
    """ValueError if the module returns more than one number for a row."""
    with TorchModel(module).frozen(), torch.no_grad():
        shape = tuple(output_tensor(module(rows)).shape)
    if shape not in {(len(rows),), (len(rows), 1)}:
        raise ValueError(
            f"module returns numbers of shape {shape} for {len(rows)} rows: its last layer must "
            "have one output"
        )


def rounded_rows(new: Tensor, x: Tensor, X: Any, coding: Coding, generator: torch.Generator) -> Any:
    """Encoded rows that are made of those of X, in X's container and rounded as it rounds them."""
    unbounded = torch.full((len(x),), torch.inf)
    noise = draw(x, RowRandom.from_generator(len(x), generator))
    return coding.decode(coding.space().snap(new, x, unbounded, noise), x, X)


def split_off_a_fold(strata: Tensor, cv: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Numbers of all rows but one fold's, and of that fold's, which has its share of each class."""
    fold = stratified_folds(strata, cv, generator)
    return (fold != 0).nonzero()[:, 0], (fold == 0).nonzero()[:, 0]


def choose_training(training: TrainingParameter) -> Training:
    """The training given, or the default one; ValueError if no net can be trained with it."""
    training = Training() if isinstance(training, str) else training
    training.check()
    return training


def train_net(
    net: NetWithCoding,
    loss: Loss,
    strata: Tensor,
    training: Training,
    device: Device,
    generator: torch.Generator,
    schedule: Schedule = one_cycle,
) -> int:
    """Train the net in place on the loss of all rows, and return the number of epochs.

    `strata` are the classes (rows,) of which equal shares are held out. torch's own generators,
    which dropout draws from, are afterwards as they were.
    """
    rows, validation_rows = torch.arange(len(strata)), None
    if training.patience:
        cv = max(round(1 / training.validation_fraction), 2)
        rows, validation_rows = split_off_a_fold(strata, cv, generator)
    if not len(rows) or (validation_rows is not None and not len(validation_rows)):
        raise ValueError(
            f"{len(strata)} rows are too few to hold some of them out: leave out patience"
        )
    where = resolve(device)
    loss = loss.to(where)
    with seeded_torch(where, generator):
        epochs = training.fit(net.module, loss, rows, generator, validation_rows, schedule)
    net.module.cpu().eval()
    return epochs


@contextmanager
def seeded_torch(device: torch.device, generator: torch.Generator) -> Iterator[None]:
    """A block in which torch's own generators are seeded; afterwards they are as they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        yield
