"""The shortest move that succeeds: DeepFool and a sparse attack; a row stops at its success.

Success is an objective above 0 (raise `Margin`); the radius is only a cap and may be infinite.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from advaug.attacks.ascent import refuse_no_gradient, value_and_gradient
from advaug.core.norms import per_row
from advaug.core.objectives import Objective
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem, Loss
from advaug.core.space import Space
from advaug.core.ties import exceeds, largest_size, stable_argmax, stable_topk

CLEAR = 1e-5  # share of the first objective: rounding cannot undo a step so far over a boundary


def goals_and_gradients(
    objective: Objective, x: Float[Tensor, "batch *shape"], most: int
) -> tuple[Float[Tensor, "batch goals"], list[Tensor]]:
    """The `most` best of an objective's several goals in each row, and the gradient of each."""
    x = x.detach().requires_grad_(True)
    with torch.enable_grad():
        values = objective.each(x)
        refuse_no_gradient(values)
        if values.shape[1] > 1:
            known = values.detach()
            values = values.gather(1, stable_topk(known, most, largest_size(known)))
        goals = values.unbind(1)
        gradients = [
            torch.autograd.grad(goal, x, torch.ones_like(goal), retain_graph=goal is not goals[-1])
            for goal in goals
        ]
    return values.detach(), [gradient for (gradient,) in gradients]


@dataclass
class DeepFool(Attack, Parameters):
    """To the nearest of the linearised boundaries, again and again until one is crossed.

    ``x <- x + (1 + overshoot) * |f| / ||grad f||_dual * steepest(grad f)``, f the goal of least
    ``|f| / ||grad f||_dual`` among the objective's goals (`Margin`: one for each other class).

    Parameters
    ----------
    steps : int
        Most steps a row may take.
    overshoot : float
        How much farther than the boundary a step goes, as a share of its length.
    candidates : int
        How many of the goals are weighed, the most advanced ones in each row.

    See Also
    --------
    advaug.attacks.CarliniWagner :
        Least squared length plus const * (confidence - margin)+, by Adam inside the bounds.
    advaug.attacks.JSMA :
        Sparse attack: at most `columns` columns change, each to the far end of its range.

    References
    ----------
    Moosavi-Dezfooli, Fawzi, Frossard. DeepFool: a simple and accurate method to fool deep neural
    networks. CVPR 2016.

    Examples
    --------
    >>> from advaug.attacks import DeepFool
    >>> DeepFool().overshoot
    0.02
    """

    loss: ClassVar[Loss] = "margin"
    is_min_norm: ClassVar[bool] = True
    requires: ClassVar[frozenset[str]] = frozenset({"gradient"})
    steps: int = 50
    overshoot: float = 0.02
    candidates: int = 10

    def __call__(self, problem: AttackProblem) -> Tensor:
        x = seed = problem.seed.detach()
        objective, space, radius = problem.objective, problem.space, problem.radius
        done, rows = x.clone(), torch.arange(len(x), device=x.device)
        back, one = space.projector(seed, radius), torch.ones_like(radius)
        for k in range(self.steps):
            values, gradients = goals_and_gradients(objective, x, self.candidates)
            if k == 0:
                gain = gradients[0].flatten(1).abs().amax(1)  # of a coordinate that moves by 1
                edge = CLEAR * values[:, 0].abs().maximum(gain / 10)
            going = ~(values[:, 0] > edge / 2)
            if not bool(going.all()):
                done[rows[~going]] = x[~going]
                x, seed, rows, radius = x[going], seed[going], rows[going], radius[going]
                values, gradients = values[going], [gradient[going] for gradient in gradients]
                if not len(rows):
                    return done
                edge, one, objective = edge[going], one[going], objective.take(going)
                back = space.projector(seed, radius)
            step = self._step(edge[:, None] - values, gradients, x, space, one)
            x = back(x + (1 + self.overshoot) * step)
        return done.index_copy(0, rows, x)

    @staticmethod
    def _step(
        missing: Tensor, gradients: list[Tensor], x: Tensor, space: Space, one: Tensor
    ) -> Tensor:
        """To the goal whose missing gain is made up for soonest; nothing where none has a
        gradient."""
        units = [space.steepest(gradient, x, one) for gradient in gradients]
        pairs = zip(units, gradients, strict=True)
        gains = torch.stack([(unit * g).flatten(1).sum(1) for unit, g in pairs], 1)
        away = torch.where(gains == 0, torch.inf, missing / gains)
        near, unit = away.amin(1), units[0]
        near = torch.where(near.isinf(), 0.0, near)
        if len(units) > 1:
            which = stable_argmax(-away, unit=0.0)
            for k in range(1, len(units)):
                unit = torch.where(per_row(which == k, x), units[k], unit)
        return unit * per_row(near, x)


@dataclass
class JSMA(Attack, Parameters):
    """Sparse attack: at most `columns` columns change, each to the far end of its range.

    In each step the column of largest ``|gradient| * room`` goes all the way, up or down, until the
    objective is above 0. A saliency map of the margin: one column a step, not pairs of them.

    Parameters
    ----------
    columns : int
        Most columns (pixels of a channel, categories) that may change in a row (L0).

    See Also
    --------
    advaug.attacks.EAD : Elastic net attack: Carlini-Wagner with beta * L1 length added, by FISTA.
    advaug.attacks.DeepFool :
        To the nearest of the linearised boundaries, again and again until one is crossed.

    References
    ----------
    Papernot, McDaniel, Jha, Fredrikson, Celik, Swami. The limitations of deep learning in
    adversarial settings. EuroS&P 2016.

    Examples
    --------
    >>> from advaug.attacks import JSMA
    >>> JSMA(columns=2)
    JSMA(columns=2)
    """

    loss: ClassVar[Loss] = "margin"
    is_min_norm: ClassVar[bool] = True
    requires: ClassVar[frozenset[str]] = frozenset({"gradient"})
    columns: int = 3

    def __call__(self, problem: AttackProblem) -> Tensor:
        x, space = problem.seed.detach(), problem.space
        back, by_cell = space.projector(x, problem.radius), space.with_norm(math.inf)
        column = space.column_index(x).expand_as(x).flatten(1)
        room = problem.radius.clamp_max(1e6)  # times 0 it must be 0
        gradient, unit = torch.zeros_like(x), torch.zeros_like(room)
        for _ in range(self.columns):
            value, gradient = value_and_gradient(problem.objective, x)
            unit = unit.maximum(value.abs())
            move = back(x + by_cell.steepest(gradient, x, room)) - x
            gain = torch.zeros_like(column, dtype=x.dtype)
            gain = gain.scatter_add(1, column, (gradient * move).flatten(1))
            best = stable_argmax(gain, unit=largest_size(gain))
            chosen = (column == best[:, None]).view_as(x)
            chosen = chosen & per_row(~exceeds(value, 0.0, unit), x)
            x = back(torch.where(chosen, x + move, x))
        return x.add(gradient, alpha=0)
