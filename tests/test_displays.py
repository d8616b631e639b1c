"""Displays have one signature, as those of scikit-learn, and one style sheet."""

import inspect
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.signal
from matplotlib.colors import to_hex
from sklearn.linear_model import LogisticRegression

from advaug import AdversarialOverSampler, report, robust
from advaug.core import drawing
from advaug.datasets import load_ecg_beats
from advaug.domains.signals.display import densities
from advaug.models import Ensemble
from advaug.robust import RobustnessDisplay

mpl.use("Agg")

DISPLAYS = {
    name: value
    for module in (report, robust)
    for name, value in vars(module).items()
    if name.endswith("Display")
}
COLOUR = "#123456"
# Display -> what draws it, the keyword for its style, and the artists that have the style.
DRAWN = {
    "ClassMapDisplay": (
        lambda case, **how: report.ClassMapDisplay.from_sampler(*case.rows, **how),
        {"scatter_kwargs": {"color": COLOUR}},
        lambda ax: [colour for dots in ax.collections for colour in dots.get_facecolor()],
    ),
    "MarginDisplay": (
        lambda case, **how: report.MarginDisplay.from_sampler(*case.rows, **how),
        {"hist_kwargs": {"color": COLOUR}},
        lambda ax: [patch.get_edgecolor() for patch in ax.patches],
    ),
    "SignalDisplay": (
        lambda case, **how: report.SignalDisplay.from_sampler(*case.rows, unit="mV", **how),
        {"line_kwargs": {"color": COLOUR}},
        lambda ax: [line.get_color() for axes in ax.figure.axes for line in axes.get_lines()],
    ),
    "SignalDisplay of spectra": (
        lambda case, **how: report.SignalDisplay.from_sampler(
            *case.rows, kind="spectra", unit="mV", **how
        ),
        {"line_kwargs": {"color": COLOUR}},
        lambda ax: [line.get_color() for axes in ax.figure.axes for line in axes.get_lines()],
    ),
    "VerdictDisplay": (
        lambda case, **how: report.VerdictDisplay.from_sampler(*case.rows, **how),
        {"image_kwargs": {"cmap": mpl.colors.ListedColormap([COLOUR])}},
        lambda ax: [image.cmap(0.0) for image in ax.get_images()],
    ),
    "RobustnessDisplay": (
        lambda case, **how: RobustnessDisplay.from_estimator(
            case.model, case.points, case.labels, radii=[0, 0.5], **how
        ),
        {"curve_kwargs": {"color": COLOUR}},
        lambda ax: [line.get_color() for line in ax.get_lines()],
    ),
}


@pytest.fixture(scope="module")
def case():
    X, y = load_ecg_beats()
    X, y = X[:160, :1], y[:160]
    sampler = AdversarialOverSampler(
        surrogate=Ensemble(n_repeats=2, cv=2, max_iter=10), random_state=0
    )
    points = np.random.default_rng(0).normal(size=(60, 2))
    labels = (points.sum(1) > 0).astype(int)
    return SimpleNamespace(
        rows=(sampler, *sampler.fit_resample(X, y)),
        points=points,
        labels=labels,
        model=LogisticRegression().fit(points, labels),
    )


@pytest.fixture(autouse=True)
def closed():
    plt.close("all")
    yield
    plt.close("all")


def texts(figure):
    """All that is written on a figure."""
    return [text.get_text() for text in figure.findobj(mpl.text.Text)]


def test_every_display_is_in_the_table():
    assert DISPLAYS.keys() == {name.split()[0] for name in DRAWN}


