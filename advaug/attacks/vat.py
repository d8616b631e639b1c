"""VAT: the direction in which a model's answer changes most, found without any label."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from advaug.attacks.ascent import value_and_gradient
from advaug.core.norms import draw, standard_normal
from advaug.core.objectives import Objective
from advaug.core.parameters import Parameters
from advaug.core.space import Space


@dataclass
class VAT(Parameters):
    """Virtual adversarial perturbation: where the model's answer changes most, label unknown.

    Power iteration on KL(p(seed) || p(x)) from a random direction: d <- steepest(grad at
    seed + near * d), then x = seed + radius * d. Raises `Divergence`.

    Parameters
    ----------
    iterations : int
        Power iterations.
    near : float
        How far from the row the gradient is taken, as a share of the radius: at the row it is 0.

    References
    ----------
    Miyato, Maeda, Koyama, Ishii. Virtual adversarial training: a regularization method for
    supervised and semi-supervised learning. TPAMI 2018.

    Examples
    --------
    >>> from advaug.attacks import VAT
    >>> VAT().iterations
    1
    """

    raises: ClassVar[str] = "divergence"
    iterations: int = 1
    near: float = 0.05

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        seed, back = seed.detach(), space.projector(seed.detach(), radius)
        pull = standard_normal(draw(seed, generator))
        for _ in range(self.iterations):
            near = back(seed + self.near * space.steepest(pull, seed, radius))
            _, pull = value_and_gradient(objective, near)
        return back(seed + space.steepest(pull, seed, radius)).add(pull, alpha=0)
