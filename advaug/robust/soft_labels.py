"""Rows with a teacher's probabilities as labels, and students that are fitted on them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from advaug import containers
from advaug.estimators.choices import is_auto
from advaug.estimators.resampling import CheckedData
from advaug.models.protocol import Array
from advaug.sampling.class_generator import GenerationConfig
from advaug.sampling.distillation import (
    LabelledCopies,
    balanced,
    candidate_rows,
    label_weights,
    one_label_each,
    weighted_copies,
)
from advaug.sampling.encoded_dataset import EncodedDataset
from advaug.sampling.provenance import RowWriter

ROWS_PER_ROW = 20  # New rows for each row of X ...
MAX_NEW_ROWS = 20_000  # ... up to so many, or one for each row of X.
BATCH_SIZE = 4096


@dataclass(frozen=True)
class SoftRows:
    """Real rows, new ones below them, and probabilities for the class shares of the real labels.

    Parameters
    ----------
    rows : rows in the user's container
    probability : ndarray (rows, classes)
    parents : int ndarray (rows,)
        The real row that each row was made from; near rows have the same parent.
    classes, share : ndarray (classes,)
        The labels, and their shares among the real rows.
    """

    rows: Any
    probability: Float[Array, "rows classes"]
    parents: Array
    classes: Array
    share: Float[Array, " classes"]

    def fit(self, estimator: Any, random: np.random.RandomState, *, balances: bool) -> "Student":
        """A clone of the estimator, fitted on the rows.

        It gets a weighted copy of each row for each label; where it takes no weights, each row has
        one label. `balances`: the classes have equal weights, where it takes weights.
        """
        parameter, params = weight_parameter(estimator), {}
        balances = balances and parameter is not None
        if parameter:
            weight = label_weights(self.probability, self.share if balances else None)
            copies = weighted_copies(weight)
        else:
            copies = one_label_each(self.probability, self.parents.argsort(kind="stable"))
        # In random order: a learner that holds out the last rows sees all kinds.
        order = random.permutation(len(copies.place))
        copies = LabelledCopies(copies.place[order], copies.label[order], copies.weight[order])
        if parameter:
            params[parameter] = copies.weight
        X, y = containers.take(self.rows, copies.place), self.classes[copies.label]
        fitted = clone(estimator).fit(X, y, **params)
        return Student(fitted, self.classes, self.share, balances, len(y))


@dataclass(frozen=True)
class SoftRowMaker:
    """Softens the labels of real rows, and makes new rows near them, whose labels a teacher says.

    Parameters
    ----------
    n_new_rows : "auto" or int
    softening : float
        The teacher's part of a real row's label.
    constraints : `Constraints`, rule or list of rules, optional
    """

    n_new_rows: Literal["auto"] | int = "auto"
    softening: float = 0.5
    constraints: Any = None

    def make(
        self,
        data: CheckedData,
        dataset: EncodedDataset,
        held_out: Float[Array, "rows classes"],
        query: Callable[[Any], Array],
    ) -> SoftRows:
        """Soft rows.

        `held_out` are probabilities of the real rows, and `query` returns those of new ones.
        """
        constraints = data.coding.constraints(self.constraints, data.rows)
        writer = RowWriter(data.rows, data.coding, dataset, constraints)
        n, count = len(data.codes), self.n_new_rows
        if is_auto(count):
            count = max(min(ROWS_PER_ROW * n, MAX_NEW_ROWS), n)
        recipe = data.coding.defaults().candidates()
        config = GenerationConfig(
            attack=recipe.attack,
            repair=lambda x, parent, at: constraints.repair(x, parent, dataset.rows[at]),
        )
        batches = [*candidate_rows(writer, recipe, config, int(count), BATCH_SIZE)]
        softened = self.softening * held_out
        softened[np.arange(n), data.codes] += 1 - self.softening
        return SoftRows(
            rows=containers.join(data.rows, batches, int(count)),
            probability=np.concatenate([softened, *(query(rows) for rows, _ in batches)]),
            parents=np.concatenate([np.arange(n), *(parents for _, parents in batches)]),
            classes=data.classes,
            share=data.class_share,
        )


@dataclass(frozen=True)
class Student:
    """A fitted classifier whose probabilities are corrected to the real class shares.

    Parameters
    ----------
    estimator : classifier
    classes : ndarray (classes,)
    share : ndarray (classes,)
        The real shares.
    is_balanced : bool
        Whether it was fitted on classes of equal weight.
    n_rows : int
        How many rows it was fitted on.
    """

    estimator: Any
    classes: Array
    share: Array
    is_balanced: bool
    n_rows: int

    def predict_proba(self, X: Any) -> Float[Array, "rows classes"]:
        """Probabilities for the real shares, a column for each class."""
        answer = self.estimator.predict_proba(X)
        probability = np.zeros((len(answer), len(self.classes)))
        probability[:, np.searchsorted(self.classes, self.estimator.classes_)] = answer
        return balanced(probability, 1 / self.share) if self.is_balanced else probability

    def predict(self, X: Any) -> Array:
        """The class of each row that is most probable if all were equally frequent."""
        most_probable = balanced(self.predict_proba(X), self.share).argmax(1)
        return np.asarray(self.classes[most_probable])


def weight_parameter(estimator: Any) -> str | None:
    """The name under which `fit` takes sample weights; None where it takes none."""
    if not hasattr(estimator, "steps"):
        return "sample_weight" if has_fit_parameter(estimator, "sample_weight") else None
    if any(hasattr(step, "fit_resample") for _, step in estimator.steps):
        return None  # A sampler inside would lose them.
    name, last = estimator.steps[-1]
    inner = weight_parameter(last)
    return f"{name}__{inner}" if inner else None
