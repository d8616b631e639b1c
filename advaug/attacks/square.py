"""Square: random blocks of cells set to the edge of the ball, kept where they gain."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from advaug.core.norms import length, per_row, standard_normal, steepest
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem, Loss, mark_undefined
from advaug.core.row_random import RowRandom
from advaug.core.ties import at_most, exceeds

HALVINGS = (10, 50, 200, 1000, 2000, 4000, 6000, 8000)  # in 10 000 steps


def share_at(step: int, steps: int, first: float) -> float:
    """Share of the cells in the block of a step: halved ever more rarely."""
    progress = step * 10_000 / max(steps, 1)
    halved = sum(progress > halving for halving in HALVINGS)
    return float(first * 0.5**halved)


@dataclass
class Square(Attack, Parameters):
    """Random search on scores: x <- x with one block at the edge of the ball, if that gains.

    In a flat row (a table) the block is a random set of columns, in images and signals a window
    of the last axes in all channels; it shrinks with time. Makes `steps` queries a row at most and
    takes no gradient. Norm, bounds, categories and frozen cells are the space's.

    Parameters
    ----------
    steps : int
        Queries a row.
    p_init : float in (0, 1]
        Share of the cells in the first blocks.
    stop_at : float, optional
        A row whose objective is above this value is done; None queries to the last step.

    See Also
    --------
    advaug.attacks.NES :
        Natural evolution strategies: PGD on a slope estimated from 2 * pairs queries a step.
    advaug.attacks.HopSkipJump : For models that only tell a class.
    advaug.attacks.APGD : PGD that halves its steps by itself.

    References
    ----------
    Andriushchenko, Croce, Flammarion, Hein. Square Attack: a query-efficient black-box
    adversarial attack via random search. ECCV 2020.

    Examples
    --------
    >>> from advaug.attacks import Square
    >>> Square(steps=200).p_init
    0.8
    """

    loss: ClassVar[Loss] = "margin"
    requires: ClassVar[frozenset[str]] = frozenset({"cells"})
    steps: int = 200
    p_init: float = 0.8
    stop_at: float | None = 0.0

    def __call__(self, problem: AttackProblem) -> Tensor:
        if self.steps < 0 or not 0 < self.p_init <= 1:
            raise ValueError(f"Square needs steps >= 0 and 0 < p_init <= 1, got {self}")
        x = seed = problem.seed.detach()
        rows, movable = torch.arange(len(x), device=x.device), problem.movable()
        value, unit = problem.measure(x)
        done = mark_undefined(seed.clone(), value)
        for step in range(self.steps + 1):
            if self.stop_at is not None:
                reached = ~at_most(value, self.stop_at, unit)
                if bool(reached.any()):
                    done[rows[reached]] = mark_undefined(x[reached], value[reached])
                    rows, x, value, unit, movable = (
                        one[~reached] for one in (rows, x, value, unit, movable)
                    )
                    problem = problem.take(~reached)
            if not len(rows) or step == self.steps:
                break
            share = share_at(step, self.steps, self.p_init) if step else 1.0
            tried = problem.valid(with_random_block(problem.at(step), x, movable, share))
            gain, unit = problem.measure(tried)
            better = exceeds(gain, value, unit) if step else gain == gain  # the first only starts
            x = torch.where(per_row(better, x), tried, x)
            value = torch.where(better, gain, value)
        return done.index_copy(0, rows, mark_undefined(x, value))


def with_random_block(
    problem: AttackProblem, x: Tensor, movable: Tensor, share: float
) -> Float[Tensor, "batch *shape"]:
    """x with a random block at the edge of the ball around the seed."""
    shape, random = x.shape[1:], problem.random
    if len(shape) == 1:
        block = some_columns(movable, share, random.at(0))[:, problem.space.column_index(x)]
        noise = random.at(1).uniform(*shape)
    else:
        block = window(shape, share, random.at(0))
        stripe = (*shape[:-2], 1, shape[-1] if share == 1 else 1)  # at first whole stripes
        noise = random.at(1).uniform(*stripe).expand(-1, *shape)
    noise = standard_normal(noise.to(x)) * block
    if len(shape) > 1 and problem.space.norm == 2:
        return move_mass(problem, x, noise, block, window(shape, share, random.at(2)))
    edge = problem.seed + problem.space.steepest(noise, problem.seed, problem.radius)
    return torch.where(block, edge, x)


def move_mass(
    problem: AttackProblem,
    x: Float[Tensor, "batch *shape"],
    noise: Float[Tensor, "batch *shape"],
    block: Bool[Tensor, "batch *shape"],
    cleared: Bool[Tensor, "batch *shape"],
) -> Float[Tensor, "batch *shape"]:
    """x with the length of two blocks, and what the ball has left, in the first one of them.

    The other goes back to the seed; half of the block's new direction is its old one.
    """
    move = x - problem.seed
    left = (problem.radius.square() - length(move, 2).square()).clamp_min(0)
    mass = (length(move * (block | cleared), 2).square() + left).sqrt()
    direction = steepest(noise, 2) + steepest(move * block, 2)
    block_move = steepest(direction, 2) * per_row(mass, move)
    return problem.seed + torch.where(block, block_move, move * ~cleared)


def some_columns(
    movable: Bool[Tensor, "batch columns"], share: float, random: RowRandom
) -> Bool[Tensor, "batch columns"]:
    """A random set of each row's movable columns, at least one."""
    rank = (random.uniform(movable.shape[1]) + ~movable).argsort(dim=1, stable=True).argsort(1)
    return rank < (share * movable.sum(1, keepdim=True)).round().clamp_min(1)


def window(shape: torch.Size, share: float, random: RowRandom) -> Bool[Tensor, "batch *shape"]:
    """A random window of the last two axes (a square where they allow it), in all channels."""
    high, wide = shape[-2:]
    side = max(round((share * high * wide) ** 0.5), 1)
    tall = min(side, high)
    broad = min(max(round(share * high * wide / tall), 1), wide)
    corner = random.uniform(2)
    inside = []
    for axis, length_there, size in ((0, tall, high), (1, broad, wide)):
        first = (corner[:, axis] * (size - length_there + 1)).long()[:, None]
        place = torch.arange(size, device=corner.device)
        inside.append((place >= first) & (place < first + length_there))
    block = inside[0][:, :, None] & inside[1][:, None, :]
    several = block.view(-1, *(1,) * (len(shape) - 2), high, wide)
    everywhere: Tensor = several.expand(-1, *shape)
    return everywhere
