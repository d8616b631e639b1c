"""What a notebook shows: a short repr of every public thing, HTML of what has more to say."""

import inspect
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.utils import estimator_html_repr

import advaug
from advaug import big, constraints, report, robust, torch_datasets
from advaug.adapters import ImageAdapter, SequenceAdapter, SignalAdapter, TabularAdapter
from advaug.core.box import Box
from advaug.core.objectives import Odds
from advaug.core.problem import AttackProblem
from advaug.core.row_random import RowRandom
from advaug.estimators import doc_link
from advaug.judges import ConformalJudge, PanelJudge
from advaug.models import Ensemble
from advaug.sampling.judges.protocol import Verdict
from advaug.sampling.recipes import Plan
from tests.test_public import PROTOCOLS, PUBLIC

MOST_LINES, MOST_CHARACTERS = 10, 1000
N, WIDTH = 48, 30
SMALL = Ensemble(n_repeats=2, cv=2, hidden_width=4, max_iter=5)


def table():
    draw = np.random.default_rng(0)
    is_rare = np.arange(N) % 4 == 0
    X = pd.DataFrame({f"column {k}": draw.normal(size=N) + is_rare for k in range(WIDTH)})
    return X.assign(level=draw.choice(list("abc"), N)), np.where(is_rare, "rare", "usual")


def problem():
    ones = torch.ones(WIDTH)
    return AttackProblem(
        objective=Odds(lambda x: x, torch.zeros(N, dtype=torch.long)),
        seed=torch.zeros(N, WIDTH),
        space=Box(-ones, ones),
        radius=torch.ones(N),
        random=RowRandom.of(seed=0, label=0, rows=torch.arange(N)),
    )


def generator():
    sampler = advaug.AdversarialOverSampler(surrogate=SMALL, random_state=0)
    return sampler.fit(*table()).generator_


def fitted(name):
    """An object of a class, fitted on rows where it learns from rows."""
    X, y = table()
    numbers = np.array(X.iloc[:, :WIDTH], dtype=np.float32)
    model = LogisticRegression(max_iter=500).fit(numbers, y)
    module = torch.nn.Sequential(*[torch.nn.Linear(WIDTH, WIDTH) for _ in range(9)])
    x, codes = torch.from_numpy(numbers), torch.from_numpy((y == "rare").astype(int))
    levels = [f"column {k}" for k in range(WIDTH)]
    long = np.zeros(N)
    judged = report.ValidityReport.from_rows
    makers = {
        "PriorCorrectedClassifier": lambda: advaug.PriorCorrectedClassifier(model),
        "AttackProblem": problem,
        "FittedAdapter": lambda: advaug.adapters.FittedAdapter(TabularAdapter().fit(X)),
        "DescriptorBandJudge": lambda: advaug.judges.DescriptorBandJudge(ConformalJudge(), X),
        "Committee": lambda: SMALL.fit(x, codes, 2, torch.Generator().manual_seed(0)),
        "QueriedEstimator": lambda: advaug.models.QueriedEstimator(model),
        "TorchModel": lambda: advaug.models.TorchModel(module),
        "Equal": lambda: constraints.Equal("a", "b + c"),
        "FrozenColumns": lambda: constraints.FrozenColumns(levels),
        "If": lambda: constraints.If("a > 0", "b > 0"),
        "Integer": lambda: constraints.Integer("a"),
        "Linear": lambda: constraints.Linear(dict.fromkeys(levels, 1.0), "<=", 3.0),
        "Monotone": lambda: constraints.Monotone(levels),
        "OneHot": lambda: constraints.OneHot(levels),
        "OneOf": lambda: constraints.OneOf("a", list(range(99))),
        "Range": lambda: constraints.Range("a", 0),
        "Constraints": lambda: constraints.Constraints([f"b <= {k}" for k in range(60)]),
        "Check": lambda: report.Check("rare", "copies", "good", "0 %", "0 %", "a copy"),
        "ClassMapDisplay": lambda: report.ClassMapDisplay(
            points=numbers, labels=y, parents=long, links=long, shares=long
        ),
        "MarginDisplay": lambda: report.MarginDisplay(before=long, after=long),
        "SignalDisplay": lambda: report.SignalDisplay(parent=long, child=long),
        "VerdictDisplay": lambda: report.VerdictDisplay(long, long, long, "rare", ConformalJudge()),
        "SequenceDiff": lambda: report.SequenceDiff((("same", "word " * 999), ("new", "x")) * 99),
        "ValidityReport": lambda: judged(X, y, X[y == "rare"], y[y == "rare"], panel=PanelJudge()),
        "RobustnessDisplay": lambda: robust.RobustnessDisplay(
            radii=long, attacked={"a": long}, noise={"a": long}, scoring="accuracy"
        ),
        "AugmentedClassifier": lambda: robust.AugmentedClassifier(model),
        "DistilledClassifier": lambda: robust.DistilledClassifier(model),
        "RejectingClassifier": lambda: robust.RejectingClassifier(model),
        "Box": lambda: problem().space,
        "Budget": lambda: advaug.adapters.Budget(dict.fromkeys(levels, 1.0), 9.0),
        "Certificates": lambda: robust.Certificates(long, long),
        "RowRandom": lambda: problem().random,
        "Verdict": lambda: Verdict(torch.ones(N), torch.ones(N)),
        "Plan": lambda: Plan(*[torch.zeros(N)] * 8),
        "RowGenerator": generator,
        "GeneratedRows": lambda: torch_datasets.GeneratedRows(generator(), 50),
        "BalancedBatches": lambda: torch_datasets.BalancedBatches(generator(), 8, 3),
        "Scan": lambda: big.scan(iter([X.assign(y=y)]), "y"),
        "Summary": lambda: big.scan(iter([X.assign(y=y)]), "y").summary,
        "TableGenerator": lambda: big.fit(
            big.scan(iter([X.assign(y=y)]), "y"),
            advaug.AdversarialOverSampler(surrogate=SMALL, random_state=0),
        ),
        "Registry": lambda: advaug.registry.ATTACKS,
    }
    return makers.get(name)


