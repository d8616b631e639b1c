"""The board of robustness on generated data: what is run, what is kept, and how it is told."""

from argparse import Namespace

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_classification

from advaug import AdversarialTransformer
from advaug.attacks import Greedy
from benchmarks.board import __main__ as board
from benchmarks.board import cell, models, page


def table(rows=200):
    X, y = make_classification(rows, 5, class_sep=1.0, random_state=0)
    return pd.DataFrame(X * [1, 10, 0.1, 1, 1], columns=list("abcde")), y


def line(domain, name, model, **scores):
    facts = {"domain": domain, "set": name, "model": model, "rows": 40, "seconds": 1.0}
    known = {"clean": 1.0, "noise": 0.95, "attack": 0.5, "certificate": np.nan}
    return pd.DataFrame([facts | known | scores])


def test_the_board_has_ten_tables_five_sets_of_signals_and_of_texts_and_six_models():
    assert [len(names) for names in board.SETS.values()] == [10, 5, 5]
    assert len(set(models.MODELS)) == 6


@pytest.mark.parametrize("name", models.MODELS)
def test_a_cell_holds_an_attack_that_costs_more_than_noise(name, monkeypatch, tmp_path):
    X, y = table()
    parts = X[:120], y[:120], X[120:180].reset_index(drop=True), y[120:180]
    monkeypatch.setattr(cell, "parts_of", lambda *_: parts)
    monkeypatch.setitem(cell.RADII, "tabular", 0.5)
    found = cell.run_cell(tmp_path, "tabular", "generated", name).iloc[0]
    assert 0.6 < found["clean"] <= 1
    assert found["attack"] < found["noise"]
    has_proof = name in ("logistic regression", *models.TREES)
    assert np.isnan(found["certificate"]) != has_proof
    assert not found["certificate"] > found["attack"]


def test_test_rows_are_of_all_classes_in_turn():
    y = np.array([0] * 90 + [1] * 8 + [2] * 2)
    rows = np.arange(1000, 1100)
    kept = cell.even(rows, y, 20)
    assert len(set(kept)) == 20
    assert np.bincount(y[kept - 1000]).tolist() == [10, 8, 2]


def test_only_missing_cells_are_run_and_a_failure_is_told(monkeypatch, tmp_path):
    ran = []

    def run_cell(folder, domain, name, model):
        ran.append(name)
        if name == "bad":
            raise ValueError("no rows")
        return line(domain, name, model)

    monkeypatch.setattr(board, "run_cell", run_cell)
    args = Namespace(data=tmp_path, cells=tmp_path / "cells", jobs=1)
    keys = [("tabular", name, "net") for name in ("one", "bad", "two")]
    assert board.run(args, keys) == ["net on bad: ValueError('no rows')"]
    assert board.run(args, keys) == ["net on bad: ValueError('no rows')"]
    assert ran == ["one", "bad", "two", "bad"]
    assert pd.read_parquet(board.path_of(args.cells, keys[0]))["attack"].tolist() == [0.5]


def test_the_page_shows_means_and_every_set():
    lines = [
        line("tabular", "one", "net"),
        line("tabular", "two", "net", clean=0.5, attack=0.25),
        line("tabular", "one", "boosting", certificate=0.25),
        line("sequence", "mails", "net", clean=0.875),
    ]
    text = page.page_of(pd.concat(lines))
    assert "| net | .75 | .95 | .38 |  |" in text
    assert "| boosting | 1 | .95 | .50 | .25 |" in text
    assert "1 / .95 / .50 / .25" in text
    assert "| mails |" in text
    assert "2 edits. Means of 1 sets" in text


def test_texts_are_edited_with_words_of_the_training_rows():
    spam = [f"win a prize {k} now" for k in range(30)]
    ham = [f"see you at {k} today" for k in range(30)]
    X, y = spam + ham, np.repeat([1, 0], 30)
    model = models.fitted("logistic regression", "sequence", X, y)
    adapter = cell.adapter_of("sequence", X)
    transformer = AdversarialTransformer(
        attack=Greedy(stop_at=None), radius=3, surrogate=model, adapter=adapter, random_state=0
    )
    (moved,) = transformer.fit(X[:1], y[:1]).transform(X[:1], y[:1])  # It has no word of ham.
    assert {*moved.split()} & {"see", "you", "at", "today"}


def test_a_table_with_gaps_or_texts_has_no_certificate():
    X, _ = table(20)
    assert models.is_plain(X)
    assert not models.is_plain(X.assign(a=X["a"].where(X["a"] > 0)))
    assert not models.is_plain(X.assign(kind="x"))
