import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from advaug.core.objectives import Margin, Odds, TargetMargin, log_odds, margin


@pytest.fixture
def problem(generator):
    """Logits of 8 rows and 4 classes, and labels."""
    logits = torch.randn((8, 4), generator=generator, dtype=torch.float64)
    return logits, torch.randint(4, (8,), generator=generator)


def identity(x):
    return x


def best_other(logits, label):
    return max(value for k, value in enumerate(logits) if k != label)


def test_margin_is_the_labels_logit_less_the_best_other(problem):
    logits, label = problem
    expected = [
        row[y] - best_other(row, y) for row, y in zip(logits.tolist(), label.tolist(), strict=True)
    ]
    np.testing.assert_allclose(margin(logits, label), expected)
    assert torch.equal(margin(logits, label) > 0, logits.argmax(1) == label)


def test_log_odds_is_log_p_over_1_minus_p(problem):
    logits, label = problem
    p = logits.softmax(1)[range(8), label]
    torch.testing.assert_close(log_odds(logits, label), torch.log(p / (1 - p)))


def test_log_odds_gradient_points_where_cross_entropys_does(problem):
    """d log p = (1 - p) d log(p / (1 - p)), row by row."""
    logits, label = problem
    logits.requires_grad_(True)
    p = logits.detach().softmax(1)[range(8), label]
    (odds,) = torch.autograd.grad(log_odds(logits, label).sum(), logits)
    (loss,) = torch.autograd.grad(cross_entropy(logits, label, reduction="sum"), logits)
    torch.testing.assert_close((1 - p)[:, None] * odds, -loss)


def test_log_odds_gradient_does_not_vanish_where_cross_entropys_does(problem):
    logits = problem[0].float()
    label = logits.argmax(1)
    logits[range(8), label] += 0.2
    logits *= 1000
    logits.requires_grad_(True)
    (odds,) = torch.autograd.grad(log_odds(logits, label).sum(), logits)
    (loss,) = torch.autograd.grad(cross_entropy(logits, label, reduction="sum"), logits)
    assert not loss.any()
    torch.testing.assert_close(odds.abs().sum(1), torch.full((8,), 2.0))


@pytest.mark.parametrize(("kind", "value"), [(Odds, log_odds), (Margin, margin)])
def test_targeted_raises_the_label_and_untargeted_lowers_it(kind, value, problem):
    logits, label = problem
    towards = kind(identity, label, targeted=True)
    away = kind(identity, label)
    assert torch.equal(towards(logits), value(logits, label))
    assert torch.equal(away(logits), -value(logits, label))


def test_margin_is_above_0_exactly_where_the_prediction_has_left_or_reached(problem):
    logits, label = problem
    predicted = logits.argmax(1)
    assert torch.equal(Margin(identity, label)(logits) > 0, predicted != label)
    assert torch.equal(Margin(identity, label, targeted=True)(logits) > 0, predicted == label)


def test_level_is_0_where_reached_and_pulls_from_both_sides(problem):
    logits, label = problem
    start = margin(logits, label)
    offset = torch.tensor([-2.0, -1, -0.5, 0, 0, 0.5, 1, 2], dtype=torch.float64)
    logits.requires_grad_(True)
    value = TargetMargin(identity, label, start + offset)(logits)
    torch.testing.assert_close(value, -offset.abs(), atol=1e-12, rtol=0)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    away = offset != 0
    assert torch.equal(gradient[range(8), label].sign()[away], offset.sign()[away])


@pytest.mark.parametrize(
    "build",
    [
        Odds,
        Margin,
        lambda f, label: Odds(f, label, targeted=True),
        lambda f, label: Margin(f, label, targeted=True),
        lambda f, label: TargetMargin(f, label, torch.arange(8.0, dtype=torch.float64)),
    ],
)
def test_take_is_the_same_objective_for_some_rows(build, problem):
    logits, label = problem
    objective = build(identity, label)
    rows = torch.tensor([True, False, False, True, True, False, True, False])
    assert torch.equal(objective.take(rows)(logits[rows]), objective(logits)[rows])
