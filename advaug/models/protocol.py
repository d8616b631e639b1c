"""What a model is to the rest of the library: every member that anybody reads, with its default.

A class inherits from the protocol and overrides what differs; another package's class may also
just have the members. A model `provides`

- "gradient": its logits have a gradient in the encoded rows;
- "embedding": it has a `torch.nn.Embedding`, whose vectors have a gradient;
- "leaf_boxes": it is made of trees, whose leaves are known.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.core.domain import RowCoding
from advaug.core.features import Features
from advaug.core.objectives import Logits
from advaug.core.storable import storable

Array = np.ndarray[Any, Any]


class AttackedModel(Protocol):
    """What is attacked, and what votes on labels.

    Attributes
    ----------
    classes : ndarray (classes,) or None
        The classes that the columns of the logits stand for. None, the default: the model knows
        them by their numbers only.
    """

    classes: Array | None = None

    @property
    def provides(self) -> frozenset[str]:
        """What an attack can use beside the logits; nothing by default."""
        return frozenset()

    def encoded_logits(self, coding: RowCoding, rows: Any, seed: Tensor) -> Logits:
        """The logits of encoded rows that start from `seed`, which `rows` were encoded to."""
        ...

    def to(self, device: torch.device | str) -> Self:
        """The same model on another device; by default it follows the device of its rows."""
        return self

    def frozen(self) -> AbstractContextManager[Any]:
        """A block in which the model is used, and may not change; by default it never does."""
        return nullcontext(self)


class CrossFitted(AttackedModel, Protocol):
    """A model of several members, each trained without the rows of one fold.

    Attributes
    ----------
    fold_of_member : int Tensor (members,)
        The fold that each member has not seen.
    fold_of_row : int Tensor (rows,)
        The fold of each training row. Both are on the CPU.
    """

    fold_of_member: Int[Tensor, " members"]
    fold_of_row: Int[Tensor, " rows"]

    def member_logits(
        self, x: Float[Tensor, "batch *shape"]
    ) -> Float[Tensor, "members batch classes"]:
        """Each member's logits of encoded rows."""
        ...

    @storable
    def logits(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch classes"]:
        """The mean of the members' logits."""
        return self.member_logits(x).mean(0)

    def probability(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch classes"]:
        """The probability of each class."""
        ...

    def encoded_logits(self, coding: RowCoding, rows: Any, seed: Tensor) -> Logits:
        """The members' mean logits: they read encoded rows."""
        return self.logits


@runtime_checkable
class Surrogate(Protocol):
    """Settings of a model that is trained on encoded rows, then attacked.

    They inherit from this protocol and fit; every other member has a default.
    """

    @property
    def requires(self) -> frozenset[str]:
        """What the domain must provide."""
        return frozenset()

    @property
    def provides(self) -> frozenset[str]:
        """What the trained model provides, as far as the rows allow it."""
        return frozenset()

    def fit(
        self,
        x: Float[Tensor, "rows *shape"],
        y: Int[Tensor, " rows"],
        n_classes: int,
        generator: torch.Generator,
        features: Features,
    ) -> CrossFitted:
        """Train on encoded rows, of which a committee sees `features`."""
        ...


Voter = Callable[[Tensor], Tensor]  # rows (batch, width) -> probabilities (batch, classes)


class ModelFamily(Protocol):
    """A kind of model that votes on labels: it is trained on rows, each class weighted equally.

    A voter of an oversampler and a family of a `PanelJudge` are both made by one. Where rows have
    weights, a family with a parameter `sample_weight` gets them by this name; any other one is
    trained on rows drawn in proportion to their weights (`advaug.models.weighting`).
    """

    def __call__(
        self, x: Tensor, y: Tensor, n_classes: int, generator: torch.Generator, /
    ) -> Voter: ...
