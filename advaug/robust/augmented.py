"""Any classifier refitted on its own adversarial rows, in rounds."""

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from advaug import containers
from advaug.estimators.validation import check_rows, target_of
from advaug.robust.robustness import moved_rows

Array = np.ndarray[Any, Any]


def estimator_has(name: str) -> Any:
    """Whether the fitted estimator, or the one to be fitted, has a method."""
    return lambda self: hasattr(getattr(self, "estimator_", self.estimator), name)


class AugmentedClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A classifier fitted, attacked, and refitted on its rows and the adversarial ones, in rounds.

    The rows of all rounds are kept, so that what one round has mended the next does not break.

    Parameters
    ----------
    estimator : classifier
        A clone of it is fitted `rounds` + 1 times.
    sampler : sampler, transformer or None, default=None
        Makes the rows: what has `fit_resample` (`AdversarialOverSampler`: with
        `sampling_strategy=grow(2)` of every class), or `fit` and `transform` of X and y
        (`AdversarialTransformer`), whose rows keep their labels. Its `surrogate`, where it has
        one, is set to the fitted classifier. None moves every row against its label by .3 units
        of the adapter, by "pgd", or by "square" where the classifier has no gradient.
    rounds : int, default=2
    random_state : int, RandomState or None
        Seeds the sampler, where it takes one.

    Attributes
    ----------
    estimator_ : the classifier of the last round
    classes_ : ndarray (classes,)
    n_rows_ : list of int
        How many rows each round was fitted on.
    n_features_in_, feature_names_in_

    Notes
    -----
    Measure what it buys (`robustness_table`): it depends on the classifier, and may be a loss.
    `python -m benchmarks.defences --parts augmented` does so for four of them on five tables.

    `sample_weight` and whatever else is given to `fit` with a value for each row goes to the
    estimator; an adversarial row has its parent's.

    References
    ----------
    Kantchelian, Tygar, Joseph. Evasion and hardening of tree ensemble classifiers. ICML 2016.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.svm import SVC
    >>> from advaug.robust import AugmentedClassifier
    >>> X, y = make_classification(200, random_state=0)
    >>> model = make_pipeline(StandardScaler(), AugmentedClassifier(SVC(), random_state=0))
    >>> model.fit(X, y)[-1].n_rows_
    [200, 400, 600]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "sampler": [HasMethods("fit_resample"), HasMethods(["fit", "transform"]), None],
        "rounds": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        sampler: Any = None,
        *,
        rounds: int = 2,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.sampler = sampler
        self.rounds = rounds
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags, own = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.input_tags = own.input_tags
        tags.classifier_tags = own.classifier_tags
        return tags

    def get_metadata_routing(self) -> MetadataRouter:
        """What `fit` is given goes to the estimator's `fit`, if it asks for it."""
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=mapping)

    def fit(self, X: Any, y: Any, **params: Any) -> Self:
        """Fit, then in each round attack and fit again.

        Parameters
        ----------
        X : rows in any container that the estimator and an adapter take
        y : labels (n,)
        **params : sample_weight and others, a value for each row
        """
        self._validate_params()
        X = containers.rowwise(check_rows(self, containers.owned(X), reset=True))
        y = target_of(X, y)
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(f"y must hold at least 2 classes, got 1 class ({self.classes_[0]!r})")
        if _routing_enabled():
            params = process_routing(self, "fit", **params).estimator.fit
        random_state = check_random_state(self.random_state)
        rows, labels, parents = X, y, np.arange(len(y))
        self.estimator_ = self._fitted(rows, labels, parents, params)
        self.n_rows_ = [len(labels)]
        for _ in range(self.rounds):
            new, own, parent = self._made(X, y, int(random_state.randint(2**31 - 1)))
            rows = containers.join(rows, [(new, parent)], len(parent))
            labels, parents = np.concatenate([labels, own]), np.concatenate([parents, parent])
            self.estimator_ = self._fitted(rows, labels, parents, params)
            self.n_rows_.append(len(labels))
        return self

    def _fitted(self, X: Any, y: Array, parents: Array, params: dict[str, Any]) -> Any:
        """A clone fitted on the rows; of what has a value for each row they take their parents'."""
        known = int(parents.max()) + 1
        own = {
            name: value
            if value is None or np.ndim(value) == 0 or len(value) != known
            else containers.take(value, parents)
            for name, value in params.items()
        }
        return clone(self.estimator).fit(X, y, **own)

    def _made(self, X: Any, y: Array, seed: int) -> tuple[Any, Array, Array]:
        """Rows against the classifier as it is, their labels and their parents."""
        every = np.arange(len(y))
        if self.sampler is None:
            return moved_rows(self.estimator_, X, y, random_state=seed), y, every
        sampler = clone(self.sampler)
        own = {"surrogate": self.estimator_, "random_state": seed}
        takes = sampler.get_params(deep=False)
        sampler.set_params(**{name: value for name, value in own.items() if name in takes})
        if not hasattr(sampler, "fit_resample"):
            return sampler.fit(X, y).transform(X, y), y, every
        more, labels = sampler.fit_resample(X, y)
        new = np.arange(len(y), len(labels))
        parents = getattr(sampler, "parent_indices_", None)
        if parents is None:
            raise TypeError(
                f"sampler {type(sampler).__name__} does not say which row each new one was made "
                "from (parent_indices_): take AdversarialOverSampler"
            )
        return containers.take(more, new), np.asarray(labels)[new], parents[new]

    def _ask(self, method: str, X: Any) -> Array:
        check_is_fitted(self)
        X = check_rows(self, containers.owned(X), reset=False)
        return np.asarray(getattr(self.estimator_, method)(X))

    def predict(self, X: Any) -> Array:
        """The classifier's classes."""
        return self._ask("predict", X)

    @available_if(estimator_has("predict_proba"))
    def predict_proba(self, X: Any) -> Array:
        """The classifier's probabilities, ndarray (rows, classes)."""
        return self._ask("predict_proba", X)

    @available_if(estimator_has("decision_function"))
    def decision_function(self, X: Any) -> Array:
        """The classifier's decision, ndarray (rows,) or (rows, classes)."""
        return self._ask("decision_function", X)
