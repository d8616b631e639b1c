"""Convolutional nets side by side: each as if alone, cross-fitted, and attacked as a surrogate."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch.nn.functional import conv1d, embedding
from torch.testing import assert_close

from advaug import AdversarialOverSampler, AdversarialTransformer
from advaug.adapters import SequenceAdapter
from advaug.attacks import Greedy, HotFlip
from advaug.surrogates import NGramLinear, Strangers, TextCNN
from advaug.surrogates.cnn import NOBODY, STRANGER, SideBySide, coded

from .test_sequences import loose, tickets


def source():
    return torch.Generator().manual_seed(0)


def learnt(model, count=150, labels=None):
    texts, y = tickets(count, rare=0.4)
    coding = SequenceAdapter().fit(texts)
    x = coding.encode(texts)
    codes = torch.from_numpy((y == "rare").astype(int)) if labels is None else labels
    return model.fit(x, codes, 2, source(), coding.features(x, source())), x, codes


def test_members_side_by_side_are_the_nets_that_they_are_alone():
    net = SideBySide(9, 3, 4, 2).draw(source())
    codes = torch.randint(1, 9, (5, 7), generator=source())
    codes[2, 4:] = NOBODY
    together = net(codes)
    for member in range(3):
        own = slice(4 * member, 4 * member + 4)
        vectors = embedding(codes, net.embedding.weight[:, own])
        vectors = (vectors * (codes != NOBODY)[..., None]).transpose(1, 2)
        seen = [
            conv1d(vectors, kernel[own], padding=kernel.shape[2] // 2).relu().amax(2)
            for kernel in net.kernels
        ]
        assert_close(together[member], torch.cat(seen, 1) @ net.heads[member])
    assert_close(net.of_each(codes.expand(3, 5, 7)), together)


def test_rows_of_tokens_become_codes_whatever_is_frozen_or_unseen():
    code = torch.tensor([2, STRANGER, 3])
    x = torch.tensor([[0.0, 2, 5, 1, -2, -1]])
    assert coded(x, code).tolist() == [[2, 3, 3, STRANGER, STRANGER, NOBODY]]


def test_it_learns_what_word_tells_the_class():
    models, x, y = learnt(TextCNN())
    found = Strangers(models.member_logits, models.fold_of_member, models.fold_of_row)(x)
    assert roc_auc_score(y, found[:, 1] - found[:, 0]) > 0.95
    assert_close(models.probability(x).sum(1), torch.ones(len(x)))


def test_strangers_have_not_seen_the_row():
    """Labels without rhyme: only who has seen them knows them."""
    labels = torch.randint(2, (150,), generator=source())
    models, x, y = learnt(TextCNN(repeats=3, hidden=0.0, steps=150), labels=labels)
    strangers = Strangers(models.member_logits, models.fold_of_member, models.fold_of_row)
    few = torch.arange(40, 90)
    assert_close(strangers.take(few)(x[few]), strangers(x)[few], atol=1e-5, rtol=1e-5)
    assert ((models.logits(x).argmax(1) == y).float().mean()) > 0.85
    assert abs(float((strangers(x).argmax(1) == y).float().mean()) - 0.5) < 0.12


def test_its_table_of_vectors_stays_as_large_as_it_was_asked_to_be():
    texts = [f"word{k} other{k}" for k in range(300)]
    coding = SequenceAdapter().fit(texts)
    x = coding.encode(texts)
    y = torch.arange(300) % 2
    few = TextCNN(tokens=50, steps=2).fit(x, y, 2, source(), coding.features(x, source()))
    assert few.net.embedding.num_embeddings == 52  # nobody and the strangers beside them


@pytest.mark.parametrize("surrogate", [TextCNN(steps=30), NGramLinear()], ids=str)
@pytest.mark.parametrize("recipe", ["match", "explore"])
def test_it_is_attacked_where_it_is_the_surrogate(surrogate, recipe):
    texts, y = tickets()
    sampler = AdversarialOverSampler(
        surrogate=surrogate, recipe=recipe, attack=Greedy(), random_state=0
    )
    X_new, y_new = sampler.fit_resample(texts, y)
    assert (y_new == "rare").sum() == (y_new == "usual").sum()
    assert X_new[: len(texts)] == texts
    assert len(sampler.surrogate_.fold_of_row) == len(texts)


@pytest.mark.filterwarnings("ignore:.*rows were not moved")
def test_hotflip_finds_edits_by_the_gradient_of_all_its_members():
    texts, y = loose(150)
    attacked = AdversarialTransformer(
        surrogate=TextCNN(), attack=HotFlip(), radius=4.0, random_state=0
    ).fit(texts, y)
    moved = attacked.transform(texts, y)
    model, x = attacked.surrogate_, attacked.adapter_.encode(texts)
    before = model.logits(x).argmax(1)
    after = model.logits(attacked.adapter_.encode(moved)).argmax(1)
    edited = np.array([a != b for a, b in zip(texts, moved, strict=True)])
    assert edited.any()
    assert ((before != after).numpy() <= edited).all()
    assert (before != after).float().mean() > 0.2


def test_tables_are_refused():
    X, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 3 == 0
    with pytest.raises(TypeError, match="TextCNN learns from sequences"):
        AdversarialOverSampler(surrogate=TextCNN()).fit_resample(X, y)
