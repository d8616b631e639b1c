"""What the classifier and the regressor trained on their own adversarial rows share."""

from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from torch import Tensor

from advaug import containers
from advaug.core.devices import resolve
from advaug.estimators import domain_defaults
from advaug.estimators.validation import (
    SharesModels,
    check_rows,
    choose_attack,
    learnt_coding,
    new_generator,
    reads_anything,
    refuse_classes,
)
from advaug.models.committee import one_cycle
from advaug.models.training import Training
from advaug.registry import ATTACKS
from advaug.robust.embedding import in_its_space
from advaug.robust.losses import OWN_ATTACK, REGULARISERS, REPLAYS, RobustLoss, Task
from advaug.robust.nets import NET_CONSTRAINTS, Net, chosen, new_net, trained

ROBUST_CONSTRAINTS: dict[str, list[Any]] = {
    "loss": [StrOptions(set(REGULARISERS))],
    "attack": [StrOptions({"auto", *ATTACKS}), callable],
    "radius": [Interval(Real, 0, None, closed="left")],
    "norm": [Options(Real, {np.inf, 2, 1})],
    "alpha": [Interval(Real, 0, 1, closed="both")],
    **NET_CONSTRAINTS,
}


def steady(progress: float) -> float:
    """Half of the peak rate, whatever the share of the way: no call knows which is the last."""
    return 0.5


class RobustNet(SharesModels, BaseEstimator):
    """An estimator with a net inside, trained at its rows and where an attack moves them.

    What the net's outputs mean is the estimator's: `_task`, how many of them there are, and which
    targets and weights the rows have.
    """

    _task: ClassVar[Task]
    net_: Net
    loss: str
    attack: Any
    radius: float
    norm: float
    alpha: float
    module: Any
    training: Any
    adapter: Any
    device: Any
    random_state: Any

    def __sklearn_tags__(self) -> Any:
        tags = reads_anything(super().__sklearn_tags__())
        tags.input_tags.sparse = True
        return tags

    def _target(self, X: Any, y: Any) -> Any:
        """y checked, one for each row."""
        raise NotImplementedError

    def _weights(self, y: Tensor) -> Tensor:
        """A weight for each row, 1 in the mean."""
        return torch.ones(len(y))

    def _checked(self, X: Any, y: Any, *, is_new: bool) -> tuple[Any, Any]:
        """Rows and targets that can be learnt from."""
        if is_new:
            for learnt in ("net_", "classes_"):  # of an earlier fit
                self.__dict__.pop(learnt, None)
        refuse_classes(self)
        self._validate_params()
        self._own_attack()
        X = check_rows(self, containers.owned(X), reset=not hasattr(self, "net_"))
        return X, self._target(X, y)

    def _fully(self) -> Training:
        """The settings of a whole training."""
        training = chosen(self.training)
        is_free = self.loss == "free" and training.replays is None
        return replace(training, replays=REPLAYS) if is_free else training

    def _once_more(self) -> Training:
        """The settings of one more pass."""
        training = replace(self._fully(), patience=None)
        return replace(training, epochs=training.epochs or training.replays or 1)

    def _learn(
        self, X: Any, y: Tensor, outputs: int, training: Training, schedule: Any = one_cycle
    ) -> Self:
        """Train the net as it is, or a new one."""
        is_new = not hasattr(self, "net_")
        if is_new:
            self.adapter_ = learnt_coding(self.adapter, X)
            self._random_state = check_random_state(self.random_state)
        generator, walk = new_generator(self._random_state), new_generator(self._random_state)
        x = self.adapter_.encode(X)
        net = (
            new_net(self.module, self.adapter_, x, outputs, training, generator)
            if is_new
            else self.net_
        )
        robust = self._loss(net, x, y, self._attack_of_rows(), walk)
        loss = in_its_space(robust, self.adapter_, self.attack)
        strata = y if outputs > 1 else torch.zeros(len(y), dtype=torch.long)
        self.n_iter_ = trained(net, loss, strata, training, self.device, generator, schedule)
        self.net_ = net
        return self

    def _own_attack(self) -> Any:
        """The attack named or given, or the loss's own."""
        named = isinstance(self.attack, str) and self.attack == "auto"
        if self.loss == "free" and not named:
            raise ValueError(
                f"loss='free' makes its own moves, got attack={self.attack!r}: leave attack='auto'"
            )
        attack: Any = OWN_ATTACK[self.loss]() if named else choose_attack(self.attack)
        if attack.is_universal or attack.needs_reference_rows:
            raise ValueError(
                f"attack={attack} cannot train a net, it must learn from rows first: take 'fgsm', "
                "'pgd' or another gradient attack"
            )
        return attack

    def _attack_of_rows(self) -> Any:
        """The attack, by edits where nobody named one and rows are sequences."""
        attack = self._own_attack()
        is_left_open = isinstance(self.attack, str) and self.attack == "auto"
        return (
            domain_defaults.followed(attack, self.adapter_, is_asked=False)
            if is_left_open
            else attack
        )

    def _loss(
        self, net: Net, x: Tensor, y: Tensor, attack: Any, generator: torch.Generator
    ) -> RobustLoss:
        device = resolve(self.device)
        net.module.to(device)
        return RobustLoss(
            net=net.module,
            native=net.native,
            x=x.to(device),
            y=y.to(device),
            weight=self._weights(y).to(device),
            task=self._task,
            kind=self.loss,
            attack=attack,
            space=self.adapter_.space(float(self.norm)).to(device),
            radius=float(self.radius),
            alpha=float(self.alpha),
            generator=generator,
        )
