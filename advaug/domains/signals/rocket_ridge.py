"""Cross-fitted linear models on thousands of convolutions of a signal, for the teacher of signals.

The features are those of the Rocket family: each kernel of a fixed set is laid over the signal and
over its first differences, and says for how much of the time, and how far, it is above thresholds.
Each member is a ridge regression of the classes, in closed form, on the rows outside one fold.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot, pad

from advaug.core.devices import at_once
from advaug.core.features import Features
from advaug.core.parameters import Parameters
from advaug.core.storable import storable
from advaug.core.tensor_fields import MovableFields, TensorFields
from advaug.domains.signals.features import ConvolutionFeatures, parted
from advaug.models.calibration import calibrated, class_weights
from advaug.models.committee import stratified_folds
from advaug.models.protocol import CrossFitted, Surrogate
from advaug.sampling.encoded_dataset import sample_of_classes
from advaug.sampling.voters import draw_seed

TAPS = 9
HIGH_TAPS = tuple(combinations(range(TAPS), 3))
LOOKED_AT = 100  # rows from which thresholds are learnt
LOOKED_AT_VALUES = 4000  # convolved values of each kernel from which its thresholds are learnt
THRESHOLDS = 3
CELLS = 2**20  # convolved values that a CPU holds at once
LEAST = 1e-6  # standard deviation under which a feature says nothing
PENALTIES = 10.0 ** torch.arange(-5, 3)


def fixed_kernels() -> Float[Tensor, "84 taps"]:
    """All kernels of six weights -1 and three weights 2, whose sum is 0."""
    kernels = torch.full((len(HIGH_TAPS), TAPS), -1.0)
    return kernels.scatter_(1, torch.tensor(HIGH_TAPS), 2.0)


@dataclass(frozen=True)
class KernelBank(MovableFields):
    """The kernels at one dilation, on one sum of channels.

    Parameters
    ----------
    is_difference : bool
        Whether they read the steps from one time to the next instead of the values.
    dilation : int
    mix : Tensor (channels,)
        The weight of each channel in the sum: -1, 0 or 1.
    thresholds : Tensor (84, 3)
    """

    is_difference: bool
    dilation: int
    mix: Float[Tensor, " channels"]
    thresholds: Float[Tensor, "84 3"]

    @classmethod
    def learn(
        cls,
        is_difference: bool,
        dilation: int,
        mix: Float[Tensor, " channels"],
        values: Float[Tensor, "batch channels time"],
        there: Float[Tensor, "batch time"],
    ) -> Self:
        """Thresholds at three quantiles of what each kernel gives."""
        found, there = convolved(values, there, mix, dilation, is_difference)
        seen = found.transpose(0, 1)[:, there > 0]
        seen = seen[:, :: max(seen.shape[1] // LOOKED_AT_VALUES, 1)]
        quantile = (torch.arange(THRESHOLDS) + 0.5) / THRESHOLDS
        return cls(is_difference, dilation, mix, seen.quantile(quantile.to(seen), dim=1).T)

    def __call__(
        self, values: Float[Tensor, "batch channels time"], there: Float[Tensor, "batch time"]
    ) -> Float[Tensor, "batch features"]:
        """For each kernel the shares of time above the thresholds, the mean of what lies above the
        middle one, and the largest value."""
        found, there = convolved(values, there, self.mix, self.dilation, self.is_difference)
        share = (there / there.sum(1, keepdim=True).clamp_min(1))[:, :, None]
        is_above = [found > level[:, None] for level in self.thresholds.unbind(1)]
        pooled = [(above.to(found) @ share)[..., 0] for above in is_above]
        middle = is_above[THRESHOLDS // 2] * there[:, None]
        mean = (found * middle).sum(2) / middle.sum(2).clamp_min(1)
        largest = found.masked_fill(there[:, None] == 0, -math.inf).amax(2)
        return torch.cat([*pooled, mean, largest.nan_to_num(neginf=0.0)], 1)


def convolved(
    values: Float[Tensor, "batch channels time"],
    there: Float[Tensor, "batch time"],
    mix: Float[Tensor, " channels"],
    dilation: int,
    is_difference: bool,
) -> tuple[Float[Tensor, "batch 84 steps"], Float[Tensor, "batch steps"]]:
    """What each kernel gives at each time, and where there is something to see."""
    signal = torch.einsum("c,nct->nt", mix, values)
    if is_difference:
        there = there[:, 1:] * there[:, :-1]
        signal = signal.diff(dim=1) * there
    reach = dilation * (TAPS // 2)
    wide = pad(signal, (reach, reach))
    shifted = [wide[:, k * dilation :][:, : signal.shape[1]] for k in range(TAPS)]
    return fixed_kernels().to(signal) @ torch.stack(shifted, 1), there


@dataclass(frozen=True)
class RocketFeatures(MovableFields):
    """Pooled convolutions of signals, each of mean 0 and deviation 1 in the rows that were learnt.

    Parameters
    ----------
    banks : tuple of KernelBank
    channels : int
    center, scale : Tensor (width,)
    """

    banks: tuple[KernelBank, ...]
    channels: int
    center: Float[Tensor, " width"]
    scale: Float[Tensor, " width"]

    @classmethod
    def learn(
        cls,
        x: Float[Tensor, "rows rows2 time"],
        channels: int,
        n_dilations: int,
        generator: torch.Generator,
    ) -> Self:
        """Thresholds from some of the rows, scales from all of them."""
        few = x[torch.randperm(len(x), generator=generator)[:LOOKED_AT]]
        values, there = parted(few, channels)
        there = there.amax(1)
        has_steps = x.shape[2] > TAPS and bool((there[:, 1:] * there[:, :-1]).any())
        banks: list[KernelBank] = []
        for is_difference in (False, True) if has_steps else (False,):
            highest = math.log2(max((x.shape[2] - 1 - is_difference) / (TAPS - 1), 1))
            for power in torch.linspace(0, highest, n_dilations).tolist():
                mix = drawn_mix(channels, generator)
                banks.append(KernelBank.learn(is_difference, int(2**power), mix, values, there))
        seen = pooled(x, banks, channels)
        return cls(tuple(banks), channels, seen.mean(0), seen.std(0, correction=0))

    def __call__(self, x: Float[Tensor, "batch rows time"]) -> Float[Tensor, "batch width"]:
        scaled = (pooled(x, self.banks, self.channels) - self.center) / self.scale
        return torch.where(self.scale > LEAST, scaled, 0.0)


def pooled(
    x: Float[Tensor, "batch rows time"], banks: Sequence[KernelBank], channels: int
) -> Float[Tensor, "batch width"]:
    """What all banks give for signals."""
    parts = []
    for rows in few_at_once(x):
        values, there = parted(rows, channels)
        parts.append(torch.cat([bank(values, there.amax(1)) for bank in banks], 1))
    return torch.cat(parts)


def few_at_once(x: Float[Tensor, "batch rows time"]) -> list[Tensor]:
    """Signals in parts, so that memory stays bounded."""
    return [*x.split(max(at_once(x.device, CELLS) // (x.shape[2] * len(HIGH_TAPS)), 1))]


def drawn_mix(channels: int, generator: torch.Generator) -> Float[Tensor, " channels"]:
    """One channel most often, the signed sum of all of them least often."""
    wanted = channels ** torch.rand((), generator=generator)
    chosen = torch.randperm(channels, generator=generator) < wanted.round()
    sign = 1 - 2 * torch.randint(2, (channels,), generator=generator)
    return (chosen * sign).float()


@dataclass(frozen=True, repr=False)
class FittedRocketRidge(CrossFitted, TensorFields):
    """Fitted members. Logits are `sharpness` * mean score + `offset` of the class.

    Parameters
    ----------
    features : RocketFeatures
    weights : Tensor (members, width, classes)
    bias : Tensor (members, 1, classes)
    sharpness : float
    offset : Tensor (classes,)
    fold_of_member : int Tensor (members,)
    fold_of_row : int Tensor (rows,)
    """

    features: RocketFeatures
    weights: Float[Tensor, "members width classes"]
    bias: Float[Tensor, "members 1 classes"]
    sharpness: float
    offset: Float[Tensor, " classes"]
    fold_of_member: Int[Tensor, " members"]
    fold_of_row: Int[Tensor, " rows"]

    @storable
    def member_logits(
        self, x: Float[Tensor, "batch rows time"]
    ) -> Float[Tensor, "members batch classes"]:
        """Each member's logits, few rows at a time."""
        parts = [self.features(rows) @ self.weights + self.bias for rows in few_at_once(x)]
        return self.sharpness * torch.cat(parts, 1) + self.offset

    @storable
    def probability(self, x: Float[Tensor, "batch rows time"]) -> Float[Tensor, "batch classes"]:
        """Of each class, in rows of classes that are equally frequent."""
        return self.logits(x).softmax(1)


