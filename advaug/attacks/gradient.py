"""FGSM, PGD and MI-FGSM: three settings of `climb`.

Norm, bounds and frozen cells are the space's business, target and sign the objective's.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from advaug.attacks.climb import climb
from advaug.norms import draw
from advaug.objectives import Objective
from advaug.settings import Settings
from advaug.spaces.protocol import Space


@dataclass
class FGSM(Settings):
    """Fast gradient sign method: x + radius * sign(grad J(x)), or the norm's own steepest move.

    References
    ----------
    Goodfellow, Shlens, Szegedy. Explaining and harnessing adversarial examples. ICLR 2015.

    Examples
    --------
    >>> from advaug.attacks import FGSM
    >>> FGSM()
    FGSM()
    """

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        return climb(objective, seed, space, radius, steps=1, step=1.0)


@dataclass
class PGD(Settings):
    """Projected gradient descent: x <- project(x + step * radius * steepest(grad J(x))).

    Parameters
    ----------
    steps : int
        Number of gradient steps.
    step : float
        Length of one step as a share of the radius.
    random_start : bool
        Begin at a random point of the ball instead of the row itself.
    stop_at : float, optional
        Drop a row from the loop once its objective has reached this value. With the objective
        `Margin`, 0 means: once it is misclassified.

    References
    ----------
    Madry, Makelov, Schmidt, Tsipras, Vladu. Towards deep learning models resistant to
    adversarial attacks. ICLR 2018.

    Examples
    --------
    >>> from advaug.attacks import PGD
    >>> PGD(steps=40, step=1 / 30).get_params()["steps"]
    40
    """

    steps: int = 10
    step: float = 0.25
    random_start: bool = True
    stop_at: float | None = None

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        start = space.sample(seed, radius, draw(seed, generator)) if self.random_start else None
        return climb(
            objective,
            seed,
            space,
            radius,
            steps=self.steps,
            step=self.step,
            start=start,
            stop_at=self.stop_at,
        )


@dataclass
class MIFGSM(Settings):
    """Momentum iterative FGSM: the pull gathers g / ||g||_1 over the steps.

    Parameters
    ----------
    steps : int
        Number of gradient steps.
    step : float, optional
        Length of one step as a share of the radius; 1 / steps by default.
    momentum : float
        How much of the pull is kept from step to step (mu).

    References
    ----------
    Dong, Liao, Pang, Su, Zhu, Hu, Li. Boosting adversarial attacks with momentum. CVPR 2018.

    Examples
    --------
    >>> from advaug.attacks import MIFGSM
    >>> MIFGSM().momentum
    1.0
    """

    steps: int = 10
    step: float | None = None
    momentum: float = 1.0

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        step = 1 / max(self.steps, 1) if self.step is None else self.step
        return climb(
            objective, seed, space, radius, steps=self.steps, step=step, momentum=self.momentum
        )
