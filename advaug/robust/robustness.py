"""How well models resist an attack: their score against the radius, beside noise of that radius.

All models are measured in the same units: those of the first one with a coding of its own, else
those of the rows. Other models with a coding of their own are attacked in that.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer
from sklearn.utils.validation import check_is_fitted
from torch import nn

from advaug import containers
from advaug.core.drawing import COLOURS, INK, as_label, dress, styled
from advaug.core.problem import Attack
from advaug.estimators.attacked_model import own_coding
from advaug.estimators.choices import choose_attack
from advaug.estimators.transformer import AdversarialTransformer
from advaug.estimators.validation import learnt_coding
from advaug.models.protocol import Array
from advaug.models.torch_model import TorchModel
from advaug.registry import AttackName
from advaug.robust import certificates
from advaug.robust.net_classifier import NetClassifier, is_net
from advaug.robust.nets import AdapterParameter, RandomState
from advaug.sampling.domain import FittedAdapter

Scoring = str | Callable[[Any, Any, Any], float]
Radius = float | Mapping[Any, Any]
RADII = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)


def adversarial_rows(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    attack: AttackName | Attack = "auto",
    radius: Radius = 0.3,
    **settings: Any,
) -> Any:
    """Rows moved against their labels by an attack on the estimator."""
    transformer = AdversarialTransformer(
        attack=attack, radius=radius, surrogate=estimator, **settings
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* rows were not moved by")
        if hasattr(estimator, "predict"):  # It has a score, which says how far it agrees with y.
            warnings.filterwarnings("ignore", message="surrogate agrees with y in")
        return transformer.fit(X, y).transform(X, y)


def common_adapter(estimators: Iterable[Any], adapter: AdapterParameter, X: Any) -> FittedAdapter:
    """The fitted adapter in whose units all estimators are attacked."""
    own = [own_coding(estimator) for estimator in estimators] if adapter == "auto" else []
    return FittedAdapter(
        next((one for one in own if one is not None), None)
        or learnt_coding(adapter, containers.owned(X))
    )


def name_estimators(estimators: Any) -> dict[str, Any]:
    """Estimators by name; those of a list by their type, with a number from the second one on."""
    is_torch = isinstance(estimators, nn.Module | TorchModel)
    if is_torch or hasattr(estimators, "predict"):
        shown = "net" if is_torch else repr(estimators)
        raise TypeError(f"estimators must be a list or dict of fitted classifiers: write [{shown}]")
    if isinstance(estimators, Mapping):
        return dict(estimators)
    by_name: dict[str, Any] = {}
    for estimator in estimators:
        name = type(estimator).__name__
        by_name[f"{name} {len(by_name) + 1}" if name in by_name else name] = estimator
    return by_name


def scaled(radius: float, budget: Mapping[Any, Any] | None) -> Radius:
    """The radius, or so many times a budget of columns."""
    if budget is None or not radius:
        return radius
    if hasattr(budget, "times"):  # A Budget, with a total.
        multiple: Radius = budget.times(radius)
        return multiple
    return {name: np.multiply(radius, value) for name, value in budget.items()}


@dataclass(frozen=True)
class AttackBenchmark:
    """Models by name, the rows on which they are attacked and scored, and the settings of it."""

    models: dict[str, Any]
    X: Any
    y: Any
    norm: float
    scorer: Callable[[Any, Any, Any], float]
    adapter: FittedAdapter
    random_state: RandomState

    def score(self, name: str, attack: Any, radius: Radius, surrogate: Any = None) -> float:
        """The score of a model on the rows after an attack; errors name the model."""
        try:
            return self._score(self.models[name], attack, radius, surrogate)
        except (ValueError, TypeError) as error:
            error.args = (f"estimator {name!r}: {error}", *error.args[1:])
            raise

    def _score(self, model: Any, attack: Any, radius: Radius, surrogate: Any) -> float:
        classifier = self._classifier(model)
        if isinstance(radius, Real) and not radius:
            return float(self.scorer(classifier, self.X, self.y))
        attacked = model if surrogate is None else surrogate
        moved = adversarial_rows(
            attacked,
            self.X,
            self.y,
            attack=attack,
            radius=radius,
            norm=self.norm,
            # A net with a coding of its own reads no other.
            adapter=self.adapter if own_coding(attacked) is None else "auto",
            random_state=self.random_state,
        )
        return float(self.scorer(classifier, moved, self.y))

    def certified(self, name: str, radius: Radius, time_limit: float) -> float:
        """The score that no attack can lower; NaN for a model without certificates."""
        model, by_column = self.models[name], hasattr(radius, "items")
        if not hasattr(model, "predict"):
            return np.nan
        try:
            bounds = certificates.certify(
                model,
                self.X,
                norm=self.norm,
                radius=1.0 if by_column else radius or None,  # type: ignore[arg-type]
                budget=radius if by_column else None,  # type: ignore[arg-type]
                adapter=self.adapter,
                time_limit=time_limit,
            )
        except TypeError:
            return np.nan
        resists = bounds.lower > (1.0 if by_column else radius)
        worst = WorstPredictions.of(np.asarray(model.predict(self.X)), resists, self.y)
        try:
            return float(self.scorer(worst, self.X, self.y))
        except AttributeError as error:
            raise ValueError(
                "certify=True scores predicted classes: take scoring='accuracy', "
                "'balanced_accuracy', 'f1' ..."
            ) from error

    def _classifier(self, model: Any) -> Any:
        """The model, or a classifier made of a torch module; TypeError for what is neither."""
        if is_net(model):
            return NetClassifier.of(model, self.adapter.coding, self.X, self.y)
        if not hasattr(model, "predict"):
            mend = "its module" if isinstance(model, TorchModel) else "a classifier or torch module"
            raise TypeError(f"{type(model).__name__} has no predict: pass {mend}")
        if hasattr(model, "fit"):
            check_is_fitted(model)
        return model


class WorstPredictions(ClassifierMixin, BaseEstimator):
    """Predictions of given rows, wrong wherever an attack could make them wrong."""

    def __init__(self, predicted: Array, classes: Array) -> None:
        self.predicted = predicted
        self.classes_ = classes

    @classmethod
    def of(cls, predicted: Array, resists: Array, y: Any) -> Self:
        """From predictions, whether each is certain, and the labels."""
        y = np.asarray(y)
        classes = np.unique(np.concatenate([predicted, y]))
        other = np.where(y == classes[0], classes[-1], classes[0])
        return cls(np.where(resists, predicted, other), classes)

    def predict(self, X: Any) -> Array:
        """The predictions, whatever the rows are."""
        return self.predicted


class RobustnessDisplay:
    """Score of classifiers against the radius of an attack, beside random noise of that radius.

    Parameters
    ----------
    radii : ndarray (radii,)
        In the adapter's units.
    attacked : dict of name -> ndarray (radii,)
        Scores on rows that the attack has moved.
    noise : dict of name -> ndarray (radii,)
        Scores on rows that are moved by +-radius at random in every cell: the dashed lines.
    scoring : str
        The name of the score.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes, once drawn.
    figure_ : matplotlib Figure
        The figure, once drawn.

    See Also
    --------
    robustness_table : Scores at one radius, under several attacks.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from advaug.robust import RobustnessDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=500).fit(X, y)
    >>> curve = RobustnessDisplay.from_estimator(model, X, y, radii=[0, 0.5])
    >>> before, after = curve.attacked["LogisticRegression"]
    >>> bool(before > after)
    True
    """

    def __init__(
        self,
        *,
        radii: Array,
        attacked: dict[str, Array],
        noise: dict[str, Array],
        scoring: str,
    ) -> None:
        self.radii = radii
        self.attacked = attacked
        self.noise = noise
        self.scoring = scoring

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, name: str | None = None, **settings: Any
    ) -> Self:
        """Draw the curve of one fitted classifier.

        Parameters
        ----------
        estimator : classifier or torch module
            A fitted one.
        X, y : container of rows and array-like
            Rows that it was not fitted on, and their labels.
        name : str, optional
            The label of the curve; None: the name of the classifier's class.
        **settings
            Those of `from_estimators`.

        Returns
        -------
        RobustnessDisplay
            The display, drawn.
        """
        named = [estimator] if name is None else {name: estimator}
        return cls.from_estimators(named, X, y, **settings)

    @classmethod
    def from_estimators(
        cls,
        estimators: Any,
        X: Any,
        y: Any,
        *,
        attack: AttackName | Attack = "auto",
        radii: Sequence[float] = RADII,
        budget: Mapping[Any, Any] | None = None,
        norm: float = np.inf,
        scoring: Scoring = "accuracy",
        surrogate: Any = None,
        adapter: AdapterParameter = "auto",
        random_state: RandomState = 0,
        ax: Any = None,
        curve_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the curves of fitted classifiers, on rows that they were not fitted on.

        Parameters
        ----------
        estimators : dict of name -> fitted classifier or torch module, or a list of them
            The models that are attacked. The logits of a torch module stand for the sorted classes
            of y.
        X : container of rows
            Rows in a container that all of them take.
        y : labels (n,)
            The attack goes against them.
        attack : "auto", a name in `advaug.registry.ATTACKS` or an attack, default="auto"
            "auto" is "pgd" if the model has a gradient, "square" if it has none, and "greedy" for
            sequences.
        radii : sequence of float
            In the adapter's units; 0 gives the score on the rows themselves.
        budget : dict or Series of column -> budget, optional
            What a radius of 1 is, in the columns' own units: see `AdversarialTransformer`.
        norm : {inf, 2, 1}, default=inf
            The norm in which moves are measured.
        scoring : str or callable(estimator, X, y), default="accuracy"
            As in scikit-learn: "average_precision", "balanced_accuracy" ...
        surrogate : optional
            The model that is attacked in place of each estimator (transfer): a fitted model or
            torch module, or "auto", a committee trained on X and y.
        adapter : "auto", a name in `advaug.registry.ADAPTERS` or an adapter, default="auto"
            It gives the units. "auto" is the coding of the first estimator that has its own
            (`AdversarialClassifier`, which is always attacked in it), else that of X.
        random_state : int, RandomState or None, default=0
            Seed of all random numbers. With an int a second run gives the same results.
        ax, curve_kwargs : optional
            As in `plot`.

        Returns
        -------
        RobustnessDisplay
            The display, drawn.
        """
        models = name_estimators(estimators)
        adapter = common_adapter([*models.values(), surrogate], adapter, X)
        benchmark = AttackBenchmark(models, X, y, norm, get_scorer(scoring), adapter, random_state)

        def curves(attack: AttackName | Attack, surrogate: Any) -> dict[str, Array]:
            return {
                name: np.array(
                    [
                        benchmark.score(name, attack, scaled(radius, budget), surrogate)
                        for radius in radii
                    ]
                )
                for name in models
            }

        name = scoring if isinstance(scoring, str) else getattr(scoring, "__name__", "score")
        display = cls(
            radii=np.array(radii, dtype=float),
            attacked=curves(attack, surrogate),
            noise=curves("noise", None),
            scoring=name,
        )
        return display.plot(ax, curve_kwargs=curve_kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        curve_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            None: new axes on a new figure.
        name : str, optional
            The label of the curve, where there is only one; None: the name of the classifier.
        curve_kwargs : dict, optional
            Keywords of matplotlib's `plot` for the curves.

        Returns
        -------
        RobustnessDisplay
            Itself, with `ax_` and `figure_`.

        Raises
        ------
        ValueError
            There are several curves, which one name cannot label.
        """
        if name is not None and len(self.attacked) > 1:
            raise ValueError(
                f"name={name!r} cannot label {len(self.attacked)} curves: pass a dict of name -> "
                "estimator to from_estimators"
            )
        with styled(ax) as ax:
            dress(
                ax,
                "What an attack leaves",
                x="radius (units of the adapter, or budgets)",
                y=as_label(self.scoring.replace("_", " ")),
            )
            for k, (own, scores) in enumerate(self.attacked.items()):
                colour = COLOURS[k % len(COLOURS)]
                look = {"color": colour, "marker": "o", "markersize": 4}
                look["label"] = as_label(own if name is None else name)
                ax.plot(self.radii, scores, **look | (curve_kwargs or {}))
                ax.plot(self.radii, self.noise[own], "--", color=colour, linewidth=1)
            ax.plot([], [], "--", color=INK, linewidth=1, label="random noise of this radius")
            ax.set_ylim(0, 1.02)
            ax.legend(loc="best", frameon=True, framealpha=0.9)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def robustness_table(
    estimators: Any,
    X: Any,
    y: Any,
    *,
    attacks: Sequence[AttackName | Attack] = ("auto",),
    radius: Radius = 0.3,
    norm: float = np.inf,
    scoring: Scoring = "balanced_accuracy",
    surrogate: Any = None,
    adapter: AdapterParameter = "auto",
    random_state: RandomState = 0,
    certify: bool = False,
    time_limit: float = 1.0,
) -> Any:
    """Scores of fitted classifiers on rows, on noisy rows and on attacked rows, at one radius.

    Parameters
    ----------
    estimators : dict of name -> fitted classifier or torch module, or list of them
        As in `RobustnessDisplay.from_estimators`, like X and y.
    X : container of rows
        Rows that all estimators take.
    y : array-like of shape (n_rows,)
        The label of each row.
    attacks : sequence of names or attacks, default=("auto",)
        What each estimator is attacked by.
    radius : float > 0, or dict or Series of column -> budget, default=0.3
        In the adapter's units, or for tables in those of the columns: see
        `AdversarialTransformer`.
    norm : {inf, 2, 1}, default=inf
        The norm of the radius.
    scoring : str or callable(estimator, X, y), default="balanced_accuracy"
        Under balanced accuracy a model that predicts a single class does not look robust.
    surrogate : torch module or fitted classifier, optional
        What is attacked instead of the estimators.
    adapter : {"auto", "tabular", "image", "signal", "sequence"} or adapter, default="auto"
        Reads the rows. "auto" is the first one that accepts them.
    random_state : int, RandomState or None, default=0
        Seed of all random numbers. With an int a second run gives the same results.
    certify : bool, default=False
        Whether a column says what no attack can lower: the score if every row is predicted wrong
        that `advaug.robust.certify` does not prove to resist the radius. It is NaN for models
        without certificates.
    time_limit : float > 0, default=1.0
        Seconds for the certificate of a row.

    Returns
    -------
    pandas.DataFrame
        A row for each estimator. Its columns are "estimator", "clean", "noise", the attacks and,
        with more than one of them, "worst": the lowest of their scores; with certificates also
        "certified".

    See Also
    --------
    advaug.robust.robust_accuracy_scorer :
        A scorer for `GridSearchCV` and `cross_val_score`: the accuracy that an attack leaves.
    advaug.robust.RobustnessDisplay :
        Score of classifiers against the radius of an attack, beside random noise of that radius.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from advaug.robust import robustness_table
    >>> X, y = load_iris(return_X_y=True)
    >>> models = [LogisticRegression(max_iter=500).fit(X, y), KNeighborsClassifier().fit(X, y)]
    >>> robustness_table(models, X[::5], y[::5]).columns.tolist()
    ['estimator', 'clean', 'noise', 'auto']
    """
    if isinstance(attacks, str):
        raise TypeError(f"attacks must be a list of attacks: write attacks=[{attacks!r}]")
    for attack in attacks:
        if attack != "auto":
            choose_attack(attack)  # An unknown name is refused before any model is attacked.
    if certify and surrogate is not None:
        raise ValueError("certify=True is for the estimators themselves: leave out surrogate")
    models = name_estimators(estimators)
    adapter = common_adapter([*models.values(), surrogate], adapter, X)
    benchmark = AttackBenchmark(models, X, y, norm, get_scorer(scoring), adapter, random_state)
    columns: dict[str, Any] = {
        "estimator": list(models),
        "clean": [benchmark.score(name, None, 0) for name in models],
        "noise": [benchmark.score(name, "noise", radius) for name in models],
    }
    for attack in attacks:
        scores = [benchmark.score(name, attack, radius, surrogate) for name in models]
        columns[str(attack)] = scores
    if len(attacks) > 1:
        columns["worst"] = np.min([columns[str(attack)] for attack in attacks], axis=0)
    if certify:
        columns["certified"] = [benchmark.certified(name, radius, time_limit) for name in models]
    return containers.table(columns, {})


@dataclass(frozen=True)
class RobustScorer:
    """What `robust_accuracy_scorer` returns: scorer(estimator, X, y) -> float."""

    attack: AttackName | Attack
    radius: Radius
    norm: float
    scoring: Scoring
    surrogate: Any
    adapter: AdapterParameter
    random_state: RandomState

    def __call__(self, estimator: Any, X: Any, y: Any) -> float:
        """The score of a fitted classifier on rows that are moved against it."""
        own = own_coding(estimator if self.surrogate is None else self.surrogate)
        adapter = FittedAdapter(own or learnt_coding(self.adapter, containers.owned(X)))
        scorer = get_scorer(self.scoring)
        name = type(estimator).__name__
        benchmark = AttackBenchmark(
            {name: estimator}, X, y, self.norm, scorer, adapter, self.random_state
        )
        return benchmark.score(name, self.attack, self.radius, self.surrogate)


def robust_accuracy_scorer(
    attack: AttackName | Attack = "auto",
    radius: Radius = 0.3,
    *,
    norm: float = np.inf,
    scoring: Scoring = "accuracy",
    surrogate: Any = None,
    adapter: AdapterParameter = "auto",
    random_state: RandomState = 0,
) -> RobustScorer:
    """A scorer for `GridSearchCV` and `cross_val_score`: the accuracy that an attack leaves.

    Every fold attacks the classifier that it has fitted, on the rows that it holds out.

    Parameters
    ----------
    attack : "auto", a name in `advaug.registry.ATTACKS` or an attack, default="auto"
        "auto" is "pgd" if the classifier has a gradient, "square" if it has none, and "greedy" for
        sequences.
    radius : float >= 0, or dict or Series of column -> budget, default=0.3
        In the adapter's units, or for tables in those of the columns: see
        `AdversarialTransformer`. 0 is the score without an attack.
    norm : {inf, 2, 1}, default=inf
        The norm of the radius.
    scoring : str or callable(estimator, X, y), default="accuracy"
        The score of the moved rows; "balanced_accuracy" where a class is rare.
    surrogate : optional
        The model that is attacked in place of the classifier (transfer).
    adapter : "auto", a name in `advaug.registry.ADAPTERS` or an adapter, default="auto"
        It gives the units, which "auto" learns from the rows that each fold holds out. For the same
        units in all folds pass `FittedAdapter(TabularAdapter().fit(X))`.
    random_state : int, RandomState or None, default=0
        Seed of all random numbers. With an int a second run gives the same results.

    Returns
    -------
    callable
        From (estimator, X, y) to a float; it can be pickled.

    See Also
    --------
    advaug.robust.robustness_table :
        Scores of fitted classifiers on rows, on noisy rows and on attacked rows, at one radius.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV
    >>> from advaug.robust import robust_accuracy_scorer
    >>> X, y = load_iris(return_X_y=True)
    >>> scoring = {"clean": "accuracy", "robust": robust_accuracy_scorer("fgsm", 0.5)}
    >>> search = GridSearchCV(
    ...     LogisticRegression(max_iter=500), {"C": [1e-3, 1]}, scoring=scoring, refit="robust"
    ... ).fit(X, y)
    >>> bool((search.cv_results_["mean_test_robust"] < search.cv_results_["mean_test_clean"]).all())
    True
    """
    if attack != "auto":
        choose_attack(attack)  # An unknown name is refused before anything is fitted.
    if not (isinstance(radius, Mapping) or hasattr(radius, "items") or radius >= 0):
        raise ValueError(f"radius must be 0 or more, got {radius}")
    return RobustScorer(attack, radius, norm, scoring, surrogate, adapter, random_state)
