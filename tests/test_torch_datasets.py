"""New rows in torch's data loaders: balanced, fresh, and the same with any number of workers."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import make_classification
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.utils.data import DataLoader

from advaug import AdversarialOverSampler
from advaug.torch_datasets import CHUNK_SIZE, BalancedBatches, GeneratedRows, as_tensor

X, Y = make_classification(
    240, 5, n_informative=4, n_redundant=0, n_classes=3, weights=[0.6, 0.3], random_state=0
)


@pytest.fixture(scope="module")
def generator():
    return AdversarialOverSampler(random_state=0).fit(X, Y).generator_


def sorted_rows(batches):
    """All rows of batches with their labels, in an order of their own."""
    rows = torch.cat([torch.cat([x, label[:, None]], 1) for x, label in batches])
    return np.array(sorted(rows.tolist()))


def test_the_rows_of_a_map_style_dataset_are_the_generators(generator):
    rows = GeneratedRows(generator, 40, start=5)
    assert len(rows) == 120
    for label in range(3):
        expected = torch.from_numpy(generator.rows(label, 5, 45)).float()
        found = [rows[at] for at in range(40 * label, 40 * label + 40)]
        torch.testing.assert_close(torch.stack([row for row, _ in found]), expected)
        assert {own for _, own in found} == {label}
    assert torch.equal(rows[-1][0], rows[119][0])
    with pytest.raises(IndexError, match="row 120 is asked for, there are 120"):
        rows[120]


def test_chunks_do_not_matter_and_are_made_once(generator, monkeypatch):
    whole = GeneratedRows(generator, 30)
    expected, asked = [whole[at][0] for at in range(90)], []
    made = type(generator).rows
    monkeypatch.setattr("advaug.torch_datasets.CHUNK_SIZE", 8)
    monkeypatch.setattr(
        type(generator), "rows", lambda self, *part: asked.append(part) or made(self, *part)
    )
    parts = GeneratedRows(generator, 30)
    for at in (29, 3, 3, 61, 8, 29):
        torch.testing.assert_close(parts[at][0], expected[at], atol=1e-5, rtol=1e-5)
    assert asked == [(0, 24, 30), (0, 0, 8), (2, 0, 8), (0, 8, 16)]


def test_every_batch_is_balanced_and_no_row_comes_twice(generator):
    batches = BalancedBatches(generator, batch_size=16, n_batches=5)
    found = [one for _ in range(2) for one in batches]
    assert len(found) == 2 * len(batches)
    counts = [label.bincount(minlength=3).tolist() for _, label in found]
    assert {min(one) for one in counts} == {5}
    assert {max(one) for one in counts} == {6}
    assert np.ptp(np.sum(counts, 0)) <= 1
    rows = sorted_rows(found)
    expected = [generator.rows(label, 0, int(n)) for label, n in enumerate(np.sum(counts, 0))]
    labels = np.repeat(range(3), np.sum(counts, 0))[:, None]
    known = np.hstack([np.concatenate(expected).astype(np.float32), labels])
    np.testing.assert_allclose(rows, np.array(sorted(known.tolist())), atol=1e-5)


def test_an_epoch_can_be_had_again(generator):
    batches = BalancedBatches(generator, 12, 2)
    first, second = sorted_rows(batches), sorted_rows(batches)
    assert (first != second).any()
    batches.set_epoch(1)
    np.testing.assert_allclose(sorted_rows(batches), second, atol=1e-5)
    other = BalancedBatches(generator, 12, 2, start=8)
    np.testing.assert_allclose(sorted_rows(other), second, atol=1e-5)


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_share_the_work_and_change_no_row(generator, monkeypatch, persistent):
    monkeypatch.setattr("advaug.torch_datasets.CHUNK_SIZE", 24)
    alone, shared = (BalancedBatches(generator, 12, 5) for _ in range(2))
    loader = shared.loader(num_workers=2, persistent_workers=persistent)
    for _ in range(2):
        np.testing.assert_allclose(sorted_rows(loader), sorted_rows(alone), atol=1e-5)
    with_map = DataLoader(GeneratedRows(generator, 9), batch_size=7, shuffle=True, num_workers=2)
    by_one = DataLoader(GeneratedRows(generator, 9), batch_size=27)
    np.testing.assert_allclose(sorted_rows(with_map), sorted_rows(by_one), atol=1e-5)


def test_memory_is_pinned_where_there_is_cuda(generator):
    loader = BalancedBatches(generator, 12, 1).loader()
    assert loader.pin_memory == torch.cuda.is_available()
    (rows, _), *_ = loader
    assert rows.is_pinned() == torch.cuda.is_available()


def test_rows_that_are_no_numbers_need_a_transform():
    frame = pd.DataFrame({"number": X[:, 0], "word": np.where(X[:, 1] > 0, "a", "b")})
    generator = AdversarialOverSampler(random_state=0).fit(frame, Y > 0).generator_
    with pytest.raises(ValueError, match=r"not numbers throughout .*pass transform="):
        GeneratedRows(generator, 3)[0]

    def encoded(rows):
        return torch.tensor(rows.assign(word=rows["word"] == "a").to_numpy(np.float32))

    rows, label = next(iter(BalancedBatches(generator, 6, 1, transform=encoded)))
    assert rows.shape == (6, 2)
    assert label.tolist() == [0, 1, 0, 1, 0, 1]
    assert CHUNK_SIZE >= 256


@pytest.mark.parametrize("rows", [[[1, 2]], np.ones((1, 2)), torch.ones(1, 2, dtype=torch.long)])
def test_numbers_of_any_container_become_float32(rows):
    assert as_tensor(rows).dtype == torch.float32
    assert as_tensor(rows).shape == (1, 2)


def net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(5, 32), nn.SiLU(), nn.Linear(32, 3))


def test_a_plain_training_loop_learns_from_new_rows_alone(generator):
    model, loss = net(), nn.CrossEntropyLoss()
    steps = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(4):
        for rows, label in BalancedBatches(generator, 64, 16).loader():
            steps.zero_grad()
            loss(model(rows), label).backward()
            steps.step()
    with torch.no_grad():
        probability = model(torch.from_numpy(X).float()).softmax(1)
    assert roc_auc_score(Y, probability.double(), multi_class="ovr") > 0.85


def test_skorch_trains_on_both_datasets(generator):
    skorch = pytest.importorskip("skorch")
    options = {"max_epochs": 3, "lr": 0.3, "train_split": None, "verbose": 0}
    test = X.astype(np.float32)
    for dataset, batch_size in (
        (GeneratedRows(generator, 200), 32),
        (BalancedBatches(generator, 32, 19), None),
    ):
        model = skorch.NeuralNetClassifier(
            net(),
            criterion=nn.CrossEntropyLoss,
            iterator_train__batch_size=batch_size,
            iterator_train__shuffle=batch_size is not None,
            classes=[0, 1, 2],
            **options,
        )
        model.fit(dataset, y=None)
        score = roc_auc_score(Y, model.predict_proba(test), multi_class="ovr")
        assert score > 0.75
