"""A detector of rows of classes that were not in the training data: open-set recognition."""

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from torch import Tensor

from advaug import containers
from advaug.estimators.validation import learnt_coding, new_generator
from advaug.robust.net_outlier_detector import (
    DETECTOR_CONSTRAINTS,
    NetOutlierDetector,
    RowReader,
    split_rows,
)
from advaug.robust.nets import (
    AdapterParameter,
    Device,
    RandomState,
    TrainingParameter,
    rounded_rows,
)


class UnknownDetector(NetOutlierDetector):
    """A network with one extra class for out-of-distribution rows.

    The extra class is learnt from synthetic outliers. Each of them takes half of its cells from
    another row of any class, so that single cells are as they were but do not fit together. A
    signal or a sequence, whose cells are in an order, is mixed with another one instead: the share
    of the other one is between .3 and .7.

    Parameters
    ----------
    n_outliers : int >= 1, default=3
        How many outliers are made of each row.
    false_alarm_rate : float in (0, 1), default=0.05
        Share of held-out rows of known classes that are taken for unknown. It sets the threshold.
    training : `Training` or "auto", default="auto"
        As in `AdversarialClassifier`.
    adapter : {"auto", "tabular", "image", "signal", "sequence"} or adapter, default="auto"
        Reads the rows. "auto" is the first one that accepts them.
    device : str or torch.device, default="auto"
        "auto" is cuda where there is one.
    random_state : int, RandomState or None, default=None
        Seed of all random numbers. With an int a second run gives the same results.

    Attributes
    ----------
    adapter_ : `Coding`
        The fitted adapter.
    net_ : `NetWithCoding`
        The net, whose last logit is that of the unknown class.
    offset_ : float
        Threshold on `score_samples`.
    n_features_in_ : int
        Number of columns of X in `fit`.
    feature_names_in_ : ndarray of str
        Names of the columns of X in `fit`, where all of them are texts.

    See Also
    --------
    advaug.robust.AdversarialDetector :
        A small net that tells original rows (1) from rows that an attack has moved (-1).
    advaug.robust.RejectingClassifier :
        A classifier that returns no class for rows which a detector takes for outliers.

    Notes
    -----
    On scikit-learn's digits, with each class hidden in turn, the mean AUC was .94; the negative
    largest probability of a plain net had .89. On MNIST with three classes hidden it was worse, .74
    against .83: where many cells depend on each other, crossed rows are too easy to recognize.
    "unknown" in `benchmarks/results/defences.md` has the controls: measure it before you rely on
    it.

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
        "n_outliers": [Interval(Integral, 1, None, closed="left")],
        **DETECTOR_CONSTRAINTS,
    }

    def __init__(
        self,
        *,
        n_outliers: int = 3,
        false_alarm_rate: float = 0.05,
        training: TrainingParameter = "auto",
        adapter: AdapterParameter = "auto",
        device: Device = "auto",
        random_state: RandomState = None,
    ) -> None:
        self.n_outliers = n_outliers
        self.false_alarm_rate = false_alarm_rate
        self.training = training
        self.adapter = adapter
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Make the outliers, then learn the classes and the outliers.

        Parameters
        ----------
        X : container of rows
            Rows in any container that an adapter takes.
        y : labels (n,), optional
            Without them all rows are of one class.

        Returns
        -------
        object
            The fitted estimator itself.
        """
        X, y, training = self._check(X, y)
        y = np.zeros(containers.count(X), dtype=int) if y is None else y
        codes = torch.from_numpy(np.unique(y, return_inverse=True)[1].reshape(-1))
        generator = new_generator(check_random_state(self.random_state))
        self.adapter_ = learnt_coding(self.adapter, X)
        self._reader = RowReader(self.adapter_)
        x = self._reader(X)
        known, held_out = split_rows(codes, generator)
        outliers = [self._outliers(X, x, generator)[known] for _ in range(self.n_outliers)]
        rows = torch.cat([x[known], *outliers])
        target = torch.full((len(rows),), int(codes.max()) + 1)
        target[: len(known)] = codes[known]
        self._fit_net(rows, target, training, generator, self.adapter_.features(x, generator))
        self._set_threshold(x[held_out])
        return self

    def _outliers(self, X: Any, x: Tensor, generator: torch.Generator) -> Tensor:
        """One outlier of each row, rounded as its container rounds it."""
        space = self.adapter_.space()
        other = x[torch.randperm(len(x), generator=generator)]
        if "ordered" in self.adapter_.provides:
            share = 0.3 + 0.4 * torch.rand(len(x), generator=generator)
            crossed = space.mix(x, other, share)
        else:
            columns = space.column_index(x)
            takes = torch.rand((len(x), int(columns.max()) + 1), generator=generator) < 0.5
            crossed = x + space.mask_frozen((other - x) * takes[:, columns], x)
        return self.adapter_.encode(rounded_rows(crossed, x, X, self.adapter_, generator))
