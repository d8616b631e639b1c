import copy
import itertools
import pickle
from threading import Barrier, Event, Thread

import pytest
import torch
from sklearn.base import clone
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from advaug.core.features import FlatFeatures
from advaug.core.objectives import Odds, log_odds, of_rows
from advaug.models import Ensemble, QueriedEstimator
from advaug.models.committee import (
    Committee,
    balanced_rows,
    cross_entropy_gradients,
    forward,
    held_out_logits,
    mean_probability,
    principal_components,
    stratified_folds,
)
from advaug.models.optimizer import AdamW, gradients_of, in_one_vector, one_cycle
from advaug.models.out_of_fold import OutOfFoldModel
from advaug.models.protocol import AttackedModel
from advaug.models.read_trees import read_trees
from advaug.models.torch_model import TorchModel

SMALL = Ensemble(
    n_repeats=2, cv=3, hidden_width=16, max_iter=150, batch_size=48, learning_rate=0.02
)


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def fit(settings, x, y, seed=0):
    return settings.fit(x, y, int(y.max()) + 1, source(seed))


def same(a, b):
    pairs = zip(a.weights, b.weights, strict=True)
    tensors = ("center", "scale", "fold_of_member", "fold_of_row")
    return all(torch.equal(one, two) for one, two in pairs) and all(
        torch.equal(getattr(a, name), getattr(b, name)) for name in tensors
    )


@pytest.fixture(scope="module")
def exclusive_or():
    """Rows whose class no straight line tells, and a committee trained on them."""
    x = torch.randn((240, 2), generator=source(1))
    x = torch.where(x.abs() < 0.2, 0.2, x)
    y = (x.prod(1) > 0).long()
    return x, y, fit(SMALL, x, y)


# ---------------------------------------------------------------- folds and batches


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_each_class_has_an_equal_share_in_every_fold(folds):
    y = torch.tensor([0] * 31 + [1] * 8 + [2] * 2)[torch.randperm(41, generator=source())]
    fold = stratified_folds(y, folds, source())
    for label in range(3):
        counts = fold[y == label].bincount(minlength=folds)
        assert len(counts) == folds
        assert counts.max() - counts.min() <= 1
    assert not torch.equal(fold, stratified_folds(y, folds, source(1)))


def test_members_train_on_balanced_rows_that_are_never_of_their_own_fold():
    y = torch.tensor([0] * 40 + [1] * 9 + [2] * 5)
    fold_of_row = stratified_folds(y, 3, source())
    fold_of_member = torch.tensor([0, 1, 2, 0, 1, 2])
    rows = balanced_rows(y, fold_of_row, fold_of_member, 50, 30, source())
    assert rows.shape == (50, 6, 30)
    for member, fold in enumerate(fold_of_member):
        drawn = rows[:, member]
        assert set(drawn.unique().tolist()) == set((fold_of_row != fold).nonzero()[:, 0].tolist())
        assert all(torch.equal(y[step].bincount(), torch.tensor([10, 10, 10])) for step in drawn)


def test_a_class_that_only_the_members_fold_has_is_left_out():
    y, fold_of_row = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 1, 0])
    rows = balanced_rows(y, fold_of_row, torch.tensor([0, 1]), 5, 8, source())
    assert set(rows[:, 0].unique().tolist()) == {1, 2}
    assert set(rows[:, 1].unique().tolist()) == {0, 3}


def test_members_memorise_random_labels_but_held_out_members_only_guess():
    x = torch.randn((90, 12), generator=source(2))
    y = torch.randint(2, (90,), generator=source(3))
    memorising = Ensemble(
        2,
        3,
        32,
        max_iter=200,
        learning_rate=0.02,
        weight_decay=0.0,
        label_smoothing=0.0,
        noise_std=0.0,
    )
    committee = fit(memorising, x, y)
    right = (committee.member_logits(x).argmax(-1) == y).float()
    knows = committee.fold_of_member[:, None] != committee.fold_of_row
    assert right[knows].mean() > 0.97
    assert 0.35 < right[~knows].mean() < 0.65
    held_out = held_out_logits(committee, x).argmax(1)
    assert 0.3 < (held_out == y).float().mean() < 0.7


