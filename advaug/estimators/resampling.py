"""What the over- and the under-sampler share: checked rows and labels, counts, the coding."""

from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from imblearn.utils import check_sampling_strategy, check_target_type
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor

from advaug import containers
from advaug.core.devices import resolve
from advaug.core.features import features_of
from advaug.core.row_random import generator_at, mix_seed
from advaug.estimators.strategies import refuse_low_ratio, rows_to_make
from advaug.estimators.validation import (
    COMMITTEE,
    ROWS,
    SAMPLE,
    SharesModels,
    check_parameters,
    check_rows,
    choose_surrogate,
    learnt_coding,
    new_seed,
    reads_anything,
    refuse_classes,
    refuse_empty,
    refuse_no_labels,
)
from advaug.models.committee import Ensemble
from advaug.models.protocol import Array
from advaug.sampling.domain import Coding
from advaug.sampling.encoded_dataset import EncodedDataset, sample_of_classes


class CheckedData(NamedTuple):
    """A user's rows and labels, and what was learnt of them.

    X and y are as the user has them, `rows` as the adapter reads them. `codes` are the labels'
    places among the classes, `counts` the rows of each class and `numbers` those of the rows, in
    all data, of which X may be a sample. Where rows have weights, `counts` are sums of them.
    """

    X: Any
    y: Any
    rows: Any
    classes: np.ndarray[Any, Any]
    codes: np.ndarray[Any, Any]
    seed: int
    coding: Coding
    counts: np.ndarray[Any, Any]
    numbers: np.ndarray[Any, Any]
    weight: np.ndarray[Any, Any] | None = None

    @property
    def class_share(self) -> np.ndarray[Any, Any]:
        """The share of each class among the rows."""
        return np.asarray(self.counts / self.counts.sum())

    def take(self, rows: np.ndarray[Any, Any]) -> Self:
        """Some of the rows, as the adapter reads them."""
        X, codes = containers.take(self.rows, rows), self.codes[rows]
        weight = None if self.weight is None else self.weight[rows]
        counts = np.bincount(codes, weight, minlength=len(self.classes))
        some = self._replace(X=X, y=self.classes[codes], rows=X, codes=codes)
        return some._replace(counts=counts, numbers=self.numbers[rows], weight=weight)

    @property
    def with_weight(self) -> np.ndarray[Any, Any]:
        """The places of the rows whose weight is not 0."""
        return np.arange(len(self.codes)) if self.weight is None else np.flatnonzero(self.weight)

    def weights(self, rows: Tensor) -> Tensor | None:
        """The weights of some of the rows; None if all of them are 1."""
        if self.weight is None or (self.weight[rows.numpy()] == 1).all():
            return None
        return torch.from_numpy(self.weight)[rows]


class Sample(NamedTuple):
    """Of what rows are a sample: how many of each class there are, and each row's number."""

    counts: Mapping[Any, int]
    numbers: Any = None

    def checked(self, classes: Array, own: Array) -> tuple[Array, Array]:
        """The counts in the order of the classes, and the numbers; `own` are the sample's counts.

        ValueError where they do not fit the sample.
        """
        if set(self.counts) != set(classes.tolist()):
            raise ValueError(
                f"counts has the classes {sorted(self.counts)}, but y has {classes.tolist()}: give "
                "the number of rows of each class of y"
            )
        counts = np.array([int(self.counts[label]) for label in classes.tolist()])
        if (counts < own).any():
            label = classes.tolist()[int(np.argmax(counts < own))]
            raise ValueError(
                f"counts has {self.counts[label]} rows of class {label!r}, but the sample has more"
            )
        numbers = np.arange(own.sum()) if self.numbers is None else np.asarray(self.numbers)
        if numbers.shape != (own.sum(),) or numbers.dtype.kind not in "iu":
            raise ValueError(f"numbers must be {own.sum()} whole numbers, one for each row of X")
        return counts, numbers.astype(np.int64)


