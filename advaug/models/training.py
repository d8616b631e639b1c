"""One net, small or the user's own, trained on any loss of its rows.

The loss is a function of row numbers, so that what an attack adds to it is the caller's business.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Protocol, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, silu

from advaug.core.features import Features
from advaug.core.parameters import Parameters
from advaug.core.storable import storable
from advaug.core.tensor_fields import TensorFields
from advaug.models.committee import FLAT, spread, squash
from advaug.models.optimizer import (
    Gradients,
    Schedule,
    Weights,
    fit_weights,
    gradients_of,
    one_cycle,
)
from advaug.models.torch_model import two_class_logits

DEFAULT_STEPS = 400  # A small net needs so many training steps, whatever the number of rows.
MIN_EPOCHS, MAX_EPOCHS = 10, 100  # Bounds of the default number of epochs.


class Loss(Protocol):
    """The mean loss of some of the rows, from their numbers."""

    def __call__(self, rows: Tensor, /) -> Tensor:
        """One number, to be lowered."""
        ...

    def to(self, device: torch.device | str, /) -> Self:
        """The loss on another device; its net is moved there in place."""
        ...

    def gradients(self, rows: Tensor, weights: Weights, /) -> Gradients:
        """The gradient of a batch's loss in each weight; by default that of the loss itself."""
        return gradients_of(self(rows), weights)


@dataclass(frozen=True, repr=False)
class CrossEntropyLoss(TensorFields, Loss):
    """Cross-entropy of a net at rows whose targets are known.

    Parameters
    ----------
    net : nn.Module
    x : Tensor (rows, ...)
        The rows as the net takes them.
    target : Tensor
        Class codes (rows,) or probabilities (rows, classes).
    weight : Tensor (rows,), optional
        Of each row's part in the loss, with a mean of 1. By default all are equal.
    """

    net: nn.Module
    x: Tensor
    target: Tensor
    weight: Float[Tensor, " rows"] | None = None

    def __call__(self, rows: Tensor) -> Tensor:
        rows = rows.to(self.x.device)
        logits, target = two_class_logits(self.net(self.x[rows])), self.target[rows]
        if self.weight is None:
            return cross_entropy(logits, target)
        return (self.weight[rows] * cross_entropy(logits, target, reduction="none")).mean()


