"""Defensive distillation: a small net learns another model's probabilities at a temperature."""

from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, Interval
from torch import Tensor, nn

from advaug import containers
from advaug.estimators.validation import (
    check_rows,
    learnt_coding,
    new_generator,
    refuse_classes,
)
from advaug.models.training import CrossEntropyLoss
from advaug.robust.nets import (
    NET_CONSTRAINTS,
    AdapterParameter,
    Device,
    ModuleParameter,
    NetClassifierMixin,
    RandomState,
    TrainingParameter,
    choose_training,
    new_net,
    rounded_rows,
    train_net,
)
from advaug.robust.wrapped import labels_of


class DistilledClassifier(NetClassifierMixin, ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A small net trained on a teacher's probabilities at a temperature.

    The student's logits z learn softmax(z / T) = p, the teacher's probabilities. It predicts at
    T = 1, where the logits are T times as far apart.

    It resists attacks that follow the cross-entropy's gradient, which vanishes there, but no attack
    on the margin (Carlini and Wagner 2017); advaug's own FGSM and PGD raise the log-odds, which do
    not saturate. Use it to compress a committee into one small net, or to learn from uncertain
    labels, not as a defence.

    Parameters
    ----------
    teacher : classifier with ``predict_proba``
        A clone is fitted on X and y. Wrap a fitted one in `sklearn.frozen.FrozenEstimator`.
    temperature : float >= 1, default=20
        T. With 1, which suits compression, the student returns the teacher's probabilities; above
        it the student is more confident than its teacher.
    n_mixtures : int >= 0, default=0
        For how many mixtures of each row with another one the teacher is queried too. It is
        overconfident at the rows that it was fitted on. For compression take about 20 and
        `Training(hidden_width=128)`: then a student of nets and trees kept .95 of their gain in AP
        over a net, on ten tables (`benchmarks/results/defences.md`).
    module, training, adapter, device, random_state
        As in `AdversarialClassifier`.

    Attributes
    ----------
    teacher_ : classifier
        The fitted teacher.
    classes_ : ndarray (classes,)
        The class labels.
    adapter_ : `Coding`
        The fitted adapter.
    net_ : `NetWithCoding`
        The student and the coding of its rows.
    n_iter_ : int
        The number of epochs.
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    References
    ----------
    Papernot, McDaniel, Wu, Jha, Swami. Distillation as a defense to adversarial perturbations
    against deep neural networks. IEEE S&P 2016. Carlini, Wagner. Towards evaluating the robustness
    of neural networks. IEEE S&P 2017 (why it fails). Bucila, Caruana, Niculescu-Mizil. Model
    compression. KDD 2006 (rows between the rows).

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from advaug.robust import DistilledClassifier
    >>> X, y = make_classification(300, random_state=0)
    >>> forest = RandomForestClassifier(random_state=0)
    >>> student = DistilledClassifier(forest, temperature=1, random_state=0).fit(X, y)
    >>> bool((student.predict(X) == student.teacher_.predict(X)).mean() > 0.95)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "teacher": [HasMethods(["fit", "predict_proba"])],
        "temperature": [Interval(Real, 1, None, closed="left")],
        "n_mixtures": [Interval(Integral, 0, None, closed="left")],
        **NET_CONSTRAINTS,
    }

    def __init__(
        self,
        teacher: Any,
        *,
        temperature: float = 20.0,
        n_mixtures: int = 0,
        module: ModuleParameter = "auto",
        training: TrainingParameter = "auto",
        adapter: AdapterParameter = "auto",
        device: Device = "auto",
        random_state: RandomState = None,
    ) -> None:
        self.teacher = teacher
        self.temperature = temperature
        self.n_mixtures = n_mixtures
        self.module = module
        self.training = training
        self.adapter = adapter
        self.device = device
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.teacher).input_tags
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the teacher, then train the student on the teacher's probabilities.

        Parameters
        ----------
        X : rows in any container that the teacher and an adapter take
        y : labels (n,)
            Only the teacher learns them.

        Raises
        ------
        ValueError
            If y has one class, or the module does not fit the rows.
        """
        refuse_classes(self)
        self._validate_params()
        training = choose_training(self.training)
        X = check_rows(self, containers.owned(X), reset=True)
        y = labels_of(X, y)
        self.teacher_ = clone(self.teacher).fit(X, y)
        self.classes_ = self.teacher_.classes_
        self.adapter_ = learnt_coding(self.adapter, X)
        generator = new_generator(check_random_state(self.random_state))
        x, probability = self._query_teacher(X, generator)
        net = new_net(self.module, self.adapter_, x, len(self.classes_), training, generator)
        loss = CrossEntropyLoss(net.module, net.native(x), probability.float())
        strata = probability.argmax(1)
        self.n_iter_ = train_net(net, loss, strata, training, self.device, generator)
        # softmax(z / T) = p is learnt as softmax(z') = p with z = T z', which does not depend on T.
        module = TemperatureScaling(net.module, float(self.temperature)).eval()
        self.net_ = replace(net, module=module)
        return self

    def _query_teacher(self, X: Any, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Encoded rows and the teacher's probabilities, at X and at mixtures of its rows."""
        x, space = self.adapter_.encode(X), self.adapter_.space()
        rows, probability = [x], [self.teacher_.predict_proba(X)]
        for _ in range(self.n_mixtures):
            other = x[torch.randperm(len(x), generator=generator)]
            mixed = space.mix(x, other, torch.rand(len(x), generator=generator) / 2)
            new = rounded_rows(mixed, x, X, self.adapter_, generator)
            rows.append(self.adapter_.encode(new))
            probability.append(self.teacher_.predict_proba(new))
        return torch.cat(rows), torch.from_numpy(np.concatenate(probability, dtype=np.float64))


class TemperatureScaling(nn.Module):
    """A net whose logits are multiplied by a temperature."""

    def __init__(self, module: nn.Module, temperature: float) -> None:
        super().__init__()
        self.module, self.temperature = module, temperature

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.module(x) * self.temperature
        return logits
