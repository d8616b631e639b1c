import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch.testing import assert_close

from advaug import AdversarialOverSampler
from advaug.attacks import FGSM, PGD, Noise
from advaug.core.box import Box
from advaug.core.neighbors import nearest
from advaug.core.norms import length
from advaug.core.objectives import margin
from advaug.core.row_random import RowRandom
from advaug.judges import ConformalJudge
from advaug.models import Ensemble
from advaug.recipes import Boundary, Explore, Harden, Interpolate, Match
from advaug.registry import RECIPES
from advaug.sampling import class_generator
from advaug.sampling.class_generator import ClassGenerator, GenerationConfig
from advaug.sampling.encoded_dataset import MAX_ROWS, EncodedDataset, sample_of_classes
from advaug.sampling.judges.protocol import FittedJudge, Verdict
from advaug.sampling.jury import EqualVotes
from advaug.sampling.provenance import ClassRequest, side_by_side
from advaug.sampling.recipes import round_robin
from advaug.sampling.student_votes import learn_votes
from advaug.sampling.tasks import Question, finish, finish_all
from advaug.sampling.voters import fit_voter

every_recipe = pytest.mark.parametrize("name", list(RECIPES))


def source(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def pool():
    """60 rows of class 0 and 24 of class 1, two blobs in a wide box."""
    x = torch.randn(84, 3, generator=source())
    y = (torch.arange(84) % 7 < 2).long()
    x = x + 2.0 * y[:, None]
    space = Box(torch.tensor(-9.0), torch.tensor(9.0), norm=2.0)
    committee = Ensemble(n_repeats=2, hidden_width=16, max_iter=40).fit(x, y, 2, source())
    return EncodedDataset(x, y, torch.arange(84), space, committee)


def grow(pool, recipe, count=40, label=1, batch_size=4096, **settings):
    """All rows, their parents, second parents and records."""
    config = GenerationConfig(**{"attack": recipe.attack} | settings)
    generator = ClassGenerator(pool, recipe, label, config)
    batches = [generator.rows(rows) for rows in torch.arange(count).split(batch_size)]
    record = {name: torch.cat([one.record[name] for one in batches]) for name in batches[0].record}
    names = ("x", "parent", "second_parent")
    return *(torch.cat([getattr(one, name) for one in batches]) for name in names), record


def planned(recipe, pool, label, count):
    """The recipe's plan of the first draws."""
    draws = torch.arange(count)
    return recipe.plan(pool, label, draws, RowRandom.of(pool.seed, label, draws))


# ---------------------------------------------------------------- the dataset


def test_neighbours_are_those_of_all_distances():
    x, others = torch.randn(30, 3, generator=source()), torch.randn(50, 3, generator=source(1))
    distance, place = nearest(x, others, 4)
    every = (x[:, None] - others).norm(dim=-1).sort(dim=1)
    assert torch.equal(place, every.indices[:, :4])
    assert_close(distance, every.values[:, :4])


def test_no_row_is_its_own_neighbour():
    x = torch.randn(5, 3, generator=source())
    distance, place = nearest(x, x, 9, skips_self=True)
    assert place.shape == (5, 4)
    assert not (place == torch.arange(5)[:, None]).any()
    assert (distance > 0).all()


def test_the_auc_is_the_share_of_pairs_in_the_right_order(pool):
    margins = pool.margins(1)
    own, others = margins[pool.y == 1], margins[pool.y == 0]
    share = (own[:, None] > others).float().mean()
    assert pool.auc(1) == pytest.approx(float(share), abs=1e-6)
    assert pool.auc(1) > 0.9


def test_tied_rows_count_half_in_the_auc(pool):
    for tied in (torch.zeros(84), (torch.arange(84) % 5).float()):
        dataset = replace(pool)
        vars(dataset)["logits"] = torch.stack([-tied, tied], 1)
        expected = roc_auc_score(pool.y, tied)
        assert dataset.auc(1) == pytest.approx(expected, abs=1e-6)


def test_margins_come_from_members_that_never_saw_the_row(pool):
    for row in (0, 1, 40):
        strangers = pool.committee.held_out_members(int(pool.committee.fold_of_row[row]))
        logits = strangers.logits(pool.x[row : row + 1])
        assert_close(pool.margins(1)[row : row + 1], margin(logits, torch.tensor([1])))


def test_enemies_are_of_other_classes_and_kin_of_the_same(pool):
    own = pool.of_class(1)
    assert (pool.y[own] == 1).all()
    assert (pool.y[pool.other_class_neighbors(1, 3)[1]] == 0).all()
    kin = pool.same_class_neighbors(1, 5)[1]
    assert (pool.y[kin] == 1).all()
    assert not (kin == own[:, None]).any()


def test_big_classes_are_sampled_and_small_ones_kept_whole():
    y = torch.cat([torch.zeros(MAX_ROWS + 50), torch.ones(9)]).long()[
        torch.randperm(MAX_ROWS + 59, generator=source())
    ]
    kept = sample_of_classes(y, 0)
    assert torch.equal(kept, kept.unique())
    assert y[kept].bincount().tolist() == [MAX_ROWS, 9]


@pytest.mark.parametrize("count", [1, 23, 24, 25, 60])
def test_parents_are_taken_evenly(pool, count):
    own = pool.of_class(1)
    times = round_robin(own, torch.arange(count), 0, 1).bincount(minlength=84)
    assert times.sum() == count
    assert times[own].max() - times[own].min() <= 1
    assert not times[pool.y == 0].any()


# ---------------------------------------------------------------- plans


@every_recipe
def test_every_home_is_a_real_row_of_the_class(pool, name):
    plan = planned(RECIPES[name](), pool, 1, 50)
    assert (pool.y[plan.anchor] == 1).all()
    assert (pool.y[plan.parent] == (name != "translate")).all()
    assert ((plan.mix >= 0) & (plan.mix <= 1)).all()
    assert plan.radius.isfinite().all()
    assert all(len(column) == 50 for column in vars(plan).values())


def test_matched_rows_aim_at_real_margins_of_the_class_made_easier(pool):
    margins = pool.margins(1)[pool.of_class(1)]
    for easier in (0.0, 0.75):
        plan = planned(Match(margin_shift=easier), pool, 1, 200)
        targets = plan.target_margin - easier * margins.std(correction=0)
        assert (targets[:, None] - margins).abs().min(1).values.max() < 1e-5


@pytest.mark.parametrize("crossing", [0.0, 0.3, 1.0])
def test_so_many_matched_rows_cross_to_the_other_class(pool, crossing):
    plan = planned(Match(p_cross_class=crossing), pool, 1, 400)
    share = (pool.y[plan.second_parent] == 0).float().mean()
    assert float(share) == pytest.approx(crossing, abs=0.08)


def test_half_of_the_boundary_rows_stay_and_the_rest_aim_beside_the_border(pool):
    plan = planned(Boundary(margin_std=0.5), pool, 1, 400)
    assert float((plan.radius == 0).float().mean()) == pytest.approx(0.5, abs=0.08)
    assert (plan.target_margin >= 0).all()
    assert float(plan.target_margin.mean()) == pytest.approx(0.5 * math.sqrt(2 / math.pi), abs=0.06)


def test_hardened_rows_reach_a_share_of_the_way_to_the_nearest_enemy(pool):
    gap, _ = pool.other_class_neighbors(1)
    plan = planned(Harden(radius_share=0.5, norm=2.0), pool, 1, 24)
    own = pool.of_class(1)
    assert_close(plan.radius, 0.5 * gap[torch.searchsorted(own, plan.parent), 0])


@pytest.mark.parametrize("norm", [math.inf, 2.0])
def test_the_farthest_corner_of_a_hardened_rows_ball_is_a_share_of_the_way(pool, norm):
    plan = planned(Harden(radius_share=0.4, norm=norm), pool, 1, 24)
    corner = plan.radius * (math.sqrt(3) if norm == math.inf else 1)
    gap = torch.cdist(pool.x[plan.parent], pool.x[pool.y == 0]).amin(1)
    assert_close(corner, 0.4 * gap)


@pytest.mark.parametrize("recipe", [Match, Boundary])
def test_rows_between_the_classes_stay_off_the_other_row_and_move_no_more_than_usual(pool, recipe):
    plan = planned(recipe(p_cross_class=1.0), pool, 1, 500)
    assert 0.8 < plan.mix.max() <= 0.9
    assert planned(recipe(p_cross_class=0.0), pool, 1, 500).mix.max() > 0.95
    own = pool.x[pool.y == 1]
    typical = torch.cdist(own, own).sort(1).values[:, 1:6].mean(1).median()
    gap = torch.cdist(pool.x[plan.parent], pool.x[pool.y == 0]).amin(1)
    assert (gap > typical).any()
    moves = plan.radius > 0
    assert_close(plan.radius[moves], gap.clamp_max(typical)[moves])


def test_a_class_of_one_row_is_repeated():
    x, y = torch.randn(9, 3, generator=source()), torch.tensor([1] + [0] * 8)
    space = Box(torch.tensor(-9.0), torch.tensor(9.0), norm=2.0)
    committee = Ensemble(n_repeats=2, hidden_width=8, max_iter=2).fit(x, y, 2, source())
    new, parent, _, _ = grow(EncodedDataset(x, y, torch.arange(9), space, committee), Interpolate())
    assert torch.equal(new, x[:1].expand(40, 3))
    assert not parent.any()


# ---------------------------------------------------------------- the loop


@every_recipe
@pytest.mark.parametrize("count", [1, 7, 40])
def test_exactly_as_many_rows_as_asked_are_grown(pool, name, count):
    x, parent, second, record = grow(pool, RECIPES[name](), count)
    assert len(x) == len(parent) == len(second) == count
    assert all(len(values) == count for values in record.values())


@every_recipe
def test_no_row_depends_on_the_batch_size(pool, name):
    bench = ConformalJudge().fit(pool.features, pool.y, 1, source())
    attack = None if name == "interpolate" else PGD()
    wanted = grow(pool, RECIPES[name](), attack=attack, judge=bench)
    small = grow(pool, RECIPES[name](), attack=attack, judge=bench, batch_size=3)
    assert_close(small[0], wanted[0], atol=1e-4, rtol=1e-4)
    assert torch.equal(small[1], wanted[1])
    assert torch.equal(small[2], wanted[2])


@pytest.mark.parametrize("attack", [FGSM(), PGD(), Noise()], ids=str)
def test_a_radius_for_all_rows_is_kept(pool, attack):
    x, parent, _, record = grow(pool, Harden(), attack=attack, radius=0.3)
    distance = length(x - pool.x[parent], 2.0)
    assert float(distance.max()) <= 0.3 + 1e-5
    assert float(distance.median()) > 0.2
    assert_close(record["distance"], distance)


def test_an_attack_raises_what_the_recipe_asks_more_than_noise_does(pool):
    settings = {"radius": 1.0, "count": 60}
    down = grow(pool, Harden(), attack=FGSM(), **settings)[3]["margin_after"]
    noise = grow(pool, Harden(), attack=Noise(), **settings)[3]["margin_after"]
    still = grow(pool, Harden(), attack=None, **settings)[3]["margin_after"]
    assert float(down.mean()) < float(still.mean()) - 0.6
    assert abs(float(noise.mean() - still.mean())) < 0.3


def test_translated_rows_end_in_the_class_they_are_carried_to(pool):
    _, parent, _, record = grow(pool, RECIPES["translate"]())
    assert (pool.y[parent] == 0).all()
    assert (record["margin_before"] < 0).float().mean() > 0.9
    assert (record["margin_after"] > 0).float().mean() > 0.75


def test_matched_rows_come_nearer_to_their_level(pool):
    recipe = Match(p_cross_class=0.0)
    settings = {"attacked": pool.committee.logits, "radius": 3.0}
    level = planned(recipe, pool, 1, 40).target_margin

    def miss(attack):
        x, _, _, _ = grow(pool, recipe, attack=attack, **settings)
        values = margin(pool.committee.logits(x), torch.ones(40, dtype=torch.long))
        return float((values - level).abs().mean())

    assert miss(recipe.attack) < 0.5 * miss(None)


def test_the_jury_has_no_member_that_was_attacked_or_saw_the_parent(pool):
    for fold in range(3):
        fighters, jury = pool.committee.held_out_members(fold).halves()
        ones = [tuple(w.flatten().tolist()) for c in (fighters, jury) for w in c.weights[0]]
        assert len(ones) == len(set(ones)) == 2
        assert (jury.fold_of_member == fold).all()
        assert (fighters.fold_of_member == fold).all()


def test_the_users_own_model_is_attacked_instead_of_the_committee(pool):
    def only_first(x):
        return torch.stack([-x[:, 0], x[:, 0]], dim=1)

    x, parent, _, _ = grow(pool, Harden(), attacked=only_first, radius=0.5)
    move = x - pool.x[parent]
    assert (move[:, 0] < 0).all()
    assert not move[:, 1:].any()


# ---------------------------------------------------------------- drawn anew


def surely(label):
    """A voter that knows only one answer."""
    return lambda x: torch.eye(2)[label].expand(len(x), 2)


def only_beyond(x):
    """A voter for class 1 where the first number is above 1.5, for class 0 elsewhere."""
    return torch.eye(2)[(x[:, 0] > 1.5).long()]


def test_explored_rows_are_kept_by_the_chance_that_all_voices_give_them(pool):
    recipe = Explore(acceptance_power=3.0)
    _, _, _, everything = grow(pool, Explore(acceptance_power=0.0), count=3000)
    _, _, _, kept = grow(pool, recipe, count=3000)
    chance = everything["probability"] ** 3
    wanted = (chance * everything["probability"]).sum() / chance.sum()
    assert float(kept["probability"].mean()) == pytest.approx(float(wanted), abs=0.01)


def test_a_voter_is_heard_beside_the_committee(pool):
    jury = EqualVotes((only_beyond,) * 9)
    x, _, _, record = grow(pool, Explore(acceptance_power=40.0), count=60, jury=jury)
    new = record["move_share"] == 1
    assert new.float().mean() > 0.9
    assert (x[new, 0] > 1.5).float().mean() > 0.95
    assert (
        grow(pool, Explore(acceptance_power=40.0), count=60)[0][:, 0] > 1.5
    ).float().mean() < 0.9


@pytest.mark.parametrize("order", [(), (1, 0)])
def test_a_voter_is_not_asked_about_rows_that_cannot_be_accepted_any_more(pool, order):
    asked = []

    def counting(voter):
        def answer(x):
            asked.append(len(x))
            return voter(x)

        return answer

    voters = counting(only_beyond), counting(surely(1))
    x = pool.x[:40]
    members = pool.committee.read(x)
    least = torch.linspace(0.5, 1.0, 40)
    jury = EqualVotes(voters, order=order)
    everything = jury(x, x, members)
    assert asked == [40, 40]
    asked.clear()
    places, votes = finish(jury.above(x, x, members, 1, least))
    assert (everything[:, 1] >= least).nonzero()[:, 0].tolist() == [
        place for place in places.tolist() if everything[place, 1] >= least[place]
    ]
    assert torch.equal(votes, everything[places])
    assert sum(asked) < 2 * len(x)


def test_a_row_that_no_voter_can_save_is_asked_of_no_further_voter(pool):
    def never(x):
        raise AssertionError("asked about rows that are lost")

    members = torch.zeros(4, 5, 2)
    members[..., 0] = 99.0
    jury = EqualVotes((never,))
    least = torch.full((5,), 0.9)
    places, votes = finish(jury.above(pool.x[:5], pool.x[:5], members, 1, least))
    assert len(places) == len(votes) == 0


@pytest.mark.parametrize("order", [0, 1])
def test_voters_who_read_rows_are_asked_before_the_features_are_computed(pool, order, monkeypatch):
    """The rows are those of the same voter asked in its turn, of features of more rows."""
    recipe, read = Explore(acceptance_power=40.0), []
    features = type(pool.committee.features)
    compute = features.__call__

    def counting(self, x):
        read.append(len(x))
        return compute(self, x)

    monkeypatch.setattr(features, "__call__", counting)
    jury = EqualVotes((), (surely(1), only_beyond)[:: 1 - 2 * order])
    assert jury.reads_rows
    first = grow(pool, recipe, count=60, jury=jury)
    n_read = sum(read)
    read.clear()
    monkeypatch.setattr(EqualVotes, "reads_rows", False)
    last = grow(pool, recipe, count=60, jury=jury)
    assert torch.equal(first[0], last[0])
    assert torch.equal(first[3]["probability"], last[3]["probability"])
    assert n_read < 0.9 * sum(read)


def test_the_least_probability_of_explore_is_where_its_chance_meets_the_lot(pool):
    lot = torch.linspace(0, 0.99, 50)
    for power in (0.0, 0.5, 4.0):
        recipe = Explore(acceptance_power=power)
        least = recipe.least_probability(lot)
        accepted = recipe.acceptance(least, pool.committee.logits, pool.x[:50], 1)
        assert (accepted - lot).abs().max() < 1e-6 or not power
        assert not (recipe.acceptance(least - 1e-3, pool.committee.logits, pool.x[:50], 1) > lot)[
            least > 1e-3
        ].any()


def test_rows_that_the_attacked_model_gets_wrong_are_preferred(pool):
    def only_first(x):
        return 9 * torch.stack([-x[:, 0] + 2, x[:, 0] - 2], dim=1)

    def share_right(recipe):
        x, _, _, record = grow(pool, recipe, count=300, attacked=only_first)
        return float((x[record["move_share"] == 1, 0] > 2).float().mean())

    assert share_right(Explore()) > 0.3
    assert share_right(Explore(hardness=3.0)) < 0.02


def test_what_all_voices_refuse_is_repeated(pool):
    against = EqualVotes((surely(0),) * 99)
    x, parent, second, record = grow(pool, Explore(acceptance_power=99.0), count=9, jury=against)
    assert not record["move_share"].any()
    assert torch.equal(x, pool.x[parent])
    assert (second == -1).all()


@pytest.mark.parametrize("noise", [0.0, 0.8])
def test_explored_rows_lie_no_farther_off_the_line_than_the_noise(pool, noise):
    recipe = Explore(noise_std=noise, acceptance_power=0.0)
    x, parent, second, _ = grow(pool, recipe, count=200)
    a, b, scale = pool.x[parent], pool.x[second], pool.committee.scale
    way = (b - a) / scale
    share = ((x - a) / scale * way).sum(1) / way.square().sum(1).clamp_min(1e-9)
    off = length((x - a) / scale - share.clamp(0, 1)[:, None] * way, 2)[second >= 0]
    assert float(off.max()) <= noise + 1e-4
    assert float(off.max()) >= 0.6 * noise


def test_some_explored_rows_are_only_attacked_and_the_others_only_mixed(pool):
    recipe = Explore(p_attack_only=0.25, attack_radius=0.7)
    plan = planned(recipe, pool, 1, 4000)
    is_apart = plan.radius > 0
    assert abs(float(is_apart.double().mean()) - 0.25) < 0.03
    assert (plan.second_parent == plan.parent)[is_apart].all()
    assert (plan.mix[is_apart] == 0).all()
    assert (plan.noise_std[is_apart] == 0).all()
    assert float(plan.radius.max()) <= 0.7
    assert (plan.mix[~is_apart] > 0).double().mean() > 0.99


def test_frozen_and_bounded_numbers_do_not_scatter(pool):
    free = torch.tensor([True, False, True])
    space = Box(torch.tensor(-9.0), pool.x.amax(0), norm=2.0, free=free)
    x, parent, _, _ = grow(
        replace(pool, space=space), Explore(noise_std=5.0, acceptance_power=0.0), count=200
    )
    assert torch.equal(x[:, 1], pool.x[parent, 1])
    assert (x <= pool.x.amax(0) + 1e-6).all()


def test_a_random_move_is_not_cut_to_the_radius_of_an_attack_where_it_is_rounded(pool):
    space = replace(pool.space, grid=torch.ones(3))
    x = pool.x.round()
    beside = Explore(max_mix=0.0, p_cross_class=0.0, attack_radius=1e-3, acceptance_power=0.0)
    made, parent, _, _ = grow(replace(pool, x=x, space=space), beside, count=200)
    assert (made != x[parent]).any(1).double().mean() > 0.5


@pytest.mark.parametrize(("columns", "expected"), [(2, 0.5 * 2**0.5), (100, 3.0)])
def test_a_random_move_of_few_columns_is_short(columns, expected):
    space, x = (
        Box(torch.full((columns,), -99.0), torch.full((columns,), 99.0)),
        torch.zeros(50, columns),
    )
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(0))
    moved = space.scatter(x, torch.full((50,), 3.0), torch.ones(columns), noise)
    torch.testing.assert_close(moved.norm(dim=1), torch.full((50,), expected))


