"""Accepted rows on their way into the user's container, and what is written down of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from advaug import containers
from advaug.core.domain import Coding, RepairStatus, RowConstraints
from advaug.domains.sequences.adapter import SequenceCoding
from advaug.sampling.encoded_dataset import EncodedDataset
from advaug.sampling.engine import RECORD, SyntheticBatch
from advaug.sampling.recipes import Recipe

FLAGS = ("retracted", "repaired", "reverted", "replaced")


@dataclass(frozen=True)
class ClassRequest:
    """What is to be grown for one class."""

    label: int
    count: int
    name: str
    recipe: Recipe
    is_fallback: bool = False


class ProvenanceRecorder:
    """The record of new rows: its columns are laid out once and filled batch by batch."""

    def __init__(
        self,
        X: Any,
        coding: Coding,
        pool: EncodedDataset,
        constraints: RowConstraints,
        orders: list[ClassRequest],
    ) -> None:
        self.X, self.coding, self.pool, self.constraints = X, coding, pool, constraints
        self.recipes = sorted({order.name for order in orders})
        self.done, total = 0, sum(order.count for order in orders)
        self.record: dict[str, np.ndarray[Any, Any]] = {
            **{name: np.empty(total, dtype=int) for name in ("parent", "mate")},
            **{name: np.empty(total, dtype=np.int32) for name in ("recipe", "label")},
            **{name: np.empty(total, dtype=np.float32) for name in RECORD if name != "mended"},
            **{name: np.empty(total, dtype=bool) for name in FLAGS},
        }
        self.changes: list[dict[str, Any]] | None = (
            [] if isinstance(coding, SequenceCoding) else None
        )

    def finish(self, grown: SyntheticBatch, order: ClassRequest) -> Any:
        """The batch decoded on copies of its parents; what breaks a rule becomes its home row."""
        parent = self.pool.rows[grown.parent].numpy()
        rows, seed, x = containers.take(self.X, parent), self.pool.x[grown.parent], grown.x
        new, bad = self.constraints.finish(self.coding.decode(x, seed, rows), rows)
        facts: dict[str, Any] = {name: grown.record[name].numpy() for name in RECORD}
        mate = np.where(grown.mate < 0, -1, self.pool.rows[grown.mate].numpy())
        if bad.any():
            home = grown.home[torch.from_numpy(bad)]
            grown.parent[torch.from_numpy(bad)] = home
            parent = self.pool.rows[grown.parent].numpy()
            rows, seed = containers.take(self.X, parent), self.pool.x[grown.parent]
            x[torch.from_numpy(bad)] = self.pool.x[home]
            new, _ = self.constraints.finish(self.coding.decode(x, seed, rows), rows)
            margins = self.pool.margins(order.label)[home].numpy()
            facts["margin_before"][bad] = facts["margin_after"][bad] = margins
            facts["kept"][bad], facts["distance"][bad], mate[bad] = 0, 0, -1
            facts["mended"][bad] = RepairStatus.REPLACED
            facts["p_value"][bad], facts["probability"][bad] = np.nan, 1
        facts |= {"parent": parent, "mate": mate, "retracted": facts["kept"] < 1}
        status = facts.pop("mended")
        for one in (RepairStatus.REPAIRED, RepairStatus.REVERTED, RepairStatus.REPLACED):
            facts[one.name.lower()] = status == one
        facts |= {"recipe": self.recipes.index(order.name), "label": order.label}
        for name, values in facts.items():
            self.record[name][self.done : self.done + len(parent)] = values
        if self.changes is not None:
            self.changes += self.coding.changes(rows, new)
        self.done += len(parent)
        return new


def report_of(shares: dict[str, float], record: dict[str, Any]) -> dict[str, Any]:
    """The share of real rows that keep each rule, and what the rules did to synthetic ones."""
    counts = {name: int(record[name].sum()) for name in ("repaired", "reverted", "replaced")}
    return {"rules": shares, **counts, "rows": len(record["parent"])}


def counted(batches: Iterator[Any], bar: Any) -> Iterator[Any]:
    """The batches, each told to the progress bar."""
    for batch in batches:
        bar.update(containers.count(batch))
        yield batch
