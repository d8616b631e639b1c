"""aeon's faces: over-sampling and augmentation of aeon's collections by its own transformers.

An over-sampler changes how many cases there are, which no pipeline of aeon takes: there use
`CollectionAugmenter`, or put `AdversarialOverSampler` and aeon's classifier into
imbalanced-learn's Pipeline.
"""

from typing import Any, ClassVar

from sklearn.base import clone

from advaug.domains.signals.adapter import SignalAdapter
from advaug.estimators.over_sampler import AdversarialOverSampler
from advaug.estimators.transformer import AdversarialTransformer

try:
    from aeon.transformations.collection import BaseCollectionTransformer
except ImportError:  # said where one is made
    BaseCollectionTransformer = object

__all__ = ["CollectionAugmenter", "CollectionOverSampler"]

TAGS = {
    "capability:multivariate": True,
    "capability:unequal_length": True,
    "capability:missing_values": True,
    "X_inner_type": ["np-list", "numpy3D"],
    "requires_y": True,
}


class CollectionOverSampler(BaseCollectionTransformer):
    """`AdversarialOverSampler` called as aeon's `SMOTE` is: `fit_transform(X, y)` gives X and y.

    Parameters
    ----------
    sampler : `AdversarialOverSampler`, optional
        None: the default one, for signals.
    random_state : int, RandomState or None
        Where it is not None, in place of the sampler's own.

    Attributes
    ----------
    sampler_ : `AdversarialOverSampler`
        The fitted over-sampler. After `fit_transform` it has `provenance_` and the rest.

    Raises
    ------
    ImportError
        aeon is not installed.

    See Also
    --------
    advaug.AdversarialOverSampler : Over-sample with synthetic rows that held-out models agree on.

    Examples
    --------
    >>> from advaug.aeon import CollectionOverSampler
    >>> from advaug.datasets import load_ecg_beats
    >>> X, y = load_ecg_beats()
    >>> sampler = CollectionOverSampler(random_state=0)  # doctest: +SKIP
    >>> X_new, y_new = sampler.fit_transform(X, y)  # doctest: +SKIP
    """

    _tags: ClassVar[dict[str, Any]] = TAGS

    def __init__(self, sampler: Any = None, random_state: Any = None) -> None:
        refuse_without_aeon()
        self.sampler = sampler
        self.random_state = random_state
        super().__init__()

    def _fit(self, X: Any, y: Any = None) -> None:
        self.sampler_ = self._chosen().fit(X, y)

    def _transform(self, X: Any, y: Any = None) -> Any:
        if y is None:
            raise ValueError("an over-sampler needs labels: call fit_transform(X, y)")
        return clone(self.sampler_).fit_resample(X, y)

    def _fit_transform(self, X: Any, y: Any = None) -> Any:
        self.sampler_ = self._chosen()
        return self.sampler_.fit_resample(X, y)

    def _chosen(self) -> AdversarialOverSampler:
        own = self.sampler or AdversarialOverSampler(adapter=SignalAdapter(layout="nct"))
        made: AdversarialOverSampler = chosen(own, self)
        return made


class CollectionAugmenter(BaseCollectionTransformer):
    """`AdversarialTransformer` as a step of aeon's pipelines: as many cases as it gets.

    While a pipeline is fitted its cases are moved against their labels; what is predicted is left
    alone. So `fit_transform(X, y)` returns other cases than `fit(X, y)` and `transform(X)`.

    Parameters
    ----------
    transformer : `AdversarialTransformer`, optional
        None: ``AdversarialTransformer(adapter="signal", when="fit")``; one with ``when="always"``
        moves what is predicted, too: a stress test.
    random_state : int, RandomState or None
        Where it is not None, in place of the transformer's own.

    Attributes
    ----------
    transformer_ : `AdversarialTransformer`
        The fitted transformer.

    Raises
    ------
    ImportError
        aeon is not installed.

    See Also
    --------
    advaug.AdversarialTransformer : Move rows with an adversarial attack; labels are kept.

    Examples
    --------
    >>> from aeon.classification.distance_based import KNeighborsTimeSeriesClassifier \
# doctest: +SKIP
    >>> from aeon.pipeline import make_pipeline  # doctest: +SKIP
    >>> model = make_pipeline(CollectionAugmenter(), KNeighborsTimeSeriesClassifier()) \
# doctest: +SKIP
    """

    _tags: ClassVar[dict[str, Any]] = TAGS

    def __init__(self, transformer: Any = None, random_state: Any = None) -> None:
        refuse_without_aeon()
        self.transformer = transformer
        self.random_state = random_state
        super().__init__()

    def _fit(self, X: Any, y: Any = None) -> None:
        self.transformer_ = self._chosen().fit(X, y)

    def _transform(self, X: Any, y: Any = None) -> Any:
        return self.transformer_.transform(X, y)

    def _fit_transform(self, X: Any, y: Any = None) -> Any:
        self.transformer_ = self._chosen()
        return self.transformer_.fit_transform(X, y)

    def _chosen(self) -> AdversarialTransformer:
        own = self.transformer or AdversarialTransformer(
            adapter=SignalAdapter(layout="nct"), when="fit"
        )
        made: AdversarialTransformer = chosen(own, self)
        return made


def chosen(inner: Any, outer: Any) -> Any:
    """A clone of the estimator inside, with the random state of the one around it, if any."""
    copy = clone(inner)
    return copy if outer.random_state is None else copy.set_params(random_state=outer.random_state)


def refuse_without_aeon() -> None:
    if BaseCollectionTransformer is object:
        raise ImportError("aeon is not installed: pip install 'advaug[aeon]'")
