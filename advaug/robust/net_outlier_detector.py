"""What the detectors with a net inside share: training, the threshold and the scores."""

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from advaug import containers
from advaug.core.features import Features
from advaug.estimators.validation import (
    SharesModels,
    check_parameters,
    check_rows,
    reads_anything,
    refuse_classes,
    target_of,
)
from advaug.models.committee import FLAT
from advaug.models.protocol import Array
from advaug.models.training import CrossEntropyLoss, SmallNet, Training
from advaug.robust.nets import (
    NET_CONSTRAINTS,
    Device,
    NetWithCoding,
    TrainingParameter,
    choose_training,
    split_off_a_fold,
    train_net,
)
from advaug.sampling.domain import Coding

CV = 5  # One fold of so many sets the threshold.
MIN_ROWS = 20  # With fewer rows none are held out.

DETECTOR_CONSTRAINTS: dict[str, list[Any]] = {
    "false_alarm_rate": [Interval(Real, 0, 1, closed="neither")],
    **{name: rule for name, rule in NET_CONSTRAINTS.items() if name != "module"},
}


@dataclass(frozen=True)
class RowReader:
    """The encoded rows are the inputs of a detector."""

    coding: Coding

    def __call__(self, X: Any) -> Tensor:
        return self.coding.encode(X)


@dataclass(frozen=True)
class ActivationReader:
    """What the last linear layer of another net reads is the input of a detector."""

    net: NetWithCoding

    def __call__(self, X: Any) -> Tensor:
        return self.net.activations(X).double()


class NetOutlierDetector(OutlierMixin, SharesModels, BaseEstimator):
    """An outlier detector whose net has a last logit for outliers and others for known rows.

    `_check`, `_fit_net` and `_set_threshold` are the steps of `fit`; the net's inputs are what
    `_reader` makes of rows. No method is meant to be overridden.
    """

    false_alarm_rate: float
    training: TrainingParameter
    device: Device
    net_: NetWithCoding
    offset_: float
    _reader: RowReader | ActivationReader

    def __sklearn_tags__(self) -> Any:
        tags = reads_anything(super().__sklearn_tags__())
        tags.input_tags.sparse = True
        return tags

    def _check(self, X: Any, y: Any) -> tuple[Any, Array | None, Training]:
        """Rows, labels if there are any, and the settings of the training."""
        refuse_classes(self)
        check_parameters(self)
        training = choose_training(self.training)
        X = containers.rowwise(check_rows(self, containers.owned(X), reset=True))
        return X, None if y is None else target_of(X, y), training

    def _fit_net(
        self,
        x: Tensor,
        target: Tensor,
        training: Training,
        generator: torch.Generator,
        features: Features = FLAT,
    ) -> None:
        """Train a small net to tell the targets of the inputs."""
        outputs = int(target.max()) + 1
        module = SmallNet(x, outputs, training.hidden_width, generator, features)
        self.net_ = NetWithCoding(module, self.adapter_, True)
        loss = CrossEntropyLoss(module, x, target)
        train_net(self.net_, loss, target, training, self.device, generator)

    def _set_threshold(self, x: Tensor) -> None:
        """Set the threshold on inputs of known rows."""
        self.offset_ = float(np.quantile(self._scores(x), self.false_alarm_rate))

    def _scores(self, x: Tensor) -> Array:
        """Log-odds of the most likely known class against everything else."""
        logits = self.net_.encoded_logits(x)
        best = logits[:, :-1].argmax(1)[:, None]
        rest = logits.scatter(1, best, -torch.inf).logsumexp(1)
        return np.asarray((logits.gather(1, best)[:, 0] - rest).numpy())

    def score_samples(self, X: Any) -> Array:
        """Log-odds that a row is like the known ones, ndarray (rows,): the lower, the more
        abnormal."""
        check_is_fitted(self)
        X = check_rows(self, containers.owned(X), reset=False)
        return self._scores(self._reader(X))

    def decision_function(self, X: Any) -> Array:
        """`score_samples` minus `offset_`: a row below 0 is an outlier."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> Array:
        """1 for rows like the known ones, -1 for outliers."""
        return np.where(self.decision_function(X) >= 0, 1, -1)


def split_rows(strata: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Numbers of the rows to train on, and of those to set the threshold on; all for few rows."""
    known, held_out = split_off_a_fold(strata, CV, generator)
    every = torch.arange(len(strata))
    return (every, every) if len(every) < MIN_ROWS else (known, held_out)
