"""HopSkipJump: along the decision boundary, from predicted labels alone.

Start at a row of another prediction, bisect to the boundary, estimate the gradient there from small
random moves, step along it, and bisect to the boundary again: each time nearer to the seed.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from advaug.attacks.black_box import HALVINGS, MAX_CELLS, find_starts, search_boundary, unsolved
from advaug.core.norms import length, per_row, standard_normal
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem, Loss
from advaug.core.ties import exceeds


@dataclass
class HopSkipJump(Attack, Parameters):
    """Decision-based: the nearest row of another prediction, by a gradient estimated from labels.

    grad = mean of phi(x + probe * u) u over random unit moves u, phi = 1 where it succeeds, -1
    elsewhere, less its mean; then x <- boundary(x + step * steepest(grad)). Whole batches are
    queried at once. The walk starts at a near reference row of another prediction, else at a random
    point, and minimises the space's distance. A row stays as it is where the walk finds no start,
    or ends beyond the radius.

    Parameters
    ----------
    steps : int
        Steps along the boundary. Step k makes about init_eval * sqrt(k) + 20 queries a row.
    init_eval, max_eval : int
        Random moves in the first step, and at most in any.
    probe_size : float
        Length of a random move as a share of the distance to the seed.

    See Also
    --------
    advaug.attacks.Square :
        Random search on scores: x <- x with one block at the edge of the ball, if that gains.
    advaug.attacks.DeepFool :
        To the nearest of the linearised boundaries, again and again until one is crossed.

    References
    ----------
    Chen, Jordan, Wainwright. HopSkipJumpAttack: a query-efficient decision-based attack. IEEE
    Symposium on Security and Privacy 2020.

    Examples
    --------
    >>> from advaug.attacks import HopSkipJump
    >>> HopSkipJump(steps=5).init_eval
    100
    """

    loss: ClassVar[Loss] = "margin"
    is_min_norm: ClassVar[bool] = True
    requires: ClassVar[frozenset[str]] = frozenset({"cells"})
    needs_reference_rows: ClassVar[bool] = True
    steps: int = 10
    init_eval: int = 100
    max_eval: int = 1000
    probe_size: float = 0.1

    def __call__(self, problem: AttackProblem) -> Tensor:
        if self.steps < 0 or self.init_eval < 1 or not self.probe_size > 0:
            raise ValueError(
                f"HopSkipJump needs steps >= 0, init_eval >= 1 and probe_size > 0, got {self}"
            )
        done, unfinished = unsolved(problem)
        cells = self.max_eval * done[0].numel() if len(done) else 1
        for rows in unfinished.split(max(MAX_CELLS // cells, 1)):
            done[rows] = self._walk(problem.take(rows))
        return done

    def _walk(self, problem: AttackProblem) -> Tensor:
        done = problem.seed.clone()
        x, found = find_starts(problem.at(0))
        if not found.any():
            return done
        problem, x = problem.take(found), x[found]
        best = x = search_boundary(problem, x)
        shortest = problem.distance(x)
        for step in range(1, self.steps + 1):
            size = problem.distance(x)
            count = min(int(self.init_eval * step**0.5), self.max_eval)
            gradient = estimate_gradient(problem.at(step), x, self.probe_size * size, count)
            x = search_boundary(problem, jump(problem, x, gradient, size / step**0.5))
            size = problem.distance(x)
            shorter = exceeds(shortest, size, unit=0.0)
            best = torch.where(per_row(shorter, x), x, best)
            shortest = torch.where(shorter, size, shortest)
        done[found] = torch.where(per_row(problem.contains(best), best), best, problem.seed)
        return done


def estimate_gradient(
    problem: AttackProblem,
    x: Float[Tensor, "batch *shape"],
    size: Float[Tensor, " batch"],
    count: int,
) -> Float[Tensor, "batch *shape"]:
    """The objective's gradient at the boundary, from `count` random moves of L2 length `size`."""
    many, base = problem.repeat(count), x.repeat_interleave(count, 0)
    noise = problem.random.uniform(count, *x.shape[1:]).to(x).flatten(0, 1)
    unit = standard_normal(noise)
    unit = unit * per_row(size.repeat_interleave(count) / length(unit, 2), unit)
    tried = many.valid_anywhere(base + unit, noise)
    sign = many.succeeds(tried).view(-1, count).to(x) * 2 - 1
    mean = sign.mean(1, keepdim=True)
    weight = torch.where(mean.abs() < 1, sign - mean, sign)
    moves = (tried - base).view(len(x), count, -1)
    return torch.einsum("bk,bkd->bd", weight, moves).view_as(x)


def jump(
    problem: AttackProblem,
    x: Float[Tensor, "batch *shape"],
    gradient: Float[Tensor, "batch *shape"],
    size: Float[Tensor, " batch"],
) -> Float[Tensor, "batch *shape"]:
    """As far along the gradient as succeeds: `size`, or half of it, or a quarter ..."""
    x, rows = x.clone(), torch.arange(len(x), device=x.device)
    for halving in range(HALVINGS):
        some, at = problem.take(rows), x[rows]
        move = some.space.steepest(gradient[rows], at, size[rows] / 2**halving)
        tried = some.valid_anywhere(at + move)
        good = some.succeeds(tried)
        x[rows[good]] = tried[good]
        rows = rows[~good]
        if not len(rows):
            break
    return x
