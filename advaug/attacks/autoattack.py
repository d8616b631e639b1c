"""Several attacks one after the other: each row keeps its first success."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor

from advaug.attacks.apgd import APGD
from advaug.attacks.min_norm import DeepFool
from advaug.attacks.square import Square
from advaug.core.norms import per_row
from advaug.core.objectives import Margin, Objective, Odds
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem, Loss, mark_undefined
from advaug.core.ties import at_most, exceeds


def default_attacks() -> tuple[Attack, ...]:
    """The odds, the margin, the nearest boundary, and no gradient at all."""
    return (APGD(steps=50), APGD(steps=50), DeepFool(), Square(steps=500))


@dataclass
class AutoAttack(Attack, Parameters):
    """A small ensemble of attacks without settings to tune, for a verdict on robustness.

    By default APGD on the odds, APGD on the margin, DeepFool and Square; a row leaves with its
    first success, judged as it is returned. It works for two classes too, where the published
    ensemble's DLR loss needs three and FAB several logits. On a model that can only be queried the
    members that require a gradient are left out. Raise `Margin`.

    Parameters
    ----------
    attacks : tuple of attacks
        In this order. The first one raises the odds, every other one the margin.

    See Also
    --------
    advaug.attacks.APGD : PGD that halves its steps by itself.
    advaug.attacks.Square :
        Random search on scores: x <- x with one block at the edge of the ball, if that gains.
    advaug.attacks.DeepFool :
        To the nearest of the linearised boundaries, again and again until one is crossed.

    References
    ----------
    Croce, Hein. Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks. ICML 2020.

    Examples
    --------
    >>> from advaug.attacks import PGD, AutoAttack, Square
    >>> len(AutoAttack().attacks), len(AutoAttack(attacks=(PGD(), Square())).attacks)
    (4, 2)
    """

    loss: ClassVar[Loss] = "margin"
    attacks: tuple[Attack, ...] = field(default_factory=default_attacks)

    @property
    def needs_reference_rows(self) -> bool:
        return any(attack.needs_reference_rows for attack in self.attacks)

    @property
    def requires(self) -> frozenset[str]:
        """What its members do; a gradient only if all of them need one."""
        needed = [attack.requires for attack in self.attacks]
        every = frozenset[str]().union(*needed)
        return every if all("gradient" in one for one in needed) else every - {"gradient"}

    def __call__(self, problem: AttackProblem) -> Tensor:
        most, unit = problem.measure(problem.seed)
        done = mark_undefined(problem.seed.clone(), most)
        rows = at_most(most, 0.0, unit).nonzero()[:, 0]
        for place, attack in enumerate(self.attacks):
            if not len(rows):
                break
            some = problem.take(rows).at(place)
            if "gradient" in attack.requires and has_no_gradient(some):
                continue
            raised = odds_objective(some.objective) if place == 0 else some.objective
            x = attack(replace(some, objective=raised))
            x = some.valid(torch.where(per_row(x.isnan().flatten(1).any(1), x), some.seed, x))
            x = some.keep_rules(x)
            value, unit = some.measure(x)
            better = exceeds(value, most[rows], unit) & some.contains(x)
            done[rows[better]], most[rows[better]] = x[better], value[better]
            rows = rows[~(better & exceeds(value, 0.0, unit))]
        return done


def odds_objective(objective: Objective) -> Objective:
    """The odds in place of the margin: for two classes the same."""
    if not isinstance(objective, Margin):
        return objective
    return Odds(objective.logits, objective.label, objective.targeted)


def has_no_gradient(problem: AttackProblem) -> bool:
    """Whether the objective has no gradient."""
    with torch.enable_grad():
        few = problem.take(torch.arange(1, device=problem.seed.device))
        return not few.objective(few.seed.clone().requires_grad_(True)).requires_grad
