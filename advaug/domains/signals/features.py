"""What a committee sees of a signal: how often and how strongly it looks like short random shapes.

Convolutions with dilated kernels, pooled over time, and plain summaries: level, power by
frequency, steps, correlation of the channels. Differentiable, free of the length, blind to what
is missing.
"""

import math
from dataclasses import dataclass, replace
from itertools import combinations
from typing import ClassVar, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool1d, conv1d

from advaug.core.tensor_fields import MovableFields

TAPS = 9
SHAPES = tuple(combinations(range(TAPS), 3))  # where the three high taps of a kernel stand
LOOKED_AT = 400  # rows from which thresholds and scales are learnt
LOOKED_AT_VALUES = 4000  # convolved values of each kernel from which its thresholds are learnt
CELLS = 2**19  # convolved values held at once
QUIET = 1e-6  # power below it is silence: 60 dB under a channel's own
LEAST = 0.02  # standard deviation below which a feature is not blown up


@dataclass(frozen=True)
class ConvolutionFeatures(MovableFields):
    """Rows (batch, channels, time), or (batch, 2 * channels, time) with flags of missing cells.

    For each kernel the shares of time above three thresholds (soft, at learnt quantiles) and the
    maximum: after MiniRocket (Dempster, Schmidt, Webb. KDD 2021) and Rocket (DMKD 2020).

    Parameters
    ----------
    kernels : tuple of Tensor (count, channels, 9), one for each dilation 1, 2, 4, ...
    thresholds : Tensor (kernels, 3)
    softness : Tensor (kernels,), width of a threshold's edge
    edges : Tensor (bands,)
        Upper edges of the bands in which power is summed up, in cycles per step.
    segments : int
        Into how many segments of time each channel is summed up.
    center, scale : Tensor (width,)
        Mean and standard deviation of each feature.
    """

    is_differentiable: ClassVar[bool] = True
    kernels: tuple[Tensor, ...]
    thresholds: Tensor
    softness: Tensor
    edges: Tensor
    segments: int
    center: Tensor
    scale: Tensor

    @property
    def channels(self) -> int:
        return self.kernels[0].shape[1]

    def __call__(self, x: Float[Tensor, "batch rows time"]) -> Float[Tensor, "batch width"]:
        height = max(CELLS // (x.shape[2] * max(len(some) for some in self.kernels)), 1)
        parts = [self._raw(rows) for rows in x.split(height)]
        return (torch.cat(parts) - self.center) / self.scale

    @property
    def descriptors(self) -> slice:
        """Powers by frequency, steps and correlations: the last features."""
        channels = self.channels
        pairs_seen = pairs(channels).shape[1]
        return slice(-(channels * (len(self.edges) + 2) + pairs_seen), None)

    def describe(self, x: Float[Tensor, "batch rows time"]) -> Float[Tensor, "batch descriptors"]:
        """Without the convolutions, which take nine tenths of the time."""
        last = self.descriptors
        return (self._described(*parted(x, self.channels)) - self.center[last]) / self.scale[last]

    def _raw(self, x: Float[Tensor, "batch rows time"]) -> Float[Tensor, "batch width"]:
        values, there = parted(x, self.channels)
        seen = [
            self._pooled(values, there.amax(1, keepdim=True)),
            placed(values, there, self.segments),
            self._described(values, there),
        ]
        return torch.cat(seen, 1)

    def _described(
        self, values: Float[Tensor, "batch channels time"], there: Float[Tensor, "batch c time"]
    ) -> Float[Tensor, "batch descriptors"]:
        seen = powers(values, there, self.edges), steps(values, there), correlations(values, there)
        return torch.cat(seen, 1)

    def _pooled(
        self, values: Float[Tensor, "batch channels time"], there: Float[Tensor, "batch 1 time"]
    ) -> Float[Tensor, "batch pooled"]:
        """Shares of time above the thresholds, and maxima."""
        first, pooled, is_missing = 0, [], there == 0
        has_missing = bool(is_missing.any())
        share = (there / there.sum(2, keepdim=True).clamp_min(1)).transpose(1, 2)
        for level, some in enumerate(self.kernels):
            at = slice(first, first + len(some))
            soft = self.softness[at, None]
            found = convolved(values, some, 2**level) / soft
            for threshold in (self.thresholds[at] / soft).unbind(1):
                above = (found - threshold[:, None]).sigmoid_()
                pooled.append((above @ share)[:, :, 0])
            found = found.masked_fill(is_missing, -90.0) if has_missing else found
            pooled.append(found.amax(2) / 10)
            first += len(some)
        return torch.cat(pooled, 1)

    @classmethod
    def learn(
        cls,
        x: Float[Tensor, "rows rows2 time"],
        channels: int,
        generator: torch.Generator,
        count: int = 80,
    ) -> Self:
        """`count` random kernels, with thresholds and scales from some of the rows."""
        few = torch.randperm(len(x), generator=generator)[:LOOKED_AT]
        values, there = parted(x[few], channels)
        kernels = drawn(channels, x.shape[2], count, generator)
        quantile = torch.rand(3, generator=generator, dtype=torch.float32) / 3
        quantile = quantile + torch.arange(3) / 3
        thresholds, softness = [], []
        for level, some in enumerate(kernels):
            found = convolved(values, some, 2**level).transpose(0, 1).flatten(1)
            found = found[:, there.amax(1).flatten() > 0]
            found = found[:, :: max(found.shape[1] // LOOKED_AT_VALUES, 1)]
            thresholds.append(found.quantile(quantile.to(found), dim=1).T)
            softness.append(0.1 * found.std(1, correction=0).clamp_min(1e-3))
        most = max(64 // channels, 1)
        blank = cls(
            kernels=kernels,
            thresholds=torch.cat(thresholds),
            softness=torch.cat(softness),
            edges=edges_of(x.shape[2], min(8, most)),
            segments=min(16, most, x.shape[2]),
            center=x.new_zeros(()),
            scale=x.new_ones(()),
        )
        seen = blank(x[few])
        scale = seen.std(0, correction=0).clamp_min(LEAST)
        return replace(blank, center=seen.mean(0), scale=scale)


def parted(
    x: Float[Tensor, "batch rows time"], channels: int
) -> tuple[Float[Tensor, "batch channels time"], Float[Tensor, "batch channels time"]]:
    """Values, and 1 where there is one."""
    values = x[:, :channels]
    return values, torch.ones_like(values) if x.shape[1] == channels else 1 - x[:, channels:]


def drawn(
    channels: int, time: int, count: int, generator: torch.Generator
) -> tuple[Float[Tensor, "some channels taps"], ...]:
    """Kernels of six low and three high taps on a few channels each, for every dilation."""
    levels = max(int(math.log2(max(time - 1, 1) / (TAPS - 1))) + 1, 1)
    kernels = []
    for level in range(levels):
        some = count // levels + (level < count % levels)
        shape = torch.full((some, TAPS), -1.0)
        which = torch.randint(len(SHAPES), (some,), generator=generator)
        shape.scatter_(1, torch.tensor(SHAPES)[which], 2.0)
        # One channel most often, all of them least often.
        chance = torch.rand((some, channels), generator=generator, dtype=torch.float32)
        wanted = channels ** torch.rand((some, 1), generator=generator, dtype=torch.float32)
        chosen = chance.argsort(1).argsort(1) < wanted.round()
        sign = 1 - 2 * torch.randint(2, (some, channels), generator=generator)
        kernels.append(shape[:, None] * (chosen * sign)[:, :, None])
    return tuple(kernels)


def convolved(
    values: Float[Tensor, "batch channels time"],
    kernels: Float[Tensor, "some channels taps"],
    dilation: int,
) -> Float[Tensor, "batch some time"]:
    """Each kernel laid over each place; beyond the ends there is nothing."""
    return conv1d(values, kernels, dilation=dilation, padding=dilation * (TAPS // 2))


def placed(
    values: Float[Tensor, "batch channels time"],
    there: Float[Tensor, "batch channels time"],
    segments: int,
) -> Float[Tensor, "batch means"]:
    """Each channel's mean in each segment of time."""
    share = adaptive_avg_pool1d(there, segments).clamp_min(1e-3)
    return (adaptive_avg_pool1d(values * there, segments) / share).flatten(1)


def moments(
    values: Float[Tensor, "batch channels time"], there: Float[Tensor, "batch channels time"]
) -> tuple[Tensor, Tensor, Tensor]:
    """Deviations from each signal's own mean, their number and their mean square."""
    count = there.sum(2).clamp_min(1)
    mean = (values * there).sum(2) / count
    off = (values - mean[:, :, None]) * there
    return off, count, off.square().sum(2) / count


def edges_of(time: int, most: int) -> Float[Tensor, " bands"]:
    """Upper edges of at most so many bands, each an equal ratio wide, in cycles per step."""
    high = max(time // 2, 1)
    last = torch.unique((high ** (torch.arange(most + 1) / most)).round())
    edges: Tensor = (last + 0.5) / time
    edges[-1] = 1.0
    return edges


def powers(
    values: Float[Tensor, "batch channels time"],
    there: Float[Tensor, "batch channels time"],
    edges: Float[Tensor, " bands"],
) -> Float[Tensor, "batch powers"]:
    """Log mean power of each channel in each band of frequency."""
    off, count, _ = moments(values, there)
    # Some libraries transform no empty batch.
    spectrum = (
        torch.fft.rfft(off) if len(off) else off.new_zeros(*off.shape[:2], off.shape[2] // 2 + 1)
    )
    power = spectrum.abs().square()[:, :, 1:] / count[:, :, None]
    rate = torch.arange(1, power.shape[2] + 1, device=off.device) / off.shape[2]
    member = torch.bucketize(rate, edges)[:, None] == torch.arange(len(edges), device=off.device)
    mean = member.to(power) / member.sum(0).clamp_min(1)
    summed: Tensor = power @ mean
    return (summed + QUIET).log().flatten(1)


def steps(
    values: Float[Tensor, "batch channels time"], there: Float[Tensor, "batch channels time"]
) -> Float[Tensor, "batch steps"]:
    """Log root mean square of the steps from one time to the next, and the largest one's log."""
    both = there[:, :, 1:] * there[:, :, :-1]
    square = ((values[:, :, 1:] - values[:, :, :-1]) * both).square()
    mean = square.sum(2) / both.sum(2).clamp_min(1)
    largest = square.amax(2) if square.shape[2] else mean
    return torch.cat([(mean + QUIET).log() / 2, (largest + QUIET).log() / 2], 1)


def correlations(
    values: Float[Tensor, "batch channels time"], there: Float[Tensor, "batch channels time"]
) -> Float[Tensor, "batch pairs"]:
    """Correlation of each pair of channels."""
    off, count, square = moments(values, there)
    unit = off / (square * count + QUIET).sqrt()[:, :, None]
    one, two = pairs(values.shape[1]).to(values.device)
    return (unit[:, one] * unit[:, two]).sum(2)


def pairs(channels: int) -> Int[Tensor, "2 pairs"]:
    """Every pair of channels, of at most 10 channels."""
    few = min(channels, 10)
    return torch.triu_indices(few, few, 1)
