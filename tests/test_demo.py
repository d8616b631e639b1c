"""The demo: what it claims is counted again, it writes nothing unasked, and its table is honest."""

import re
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from advaug import demo
from advaug.cli import main
from advaug.constraints import Constraints
from advaug.datasets import NUMBERS, load_thyroid_sick

RULES = [
    "not (sex == 'M' and pregnant == 't')",
    *(f"({n} is missing) == ({n}_measured != 't')" for n in ("TSH", "T3", "TT4", "T4U", "FTI")),
]


def test_the_shipped_table_is_as_its_readme_says():
    X, y = load_thyroid_sick()
    assert X.shape == (3772, 28)
    assert y.value_counts().to_dict() == {"negative": 3541, "sick": 231}
    assert str(X["age"].dtype) == "Int64"
    assert {str(X[name].dtype) for name in NUMBERS[1:]} == {"float64"}
    assert {str(X[name].dtype) for name in X.columns.difference(NUMBERS)} == {"category"}
    assert int(X.isna().sum().sum()) == 2292
    for rule, keeps in Constraints(RULES).check(X).items():
        assert keeps.all(), rule


@pytest.mark.parametrize(
    ("gains", "reading"),
    [((0.1, 0.1), "helped both"), ((0.1, -0.1), "try both"), ((-0.1, -0.1), "doing nothing")],
)
def test_the_verdict_follows_the_scores(gains, reading):
    found = {}
    for name, gain in zip(("a", "b"), gains, strict=True):
        found |= {(name, "nothing"): 0.5, (name, "SMOTENC"): 0.9, (name, "advaug"): 0.5 + gain}
    told = demo.verdict(found)
    assert reading in told
    assert f"{gains[0]:+.3f} (a) and {gains[1]:+.3f} (b)" in told


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What a demo of few patients prints and writes."""
    X, y = load_thyroid_sick()
    rows = np.r_[np.flatnonzero(y == "sick")[:90], np.flatnonzero(y != "sick")[:410]]
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* rows were not moved by")
        few = X.iloc[rows].reset_index(drop=True), y.iloc[rows].reset_index(drop=True)
        patch.setattr(demo, "load_thyroid_sick", lambda: few)
        patch.chdir(folder)
        text = [*demo.steps(None, 0)]
        assert list(folder.iterdir()) == []
        picture = folder / "demo.png"
        text += [[*demo.steps(picture, 0)][-1]]
    return text, picture


def table(text):
    """Name and numbers of each line that ends in numbers."""
    found = re.findall(r"^ *(\S.*?)((?:  +-?\d\.\d{3})+)$", text, re.MULTILINE)
    return {name: [float(n) for n in numbers.split()] for name, numbers in found}


def test_every_step_is_announced_before_it_is_done(told):
    headings = [text for text in told[0] if text.startswith("\n[")]
    assert [text[1:6] for text in headings] == [f"[{k}/5]" for k in range(1, 6)]


def test_new_rows_keep_the_gaps_and_the_relations(told):
    text = told[0][2]
    gaps, usual = (float(share) for share in re.findall(r"(\d+\.\d)%", text))
    assert abs(gaps - usual) < 1
    found, broken = re.findall(r"(\d+) relations .* (\d+) new rows break one", text)[0]
    assert int(found) > 0
    assert broken == "0"


def test_new_rows_that_break_a_relation_are_counted():
    X, _ = load_thyroid_sick()
    real = X[X["T3_measured"] == "f"][:3]
    new = real.assign(T3=[np.nan, 2.0, 2.0])
    sampler = SimpleNamespace(
        synthetic_mask_=np.arange(6) > 2,
        parent_indices_=np.arange(6) % 3,
        findings_=pd.DataFrame(
            {"rule": ["if T3_measured == 'f' then T3 is missing"], "by_chance": [9.0]}
        ),
    )
    assert "2 new rows break one" in demo.new_rows(sampler, pd.concat([real, new]))


def test_five_rows_stand_beside_their_parents(told):
    text = told[0][4]
    assert len(re.findall(r"\d+", text.splitlines()[0])) == 5
    assert " -> " in text


def test_the_rows_of_the_other_tool_are_judged(told):
    text = told[0][6]
    assert text.startswith("Not fit to train on as they are")
    assert "bad    impossible values: " in text
    assert re.search(r"label: [\d.]+ % rejected", text)


def test_the_net_is_attacked_and_hardened(told):
    text = told[0][8]
    scores = table(text)
    assert scores.keys() == {"net", "hardened net"}
    clean, _, attacked = scores["net"]
    assert attacked < clean
    assert scores["hardened net"][2] > attacked


def test_learners_and_the_table_where_it_does_not_pay_are_scored(told):
    gained, lost = table(told[0][10]), table(told[0][12])
    assert list(gained) == [
        "decision tree      as it is",
        "decision tree  plain copies",
        "decision tree     distilled",
        "boosting, the teacher      as it is",
    ]
    assert len(lost) == 6
    for scores in (*gained.values(), *lost.values()):
        assert 0 < scores[0] <= 1
    assert "advaug against nothing: " in told[0][12]


def test_a_picture_is_drawn_where_it_is_asked_for(told):
    text, picture = told
    assert text[-1] == f"\nPicture: {picture}"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_mend_is_printed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "pip install advaug[plot]" in demo.draw(None, None, None, tmp_path / "demo.png")


def test_a_picture_in_no_folder_is_refused_before_any_work(monkeypatch, capsys):
    monkeypatch.setattr(demo, "run", None)
    assert main(["demo", "--out", "no/where.png"]) == 2
    assert "no folder" in capsys.readouterr().err
