"""The one gradient loop: raise an objective inside a space, no farther than a radius.

Everything that differs between the gradient attacks is an argument of `ascend`.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from advaug.core.norms import per_row
from advaug.core.problem import AttackProblem
from advaug.core.ties import at_least

NO_GRADIENT = (
    "the attacked model has no gradient, it can only be queried: take attack='square', 'nes', "
    "'spsa', 'hopskipjump' or 'crossover' ('greedy' for sequences), or a torch module as surrogate"
)

# problem, rows, number of the step -> the objective of the rows, its gradient, its noise's unit
Gradient = Callable[[AttackProblem, Tensor, int], tuple[Tensor, Tensor, Tensor]]


def refuse_no_gradient(value: Tensor) -> None:
    """ValueError for the answer of a model that can only be queried."""
    if not value.requires_grad:
        raise ValueError(NO_GRADIENT)


def value_and_gradient(
    objective: Callable[[Tensor], Tensor], x: Float[Tensor, "batch *shape"]
) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch *shape"]]:
    """The objective and its gradient in each row; nothing is left behind in any parameter."""
    x = x.detach().requires_grad_(True)
    with torch.enable_grad():
        value = objective(x)
        refuse_no_gradient(value)
        (gradient,) = torch.autograd.grad(value, x, torch.ones_like(value))
    return value.detach(), gradient


def exact_gradient(problem: AttackProblem, x: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """The objective and its gradient by backpropagation, the same in every step."""
    value, gradient = value_and_gradient(problem.objective, x)
    return value, gradient, value


def ascend(
    problem: AttackProblem,
    *,
    steps: int,
    step: float,
    momentum: float = 0.0,
    looks_ahead: bool = False,
    start: Float[Tensor, "batch *shape"] | None = None,
    stop_at: float | None = None,
    gradient_of: Gradient = exact_gradient,
) -> Float[Tensor, "batch *shape"]:
    """Steepest ascent with projection, x <- project(x + step * steepest(direction, x, radius)).

    Parameters
    ----------
    problem : AttackProblem
        Seeds, objective, space and radius.
    steps : int
        How many steps.
    step : float
        The length of a step as a share of the radius.
    momentum : float, default=0
        direction <- momentum * direction + gradient / ||gradient||_1 (Dong et al., CVPR 2018); the
        gradient itself where it is 0.
    looks_ahead : bool, default=False
        Take the gradient one step of the momentum ahead (Lin et al., ICLR 2020).
    start : Tensor (batch, *shape), optional
        Where to begin; the seed itself by default.
    stop_at : float, optional
        Rows whose objective has reached this value leave the loop with the move they have.
    gradient_of : callable, optional
        The objective and its gradient; an estimate where the model has none.

    Returns
    -------
    Tensor (batch, *shape)
        The moved rows. Where the last gradient is not finite, NaN.

    See Also
    --------
    advaug.attacks.PGD :
        Projected gradient descent: x <- project(x + step * radius * steepest(grad J(x))).
    advaug.attacks.MIFGSM :
        Momentum iterative FGSM: each step follows the accumulated g / ||g||_1 of all steps so far.

    Examples
    --------
    >>> import torch
    >>> from advaug.attacks import AttackProblem, ascend
    >>> from advaug.core.box import Box
    >>> from advaug.core.objectives import Odds
    >>> from advaug.core.row_random import RowRandom
    >>> seed, bound = torch.tensor([[1.0, 0.5]]), torch.full((2,), 10.0)
    >>> problem = AttackProblem(
    ...     objective=Odds(lambda x: x, torch.tensor([0])),
    ...     seed=seed,
    ...     space=Box(-bound, bound),
    ...     radius=torch.tensor([0.25]),
    ...     random=RowRandom.of(seed=0, label=0, rows=torch.arange(1)),
    ... )
    >>> ascend(problem, steps=4, step=0.5)
    tensor([[0.7500, 0.7500]])
    """
    if steps < 0 or not step > 0:
        raise ValueError(f"an attack needs steps >= 0 and step > 0, got {steps=}, {step=}")
    seed, space, radius = problem.seed.detach(), problem.space, problem.radius
    x = seed if start is None else start.detach()
    # One step from the seed cannot leave the ball.
    back = space.projector(seed, None if steps == 1 and start is None and step <= 1 else radius)
    direction = torch.zeros_like(seed) if momentum else seed
    if stop_at is not None:
        done, rows = x.clone(), torch.arange(len(x), device=x.device)
        unit = torch.full_like(radius, abs(stop_at))  # the largest that was met
    for k in range(steps):
        at = x
        if looks_ahead:
            move = space.steepest(direction, x, radius, seed)
            at = back(torch.add(x, move, alpha=momentum * step))
        value, gradient, size = gradient_of(problem, at, k)
        if stop_at is not None:
            unit = unit.maximum(size.abs())
            if bool((reached := at_least(value, stop_at, unit)).any()):
                done[rows[reached]], going = x[reached], ~reached
                x, seed, gradient, direction = (
                    x[going],
                    seed[going],
                    gradient[going],
                    direction[going],
                )
                rows, unit, problem = rows[going], unit[going], problem.take(going)
                if not len(rows):
                    return done
                radius = problem.radius
                back = space.projector(seed, radius)
        if momentum:
            size = gradient.flatten(1).abs().sum(1).clamp_min(torch.finfo(x.dtype).tiny)
            direction = momentum * direction + gradient / per_row(size, gradient)
        else:
            direction = gradient
        x = back(torch.add(x, space.steepest(direction, x, radius, seed), alpha=step))
    x = x.add(direction, alpha=0)  # sign(nan) is 0 and would hide it
    return x if stop_at is None else done.index_copy(0, rows, x)