@pytest.mark.parametrize("name", DRAWN)
def test_the_signatures_are_those_of_scikit_learn(name):
    display, (_, style, _) = DISPLAYS[name.split()[0]], DRAWN[name]
    makers = [maker for maker in dir(display) if maker.startswith("from_")]
    assert makers
    for maker in makers:
        first = list(inspect.signature(getattr(display, maker)).parameters)[:3]
        assert first[0] in ("sampler", "estimator", "estimators")
        assert first[1:] == ["X", "y"]
        others = [*inspect.signature(getattr(display, maker)).parameters.values()][3:]
        assert {one.kind for one in others} <= {
            inspect.Parameter.KEYWORD_ONLY,
            inspect.Parameter.VAR_KEYWORD,
        }
    plot = inspect.signature(display.plot).parameters
    assert list(plot)[:3] == ["self", "ax", "name"]
    assert plot["name"].kind is inspect.Parameter.KEYWORD_ONLY
    assert set(style) <= set(plot)


@pytest.mark.parametrize("name", DRAWN)
def test_a_display_draws_itself_on_a_figure_of_its_own_or_on_axes_that_are_given(case, name):
    draw = DRAWN[name][0]
    display = draw(case)
    assert len(plt.get_fignums()) == 1
    assert display.ax_.figure is display.figure_ is plt.gcf()
    display.figure_.canvas.draw()
    figure, (left, right) = plt.subplots(1, 2, figsize=(14, 6), layout="constrained")
    display = draw(case, ax=right)
    assert display.ax_ is right
    assert display.figure_ is figure
    figure.canvas.draw()
    assert display.plot(left) is display
    assert display.ax_ is left
    assert len(plt.get_fignums()) == 2


@pytest.mark.parametrize("name", DRAWN)
def test_a_name_is_written_and_a_style_is_drawn(case, name):
    draw, style, colours = DRAWN[name]
    display = draw(case, name="ward $7")
    assert sum(r"ward \$7" in text for text in texts(display.figure_)) == 1
    assert COLOUR not in {to_hex(colour) for colour in colours(display.ax_)}
    display = draw(case, **style)
    assert COLOUR in {to_hex(colour) for colour in colours(display.ax_)}


@pytest.mark.parametrize("name", sorted(DRAWN.keys() - {"VerdictDisplay"}))
def test_every_axis_with_numbers_has_a_label(case, name):
    display = DRAWN[name][0](case)
    for ax in getattr(display, "axes_", np.array([display.ax_])).ravel():
        if ax.get_visible() and ax.has_data():
            assert ax.get_ylabel()
            assert ax.get_xlabel() or not ax.xaxis.get_tick_params()["labelbottom"]


def test_the_unit_of_a_signal_stands_on_its_axes(case):
    display = DRAWN["SignalDisplay"][0](case)
    assert [ax.get_ylabel() for ax in display.axes_[:, 0]] == ["value, mV", "difference, mV"]
    assert display.axes_[0, 1].get_ylabel() == "dB"


def test_a_channel_says_how_far_the_child_differs_and_the_legend_covers_no_line(case):
    display = DRAWN["SignalDisplay"][0](case)
    over, unused = display.axes_[0, 0], display.axes_[1, 1]
    scale = case.rows[0].adapter_.scale[0]
    most = np.abs(display.child[0] - display.parent[0]).max() / scale
    assert over.get_title(loc="left").endswith(f"difference {most:.1f} standard deviations")
    assert over.get_legend() is None
    assert [text.get_text() for text in unused.get_legend().get_texts()] == ["parent", "child"]
    bare = report.SignalDisplay(parent=display.parent, child=display.child).plot()
    assert bare.axes_[0, 0].get_title(loc="left").endswith("\nchannel 0")


def test_verdicts_have_the_names_of_the_attributes(case):
    ax = DRAWN["VerdictDisplay"][0](case).ax_
    assert [text.get_text().split(" (")[0] for text in ax.get_yticklabels()] == [
        "agrees",
        "plausible",
        "inside the band",
        "accepted",
    ]


