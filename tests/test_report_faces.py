"""Every face of the report on every domain, and a page into which no data can write markup."""

import re
import sys
from html.parser import HTMLParser
from itertools import chain
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from advaug import AdversarialOverSampler, validity_report
from advaug.core.drawing import visible
from advaug.estimators.choices import choose_adapter
from advaug.judges import PanelJudge  # torch families only: quick
from advaug.models import Ensemble
from advaug.models.training import Training
from advaug.registry import ADAPTERS
from advaug.report import (
    ClassMapDisplay,
    MarginDisplay,
    SequenceDiff,
    SignalDisplay,
    VerdictDisplay,
)
from advaug.robust import AdversarialClassifier, RobustnessDisplay

mpl.use("Agg")

N = 60
QUICK = {"panel": PanelJudge()}
IS_RARE = np.arange(N) % 3 == 0
Y = np.where(IS_RARE, "rare", "usual")


# ---------------------------------------------------------------- one set of rows for each domain


def array():
    return np.random.default_rng(0).normal(size=(N, 3)) + 2 * IS_RARE[:, None]


def one_column():
    return array()[:, :1]


def nested_list():
    return array().tolist()


def mixed_table():
    rng = np.random.default_rng(0)
    day = pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, 99, N), "D")
    return pd.DataFrame(
        {
            "number": array()[:, 0],
            "gaps": np.where(np.arange(N) % 7 == 0, np.nan, array()[:, 1].round()),
            "level": pd.Categorical(rng.choice(["x", "y"], N)),
            "day": day,
            "wait": day - day[0],
            "flag": rng.random(N) < 0.5,
            "text": np.where(np.arange(N) % 5 == 0, None, rng.choice(["u", "v"], N)),
        },
        index=np.arange(N) + 100,
    )


def sparse_matrix():
    return sparse.csr_matrix(array().clip(0))


def images():
    noise = np.random.default_rng(0).integers(0, 100, (N, 6, 5))
    return (noise + 90 * IS_RARE[:, None, None]).astype(np.uint8)


def colour_images():
    return np.random.default_rng(0).random((N, 3, 5, 4)) * 0.5 + 0.4 * IS_RARE[:, None, None, None]


def signals():
    noise = np.random.default_rng(0).normal(size=(N, 2, 24))
    return noise + 3 * IS_RARE[:, None, None] * np.sin(np.arange(24))


def signals_with_gaps():
    X = signals()
    X[::5, 0, 9:12] = np.nan
    X[:3, 1] = np.nan
    return X


def signals_of_unequal_length():
    return [row[:, : 24 - k % 4] for k, row in enumerate(signals())]


def texts():
    rng = np.random.default_rng(0)
    words = ["me", "us", "home", "today", "please", "win"]
    return [
        ("call now " if rare else "see you ") + " ".join(rng.choice(words, 5)) for rare in IS_RARE
    ]


def token_lists():
    rng = np.random.default_rng(0)
    return [
        ["A" if rare else "B", *rng.choice(list("CDEF"), 6 - k % 2).tolist()]
        for k, rare in enumerate(IS_RARE)
    ]


TABLES = array, one_column, nested_list, mixed_table, sparse_matrix
IMAGES = images, colour_images
SIGNALS = signals, signals_with_gaps, signals_of_unequal_length
SEQUENCES = texts, token_lists
DOMAINS = TABLES + IMAGES + SIGNALS + SEQUENCES


def take(X, rows):
    if isinstance(X, list):
        return [X[row] for row in rows]
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


@pytest.fixture(scope="module", params=DOMAINS, ids=lambda domain: domain.__name__)
def case(request):
    """A sampler, what it returned, the report on it, and one on rows whose labels are wrong."""
    X = request.param()
    small = Ensemble(n_repeats=1, cv=2, max_iter=20)
    sampler = AdversarialOverSampler(surrogate=small, random_state=0)
    X_new, y_new = sampler.fit_resample(X, Y)
    usual = np.flatnonzero(~IS_RARE)
    learnt, wrong = np.concatenate([np.flatnonzero(IS_RARE), usual[::2]]), usual[1::2]
    swapped = validity_report(
        take(X, learnt), Y[learnt], take(X, wrong), ["rare"] * len(wrong), **QUICK
    )
    return SimpleNamespace(
        domain=request.param,
        X=X,
        sampler=sampler,
        rows=(X_new, y_new),
        report=validity_report(sampler, X_new, y_new, **QUICK),
        swapped=swapped,
    )


@pytest.fixture(autouse=True)
def closed():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


# ---------------------------------------------------------------- what each face must show


class Page(HTMLParser):
    """The elements of a page, all closed in order, and its text."""

    EMPTY = frozenset({"meta"})

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text = [], [], ""
        self.attributes = set()
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        if "svg" not in self.open:
            self.elements.append(tag)
        self.attributes |= {(tag, name) for name, _ in attributes}
        self.text += " " + " ".join(value or "" for _, value in attributes) + " "

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


