"""Attacks within the rules of a table: APGD whose steps are repaired, then an evolutionary search.

Without rules CAPGD is APGD from the row itself.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from advaug.attacks.apgd import ascend_by_halving
from advaug.attacks.autoattack import AutoAttack
from advaug.attacks.moeva import MOEVA
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem, mark_undefined


@dataclass
class CAPGD(Attack, Parameters):
    """Constrained APGD: every step is repaired by the user's rules, within the radius.

    z = keep_rules(project(x + step * steepest(grad J(x)))), and the rest as `APGD`. The paper
    lowers the objective by how far the rules are broken; here no step breaks them.

    Parameters
    ----------
    steps : int
        Number of gradient steps.
    momentum : float
        Weight of the new direction; 1 - momentum is kept of the last one.
    rho : float
        Share of the steps since the last checkpoint that must have gained.

    See Also
    --------
    advaug.attacks.APGD : PGD that halves its steps by itself.
    advaug.attacks.CAA : CAPGD first, then MOEVA on the rows that it leaves.

    References
    ----------
    Simonetto, Ghamizi, Cordy. Constrained adaptive attack: effective adversarial attack against
    deep neural networks for tabular data. NeurIPS 2024.

    Examples
    --------
    >>> from advaug.attacks import CAPGD
    >>> CAPGD(steps=20).rho
    0.75
    """

    requires: ClassVar[frozenset[str]] = frozenset({"gradient", "cells"})
    steps: int = 30
    momentum: float = 0.75
    rho: float = 0.75

    def __call__(self, problem: AttackProblem) -> Tensor:
        project = problem.space.projector(problem.seed, problem.radius)

        def back(x: Tensor) -> Tensor:
            return problem.keep_rules(project(x))

        start = problem.seed.detach()
        x = ascend_by_halving(problem, start, back, self.steps, self.momentum, self.rho)
        return mark_undefined(problem.keep_rules(problem.valid(x)), x.flatten(1).sum(1))


def gradient_then_evolution() -> tuple[Attack, ...]:
    """The two attacks of the paper."""
    return (CAPGD(), MOEVA())


@dataclass
class CAA(AutoAttack):
    """Constrained adaptive attack: CAPGD, then MOEVA on the rows that it leaves.

    Every row that it returns keeps the rules which its own row keeps, and lies within the radius.
    On a model that can only be queried it is MOEVA. Raise `Margin`.

    Parameters
    ----------
    attacks : tuple of attacks
        In this order; a row leaves with its first success.

    See Also
    --------
    advaug.attacks.CAPGD : APGD whose steps are repaired.
    advaug.attacks.MOEVA : The evolutionary search alone, for models that can only be queried.
    advaug.attacks.AutoAttack :
        A small ensemble of attacks without settings to tune, for a verdict on robustness.

    References
    ----------
    Simonetto, Ghamizi, Cordy. Constrained adaptive attack: effective adversarial attack against
    deep neural networks for tabular data. NeurIPS 2024.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from advaug import AdversarialTransformer
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> X.columns = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    >>> model = LogisticRegression(max_iter=500).fit(X, y)
    >>> attack = AdversarialTransformer(
    ...     attack="caa",
    ...     surrogate=model,
    ...     constraints=["petal_width < petal_length"],
    ...     radius=0.2,
    ...     random_state=0,
    ... ).fit(X)
    >>> moved = attack.transform(X[::5])
    >>> bool((moved["petal_width"] < moved["petal_length"]).all())
    True
    >>> round(model.score(X[::5], y[::5]), 2), round(model.score(moved, y[::5]), 2)
    (0.97, 0.87)
    """

    attacks: tuple[Attack, ...] = field(default_factory=gradient_then_evolution)
