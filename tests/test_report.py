"""The report: its verdict on rows whose fault is known, and its page."""

import copy
import dataclasses
import html
import pickle
import re
from collections import Counter
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTE
from matplotlib.colors import to_hex
from scipy.stats import spearmanr
from scipy.stats.contingency import association
from sklearn.base import clone

import advaug
from advaug import AdversarialOverSampler, validity_report
from advaug.adapters import TabularAdapter
from advaug.cli import main
from advaug.core.drawing import AXES, GREY, INK, TICKS
from advaug.domains.tables.dependence import coefficients
from advaug.domains.tables.tell_tale import cells_of
from advaug.judges import PanelJudge  # torch families only: quick
from advaug.report import ClassMapDisplay
from advaug.report.checks import (
    CHANCE,
    Check,
    label_limits,
    label_status,
    of_dependence,
    percent,
    verdict_of,
)
from advaug.report.evidence import repeated
from advaug.report.page import five_digits
from advaug.report.report import decisions
from advaug.report.terms import explained
from advaug.sampling.faults import Dependence, PairGap

QUICK = {"panel": PanelJudge()}


def table(n=240, seed=0):
    chance = np.random.RandomState(seed)
    y = np.where(np.arange(n) % 4, "well", "ill")
    shift = np.where(y == "ill", 3.0, 0.0)
    X = pd.DataFrame(
        {
            "age": (40 + 5 * shift + 8 * chance.randn(n)).round().astype(int),
            "level": shift + chance.randn(n),
            "total": 0.0,
            "sex": pd.Categorical(chance.choice(["F", "M"], n)),
        }
    )
    X["total"] = X["level"].abs() + 1
    return X, y


@pytest.fixture(scope="module")
def real():
    return table()


@pytest.fixture(scope="module")
def fresh():
    X, y = table(1200, seed=1)
    return X[y == "ill"].reset_index(drop=True), ["ill"] * int((y == "ill").sum())


def statuses(report):
    return {check.name: check.status for check in report.checks}


def test_new_real_rows_of_the_class_are_sound(real, fresh):
    found = statuses(validity_report(*real, *fresh, constraints="level <= total", **QUICK))
    assert found.pop("values out of range") in ("good", "doubt")  # tails of a larger sample
    assert set(found.values()) <= {"good", "note"}


@pytest.mark.parametrize(
    ("harm", "check"),
    [
        (lambda X: X.assign(age=X["age"] + 0.5), "impossible values"),
        (lambda X: X.assign(sex="unknown"), "impossible values"),
        (lambda X: X.assign(level=np.nan), "impossible values"),
        (lambda X: X.assign(level=X["level"] + 40), "values out of range"),
        (lambda X: X.assign(level=X["level"] + 40), "plausibility"),
        (lambda X: X.assign(total=X["level"] - 1), "rule: level <= total"),
    ],
)
def test_a_known_fault_is_called_bad(real, fresh, harm, check):
    X, y = fresh
    report = validity_report(*real, harm(X), y, constraints="level <= total", **QUICK)
    assert statuses(report)[check] == "bad"
    assert report.verdict == "bad"
    assert report.to_frame()["reasons"].iloc[0]


def bills(n=400, seed=0):
    draw = np.random.default_rng(seed)
    y = np.where(np.arange(n) % 4, "well", "ill")
    minutes = draw.normal(np.where(y == "ill", 150, 220), 40).clip(1).round(1)
    X = pd.DataFrame({"minutes": minutes, "charge": np.round(0.17 * minutes, 2)})
    return X.assign(calls=draw.integers(0, 9, n), fee=lambda t: 3 * t["calls"]), y


