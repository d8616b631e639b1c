"""What floats decide does not change with the noise of their arithmetic.

A model's answers get noise of the size that another batch height or another processor brings, so
these tests say the same on every machine. The models have exact ties on purpose.
"""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from torch import nn

from advaug.adapters import SequenceAdapter
from advaug.attacks import (
    APGD,
    EAD,
    JSMA,
    MOEVA,
    NES,
    PGD,
    SPSA,
    AutoAttack,
    CarliniWagner,
    Crossover,
    DeepFool,
    Greedy,
    HopSkipJump,
    HotFlip,
    LeafSearch,
    Patch,
    Square,
    Trigger,
)
from advaug.core import neighbors
from advaug.core.box import Box
from advaug.core.neighbors import nearest
from advaug.core.objectives import Margin, RowLogits
from advaug.core.product import Product
from advaug.core.simplex import Simplex
from advaug.core.ties import (
    at_least,
    at_most,
    exceeds,
    resolution,
    stable_argmax,
    stable_argsort,
    stable_topk,
    tie_groups,
)
from advaug.domains.sequences.attacks.candidates import top_per_owner
from advaug.judges import ConformalJudge
from advaug.models import Ensemble
from advaug.models.committee import Committee
from advaug.models.read_trees import read_trees
from advaug.registry import RECIPES
from advaug.sampling.class_generator import ClassGenerator, GenerationConfig
from advaug.sampling.encoded_dataset import EncodedDataset
from advaug.sampling.judges.row_metrics import conformal, density, is_hidden
from advaug.sampling.thinning import Depth, order_of_dropping
from tests.problems import problem_of

NOISE = 1e-6  # of a float32 value's size


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def rounding(like, generator):
    """Factors as another order of the same sums would bring them."""
    return 1 + NOISE * (2 * torch.rand(like.shape, generator=generator) - 1).to(like)


# ---------------------------------------------------------------- the functions

whole = st.lists(st.integers(-4, 4), min_size=2, max_size=12)


@given(whole, st.integers(0, 99), st.sampled_from([1e-3, 1.0, 1e3]))
def test_noise_changes_no_order_of_values_with_ties(values, seed, size):
    exact = torch.tensor(values).float() * size
    noisy = exact + NOISE * size * (2 * torch.rand(len(values), generator=source(seed)) - 1)
    order = sorted(range(len(values)), key=lambda at: (-values[at], at))
    different = sorted(set(values), reverse=True)
    for k in range(1, len(values) + 1):
        assert stable_topk(noisy[None], k, unit=size)[0].tolist() == order[:k]
    assert stable_argsort(noisy, unit=size).tolist() == order
    assert int(stable_argmax(noisy, unit=size)) == order[0]
    assert tie_groups(noisy, unit=size).tolist() == [different.index(one) for one in values]
    for a, b, x, y in zip(values, values[1:], noisy, noisy[1:], strict=False):
        assert bool(exceeds(x, y, unit=size)) == (a > b)
        assert bool(at_least(x, y, unit=size)) == (a >= b)
        assert bool(at_most(x, y, unit=size)) == (a <= b)


@given(whole, st.integers(0, 99))
def test_keys_order_what_is_tied(values, seed):
    keys = torch.rand(len(values), generator=source(seed))
    order = stable_argsort(torch.tensor(values).float(), keys=keys).tolist()
    assert order == sorted(range(len(values)), key=lambda at: (-values[at], float(keys[at])))


def test_the_order_is_the_same_on_every_device(device):
    values = torch.randint(4, (50, 9), generator=source()).float()
    keys, unit = torch.rand((50, 9), generator=source(1)), torch.linspace(1, 9, 50)[:, None]
    for given_keys in (None, keys):
        there = None if given_keys is None else given_keys.to(device)
        found = stable_argsort(values.to(device), unit.to(device), there).cpu()
        for row in range(50):
            second = torch.arange(9) if given_keys is None else given_keys[row]
            wanted = sorted(
                range(9), key=lambda at: (-int(values[row, at]), float(second[at]))
            )  # fmt: skip
            assert found[row].tolist() == wanted


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.integers(1, 3))
def test_leaders_are_the_first_of_each_owners_highest(values, count):
    owner = torch.arange(len(values)) % 3
    noisy = torch.tensor(values).float() + NOISE * torch.randn(len(values), generator=source())
    wanted = []
    for one in range(3):
        own = [at for at in range(len(values)) if at % 3 == one]
        wanted += sorted(own, key=lambda at: (-values[at], at))[:count]
    assert top_per_owner(noisy, owner, count).tolist() == wanted


