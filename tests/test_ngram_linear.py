"""Linear models on n-grams: a closed form, members that have not seen the row, exact parts."""

import numpy as np
import pytest
import torch
from scipy import sparse
from torch.testing import assert_close

from advaug import AdversarialOverSampler
from advaug.adapters import SequenceAdapter
from advaug.attacks import Greedy
from advaug.domains.sequences.ngram_ridge import ridge
from advaug.models import NGramRidge
from advaug.models.calibration import calibrated

from .test_sequences import tickets


def source():
    return torch.Generator().manual_seed(0)


def fitted(count=90, **settings):
    texts, y = tickets(count, rare=0.3)
    coding = SequenceAdapter().fit(texts)
    x, codes = coding.encode(texts), torch.from_numpy((y == "rare").astype(int))
    features = coding.features(x, source())
    return NGramRidge(**settings).fit(x, codes, 2, source(), features), x, codes


def test_ridge_is_the_closed_form_for_every_member():
    rng = np.random.default_rng(0)
    table = sparse.random(30, 12, 0.4, "csr", np.float32, random_state=0)
    target = rng.normal(size=(30, 2)).astype(np.float32)
    weight = rng.poisson(1.0, (30, 3)).astype(np.float32)
    found = ridge(table, target, weight, 0.7).reshape(12, 3, 2)
    dense = table.toarray().astype(float)
    for member in range(3):
        heavy = dense.T * weight[:, member]
        exact = np.linalg.solve(heavy @ dense + 0.7 * np.eye(12), heavy @ target)
        np.testing.assert_allclose(found[:, member], exact, atol=2e-3)


@pytest.mark.parametrize("bootstrap", [True, False])
def test_members_of_a_fold_differ_by_their_bootstrap_alone(bootstrap):
    models, x, _ = fitted(n_repeats=2, bootstrap=bootstrap)
    scores, fold = models.scores(x), models.fold_of_member
    twins = [scores[fold == one] for one in fold.unique()]
    assert [torch.equal(*pair) for pair in twins] == [not bootstrap] * len(twins)
    assert not torch.equal(twins[0][0], twins[1][0])


def test_calibration_finds_the_sharpness_that_scores_were_divided_by():
    logits = 2 * torch.randn(40_000, 2, generator=source())
    y = (torch.rand(40_000, generator=source()) < logits.softmax(1)[:, 1]).long()
    sharpness, offset = calibrated(logits / 5, y, torch.ones(40_000))
    assert abs(sharpness - 5) < 0.3
    assert_close(offset, torch.zeros(2), atol=0.1, rtol=0)


def test_what_the_tokens_add_is_the_logits():
    for cut in ("word", "character", 3):
        texts, y = tickets(40, rare=0.5)
        texts[3] = ""
        coding = SequenceAdapter(tokens=cut).fit(texts)
        x = coding.encode(texts)
        codes = torch.from_numpy((y == "rare").astype(int))
        models = NGramRidge().fit(x, codes, 2, source(), coding.features(x, source()))
        parts = models.contributions(x)
        assert parts.shape == (*x.shape, 2)
        assert (parts[x == -1] == 0).all()
        assert_close(parts.sum(1) + models.offset, models.logits(x), atol=1e-4, rtol=1e-4)


def test_the_telling_words_weigh_most():
    models, x, y = fitted()
    rare = models.contributions(x)[y == 1][..., 1]
    texts, _ = tickets(90, rare=0.3)
    coding = SequenceAdapter().fit(texts)
    heaviest = {
        coding.words[int(row[at])] for row, at in zip(x[y == 1], rare.argmax(1), strict=True)
    }
    assert heaviest <= {
        " strangers",
        " lets",
        " I",
        " that",
        " did",
        " not",
        " write",
        " sends",
        " mail",
        " a",
        " ransom",
        " note",
        " shows",
        " in",
        " log",
    }


def test_members_learn_nothing_of_their_own_fold():
    """Labels without rhyme: seen rows are known by heart, held-out ones by chance."""
    texts, _ = tickets(200)
    coding = SequenceAdapter().fit(texts)
    x, y = coding.encode(texts), torch.randint(2, (200,), generator=source())
    models = NGramRidge(n_repeats=4, alpha=0.1).fit(x, y, 2, source(), coding.features(x, source()))
    right = models.scores(x).argmax(-1) == y
    unseen = models.fold_of_row == models.fold_of_member[:, None]
    assert right[~unseen].float().mean() > 0.75
    assert abs(float(right[unseen].float().mean()) - 0.5) < 0.1


def test_probabilities_do_not_feel_the_batch():
    models, x, _ = fitted()
    whole = models.probability(x)
    assert_close(whole, torch.cat([models.probability(rows) for rows in x.split(7)]))
    assert_close(whole.sum(1), torch.ones(len(x)))


@pytest.mark.parametrize("recipe", ["match", "explore"])
def test_it_is_attacked_where_it_is_the_surrogate(recipe):
    texts, y = tickets()
    sampler = AdversarialOverSampler(
        surrogate=NGramRidge(), recipe=recipe, attack=Greedy(), random_state=0
    )
    X_new, y_new = sampler.fit_resample(texts, y)
    assert (y_new == "rare").sum() == (y_new == "usual").sum()
    assert X_new[: len(texts)] == texts
    assert len(sampler.surrogate_.fold_of_row) == len(texts)


def test_tables_are_refused():
    X, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 3 == 0
    with pytest.raises(ValueError, match="surrogate NGramRidge requires edits"):
        AdversarialOverSampler(surrogate=NGramRidge()).fit_resample(X, y)
