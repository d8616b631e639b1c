"""Probabilities that mean what they say, though the classifier was trained on other class shares.

Ways back to the real shares: the closed form, and a map learnt on real rows held out, of the
resampled model alone or stacked with one that was not resampled.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.utils import (
    _safe_indexing,
    assert_all_finite,
    column_or_1d,
    get_tags,
    indexable,
)
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import (
    _check_method_params,
    check_consistent_length,
    check_is_fitted,
)

from advaug import containers
from advaug.estimators.doc_link import DocLinkMixin
from advaug.estimators.validation import check_parameters, checked_weights
from advaug.models.protocol import Array
from advaug.models.stacking import LEAST, learn_map, log_probability, mapped

# How strongly a learnt map is held to where it starts; it counts as rows do. Of one model that is
# the closed form, of two the model that was not resampled, as it is: the better guess.
PULL, STACKED_PULL = 0.1, 3.0

Splits = list[tuple[Array, Array]]  # seen and held-out rows of each fold


class PriorCorrectedClassifier(DocLinkMixin, ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A classifier that was trained on resampled rows, with probabilities for the real shares.

    Parameters
    ----------
    estimator : classifier, or imbalanced-learn Pipeline with a sampler and a classifier
        Must have ``predict_proba``.
    method : {"auto", "stacked", "beta", "prior"}, default="auto"
        "auto" is "stacked" where the pipeline holds a sampler that can be left out, else "beta".
        "prior" is the closed form, p(k) ~ q(k) * real share(k) / trained share(k) (Elkan. IJCAI
        2001; Saerens, Latinne, Decaestecker. Neural Computation, 2002): exact if q is calibrated
        on the resampled rows, at no cost. "beta" fits the estimator in `cv` folds, resampling
        within each, learns on the held-out real rows p ~ softmax(slope * log q + bias), a slope
        and a bias for each class (beta calibration: Kull, Silva Filho, Flach. AISTATS 2017;
        diagonal Dirichlet for more classes: Kull et al. NeurIPS 2019), held to the closed form
        where rows are few, and averages the folds' classifiers. "stacked" learns the map of two
        models, p ~ softmax(slope * log q + slope' * log q' + bias), where q' is the same pipeline
        without its samplers and no slope is negative (stacking: Wolpert. Neural Networks, 1992;
        Breiman. Machine Learning, 1996), held to the plain model as it is, and refits both on all
        rows: where resampling costs ranking, held-out rows say so and the plain model takes over.
        It fits 2 * (cv + 1) times.
    cv : int, splitter or splits, default=5
        Folds of "beta" and "stacked"; of a number fewer where a class has fewer rows. A splitter of
        groups gets the `groups` of `fit`.
    n_jobs : int, optional
        How many folds are fitted side by side, as in joblib.

    Attributes
    ----------
    classes_ : ndarray (classes,)
        The class labels.
    real_share_, trained_share_ : ndarray (classes,)
        Of the y given to ``fit``, and of what the classifier was trained on: after resampling, and
        times its ``class_weight``.
    method_ : str
        The method that "auto" has chosen, or yours.
    estimators_ : list of fitted estimators
        One with "prior", one a fold with "beta", the resampled and the plain with "stacked".
    slope_ : ndarray (classes,), or (2, classes) with "stacked"
        What log q is multiplied by; with "stacked" those of the resampled and the plain one.
    bias_ : ndarray (classes,)
        The map from log q to log p.
    n_features_in_ : int
        Number of columns of X, where the estimator knows it.
    feature_names_in_ : ndarray of str
        Names of the columns of X, where the estimator knows them.

    See Also
    --------
    advaug.CommitteeClassifier :
        Small nets, trees, linear and other models, weighted by what they predict out of fold.
    sklearn.calibration.CalibratedClassifierCV : Calibration for the shares of the training rows.

    Notes
    -----
    The map of one model keeps the order of two classes' odds nearly as it was: what resampling
    has cost or gained in ranking stays, but for "stacked". Put a search *around* this classifier;
    with "prior" a sampler hidden in a search inside it is refused.

    Weights pass a sampler: a resampled row has the weight of the row that it was made from, times
    the sampler's `sample_weight_`, if it has one. The sampler must say which row that is, by
    `parent_indices_` (`AdversarialOverSampler`) or `sample_indices_` (imbalanced-learn's random
    over-sampler and its under-samplers).

    With metadata routing (``sklearn.set_config(enable_metadata_routing=True)``) weights count in
    the shares and in the map, and reach the classifier if it requests them; `groups` reach a
    splitter that requests them. Without it both do.

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
    0.27
    >>> mended = PriorCorrectedClassifier(raw).fit(X, y)
    >>> float(mended.predict_proba(X)[:, 1].mean().round(2)), float(y.mean().round(2))
    (0.1, 0.1)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "method": [StrOptions({"auto", "beta", "stacked", "prior"})],
        "cv": ["cv_object"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        method: Literal["auto", "beta", "stacked", "prior"] = "auto",
        cv: Any = 5,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.method = method
        self.cv = cv
        self.n_jobs = n_jobs

    def __sklearn_tags__(self) -> Any:
        tags, own = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.input_tags = own.input_tags
        tags.classifier_tags = own.classifier_tags
        return tags

    def get_metadata_routing(self) -> MetadataRouter:
        """Metadata of `fit` is passed to the estimator's `fit` and the splitter's `split`.

        Returns
        -------
        MetadataRouter
            Of scikit-learn.
        """
        fit, split = (MethodMapping().add(caller="fit", callee=name) for name in ("fit", "split"))
        router = MetadataRouter(owner=self).add_self_request(self)
        router.add(estimator=self.estimator, method_mapping=fit)
        return router.add(splitter=self.cv, method_mapping=split)

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Self:
        """Train on X and y as they are; resampling is the pipeline's business.

        Parameters
        ----------
        X : container of rows
            Rows as the estimator takes them.
        y : array-like of shape (n_rows,)
            The label of each row.
        sample_weight : array (n,), optional
            How many rows each row counts for, in the classifier, the shares and the map.
        **params : dict
            `groups` (n,) for `cv`, and what else the estimator's `fit` takes of each row.

        Returns
        -------
        object
            The fitted estimator itself.

        Raises
        ------
        ValueError
            Y has one class, or unless method="prior" a class of a single row; a sampler does not
            say which rows the weights of its new rows are those of.
        """
        check_parameters(self)
        y = labels_of(y)
        check_consistent_length(X, y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y holds {len(self.classes_)} class: pass rows of two or more")
        weight = checked_weights(sample_weight, codes, self.classes_)
        counts = np.bincount(codes, weights=weight)
        self.real_share_ = counts / counts.sum()
        self.method_ = self.method
        if self.method == "auto":
            self.method_ = "stacked" if samplers_of(self.estimator) else "beta"
        (X,) = indexable(X)
        of_fit, of_split = self._routed(weight, params)
        training = TrainingRows(X, y, self.classes_, of_fit)
        if self.method_ == "prior":
            self._fit_prior(training)
            return self
        splits = self._splits(X, codes, of_split)
        held = np.concatenate([rows for _, rows in splits])
        truth = codes[held], None if weight is None else weight[held]
        if self.method_ == "beta":
            self._fit_beta(training, splits, *truth)
        else:
            self._fit_stacked(training, splits, *truth)
        return self

    def _routed(
        self, weight: Array | None, params: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """What of the weights and the other metadata the estimator and the splitter get."""
        if _routing_enabled():
            routed = process_routing(self, "fit", sample_weight=weight, **params)
            return routed.estimator.fit, routed.splitter.split
        groups = params.pop("groups", None)
        return params | weights_for(self.estimator, weight), {"groups": groups}

    def _fit_prior(self, training: "TrainingRows") -> None:
        refuse_hidden_sampler(self.estimator)
        fitted, self.trained_share_ = training.fit(self.estimator)
        self.estimators_ = [fitted]
        self.slope_ = np.ones(len(self.classes_))
        self.bias_ = self._closed_form(self.trained_share_)

    def _fit_beta(
        self, training: "TrainingRows", splits: Splits, codes: Array, weight: Array | None
    ) -> None:
        q, self.estimators_, self.trained_share_ = self._crossed(self.estimator, training, splits)
        start = np.array([np.ones(len(self.classes_)), self._closed_form(self.trained_share_)])
        self.slope_, self.bias_ = learn_map(log_probability(q)[None], codes, start, PULL, weight)
        self.slope_ = self.slope_[0]

    def _fit_stacked(
        self, training: "TrainingRows", splits: Splits, codes: Array, weight: Array | None
    ) -> None:
        models = [self.estimator, without_samplers(self.estimator)]
        crossed = [self._crossed(model, training, splits) for model in models]
        q = np.stack([log_probability(held_out) for held_out, _, _ in crossed])
        as_it_is = np.zeros((3, len(self.classes_)))
        as_it_is[1] = 1  # the slope of the plain model; the other one's and the bias are 0
        self.slope_, self.bias_ = learn_map(q, codes, as_it_is, STACKED_PULL, weight)
        trained = Parallel(n_jobs=self.n_jobs)(delayed(training.fit)(model) for model in models)
        self.estimators_ = [fitted for fitted, _ in trained]
        self.trained_share_ = trained[0][1]

    def _closed_form(self, shares: Array) -> Array:
        return np.asarray(np.log(self.real_share_) - np.log(shares))

    def _splits(self, X: Any, codes: Array, of_split: dict[str, Any]) -> Splits:
        """Seen and held-out rows of each fold; of a class of few rows fewer folds."""
        counts = np.bincount(codes)
        if counts.min() < 2:
            raise ValueError(
                f"class {self.classes_[counts.argmin()]!r} has a single row, which cannot be held "
                "out: give it more rows or take method='prior'"
            )
        if isinstance(self.cv, Integral):
            few = min(int(self.cv), int(counts.min()))
            folds = StratifiedKFold(few, shuffle=True, random_state=0)
        else:
            folds = check_cv(self.cv, codes, classifier=True)
        return list(folds.split(X, codes, **of_split))

    def _crossed(
        self, estimator: Any, training: "TrainingRows", splits: Splits
    ) -> tuple[Array, list[Any], Array]:
        """Probabilities of the held-out rows, a fitted clone a fold, and their mean shares."""
        folds = Parallel(n_jobs=self.n_jobs)(
            delayed(training.fit_fold)(estimator, *split) for split in splits
        )
        held_out, fitted, shares = zip(*folds, strict=True)
        return np.concatenate(held_out), list(fitted), np.mean(shares, axis=0)

    def predict_proba(self, X: Any) -> Array:
        """Probabilities at the real class shares, ndarray (rows, classes).

        Parameters
        ----------
        X : container of rows
            Rows as in `fit`.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            The probability of each class, in the order of `classes_`.
        """
        check_is_fitted(self)
        answers = [probability_of(one, X, self.classes_) for one in self.estimators_]
        if self.method_ == "prior":
            odds = answers[0] * np.exp(self.bias_)
            return np.asarray(odds / odds.sum(1, keepdims=True))
        if self.method_ == "stacked":
            return np.asarray(mapped(log_probability(np.stack(answers)), self.slope_, self.bias_))
        each = [mapped(log_probability(q)[None], self.slope_[None], self.bias_) for q in answers]
        return np.asarray(np.mean(each, axis=0))

    def predict(self, X: Any) -> Array:
        """The most probable class of each row, at the real class shares.

        Parameters
        ----------
        X : container of rows
            Rows as in `fit`.

        Returns
        -------
        ndarray of shape (n_rows,)
            The predicted class of each row.
        """
        most = self.predict_proba(X).argmax(1)
        return np.asarray(self.classes_[most])

    @property
    def n_features_in_(self) -> int:
        """How many columns ``fit`` has seen."""
        check_is_fitted(self)
        return int(self.estimators_[0].n_features_in_)

    @property
    def feature_names_in_(self) -> Any:
        """Names of the columns that ``fit`` has seen."""
        return self.estimators_[0].feature_names_in_


@dataclass(frozen=True)
class TrainingRows:
    """Rows and what belongs to each of them, from which clones of an estimator learn."""

    X: Any
    y: Array
    classes: Array
    params: dict[str, Any]

    def fit(self, estimator: Any) -> tuple[Any, Array]:
        """A fitted clone, and the class shares that it was trained on."""
        fitted = clone(estimator)
        return fitted, fitted_shares(fitted, self)

    def fit_fold(self, estimator: Any, seen: Array, held: Array) -> tuple[Array, Any, Array]:
        """Probabilities of held-out rows, the clone fitted on the others, and its class shares."""
        X = _safe_indexing(self.X, seen)
        params = _check_method_params(self.X, self.params, indices=seen)
        fitted, share = replace(self, X=X, y=self.y[seen], params=params).fit(estimator)
        return probability_of(fitted, _safe_indexing(self.X, held), self.classes), fitted, share


def probability_of(estimator: Any, X: Any, classes: Array) -> Array:
    """A fitted classifier's probabilities, a column for each class; 0 of one not seen."""
    answer = np.asarray(estimator.predict_proba(containers.given_back(X)))
    found = np.zeros((len(answer), len(classes)))
    found[:, np.searchsorted(classes, estimator.classes_)] = answer
    return found


