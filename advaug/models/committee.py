"""A committee of small nets, all trained at once, cross-fitted so that each row has strangers.

The members' weights are stacked, so one batched product trains and asks them all. A member is
trained without one fold of the rows: for those it is an honest judge and a fair target.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import log_softmax, silu

from advaug.core.features import Features, FlatFeatures
from advaug.core.parameters import Parameters

FLAT = FlatFeatures()
FAR = 4.0  # standard deviations at which a value starts to say nothing more to the nets
LEAST = 0.3  # standard deviation below which a column is not blown up: rare levels and flags


def spread(x: Float[Tensor, "rows *shape"]) -> Float[Tensor, "*shape"]:
    """Standard deviation of each column, at least LEAST."""
    return x.std(0, correction=0).clamp_min(LEAST)


def leading(x: Float[Tensor, "rows width"], most: int) -> Float[Tensor, "width directions"]:
    """The directions of largest spread: at least LEAST of the first one's are brought to size 1."""
    wide = x.double()  # in single precision columns that say the same break it
    size, along = torch.linalg.eigh(wide.T @ wide / len(x))
    size, along = size.clamp_min(0).sqrt().flip(0)[:most], along.flip(1)[:, :most]
    turned: Tensor = along / size.clamp_min(LEAST * float(size[0])).clamp_min(1e-12)
    return turned.to(x)