def test_rows_of_other_tools_that_break_a_relation_of_all_real_rows_are_doubted():
    X, y = bills()
    made, label = SMOTE(random_state=0).fit_resample(X, y)
    report = validity_report(X, y, made[len(X) :], label[len(X) :], **QUICK)
    (check,) = (check for check in report.checks if check.name == "relations")
    assert check.status == "doubt"
    assert "charge == round(0.17 * minutes, 2)" in check.found
    assert "fee == 3 * calls" in check.found
    assert report.verdict in ("doubt", "bad")
    lines = report.to_frame()
    assert (lines["broken"] > 0).mean() > 0.5
    assert lines["reasons"].str.contains("breaks charge == round").any()


def test_own_rows_and_new_real_rows_keep_the_relations():
    X, y = bills()
    sampler = AdversarialOverSampler(random_state=0)
    new = sampler.fit_resample(X, y)
    fresh, label = bills(100, seed=1)
    reports = (
        validity_report(sampler, *new, **QUICK),
        validity_report(X, y, fresh, label, **QUICK),
    )
    for report in reports:
        (check,) = {
            (check.status, check.found) for check in report.checks if check.name == "relations"
        }
        assert check == ("good", "0 % of rows break one of 2")


def dependent(n=400, seed=0):
    r = np.random.default_rng(seed)
    z, y = r.normal(size=n), np.where(np.arange(n) % 2, "well", "ill")
    X = pd.DataFrame({"u": z, "v": 0.9 * z + 0.4 * r.normal(size=n), "w": r.normal(size=n)})
    X["level"] = np.where(z + 0.5 * r.normal(size=n) > 0, "high", "low")
    X["kind"] = r.choice(list("xyz"), n)
    X["other"] = np.where(r.random(n) < 0.8, X["kind"], r.choice(list("xyz"), n))
    return X, y


def test_pairs_of_columns_are_measured_as_the_textbooks_say():
    X, _ = dependent()
    layout = TabularAdapter().fit(X).layout
    cells = cells_of(layout, X, X)
    found = coefficients(cells, np.arange(6) < 3)
    assert found[0, 1] == pytest.approx(spearmanr(X["u"], X["v"]).statistic)
    assert coefficients(cells * (-1, *5 * [1]), np.arange(6) < 3)[0, 1] < -0.8
    crossed = pd.crosstab(X["kind"], X["other"])
    assert found[4, 5] == pytest.approx(association(crossed, method="cramer"))
    rank = X["u"].rank()
    within = rank.groupby(X["level"]).transform("mean")
    assert found[0, 3] == pytest.approx(within.std() / rank.std())
    np.testing.assert_allclose(found, found.T)


def test_pairs_that_no_longer_depend_are_doubted_and_named():
    X, y = dependent()
    own = X[y == "ill"]
    alone = pd.DataFrame(
        {name: own[name].sample(frac=1, random_state=k).to_numpy() for k, name in enumerate(X)}
    )
    report = validity_report(X, y, alone, ["ill"] * len(alone), **QUICK)
    line = next(check for check in report.checks if check.name == "pairs of columns")
    assert line.status == "doubt"
    assert re.search(r"most of u and v \(0\.[89]", line.found)
    lost = {pair.columns for pair in report.evidence[0].dependence.worst if pair.gap > 0.3}
    assert {("u", "v"), ("u", "level"), ("kind", "other")} <= lost
    fresh, labels = dependent(seed=1)
    fresh = fresh[labels == "ill"]
    sound = validity_report(X, y, fresh, ["ill"] * len(fresh), **QUICK)
    assert statuses(sound)["pairs of columns"] == "good"
    page = report.to_html()
    assert "Pairs of columns of class ill" in page
    assert str(report).count("pairs of columns") == 1


def test_columns_of_which_hardly_a_row_differs_are_in_no_pair():
    X, y = dependent()
    rare = X.assign(flag=np.arange(len(X)) == np.flatnonzero(y == "ill")[3])
    alone = X[y == "ill"].assign(flag=False)
    report = validity_report(rare, y, alone, ["ill"] * len(alone), **QUICK)
    line = next(check for check in report.checks if check.name == "pairs of columns")
    assert "flag" not in line.found
    assert line.status == "good"


