"""A net trained on its own adversarial rows, as a scikit-learn classifier."""

from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor

from advaug.estimators.validation import target_of
from advaug.robust.losses import UNKNOWN, Classes
from advaug.robust.nets import AsksNet
from advaug.robust.robust_net import ROBUST_CONSTRAINTS, RobustNet, steady


class AdversarialClassifier(AsksNet, ClassifierMixin, RobustNet):
    """A net trained on alpha * L(x, y) + (1 - alpha) * R, where R comes from an attack on it.

    Parameters
    ----------
    loss : {"adversarial", "free", "trades", "vat"}, default="adversarial"
        R is L(x', y), with "free" of an x' that goes on moving from step to step; KL(p(x) || p(x'))
        with both ends moving; or the same with p(x) held, which needs no label: with "vat", rows
        whose y is -1, beside two classes or more, have none.
    attack : "auto", a name in `advaug.attacks.ATTACKS` or an attack, default="auto"
        What makes x'. "auto" is "fgsm", for "trades" PGD of 5 steps, for "vat" VAT; sequences move
        by edits. "pgd" is Madry's training, "noise" the control, "instrument" for signals that
        another recorder takes; alpha=0 with PGD(steps=1, step=1.25) is fast training.
    radius : float >= 0, default=0.3
        Largest move of x', in the adapter's units: robust standard deviations of a column for
        tables, black to white for images, standard deviations of a channel for signals, edits for
        sequences; for "instrument" the share of its tolerances. With attack="auto" and a module
        that embeds tokens (`torch.nn.Embedding`) x' is moved there, in lengths of a token's vector
        (FGM, VAT).
    norm : {inf, 2, 1}, default=inf
    alpha : float in [0, 1], default=0.5
        Weight of the loss at the rows themselves; 1 is plain training. TRADES' beta is
        (1 - alpha) / alpha: 6 is alpha=1/7.
    class_weight : dict, "balanced" or None, default=None
        Weight of the classes in L and in R of the labelled rows.
    module : "auto" or torch module, default="auto"
        A small net on the adapter's encoding; or your own from rows to logits, in your own units.
        It is copied, never trained itself; the copy goes on from its weights.
    training : "auto" or `advaug.models.Training`, default="auto"
        Epochs, batch, rate, early stopping; for "free" also how often a batch is replayed.
    adapter : "auto", a name in `advaug.adapters.ADAPTERS` or an adapter, default="auto"
        Tables, images, signals (n, channels, time) and sequences have one.
    device : str or torch.device, default="auto"
    random_state : int, RandomState or None

    Attributes
    ----------
    classes_ : ndarray (classes,)
    adapter_ : the learnt coding
    net_ : the trained net and what it reads
    n_iter_ : int, epochs
    n_features_in_, feature_names_in_

    Notes
    -----
    A net trained on FGSM may resist FGSM alone: on MNIST at radius .25 it read 91 % of FGSM's
    images and hardly any of PGD's; one trained on PGD read 78 % of these. Judge with PGD
    (`RobustnessDisplay`).

    References
    ----------
    Goodfellow, Shlens, Szegedy. Explaining and harnessing adversarial examples. ICLR 2015.
    Madry, Makelov, Schmidt, Tsipras, Vladu. Towards deep learning models resistant to adversarial
    attacks. ICLR 2018. Zhang, Yu, Jiao, Xing, El Ghaoui, Jordan. Theoretically principled
    trade-off between robustness and accuracy. ICML 2019. Miyato, Maeda, Koyama, Ishii. Virtual
    adversarial training. TPAMI 2018. Shafahi, Najibi, Ghiasi, et al. Adversarial training for
    free! NeurIPS 2019. Wong, Rice, Kolter. Fast is better than free. ICLR 2020.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from advaug import AdversarialTransformer
    >>> from advaug.robust import AdversarialClassifier
    >>> X, y = make_classification(300, 8, n_informative=6, flip_y=0, random_state=0)
    >>> plain = AdversarialClassifier(alpha=1, random_state=0).fit(X, y)
    >>> robust = AdversarialClassifier(radius=0.5, random_state=0).fit(X, y)
    >>> def under_attack(model):
    ...     attack = AdversarialTransformer(
    ...         surrogate=model, radius=0.5, attack="pgd", random_state=0
    ...     )
    ...     return model.score(attack.fit(X, y).transform(X, y), y)
    >>> under_attack(robust) > under_attack(plain)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ROBUST_CONSTRAINTS,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }
    _task: ClassVar[Classes] = Classes()

    def __init__(
        self,
        *,
        loss: str = "adversarial",
        attack: Any = "auto",
        radius: float = 0.3,
        norm: float = np.inf,
        alpha: float = 0.5,
        class_weight: Any = None,
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
        self.class_weight = class_weight
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
        y : labels (n,); with loss="vat" -1 may stand for none

        Raises
        ------
        ValueError : y has one class, the attack shares one move among rows or asks for real ones,
        or the module does not fit the rows
        """
        X, y = self._checked(X, y, is_new=True)
        codes = self._coded(y, y)
        return self._learn(X, codes, len(self.classes_), self._fully())

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """One more pass over some rows (`training.epochs` of them, where given), at a steady rate.

        Scale and levels of the columns are those of the first call's rows. class_weight="balanced"
        needs every class in each part.

        Parameters
        ----------
        X, y : as in `fit`
        classes : array (classes,), optional
            All classes; must be given at the first call unless its y holds them all.
        """
        X, y = self._checked(X, y, is_new=False)
        known = self.classes_ if hasattr(self, "net_") else y if classes is None else classes
        codes = self._coded(y, known)
        return self._learn(X, codes, len(self.classes_), self._once_more(), steady)

    def _target(self, X: Any, y: Any) -> Any:
        return target_of(X, y)

    def _coded(self, target: Any, known: Any) -> Tensor:
        """Codes among the classes, which are learnt of `known`; UNKNOWN: a row without a label."""
        classes = np.unique(known)
        if self.loss == "vat" and len(classes) > 2 and classes[0] == -1:
            classes = classes[1:]
        if len(classes) < 2:
            raise ValueError(f"y must hold at least 2 classes, got 1 class ({classes[0]!r})")
        codes = np.searchsorted(classes, target).clip(max=len(classes) - 1)
        strange = classes[codes] != target
        codes[strange] = UNKNOWN
        if self.loss == "vat":
            strange &= target != -1
        if strange.any():
            raise ValueError(
                f"y holds {target[strange].tolist()[0]!r}, which is none of the classes "
                f"{classes.tolist()}: name all of them in the first partial_fit(X, y, classes=...)"
            )
        self.classes_ = classes
        return torch.from_numpy(codes)

    def _weights(self, y: Tensor) -> Tensor:
        """A weight for each row, 1 in the mean of those with a label."""
        known = y != UNKNOWN
        labels = self.classes_[y[known].numpy()]
        each = compute_class_weight(self.class_weight, classes=self.classes_, y=labels)
        weight = torch.ones(len(y))
        own = torch.from_numpy(each).float()[y[known]]
        if not bool((own >= 0).all() and own.sum() > 0):  # NaN is neither
            raise ValueError(
                f"class_weight must give each class 0 or more and one above 0, got "
                f"{self.class_weight!r}"
            )
        weight[known] = own / own.mean()
        return weight
