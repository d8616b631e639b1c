"""The control: a random move, as long as an attack's, that no model has a say in."""

from dataclasses import dataclass

import torch
from torch import Tensor

from advaug.norms import draw, standard_normal
from advaug.objectives import Objective
from advaug.settings import Settings
from advaug.spaces.protocol import Space


@dataclass
class Noise(Settings):
    """Random direction of the attack's own length; +-radius in every cell in norm inf.

    Parameters
    ----------
    fills_ball : bool
        Spread the rows over the whole ball instead of its surface.

    References
    ----------
    The control of Goodfellow, Shlens, Szegedy (ICLR 2015), section 6.

    Examples
    --------
    >>> from advaug.attacks import Noise
    >>> Noise().fills_ball
    False
    """

    fills_ball: bool = False

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        noise = draw(seed, generator)
        if self.fills_ball:
            return space.sample(seed, radius, noise)
        move = space.steepest(standard_normal(noise), seed, radius)
        return space.project(seed + move, seed, radius)
