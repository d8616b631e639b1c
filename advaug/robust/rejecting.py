"""A classifier that refuses the rows which a detector suspects."""

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from advaug import containers
from advaug.estimators.validation import check_rows, target_of
from advaug.robust.augmented import estimator_has
from advaug.robust.detector import AdversarialDetector
from advaug.robust.nets import Array


class RejectingClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A classifier that gives no answer on rows which a detector takes for moved.

    Parameters
    ----------
    estimator : classifier
    detector : outlier detector or None, default=None
        Any with `fit` and `predict` in {1, -1}. An `AdversarialDetector` (None: as it comes) whose
        surrogate is "auto" learns to see attacks on the fitted estimator; an `UnknownDetector`
        sees rows of classes that were not learnt.
    reject_label : label, optional
        What `predict` gives instead of a class: -1, "unknown" ... Without one it always answers,
        and `rejects` says where it should not have.

    Attributes
    ----------
    estimator_, detector_ : fitted
    classes_ : ndarray (classes,)
    n_features_in_, feature_names_in_

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from advaug.robust import AdversarialDetector, RejectingClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = RejectingClassifier(
    ...     LogisticRegression(max_iter=500), AdversarialDetector(random_state=0), reject_label=-1
    ... ).fit(X, y)
    >>> bool(((model.predict(X) == -1) == model.rejects(X)).all())
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "detector": [HasMethods(["fit", "predict"]), None],
        "reject_label": "no_validation",
    }

    def __init__(self, estimator: Any, detector: Any = None, *, reject_label: Any = None) -> None:
        self.estimator = estimator
        self.detector = detector
        self.reject_label = reject_label

    def __sklearn_tags__(self) -> Any:
        tags, own = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.input_tags = own.input_tags
        tags.classifier_tags = own.classifier_tags
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the classifier, then the detector against it."""
        self._validate_params()
        X = containers.rowwise(check_rows(self, containers.owned(X), reset=True))
        y = target_of(X, y)
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(f"y must hold at least 2 classes, got 1 class ({self.classes_[0]!r})")
        if self.reject_label is not None and self.reject_label in self.classes_.tolist():
            raise ValueError(
                f"reject_label={self.reject_label!r} is a class of y: take a label that is none"
            )
        self.estimator_ = clone(self.estimator).fit(X, y)
        detector = AdversarialDetector() if self.detector is None else clone(self.detector)
        named = getattr(detector, "surrogate", None)
        if isinstance(named, str) and named == "auto":
            detector.set_params(surrogate=self.estimator_)
        self.detector_ = detector.fit(X, y)
        return self

    def _rows(self, X: Any) -> Any:
        check_is_fitted(self)
        return check_rows(self, containers.owned(X), reset=False)

    def rejects(self, X: Any) -> Array:
        """Whether the detector takes each row for moved, bool ndarray (rows,)."""
        X = self._rows(X)
        return np.asarray(self.detector_.predict(X) == -1)

    def predict(self, X: Any) -> Array:
        """The classifier's classes; `reject_label`, if there is one, where it gives no answer."""
        X = self._rows(X)
        found = np.asarray(self.estimator_.predict(X))
        if self.reject_label is None:
            return found
        is_alike = np.array([self.reject_label]).dtype.kind == found.dtype.kind
        found = found.astype(object) if not is_alike else found
        return np.where(self.rejects(X), self.reject_label, found)

    @available_if(estimator_has("predict_proba"))
    def predict_proba(self, X: Any) -> Array:
        """The classifier's probabilities, rejected or not, ndarray (rows, classes)."""
        X = self._rows(X)
        return np.asarray(self.estimator_.predict_proba(X))
