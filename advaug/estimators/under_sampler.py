"""The under-sampler: an imbalanced-learn sampler that drops what a learner misses least.

It reads the user's container, asks a committee how deep each row lies in its class, and hands back
the rows that are left, as they were and in their own order.
"""

from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from imblearn.under_sampling.base import BaseUnderSampler
from sklearn.utils._param_validation import Interval, StrOptions

from advaug import containers
from advaug.core.devices import resolve
from advaug.core.row_random import generator_at
from advaug.estimators.choices import provided
from advaug.estimators.resampling import ResamplerMixin, fit_dataset
from advaug.estimators.validation import (
    MIN_AUC,
    ORDER,
    SHARED_CONSTRAINTS,
    choose_surrogate,
)
from advaug.models.committee import Ensemble
from advaug.registry import AdapterName
from advaug.sampling.domain import Adapter, Coding
from advaug.sampling.encoded_dataset import EncodedDataset
from advaug.sampling.thinning import UNSEEN, Depth, depth_of, order_of_dropping

BLOCK = 20_000  # rows encoded at once


class AdversarialUnderSampler(ResamplerMixin, BaseUnderSampler):
    """Under-sample by dropping rows that lie deep inside their class, or look mislabelled.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        As in imbalanced-learn; counts are exact.
    drop : {"redundant", "noisy", "both"}, default="noisy"
        "redundant": rows far from the border, by the first-order adversarial distance. "noisy":
        rows that held-out members of the committee take for another class, then rows by chance.
        "both": doubtful rows first, then redundant ones. None of them ranks clearly better than
        rows dropped at random (benchmarks/results/oversampling/undersample.md): use them where
        you want the rows beside the border, not better scores.
    sharpness : float >= 0, default=1.0
        How much likelier the deepest row goes than the shallowest: exp(sharpness) times. 0 drops
        by chance, `numpy.inf` strictly the deepest.
    doubt : float in [0, 1], default=0.5
        Held-out probability of its own class under which a row looks mislabelled.
    adapter : {"auto", "tabular", "image"} or an adapter
        Reads the container; "auto" looks at it.
    surrogate : "auto" or `Ensemble`
        The cross-fitted committee of small nets.
    batch_size : int, default=4096
        Rows at once on the device; no row depends on it.
    device : str or torch.device, default="auto"
        "auto" is cuda where there is one.
    random_state : int, RandomState or None
        Seed of all random numbers. With an int a second run gives the same results.

    Attributes
    ----------
    sampling_strategy_ : dict of class -> int
        How many rows of each class are kept.
    sample_indices_ : ndarray (rows out,)
        Which rows were kept, in their own order.
    distances_ : ndarray (n,)
        Way to the border in the adapter's units, below 0 on the wrong side; NaN in classes that
        nothing was dropped from.
    probabilities_ : ndarray (n,)
        Held-out probability of the row's own class, or NaN.
    surrogate_auc_ : dict of class -> float
        Held-out AUC of the committee. Below .6 rows are dropped by chance.
    surrogate_ : `Committee`
        The committee.
    adapter_ : `Coding`
        The fitted adapter, which reads the rows.
    n_features_in_ : int
        Number of columns of X in `fit`.
    feature_names_in_ : ndarray of str
        Names of the columns of X in `fit`, where all of them are texts.

    See Also
    --------
    advaug.AdversarialOverSampler : Over-sample with synthetic rows that held-out models agree on.

    Notes
    -----
    The committee is trained on at most 10 000 rows of each class; the others are new to it.

    References
    ----------
    Moosavi-Dezfooli, Fawzi, Frossard. DeepFool: a simple and accurate method to fool deep neural
    networks. CVPR 2016.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from advaug import AdversarialUnderSampler
    >>> X, y = make_classification(300, weights=[0.9], random_state=0)
    >>> X_new, y_new = AdversarialUnderSampler(random_state=0).fit_resample(X, y)
    >>> int((y_new == 0).sum()) == int((y_new == 1).sum()) == int((y == 1).sum())
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "sampling_strategy": BaseUnderSampler._parameter_constraints["sampling_strategy"],
        "drop": [StrOptions({"redundant", "noisy", "both"})],
        "sharpness": [Interval(Real, 0, None, closed="both")],
        "doubt": [Interval(Real, 0, 1, closed="both")],
        **SHARED_CONSTRAINTS,
        "surrogate": [StrOptions({"auto"}), Ensemble],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        drop: Literal["redundant", "noisy", "both"] = "noisy",
        sharpness: float = 1.0,
        doubt: float = 0.5,
        adapter: AdapterName | Adapter = "auto",
        surrogate: Any = "auto",
        batch_size: int = 4096,
        device: str | torch.device = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.drop = drop
        self.sharpness = sharpness
        self.doubt = doubt
        self.adapter = adapter
        self.surrogate = surrogate
        self.batch_size = batch_size
        self.device = device
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.sampler_tags.sample_indices = True
        return tags

    def _fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        data = self._checked_data(X, y)
        rows, codes, coding = data.rows, data.codes, data.coding
        if "gradient" not in provided(coding, choose_surrogate(self.surrogate, coding)):
            raise ValueError(
                "AdversarialUnderSampler requires a gradient in the rows, and rows of "
                f"{type(coding).__name__} have none: turn them into a table of numbers first, "
                "texts for instance by scikit-learn's TfidfVectorizer"
            )
        dataset = fit_dataset(data, self.surrogate, self.device, norm=2.0)
        self.distances_ = np.full(len(codes), np.nan, dtype=np.float32)
        self.probabilities_ = self.distances_.copy()
        self.surrogate_auc_: dict[Any, float] = {}
        kept = np.ones(len(codes), dtype=bool)
        for label, value in enumerate(data.classes.tolist()):
            own = np.flatnonzero(codes == label)
            count = len(own) - int(self.sampling_strategy_.get(value, len(own)))
            if count:
                self.surrogate_auc_[value] = dataset.auc(label)
                generator = generator_at(data.seed, ORDER, label)
                order = self._order(rows, own, label, value, dataset, coding, generator)
                kept[own[order[:count]]] = False
        self.sample_indices_ = np.flatnonzero(kept)
        self.surrogate_, self.adapter_ = dataset.committee, coding
        return tuple(
            containers.given_back(containers.take(own, self.sample_indices_), given)
            for own, given in ((data.X, X), (data.y, y))
        )

    def _order(
        self,
        X: Any,
        own: Any,
        label: int,
        value: Any,
        dataset: EncodedDataset,
        coding: Coding,
        generator: torch.Generator,
    ) -> Any:
        """Places of a class's rows in the order in which they go."""
        if self.surrogate_auc_[value] < MIN_AUC:
            return torch.randperm(len(own), generator=generator).numpy()
        fold = torch.full((containers.count(X),), UNSEEN)
        fold[dataset.rows] = dataset.committee.fold_of_row
        device, blocks = resolve(self.device), []
        for at in np.split(own, range(BLOCK, len(own), BLOCK)):
            x = coding.encode(containers.take(X, at))
            held_out = fold[torch.from_numpy(at)]
            blocks.append(depth_of(dataset, x, label, held_out, device, self.batch_size))
        depth = Depth.joined(blocks)
        self.distances_[own], self.probabilities_[own] = depth.distance, depth.probability
        return order_of_dropping(depth, self.drop, self.sharpness, self.doubt, generator).numpy()
