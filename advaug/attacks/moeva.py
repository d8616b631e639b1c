"""MOEVA: an evolutionary search for rows that raise the objective, near the seed, within the rules.

It queries the model only. Each row has candidates of its own, and random numbers of its own.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from advaug.attacks.black_box import MAX_CELLS, unsolved
from advaug.core.norms import draw, per_row, standard_normal
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem, Loss
from advaug.core.ties import exceeds, stable_argmax, stable_argsort

EDGE, BACK = 0.5, 0.8  # A mutation goes to the edge of the ball below this, to the seed above that.


@dataclass
class MOEVA(Attack, Parameters):
    """Evolve candidates of each row: their columns mix and mutate, and the best ones survive.

    A candidate is better than another one if it raises the objective more and lies no farther
    from the seed, or lies nearer and raises the objective no less; those that fewest others beat
    survive. Every candidate is repaired by the user's rules within the radius before the model is
    queried, so the paper's third objective, how far a candidate is from keeping the rules, is
    always 0. Makes (generations + 1) * population_size queries a row at most, and takes no
    gradient. A row is done at its first success. Raise `Margin`.

    Parameters
    ----------
    generations : int
        How many times new candidates are made.
    population_size : int
        Candidates of a row that survive, and new ones that are made, in each generation.
    mutated_columns : float > 0
        How many columns a mutation changes on average.

    See Also
    --------
    advaug.attacks.CAA : CAPGD first, then this search on the rows that it leaves.
    advaug.attacks.Square :
        Random search on scores: x <- x with one block at the edge of the ball, if that gains.

    References
    ----------
    Simonetto, Dyrmishi, Ghamizi, Cordy, Le Traon. A unified framework for adversarial attack and
    defense in constrained feature space. IJCAI 2022. Its selection by reference points is replaced
    by the rank of Fonseca, Fleming. Genetic algorithms for multiobjective optimization. ICGA 1993.

    Examples
    --------
    >>> from advaug.attacks import MOEVA
    >>> MOEVA(generations=20).population_size
    20
    """

    loss: ClassVar[Loss] = "margin"
    requires: ClassVar[frozenset[str]] = frozenset({"cells"})
    generations: int = 50
    population_size: int = 20
    mutated_columns: float = 2.0

    def __call__(self, problem: AttackProblem) -> Tensor:
        if self.generations < 1 or self.population_size < 2 or not self.mutated_columns > 0:
            raise ValueError(
                "MOEVA needs generations >= 1, population_size >= 2 and mutated_columns > 0, "
                f"got {self}"
            )
        if problem.radius.isinf().any():
            raise ValueError(
                "MOEVA moves cells by shares of the radius: give it a finite one; HopSkipJump "
                "looks for the shortest move"
            )
        done, rows = unsolved(problem)
        cells = self.population_size * max(problem.seed[0].numel(), 4 * self.population_size)
        for some in rows.split(max(MAX_CELLS // cells, 1)):
            done[some] = self._search(problem.take(some))
        return done

    def _search(self, problem: AttackProblem) -> Float[Tensor, "batch *shape"]:
        """The nearest success of each row's last generation, or its best candidate."""
        done = problem.seed.clone()
        rows = torch.arange(len(done), device=done.device)
        own, n_columns = self._candidates_of(problem), count_columns(problem)
        chance = own.random.at(0).uniform(1)[:, 0].to(own.radius)
        x = mutated(own.at(1), own.seed, chance, n_columns)
        best = self._measured(own, x).fittest(self.population_size)
        for generation in range(1, self.generations + 1):
            reached = best.successes().any(1)
            if reached.any():
                done[rows[reached]] = best.take(reached).nearest_success()
                rows, best, problem = rows[~reached], best.take(~reached), problem.take(~reached)
            if not len(rows):
                return done
            own = self._candidates_of(problem.at(generation))
            chance = self.mutated_columns / own.movable().sum(1).clamp_min(1).to(own.radius)
            x = mutated(own.at(1), crossed(own, best, n_columns), chance, n_columns)
            best = best.joined(self._measured(own, x)).fittest(self.population_size)
        done[rows] = best.nearest_success()
        return done

    def _candidates_of(self, problem: AttackProblem) -> AttackProblem:
        """The problem of all candidates of the rows; each has random numbers of its own."""
        own = problem.repeat(self.population_size)
        place = torch.arange(self.population_size, device=own.seed.device)
        return replace(own, random=own.random.at(place.repeat(len(problem.seed))))

    def _measured(self, own: AttackProblem, x: Float[Tensor, "many *shape"]) -> "Candidates":
        """Valid rows that keep the rules, measured."""
        x = own.keep_rules(own.valid(x, draw(x, own.random.at(2))))
        return Candidates.of(own, x, self.population_size)


