"""The committee as a classifier of its own: nets and other families, stacked out of fold."""

from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import roc_auc_score
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from advaug import containers
from advaug.core.parameters import is_auto
from advaug.core.row_random import generator_at
from advaug.estimators.choices import choose_voters
from advaug.estimators.doc_link import DocLinkMixin
from advaug.estimators.resampling import CheckedData, fit_dataset
from advaug.estimators.validation import (
    SHARED_CONSTRAINTS,
    SURROGATE,
    VOTERS,
    Voters,
    check_parameters,
    check_rows,
    checked_weights,
    learnt_coding,
    new_seed,
    reads_anything,
    refuse_classes,
    refuse_one_class,
    target_of,
)
from advaug.models.committee import Committee, Ensemble
from advaug.models.protocol import Array, ModelFamily
from advaug.models.stacking import balanced
from advaug.models.weighting import takes_weights
from advaug.registry import AdapterName
from advaug.sampling.domain import Adapter, Coding
from advaug.sampling.encoded_dataset import EncodedDataset
from advaug.sampling.stack import Stack, fit_stack

CV = 4  # Folds in which all models are trained.


class CommitteeClassifier(DocLinkMixin, ClassifierMixin, BaseEstimator):
    """Small nets, trees, linear and other models, weighted by what they predict out of fold.

    Take it where you may choose the classifier. Where another one must be used, it is the teacher
    of `advaug.robust.DistilledClassifier`.

    Parameters
    ----------
    voters : "auto", name, callable, list of them or None, default="auto"
        The families beside the nets. "auto" is extra trees, boosting, logistic regression, a
        support vector machine and nearest rows, for sequences also a linear model on n-grams. A
        callable takes (features, labels, n_classes, torch.Generator) and returns a function from
        features to probabilities; with a further parameter `sample_weight` it gets the weights of
        the rows, if there are any. None leaves the nets alone.
    surrogate : "auto" or `Ensemble`, default="auto"
        The settings of the nets.
    adapter : {"auto", "tabular", "image", "signal", "sequence"} or an adapter, default="auto"
        Reads the container. "auto" is the first one that accepts it.
    device : str or torch.device, default="auto"
        Where the nets are trained. "auto" is cuda where there is one.
    random_state : int, RandomState or None, default=None
        Seed of all random numbers. With an int a second run gives the same results.

    Attributes
    ----------
    classes_ : ndarray (classes,)
        The class labels.
    held_out_probability_ : ndarray (rows, classes)
        Probabilities of the rows of `fit`, by models that have not seen them.
    held_out_auc_ : dict of class -> float
        Area under the ROC curve of these probabilities, the class against the rest.
    weights_ : dict of model -> ndarray (classes,)
        The weights of each model's log-probabilities.
    stack_ : `Stack`
        The models of all folds and their weights.
    adapter_ : `Coding`
        The fitted adapter, which reads and writes the rows.
    model_ : `Committee`
        The nets: pass the fitted classifier as `surrogate`, and they are attacked.
    n_features_in_ : int
        Number of columns of X in `fit`.
    feature_names_in_ : ndarray of str
        Names of the columns of X in `fit`, where all of them are texts.

    See Also
    --------
    advaug.robust.DistilledClassifier :
        A classifier that learns a teacher's probabilities, on the rows and on many new ones.
    advaug.PriorCorrectedClassifier :
        A classifier that was trained on resampled rows, with probabilities for the real shares.

    Notes
    -----
    Probabilities are those of the class shares in y. No model is trained again on all rows: a new
    row is predicted by the models of all folds. Of a class with more than 10 000 rows a random
    sample is learnt.

    A row of weight 2 counts as the row twice, in each model, in the weights of the models and in
    the class shares. Nets draw their rows in proportion to the weights. A family that takes no
    weights (nearest rows, a callable without `sample_weight`) is trained on as many rows drawn in
    proportion to them. A row of weight 0 is not learnt; nothing is as if it was not there, but for
    its line in `held_out_probability_`.

    References
    ----------
    Wolpert. Stacked generalization. Neural Networks 1992. Breiman. Stacked regressions. Machine
    Learning 1996 (weights that are not negative).

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from advaug import CommitteeClassifier
    >>> X, y = make_classification(300, weights=[0.9], random_state=0)
    >>> committee = CommitteeClassifier(random_state=0).fit(X, y)
    >>> committee.predict_proba(X[:2]).shape
    (2, 2)
    >>> bool(committee.held_out_auc_[1] > 0.8)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "voters": [str, callable, list, tuple, None],
        **{name: SHARED_CONSTRAINTS[name] for name in ("adapter", "device", "random_state")},
        "surrogate": [str, Ensemble],
    }

    def __init__(
        self,
        *,
        voters: Literal["auto"] | Voters | None = "auto",
        surrogate: Any = "auto",
        adapter: AdapterName | Adapter = "auto",
        device: str | torch.device = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.voters = voters
        self.surrogate = surrogate
        self.adapter = adapter
        self.device = device
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = reads_anything(super().__sklearn_tags__())
        tags.input_tags.sparse = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train all models, and learn their weights.

        Parameters
        ----------
        X : container of rows
            Rows in any container that an adapter takes.
        y : array-like of shape (n_rows,)
            The label of each row.
        sample_weight : array-like of shape (n_rows,), optional
            How many rows each row counts for.

        Returns
        -------
        object
            The fitted estimator itself.

        Raises
        ------
        ValueError
            If y has one class, a class has no row with a weight above 0, or a name is not known.
        """
        refuse_classes(self)
        check_parameters(self)
        data = checked_data(self, X, y, sample_weight)
        if self.voters is not None and not is_auto(self.voters):
            choose_voters(self.voters)  # An unknown name is refused before any work.
        return self.fit_encoded(data, fit_teacher_dataset(data, self.surrogate, self.device))

    def fit_encoded(self, data: CheckedData, dataset: EncodedDataset) -> Self:
        """The same on rows that are encoded already, with the nets that were trained on them."""
        weight = data.weights(dataset.rows)
        self.stack_ = fit_teacher(data.coding, data.seed, dataset, self.voters, weight)
        self.adapter_, self.classes_ = data.coding, data.classes
        learnt = np.bincount(dataset.y, None if weight is None else weight)
        self._share_factor = data.counts / learnt
        self.held_out_probability_ = self._held_out(data, dataset)
        self.held_out_auc_ = {
            value: auc_of(self.held_out_probability_[:, label], data.codes == label, data.weight)
            for label, value in enumerate(data.classes.tolist())
        }
        self.weights_ = dict(zip(self.stack_.names, self.stack_.slope, strict=True))
        return self

    def _held_out(self, data: CheckedData, dataset: EncodedDataset) -> Array:
        """Of the rows that were learnt by held-out models, of all others by the whole stack."""
        probability = np.empty((len(data.codes), len(data.classes)))
        probability[dataset.rows.numpy()] = self.stack_.held_out
        rest = np.setdiff1d(np.arange(len(data.codes)), dataset.rows.numpy())
        if len(rest):
            x = data.coding.encode(containers.take(data.rows, rest))
            probability[rest] = self.stack_.probability(x)
        return self._at_real_shares(probability)

    def _at_real_shares(self, probability: Array) -> Array:
        """Corrected where a class was represented by a sample."""
        return balanced(probability, 1 / self._share_factor)

    @property
    def model_(self) -> Committee:
        """The nets as an attack takes them."""
        stack: Stack = self.stack_
        return stack.committee

    def predict_proba(self, X: Any) -> Array:
        """Probabilities at the class shares of `fit`, ndarray (rows, classes).

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
        X = check_rows(self, containers.owned(X), reset=False)
        return self.encoded_probability(self.adapter_.encode(X))

    def encoded_probability(self, x: Tensor) -> Array:
        """The same of encoded rows."""
        stack: Stack = self.stack_
        return self._at_real_shares(stack.probability(x))

    def predict(self, X: Any) -> Array:
        """The most probable class of each row.

        Parameters
        ----------
        X : container of rows
            Rows as in `fit`.

        Returns
        -------
        ndarray of shape (n_rows,)
            The predicted class of each row.
        """
        most_probable = self.predict_proba(X).argmax(1)  # It checks that there are classes.
        return np.asarray(self.classes_[most_probable])


def fit_teacher(
    coding: Coding, seed: int, dataset: EncodedDataset, voters: Any, weight: Tensor | None = None
) -> Stack:
    """The nets of a dataset and models of other families, stacked out of fold.

    With weights a model of the domain that does not take them is left out.
    """
    row_models = tuple(
        dataset.train(settings, generator_at(seed, SURROGATE), weight)
        for settings in coding.defaults().row_surrogates
        if weight is None or takes_weights(settings.fit)
    )
    families = families_of(voters, coding)
    return fit_stack(dataset, families, row_models, generator_at(seed, VOTERS), weight)


def families_of(voters: Any, coding: Coding) -> dict[str, ModelFamily]:
    """The families that are stacked with the nets, by name."""
    if voters is None:
        return {}
    if is_auto(voters):
        return dict(coding.defaults().stacked)
    return {getattr(one, "__name__", str(one)): one for one in choose_voters(voters)}


def fit_teacher_dataset(
    data: CheckedData, surrogate: Any, device: str | torch.device
) -> EncodedDataset:
    """The encoded rows with their nets; by default of CV folds, in which all models are trained."""
    if is_auto(surrogate):
        surrogate = replace(
            data.coding.defaults().ensemble, cv=CV, n_repeats=12 // CV, batch_size=128
        )
    return fit_dataset(data, surrogate, device, norm=2.0)


def checked_data(estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> CheckedData:
    """A classifier's rows, labels and weights, checked; ValueError if they are of one class.

    The coding is learnt from the rows whose weight is not 0.
    """
    X = containers.owned(X)
    rows = containers.rowwise(check_rows(estimator, X, reset=True))
    target = np.asarray(target_of(rows, y))
    classes, codes = containers.classes_of(target)
    refuse_one_class(classes)
    weight, learnt = checked_weights(sample_weight, codes, classes), rows
    if weight is not None and (weight == 1).all():
        weight = None
    if weight is not None and not weight.all():
        learnt = containers.take(rows, np.flatnonzero(weight))
    coding = learnt_coding(estimator._adapter, learnt)
    seed, counts = new_seed(estimator.random_state), np.bincount(codes, weight)
    numbers = np.arange(len(codes))
    return CheckedData(X, y, rows, classes, codes, seed, coding, counts, numbers, weight)


def auc_of(score: Array, is_own: Array, weight: Array | None = None) -> float:
    """Area under the ROC curve."""
    return float(roc_auc_score(is_own, score, sample_weight=weight))