def test_rows_that_are_nearly_real_ones_are_nearest_records():
    X, y = dependent()
    own = X[y == "ill"]
    near = own.assign(u=own["u"] + 1e-4)
    fresh, labels = dependent(seed=1)
    shares = []
    for new in (near, fresh[labels == "ill"]):
        [evidence] = validity_report(X, y, new, ["ill"] * len(new), **QUICK).evidence
        shares.append(evidence.closer)
    assert shares[0] > 0.99
    assert shares[1] == pytest.approx(0.5, abs=0.08)


def test_swapped_labels_are_called_bad_and_copies_are_doubted(real):
    X, y = real
    other, _ = table(600, seed=2)
    well = other[_labels(600) == "well"]
    swapped = statuses(validity_report(X, y, well, ["ill"] * len(well), **QUICK))
    assert swapped["label"] == swapped["hidden majority"] == "bad"
    own = X[y == "well"]
    pasted = statuses(validity_report(X, y, own, ["ill"] * len(own), **QUICK))
    assert pasted["copies of another class"] == "bad"
    again = X[y == "ill"]
    assert (
        statuses(validity_report(X, y, again, ["ill"] * len(again), **QUICK))["copies"] == "doubt"
    )


def test_rows_that_equal_each_other_are_doubted_unless_real_ones_do_so_too(real, fresh):
    X, labels = fresh
    few = X.iloc[np.arange(len(X)) % 30].reset_index(drop=True)
    found = [statuses(validity_report(*real, new, labels, **QUICK)) for new in (X, few)]
    assert [status["repeats"] for status in found] == ["good", "doubt"]

    chance = np.random.RandomState(0)
    cells = pd.DataFrame({"a": chance.choice(["u", "v"], 240), "b": chance.choice(["u", "v"], 240)})
    report = validity_report(cells, real[1], cells[:40], ["ill"] * 40, **QUICK)
    [line] = (check for check in report.checks if check.name == "repeats")
    assert line.status == "good"
    assert line.found.startswith("4 different rows of 40; ")


def test_the_share_of_repeated_rows_is_that_of_all_draws():
    rows, n_drawn = [0, 0, 0, 1, 1, 2], 3
    draws = [Counter(draw) for draw in combinations(rows, n_drawn)]
    shares = [sum(n for n in draw.values() if n > 1) / n_drawn for draw in draws]
    assert repeated(np.array([3, 2, 1]), n_drawn) == pytest.approx(np.mean(shares))
    assert repeated(np.array([1]), 1) == 0
    assert repeated(np.array([4]), 4) == 1


def _labels(n):
    return np.where(np.arange(n) % 4, "well", "ill")


@pytest.fixture(scope="module")
def of_sampler(real):
    sampler = AdversarialOverSampler(recipe="match", random_state=0)
    X, y = sampler.fit_resample(*real)
    return sampler, X, y, validity_report(sampler, X, y, **QUICK)


def test_a_samplers_parents_and_decisions_are_taken_over(of_sampler):
    sampler, _, _, report = of_sampler
    made = sampler.provenance_
    frame = report.to_frame().sort_values("row")
    np.testing.assert_array_equal(frame["parent"], made["parent"])
    assert sum(report.decisions["ill"].values()) == len(made)
    assert report.decisions["ill"]["accepted"] == int((made["status"] == "accepted").sum())


def test_decisions_are_those_of_the_provenance():
    status = ["accepted"] * 3 + ["repaired", "reverted", "retracted", "copied", "replaced"]
    share = [1, 1, 1, 1, 0.5, 0.25, 0, 0]
    made = pd.DataFrame({"status": status, "move_share": share, "label": ["a"] * 8})
    assert list(decisions(made)["a"].values()) == [3, 2, 0, 1, 2]


def test_rows_and_labels_that_are_not_those_returned_are_named(of_sampler, real):
    sampler, X, y, _ = of_sampler
    for rows, wrong in (((real[0], y), "X has 240 rows"), ((X, real[1]), "y has 240 rows")):
        with pytest.raises(ValueError, match=wrong):
            validity_report(sampler, *rows, **QUICK)


