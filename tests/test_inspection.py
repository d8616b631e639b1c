"""The pictures: what they show is what the sampler wrote down."""

import sys

import matplotlib
import numpy as np
import pytest
from sklearn.datasets import make_classification

from advaug import AdversarialOverSampler
from advaug.report import ClassMapDisplay, MarginDisplay, SignalDisplay

matplotlib.use("Agg")


@pytest.fixture(scope="module", params=[2, 3])
def fitted(request):
    weights = [0.8, 0.2] if request.param == 2 else [0.7, 0.2, 0.1]
    X, y = make_classification(
        200, n_informative=4, n_classes=request.param, weights=weights, random_state=0
    )
    sampler = AdversarialOverSampler(random_state=0)
    return sampler, *sampler.fit_resample(X, y)


@pytest.fixture(autouse=True)
def closed():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def test_the_map_links_each_child_to_its_own_parent(fitted):
    sampler, X, y = fitted
    display = ClassMapDisplay.from_sampler(sampler, X, y, most_links=9)
    lines = display.ax_.collections
    segments = next(c for c in lines if type(c).__name__ == "LineCollection").get_segments()
    assert len(segments) == 9
    for (parent, child), row in zip(segments, display.links, strict=True):
        assert sampler.synthetic_mask_[row]
        np.testing.assert_allclose(child, display.points[row])
        np.testing.assert_allclose(parent, display.points[sampler.parent_indices_[row]])


def test_the_map_draws_every_row_once(fitted):
    sampler, X, y = fitted
    display = ClassMapDisplay.from_sampler(sampler, X, y, most_links=0)
    scattered = [c for c in display.ax_.collections if type(c).__name__ == "PathCollection"]
    assert sum(len(c.get_offsets()) for c in scattered) == len(X)
    told = " ".join(text.get_text() for text in display.ax_.get_legend().get_texts())
    for label, count in zip(
        *np.unique(y[~sampler.synthetic_mask_], return_counts=True), strict=True
    ):
        assert f"{label} ({count})" in told


def test_the_axes_come_from_the_real_rows_alone(fitted):
    sampler, X, y = fitted
    display = ClassMapDisplay.from_sampler(sampler, X, y)
    real = display.points[~sampler.synthetic_mask_]
    np.testing.assert_allclose(real.mean(0), 0, atol=1e-4)
    assert abs(np.corrcoef(real.T)[0, 1]) < 1e-4
    assert 0 < display.shares.sum() <= 1


def test_the_histograms_count_every_margin_of_the_class(fitted):
    sampler, _, _ = fitted
    made = sampler.provenance_
    label = made["label"].iloc[0]
    display = MarginDisplay.from_sampler(sampler, label=label)
    own = made[made["label"] == label]
    np.testing.assert_array_equal(display.before, own["margin_before"])
    np.testing.assert_array_equal(display.after, own["margin_after"])
    assert display.figure_ is display.ax_.figure
    bars = display.ax_.containers[0]
    assert sum(bar.get_height() for bar in bars) >= 0.98 * len(own)


def test_axes_that_are_given_are_used(fitted):
    import matplotlib.pyplot as plt

    sampler, X, y = fitted
    _, (left, right) = plt.subplots(1, 2)
    assert ClassMapDisplay.from_sampler(sampler, X, y, ax=left).plot(right).ax_ is right
    assert MarginDisplay.from_sampler(sampler, X, y, ax=left).plot(ax=right).ax_ is right


@pytest.mark.parametrize(
    ("draw", "mend"),
    [
        (lambda s, X, y: MarginDisplay.from_sampler(AdversarialOverSampler()), "fit_resample"),
        (lambda s, X, y: ClassMapDisplay.from_sampler(s, X[:9], y), "X has 9 rows, .* the X and y"),
        (lambda s, X, y: ClassMapDisplay.from_sampler(s, X, y[:9]), "y has 9 rows, .* the X and y"),
        (lambda s, X, y: MarginDisplay.from_sampler(s, label="none"), "no synthetic row of class"),
        (lambda s, X, y: MarginDisplay.from_sampler(s, X, y[:9]), "y has 9 rows, .* the X and y"),
    ],
)
def test_a_mistake_names_the_mend(fitted, draw, mend):
    with pytest.raises(ValueError, match=mend):
        draw(*fitted)


def test_a_balanced_table_has_nothing_to_draw():
    X, _ = make_classification(60, random_state=0)
    sampler = AdversarialOverSampler(random_state=0)
    sampler.fit_resample(X, np.arange(60) % 2)
    with pytest.raises(ValueError, match="no row"):
        MarginDisplay.from_sampler(sampler)


def test_without_matplotlib_the_error_says_how_to_get_it(fitted, monkeypatch):
    sampler, X, y = fitted
    display = ClassMapDisplay.from_sampler(sampler, X, y)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    for draw in (display.plot, lambda: MarginDisplay.from_sampler(sampler, X, y)):
        with pytest.raises(ImportError, match=r"pip install advaug\[plot\]"):
            draw()


def test_a_new_signal_is_drawn_on_its_parent():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 2, 30)).cumsum(2), np.arange(40) % 4 == 0
    X = [row[:, : 30 - k % 3] for k, row in enumerate(X)]
    sampler = AdversarialOverSampler(random_state=0)
    X_new, _ = sampler.fit_resample(X, y)
    display = SignalDisplay.from_sampler(sampler, X_new, row=3, sampling_rate=10.0)
    parent, child = (line.get_ydata() for line in display.axes_[2, 0].get_lines())
    np.testing.assert_array_equal(parent, X[sampler.parent_indices_[43]][1])
    np.testing.assert_array_equal(child, X_new[43][1])
    assert display.axes_[1, 0].get_xlabel() == "seconds"
    assert "probability" in display.axes_[0, 0].get_title(loc="left")
    with pytest.raises(ValueError, match="row must be from 0 to 19, got 20"):
        SignalDisplay.from_sampler(sampler, X_new, row=20)
