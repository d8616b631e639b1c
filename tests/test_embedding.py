"""FGM and VAT in embedding space: the move is the closed form's, and training goes through it."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from advaug.adapters import SequenceAdapter, TabularAdapter
from advaug.attacks import FGSM
from advaug.models.training import Training
from advaug.robust import AdversarialClassifier
from advaug.robust.embedding import EmbeddingLoss, embedded_logits, loss_in_embedding
from advaug.robust.losses import Classification, RobustLoss

from .test_sequences import tickets


class Sums(nn.Module):
    """The sum of a row's vectors, then a linear layer."""

    def __init__(self, tokens, width=6):
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(tokens, width)
        self.head = nn.Linear(width, 2)

    def forward(self, x):
        return self.head(self.table(x.long()).sum(1))


def loss_of(kind="adversarial", clean_weight=0.0, radius=0.1, rows=12, length=5):
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(9, (rows, length), generator=generator).float()
    return RobustLoss(
        net=Sums(9),
        native=lambda x: x,
        x=x,
        y=torch.randint(2, (rows,), generator=generator),
        weight=torch.ones(rows),
        task=Classification(),
        name=kind,
        attack=FGSM(),
        space=None,
        radius=radius,
        clean_weight=clean_weight,
        generator=generator,
    )


def test_fgm_takes_from_a_linear_net_what_the_closed_form_says():
    """margin' = margin - radius |e| |w_own - w_other|: moves of all tokens add up."""
    loss = loss_of()
    logits, embedded = embedded_logits(loss.net, loss.x)
    margin = (logits[:, 1] - logits[:, 0]) * (2 * loss.y - 1)
    apart = (loss.net.head.weight[1] - loss.net.head.weight[0]).norm()
    reach = loss.radius * embedded.flatten(1).norm(dim=1)
    expected = nn.functional.softplus(-(margin - reach * apart)).mean()
    assert_close(EmbeddingLoss(loss)(torch.arange(12)), expected)


def test_a_clean_weight_of_one_is_plain_training_and_no_radius_moves_nothing():
    plain = loss_of(clean_weight=1.0)
    expected = cross_entropy(plain.net(plain.x), plain.y)
    assert_close(EmbeddingLoss(plain)(torch.arange(12)), expected)
    assert_close(EmbeddingLoss(loss_of(radius=0.0))(torch.arange(12)), expected)
    assert_close(EmbeddingLoss(loss_of("vat", radius=0.0))(torch.arange(12)), 0 * expected)


@pytest.mark.parametrize("kind", ["vat", "trades"])
def test_the_divergence_grows_with_the_radius_and_gives_weights_a_gradient(kind):
    found = []
    for radius in (0.05, 0.2):
        loss = loss_of(kind, radius=radius)
        value = EmbeddingLoss(loss)(torch.arange(12))
        (slope,) = torch.autograd.grad(value, loss.net.table.weight)
        assert slope.abs().sum() > 0
        found.append(float(value.detach()))
    assert 0 < found[0] < found[1]


def test_it_needs_sequences_a_table_of_tokens_and_no_named_attack():
    texts, _ = tickets(20)
    coding, loss = SequenceAdapter().fit(texts), loss_of()
    assert isinstance(loss_in_embedding(loss, coding, "auto"), EmbeddingLoss)
    assert loss_in_embedding(loss, coding, "noise") is loss
    assert loss_in_embedding(loss, TabularAdapter().fit(np.eye(3)), "auto") is loss


@pytest.mark.parametrize("kind", ["adversarial", "vat"])
def test_a_net_of_your_own_is_trained_so_on_texts(kind):
    texts, y = tickets(120, rare=0.4)
    coding = SequenceAdapter().fit(texts)
    model = AdversarialClassifier(
        loss=kind,
        module=Sums(len(coding.words) + 1),
        training=Training(epochs=60, learning_rate=0.05, patience=40),
        random_state=0,
    ).fit(texts, y)
    assert model.score(texts, y) > 0.95