# ---------------------------------------------------------------- retraction


def test_refused_rows_are_drawn_back_by_shares_until_they_please(pool):
    class HalfWay(FittedJudge):
        """It accepts what lies within .6 of a unit of its parent."""

        def verdict(self, x, probability):
            return Verdict(nearest(x, pool.features, 1)[0][:, 0] <= 0.6, probability)

    x, parent, _, record = grow(pool, Harden(), judge=HalfWay(), attack=FGSM(), radius=1.0)
    away = length(x - pool.x[parent], 2.0)
    assert set(record["move_share"].tolist()) <= {1.0, 0.5, 0.25, 0.0}
    assert_close(away, record["move_share"], atol=1e-5, rtol=0)
    assert (record["move_share"] == 0.5).any()


@every_recipe
def test_what_no_judge_would_keep_goes_home_to_a_row_of_the_class(pool, name):
    bench = ConformalJudge(min_probability=1.0, alpha=1.0).fit(pool.features, pool.y, 1, source())
    x, parent, second, record = grow(pool, RECIPES[name](), judge=bench)
    assert not record["move_share"].any()
    assert not record["distance"].any()
    assert torch.equal(x, pool.x[parent])
    assert (pool.y[parent] == 1).all()
    assert (second == -1).all()


# ---------------------------------------------------------------- the identity of rows


