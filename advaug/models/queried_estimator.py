"""A fitted estimator as the attacked model: it is only asked, never differentiated or copied.

Each query is a row in the user's own container and dtypes: a copy of the row that the attack
started from, with the cells edited that it has moved.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from advaug import containers
from advaug.core.objectives import RowLogits

RESPONSES = ("decision_function", "predict_proba", "predict")
SURE = 1e-7  # probabilities nearer to 0 are taken for this: a logit is never infinite
TIE = 1e-6  # what the predicted class has over one of equal probability
MOST_ROWS = 16_384  # asked at once

Array = np.ndarray[Any, Any]


class QueriedEstimator:
    """Any fitted classifier, asked by the best of its answers that agrees with `predict`.

    Parameters
    ----------
    estimator : object with `predict`, `classes_`, and perhaps `decision_function` or
        `predict_proba`; shared, never copied or fitted.
    regions : object, optional
        What is known of a tree ensemble's leaves, see `Regions`.

    Attributes
    ----------
    classes : ndarray, the columns of the logits
    response : str, what is asked; set by `settle`
    queries : int, how many rows were asked in all

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from advaug.models.queried_estimator import QueriedEstimator
    >>> X, y = load_iris(return_X_y=True)
    >>> model = QueriedEstimator(GaussianNB().fit(X, y)).settle(X)
    >>> model.response, model.logits(X).shape
    ('predict_proba', torch.Size([150, 3]))
    """

    def __init__(self, estimator: Any, regions: Any = None) -> None:
        self.estimator = estimator
        self.regions = regions
        self.classes = np.asarray(estimator.classes_)
        self.response = next(name for name in RESPONSES if hasattr(estimator, name))
        self.queries = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def settle(self, rows: Any) -> Self:
        """Take the first answer whose largest class is what `predict` says of these rows.

        A tuned threshold, or probabilities that were calibrated apart, speak for another class
        than `predict` does: then only its labels are asked.
        """
        predicted = self._codes(self.estimator.predict(rows))
        for name in RESPONSES:
            if hasattr(self.estimator, name):
                self.response = name
                if np.array_equal(self._scores(rows).argmax(1), predicted):
                    break
        return self

    def logits(self, rows: Any) -> Float[Tensor, "rows classes"]:
        """Logits (float64) of rows in the user's container; what is predicted is the largest."""
        self.queries += containers.count(rows)
        scores = torch.from_numpy(self._scores(rows))
        first = scores.argmax(1, keepdim=True)
        return scores.scatter_add(1, first, torch.full_like(scores[:, :1], TIE))

    def _codes(self, labels: Any) -> Array:
        order = np.argsort(self.classes)
        return order[np.searchsorted(self.classes, np.asarray(labels).ravel(), sorter=order)]

    def _scores(self, rows: Any) -> Array:
        answer = np.asarray(getattr(self.estimator, self.response)(rows))
        if self.response == "predict":
            return np.eye(len(self.classes))[self._codes(answer)]
        answer = answer.astype(np.float64).reshape(len(answer), -1)
        if self.response == "predict_proba":
            answer = np.log(answer.clip(SURE))
        return np.hstack([-answer / 2, answer / 2]) if answer.shape[1] == 1 else answer


@dataclass(frozen=True)
class QueriedLogits(RowLogits):
    """The logits of encoded rows: each is decoded on its own row of the user's, then asked.

    Parameters
    ----------
    model : Queried
    decode : callable (moved, seed, rows) -> rows
        The coding's.
    rows : the user's rows, in their container
    seed : Tensor (rows, *shape), what they were encoded to
    place : int Tensor (batch,), which of the rows each encoded row starts from
    """

    model: QueriedEstimator
    decode: Callable[[Tensor, Tensor, Any], Any]
    rows: Any
    seed: Tensor
    place: Tensor

    @classmethod
    def of(cls, model: QueriedEstimator, coding: Any, rows: Any, seed: Tensor) -> Self:
        """All the rows, each once, in their own order."""
        return cls(model, coding.decode, rows, seed.cpu(), torch.arange(len(seed)))

    @property
    def tree_regions(self) -> Any:
        """What is known of the model's leaves, if it is made of trees."""
        return self.model.regions

    def take(self, rows: Shaped[Tensor, " some"]) -> Self:
        """The same for some of the rows, or for some of them several times."""
        return replace(self, place=self.place[rows.cpu()])

    def __call__(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch classes"]:
        moved, answers = x.detach().cpu(), []
        for part in torch.arange(len(moved)).split(MOST_ROWS):
            place = self.place[part]
            rows = containers.take(self.rows, place.numpy())
            answers.append(self.model.logits(self.decode(moved[part], self.seed[place], rows)))
        return torch.cat(answers).to(x)
