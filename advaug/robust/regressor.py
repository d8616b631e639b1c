"""A net trained on its own adversarial rows, as a scikit-learn regressor."""

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
from advaug.estimators.validation import check_rows, new_generator, refuse_no_labels
from advaug.robust.losses import Numbers
from advaug.robust.nets import Array, asked
from advaug.robust.robust_net import ROBUST_CONSTRAINTS, RobustNet, steady


class AdversarialRegressor(RegressorMixin, RobustNet):
    """A net trained on alpha * (f(x) - y)^2 + (1 - alpha) * R, where R comes from an attack on it.

    Parameters
    ----------
    loss : {"adversarial", "free", "trades", "vat"}, default="adversarial"
        R is (f(x') - y)^2, with "free" of an x' that goes on moving from step to step;
        (f(x) - f(x'))^2 with both ends moving; or the same with f(x) held.
    attack : "auto", a name in `advaug.attacks.ATTACKS` or an attack, default="auto"
        What makes x', raising the squared error. As in `AdversarialClassifier`, but for attacks
        that look for a boundary between classes.
    radius, norm, alpha, training, adapter, device, random_state
        As in `AdversarialClassifier`.
    module : "auto" or torch module, default="auto"
        A small net on the adapter's encoding; or your own from rows to one number, which is
        trained on (y - mean) / standard deviation.

    Attributes
    ----------
    adapter_ : the learnt coding
    net_ : the trained net and what it reads; its number is (y - center_) / scale_
    center_, scale_ : float, mean and standard deviation of the first call's y
    n_iter_ : int, epochs
    n_features_in_, feature_names_in_

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
    >>> model.score(X, y) > model.score(model.attacked(X, y), y)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {**ROBUST_CONSTRAINTS}
    _task: ClassVar[Numbers] = Numbers()

    def __init__(
        self,
        *,
        loss: str = "adversarial",
        attack: Any = "auto",
        radius: float = 0.3,
        norm: float = np.inf,
        alpha: float = 0.5,
        module: Any = "auto",
        training: Any = "auto",
        adapter: Any = "auto",
        device: Any = "auto",
        random_state: Any = None,
    ) -> None:
        self.loss = loss
        self.attack = attack
        self.radius = radius
        self.norm = norm
        self.alpha = alpha
        self.module = module
        self.training = training
        self.adapter = adapter
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Train a new net.

        Parameters
        ----------
        X : rows in any container that an adapter takes
        y : numbers (n,)

        Raises
        ------
        ValueError : y is not finite, the attack needs classes, or the module does not fit the rows
        """
        X, y = self._checked(X, y, is_new=True)
        return self._learn(X, self._scaled(y, is_new=True), 1, self._fully())

    def partial_fit(self, X: Any, y: Any) -> Self:
        """One more pass over some rows (`training.epochs` of them, where given), at a steady rate.

        Scales of the columns and of y are those of the first call's rows.
        """
        X, y = self._checked(X, y, is_new=False)
        target = self._scaled(y, is_new=not hasattr(self, "net_"))
        return self._learn(X, target, 1, self._once_more(), steady)

    def predict(self, X: Any) -> Array:
        """Numbers, ndarray (rows,)."""
        said = number(asked(self, X).double()).numpy()
        return np.asarray(said * self.scale_ + self.center_)

    def attacked(self, X: Any, y: Any, *, attack: Any = None, radius: float | None = None) -> Any:
        """Rows moved so that the squared error rises, in their own container.

        Parameters
        ----------
        X, y : rows and their true numbers
        attack, radius : as in the constructor; None: those that the net was trained with
        """
        check_is_fitted(self, "net_")
        X = containers.rowwise(check_rows(self, containers.owned(X), reset=False))
        mover = type(self)(**self.get_params(deep=False)).set_params(loss="adversarial")
        mover.set_params(attack=self._own_attack() if attack is None else attack)
        mover.set_params(radius=self.radius if radius is None else radius)
        mover._validate_params()
        mover.adapter_ = self.adapter_
        x = self.adapter_.encode(X)
        generator = new_generator(np.random.RandomState(0))
        target = self._scaled(self._target(X, y), is_new=False)
        loss = mover._loss(self.net_, x, target, mover._attack_of_rows(), generator)
        device = resolve(self.device)
        moved = loss.moved(x.to(device), target.to(device)).cpu()
        self.net_.module.cpu()
        return self.adapter_.decode(moved, x, X)

    def _own_attack(self) -> Any:
        attack = super()._own_attack()
        if attack.loss == "margin":
            raise ValueError(
                f"attack={attack} looks for a boundary between classes, and a regressor has none: "
                "take 'fgsm', 'pgd' or another attack that raises a loss"
            )
        return attack

    def _target(self, X: Any, y: Any) -> Any:
        refuse_no_labels(y)
        target = column_or_1d(containers.labels(y), warn=True)
        target = check_array(target, ensure_2d=False, dtype=np.float64, input_name="y")
        check_consistent_length(range(containers.count(X)), target)
        return target

    def _scaled(self, y: Array, *, is_new: bool) -> Tensor:
        """y in standard deviations from the mean, which are learnt of the first rows."""
        if is_new:
            self.center_, scale = float(y.mean()), float(y.std())
            self.scale_ = scale if scale > 0 else 1.0
        return torch.from_numpy((y - self.center_) / self.scale_).float()