class SmallNet(nn.Module):
    """Two hidden layers (SiLU) on standardised features: what a member of the committee is.

    Parameters
    ----------
    x : Tensor (rows, *shape)
        Encoded rows, of which mean and standard deviation are learnt.
    outputs : int
        How many logits the net has.
    hidden_width : int
    generator : torch.Generator
        Draws the first weights, uniform in +-1 / sqrt(inputs).
    features : `Features`
        What the net sees of a row.
    """

    center: Tensor
    scale: Tensor

    def __init__(
        self,
        x: Float[Tensor, "rows *shape"],
        outputs: int,
        hidden_width: int,
        generator: torch.Generator,
        features: Features = FLAT,
    ) -> None:
        super().__init__()
        self.features = features
        values = features(x)
        self.register_buffer("center", values.mean(0))
        self.register_buffer("scale", spread(values))
        sizes = [values.shape[1], hidden_width, hidden_width, outputs]
        self.layers = nn.ModuleList(new_layer(*pair, generator) for pair in pairwise(sizes))

    def __getstate__(self) -> dict[str, Any]:
        """Numbers and features alone, so that the net is stored without the code of torch."""
        tensors = {name: tensor.detach() for name, tensor in self.state_dict().items()}
        return {"features": self.features, "tensors": tensors, "training": self.training}

    @storable
    def __setstate__(self, state: dict[str, Any]) -> None:
        nn.Module.__init__(self)
        self.features, tensors = state["features"], state["tensors"]
        for name in ("center", "scale"):
            self.register_buffer(name, tensors[name])
        weights = [tensors[name] for name in tensors if name.endswith("weight")]
        layers = (nn.utils.skip_init(nn.Linear, *weight.shape[::-1]) for weight in weights)
        self.layers = nn.ModuleList(layers)
        self.load_state_dict(tensors, assign=True)
        self.requires_grad_(True).train(state["training"])

    def forward(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch outputs"]:
        values = self.features.to(x.device)(x.float()).to(self.center)
        rows: Tensor = squash((values - self.center) / self.scale)
        for layer in self.layers[:-1]:
            rows = silu(layer(rows))
        logits: Tensor = self.layers[-1](rows)
        return logits


def new_layer(into: int, out: int, generator: torch.Generator) -> nn.Linear:
    """A layer whose first weights are drawn by the generator; torch's own stays untouched."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, into, out)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.uniform_(-(into**-0.5), into**-0.5, generator=generator)
    return layer


@dataclass
class Training(Parameters):
    """How a net is trained: by AdamW on shuffled batches, with a one-cycle learning rate.

    Parameters
    ----------
    hidden_width : int
        Width of the two hidden layers of the small net. A net of your own does not use it.
    epochs : int, optional
        Passes over the rows. By default there are as many as make 400 steps, at least 10 and at
        most 100.
    batch_size : int
        Rows of a training step.
    learning_rate : float
        Peak of the one-cycle learning rate.
    weight_decay : float
        AdamW's weight decay.
    patience : int, optional
        Training stops after so many epochs in which the loss of held-out rows did not fall, and the
        best weights are kept. By default all epochs are run.
    validation_fraction : float in (0, 1)
        Share of the rows that are held out where `patience` is given.
    replays : int, optional
        Training steps on each batch. The number of epochs is divided by it, so that the cost stays
        the same. The default is 1, and 4 in free training.

    See Also
    --------
    advaug.models.Ensemble : Settings of the committee; `fit` trains it.

    References
    ----------
    Loshchilov, Hutter. Decoupled weight decay regularization. ICLR 2019. Rice, Wong, Kolter.
    Overfitting in adversarially robust deep learning. ICML 2020 (why to stop early).

    Examples
    --------
    >>> from advaug.models.training import Training
    >>> from advaug.robust import AdversarialClassifier
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    >>> AdversarialClassifier(training=Training(epochs=20)).fit(X, y).n_iter_
    20
    """

    provides: ClassVar[frozenset[str]] = frozenset({"gradient"})  # What a net so trained does.
    hidden_width: int = 64
    epochs: int | None = None
    batch_size: int = 128
    learning_rate: float = 5e-3
    weight_decay: float = 1e-2
    patience: int | None = None
    validation_fraction: float = 0.1
    replays: int | None = None

    def check(self) -> None:
        """ValueError naming the setting that no net can be trained with."""
        for name in ("hidden_width", "epochs", "batch_size", "patience", "replays"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {name}={value}")
        if not self.learning_rate > 0:
            raise ValueError(
                f"learning_rate must be above 0, got learning_rate={self.learning_rate}"
            )
        if not 0 < self.validation_fraction < 1:
            raise ValueError(
                "validation_fraction must lie between 0 and 1, got "
                f"validation_fraction={self.validation_fraction}"
            )

    def fit(
        self,
        net: nn.Module,
        loss: Loss,
        rows: Int[Tensor, " rows"],
        generator: torch.Generator,
        validation_rows: Int[Tensor, " some"] | None = None,
        schedule: Schedule = one_cycle,
    ) -> int:
        """Train the net in place on `rows`, and return the number of epochs.

        Parameters
        ----------
        loss : `Loss`
            Mean loss of some of the rows, from the net as it is.
        validation_rows : Tensor, optional
            Held-out rows whose loss stops the training after `patience` epochs.
        schedule : callable
            Share of the peak learning rate at each share of the training.
        """
        n_steps = -(-len(rows) // self.batch_size)
        epochs = self.epochs or min(max(DEFAULT_STEPS // n_steps, MIN_EPOCHS), MAX_EPOCHS)
        epochs = max(round(epochs / (self.replays or 1)), 1)
        best, n_iter = BestWeights(net), 0

        def batches() -> Iterator[tuple[float, Tensor]]:
            nonlocal n_iter
            for epoch in range(epochs):
                order = rows[torch.randperm(len(rows), generator=generator)]
                net.train()
                # Parts of equal height: a batch of a single row would break a BatchNorm.
                for k, batch in enumerate(order.tensor_split(n_steps)):
                    for _ in range(self.replays or 1):
                        yield (epoch + k / n_steps) / epochs, batch
                net.eval()
                n_iter = epoch + 1
                if validation_rows is not None and self.patience:
                    with torch.no_grad():
                        best.update(float(loss(validation_rows)))
                    if best.n_stale >= self.patience:
                        return

        fit_weights(
            tuple(weight for weight in net.parameters() if weight.requires_grad),
            loss.gradients,
            batches(),
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            schedule=schedule,
        )
        best.restore()
        return n_iter


class BestWeights:
    """The weights of a net at its lowest loss so far."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net
        self.loss = torch.inf
        self.n_stale = 0  # Calls since the loss was lowest.
        self.state: dict[str, Tensor] | None = None

    def update(self, loss: float) -> None:
        """Keep the weights if the loss is the lowest."""
        self.n_stale += 1
        if loss < self.loss:
            self.loss, self.n_stale = loss, 0
            self.state = {name: part.clone() for name, part in self.net.state_dict().items()}

    def restore(self) -> None:
        """Set the net's weights to the best ones, if any were kept."""
        if self.state is not None:
            self.net.load_state_dict(self.state)
