"""Model families of scikit-learn on encoded rows, which vote beside the nets on a new row's label.

Trees see steps and corners that small nets smooth over. Nets and trees together are right more
often than either alone. `VOTERS` vote with equal weights, so each of them weighs the classes
equally; `STACKED` are weighted by what they predict out of fold (`advaug.sampling.stack`). All but
the nearest rows take weights of rows.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.special import softmax
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from torch import Tensor

from advaug.core.tensor_fields import MovableFields, StoredFields
from advaug.models.extra_trees import ExtraTrees
from advaug.models.protocol import ModelFamily, Voter
from advaug.models.read_trees import read_trees
from advaug.models.tree_ensemble import TreeEnsemble
from advaug.models.tree_tensors import TreeTensors
from advaug.sampling.balanced_boosting import BalancedBoosting
from advaug.sampling.encoded_dataset import sample_of_classes

CLIP_AT = 8.0  # Robust standard deviations beyond which encoded numbers are clipped.
MAX_FEATURES = 32  # Columns that a tree looks at for a split.
MAX_ROWS = 2000  # Rows of each class that the voters learn from.
MANY_CLASSES = 6  # From so many classes on boosted trees cost more to ask than extra trees.


@dataclass(frozen=True)
class SklearnVoter:
    """A fitted classifier as a voter; a class that it has not seen gets 0.

    Parameters
    ----------
    classifier : classifier or None
        Its classes are the places in `classes`. None: there is one class.
    classes : int ndarray (known classes,)
    n_classes : int
    """

    classifier: Any
    classes: np.ndarray[Any, Any]
    n_classes: int

    def __call__(self, rows: Tensor) -> Tensor:
        probability = np.zeros((len(rows), self.n_classes), np.float32)
        known = 1 if self.classifier is None else answer(self.classifier, clipped(rows))
        probability[:, self.classes] = known
        return torch.from_numpy(probability).to(rows.device)


@dataclass(frozen=True, eq=False)
class TreeVoter(StoredFields, MovableFields):
    """Trees as a voter, asked on the device of the rows; a class that they have not seen gets 0.

    Parameters
    ----------
    trees : `TreeTensors`
        Their classes are the places in `classes`.
    classes : int Tensor (known classes,)
    n_classes : int
    """

    trees: TreeTensors
    classes: Int[Tensor, " known"]
    n_classes: int

    @cached_property
    def _by_device(self) -> dict[torch.device, "TreeVoter"]:
        return {self.classes.device: self}

    def __call__(self, rows: Float[Tensor, "batch width"]) -> Float[Tensor, "batch classes"]:
        there = self._by_device
        if rows.device not in there:
            there[rows.device] = self.to(rows.device)
        return there[rows.device].answer(rows)

    def answer(self, rows: Float[Tensor, "batch width"]) -> Float[Tensor, "batch classes"]:
        """The probabilities of rows that are where the trees are."""
        known = self.trees(rows.clamp(-CLIP_AT, CLIP_AT))
        if known.shape[1] == self.n_classes:
            return known
        return known.new_zeros(len(rows), self.n_classes).index_copy_(1, self.classes, known)


@np.errstate(all="ignore")  # Some kernels of BLAS flag errors in cells that they only pad with.
def fit_voter(
    classifier: Any, x: Tensor, y: Tensor, n_classes: int, sample_weight: Tensor | None = None
) -> Voter:
    """A scikit-learn classifier fitted on encoded rows; trees as tensors."""
    classes, codes = np.unique(y.numpy(), return_inverse=True)
    if len(classes) == 1:
        return SklearnVoter(None, classes, n_classes)
    given = {} if sample_weight is None else {"sample_weight": sample_weight.double().numpy()}
    fitted = classifier.fit(clipped(x), codes, **given)
    trees = fitted if isinstance(fitted, TreeEnsemble) else read_trees(fitted)
    if trees is None:
        return SklearnVoter(fitted, classes, n_classes)
    return TreeVoter(TreeTensors.of(trees), torch.from_numpy(classes), n_classes)


@np.errstate(all="ignore")
def answer(classifier: Any, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Probabilities, or the softmax of decisions where the classifier has none."""
    if hasattr(classifier, "predict_proba"):
        return np.asarray(classifier.predict_proba(x))
    decision = classifier.decision_function(x)
    return softmax(np.stack([0 * decision, decision], 1) if decision.ndim == 1 else decision, 1)


def clipped(x: Tensor) -> np.ndarray[Any, Any]:
    """Encoded rows as an array, outliers clipped."""
    return np.asarray(x.cpu().clamp(-CLIP_AT, CLIP_AT).numpy())