def last_step(estimator: Any) -> Any:
    """The classifier at the end of a pipeline, or of one within it."""
    while hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    return estimator


def samplers_of(estimator: Any) -> list[str]:
    """Names of the samplers that are steps of a pipeline, itself or within, none within another."""
    inner = estimator.get_params()
    owner = {"": estimator, **inner}
    samplers = [
        name
        for name, value in inner.items()
        if hasattr(value, "fit_resample") and hasattr(owner[name.rpartition("__")[0]], "steps")
    ]
    return [n for n in samplers if not any(n.startswith(f"{outer}__") for outer in samplers)]


def without_samplers(estimator: Any) -> Any:
    """A clone whose samplers pass rows through; ValueError if there is none."""
    plain, samplers = clone(estimator), samplers_of(estimator)
    if not samplers:
        raise ValueError(
            f"{type(estimator).__name__} holds no sampler, so that there is nothing to stack: put "
            "one into an imbalanced-learn Pipeline, or take method='beta'"
        )
    return plain.set_params(**dict.fromkeys(samplers, "passthrough"))


def refuse_hidden_sampler(estimator: Any) -> None:
    """ValueError where a sampler's share of the classes could not be seen."""
    inner = last_step(estimator).get_params().values()
    if any(hasattr(value, "fit_resample") for value in inner):
        raise ValueError(
            f"a sampler is hidden in {type(last_step(estimator)).__name__}, so that its class "
            "shares cannot be seen: put PriorCorrectedClassifier inside it, around the pipeline, "
            "or take method='beta'"
        )