@every_recipe
def test_a_larger_request_begins_with_the_rows_of_a_smaller_one(pool, name):
    judge = ConformalJudge(0.4).fit(pool.features, pool.y, 1, source())
    few, many = (grow(pool, RECIPES[name](), count, judge=judge) for count in (30, 31))
    for one, other in zip(few[:3], many[:3], strict=True):
        assert_close(one, other[:30], atol=1e-5, rtol=1e-5)


@every_recipe
def test_two_shards_are_one(pool, name):
    generator = ClassGenerator(pool, RECIPES[name](), 1, GenerationConfig())
    whole = generator.rows(torch.arange(40))
    shards = [generator.rows(rows) for rows in (torch.arange(17, 40), torch.arange(17))]
    assert torch.equal(torch.cat([shards[1].x, shards[0].x]), whole.x)
    assert torch.equal(torch.cat([shards[1].parent, shards[0].parent]), whole.parent)


@pytest.fixture
def threads():
    """The function that sets torch's threads; the number is as before afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@every_recipe
def test_the_number_of_threads_does_not_matter(pool, threads, name):
    judge = ConformalJudge(0.4).fit(pool.features, pool.y, 1, source())
    rows = []
    for number in (1, 2):
        threads(number)
        rows.append(grow(pool, RECIPES[name](), 300, judge=judge))
    for one, other in zip(rows[0][:3], rows[1][:3], strict=True):
        assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_rows_come_in_the_order_of_their_numbers(pool):
    generator = ClassGenerator(pool, Explore(), 1, GenerationConfig())
    asked = torch.tensor([5, 2, 9])
    batch = generator.rows(asked)
    assert batch.rows.tolist() == [2, 5, 9]
    assert torch.equal(batch.x, generator.rows(torch.arange(10)).x[[2, 5, 9]])


def test_classes_and_seeds_have_rows_of_their_own(pool):
    first = grow(pool, Interpolate(), 24)[1]
    assert not torch.equal(first, grow(replace(pool, seed=1), Interpolate(), 24)[1])


@pytest.mark.parametrize("n", [1, 2, 9, 24, 97])
def test_every_round_of_parents_is_a_permutation_and_rounds_differ(n):
    own = torch.arange(n) + 5
    rounds = round_robin(own, torch.arange(40 * n), 3, 1).view(40, n)
    assert torch.equal(rounds.sort(1).values, own.expand(40, n))
    assert n < 9 or len(rounds.unique(dim=0)) > 20


class Flagging(LogisticRegression):
    """A model whose arithmetic sets flags in cells that it does not use, as some BLAS do."""

    def fit(self, X, y, sample_weight=None):
        np.zeros(1) / np.zeros(1)
        return super().fit(X, y, sample_weight)

    def predict_proba(self, X):
        np.zeros(1) / np.zeros(1)
        return super().predict_proba(X)


@pytest.mark.filterwarnings("error")
def test_users_do_not_see_the_flags_of_arithmetic_in_voters():
    rows = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    labels = (rows[:, 0] > 0).long()
    voter = fit_voter(Flagging(), rows, labels, 2)
    assert ((voter(rows).argmax(1) == labels).double().mean() > 0.9).item()


def test_a_voter_is_asked_once_about_the_rows_of_all_tasks():
    calls = []

    def double(x):
        calls.append(len(x))
        return 2 * x

    def task(rows, times):
        for _ in range(times):
            rows = yield Question(double, rows)
        return rows

    rows = [torch.full((n, 1), float(n)) for n in (3, 5, 2)]
    found = finish_all([task(some, times) for some, times in zip(rows, (2, 1, 0), strict=True)])
    assert calls == [8, 3]
    for some, times, result in zip(rows, (2, 1, 0), found, strict=True):
        assert torch.equal(result, some * 2**times)


def test_small_classes_are_made_side_by_side_as_far_as_batch_and_memory_allow():
    def parts(counts, batch_size, width):
        requests = [ClassRequest(None, "explore", 0, count) for count in counts]
        return [
            [len(rows) for _, rows in part] for part in side_by_side(requests, batch_size, width)
        ]

    assert parts([3, 4, 5], 12, 2) == [[3, 4, 5]]
    assert parts([3, 4, 5], 8, 2) == [[3, 4], [5]]
    assert parts([9, 1], 4, 2) == [[4], [4], [1, 1]]
    assert parts([1, 1], 99, 2**30) == [[1], [1]]
    assert parts([], 9, 9) == []


def test_rows_of_classes_made_side_by_side_are_those_of_each_class_alone():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(4), [40, 9, 8, 7])
    X = rng.normal(size=(64, 3)) + y[:, None]
    every, _ = AdversarialOverSampler(random_state=0).fit_resample(X, y)
    new = every[64:].reshape(-1, 3)
    for label, first in ((1, 0), (2, 31)):
        alone = AdversarialOverSampler(sampling_strategy={label: 40}, random_state=0)
        rows, _ = alone.fit_resample(X, y)
        np.testing.assert_allclose(rows[64:], new[first : first + len(rows) - 64], atol=1e-5)


# ---------------------------------------------------------------- a student of the jury


def slow_jury(pool):
    """A committee with a voter whose answer is known: the larger the first column, the surer."""

    def voter(x):
        one = (3 * x[:, 0]).sigmoid()
        return torch.stack([1 - one, one], 1)

    return EqualVotes(voters=(voter,))


def said_by(jury, pool, x):
    """The jury's probability of class 1."""
    features = pool.committee.features(x)
    return jury(x, features, pool.committee.read(features))[:, 1]


