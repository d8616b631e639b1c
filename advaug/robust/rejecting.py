"""A classifier that rejects the rows which a detector takes for outliers."""

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils._param_validation import HasMethods

from advaug import containers
from advaug.core.parameters import is_auto
from advaug.models.protocol import Array
from advaug.robust.detector import AdversarialDetector
from advaug.robust.wrapped import WrappedClassifier


class RejectingClassifier(WrappedClassifier):
    """A classifier that returns no class for rows which a detector takes for outliers.

    Parameters
    ----------
    estimator : classifier
        A clone of it is fitted.
    detector : outlier detector or None, default=None
        Has `fit` and `predict` in {1, -1}; None is `AdversarialDetector()`. A detector with
        surrogate="auto" learns attacks on the fitted estimator; an `UnknownDetector` recognizes
        rows of classes that were not in the training data.
    reject_label : label, optional
        What `predict` returns for a rejected row, such as -1 or "unknown". Without one `predict`
        returns a class for every row, and `rejects` tells which rows are rejected.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    detector_ : outlier detector
        The fitted detector.
    classes_ : ndarray (classes,)
        The class labels.
    n_features_in_ : int
        Number of columns of X in `fit`.
    feature_names_in_ : ndarray of str
        Names of the columns of X in `fit`, where all of them are texts.

    See Also
    --------
    advaug.robust.AdversarialDetector :
        A small net that tells original rows (1) from rows that an attack has moved (-1).
    advaug.robust.UnknownDetector : A network with one extra class for out-of-distribution rows.

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

    @property
    def adapter(self) -> Any:
        """The adapter of the detector, by which rows are read."""
        return getattr(self.detector, "adapter", "auto")

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the classifier, then the detector against it.

        Parameters
        ----------
        X : container of rows
            Rows in any container that both take.
        y : array-like of shape (n_rows,)
            The label of each row.
        sample_weight : array (n,), optional
            For the classifier.

        Returns
        -------
        object
            The fitted estimator itself.
        """
        X, y = self._check(X, y)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        if self.reject_label is not None and self.reject_label in self.classes_.tolist():
            raise ValueError(
                f"reject_label={self.reject_label!r} is a class of y: take a label that is none"
            )
        self.estimator_ = clone(self.estimator).fit(containers.given_back(X), y, **weights)
        detector = AdversarialDetector() if self.detector is None else clone(self.detector)
        if is_auto(getattr(detector, "surrogate", None)):
            detector.set_params(surrogate=self.estimator_)
        self.detector_ = detector.fit(X, y)
        return self

    def rejects(self, X: Any) -> Array:
        """Whether the detector takes each row for an outlier, bool ndarray (rows,).

        Parameters
        ----------
        X : container of rows
            Rows as in `fit`.

        Returns
        -------
        ndarray of bool (n_rows,)
            Which rows the detector rejects.
        """
        X = self._check_rows(X)
        return np.asarray(self.detector_.predict(X) == -1)

    def predict(self, X: Any) -> Array:
        """The classifier's classes; `reject_label`, if it is given, for rejected rows.

        Parameters
        ----------
        X : container of rows
            Rows as in `fit`.

        Returns
        -------
        ndarray of shape (n_rows,)
            The predicted class of each row, or what stands for a rejected one.
        """
        classes = self._query("predict", X)
        if self.reject_label is None:
            return classes
        is_same_kind = np.array([self.reject_label]).dtype.kind == classes.dtype.kind
        classes = classes if is_same_kind else classes.astype(object)
        return np.where(self.rejects(X), self.reject_label, classes)
