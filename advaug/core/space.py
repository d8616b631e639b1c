"""What every space can do: small operations on batches of rows, some with a default.

Noise comes in as uniform tensors of the rows' own shape, so that a row does not depend on the
batch it is cut into. An infinite radius in `project` and `snap` means: no ball, only validity.
"""

import math
from collections.abc import Callable, Iterator
from typing import ClassVar, NamedTuple, Protocol, Self, TypeAlias

import torch
from torch import Tensor

from advaug.core.devices import at_once
from advaug.core.norms import draw, length, per_row, standard_normal
from advaug.core.row_random import RowRandom
from advaug.core.tensor_fields import moved_fields, picked

TYPICAL = 0.95  # A value is typical of rows if such a share of them holds it,
TYPICAL_BY_CHANCE = 0.01  # and as many of the other rows would hold it at most so often.
CELLS_AT_ONCE = 2**16  # Cells that a CPU moves at once: each step holds some copies of them.
MAX_SCATTER = 0.5  # Largest root mean square of the cells of a random move, in their scales.


def is_typical(own_share: Tensor, n_own: int, other_share: Tensor, n_others: int) -> Tensor:
    """Whether nearly all rows hold a value for a reason, by its shares in them and in others."""
    share = other_share.clamp(1 / (n_others + 1), 1 - 1e-6)
    by_chance = n_own * own_share * share.log()
    return (own_share >= TYPICAL) & (by_chance < math.log(TYPICAL_BY_CHANCE))


class RandomMoves(NamedTuple):
    """What moves rows at random: places of the rows, and for each move its own numbers."""

    seed: Tensor
    other: Tensor  # The row that the seed is mixed with,
    share: Tensor  # and how far.
    size: Tensor  # Of the move after that.
    moving: RowRandom
    rounding: RowRandom

    def split(self, height: int) -> Iterator[Self]:
        """So many moves at a time."""
        parts = zip(*(one.split(height) for one in self), strict=True)
        return (type(self)(*part) for part in parts)


Wanderer: TypeAlias = Callable[[RandomMoves], Tensor]  # to the moved rows


