"""On cuda an attack is one graph; the rows are those of the attack itself, on every device."""

import pickle

import pytest
import torch

from advaug.attacks import BIM, FGSM, MIFGSM, NIFGSM, PGD, RFGSM, Captured
from advaug.attacks.cuda_graph import outline, rebuilt, tensors
from advaug.core.box import Box
from advaug.core.objectives import Odds
from advaug.core.product import Product
from advaug.core.simplex import Simplex
from advaug.models.torch_model import TorchModel
from tests.problems import problem_of

WIDTH = 6
ATTACKS = [FGSM(), RFGSM(), BIM(), PGD(), PGD(random_start=False), MIFGSM(), NIFGSM()]


def box(norm=2.0):
    return Box(torch.zeros(WIDTH), torch.ones(WIDTH), norm=norm)


def product():
    every = torch.ones(2, 3, dtype=torch.bool)
    return Product((box(), Simplex(every, ~every)), ((WIDTH,), (2, 3)))


def rows(count, width, seed=0):
    x = torch.rand(count, width, generator=torch.Generator().manual_seed(seed))
    if width > WIDTH:
        x[:, WIDTH:] = torch.eye(3)[torch.arange(2 * count) % 3].reshape(count, 6)
    return x


def problem_on(net, device, count=5, width=WIDTH, seed=0, space=None):
    label = torch.arange(count) % 3
    space = (space or box()).to(device)
    radius = torch.linspace(0.1, 0.4, count)
    x = rows(count, width, seed)
    objective = Odds(net.logits, label.to(device))
    return problem_of(objective, x.to(device), space, radius.to(device), seed)


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
@pytest.mark.parametrize("space", [box(torch.inf), box(2.0), box(1.0), product()], ids=repr)
def test_a_captured_attack_gives_the_rows_of_the_attack(attack, space, mlp, device):
    width = 2 * WIDTH if isinstance(space, Product) else WIDTH
    net, captured = TorchModel(mlp(width, 8, 3).to(device)), Captured(attack)
    for seed in (0, 1, 2):  # the second call replays what the first has captured
        given = problem_on(net, device, width=width, seed=seed, space=space)
        found = captured(given)
        torch.testing.assert_close(found, attack(given), rtol=0, atol=1e-5)
        assert bool((found != given.seed).any())


def test_a_graph_is_captured_anew_for_other_shapes_and_sees_new_weights(mlp, device):
    module = mlp(WIDTH, 8, 3).to(device)
    captured, plain = Captured(BIM()), BIM()
    for count, gain in ((5, 1.0), (7, 1.0), (7, -2.0), (5, 1.0)):
        with torch.no_grad():
            module[-1].weight *= gain  # in place, as training does
        given = problem_on(TorchModel(module), device, count=count)
        found = captured(given)
        torch.testing.assert_close(found, plain(given), rtol=0, atol=1e-5)


def test_what_a_graph_depends_on_is_seen(mlp):
    net = TorchModel(mlp(WIDTH, 8, 3))
    given = problem_on(net, "cpu")
    assert outline(given) == outline(problem_on(net, "cpu", seed=1))
    assert outline(given) != outline(problem_on(net, "cpu", count=6))
    assert outline(given) != outline(problem_on(net, "cpu", space=box(1.0)))
    assert outline(given) != outline(problem_on(TorchModel(mlp(WIDTH, 8, 3)), "cpu"))
    bare = problem_of(Odds(net.module, given.objective.label), given.seed, box(), given.radius)
    before = outline(given), outline(bare)
    net.module[1].weight.data = net.module[1].weight.data.clone()  # another place in memory
    assert outline(given) != before[0]
    assert outline(bare) != before[1]


def test_every_tensor_of_a_call_is_found_and_replaced(mlp):
    given = problem_on(TorchModel(mlp(2 * WIDTH, 8, 3)), "cpu", width=2 * WIDTH, space=product())
    leaves = list(tensors(given))
    assert len(leaves) == 8  # label, seed, lower, upper, reachable, never_left, radius, keys
    twice = rebuilt(given, iter([leaf.clone() for leaf in leaves]))
    assert outline(twice) == outline(given)
    assert all(one is not two for one, two in zip(tensors(twice), leaves, strict=True))


def test_a_pickle_leaves_the_graph_behind(mlp, device):
    captured = Captured(PGD(steps=3))
    captured(problem_on(TorchModel(mlp(WIDTH, 8, 3).to(device)), device))
    again = pickle.loads(pickle.dumps(captured))
    assert again == captured
    assert again._graph is None


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_an_attack_that_asks_the_host_is_refused(mlp):
    net = TorchModel(mlp(WIDTH, 8, 3).to("cuda"))
    with pytest.raises(ValueError, match="stop_at"):
        Captured(PGD(stop_at=0.0))(problem_on(net, "cuda"))