def test_a_student_learns_what_a_jury_says():
    x = torch.randn(4000, 3, generator=source())
    one = (2 * x[:, 0] - x[:, 1]).sigmoid()
    student = learn_votes(x, torch.stack([1 - one, one], 1), source(1))
    new = torch.randn(500, 3, generator=source(2))
    said, right = student(new)[:, 1], (2 * new[:, 0] - new[:, 1]).sigmoid()
    assert (said - right).abs().mean() < 0.02


def test_a_student_that_errs_is_not_used():
    x = torch.randn(800, 3, generator=source())
    one = torch.rand(800, generator=source(1))  # Nothing in a row tells what the jury says.
    assert learn_votes(x, torch.stack([1 - one, one], 1), source(2)) is None


def test_a_student_judges_rows_from_a_number_on_in_any_batch(pool, monkeypatch):
    monkeypatch.setattr(class_generator, "JURY_ROWS", 100)
    monkeypatch.setattr(class_generator, "DRAWS_TAUGHT", 2000)
    jury = slow_jury(pool)
    whole, *_, record = grow(pool, Explore(), 150, jury=jury)
    assert record["by_student"].tolist() == [0] * 100 + [1] * 50
    by_student = record["probability"]
    parts, *_ = grow(pool, Explore(), 150, jury=jury, batch_size=7)
    assert_close(whole, parts)
    monkeypatch.setattr(class_generator, "JURY_ROWS", 10**6)
    alone, *_, record = grow(pool, Explore(), 150, jury=jury)
    assert not record["by_student"].any()
    assert torch.equal(alone[:100], whole[:100])
    told = record["probability"][100:]
    assert not torch.equal(by_student[100:], told)
    assert_close(by_student[100:], said_by(jury, pool, whole[100:]), atol=0.1, rtol=0)


def test_a_jury_without_voters_needs_no_student(pool, monkeypatch):
    monkeypatch.setattr(class_generator, "JURY_ROWS", 10)
    *_, record = grow(pool, Explore(), 30)
    assert not record["by_student"].any()
