"""The shrunk eigenbasis of signals: moves that are combinations of how real ones differ."""

from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from advaug.core.tensor_fields import MovableFields

LEAST = 1e-6  # of the largest eigenvalue: below it is rounding


@dataclass(frozen=True)
class Eigenbasis(MovableFields):
    """Directions in which signals differ, over all channels and times at once, and how far.

    Where a spectrum treats all times alike, these moves stand where the signals' own differences
    do. There are fewer directions than signals: nothing else moves.

    Parameters
    ----------
    axes : Tensor (axes, channels, time)
        Of length 1, at right angles.
    sizes : Tensor (axes,)
        Standard deviations along them, their squares shrunk towards the mean variance of all cells.

    References
    ----------
    Zhu, Luo, Zhang, Li, Ren, Zeng. Minority oversampling for imbalanced time series classification.
    Knowledge-Based Systems 2022 (the covariance of OHIT). Ledoit, Wolf. A well-conditioned
    estimator for large-dimensional covariance matrices. Journal of Multivariate Analysis 2004.
    """

    axes: Float[Tensor, "axes channels time"]
    sizes: Float[Tensor, " axes"]

    @classmethod
    def of(cls, x: Float[Tensor, "rows channels time"]) -> Self:
        """That of some signals; none where they do not differ."""
        flat = (x - x.mean(0)).flatten(1).double()
        _, size, axes = torch.linalg.svd(flat, full_matrices=False)
        variance = size.square() / len(x)
        kept = variance > LEAST * variance.max().clamp_min(1e-300)
        share = shrinkage(flat, variance)
        shrunk = (1 - share) * variance + share * variance.sum() / flat.shape[1]
        rows = axes[kept].view(-1, *x.shape[1:])
        return cls(rows.to(x), shrunk[kept].sqrt().to(x))

    def shaped(self, move: Float[Tensor, "batch channels time"]) -> Tensor:
        """The move along the axes, each share of it as long as signals differ there."""
        return self._along(move, self.sizes)

    def limited(self, move: Float[Tensor, "batch channels time"]) -> Tensor:
        """Without what lies off the axes."""
        return self._along(move, torch.ones_like(self.sizes))

    def _along(self, move: Tensor, lengths: Tensor) -> Tensor:
        if move.shape[2] != self.axes.shape[2]:
            raise ValueError(
                f"signals have {move.shape[2]} samples, but the eigenbasis was learnt on "
                f"{self.axes.shape[2]}: pass signals no longer than in fit, or take band='data'"
            )
        axes = self.axes.flatten(1)
        made: Tensor = (move.flatten(1) @ axes.T * lengths) @ axes
        return made.view_as(move)


def shrinkage(flat: Float[Tensor, "rows cells"], variance: Float[Tensor, " axes"]) -> float:
    """Ledoit and Wolf's share of the mean variance, from centred rows and their eigenvalues."""
    n, cells = flat.shape
    square = variance.square().sum()
    apart = square - variance.sum().square() / cells
    noise = (flat.square().sum(1).square().sum() / n - square) / n
    return float((noise / apart.clamp_min(1e-300)).clamp(0, 1))