def test_what_is_infinite_or_no_number_is_compared_as_ever():
    inf, nan = math.inf, math.nan
    a, b = torch.tensor([inf, 1.0, inf, nan, 1.0]), torch.tensor([1.0, -inf, -inf, 1.0, nan])
    assert exceeds(a, b).tolist() == [True, True, True, False, False]
    assert at_least(a, b).tolist() == [True, True, True, False, False]
    assert at_most(a, b).tolist() == [False] * 5
    assert at_most(torch.tensor([inf, 5.0]), inf).all()
    assert int(stable_argmax(torch.tensor([-inf, nan, -5.0]))) == 2
    assert stable_argsort(torch.tensor([nan, -inf, 1.0, inf])).tolist() == [3, 2, 0, 1]
    assert stable_topk(torch.tensor([[nan, -inf, 1.0, inf]]), 2).tolist() == [[3, 2]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_the_resolution_lies_far_above_rounding_and_far_below_a_hundredth(dtype):
    assert 8 * torch.finfo(dtype).eps < resolution(dtype) <= 0.01


def test_lengths_are_told_apart_by_their_own_size_and_answers_by_1():
    a, b = torch.tensor(2e-6), torch.tensor(1e-6)
    assert bool(exceeds(a, b, unit=0.0))
    assert not bool(exceeds(a, b))


# ---------------------------------------------------------------- attacks on numbers


@dataclass(frozen=True)
class Noisy(RowLogits):
    """A model whose answers and gradients carry noise: other noise at every call."""

    model: object
    generator: torch.Generator
    is_read_exactly: bool = False

    def __call__(self, x):
        x = x if self.is_read_exactly else x * rounding(x, self.generator)
        answer = self.model(x)
        size = answer.detach().abs().amax(1, keepdim=True).clamp_min(1)
        noise = 2 * torch.rand(answer.shape, generator=self.generator) - 1
        return answer * rounding(answer, self.generator) + NOISE * size * noise.to(answer)

    @property
    def leaf_boxes(self):
        return read_trees(self.model.trees).leaf_boxes()


class Plateaus:
    """Scores of a tree: flat, of the first column alone, with a flat piece on the boundary."""

    def __call__(self, x):
        side = (6 * (x.flatten(1)[:, 0] - 0.47)).ceil() / 4
        return torch.stack([1 - side, 1 + side], 1)


def table(norm):
    """Rows of four numbers and two categories of three levels."""
    every = torch.ones(2, 3, dtype=torch.bool)
    box = Box(torch.tensor(0.0), torch.tensor(1.0), norm=norm)
    space = Product((box, Simplex(every, ~every)), ((4,), (2, 3)))
    return space, encoded(24, 5)


def encoded(rows, seed):
    levels = torch.randint(3, (rows, 2), generator=source(seed))
    numbers = torch.rand((rows, 4), generator=source(seed + 1))
    return torch.cat([numbers, nn.functional.one_hot(levels, 3).flatten(1)], 1)


def twins(classes=2):
    """A net that reads two pairs of columns, both categories and the last two classes alike."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net = nn.Sequential(nn.Linear(10, 8), nn.Tanh(), nn.Linear(8, classes))
    with torch.no_grad():
        first = net[0].weight
        first[:, 1], first[:, 3], first[:, 7:] = first[:, 0], first[:, 2], first[:, 4:7]
        net[0].weight *= 3
        if classes > 2:
            net[2].weight[2], net[2].bias[2] = net[2].weight[1], net[2].bias[1]
        net[2].bias -= net(encoded(24, 5)).mean(0)
    return net.requires_grad_(False)


REAL = encoded(20, 8).repeat_interleave(3, 0)  # each row three times
QUERYING = [  # an attack and its reference rows
    *((Square(steps=40), None), (Square(steps=40, stop_at=None), None)),
    *((HopSkipJump(steps=3, init_eval=20), None), (HopSkipJump(steps=3, init_eval=20), REAL)),
    *((NES(steps=5, pairs=4), None), (SPSA(steps=5, pairs=4), None)),
    (AutoAttack(attacks=(Square(steps=20), Square(steps=40))), None),
    (MOEVA(generations=5, population_size=6), None),
    (Crossover(donors=3), REAL),
]
CLIMBING = [
    *(APGD(steps=20), PGD(stop_at=0.0), PGD(stop_at=None, random_start=False)),
    *(JSMA(columns=2), DeepFool(), Patch(steps=5, sizes=(0.2, 0.3))),
    *(
        CarliniWagner(binary_search_steps=3, steps=20, learning_rate=0.1, initial_const=10),
        EAD(binary_search_steps=3, steps=20, initial_const=10),
    ),
]
every_norm = pytest.mark.parametrize("norm", [math.inf, 2.0, 1.0])


def runs(attack, model, label, seed, space, radius, real=None, **settings):
    """The attack's rows with three different noises, the last one in batches of 7 rows."""
    problems = [
        problem_of(
            Margin(Noisy(model, source(salt), **settings), label), seed, space, radius, 7, real
        )
        for salt in (1, 2, 3)
    ]
    *whole, last = problems
    parts = [attack(last.take(rows)) for rows in torch.arange(len(seed)).split(7)]
    return *map(attack, whole), torch.cat(parts)


def assert_same(first, *others, atol=0.0):
    for other in others:
        torch.testing.assert_close(other, first, rtol=0, atol=atol)


@every_norm
@pytest.mark.parametrize(("attack", "real"), QUERYING, ids=lambda one: repr(one)[:40])
def test_noise_does_not_decide_for_attacks_that_only_query(attack, real, norm):
    space, seed = table(norm)
    label = (Plateaus()(seed).argmax(1)).index_fill(0, torch.arange(12), 0)
    radius = torch.linspace(0.2, 0.9, 24)
    settings = {"real": real, "is_read_exactly": True}
    first, *others = runs(attack, Plateaus(), label, seed, space, radius, **settings)
    assert (first != seed).any()
    assert_same(first, *others, atol=1e-5)


@pytest.mark.parametrize("attack", [one for one, _ in QUERYING[:3]], ids=str)
def test_noise_does_not_decide_for_signals(attack):
    seed = torch.rand((20, 2, 12), generator=source())
    space, radius = Box(torch.tensor(0.0), torch.tensor(1.0)), torch.full((20,), 0.5)
    label = torch.zeros(20, dtype=torch.long)
    first, *others = runs(attack, Plateaus(), label, seed, space, radius, is_read_exactly=True)
    assert (first != seed).any()
    assert_same(first, *others, atol=1e-5)


class Grove:
    """An even number of trees on a chessboard: votes tie, and many walls are equally near."""

    def __init__(self):
        x = torch.cartesian_prod(*[torch.arange(6.0)] * 2).numpy()
        self.trees = RandomForestClassifier(4, random_state=0).fit(x, x.sum(1) % 2)

    def __call__(self, x):
        share = self.trees.predict_proba(x.numpy())
        return torch.from_numpy(2 * share).to(x)


@every_norm
def test_noise_does_not_decide_for_trees(norm):
    grove, seed = Grove(), torch.cartesian_prod(*[torch.arange(6.0)] * 2)
    label = grove(seed).argmax(1)
    space = Box(torch.tensor(-9.0), torch.tensor(9.0), norm=norm)
    real, radius = seed.repeat(2, 1), torch.full((36,), math.inf)
    settings = {"real": real, "is_read_exactly": True}
    first, *others = runs(LeafSearch(), grove, label, seed, space, radius, **settings)
    assert (first != seed).any()
    assert_same(first, *others, atol=1e-5)


@every_norm
@pytest.mark.parametrize("attack", CLIMBING, ids=lambda one: repr(one)[:40])
def test_noise_moves_no_row_of_a_gradient_attack_by_more_than_noise(attack, norm):
    space, seed = table(norm)
    classes = 3 if isinstance(attack, DeepFool) else 2
    if not isinstance(attack, (APGD, PGD, JSMA, DeepFool)):  # these move no categories
        space = Box(torch.tensor(0.0), torch.tensor(1.0), norm=norm)
    net, radius = twins(classes), torch.linspace(0.2, 0.9, 24)
    label = torch.zeros(24, dtype=torch.long) if classes > 2 else net(seed).argmax(1)
    found = runs(attack, net, label, seed, space, radius)
    first, *others = found[: 2 if isinstance(attack, Patch) else 3]  # a patch is its batch's
    assert (first != seed).any()
    worth = Margin(net, label)
    assert_same(worth(first), *map(worth, others), atol=1e-3)
    if not isinstance(attack, APGD):  # its last steps gain as little as noise
        assert_same(first, *others, atol=1e-3)


@pytest.mark.parametrize("factor", [2.0**-12, 2.0**12])  # powers of 2 round nothing
@pytest.mark.parametrize(
    ("attack", "real"),
    [*QUERYING, *((one, None) for one in (PGD(stop_at=0.0), JSMA(columns=2), DeepFool()))],
    ids=lambda one: repr(one)[:40],
)
def test_a_factor_on_the_logits_changes_no_move(attack, real, factor):
    """So the unit of noise is the model's own, and no number such as 1."""
    space, seed = table(2.0)
    net, radius = twins(), torch.linspace(0.05, 0.6, 24)
    label = net(seed).argmax(1)
    plain, scaled = (
        attack(problem_of(Margin(logits, label), seed, space, radius, 7, real))
        for logits in (net, lambda x: factor * net(x))
    )
    assert (plain != seed).any()
    torch.testing.assert_close(scaled, plain, rtol=0, atol=1e-6)


# ---------------------------------------------------------------- attacks on sequences

WORDS = ["red", "blue", "green", "good", "bad", "fine", "poor", "nice", "old", "new"]


class TwinWords(nn.Module):
    """The sum of the tokens' vectors, of which there are but three: most edits are worth alike."""

    def __init__(self, size, generator):
        super().__init__()
        self.vectors = nn.Embedding(size + 1, 4, padding_idx=0)
        with torch.no_grad():
            kinds = torch.randn((3, 4), generator=source(4))
            self.vectors.weight[1:] = kinds[torch.arange(size) % 3]
        self.generator = generator
        self.out = torch.randn((4, 2), generator=source(5))

    def forward(self, x):
        vectors = self.vectors(x.long())
        return (vectors * rounding(vectors, self.generator)).sum(1) @ self.out


def texts_attacked(attack, salt, *, in_parts=False):
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice(WORDS, rng.integers(4, 9))) for _ in range(30)]
    coding = SequenceAdapter(max_edit_share=0.5, tokens="word").fit(
        [*texts, " ".join(["red"] * 14)]
    )
    x = coding.encode(texts)
    # Trigger chooses its rows by chance from a label that no noise may decide.
    label = TwinWords(len(coding.words), source())(coding.native(x)).argmax(1)
    net = TwinWords(len(coding.words), source(salt)).requires_grad_(False)
    objective = Margin(lambda rows: net(coding.native(rows)), label)
    problem = problem_of(objective, x, coding.edits, torch.full((30,), 3.0), 7)
    groups = torch.arange(30).split(7 if in_parts else 30)
    return x, torch.cat([attack(problem.take(rows)) for rows in groups])