def test_a_fitted_adapter_and_its_settings_give_the_same_report(real, fresh):
    coding = TabularAdapter().fit(real[0])
    by_coding, by_name = (
        validity_report(*real, *fresh, adapter=adapter, **QUICK) for adapter in (coding, "tabular")
    )
    assert str(by_coding) == str(by_name)


def test_a_sampler_alone_finds_the_rows_it_returned_while_they_live(real):
    sampler = AdversarialOverSampler(recipe="match", random_state=0)
    X, y = sampler.fit_resample(*real)
    assert str(validity_report(sampler, **QUICK)) == str(validity_report(sampler, X, y, **QUICK))
    for stored in (pickle.loads(pickle.dumps(sampler)), copy.deepcopy(sampler), clone(sampler)):
        with pytest.raises(TypeError, match="does not hold the rows"):
            validity_report(stored, **QUICK)
    with pytest.raises(ValueError, match=r"write validity_report\(X_real, y_real"):
        validity_report(pickle.loads(pickle.dumps(sampler)), X, y, **QUICK)
    del X
    with pytest.raises(TypeError, match="does not hold the rows"):
        validity_report(sampler, **QUICK)


@pytest.mark.parametrize("kind", [list, np.asarray])
def test_arrays_are_found_and_plain_lists_are_asked_for(kind):
    X = kind([[float(i % 7), float(i % 11)] for i in range(60)])
    sampler = AdversarialOverSampler(recipe="interpolate", random_state=0)
    made = sampler.fit_resample(X, kind([0] * 45 + [1] * 15))
    if kind is list:
        with pytest.raises(TypeError, match="does not hold the rows"):
            validity_report(sampler, **QUICK)
        rows = made
    else:
        rows = ()
    assert validity_report(sampler, *rows, **QUICK).counts[1] == (15, 30)


def test_the_page_stands_by_itself_and_shows_every_check(of_sampler, tmp_path):
    report = of_sampler[-1]
    page = report.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page
    assert not re.search(r"(?:src|href)=[\"'](?!#)|@import|<script|url\(http", page)
    assert page.count('<div role="img" aria-label="') == page.count("<figure>")
    for check in report.checks:
        assert check.name in page


def test_a_decision_has_one_colour_in_the_bar_and_in_its_key(of_sampler):
    counts = {"accepted": 0, "half": 0, "three quarters": 1, "replaced": 3}
    page = dataclasses.replace(of_sampler[-1], decisions={"ill": counts}).to_html()
    widths = re.findall(r'class="part (p\d)" style="width:([\d.]+)%', page)
    keys = re.findall(r'class="key (p\d)"></span>[a-z ]+: <b>(\d)', page)
    assert [(key, f"{25 * int(count):.2f}") for key, count in keys] == widths


def test_names_from_the_data_cannot_become_markup(real, fresh):
    X, y = real
    new, labels = fresh
    names = {"level": "<script>alert(1)</script>"}
    report = validity_report(X.rename(columns=names), y, new.rename(columns=names), labels, **QUICK)
    assert "<script" not in report.to_html()


def test_printed_it_gives_a_line_for_each_check(of_sampler):
    report = of_sampler[-1]
    text = str(report)
    assert all(check.name in text for check in report.checks)
    assert f"{len(of_sampler[0].provenance_)} synthetic" in text


@pytest.mark.parametrize(
    ("call", "mend"),
    [
        (lambda X, y: validity_report(X, y, X, ["none"] * len(X)), "no class of the real rows"),
        (lambda X, y: validity_report(X, y, X, y[:3]), "one label a row"),
        (lambda X, y: validity_report(X, y, X[:0], y[:0]), "no synthetic rows"),
        (lambda X, y: validity_report(X, y, X, y, parents=[999] * len(X)), "places among the"),
        (lambda X, y: validity_report(X, y, X.assign(age="old"), y), "column 'age' held numbers"),
        (lambda X, y: validity_report(X, y, X[X.columns[::-1]], y), "list.X_real.columns"),
        (lambda X, y: validity_report(X, y, X, y, adapter="table"), "did you mean 'tabular'"),
        (lambda X, y: validity_report(AdversarialOverSampler(), X, y), "fit_resample"),
    ],
)
def test_a_mistake_names_the_mend(real, call, mend):
    with pytest.raises(ValueError, match=mend):
        call(*real)