def count_columns(problem: AttackProblem) -> int:
    """How many columns the user's rows have."""
    return int(problem.space.column_index(problem.seed).max()) + 1


def crossed(
    problem: AttackProblem, parents: "Candidates", n_columns: int
) -> Float[Tensor, "many *shape"]:
    """For each child the columns of two parents, each the better one of two drawn at random."""
    size = parents.value.shape[1]
    drawn = (problem.random.at(3).uniform(4) * size).long()
    # The better candidates come first.
    mother, father = drawn[:, :2].amin(1), drawn[:, 2:].amin(1)
    row = torch.arange(len(parents.value), device=drawn.device).repeat_interleave(size)
    is_of_mother = of_columns(problem, problem.random.at(4).uniform(n_columns) < 0.5)
    return torch.where(is_of_mother, parents.x[row, mother], parents.x[row, father])


def mutated(
    problem: AttackProblem,
    x: Float[Tensor, "many *shape"],
    chance: Float[Tensor, " many"],
    n_columns: int,
) -> Float[Tensor, "many *shape"]:
    """x, each column by `chance` at the edge of the ball, within it, or as the seed has it."""
    random, seed = problem.random, problem.seed
    columns = of_columns(problem, random.at(0).uniform(n_columns).to(x) < chance[:, None])
    direction = standard_normal(draw(seed, random.at(1))) * columns
    edge = problem.space.steepest(direction, seed, problem.radius)
    kind, share = random.at(2).uniform(2).to(x).unbind(1)
    share = torch.where(kind < EDGE, 1.0, torch.where(kind > BACK, 0.0, share))
    return torch.where(columns, seed + per_row(share, edge) * edge, x)


def of_columns(problem: AttackProblem, chosen: Tensor) -> Shaped[Tensor, "many *shape"]:
    """From the user's columns (many, columns) to the cells that they have."""
    return chosen[:, problem.space.column_index(problem.seed)]


@dataclass(frozen=True)
class Candidates:
    """Candidates of each row, their objective, the unit of its noise, and how far they lie."""

    x: Float[Tensor, "batch size *shape"]
    value: Float[Tensor, "batch size"]
    unit: Float[Tensor, "batch size"]
    distance: Float[Tensor, "batch size"]

    @classmethod
    def of(cls, problem: AttackProblem, x: Float[Tensor, "many *shape"], size: int) -> "Candidates":
        """Measured: one query for each."""
        (value, unit), distance = problem.measure(x), problem.distance(x)
        value = value.nan_to_num(nan=-torch.inf)
        return cls(*(one.unflatten(0, (-1, size)) for one in (x, value, unit, distance)))

    def joined(self, other: "Candidates") -> "Candidates":
        """Both of each row."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Candidates(*(torch.cat(pair, 1) for pair in pairs))

    def take(self, rows: Shaped[Tensor, " some"]) -> "Candidates":
        """Those of some of the rows."""
        return Candidates(*(one[rows] for one in vars(self).values()))

    def successes(self) -> Shaped[Tensor, "batch size"]:
        """Which of them raise the objective above 0 by more than noise."""
        return exceeds(self.value, 0.0, self.unit)

    def nearest_success(self) -> Float[Tensor, "batch *shape"]:
        """The nearest success of each row, or the first candidate."""
        distance = self.distance.masked_fill(~self.successes(), torch.inf)
        return self.x[torch.arange(len(self.x), device=self.x.device), stable_argmax(-distance)]

    def n_better(self) -> Int[Tensor, "batch size"]:
        """How many others beat each candidate: better in one objective, worse in none.

        Of two equal ones the first beats the other, so that copies do not crowd out the rest.
        """
        size, unit = self.value.shape[1], self.unit.amax(1)[:, None, None]
        value, distance = (
            one[:, None, :].expand(-1, size, -1) for one in (self.value, self.distance)
        )
        is_higher, is_nearer = exceeds(value, value.mT, unit), exceeds(distance.mT, distance, 0.0)
        is_worse = is_higher.mT | is_nearer.mT
        is_earlier = torch.ones_like(is_worse).tril(-1)
        return ((is_higher | is_nearer | is_earlier) & ~is_worse).sum(2)

    def fittest(self, count: int) -> "Candidates":
        """Those that fewest others beat; of equal ones those of higher objective come first."""
        by_value = stable_argsort(self.value, self.unit.amax(1, keepdim=True))
        by_rank = self.n_better().gather(1, by_value).argsort(dim=1, stable=True)
        place = by_value.gather(1, by_rank)[:, :count]
        row = torch.arange(len(place), device=place.device)[:, None]
        return Candidates(*(one[row, place] for one in vars(self).values()))
