"""A committee of small nets, trained all at once and cross-fitted.

The members' weights are stacked, so that one batched product trains and queries them all. A member
is trained without one fold of the rows: what it predicts of those is honest.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import silu

from advaug.core.features import Features, FlatFeatures
from advaug.core.parameters import Parameters
from advaug.core.short_repr import ShortRepr
from advaug.core.storable import storable
from advaug.core.tensor_fields import TensorFields, picked
from advaug.models.optimizer import Gradients, Weights, fit_weights, in_one_vector
from advaug.models.protocol import CrossFitted, Surrogate

FLAT = FlatFeatures()
READ_ROWS = 1024  # Rows that a CPU reads at once: the hidden layers of more leave its cache.
SATURATION = 4.0  # Standard deviations at which a larger value hardly changes what the nets see.
MIN_SCALE = 0.3  # A column of less deviation, such as a rare level or flag, is not blown up.


def spread(x: Float[Tensor, "rows *shape"]) -> Float[Tensor, "*shape"]:
    """Standard deviation of each column, at least MIN_SCALE."""
    return x.std(0, correction=0).clamp_min(MIN_SCALE)


def principal_components(
    x: Float[Tensor, "rows width"], n_components: int
) -> Float[Tensor, "width components"]:
    """The directions of largest deviation; those above MIN_SCALE of the first are whitened."""
    wide = x.double()  # Single precision cannot factor columns that say the same.
    size, directions = torch.linalg.eigh(wide.T @ wide / len(x))
    size = size.clamp_min(0).sqrt().flip(0)[:n_components]
    directions = directions.flip(1)[:, :n_components]
    whitened: Tensor = directions / size.clamp_min(MIN_SCALE * float(size[0])).clamp_min(1e-12)
    return whitened.to(x)


def squash(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Values with outliers moved in smoothly, so that every value keeps a gradient."""
    return SATURATION * torch.tanh(x / SATURATION)


