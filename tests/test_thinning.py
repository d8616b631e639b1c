"""How deep rows lie, and in which order they go."""

from dataclasses import dataclass

import pytest
import torch

from advaug.core.box import Box
from advaug.sampling.encoded_dataset import EncodedDataset
from advaug.sampling.thinning import UNSEEN, Depth, depth_of, order_of_dropping

SLOPE = torch.tensor([3.0, -4.0])  # of length 5


@dataclass
class Line:
    """A committee whose margin for class 1 is a linear function, shifted by fold."""

    shift: float = 0.0

    def to(self, device):
        return self

    def held_out_members(self, fold):
        return Line(float(fold + 1))

    def logits(self, x):
        margin = x @ SLOPE + self.shift
        return torch.stack([-margin / 2, margin / 2], dim=1)

    def probability(self, x):
        return self.logits(x).softmax(1)


def pool_of(x):
    wide = torch.full(x.shape[1:], 1e3)
    space = Box(-wide, wide, norm=2.0)
    return EncodedDataset(x, torch.zeros(len(x)).long(), torch.arange(len(x)), space, Line())


def depths(x, label, fold, batch_size=3):
    return depth_of(pool_of(x), x, label, fold, torch.device("cpu"), batch_size)


@pytest.mark.parametrize("label", [0, 1])
def test_the_distance_to_a_flat_border_is_the_point_to_line_distance(label, generator):
    x = torch.randn(20, 2, generator=generator)
    fold = torch.arange(20) % 3 - 1
    margin = (x @ SLOPE + fold + 1) * (2 * label - 1)
    depth = depths(x, label, fold)
    torch.testing.assert_close(depth.distance, margin / 5, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(depth.probability, margin.sigmoid(), atol=1e-5, rtol=1e-4)


def test_the_batch_size_changes_no_depth(generator):
    x = torch.randn(17, 2, generator=generator)
    fold = torch.full((17,), UNSEEN)
    one, all_at_once = (depths(x, 0, fold, batch) for batch in (1, 100))
    torch.testing.assert_close(one.distance, all_at_once.distance)
    torch.testing.assert_close(one.probability, all_at_once.probability)


def test_blocks_are_joined_in_their_order():
    parts = [Depth(torch.tensor([0.1]), torch.tensor([1.0])), Depth(*torch.ones(2, 2))]
    assert Depth.joined(parts).distance.tolist() == [1.0, 1.0, 1.0]
    assert Depth.joined(parts).probability.tolist() == pytest.approx([0.1, 1.0, 1.0])


def test_without_chance_the_deepest_row_goes_first(generator):
    depth = Depth(torch.full((5,), 0.9), torch.tensor([0.3, 2.0, -1.0, 5.0, 1.0]))
    order = order_of_dropping(depth, "redundant", torch.inf, 0.1, generator)
    assert order.tolist() == [3, 1, 4, 0, 2]


@pytest.mark.parametrize("sharpness", [0.0, 1.0, 2.0])
def test_the_odds_of_the_deeper_of_two_rows_are_as_the_docstring_says(sharpness, generator):
    depth = Depth(torch.tensor([0.9, 0.9]), torch.tensor([0.5, 4.0]))
    draws = 4000
    first = [
        int(order_of_dropping(depth, "redundant", sharpness, 0.0, generator)[0])
        for _ in range(draws)
    ]
    expected = torch.tensor(sharpness).sigmoid().item()
    deviation = (expected * (1 - expected) / draws) ** 0.5
    assert sum(first) / draws == pytest.approx(expected, abs=4 * deviation)


@pytest.mark.parametrize("drop", ["noisy", "both"])
def test_doubtful_rows_go_before_all_others_the_most_doubtful_first(drop, generator):
    depth = Depth(
        torch.tensor([0.9, 0.05, 0.8, 0.01, 0.7]), torch.tensor([9.0, -1.0, 8.0, -2.0, 7.0])
    )
    order = order_of_dropping(depth, drop, 50.0, 0.1, generator)
    assert order[:2].tolist() == [3, 1]
    assert sorted(order.tolist()) == [0, 1, 2, 3, 4]


def test_rows_on_the_wrong_side_of_the_border_are_equally_redundant(generator):
    distance = torch.tensor([-3.0, 2.0, -1.0, 4.0, -2.0])
    depth = Depth((distance > 0).float(), distance)
    order = order_of_dropping(depth, "redundant", torch.inf, 0.5, generator)
    assert order.tolist() == [3, 1, 0, 2, 4], "ties keep the order of the rows"


def test_redundant_dropping_never_prefers_a_doubtful_row(generator):
    depth = Depth(torch.tensor([0.01, 0.9]), torch.tensor([-9.0, 0.1]))
    assert order_of_dropping(depth, "redundant", 50.0, 0.1, generator).tolist() == [1, 0]
