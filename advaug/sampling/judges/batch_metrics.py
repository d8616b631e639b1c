"""A whole batch against real rows: the same distribution, as wide, and where real rows are?

Statistics of few rows are noise: ask where the class has FEWEST rows or more.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from advaug.core.neighbors import balls_containing
from advaug.sampling.judges.row_metrics import ball

FEWEST = 50  # rows of a class under which a batch is not judged
MOST = 500  # rows of either side that the two-sample test reads


@dataclass(frozen=True)
class Coverage:
    """Shares in [0, 1] (density may be above 1): see `coverage`."""

    precision: float
    recall: float
    density: float
    coverage: float


def coverage(
    real: Float[Tensor, "rows width"], new: Float[Tensor, "others width"], k: int = 5
) -> Coverage:
    """How far new rows lie where real ones do, and real ones where new ones do.

    precision : new rows within the ball of any real row to its k-th neighbour
    recall : real rows within the ball of any new row
    density : mean number of real balls that a new row lies in, divided by k
    coverage : real rows whose ball holds a new row

    Precision and recall after Kynkäänniemi et al. (Improved precision and recall metric for
    assessing generative models. NeurIPS 2019), density and coverage after Naeem et al. (ICML
    2020). All depend on the numbers of rows: compare with real rows of the same numbers.

    Examples
    --------
    >>> import torch
    >>> from advaug.sampling.judges.batch_metrics import coverage
    >>> x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    >>> coverage(x, x).coverage, coverage(x, x + 99).coverage
    (1.0, 0.0)
    """
    held, holds = balls_containing(new, real, ball(real, k))
    inside, _ = balls_containing(real, new, ball(new, k))
    return Coverage(
        precision=float((held > 0).float().mean()),
        recall=float((inside > 0).float().mean()),
        density=float(held.float().mean() / k),
        coverage=float(holds.float().mean()),
    )


def energy_test(
    a: Float[Tensor, "rows width"],
    b: Float[Tensor, "others width"],
    generator: torch.Generator,
    permutations: int = 199,
) -> tuple[float, float]:
    """Energy distance of two samples, and the share of permutations at least as far apart.

    2 E|A - B| - E|A - A'| - E|B - B'| is 0 only for equal distributions (Szekely, Rizzo. Energy
    statistics. J. Statistical Planning and Inference, 2013). At most MOST random rows of each are
    read; the least p-value is 1 / (1 + permutations).
    """
    a, b = (some(x, MOST, generator) for x in (a, b))
    both = torch.cat([a, b]).double()
    distance = torch.cdist(both, both)
    side = torch.cat([torch.full((len(a),), 1 / len(a)), torch.full((len(b),), -1 / len(b))])
    shuffled = [side[torch.randperm(len(side), generator=generator)] for _ in range(permutations)]
    sides = torch.stack([side, *shuffled]).to(both)
    energy = -((sides @ distance) * sides).sum(1)
    as_far = int((energy[1:] >= energy[0] * (1 - 1e-9)).sum())
    return float(energy[0]), (1 + as_far) / (1 + permutations)


def some(
    x: Float[Tensor, "rows width"], most: int, generator: torch.Generator
) -> Float[Tensor, "kept width"]:
    """At most so many rows, by chance."""
    return x[torch.randperm(len(x), generator=generator)[:most].to(x.device)]
