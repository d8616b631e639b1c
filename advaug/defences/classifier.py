"""A net trained on its own adversarial rows, as a scikit-learn classifier."""

from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor

from advaug import containers
from advaug.attacks import ATTACKS
from advaug.defences.embedding import in_its_space
from advaug.defences.losses import OWN_ATTACK, REGULARISERS, UNKNOWN, RobustLoss
from advaug.defences.nets import NET_CONSTRAINTS, AsksNet, Net, chosen, new_net, trained
from advaug.devices import resolve
from advaug.estimators import domains
from advaug.estimators.base import (
    SharesModels,
    check_rows,
    choose_attack,
    learnt_coding,
    new_generator,
    reads_anything,
    refuse_classes,
    target_of,
)
from advaug.surrogates import Training
from advaug.surrogates.ensemble import one_cycle


def steady(progress: float) -> float:
    """Half of the peak rate, whatever the share of the way: no call knows which is the last."""
    return 0.5


class AdversarialClassifier(SharesModels, AsksNet, ClassifierMixin, BaseEstimator):
    """A net trained on alpha * L(x, y) + (1 - alpha) * R, where R comes from an attack on it.

    Parameters
    ----------
    loss : {"adversarial", "trades", "vat"}, default="adversarial"
        R is L(x', y); KL(p(x) || p(x')) with both ends moving; or the same with p(x) held, which
        needs no label: with "vat", rows whose y is -1, beside two classes or more, have none.
    attack : "auto", a name in `advaug.attacks.ATTACKS` or an attack, default="auto"
        What makes x'. "auto" is "fgsm", for "trades" PGD of 5 steps, for "vat" VAT. "pgd" is
        Madry's training, "noise" the control; alpha=0 with "rfgsm" is fast training (Wong, Rice,
        Kolter. ICLR 2020).
    radius : float >= 0, default=0.3
        Largest move of x', in the adapter's units: robust standard deviations of a column for
        tables, black to white for images. With attack="auto" and a module that embeds tokens
        (`torch.nn.Embedding`) x' is moved there, in lengths of a token's vector (FGM, VAT).
    norm : {inf, 2, 1}, default=inf
    alpha : float in [0, 1], default=0.5
        Weight of the loss at the rows themselves; 1 is plain training. TRADES' beta is
        (1 - alpha) / alpha: 6 is alpha=1/7.
    class_weight : dict, "balanced" or None, default=None
        Weight of the classes in L and in R of the labelled rows.
    module : "auto" or torch module, default="auto"
        A small net on the adapter's encoding; or your own from rows to logits, in your own units.
        It is copied, never trained itself; the copy goes on from its weights.
    training : "auto" or `advaug.surrogates.Training`, default="auto"
        Epochs, batch, rate, early stopping.
    adapter : {"auto", "tabular", "image"} or an adapter
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
    adversarial training. TPAMI 2018.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from advaug import AdversarialTransformer
    >>> from advaug.defences import AdversarialClassifier
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
        "loss": [StrOptions(set(REGULARISERS))],
        "attack": [StrOptions({"auto", *ATTACKS}), callable],
        "radius": [Interval(Real, 0, None, closed="left")],
        "norm": [Options(Real, {np.inf, 2, 1})],
        "alpha": [Interval(Real, 0, 1, closed="both")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        **NET_CONSTRAINTS,
    }

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

    def __sklearn_tags__(self) -> Any:
        tags = reads_anything(super().__sklearn_tags__())
        tags.input_tags.sparse = True
        return tags

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
        for learnt in ("net_", "classes_"):  # of an earlier fit
            self.__dict__.pop(learnt, None)
        X, y = self._checked(X, y)
        return self._learn(X, self._coded(y, y), chosen(self.training), one_cycle)

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
        X, y = self._checked(X, y)
        training = replace(chosen(self.training), patience=None)
        training = replace(training, epochs=training.epochs or 1)
        known = self.classes_ if hasattr(self, "net_") else y if classes is None else classes
        return self._learn(X, self._coded(y, known), training, steady)

    def _checked(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Rows and labels that can be learnt from."""
        refuse_classes(self)
        self._validate_params()
        self._own_attack()
        X = check_rows(self, containers.owned(X), reset=not hasattr(self, "net_"))
        return X, target_of(X, y)

    def _learn(self, X: Any, y: Tensor, training: Training, schedule: Any) -> Self:
        """Train the net as it is, or a new one."""
        is_new = not hasattr(self, "net_")
        if is_new:
            self.adapter_ = learnt_coding(self.adapter, X)
            self._random_state = check_random_state(self.random_state)
        generator, walk = new_generator(self._random_state), new_generator(self._random_state)
        x, outputs = self.adapter_.encode(X), len(self.classes_)
        net = (
            new_net(self.module, self.adapter_, x, outputs, training, generator)
            if is_new
            else self.net_
        )
        robust = self._loss(net, x, y, self._attack_of_rows(), walk)
        loss = in_its_space(robust, self.adapter_, self.attack)
        self.n_iter_ = trained(net, loss, y, training, self.device, generator, schedule)
        self.net_ = net
        return self

    def _own_attack(self) -> Any:
        """The attack named or given, or the loss's own."""
        named = isinstance(self.attack, str) and self.attack == "auto"
        attack: Any = OWN_ATTACK[self.loss]() if named else choose_attack(self.attack)
        if hasattr(attack, "learn") or getattr(attack, "references", "none") is None:
            raise ValueError(
                f"attack={attack} cannot train a net, it must learn from rows first: take 'fgsm', "
                "'pgd' or another gradient attack"
            )
        return attack

    def _attack_of_rows(self) -> Any:
        """The attack, by edits where nobody named one and rows are sequences."""
        attack = self._own_attack()
        is_left_open = isinstance(self.attack, str) and self.attack == "auto"
        return domains.followed(attack, self.adapter_, is_asked=False) if is_left_open else attack

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
            kind=self.loss,
            attack=attack,
            space=self.adapter_.space(float(self.norm)).to(device),
            radius=float(self.radius),
            alpha=float(self.alpha),
            generator=generator,
        )

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
