"""GBDA: a distribution over substitutes at every place, climbed through Gumbel's softmax."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.attacks.editing import asked, edits_of
from advaug.attacks.embedding import embedded, vectors
from advaug.attacks.ground import MOST_CELLS, marked
from advaug.chance import Chance
from advaug.objectives import Objective
from advaug.settings import Settings
from advaug.spaces import Edits
from advaug.spaces.protocol import Space
from advaug.spaces.splicing import neighbours

BETAS = (0.9, 0.999)  # Adam's
TINY = 1e-8


@dataclass
class GBDA(Settings):
    """White box: p(token) at every place by a softmax of t, raised over mixed embeddings.

    Each step draws pi = softmax((t + Gumbel noise) / temperature) over the token and its allowed
    substitutes, puts sum_v pi_v E[v] in the place of the embedded token, and climbs
    min(objective, confidence) - price * (expected edits beyond the budget) in t, by Adam. Then
    `samples` rows are drawn, each with its likeliest substitutions within the budget of edits, and
    asked: of those that succeed the one with the fewest edits is taken, else the best. Needs a net
    with a `torch.nn.Embedding` of the tokens; substitutions only. What the paper asks of a
    language model, fluency, the space's rule about neighbours says here.

    Parameters
    ----------
    steps : int
        Gradient steps.
    rate : float
        Adam's step.
    temperature : float
        Of Gumbel's softmax.
    stay : float
        The tokens' own t at the start; that of substitutes is 0.
    price : float
        Of an expected edit beyond the budget.
    confidence : float
        How far above 0 the objective still pulls.
    samples : int
        Rows that are drawn and asked in the end.
    tries : int
        Substitutes a place: all that are allowed where there are no more, else evenly chosen ones.

    References
    ----------
    Guo, Sablayrolles, Jégou, Kiela. Gradient-based adversarial attacks against text transformers.
    EMNLP 2021.

    Examples
    --------
    >>> from advaug.attacks import GBDA
    >>> GBDA(steps=50).samples
    32
    """

    raises: ClassVar[str] = "margin"
    is_minimal: ClassVar[bool] = True
    steps: int = 30
    rate: float = 0.3
    temperature: float = 1.0
    stay: float = 3.0
    price: float = 1.0
    confidence: float = 1.0
    samples: int = 32
    tries: int = 16

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        edits = edits_of(space, self)
        if min(self.samples, self.tries) < 1 or self.steps < 0 or self.temperature <= 0:
            raise ValueError(
                "samples and tries must be 1 or more, steps 0 or more and temperature above 0, "
                f"got {self}"
            )
        chance, table = Chance.of(seed, generator), vectors(objective, edits, seed)
        budget = edits.budget(seed, radius.ceil())
        cells = seed.shape[1] * max(self.tries * table.shape[1], self.samples)
        found, worth = seed.clone(), torch.empty_like(seed[:, 0])
        for rows in torch.arange(len(seed), device=seed.device).split(max(MOST_CELLS // cells, 1)):
            some = chance.take(rows)
            choice = Choice.of(seed[rows], edits, some, self.tries)
            t = self._climbed(objective.take(rows), seed[rows], choice, table, budget[rows], some)
            found[rows], worth[rows] = self._drawn(
                objective.take(rows), seed[rows], edits, choice, t, budget[rows], some
            )
        return marked(found, worth)

    def _climbed(
        self,
        objective: Objective,
        seed: Tensor,
        choice: "Choice",
        table: Tensor,
        budget: Tensor,
        chance: Chance,
    ) -> Float[Tensor, "batch length choices"]:
        """t after Adam's steps; places without a substitute stay as they are."""
        t = choice.start(self.stay)
        with embedded(objective, seed) as (_, vector):
            own = vector.detach().to(seed)
        mean, square = torch.zeros_like(t), torch.zeros_like(t)
        movable = choice.valid[..., 1:].any(2, keepdim=True)
        for step in range(1, self.steps + 1):
            t.requires_grad_(True)
            noisy = (t + gumbel(chance, t)) / self.temperature
            pi = noisy.masked_fill(~choice.valid, -torch.inf).softmax(2)
            mixed = torch.einsum("blc,blcd->bld", pi[..., 1:], table[choice.token[..., 1:]])
            mixed = torch.where(movable, mixed + pi[..., :1] * own, own)
            with embedded(objective, seed, mixed) as (value, _):
                leaving = 1 - t.masked_fill(~choice.valid, -torch.inf).softmax(2)[..., 0]
                beyond = (leaving.sum(1) - budget).clamp_min(0)
                goal = value.to(seed).clamp_max(self.confidence) - self.price * beyond
                (gradient,) = torch.autograd.grad(goal.sum(), t)
            mean = BETAS[0] * mean + (1 - BETAS[0]) * gradient
            square = BETAS[1] * square + (1 - BETAS[1]) * gradient.square()
            pull = mean / (1 - BETAS[0] ** step)
            size = (square / (1 - BETAS[1] ** step)).sqrt()
            t = t.detach() + self.rate * pull / (size + TINY)
        return t.detach()

    def _drawn(
        self,
        objective: Objective,
        seed: Tensor,
        edits: Edits,
        choice: "Choice",
        t: Tensor,
        budget: Tensor,
        chance: Chance,
    ) -> tuple[Float[Tensor, "batch length"], Float[Tensor, " batch"]]:
        """The best of some rows drawn from softmax(t), the likeliest one among them; its worth."""
        best = seed.long()
        worth = first = asked(objective, best, seed)
        fewest = torch.zeros_like(best[:, 0])
        for sample in range(self.samples):
            noise = gumbel(chance, t)
            noisy = (t + noise if sample else t).masked_fill(~choice.valid, -torch.inf)
            x, count = choice.made(seed.long(), noisy, edits, budget)
            value = asked(objective, x, seed)
            succeeds = value > 0
            better = torch.where(worth > 0, succeeds & (count < fewest), value > worth)
            best = torch.where(better[:, None], x, best)
            worth, fewest = worth.where(~better, value), fewest.where(~better, count)
        return best.to(seed), worth.where(~first.isnan(), first)


