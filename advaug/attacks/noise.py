"""The controls: random moves, as long as an attack's, that no model has a say in.

+-radius in every cell, a random direction, or anywhere in the ball.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from advaug.core.norms import draw, per_row, standard_normal
from advaug.core.objectives import Objective
from advaug.core.parameters import Parameters
from advaug.core.space import Space


@dataclass
class Noise(Parameters):
    """A random step of the attack's own kind and length: +-radius in every cell in norm inf.

    References
    ----------
    The control of Goodfellow, Shlens, Szegedy (ICLR 2015), section 6.

    Examples
    --------
    >>> from advaug.attacks import Noise
    >>> Noise()
    Noise()
    """

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        move = space.steepest(standard_normal(draw(seed, generator)), seed, radius)
        return space.project(seed + move, seed, radius)


@dataclass
class Uniform(Parameters):
    """Anywhere in the ball: uniform noise in norm inf, a random direction and length in 2 and 1.

    References
    ----------
    The control of Goodfellow, Shlens, Szegedy (ICLR 2015), section 6.

    Examples
    --------
    >>> from advaug.attacks import Uniform
    >>> Uniform()
    Uniform()
    """

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        return space.sample(seed, radius, draw(seed, generator))


@dataclass
class Direction(Parameters):
    """A direction that is equally likely everywhere (normal), as long as the radius in any norm.

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

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        move = space.mask_frozen(standard_normal(draw(seed, generator)), seed)
        size = space.distance(seed + move, seed).clamp_min(torch.finfo(seed.dtype).tiny)
        return space.project(seed + move * per_row(radius / size, move), seed, radius)
