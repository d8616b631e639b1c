"""The gate: whether soft labels or new rows help a classifier on these rows, or nothing does.

Each option is scored on rows that neither the classifier nor its teacher has seen.
"""

import warnings
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import average_precision_score, get_scorer, make_scorer

from advaug import containers
from advaug.estimators.committee_classifier import CV, CommitteeClassifier, fit_teacher_dataset
from advaug.estimators.over_sampler import MIN_ROWS, AdversarialOverSampler
from advaug.estimators.resampling import CheckedData
from advaug.estimators.validation import MIN_AUC
from advaug.models.protocol import Array
from advaug.robust.nets import AdapterParameter
from advaug.robust.soft_labels import (
    SoftRows,
    Student,
    drawn_by_weight,
    fit_by_weight,
    soft_rows,
)
from advaug.sampling.encoded_dataset import EncodedDataset

OPTIONS = ("nothing", "softened", "distilled", "over-sampled")
N_RESAMPLES = 50  # For the standard error of a gain.

Scorer = Callable[[Any, Any, Array], float]


@dataclass(frozen=True)
class Choice:
    """The report of all options, and the classifier that the chosen one gave."""

    report: Any
    estimator: Any
    n_rows: int
    teacher_score: float


@dataclass(frozen=True, eq=False)
class Lesson:
    """Rows, and a teacher that has seen no others.

    What classifiers are fitted on is made once: several classifiers may share a lesson.

    Parameters
    ----------
    data : CheckedData
    dataset : EncodedDataset
    teacher : CommitteeClassifier
    probability : ndarray (rows, classes)
        What the teacher says of the rows.
    adapter : str or Adapter
        By which the over-sampler reads the rows.
    """

    data: CheckedData
    dataset: EncodedDataset
    teacher: CommitteeClassifier
    probability: Float[Array, "rows classes"]
    adapter: AdapterParameter = "auto"

    @classmethod
    def of(cls, data: CheckedData, adapter: AdapterParameter = "auto") -> Self:
        """Rows with a teacher that is fitted on them; it says held-out probabilities."""
        data = data if data.weight is None else data.take(data.with_weight)
        dataset = fit_teacher_dataset(data, "auto", "auto")
        teacher = CommitteeClassifier().fit_encoded(data, dataset)
        return cls(data, dataset, teacher, teacher.held_out_probability_, adapter)

    @property
    def teacher_score(self) -> float:
        """Held-out area under the ROC curve, the mean over the classes."""
        return float(np.mean([*self.teacher.held_out_auc_.values()]))

    def query(self, rows: Any) -> Array:
        """The teacher's probabilities of new rows."""
        return self.teacher.encoded_probability(self.data.coding.encode(rows))

    @property
    def fold_of_row(self) -> Array:
        """The teacher's fold of each row; rows that it did not learn take turns."""
        fold = np.arange(len(self.data.codes)) % CV
        fold[self.dataset.rows.numpy()] = self.dataset.committee.fold_of_row.numpy()
        return fold

    @cached_property
    def without_folds(self) -> list[Self]:
        """`without_fold` of each fold."""
        return [self.without_fold(fold) for fold in range(CV)]

    def without_fold(self, fold: int) -> Self:
        """The other rows, with those of the teacher's models that have not seen this fold.

        These models have seen the other rows, and are too sure of their labels. What other models
        say of them out of fold would carry the labels of this fold into the score.
        """
        kept = np.flatnonzero(self.fold_of_row != fold)
        data = self.data.take(kept)
        if self.teacher.stack_.row_models:  # They have other folds.
            return self.of(data, self.adapter)
        learnt = self.dataset.rows.numpy()
        dataset = self.dataset.take(torch.from_numpy(np.flatnonzero(np.isin(learnt, kept))))
        places = np.searchsorted(kept, dataset.rows.numpy())
        dataset, teacher = replace(dataset, rows=torch.from_numpy(places)), copy(self.teacher)
        teacher.stack_ = self.teacher.stack_.without_fold(fold)
        return replace(
            self,
            data=data,
            dataset=dataset,
            teacher=teacher,
            probability=teacher.encoded_probability(data.coding.encode(data.rows)),
        )

    @cached_property
    def softened(self) -> SoftRows:
        """The rows with softened labels, and no new ones."""
        return soft_rows(self.data, self.dataset, self.probability, self.query, n_new_rows=0)

    @cached_property
    def distilled(self) -> SoftRows:
        """The rows with softened labels, and new ones with the teacher's."""
        return soft_rows(self.data, self.dataset, self.probability, self.query)

    @cached_property
    def over_sampled(self) -> tuple[Any, Array, Array | None]:
        """Rows and labels of the over-sampler, and the weights of their parents."""
        data = self.data
        sampler = AdversarialOverSampler(adapter=self.adapter, random_state=data.seed)
        X, y = sampler.fit_resample(data.rows, data.classes[data.codes])
        return X, y, None if data.weight is None else data.weight[sampler.parent_indices_]

    def fit(self, estimator: Any, option: str) -> tuple[Any, int]:
        """A clone of the estimator, fitted by the option, and on how many rows."""
        data = self.data
        if option == "nothing":
            y = data.classes[data.codes]
            return fit_by_weight(estimator, data.rows, y, data.weight, data.seed), len(y)
        if option == "over-sampled":
            X, y, weight = self.over_sampled
            fitted = fit_by_weight(estimator, X, y, weight, data.seed)
            factor = data.class_share / self._heights(y, weight)
            student = Student(fitted, data.classes, factor, len(y))
        else:
            soft = self.softened if option == "softened" else self.distilled
            student = soft.fit(estimator, np.random.RandomState(data.seed))
        return student, student.n_rows

    def _heights(self, y: Array, weight: Array | None) -> Array:
        """The weight of each class among over-sampled rows; 1 without weights: they are equal."""
        if weight is None:
            return np.ones(len(self.data.classes))
        return np.bincount(np.searchsorted(self.data.classes, y), weight)


