"""A net trained on its own adversarial rows, as a scikit-learn classifier."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor

from advaug.core.problem import Attack
from advaug.estimators.validation import refuse_one_class, target_of
from advaug.models.protocol import Array
from advaug.registry import AttackName
from advaug.robust.losses import UNLABELLED, Classification, LossName
from advaug.robust.nets import (
    AdapterParameter,
    Device,
    ModuleParameter,
    NetClassifierMixin,
    RandomState,
    TrainingParameter,
)
from advaug.robust.robust_net import ROBUST_CONSTRAINTS, RobustNet, row_weights


class AdversarialClassifier(NetClassifierMixin, ClassifierMixin, RobustNet):
    """A net trained on w * L(x, y) + (1 - w) * R, where R comes from an attack on the net.

    L is the cross-entropy, w is `clean_weight`, and x' is the row x as the attack moves it.

    =============  ===================================================================
    loss           R
    =============  ===================================================================
    "adversarial"  cross-entropy at x'
    "free"         the same; x' is kept from step to step and needs no pass of its own
    "trades"       KL(p(x) || p(x'))
    "vat"          the same with p(x) detached; labels are optional (-1 stands for none)
    =============  ===================================================================

    Parameters
    ----------
    loss : {"adversarial", "free", "trades", "vat"}, default="adversarial"
        The regularizer R.
    attack : "auto", a name in `advaug.registry.ATTACKS` or an attack, default="auto"
        How x' is made. "auto" is "fgsm"; for "trades" it is PGD of 5 steps, for "vat" it is VAT,
        and sequences are moved by edits. "pgd" gives Madry's training, "noise" the control,
        `Instrument(has_all_faults=False, steps=2, step=0.5)` prepares for signals of another
        recorder; clean_weight=0 with PGD(steps=1, step=1.25) is fast training.
    radius : float >= 0, or dict or Series of column -> budget, default=0.3
        Largest move of x', in the adapter's units: robust standard deviations of a column for
        tables, black to white for images, standard deviations of a channel for signals, edits for
        sequences; for "instrument" the share of its tolerances. With attack="auto" and a module
        that embeds tokens (`torch.nn.Embedding`) the embedding is moved, in lengths of a token's
        vector (FGM, VAT). For tables also a budget for each column in its own units, see
        `AdversarialTransformer`.
    norm : {inf, 2, 1}, default=inf
        The norm in which moves are measured.
    clean_weight : float in [0, 1], default=0.5
        The weight w of the loss at the rows themselves; 1 is plain training. TRADES' beta is
        (1 - w) / w: 6 is clean_weight=1/7.
    class_weight : dict, "balanced" or None, default=None
        Weight of the classes in L, and in R of the rows with a label.
    module : "auto" or torch module, default="auto"
        "auto" is a small net on the adapter's encoding. A module of your own goes from rows in
        your units to logits. A copy of it is trained, starting from its weights.
    training : "auto" or `advaug.models.Training`, default="auto"
        Epochs, batch size, learning rate and early stopping.
    adapter : "auto", a name in `advaug.registry.ADAPTERS` or an adapter, default="auto"
        It encodes tables, images, signals (n, channels, time) or sequences.
    device : str or torch.device, default="auto"
        Where the net is trained; "auto" is a GPU if there is one.
    random_state : int, RandomState or None, default=None
        Seed of all random numbers. With an int a second run gives the same results.

    Attributes
    ----------
    classes_ : ndarray (classes,)
        The class labels.
    adapter_ : `Coding`
        The fitted adapter.
    net_ : `NetWithCoding`
        The trained net and the coding of its rows.
    model_ : `TorchModel`
        The net as it is attacked.
    n_iter_ : int
        The number of epochs.
    n_features_in_ : int
        Number of columns of X in `fit`.
    feature_names_in_ : ndarray of str
        Names of the columns of X in `fit`, where all of them are texts.

    See Also
    --------
    advaug.robust.AdversarialRegressor :
        A net trained on w * (f(x) - y)^2 + (1 - w) * R, where R comes from an attack on the net.
    advaug.robust.AugmentedClassifier :
        A classifier that is fitted on more rows than it was given, where that helps.

    Notes
    -----
    A net trained on FGSM may resist FGSM only. On MNIST at radius .25 such a net classified 91 % of
    FGSM's images correctly and hardly any of PGD's; a net trained on PGD classified 78 % of these.
    Evaluate with PGD (`RobustnessDisplay`).

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
    >>> plain = AdversarialClassifier(clean_weight=1, random_state=0).fit(X, y)
    >>> robust = AdversarialClassifier(radius=0.5, random_state=0).fit(X, y)
    >>> attack = AdversarialTransformer(surrogate=plain, radius=0.5, attack="pgd", random_state=0)
    >>> moved = attack.fit(X, y).transform(X, y)
    >>> robust.score(moved, y) > plain.score(moved, y)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ROBUST_CONSTRAINTS,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }
    _task: ClassVar[Classification] = Classification()

    def __init__(
        self,
        *,
        loss: LossName = "adversarial",
        attack: AttackName | Attack = "auto",
        radius: float | Mapping[Any, Any] = 0.3,
        norm: float = np.inf,
        clean_weight: float = 0.5,
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
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
        self.class_weight = class_weight
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
        y : labels (n,)
            With loss="vat" the label -1 stands for none.
        sample_weight : array (n,), optional
            Of each row's part in the loss, times that of its class. Scales and levels of columns
            are learnt from all rows alike.

        Returns
        -------
        object
            The fitted estimator itself.

        Raises
        ------
        ValueError
            If y has one class, the attack must learn from rows first, or the module does not fit
            the rows.
        """
        X, y = self._check(X, y, target_of, is_new=True)
        codes = self._encode_labels(y, y)
        weight = self._row_weights(codes, row_weights(sample_weight, y))
        return self._train(X, codes, len(self.classes_), weight)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one more pass over some rows (or `training.epochs`), at a constant rate.

        The first call's rows give scale and levels of the columns. class_weight="balanced" needs
        every class in each part.

        Parameters
        ----------
        X : container of rows
            Rows in any container that an adapter takes.
        y : array-like of shape (n_rows,)
            The label of each row.
        classes : array (classes,), optional
            All classes. The first call needs them unless its y has every class.
        sample_weight : array (n,), optional
            Weights of the rows.

        Returns
        -------
        object
            The fitted estimator itself.
        """
        X, y = self._check(X, y, target_of, is_new=False)
        classes = self.classes_ if hasattr(self, "net_") else y if classes is None else classes
        codes = self._encode_labels(y, classes)
        weight = self._row_weights(codes, row_weights(sample_weight, y))
        return self._train(X, codes, len(self.classes_), weight, is_partial=True)

    def _encode_labels(self, y: Array, labels: Any) -> Tensor:
        """The codes of y among the classes in `labels`; UNLABELLED for a row without a label."""
        classes = np.unique(labels)
        if self.loss == "vat" and len(classes) > 2 and classes[0] == -1:
            classes = classes[1:]
        refuse_one_class(classes)
        codes = np.searchsorted(classes, y).clip(max=len(classes) - 1)
        is_unknown = classes[codes] != y
        codes[is_unknown] = UNLABELLED
        if self.loss == "vat":
            is_unknown &= y != -1
        if is_unknown.any():
            raise ValueError(
                f"y holds {y[is_unknown].tolist()[0]!r}, which is none of the classes "
                f"{classes.tolist()}: name all of them in the first partial_fit(X, y, classes=...)"
            )
        self.classes_ = classes
        return torch.from_numpy(codes)

    def _row_weights(self, codes: Tensor, own: Tensor) -> Tensor:
        """The rows' own weights times their classes', with a mean of 1 over the rows with a label.

        Rows without a label have their own, with a mean of 1 over all rows.
        """
        is_known = codes != UNLABELLED
        labels = self.classes_[codes[is_known].numpy()]
        of_class = compute_class_weight(self.class_weight, classes=self.classes_, y=labels)
        if not ((of_class >= 0).all() and of_class.sum() > 0):  # NaN is neither.
            raise ValueError(
                f"class_weight must give each class 0 or more and one above 0, got "
                f"{self.class_weight!r}"
            )
        known = torch.from_numpy(of_class).float()[codes[is_known]] * own[is_known]
        if not bool(known.sum() > 0):
            raise ValueError("no row with a label has a weight above 0: see class_weight")
        weight = own.clone()
        weight[is_known] = known / known.mean()
        return weight