# ---------------------------------------------------------------- training


def test_the_committee_learns_what_no_line_can(exclusive_or):
    x, y, committee = exclusive_or
    held_out = held_out_logits(committee, x)
    assert (held_out.argmax(1) == y).float().mean() > 0.9


def test_training_depends_on_the_generators_seed_alone(exclusive_or):
    x, y, _ = exclusive_or
    brief = Ensemble(n_repeats=1, hidden_width=8, max_iter=10)
    state = torch.get_rng_state()
    first = fit(brief, x, y)
    torch.rand(3)
    torch.set_rng_state(state)
    assert same(first, fit(brief, x, y))
    assert not same(first, fit(brief, x, y, seed=1))
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(weight.requires_grad for weight in first.weights)


def test_units_and_origin_of_columns_that_vary_enough_do_not_matter():
    x = torch.randn((60, 3), generator=source(1), dtype=torch.float64)
    y = (x[:, 0] > 0).long()
    unit, origin = torch.tensor([10.0, 0.5, 3.0]), torch.tensor([5.0, 0.0, -7.0])
    brief = Ensemble(n_repeats=1, hidden_width=8, max_iter=10)
    plain, moved = fit(brief, x, y), fit(brief, x * unit + origin, y)
    torch.testing.assert_close(moved.logits(x * unit + origin), plain.logits(x))
    assert plain.logits(x).dtype == torch.float64


def test_a_constant_column_and_values_far_away_give_finite_logits():
    x = torch.randn((60, 2), generator=source(1))
    x[:, 1] = 4.0
    committee = fit(Ensemble(n_repeats=1, hidden_width=8, max_iter=10), x, (x[:, 0] > 0).long())
    far = torch.tensor([[1e30, 4.0], [1e3, 4.0], [0.0, -1e30]])
    logits = committee.logits(far * committee.scale + committee.center)
    assert logits.isfinite().all()
    torch.testing.assert_close(logits[0], logits[1])


def test_the_rate_rises_for_a_quarter_and_falls_to_next_to_nothing():
    rates = [one_cycle(k / 100) for k in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates.index(max(rates)) == 25
    assert max(rates) == pytest.approx(1)
    assert rates[:26] == sorted(rates[:26])
    assert rates[25:] == sorted(rates[25:], reverse=True)
    assert rates[-1] == pytest.approx(0.01)


@pytest.mark.slow
def test_adamw_is_torchs_over_20_steps():
    start = [torch.randn(shape, generator=source(1)) for shape in ((3, 4), (5,))]
    theirs = [weight.clone().requires_grad_(True) for weight in start]
    optimizer = torch.optim.AdamW(theirs, lr=1.0, weight_decay=0.1)
    ours = AdamW(tuple(weight.clone() for weight in start), 0.1)
    generator = source(2)
    for step in range(20):
        gradients = tuple(torch.randn(w.shape, generator=generator) * 10.0**-step for w in start)
        rate = 0.01 * (1 + step % 3)
        optimizer.param_groups[0]["lr"] = rate
        for weight, gradient in zip(theirs, gradients, strict=True):
            weight.grad = gradient.clone()
        optimizer.step()
        ours.step(gradients, rate)
        for weight, expected in zip(ours.weights, theirs, strict=True):
            torch.testing.assert_close(weight, expected.detach(), rtol=1e-5, atol=1e-6)


# ---------------------------------------------------------------- principal components


def test_principal_components_are_uncorrelated_and_the_large_ones_have_one_size():
    x = torch.randn(400, 5, generator=source(0)) * torch.tensor([3.0, 2.0, 1.0, 0.5, 0.01])
    x = x - x.mean(0)
    turned = x @ principal_components(x, 4)
    size = turned.square().mean(0).sqrt()
    torch.testing.assert_close(size[:3], torch.ones(3), rtol=1e-4, atol=0)  # above .3 of the first
    assert 0.4 < float(size[3]) < 0.7  # below it: as much shorter as it is
    correlation = turned.T @ turned / len(x)
    torch.testing.assert_close(correlation, torch.diag(size.square()), rtol=0, atol=1e-4)


def test_principal_components_keep_nets_from_memorising_rare_rows():
    generator = source(3)
    y = torch.arange(300) < 24
    hidden = torch.randn(300, 3, generator=generator) + 1.5 * y[:, None]
    x = torch.cat([hidden, 0.1 * torch.randn(300, 250, generator=generator)], 1)
    x = x / x.std(0)  # noise as loud as what tells the classes apart
    x[:, 3:] += 0.8 * hidden.repeat(1, 84)[:, :250] / hidden.std()

    def ranked(n_components):
        committee = Ensemble(n_components=n_components).fit(x, y.long(), 2, source(1))
        logits = held_out_logits(committee, x)
        gap = logits[:, 1] - logits[:, 0]
        return float((gap[y][:, None] > gap[~y]).float().mean())

    assert ranked(8) > 0.9
    assert ranked(8) > ranked(None)


# ---------------------------------------------------------------- predictions


def test_held_out_logits_are_the_mean_of_each_rows_held_out_members(exclusive_or):
    x, _, committee = exclusive_or
    expected = torch.stack(
        [
            committee.member_logits(row[None])[committee.fold_of_member == fold, 0].mean(0)
            for row, fold in zip(x, committee.fold_of_row, strict=True)
        ]
    )
    for batch in (4096, 7):
        result = held_out_logits(committee, x, batch_size=batch)
        torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)


