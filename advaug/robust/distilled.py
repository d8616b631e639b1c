"""Distillation: a teacher's probabilities, on the rows and on many new ones, train a classifier."""

import warnings
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from advaug import containers
from advaug.core.parameters import is_auto
from advaug.core.problem import Attack
from advaug.core.row_random import generator_at
from advaug.estimators.choices import choose_attack
from advaug.estimators.committee_classifier import (
    CV,
    CommitteeClassifier,
    auc_of,
    checked_data,
    fit_teacher_dataset,
)
from advaug.estimators.doc_link import DocLinkMixin
from advaug.estimators.prior_corrected import probability_of
from advaug.estimators.resampling import CheckedData
from advaug.estimators.validation import (
    ORDER,
    check_parameters,
    check_rows,
    refuse_classes,
    refuse_unsortable,
)
from advaug.models.protocol import Array
from advaug.models.stacking import balanced
from advaug.models.torch_model import TorchModel
from advaug.models.training import CrossEntropyLoss, Training
from advaug.registry import AttackName
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
    query_net,
    train_net,
)
from advaug.robust.robustness import adversarial_rows
from advaug.robust.soft_labels import (
    BALANCE,
    Balance,
    Labels,
    SoftRows,
    balance_of,
    fit_by_weight,
    learns_agreed,
    refuse_no_probability,
    soft_rows,
)
from advaug.sampling.domain import FittedAdapter
from advaug.sampling.encoded_dataset import EncodedDataset

RADIUS, N_ROUNDS = 0.3, 2  # Of an attack on the student.


def is_net(self: Any) -> bool:
    """Whether the student is a net."""
    return isinstance(self.estimator, str)


