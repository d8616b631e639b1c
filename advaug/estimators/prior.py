"""Probabilities that mean what they say, though the classifier was trained on other class shares.

Two ways back to the real shares: the closed form, and a map learnt on real rows held out.
"""

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import _safe_indexing, column_or_1d, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _num_samples, check_consistent_length, check_is_fitted

Array = np.ndarray[Any, Any]

LEAST = 1e-4  # probability under which the learnt map sees no difference
PULL = 0.1  # how strongly the learnt map is held to the closed form; it counts as rows do


class PriorCorrectedClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A classifier that was trained on resampled rows, with probabilities for the real shares.

    Parameters
    ----------
    estimator : classifier, or imbalanced-learn Pipeline with a sampler and a classifier
        Must have ``predict_proba``.
    method : {"beta", "prior"}, default="beta"
        "prior" is the closed form, p(k) ~ q(k) * real share(k) / trained share(k) (Elkan. IJCAI
        2001; Saerens, Latinne, Decaestecker. Neural Computation, 2002): exact if q is calibrated
        on the resampled rows, at no cost. "beta" fits the estimator in `cv` folds, resampling
        within each, learns on the held-out real rows p ~ softmax(slope * log q + bias), a slope
        and a bias for each class (beta calibration: Kull, Silva Filho, Flach. AISTATS 2017;
        diagonal Dirichlet for more classes: Kull et al. NeurIPS 2019), held to the closed form
        where rows are few, and averages the folds' classifiers.
    cv : int, default=5
        Folds of "beta"; fewer where a class has fewer rows.

    Attributes
    ----------
    classes_ : ndarray (classes,)
    real_share_, trained_share_ : ndarray (classes,)
        Of the y given to ``fit``, and of what the classifier was trained on: after resampling, and
        times its ``class_weight``.
    estimators_ : list of fitted estimators: one with "prior", one a fold with "beta"
    slope_, bias_ : ndarray (classes,): the map from log q to log p

    Notes
    -----
    The map keeps the order of two classes' odds nearly as it was: what resampling has cost or
    gained in ranking stays. Put a search *around* this classifier; with "prior" a sampler hidden
    in a search inside it is refused.

    Examples
    --------
    >>> from imblearn.over_sampling import RandomOverSampler
    >>> from imblearn.pipeline import make_pipeline
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from advaug import PriorCorrectedClassifier
    >>> X, y = make_classification(500, weights=[0.9], flip_y=0, random_state=0)
    >>> raw = make_pipeline(RandomOverSampler(random_state=0), LogisticRegression())
    >>> float(raw.fit(X, y).predict_proba(X)[:, 1].mean().round(2))
    0.19
    >>> mended = PriorCorrectedClassifier(raw).fit(X, y)
    >>> float(mended.predict_proba(X)[:, 1].mean().round(2)), float(y.mean().round(2))
    (0.1, 0.1)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "method": [StrOptions({"beta", "prior"})],
        "cv": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(self, estimator: Any, *, method: str = "beta", cv: int = 5) -> None:
        self.estimator = estimator
        self.method = method
        self.cv = cv

    def __sklearn_tags__(self) -> Any:
        tags, own = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.input_tags = own.input_tags
        tags.classifier_tags = own.classifier_tags
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Train on X and y as they are; resampling is the pipeline's business.

        Raises
        ------
        ValueError : y has one class, or with "beta" a class of a single row
        """
        self._validate_params()
        y = labels_of(y)
        check_consistent_length(X, y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y holds one class only, {self.classes_[0]!r}: pass two or more")
        counts = np.bincount(codes)
        self.real_share_ = counts / counts.sum()
        if self.method == "prior":
            self._fit_prior(X, y)
        else:
            self._fit_beta(X, y, codes, int(counts.min()))
        return self

    def _fit_prior(self, X: Any, y: Array) -> None:
        estimator = clone(self.estimator)
        refuse_hidden_sampler(estimator)
        self.trained_share_ = fitted_shares(estimator, X, y, self.classes_)
        self.estimators_ = [estimator]
        self.slope_ = np.ones(len(self.classes_))
        self.bias_ = self._closed_form()

    def _closed_form(self) -> Array:
        return np.asarray(np.log(self.real_share_) - np.log(self.trained_share_))

    def _fit_beta(self, X: Any, y: Array, codes: Array, least: int) -> None:
        if least < 2:
            raise ValueError(
                f"class {self.classes_[np.bincount(codes).argmin()]!r} has a single row, which "
                "cannot be held out: give it more rows or take method='prior'"
            )
        held_out = np.empty((len(y), len(self.classes_)))
        self.estimators_, shares = [], []
        folds = StratifiedKFold(min(self.cv, least), shuffle=True, random_state=0)
        for seen, held in folds.split(np.zeros(len(y)), codes):
            estimator = clone(self.estimator)
            part = _safe_indexing(X, seen)
            shares.append(fitted_shares(estimator, part, y[seen], self.classes_))
            held_out[held] = self._asked(estimator, _safe_indexing(X, held))
            self.estimators_.append(estimator)
        self.trained_share_ = np.mean(shares, axis=0)
        self.slope_, self.bias_ = learn_map(logs(held_out), codes, self._closed_form())

    def _asked(self, estimator: Any, X: Any) -> Array:
        """An estimator's probabilities with a column for every class."""
        found = np.zeros((_num_samples(X), len(self.classes_)))
        found[:, np.searchsorted(self.classes_, estimator.classes_)] = estimator.predict_proba(X)
        return found

    def predict_proba(self, X: Any) -> Array:
        """Probabilities at the real class shares, ndarray (rows, classes)."""
        check_is_fitted(self)
        answers = [self._asked(estimator, X) for estimator in self.estimators_]
        if self.method == "prior":
            odds = answers[0] * np.exp(self.bias_)
            return np.asarray(odds / odds.sum(1, keepdims=True))
        mapped = [softmax(self.slope_ * logs(q) + self.bias_, axis=1) for q in answers]
        return np.asarray(np.mean(mapped, axis=0))

    def predict(self, X: Any) -> Array:
        """The most probable class of each row, at the real class shares."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(1)])

    @property
    def n_features_in_(self) -> int:
        """How many columns ``fit`` has seen."""
        check_is_fitted(self)
        return int(self.estimators_[0].n_features_in_)

    @property
    def feature_names_in_(self) -> Any:
        """Names of the columns that ``fit`` has seen."""
        return self.estimators_[0].feature_names_in_


def last_step(estimator: Any) -> Any:
    """The classifier at the end of a pipeline, or of one within it."""
    while hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    return estimator


def refuse_hidden_sampler(estimator: Any) -> None:
    """ValueError where a sampler's share of the classes could not be seen."""
    inner = last_step(estimator).get_params().values()
    if any(hasattr(value, "fit_resample") for value in inner):
        raise ValueError(
            f"a sampler is hidden in {type(last_step(estimator)).__name__}, so that its class "
            "shares cannot be seen: put PriorCorrectedClassifier inside it, around the pipeline, "
            "or take method='beta'"
        )


