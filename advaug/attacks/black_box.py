"""What the attacks share that only query: where to start, and how to reach the boundary.

The objective is queried only at rows that can be returned; no gradient is taken. A row succeeds
where its objective is above 0 by more than noise (`Margin`: where the prediction has left, or
reached, the label).
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.core.neighbors import exact_distances
from advaug.core.norms import draw, per_row
from advaug.core.problem import AttackProblem, mark_undefined
from advaug.core.ties import at_most, stable_argsort

MAX_CELLS = 2**22  # of candidates held at once
DOUBLINGS = 24  # of the radius in which a start is looked for
HALVINGS = 10  # of the way to the boundary


def unsolved(
    problem: AttackProblem,
) -> tuple[Float[Tensor, "batch *shape"], Int[Tensor, " unsolved"]]:
    """The seeds, NaN where the objective is no number, and the rows that do not succeed yet."""
    value, unit = problem.measure(problem.seed)
    done = mark_undefined(problem.seed.clone(), value)
    return done, at_most(value, 0.0, unit).nonzero()[:, 0]


def keep_successes(problem: AttackProblem, candidate: Tensor, x: Tensor, found: Tensor) -> None:
    """Query a candidate of each row without a success; write each success into x and found."""
    rows = (~found).nonzero()[:, 0]
    some = problem.take(rows)
    tried = some.valid_anywhere(candidate[rows])
    good = some.succeeds(tried)
    x[rows[good]], found[rows[good]] = tried[good], True


def find_starts(
    problem: AttackProblem,
) -> tuple[Float[Tensor, "batch *shape"], Bool[Tensor, " batch"]]:
    """A valid success for each row, where there is one: a real row, else a random point."""
    x, found = problem.seed.clone(), torch.zeros_like(problem.radius, dtype=torch.bool)
    if problem.reference_rows is not None and len(problem.reference_rows):
        real = problem.reference_rows.to(problem.seed)
        order = nearest_first(problem.seed, real)
        for rank in growing_ranks(len(real)):
            if found.all():
                break
            keep_successes(problem, real[order[:, rank]], x, found)
    scale = torch.where(problem.radius.isinf(), 1.0, problem.radius)
    for doubling in range(DOUBLINGS):
        if found.all():
            break
        noise = draw(problem.seed, problem.random.at(doubling))
        candidate = problem.space.sample(problem.seed, scale * 2.0**doubling, noise)
        keep_successes(problem, candidate, x, found)
    return x, found


def growing_ranks(count: int) -> list[int]:
    """Ranks 0, 1, 2, ... and then in growing strides, below `count`."""
    ranks, at = [], 0
    while at < count:
        ranks.append(at)
        at = max(at + 1, int(at * 1.5))
    return ranks


def nearest_first(
    seed: Float[Tensor, "batch *shape"], real: Float[Tensor, "others *shape"]
) -> Int[Tensor, "batch others"]:
    """The places of the real rows, nearest first; equally near ones in their own order."""
    return stable_argsort(-exact_distances(seed.flatten(1), real.flatten(1)), unit=0.0)


def search_boundary(
    problem: AttackProblem, x: Float[Tensor, "batch *shape"]
) -> Float[Tensor, "batch *shape"]:
    """The nearest success between the seed and a success x, by bisection."""
    high = problem.distance(x)
    low, nearest = torch.zeros_like(high), x
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        tried = problem.valid(x, radius=middle)
        good = problem.succeeds(tried)
        nearest = torch.where(per_row(good, x), tried, nearest)
        high, low = torch.where(good, middle, high), torch.where(good, low, middle)
    return nearest
