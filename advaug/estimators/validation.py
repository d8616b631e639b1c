"""What both estimators share: checked rows, chosen settings, a clone that shares models."""

from numbers import Integral
from typing import Any, Self

import numpy as np
import torch
from imblearn.utils import check_target_type
from sklearn.base import clone
from sklearn.utils import assert_all_finite, check_array, check_consistent_length
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_feature_names, _check_n_features, column_or_1d
from torch import Tensor, nn

from advaug import containers
from advaug.attacks.ascent import Attack
from advaug.core.devices import resolve
from advaug.core.domain import Adapter, Coding
from advaug.domains.sequences.ngram_ridge import NGramRidge
from advaug.domains.signals.adapter import SignalCoding
from advaug.estimators import domain_defaults
from advaug.estimators.attacked_model import is_given, own_coding
from advaug.estimators.domain_defaults import adapter_for
from advaug.models.committee import Committee, Ensemble
from advaug.registry import ADAPTERS, ATTACKS
from advaug.sampling.encoded_dataset import EncodedDataset, sample_of_classes

LEAST_AUC = 0.6  # under it the committee has learnt nothing that could be used

SHARED_CONSTRAINTS: dict[str, list[Any]] = {
    "adapter": [StrOptions({"auto", *ADAPTERS}), HasMethods(["accepts", "fit"])],
    "surrogate": [
        *(StrOptions({"auto"}), Ensemble, NGramRidge),
        *(Committee, nn.Module, HasMethods("predict")),
    ],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "device": [str, torch.device],
    "random_state": ["random_state"],
}


class SharesModels:
    """scikit-learn's `clone` forgets what was fitted; a user's own model is handed on instead."""

    def __sklearn_clone__(self) -> Self:
        params = self.get_params(deep=False)  # type: ignore[attr-defined]
        copies = {
            name: value if is_given(value) else clone(value, safe=False)
            for name, value in params.items()
        }
        twin = type(self)(**copies)
        for kept in ("_metadata_request", "_sklearn_output_config"):
            if hasattr(self, kept):
                setattr(twin, kept, clone(getattr(self, kept), safe=False))
        return twin


def check_rows(estimator: Any, X: Any, *, reset: bool) -> Any:
    """X as it came (lists as arrays), checked for shape, size and features."""
    if isinstance(X, np.ma.MaskedArray):
        raise TypeError("X is a masked array: pass X.filled(np.nan), missing cells are understood")
    if containers.is_sequences(X):
        containers.sequences(X)
        return X
    if isinstance(X, list | tuple) and not len(X):
        raise ValueError("Found array with 0 sample(s) (shape=(0,)): at least 1 row is required")
    kind = containers.kind_of_container(X)
    if kind == "frame":
        containers.refuse_twice(X)
        if not containers.count(X) or not X.shape[1]:
            raise ValueError(
                f"Found array with {X.shape[0]} sample(s) and {X.shape[1]} feature(s) "
                f"(shape={X.shape}) while a minimum of 1 is required."
            )
    elif not containers.is_list_of_signals(X):
        containers.refuse_ragged(X)
        X = check_array(X, accept_sparse=True, dtype=None, ensure_all_finite=False, allow_nd=True)
    # Of signals the coding counts channels: a second axis may be time.
    is_counted = not isinstance(getattr(estimator, "adapter_", None), SignalCoding)
    if reset or (is_counted and np.ndim(X) <= 2):
        _check_n_features(estimator, X, reset=reset)
    _check_feature_names(estimator, X, reset=reset)
    return X


def check_X_y(estimator: Any, X: Any, y: Any) -> tuple[Any, Any, bool]:
    """Checked rows, the labels as an array, and whether they came as one-vs-all columns."""
    checked = check_rows(estimator, X, reset=True)
    X = X if isinstance(X, list | tuple) else checked
    refuse_no_labels(y)
    target = containers.labels(y)
    check_classification_targets(target)
    target, binarize_y = check_target_type(target, indicate_one_vs_all=True)
    check_consistent_length(range(containers.count(X)), target)
    return X, target, binarize_y


def reads_anything(tags: Any) -> Any:
    """The tags of a sampler that takes every container of ours."""
    tags.input_tags.allow_nan = True
    tags.input_tags.string = True
    tags.input_tags.categorical = True
    tags.input_tags.three_d_array = True
    return tags


def fit_committee(
    estimator: Any, X: Any, coding: Coding, codes: Tensor, norm: float, generator: torch.Generator
) -> EncodedDataset:
    """A committee on at most 10 000 rows of each class."""
    kept = sample_of_classes(codes, generator)
    x = coding.encode(containers.take(X, kept.numpy()))
    y = codes[kept]
    if not x[0].numel():
        raise ValueError("X has no column that can be learnt from: all of them are frozen text")
    given = estimator.surrogate
    ensemble = given if isinstance(given, Ensemble) else domain_defaults.ensemble(coding)
    device = resolve(estimator.device)
    n_classes = int(codes.max()) + 1
    features = coding.features(x, generator)
    committee = ensemble.fit(x.to(device), y, n_classes, generator, features).to("cpu")
    return EncodedDataset(x, y, kept, coding.space(norm), committee)


def refuse_classes(estimator: Any) -> None:
    """TypeError for a parameter that is a class where an instance is asked for."""
    for name, value in estimator.get_params(deep=False).items():
        if isinstance(value, type):
            raise TypeError(f"{name} must be an instance: write {name}={value.__name__}()")


def refuse_no_labels(y: Any) -> None:
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None: pass the labels")


def target_of(X: Any, y: Any) -> Any:
    """y as a vector of classes, one for each row."""
    refuse_no_labels(y)
    target = column_or_1d(containers.labels(y), warn=True)
    if target.dtype.kind in "fc":
        assert_all_finite(target, input_name="y")
    check_classification_targets(target)
    check_consistent_length(range(containers.count(X)), target)
    return target


def choose_adapter(adapter: str | Adapter, X: Any) -> Adapter:
    """The adapter named, given, or found by looking at X."""
    if not isinstance(adapter, str):
        return adapter
    return adapter_for(X) if adapter == "auto" else ADAPTERS[adapter]()


def learnt_coding(adapter: str | Adapter, X: Any, surrogate: Any = "auto") -> Coding:
    """The coding of X, or that of a surrogate with a net inside, which reads no other."""
    own = own_coding(surrogate) if isinstance(adapter, str) and adapter == "auto" else None
    return own or choose_adapter(adapter, X).fit(X)


def choose_attack(attack: str | Attack) -> Attack:
    """The attack named or given."""
    return ATTACKS[attack]() if isinstance(attack, str) else attack


def choose_ensemble(surrogate: Any, coding: Coding) -> Ensemble | NGramRidge:
    """The settings of what is attacked: the user's, or the default for such rows."""
    is_named = isinstance(surrogate, Ensemble | NGramRidge)
    return surrogate if is_named else domain_defaults.ensemble(coding)


def new_generator(random_state: np.random.RandomState) -> torch.Generator:
    """The one torch generator of a call; torch's own stays untouched."""
    return torch.Generator().manual_seed(int(random_state.randint(2**31 - 1)))
