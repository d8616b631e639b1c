"""Square: random blocks of cells thrown to the edge of the ball, kept where they gain."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from advaug.attacks.problem import AttackProblem, marked
from advaug.core.chance import Chance
from advaug.core.norms import length, per_row, standard_normal, steepest
from advaug.core.objectives import Objective
from advaug.core.parameters import Parameters
from advaug.core.space import Space
from advaug.core.ties import at_most, exceeds

HALVINGS = (10, 50, 200, 1000, 2000, 4000, 6000, 8000)  # in 10 000 steps


def share_at(step: int, steps: int, first: float) -> float:
    """Share of the cells in the block of a step: halved ever more rarely."""
    progress = step * 10_000 / max(steps, 1)
    halved = sum(progress > halving for halving in HALVINGS)
    return float(first * 0.5**halved)


@dataclass
class Square(Parameters):
    """Random search on scores: x <- x with one block at the edge of the ball, if that gains.

    In a flat row (a table) the block is a random set of columns, in images and signals a window
    of the last axes in all channels; it shrinks with time. Asks `steps` queries a row at most and
    no gradient. Norm, bounds, categories and frozen cells are the space's.

    Parameters
    ----------
    steps : int
        Queries a row.
    share : float in (0, 1]
        Share of the cells in the first blocks (p).
    stop_at : float, optional
        A row whose objective is above this value is done; None asks on to the last step.

    References
    ----------
    Andriushchenko, Croce, Flammarion, Hein. Square Attack: a query-efficient black-box
    adversarial attack via random search. ECCV 2020.

    Examples
    --------
    >>> from advaug.attacks import Square
    >>> Square(steps=200).share
    0.8
    """

    raises: ClassVar[str] = "margin"
    steps: int = 200
    share: float = 0.8
    stop_at: float | None = 0.0

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        if self.steps < 0 or not 0 < self.share <= 1:
            raise ValueError(
                f"Square needs steps >= 0 and 0 < share <= 1, got steps={self.steps}, "
                f"share={self.share}"
            )
        ground = AttackProblem(objective, seed.detach(), space, radius)
        chance, done = Chance.of(seed, generator), seed.detach().clone()
        rows = torch.arange(len(seed), device=seed.device)
        movable = ground.movable()
        x, value = ground.seed, ground.worth(ground.seed)
        done = marked(done, value)
        for step in range(self.steps + 1):
            if self.stop_at is not None and bool((reached := ~at_most(value, self.stop_at)).any()):
                done[rows[reached]] = marked(x[reached], value[reached])
                rows, x, value = rows[~reached], x[~reached], value[~reached]
                ground, chance = ground.take(~reached), chance.take(~reached)
                movable = movable[~reached]
            if not len(rows) or step == self.steps:
                break
            share = share_at(step, self.steps, self.share) if step else 1.0
            tried = ground.shipped(throw_block(ground, x, movable, share, chance))
            gain = ground.worth(tried)
            better = exceeds(gain, value) if step else gain == gain  # the first throw only starts
            x = torch.where(per_row(better, x), tried, x)
            value = torch.where(better, gain, value)
        return done.index_copy(0, rows, marked(x, value))


def throw_block(
    ground: AttackProblem, x: Tensor, movable: Tensor, share: float, chance: Chance
) -> Float[Tensor, "batch *shape"]:
    """x with a random block at the edge of the ball around the seed."""
    shape = x.shape[1:]
    if len(shape) == 1:
        block = some_columns(movable, share, chance)[:, ground.space.column_index(x)]
        noise = chance.draw(*shape)
    else:
        block = window(shape, share, chance)
        stripe = (*shape[:-2], 1, shape[-1] if share == 1 else 1)  # at first whole stripes
        noise = chance.draw(*stripe).expand(-1, *shape)
    noise = standard_normal(noise.to(x)) * block
    if len(shape) > 1 and ground.space.norm == 2:
        return move_mass(ground, x, noise, block, window(shape, share, chance))
    edge = ground.seed + ground.space.steepest(noise, ground.seed, ground.radius)
    return torch.where(block, edge, x)


def move_mass(
    ground: AttackProblem,
    x: Float[Tensor, "batch *shape"],
    noise: Float[Tensor, "batch *shape"],
    block: Bool[Tensor, "batch *shape"],
    cleared: Bool[Tensor, "batch *shape"],
) -> Float[Tensor, "batch *shape"]:
    """x with the length of two blocks, and what the ball has left, in the first one of them.

    The other goes back to the seed; half of the block's new direction is its old one.
    """
    move = x - ground.seed
    left = (ground.radius.square() - length(move, 2).square()).clamp_min(0)
    mass = (length(move * (block | cleared), 2).square() + left).sqrt()
    direction = steepest(noise, 2) + steepest(move * block, 2)
    block_move = steepest(direction, 2) * per_row(mass, move)
    return ground.seed + torch.where(block, block_move, move * ~cleared)


def some_columns(
    movable: Bool[Tensor, "batch columns"], share: float, chance: Chance
) -> Bool[Tensor, "batch columns"]:
    """A random set of each row's movable columns, at least one."""
    rank = (chance.draw(movable.shape[1]) + ~movable).argsort(dim=1, stable=True).argsort(1)
    return rank < (share * movable.sum(1, keepdim=True)).round().clamp_min(1)


def window(shape: torch.Size, share: float, chance: Chance) -> Bool[Tensor, "batch *shape"]:
    """A random window of the last two axes (a square where they allow it), in all channels."""
    high, wide = shape[-2:]
    side = max(round((share * high * wide) ** 0.5), 1)
    tall = min(side, high)
    broad = min(max(round(share * high * wide / tall), 1), wide)
    corner = chance.draw(2)
    inside = []
    for at, wide_as, size in ((0, tall, high), (1, broad, wide)):
        first = (corner[:, at] * (size - wide_as + 1)).long()[:, None]
        place = torch.arange(size, device=corner.device)
        inside.append((place >= first) & (place < first + wide_as))
    block = inside[0][:, :, None] & inside[1][:, None, :]
    several = block.view(-1, *(1,) * (len(shape) - 2), high, wide)
    everywhere: Tensor = several.expand(-1, *shape)
    return everywhere