@dataclass(frozen=True, eq=False)
class HeldOutAnswers(ClassifierMixin, BaseEstimator):
    """What models say of rows that they have not seen, as a classifier that a scorer can ask.

    Parameters
    ----------
    classes_ : ndarray (classes,)
    probability : ndarray (rows, classes)
    label : ndarray (rows,)
    """

    classes_: Array
    probability: Float[Array, "rows classes"]
    label: Array

    def predict_proba(self, X: Any) -> Array:
        """The probabilities of the rows."""
        return self._of(X, self.probability)

    def predict(self, X: Any) -> Array:
        """The classes of the rows."""
        return self._of(X, self.label)

    def _of(self, X: Any, answers: Array) -> Array:
        """The answers; ValueError if X cannot be the rows that were asked about."""
        if containers.count(X) != len(answers):
            raise ValueError("scoring may ask the estimator about the rows that it is given, alone")
        return answers

    def take(self, rows: Array) -> Self:
        """The answers for some of the rows."""
        return type(self)(self.classes_, self.probability[rows], self.label[rows])


def choose(
    estimator: Any, lesson: Lesson, scoring: Any = None, n_jobs: int | None = None
) -> Choice:
    """Score all options out of fold, and fit the estimator by the best one on all rows.

    An option is taken if its gain over nothing is above one standard error.
    """
    data = lesson.data
    score = error = np.full(len(OPTIONS), np.nan)
    if can_be_scored(data) and lesson.teacher_score >= MIN_AUC:
        score, error = scores(
            held_out_answers(estimator, lesson, n_jobs), data, scorer_of(scoring, data)
        )
    gain = score - score[0]
    best = int(np.where(gain > error, gain, 0).argmax())
    fitted, n_rows = lesson.fit(estimator, OPTIONS[best])
    places = np.arange(len(OPTIONS))
    columns = {"option": places, "score": score, "gain": gain, "standard_error": error}
    report = containers.table(columns | {"chosen": places == best}, {"option": OPTIONS})
    return Choice(report, fitted, n_rows, lesson.teacher_score)


