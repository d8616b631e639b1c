"""Defensive distillation: a small net that has learnt another model's probabilities at a heat."""

from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, Interval
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from advaug import containers
from advaug.core.devices import resolve
from advaug.core.norms import draw
from advaug.core.row_random import RowRandom
from advaug.estimators.validation import (
    check_rows,
    learnt_coding,
    new_generator,
    refuse_classes,
    target_of,
)
from advaug.models.torch_model import two_sided
from advaug.models.training import Loss
from advaug.robust.nets import NET_CONSTRAINTS, AsksNet, Net, chosen, new_net, trained

Array = np.ndarray[Any, Any]


class DistilledClassifier(AsksNet, ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A small net trained on a teacher's probabilities at a temperature.

    The student's logits z learn softmax(z / T) = p, the teacher's probabilities; it is asked at
    T = 1, where they are T times as far apart.

    It resists an attack that follows the cross-entropy's gradient, which vanishes there, and
    nothing else: it falls to any attack on the margin (advaug's own FGSM and PGD raise the
    log-odds, which do not saturate; Carlini and Wagner 2017). Take it to put a committee's
    knowledge into one small net, or to learn from doubtful labels, not as a defence.

    Parameters
    ----------
    teacher : classifier with ``predict_proba``
        A clone is fitted on X and y. Wrap it in `sklearn.frozen.FrozenEstimator` to take it as it
        is.
    temperature : float >= 1, default=20
        T. 1 gives the teacher's probabilities back, which a compressor wants; above it the student
        is surer than its teacher.
    copies : int, default=0
        How many mixtures of each row with another one the teacher is asked too: on rows that it was
        fitted on it is surer than it should be, and between them it says more. A compressor wants
        20 or so and `Training(hidden=128)`: then a student of nets and trees kept .95 of their gain
        in AP over a net, on ten tables (`benchmarks/results/defences.md`).
    module, training, adapter, device, random_state
        As in `AdversarialClassifier`.

    Attributes
    ----------
    teacher_ : the fitted teacher
    classes_ : ndarray (classes,)
    adapter_, net_, n_iter_ : the learnt coding, the student, its epochs
    n_features_in_, feature_names_in_

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
        "copies": [Interval(Integral, 0, None, closed="left")],
        **NET_CONSTRAINTS,
    }

    def __init__(
        self,
        teacher: Any,
        *,
        temperature: float = 20.0,
        copies: int = 0,
        module: Any = "auto",
        training: Any = "auto",
        adapter: Any = "auto",
        device: Any = "auto",
        random_state: Any = None,
    ) -> None:
        self.teacher = teacher
        self.temperature = temperature
        self.copies = copies
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
        """Fit the teacher, then train the student on what it says of the same rows.

        Parameters
        ----------
        X : rows in any container that the teacher and an adapter take
        y : labels (n,); the student sees them through the teacher only

        Raises
        ------
        ValueError : y has one class, or the module does not fit the rows
        """
        refuse_classes(self)
        self._validate_params()
        training = chosen(self.training)
        X = check_rows(self, containers.owned(X), reset=True)
        y = target_of(X, y)
        if len(np.unique(y)) < 2:
            raise ValueError(f"y must hold at least 2 classes, got 1 class ({y[0]!r})")
        self.teacher_ = clone(self.teacher).fit(X, y)
        self.classes_ = self.teacher_.classes_
        self.adapter_ = learnt_coding(self.adapter, X)
        generator = new_generator(check_random_state(self.random_state))
        x, answers = self._lesson(X, generator)
        net = new_net(self.module, self.adapter_, x, len(self.classes_), training, generator)
        loss = self._loss(net, x, answers)
        self.n_iter_ = trained(net, loss, answers.argmax(1), training, self.device, generator)
        # softmax(z / T) = p is learnt as softmax(z') = p, where z = T z' does not feel T's size
        self.net_ = replace(net, module=WithTemperature(net.module, float(self.temperature)).eval())
        return self

    def _lesson(self, X: Any, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Encoded rows and the teacher's probabilities, at X and at mixtures of its rows."""
        x, space = self.adapter_.encode(X), self.adapter_.space()
        rows, asked = [x], [self.teacher_.predict_proba(X)]
        endless = torch.full((len(x),), torch.inf)
        for _ in range(self.copies):
            other = x[torch.randperm(len(x), generator=generator)]
            mixed = space.mix(x, other, torch.rand(len(x), generator=generator) / 2)
            shipped = space.snap(
                mixed, x, endless, draw(x, RowRandom.from_generator(len(x), generator))
            )
            new = self.adapter_.decode(shipped, x, X)
            rows.append(self.adapter_.encode(new))
            asked.append(self.teacher_.predict_proba(new))
        return torch.cat(rows), torch.from_numpy(np.concatenate(asked, dtype=np.float64))

    def _loss(self, net: Net, x: Tensor, answers: Tensor) -> Loss:
        """Cross-entropy of the teacher's probabilities at T = 1; the heat comes afterwards."""
        device = resolve(self.device)
        module, x, soft = net.module.to(device), x.to(device), answers.float().to(device)

        def loss(rows: Tensor) -> Tensor:
            rows = rows.to(device)
            return cross_entropy(two_sided(module(net.native(x[rows]))), soft[rows])

        return loss


class WithTemperature(nn.Module):
    """A net whose logits are multiplied by a temperature."""

    def __init__(self, module: nn.Module, temperature: float) -> None:
        super().__init__()
        self.module, self.temperature = module, temperature

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.module(x) * self.temperature
        return logits