def fitted_samplers(estimator: Any) -> Iterator[Any]:
    """The samplers among the steps of a pipeline and of those within it, in their order."""
    for _, step in getattr(estimator, "steps", ()):
        if hasattr(step, "fit_resample") and not hasattr(step, "steps"):
            yield step
        yield from fitted_samplers(step)


def parents_of(sampler: Any) -> Array:
    """The row that each row of a fitted sampler was made from; ValueError if it does not say."""
    for name in ("parent_indices_", "sample_indices_"):
        if hasattr(sampler, name):
            return np.asarray(getattr(sampler, name))
    raise ValueError(
        f"sample_weight cannot pass {type(sampler).__name__}, which does not say from which row "
        "each new one was made (parent_indices_ or sample_indices_): take AdversarialOverSampler, "
        "or write X_new, y_new = sampler.fit_resample(X, y), and fit the classifier alone with a "
        "weight for each of these rows"
    )


def follow_samplers(estimator: Any, params: dict[str, Any], count: int) -> dict[str, Any]:
    """What has a value for each of `count` rows, for the rows that a pipeline's samplers returned.

    A row has its parent's value; its weight is multiplied by the sampler's `sample_weight_`.
    """
    of_rows = {name for name, value in params.items() if np.ndim(value) and len(value) == count}
    for sampler in fitted_samplers(estimator) if of_rows else ():
        parents = parents_of(sampler)
        params = {
            name: _safe_indexing(value, parents) if name in of_rows else value
            for name, value in params.items()
        }
        if "sample_weight" in of_rows and hasattr(sampler, "sample_weight_"):
            weight = params["sample_weight"] * sampler.sample_weight_
            params = params | {"sample_weight": weight}
    return params


