"""Several attacks one after the other: each row keeps its first success."""

from dataclasses import dataclass, field
from typing import ClassVar, cast

import torch
from torch import Tensor

from advaug.attacks.apgd import APGD
from advaug.attacks.ascent import Attack
from advaug.attacks.min_norm import DeepFool
from advaug.attacks.problem import AttackProblem, marked, within
from advaug.attacks.square import Square
from advaug.core.chance import Chance
from advaug.core.norms import per_row
from advaug.core.objectives import Margin, Objective, Odds
from advaug.core.parameters import Parameters
from advaug.core.space import Space
from advaug.core.ties import at_most, exceeds


def default_attacks() -> tuple[Attack, ...]:
    """The odds, the margin, the nearest boundary, and no gradient at all."""
    return (APGD(steps=50), APGD(steps=50), DeepFool(), Square(steps=500))


@dataclass
class AutoAttack(Parameters):
    """A small ensemble of attacks without settings to tune, for a verdict on robustness.

    By default APGD on the odds, APGD on the margin, DeepFool and Square; a row leaves with its
    first success, judged as it is shipped. It works for two classes too, where the published
    ensemble's DLR loss needs three and FAB several logits. On a model that can only be asked the
    members without a gradient are left. Raise `Margin`.

    Parameters
    ----------
    attacks : tuple of attacks
        In this order. The first one raises the odds, every other one the margin.

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

    raises: ClassVar[str] = "margin"
    attacks: tuple[Attack, ...] = field(default_factory=default_attacks)

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        ground, chance = (
            AttackProblem(objective, seed.detach(), space, radius),
            Chance.of(seed, generator),
        )
        first = ground.worth(ground.seed)
        done = marked(ground.seed.clone(), first)
        rows = at_most(first, 0.0).nonzero()[:, 0]
        most = first.clone()
        for place, attack in enumerate(self.attacks):
            if not len(rows):
                break
            some = ground.take(rows)
            if has_no_gradient(some) and not isinstance(attack, Square):
                continue
            raised = odds_objective(some.objective) if place == 0 else some.objective
            luck = Chance(chance.keys[rows], place << 16)  # each member's own, row by row
            x = attack(raised, some.seed, space, some.radius, cast(torch.Generator, luck))
            x = some.shipped(torch.where(per_row(x.isnan().flatten(1).any(1), x), some.seed, x))
            value = some.worth(x)
            better = exceeds(value, most[rows]) & within(some, x)
            done[rows[better]], most[rows[better]] = x[better], value[better]
            rows = rows[~(better & exceeds(value, 0.0))]
        return done


def odds_objective(objective: Objective) -> Objective:
    """The odds in place of the margin: for two classes the same."""
    if not isinstance(objective, Margin):
        return objective
    return Odds(objective.logits, objective.label, objective.targeted)


def has_no_gradient(ground: AttackProblem) -> bool:
    """Whether the objective has no gradient."""
    with torch.enable_grad():
        few = ground.take(torch.arange(1, device=ground.seed.device))
        return not few.objective(few.seed.clone().requires_grad_(True)).requires_grad
