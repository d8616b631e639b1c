"""FGSM, R+FGSM, BIM, PGD, MI-FGSM and NI-FGSM: six settings of `climb`.

Norm, bounds and frozen cells are the space's business, target and sign the objective's.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from advaug.attacks.ascent import ascend
from advaug.core.norms import draw, standard_normal
from advaug.core.objectives import Objective
from advaug.core.parameters import Parameters
from advaug.core.space import Space


@dataclass
class FGSM(Parameters):
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
        return ascend(objective, seed, space, radius, steps=1, step=1.0)


@dataclass
class RFGSM(Parameters):
    """R+FGSM: a random step first, then a gradient step with the rest of the radius.

    x' = x + share * radius * sign(N(0, 1)), then x' + (1 - share) * radius * sign(grad J(x')).

    Parameters
    ----------
    share : float
        Share of the radius that the random step takes, from 0 (FGSM) to below 1.

    References
    ----------
    Tramer, Kurakin, Papernot, Goodfellow, Boneh, McDaniel. Ensemble adversarial training. ICLR
    2018.

    Examples
    --------
    >>> from advaug.attacks import RFGSM
    >>> RFGSM().share
    0.5
    """

    share: float = 0.5

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        noise = standard_normal(draw(seed, generator))
        move = space.steepest(noise, seed, radius) * self.share
        start = space.project(seed + move, seed, radius)
        return ascend(objective, seed, space, radius, steps=1, step=1 - self.share, start=start)


@dataclass
class BIM(Parameters):
    """Basic iterative method: PGD from the row itself, in steps that add up to the radius.

    Parameters
    ----------
    steps : int
        Number of gradient steps.
    step : float, optional
        Length of one step as a share of the radius; 1 / steps by default.

    References
    ----------
    Kurakin, Goodfellow, Bengio. Adversarial examples in the physical world. ICLR workshop 2017.

    Examples
    --------
    >>> from advaug.attacks import BIM
    >>> BIM(steps=20)
    BIM(steps=20, step=None)
    """

    steps: int = 10
    step: float | None = None

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        step = 1 / max(self.steps, 1) if self.step is None else self.step
        return ascend(objective, seed, space, radius, steps=self.steps, step=step)


@dataclass
class PGD(Parameters):
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

    @property
    def raises(self) -> str:
        """The objective that `stop_at` makes sense with."""
        return "odds" if self.stop_at is None else "margin"

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        start = space.sample(seed, radius, draw(seed, generator)) if self.random_start else None
        return ascend(
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
class MIFGSM(Parameters):
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
        return ascend(
            objective, seed, space, radius, steps=self.steps, step=step, momentum=self.momentum
        )


@dataclass
class NIFGSM(Parameters):
    """Nesterov iterative FGSM: MI-FGSM whose gradient is taken one momentum step ahead.

    Parameters
    ----------
    steps : int
        Number of gradient steps.
    step : float, optional
        Length of one step as a share of the radius; 1 / steps by default.
    momentum : float
        How much of the pull is kept from step to step (mu), and the length of the look ahead in
        steps.

    References
    ----------
    Lin, Song, He, Wang, Hopcroft. Nesterov accelerated gradient and scale invariance for
    adversarial attacks. ICLR 2020.

    Examples
    --------
    >>> from advaug.attacks import NIFGSM
    >>> NIFGSM().momentum
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
        return ascend(
            objective,
            seed,
            space,
            radius,
            steps=self.steps,
            step=step,
            momentum=self.momentum,
            looks_ahead=True,
        )
