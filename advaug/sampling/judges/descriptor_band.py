"""Some features of a new row must lie where its class's own rows have them: a physical band.

For signals these are the power in each band of frequency, the steps and the correlations of
channels: what an attack changes first that knows nothing of signals.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.core.parameters import Parameters
from advaug.core.short_repr import ShortRepr
from advaug.core.ties import at_most
from advaug.sampling.judges.protocol import FittedJudge, Judge, Verdict

LEAST = 0.1  # standard deviation of a class's feature below which its band is not narrowed


@dataclass(repr=False)
class DescriptorBandJudge(ShortRepr, Judge, Parameters):
    """A judge that also rejects rows with descriptors that hardly any real row has.

    A row is as strange as its strangest feature, in standard deviations of the class, max over k
    of ``|f_k - mean_k| / sd_k``. Real rows are measured by the others of their class.

    Parameters
    ----------
    judge : a judge
        A row must be accepted by it too.
    columns : slice
        The descriptors among the features.
    alpha : float in [0, 1]
        Share of the real rows of all classes that would be rejected. The band of a class of a dozen
        rows is uncertain: of the rows that the default accepts 98.6 % were inside the band that
        all rows of the class show (`python -m benchmarks.signals`).

    See Also
    --------
    advaug.judges.ConformalJudge :
        Accept a row by the probability of its label and by its distance to the class.

    Examples
    --------
    >>> import torch
    >>> from advaug.judges import DescriptorBandJudge, ConformalJudge
    >>> source = torch.Generator().manual_seed(0)
    >>> x, y = torch.randn(200, 2, generator=source), torch.arange(200) % 2
    >>> fitted = DescriptorBandJudge(ConformalJudge(), slice(0, 1)).fit(x, y, 1, source)
    >>> fitted.is_inside(torch.tensor([[0.0, 99.0], [9.0, 0.0]]))
    tensor([ True, False])
    """

    requires: ClassVar[frozenset[str]] = frozenset({"descriptors"})
    judge: Judge
    columns: slice
    alpha: float = 0.1

    def fit(
        self,
        x: Float[Tensor, "rows width"],
        y: Int[Tensor, " rows"],
        label: int,
        generator: torch.Generator,
    ) -> "FittedDescriptorBand":
        """Learn the class's band, and from all classes how strange real rows are."""
        seen = x[:, self.columns]
        strange = [left_out(seen[y == one]) for one in y.unique()]
        edge = torch.cat(strange).quantile(1 - self.alpha)
        own = seen[y == label]
        return FittedDescriptorBand(
            inner=self.judge.fit(x, y, label, generator),
            columns=self.columns,
            center=own.mean(0),
            spread=own.std(0, correction=0).clamp_min(LEAST),
            edge=edge,
        )


def left_out(own: Float[Tensor, "own descriptors"]) -> Float[Tensor, " own"]:
    """How strange each row of a class is, its own part in mean and deviation taken out."""
    n = len(own)
    if n < 3:
        return own.new_empty(0)
    off = (own - own.mean(0)) * n / (n - 1)
    variance = (own.var(0, correction=0) * n - off.square() * (n - 1) / n) / (n - 1)
    return (off.abs() / variance.clamp_min(0).sqrt().clamp_min(LEAST)).amax(1)


@dataclass(frozen=True)
class FittedDescriptorBand(FittedJudge):
    """A `DescriptorBandJudge` that has seen a class."""

    inner: FittedJudge
    columns: slice
    center: Float[Tensor, " descriptors"]
    spread: Float[Tensor, " descriptors"]
    edge: Float[Tensor, ""]

    def to(self, device: torch.device | str) -> Self:
        """The same judge on another device."""
        return replace(
            self,
            inner=self.inner.to(device),
            center=self.center.to(device),
            spread=self.spread.to(device),
            edge=self.edge.to(device),
        )

    def is_inside(self, x: Float[Tensor, "batch width"]) -> Tensor:
        """(batch,) of bool: rows no stranger than nearly all real ones."""
        return self._holds(x[:, self.columns])

    def _holds(self, described: Float[Tensor, "batch descriptors"]) -> Tensor:
        off = (described - self.center).abs() / self.spread
        return at_most(off.amax(1), self.edge)

    def admits(self, described: Float[Tensor, "batch descriptors"], columns: slice) -> Tensor:
        """Those inside the band, where it is a band of these descriptors."""
        return (
            self._holds(described)
            if columns == self.columns
            else super().admits(described, columns)
        )

    def verdict(
        self, x: Float[Tensor, "batch width"], probability: Float[Tensor, " batch"]
    ) -> Verdict:
        """Rows that the inner judge accepts and that are inside the band."""
        verdict = self.inner.verdict(x, probability)
        return replace(verdict, accepts=verdict.accepts & self.is_inside(x))
