"""Rows with a teacher's probabilities as labels, and students that are fitted on them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import torch
from jaxtyping import Float
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import has_fit_parameter

from advaug import containers
from advaug.core.parameters import is_auto
from advaug.estimators.prior_corrected import last_step, probability_of
from advaug.estimators.resampling import CheckedData
from advaug.models.protocol import Array
from advaug.models.stacking import balanced
from advaug.models.weighting import rows_by_weight
from advaug.sampling.class_generator import GenerationConfig
from advaug.sampling.distillation import (
    LabelledCopies,
    candidate_rows,
    label_weights,
    one_label_each,
    weighted_copies,
)
from advaug.sampling.encoded_dataset import EncodedDataset
from advaug.sampling.provenance import RowWriter

BALANCE = 0.5  # Of classes whose weights are neither their shares nor equal.
BATCH_SIZE = 4096
Balance = Literal["auto"] | float  # As in `advaug.robust.DistilledClassifier`.
Labels = Literal["auto", "soft", "agreed"]  # As in `advaug.robust.DistilledClassifier`.


@dataclass(frozen=True)
class SoftRows:
    """Real rows, new ones below them, and probabilities for the class shares of the real labels.

    Parameters
    ----------
    rows : rows in the user's container
    probability : ndarray (rows, classes)
    parents : int ndarray (rows,)
        The real row that each row was made from; near rows have the same parent.
    codes : int ndarray (real rows,)
        The place in `classes` of each real row's label.
    classes, share : ndarray (classes,)
        The labels, and their shares among the real rows.
    weight : ndarray (rows,)
        How many rows each row counts for; a new row counts as its parent.
    decision_balance : float
        The domain's own, see `advaug.sampling.defaults`.
    """

    rows: Any
    probability: Float[Array, "rows classes"]
    parents: Array
    codes: Array
    classes: Array
    share: Float[Array, " classes"]
    weight: Float[Array, " rows"]
    decision_balance: float = BALANCE

    def fit(
        self,
        estimator: Any,
        random: np.random.RandomState,
        balance: Balance = "auto",
        labels: Labels = "auto",
    ) -> "Student":
        """A clone of the estimator, fitted on the rows.

        It gets a weighted copy of each row for each label; where it takes no weights, each row has
        one label, and rows are drawn in proportion to their weights. Classes weigh as much as their
        shares to the power 1 - `balance`; "auto" is .5, and the domain's own for decisions. With
        agreed labels see `fit_agreed`.
        """
        if learns_agreed(estimator, labels):
            return self.fit_agreed(estimator, random)
        learnt = balance_of(balance, BALANCE)
        parameter = weight_parameter(estimator)
        copies = self.copies(random, learnt, is_weighted=parameter is not None)
        X = containers.given_back(containers.take(self.rows, copies.place))
        y = self.classes[copies.label]
        fitted = clone(estimator).fit(X, y, **({parameter: copies.weight} if parameter else {}))
        decided = balance_of(balance, self.decision_balance)
        return Student(fitted, self.classes, self.share**learnt, len(y), self.share**decided)

    def fit_agreed(self, estimator: Any, random: np.random.RandomState) -> "Student":
        """A clone of the estimator, fitted on real rows with their own labels and on those new ones
        whose parent's label is the most probable, were the classes equally frequent."""
        label = self.codes[self.parents]
        is_agreed = balanced(self.probability, self.share).argmax(1) == label
        is_agreed[: len(self.codes)] = True
        place = np.flatnonzero(is_agreed)
        X, y = containers.take(self.rows, place), self.classes[label[place]]
        fitted = fit_by_weight(estimator, X, y, self.weight[place], int(random.randint(2**31 - 1)))
        heights = np.bincount(label[place], self.weight[place])
        return Student(fitted, self.classes, self.share / heights, len(y))

    def with_moved(self, moved: Any) -> Self:
        """The rows with others below them: each real row, moved, with the labels that it has.

        moved : rows in the user's container, as many as real ones and in their order
        """
        n = containers.count(moved)
        parents = np.arange(n)
        return replace(
            self,
            rows=containers.join(self.rows, [(moved, parents)], n),
            probability=np.concatenate([self.probability, self.probability[:n]]),
            parents=np.concatenate([self.parents, parents]),
            weight=np.concatenate([self.weight, self.weight[:n]]),
        )

    def copies(
        self, random: np.random.RandomState, balance: float = BALANCE, *, is_weighted: bool
    ) -> LabelledCopies:
        """What a student is fitted on: each row for each label, or with one label.

        In random order: a learner that holds out the last rows sees all kinds.
        """
        factor = self.share**balance
        if is_weighted:
            copies = weighted_copies(label_weights(self.probability, factor, self.weight))
        else:
            place = drawn_by_weight(self.weight, random)
            order = self.parents[place].argsort(kind="stable")
            copies = one_label_each(balanced(self.probability[place], factor), order)
            copies = replace(copies, place=place)
        order = random.permutation(len(copies.place))
        return LabelledCopies(copies.place[order], copies.label[order], copies.weight[order])


def balance_of(balance: Balance, auto: float) -> float:
    """The number that was given, or what "auto" stands for."""
    return auto if is_auto(balance) else float(balance)


def drawn_by_weight(weight: Float[Array, " rows"], random: np.random.RandomState) -> Array:
    """As many rows as there are, in their order, each as often as its weight says; see
    `rows_by_weight`. Rows of equal weights are themselves, and nothing is drawn."""
    if (weight == weight[0]).all():
        return np.arange(len(weight))
    generator = torch.Generator().manual_seed(int(random.randint(2**31 - 1)))
    return rows_by_weight(torch.from_numpy(weight), generator).numpy()


