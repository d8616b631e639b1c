"""A net trained on its own adversarial rows, as a scikit-learn regressor."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import RegressorMixin
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import check_is_fitted, column_or_1d
from torch import Tensor

from advaug import containers
from advaug.core.devices import resolve
from advaug.core.objectives import number
from advaug.core.problem import Attack
from advaug.estimators.validation import (
    check_parameters,
    check_rows,
    new_generator,
    refuse_no_labels,
    with_budgets,
)
from advaug.models.protocol import Array
from advaug.registry import AttackName
from advaug.robust.losses import LossName, Regression
from advaug.robust.nets import (
    AdapterParameter,
    Device,
    ModuleParameter,
    RandomState,
    TrainingParameter,
    query_net,
)
from advaug.robust.robust_net import ROBUST_CONSTRAINTS, RobustNet, row_weights


class AdversarialRegressor(RegressorMixin, RobustNet):
    """A net trained on w * (f(x) - y)^2 + (1 - w) * R, where R comes from an attack on the net.

    w is `clean_weight`, and x' is the row x as the attack moves it.

    =============  ===================================================================
    loss           R
    =============  ===================================================================
    "adversarial"  (f(x') - y)^2
    "free"         the same; x' is kept from step to step and needs no pass of its own
    "trades"       (f(x) - f(x'))^2
    "vat"          the same with f(x) detached
    =============  ===================================================================

    Parameters
    ----------
    loss : {"adversarial", "free", "trades", "vat"}, default="adversarial"
        The regularizer R.
    attack : "auto", a name in `advaug.registry.ATTACKS` or an attack, default="auto"
        How x' is made: by raising the squared error. As in `AdversarialClassifier`, except for
        attacks that look for a boundary between classes.
    radius : float or dict, default=0.3
        How far x' may be from x, as in `AdversarialClassifier`.
    norm : {inf, 2, 1}, default=inf
        The norm of the radius.
    clean_weight : float in [0, 1], default=0.5
        The weight w.
    module : "auto" or torch module, default="auto"
        "auto" is a small net on the adapter's encoding. A module of your own goes from rows to one
        number, and is trained on (y - mean) / standard deviation.
    training : `Training` or "auto", default="auto"
        As in `AdversarialClassifier`.
    adapter : {"auto", "tabular", "image", "signal", "sequence"} or adapter, default="auto"
        Reads the rows. "auto" is the first one that accepts them.
    device : str or torch.device, default="auto"
        "auto" is cuda where there is one.
    random_state : int, RandomState or None, default=None
        Seed of all random numbers. With an int a second run gives the same results.

    Attributes
    ----------
    adapter_ : `Coding`
        The fitted adapter.
    net_ : `NetWithCoding`
        The trained net and the coding of its rows; it predicts ``(y - center_) / scale_``.
    center_, scale_ : float
        Mean and standard deviation of the first call's y.
    n_iter_ : int
        The number of epochs.
    n_features_in_ : int
        Number of columns of X in `fit`.
    feature_names_in_ : ndarray of str
        Names of the columns of X in `fit`, where all of them are texts.

    See Also
    --------
    advaug.robust.AdversarialClassifier :
        A net trained on w * L(x, y) + (1 - w) * R, where R comes from an attack on the net.

    References
    ----------
    Goodfellow, Shlens, Szegedy. Explaining and harnessing adversarial examples. ICLR 2015. Ribeiro,
    Zachariah, Bach, Schon. Regularization properties of adversarially-trained linear regression.
    NeurIPS 2023.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from advaug.robust import AdversarialRegressor
    >>> X, y = make_regression(300, 5, noise=5, random_state=0)
    >>> model = AdversarialRegressor(radius=0.1, random_state=0).fit(X, y)
    >>> model.score(X, y) > model.score(model.attack_rows(X, y), y)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {**ROBUST_CONSTRAINTS}
    _task: ClassVar[Regression] = Regression()

    def __init__(
        self,
        *,
        loss: LossName = "adversarial",
        attack: AttackName | Attack = "auto",
        radius: float | Mapping[Any, Any] = 0.3,
        norm: float = np.inf,
        clean_weight: float = 0.5,
        module: ModuleParameter = "auto",
        training: TrainingParameter = "auto",
        adapter: AdapterParameter = "auto",
        device: Device = "auto",
        random_state: RandomState = None,
    ) -> None:
        self.loss = loss
        self.attack = attack
        self.radius = radius
        self.norm = norm
        self.clean_weight = clean_weight
        self.module = module
        self.training = training
        self.adapter = adapter
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a new net.

        Parameters
        ----------
        X : container of rows
            Rows in any container that an adapter takes.
        y : array-like of shape (n_rows,)
            The number of each row.
        sample_weight : array (n,), optional
            Of each row's part in the loss. Scales of the columns and of y are learnt from all rows
            alike.

        Returns
        -------
        object
            The fitted estimator itself.

        Raises
        ------
        ValueError
            If y is not finite, the attack needs classes, or the module does not fit the rows.
        """
        X, y = self._check(X, y, check_numbers, is_new=True)
        return self._train(X, self._scaled(y, is_new=True), 1, row_weights(sample_weight, y))

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one more pass over some rows (or `training.epochs`), at a constant rate.

        The first call's rows give the scales of the columns and of y.

        Parameters
        ----------
        X : container of rows
            Rows as in `fit`.
        y : array-like of shape (n_rows,)
            The number of each row.
        sample_weight : array-like of shape (n_rows,), optional
            Weights of the rows.

        Returns
        -------
        object
            The fitted estimator itself.
        """
        X, y = self._check(X, y, check_numbers, is_new=False)
        target = self._scaled(y, is_new=not hasattr(self, "net_"))
        return self._train(X, target, 1, row_weights(sample_weight, y), is_partial=True)

    def predict(self, X: Any) -> Array:
        """Numbers, ndarray (rows,).

        Parameters
        ----------
        X : container of rows
            Rows as in `fit`.

        Returns
        -------
        ndarray of shape (n_rows,)
            The predicted number of each row.
        """
        scaled = number(query_net(self, X).double()).numpy()
        return np.asarray(scaled * self.scale_ + self.center_)

    def attack_rows(
        self,
        X: Any,
        y: Any,
        *,
        attack: AttackName | Attack | None = None,
        radius: float | Mapping[Any, Any] | None = None,
    ) -> Any:
        """Move rows so that the squared error rises; they are returned in their own container.

        Parameters
        ----------
        X : container of rows
            Rows as in `fit`.
        y : numbers (n,)
            Their true numbers.
        attack : as in the constructor, or None
            None is the attack that the net was trained with.
        radius : as in the constructor, or None
            None is the radius that the net was trained with.

        Returns
        -------
        container of rows
            The moved rows.
        """
        check_is_fitted(self, "net_")
        X = containers.rowwise(check_rows(self, containers.owned(X), reset=False))
        attacker = type(self)(**self.get_params(deep=False)).set_params(
            loss="adversarial",
            attack=self.attack if attack is None else attack,
            radius=self.radius if radius is None else radius,
        )
        check_parameters(attacker)
        attacker.adapter_ = self.adapter_
        x = self.adapter_.encode(X)
        generator = new_generator(np.random.RandomState(0))
        target = self._scaled(check_numbers(X, y), is_new=False)
        chosen = (self if attack is None else attacker)._row_attack(self.net_)
        loss = attacker._loss(self.net_, x, target, chosen, generator)
        loss = loss.to(resolve(self.device))
        moved = loss.attack_rows(loss.x, loss.y).cpu()
        self.net_.module.cpu()
        coding, _ = with_budgets(self.adapter_, attacker.radius)
        return coding.decode(moved, coding.from_base(x), X)

    def _scaled(self, y: Array, *, is_new: bool) -> Tensor:
        """y in standard deviations from the mean, which are those of the first rows."""
        if is_new:
            self.center_, scale = float(y.mean()), float(y.std())
            self.scale_ = scale if scale > 0 else 1.0
        return torch.from_numpy((y - self.center_) / self.scale_).float()


def check_numbers(X: Any, y: Any) -> Array:
    """y as finite numbers, one for each row."""
    refuse_no_labels(y)
    target = column_or_1d(containers.labels(y), warn=True)
    target = check_array(target, ensure_2d=False, dtype=np.float64, input_name="y")
    check_consistent_length(range(containers.count(X)), target)
    return np.asarray(target)
