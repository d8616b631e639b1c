"""The report's pictures, as SVG that stands in a page by itself."""

import io
import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

from advaug.core.drawing import AXES, COLOURS, INK, NEW, TICKS, as_label, dress, shortened, styled
from advaug.report.class_map import CLIP, ClassMapDisplay
from advaug.report.evidence import Array, Evidence, places_among
from advaug.report.margins import MarginDisplay
from advaug.sampling.faults import Drift

MOST_POINTS = 500  # of real and of new rows on the map
MOST_LINKS = 20
MOST_LEVELS = 8  # of a category in a histogram
# What changes with the page between light and dark.
THEMED = {
    COLOURS[0]: "var(--blue)",
    INK: "var(--ink)",
    TICKS: "var(--soft)",
    AXES: "var(--axis)",
    "#cccccc": "var(--axis)",  # matplotlib's frame of a legend
    "#ffffff": "var(--paper)",
}


@dataclass(frozen=True)
class Picture:
    """An svg of any width, and its meaning for those who cannot see it."""

    drawn: str
    says: str


def new_figure(width: float, height: float) -> Any:
    """A figure in inches that no window shows; ImportError with the mend without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "the page's pictures need matplotlib, which is not installed: pip install "
            "advaug[report]"
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def picture(figure: Any, says: str) -> Picture:
    """The figure as an inline svg, whose text the browser draws in a font of its own."""
    import matplotlib as mpl

    text = io.StringIO()
    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": says,
        "font.family": "sans-serif",
        "text.usetex": False,
    }
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # matplotlib's own font only
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    drawn = text.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', r"\1", drawn, count=1)
    drawn = re.sub(r'<g id="[^"]*"', "<g", drawn)  # the same in each picture, and never used
    return Picture(themed(drawn), says)


def themed(drawn: str) -> str:
    """The picture with ink and paper in the colours of the page around it."""
    return re.sub(
        r"(fill|stroke): (#[0-9a-f]{6})",
        lambda found: f"{found[1]}: {THEMED.get(found[2], found[2])}",
        drawn,
    )


def margins(evidence: Evidence, name: Any) -> Picture:
    """Log-odds of the class before and after."""
    figure = new_figure(5.2, 3.6)
    axes = figure.subplots()
    MarginDisplay(before=evidence.before, after=evidence.after).plot(axes)
    axes.set_xlabel(f"log-odds of {as_label(name)}, mean of the models", fontsize=9, color=INK)
    return picture(figure, f"Histogram of the log-odds of {name} of parents and of synthetic rows")


def plane(
    real: Any, evidence: list[Evidence], classes: list[Any], counts: dict[Any, tuple[int, int]]
) -> Picture | None:
    """Real and new rows on two principal components, some new rows linked to their parents."""
    chance = np.random.RandomState(0)
    x = real.x.numpy().clip(-CLIP, CLIP)
    plan = PCA(2, random_state=0).fit(x) if min(x.shape) > 1 else None
    if plan is None:
        return None
    new = np.concatenate([one.x.numpy().clip(-CLIP, CLIP) for one in evidence])
    labels = np.concatenate([np.full(len(one.rows), one.label) for one in evidence])
    parents = np.concatenate([one.parent for one in evidence])
    shown = chance.permutation(len(new))[:MOST_POINTS]
    place = places_among(real.kept, parents[shown])
    linked = np.flatnonzero(place >= 0)[:MOST_LINKS]
    old = np.union1d(some_of_each(real.y.numpy(), chance), place[linked])
    family = np.concatenate([np.arange(len(old)), np.zeros(len(shown), int)])
    family[len(old) + linked] = np.searchsorted(old, place[linked])
    names = np.array([str(name) for name in classes], dtype=object)
    figure = new_figure(5.2, 3.6)
    axes = figure.subplots()
    ClassMapDisplay(
        points=plan.transform(np.concatenate([x[old], new[shown]])),
        labels=names[np.concatenate([real.y.numpy()[old], labels[shown]])],
        parents=family,
        links=len(old) + linked,
        shares=plan.explained_variance_ratio_,
        counts={str(name): count for name, count in counts.items()},
    ).plot(axes)
    return picture(figure, "Real and synthetic rows on the first two principal components")


def some_of_each(y: Array, chance: np.random.RandomState) -> Array:
    """At most so many rows, every class with an equal share where it has one."""
    labels = np.unique(y)
    most = MOST_POINTS // len(labels) + 1
    own = [chance.permutation(np.flatnonzero(y == label))[:most] for label in labels]
    return np.sort(np.concatenate(own))


def histogram(drift: Drift, name: Any) -> Picture:
    """One column of a class: real rows filled, synthetic ones an outline (numbers) or beside."""
    figure = new_figure(2.7, 1.75)
    with styled(figure.subplots()) as axes:
        dress(axes, "")
        draw_levels(axes, drift) if drift.bins.dtype.kind in "OU" else draw_numbers(axes, drift)
    return picture(figure, f"Distribution of {drift.column} in real and synthetic rows of {name}")


def draw_levels(axes: Any, drift: Drift) -> None:
    """The share of each level, real above synthetic."""
    order = np.argsort(-drift.real, kind="stable")[:MOST_LEVELS]
    at = np.arange(len(order))
    axes.barh(at - 0.2, drift.real[order], 0.4, color=COLOURS[0], alpha=0.45)
    axes.barh(at + 0.2, drift.new[order], 0.4, color=NEW)
    axes.set_yticks(at, [as_label(shortened(drift.bins[k], 14)) for k in order])
    axes.invert_yaxis()


def draw_numbers(axes: Any, drift: Drift) -> None:
    """Two histograms, one over the other."""
    axes.stairs(drift.real, drift.bins, fill=True, color=COLOURS[0], alpha=0.35)
    axes.stairs(drift.new, drift.bins, color=NEW, linewidth=1.5)
    axes.set_yticks([])
    if drift.is_date:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        axes.xaxis_date()
        axes.xaxis.set_major_locator(AutoDateLocator(minticks=2, maxticks=4))
        axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))
    else:
        axes.locator_params(axis="x", nbins=4)
