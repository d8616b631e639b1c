"""The controls: random moves, as long as an attack's, that do not depend on any model.

+-radius in every cell, a random direction, or anywhere in the ball.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from advaug.core.norms import draw, per_row, standard_normal
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem


def random_step(problem: AttackProblem, share: float = 1.0) -> Float[Tensor, "batch *shape"]:
    """The seeds after a step of `share` of the radius, steepest on a normal random gradient."""
    seed, space, radius = problem.seed, problem.space, problem.radius
    move = space.steepest(standard_normal(draw(seed, problem.random)), seed, radius)
    return space.project(seed + share * move, seed, radius)


def random_point(problem: AttackProblem) -> Float[Tensor, "batch *shape"]:
    """A random point in the ball of each seed."""
    noise = draw(problem.seed, problem.random)
    return problem.space.sample(problem.seed, problem.radius, noise)


@dataclass
class Noise(Attack, Parameters):
    """A random step of the attack's own kind and length: +-radius in every cell in norm inf.

    See Also
    --------
    advaug.attacks.Uniform :
        Anywhere in the ball: uniform noise in norm inf, a random direction and length in 2 and 1.
    advaug.attacks.Direction :
        A direction that is equally likely everywhere (normal), as long as the radius in any norm.

    References
    ----------
    The control of Goodfellow, Shlens, Szegedy (ICLR 2015), section 6.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from advaug import AdversarialTransformer
    >>> X, y = load_iris(return_X_y=True)
    >>> AdversarialTransformer(attack="noise", random_state=0).fit(X, y).transform(X[:2]).shape
    (2, 4)
    """

    def __call__(self, problem: AttackProblem) -> Tensor:
        return random_step(problem)


@dataclass
class Uniform(Attack, Parameters):
    """Anywhere in the ball: uniform noise in norm inf, a random direction and length in 2 and 1.

    See Also
    --------
    advaug.attacks.Noise :
        A random step of the attack's own kind and length: +-radius in every cell in norm inf.
    advaug.attacks.Direction :
        A direction that is equally likely everywhere (normal), as long as the radius in any norm.

    References
    ----------
    The control of Goodfellow, Shlens, Szegedy (ICLR 2015), section 6.

    Examples
    --------
    >>> from advaug.attacks import Uniform
    >>> Uniform()
    Uniform()
    """

    def __call__(self, problem: AttackProblem) -> Tensor:
        return random_point(problem)


@dataclass
class Direction(Attack, Parameters):
    """A direction that is equally likely everywhere (normal), as long as the radius in any norm.

    See Also
    --------
    advaug.attacks.Noise :
        A random step of the attack's own kind and length: +-radius in every cell in norm inf.
    advaug.attacks.Uniform :
        Anywhere in the ball: uniform noise in norm inf, a random direction and length in 2 and 1.

    References
    ----------
    The control of Fawzi, Moosavi-Dezfooli, Frossard. Robustness of classifiers: from adversarial
    to random noise. NeurIPS 2016.

    Examples
    --------
    >>> from advaug.attacks import Direction
    >>> Direction()
    Direction()
    """

    requires: ClassVar[frozenset[str]] = frozenset({"cells"})

    def __call__(self, problem: AttackProblem) -> Tensor:
        seed, space, radius = problem.seed, problem.space, problem.radius
        move = space.mask_frozen(standard_normal(draw(seed, problem.random)), seed)
        size = problem.distance(seed + move).clamp_min(torch.finfo(seed.dtype).tiny)
        return space.project(seed + move * per_row(radius / size, move), seed, radius)