def test_logits_and_probability_are_the_members_means(exclusive_or):
    x, _, committee = exclusive_or
    members = committee.member_logits(x)
    assert members.shape == (6, 240, 2)
    torch.testing.assert_close(committee.logits(x), sum(members) / 6)
    torch.testing.assert_close(committee.probability(x), sum(members.softmax(-1)) / 6)


def test_taken_members_are_the_members(exclusive_or):
    x, _, committee = exclusive_or
    some = torch.tensor([4, 1])
    taken = committee.take(some)
    torch.testing.assert_close(taken.member_logits(x), committee.member_logits(x)[some])
    assert torch.equal(taken.fold_of_member, committee.fold_of_member[some])
    for fold in range(3):
        held_out = committee.held_out_members(fold)
        assert held_out.fold_of_member.tolist() == [fold, fold]


@pytest.mark.parametrize("repeats", [2, 3, 4])
def test_halves_share_no_member_and_each_knows_every_fold(repeats):
    members = repeats * 3
    committee = Committee(
        weights=(torch.arange(members)[:, None, None], torch.zeros(members, 1, 1)),
        center=torch.zeros(1),
        scale=torch.ones(1),
        fold_of_member=torch.arange(3).repeat(repeats),
        fold_of_row=torch.zeros(5, dtype=torch.long),
    )
    halves = committee.halves()
    names = [half.weights[0].flatten().tolist() for half in halves]
    assert sorted(names[0] + names[1]) == list(range(members))
    for half, members_ in zip(halves, names, strict=True):
        assert half.fold_of_member.tolist() == [name % 3 for name in members_]
        assert set(half.fold_of_member.tolist()) == {0, 1, 2}


def test_a_pickled_committee_is_the_same(exclusive_or):
    x, _, committee = exclusive_or
    for again in (pickle.loads(pickle.dumps(committee)), copy.deepcopy(committee)):
        assert same(again, committee)
        assert torch.equal(again.logits(x), committee.logits(x))


def test_a_committee_moves_whole_to_a_device_and_its_pickle_back(exclusive_or, device):
    x, _, committee = exclusive_or
    moved = committee.to(device)
    assert moved.logits(x.to(device)).device.type == device
    torch.testing.assert_close(moved.logits(x.to(device)).cpu(), committee.logits(x))
    again = pickle.loads(pickle.dumps(moved))
    assert {weight.device.type for weight in again.weights} == {"cpu"}
    assert committee.to("meta").logits(x.to("meta")).device.type == "meta"


