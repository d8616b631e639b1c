"""A fitted estimator as the attacked model: it is queried, never differentiated or copied.

Each query is a row in the user's own container and dtypes: a copy of the row that the attack
started from, in which the moved cells are edited.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from advaug import containers
from advaug.core.domain import RowCoding
from advaug.core.leaf_boxes import LeafBoxes
from advaug.core.objectives import Logits, RowLogits
from advaug.models.protocol import Array, AttackedModel

RESPONSES = ("decision_function", "predict_proba", "predict")
MIN_PROBABILITY = 1e-7  # A smaller probability is raised to this: no logit is infinite.
TIE_MARGIN = 1e-6  # The logit of the predicted class is raised so much: it wins every tie.
BATCH_SIZE = 16_384  # Rows that are queried at once.


class QueriedEstimator(AttackedModel):
    """Any fitted classifier, queried by its most detailed method that agrees with `predict`.

    Parameters
    ----------
    estimator : classifier
        Fitted, with `predict`, `classes_`, and perhaps `decision_function` or `predict_proba`. It
        is shared, never copied or fitted.
    leaf_boxes : `LeafBoxes`, optional
        The leaves of a tree ensemble, in encoded rows.

    Attributes
    ----------
    classes : ndarray (classes,)
        The columns of the logits.
    response : {"decision_function", "predict_proba", "predict"}
        The method that is queried. `choose_response` sets it.
    queries : int
        How many rows were queried in all.

    See Also
    --------
    advaug.models.TorchModel : A user's module as the attacked model.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from advaug.models import QueriedEstimator
    >>> X, y = load_iris(return_X_y=True)
    >>> model = QueriedEstimator(GaussianNB().fit(X, y)).choose_response(X)
    >>> model.response, model.logits(X).shape
    ('predict_proba', torch.Size([150, 3]))
    """

    def __init__(self, estimator: Any, leaf_boxes: LeafBoxes | None = None) -> None:
        self.estimator = estimator
        self.leaf_boxes = leaf_boxes
        self.classes: Array = np.asarray(estimator.classes_)
        self.response = next(name for name in RESPONSES if hasattr(estimator, name))
        self.queries = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    @property
    def provides(self) -> frozenset[str]:
        """The boxes of a tree ensemble's leaves, where they are known."""
        return frozenset() if self.leaf_boxes is None else frozenset({"leaf_boxes"})

    def encoded_logits(self, coding: RowCoding, rows: Any, seed: Tensor) -> Logits:
        """The logits of encoded rows, each decoded on the row that it starts from."""
        return QueriedLogits(self, coding, rows, seed.cpu(), torch.arange(len(seed)))

    def choose_response(self, rows: Any) -> Self:
        """Choose the first method whose largest score is the class that `predict` returns.

        With a tuned threshold, or separately calibrated probabilities, the scores favour another
        class than `predict` returns: then only the labels are queried.
        """
        predicted = self._codes(self.estimator.predict(containers.given_back(rows)))
        for name in RESPONSES:
            if hasattr(self.estimator, name):
                self.response = name
                if np.array_equal(self._scores(rows).argmax(1), predicted):
                    break
        return self

    def logits(self, rows: Any) -> Float[Tensor, "rows classes"]:
        """Logits (float64) of rows in the user's container; the predicted class has the largest."""
        if not containers.count(rows):  # Estimators refuse to be asked about no row.
            return torch.zeros(0, len(self.classes), dtype=torch.float64)
        self.queries += containers.count(rows)
        scores = torch.from_numpy(self._scores(rows))
        first = scores.argmax(1, keepdim=True)
        return scores.scatter_add(1, first, torch.full_like(scores[:, :1], TIE_MARGIN))

    def _codes(self, labels: Any) -> Array:
        order = np.argsort(self.classes)
        return order[np.searchsorted(self.classes, np.asarray(labels).ravel(), sorter=order)]

    def _scores(self, rows: Any) -> Array:
        response = getattr(self.estimator, self.response)
        scores = np.asarray(response(containers.given_back(rows)))
        if self.response == "predict":
            return np.eye(len(self.classes))[self._codes(scores)]
        scores = scores.astype(np.float64).reshape(len(scores), -1)
        if self.response == "predict_proba":
            scores = np.log(scores.clip(MIN_PROBABILITY))
        return np.hstack([-scores / 2, scores / 2]) if scores.shape[1] == 1 else scores


@dataclass(frozen=True)
class QueriedLogits(RowLogits):
    """The logits of encoded rows: each is decoded on the row that it starts from, then queried.

    Parameters
    ----------
    model : `QueriedEstimator`
    coding : `RowCoding`
    rows : container
        The user's rows.
    seed : Tensor (rows, *shape)
        The rows as they were encoded.
    start : int Tensor (batch,)
        The number of the row that each row of a batch starts from.
    """

    model: QueriedEstimator
    coding: RowCoding = field(repr=False)
    rows: Any = field(repr=False)
    seed: Tensor = field(repr=False)
    start: Tensor = field(repr=False)

    @property
    def leaf_boxes(self) -> LeafBoxes | None:  # type: ignore[override]
        """The leaves of the model's trees, where they are known."""
        return self.model.leaf_boxes

    def take(self, rows: Shaped[Tensor, " some"]) -> Self:
        """The logits for some of the rows, or for some of them several times."""
        return replace(self, start=self.start[rows.cpu()])

    def __call__(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch classes"]:
        logits = []
        for moved, start in zip(
            x.detach().cpu().split(BATCH_SIZE), self.start.split(BATCH_SIZE), strict=True
        ):
            rows = containers.take(self.rows, start.numpy())
            logits.append(self.model.logits(self.coding.decode(moved, self.seed[start], rows)))
        return torch.cat(logits).to(x)