def squash(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Outliers drawn in smoothly, so that none of them drowns the rest or loses its gradient."""
    return FAR * torch.tanh(x / FAR)


@dataclass(frozen=True)
class Committee:
    """Trained members: `weights` are (members, in, out) and (members, 1, out) by turns.

    They see of a row what `features` make of it, turned to leading directions where there is a
    `turn`.
    """

    weights: tuple[Tensor, ...]
    center: Tensor
    scale: Tensor
    fold_of_member: Tensor
    fold_of_row: Tensor
    features: Features = FLAT
    turn: Float[Tensor, "width directions"] | None = None

    def to(self, device: torch.device | str) -> Self:
        """The same committee on another device."""
        return replace(
            self,
            weights=tuple(weight.to(device) for weight in self.weights),
            center=self.center.to(device),
            scale=self.scale.to(device),
            features=self.features.to(device),
            turn=None if self.turn is None else self.turn.to(device),
        )

    def __getstate__(self) -> dict[str, Any]:
        """On the CPU, so that a pickle from a GPU loads anywhere."""
        return dict(vars(self.to("cpu")))

    def take(self, members: Tensor) -> Self:
        """Some of the members, as a committee."""
        weights = tuple(weight[members.to(weight.device)] for weight in self.weights)
        return replace(self, weights=weights, fold_of_member=self.fold_of_member[members])

    def held_out_members(self, fold: int) -> Self:
        """The members that have not seen the rows of a fold."""
        return self.take((self.fold_of_member == fold).nonzero()[:, 0])

    def halves(self) -> tuple[Self, Self]:
        """Two committees without a common member, each with its share of every fold."""
        if len(self.fold_of_member) < 2:
            raise ValueError(
                "one member cannot be attacked and judge too: use Ensemble(repeats=2) or more"
            )
        order = torch.argsort(self.fold_of_member, stable=True)
        return self.take(order[::2].sort().values), self.take(order[1::2].sort().values)

    def inputs(self, features: Float[Tensor, "batch width"]) -> Float[Tensor, "batch inputs"]:
        """What the nets are fed."""
        rows = squash((features - self.center) / self.scale)
        return rows if self.turn is None else rows @ self.turn

    def read(
        self, features: Float[Tensor, "batch width"]
    ) -> Float[Tensor, "members batch classes"]:
        """Each member's logits of rows whose features are known."""
        rows = self.inputs(features)
        return forward(self.weights, rows.expand(len(self.weights[0]), *rows.shape))

    def member_logits(
        self, x: Float[Tensor, "batch *shape"]
    ) -> Float[Tensor, "members batch classes"]:
        """Each member's logits."""
        return self.read(self.features(x))

    def logits(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch classes"]:
        """The members' mean logits."""
        return self.member_logits(x).mean(0)

    def probability(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch classes"]:
        """The members' mean probability of each class."""
        return self.member_logits(x).softmax(-1).mean(0)


def forward(
    weights: tuple[Tensor, ...], x: Float[Tensor, "members batch width"]
) -> Float[Tensor, "members batch classes"]:
    """All members' nets in one batched product a layer."""
    last = len(weights) - 2
    for layer in range(0, len(weights), 2):
        x = torch.baddbmm(weights[layer + 1], x, weights[layer])
        x = silu(x) if layer < last else x
    return x


@dataclass
class Ensemble(Parameters):
    """Settings of the committee; `fit` trains it.

    Parameters
    ----------
    n_repeats, cv : int
        Nets a fold, and folds: repeats * folds members.
    hidden_width : int
        Width of the two hidden layers (SiLU).
    max_iter, batch_size : int
        Training steps, and rows a step and member, drawn with equal shares of the classes.
    learning_rate, weight_decay : float
        Peak of the one-cycle learning rate and AdamW's weight decay.
    smoothing, noise : float
        Label smoothing, and the standard deviation of the noise on the inputs.
    directions : int, optional
        The nets see only so many leading directions (principal components) of the features: with
        hundreds of features nets learn rare rows by heart. None: the features as they are.

    Examples
    --------
    >>> import torch
    >>> from advaug.models import Ensemble
    >>> x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    >>> y = (x[:, 0] > 0).long()
    >>> committee = Ensemble().fit(x, y, 2, torch.Generator().manual_seed(0))
    >>> bool(((committee.logits(x).argmax(1) == y).float().mean() > 0.9))
    True
    """

    n_repeats: int = 4
    cv: int = 3
    hidden_width: int = 48
    max_iter: int = 100
    batch_size: int = 128
    learning_rate: float = 6e-3
    weight_decay: float = 1e-2
    smoothing: float = 0.1
    noise: float = 0.1
    directions: int | None = None

    def fit(
        self,
        x: Float[Tensor, "rows *shape"],
        y: Int[Tensor, " rows"],
        n_classes: int,
        generator: torch.Generator,
        features: Features = FLAT,
    ) -> Committee:
        """Train the members on x's device; y is on the CPU, where `generator` draws everything."""
        if self.cv < 2:
            raise ValueError(f"cv must be at least 2, got cv={self.cv}")
        fold_of_row = stratified_folds(y, self.cv, generator)
        fold_of_member = torch.arange(self.cv).repeat(self.n_repeats)
        features = features.to(x.device)
        seen = features(x)
        committee = Committee(
            weights=(),
            center=seen.mean(0),
            scale=spread(seen),
            fold_of_member=fold_of_member,
            fold_of_row=fold_of_row,
            features=features,
        )
        if self.directions is not None:
            turn = leading(committee.inputs(seen), self.directions)
            committee = replace(committee, turn=turn)
        inputs, members = committee.inputs(seen), len(fold_of_member)
        weights = self._initial(inputs.shape[1], n_classes, members, generator, seen)
        committee = replace(committee, weights=weights)
        return replace(committee, weights=self._train(committee, inputs, y, n_classes, generator))

    def _initial(
        self, width: int, classes: int, members: int, generator: torch.Generator, like: Tensor
    ) -> tuple[Tensor, ...]:
        sizes = [width, self.hidden_width, self.hidden_width, classes]
        weights: list[Tensor] = []
        for into, out in pairwise(sizes):
            bound = into**-0.5
            for shape in ((members, into, out), (members, 1, out)):
                draw = torch.rand(shape, generator=generator, dtype=torch.float32) * 2 - 1
                weights.append((draw * bound).to(like))
        return tuple(weights)

    def _train(
        self,
        committee: Committee,
        inputs: Tensor,
        y: Tensor,
        n_classes: int,
        generator: torch.Generator,
    ) -> tuple[Tensor, ...]:
        rows = balanced_rows(
            y,
            committee.fold_of_row,
            committee.fold_of_member,
            self.max_iter,
            self.batch_size,
            generator,
        )
        targets, rows = y[rows].to(inputs.device), rows.to(inputs.device)
        soft = (1 - self.smoothing) * torch.eye(n_classes).to(inputs) + self.smoothing / n_classes
        jitter = torch.Generator().manual_seed(int(torch.randint(2**31, (), generator=generator)))
        descent = AdamW(committee.weights, self.weight_decay)
        for k in range(self.max_iter):
            batch = inputs[rows[k]]
            noise = torch.randn(batch.shape, generator=jitter, dtype=inputs.dtype, device="cpu")
            batch = batch + self.noise * noise.to(inputs.device)
            with torch.enable_grad():
                weights = tuple(weight.requires_grad_(True) for weight in descent.weights)
                odds = log_softmax(forward(weights, batch), dim=-1)
                loss = -(soft[targets[k]] * odds).sum(-1).mean(1).sum()
                gradients = torch.autograd.grad(loss, weights)
            descent.step(gradients, self.learning_rate * one_cycle(k / self.max_iter))
        return tuple(weight.detach() for weight in descent.weights)


def one_cycle(progress: float) -> float:
    """Share of the peak rate: up over the first quarter, down to nothing over the rest."""
    return 0.1 + 3.6 * progress if progress < 0.25 else max(1 - (progress - 0.25) / 0.75, 0.01)


class AdamW:
    """Adam with decoupled decay (Loshchilov, Hutter, ICLR 2019) on a few tensors.

    Written out since the first `torch.optim` optimizer of a process imports for seconds.
    """

    def __init__(self, weights: tuple[Tensor, ...], decay: float) -> None:
        self.weights = list(weights)
        self.decay = decay
        self.mean = [torch.zeros_like(weight) for weight in weights]
        self.square = [torch.zeros_like(weight) for weight in weights]
        self.count = 0

    def step(self, gradients: tuple[Tensor, ...], rate: float) -> None:
        """One step down the gradients."""
        self.count += 1
        tilt, spread = 1 - 0.9**self.count, 1 - 0.999**self.count
        torch._foreach_lerp_(self.mean, gradients, 0.1)
        torch._foreach_mul_(self.square, 0.999)
        torch._foreach_addcmul_(self.square, gradients, gradients, 0.001)
        size = torch._foreach_div(self.square, spread)
        torch._foreach_sqrt_(size)
        torch._foreach_add_(size, 1e-8)
        with torch.no_grad():
            torch._foreach_mul_(self.weights, 1 - rate * self.decay)
            torch._foreach_addcdiv_(self.weights, self.mean, size, -rate / tilt)


def stratified_folds(y: Int[Tensor, " rows"], folds: int, generator: torch.Generator) -> Tensor:
    """A fold for each row (on the CPU), every class dealt out evenly."""
    fold = torch.empty(len(y), dtype=torch.long)
    y = y.cpu()
    for label in y.unique():
        rows = (y == label).nonzero()[:, 0]
        dealt = torch.arange(len(rows)) + torch.randint(folds, (), generator=generator)
        fold[rows[torch.randperm(len(rows), generator=generator)]] = dealt % folds
    return fold


def balanced_rows(
    y: Int[Tensor, " rows"],
    fold_of_row: Int[Tensor, " rows"],
    fold_of_member: Int[Tensor, " members"],
    steps: int,
    batch: int,
    generator: torch.Generator,
) -> Int[Tensor, "steps members batch"]:
    """Rows to train on, each class as often, none from a member's own fold."""
    classes = y.unique()
    batch = max(batch, len(classes))  # a slot for each
    drawn = torch.empty(steps, len(fold_of_member), batch, dtype=torch.long)
    for member, fold in enumerate(fold_of_member):
        seen = fold_of_row != fold
        pools = [((y == label) & seen).nonzero()[:, 0] for label in classes]
        pools = [pool for pool in pools if len(pool)] or [torch.arange(len(y))]
        for k, pool in enumerate(pools):
            slots = drawn[:, member, k :: len(pools)]
            slots.copy_(pool[torch.randint(len(pool), slots.shape, generator=generator)])
    return drawn


def held_out_logits(
    committee: Committee, features: Float[Tensor, "rows width"], batch: int = 4096
) -> Float[Tensor, "rows classes"]:
    """Logits of the rows the committee was trained on, each from the members that never saw it."""
    logits = features.new_empty(len(features), committee.weights[-1].shape[-1])
    for fold in committee.fold_of_member.unique().tolist():
        strangers = committee.held_out_members(fold)
        for rows in (committee.fold_of_row == fold).nonzero()[:, 0].split(batch):
            logits[rows.to(features.device)] = strangers.read(
                features[rows.to(features.device)]
            ).mean(0)
    return logits
