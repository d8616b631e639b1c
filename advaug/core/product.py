"""A whole table row: numbers and categories side by side in one flat tensor.

Each part keeps its own space, unit and budget; the product only splits and joins.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from advaug.core.space import Space, Wanderer


@dataclass(frozen=True)
class Product(Space):
    """Rows are (batch, width): the parts' rows, flattened, one after the other.

    Parameters
    ----------
    parts : tuple of Space
    shapes : tuple of shapes
        The shape of a row in each part.
    is_shared : bool
        Whether the lengths of all parts together keep to the radius: a part has what those behind
        it have left over. Otherwise each part has the radius for itself.
    """

    parts: tuple[Space, ...]
    shapes: tuple[tuple[int, ...], ...]
    is_shared: bool = False

    @property
    def norm(self) -> float:
        """Of the first part; they share it."""
        return self.parts[0].norm

    def restrict_to_common_levels(self, rows: Float[Tensor, "rows width"], least: float) -> Self:
        pairs = zip(self.parts, self._split(rows), strict=True)
        return replace(
            self, parts=tuple(part.restrict_to_common_levels(block, least) for part, block in pairs)
        )

    def hold_special_values(self) -> Self:
        return replace(self, parts=tuple(part.hold_special_values() for part in self.parts))

    def hold_typical_values(
        self, own: Float[Tensor, "own width"], others: Float[Tensor, "others width"]
    ) -> Self:
        blocks = zip(self.parts, self._split(own), self._split(others), strict=True)
        return replace(self, parts=tuple(part.hold_typical_values(a, b) for part, a, b in blocks))

    def special_codes(self, x: Float[Tensor, "batch width"]) -> Int[Tensor, "batch width"]:
        return self._each(lambda part, x: part.special_codes(x), x)

    def take_special_values(
        self, x: Float[Tensor, "batch width"], other: Float[Tensor, "batch width"]
    ) -> Float[Tensor, "batch width"]:
        return self._each(lambda part, x, o: part.take_special_values(x, o), x, other)

    def with_norm(self, norm: float) -> Self:
        return replace(self, parts=tuple(part.with_norm(norm) for part in self.parts))

    def displacement_space(self) -> Self:
        return replace(self, parts=tuple(part.displacement_space() for part in self.parts))

    def _split(self, x: Float[Tensor, "batch width"]) -> list[Tensor]:
        widths = [torch.Size(shape).numel() for shape in self.shapes]
        blocks = x.split(widths, dim=1)
        return [block.reshape(-1, *shape) for block, shape in zip(blocks, self.shapes, strict=True)]

    def _each(
        self, work: Callable[..., Tensor], *rows: Float[Tensor, "batch width"]
    ) -> Shaped[Tensor, "batch width"]:
        """`work(part, *blocks)` for each part, joined to whole rows."""
        blocks = zip(self.parts, *(self._split(x) for x in rows), strict=True)
        return torch.cat([work(*block).flatten(1) for block in blocks], dim=1)

    def steepest(
        self,
        gradient: Float[Tensor, "batch width"],
        x: Float[Tensor, "batch width"],
        radius: Float[Tensor, " batch"],
        seed: Float[Tensor, "batch width"] | None = None,
    ) -> Float[Tensor, "batch width"]:
        centre = x if seed is None else seed
        if self.is_shared:
            return self._steepest_per_cost(gradient, x, radius, centre)
        return self._each(
            lambda part, g, x, seed: part.steepest(g, x, radius, seed), gradient, x, centre
        )

    def _steepest_per_cost(
        self,
        gradient: Float[Tensor, "batch width"],
        x: Float[Tensor, "batch width"],
        radius: Float[Tensor, " batch"],
        seed: Float[Tensor, "batch width"],
    ) -> Float[Tensor, "batch width"]:
        """Other parts than the first move where they gain more for their cost than it does."""
        blocks = zip(self.parts, *map(self._split, (gradient, x, seed)), strict=True)
        moves: list[Tensor] = []
        rate = torch.zeros_like(radius)
        for part, slope, at, start in blocks:
            priced = part.with_cost(slope, start, rate)
            moves.append(part.steepest(priced, at, radius, start).flatten(1))
            if len(moves) == 1:
                gain = (slope * part.steepest(slope, start, radius, start)).flatten(1).sum(1)
                rate = gain / radius.clamp_min(torch.finfo(radius.dtype).tiny)
        return torch.cat(moves, dim=1)

    def mask_frozen(
        self, move: Float[Tensor, "batch width"], x: Float[Tensor, "batch width"]
    ) -> Float[Tensor, "batch width"]:
        return self._each(lambda part, move, x: part.mask_frozen(move, x), move, x)

    def column_index(self, like: Float[Tensor, "batch width"]) -> Int[Tensor, " width"]:
        found: list[Tensor] = []
        for part, block in zip(self.parts, self._split(like), strict=True):
            first = found[-1].max() + 1 if found else 0
            found.append(part.column_index(block).flatten() + first)
        return torch.cat(found)

    def projector(
        self, seed: Float[Tensor, "batch width"], radius: Float[Tensor, " batch"] | None
    ) -> Callable[[Tensor], Tensor]:
        if self.is_shared and radius is not None:
            return lambda x: self._in_turn(Space.project, (x,), seed, radius)
        pairs = zip(self.parts, self._split(seed), strict=True)
        backs = [part.projector(block, radius) for part, block in pairs]

        def back(x: Tensor) -> Tensor:
            blocks = zip(backs, self._split(x), strict=True)
            return torch.cat([one(block).flatten(1) for one, block in blocks], dim=1)

        return back

    def sample(
        self,
        seed: Float[Tensor, "batch width"],
        radius: Float[Tensor, " batch"],
        noise: Float[Tensor, "batch width"],
    ) -> Float[Tensor, "batch width"]:
        drawn = self._each(lambda part, s, u: part.sample(s, radius, u), seed, noise)
        return self.project(drawn, seed, radius) if self.is_shared else drawn

    def _cells(
        self, cells: Callable[[Space, Tensor], Tensor | None], x: Float[Tensor, "batch width"]
    ) -> Int[Tensor, " cells"]:
        """The parts' cells, as places in whole rows."""
        found, first = [], 0
        for part, block in zip(self.parts, self._split(x), strict=True):
            width, own = block[0].numel(), cells(part, block)
            own = torch.arange(width, device=x.device) if own is None else own
            found.append(own + first)
            first += width
        return torch.cat(found)

    def scatter_cells(self, x: Float[Tensor, "batch width"]) -> Int[Tensor, " cells"]:
        return self._cells(lambda part, block: part.scatter_cells(block), x)

    def snap_cells(self, x: Float[Tensor, "batch width"]) -> Int[Tensor, " cells"]:
        return self._cells(lambda part, block: part.snap_cells(block), x)

    def scatter(
        self,
        x: Float[Tensor, "batch width"],
        size: Float[Tensor, " batch"],
        scale: Float[Tensor, " width"],
        noise: Float[Tensor, "batch width"],
    ) -> Float[Tensor, "batch width"]:
        """One length over all parts; where only one of them scatters, the others are not read."""
        moves = self._parts_that_scatter(x)
        if sum(moves) > 1:
            return super().scatter(x, size, scale, noise)
        blocks = zip(self.parts, moves, *map(self._split, (x, scale[None], noise)), strict=True)
        return torch.cat(
            [
                (part.scatter(block, size, s[0], u) if is_moved else block).flatten(1)
                for part, is_moved, block, s, u in blocks
            ],
            dim=1,
        )

    def _parts_that_scatter(self, x: Float[Tensor, "batch width"]) -> list[bool]:
        pairs = zip(self.parts, self._split(x), strict=True)
        cells = [part.scatter_cells(block) for part, block in pairs]
        return [own is None or len(own) > 0 for own in cells]

    def wanderer(
        self, rows: Float[Tensor, "rows width"], scale: Float[Tensor, " width"], first: int = 0
    ) -> Wanderer:
        if sum(self._parts_that_scatter(rows[:1])) > 1:
            return super().wanderer(rows, scale, first)
        found: list[Wanderer] = []
        for part, block, own in zip(
            self.parts, self._split(rows), self._split(scale[None]), strict=True
        ):
            found.append(part.wanderer(block, own[0], first))
            first += own.numel()
        return lambda moves: torch.cat([wander(moves).flatten(1) for wander in found], dim=1)

    def snap(
        self,
        x: Float[Tensor, "batch width"],
        seed: Float[Tensor, "batch width"],
        radius: Float[Tensor, " batch"],
        noise: Float[Tensor, "batch width"],
    ) -> Float[Tensor, "batch width"]:
        if not self.is_shared:
            return self._each(lambda part, x, s, u: part.snap(x, s, radius, u), x, seed, noise)

        def near(part: Space, x: Tensor, noise: Tensor, seed: Tensor, radius: Tensor) -> Tensor:
            return part.snap(part.project(x, seed, radius), seed, radius, noise)

        return self._in_turn(near, (x, noise), seed, radius)

    def _in_turn(
        self,
        work: Callable[..., Tensor],
        rows: tuple[Float[Tensor, "batch width"], ...],
        seed: Float[Tensor, "batch width"],
        radius: Float[Tensor, " batch"],
    ) -> Float[Tensor, "batch width"]:
        """`work(part, *blocks, seed, radius)`, the last part first, with what is left over."""
        blocks = [*zip(self.parts, *map(self._split, (*rows, seed)), strict=True)]
        found: list[Tensor] = []
        for part, *own in reversed(blocks):
            new = work(part, *own, radius)
            radius = (radius - part.distance(new, own[-1])).clamp_min(0)
            found.insert(0, new.flatten(1))
        return torch.cat(found, dim=1)

    def distance(
        self, x: Float[Tensor, "batch width"], seed: Float[Tensor, "batch width"]
    ) -> Float[Tensor, " batch"]:
        """Lengths of the parts added up: standard deviations and flips."""
        pairs = zip(self.parts, self._split(x), self._split(seed), strict=True)
        return torch.stack([part.distance(x, s) for part, x, s in pairs]).sum(0)

    def apply_move(
        self, x: Float[Tensor, "batch width"], move: Float[Tensor, "batch width"]
    ) -> Float[Tensor, "batch width"]:
        return self._each(lambda part, x, move: part.apply_move(x, move), x, move)

    def bulk_variance(self, rows: Float[Tensor, "rows width"]) -> Float[Tensor, " width"]:
        blocks = zip(self.parts, self._split(rows), strict=True)
        return torch.cat([part.bulk_variance(block).flatten() for part, block in blocks])

    def class_scale(
        self,
        scale: Float[Tensor, " width"],
        every: Float[Tensor, " width"],
        own: Float[Tensor, "own width"],
    ) -> Float[Tensor, " width"]:
        blocks = zip(self.parts, *map(self._split, (scale[None], every[None], own)), strict=True)
        return torch.cat([part.class_scale(s[0], e[0], x).flatten() for part, s, e, x in blocks])

    def can_scatter(
        self, x: Float[Tensor, "batch width"], move: Float[Tensor, "batch width"]
    ) -> Bool[Tensor, "batch width"]:
        return self._each(lambda part, x, move: part.can_scatter(x, move), x, move)

    def shortened_move(
        self, x: Float[Tensor, "batch width"], move: Float[Tensor, "batch width"]
    ) -> Float[Tensor, "batch width"]:
        return self._each(lambda part, x, move: part.shortened_move(x, move), x, move)

    def can_swap(
        self, seed: Float[Tensor, "batch width"], other: Float[Tensor, "batch width"]
    ) -> Bool[Tensor, "batch width"]:
        return self._each(lambda part, s, o: part.can_swap(s, o), seed, other)

    def mix(
        self,
        seed: Float[Tensor, "batch width"],
        other: Float[Tensor, "batch width"],
        share: Float[Tensor, " batch"],
    ) -> Float[Tensor, "batch width"]:
        return self._each(lambda part, s, o: part.mix(s, o, share), seed, other)
