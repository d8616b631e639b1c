"""One move or one patch for all rows: an attack on a single row, which is what they share.

They raise the mean objective of a few rows at a time, each one's capped, so that rows that have
clearly succeeded have no gradient. `fit` returns the attack with what it has learnt; without it,
each call learns from its own rows.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from advaug.attacks.ascent import ascend, value_and_gradient
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem, Loss
from advaug.core.space import Space
from advaug.core.ties import largest_size, stable_topk

PLACES = 1  # the stream of random numbers that places a patch; stream 0 chooses rows

# what is shared (1, *shape), some of the rows, number of the step -> moved rows
Apply = Callable[[Tensor, AttackProblem, int], Tensor]


def rows_of_step(problem: AttackProblem, step: int, batch_size: int) -> AttackProblem:
    """The rows that a step looks at: those of smallest random numbers there."""
    return problem.take(problem.random.at(step).uniform(1)[:, 0].argsort(stable=True)[:batch_size])


def raise_for_all(
    problem: AttackProblem,
    start: Float[Tensor, "1 *shape"],
    space: Space,
    apply: Apply,
    batch_size: int,
    **settings: Any,
) -> Float[Tensor, "*shape"]:
    """What all rows share, where the mean of their objectives is high, each one's capped.

    The cap is the median size of the objective, so that it suits sure and unsure models alike.
    """
    batches = problem.at(0)
    few = rows_of_step(batches, 0, batch_size)
    cap = float(few.measure(few.seed)[0].abs().median())

    def gradient_of(_: AttackProblem, shared: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor]:
        some = rows_of_step(batches, step, batch_size)

        def mean(shared: Tensor) -> Tensor:
            value: Tensor = some.objective(apply(shared, some, step))
            return value.clamp_max(cap).mean()[None]

        value, gradient = value_and_gradient(mean, shared)
        return value, gradient, value

    one = replace(
        problem.take(torch.zeros_like(problem.random.keys[:1])),
        seed=start,
        space=space,
        radius=problem.radius.amax(dim=0, keepdim=True),
    )
    return ascend(one, gradient_of=gradient_of, **settings)[0]


@dataclass
class UAP(Attack, Parameters):
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
        Decay factor of the accumulated gradient.
    batch_size : int
        Rows looked at in each step.
    move : Tensor (*shape), optional
        A learnt move; None: learn from the rows of the call.

    See Also
    --------
    advaug.attacks.Patch :
        Adversarial patch: a small block of values that fools most rows wherever it is put.
    advaug.attacks.DeepFool :
        To the nearest of the linearised boundaries, again and again until one is crossed.

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

    loss: ClassVar[Loss] = "margin"
    is_universal: ClassVar[bool] = True
    requires: ClassVar[frozenset[str]] = frozenset({"cells", "gradient"})
    steps: int = 40
    step: float = 0.1
    momentum: float = 0.9
    batch_size: int = 128
    move: Tensor | None = field(default=None, repr=False, compare=False)

    def fit(self, problem: AttackProblem) -> Self:
        """The same attack with the move learnt from the problem's rows."""

        def apply(move: Tensor, some: AttackProblem, step: int) -> Tensor:
            return apply_shared_move(some.seed, move, some.space, None)

        move = raise_for_all(
            problem,
            torch.zeros_like(problem.seed[:1]),
            problem.space.displacement_space(),
            apply,
            self.batch_size,
            steps=self.steps,
            step=self.step,
            momentum=self.momentum,
        )
        return replace(self, move=move)

    def __call__(self, problem: AttackProblem) -> Tensor:
        move = self.fit(problem).move if self.move is None else self.move
        refuse_other_shape(self, move, problem.seed)
        move = cast(Tensor, move).to(problem.seed)[None]
        return apply_shared_move(problem.seed, move, problem.space, problem.radius)


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
class Patch(Attack, Parameters):
    """Adversarial patch: a small block of values that fools most rows wherever it is put.

    Images (c, h, w) or (h, w): a patch of random place, size and rotation in each row. Signals
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
    rotation_max : float
        Largest rotation of an image's patch, in degrees.
    is_signal : bool, optional
        Rows are (channels, time); None: where they move in a `BandLimited`, as signals do.
    batch_size : int
        Rows looked at in each step.
    patch, covers : Tensor (*shape), optional
        A learnt patch, and a table's columns that it covers; None: learn from the rows of the call.

    See Also
    --------
    advaug.attacks.UAP :
        Universal perturbation: one move of length `radius` that fools most rows, seen or not.

    References
    ----------
    Brown, Mane, Roy, Abadi, Gilmer. Adversarial patch. NeurIPS workshop 2017.

    Examples
    --------
    >>> from advaug.attacks import Patch
    >>> Patch(sizes=(0.2, 0.3)).rotation_max
    20.0
    """

    loss: ClassVar[Loss] = "margin"
    is_universal: ClassVar[bool] = True
    requires: ClassVar[frozenset[str]] = frozenset({"cells", "gradient"})
    steps: int = 100
    step: float = 0.1
    sizes: tuple[float, float] = (0.3, 0.5)
    rotation_max: float = 20.0
    is_signal: bool | None = None
    batch_size: int = 128
    patch: Tensor | None = field(default=None, repr=False, compare=False)
    covers: Tensor | None = field(default=None, repr=False, compare=False)

    def fit(self, problem: AttackProblem) -> Self:
        """The same attack with the patch learnt from the problem's rows."""
        seed, space, covers = problem.seed, problem.space, None
        if seed.dim() == 2:
            covers = most_influential_columns(problem, self.sizes[1])
        learner = replace(self, covers=covers)

        def apply(patch: Tensor, some: AttackProblem, step: int) -> Tensor:
            return learner._put(patch, some.at(PLACES).at(step), None)

        patch = raise_for_all(
            problem,
            seed.mean(0, keepdim=True),
            space.with_norm(math.inf),
            apply,
            self.batch_size,
            steps=self.steps,
            step=self.step,
        )
        return replace(learner, patch=patch)

    def __call__(self, problem: AttackProblem) -> Tensor:
        learnt = self.fit(problem) if self.patch is None else self
        refuse_other_shape(self, learnt.patch, problem.seed)
        patch = cast(Tensor, learnt.patch).to(problem.seed)[None]
        return learnt._put(patch, problem.at(PLACES), problem.radius)

    def _put(self, patch: Tensor, problem: AttackProblem, radius: Tensor | None) -> Tensor:
        """Each row with the patch on it, where its random numbers say."""
        seed, space = problem.seed, problem.space
        if self.covers is not None:
            there, cover = patch, self.covers.to(seed.device)
        else:
            is_signal = space.window_axes == 1 if self.is_signal is None else self.is_signal
            there, cover = self._placed(patch, seed, problem.random.uniform(4).to(seed), is_signal)
        return apply_shared_move(seed, torch.where(cover, there - seed, 0.0), space, radius)

    def _placed(
        self, patch: Tensor, seed: Tensor, noise: Tensor, is_signal: bool
    ) -> tuple[Tensor, Tensor]:
        """The patch at a random place of each row, and which cells it covers."""
        small, large = self.sizes
        size = small + (large - small) * noise[:, 0]
        across, down = ((1 - size) * (2 * noise[:, k] - 1) for k in (1, 2))
        angle = math.radians(self.rotation_max) * (2 * noise[:, 3] - 1)
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


def most_influential_columns(problem: AttackProblem, share: float) -> Bool[Tensor, " width"]:
    """The share of the columns (at least one) on which the objective depends most."""
    seed, space = problem.seed, problem.space
    _, gradient = value_and_gradient(problem.objective, seed)
    column: Int[Tensor, " width"] = space.column_index(seed)
    size = space.mask_frozen(gradient, seed).abs().mean(0)
    size = torch.zeros_like(size).index_add(0, column, size)
    count = max(int(share * (int(column.max()) + 1)), 1)
    most = stable_topk(size[None], count, unit=largest_size(size[None]))
    return torch.isin(column, most)