class Space(Protocol):
    """The set of valid rows; inherit from it for the defaults.

    Tensors are (batch, *shape); `radius` is (batch,), in the space's own units.
    """

    # Whether rows are near where their cells are; else their features say what is near.
    is_euclidean: ClassVar[bool] = True
    # How many of the last axes a local window spans: 2 in an image, 1 where channels share an axis.
    window_axes: ClassVar[int] = 2
    # How many cells that count in the length of a random move were cut off.
    n_cut: int = 0

    @property
    def norm(self) -> float:
        """In which numbers are measured: inf, 2 or 1."""
        ...

    def to(self, device: torch.device | str) -> Self:
        """The same space on another device; by default it is a dataclass."""
        return moved_fields(self, device)

    def restrict_to_common_levels(self, rows: Tensor, least: float) -> Self:
        """The same space, but moving only to levels that a share `least` of the rows hold."""
        return self

    def hold_special_values(self) -> Self:
        """The same space, but never leaving a special value but by `swap`.

        By default there are none.
        """
        return self

    def hold_typical_values(self, own: Tensor, others: Tensor) -> Self:
        """The same space, but never leaving a value that is typical of `own` and not of `others`.

        By default no value is.
        """
        return self

    def keep_structure(self) -> Self:
        """The same space, but with only those random moves that keep how a row is built.

        By default all of them do.
        """
        return self

    def special_codes(self, x: Tensor) -> Tensor:
        """(batch, *shape) whole numbers: which special value each cell holds, 0 for none."""
        return torch.zeros_like(x, dtype=torch.long)

    def take_special_values(self, x: Tensor, other: Tensor) -> Tensor:
        """x, as `other` has it in cells that no move would leave: by default there are none."""
        return x

    def cut(self, columns: Tensor) -> Self | None:
        """The space of some columns of flat rows, in which the others never move.

        By default None: a space has no such part.
        """
        return None

    def with_norm(self, norm: float) -> Self:
        """The same space, numbers measured in another norm; a space without numbers as it is."""
        return self

    def displacement_space(self) -> Self:
        """Where a move that many rows share lives: around 0, without bounds; categories stay."""
        ...

    def steepest(
        self, gradient: Tensor, x: Tensor, radius: Tensor, seed: Tensor | None = None
    ) -> Tensor:
        """The move of length `radius` from x that gains most on `gradient`.

        `seed`: where the ball has its centre, if that is not x. In L1 the move is then the best
        one from there: a coordinate that has gone to its bound keeps its part of the length.
        """
        ...

    def with_cost(self, gradient: Tensor, seed: Tensor, rate: Tensor) -> Tensor:
        """The gradient less what a unit of distance from the seed costs, `rate` (batch,).

        By default as it is: only positions of categories with a cost differ.
        """
        return gradient

    def mask_frozen(self, move: Tensor, x: Tensor) -> Tensor:
        """The move without what may not move from x: frozen and missing cells."""
        ...

    def column_index(self, like: Tensor) -> Tensor:
        """The user's column of each coordinate, as whole numbers (*shape); by default its own."""
        shape = like.shape[1:]
        return torch.arange(shape.numel(), device=like.device).view(shape)

    def project(self, x: Tensor, seed: Tensor, radius: Tensor) -> Tensor:
        """Back to a valid point within `radius` of the seed."""
        return self.projector(seed, radius)(x)

    def projector(self, seed: Tensor, radius: Tensor | None) -> Callable[[Tensor], Tensor]:
        """`project` as a function of x alone, for a loop; radius None: no ball."""
        ...

    def sample(self, seed: Tensor, radius: Tensor, noise: Tensor) -> Tensor:
        """A random valid point within `radius` of the seed."""
        ...

    def snap(self, x: Tensor, seed: Tensor, radius: Tensor, noise: Tensor) -> Tensor:
        """A point that can be decoded, unbiased around x, within `radius` of the seed."""
        ...

    def distance(self, x: Tensor, seed: Tensor) -> Tensor:
        """(batch,): how far x lies from the seed."""
        ...

    def nearest_between(self, seed: Tensor, low: Tensor, high: Tensor, at: Tensor) -> Tensor:
        """(k,): the number nearest to `seed` that coordinate `at` may take from `low` to `high`.

        All are (k,). NaN where it may take none of them.
        """
        return seed.clamp(low, high).masked_fill(low > high, math.nan)

    def steps(self, like: Tensor) -> Tensor:
        """(*shape): the distance between neighbouring numbers, 0 where any number is valid."""
        return torch.zeros_like(like[0])

    def radius_of(self, move: Tensor, at: Tensor) -> Tensor:
        """(k,): the least radius at which coordinates `at` may move so far by themselves."""
        return move.abs()

    def apply_move(self, x: Tensor, move: Tensor) -> Tensor:
        """x with its numbers moved, as far as they may; categories stay."""
        ...

    def scatter_cells(self, x: Tensor) -> Tensor | None:
        """Flat places of the cells whose noise `scatter` reads; None, by default: of all."""
        return None

    def snap_cells(self, x: Tensor) -> Tensor | None:
        """Flat places of the cells whose noise `snap` reads; None, by default: of all."""
        return None

    def scatter(self, x: Tensor, size: Tensor, scale: Tensor, noise: Tensor) -> Tensor:
        """x moved in random directions by `size` (batch,) times each cell's `scale` (*shape).

        By default every direction is equally likely, and `size` is the length over all cells that
        may move. It is shortened where they are few, or else each of them would move far.
        """
        direction = standard_normal(noise)
        moves = self.can_scatter(x, direction * scale)
        direction = direction * moves
        count = moves.flatten(1).sum(1) + self.n_cut
        size = size.minimum(MAX_SCATTER * count.to(size).sqrt())
        # The square of a normal number is 1 on average: so much each cell that was cut off adds.
        long = torch.hypot(length(direction, 2), torch.tensor(self.n_cut).sqrt().to(size))
        share = size / long.clamp_min(1e-9)
        return self.shortened_move(x, direction * per_row(share, direction) * scale)

    def bulk_variance(self, rows: Tensor) -> Tensor:
        """(*shape): what `class_scale` reads of all rows, computed once for all classes.

        By default nothing.
        """
        return rows.new_zeros(rows.shape[1:])

    def class_scale(self, scale: Tensor, every: Tensor, own: Tensor) -> Tensor:
        """(*shape): each cell's `scale` for random moves of the rows of a class, `own`.

        `every` is the `bulk_variance` of all rows. By default the scale of all rows.
        """
        return scale

    def can_scatter(self, x: Tensor, move: Tensor) -> Tensor:
        """(batch, *shape) of bool: cells that count in the length of a random move."""
        return self.apply_move(x, move) != x

    def shortened_move(self, x: Tensor, move: Tensor) -> Tensor:
        """As `apply_move`; a space may shorten the moves that its bounds would stop."""
        return self.apply_move(x, move)

    def mix(self, seed: Tensor, other: Tensor, share: Tensor) -> Tensor:
        """The point at `share` (batch,) of the way from the seed to the other row."""
        ...

    def wanderer(self, rows: Tensor, scale: Tensor, first: int = 0) -> Wanderer:
        """`mix`, `scatter` and `snap` without a ball, as one function of the places of rows.

        A space may do the same at less cost, to the bit: it reads once what it needs of each row.
        `first` is which of a row's random numbers is that of the first cell.
        """

        def wander(moves: RandomMoves) -> Tensor:
            start = picked(rows, moves.seed)
            noise = draw(start, moves.moving, self.scatter_cells(start), first)
            mixed = self.mix(start, picked(rows, moves.other), moves.share)
            moved = self.scatter(mixed, moves.size, scale, noise)
            noise = draw(start, moves.rounding, self.snap_cells(start), first)
            return self.snap(moved, start, torch.full_like(moves.share, torch.inf), noise)

        height = max(at_once(rows.device, CELLS_AT_ONCE) // rows.shape[1:].numel(), 1)
        return lambda moves: torch.cat([*map(wander, moves.split(height))])

    def swap(self, seed: Tensor, other: Tensor, chance: Tensor, noise: Tensor) -> Tensor:
        """The seed, each column of it by `chance` (batch,) as the other row has it.

        What must not move stays as the seed has it: frozen and missing cells.
        """
        column = self.column_index(seed).flatten()
        taken = noise.flatten(1)[:, column].view_as(seed) < per_row(chance, seed)
        return torch.where(taken & self.can_swap(seed, other), other, seed)

    def can_swap(self, seed: Tensor, other: Tensor) -> Tensor:
        """(batch, *shape) of bool: cells that `swap` may take, by default those `mix` moves."""
        return self.mix(seed, other, torch.ones_like(seed.flatten(1)[:, 0])) != seed
