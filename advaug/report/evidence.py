"""What is known of the synthetic rows of one class, each figure beside the same of real rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import hypergeom
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from torch import Tensor

from advaug import containers
from advaug.core.features import Features
from advaug.core.short_repr import ShortRepr
from advaug.models.cross_fitted import CrossFittedModels
from advaug.sampling.constraints import RowConstraints
from advaug.sampling.domain import Coding
from advaug.sampling.faults import Dependence, Drift, Fault, TellTale, Trait
from advaug.sampling.judges.batch_metrics import FEWEST, MOST, Coverage, coverage, energy_test, some
from advaug.sampling.judges.panel import LABEL_LEVEL, PanelJudge
from advaug.sampling.voters import clipped, draw_seed

Array = np.ndarray[Any, Any]
FAR = 0.05  # A row with a smaller p-value of its distance lies far from the class.


@dataclass(frozen=True, repr=False)
class RealRows(ShortRepr):
    """The real rows: all of them, and those (at most so many of a class) that models learn from."""

    X: Any
    codes: Array
    coding: Coding
    features: Features
    kept: Array  # places of the rows that were learnt from
    coded: Tensor  # these, cell by cell
    x: Tensor  # and as the models see them
    y: Tensor
    models: CrossFittedModels
    panel: PanelJudge


@dataclass(frozen=True, repr=False)
class SyntheticRows(ShortRepr):
    """Synthetic rows of one class that are to be judged."""

    X: Any
    label: int
    rows: Array  # their places among the synthetic rows
    total: int  # how many there are in all
    parent: Array  # places among the real rows, -1 where it is unknown


@dataclass(frozen=True)
class BatchEvidence:
    """A class's synthetic rows as one: where it has FEWEST rows or more on both sides.

    same_p : p-value of the energy test; forest_auc : see the function of that name
    """

    energy: float
    same_p: float
    forest_auc: float
    cover: Coverage
    usual_cover: Coverage  # of real rows left out, as many as there are new ones


@dataclass(frozen=True)
class Repeats:
    """How often rows equal each other: as many synthetic rows of a class as real ones.

    distinct : how many of the synthetic rows differ; drawn : how many rows are compared
    share, usual : expected share of them that equal another one, synthetic and real
    """

    distinct: int
    drawn: int
    share: float
    usual: float


@dataclass(frozen=True, repr=False)
class Evidence(ShortRepr):
    """All of one class's synthetic rows that were judged."""

    label: int
    rows: Array  # their places among the synthetic rows
    made: int  # how many there are in all
    x: Tensor
    parent: Array  # places in the real rows, the nearest where it is unknown
    row_metrics: dict[str, Array]
    control: dict[str, Array]
    before: Array  # the families' held-out log-odds of the parents
    after: Array  # and of the rows
    copies: Array  # identical to a real row of the class
    foreign_copies: Array  # identical to a real row of another class
    usual_copies: tuple[float, float]  # the same of real rows
    repeats: Repeats
    faults: list[Fault] | None  # None where a row has no columns
    broken: dict[str, Array]  # the user's rules -> which rows break them though the parent does not
    unreal: dict[str, Array]  # relations that all real rows keep -> which rows break them
    drifts: list[Drift]
    tell_tale: TellTale | None  # None where a row has no columns, or rows are few
    traits: list[Trait]  # numbers that only such rows have
    batch: BatchEvidence | None
    dependence: Dependence | None  # None where a row has no two columns, or rows are few

    @property
    def usual_remarks(self) -> float:
        """Share of real rows, each held out, that the report would remark upon.

        By their label, their nearest row and their distance from the class.
        """
        usual = self.control
        is_odd = (usual["label_p"] < LABEL_LEVEL) | (usual["plausibility_p"] < FAR)
        return float((is_odd | (usual["hidden"] > 0)).mean())

    @property
    def closer(self) -> float:
        """Share of new rows closer to a real row of the class than a held-out real row is.

        One half for new real rows: all pairs of a new and a real row are counted, ties as halves.
        """
        new, usual = self.row_metrics["novelty"], np.sort(self.control["novelty"])
        sides = [np.searchsorted(usual, new, side) for side in ("left", "right")]
        return float(1 - np.mean(sides) / len(usual))


