"""The demo: its table, its honesty, its five rows, its picture."""

import sys

import numpy as np
import pandas as pd
import pytest

from advaug import demo
from advaug.constraints import Constraints
from advaug.datasets import NUMBERS, load_thyroid_sick


def test_the_shipped_table_is_as_its_readme_says():
    X, y = load_thyroid_sick()
    assert X.shape == (3772, 28)
    assert y.value_counts().to_dict() == {"negative": 3541, "sick": 231}
    assert str(X["age"].dtype) == "Int64"
    assert {str(X[name].dtype) for name in NUMBERS[1:]} == {"float64"}
    assert {str(X[name].dtype) for name in X.columns.difference(NUMBERS)} == {"category"}
    assert int(X.isna().sum().sum()) == 2292
    for rule, keeps in Constraints(demo.RULES).check(X).items():
        assert keeps.all(), rule


def test_the_threshold_is_the_one_of_the_largest_f1():
    truth = np.array([0, 0, 1, 0, 1, 1], bool)
    probability = np.array([0.1, 0.2, 0.3, 0.35, 0.6, 0.8])
    assert demo.best_threshold(truth, probability) == 0.3


@pytest.mark.parametrize(
    ("ap", "tuned", "reading"),
    [(0.1, 0.1, "it helped"), (0.1, -0.1, "mixed"), (-0.1, -0.1, "doing nothing")],
)
def test_the_verdict_follows_the_scores(ap, tuned, reading):
    plain, ours = [0.5] * 5, [0.5 + ap, 0.5, 0.5, 0.5 + tuned, 0.5]
    result = {("tree", "nothing"): [plain, plain], ("tree", "advaug"): [ours, ours]}
    told = demo.verdict(result)
    assert reading in told
    assert f"{ap:+.3f} (better in {2 * (ap > 0)} of 2 fits)" in told


def small(monkeypatch):
    X, y = load_thyroid_sick()
    rows = np.r_[np.flatnonzero(y == "sick")[:45], np.flatnonzero(y != "sick")[:255]]
    monkeypatch.setattr(
        demo, "load_thyroid_sick", lambda: (X.iloc[rows].reset_index(drop=True), y.iloc[rows])
    )
    one = {"logistic regression": demo.learners(0)["logistic regression"]}
    monkeypatch.setattr(demo, "learners", lambda seed: one)


def test_a_small_demo_prints_scores_rows_and_picture(tmp_path, capsys, monkeypatch):
    small(monkeypatch)
    picture = tmp_path / "demo.png"
    demo.run(picture, splits=1)
    told = capsys.readouterr().out
    lines = told.splitlines()
    scores = {line.split()[0]: line.split()[1:] for line in lines if line.startswith("  ")}
    for way in demo.WAYS:
        assert len(scores[way]) == len(demo.SCORES)
        assert all(0 <= float(score) <= 1 for score in scores[way])
    assert "advaug against nothing: AP" in told
    assert " -> " in told
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_table_is_printed_and_the_mend(tmp_path, capsys, monkeypatch):
    small(monkeypatch)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    demo.run(tmp_path / "demo.png", splits=1)
    told = capsys.readouterr().out
    assert "SMOTENC" in told
    assert "pip install advaug[plot]" in told
    assert not (tmp_path / "demo.png").exists()


def test_test_rows_have_no_part_in_training():
    X, y = load_thyroid_sick()
    rows = np.r_[np.flatnonzero(y == "sick")[:30], np.flatnonzero(y != "sick")[:120]]
    X, y = X.iloc[rows], y.iloc[rows]
    shuffled = pd.Series(np.random.RandomState(0).permutation(y), y.index).astype("category")
    fit = np.arange(len(y)) % 2 == 0
    found = demo.probabilities(X[fit], shuffled[fit], X[~fit], 0)
    again = demo.probabilities(X[fit], shuffled[fit], X[~fit].iloc[:5], 0)
    for key, probability in found.items():
        np.testing.assert_allclose(again[key], probability[:5], atol=1e-8)