@pytest.mark.parametrize(
    ("source", "mend"),
    [
        (AdversarialOverSampler(), "sampler.fit_resample"),
        (SMOTE(), "SMOTE keeps no record .* X_synthetic"),
        (table()[0], "X_synthetic"),
    ],
)
def test_rows_that_are_missing_are_asked_for(source, mend):
    with pytest.raises(TypeError, match=mend):
        validity_report(source)


@pytest.mark.parametrize(("n", "n_usual"), [(8, 60), (23, 46), (200, 46), (200, 400)])
def test_few_batches_of_real_rows_are_doubted_by_chance(n, n_usual):
    chance = np.random.RandomState(0)
    doubted = 0
    for _ in range(2000):
        usual = np.sort(chance.rand(n_usual))
        p = (1 + n_usual - np.searchsorted(usual, chance.rand(n))) / (1 + n_usual)
        doubted += label_status(p, n_usual) != "good"
    assert doubted / 2000 < 2 * CHANCE + 0.008  # two limits; three standard errors


def test_large_batches_are_doubted_at_a_tenth_and_small_ones_later():
    assert label_limits(5000, 5000) == (0.1, 0.38)
    most, least = label_limits(23, 46)
    assert most > 0.2
    assert least < 0.34


def test_the_verdict_is_the_worst_check():
    checks = [Check("a", "b", status, "", "", "") for status in ("good", "note", "doubt")]
    assert [verdict_of(checks[:k]) for k in (1, 2, 3)] == ["good", "good", "doubt"]


@pytest.mark.parametrize(
    ("share", "words"),
    [(0, "0 %"), (0.004, "0.4 %"), (0.5, "50 %"), (0.9996, "99.9 %"), (1, "100 %")],
)
def test_only_none_and_all_are_written_as_such(share, words):
    assert percent(share) == words


def test_the_page_says_of_what_when_and_with_what_it_was_made(of_sampler):
    report = of_sampler[-1]
    page = report.to_html(name="ward <7>")
    facts = dict(re.findall("<dt>(.*)</dt><dd>(.*)</dd>", page))
    assert "<title>Validity report: ward &lt;7&gt;</title>" in page
    assert facts["Data set"] == "ward &lt;7&gt;"
    assert facts["Real rows"] == "240 of 4 columns"
    assert facts["Synthetic rows"] == "120, made by AdversarialOverSampler"
    assert facts["Date"] == report.date.isoformat()
    assert facts["Made with"] == f"advaug {advaug.__version__}, random_state=0"
    assert facts["Class ill"] == "60 real, 120 synthetic"
    assert "Data set" not in report.to_html()


def test_the_headline_counts_the_checks_and_the_remarks_stand_beside_those_on_real_rows(of_sampler):
    report = of_sampler[-1]
    page = report.to_html()
    counts = Counter(check.status for check in report.checks)
    [told] = re.findall(r"(\d+) checks: ([^.]*)\.", page)
    assert int(told[0]) == len(report.checks)
    assert sum(map(int, re.findall(r"\d+", told[1]))) == len(report.checks)
    assert f"{counts['good']} good" in told[1]
    [evidence] = report.evidence
    usual = evidence.control
    remarked = np.mean(
        (usual["label_p"] < 0.06) | (usual["plausibility_p"] < 0.05) | (usual["hidden"] == 1)
    )
    assert 0 < remarked < 1
    assert f"{percent(remarked)} of the real rows".replace(" %", "\xa0%") in page
    n = int((report.to_frame()["faults"] > 0).sum())
    assert f"{n} of {len(report.to_frame())} judged rows" in page


