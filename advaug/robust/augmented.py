"""Any classifier refitted on its own adversarial rows, in rounds."""

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.metaestimators import available_if

from advaug import containers
from advaug.models.protocol import Array
from advaug.robust.nets import RandomState
from advaug.robust.robustness import adversarial_rows
from advaug.robust.wrapped import WrappedClassifier, estimator_has


class AugmentedClassifier(WrappedClassifier):
    """A classifier that is fitted, attacked, and refitted with the adversarial rows, in rounds.

    The rows of all rounds are kept: otherwise a round could undo what the rounds before achieved.

    Parameters
    ----------
    estimator : classifier
        A clone of it is fitted `n_rounds` + 1 times.
    sampler : sampler, transformer or None, default=None
        It makes the rows. It has `fit_resample` (`AdversarialOverSampler`, with
        `sampling_strategy=grow(2)` for rows of every class), or `fit` and `transform` of X and y
        (`AdversarialTransformer`), whose rows keep their labels. Its `surrogate`, if it has one, is
        set to the fitted classifier. None moves every row against its label by .3 units of the
        adapter, by "pgd", or by "square" if the classifier has no gradient.
    n_rounds : int >= 1, default=2
        How many times the classifier is attacked and refitted.
    random_state : int, RandomState or None, default=None
        Seeds the sampler, if it takes one.

    Attributes
    ----------
    estimator_ : classifier
        The classifier of the last round.
    classes_ : ndarray (classes,)
        The class labels.
    n_rows_ : list of int
        How many rows each round was fitted on.
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    Notes
    -----
    Measure the gain (`robustness_table`): it depends on the classifier, and may be a loss.
    `python -m benchmarks.defences --parts augmented` measures it for four of them on five tables.

    `sample_weight`, or anything else that `fit` is given with a value for each row, is passed to
    the estimator; an adversarial row has the value of its parent.

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
        "n_rounds": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        sampler: Any = None,
        *,
        n_rounds: int = 2,
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.sampler = sampler
        self.n_rounds = n_rounds
        self.random_state = random_state

    def get_metadata_routing(self) -> MetadataRouter:
        """Metadata of `fit` is passed to the estimator's `fit`, if it requests it."""
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=mapping)

    def fit(self, X: Any, y: Any, **params: Any) -> Self:
        """Fit, then in each round attack and fit again.

        Parameters
        ----------
        X : rows in any container that the estimator and an adapter take
        y : labels (n,)
        **params : dict
            `sample_weight` and others, with a value for each row.
        """
        X, y = self._check(X, y)
        if _routing_enabled():
            params = process_routing(self, "fit", **params).estimator.fit
        random_state = check_random_state(self.random_state)
        rows, labels, parents = X, y, np.arange(len(y))
        self.estimator_ = self._fit_clone(rows, labels, parents, params)
        self.n_rows_ = [len(labels)]
        for _ in range(self.n_rounds):
            new, new_labels, parent = self._new_rows(X, y, int(random_state.randint(2**31 - 1)))
            rows = containers.join(rows, [(new, parent)], len(parent))
            labels = np.concatenate([labels, new_labels])
            parents = np.concatenate([parents, parent])
            self.estimator_ = self._fit_clone(rows, labels, parents, params)
            self.n_rows_.append(len(labels))
        return self

    def _fit_clone(self, X: Any, y: Array, parents: Array, params: dict[str, Any]) -> Any:
        """A clone fitted on the rows; a parameter of one value a row is that of the parents."""
        n_rows = int(parents.max()) + 1
        of_rows = {
            name: value
            if value is None or np.ndim(value) == 0 or len(value) != n_rows
            else containers.take(value, parents)
            for name, value in params.items()
        }
        return clone(self.estimator).fit(X, y, **of_rows)

    def _new_rows(self, X: Any, y: Array, seed: int) -> tuple[Any, Array, Array]:
        """Rows against the classifier of this round, their labels and their parents."""
        every = np.arange(len(y))
        if self.sampler is None:
            return adversarial_rows(self.estimator_, X, y, random_state=seed), y, every
        sampler = clone(self.sampler)
        settings = {"surrogate": self.estimator_, "random_state": seed}
        known = sampler.get_params(deep=False)
        sampler.set_params(**{name: value for name, value in settings.items() if name in known})
        if not hasattr(sampler, "fit_resample"):
            return sampler.fit(X, y).transform(X, y), y, every
        X_new, y_new = sampler.fit_resample(X, y)
        new = np.arange(len(y), len(y_new))
        parents = getattr(sampler, "parent_indices_", None)
        if parents is None:
            raise TypeError(
                f"sampler {type(sampler).__name__} does not say which row each new one was made "
                "from (parent_indices_): take AdversarialOverSampler"
            )
        return containers.take(X_new, new), np.asarray(y_new)[new], parents[new]

    def predict(self, X: Any) -> Array:
        """The last round's classes."""
        return self._query("predict", X)

    @available_if(estimator_has("decision_function"))
    def decision_function(self, X: Any) -> Array:
        """The last round's decision, ndarray (rows,) or (rows, classes)."""
        return self._query("decision_function", X)