def soft_rows(
    data: CheckedData,
    dataset: EncodedDataset,
    held_out: Float[Array, "rows classes"],
    query: Callable[[Any], Array],
    *,
    n_new_rows: int | None = None,
    softening: float = 0.5,
    constraints: Any = "auto",
) -> SoftRows:
    """Real rows with softened labels, and new ones with a teacher's probabilities.

    Parameters
    ----------
    data, dataset
        The user's rows and labels, and the same rows encoded.
    held_out : ndarray (rows, classes)
        The teacher's probabilities of the real rows, by models that have not seen them.
    query : function of rows in the user's container
        The teacher's probabilities of new rows.
    n_new_rows : int, optional
        By default what suits the domain.
    softening, constraints
        As in `advaug.robust.DistilledClassifier`.
    """
    constraints = data.coding.constraints(constraints, data.rows)
    writer = RowWriter.of(data.rows, data.coding, dataset, constraints)
    n = len(data.codes)
    weight = np.ones(n) if data.weight is None else data.weight
    defaults = data.coding.defaults()
    count = defaults.n_candidates(n) if n_new_rows is None else n_new_rows
    recipe = defaults.candidates()
    config = GenerationConfig(attack=recipe.attack, repair=writer.repair)
    candidates = candidate_rows(writer, recipe, config, count, BATCH_SIZE)
    new = [(rows, dataset.rows[batch.parent].numpy()) for batch, rows in candidates]
    softened = softening * held_out
    softened[np.arange(n), data.codes] += 1 - softening
    parents = np.concatenate([np.arange(n), *(parents for _, parents in new)])
    return SoftRows(
        rows=containers.join(data.rows, new, count),
        probability=np.concatenate([softened, *(query(rows) for rows, _ in new)]),
        parents=parents,
        codes=data.codes,
        classes=data.classes,
        share=data.class_share,
        weight=weight[parents],
        decision_balance=defaults.decision_balance,
    )


@dataclass(frozen=True, eq=False)
class Student(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose probabilities are corrected to the real class shares.

    Like scikit-learn's `FrozenEstimator` it is neither fitted again nor cloned.

    Parameters
    ----------
    estimator : classifier
    classes_ : ndarray (classes,)
    factor : ndarray (classes,)
        By what the weight of each class was divided when it was fitted.
    n_rows : int
        How many rows it was fitted on.
    decision_factor : ndarray (classes,), optional
        By what `predict` divides the probabilities of the classes; None: `factor`.
    """

    estimator: Any
    classes_: Array
    factor: Array
    n_rows: int
    decision_factor: Array | None = None

    def fit(self, X: Any, y: Any) -> Self:
        """Itself: it is fitted."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_clone__(self) -> Self:
        return self

    def predict_proba(self, X: Any) -> Float[Array, "rows classes"]:
        """Probabilities for the real shares, a column for each class."""
        return balanced(probability_of(self.estimator, X, self.classes_), 1 / self.factor)

    def predict(self, X: Any) -> Array:
        """The class of each row that is most probable once divided by the decision's factor."""
        return np.asarray(self.classes_[self.decided(self.predict_proba(X)).argmax(1)])

    def decided(self, probability: Float[Array, "rows classes"]) -> Float[Array, "rows classes"]:
        """The probabilities whose largest one `predict` takes."""
        factor = self.factor if self.decision_factor is None else self.decision_factor
        return balanced(probability, factor)


def learns_agreed(estimator: Any, labels: Labels) -> bool:
    """Whether a student learns agreed labels: by default one that predicts the label of the one
    nearest row, so that it averages none."""
    has_one = getattr(last_step(estimator), "n_neighbors", None) == 1
    return labels == "agreed" or (labels == "auto" and has_one)


def fit_by_weight(
    estimator: Any, X: Any, y: Array, weight: Float[Array, " rows"] | None, seed: int
) -> Any:
    """A clone fitted with weights, or where it takes none on rows drawn in proportion to them."""
    own = containers.given_back(X)
    if weight is None:
        return clone(estimator).fit(own, y)
    if parameter := weight_parameter(estimator):
        return clone(estimator).fit(own, y, **{parameter: weight})
    drawn = drawn_by_weight(weight, np.random.RandomState(seed % 2**31))
    return clone(estimator).fit(containers.given_back(containers.take(X, drawn)), y[drawn])


def refuse_no_probability(what: str, estimator: Any) -> None:
    """ValueError where a classifier has no `predict_proba`."""
    if hasattr(estimator, "fit") and not hasattr(estimator, "predict_proba"):
        raise ValueError(
            f"{what} needs predict_proba, which {type(estimator).__name__} has not: wrap it in "
            "CalibratedClassifierCV; in a pipeline wrap the last step, e.g. make_pipeline("
            "TfidfVectorizer(), CalibratedClassifierCV(LinearSVC())), since around a whole "
            "pipeline it drops the weights"
        )


def weight_parameter(estimator: Any) -> str | None:
    """The name under which `fit` takes sample weights; None where it takes none."""
    if not hasattr(estimator, "steps"):
        return "sample_weight" if has_fit_parameter(estimator, "sample_weight") else None
    if any(hasattr(step, "fit_resample") for _, step in estimator.steps):
        return None  # A sampler inside would lose them.
    name, last = estimator.steps[-1]
    inner = weight_parameter(last)
    return f"{name}__{inner}" if inner else None
