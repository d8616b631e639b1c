"""Rows of the user's container to tensors and back: the part of a domain that models need."""

import math
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from advaug.core.objectives import Logits
from advaug.core.space import Space

# The words that `provides` and `requires` hold.
# Rows provide
#   "cells": they are numbers, each of which may move by a little;
#   "gradient": a model on encoded rows has a gradient in them;
#   "columns": X has columns that are counted and named;
#   "affine_columns": these hold numbers only, which a formula can read;
#   "ordered": the cells of a row are in an order, such as time;
#   "time_axis": they are (channels, time);
#   "descriptors": their features hold some that a new row must share with its class;
#   "edits": they are sequences that move by edits.
# Models provide
#   "gradient": they are differentiable in the rows (rows and model must both provide it);
#   "embedding": they read tokens through a `torch.nn.Embedding`;
#   "leaf_boxes": they are made of trees whose thresholds can be read.
Capabilities = frozenset[str]
# `native` gives one number for each column, an affine function of the encoded row.
AFFINE_COLUMNS = "affine_columns"
# Numbers that move by a little: most rows are.
CELLS: Capabilities = frozenset({"cells", "gradient"})


@runtime_checkable
class RowCoding(Protocol):
    """Rows to tensors, their space, and back."""

    @property
    def provides(self) -> Capabilities:
        """What attacks, recipes and judges may require of the rows: see `Capabilities`."""
        return CELLS

    def encode(self, X: Any) -> Tensor:
        """(rows, *shape) float32, on the CPU."""
        ...

    def decode(self, moved: Tensor, seed: Tensor, rows: Any) -> Any:
        """Copies of `rows` (encoded: `seed`) with the cells edited that `moved` has moved."""
        ...

    def space(self, norm: float = math.inf) -> Space:
        """Where encoded rows may move."""
        ...

    def native(self, x: Tensor) -> Tensor:
        """Encoded rows as the user's own net takes them: differentiable, in the user's units."""
        return x

    @property
    def base(self) -> "RowCoding":
        """The coding without budgets."""
        return self

    def in_base(self, x: Tensor) -> Tensor:
        """Encoded rows as the coding without budgets encodes them."""
        return x

    def from_base(self, x: Tensor) -> Tensor:
        """Rows encoded by the coding without budgets as this one encodes them."""
        return x

    def layouts(self) -> list[Callable[[Tensor], Tensor]]:
        """From encoded rows to a user's net: the first of these that it can read is taken."""
        return [self.native]

    def other_units(self) -> dict[str, Callable[[Tensor], Tensor]]:
        """Units that a user's net may have been trained on instead: the mend -> from encoded rows.

        They are only tried, to say what is wrong with a net that does not agree with its labels.
        """
        return {}

    def check_net(self, logits: Logits, rows: Tensor) -> None:
        """ValueError with the mend for a user's net that such rows will not fit."""
        return None