@dataclass(frozen=True, repr=False)
class Committee(TensorFields, CrossFitted):
    """Trained members of a cross-fitted committee.

    Parameters
    ----------
    weights : tuple of Tensor
        (members, in, out) and (members, 1, out) in turns.
    center, scale : Tensor (width,)
        Mean and standard deviation of each feature.
    fold_of_member : int Tensor (members,)
        The fold that each member has not seen.
    fold_of_row : int Tensor (rows,)
        The fold of each training row.
    features : `Features`
        What the members see of a row.
    components : Tensor (width, components) or None
        The principal components of the features that the nets see instead of all of them.

    See Also
    --------
    advaug.models.Ensemble : Settings of the committee; `fit` trains it.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from advaug import AdversarialOverSampler
    >>> X, y = make_classification(100, weights=[0.8], random_state=0)
    >>> sampler = AdversarialOverSampler(random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, y)
    >>> committee = sampler.surrogate_
    >>> len(committee.fold_of_row), len(committee.fold_of_member)
    (100, 6)
    """

    weights: Weights
    center: Tensor
    scale: Tensor
    fold_of_member: Int[Tensor, " members"]
    fold_of_row: Int[Tensor, " rows"]
    features: Features = FLAT
    components: Float[Tensor, "width components"] | None = None

    @property
    def provides(self) -> frozenset[str]:
        """A gradient, where the features have one."""
        return frozenset({"gradient"} if self.features.is_differentiable else ())

    def to(self, device: torch.device | str) -> Self:
        """The same committee on another device; the folds stay on the CPU."""
        other = super().to(device)
        return replace(other, fold_of_member=self.fold_of_member, fold_of_row=self.fold_of_row)

    def __getstate__(self) -> dict[str, Any]:
        """On the CPU, so that a pickle from a GPU loads anywhere."""
        return dict(vars(self.to("cpu")))

    def take(self, members: Tensor) -> Self:
        """A committee of some of the members."""
        weights = tuple(weight[members.to(weight.device)] for weight in self.weights)
        return replace(self, weights=weights, fold_of_member=self.fold_of_member[members])

    def held_out_members(self, fold: int) -> Self:
        """A committee of the members that have not seen the rows of a fold."""
        return self.take((self.fold_of_member == fold).nonzero()[:, 0])

    def halves(self) -> tuple[Self, Self]:
        """Two committees without a common member, each with its share of every fold."""
        if len(self.fold_of_member) < 2:
            raise ValueError(
                "a single model cannot be both attacked and used as a judge: set n_repeats to 2 "
                "or more"
            )
        order = torch.argsort(self.fold_of_member, stable=True)
        return self.take(order[::2].sort().values), self.take(order[1::2].sort().values)

    def inputs(self, features: Float[Tensor, "batch width"]) -> Float[Tensor, "batch inputs"]:
        """The standardised inputs of the nets."""
        rows = squash((features - self.center).div_(self.scale))
        return rows if self.components is None else rows @ self.components

    def read(
        self, features: Float[Tensor, "batch width"]
    ) -> Float[Tensor, "members batch classes"]:
        """Each member's logits of rows whose features are known."""
        return logits_of(self.weights, features, self.inputs)

    def member_logits(
        self, x: Float[Tensor, "batch *shape"]
    ) -> Float[Tensor, "members batch classes"]:
        """Each member's logits."""
        return self.read(self.features(x))

    @storable
    def probability(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch classes"]:
        """The members' mean probability of each class."""
        return mean_probability(self.member_logits(x))


def logits_of(
    weights: Weights,
    features: Float[Tensor, "batch width"],
    inputs: Callable[[Tensor], Tensor],
) -> Float[Tensor, "members batch classes"]:
    """Each member's logits of rows, of which `inputs` makes those of the nets: some at a time."""
    members = len(weights[0])
    height = READ_ROWS if features.device.type == "cpu" else max(len(features), 1)
    parts = (inputs(some) for some in features.split(height))
    read = [forward(weights, some.expand(members, *some.shape)).mT for some in parts]
    return torch.cat(read, dim=2).mT


def forward(
    weights: Weights, x: Float[Tensor, "members batch width"]
) -> Float[Tensor, "members batch classes"]:
    """All members' nets in one batched product a layer."""
    *hidden, weight, bias = weights
    for into, shift in zip(hidden[::2], hidden[1::2], strict=True):
        x = silu(torch.baddbmm(shift, x, into))
    # Products of few columns are slow, of few rows they are not.
    return torch.baddbmm(bias.mT, weight.mT, x.mT).mT


def mean_probability(
    logits: Float[Tensor, "members batch classes"],
) -> Float[Tensor, "batch classes"]:
    """The members' mean probability of each class: the softmax of short columns, not of rows."""
    return logits.mT.softmax(1).mean(0).mT


@torch.no_grad()
def cross_entropy_gradients(
    weights: Weights,
    x: Float[Tensor, "members batch width"],
    target: Float[Tensor, "*members batch classes"],
    found: Gradients,
) -> None:
    """Gradients of the mean cross-entropy of each member to probabilities that add up to 1.

    Written out, since autograd costs more than the products of nets as small as these.

    Parameters
    ----------
    found : tuple of Tensor, one for each weight
        Where the gradients are written.
    """
    *hidden, weight, bias = weights
    inputs, sums = [x], []
    for into, shift in zip(hidden[::2], hidden[1::2], strict=True):
        sums.append(torch.baddbmm(shift, inputs[-1], into))
        inputs.append(silu(sums[-1]))
    # Classes come first: products of few columns are slow, of few rows they are not.
    logits = torch.baddbmm(bias.mT, weight.mT, inputs[-1].mT)
    slope = logits.softmax(1).sub_(target.mT).div_(x.shape[1])
    found[-2].copy_(torch.bmm(slope, inputs[-1]).mT)
    torch.sum(slope.mT, 1, keepdim=True, out=found[-1])
    slope = torch.bmm(slope.mT, weight.mT)
    for layer in reversed(range(len(sums))):
        slope = torch.ops.aten.silu_backward(slope, sums[layer])
        torch.bmm(inputs[layer].mT, slope, out=found[2 * layer])
        torch.sum(slope, 1, keepdim=True, out=found[2 * layer + 1])
        if layer:
            slope = torch.bmm(slope, hidden[2 * layer].mT)


@dataclass(repr=False)
class Ensemble(ShortRepr, Surrogate, Parameters):
    """Settings of the committee; `fit` trains it.

    Parameters
    ----------
    n_repeats : int
        How many members are trained without each fold.
    cv : int
        How many folds: the committee has n_repeats * cv members.
    hidden_width : int
        Width of the two hidden layers (SiLU).
    max_iter : int
        Training steps.
    batch_size : int
        Rows of each member in a training step; each class has an equal share of them.
    learning_rate : float
        Peak of the one-cycle learning rate.
    weight_decay : float
        AdamW's weight decay.
    label_smoothing : float
        Share of the target that is spread evenly over the classes.
    noise_std : float
        Standard deviation of the noise that is added to the standardised inputs.
    n_components : int, optional
        How many principal components of the features the nets see. None, the default: they see the
        features themselves. With hundreds of features nets overfit a rare class.

    See Also
    --------
    advaug.models.Committee : Trained members of a cross-fitted committee.
    advaug.models.Training :
        How a net is trained: by AdamW on shuffled batches, with a one-cycle learning rate.

    Examples
    --------
    >>> import torch
    >>> from advaug.models import Ensemble
    >>> x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    >>> y = (x[:, 0] > 0).long()
    >>> committee = Ensemble().fit(x, y, 2, torch.Generator().manual_seed(0))
    >>> committee.logits(torch.tensor([[-2.0, 0.0], [2.0, 0.0]])).argmax(1)
    tensor([0, 1])
    """

    provides: ClassVar[frozenset[str]] = frozenset({"gradient"})
    n_repeats: int = 4
    cv: int = 3
    hidden_width: int = 48
    max_iter: int = 100
    batch_size: int = 128
    learning_rate: float = 6e-3
    weight_decay: float = 1e-2
    label_smoothing: float = 0.1
    noise_std: float = 0.1
    n_components: int | None = None

    def fit(
        self,
        x: Float[Tensor, "rows *shape"],
        y: Int[Tensor, " rows"],
        n_classes: int,
        generator: torch.Generator,
        features: Features = FLAT,
        sample_weight: Float[Tensor, " rows"] | None = None,
    ) -> Committee:
        """Train the members on x's device; y is on the CPU, where `generator` draws everything.

        A row with a weight is drawn in proportion to it among the rows of its class.
        """
        if self.cv < 2:
            raise ValueError(f"cv must be at least 2, got cv={self.cv}")
        features = features.to(x.device)
        values = features(x)
        committee = Committee(
            weights=(),
            center=values.mean(0),
            scale=spread(values),
            fold_of_member=torch.arange(self.cv).repeat(self.n_repeats),
            fold_of_row=stratified_folds(y, self.cv, generator),
            features=features,
        )
        if self.n_components is not None:
            components = principal_components(committee.inputs(values), self.n_components)
            committee = replace(committee, components=components)
        inputs = committee.inputs(values)
        weights = self._initial(committee, inputs, n_classes, generator)
        trained = self._trained(committee, weights, inputs, y, generator, sample_weight)
        return replace(committee, weights=trained)

    def _initial(
        self, committee: Committee, inputs: Tensor, n_classes: int, generator: torch.Generator
    ) -> Weights:
        """First weights, uniform in +-1 / sqrt(width of the layer's input)."""
        members = len(committee.fold_of_member)
        sizes = [inputs.shape[1], self.hidden_width, self.hidden_width, n_classes]
        weights: list[Tensor] = []
        for into, out in pairwise(sizes):
            bound = into**-0.5
            for shape in ((members, into, out), (members, 1, out)):
                draw = torch.rand(shape, generator=generator, dtype=torch.float32) * 2 - 1
                weights.append((draw * bound).to(inputs))
        return tuple(weights)

    def _trained(
        self,
        committee: Committee,
        weights: Weights,
        inputs: Tensor,
        y: Tensor,
        generator: torch.Generator,
        sample_weight: Tensor | None,
    ) -> Weights:
        """The weights of all members after the training."""
        folds = committee.fold_of_row, committee.fold_of_member
        rows = balanced_rows(y, *folds, self.max_iter, self.batch_size, generator, sample_weight)
        targets, rows = y[rows].to(inputs.device), rows.to(inputs.device)
        n_classes, share = weights[-1].shape[-1], self.label_smoothing
        soft = (1 - share) * torch.eye(n_classes).to(inputs) + share / n_classes
        jitter = torch.Generator().manual_seed(int(torch.randint(2**31, (), generator=generator)))
        vector, parts = in_one_vector(weights)
        slope, slopes = in_one_vector(weights)

        def gradients(step: int, _: Weights) -> Gradients:
            batch = picked(inputs, rows[step])
            noise = torch.randn(batch.shape[1:], generator=jitter, dtype=inputs.dtype, device="cpu")
            # In place: of thousands of columns each copy is many times the rows.
            batch.add_(noise.to(inputs.device), alpha=self.noise_std)
            cross_entropy_gradients(parts, batch, soft[targets[step]], slopes)
            return (slope,)

        steps = ((step / self.max_iter, step) for step in range(self.max_iter))
        fit_weights(
            (vector,),
            gradients,
            steps,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
        )
        return tuple(part.clone() for part in parts)


def stratified_folds(y: Int[Tensor, " rows"], cv: int, generator: torch.Generator) -> Tensor:
    """A fold for each row (on the CPU); each class has an equal share in every fold."""
    fold = torch.empty(len(y), dtype=torch.long)
    y = y.cpu()
    for label in y.unique():
        rows = (y == label).nonzero()[:, 0]
        turns = torch.arange(len(rows)) + torch.randint(cv, (), generator=generator)
        fold[rows[torch.randperm(len(rows), generator=generator)]] = turns % cv
    return fold


def balanced_rows(
    y: Int[Tensor, " rows"],
    fold_of_row: Int[Tensor, " rows"],
    fold_of_member: Int[Tensor, " members"],
    max_iter: int,
    batch_size: int,
    generator: torch.Generator,
    sample_weight: Float[Tensor, " rows"] | None = None,
) -> Int[Tensor, "steps members batch"]:
    """Rows to train on: equally many of each class, none of a member's own fold."""
    classes = y.unique()
    batch_size = max(batch_size, len(classes))  # Each class needs a row.
    drawn = torch.empty(max_iter, len(fold_of_member), batch_size, dtype=torch.long)
    for member, fold in enumerate(fold_of_member):
        is_known = fold_of_row != fold
        pools = [((y == label) & is_known).nonzero()[:, 0] for label in classes]
        pools = [pool for pool in pools if len(pool)] or [torch.arange(len(y))]
        for k, pool in enumerate(pools):
            slots = drawn[:, member, k :: len(pools)]
            of_pool = None if sample_weight is None else sample_weight[pool]
            slots.copy_(pool[places_in_pool(len(pool), of_pool, slots.shape, generator)])
    return drawn


def places_in_pool(
    count: int,
    weight: Float[Tensor, " pool"] | None,
    shape: torch.Size,
    generator: torch.Generator,
) -> Int[Tensor, "*shape"]:
    """Random places among `count` ones, all equally probable or in proportion to their weights."""
    if weight is None:
        return torch.randint(count, shape, generator=generator)
    heights = weight.double().cumsum(0)
    at = torch.rand(shape, generator=generator, dtype=torch.float64) * heights[-1]
    return torch.searchsorted(heights, at, right=True).clamp_max(count - 1)


def held_out_logits(
    committee: Committee, features: Float[Tensor, "rows width"], batch_size: int = 4096
) -> Float[Tensor, "rows classes"]:
    """Logits of the committee's training rows, each from the members that have not seen it."""
    logits = features.new_empty(len(features), committee.weights[-1].shape[-1])
    for fold in committee.fold_of_member.unique().tolist():
        members = committee.held_out_members(fold)
        for rows in (committee.fold_of_row == fold).nonzero()[:, 0].split(batch_size):
            some = rows.to(features.device)
            logits[some] = members.read(features[some]).mean(0)
    return logits
