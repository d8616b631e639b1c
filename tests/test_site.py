"""What `make docs` builds on: pictures, the check of links, and the code that readers copy."""

import math
import re
import runpy
from pathlib import Path

import pytest

from advaug import datasets
from advaug.core.drawing import COLOURS, NEW

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def test_the_diagram_is_the_one_that_its_script_draws(tmp_path):
    runpy.run_path(str(DOCS / "pictures" / "draw_house.py"))["main"](tmp_path)
    for name in ("house.svg", "house-dark.svg"):
        assert (tmp_path / name).read_text() == (DOCS / "pictures" / name).read_text()


def test_the_style_sheet_has_the_colours_of_the_displays():
    plt = pytest.importorskip("matplotlib.pyplot")
    with plt.style.context("advaug.data.pictures"):
        cycle = plt.rcParams["axes.prop_cycle"].by_key()["color"]
    assert tuple(cycle) == (*COLOURS, NEW)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_the_gallery_names_it(example):
    text = example.read_text()
    assert len(text.splitlines()) <= 75
    assert re.match(r'"""\n.+\n=+\n\n', text), "the docstring begins with a title"
    assert f"- `{example.name}`: " in (example.parent / "README.md").read_text()


def test_every_picture_of_a_page_says_what_it_shows():
    shown = [
        words
        for page in (ROOT / "README.md", *DOCS.glob("*.md"))
        for words in re.findall(r"!\[(.*?)\]\(", page.read_text(), re.DOTALL)
    ]
    assert len(shown) > 4
    assert all(len(words.split()) >= 8 for words in shown), shown


# ---------------------------------------------------------------- the check of the built site


@pytest.fixture
def faults():
    return runpy.run_path(str(DOCS / "check_site.py"))["faults"]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="b.html#here">b</a> <a href="https://example.org">far</a>', None),
        ('<a href="c.html">c</a>', "a.html links to c.html, which does not exist"),
        ('<a href="b.html#no">b</a>', "a.html links to b.html#no, whose page has no such place"),
        ('<img src="c.png">', "a.html links to c.png, which does not exist"),
        ('<script src="https://cdn.example.org/x.js"></script>', "loads https://cdn"),
        ('<link href="//fonts.example.org/x.css">', "loads //fonts"),
    ],
)
def test_the_check_finds_broken_links_and_foreign_files(tmp_path, faults, body, fault):
    (tmp_path / "a.html").write_text(body)
    (tmp_path / "b.html").write_text('<p id="here">')
    found = list(faults(tmp_path))
    assert not found if fault is None else len(found) == 1 and fault in found[0]


def test_the_check_finds_a_font_from_the_network(tmp_path, faults):
    (tmp_path / "a.css").write_text("@font-face {src: url('https://example.org/x.woff')}")
    assert list(faults(tmp_path)) == ["a.css loads from the network"]


# ---------------------------------------------------------------- the check of docstrings


def test_the_check_finds_a_default_that_is_not_that_of_the_signature(monkeypatch):
    pytest.importorskip("numpydoc")
    monkeypatch.syspath_prepend(str(ROOT / "tests"))

    def searched(rate=0.5, steps=8, norm=math.inf, name="pgd", size=None, bare=3):
        """Search.

        Parameters
        ----------
        rate : float, default=.25
            One.
        steps, bare : int, default=3
            Two.
        norm : {inf, 2, 1}, default=inf
            One.
        name : str, default="pgd"
            One.
        size : int, optional
            One.
        """

    found = runpy.run_path(str(DOCS / "check_docstrings.py"))["wrong_defaults"](searched)
    assert list(found) == [
        "the default of rate is 0.5, the docstring says .25",
        "the default of steps is 8, the docstring says 3",
    ]


# ---------------------------------------------------------------- code that readers copy

PAGES = (
    *("constraints", "probabilities", "signals", "soft-labels", "tables"),
    *("value-sets", "when-it-helps"),
)
OWN_RULES = "\n## Rules of your own"  # Of constraints: these are about a table that does not ship.


def code(text: str) -> str:
    """All blocks of Python, as a reader copies them from top to bottom."""
    return "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))


def parts() -> dict[str, str]:
    """Heading -> the code of its part of Getting started."""
    text = (DOCS / "getting-started.md").read_text()
    sections = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    codes = {
        heading: code(body) for heading, body in zip(sections[::2], sections[1::2], strict=True)
    }
    return {heading: code for heading, code in codes.items() if code}


@pytest.fixture
def few_patients(monkeypatch):
    """The table that ships, cut to 300 rows; pages load it like this."""
    X, y = datasets.load_thyroid_sick()
    few = (y == "sick").to_numpy().nonzero()[0][:40].tolist() + list(range(260))
    few = sorted(set(few))
    rows = X.iloc[few].reset_index(drop=True), y.iloc[few].reset_index(drop=True)
    monkeypatch.setattr(datasets, "load_thyroid_sick", lambda: rows)


@pytest.mark.slow
@pytest.mark.usefixtures("few_patients")
@pytest.mark.parametrize("heading", parts())
def test_the_code_of_getting_started_runs(heading, capsys):
    exec(compile(parts()[heading], heading, "exec"), {})
    assert capsys.readouterr().out


@pytest.fixture
def few_beats(monkeypatch):
    """Every fourth normal beat, and all premature ones."""
    X, y = datasets.load_ecg_beats()
    few = sorted({*range(0, len(y), 4), *(y == "premature").nonzero()[0]})
    monkeypatch.setattr(datasets, "load_ecg_beats", lambda: (X[few], y[few]))


@pytest.mark.slow
@pytest.mark.usefixtures("few_patients", "few_beats")
@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs(page):
    text = (DOCS / f"{page}.md").read_text().partition(OWN_RULES)[0]
    names: dict[str, object] = {}
    exec(compile(code(text).replace("epochs=200", "epochs=2"), page, "exec"), names)
    assert {"X", "y"} <= names.keys()