HTML = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "section"),
    *("h1", "h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "span", "small", "b"),
    *("a", "dl", "dt", "dd"),
    *("i", "div", "figure", "figcaption", "svg", "details", "summary", "ul", "ol", "li", "code"),
}


def check_page(report):
    text = report.to_html()
    page = Page(text)
    assert set(page.elements) <= HTML
    assert not {name for _, name in page.attributes if name.startswith("on")}
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    pictures = page.elements.count("svg")
    assert pictures == page.elements.count("figure") == text.count('role="img"') > 0
    for check in report.checks:
        assert visible(check.name) in page.text
        assert visible(check.found) in page.text.replace("\xa0%", " %")
    return page


def printed(case):
    lines = str(case.report).splitlines()
    for check in case.report.checks:
        assert any(check.name in line and check.found in line for line in lines)
    asks_cells = case.domain in TABLES
    names = {check.name for check in case.report.checks}
    assert {"label", "plausibility", "copies"} <= names
    assert ("impossible values" in names) == ("values out of range" in names) == asks_cells
    assert all(one.drifts for one in case.report.evidence) == asks_cells


def frame(case):
    found = case.report.to_frame()
    is_new = case.sampler.synthetic_mask_
    assert sorted(found["row"]) == list(range(is_new.sum()))
    parents = case.sampler.parent_indices_[is_new]
    assert (found["parent"].to_numpy() == parents[found["row"].to_numpy()]).all()
    assert found["label_p"].between(0, 1).all()


def verdict(case):
    assert case.report.verdict in ("good", "doubt", "bad")
    assert case.swapped.verdict == "bad"
    assert {check.name: check.status for check in case.swapped.checks}["label"] == "bad"


def page(case):
    shown = check_page(case.report).text
    assert "What the sampler decided" in shown
    assert ("Columns of class rare" in shown) == (case.domain in TABLES)


def page_of_suspects(case):
    shown = check_page(case.swapped)
    assert "the label is doubted" in shown.text
    assert "→" in shown.text  # what moved is told
    worst = case.swapped.to_frame().iloc[0]
    assert f"synthetic row {worst['row']}" in shown.text
    assert worst["reasons"] in shown.text


def changes(case):
    X_new = case.rows[0]
    is_new, parents = case.sampler.synthetic_mask_, case.sampler.parent_indices_
    before, after = take(X_new, parents[is_new]), take(X_new, np.flatnonzero(is_new))
    found = case.sampler.adapter_.changes(before, after)
    assert case.sampler.adapter_.changes(before, before) == [{}] * len(found)
    cells = list(chain.from_iterable(row.items() for row in found))
    assert cells
    for name, (old, new) in cells:
        assert str(name)
        assert old != new
        assert np.ndim(old) == np.ndim(new) == 0 or isinstance(old, list)


def class_map(case):
    display = ClassMapDisplay.from_sampler(case.sampler, *case.rows)
    assert len(display.points) == len(case.rows[1])
    assert np.isfinite(display.points).all()
    display.figure_.canvas.draw()


def margins(case):
    display = MarginDisplay.from_sampler(case.sampler)
    assert len(display.after) == case.sampler.synthetic_mask_.sum()
    display.figure_.canvas.draw()


def robustness(case):
    model = AdversarialClassifier(clean_weight=1, training=Training(epochs=4), random_state=0)
    model.fit(case.X, IS_RARE)
    display = RobustnessDisplay.from_estimator(model, case.X, IS_RARE, radii=[0, 0.5])
    assert display.attacked["AdversarialClassifier"][0] == model.score(case.X, IS_RARE)
    display.figure_.canvas.draw()


def signal(case):
    X_new = case.rows[0]
    display = SignalDisplay.from_sampler(case.sampler, X_new, row=0)
    np.testing.assert_array_equal(display.child, X_new[N])
    display.figure_.canvas.draw()


def verdicts(case):
    display = VerdictDisplay.from_sampler(case.sampler, *case.rows)
    assert len(display.accepts) == case.sampler.synthetic_mask_.sum()
    display.figure_.canvas.draw()


def diff(case):
    X_new = case.rows[0]
    parent = case.sampler.parent_indices_[N]
    before, after = (next(iter(take(X_new, [row]))) for row in (parent, N))
    shown = SequenceDiff.of(case.sampler.adapter_, before, after)
    old, new = (
        "".join(text for kind, text in shown.pieces if kind != other) for other in ("new", "gone")
    )
    blank = "" if isinstance(before, str) else " "
    assert (old, new) == tuple("".join(f"{t}{blank}" for t in row) for row in (before, after))
    assert ("{+" in str(shown) or "[-" in str(shown)) == (before != after)
    Page(shown.to_html())


