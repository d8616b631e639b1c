"""One move or one patch for all rows: an attack on a single row, the thing that they share.

What is raised is the mean objective of a few rows at a time, each one's capped, so that rows that
are over pull no more. `learn` returns the attack with what it has learnt; without it, each call
learns from the rows it is given.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self, cast

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from advaug.attacks.ascent import ascend, value_and_gradient
from advaug.core.norms import draw
from advaug.core.objectives import Objective
from advaug.core.parameters import Parameters
from advaug.core.space import Space
from advaug.core.ties import largest_size, stable_topk

Place = Callable[[Tensor, Tensor], Tensor]  # what is shared (1, *shape), rows -> moved rows


@dataclass(frozen=True)
class SharedObjective:
    """The objective of what all rows share: their mean, of `batch` rows drawn at each call."""

    objective: Objective
    place: Place
    rows: int
    batch: int
    cap: float
    generator: torch.Generator

    def __call__(self, shared: Float[Tensor, "1 *shape"]) -> Float[Tensor, " 1"]:
        source = self.generator
        rows = torch.randperm(self.rows, generator=source, device=source.device)[: self.batch]
        rows = rows.to(shared.device)
        value: Tensor = self.objective.take(rows)(self.place(shared, rows))
        return value.clamp_max(self.cap).mean()[None]

    def take(self, rows: Shaped[Tensor, " some"]) -> Self:
        return self


def median_objective(
    objective: Objective, seed: Float[Tensor, "batch *shape"], batch: int
) -> float:
    """The median size of the objective: what counts as far over, however sure a model is."""
    with torch.no_grad():
        return float(objective.take(torch.arange(len(seed))[:batch])(seed[:batch]).abs().median())


@dataclass
class UAP(Parameters):
    """Universal perturbation: one move of length `radius` that fools most rows, seen or not.

    Steepest ascent with momentum on the mean over rows of min(objective(x + v), cap), v in the
    ball; row by row, x + v is brought back into the bounds. Categories stay.

    Parameters
    ----------
    steps : int
        Number of gradient steps.
    step : float
        Length of one step as a share of the radius.
    momentum : float
        How much of the pull is kept from step to step.
    batch_size : int
        Rows looked at in each step.
    move : Tensor (*shape), optional
        A learnt move; None: learn from the rows of the call.

    References
    ----------
    Moosavi-Dezfooli, Fawzi, Fawzi, Frossard. Universal adversarial perturbations. CVPR 2017. The
    batched step with a cap: Shafahi, Najibi, Xu, Dickerson, Davis, Goldstein. Universal adversarial
    training. AAAI 2020.

    Examples
    --------
    >>> from advaug.attacks import UAP
    >>> UAP(steps=50).batch_size
    128
    """

    raises: ClassVar[str] = "margin"
    steps: int = 40
    step: float = 0.1
    momentum: float = 0.9
    batch_size: int = 128
    move: Tensor | None = field(default=None, repr=False, compare=False)

    def learn(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Self:
        """The same attack with the move learnt from these rows."""

        def place(move: Tensor, rows: Tensor) -> Tensor:
            return apply_shared_move(seed[rows], move, space, None)

        most, cap = (
            radius.amax(dim=0, keepdim=True),
            median_objective(objective, seed, self.batch_size),
        )
        goal = SharedObjective(objective, place, len(seed), self.batch_size, cap, generator)
        start = torch.zeros_like(seed[:1])
        move = ascend(
            goal,
            start,
            space.displacement_space(),
            most,
            steps=self.steps,
            step=self.step,
            momentum=self.momentum,
        )
        return replace(self, move=move[0])

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        learnt = self
        if self.move is None:
            learnt = self.learn(objective, seed, space, radius, generator)
        refuse_other_shape(self, learnt.move, seed)
        return apply_shared_move(seed, cast(Tensor, learnt.move).to(seed)[None], space, radius)


def refuse_other_shape(
    attack: object, learnt: Float[Tensor, "*own"] | None, seed: Float[Tensor, "batch *shape"]
) -> None:
    """ValueError where what was learnt has another shape than the rows: signals of a length."""
    if learnt is not None and learnt.shape != seed.shape[1:]:
        raise ValueError(
            f"{type(attack).__name__} was learnt on rows of shape {tuple(learnt.shape)}, got "
            f"{tuple(seed.shape[1:])}: fit on rows of this shape, or bring these to the other"
        )


def apply_shared_move(
    seed: Float[Tensor, "batch *shape"],
    move: Float[Tensor, "one_or_batch *shape"],
    space: Space,
    radius: Float[Tensor, " batch"] | None,
) -> Float[Tensor, "batch *shape"]:
    """Each row with the move, inside its bounds and ball; frozen and missing cells stay.

    While learning there is no ball: on its surface a gradient through it would be lost.
    """
    x: Tensor = space.projector(seed, radius)(seed + space.mask_frozen(move.expand_as(seed), seed))
    return x


@dataclass
class Patch(Parameters):
    """Adversarial patch: a small thing that fools most rows wherever it is put.

    Images (c, h, w) or (h, w): a patch of random place, size and turn in each row. Signals
    (channels, time): a window of random place and length. Tables: the same values in the few
    columns that the model reads most. No cell moves farther than the radius.

    Parameters
    ----------
    steps : int
        Number of gradient steps.
    step : float
        Length of one step as a share of the radius.
    sizes : (float, float)
        Least and largest side of the patch, as a share of the row's; of a table's columns the
        larger share is covered.
    turn : float
        Largest turn of an image's patch, in degrees.
    is_signal : bool, optional
        Rows are (channels, time); None: where they move in a `BandLimited`, as signals do.
    batch_size : int
        Rows looked at in each step.
    patch, covers : Tensor (*shape), optional
        A learnt patch, and a table's columns that it covers; None: learn from the rows of the call.

    References
    ----------
    Brown, Mane, Roy, Abadi, Gilmer. Adversarial patch. NeurIPS workshop 2017.

    Examples
    --------
    >>> from advaug.attacks import Patch
    >>> Patch(sizes=(0.2, 0.3)).turn
    20.0
    """

    raises: ClassVar[str] = "margin"
    steps: int = 100
    step: float = 0.1
    sizes: tuple[float, float] = (0.3, 0.5)
    turn: float = 20.0
    is_signal: bool | None = None
    batch_size: int = 128
    patch: Tensor | None = field(default=None, repr=False, compare=False)
    covers: Tensor | None = field(default=None, repr=False, compare=False)

    def learn(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Self:
        """The same attack with the patch learnt from these rows."""
        covers = None
        if seed.dim() == 2:
            covers = most_influential_columns(objective, seed, space, self.sizes[1])
        learner = replace(self, covers=covers)

        def place(patch: Tensor, rows: Tensor) -> Tensor:
            noise = draw(seed[rows].flatten(1)[:, :1].expand(-1, 4), generator)
            return learner._placed(patch, seed[rows], space, None, noise)

        most, cap = (
            radius.amax(dim=0, keepdim=True),
            median_objective(objective, seed, self.batch_size),
        )
        goal = SharedObjective(objective, place, len(seed), self.batch_size, cap, generator)
        center, flat = seed.mean(0, keepdim=True), space.with_norm(math.inf)
        patch = ascend(goal, center, flat, most, steps=self.steps, step=self.step)
        return replace(learner, patch=patch[0])

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        learnt = self
        if self.patch is None:
            learnt = self.learn(objective, seed, space, radius, generator)
        refuse_other_shape(self, learnt.patch, seed)
        noise = draw(seed.flatten(1)[:, :1].expand(-1, 4), generator)
        patch = cast(Tensor, learnt.patch).to(seed)[None]
        return learnt._placed(patch, seed, space, radius, noise)

    def _placed(
        self, patch: Tensor, seed: Tensor, space: Space, radius: Tensor | None, noise: Tensor
    ) -> Tensor:
        """Each row with the patch on it; frozen and missing cells stay."""
        if self.covers is not None:
            there, cover = patch, self.covers.to(seed.device)
        else:
            is_signal = space.window_axes == 1 if self.is_signal is None else self.is_signal
            there, cover = self._thrown(patch, seed, noise, is_signal)
        move = torch.where(cover, there - seed, 0.0)
        return apply_shared_move(seed, move, space, radius)

    def _thrown(
        self, patch: Tensor, seed: Tensor, noise: Tensor, is_signal: bool
    ) -> tuple[Tensor, Tensor]:
        """The patch where chance puts it in each row, and which cells it covers."""
        small, large = self.sizes
        size = small + (large - small) * noise[:, 0]
        across, down = ((1 - size) * (2 * noise[:, k] - 1) for k in (1, 2))
        angle = math.radians(self.turn) * (2 * noise[:, 3] - 1)
        wide = seed[:, :, None] if is_signal else seed.view(len(seed), -1, *seed.shape[-2:])
        high = torch.ones_like(size) if is_signal else size
        down, angle = (down * (high < 1), angle * (high < 1))
        c, s = angle.cos(), angle.sin()
        # From a cell of the row to a cell of the patch: shift, turn back, enlarge.
        x = torch.stack([c / size, s / size, -(c * across + s * down) / size], 1)
        y = torch.stack([-s / high, c / high, (s * across - c * down) / high], 1)
        grid = affine_grid(torch.stack([x, y], 1), list(wide.shape), align_corners=False)
        canvas = patch.view(1, *wide.shape[1:]).expand_as(wide)
        there = grid_sample(canvas, grid, padding_mode="border", align_corners=False)
        cover = (grid.abs() <= 1).all(-1)[:, None].expand_as(wide)
        return there.view_as(seed), cover.reshape(seed.shape)


def most_influential_columns(
    objective: Objective, seed: Float[Tensor, "batch width"], space: Space, share: float
) -> Shaped[Tensor, " width"]:
    """The share of the columns (at least one) on which the objective leans most."""
    _, gradient = value_and_gradient(objective, seed)
    column: Int[Tensor, " width"] = space.column_index(seed)
    leaning = space.mask_frozen(gradient, seed).abs().mean(0)
    leaning = torch.zeros_like(leaning).index_add(0, column, leaning)
    count = max(int(share * (int(column.max()) + 1)), 1)
    most = stable_topk(leaning[None], count, unit=largest_size(leaning[None]))
    return torch.isin(column, most)
