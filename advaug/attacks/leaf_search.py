"""Leaf search: the nearest row for which a tree ensemble predicts another class.

It reads the leaves of the trees, and queries their predictions only for where to start and for
what it returns.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from advaug.attacks.black_box import find_starts, unsolved
from advaug.attacks.leaf_cells import Array, LeafCells, RowSearch
from advaug.attacks.nearest_cells import BranchAndBound, walk
from advaug.core.norms import per_row
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem, Loss
from advaug.core.ties import resolution

FEWEST_NODES = 10  # With fewer of them branch and bound is left out.
ROUNDING = 8 * float(torch.finfo(torch.float32).eps)  # of a number that is encoded and decoded


@dataclass
class LeafSearch(Attack, Parameters):
    """The nearest cell of other scores: a local search, then branch and bound.

    A cell is what lies between neighbouring thresholds of all columns; the ensemble's scores are
    constant in it. The local search moves single columns to the cell that gains most for its
    price, at falling prices, and then takes back what is not needed. Branch and bound opens the
    range of cells whose bound is nearest, where every tree may pick its own leaf; if `max_boxes`
    let it come to an end, the move is the shortest one. Where it lies beyond the radius the row
    stays as it is.

    Parameters
    ----------
    max_boxes : int
        How many leaves branch and bound may look at for each row, in all its steps. It is left out
        where so few steps could not help; 0 is the local search alone.

    See Also
    --------
    advaug.robust.certify : The same search with proofs: bounds of the shortest move.
    advaug.attacks.HopSkipJump : For models that only tell a class.

    References
    ----------
    Kantchelian, Tygar, Joseph. Evasion and hardening of tree ensemble classifiers. ICML 2016.
    Zhang, Zhang, Hsieh. An efficient adversarial attack for tree ensembles. NeurIPS 2020.  Devos,
    Meert, Davis. Versatile verification of tree ensembles. ICML 2021.

    Examples
    --------
    >>> from advaug.attacks import LeafSearch
    >>> LeafSearch(max_boxes=0)
    LeafSearch(max_boxes=0)
    """

    loss: ClassVar[Loss] = "margin"
    is_min_norm: ClassVar[bool] = True
    requires: ClassVar[frozenset[str]] = frozenset({"cells", "leaf_boxes"})
    needs_reference_rows: ClassVar[bool] = True
    max_boxes: int = 10_000

    def __call__(self, problem: AttackProblem) -> Tensor:
        boxes = problem.objective.leaf_boxes
        if boxes is None:
            raise ValueError(
                "LeafSearch needs a model made of trees on numeric columns (scikit-learn, XGBoost, "
                "LightGBM, CatBoost): take attack='hopskipjump' for others"
            )
        done, unfinished = unsolved(problem)
        some = problem.take(unfinished)
        start, is_started = find_starts(some)
        found, cells = start.clone(), LeafCells.of(boxes)
        for row in range(len(start)):
            one = some.take(torch.tensor([row], device=start.device))
            known = start[row] if is_started[row] else None
            x = self._nearest(one, cells, known)
            found[row] = one.seed[0] if x is None else x
        found = some.valid_anywhere(found)
        # Rounding may undo a move that is hardly long enough.
        is_success = some.succeeds(found)
        found = torch.where(per_row(is_success, found), found, start)
        is_good = (is_success | is_started) & some.contains(found)
        done[unfinished[is_good]] = found[is_good]
        return done

    def _nearest(
        self, problem: AttackProblem, cells: LeafCells, known: Tensor | None
    ) -> Tensor | None:
        """The nearest success of a problem of one row; None where there is none in the radius."""
        row = EncodedRow.of(problem, cells)
        best = None if known is None else cells.of_rows(known.cpu().double().numpy()[None])[0]
        search, radius = row.search, float(problem.radius[0])
        limit = search.size_of(radius) * (1 + ROUNDING)
        if best is not None and not search.excess(search.sums(best)) > search.noise:
            best = None
        if best is not None and search.cost(best) >= limit:
            best = None
        best = walk(search, best, limit)
        near = search if best is None else search.within(search.cost(best))
        if len(near.tree) * FEWEST_NODES < self.max_boxes:
            best = BranchAndBound(near, lambda at: False, best, limit).run(self.max_boxes).cells
        return None if best is None else torch.from_numpy(row.value[best]).to(problem.seed)


@dataclass(frozen=True, eq=False, repr=False)
class EncodedRow:
    """A row, its search, and the number that it has in each cell."""

    search: RowSearch
    value: Array

    @classmethod
    def of(cls, problem: AttackProblem, cells: LeafCells) -> "EncodedRow":
        """From a problem of one row."""
        seed = problem.seed.cpu().double()[0]
        column = torch.from_numpy(cells.column)
        goals = goals_of(problem, cells)
        own = cells.of_rows(seed.numpy()[None])[0]
        space = problem.space.to("cpu")
        low, high = (torch.from_numpy(end) for end in cells.inside(ROUNDING))
        nearest = space.nearest_between(seed[column], low, high, column)
        radius = space.radius_of(nearest - seed[column], column)
        is_free = space.mask_frozen(torch.ones_like(seed)[None], seed[None])[0] != 0
        cost = radius.masked_fill(~is_free[column] | radius.isnan(), torch.inf).numpy()
        value = nearest.numpy().copy()
        value[own] = seed.numpy()
        size = np.abs(goals[0]).max(initial=0.0)
        noise = resolution(torch.float32) * size * (cells.boxes.tree[-1] + 1)
        search = RowSearch.of(cells, own, cost, *goals, noise, float(problem.space.norm))
        return cls(search, value)


def goals_of(problem: AttackProblem, cells: LeafCells) -> tuple[Array, Array]:
    """What each box adds to the goals of a problem of one row, and what they begin with."""
    scores = np.vstack([cells.boxes.value, cells.boxes.offset])
    objective = problem.objective.take(torch.zeros(len(scores), dtype=torch.long))
    goals = objective.goals(torch.from_numpy(scores)).numpy()
    value, offset = goals[:-1].T.copy(), goals[-1]
    are_votes = (value == np.rint(value)).all() and not offset.any()
    return value, offset - 0.5 if are_votes else offset  # A tie is no success.
