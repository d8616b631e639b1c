"""Numbers between bounds: pixels, signals, numeric columns.

A coordinate may be frozen (`free`), lie on a grid (`grid`: whole steps from the seed), or be
held by another one (`missing_flag`: while that one is 1, the value is missing and stays so).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.core import norms
from advaug.core.short_repr import ShortRepr
from advaug.core.space import Space, is_typical
from advaug.core.tensor_fields import moved_fields, some_rows

PRIOR_ROWS = 10.0  # The deviation of all rows counts like that of so many rows of the class.
QUARTILES = (0.25, 0.5, 0.75)
BULK = 3.5  # Numbers farther from the median, in robust standard deviations, are brought so near.
WHOLE = 1e-3  # What float32 loses of steps: 2.9995 steps are 3.
SAME = 1e-6  # A number within such a share of a special value is that value.


@dataclass(frozen=True)
class SpecialValues:
    """Special numbers of the coordinates, and intervals that hold no number.

    Parameters
    ----------
    atoms : Tensor (width, atoms)
        NaN where a coordinate has fewer.
    low, high : Tensor (width, gaps)
        Open intervals, in order; infinite where a coordinate has fewer.
    least, largest : Tensor (width,)
        Of the numbers that are no atoms.
    are_held : bool
        Whether no move and no mixture leaves an atom, or comes to one.
    """

    atoms: Tensor
    low: Tensor
    high: Tensor
    least: Tensor
    largest: Tensor
    are_held: bool = False

    @classmethod
    def of(
        cls,
        atoms: Sequence[Any],
        low: Sequence[Any],
        high: Sequence[Any],
        least: Tensor,
        largest: Tensor,
    ) -> Self:
        """From the atoms and the ends of the gaps of each coordinate."""
        ends = padded(low, math.inf), padded(high, math.inf)
        return cls(padded(atoms, math.nan), *ends, least, largest)

    def to(self, device: torch.device | str) -> Self:
        return moved_fields(self, device)

    def cut(self, columns: Int[Tensor, " left"]) -> Self:
        """The special values of some coordinates."""
        tensors = ("atoms", "low", "high", "least", "largest")
        return replace(self, **{name: getattr(self, name)[columns] for name in tensors})

    def with_atoms(self, values: Float[Tensor, " width"]) -> Self:
        """One more atom of each coordinate; NaN adds none."""
        if values.isnan().all():
            return self
        return replace(self, atoms=torch.cat([self.atoms, values[:, None].to(self.atoms)], 1))

    def codes(self, x: Float[Tensor, "batch width"]) -> Int[Tensor, "batch width"]:
        """Which atom each number is, counted from 1; 0 where it is none."""
        codes = torch.zeros_like(x, dtype=torch.long)
        for code, atom in enumerate(self.atoms.T, 1):  # One by one, for the memory.
            codes.masked_fill_((x - atom).abs() <= SAME * (1 + atom.abs()), code)
        return codes

    def are_atoms(self, x: Float[Tensor, "batch width"]) -> Bool[Tensor, "batch width"]:
        """Which numbers are atoms."""
        return self.codes(x) > 0

    def take(self, at: Int[Tensor, " some"]) -> Self:
        """Those of some of the coordinates, or of some of them several times."""
        parts = {one.name: some_rows(getattr(self, one.name), at) for one in fields(self)}
        return replace(self, **parts)

    def gap_around(
        self, x: Float[Tensor, "batch width"]
    ) -> tuple[Float[Tensor, "batch width"], Float[Tensor, "batch width"]]:
        """The ends of the gap that each number lies in; the number itself where it lies in none."""
        if not self.low.shape[1]:
            return x, x
        at = torch.searchsorted(self.low, x.T.contiguous(), right=True).T - 1
        place = torch.arange(x.shape[1], device=x.device)
        low, high = self.low[place, at.clamp_min(0)], self.high[place, at.clamp_min(0)]
        is_inside = (at >= 0) & (x > low) & (x < high)
        return torch.where(is_inside, low, x), torch.where(is_inside, high, x)


def variance_of_bulk(
    x: Float[Tensor, "rows width"], counts: Bool[Tensor, "rows width"]
) -> tuple[Float[Tensor, " width"], Float[Tensor, " width"]]:
    """Variance of the numbers that count, far ones brought nearer; and how many count."""
    n = counts.sum(0)
    ordered = sorted_columns(x.masked_fill(~counts, math.inf))
    lower, middle, upper = (
        ordered.gather(0, (share * (n - 1).clamp_min(0)).long()[None])[0] for share in QUARTILES
    )
    reach = BULK * (upper - lower) / 1.349
    reach = torch.where((reach > 0) & (n > 0), reach, math.inf)
    middle = middle.masked_fill(n == 0, 0.0)
    near = torch.where(counts, x.maximum(middle - reach).minimum(middle + reach), 0.0)
    mean = near.sum(0) / n.clamp_min(1)
    squares = torch.where(counts, (near - mean) ** 2, 0.0).sum(0)
    return squares / n.clamp_min(1), n.to(x.dtype)


def sorted_columns(x: Float[Tensor, "rows width"]) -> Float[Tensor, "rows width"]:
    """Each column in order: on a CPU numpy's sort takes a fifth of the time of torch's."""
    if x.device.type != "cpu":
        return x.sort(0).values
    return torch.from_numpy(np.sort(x.numpy(), axis=0))


def padded(values: Sequence[Any], filler: float) -> Tensor:
    """(coordinates, most values): sequences of numbers side by side."""
    counts = torch.tensor([*map(len, values)])
    width = int(counts.max()) if len(values) else 0
    filled = torch.full((len(values), width), filler, dtype=torch.float32)
    is_value = torch.arange(filled.shape[1]) < counts[:, None]
    filled[is_value] = torch.tensor([*chain.from_iterable(values)], dtype=torch.float32)
    return filled


def coordinates(values: Tensor, at: Int[Tensor, " k"]) -> Float[Tensor, " k"]:
    """The values of coordinates `at` of flat rows; a single value is that of all of them."""
    return values.flatten()[at] if values.numel() > 1 else values.flatten().expand(len(at))


@dataclass(frozen=True, repr=False)
class Box(ShortRepr, Space):
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
    special : SpecialValues, optional
        Of flat rows: no number stays in a gap.
    down, up : Tensor (*shape), optional
        The share of the radius by which each coordinate may move from the seed at most, downwards
        and upwards; both are given, or none.
    whole : float, optional
        The radius of the whole ball where its norm is 1 and `down` and `up` are given: a step then
        goes towards the best point of the ball, by its share of `whole` (Frank, Wolfe. An algorithm
        for quadratic programming. 1956). It can fill a coordinate, then the next one.
    """

    lower: Tensor
    upper: Tensor
    norm: float = math.inf
    free: Tensor | None = None
    grid: Tensor | None = None
    missing_flag: Tensor | None = None
    special: SpecialValues | None = None
    down: Tensor | None = None
    up: Tensor | None = None
    n_cut: int = 0
    whole: float | None = None

    def with_norm(self, norm: float) -> Self:
        return replace(self, norm=norm)

    def cut(self, columns: Int[Tensor, " left"]) -> Self | None:
        if self.special is None or self.missing_flag is not None:
            return None
        tensors = ("lower", "upper", "free", "grid", "down", "up")
        parts = {name: getattr(self, name) for name in tensors}
        parts = {name: part if part is None else part[columns] for name, part in parts.items()}
        n_cut = self.n_cut + len(self.lower) - len(columns)
        return replace(self, **parts, special=self.special.cut(columns), n_cut=n_cut)

    def displacement_space(self) -> Self:
        endless = torch.full_like(self.upper, math.inf)
        return replace(
            self, lower=-endless, upper=endless, grid=None, missing_flag=None, special=None
        )

    def hold_special_values(self) -> Self:
        if self.special is None:
            return self
        special = replace(self.special, are_held=True)
        return replace(self, lower=special.least, upper=special.largest, special=special)

    def hold_typical_values(
        self, own: Float[Tensor, "own *shape"], others: Float[Tensor, "others *shape"]
    ) -> Self:
        if self.special is None or not len(own):
            return self
        typical = own.mode(0).values
        own_share, other_share = ((x == typical).sum(0) / len(x) for x in (own, others))
        is_held = is_typical(own_share, len(own), other_share, len(others))
        atoms = typical.masked_fill(~is_held, math.nan)
        return replace(self, special=self.special.with_atoms(atoms.cpu()))

    def special_codes(self, x: Float[Tensor, "batch *shape"]) -> Int[Tensor, "batch *shape"]:
        return super().special_codes(x) if self.special is None else self.special.codes(x)

    def take_special_values(
        self, x: Float[Tensor, "batch *shape"], other: Float[Tensor, "batch *shape"]
    ) -> Float[Tensor, "batch *shape"]:
        if self.special is None or not self.special.atoms.numel():
            return x
        is_special = self.special.are_atoms(x) | self.special.are_atoms(other)
        return torch.where(is_special & self.can_swap(x, other), other, x)

    def mask_frozen(
        self, move: Float[Tensor, "batch *shape"], x: Float[Tensor, "batch *shape"]
    ) -> Float[Tensor, "batch *shape"]:
        move = self._mask_missing(move, x)
        if self.special is None or not self.special.are_held or not self.special.atoms.numel():
            return move
        return move.masked_fill(self.special.are_atoms(x), 0.0)

    def _mask_missing(
        self, move: Float[Tensor, "batch *shape"], x: Float[Tensor, "batch *shape"]
    ) -> Float[Tensor, "batch *shape"]:
        """The move without frozen and missing coordinates."""
        if self.free is not None:
            move = move * self.free
        if self.missing_flag is not None:
            flags = x.index_select(1, self.missing_flag.clamp_min(0))
            held = (flags > 0.5) & (self.missing_flag >= 0)
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
        if self.down is not None and self.up is not None:
            return self._steepest_by_shares(gradient, x, radius, x if seed is None else seed)
        if self.norm == 1:  # what a coordinate cannot use before its bound goes to the next one
            at = x if seed is None else seed
            room = torch.where(gradient > 0, self.upper - at, at - self.lower).clamp_min(0)
            return norms.fill(gradient, room, radius)
        unit = norms.steepest(gradient, self.norm)
        return unit.mul_(norms.per_row(radius, unit))

    def _steepest_by_shares(
        self,
        gradient: Float[Tensor, "batch *shape"],
        x: Float[Tensor, "batch *shape"],
        radius: Float[Tensor, " batch"],
        seed: Float[Tensor, "batch *shape"],
    ) -> Float[Tensor, "batch *shape"]:
        """No coordinate moves by more than its share of `radius`, but as far back as it came."""
        if self.whole is not None:
            return self._towards_best(gradient, x, radius, seed)
        lower, upper = self._within(seed, radius)
        down, up = seed - lower, upper - seed
        if self.norm == 1:
            return norms.fill(gradient, torch.where(gradient > 0, up, down).clamp_min(0), radius)
        down, up = down.maximum(x - seed), up.maximum(seed - x)
        gradient = gradient.masked_fill(torch.where(gradient > 0, up, down) <= 0, 0.0)
        unit = norms.steepest(gradient, self.norm)
        return (unit * norms.per_row(radius, unit)).clamp(-down, up)

    def _towards_best(
        self,
        gradient: Float[Tensor, "batch *shape"],
        x: Float[Tensor, "batch *shape"],
        radius: Float[Tensor, " batch"],
        seed: Float[Tensor, "batch *shape"],
    ) -> Float[Tensor, "batch *shape"]:
        """A step from x towards the point of the whole ball that gains most on `gradient`."""
        whole = torch.full_like(radius, self.whole or 0.0)
        lower, upper = self._within(seed, whole)
        room = torch.where(gradient > 0, upper - seed, seed - lower).clamp_min(0)
        best = norms.fill(gradient, room, whole)
        move = (best - (x - seed)) * norms.per_row((radius / whole).clamp_max(1), x)
        has_slope = (gradient != 0).flatten(1).any(1)
        return move.masked_fill(~norms.per_row(has_slope, x), 0.0)

    def _within(
        self, seed: Float[Tensor, "batch *shape"], radius: Float[Tensor, " batch"] | None
    ) -> tuple[Float[Tensor, "batch *shape"], Float[Tensor, "batch *shape"]]:
        """Bounds of each row, and of the shares of the radius that its coordinates may move by."""
        lower, upper = self.lower.minimum(seed), self.upper.maximum(seed)
        if radius is None or self.down is None or self.up is None:
            return lower, upper
        # A share of 0 of an infinite radius is 0.
        reach = norms.per_row(radius, seed).clamp_max(torch.finfo(seed.dtype).max)
        return (seed - self.down * reach).maximum(lower), (seed + self.up * reach).minimum(upper)

    def projector(
        self, seed: Float[Tensor, "batch *shape"], radius: Float[Tensor, " batch"] | None
    ) -> Callable[[Tensor], Tensor]:
        lower, upper = self._within(seed, radius)
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
        moved = seed + self.mask_frozen(norms.ball(noise, radius, self.norm), seed)
        return moved.clamp(*self._within(seed, radius))

    @property
    def rounds(self) -> bool:
        """Whether a number has a grid, or a gap that it may lie in."""
        return self.grid is not None or (self.special is not None and self.special.low.numel() > 0)

    def snap_cells(self, x: Float[Tensor, "batch *shape"]) -> Int[Tensor, " cells"] | None:
        return None if self.rounds else torch.empty(0, dtype=torch.long, device=x.device)

    def snap(
        self,
        x: Float[Tensor, "batch *shape"],
        seed: Float[Tensor, "batch *shape"],
        radius: Float[Tensor, " batch"],
        noise: Float[Tensor, "batch *shape"],
    ) -> Float[Tensor, "batch *shape"]:
        """Whole steps from the seed and ends of gaps, up or down by chance so that the mean stays.

        A row that this would carry out of the ball goes towards the seed instead.
        """
        if not self.rounds:
            return x
        rounded, shorter = self._out_of_gaps(x, seed, noise)
        if self.grid is not None:
            rounded, shorter = self._in_steps(rounded, shorter, seed, noise)
        outside = norms.per_row(norms.length(rounded - seed, self.norm) > radius * (1 + 1e-6), x)
        if self.down is not None and self.up is not None:
            move, reach = rounded - seed, norms.per_row(radius * (1 + 1e-6), x)
            outside = outside | (move > self.up * reach) | (-move > self.down * reach)
        return torch.where(outside, shorter, rounded)

    def _out_of_gaps(self, x: Tensor, seed: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers in a gap at one of its ends: by chance, and towards the seed."""
        if self.special is None:
            return x, x
        low, high = self.special.gap_around(x)
        is_up = (x - low) > noise * (high - low)
        return torch.where(is_up, high, low), torch.where(x > seed, low, high)

    def _in_steps(
        self, x: Tensor, near: Tensor, seed: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Whole steps from the seed: x rounded by chance, and `near` towards the seed."""
        assert self.grid is not None
        grid = torch.where(self.grid > 0, self.grid, 1.0)
        steps, fewer = (x - seed) / grid, (near - seed) / grid
        whole = steps.round()
        steps = torch.where((steps - whole).abs() < WHOLE, whole, steps)
        rounded = seed + (steps + noise).floor() * grid
        shorter = seed + (fewer + 1e-3 * fewer.sign()).trunc() * grid  # 2.99999 steps are 3
        beyond = (rounded - self._bounded(rounded, seed)).abs() > grid / 100
        rounded = torch.where(self.grid > 0, torch.where(beyond, shorter, rounded), x)
        return rounded, torch.where(self.grid > 0, shorter, near)

    def distance(
        self, x: Float[Tensor, "batch *shape"], seed: Float[Tensor, "batch *shape"]
    ) -> Float[Tensor, " batch"]:
        return norms.length(x - seed, self.norm)

    def nearest_between(
        self,
        seed: Float[Tensor, " k"],
        low: Float[Tensor, " k"],
        high: Float[Tensor, " k"],
        at: Int[Tensor, " k"],
    ) -> Float[Tensor, " k"]:
        low = low.maximum(coordinates(self.lower, at).minimum(seed))
        high = high.minimum(coordinates(self.upper, at).maximum(seed))
        x = nearest = seed.maximum(low).minimum(high)
        if self.special is not None:
            below, above = self.special.take(at).gap_around(nearest[None])
            x = torch.where(nearest > seed, above[0], below[0])
        if self.grid is not None:
            grid = coordinates(self.grid, at)
            steps = (x - seed) / torch.where(grid > 0, grid, 1.0)
            away = (steps.abs() - WHOLE).ceil() * steps.sign()
            x = torch.where(grid > 0, seed + away * grid, x)
            slack = WHOLE * grid
            low, high = low - slack, high + slack
        x = torch.where(nearest == seed, seed, x)
        is_outside = (x < low) | (x > high) | (low > high)
        return x.masked_fill(is_outside, math.nan)

    def steps(self, like: Float[Tensor, "batch *shape"]) -> Float[Tensor, "*shape"]:
        return super().steps(like) if self.grid is None else self.grid

    def radius_of(self, move: Float[Tensor, " k"], at: Int[Tensor, " k"]) -> Float[Tensor, " k"]:
        if self.down is None or self.up is None:
            return move.abs()
        share = torch.where(move > 0, coordinates(self.up, at), coordinates(self.down, at))
        return torch.where(move == 0, 0.0, move.abs() / share)

    def apply_move(
        self, x: Float[Tensor, "batch *shape"], move: Float[Tensor, "batch *shape"]
    ) -> Float[Tensor, "batch *shape"]:
        return self._bounded(x + self.mask_frozen(move, x), x)

    def bulk_variance(self, rows: Float[Tensor, "rows *shape"]) -> Float[Tensor, "*shape"]:
        return super().bulk_variance(rows) if self.special is None else self._bulk(rows)[0]

    def _bulk(
        self, rows: Float[Tensor, "rows *shape"]
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        """Variance and count of the numbers that may move."""
        return variance_of_bulk(rows, self.mask_frozen(torch.ones_like(rows), rows) != 0)

    def class_scale(
        self,
        scale: Float[Tensor, "*shape"],
        every: Float[Tensor, "*shape"],
        own: Float[Tensor, "own *shape"],
    ) -> Float[Tensor, "*shape"]:
        """The deviation within the class, drawn towards that of all rows where its rows are few.

        Only numbers that may move count, and one far from the others counts as one at their edge.
        """
        if self.special is None:
            return scale
        within, n = self._bulk(own)
        return ((n * within + PRIOR_ROWS * every) / (n + PRIOR_ROWS)).sqrt()

    def can_scatter(
        self, x: Float[Tensor, "batch *shape"], move: Float[Tensor, "batch *shape"]
    ) -> Bool[Tensor, "batch *shape"]:
        """Atoms count though they do not move: otherwise the other numbers moved farther."""
        if self.special is None:
            return super().can_scatter(x, move)
        return self._mask_missing(torch.ones_like(x), x) != 0

    def shortened_move(
        self, x: Float[Tensor, "batch *shape"], move: Float[Tensor, "batch *shape"]
    ) -> Float[Tensor, "batch *shape"]:
        """A number that its bounds would stop goes a part of the way: none piles up at a bound."""
        whole = self.mask_frozen(move, x)
        moved = self._bounded(x + whole, x)
        if self.special is None:
            return moved
        by = moved - x
        is_stopped = (by - whole).abs() > SAME
        return torch.where(is_stopped, x + by * (by / whole), moved)

    def can_swap(
        self, seed: Float[Tensor, "batch *shape"], other: Float[Tensor, "batch *shape"]
    ) -> Bool[Tensor, "batch *shape"]:
        return self._mask_missing(self._mask_missing(other - seed, seed), other) != 0

    def mix(
        self,
        seed: Float[Tensor, "batch *shape"],
        other: Float[Tensor, "batch *shape"],
        share: Float[Tensor, " batch"],
    ) -> Float[Tensor, "batch *shape"]:
        # What is missing or an atom in either row stays as the seed has it.
        way = self.mask_frozen(self.mask_frozen(other - seed, seed), other)
        return seed + norms.per_row(share, seed) * way
