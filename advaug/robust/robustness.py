"""What a model is worth under attack: its score against the radius, beside noise as long.

Every model is measured in the same units: those of the first one with a coding of its own, else
those of the rows at hand.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.metrics import get_scorer
from sklearn.utils.validation import check_is_fitted

from advaug import containers
from advaug.core.drawing import COLOURS, INK, dress, new_axes
from advaug.estimators.attacked_model import own_coding
from advaug.estimators.transformer import AdversarialTransformer
from advaug.estimators.validation import learnt_coding
from advaug.models.queried_estimator import QueriedEstimator
from advaug.sampling.domain import FittedAdapter

Array = np.ndarray[Any, Any]

RADII = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
GRADIENT, ASKING, EDITING = "pgd", "square", "greedy"  # what "auto" takes


def moved_rows(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    attack: Any = "auto",
    radius: float = 0.3,
    **settings: Any,
) -> Any:
    """Rows moved against their labels and the estimator."""
    named = isinstance(attack, str) and attack == "auto"

    def fitted(name: Any) -> AdversarialTransformer:
        mover = AdversarialTransformer(attack=name, radius=radius, surrogate=estimator, **settings)
        return mover.fit(X, y)

    mover = fitted(GRADIENT if named else attack)
    if named and "gradient" not in mover.adapter_.provides:
        mover = fitted(EDITING)
    elif named and isinstance(mover.surrogate_, QueriedEstimator):
        mover = fitted(ASKING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* rows were not moved by")
        return mover.transform(X, y)


def units(estimators: Iterable[Any], adapter: Any, X: Any) -> FittedAdapter:
    """The coding in which all estimators are attacked."""
    own = [own_coding(estimator) for estimator in estimators] if adapter == "auto" else []
    return FittedAdapter(
        next((one for one in own if one is not None), None) or learnt_coding(adapter, X)
    )


def named(estimators: Any) -> dict[str, Any]:
    """Estimators by name; those of a list by their type, numbered where it stands twice."""
    if hasattr(estimators, "predict"):
        raise TypeError(
            f"estimators must be a list or dict of fitted classifiers: write [{estimators!r}]"
        )
    if isinstance(estimators, Mapping):
        return dict(estimators)
    found: dict[str, Any] = {}
    for estimator in estimators:
        name = type(estimator).__name__
        found[f"{name} {len(found) + 1}" if name in found else name] = estimator
    return found


@dataclass(frozen=True)
class AttackBenchmark:
    """The rows on which models are measured, and how."""

    X: Any
    y: Any
    norm: float
    scoring: Any
    common: FittedAdapter
    random_state: Any

    def score(
        self, name: str, model: Any, attack: Any, radius: float, surrogate: Any = None
    ) -> float:
        """The score of a model, which errors name, of the rows after an attack."""
        try:
            return self._score(model, attack, radius, surrogate)
        except (ValueError, TypeError) as error:
            error.args = (f"estimator {name!r}: {error}", *error.args[1:])
            raise

    def _score(self, model: Any, attack: Any, radius: float, surrogate: Any) -> float:
        """A net with its own coding reads no other."""
        if hasattr(model, "fit"):
            check_is_fitted(model)
        scorer = get_scorer(self.scoring)
        if not radius:
            return float(scorer(model, self.X, self.y))
        attacked = model if surrogate is None else surrogate
        moved = moved_rows(
            attacked,
            self.X,
            self.y,
            attack=attack,
            radius=radius,
            norm=self.norm,
            adapter=self.common if own_coding(attacked) is None else "auto",
            random_state=self.random_state,
        )
        return float(scorer(model, moved, self.y))


class RobustnessDisplay:
    """Score of classifiers against the radius of an attack; dashed: random noise as long.

    Parameters
    ----------
    radii : ndarray (radii,)
    attacked, noise : dict of name -> ndarray (radii,)
        Scores of rows moved by the attack, and by +-radius at random in every cell.
    scoring : str
        What the scores are.

    Attributes
    ----------
    ax_, figure_ : matplotlib axes and figure, after `plot`

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from advaug.robust import RobustnessDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=500).fit(X, y)
    >>> curve = RobustnessDisplay.from_estimator(model, X, y, radii=[0, 0.5])  # .plot() draws it
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
    def from_estimator(cls, estimator: Any, X: Any, y: Any, **settings: Any) -> Self:
        """The curve of one fitted classifier; the settings are those of `from_estimators`."""
        return cls.from_estimators([estimator], X, y, **settings)

    @classmethod
    def from_estimators(
        cls,
        estimators: Any,
        X: Any,
        y: Any,
        *,
        attack: Any = "auto",
        radii: Sequence[float] = RADII,
        norm: float = np.inf,
        scoring: Any = "accuracy",
        surrogate: Any = None,
        adapter: Any = "auto",
        random_state: Any = 0,
    ) -> Self:
        """The curves of fitted classifiers on rows that they have not seen.

        Parameters
        ----------
        estimators : dict of name -> fitted classifier, or a list of them
        X, y : rows and their labels, which the moves go against
        attack : "auto", a name in `advaug.attacks.ATTACKS` or an attack, default="auto"
            "auto" is "pgd" where the model has a gradient, "square" where it can only be asked, and
            "greedy" for sequences.
        radii : sequence of float
            In the adapter's units; 0 is the clean score.
        norm : {inf, 2, 1}, default=inf
        scoring : str or callable(estimator, X, y), default="accuracy"
            As in scikit-learn: "average_precision", "balanced_accuracy" ...
        surrogate : optional
            What is attacked in each estimator's place (transfer): a fitted model or torch module,
            or "auto", a committee trained on X and y.
        adapter : "auto", a name in `advaug.adapters.ADAPTERS` or an adapter, default="auto"
            Whose units. "auto": those of the first estimator that has a coding of its own
            (`AdversarialClassifier`, which is always attacked in it), else those of X.
        random_state : int, RandomState or None, default=0
        """
        models = named(estimators)
        bench = AttackBenchmark(
            X, y, norm, scoring, units([*models.values(), surrogate], adapter, X), random_state
        )
        curves: dict[str, dict[str, Array]] = {"attacked": {}, "noise": {}}
        for name, model in models.items():
            for kind, by, of in (("attacked", attack, surrogate), ("noise", "noise", None)):
                scores = [bench.score(name, model, by, radius, of) for radius in radii]
                curves[kind][name] = np.array(scores)
        said = scoring if isinstance(scoring, str) else getattr(scoring, "__name__", "score")
        return cls(radii=np.array(radii, dtype=float), scoring=said, **curves)

    def plot(self, ax: Any = None) -> Self:
        """Draw, on new axes unless some are given."""
        ax = new_axes(ax)
        dress(ax, "What an attack leaves")
        for k, (name, scores) in enumerate(self.attacked.items()):
            colour = COLOURS[k % len(COLOURS)]
            ax.plot(self.radii, scores, "o-", color=colour, markersize=4, label=name)
            ax.plot(self.radii, self.noise[name], "--", color=colour, linewidth=1)
        ax.plot([], [], "--", color=INK, linewidth=1, label="random noise as long")
        ax.set_xlabel("radius", fontsize=9, color=INK)
        ax.set_ylabel(self.scoring.replace("_", " "), fontsize=9, color=INK)
        ax.set_ylim(0, 1.02)
        ax.legend(loc="best", fontsize=8, framealpha=0.9)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def robustness_table(
    estimators: Any,
    X: Any,
    y: Any,
    *,
    attacks: Sequence[Any] = ("auto",),
    radius: float = 0.3,
    norm: float = np.inf,
    scoring: Any = "balanced_accuracy",
    surrogate: Any = None,
    adapter: Any = "auto",
    random_state: Any = 0,
) -> Any:
    """Clean, noisy and robust scores of fitted classifiers at one radius.

    Parameters
    ----------
    estimators : dict of name -> fitted classifier, or a list of them
    X, y : rows and their labels, which the moves go against
    attacks : sequence of names or attacks, default=("auto",)
    radius : float > 0, default=0.3
        In the adapter's units.
    norm, scoring, surrogate, adapter, random_state
        See `RobustnessDisplay.from_estimators`. Balanced accuracy, so that a model of one class
        alone does not look robust.

    Returns
    -------
    pandas.DataFrame, a row for each estimator: "estimator", "clean", "noise", then the attacks
    and, with more than one of them, "worst": the lowest of their scores.

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
    models = named(estimators)
    bench = AttackBenchmark(
        X, y, norm, scoring, units([*models.values(), surrogate], adapter, X), random_state
    )
    columns: dict[str, Any] = {
        "estimator": list(models),
        "clean": [bench.score(*model, None, 0) for model in models.items()],
        "noise": [bench.score(*model, "noise", radius) for model in models.items()],
    }
    for attack in attacks:
        scores = [bench.score(*model, attack, radius, surrogate) for model in models.items()]
        columns[str(attack)] = scores
    if len(attacks) > 1:
        columns["worst"] = np.min([columns[str(attack)] for attack in attacks], axis=0)
    return containers.table(columns, {})
