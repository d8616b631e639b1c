"""HotFlip: edits ranked by the gradient at a net's embedding; the best are queried, in a beam."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.attacks.black_box import MAX_CELLS
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem, Loss, mark_undefined
from advaug.core.ties import at_most, exceeds, largest_size, stable_topk
from advaug.domains.sequences.attacks.candidates import (
    EditProblem,
    top_per_owner,
    unique_per_owner,
)
from advaug.domains.sequences.attacks.embedding import embedded, vectors


@dataclass
class HotFlip(Attack, Parameters):
    """White box: allowed edits ranked by the gradient at the embedding, the best re-scored.

    A token v at place p gains (E[v] - E[x_p]) . dJ/dE_p to first order. The `n_candidates` best
    edits of each row in the beam are queried, and the beam keeps the `beam_width` best, until the
    row succeeds or its edits are used up. Needs a net with a `torch.nn.Embedding` of the tokens;
    substitutions only.

    Parameters
    ----------
    n_candidates : int
        Edits of a row that are queried at every step.
    beam_width : int
        Rows that the beam keeps for each seed.
    max_substitutes : int
        Substitutes a place that are ranked: all where there are no more, else evenly chosen ones.
    stop_at : float, optional
        A row whose objective is above this value is done.

    See Also
    --------
    advaug.attacks.Greedy : Black box: tokens ranked by importance, then edited one after the other.
    advaug.attacks.Trigger :
        Universal trigger: the same few tokens at the end (or start) of every row.

    References
    ----------
    Ebrahimi, Rao, Lowd, Dou. HotFlip: white-box adversarial examples for text classification.
    ACL 2018.

    Examples
    --------
    >>> from advaug.attacks import HotFlip
    >>> HotFlip(beam_width=3).n_candidates
    8
    """

    loss: ClassVar[Loss] = "margin"
    is_min_norm: ClassVar[bool] = True
    requires: ClassVar[frozenset[str]] = frozenset({"edits", "embedding"})
    n_candidates: int = 8
    beam_width: int = 1
    max_substitutes: int = 16
    stop_at: float | None = 0.0

    def __call__(self, problem: AttackProblem) -> Tensor:
        problem = EditProblem.of(problem, self)
        if min(self.n_candidates, self.beam_width, self.max_substitutes) < 1:
            raise ValueError(
                f"n_candidates, beam_width and max_substitutes must be 1 or more, got {self}"
            )
        x, seed = problem.tokens, problem.seed
        table = vectors(problem.objective, problem.edits, seed).to(seed.device)
        width = max(MAX_CELLS // (x.shape[1] * self.max_substitutes * table.shape[1]), 1)
        found, value = x.clone(), torch.empty_like(seed[:, 0])
        for rows in torch.arange(len(x), device=x.device).split(width):
            found[rows], value[rows] = self._search(problem.take(rows), table)
        return mark_undefined(found.to(seed), value)

    def _search(
        self, problem: EditProblem, table: Float[Tensor, "tokens width"]
    ) -> tuple[Tensor, Tensor]:
        """The best row of the beam for each seed, and its objective."""
        end = torch.inf if self.stop_at is None else self.stop_at
        x, budget = problem.tokens, problem.budget
        best, (best_value, unit) = x.clone(), problem.measure_tokens(x)
        beam, source = x, torch.arange(len(x), device=x.device)
        for step in range(int(budget.max()) if len(x) else 0):
            going = (step < budget[source]) & at_most(best_value[source], end, unit[source])
            beam, source = beam[going], source[going]
            if not len(source):
                break
            tried, row = self._flips(problem.take(source).at(step), beam, table)
            if not len(row):
                break
            # Two edits in either order are one row.
            row, tried = unique_per_owner(source[row], tried)
            value, _ = problem.take(row).measure_tokens(tried)
            kept = top_per_owner(value, row, self.beam_width, unit[row])
            beam, source, value = tried[kept], row[kept], value[kept]
            top = top_per_owner(value, source, 1, unit[source])
            owner = source[top]
            better = exceeds(value[top], best_value[owner], unit[owner])
            top, owner = top[better], owner[better]
            best[owner], best_value[owner] = beam[top], value[top]
        return best, best_value

    def _flips(
        self,
        problem: EditProblem,
        x: Int[Tensor, "batch length"],
        table: Float[Tensor, "tokens width"],
    ) -> tuple[Tensor, Tensor]:
        """The edits that gain most to first order, and which row each belongs to."""
        with embedded(problem.objective, x.to(problem.seed)) as (value, vector):
            (gradient,) = torch.autograd.grad(value.sum(), vector)
        gradient, vector = gradient.to(x.device), vector.to(x.device)  # a net stays where it is
        new, valid = problem.edits.substitutes(x, self.max_substitutes, problem.random)
        gain = torch.einsum("bltd,bld->blt", table[new.clamp_min(0)], gradient)
        gain = gain - (gradient * vector).sum(-1, keepdim=True)
        gain = gain.masked_fill(~valid, -torch.inf).flatten(1)
        best = stable_topk(gain, min(self.n_candidates, gain.shape[1]), unit=largest_size(gain))
        row, rank = gain.gather(1, best).isfinite().nonzero().unbind(1)
        pick = best[row, rank]
        tried, place = x[row], torch.arange(len(row), device=x.device)
        tried[place, pick // self.max_substitutes] = new.flatten(1)[row, pick]
        return tried, row
