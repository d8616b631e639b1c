"""Generated rows on their way into the user's container, and where each of them came from."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from advaug import containers
from advaug.core.deferred import Deferred
from advaug.core.storable import storable
from advaug.core.tensor_fields import picked
from advaug.sampling.class_generator import (
    MIN_CANDIDATES,
    RECORD,
    ClassRows,
    SyntheticBatch,
)
from advaug.sampling.constraints import RepairStatus, RowConstraints
from advaug.sampling.domain import Coding
from advaug.sampling.encoded_dataset import EncodedDataset
from advaug.sampling.tasks import finish_all

Array = np.ndarray[Any, Any]

MAX_CELLS = 2**22  # Encoded cells of classes that are made side by side.

# What became of a synthetic row: its place in this tuple is its code.
STATUSES = ("accepted", "retracted", "repaired", "reverted", "replaced", "copied")


@dataclass(frozen=True)
class ClassRequest:
    """Rows `start` to `stop` of a class; `name` is the recipe's in the provenance."""

    generator: ClassRows
    name: str
    start: int
    stop: int

    @property
    def count(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class RowWriter:
    """Writes generated rows on copies of their parents, in the user's container.

    Parameters
    ----------
    parents : the dataset's rows in the user's container
    coding : Coding
    dataset : EncodedDataset
    constraints : RowConstraints over the same rows
    """

    parents: Any
    coding: Coding
    dataset: EncodedDataset
    constraints: RowConstraints

    @classmethod
    def of(
        cls, X: Any, coding: Coding, dataset: EncodedDataset, constraints: RowConstraints
    ) -> Self:
        """The writer of a dataset of the rows X, over which the rules are."""
        rows = dataset.rows.numpy()
        return cls(containers.take(X, rows), coding, dataset, constraints.take(rows))

    @storable
    def repair(self, x: Tensor, parent: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
        """Encoded rows brought back to the rules: see `Repair`."""
        return self.constraints.repair(x, parent, at)

    def write(self, batch: SyntheticBatch, label: int, recipe: int) -> tuple[Any, dict[str, Array]]:
        """New rows and their record. `label` and `recipe` are codes."""
        batch, new, parents = self.rows(batch, label)
        return new, self._record(batch, parents, new, label, recipe)

    def rows(self, batch: SyntheticBatch, label: int) -> tuple[SyntheticBatch, Any, Any]:
        """The batch, its rows and their parents; a row that breaks a rule becomes its anchor."""
        new, parents, broken = self._decoded(batch)
        if broken.any():
            batch = self._with_anchors(batch, torch.from_numpy(broken), label)
            new, parents, _ = self._decoded(batch)
        return batch, new, parents

    def _decoded(self, batch: SyntheticBatch) -> tuple[Any, Any, Array]:
        """New rows, their parents, and which rows break a rule that their parent keeps."""
        parents = containers.take(self.parents, batch.parent.numpy())
        new = self.coding.decode(batch.x, picked(self.dataset.x, batch.parent), parents)
        new, broken = self.constraints.finish(new, parents)
        return new, parents, broken

    def _with_anchors(
        self, batch: SyntheticBatch, where: torch.Tensor, label: int
    ) -> SyntheticBatch:
        """The batch with anchor rows in place of some rows."""
        anchors = self.dataset.x[batch.anchor]
        margins = self.dataset.margins(label)[batch.anchor]
        instead = {
            **dict.fromkeys(("margin_before", "margin_after"), margins),
            **{n: torch.zeros(len(where)) for n in ("move_share", "distance", "by_student")},
            "repair": torch.full((len(where),), float(RepairStatus.REPLACED)),
            "p_value": torch.full((len(where),), torch.nan),
            "probability": torch.ones(len(where)),
        }
        return replace(
            batch,
            x=torch.where(where.view(-1, *[1] * (anchors.dim() - 1)), anchors, batch.x),
            parent=torch.where(where, batch.anchor, batch.parent),
            second_parent=batch.second_parent.masked_fill(where, -1),
            record={n: torch.where(where, instead[n], v) for n, v in batch.record.items()},
        )

    def _record(
        self,
        batch: SyntheticBatch,
        parents: Any,
        new: Any,
        label: int,
        recipe: int,
    ) -> dict[str, Array]:
        second = self.dataset.rows[batch.second_parent.clamp_min(0)].numpy()
        facts = {name: batch.record[name].numpy() for name in RECORD}
        record: dict[str, Any] = {
            "parent": self.dataset.rows[batch.parent].numpy(),
            "second_parent": np.where(batch.second_parent.numpy() < 0, -1, second),
            "recipe": np.full(len(second), recipe, np.int32),
            "label": np.full(len(second), label, np.int32),
            "status": status_of(facts["move_share"], facts.pop("repair")),
            **facts,
            "by_student": facts["by_student"] > 0,
        }
        if self.coding.lists_changes:
            record["changes"] = [Deferred(partial(self.coding.changes, parents, new))]
        return record


def status_of(move_share: Array, repair: Array) -> Array:
    """Codes into STATUSES: the strongest thing that was done to each row."""
    status = np.where(move_share < 1, STATUSES.index("retracted"), STATUSES.index("accepted"))
    status[repair == RepairStatus.REPAIRED] = STATUSES.index("repaired")
    status[repair == RepairStatus.REVERTED] = STATUSES.index("reverted")
    status[move_share == 0] = STATUSES.index("copied")
    status[repair == RepairStatus.REPLACED] = STATUSES.index("replaced")
    return status.astype(np.int8)


def synthetic_rows(
    writer: RowWriter, requests: list[ClassRequest], batch_size: int
) -> Iterator[tuple[Any, dict[str, Array]]]:
    """Batches of new rows of all requests, each with its record.

    Small classes are made side by side, so that each voter is asked once about the rows of all.
    """
    recipes, n_classes = sorted({request.name for request in requests}), writer.dataset.n_classes
    for parts in side_by_side(requests, batch_size, writer.dataset.x[0].numel()):
        batches = finish_all([request.generator.task(rows) for request, rows in parts])
        for (request, rows), batch in zip(parts, batches, strict=True):
            code = recipes.index(request.name)
            label = request.generator.label
            new, record = writer.write(batch, label, code)
            yield writer.coding.renumber(new, rows.numpy() * n_classes + label), record


def side_by_side(
    requests: list[ClassRequest], batch_size: int, width: int
) -> Iterator[list[tuple[ClassRequest, Tensor]]]:
    """Requests with the numbers of their rows: as many together as a batch, and memory, allow."""
    parts: list[tuple[ClassRequest, Tensor]] = []
    n_rows = n_cells = 0
    for request in (one for one in requests if one.count):
        for rows in torch.arange(request.start, request.stop).split(batch_size):
            cells = width * max(len(rows), MIN_CANDIDATES)
            if parts and (n_rows + len(rows) > batch_size or n_cells + cells > MAX_CELLS):
                yield parts
                parts, n_rows, n_cells = [], 0, 0
            parts.append((request, rows))
            n_rows, n_cells = n_rows + len(rows), n_cells + cells
    if parts:
        yield parts


def joined(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The records of all batches as one, column by column; empty columns where there are none.

    The records are emptied meanwhile, so that no column is held twice. "changes" is a list with an
    entry for each batch.
    """
    if not records:
        names = ("parent", "second_parent", "recipe", "label", "status")
        floats = [name for name in RECORD if name not in ("repair", "by_student")]
        return {
            **{name: np.empty(0, int) for name in names},
            **{name: np.empty(0, np.float32) for name in floats},
            "by_student": np.empty(0, bool),
        }
    return {
        name: [batch for one in records for batch in one.pop(name)]
        if name == "changes"
        else np.concatenate([one.pop(name) for one in records])
        for name in list(records[0])
    }