def test_the_largest_class_of_all_real_rows_is_the_background_of_the_map(of_sampler, monkeypatch):
    legend = re.compile(r">((?:ill|well)[^<]*\([^<]*\))<")
    whole = legend.findall(of_sampler[-1].to_html())
    assert whole == ["well (180)", "ill (60)", "ill, synthetic (120)"]
    monkeypatch.setattr("advaug.report.pictures.MOST_POINTS", 40)
    background, rare, new = legend.findall(of_sampler[-1].to_html())
    assert background == "well (21 of 180)"
    assert re.fullmatch(r"ill \((2[1-9]|3\d) of 60\)", rare)  # more than of the largest class
    assert new == "ill, synthetic (40 of 120)"
    chance = np.random.default_rng(0)
    display = ClassMapDisplay(
        points=chance.normal(size=(40, 2)),
        labels=np.repeat(["rare", "usual"], [30, 10]),  # as many rare rows as there are
        parents=np.arange(40),
        links=np.arange(0),
        shares=np.ones(2),
        counts={"rare": (30, 0), "usual": (900, 0)},
    ).plot()
    background = next(c for c in display.ax_.collections if to_hex(c.get_facecolor()[0]) == GREY)
    assert background.get_label() == "usual (10 of 900)"


def test_pictures_and_page_are_of_one_colour_in_light_and_in_dark(of_sampler):
    page = of_sampler[-1].to_html()
    style, pictures = (
        page[: page.index("</style>")],
        "".join(re.findall("<svg.*?</svg>", page, re.S)),
    )
    assert not {INK, TICKS, AXES, "#ffffff"} & set(
        re.findall(r"(?:fill|stroke): (#\w{6})", pictures)
    )
    used = set(re.findall(r"var\((--[\w-]+)\)", page))
    light, dark = style.split("@media (prefers-color-scheme: dark)", 1)
    dark = dark[: dark.index("\n}")]
    for variable in used:
        assert f"{variable}: #" in light
        assert f"{variable}: #" in dark


def test_every_term_is_explained_on_hover_and_below(of_sampler):
    page = of_sampler[-1].to_html()
    links = re.findall(r'<a class="term" href="#([\w-]+)" title="([^"]+)">', page)
    assert {place for place, _ in links} >= {"term-auc", "term-log-odds", "term-cramér-s-v"}
    listed = dict(re.findall(r'id="([\w-]+)"><dt>.*</dt><dd>(.*)</dd>', page))
    for place, meaning in links:
        assert html.unescape(meaning) == html.unescape(listed[place])
    assert explained("<AUC> of AUCs") == f"&lt;{explained('AUC')}&gt; of AUCs"


def test_no_line_breaks_between_a_number_and_its_percent_sign(of_sampler):
    page = of_sampler[-1].to_html()
    assert "\xa0%" in page
    assert not re.search(r"\d\s*?\n?[ \n]%", page[page.index("<body>") :])


def test_the_bar_ends_when_the_report_does_and_is_silent_by_default(real, fresh, capsys):
    validity_report(*real, *fresh, **QUICK)
    assert capsys.readouterr().err == ""
    validity_report(*real, *fresh, **QUICK, verbose=1)
    last = capsys.readouterr().err.split("\r")[-1]
    assert "validity report: 100%" in last
    assert "12/12" in last  # two families in five folds, the relations, one class


@pytest.mark.parametrize(
    ("value", "words"), [(208_612.4, "208612"), (2e12, "2e+12"), (0.1234567, "0.12346"), (4.0, "4")]
)
def test_a_cell_that_moved_has_five_digits_and_no_power_of_ten_where_few_more_do(value, words):
    assert five_digits(value) == words