def can_be_scored(data: CheckedData) -> bool:
    """Whether each class has enough rows; a warning names the smallest if it has not."""
    counts = np.bincount(data.codes)
    if counts.min() >= MIN_ROWS:
        return True
    warnings.warn(
        f"too few rows to learn from in class {data.classes.tolist()[counts.argmin()]!r}, at least "
        f"{MIN_ROWS} are needed to choose an option: the estimator is fitted as it is",
        UserWarning,
        stacklevel=4,
    )
    return False


def scorer_of(scoring: Any, data: CheckedData) -> Scorer:
    """The user's scorer; by default average precision of the rarer class, or AUC of several."""
    if scoring is None and len(data.classes) == 2:
        rarer = data.classes[1 if data.class_share[1] <= 0.5 else 0]
        return make_scorer(
            average_precision_score, response_method="predict_proba", pos_label=rarer
        )
    return get_scorer("roc_auc_ovr" if scoring is None else scoring)


def held_out_answers(
    estimator: Any, lesson: Lesson, n_jobs: int | None = None
) -> list[HeldOutAnswers]:
    """For each option what the estimator, fitted without each fold, says of the fold's rows."""
    data, fold = lesson.data, lesson.fold_of_row
    answers = [
        HeldOutAnswers(
            data.classes, np.empty((len(fold), len(data.classes))), data.classes[data.codes]
        )
        for _ in OPTIONS
    ]
    of_fold = [np.flatnonzero(fold == one) for one in range(CV)]
    said = Parallel(n_jobs=n_jobs)(
        delayed(answers_of_fold)(estimator, inner, containers.take(data.rows, rows))
        for inner, rows in zip(lesson.without_folds, of_fold, strict=True)
    )
    for rows, by_option in zip(of_fold, said, strict=True):
        for answer, (probability, label) in zip(answers, by_option, strict=True):
            answer.probability[rows], answer.label[rows] = probability, label
    return answers


def answers_of_fold(estimator: Any, inner: Lesson, X: Any) -> list[tuple[Array, Array]]:
    """The probabilities and classes of a fold's rows by the estimator fitted by each option."""
    said = []
    for option in OPTIONS:
        with warnings.catch_warnings():
            # That the class has few rows is said where all of them are over-sampled.
            warnings.filterwarnings("ignore", "too few rows to learn from", UserWarning)
            fitted, _ = inner.fit(estimator, option)
        own = containers.given_back(X)
        said.append((fitted.predict_proba(own), fitted.predict(own)))
    return said


def scores(
    answers: list[HeldOutAnswers], data: CheckedData, scorer: Scorer
) -> tuple[Float[Array, " options"], Float[Array, " options"]]:
    """The score of each option, and the standard error of its gain over the first (bootstrap).

    Answers of all folds are scored at once: a fold holds few rows of a rare class. Weighted rows
    are drawn in proportion to their weights, since a scorer may take none.
    """

    n, random = len(data.codes), np.random.RandomState(data.seed)
    weight = np.ones(n) if data.weight is None else data.weight

    def score(rows: Array) -> list[float]:
        X, y = containers.take(data.rows, rows), data.classes[data.codes[rows]]
        return [scorer(answer.take(rows), X, y) for answer in answers]

    every = drawn_by_weight(weight, random)
    order = every[np.argsort(data.codes[every], kind="stable")]
    classes = np.split(order, np.bincount(data.codes[every]).cumsum()[:-1])
    drawn = [
        np.concatenate([random.choice(rows, len(rows)) for rows in classes])
        for _ in range(N_RESAMPLES)
    ]
    resampled = np.array([score(rows) for rows in drawn])
    error = (resampled - resampled[:, :1]).std(axis=0, ddof=1)
    return np.array(score(every)), error