class DistilledClassifier(DocLinkMixin, ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A classifier that learns a teacher's probabilities, on the rows and on many new ones.

    A hard label says little of a row. The teacher's probabilities say more, and they can be had for
    as many rows near the data as are wanted. The student learns each row once for each label, with
    the probabilities as weights. Where its `fit` takes no `sample_weight`, each row has one label,
    and near rows have different labels in proportion to the probabilities. The student predicts
    at its own speed, and its pickle does not hold the teacher.

    With `estimator="net"` and a temperature this is defensive distillation. It resists attacks that
    follow the cross-entropy's gradient, which vanishes there, but no attack on the margin (Carlini
    and Wagner 2017); advaug's own FGSM and PGD raise the log-odds, which do not saturate.

    Parameters
    ----------
    estimator : classifier or "net"
        The student. A clone of it is fitted. "net" is a small net, or `module`.
    teacher : "auto" or classifier with ``predict_proba``, default="auto"
        A clone is fitted on X and y. Wrap a fitted one in `sklearn.frozen.FrozenEstimator`. "auto"
        is `CommitteeClassifier`.
    n_new_rows : "auto" or int >= 0, default="auto"
        How many new rows the teacher labels. "auto" is 10 for each row of X, at least 3000, and up
        to 10 000 or one for each row of X; of signals one for each, at least 1000. With 0 only the
        labels of X are softened.
    softening : float in [0, 1], default=0.5
        What the labels of X become: (1 - softening) of the label and `softening` of the teacher's
        probabilities, predicted by models that have not seen the row.
    labels : {"auto", "soft", "agreed"}, default="auto"
        What the student learns. "soft": each row for each label, by the probabilities. "agreed":
        the rows of X with their own labels, and each new row with the label of the row that it was
        made from, unless the teacher finds another class more probable (were all classes equally
        frequent). "auto" is "agreed" for a classifier whose `n_neighbors` is 1, which cannot
        average the labels of near rows, else "soft". `softening` and `balance` are of soft labels.
    balance : "auto" or float in [0, 1], default="auto"
        With soft labels the student learns classes whose weights are their shares to the power 1 -
        balance, and `predict` returns the class that is most probable for these weights: with 0
        for the shares of y, with 1 for classes that are equally frequent. "auto" is 0.5; of signals
        a student other than a net learns with 0.5 and decides with 0.7. `predict_proba` returns
        probabilities for the shares of y, whatever it is.
    temperature : float >= 1, default=1
        Of a net: its logits z learn softmax(z / temperature), and it predicts at temperature 1, so
        that above 1 it is more confident than its teacher.
    module : torch module or "auto", default="auto"
        The net, as in `AdversarialClassifier`.
    training : `Training` or "auto", default="auto"
        How the net is trained, as in `AdversarialClassifier`.
    attack : None, "auto", a name in `advaug.registry.ATTACKS` or an attack, default=None
        Moves each row of X against its label and the fitted student, which is then fitted again
        with these rows: they bear the softened labels of the rows that they were moved from. "auto"
        is "pgd" if the student has a gradient, "square" if it has none, "greedy" for sequences.
    radius : float > 0, default=0.3
        Longest move of an attack in each cell, in the adapter's units: standard deviations of
        tables and signals, edits of sequences (rounded up).
    n_rounds : int >= 1, default=2
        How often the student is attacked and fitted again. The rows of all rounds are kept.
    constraints : "auto", `Constraints`, rule or list of rules, or None, default="auto"
        New rows keep the rules that their parents keep: see `advaug.constraints`. "auto" is the
        relations between columns that all real rows keep.
    adapter : {"auto", "tabular", "image", "signal", "sequence"} or adapter, default="auto"
        Reads the rows. "auto" is the first one that accepts them.
    device : str or torch.device, default="auto"
        "auto" is cuda where there is one.
    random_state : int, RandomState or None, default=None
        Seed of all random numbers. With an int a second run gives the same results.

    Attributes
    ----------
    classes_ : ndarray (classes,)
        The class labels.
    student_ : `Student`
        Unless the student is a net: `student_.estimator` is the fitted classifier.
    teacher_ : classifier
        The fitted teacher. A pickle leaves it out.
    teacher_score_ : float
        Area under the ROC curve of the teacher's probabilities of rows that it has not seen, the
        mean over the classes.
    n_rows_ : int
        How many rows the student was fitted on, copies included.
    class_share_ : ndarray (classes,)
        The class shares of y.
    adapter_ : `Coding`
        The fitted adapter.
    net_ : `NetWithCoding`
        The net and the coding of its rows, if the student is one.
    model_ : `TorchModel`
        The net as it is attacked, if the student is one.
    n_iter_ : int
        The number of epochs, if the student is a net.
    n_features_in_ : int
        Number of columns of X in `fit`.
    feature_names_in_ : ndarray of str
        Names of the columns of X in `fit`, where all of them are texts.

    See Also
    --------
    advaug.robust.AugmentedClassifier :
        A classifier that is fitted on more rows than it was given, where that helps.
    advaug.CommitteeClassifier : The default teacher.

    Notes
    -----
    An `attack` makes a forest or boosted trees more robust against attacks that they were not
    trained on, at the AP that distillation alone has: `python -m benchmarks.defences --parts
    students`.

    Put a search of the student's parameters around this classifier, not inside it: copies of a row
    would stand on both sides of an inner split.

    With `sample_weight` the teacher and the student learn weighted rows, and a new row has the
    weight of its parent. A teacher or a student whose `fit` takes no `sample_weight` learns rows
    drawn in proportion to their weights. A row of weight 0 is as if it was not there.

    References
    ----------
    Bucila, Caruana, Niculescu-Mizil. Model compression. KDD 2006. Fakoor et al. Fast, accurate, and
    simple models for tabular data via augmented distillation. NeurIPS 2020. Papernot, McDaniel, Wu,
    Jha, Swami. Distillation as a defense to adversarial perturbations against deep neural networks.
    IEEE S&P 2016. Zi, Zhao, Ma, Jiang. Revisiting adversarial robustness distillation: robust soft
    labels make student better. ICCV 2021. Carlini, Wagner. Towards evaluating the robustness of
    neural networks. IEEE S&P 2017 (why it fails as a defence). Elkan. The foundations of
    cost-sensitive learning. IJCAI 2001
    (probabilities for the real shares).

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.metrics import average_precision_score
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from advaug.robust import DistilledClassifier
    >>> X, y = make_classification(400, n_informative=4, weights=[0.8], random_state=0)
    >>> tree = DecisionTreeClassifier(min_samples_leaf=2, random_state=0)
    >>> models = [tree.fit(X[:200], y[:200])]
    >>> models += [DistilledClassifier(tree, random_state=0).fit(X[:200], y[:200])]
    >>> probabilities = [model.predict_proba(X[200:])[:, 1] for model in models]
    >>> alone, distilled = [average_precision_score(y[200:], p) for p in probabilities]
    >>> bool(alone < 0.4), bool(distilled > 0.5)
    (True, True)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [StrOptions({"net"}), HasMethods(["fit", "predict_proba"])],
        "teacher": [StrOptions({"auto"}), HasMethods(["fit", "predict_proba"])],
        "n_new_rows": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
        "softening": [Interval(Real, 0, 1, closed="both")],
        "labels": [StrOptions({"auto", "soft", "agreed"})],
        "balance": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="both")],
        "temperature": [Interval(Real, 1, None, closed="left")],
        "attack": [str, callable, None],
        "radius": [Interval(Real, 0, None, closed="neither")],
        "n_rounds": [Interval(Integral, 1, None, closed="left")],
        "constraints": [callable, str, list, tuple, HasMethods("check"), None],
        **NET_CONSTRAINTS,
    }

    def __init__(
        self,
        estimator: Any,
        teacher: Any = "auto",
        *,
        n_new_rows: Literal["auto"] | int = "auto",
        softening: float = 0.5,
        labels: Labels = "auto",
        balance: Balance = "auto",
        temperature: float = 1.0,
        module: ModuleParameter = "auto",
        training: TrainingParameter = "auto",
        attack: AttackName | Attack | None = None,
        radius: float = RADIUS,
        n_rounds: int = N_ROUNDS,
        constraints: Any = "auto",
        adapter: AdapterParameter = "auto",
        device: Device = "auto",
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.teacher = teacher
        self.n_new_rows = n_new_rows
        self.softening = softening
        self.labels = labels
        self.balance = balance
        self.temperature = temperature
        self.module = module
        self.training = training
        self.attack = attack
        self.radius = radius
        self.n_rounds = n_rounds
        self.constraints = constraints
        self.adapter = adapter
        self.device = device
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        for part in (self.estimator, self.teacher):
            if not isinstance(part, str):
                tags.input_tags = get_tags(part).input_tags
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__().items()
        return {name: value for name, value in state if name != "teacher_"}

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the teacher, make new rows and fit the student.

        Parameters
        ----------
        X : container of rows
            Rows in any container that the student, the teacher and an adapter take.
        y : array-like of shape (n_rows,)
            The label of each row.
        sample_weight : array-like of shape (n_rows,), optional
            How many rows each row counts for.

        Returns
        -------
        object
            The fitted estimator itself.

        Raises
        ------
        ValueError
            If y has one class, a class has no weight, a parameter has no effect, or the module does
            not fit the rows.
        """
        refuse_classes(self)
        for name in ("estimator", "teacher"):
            refuse_no_probability(name, getattr(self, name))
        check_parameters(self)
        self._refuse_parameters_without_effect()
        training = choose_training(self.training)
        data = checked_data(self, X, y, sample_weight)
        data = data.take(data.with_weight) if data.weight is not None else data
        for model in (self.estimator, self.teacher):
            if not isinstance(model, str):
                refuse_unsortable(data.classes, model)
        self.adapter_, self.classes_ = data.coding, data.classes
        self.class_share_ = data.class_share
        dataset = fit_teacher_dataset(data, "auto", self.device)
        held_out = self._fit_teacher(data, dataset)
        soft = soft_rows(
            data,
            dataset,
            held_out,
            self._query,
            n_new_rows=None if is_auto(self.n_new_rows) else int(self.n_new_rows),
            softening=self.softening,
            constraints=self.constraints,
        )
        self._fit_student(data, soft, training)
        for k in range(self.n_rounds if self.attack is not None else 0):
            soft = soft.with_moved(self._attacked_rows(data, k))
            self._fit_student(data, soft, training)
        return self

    def _refuse_parameters_without_effect(self) -> None:
        """ValueError for a parameter of a net where the student is none, or of no attack."""
        if self.attack is None:
            for name, kept in (("radius", RADIUS), ("n_rounds", N_ROUNDS)):
                if getattr(self, name) != kept:
                    raise ValueError(
                        f"{name} has no effect: there is no attack. Leave {name}={kept}, or take "
                        "attack='auto'"
                    )
        elif not is_auto(self.attack):
            choose_attack(self.attack)  # An unknown name is refused before any work.
        if is_net(self):
            if self.labels == "agreed":
                raise ValueError("labels='agreed' has no effect: a net learns labels='soft'")
            return
        if learns_agreed(self.estimator, self.labels):
            own: dict[str, Any] = {"softening": 0.5, "balance": "auto"}
            for name, value in own.items():
                if getattr(self, name) != value:
                    raise ValueError(
                        f"{name} has no effect on agreed labels: leave {name}={value!r}, or take "
                        "labels='soft'"
                    )
        for name, default in (("temperature", 1.0), ("module", "auto"), ("training", "auto")):
            value = getattr(self, name)
            if not (isinstance(value, type(default)) and value == default):
                raise ValueError(
                    f"{name} has no effect: the student is a {type(self.estimator).__name__}. "
                    f"Leave {name}={default!r}, or take estimator='net'"
                )

    # ---------------------------------------------------------------- the teacher

    def _fit_teacher(self, data: CheckedData, dataset: EncodedDataset) -> Array:
        """Fit the teacher; its probabilities of the rows, each by models that have not seen it."""
        if is_auto(self.teacher):
            committee = CommitteeClassifier(adapter=self.adapter, device=self.device)
            check_rows(committee, data.X, reset=True)
            self.teacher_ = committee.fit_encoded(data, dataset)
            held_out = committee.held_out_probability_
        else:
            labels = data.classes[data.codes]
            counts = np.bincount(data.codes)
            folds = min(CV, int(counts.min()))
            if folds < 2:
                rare = data.classes.tolist()[counts.argmin()]
                raise ValueError(
                    f"class {rare!r} has a single row, which the teacher cannot predict without "
                    "having seen it: give it more rows, or take teacher='auto'"
                )
            self.teacher_ = self._fitted_teacher(data, np.arange(len(labels)))
            held_out = np.empty((len(labels), len(data.classes)))
            split = StratifiedKFold(folds, shuffle=True, random_state=data.seed % 2**31)
            for seen, held in split.split(labels, labels):
                fitted = self._fitted_teacher(data, seen)
                rows = containers.take(data.rows, held)
                held_out[held] = probability_of(fitted, rows, data.classes)
        classes = range(len(data.classes))
        each = [auc_of(held_out[:, k], data.codes == k, data.weight) for k in classes]
        self.teacher_score_ = float(np.mean(each))
        return np.array(held_out, dtype=float)

    def _fitted_teacher(self, data: CheckedData, rows: Array) -> Any:
        """A clone of the teacher, fitted on some of the rows."""
        weight = None if data.weight is None else data.weight[rows]
        X, labels = containers.take(data.rows, rows), data.classes[data.codes[rows]]
        return fit_by_weight(self.teacher, X, labels, weight, data.seed)

    def _query(self, rows: Any) -> Array:
        """The teacher's probabilities."""
        if is_auto(self.teacher):
            teacher: CommitteeClassifier = self.teacher_
            return teacher.encoded_probability(self.adapter_.encode(rows))
        return probability_of(self.teacher_, rows, self.classes_)

    # ---------------------------------------------------------------- the student

    def _fit_student(self, data: CheckedData, soft: SoftRows, training: Training) -> None:
        if is_net(self):
            self._fit_net(data, soft, training)
            return
        random = np.random.RandomState(data.seed)
        self.student_ = soft.fit(self.estimator, random, self.balance, self.labels)
        self.n_rows_ = self.student_.n_rows

    def _attacked_rows(self, data: CheckedData, number: int) -> Any:
        """The real rows, each moved against its label and the student of this round."""
        moved = adversarial_rows(
            self if is_net(self) else self.student_,
            data.rows,
            data.classes[data.codes],
            attack=cast(AttackName | Attack, self.attack),
            radius=self.radius,
            constraints=self.constraints,
            adapter=FittedAdapter(self.adapter_),
            random_state=(data.seed + number) % 2**31,
        )
        if torch.equal(*map(self.adapter_.encode, (moved, data.rows))):
            warnings.warn(
                f"attack={self.attack!r} moves no row by radius={self.radius}, so that the student "
                "learns copies: raise radius",
                UserWarning,
                stacklevel=3,
            )
        return moved

    def _fit_net(self, data: CheckedData, soft: SoftRows, training: Training) -> None:
        x = self.adapter_.encode(soft.rows)
        probability = balanced(soft.probability, soft.share**self._net_balance)
        generator, target = generator_at(data.seed, ORDER), torch.from_numpy(probability)
        net = new_net(self.module, self.adapter_, x, len(soft.classes), training, generator)
        weight = torch.from_numpy(soft.weight / soft.weight.mean()).float()
        is_equal = bool((weight == 1).all())
        loss = CrossEntropyLoss(
            net.module, net.native(x), target.float(), None if is_equal else weight
        )
        strata = target.argmax(1)
        self.n_iter_ = train_net(net, loss, strata, training, self.device, generator)
        # softmax(z / T) = p is learnt as softmax(z') = p with z = T z', which does not depend on T.
        module = TemperatureScaling(net.module, float(self.temperature)).eval()
        self.net_ = NetWithCoding(module, net.coding, net.reads_encoded)
        self.n_rows_ = len(probability)

    @property
    def _net_balance(self) -> float:
        """What a net learns and decides with."""
        return balance_of(self.balance, BALANCE)

    @property
    def model_(self) -> TorchModel:
        """The net as an attack takes it, if the student is one."""
        if not hasattr(self, "net_"):
            raise AttributeError("the student is no net: it has no model_")
        return TorchModel(self.net_.module, self.classes_, self.net_.reads_encoded)

    # ---------------------------------------------------------------- predictions

    def predict_proba(self, X: Any) -> Array:
        """Probabilities for the class shares of y, ndarray (rows, classes).

        Parameters
        ----------
        X : container of rows
            Rows as in `fit`.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            The probability of each class, in the order of `classes_`.
        """
        check_is_fitted(self)
        if is_net(self):
            probability = np.asarray(query_net(self, X).double().softmax(1).numpy())
            return balanced(probability, self.class_share_**-self._net_balance)
        return self.student_.predict_proba(check_rows(self, containers.owned(X), reset=False))

    def predict(self, X: Any) -> Array:
        """The class of each row: see `balance`.

        Parameters
        ----------
        X : container of rows
            Rows as in `fit`.

        Returns
        -------
        ndarray of shape (n_rows,)
            The predicted class of each row.
        """
        check_is_fitted(self)
        if not is_net(self):
            return self.student_.predict(check_rows(self, containers.owned(X), reset=False))
        factor = self.class_share_**self._net_balance
        return np.asarray(self.classes_[balanced(self.predict_proba(X), factor).argmax(1)])


class TemperatureScaling(nn.Module):
    """A net whose logits are multiplied by a temperature."""

    def __init__(self, module: nn.Module, temperature: float) -> None:
        super().__init__()
        self.module, self.temperature = module, temperature

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.module(x) * self.temperature
        return logits