def gather(
    real: RealRows,
    made: SyntheticRows,
    constraints: RowConstraints,
    relations: RowConstraints,
    generator: torch.Generator,
) -> Evidence:
    """Judge the synthetic rows of a class; all real rows keep the relations."""
    label, new = made.label, made.X
    faults = real.coding.faults(real.X, new)  # They name a column that cannot be encoded.
    coded = real.coding.encode(new)
    x = real.features(coded)
    fitted = real.panel.for_class(real.models, real.x, real.y, label, generator)
    place = places_among(real.kept, made.parent)
    row_metrics, ancestor = fitted.row_metrics(x, torch.from_numpy(place))
    known = np.where(made.parent >= 0, made.parent, real.kept[ancestor.numpy()])
    own = containers.take(real.X, np.flatnonzero(real.codes == label))
    parents = containers.take(real.X, known)
    return Evidence(
        label=label,
        rows=made.rows,
        made=made.total,
        x=x,
        parent=known,
        row_metrics={name: value.numpy() for name, value in row_metrics.items()},
        control={name: value.numpy() for name, value in fitted.control().items()},
        before=fitted.log_odds(real.x[ancestor], ancestor).numpy(),
        after=row_metrics["agreement"].double().logit(1e-6).numpy(),
        **copies(real, coded.flatten(1), label),
        repeats=repeats_among(real.coded[real.y == label], coded.flatten(1)),
        faults=faults,
        broken=constraints.broken(new, parents),
        unreal=relations.broken(new, parents),
        drifts=real.coding.drifts(own, new),
        tell_tale=real.coding.tell_tale(own, new, draw_seed(generator)),
        traits=real.coding.traits(real.X, own, new, draw_seed(generator)),
        batch=as_batch(real.x[real.y == label], x, generator),
        dependence=real.coding.dependence(own, new, draw_seed(generator)),
    )


def refuse_other_rows(sampler: Any, X: Any, y: Any) -> None:
    """ValueError where X or y is not as long as what the sampler's `fit_resample` returned."""
    n = len(sampler.synthetic_mask_)
    for name, rows in (("X", X), ("y", y)):
        if containers.count(rows) != n:
            raise ValueError(
                f"{name} has {containers.count(rows)} rows, but fit_resample returned {n}: pass "
                "the X and y that it returned"
            )


def places_among(kept: Array, rows: Array) -> Array:
    """Place of each row among those that were kept, -1 where it was not."""
    place = np.searchsorted(kept, rows).clip(0, len(kept) - 1)
    return np.where(kept[place] == rows, place, -1)


def copies(real: RealRows, coded: Tensor, label: int) -> dict[str, Any]:
    """Which rows are equal to a real row of their own class or of another."""
    keys, own = bytes_of(real.coded), real.y.numpy() == label
    new = bytes_of(coded)
    _, back, count = np.unique(keys[own], return_inverse=True, return_counts=True)
    return {
        "copies": np.isin(new, keys[own]),
        "foreign_copies": np.isin(new, keys[~own]),
        "usual_copies": (
            float((count[back] > 1).mean()),
            float(np.isin(keys[own], keys[~own]).mean()),
        ),
    }


def repeats_among(real: Tensor, new: Tensor) -> Repeats:
    """The synthetic rows of a class that equal each other, beside the real ones."""
    usual, found = (np.unique(bytes_of(x), return_counts=True)[1] for x in (real, new))
    drawn = min(len(real), len(new))
    return Repeats(len(found), drawn, repeated(found, drawn), repeated(usual, drawn))


def repeated(counts: Array, n_drawn: int) -> float:
    """Expected share of `n_drawn` random rows that equal another one of them.

    `counts` has the number of rows of each value. A row of a value that c of n rows have is alone
    if none of the c - 1 others is among the n_drawn - 1 others that are drawn.
    """
    n, several = counts.sum(), counts[counts > 1]
    is_alone = hypergeom.pmf(0, n - 1, several - 1, n_drawn - 1)
    return float(several / n @ (1 - is_alone))


def bytes_of(x: Tensor) -> Array:
    """Each coded row as one value that compares equal only to itself."""
    rows = np.ascontiguousarray(x.numpy() + np.float32(0))  # -0 is 0
    return rows.view(np.dtype((np.void, rows.shape[1] * rows.itemsize)))[:, 0]


def as_batch(real: Tensor, new: Tensor, generator: torch.Generator) -> BatchEvidence | None:
    """The batch against half of the real rows, with the other half as control."""
    if min(len(real), len(new)) < FEWEST:
        return None
    energy, same_p = energy_test(real, new, generator)
    half, other = some(real, 2 * MOST, generator).tensor_split(2)
    alike = some(new, len(other), generator)
    return BatchEvidence(
        energy=energy,
        same_p=same_p,
        forest_auc=forest_auc(some(real, MOST, generator), some(new, MOST, generator), generator),
        cover=coverage(half, alike),
        usual_cover=coverage(half, other[: len(alike)]),
    )


def forest_auc(real: Tensor, new: Tensor, generator: torch.Generator) -> float:
    """Out-of-bag AUC of a forest that separates new rows from real ones: .5 if it cannot."""
    both, is_new = clipped(torch.cat([real, new])), np.arange(len(real) + len(new)) >= len(real)
    forest = RandomForestClassifier(
        100,
        min_samples_leaf=3,
        oob_score=True,  # unweighted: by weight some rows would be in every bag
        random_state=draw_seed(generator),
    )
    guess = forest.fit(both, is_new).oob_decision_function_[:, 1]
    # Doubles in and out of the bag pull it under .5: less than not at all cannot be.
    return max(float(roc_auc_score(is_new, guess)), 0.5)
