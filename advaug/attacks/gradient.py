"""FGSM, R+FGSM, BIM, PGD, MI-FGSM and NI-FGSM: presets of one ascent.

| preset  | steps | step         | start             | momentum | looks ahead |
|---------|-------|--------------|-------------------|----------|-------------|
| FGSM    | 1     | 1            | the row           | 0        | no          |
| R+FGSM  | 1     | 1 - noise    | a random step off | 0        | no          |
| BIM     | 10    | 1 / steps    | the row           | 0        | no          |
| PGD     | 10    | .25          | anywhere          | 0        | no          |
| MI-FGSM | 10    | 1 / steps    | the row           | 1        | no          |
| NI-FGSM | 10    | 1 / steps    | the row           | 1        | yes         |

The space knows norm, bounds and frozen cells; the objective knows target and sign.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from advaug.attacks.ascent import ascend
from advaug.attacks.noise import random_point, random_step
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem, Loss


@dataclass
class Ascent(Attack, Parameters):
    """Steepest ascent with projection: x <- project(x + step * radius * steepest(direction)).

    The direction is the gradient, or with momentum the gradients of all steps accumulated.

    Parameters
    ----------
    steps : int
        Number of gradient steps.
    step : float, optional
        Length of one step as a share of the radius; 1 / steps by default.
    momentum : float
        Decay factor of the accumulated gradient; 0 takes the last gradient alone.
    looks_ahead : bool
        Take the gradient one step of the accumulated gradient ahead (Nesterov).
    start : {"seed", "step", "ball"}
        Begin at the row itself, a random step of `noise_share` off it, or anywhere in the ball.
    noise_share : float
        Length of the random step as a share of the radius.
    stop_at : float, optional
        Drop a row from the loop once its objective has reached this value. With the objective
        `Margin`, 0 means: once it is misclassified.

    Examples
    --------
    >>> from advaug.attacks.gradient import Ascent
    >>> Ascent(steps=5, momentum=0.9, start="ball").get_params()["steps"]
    5
    """

    requires: ClassVar[frozenset[str]] = frozenset({"gradient"})
    steps: int = 10
    step: float | None = None
    momentum: float = 0.0
    looks_ahead: bool = False
    start: Literal["seed", "step", "ball"] = "seed"
    noise_share: float = 0.0
    stop_at: float | None = None

    @property
    def loss(self) -> Loss:
        """The objective that `stop_at` makes sense with."""
        return "odds" if self.stop_at is None else "margin"

    def __call__(self, problem: AttackProblem) -> Tensor:
        return ascend(
            problem,
            steps=self.steps,
            step=1 / max(self.steps, 1) if self.step is None else self.step,
            momentum=self.momentum,
            looks_ahead=self.looks_ahead,
            start=self._start(problem),
            stop_at=self.stop_at,
        )

    def _start(self, problem: AttackProblem) -> Tensor | None:
        if self.start == "seed":
            return None
        if self.start == "ball":
            return random_point(problem)
        return random_step(problem, self.noise_share)


class Preset(Attack, Parameters):
    """An attack that is an `Ascent` of these settings."""

    requires: ClassVar[frozenset[str]] = Ascent.requires

    @property
    @abstractmethod
    def ascent(self) -> Ascent:
        """The settings of the loop."""

    @property
    def loss(self) -> Loss:
        return self.ascent.loss

    def __call__(self, problem: AttackProblem) -> Tensor:
        return self.ascent(problem)


@dataclass
class FGSM(Preset):
    """Fast gradient sign method: x + radius * sign(grad J(x)), or the norm's own steepest move.

    See Also
    --------
    advaug.attacks.RFGSM :
        R+FGSM: a random step first, then a gradient step with the rest of the radius.
    advaug.attacks.PGD :
        Projected gradient descent: x <- project(x + step * radius * steepest(grad J(x))).

    References
    ----------
    Goodfellow, Shlens, Szegedy. Explaining and harnessing adversarial examples. ICLR 2015.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from advaug import AdversarialTransformer
    >>> from advaug.attacks import FGSM
    >>> X, y = load_iris(return_X_y=True)
    >>> moved = AdversarialTransformer(attack=FGSM(), radius=0.1, random_state=0).fit(X, y)
    >>> moved.transform(X[:1]).shape
    (1, 4)
    """

    @property
    def ascent(self) -> Ascent:
        return Ascent(steps=1, step=1.0)


@dataclass
class RFGSM(Preset):
    """R+FGSM: a random step first, then a gradient step with the rest of the radius.

    x' = x + s * radius * sign(N(0, 1)), then x' + (1 - s) * radius * sign(grad J(x')), s the
    share of the noise.

    Parameters
    ----------
    noise_share : float
        Share of the radius that the random step takes, from 0 (FGSM) to below 1.

    See Also
    --------
    advaug.attacks.FGSM :
        Fast gradient sign method: x + radius * sign(grad J(x)), or the norm's own steepest move.
    advaug.attacks.PGD :
        Projected gradient descent: x <- project(x + step * radius * steepest(grad J(x))).

    References
    ----------
    Tramer, Kurakin, Papernot, Goodfellow, Boneh, McDaniel. Ensemble adversarial training. ICLR
    2018.

    Examples
    --------
    >>> from advaug.attacks import RFGSM
    >>> RFGSM(noise_share=0.25).ascent.step
    0.75
    """

    noise_share: float = 0.5

    @property
    def ascent(self) -> Ascent:
        return Ascent(1, 1 - self.noise_share, start="step", noise_share=self.noise_share)


@dataclass
class BIM(Preset):
    """Basic iterative method: PGD from the row itself, in steps that add up to the radius.

    Parameters
    ----------
    steps : int
        Number of gradient steps.
    step : float, optional
        Length of one step as a share of the radius; 1 / steps by default.

    See Also
    --------
    advaug.attacks.PGD :
        Projected gradient descent: x <- project(x + step * radius * steepest(grad J(x))).
    advaug.attacks.FGSM :
        Fast gradient sign method: x + radius * sign(grad J(x)), or the norm's own steepest move.

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

    @property
    def ascent(self) -> Ascent:
        return Ascent(self.steps, self.step)


@dataclass
class PGD(Preset):
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

    See Also
    --------
    advaug.attacks.BIM :
        Basic iterative method: PGD from the row itself, in steps that add up to the radius.
    advaug.attacks.APGD : PGD that halves its steps by itself.
    advaug.attacks.FGSM :
        Fast gradient sign method: x + radius * sign(grad J(x)), or the norm's own steepest move.

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
    def ascent(self) -> Ascent:
        start: Literal["ball", "seed"] = "ball" if self.random_start else "seed"
        return Ascent(self.steps, self.step, start=start, stop_at=self.stop_at)


@dataclass
class MIFGSM(Preset):
    """Momentum iterative FGSM: each step follows the accumulated g / ||g||_1 of all steps so far.

    Parameters
    ----------
    steps : int
        Number of gradient steps.
    step : float, optional
        Length of one step as a share of the radius; 1 / steps by default.
    momentum : float
        Decay factor of the accumulated gradient (mu).

    See Also
    --------
    advaug.attacks.NIFGSM :
        Nesterov iterative FGSM: MI-FGSM whose gradient is taken one momentum step ahead.
    advaug.attacks.PGD :
        Projected gradient descent: x <- project(x + step * radius * steepest(grad J(x))).

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

    @property
    def ascent(self) -> Ascent:
        return Ascent(self.steps, self.step, self.momentum)


@dataclass
class NIFGSM(Preset):
    """Nesterov iterative FGSM: MI-FGSM whose gradient is taken one momentum step ahead.

    Parameters
    ----------
    steps : int
        As for `MIFGSM`.
    step : float, optional
        As for `MIFGSM`.
    momentum : float
        As for `MIFGSM`; it is also the length of the look ahead, in steps.

    See Also
    --------
    advaug.attacks.MIFGSM :
        Momentum iterative FGSM: each step follows the accumulated g / ||g||_1 of all steps so far.
    advaug.attacks.PGD :
        Projected gradient descent: x <- project(x + step * radius * steepest(grad J(x))).

    References
    ----------
    Lin, Song, He, Wang, Hopcroft. Nesterov accelerated gradient and scale invariance for
    adversarial attacks. ICLR 2020.

    Examples
    --------
    >>> from advaug.attacks import NIFGSM
    >>> NIFGSM(steps=4).ascent.looks_ahead
    True
    """

    steps: int = 10
    step: float | None = None
    momentum: float = 1.0

    @property
    def ascent(self) -> Ascent:
        return Ascent(self.steps, self.step, self.momentum, looks_ahead=True)