@pytest.mark.slow
def test_rows_of_frozen_texts_alone_cannot_be_judged(real):
    notes = pd.DataFrame({"note": [f"text {k}" for k in range(240)]})
    with pytest.raises(ValueError, match="no column that can be learnt from"):
        validity_report(
            notes, real[1], notes, real[1], adapter=TabularAdapter(frozen=["note"]), **QUICK
        )


def test_the_command_line_writes_the_page(real, fresh, tmp_path, capsys):
    X, y = real
    X.assign(y=y).to_csv(tmp_path / "real.csv", index=False)
    fresh[0].assign(y="ill", age=30.5).to_csv(tmp_path / "new.csv", index=False)
    files = [str(tmp_path / name) for name in ("real.csv", "new.csv", "page.html")]
    command = [
        "report",
        *files[:2],
        "--target",
        "y",
        "--out",
        files[2],
        "--constraint",
        "level <= total",
    ]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "Not fit to train on" in out
    assert "age = 30.5 is off its grid" in out
    assert "<dd>real.csv, new.csv</dd>" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert main([*command[:4], "no", "--out", files[2], "--force"]) == 2
    assert "is no column" in capsys.readouterr().err


def test_a_column_that_gives_new_rows_away_drops_the_auc_by_what_it_adds():
    draw = np.random.default_rng(0)
    real, same = (pd.DataFrame(draw.normal(size=(90, 3)), columns=list("abc")) for _ in range(2))
    coding = TabularAdapter().fit(real)
    shifted = coding.tell_tale(real, same.assign(b=same["b"] + 99), 0)
    assert shifted.auc == 1.0
    assert [name for name, _ in shifted.columns] == ["b"]
    assert 0.3 < shifted.columns[0][1] < 0.7
    found = [coding.tell_tale(real, same, seed).auc for seed in range(4)]
    assert min(found) == 0.5, "an AUC below a half is chance"


def test_a_found_rule_that_is_kept_is_counted_once(real):
    X, y = real
    X = X.assign(twice=2 * X.iloc[:, 0], thrice=3 * X.iloc[:, 0])
    own = "thrice >= -1000000"
    sampler = AdversarialOverSampler(
        recipe="interpolate", constraints=["auto", own], random_state=0
    )
    rows = sampler.fit_resample(X, y)
    assert len(sampler.constraints_report_["rules"]) > 1
    report = validity_report(sampler, *rows, **QUICK)
    lines = [check.name for check in report.checks if check.name.startswith("rule: ")]
    assert lines == [f"rule: {own}"]


def test_levels_that_few_new_rows_have_decide_nothing_about_pairs_of_columns():
    """Three rows without a service carried Cramér's V of two services, or none where left out."""
    draw = np.random.default_rng(2)
    without = np.arange(300) < 20
    real = pd.DataFrame(
        {name: np.where(without, "none", draw.choice(["yes", "no"], 300)) for name in "ab"}
    )
    coding, few = TabularAdapter().fit(real), [0, 1, 2]
    for rows in ([*few, *range(20, 300)], [*range(20, 300), *few]):
        found = coding.dependence(real, real.iloc[rows].reset_index(drop=True), 0)
        assert found.worst[0].gap < 0.3


@pytest.mark.parametrize(("real", "status"), [(0.95, "doubt"), (0.85, "good")])
def test_a_relation_that_is_nearly_exact_may_not_weaken_as_much_as_others(real, status):
    pair = PairGap(("rate", "total"), real, real - 0.4)
    found = Dependence([pair], gap=0.1, usual_gap=0.1, usual_worst=0.2)
    ((_, told, *_),) = of_dependence(SimpleNamespace(dependence=found))
    assert told == status


def test_the_usual_worst_gap_is_the_largest_of_all_pairs():
    draw = np.random.default_rng(1)
    real, same = (pd.DataFrame(draw.normal(size=(200, 4)), columns=list("abcd")) for _ in range(2))
    found = TabularAdapter().fit(real).dependence(real, same, 0)
    assert found.usual_worst > 1.5 * found.usual_gap > 0