def fitted_shares(estimator: Any, X: Any, y: Array, classes: Array) -> Array:
    """Fit; the class shares that the classifier at its end was trained on."""
    last, seen = last_step(estimator), []
    fit = last.fit

    def counting(X: Any, y: Any, **options: Any) -> Any:
        seen.append(y)
        return fit(X, y, **options)

    last.fit = counting  # on our own clone, and only while it is fitted
    try:
        estimator.fit(X, y)
    finally:
        del last.fit
    trained = labels_of(seen[-1])
    known, counts = np.unique(trained, return_counts=True)
    weight = compute_class_weight(getattr(last, "class_weight", None), classes=known, y=trained)
    shares = np.full(len(classes), LEAST)
    shares[np.searchsorted(classes, known)] = counts * weight
    return np.asarray(shares / shares.sum())


def logs(q: Array) -> Array:
    return np.log(np.clip(q, LEAST, 1 - LEAST))


def learn_map(log_q: Array, codes: Array, start: Array) -> tuple[Array, Array]:
    """Slopes and biases of least log-loss on held-out rows, held to 1 and to the closed form."""
    n, n_classes = log_q.shape
    truth = np.eye(n_classes)[codes]

    def loss(flat: Array) -> tuple[float, Array]:
        slope, bias = flat.reshape(2, n_classes)
        logits = slope * log_q + bias
        excess = softmax(logits, axis=1) - truth
        value = -(truth * log_softmax(logits, axis=1)).sum()
        value += PULL * (((slope - 1) ** 2).sum() + ((bias - start) ** 2).sum()) / 2
        by_slope = (excess * log_q).sum(0) + PULL * (slope - 1)
        by_bias = excess.sum(0) + PULL * (bias - start)
        return value / n, np.concatenate([by_slope, by_bias]) / n

    bounds = [(0, None)] * n_classes + [(None, None)] * n_classes
    first = np.concatenate([np.ones(n_classes), start])
    found = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds)
    slope, bias = found.x.reshape(2, n_classes)
    return slope, bias


def labels_of(y: Any) -> Array:
    """y as a vector of classes; ValueError if it is none."""
    check_classification_targets(y)
    return np.asarray(column_or_1d(y, warn=True))
