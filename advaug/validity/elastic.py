"""Plausibility of signals by dynamic time warping: the same shape a little later is as usual.

A row is compared with the class's signals that lie nearest to it cell by cell; among these the
warped distance decides.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.neighbours import nearest
from advaug.settings import Settings
from advaug.validity.judge import MOST_REFERENCES
from advaug.validity.protocol import Verdict
from advaug.validity.signs import conformal

CELLS = 2**23  # of signals warped at once


@dataclass
class Elastic(Settings):
    """As `Judge`, with dynamic time warping for the distance; in place of the band, not beside it.

    Parameters
    ----------
    agreement : float in [0, 1]
        Least mean probability of the row's label.
    plausibility : float in [0, 1]
        Least conformal p-value of the mean warped distance to the nearest signals of the class.
    neighbours : int
        How many nearest signals.
    window : float in [0, 1]
        How far time may be warped, as a share of the length (Sakoe, Chiba. Dynamic programming
        algorithm optimization for spoken word recognition. IEEE TASSP, 1978).
    candidates : int
        Of how many signals, the nearest cell by cell, the warped distance is taken.

    Examples
    --------
    >>> from advaug.validity import Elastic
    >>> Elastic(window=0.2).candidates  # AdversarialOverSampler(judge=Elastic(window=0.2))
    10
    """

    reads_rows: ClassVar[bool] = True
    agreement: float = 0.5
    plausibility: float = 0.05
    neighbours: int = 3
    window: float = 0.1
    candidates: int = 10

    def fit(
        self,
        x: Float[Tensor, "rows channels time"],
        y: Int[Tensor, " rows"],
        label: int,
        generator: torch.Generator,
    ) -> "ElasticBench":
        """Learn how far the class's own signals lie from each other."""
        if x.dim() != 3:
            raise ValueError("Elastic judges signals (n, channels, time): use Judge() elsewhere")
        own = (y == label).nonzero()[:, 0]
        few = torch.randperm(len(own), generator=generator)[:MOST_REFERENCES]
        bench = ElasticBench(self, x[own[few]], x.new_empty(0))
        if len(few) < 2:
            return bench
        return replace(bench, usual=bench.strangeness(x[own[few]], skips_self=True).sort().values)


@dataclass(frozen=True)
class ElasticBench:
    """An elastic judge that has seen a class; flags of missing cells are channels among others."""

    judge: Elastic
    reference: Float[Tensor, "references channels time"]
    usual: Float[Tensor, " references"]

    def to(self, device: torch.device | str) -> Self:
        """The same bench on another device."""
        return replace(self, reference=self.reference.to(device), usual=self.usual.to(device))

    def strangeness(
        self, x: Float[Tensor, "batch channels time"], *, skips_self: bool = False
    ) -> Float[Tensor, " batch"]:
        """Mean warped distance to the nearest signals of the class."""
        few = min(self.judge.candidates, max(len(self.reference) - 1, 1))
        flat = self.reference.flatten(1)
        _, place = nearest(x.flatten(1), flat, few, skips_self=skips_self)
        window, found = round(self.judge.window * x.shape[2]), []
        for rows, places in zip(
            x.split(height := max(CELLS // (few * x[0].numel()), 1)),
            place.split(height),
            strict=True,
        ):
            pairs = rows[:, None].expand(-1, few, -1, -1).flatten(0, 1)
            distance = warped(pairs, self.reference[places.flatten()], window)
            near = distance.view(-1, few).sort(1).values[:, : self.judge.neighbours]
            found.append(near.sqrt().mean(1))
        return torch.cat(found) if found else x.new_empty(0)

    def verdict(
        self, x: Float[Tensor, "batch channels time"], probability: Float[Tensor, " batch"]
    ) -> Verdict:
        """Judge signals whose label the jury gives `probability`."""
        p_value = conformal(self.usual, self.strangeness(x))
        keeps = (probability >= self.judge.agreement) & (p_value >= self.judge.plausibility)
        return Verdict(keeps, probability, p_value)


def warped(
    a: Float[Tensor, "pairs channels time"], b: Float[Tensor, "pairs channels time"], window: int
) -> Float[Tensor, " pairs"]:
    """Least sum of squared differences over all ways to run through both signals of a pair at
    once, at no time farther apart than the window; all pairs go diagonal by diagonal."""
    time = a.shape[2]
    window = min(window, time - 1)
    # A cell (i, j) stands at its offset i - j, shifted so that infinity lies on both sides.
    total = a.new_full((2, len(a), 2 * window + 3), torch.inf)
    last, before = total[0], total[1]
    for diagonal in range(2 * time - 1):
        reach = min(window, diagonal, 2 * (time - 1) - diagonal)
        offset = torch.arange(-reach, reach + 1, device=a.device)
        offset = offset[(offset + diagonal) % 2 == 0]
        i, j, at = (diagonal + offset) // 2, (diagonal - offset) // 2, offset + window + 1
        cost = (a[:, :, i] - b[:, :, j]).square().sum(1)
        ways = torch.stack([last[:, at - 1], last[:, at + 1], before[:, at]]).amin(0)
        now = torch.full_like(last, torch.inf)
        now[:, at] = cost if diagonal == 0 else cost + ways
        last, before = now, last
    return last[:, window + 1]
