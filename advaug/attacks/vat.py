"""VAT: the direction in which a model's answer changes most, found without any label."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from advaug.attacks.ascent import value_and_gradient
from advaug.core.norms import draw, standard_normal
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem, Loss


@dataclass
class VAT(Attack, Parameters):
    """Virtual adversarial perturbation: where the model's answer changes most, label unknown.

    Power iteration on KL(p(seed) || p(x)) from a random direction: d <- steepest(grad at
    seed + xi * radius * d), then x = seed + radius * d. Raise `Divergence`.

    Parameters
    ----------
    steps : int
        Power iterations.
    xi : float
        How far from the row the gradient is taken, as a share of the radius: at the row it is 0.

    See Also
    --------
    advaug.attacks.PGD :
        Projected gradient descent: x <- project(x + step * radius * steepest(grad J(x))).

    References
    ----------
    Miyato, Maeda, Koyama, Ishii. Virtual adversarial training: a regularization method for
    supervised and semi-supervised learning. TPAMI 2018.

    Examples
    --------
    >>> from advaug.attacks import VAT
    >>> VAT().steps
    1
    """

    loss: ClassVar[Loss] = "divergence"
    requires: ClassVar[frozenset[str]] = frozenset({"gradient"})
    steps: int = 1
    xi: float = 0.05

    def __call__(self, problem: AttackProblem) -> Tensor:
        seed, space, radius = problem.seed.detach(), problem.space, problem.radius
        back = space.projector(seed, radius)
        direction = standard_normal(draw(seed, problem.random))
        for _ in range(self.steps):
            near = back(seed + self.xi * space.steepest(direction, seed, radius))
            _, direction = value_and_gradient(problem.objective, near)
        return back(seed + space.steepest(direction, seed, radius)).add(direction, alpha=0)
