"""One net, small or the user's own, trained on any loss of its rows: the loop over weights.

The loss is a function of row numbers, so that what an attack adds to it is the caller's business.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import silu

from advaug.core.features import Features
from advaug.core.parameters import Parameters
from advaug.models.committee import FLAT, AdamW, one_cycle, spread, squash

Loss = Callable[[Tensor], Tensor]  # row numbers (batch,) -> one number, to be lowered
Gradients = tuple[Tensor, ...]  # one for each weight
ENOUGH = 400  # training steps that a small net needs whatever the rows
FEWEST, MOST = 10, 100  # epochs


class SmallNet(nn.Module):
    """Two hidden layers (SiLU) on standardised features: what a member of the committee is.

    Parameters
    ----------
    x : Tensor (rows, *shape)
        Encoded rows, from which centre and scale are learnt.
    outputs, hidden : int
    generator : torch.Generator
        Draws the first weights, uniform in +-1 / sqrt(inputs).
    features : `Features`
    """

    center: Tensor
    scale: Tensor

    def __init__(
        self,
        x: Float[Tensor, "rows *shape"],
        outputs: int,
        hidden: int,
        generator: torch.Generator,
        features: Features = FLAT,
    ) -> None:
        super().__init__()
        self.features = features
        seen = features(x)
        self.register_buffer("center", seen.mean(0))
        self.register_buffer("scale", spread(seen))
        sizes = [seen.shape[1], hidden, hidden, outputs]
        self.layers = nn.ModuleList(new_layer(*pair, generator) for pair in pairwise(sizes))

    def forward(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch outputs"]:
        seen = self.features.to(x.device)(x.float()).to(self.center)
        rows: Tensor = squash((seen - self.center) / self.scale)
        for layer in self.layers[:-1]:
            rows = silu(layer(rows))
        logits: Tensor = self.layers[-1](rows)
        return logits


def new_layer(into: int, out: int, generator: torch.Generator) -> nn.Linear:
    """A layer whose weights the generator has drawn: torch's own stays untouched."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, into, out)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.uniform_(-(into**-0.5), into**-0.5, generator=generator)
    return layer


@dataclass
class Training(Parameters):
    """How a net is trained: AdamW in shuffled batches, the rate on one cycle.

    Parameters
    ----------
    hidden_width : int
        Width of the two hidden layers of the small net; not used for a net of your own.
    epochs : int, optional
        Passes over the rows; by default as many as make 400 steps, at least 10 and at most 100.
    batch_size : int
        Rows a step.
    learning_rate, weight_decay : float
        Peak of the learning rate, and AdamW's weight decay.
    patience : int, optional
        Epochs without a lower loss of held-out rows after which training ends, the best weights
        kept. By default all epochs are run.
    held_out : float
        Share of the rows that `patience` watches.
    replays : int, optional
        Steps on each batch in a row; the passes over the rows are divided by it, so that the cost
        stays. By default 1, and 4 in free training.

    References
    ----------
    Loshchilov, Hutter. Decoupled weight decay regularization. ICLR 2019. Rice, Wong, Kolter.
    Overfitting in adversarially robust deep learning. ICML 2020 (why to stop early).

    Examples
    --------
    >>> from advaug.models.training import Training
    >>> Training(epochs=20, patience=5).get_params()["patience"]
    5
    """

    hidden_width: int = 64
    epochs: int | None = None
    batch_size: int = 128
    learning_rate: float = 5e-3
    weight_decay: float = 1e-2
    patience: int | None = None
    held_out: float = 0.1
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
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out must lie between 0 and 1, got held_out={self.held_out}")

    def fit(
        self,
        net: nn.Module,
        loss: Loss,
        rows: Int[Tensor, " rows"],
        generator: torch.Generator,
        watched: Int[Tensor, " some"] | None = None,
        schedule: Callable[[float], float] = one_cycle,
    ) -> int:
        """Train the net in place on `rows`; the epochs that were run.

        Parameters
        ----------
        loss : callable
            Mean loss of some of the rows, from the net as it is; where it has
            `gradients(rows, weights)`, that is asked in training.
        watched : Tensor, optional
            Held-out rows whose loss ends the training after `patience` epochs.
        schedule : callable
            Share of the peak rate at each share of the way.
        """
        steps = -(-len(rows) // self.batch_size)
        replays = self.replays or 1
        epochs = self.epochs or min(max(ENOUGH // steps, FEWEST), MOST)
        epochs = max(round(epochs / replays), 1)
        weights = tuple(weight for weight in net.parameters() if weight.requires_grad)
        descent, best = AdamW(weights, self.weight_decay), Best()
        for epoch in range(epochs):
            order = rows[torch.randperm(len(rows), generator=generator)]
            net.train()
            for k, batch in enumerate(order.tensor_split(steps)):  # no batch of a single row
                rate = self.learning_rate * schedule((epoch + k / steps) / epochs)
                for _ in range(replays):
                    descend(weights, descent, loss, batch, rate)
            net.eval()
            if (
                watched is not None
                and self.patience
                and best.is_stale(net, loss_now(loss, watched), self.patience)
            ):
                break
        best.restore(net)
        return epoch + 1


def descend(
    weights: tuple[Tensor, ...], descent: AdamW, loss: Loss, batch: Tensor, rate: float
) -> None:
    """One step down the loss of a batch, which may have its own way to the gradients."""
    with torch.enable_grad():
        own = getattr(loss, "gradients", None)
        found = own(batch, weights) if own else slopes(loss(batch), weights)
    descent.step(found, rate)


def slopes(value: Tensor, weights: tuple[Tensor, ...]) -> Gradients:
    """The gradient in each weight, 0 where there is none; nothing is left in any of them."""
    return torch.autograd.grad(value, weights, allow_unused=True, materialize_grads=True)


def loss_now(loss: Loss, rows: Tensor) -> float:
    """The loss as a number."""
    with torch.no_grad():
        return float(loss(rows))


class Best:
    """The weights of the lowest loss so far."""

    def __init__(self) -> None:
        self.value = torch.inf
        self.since = 0
        self.state: dict[str, Tensor] | None = None

    def is_stale(self, net: nn.Module, value: float, patience: int) -> bool:
        """Whether the loss has not come down for so many calls."""
        self.since += 1
        if value < self.value:
            self.value, self.since = value, 0
            self.state = {name: part.clone() for name, part in net.state_dict().items()}
        return self.since >= patience

    def restore(self, net: nn.Module) -> None:
        if self.state is not None:
            net.load_state_dict(self.state)