def draw_seed(generator: torch.Generator) -> int:
    return int(torch.randint(2**31, (), generator=generator))


def weighted_family(make: Callable[[Tensor, Tensor, torch.Generator], Any]) -> ModelFamily:
    """A family that takes weights, from what makes its classifier for rows (x, y)."""

    def family(
        x: Tensor,
        y: Tensor,
        n_classes: int,
        generator: torch.Generator,
        sample_weight: Tensor | None = None,
    ) -> Voter:
        return fit_voter(make(x, y, generator), x, y, n_classes, sample_weight)

    family.__name__ = family.__qualname__ = make.__name__
    family.__doc__ = make.__doc__
    return family


@weighted_family
def extra_trees(x: Tensor, y: Tensor, generator: torch.Generator) -> Any:
    """Extra trees on balanced classes."""
    return ExtraTrees(
        32,  # A hundred trees vote alike, at three times the cost.
        min_samples_leaf=max(3, len(y) // 400),
        max_features=max(1, min(x.shape[1] // 2, MAX_FEATURES)),
        seed=draw_seed(generator),
    )


@weighted_family
def boosting(x: Tensor, y: Tensor, generator: torch.Generator) -> Any:
    """Few boosted trees on balanced classes: one vote of several need not be the best alone."""
    return BalancedBoosting(
        max_iter=30,
        learning_rate=0.13,
        max_leaf_nodes=15,
        min_samples_leaf=10,
        max_features=min(1.0, 2 * MAX_FEATURES / x.shape[1]),
        max_bins=64,  # Histograms of 255 bins cost four times as much.
        class_weight="balanced",
        early_stopping=False,
        random_state=draw_seed(generator),
    )


VOTERS: tuple[ModelFamily, ...] = (extra_trees, boosting)


def cheapest_first(n_classes: int) -> tuple[int, ...]:
    """The places of `VOTERS` by what an answer costs: boosting has trees for each class."""
    return (1, 0) if n_classes < MANY_CLASSES else (0, 1)


@weighted_family
def full_extra_trees(x: Tensor, y: Tensor, generator: torch.Generator) -> Any:
    """Extra trees that are grown until their leaves are pure."""
    return ExtraTreesClassifier(150, random_state=draw_seed(generator))


@weighted_family
def slow_boosting(x: Tensor, y: Tensor, generator: torch.Generator) -> Any:
    """Boosted trees with a low learning rate, each of which sees half of the columns."""
    return HistGradientBoostingClassifier(
        max_iter=100,
        learning_rate=0.05,
        max_leaf_nodes=15,
        min_samples_leaf=min(10, max(2, len(y) // 20)),
        max_features=min(0.5, 2 * MAX_FEATURES / x.shape[1]) if x.shape[1] > 3 else 1.0,
        max_bins=64,
        early_stopping=False,
        random_state=draw_seed(generator),
    )


@weighted_family
def logistic(x: Tensor, y: Tensor, generator: torch.Generator) -> Any:
    """Logistic regression on balanced classes."""
    return LogisticRegression(C=0.1, class_weight="balanced", max_iter=300)


def support_vectors(
    x: Tensor,
    y: Tensor,
    n_classes: int,
    generator: torch.Generator,
    sample_weight: Tensor | None = None,
) -> Voter:
    """A support vector machine with an RBF kernel, on at most MAX_ROWS rows of each class."""
    few = sample_of_classes(y, draw_seed(generator), MAX_ROWS)
    of_few = None if sample_weight is None else sample_weight[few]
    return fit_voter(SVC(C=3.0), x[few], y[few], n_classes, of_few)


def nearest_rows(x: Tensor, y: Tensor, n_classes: int, generator: torch.Generator) -> Voter:
    """The 15 nearest rows, weighted by their distances."""
    few = sample_of_classes(y, draw_seed(generator), MAX_ROWS)
    model = KNeighborsClassifier(min(15, max(1, len(few) // 4)), weights="distance")
    return fit_voter(model, x[few], y[few], n_classes)


STACKED: Mapping[str, ModelFamily] = {
    "extra_trees": full_extra_trees,
    "boosting": slow_boosting,
    "logistic": logistic,
    "support_vectors": support_vectors,
    "nearest_rows": nearest_rows,
}


def train_voters(
    x: Tensor,
    y: Tensor,
    n_classes: int,
    generator: torch.Generator,
    families: Iterable[ModelFamily] = VOTERS,
) -> tuple[Voter, ...]:
    """A voter of each family, trained on at most MAX_ROWS rows of each class."""
    few = sample_of_classes(y, draw_seed(generator), MAX_ROWS)
    return tuple(family(x[few], y[few], n_classes, generator) for family in families)
