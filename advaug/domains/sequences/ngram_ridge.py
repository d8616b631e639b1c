"""Bagged linear models on every n-gram of a sequence: nets see leading directions, they see all.

Each member is a ridge regression of the classes, a closed form that is solved for all members at
once, on the rows outside one fold or a bootstrap of them. How sure a score is, rows held out tell.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import sparse
from torch import Tensor
from torch.nn.functional import one_hot

from advaug.core.features import Features
from advaug.core.parameters import Parameters
from advaug.core.storable import storable
from advaug.core.tensor_fields import TensorFields
from advaug.domains.sequences.features import NGramFeatures, ngram_features_of
from advaug.models.calibration import calibrated, class_weights
from advaug.models.committee import stratified_folds
from advaug.models.protocol import CrossFitted, Surrogate

Array = np.ndarray[Any, Any]
ROUNDS = 50  # of conjugate gradients, at most
EXACT = 1e-4  # share of the first residual at which they stop


@dataclass(frozen=True, repr=False)
class FittedNGramRidge(CrossFitted, TensorFields):
    """Fitted members. Logits are `sharpness` * mean score + `offset` of the class.

    Parameters
    ----------
    weights : float array (buckets, members * classes)
    """

    grams: NGramFeatures
    weights: Array
    sharpness: float
    offset: Float[Tensor, " classes"]
    fold_of_member: Int[Tensor, " members"]
    fold_of_row: Int[Tensor, " rows"]

    def scores(self, x: Float[Tensor, "batch length"]) -> Float[Tensor, "members batch classes"]:
        """Each member's scores of encoded rows."""
        table = self.grams.tfidf(x)
        return scores_of(table, self.weights, len(self.fold_of_member)).to(x)

    @storable
    def member_logits(
        self, x: Float[Tensor, "batch length"]
    ) -> Float[Tensor, "members batch classes"]:
        """Each member's logits."""
        return self.sharpness * self.scores(x) + self.offset.to(x)

    def contributions(
        self, x: Float[Tensor, "batch length"]
    ) -> Float[Tensor, "batch length classes"]:
        """What each token adds to the logits: with `offset` they add up to them exactly."""
        mean = self.weights.reshape(len(self.weights), len(self.fold_of_member), -1).mean(1)
        return self.grams.contributions(x, self.sharpness * mean)

    @storable
    def probability(self, x: Float[Tensor, "batch length"]) -> Float[Tensor, "batch classes"]:
        """Of each class, in rows of classes that are equally frequent."""
        return self.logits(x).softmax(1)


@dataclass
class NGramRidge(Surrogate, Parameters):
    """Settings of bagged linear models on n-grams; `fit` trains them.

    Parameters
    ----------
    n_repeats, cv : int
        Members a fold, and folds.
    alpha : float > 0
        Weight of the squared length of a member's weights, beside the squared errors of all rows,
        each class as heavy as any other and the rows' mean weight 1.
    bootstrap : bool
        Whether a member learns a bootstrap of the rows outside its fold, instead of all of them.

    See Also
    --------
    advaug.models.Ensemble : Settings of the committee; `fit` trains it.

    References
    ----------
    Hoerl, Kennard. Ridge regression. Technometrics 1970. Breiman. Bagging predictors. Machine
    Learning 1996. Platt. Probabilistic outputs for support vector machines. 1999.

    Examples
    --------
    >>> import torch
    >>> from advaug.adapters import SequenceAdapter
    >>> from advaug.models import NGramRidge
    >>> texts = ["win a prize now", "call me at noon"] * 12
    >>> coding, chance = SequenceAdapter().fit(texts), torch.Generator().manual_seed(0)
    >>> x, y = coding.encode(texts), torch.tensor([1, 0] * 12)
    >>> models = NGramRidge().fit(x, y, 2, chance, coding.features(x, chance))
    >>> models.contributions(x[:1])[0, :, 1] > 0  # what each word adds to the logit of class 1
    tensor([True, True, True, True])
    """

    requires: ClassVar[frozenset[str]] = frozenset({"edits"})
    n_repeats: int = 2
    cv: int = 3
    alpha: float = 3.0
    bootstrap: bool = True

    def fit(
        self,
        x: Float[Tensor, "rows length"],
        y: Int[Tensor, " rows"],
        n_classes: int,
        generator: torch.Generator,
        features: Features,
        sample_weight: Float[Tensor, " rows"] | None = None,
    ) -> FittedNGramRidge:
        """Train on encoded rows whose n-grams `features` counts."""
        grams, rows = ngram_features_of(features, self), len(y)
        table = grams.tfidf(x)
        fold_of_row = stratified_folds(y, self.cv, generator)
        fold_of_member = torch.arange(self.cv).repeat(self.n_repeats)
        each = torch.ones(rows) if sample_weight is None else sample_weight.float()
        heavy = each * class_weights(y, each, n_classes)[y]
        drawn = torch.ones(rows, len(fold_of_member))
        drawn = torch.poisson(drawn, generator=generator) if self.bootstrap else drawn
        weight = heavy[:, None] * drawn * (fold_of_row[:, None] != fold_of_member)
        target = one_hot(y, n_classes).float() - 1 / n_classes
        weights = ridge(table, target.numpy(), weight.float().numpy(), self.alpha)
        scores = scores_of(table, weights, len(fold_of_member))
        unseen = (fold_of_row == fold_of_member[:, None])[..., None]
        held_out = (scores * unseen).sum(0) / unseen.sum(0).clamp_min(1)
        sharpness, offset = calibrated(held_out, y, each)
        return FittedNGramRidge(grams, weights, sharpness, offset, fold_of_member, fold_of_row)


def scores_of(
    table: sparse.csr_matrix, weights: Array, members: int
) -> Float[Tensor, "members batch classes"]:
    """All members' scores of rows of n-grams."""
    scores: Tensor = torch.from_numpy(table @ weights)
    return scores.reshape(len(scores), members, -1).movedim(1, 0)


def ridge(table: sparse.csr_matrix, target: Array, weight: Array, penalty: float) -> Array:
    """(buckets, members * classes): for member m and each class the w of the least
    sum_i weight_im (target_i - table_i w)^2 + penalty |w|^2, by conjugate gradients, all at once.
    """
    members, classes = weight.shape[1], target.shape[1]
    wide = weight.repeat(classes, axis=1)

    def normal(w: Array) -> Array:
        return np.asarray(table.T @ (wide * (table @ w))) + penalty * w

    rest = np.asarray(table.T @ (wide * np.tile(target, members)))
    found, way = np.zeros_like(rest), rest.copy()
    size = first = (rest * rest).sum(0)
    for _ in range(ROUNDS):
        if (size <= EXACT**2 * first).all():
            break
        turned = normal(way)
        step = size / (way * turned).sum(0).clip(1e-30)
        found += step * way
        rest -= step * turned
        before, size = size, (rest * rest).sum(0)
        way = rest + size / before.clip(1e-30) * way
    return found
