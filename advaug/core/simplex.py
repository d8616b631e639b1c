"""Categories and tokens as points between levels: a relaxed one-hot for each position.

The unit of distance is one flip. At most `flips` positions of a row may leave the seed's level,
a budget of its own: in the numbers' radius a category would either never flip or always.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.core.norms import per_row, uniform_of
from advaug.core.space import RandomMoves, Space, Wanderer, is_typical
from advaug.core.tensor_fields import picked
from advaug.core.ties import exceeds, stable_argmax, stable_argsort


@dataclass(frozen=True)
class Simplex(Space):
    """Rows are (batch, positions, levels), each position a point of the simplex.

    Parameters
    ----------
    reachable : bool Tensor (positions, levels)
        Levels that a position may move to.
    never_left : bool Tensor (positions, levels)
        Levels that a position never leaves: a missing value stays missing.
    flips : int
        How many positions of a row may change.
    keeps_typical : bool
        Whether `hold_typical_values` finds any.
    cost : Tensor (positions,), optional
        What a flip of each position costs of the radius; by default it does not depend on it.
    """

    reachable: Tensor
    never_left: Tensor
    flips: int = 1
    keeps_typical: bool = True
    cost: Tensor | None = None

    @property
    def norm(self) -> float:
        """Flips add up."""
        return 1.0

    def restrict_to_common_levels(
        self, rows: Float[Tensor, "rows positions levels"], least: float
    ) -> Self:
        usual = rows.mean(0).to(self.reachable.device) >= least
        return replace(self, reachable=self.reachable & usual)

    def hold_typical_values(
        self,
        own: Float[Tensor, "own positions levels"],
        others: Float[Tensor, "others positions levels"],
    ) -> Self:
        shares = own.mean(0), others.mean(0)
        is_held = is_typical(shares[0], len(own), shares[1], len(others)) & self.keeps_typical
        return replace(self, never_left=self.never_left | is_held.to(self.never_left.device))

    def take_special_values(
        self,
        x: Float[Tensor, "batch positions levels"],
        other: Float[Tensor, "batch positions levels"],
    ) -> Float[Tensor, "batch positions levels"]:
        held = (other * self.never_left)[..., :-1].sum(-1) > 0.5  # The last level is missing cells.
        is_free = self.reachable.any(-1) & ((x * self.never_left).sum(-1) < 0.5)
        return torch.where((held & is_free)[..., None], other, x)

    def displacement_space(self) -> Self:
        return replace(self, reachable=torch.zeros_like(self.reachable))

    def _is_fixed(self, x: Float[Tensor, "batch positions levels"]) -> Tensor:
        """(batch, positions): at a level that is never left, or with nowhere to go."""
        return ((x * self.never_left).sum(-1) > 0.5) | ~self.reachable.any(-1)

    def _strongest(
        self, score: Float[Tensor, "batch positions"], unit: float | Tensor = 1.0
    ) -> Bool[Tensor, "batch positions"]:
        """The `flips` positions of highest score above 0 in each row; of tied ones, the first."""
        if self.flips == 1:
            best = stable_argmax(score, unit)[:, None]
        else:
            best = stable_argsort(score, unit)[:, : self.flips]
        is_best = torch.zeros_like(score, dtype=torch.bool).scatter(1, best, True)
        return is_best & exceeds(score, 0.0, unit)

    def _moved(self, x: Tensor, seed: Tensor) -> Float[Tensor, "batch positions"]:
        """How much of each position has left the seed, from 0 to 1."""
        return (x - seed).abs().sum(-1) / 2

    def steepest(
        self,
        gradient: Float[Tensor, "batch positions levels"],
        x: Float[Tensor, "batch positions levels"],
        radius: Float[Tensor, " batch"],
        seed: Float[Tensor, "batch positions levels"] | None = None,
    ) -> Float[Tensor, "batch positions levels"]:
        """Towards the best level, in the positions that gain most, whatever the radius above 0."""
        unit = gradient.abs().amax((1, 2))[:, None]  # gains are differences of gradients
        reached = gradient.masked_fill(~self.reachable, -torch.inf)
        level = stable_argmax(reached, unit[..., None])[..., None]
        gain = reached.gather(-1, level)[..., 0] - (gradient * x).sum(-1)
        gain = gain.masked_fill(self._is_fixed(x) | (per_row(radius, gain) <= 0), -torch.inf)
        move = torch.zeros_like(x).scatter(-1, level, 1.0) - x
        return move.masked_fill(~self._strongest(gain, unit)[..., None], 0.0)

    def with_cost(
        self,
        gradient: Float[Tensor, "batch positions levels"],
        seed: Float[Tensor, "batch positions levels"],
        rate: Float[Tensor, " batch"],
    ) -> Float[Tensor, "batch positions levels"]:
        """As the distance has it, which falls by the cost of a flip where the seed's level is."""
        if self.cost is None:
            return gradient
        return gradient + per_row(rate, gradient) * self.cost[:, None] * seed

    def mask_frozen(
        self,
        move: Float[Tensor, "batch positions levels"],
        x: Float[Tensor, "batch positions levels"],
    ) -> Float[Tensor, "batch positions levels"]:
        stuck = self._is_fixed(x)[..., None] | (~self.reachable & (move > 0))
        return move.masked_fill(stuck, 0.0)

    def column_index(
        self, like: Float[Tensor, "batch positions levels"]
    ) -> Int[Tensor, "positions levels"]:
        return torch.arange(like.shape[1], device=like.device)[:, None].expand(like.shape[1:])

    def projector(
        self, seed: Float[Tensor, "batch positions levels"], radius: Float[Tensor, " batch"] | None
    ) -> Callable[[Tensor], Tensor]:
        """Levels below 0 become 0, the others add up to 1; a position without any stays the
        seed's."""
        endless = 2.0 * seed.shape[1]  # an infinite budget would make the gradient NaN
        if radius is None:
            budget = torch.full_like(seed[:, 0, 0], endless)
        else:
            budget = self.flips * (radius > 0).to(seed.dtype)
            budget = budget.masked_fill(radius.isinf(), endless)

        def back(x: Tensor) -> Tensor:
            x = x.clamp_min(0)
            total = x.sum(-1, keepdim=True)
            x = torch.where(total == 0, seed, x / total.clamp_min(torch.finfo(x.dtype).tiny))
            share = budget / self._moved(x, seed).sum(1).clamp_min(1e-12)
            if self.cost is not None and radius is not None:
                share = share.minimum(radius / self.distance(x, seed).clamp_min(1e-12))
            return seed + per_row(share.clamp_max(1), x) * (x - seed)

        return back

    def sample(
        self,
        seed: Float[Tensor, "batch positions levels"],
        radius: Float[Tensor, " batch"],
        noise: Float[Tensor, "batch positions levels"],
    ) -> Float[Tensor, "batch positions levels"]:
        return seed + noise.amax(-1, keepdim=True) * self.steepest(noise, seed, radius)

    def snap(
        self,
        x: Float[Tensor, "batch positions levels"],
        seed: Float[Tensor, "batch positions levels"],
        radius: Float[Tensor, " batch"],
        noise: Float[Tensor, "batch positions levels"],
    ) -> Float[Tensor, "batch positions levels"]:
        """One level each, drawn with the point's own shares; over budget, the weakest go back."""
        many = x.shape[-1]
        heights = x @ torch.ones(many, many, dtype=x.dtype, device=x.device).triu()
        lot = (noise[..., :1] * heights[..., -1:]).contiguous()
        level = torch.searchsorted(heights, lot, right=True).clamp_max(many - 1)
        drawn = torch.zeros_like(x).scatter(-1, level, 1.0)
        kept = self.reachable.expand(x.shape).gather(-1, level)[..., 0]
        kept = kept & (per_row(radius, kept) > 0)
        # A device would have to be waited for, which costs more than the strength.
        is_free = radius.device.type == "cpu" and bool(radius.isinf().all())
        if not is_free:
            strength = self._moved(x, seed) * self._moved(drawn, seed)
            kept = kept & (self._strongest(strength) | per_row(radius, strength).isinf())
            if self.cost is not None:
                kept = kept & self._affordable(strength * kept, radius)
        return torch.where(kept[..., None], drawn, seed)

    def scatter_cells(
        self, x: Float[Tensor, "batch positions levels"]
    ) -> Int[Tensor, " cells"] | None:
        return torch.empty(0, dtype=torch.long, device=x.device)

    def snap_cells(
        self, x: Float[Tensor, "batch positions levels"]
    ) -> Int[Tensor, " cells"] | None:
        return torch.arange(x.shape[1], device=x.device) * x.shape[2]

    def _affordable(
        self, strength: Float[Tensor, "batch positions"], radius: Float[Tensor, " batch"]
    ) -> Bool[Tensor, "batch positions"]:
        """The strongest positions that the radius pays for, one after the other."""
        assert self.cost is not None
        order = stable_argsort(strength, 1.0)
        price = (self.cost * (strength > 0)).gather(1, order)
        is_paid = price.cumsum(1) <= per_row(radius, price) * (1 + 1e-6)
        return torch.zeros_like(is_paid).scatter(1, order, is_paid)

    def distance(
        self,
        x: Float[Tensor, "batch positions levels"],
        seed: Float[Tensor, "batch positions levels"],
    ) -> Float[Tensor, " batch"]:
        moved = self._moved(x, seed)
        return (moved if self.cost is None else moved * self.cost).sum(1)

    def apply_move(
        self,
        x: Float[Tensor, "batch positions levels"],
        move: Float[Tensor, "batch positions levels"],
    ) -> Float[Tensor, "batch positions levels"]:
        return x

    def mix(
        self,
        seed: Float[Tensor, "batch positions levels"],
        other: Float[Tensor, "batch positions levels"],
        share: Float[Tensor, " batch"],
    ) -> Float[Tensor, "batch positions levels"]:
        stuck = self._is_fixed(seed) | self._is_fixed(other)
        share = per_row(share, stuck).expand(stuck.shape).masked_fill(stuck, 0.0)
        return seed + share[..., None] * (other - seed)

    def wanderer(
        self,
        rows: Float[Tensor, "rows positions levels"],
        scale: Float[Tensor, "positions levels"],
        first: int = 0,
    ) -> Wanderer:
        """Each position of two one-hot rows has the level of one of them."""
        many = rows.shape[2]
        levels, is_fixed = rows.argmax(2), self._is_fixed(rows)
        start = torch.arange(rows.shape[1], device=rows.device) * many
        can_reach = self.reachable.to(rows.device).expand(rows.shape[1:]).flatten()

        def wander(moves: RandomMoves) -> Tensor:
            level, other_level = picked(levels, moves.seed), picked(levels, moves.other)
            stuck = picked(is_fixed, moves.seed) | picked(is_fixed, moves.other)
            comes = per_row(moves.share, stuck).expand(stuck.shape).masked_fill(stuck, 0.0)
            stays = 1 - comes
            lot = uniform_of(comes, moves.rounding, start + first)
            is_above = level < other_level
            # As `snap`: the first level whose height, added to those before, exceeds the lot.
            is_first = torch.where(is_above, stays, comes) > lot * (stays + comes)
            takes = (is_first != is_above) & (level != other_level) & can_reach[start + other_level]
            taken = torch.where(takes, other_level, level)
            new = torch.zeros((len(level), *rows.shape[1:]), dtype=rows.dtype, device=rows.device)
            return new.scatter_(2, taken[..., None], 1.0)

        return wander
