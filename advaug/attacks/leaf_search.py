"""Leaf search: the nearest row for which a tree ensemble predicts another class.

It reads the leaves of the trees. It queries predictions of the rows as they are, of what it
returns, and where it finds no move for another start.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.attacks.black_box import find_starts, unsolved
from advaug.attacks.leaf_cells import Array, LeafCells, RowSearch
from advaug.attacks.nearest_cells import BranchAndBound, walk
from advaug.core.norms import per_row
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem, Loss
from advaug.core.space import Space
from advaug.core.ties import resolution

FEWEST_NODES = 2  # for each tree; with fewer of them branch and bound is left out
ROUNDING = 8 * float(torch.finfo(torch.float32).eps)  # of a number that is encoded and decoded
NEAR_END = 2e-3  # steps: a number so near to the end of its cell may be read in the next one


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
    max_boxes: int = 12_000

    def __call__(self, problem: AttackProblem) -> Tensor:
        boxes = problem.objective.leaf_boxes
        if boxes is None:
            raise ValueError(
                "LeafSearch needs a model made of trees on numeric columns (scikit-learn, XGBoost, "
                "LightGBM, CatBoost): take attack='hopskipjump' for others"
            )
        done, unfinished = unsolved(problem)
        some, cells = problem.take(unfinished), LeafCells.of(boxes)
        found, is_success = self._found(some, cells, None)
        rows = (~is_success).nonzero()[:, 0]
        found[rows], is_success[rows] = self._found_again(some.take(rows), cells)
        is_good = is_success & some.contains(found)
        done[unfinished[is_good]] = found[is_good]
        return done

    def _found_again(self, problem: AttackProblem, cells: LeafCells) -> tuple[Tensor, Tensor]:
        """Successes where single moves from the row find none, or rounding undid the move."""
        start, is_started = find_starts(problem)
        found, is_success = self._found(problem, cells, start)
        return torch.where(per_row(is_success, start), found, start), is_success | is_started

    def _found(
        self, problem: AttackProblem, cells: LeafCells, start: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The nearest successes, from known ones on if there are any; and where there is one."""
        found = problem.seed.clone()
        slack = 0.0 if start is None else NEAR_END
        if not len(found):
            return found, torch.empty(0, dtype=torch.bool, device=found.device)
        encoded = EncodedCells.of(problem, cells, slack)
        for row in range(len(found)):
            one = problem.take(torch.tensor([row], device=found.device))
            x = self._nearest(one, encoded, None if start is None else start[row])
            found[row] = one.seed[0] if x is None else x
        found = problem.valid_anywhere(found)
        return found, problem.succeeds(found)

    def _nearest(
        self, problem: AttackProblem, encoded: "EncodedCells", known: Tensor | None
    ) -> Tensor | None:
        """The nearest success of a problem of one row; None where there is none in the radius."""
        search, value = encoded.of_row(problem)
        limit = search.size_of(float(problem.radius[0])) * (1 + ROUNDING)
        best = None
        if known is not None:
            best = encoded.cells.of_rows(known.cpu().double().numpy()[None])[0]
            is_good = search.excess(search.sums(best)) > search.noise and search.cost(best) < limit
            best = best if is_good else None
        best = walk(search, best, limit)
        near = search if best is None else search.within(search.cost(best))
        n_nodes = FEWEST_NODES * len(np.unique(near.tree))
        if len(near.tree) * n_nodes < self.max_boxes:
            best = BranchAndBound(near, lambda at: False, best, limit).run(self.max_boxes).cells
        return None if best is None else torch.from_numpy(value[best]).to(problem.seed)


@dataclass(frozen=True, eq=False, repr=False)
class EncodedCells:
    """The cells, and where a number may lie in each: away from its ends.

    Parameters
    ----------
    cells : `LeafCells`
    space : Space
    column : int Tensor (cells,)
    low, high : float64 Tensor (cells,)
    """

    cells: LeafCells
    space: Space
    column: Int[Tensor, " cells"]
    low: Float[Tensor, " cells"]
    high: Float[Tensor, " cells"]

    @classmethod
    def of(cls, problem: AttackProblem, cells: LeafCells, slack: float) -> Self:
        """For a problem; `slack` is in the steps of columns that have steps."""
        space, column = problem.space.to("cpu"), torch.from_numpy(cells.column)
        low, high = (torch.from_numpy(end) for end in cells.inside(ROUNDING))
        away = slack * space.steps(problem.seed.cpu()).to(low)[column]
        return cls(cells, space, column, low + away, high - away)

    def of_row(self, problem: AttackProblem) -> tuple[RowSearch, Array]:
        """The search of a problem of one row, and the number that the row has in each cell."""
        seed, column, cells = problem.seed.cpu().double()[0], self.column, self.cells
        goals = goals_of(problem, cells)
        own = cells.of_rows(seed.numpy()[None])[0]
        nearest = self.space.nearest_between(seed[column], self.low, self.high, column)
        radius = self.space.radius_of(nearest - seed[column], column)
        is_free = self.space.mask_frozen(torch.ones_like(seed)[None], seed[None])[0] != 0
        # A cell whose nearest number is the row's own ends there: it is another one's.
        is_valid = is_free[column] & (radius > 0)
        cost = radius.masked_fill(~is_valid, torch.inf).numpy()
        value = nearest.numpy().copy()
        value[own] = seed.numpy()
        size = np.abs(goals[0]).max(initial=0.0)
        noise = resolution(torch.float32) * size * (cells.boxes.tree[-1] + 1)
        norm = float(self.space.norm)
        return RowSearch.of(cells, own, cost, *goals, noise, norm), value


def goals_of(problem: AttackProblem, cells: LeafCells) -> tuple[Array, Array]:
    """What each box adds to the goals of a problem of one row, and what they begin with."""
    scores = np.vstack([cells.boxes.value, cells.boxes.offset])
    objective = problem.objective.take(torch.zeros(len(scores), dtype=torch.long))
    goals = objective.goals(torch.from_numpy(scores)).numpy()
    value, offset = goals[:-1].T.copy(), goals[-1]
    are_votes = (value == np.rint(value)).all() and not offset.any()
    return value, offset - 0.5 if are_votes else offset  # A tie is no success.
