"""A detector of rows that an attack has moved."""

from numbers import Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions
from torch import nn

from advaug.core.problem import Attack
from advaug.estimators.attacked_model import is_given
from advaug.estimators.choices import choose_attack, refuse_unfit
from advaug.estimators.validation import learnt_coding, new_generator
from advaug.models.training import Training
from advaug.registry import ATTACKS, AttackName
from advaug.robust.classifier import AdversarialClassifier
from advaug.robust.net_outlier_detector import (
    DETECTOR_CONSTRAINTS,
    ActivationReader,
    NetOutlierDetector,
    RowReader,
    split_rows,
)
from advaug.robust.nets import (
    AdapterParameter,
    Device,
    NetWithCoding,
    RandomState,
    TrainingParameter,
)
from advaug.robust.robustness import adversarial_rows
from advaug.sampling.domain import FittedAdapter


class AdversarialDetector(NetOutlierDetector):
    """A small net that tells original rows (1) from rows that an attack has moved (-1).

    Parameters
    ----------
    surrogate : "auto", torch module or fitted classifier, default="auto"
        The attacked model. "auto" trains a plain net on X and y, or without y on two clusters of X.
    attack : "auto", a name in `advaug.registry.ATTACKS` or an attack, default="auto"
        The attack that the detector learns to recognize. "auto" is "pgd", or "square" if the model
        has no gradient.
    radius : float > 0, default=0.3
        Largest move, in the adapter's units.
    norm : {inf, 2, 1}, default=inf
        The norm in which moves are measured.
    inputs : {"rows", "activations"}, default="rows"
        What the detector reads: the encoded rows, or the input of the last linear layer of the
        attacked net.
    false_alarm_rate : float in (0, 1), default=0.05
        Share of held-out original rows that are taken for moved. It sets the threshold.
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
    surrogate_ : estimator or torch module
        The attacked model.
    adapter_ : `Coding`
        The fitted adapter.
    net_ : `NetWithCoding`
        The detector's net, with logits of "original" and "moved".
    offset_ : float
        Threshold on `score_samples`.
    n_features_in_ : int
        Number of columns of X in `fit`.
    feature_names_in_ : ndarray of str
        Names of the columns of X in `fit`, where all of them are texts.

    See Also
    --------
    advaug.robust.RejectingClassifier :
        A classifier that returns no class for rows which a detector takes for outliers.
    advaug.robust.UnknownDetector : A network with one extra class for out-of-distribution rows.

    Notes
    -----
    The detector knows the attack that it was trained on, and may take noise of the same radius for
    it. Other attacks, and attacks that know the detector, are another question (Carlini, Wagner.
    Adversarial examples are not easily detected. AISec 2017): measure them before you rely on it.

    References
    ----------
    Metzen, Genewein, Fischer, Bischoff. On detecting adversarial perturbations. ICLR 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from advaug.robust import AdversarialDetector
    >>> X, y = load_digits(return_X_y=True)
    >>> detector = AdversarialDetector(attack="fgsm", random_state=0).fit(X, y)
    >>> bool((detector.predict(X) == 1).mean() > 0.9)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "surrogate": [StrOptions({"auto"}), nn.Module, HasMethods("predict")],
        "attack": [str, callable],
        "radius": [Interval(Real, 0, None, closed="neither")],
        "norm": [Options(Real, {np.inf, 2, 1})],
        "inputs": [StrOptions({"rows", "activations"})],
        **DETECTOR_CONSTRAINTS,
    }

    def __init__(
        self,
        *,
        surrogate: Any = "auto",
        attack: AttackName | Attack = "auto",
        radius: float = 0.3,
        norm: float = np.inf,
        inputs: Literal["rows", "activations"] = "rows",
        false_alarm_rate: float = 0.05,
        training: TrainingParameter = "auto",
        adapter: AdapterParameter = "auto",
        device: Device = "auto",
        random_state: RandomState = None,
    ) -> None:
        self.surrogate = surrogate
        self.attack = attack
        self.radius = radius
        self.norm = norm
        self.inputs = inputs
        self.false_alarm_rate = false_alarm_rate
        self.training = training
        self.adapter = adapter
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Attack the rows, then learn to tell them from their moved copies.

        Parameters
        ----------
        X : container of rows
            Rows in any container that an adapter takes.
        y : labels (n,), optional
            The attack goes against them, and surrogate="auto" learns them.

        Returns
        -------
        object
            The fitted estimator itself.
        """
        X, y, training = self._check(X, y)
        random_state = check_random_state(self.random_state)
        generator, seed = new_generator(random_state), int(random_state.randint(2**31 - 1))
        self.adapter_ = learnt_coding(self.adapter, X, self.surrogate)
        self._refuse_unfit_attack(training)
        self.surrogate_, y = self._attacked_model(X, y, seed)
        moved = adversarial_rows(
            self.surrogate_,
            X,
            y,
            attack=self.attack,
            radius=self.radius,
            norm=self.norm,
            adapter=FittedAdapter(self.adapter_),
            device=self.device,
            random_state=seed,
        )
        self._reader = self._choose_reader()
        original, moved = self._reader(X), self._reader(moved)
        known, held_out = split_rows(torch.zeros(len(original), dtype=torch.long), generator)
        x = torch.cat([original[known], moved[known]]).float()
        is_moved = torch.arange(len(x)) >= len(known)
        self._fit_net(x, is_moved.long(), training, generator)
        self._set_threshold(original[held_out])
        return self

    def _refuse_unfit_attack(self, training: Training) -> None:
        """ValueError if a plain net that is still to be trained cannot be attacked so."""
        if self.attack != "auto" and not is_given(self.surrogate):
            attack = choose_attack(self.attack)
            refuse_unfit("attack", attack, self.adapter_, training, ATTACKS)

    def _attacked_model(self, X: Any, y: Any, seed: int) -> tuple[Any, Any]:
        """The user's own model, or a plain net, and the labels that the attack goes against."""
        if is_given(self.surrogate):
            return self.surrogate, y
        if y is None:
            rows = self.adapter_.encode(X).flatten(1).numpy()
            if (rows == rows[0]).all():
                raise ValueError(
                    "all rows of X are the same row, so that they cannot be split into two "
                    "clusters: pass y, or a fitted surrogate"
                )
            y = KMeans(2, n_init=1, random_state=seed).fit_predict(rows)
        plain = AdversarialClassifier(
            clean_weight=1,
            training=self.training,
            adapter=FittedAdapter(self.adapter_),
            device=self.device,
            random_state=seed,
        )
        return plain.fit(X, y), y

    def _choose_reader(self) -> RowReader | ActivationReader:
        """What makes the net's inputs of rows."""
        if self.inputs == "rows":
            return RowReader(self.adapter_)
        if isinstance(self.surrogate_, nn.Module):
            return ActivationReader(NetWithCoding(self.surrogate_, self.adapter_, False))
        net = getattr(self.surrogate_, "net_", None)
        if not isinstance(net, NetWithCoding):
            raise ValueError(
                f"inputs='activations' needs a net, but {type(self.surrogate_).__name__} has none "
                "that could be read: take inputs='rows', or a torch module as surrogate"
            )
        return ActivationReader(net)