def weights_for(estimator: Any, weight: Array | None) -> dict[str, Array]:
    """The weights as an argument of `fit`: a pipeline hands them to its last step."""
    if weight is None:
        return {}
    steps = []
    while hasattr(estimator, "steps"):
        step, estimator = estimator.steps[-1]
        steps.append(step)
    name = "__".join([*steps, "sample_weight"])
    return {name: weight}


def fitted_shares(estimator: Any, training: TrainingRows) -> Array:
    """Fit; the class shares that the classifier at its end was trained on."""
    last, seen = last_step(estimator), []
    fit = last.fit

    def counting(X: Any, y: Any, **params: Any) -> Any:
        params = follow_samplers(estimator, params, len(training.y))
        seen.append((y, params.get("sample_weight")))
        return fit(X, y, **params)

    last.fit = counting  # on our own clone, and only while it is fitted
    try:
        estimator.fit(training.X, training.y, **training.params)
    finally:
        del last.fit
    trained, row_weight = labels_of(seen[-1][0]), seen[-1][1]
    known, places = np.unique(trained, return_inverse=True)
    counts = np.bincount(places, weights=row_weight)
    weight = compute_class_weight(getattr(last, "class_weight", None), classes=known, y=trained)
    shares = np.full(len(training.classes), LEAST)
    shares[np.searchsorted(training.classes, known)] = counts * weight
    return np.asarray(shares / shares.sum())


def labels_of(y: Any) -> Array:
    """y as a vector of classes; ValueError if it is none."""
    y = column_or_1d(y, warn=True)
    if y.dtype.kind in "fc":
        assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    return np.asarray(y)