def public_classes():
    """Module and name of every public class that is no protocol."""
    for module, names in {**PROTOCOLS, **PUBLIC}.items():
        for name in names:
            value = getattr(import_module(module), name)
            if inspect.isclass(value) and not getattr(value, "_is_protocol", False):
                yield module, name


def refuse_long(thing):
    shown = repr(thing)
    assert len(shown.splitlines()) <= MOST_LINES, shown
    assert len(shown) <= MOST_CHARACTERS, shown


@pytest.mark.parametrize(("module", "name"), sorted(set(public_classes())))
def test_a_public_class_shows_itself_in_ten_lines(module, name):
    if module == "advaug.aeon":
        pytest.importorskip("aeon")
    refuse_long((fitted(name) or getattr(import_module(module), name))())


@pytest.mark.parametrize("module", {**PROTOCOLS, **PUBLIC})
def test_other_public_names_show_themselves_in_ten_lines(module):
    for name in (PUBLIC | PROTOCOLS)[module]:
        refuse_long(getattr(import_module(module), name))


def texts():
    return ["call me now", "see you at home", "call us today", "you see me at home"] * (N // 4)


@pytest.mark.filterwarnings("ignore:few new rows differ")
@pytest.mark.parametrize(
    "rows",
    [
        lambda: table()[0],
        texts,
        lambda: np.random.default_rng(0).normal(size=(N, 2, 40)),
        lambda: np.random.default_rng(0).random((N, 8, 8)),
    ],
    ids=["table", "texts", "signals", "images"],
)
def test_what_an_over_sampler_has_learnt_shows_itself_in_ten_lines(rows):
    sampler = advaug.AdversarialOverSampler(surrogate=SMALL, random_state=0)
    sampler.fit_resample(rows(), table()[1])
    refuse_long(sampler)
    for name in ("adapter_", "surrogate_", "generator_"):
        refuse_long(getattr(sampler, name))


@pytest.mark.parametrize(
    ("adapter", "rows"),
    [
        (TabularAdapter(), lambda: table()[0]),
        (SequenceAdapter(), texts),
        (SignalAdapter(), lambda: np.zeros((N, 9, 40)) + np.arange(40)),
        (ImageAdapter(), lambda: np.zeros((N, 8, 8)) + np.arange(8)),
    ],
)
def test_a_coding_is_shown_by_its_fields(adapter, rows):
    shown = repr(adapter.fit(rows()))
    assert shown.startswith(type(adapter).__name__.replace("Adapter", "Coding(")), shown
    assert "\n" not in shown


def test_parameters_that_differ_are_shown_to_differ():
    """A repr of the settings tells whether rows were made in the same way (`advaug.big`)."""
    one, other = ([f"b <= {k}" for k in range(last)] for last in (20, 21))
    assert repr(constraints.Constraints(one)) != repr(
        constraints.Constraints([*one[:-1], other[-1]])
    )
    assert repr(constraints.OneOf("a", range(50))) != repr(constraints.OneOf("a", range(51)))
    assert repr(SMALL) != repr(Ensemble(n_repeats=2, cv=2, hidden_width=4, max_iter=6))


# ---------------------------------------------------------------- HTML


@pytest.fixture(scope="module")
def made():
    X, y = table()
    X = X.rename(columns={"column 0": "<b>&amp;"})
    rare = X[y == "rare"]
    return report.ValidityReport.from_rows(X, y, rare, y[y == "rare"], panel=PanelJudge())


def test_a_notebook_shows_the_verdict_and_the_checks_of_a_report(made):
    shown = made._repr_html_()
    assert len(shown) < 9000
    assert "<b>&amp;" not in shown
    for check in made.checks:
        assert f">{check.name}<" in shown
    assert f"{len(made.checks)} checks: " in shown
    assert "Class rare: 12 real rows,\n12 synthetic" in shown
    assert "<svg" not in shown


def test_the_repr_of_a_report_says_how_it_ended(made):
    assert repr(made).startswith(f"<ValidityReport: {made.verdict}; 48 real rows, 12 synthetic; ")


def test_a_record_is_a_frame_that_notebooks_know():
    sampler = advaug.AdversarialOverSampler(surrogate=SMALL, random_state=0)
    sampler.fit_resample(*table())
    for frame in (sampler.provenance_, sampler.findings_):
        assert "<table" in frame._repr_html_()


def test_a_generator_is_shown_as_a_table_of_its_classes():
    X, y = table()
    y = np.where(y == "rare", "<rare>", y)
    generator = advaug.AdversarialOverSampler(surrogate=SMALL, random_state=0).fit(X, y).generator_
    shown = generator._repr_html_()
    cells = ("&lt;rare&gt;", "12", generator.entries[0].name, "24")
    assert "".join(f"<td>{cell}</td>" for cell in cells) in shown
    assert "more classes" not in shown
    assert repr(generator) == "RowGenerator(parents={'<rare>': 12, 'usual': 36})"


def test_a_diff_is_shown_as_deleted_and_inserted_text():
    shown = report.SequenceDiff((("same", "a "), ("gone", "<b>"), ("new", "c")))._repr_html_()
    assert "<del" in shown
    assert "&lt;b&gt;" in shown
    assert "<ins" in shown


# ---------------------------------------------------------------- links of scikit-learn's diagram


def public_estimators():
    for module, name in sorted(set(public_classes())):
        value = getattr(import_module(module), name)
        if issubclass(value, BaseEstimator) and module != "advaug.aeon":
            yield f"{module}.{name}", value


NO_SITE = SimpleNamespace(get_all=lambda name: None)
SITE = SimpleNamespace(get_all=lambda name: ["Source, https://a.b", "Documentation, https://c.d/"])


@pytest.fixture
def published(monkeypatch):
    monkeypatch.setattr(doc_link, "metadata", lambda package: SITE)
    doc_link.site.cache_clear()
    yield
    doc_link.site.cache_clear()


@pytest.mark.parametrize(("name", "estimator"), list(public_estimators()))
def test_the_diagram_of_an_estimator_links_to_its_page(published, name, estimator):
    made = fitted(name.rpartition(".")[2])
    made = estimator() if made is None else made()
    assert f'href="https://c.d/generated/reference/{name}.html"' in estimator_html_repr(made)


def test_without_a_site_and_for_a_private_class_there_is_no_link(monkeypatch, published):
    class Own(advaug.AdversarialOverSampler):
        pass

    assert Own()._get_doc_link() == ""
    doc_link.site.cache_clear()
    monkeypatch.setattr(doc_link, "metadata", lambda package: NO_SITE)
    assert advaug.AdversarialOverSampler()._get_doc_link() == ""
