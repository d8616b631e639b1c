"""Numbers between bounds: pixels, signals, numeric columns.

A coordinate may be frozen (`free`), lie on a grid (`grid`: whole steps from the seed), or be
held by another one (`missing_flag`: while that one is 1, the value is missing and stays so).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from advaug.core import norms
from advaug.core.space import Space


@dataclass(frozen=True)
class Box(Space):
    """Bounds, norm and freedom of a block of numbers.

    Parameters
    ----------
    lower, upper : Tensor, broadcastable to (*shape)
        Bounds. A seed outside of them widens them for its own row: it is never moved by force.
    norm : inf, 2 or 1
        The ball's norm.
    free : bool Tensor (*shape), optional
        Which coordinates may move.
    grid : Tensor (*shape), optional
        Distance between neighbouring values; 0 where every value is valid.
    missing_flag : int Tensor (*shape), optional
        For each coordinate of a flat row the coordinate that says (by 1) that it is missing;
        -1 where there is none.
    """

    lower: Tensor
    upper: Tensor
    norm: float = math.inf
    free: Tensor | None = None
    grid: Tensor | None = None
    missing_flag: Tensor | None = None

    def with_norm(self, norm: float) -> Self:
        return replace(self, norm=norm)

    def displacement_space(self) -> Self:
        endless = torch.full_like(self.upper, math.inf)
        return replace(self, lower=-endless, upper=endless, grid=None, missing_flag=None)

    def mask_frozen(
        self, move: Float[Tensor, "batch *shape"], x: Float[Tensor, "batch *shape"]
    ) -> Float[Tensor, "batch *shape"]:
        if self.free is not None:
            move = move * self.free
        if self.missing_flag is not None:
            held = (x[:, self.missing_flag.clamp_min(0)] > 0.5) & (self.missing_flag >= 0)
            move = move.masked_fill(held, 0.0)
        return move

    def _bounded(
        self, x: Float[Tensor, "batch *shape"], seed: Float[Tensor, "batch *shape"]
    ) -> Float[Tensor, "batch *shape"]:
        return x.clamp(torch.minimum(self.lower, seed), torch.maximum(self.upper, seed))

    def steepest(
        self,
        gradient: Float[Tensor, "batch *shape"],
        x: Float[Tensor, "batch *shape"],
        radius: Float[Tensor, " batch"],
        seed: Float[Tensor, "batch *shape"] | None = None,
    ) -> Float[Tensor, "batch *shape"]:
        gradient = self.mask_frozen(gradient, x)
        if self.norm == 1:  # what a coordinate cannot use before its bound goes to the next one
            at = x if seed is None else seed
            room = torch.where(gradient > 0, self.upper - at, at - self.lower).clamp_min(0)
            return norms.fill(gradient, room, radius)
        unit = norms.steepest(gradient, self.norm)
        return unit.mul_(norms.per_row(radius, unit))

    def projector(
        self, seed: Float[Tensor, "batch *shape"], radius: Float[Tensor, " batch"] | None
    ) -> Callable[[Tensor], Tensor]:
        lower, upper = self.lower.minimum(seed), self.upper.maximum(seed)
        if radius is None:
            return lambda x: x.clamp(lower, upper)
        if self.norm == math.inf:
            reach = norms.per_row(radius, seed)
            lower, upper = (seed - reach).maximum(lower), (seed + reach).minimum(upper)
            return lambda x: x.clamp(lower, upper)
        if self.norm == 1:
            up, down = upper - seed, seed - lower

            def nearest(x: Tensor) -> Tensor:
                move = x - seed
                return seed + norms.project_between(move, radius, torch.where(move > 0, up, down))

            return nearest
        # Clipping to bounds that hold the seed shortens every coordinate: it stays in the ball.
        return lambda x: (seed + norms.project(x - seed, radius, self.norm)).clamp(lower, upper)

    def sample(
        self,
        seed: Float[Tensor, "batch *shape"],
        radius: Float[Tensor, " batch"],
        noise: Float[Tensor, "batch *shape"],
    ) -> Float[Tensor, "batch *shape"]:
        return self._bounded(
            seed + self.mask_frozen(norms.ball(noise, radius, self.norm), seed), seed
        )

    def snap(
        self,
        x: Float[Tensor, "batch *shape"],
        seed: Float[Tensor, "batch *shape"],
        radius: Float[Tensor, " batch"],
        noise: Float[Tensor, "batch *shape"],
    ) -> Float[Tensor, "batch *shape"]:
        """Whole steps from the seed, up or down by chance so that the mean stays.

        A row that this would carry out of the ball goes towards the seed instead.
        """
        if self.grid is None:
            return x
        grid = torch.where(self.grid > 0, self.grid, 1.0)
        steps = (x - seed) / grid
        rounded = seed + (steps + noise).floor() * grid
        shorter = seed + (steps + 1e-3 * steps.sign()).trunc() * grid  # 2.99999 steps are 3
        beyond = (rounded - self._bounded(rounded, seed)).abs() > grid / 100
        rounded = torch.where(self.grid > 0, torch.where(beyond, shorter, rounded), x)
        shorter = torch.where(self.grid > 0, shorter, x)
        outside = norms.per_row(norms.length(rounded - seed, self.norm) > radius * (1 + 1e-6), x)
        return torch.where(outside, shorter, rounded)

    def distance(
        self, x: Float[Tensor, "batch *shape"], seed: Float[Tensor, "batch *shape"]
    ) -> Float[Tensor, " batch"]:
        return norms.length(x - seed, self.norm)

    def apply_move(
        self, x: Float[Tensor, "batch *shape"], move: Float[Tensor, "batch *shape"]
    ) -> Float[Tensor, "batch *shape"]:
        return self._bounded(x + self.mask_frozen(move, x), x)

    def mix(
        self,
        seed: Float[Tensor, "batch *shape"],
        other: Float[Tensor, "batch *shape"],
        share: Float[Tensor, " batch"],
    ) -> Float[Tensor, "batch *shape"]:
        # What is missing in either row stays as the seed has it.
        way = self.mask_frozen(self.mask_frozen(other - seed, seed), other)
        return seed + norms.per_row(share, seed) * way