@dataclass
class RocketRidge(Surrogate, Parameters):
    """Settings of cross-fitted linear models on convolutions; `fit` trains them.

    Parameters
    ----------
    cv : int
        Folds, and members: each learns the rows outside its own.
    n_dilations : int
        Dilations of the kernels, from 1 to where a kernel is as long as the signal.
    max_rows : int
        Rows that the members learn from, at most; each class has an equal part of them, or all of
        its rows.

    See Also
    --------
    advaug.CommitteeClassifier : Stacks them with nets and trees where rows are signals.

    References
    ----------
    Dempster, Schmidt, Webb. MiniRocket. KDD 2021. Tan, Dempster, Bergmeir, Webb. MultiRocket.
    Data Mining and Knowledge Discovery 2022.
    """

    cv: int = 8
    n_dilations: int = 6
    max_rows: int = 2000

    def fit(
        self,
        x: Float[Tensor, "rows rows2 time"],
        y: Int[Tensor, " rows"],
        n_classes: int,
        generator: torch.Generator,
        features: Features,
        sample_weight: Float[Tensor, " rows"] | None = None,
    ) -> FittedRocketRidge:
        """Train on encoded signals, whose channels `features` knows."""
        if not isinstance(features, ConvolutionFeatures):
            raise TypeError("RocketRidge needs signals: use a SignalAdapter, or leave it out")
        fold_of_row = stratified_folds(y, self.cv, generator)
        few = sample_of_classes(y, draw_seed(generator), max(self.max_rows // n_classes, 1))
        own = RocketFeatures.learn(x[few], features.channels, self.n_dilations, generator)
        rows, y, fold = own(x[few]), y[few], fold_of_row[few]
        each = torch.ones(len(y)) if sample_weight is None else sample_weight[few].float()
        heavy = each * class_weights(y, each, n_classes)[y]
        target = one_hot(y, n_classes).double() - 1 / n_classes
        members, held_out = [], torch.zeros(len(PENALTIES), len(y), n_classes).double()
        for one in range(self.cv):
            known, unseen = fold != one, fold == one
            members.append(ridges(rows[known], target[known], heavy[known]))
            held_out[:, unseen] = scores_of(rows[unseen], *members[-1])
        misfit = (heavy[:, None] * (held_out - target).square()).sum((1, 2))
        best = int(misfit.argmin())
        weights, bias = (torch.stack(part)[:, best].float() for part in zip(*members, strict=True))
        sharpness, offset = calibrated(held_out[best], y, each)
        folds = torch.arange(self.cv)
        return FittedRocketRidge(own, weights, bias, sharpness, offset, folds, fold_of_row)


def ridges(
    rows: Float[Tensor, "rows width"],
    target: Float[Tensor, "rows classes"],
    weight: Float[Tensor, " rows"],
) -> tuple[Float[Tensor, "penalties width classes"], Float[Tensor, "penalties 1 classes"]]:
    """For each of the penalties the weights and bias of the least
    sum_i weight_i (target_i - rows_i w / width - b)^2 + penalty (|w|^2 / width + b^2).

    There are fewer rows than features, so that the rows' products are decomposed.
    """
    rows, root = rows.double(), weight.double().sqrt()[:, None]
    kernel = rows @ rows.T / rows.shape[1] + 1
    size, along = torch.linalg.eigh(root * kernel * root.T)
    turned = along.T @ (root * target)
    solved = along @ (turned / (size.clamp_min(0)[:, None] + PENALTIES.double()[:, None, None]))
    dual = root * solved
    return rows.T @ dual / rows.shape[1], dual.sum(1, keepdim=True)


def scores_of(
    rows: Float[Tensor, "rows width"],
    weights: Float[Tensor, "penalties width classes"],
    bias: Float[Tensor, "penalties 1 classes"],
) -> Float[Tensor, "penalties rows classes"]:
    """Scores under each penalty."""
    return rows.double() @ weights + bias