@pytest.mark.parametrize(
    "attack",
    [
        *(Greedy(), Greedy(stop_at=None), HotFlip(), HotFlip(beam_width=3), HotFlip(stop_at=None)),
        *(Trigger(), Trigger(place="start", count=2)),
    ],
    ids=str,
)
def test_noise_does_not_decide_for_sequences(attack):
    x, first = texts_attacked(attack, 1)
    assert (first != x).any()
    assert torch.equal(texts_attacked(attack, 2)[1], first)
    if not isinstance(attack, Trigger):  # it learns from its batch
        assert torch.equal(texts_attacked(attack, 3, in_parts=True)[1], first)


# ---------------------------------------------------------------- nearest rows and judges


def grid_rows(count, seed=0):
    """Rows of whole numbers far from the origin, each twice: distances tie everywhere."""
    rows = torch.randint(3, (count, 30), generator=source(seed)).float() + 100
    return rows.repeat(2, 1)


@pytest.mark.parametrize("count", [40, 600])
@pytest.mark.parametrize("skips_self", [False, True])
def test_equally_near_rows_come_in_their_own_order_in_any_batch(count, skips_self):
    reference = grid_rows(count)
    x = reference if skips_self else grid_rows(20, seed=1)
    distance, place = nearest(x, reference, 4, skips_self=skips_self)
    exact = (x[:, None].double() - reference.double()).square().sum(2)
    if skips_self:
        exact.fill_diagonal_(math.inf)
    for row in range(0, len(x), 7):
        assert place[row].tolist() == stable_sorted(exact[row])[:4]
    torch.testing.assert_close(distance.double(), exact.gather(1, place).sqrt(), rtol=1e-5, atol=0)
    if not skips_self:
        parts = [nearest(rows, reference, 4)[1] for rows in x.split(3)]
        assert torch.equal(torch.cat(parts), place)