def gumbel(chance: Chance, like: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
    """Gumbel noise, each row's own."""
    uniform = chance.draw(*like.shape[1:]).to(like)
    return -(-(uniform + TINY).log() + TINY).log()


def first_of(new: Int[Tensor, "batch length tries"]) -> Bool[Tensor, "batch length tries"]:
    """Each substitute of a place once, where it stands first."""
    ordered, place = new.sort(dim=2, stable=True)
    is_first = torch.ones_like(new, dtype=torch.bool)
    is_first[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    return torch.zeros_like(is_first).scatter(2, place, is_first)


@dataclass(frozen=True)
class Choice:
    """For each place of each row its own token and some that may stand for it."""

    token: Int[Tensor, "batch length choices"]  # the first is the row's own
    valid: Bool[Tensor, "batch length choices"]
    is_seen: Bool[Tensor, "batch length choices"]  # else only the table of safe moves allows it

    @classmethod
    def of(
        cls, seed: Float[Tensor, "batch length"], edits: Edits, chance: Chance, tries: int
    ) -> "Choice":
        """`tries` substitutes a place, of those allowed beside the seed's own tokens."""
        x = seed.long()
        new, valid = edits.substitutes(x, tries, chance)
        around = neighbours(x)[..., None].expand(-1, -1, tries)
        is_seen = edits.seen(around[:, :-4], new) & edits.seen(new, around[:, 2:-2])
        own = edits.plain(x)[..., None]
        every = torch.ones_like(own, dtype=torch.bool)
        return cls(
            torch.cat([own, new.clamp_min(0)], 2),
            torch.cat([every, valid & first_of(new)], 2),
            torch.cat([every, is_seen], 2),
        )

    def start(self, stay: float) -> Float[Tensor, "batch length choices"]:
        """t before the first step."""
        t = torch.zeros(self.token.shape, device=self.token.device)
        t[..., 0] = stay
        return t

    def made(
        self,
        x: Int[Tensor, "batch length"],
        score: Float[Tensor, "batch length choices"],
        edits: Edits,
        budget: Float[Tensor, " batch"],
    ) -> tuple[Int[Tensor, "batch length"], Int[Tensor, " batch"]]:
        """Rows with the substitutions that lead by most over their own tokens, and how many.

        One after the other, each only if its neighbours, edited or not, allow it.
        """
        best, pick = score.max(2)
        lead = (best - score[..., 0]).masked_fill(pick == 0, -torch.inf)
        order = lead.argsort(dim=1, descending=True, stable=True)
        x, count = x.clone(), torch.zeros_like(x[:, 0])
        most = min(int(budget.max()) * 2, x.shape[1]) if len(x) else 0
        row = torch.arange(len(x), device=x.device)
        for rank in range(most):
            at = order[:, rank]
            kind = pick[row, at]
            new, around = self.token[row, at, kind], neighbours(x)
            fits = edits.seen(around[row, at], new) & edits.seen(new, around[row, at + 2])
            fits |= ~self.is_seen[row, at, kind]
            made = fits & (lead[row, at] > -torch.inf) & (count < budget)
            x[row[made], at[made]] = new[made]
            count += made
        return x, count
