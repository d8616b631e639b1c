"""Label agreement and plausibility, by those who had no part in making the row.

Agreement: the mean probability that members not attacked give the label. Plausibility: a
conformal p-value, how usual the row's distance to its class is among the class's own rows.
"""

from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.core.neighbors import nearest
from advaug.core.parameters import Parameters
from advaug.core.ties import at_least
from advaug.sampling.judges.protocol import FittedJudge, Judge, Verdict
from advaug.sampling.judges.row_metrics import conformal

MOST_REFERENCES = 256  # rows of a class that distances are measured to


@dataclass
class ConformalJudge(Judge, Parameters):
    """Accept a row by the probability of its label and by its distance to the class.

    Parameters
    ----------
    min_probability : float in [0, 1]
        Least mean probability of the row's label among the members that were not attacked.
    alpha : float in [0, 1]
        Least class-conditional conformal p-value (Vovk, Gammerman, Shafer. Algorithmic Learning
        in a Random World, 2005) of the mean distance to the nearest rows of the class. A class
        of fewer than 1 / alpha rows can never fail it.
    n_neighbors : int
        How many nearest rows.

    See Also
    --------
    advaug.judges.PanelJudge :
        A judge that queries other model families and compares each answer with those of real rows.
    advaug.judges.DescriptorBandJudge :
        A judge that also rejects rows with descriptors that hardly any real row has.

    Examples
    --------
    >>> from advaug.judges import ConformalJudge
    >>> ConformalJudge(alpha=0.01).min_probability
    0.5
    """

    min_probability: float = 0.5
    alpha: float = 0.05
    n_neighbors: int = 3

    def fit(
        self,
        x: Float[Tensor, "rows width"],
        y: Int[Tensor, " rows"],
        label: int,
        generator: torch.Generator,
    ) -> "FittedConformalJudge":
        """Learn how far the class's own rows (at least one) lie from each other."""
        own = (y == label).nonzero()[:, 0]
        few = torch.randperm(len(own), generator=generator)[:MOST_REFERENCES]
        reference = x[own[few]]
        if len(reference) > 1:
            distance, _ = nearest(reference, reference, self.n_neighbors, skips_self=True)
            usual = distance.mean(1).sort().values
        else:
            usual = torch.empty(0, device=x.device)
        return FittedConformalJudge(self, reference, usual)


@dataclass(frozen=True)
class FittedConformalJudge(FittedJudge):
    """A judge that has seen a class."""

    judge: ConformalJudge
    reference: Float[Tensor, "references width"]
    usual: Float[Tensor, " references"]

    def to(self, device: torch.device | str) -> Self:
        """The same judge on another device."""
        return replace(self, reference=self.reference.to(device), usual=self.usual.to(device))

    def p_value(self, x: Float[Tensor, "batch width"]) -> Float[Tensor, " batch"]:
        """Share of the class's rows that lie at least as far from their neighbours as x does."""
        k = min(self.judge.n_neighbors, max(len(self.reference) - 1, 1))
        distance = nearest(x, self.reference, k)[0].mean(1)
        return conformal(self.usual, distance)

    def verdict(
        self, x: Float[Tensor, "batch width"], probability: Float[Tensor, " batch"]
    ) -> Verdict:
        """Judge rows whose label the voters give `probability`."""
        p_value = self.p_value(x)
        agrees = at_least(probability, self.judge.min_probability)
        accepts = agrees & (p_value >= self.judge.alpha)  # a p-value is a ratio of counts
        return Verdict(accepts, p_value)
