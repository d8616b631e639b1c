"""The full judge: families that were not attacked, and row metrics, each beside real rows.

A label is refused where the families are less sure of it than of nearly all real rows of the
class, held out: whatever the overlap of the classes, this share of real rows is accepted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.core.neighbors import nearest
from advaug.core.parameters import Parameters
from advaug.models.cross_fitted import CrossFittedModels, fit_cross_fitted
from advaug.models.protocol import ModelFamily
from advaug.sampling.judges.conformal import ConformalJudge, FittedConformalJudge
from advaug.sampling.judges.families import FAMILIES, agreement
from advaug.sampling.judges.protocol import FittedJudge, Judge, Verdict
from advaug.sampling.judges.row_metrics import (
    conformal,
    density,
    guessed_parent,
    is_hidden,
    left_out,
    novelty,
)

# Share of real rows whose label is rejected. On 17 tables with classes of 50 rows or more, the
# level that accepts 90 % of real rows held out wherever the classes can be told apart, and rejects
# the most rows of other classes there (benchmarks/judge.py).
LABEL_LEVEL = 0.06


@dataclass
class PanelJudge(Judge, Parameters):
    """A judge that queries other model families and compares each answer with those of real rows.

    Slower than `ConformalJudge` (several models a fold are trained) and independent of the nets
    that were attacked. It can be the sampler's judge, and it is the report's.

    Parameters
    ----------
    label_alpha : float in [0, 1]
        Least conformal p-value of the families' mean log-odds among held-out real rows of the
        class: of those, a share of 1 - label_alpha is accepted.
    alpha : float in [0, 1]
        Least conformal p-value of the distance to the class, as in `ConformalJudge`.
    n_neighbors : int
        How many nearest rows the distance is measured to.
    families : dict of name -> callable
        Each trains a kind of model: (x, y, n_classes, generator) -> (rows -> probabilities).

    See Also
    --------
    advaug.judges.ConformalJudge :
        Accept a row by the probability of its label and by its distance to the class.

    Examples
    --------
    >>> import torch
    >>> from advaug.judges import PanelJudge
    >>> source = torch.Generator().manual_seed(0)
    >>> x = torch.randn(200, 2, generator=source) + 3 * (torch.arange(200) % 2)[:, None]
    >>> fitted = PanelJudge().fit(x, torch.arange(200) % 2, 1, source)
    >>> rows = torch.tensor([[3.0, 3.0], [0.0, 0.0], [99.0, 99.0]])
    >>> fitted.verdict(rows, torch.ones(3)).accepts
    tensor([ True, False, False])
    """

    label_alpha: float = LABEL_LEVEL
    alpha: float = 0.05
    n_neighbors: int = 3
    families: Mapping[str, ModelFamily] = field(default_factory=lambda: dict(FAMILIES))

    def fit(
        self,
        x: Float[Tensor, "rows width"],
        y: Int[Tensor, " rows"],
        label: int,
        generator: torch.Generator,
    ) -> "FittedPanelJudge":
        """Train the families, and judge one class by them."""
        models = fit_cross_fitted(self.families, x, y, int(y.max()) + 1, generator)
        return self.for_class(models, x, y, label, generator)

    def for_class(
        self,
        models: CrossFittedModels,
        x: Tensor,
        y: Tensor,
        label: int,
        generator: torch.Generator,
    ) -> "FittedPanelJudge":
        """The judge of one class, with models that were trained on the rows."""
        own = (y == label).nonzero()[:, 0]
        fold = models.fold_of_row[own]
        held_out = agreement(models.probability(x[own], fold), label)
        lean = ConformalJudge(alpha=self.alpha, n_neighbors=self.n_neighbors)
        return FittedPanelJudge(
            panel=self,
            models=models,
            usual=lean.fit(x, y, label, generator),
            x=x,
            own=own,
            is_foreign=y != label,
            label=label,
            doubts=-held_out,
        )


@dataclass(frozen=True)
class FittedPanelJudge(FittedJudge):
    """A panel that has seen the rows and one class; it sits on the CPU."""

    panel: PanelJudge
    models: CrossFittedModels
    usual: FittedConformalJudge
    x: Float[Tensor, "rows width"]
    own: Int[Tensor, " own"]  # places of the class
    is_foreign: Tensor
    label: int
    doubts: Float[Tensor, " own"]  # the families' held-out log-odds against each row of the class

    def to(self, device: torch.device | str) -> Self:
        """Itself: rows are brought to the CPU when they are judged."""
        return self

    def log_odds(
        self, x: Float[Tensor, "batch width"], parent: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """The families' mean log-odds of the class, by models that did not see the parent."""
        return agreement(self.models.probability(x, self.models.fold_of_row[parent]), self.label)

    def ancestor(
        self, x: Float[Tensor, "batch width"], parent: Int[Tensor, " batch"] | None
    ) -> Int[Tensor, " batch"]:
        """The parent, or where it is unknown (-1) the nearest real row of the class."""
        guessed = guessed_parent(x, self.x[self.own], self.own)
        return guessed if parent is None else torch.where(parent < 0, guessed, parent)

    def row_metrics(
        self, x: Float[Tensor, "batch width"], parent: Int[Tensor, " batch"] | None = None
    ) -> tuple[dict[str, Float[Tensor, " batch"]], Int[Tensor, " batch"]]:
        """All metrics of new rows, and the real rows that were taken for their parents."""
        real = self.x[self.own]
        ancestor = self.ancestor(x, parent)
        log_odds = self.log_odds(x, ancestor)
        return {
            "label_p": conformal(self.doubts.sort().values, -log_odds),
            "plausibility_p": self.usual.p_value(x),
            "agreement": log_odds.sigmoid(),
            "hidden": is_hidden(x, self.x, self.is_foreign).float(),
            "novelty": novelty(x, real),
            "density": density(x, real),
        }, ancestor

    def control(self) -> dict[str, Float[Tensor, " own"]]:
        """The row metrics of the class's own rows, each left out while it is judged."""
        real, k = self.x[self.own], self.panel.n_neighbors
        if len(real) < 2:
            away = torch.zeros(len(real))
        else:
            away = nearest(real, real, k, skips_self=True)[0].mean(1)
        return {
            "label_p": left_out(self.doubts),
            "plausibility_p": left_out(away),
            "agreement": (-self.doubts).sigmoid(),
            "hidden": is_hidden(real, self.x, self.is_foreign, self.own).float(),
            "novelty": novelty(real, real, skips_self=True),
            "density": density(real, real, itself=True),
        }

    def verdict(
        self, x: Float[Tensor, "batch width"], probability: Float[Tensor, " batch"]
    ) -> Verdict:
        """A row is accepted if neither its label nor its place is rejected."""
        metrics = {name: value.to(x.device) for name, value in self.row_metrics(x.cpu())[0].items()}
        accepts = metrics["label_p"] >= self.panel.label_alpha
        accepts &= metrics["plausibility_p"] >= self.panel.alpha
        return Verdict(accepts, metrics["plausibility_p"])
