"""What the classifiers share that wrap another one."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from advaug import containers
from advaug.estimators.doc_link import DocLinkMixin
from advaug.estimators.validation import (
    check_parameters,
    check_rows,
    refuse_classes,
    refuse_one_class,
    target_of,
)
from advaug.models.protocol import Array


def estimator_has(name: str) -> Any:
    """Whether the fitted estimator, or the one to be fitted, has a method."""
    return lambda self: hasattr(getattr(self, "estimator_", self.estimator), name)


def labels_of(X: Any, y: Any) -> Array:
    """y as labels, one for each row; ValueError if they are of one class."""
    y = target_of(X, y)
    refuse_one_class(np.unique(y))
    return np.asarray(y)


class WrappedClassifier(DocLinkMixin, ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A classifier that predicts by its `estimator_`, in the containers that this one takes."""

    estimator: Any
    estimator_: Any
    classes_: Array

    def __sklearn_tags__(self) -> Any:
        tags, own = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.input_tags = own.input_tags
        tags.classifier_tags = own.classifier_tags
        return tags

    def _check(self, X: Any, y: Any) -> tuple[Any, Array]:
        """Rows and labels that can be learnt from."""
        refuse_classes(self)
        check_parameters(self)
        X = containers.rowwise(check_rows(self, containers.owned(X), reset=True))
        y = labels_of(X, y)
        self.classes_ = np.unique(y)
        return X, y

    def _check_rows(self, X: Any) -> Any:
        """Rows like those of `fit`."""
        check_is_fitted(self)
        return check_rows(self, containers.owned(X), reset=False)

    def _query(self, method: str, X: Any) -> Array:
        """The wrapped classifier's answer."""
        X = self._check_rows(X)
        return np.asarray(getattr(self.estimator_, method)(containers.given_back(X)))

    @available_if(estimator_has("predict_proba"))
    def predict_proba(self, X: Any) -> Array:
        """The wrapped classifier's probabilities, ndarray (rows, classes)."""
        return self._query("predict_proba", X)