def stable_sorted(values):
    return sorted(range(len(values)), key=lambda at: (float(values[at]), at))


def test_the_short_list_of_a_wide_table_holds_the_nearest_rows():
    x = torch.randn(50, 40, generator=source())
    reference = torch.randn(2000, 40, generator=source(1))
    exact = (x[:, None].double() - reference.double()).square().sum(2)
    assert torch.equal(nearest(x, reference, 5)[1], exact.topk(5, largest=False).indices)


def test_a_copy_is_as_strange_as_its_row_and_half_sure_is_sure_enough():
    usual = torch.tensor([1.0, 2.0, 2.0, 5.0])
    for salt in range(5):
        noise = rounding(usual, source(salt))
        assert conformal((usual * noise).sort().values, torch.tensor([2.0, 5.0])).tolist() == (
            pytest.approx([4 / 5, 2 / 5])
        )
        x = grid_rows(40)
        bench = ConformalJudge(alpha=0.0).fit(x, torch.zeros(80), 0, source())
        sure = torch.full((80,), 0.5) * rounding(x[:, 0], source(salt))
        assert bench.verdict(x, sure).accepts.all()


def test_judges_of_duplicated_rows_say_the_same_of_noisy_copies():
    real, foreign = grid_rows(40), torch.arange(80) >= 40  # each row also stands in the other class
    bench = ConformalJudge().fit(real, torch.zeros(80), 0, source())
    new = grid_rows(40, seed=1)[:40]
    said = [
        (bench.p_value(rows), is_hidden(rows, real, foreign), density(rows, real))
        for rows in (new, new + NOISE * torch.randn(new.shape, generator=source(1)))
    ]
    assert all(torch.equal(a, b) for a, b in zip(*said, strict=True))
    parts = [is_hidden(rows, real, foreign) for rows in new.split(3)]
    assert torch.equal(torch.cat(parts), said[0][1])


