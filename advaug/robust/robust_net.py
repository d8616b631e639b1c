"""What the classifier and the regressor share that are trained on their own adversarial rows."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight
from torch import Tensor

from advaug import containers
from advaug.core.problem import Attack
from advaug.estimators.choices import (
    choose_attack,
    provided,
    refuse_unfit,
    take_one_that_fits,
)
from advaug.estimators.validation import (
    SharesModels,
    check_parameters,
    check_rows,
    learnt_coding,
    new_generator,
    reads_anything,
    refuse_classes,
    with_budgets,
)
from advaug.models.optimizer import constant_rate, one_cycle
from advaug.models.protocol import Array
from advaug.models.torch_model import TorchModel
from advaug.models.training import Training
from advaug.registry import ATTACKS, AttackName
from advaug.robust.embedding import loss_in_embedding
from advaug.robust.losses import (
    DEFAULT_ATTACK,
    FREE_REPLAYS,
    REGULARIZERS,
    LossName,
    RobustLoss,
    Task,
)
from advaug.robust.nets import (
    NET_CONSTRAINTS,
    AdapterParameter,
    Device,
    ModuleParameter,
    NetWithCoding,
    RandomState,
    TrainingParameter,
    choose_training,
    new_net,
    train_net,
)

ROBUST_CONSTRAINTS: dict[str, list[Any]] = {
    "loss": [StrOptions(set(REGULARIZERS))],
    "attack": [str, callable],
    "radius": [Interval(Real, 0, None, closed="left"), HasMethods("items")],
    "norm": [Options(Real, {np.inf, 2, 1})],
    "clean_weight": [Interval(Real, 0, 1, closed="both")],
    **NET_CONSTRAINTS,
}


class RobustNet(SharesModels, BaseEstimator):
    """An estimator with a net inside, trained at its rows and at their moved copies.

    `_task` says what the net's outputs mean. Targets, weights and the number of outputs are handed
    in; no method is meant to be overridden.
    """

    _task: ClassVar[Task]
    net_: NetWithCoding
    loss: LossName
    attack: AttackName | Attack
    radius: float | Mapping[Any, Any]
    norm: float
    clean_weight: float
    module: ModuleParameter
    training: TrainingParameter
    adapter: AdapterParameter
    device: Device
    random_state: RandomState

    def __sklearn_tags__(self) -> Any:
        tags = reads_anything(super().__sklearn_tags__())
        tags.input_tags.sparse = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Without the coding, which the net has too."""
        state = super().__getstate__()
        return {
            name: one for name, one in state.items() if name != "adapter_" or "net_" not in state
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "net_" in state:
            self.adapter_ = self.net_.coding

    def _check(
        self, X: Any, y: Any, check_target: Callable[[Any, Any], Array], *, is_new: bool
    ) -> tuple[Any, Array]:
        """Rows and targets that can be learnt from."""
        if is_new:
            for fitted in ("net_", "classes_"):
                self.__dict__.pop(fitted, None)
        refuse_classes(self)
        check_parameters(self)
        self._chosen_attack()  # A name that is not known is refused first.
        X = check_rows(self, containers.owned(X), reset=not hasattr(self, "net_"))
        return X, check_target(X, y)

    @property
    def _is_auto(self) -> bool:
        return self.attack == "auto"

    def _chosen_attack(self) -> Attack:
        """The attack named or given, or the default."""
        if self.loss == "free" and not self._is_auto:
            raise ValueError(
                f"loss='free' makes its own moves, got attack={self.attack!r}: leave attack='auto'"
            )
        return DEFAULT_ATTACK[self.loss]() if self._is_auto else choose_attack(self.attack)

    def _row_attack(self, net: NetWithCoding) -> Attack:
        """The attack on the net, with attack="auto" one by edits where rows are sequences.

        ValueError if rows and net do not fit it, or if no net can learn from it.
        """
        attack, coding, model = self._chosen_attack(), self.adapter_, TorchModel(net.module)
        if self._is_auto:
            attack = coding.defaults().attack(attack, is_queried=False)
        refuse_unfit("attack", attack, coding, model, ATTACKS, self._admits)
        if not (self._is_auto or self._admits(attack)):
            mend = take_one_that_fits(ATTACKS, provided(coding, model), self._admits)
            raise ValueError(
                f"attack={attack} cannot train a net, {self._objection(attack)}: {mend}"
            )
        return attack

    def _objection(self, attack: Attack) -> str | None:
        """Why no net of this task can learn from an attack; None: one can."""
        if attack.is_universal or attack.needs_reference_rows:
            return "it must learn from rows first"
        return self._task.objection(attack)

    def _admits(self, attack: Attack) -> bool:
        return self._objection(attack) is None

    def _chosen_training(self, *, is_partial: bool) -> Training:
        """The settings of a whole training, or of one more pass over some rows."""
        training = choose_training(self.training)
        if self.loss == "free" and training.replays is None:
            training = replace(training, replays=FREE_REPLAYS)
        if not is_partial:
            return training
        epochs = training.epochs or training.replays or 1
        return replace(training, patience=None, epochs=epochs)

    def _train(
        self,
        X: Any,
        y: Tensor,
        outputs: int,
        weight: Tensor | None = None,
        *,
        is_partial: bool = False,
    ) -> Self:
        """Train the net as it is, or a new one."""
        training = self._chosen_training(is_partial=is_partial)
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
        robust = self._loss(net, x, y, self._row_attack(net), walk, weight)
        loss = loss_in_embedding(robust, self.adapter_, self.attack)
        if loss is robust:
            self._refuse_free_without_gradient(net)
        strata = y if outputs > 1 else torch.zeros(len(y), dtype=torch.long)
        schedule = constant_rate if is_partial else one_cycle
        self.n_iter_ = train_net(net, loss, strata, training, self.device, generator, schedule)
        self.net_ = net
        return self

    def _refuse_free_without_gradient(self, net: NetWithCoding) -> None:
        """ValueError if loss="free" has no gradient in the rows that it could follow."""
        is_free = self.loss == "free" and self.clean_weight < 1
        if is_free and "gradient" not in provided(self.adapter_, TorchModel(net.module)):
            raise ValueError(
                f"loss='free' follows a gradient in the rows, and rows of "
                f"{type(self.adapter_).__name__} have none: take loss='adversarial'"
            )

    def _loss(
        self,
        net: NetWithCoding,
        x: Tensor,
        y: Tensor,
        attack: Any,
        generator: torch.Generator,
        weight: Tensor | None = None,
    ) -> RobustLoss:
        coding, radius = with_budgets(self.adapter_, self.radius)
        return RobustLoss(
            net=net.module,
            native=lambda rows: net.native(coding.in_base(rows)),
            x=coding.from_base(x),
            y=y,
            weight=torch.ones(len(y)) if weight is None else weight,
            task=self._task,
            name=self.loss,
            attack=attack,
            space=coding.space(float(self.norm)),
            radius=radius,
            clean_weight=float(self.clean_weight),
            generator=generator,
        )


def row_weights(sample_weight: Any, y: Array) -> Tensor:
    """A user's weight of each row, with a mean of 1; ValueError for what is none."""
    if sample_weight is None:
        return torch.ones(len(y))
    weight = _check_sample_weight(sample_weight, y, ensure_non_negative=True)
    return torch.from_numpy(weight / weight.mean()).float()