class ResamplerMixin(SharesModels):
    """An imbalanced-learn sampler of every container that an adapter accepts."""

    def __sklearn_tags__(self) -> Any:
        return reads_anything(super().__sklearn_tags__())  # type: ignore[misc]

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Resample the rows.

        Parameters
        ----------
        X : ndarray (n, features), (n, channels, time), (n, h, w) or (n, channels, h, w), pandas or
            polars frame, scipy sparse matrix, list of rows, list of (channels, time_i) arrays,
            panel of signals in a pandas frame, or list or series of texts or lists of tokens
        y : labels in any container, or one-vs-all columns

        Returns
        -------
        X, y : the same containers and dtypes
            The user's own rows stay as they are, in their order; new rows stand below them.

        Raises
        ------
        ValueError : rows or labels cannot be read, a name is not known, or things do not fit each
            other; the row, column or parameter and the mend are named
        TypeError : a parameter is of another type than it must be
        """
        refuse_classes(self)
        check_parameters(self)
        return self._fit_resample(X, y)  # type: ignore[attr-defined]

    def _check_X_y(self, X: Any, y: Any, accept_sparse: Any = None) -> tuple[Any, Any, bool]:
        """Checked rows, the labels as an array, and whether they came as one-vs-all columns."""
        checked = check_rows(self, X, reset=True)
        refuse_no_labels(y)
        target, binarize_y = containers.labels(y), False
        if containers.is_sortable(target):
            check_classification_targets(target)
            target, binarize_y = check_target_type(target, indicate_one_vs_all=True)
        containers.refuse_other_count(X, containers.count(checked), len(target))
        return X if isinstance(X, list | tuple) else checked, target, binarize_y

    def _checked_data(self, X: Any, y: Any, sample: Sample | None = None) -> CheckedData:
        """The rows and labels, checked; `sampling_strategy_` is set."""
        X, y = containers.owned(X), containers.owned(y)
        rows, target, _ = self._check_X_y(X, y)
        X = rows if isinstance(rows, containers.Panel) else X
        classes, codes = containers.classes_of(target)
        counts, numbers = np.bincount(codes), np.arange(len(codes))
        strategy, kind = self.sampling_strategy, self._sampling_type  # type: ignore[attr-defined]
        if sample is None:
            self.sampling_strategy_ = checked_strategy(strategy, target, kind)
        else:
            counts, numbers = sample.checked(classes, counts)
            pairs = zip(classes.tolist(), counts.tolist(), strict=True)
            self.sampling_strategy_ = rows_to_make(strategy, dict(pairs))
        seed = new_seed(self.random_state)  # type: ignore[attr-defined]
        coding = learnt_coding(self.adapter, rows, self.surrogate)  # type: ignore[attr-defined]
        return CheckedData(X, y, rows, classes, codes, seed, coding, counts, numbers)


def checked_strategy(strategy: Any, target: np.ndarray[Any, Any], kind: str) -> dict[Any, int]:
    """imbalanced-learn's counts of rows to make or keep, for labels that it cannot sort by codes.

    ValueError where the strategy names a class that y does not have, or asks for no new row.
    """
    if kind == "over-sampling" and isinstance(strategy, Real):
        classes, codes = containers.classes_of(target)
        refuse_low_ratio(strategy, dict(zip(classes.tolist(), np.bincount(codes), strict=True)))
    if containers.is_sortable(target):
        counts: dict[Any, int] = check_sampling_strategy(strategy, target, kind)
        return counts
    classes, codes = containers.classes_of(target)
    place = {label: code for code, label in enumerate(classes.tolist())}
    strategy = strategy(target) if callable(strategy) else strategy
    if isinstance(strategy, dict):
        if unknown := [label for label in strategy if label not in place]:
            raise ValueError(
                f"sampling_strategy names class {unknown[0]!r}, which y does not have: it has "
                f"{classes.tolist()[:12]}"
            )
        strategy = {place[label]: count for label, count in strategy.items()}
    counts = check_sampling_strategy(strategy, codes, kind)
    return {classes[code]: count for code, count in counts.items()}


def fit_dataset(
    data: CheckedData, surrogate: Any, device: str | torch.device, norm: float
) -> EncodedDataset:
    """At most 10 000 encoded rows of each class, and the committee that is trained on them."""
    labels: Tensor = torch.from_numpy(data.codes)
    coding, known = data.coding, torch.from_numpy(data.with_weight)
    kept = known[sample_of_classes(labels[known], mix_seed(data.seed, SAMPLE))]
    x, y = coding.encode(containers.take(data.rows, kept.numpy())), labels[kept]
    refuse_empty(x)
    settings = choose_surrogate(surrogate, coding)
    ensemble = settings if isinstance(settings, Ensemble) else coding.defaults().ensemble
    generator = generator_at(data.seed, COMMITTEE)
    features, there = coding.features(x, generator), resolve(device)
    seen = features_of(features.to(there), x.to(there))
    weight = data.weights(kept)
    given: dict[str, Any] = {} if weight is None else {"sample_weight": weight}
    committee = ensemble.fit(seen, y, len(data.classes), generator, **given).to("cpu")
    committee = replace(committee, features=features)
    dataset = EncodedDataset(x, y, kept, coding.space(norm), committee, mix_seed(data.seed, ROWS))
    return dataset.with_features(seen.cpu())
