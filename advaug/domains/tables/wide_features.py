"""What a committee sees of rows of thousands of columns: their principal components, and the
columns in which most rows differ from the common value.

Nets and trees that read all columns cost many times as much, and learn the noise of a rare class.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.core.features import Features
from advaug.core.tensor_fields import MovableFields
from advaug.models.committee import MIN_SCALE, spread

WIDE = 1024  # Rows of more columns are seen so.
N_COMPONENTS = 64
N_COLUMNS = 64
MAX_ROWS = 1000  # Rows of which the components are computed.
CELLS = 2**20  # Cells that are standardised at once.
FARTHEST = 4.0  # Standard deviations beyond which a cell counts no more.


@dataclass(frozen=True)
class WideFeatures(MovableFields, Features):
    """Rows (batch, width) as (batch, components + columns).

    Parameters
    ----------
    center, scale : Tensor (width,)
        Mean and standard deviation of each column.
    components : Tensor (width, components)
        Principal components, whitened.
    columns : int Tensor (columns,)
        The columns that are seen one by one.
    """

    descriptors: ClassVar[None] = None
    is_differentiable: ClassVar[bool] = True
    center: Float[Tensor, " width"]
    scale: Float[Tensor, " width"]
    components: Float[Tensor, "width components"]
    columns: Int[Tensor, " columns"]

    def __call__(self, x: Float[Tensor, "batch width"]) -> Float[Tensor, "batch seen"]:
        parts = x.split(max(CELLS // x.shape[1], 1))
        components = [self._standardized(rows) @ self.components for rows in parts]
        return torch.cat([torch.cat(components), x[:, self.columns]], 1)

    def _standardized(self, x: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        return (x - self.center).div_(self.scale).clamp(-FARTHEST, FARTHEST)

    @classmethod
    def learn(cls, x: Float[Tensor, "rows width"]) -> Self:
        """From encoded rows."""
        few = x[:: -(-len(x) // MAX_ROWS)]
        used = (few > few.amin(0)).sum(0)
        used = used.argsort(descending=True, stable=True)[:N_COLUMNS].sort().values
        blank = cls(few.mean(0), spread(few), x.new_empty(x.shape[1], 0), used)
        rows = blank._standardized(few)
        return cls(blank.center, blank.scale, leading_components(rows, N_COMPONENTS), used)


def leading_components(
    rows: Float[Tensor, "rows width"], n_components: int
) -> Float[Tensor, "width components"]:
    """As `principal_components`, of fewer rows than columns: no square in the columns."""
    gram = sum(some.double() @ some.double().T for some in rows.split(WIDE, 1)) / len(rows)
    size, places = torch.linalg.eigh(gram)
    size = size.clamp_min(0).sqrt().flip(0)[:n_components]
    places = places.flip(1)[:, :n_components]
    # A component of the columns is a mean of rows, divided by its size; and once more to whiten it.
    by = size.clamp_min(1e-6 * float(size[0])) * size.clamp_min(MIN_SCALE * float(size[0]))
    return rows.T @ (places / by.clamp_min(1e-12) / len(rows) ** 0.5).to(rows)