FACES = (
    *(printed, frame, verdict, page, page_of_suspects, changes),
    *(class_map, margins, robustness, signal, verdicts, diff),
)
REFUSED = {  # face -> domains that it refuses, the error and a part of the mend
    class_map: ((one_column,), ValueError, "draw MarginDisplay instead"),
    signal: (TABLES + IMAGES + SEQUENCES, TypeError, "pass an estimator that was fitted on"),
    verdicts: (TABLES + IMAGES + SEQUENCES, ValueError, "verdicts are of signals"),
    diff: (TABLES + IMAGES + SIGNALS, TypeError, "only sequences have a diff"),
}


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.__name__)
def test_every_face_works_on_every_domain_or_names_the_mend(case, face):
    domains, error, mend = REFUSED.get(face, ((), ValueError, ""))
    if case.domain not in domains:
        face(case)
        return
    with pytest.raises(error, match=mend) as refusal:
        face(case)
    assert "\n" not in str(refusal.value)


# ---------------------------------------------------------------- data that would write the page


HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "a & b &amp; c </td></table> -->",
    "$x_1$",
    "$\\frac{$",
    "_hidden",
    "two\nlines\tand\r\x0cmore",
    "\x1b[31mred\x07\x85\u202e\ufffe",
    "{{ 7 * 7 }} {% raw %} %s %(x)s {0}",
    "日本語 ☂",
)


def named(column, label, level):
    """Three columns and their labels, made to be told apart, with one cell that is new."""
    rng = np.random.default_rng(0)
    y = np.where(IS_RARE, f"a{label}", "z") if label[0] != "_" else np.where(IS_RARE, label, "z")
    X = pd.DataFrame({column: array()[:, 0], "b": array()[:, 1], "c": rng.choice([level, "m"], N)})
    new = X[IS_RARE].assign(c=["m", f"new {level}"] * (IS_RARE.sum() // 2), b=2.0)
    return validity_report(X, y, new, y[IS_RARE], constraints="b < 1", **QUICK)


@pytest.fixture(scope="module")
def harmless():
    return Page(named("a", "_b", "d").to_html())


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_names_and_cells_from_the_data_are_text_of_the_page(harmless, text):
    report = named(text, text, text)
    page = check_page(report)
    assert page.elements == harmless.elements
    assert page.attributes == harmless.attributes
    assert page.text.count(visible(text)) >= 8
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", str(report))
    legend = visible(report.classes[0])
    assert re.search(re.escape(legend) + r" \(20\)", page.text)


def test_a_new_label_is_written_as_it_stands_in_every_picture():
    labels = np.array([*["_a $x_1$"] * 20, *["$b"] * 20])
    points = np.random.default_rng(0).normal(size=(40, 2))
    display = ClassMapDisplay(
        points=points, labels=labels, parents=np.arange(40), links=np.arange(0), shares=np.ones(2)
    ).plot()
    robust = RobustnessDisplay(
        radii=np.arange(2.0),
        attacked={"_a $x_1$": np.ones(2)},
        noise={"_a $x_1$": np.ones(2)},
        scoring="$",
    ).plot()
    SignalDisplay(
        parent=points.T, child=points.T, verdict="class $x^$"
    ).plot().figure_.canvas.draw()
    for shown, count in ((display, 2), (robust, 1)):
        shown.figure_.canvas.draw()
        texts = [text.get_text() for text in shown.ax_.get_legend().get_texts()]
        assert sum("_a \\$x_1\\$" in text for text in texts) == 1
        assert len(texts) == count + 1


def test_dates_are_told_as_dates():
    X = mixed_table()
    late = X[IS_RARE].assign(day=pd.Timestamp("2031-05-06"))
    report = validity_report(X, Y, late, Y[IS_RARE], **QUICK)
    found = {check.name: check.found for check in report.checks}["values out of range"]
    assert "day = 2031-05-06T00:00:00" in found
    assert "is above 2020-04-0" in found
    assert re.search(r"<text [^>]*>20[23]\d</text>", report.to_html())  # years below a histogram


def test_a_channel_without_values_is_drawn_empty():
    parent = np.random.default_rng(0).normal(size=(2, 30))
    parent[1] = np.nan
    display = SignalDisplay(parent=parent, child=parent).plot()
    display.figure_.canvas.draw()
    assert [len(line.get_xdata()) for line in display.axes_[2, 1].get_lines()] == [0, 0]


def test_a_cell_that_is_missing_is_told_among_what_moved():
    X = mixed_table()
    new = X[IS_RARE].assign(number=np.nan)
    text = validity_report(X, Y, new, ["usual"] * len(new), **QUICK).to_html()
    number = r'<td class="number">[-.\d]+</td>'
    assert re.search(rf'<th scope="row">number</th>{number}\s*<td aria-label="became">→</td>'
                     r'<td class="number"><i>missing</i></td>', text)  # fmt: skip


@pytest.mark.parametrize(
    ("module", "mend"),
    [("jinja2", "page needs jinja2"), ("matplotlib.figure", "pictures need matplotlib")],
)
def test_what_the_page_lacks_is_named_with_the_mend(monkeypatch, module, mend):
    report = named("a", "b", "d")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"{mend}.*pip install advaug\[report\]"):
        report.to_html()


def test_every_adapter_has_a_domain_here():
    assert {type(choose_adapter("auto", domain())) for domain in DOMAINS} == set(ADAPTERS.values())