# ---------------------------------------------------------------- the user's own module


@pytest.fixture
def module(mlp):
    """A net with every kind of flag: one part kept in eval mode, one weight frozen."""
    net = nn.Sequential(
        mlp(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.BatchNorm1d(6), mlp(6, 3, seed=1)
    ).train()
    net[3].eval()
    net[0][1].bias.requires_grad_(False)
    return net


def state(module):
    """Every flag, and a copy of every parameter and buffer."""
    flags = [part.training for part in module.modules()]
    wants = [(weight.requires_grad, weight.grad) for weight in module.parameters()]
    return flags, wants, copy.deepcopy(module.state_dict())


def assert_same_state(before, after):
    assert before[:2] == after[:2]
    for name, value in before[2].items():
        assert torch.equal(value, after[2][name]), name


def test_a_frozen_module_is_in_eval_mode_and_asks_for_no_gradient(module):
    before = state(module)
    with TorchModel(module).frozen() as model:
        inside = model.module
        assert inside is module
        assert not any(part.training for part in module.modules())
        assert not any(weight.requires_grad for weight in module.parameters())
    assert_same_state(before, state(module))


def test_an_attacked_module_is_afterwards_as_it_was(module):
    before = state(module)
    x = torch.rand((8, 4), generator=source()).requires_grad_(True)
    objective = Odds(TorchModel(module).logits, torch.arange(8) % 3)
    (gradient,) = torch.autograd.grad(objective(x).sum(), x)
    assert gradient.abs().sum() > 0
    assert_same_state(before, state(module))
    assert torch.equal(TorchModel(module).logits(x), copy.deepcopy(module).eval()(x))


def test_after_an_error_the_module_is_as_it_was_too(module):
    before = state(module)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        TorchModel(module).logits(torch.rand(8, 5))
    assert_same_state(before, state(module))


@pytest.mark.parametrize("shape", [(5,), (5, 1)])
def test_a_single_logit_stands_for_the_two_of_two_classes(shape):
    z = torch.linspace(-3, 3, 5)
    label = torch.tensor([0, 1, 0, 1, 1])
    one = TorchModel(Fixed(z.reshape(shape))).logits(z)
    two = TorchModel(Fixed(torch.stack([torch.zeros(5), z], 1))).logits(z)
    torch.testing.assert_close(one.softmax(1), two.softmax(1))
    torch.testing.assert_close(log_odds(one, label), log_odds(two, label))


class Fixed(nn.Module):
    """Gives these logits whatever the rows."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, x):
        return self.logits


def test_copies_share_the_module(module):
    model = TorchModel(module)
    assert copy.deepcopy(model).module is module
    assert copy.deepcopy({"model": model})["model"].module is module
    assert clone(model, safe=False).module is module


def test_rows_come_back_in_their_own_dtype(module):
    x = torch.rand((8, 4), generator=source(), dtype=torch.float64)
    logits = TorchModel(module).logits(x)
    assert logits.dtype == torch.float64
    torch.testing.assert_close(logits.float(), TorchModel(module).logits(x.float()))
    double = TorchModel(copy.deepcopy(module).double()).logits(x.float())
    assert double.dtype == torch.float32
    torch.testing.assert_close(double, logits.float())


@pytest.mark.parametrize("first_to_leave", [0, 1])
def test_a_module_that_two_threads_share_stays_frozen_until_both_have_left(module, first_to_leave):
    before = state(module)
    inside, leave = Barrier(3), [Event(), Event()]

    def use(number):
        with TorchModel(module).frozen():
            inside.wait(10)
            assert leave[number].wait(10)

    threads = [Thread(target=use, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    inside.wait(10)
    for number in (first_to_leave, 1 - first_to_leave):
        assert not any(part.training for part in module.modules())
        assert not any(weight.requires_grad for weight in module.parameters())
        leave[number].set()
        threads[number].join(10)
    assert_same_state(before, state(module))


# ---------------------------------------------------------------- what a model is


def test_a_model_says_what_it_provides():
    x = torch.randn(12, 2, generator=source())
    y, brief = torch.arange(12) % 2, Ensemble(n_repeats=1, max_iter=1)
    blind = FlatFeatures()
    object.__setattr__(blind, "is_differentiable", False)
    tree = DecisionTreeClassifier().fit(x.numpy(), y)
    models = {
        brief.fit(x, y, 2, source()): {"gradient"},
        brief.fit(x, y, 2, source(), blind): set(),
        TorchModel(nn.Linear(2, 2)): {"gradient"},
        TorchModel(nn.Sequential(nn.Embedding(9, 4), nn.Flatten())): {"gradient", "embedding"},
        QueriedEstimator(tree): set(),
        QueriedEstimator(tree, read_trees(tree).leaf_boxes()): {"leaf_boxes"},
    }
    for model, provided in models.items():
        assert model.provides == provided
        with model.frozen() as same:
            assert same is model


def test_a_class_that_inherits_from_the_protocol_has_its_defaults():
    class Constant(AttackedModel):
        def encoded_logits(self, coding, rows, seed):
            return lambda x: x.new_zeros(len(x), 2)

    model = Constant()
    assert (model.classes, model.provides, model.to("meta")) == (None, frozenset(), model)
    with model.frozen() as same:
        assert same is model


def test_only_logits_that_depend_on_the_row_are_taken_by_rows():
    members = lambda x: x[None].expand(2, *x.shape)  # noqa: E731
    model = OutOfFoldModel(members, torch.tensor([0, 1]), torch.tensor([0, 1, 1]))
    some = torch.tensor([2, 0])
    assert of_rows(model, some).fold.tolist() == [1, 0]
    assert of_rows(members, some) is members


def test_the_committee_is_printed_in_a_few_words(exclusive_or):
    text = repr(exclusive_or[2])
    assert len(text) < 600
    assert "center=Tensor(2,) float32" in text


@pytest.mark.parametrize("widths", [(3, 2), (5, 7, 4), (4, 6, 8, 3)])
def test_gradients_that_are_written_out_are_those_of_autograd(widths):
    generator = source()
    weights = []
    for into, out in itertools.pairwise(widths):
        weights.append(torch.randn(3, into, out, generator=generator).requires_grad_())
        weights.append(torch.randn(3, 1, out, generator=generator).requires_grad_())
    x = torch.randn(3, 20, widths[0], generator=generator)
    target = torch.rand(3, 20, widths[-1], generator=generator).softmax(-1)
    loss = -(target * forward(tuple(weights), x).log_softmax(-1)).sum(-1).mean(1).sum()
    plain = tuple(weight.detach() for weight in weights)
    _, found = in_one_vector(plain)
    cross_entropy_gradients(plain, x, target, found)
    torch.testing.assert_close(found, gradients_of(loss, tuple(weights)))


def test_the_mean_probability_is_that_of_the_members_softmax():
    logits = torch.randn(5, 11, 3, generator=source())
    torch.testing.assert_close(mean_probability(logits), logits.softmax(-1).mean(0))


def test_a_step_of_one_vector_moves_the_weights_that_are_views_of_it():
    weights = torch.randn(2, 3, 4, generator=source()), torch.randn(2, 1, 4, generator=source(1))
    vector, parts = in_one_vector(weights)
    assert all(torch.equal(part, weight) for part, weight in zip(parts, weights, strict=True))
    slopes = tuple(weight * 2 for weight in weights)
    AdamW((vector,), 0.1).step((torch.cat([one.flatten() for one in slopes]),), 0.01)
    AdamW(weights, 0.1).step(slopes, 0.01)
    assert all(torch.equal(part, weight) for part, weight in zip(parts, weights, strict=True))
