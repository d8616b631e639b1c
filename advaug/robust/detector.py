"""Rows that an attack has moved, told from rows as they come."""

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.cluster import KMeans
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from advaug import containers
from advaug.core.devices import resolve
from advaug.estimators.attacked_model import is_given
from advaug.estimators.validation import (
    SharesModels,
    check_rows,
    learnt_coding,
    new_generator,
    reads_anything,
    refuse_classes,
    target_of,
)
from advaug.models.committee import stratified_folds
from advaug.models.training import SmallNet, Training
from advaug.registry import ATTACKS
from advaug.robust.classifier import AdversarialClassifier
from advaug.robust.nets import NET_CONSTRAINTS, Array, Net, answers, chosen, trained
from advaug.robust.robustness import moved_rows
from advaug.sampling.domain import FittedAdapter

HELD_OUT = 5  # every so many rows, the threshold is set on those of one part
FEWEST = 20  # rows from which some are held out


DETECTOR_CONSTRAINTS: dict[str, list[Any]] = {
    "false_alarms": [Interval(Real, 0, 1, closed="neither")],
    **{name: rule for name, rule in NET_CONSTRAINTS.items() if name != "module"},
}


class NetOutlierDetector(OutlierMixin, BaseEstimator):
    """An outlier detector with a net inside that scores what it sees of rows against a threshold.

    What it sees, and what a score is, its heirs say.
    """

    false_alarms: float
    device: Any
    net_: Net
    offset_: float

    def __sklearn_tags__(self) -> Any:
        tags = reads_anything(super().__sklearn_tags__())
        tags.input_tags.sparse = True
        return tags

    def _seen(self, X: Any) -> Tensor:
        """What is looked at of checked rows."""
        raise NotImplementedError

    def _scores(self, seen: Tensor) -> Array:
        """(rows,), the lower, the more suspect."""
        raise NotImplementedError

    def _learn(
        self, x: Tensor, target: Tensor, training: Training, generator: torch.Generator
    ) -> None:
        """Train the net to tell the targets of what it sees."""
        device = resolve(self.device)
        net, x, codes = self.net_.module.to(device), x.to(device), target.to(device)

        def loss(rows: Tensor) -> Tensor:
            rows = rows.to(device)
            return cross_entropy(net(x[rows]), codes[rows])

        trained(self.net_, loss, target, training, self.device, generator)

    def _settle(self, seen: Tensor) -> None:
        """Set the threshold on rows as they come."""
        self.offset_ = float(np.quantile(self._scores(seen), self.false_alarms))

    def score_samples(self, X: Any) -> Array:
        """Log-odds that a row is as those it learnt from, ndarray (rows,): the lower, the more
        suspect."""
        check_is_fitted(self)
        X = check_rows(self, containers.owned(X), reset=False)
        return self._scores(self._seen(X))

    def decision_function(self, X: Any) -> Array:
        """`score_samples` less `offset_`: below 0 the row is suspected."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> Array:
        """1 for rows like those it learnt from, -1 for suspected ones."""
        return np.where(self.decision_function(X) >= 0, 1, -1)


class AdversarialDetector(SharesModels, NetOutlierDetector):
    """A small net that tells rows as they come (1) from rows that an attack has moved (-1).

    Parameters
    ----------
    surrogate : "auto", torch module or fitted classifier, default="auto"
        The attacked model. "auto" trains a plain net on X and y, without y on two clusters of X.
    attack : "auto", a name in `advaug.attacks.ATTACKS` or an attack, default="auto"
        What it learns to see: "auto" is "pgd", or "square" where the model has no gradient.
    radius : float > 0, default=0.3
        In the adapter's units.
    norm : {inf, 2, 1}, default=inf
    on : {"rows", "activations"}, default="rows"
        What it looks at: the encoded rows, or what the last linear layer of the attacked net reads.
    false_alarms : float in (0, 1), default=0.05
        Share of held-out rows as they come that are taken for moved: it sets the threshold.
    training, adapter, device, random_state
        As in `AdversarialClassifier`.

    Attributes
    ----------
    surrogate_ : the attacked model
    adapter_ : the learnt coding
    net_ : the net that tells them apart: logits of "as it came" and "moved"
    offset_ : float
        Threshold on `score_samples`.
    n_features_in_, feature_names_in_

    Notes
    -----
    It knows the attack it was shown, and may take noise as long for one. What others look like, and
    one that knows the detector and aims at it too, is another question (Carlini, Wagner.
    Adversarial examples are not easily detected. AISec 2017): measure it before you rely on it.

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
        "attack": [StrOptions({"auto", *ATTACKS}), callable],
        "radius": [Interval(Real, 0, None, closed="neither")],
        "norm": [Options(Real, {np.inf, 2, 1})],
        "on": [StrOptions({"rows", "activations"})],
        **DETECTOR_CONSTRAINTS,
    }

    def __init__(
        self,
        *,
        surrogate: Any = "auto",
        attack: Any = "auto",
        radius: float = 0.3,
        norm: float = np.inf,
        on: str = "rows",
        false_alarms: float = 0.05,
        training: Any = "auto",
        adapter: Any = "auto",
        device: Any = "auto",
        random_state: Any = None,
    ) -> None:
        self.surrogate = surrogate
        self.attack = attack
        self.radius = radius
        self.norm = norm
        self.on = on
        self.false_alarms = false_alarms
        self.training = training
        self.adapter = adapter
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Attack the rows, then learn to tell them from their moved copies.

        Parameters
        ----------
        X : rows in any container that an adapter takes
        y : labels (n,), optional
            What the attack goes against, and what "auto" learns.
        """
        refuse_classes(self)
        self._validate_params()
        training = chosen(self.training)
        X = containers.rowwise(check_rows(self, containers.owned(X), reset=True))
        y = None if y is None else target_of(X, y)
        random_state = check_random_state(self.random_state)
        generator, seed = new_generator(random_state), int(random_state.randint(2**31 - 1))
        self.adapter_ = learnt_coding(self.adapter, X, self.surrogate)
        self.surrogate_, y = self._attacked(X, y, seed)
        moved = moved_rows(
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
        clean, moved = self._seen(X), self._seen(moved)
        held_out = self._train(clean.float(), moved.float(), training, generator)
        self._settle(clean[held_out])
        return self

    def _attacked(self, X: Any, y: Any, seed: int) -> tuple[Any, Any]:
        """The user's own model, or a plain net, and the labels that its rows are moved against."""
        if is_given(self.surrogate):
            return self.surrogate, y
        if y is None:
            rows = self.adapter_.encode(X).flatten(1).numpy()
            if (rows == rows[0]).all():
                raise ValueError(
                    "X holds the same row over and over, in which no two groups can be told apart: "
                    "pass y, or a fitted surrogate"
                )
            y = KMeans(2, n_init=1, random_state=seed).fit_predict(rows)
        plain = AdversarialClassifier(
            alpha=1,
            training=self.training,
            adapter=FittedAdapter(self.adapter_),
            device=self.device,
            random_state=seed,
        )
        return plain.fit(X, y), y

    def _train(self, clean: Tensor, moved: Tensor, training: Any, generator: Any) -> Tensor:
        """Train the net; the rows that it has not seen, or all where they are few."""
        n = len(clean)
        x = torch.cat([clean, moved])
        part = stratified_folds(torch.zeros(n, dtype=torch.long), HELD_OUT, generator)
        known = torch.arange(n) if n < FEWEST else (part != 0).nonzero()[:, 0]
        known = torch.cat([known, known + n])
        was_moved = (known >= n).long()
        module = SmallNet(x[known], 2, training.hidden_width, generator)
        self.net_ = Net(module, self.adapter_, True)
        self._learn(x[known], was_moved, training, generator)
        return torch.arange(n) if n < FEWEST else (part == 0).nonzero()[:, 0]

    def _seen(self, X: Any) -> Tensor:
        """What the detector looks at: encoded rows, or activations."""
        if self.on == "rows":
            return self.adapter_.encode(X).double()
        if isinstance(self.surrogate_, nn.Module):
            return Net(self.surrogate_, self.adapter_, False).activations(X).double()
        if not isinstance(getattr(self.surrogate_, "net_", None), Net):
            raise ValueError(
                f"on='activations' needs a net, but {type(self.surrogate_).__name__} has none that "
                "could be read: take on='rows', or a torch module as surrogate"
            )
        return self.surrogate_.net_.activations(X).double()

    def _scores(self, seen: Tensor) -> Array:
        module, seen = self.net_.exact(seen)
        logits = answers(module, seen)
        return np.asarray((logits[:, 0] - logits[:, 1]).numpy())
