"""Rows of no class that was learnt, told from rows of the known ones: open-set recognition."""

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from torch import Tensor

from advaug import containers
from advaug.core.domain import Coding
from advaug.core.norms import draw
from advaug.core.row_random import RowRandom
from advaug.domains.sequences.adapter import SequenceCoding
from advaug.domains.signals.adapter import SignalCoding
from advaug.estimators.validation import (
    SharesModels,
    check_rows,
    learnt_coding,
    new_generator,
    refuse_classes,
    target_of,
)
from advaug.models.committee import stratified_folds
from advaug.models.training import SmallNet
from advaug.robust.detector import DETECTOR_CONSTRAINTS, FEWEST, HELD_OUT, NetOutlierDetector
from advaug.robust.nets import Array, Net, answers, chosen


class UnknownDetector(SharesModels, NetOutlierDetector):
    """A small net with a class more than there are: rows that belong nowhere.

    It learns that class from rows pushed out of every class's region: each takes half of its cells
    from another row, of any class, so that single cells are as they were and nothing fits.

    Parameters
    ----------
    copies : int >= 1, default=3
        How many such rows are made of each row.
    false_alarms : float in (0, 1), default=0.05
        Share of held-out rows of known classes that are taken for unknown: it sets the threshold.
    training, adapter, device, random_state
        As in `AdversarialClassifier`.

    Attributes
    ----------
    adapter_ : the learnt coding
    net_ : the net; its last logit is the unknown class's
    offset_ : float
        Threshold on `score_samples`.
    n_features_in_, feature_names_in_

    Notes
    -----
    On scikit-learn's digits, each class hidden in turn, its AUC was .94, and the negative largest
    probability of a plain net had .89; on MNIST, three classes hidden, it was worse, .74 against
    .83: of many cells that hang together, crossed ones are told too easily. "unknown" in
    `benchmarks/results/defences.md` has the controls: measure it before you rely on it.

    References
    ----------
    Neal, Olson, Fern, Wong, Li. Open set learning with counterfactual images. ECCV 2018. Hendrycks,
    Mazeika, Dietterich. Deep anomaly detection with outlier exposure. ICLR 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.svm import SVC
    >>> from advaug.robust import RejectingClassifier, UnknownDetector
    >>> X, y = load_digits(return_X_y=True)
    >>> known = y != 9
    >>> model = RejectingClassifier(SVC(), UnknownDetector(random_state=0), reject_label=-1).fit(
    ...     X[known], y[known]
    ... )
    >>> bool(model.rejects(X[~known]).mean() > 5 * model.rejects(X[known]).mean())
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "copies": [Interval(Integral, 1, None, closed="left")],
        **DETECTOR_CONSTRAINTS,
    }

    def __init__(
        self,
        *,
        copies: int = 3,
        false_alarms: float = 0.05,
        training: Any = "auto",
        adapter: Any = "auto",
        device: Any = "auto",
        random_state: Any = None,
    ) -> None:
        self.copies = copies
        self.false_alarms = false_alarms
        self.training = training
        self.adapter = adapter
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Push rows out, then learn the classes and what belongs to none.

        Parameters
        ----------
        X : rows in any container that an adapter takes
        y : labels (n,), optional; without them all rows are one class
        """
        refuse_classes(self)
        self._validate_params()
        training = chosen(self.training)
        X = containers.rowwise(check_rows(self, containers.owned(X), reset=True))
        known = np.zeros(containers.count(X), dtype=int) if y is None else target_of(X, y)
        codes = torch.from_numpy(np.unique(known, return_inverse=True)[1].reshape(-1))
        generator = new_generator(check_random_state(self.random_state))
        self.adapter_ = learnt_coding(self.adapter, X)
        x = self.adapter_.encode(X)
        fold = stratified_folds(codes, HELD_OUT, generator)
        seen = fold != 0 if len(x) >= FEWEST else torch.ones(len(x), dtype=torch.bool)
        unknown = int(codes.max()) + 1
        out = [self._pushed(X, x, generator)[seen] for _ in range(self.copies)]
        rows = torch.cat([x[seen], *out])
        target = torch.cat([codes[seen], torch.full((len(rows) - int(seen.sum()),), unknown)])
        features = self.adapter_.features(x, generator)
        module = SmallNet(rows, unknown + 1, training.hidden_width, generator, features)
        self.net_ = Net(module, self.adapter_, True)
        self._learn(rows, target, training, generator)
        self._settle(x[~seen] if len(x) >= FEWEST else x)
        return self

    def _pushed(self, X: Any, x: Tensor, generator: torch.Generator) -> Tensor:
        """The rows, crossed and as they would be shipped."""
        space = self.adapter_.space()
        other = x[torch.randperm(len(x), generator=generator)]
        if is_woven(self.adapter_):
            share = 0.3 + 0.4 * torch.rand(len(x), generator=generator)
            moved = space.mix(x, other, share)
        else:
            columns = space.column_index(x)
            taken = torch.rand((len(x), int(columns.max()) + 1), generator=generator) < 0.5
            moved = x + space.mask_frozen((other - x) * taken[:, columns], x)
        endless = torch.full((len(x),), torch.inf)
        shipped = space.snap(
            moved, x, endless, draw(x, RowRandom.from_generator(len(x), generator))
        )
        return self.adapter_.encode(self.adapter_.decode(shipped, x, X))

    def _seen(self, X: Any) -> Tensor:
        return self.adapter_.encode(X)

    def _scores(self, seen: Tensor) -> Array:
        """Log-odds of the likeliest known class."""
        module, seen = self.net_.exact(seen)
        logits = answers(module, seen)
        best = logits[:, :-1].argmax(1)
        rest = logits.scatter(1, best[:, None], -torch.inf).logsumexp(1)
        return np.asarray((logits.gather(1, best[:, None])[:, 0] - rest).numpy())


def is_woven(coding: Coding) -> bool:
    """Whether cells hang together in time, so that rows cross as wholes."""
    return isinstance(coding, SignalCoding | SequenceCoding)