def test_spectra_are_those_of_all_real_and_new_signals_of_a_class(case):
    sampler, X, y = case.rows
    display = report.SignalDisplay.from_sampler(*case.rows, kind="spectra", sampling_rate=50.0)
    label, is_new = sampler.provenance_["label"].iloc[0], sampler.synthetic_mask_
    masks = {"real": ~is_new, "new": is_new}
    places = {name: np.flatnonzero((y == label) & mask) for name, mask in masks.items()}
    for line, (name, rows) in zip(display.axes_[-1, 0].get_lines(), places.items(), strict=True):
        assert line.get_label() == f"{len(rows)} {name}"
        density = [scipy.signal.periodogram(X[k][-1], 50.0, "hann")[1] for k in rows]
        np.testing.assert_allclose(line.get_ydata(), np.median(density, axis=0)[1:])
        assert line.get_xdata()[-1] == 25.0
    ax = display.axes_[-1, 0]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("Hz", "power, value²/Hz", "log")
    display.plot(kind="signal")
    assert display.axes_.shape[1] == 2
    with pytest.raises(ValueError, match="kind='spectra' needs the labels"):
        report.SignalDisplay.from_sampler(sampler, X, kind="spectra")
    with pytest.raises(ValueError, match="kind must be one of"):
        report.SignalDisplay.from_sampler(*case.rows, kind="spectrum")


def test_power_density_holds_the_variance_of_signals_of_any_length():
    random = np.random.default_rng(0)
    signals = [random.normal(0, 3, n) for n in (4000, 3000, 3500)]
    signals[1][7:9] = np.nan
    frequencies, density = densities(signals, 100.0)
    assert density.shape == (3, 2000)
    np.testing.assert_allclose(density.sum(1) * frequencies[0], 9, rtol=0.1)


def test_one_name_cannot_label_several_curves(case):
    display = RobustnessDisplay.from_estimators(
        {"one": case.model, "two": case.model}, case.points, case.labels, radii=[0, 0.2]
    )
    with pytest.raises(ValueError, match="cannot label 2 curves: pass a dict"):
        display.plot(name="all")


# ---------------------------------------------------------------- the style sheet


def test_the_colours_of_the_displays_are_those_of_the_style_sheet():
    with mpl.style.context(drawing.STYLE):
        sheet = dict(mpl.rcParams)
    cycle = [to_hex(colour) for colour in sheet["axes.prop_cycle"].by_key()["color"]]
    assert cycle == [*drawing.COLOURS, drawing.NEW]
    assert to_hex(sheet["axes.labelcolor"]) == to_hex(sheet["axes.titlecolor"]) == drawing.INK
    assert to_hex(sheet["xtick.color"]) == to_hex(sheet["ytick.color"]) == drawing.TICKS
    assert to_hex(sheet["axes.edgecolor"]) == drawing.AXES


def test_the_style_sheet_holds_while_a_display_draws_and_no_longer(case):
    before = dict(mpl.rcParams)
    display = DRAWN["MarginDisplay"][0](case)
    assert dict(mpl.rcParams) == before
    assert display.ax_.get_title(loc="left")
    assert not display.ax_.spines["top"].get_visible()
    assert display.ax_.xaxis.label.get_fontsize() == 9


# Dichromats' views (Viénot, Brettel, Mollon 1999) as matrices on linear RGB.
VIEWS = {
    "all cones": np.eye(3),
    "no red cones": [[0.1124, 0.8876, 0], [0.1124, 0.8876, 0], [0.0040, -0.0040, 1]],
    "no green cones": [[0.2928, 0.7072, 0], [0.2928, 0.7072, 0], [-0.0223, 0.0223, 1]],
}


@pytest.mark.parametrize("view", VIEWS)
def test_colours_that_stand_side_by_side_can_be_told_apart(view):
    """Real and synthetic rows, the background and the first class: far apart in linear RGB."""
    shown = {
        colour: np.array(VIEWS[view]) @ np.array(mpl.colors.to_rgb(colour)) ** 2.2
        for colour in (drawing.GREY, drawing.COLOURS[0], drawing.NEW)
    }
    for one in shown:
        for other in shown.keys() - {one}:
            assert np.linalg.norm(shown[one] - shown[other]) > 0.25