def test_rows_of_equal_depth_are_dropped_in_their_own_order():
    depth, sure = torch.tensor([1.0, 2.0, 2.0, 2.0, 0.5]), torch.tensor([0.5, 0.2, 0.2, 0.2, 0.9])
    for drop in ("redundant", "noisy", "both"):
        orders = [
            order_of_dropping(
                Depth(sure * rounding(sure, source(salt)), depth * rounding(depth, source(salt))),
                *(drop, math.inf, 0.5, source()),
            ).tolist()
            for salt in range(6)
        ]
        assert all(one == orders[0] for one in orders)


# ---------------------------------------------------------------- the over-sampler


@pytest.mark.parametrize("name", list(RECIPES))
def test_noise_does_not_decide_which_rows_are_accepted(name, monkeypatch):
    found = [grown_with_noise(name, salt, size, monkeypatch) for salt, size in ((1, 4096), (2, 7))]
    for part in ("parent", "second_parent"):
        one, two = (torch.cat([getattr(batch, part) for batch in run]) for run in found)
        assert torch.equal(one, two)
    one, two = (torch.cat([batch.x for batch in run]) for run in found)
    assert_same(one, two, atol=1e-3)


def grown_with_noise(name, salt, batch_size, monkeypatch):
    """New rows of a class whose rows each stand three times, by noisy members and distances."""
    x = (2 * torch.randn(30, 3, generator=source())).round().repeat(3, 1)
    y = (x[:, 0] > 0).long()
    space = Box(torch.tensor(-9.0), torch.tensor(9.0), norm=2.0)
    committee = Ensemble(n_repeats=2, hidden_width=8, max_iter=20).fit(x, y, 2, source())
    noise, read, cdist = source(salt), Committee.read, torch.cdist

    def noisy_read(self, features):
        answer = read(self, features)
        return answer * rounding(answer, noise)

    def noisy_cdist(a, b, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
        exact = cdist(a, b, p, compute_mode="donot_use_mm_for_euclid_dist")
        if not compute_mode.startswith("use"):
            return exact * rounding(exact, noise)
        size = a.square().sum(1).amax() + b.square().sum(1).amax()  # a product rounds by the rows
        return (exact.square() + NOISE * size * torch.rand(exact.shape, generator=noise)).sqrt()

    with monkeypatch.context() as patch:
        patch.setattr(Committee, "read", noisy_read)
        patch.setattr(neighbors.torch, "cdist", noisy_cdist)
        pool, recipe = EncodedDataset(x, y, torch.arange(len(x)), space, committee), RECIPES[name]()
        judge = ConformalJudge().fit(x, y, 1, source())
        config = GenerationConfig(attack=recipe.attack, judge=judge)
        generator = ClassGenerator(pool, recipe, 1, config)
        return [generator.rows(rows) for rows in torch.arange(40).split(batch_size)]
