"""A new signal and its parent, channel by channel: over time, their difference, their spectra."""

from typing import Any, Self

import numpy as np

from advaug.core.drawing import GREY, NEW, dress, pyplot, record, styled, titled
from advaug.domains.signals.adapter import SignalCoding

MOST_CHANNELS = 4
SILENCE = 1e-12  # of power: 120 dB under one


class SignalDisplay:
    """A parent and its child over time, their difference, and their power by frequency.

    Parameters
    ----------
    parent, child : ndarray (channels, time)
        NaN where there is no value.
    sampling_rate : float, optional
        Samples a second; None: time in samples.
    verdict : str
        What the judge said, for the title.
    unit : str
        The unit of the values, such as "mV".

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes whose place is taken, once drawn.
    axes_ : ndarray of matplotlib Axes (2 * channels, 2)
        The axes that are drawn on.
    figure_ : matplotlib Figure
        The figure, once drawn.

    See Also
    --------
    VerdictDisplay : Which signals the judge accepts.

    Examples
    --------
    >>> import numpy as np
    >>> from advaug import AdversarialOverSampler
    >>> from advaug.report import SignalDisplay
    >>> X = np.random.default_rng(0).normal(size=(30, 2, 20))
    >>> sampler = AdversarialOverSampler(random_state=0)
    >>> X_new, _ = sampler.fit_resample(X, np.arange(30) < 8)
    >>> SignalDisplay.from_sampler(sampler, X_new).child.shape
    (2, 20)
    """

    def __init__(
        self,
        *,
        parent: np.ndarray[Any, Any],
        child: np.ndarray[Any, Any],
        sampling_rate: float | None = None,
        verdict: str = "",
        unit: str = "",
    ) -> None:
        self.parent = np.atleast_2d(np.asarray(parent, np.float64))
        self.child = np.atleast_2d(np.asarray(child, np.float64))
        self.sampling_rate = sampling_rate
        self.verdict = verdict
        self.unit = unit

    @classmethod
    def from_sampler(
        cls,
        sampler: Any,
        X: Any,
        y: Any = None,
        *,
        row: int | None = None,
        sampling_rate: float | None = None,
        unit: str = "",
        ax: Any = None,
        name: str | None = None,
        line_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw a signal that a fitted sampler has made.

        Parameters
        ----------
        sampler : `AdversarialOverSampler`
            One that has made rows.
        X : array or list of signals
            What `fit_resample` returned.
        y : their labels, optional
            As other displays take them; the title has the sampler's own record of the label.
        row : int, optional
            Which synthetic signal, from 0; None: the one that moved by the median distance.
        sampling_rate : float, optional
            Samples a second; None: time in samples.
        unit : str, optional
            The unit of the values, such as "mV".
        ax, name, line_kwargs : optional
            As in `plot`.

        Returns
        -------
        SignalDisplay
            The display, drawn.
        """
        distance = record(sampler, "distance")
        if not isinstance(sampler.adapter_, SignalCoding):
            raise TypeError(
                f"only signals are drawn on their parents, got {type(sampler.adapter_).__name__}: "
                "pass an estimator that was fitted on (n, channels, time), or adapter='signal'"
            )
        if row is None:
            row = int(np.argsort(distance)[len(distance) // 2])
        if not 0 <= row < len(distance):
            raise ValueError(f"row must be from 0 to {len(distance) - 1}, got {row}")
        facts = sampler.provenance_.iloc[row]
        place = len(sampler.parent_indices_) - len(distance) + row
        display = cls(
            parent=X[sampler.parent_indices_[place]],
            child=X[place],
            sampling_rate=sampling_rate,
            verdict=f"class {facts['label']}, probability {facts['probability']:.2f}, "
            f"moved by {facts['distance']:.1f} sd",
            unit=unit,
        )
        return display.plot(ax, name=name, line_kwargs=line_kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        line_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Its place in its figure is divided among the channels. None: a new figure.
        name : str, optional
            What the title names; None: what the judge said.
        line_kwargs : dict, optional
            Keywords of matplotlib's `plot` for the child.

        Returns
        -------
        SignalDisplay
            Itself, with `ax_`, `axes_` and `figure_`.
        """
        shown = min(len(self.parent), MOST_CHANNELS)
        if ax is None:
            size = 9, 2.4 * shown + 0.8
            ax = pyplot().figure(figsize=size, layout="constrained").add_subplot()
        with styled(ax):
            ax.set_axis_off()
            grid = ax.get_subplotspec().subgridspec(
                2 * shown, 2, height_ratios=[3, 1.2] * shown, width_ratios=[3, 1.3]
            )
            axes = grid.subplots(squeeze=False)
            look = {"color": NEW, "linewidth": 1.1, "label": "child"} | (line_kwargs or {})
            for channel in range(shown):
                self._channel(channel, axes[2 * channel : 2 * channel + 2], look)
            title = titled("A new signal and its parent", name or self.verdict or None)
            axes[0, 0].set_title(f"{title}\nchannel 0", loc="left", pad=12)
            axes[0, 0].legend(loc="upper right", frameon=True, framealpha=0.9, ncols=2)
        self.ax_, self.axes_, self.figure_ = ax, axes, ax.figure
        return self

    def _channel(self, channel: int, axes: Any, look: dict[str, Any]) -> None:
        parent, child = self.parent[channel], self.child[channel]
        rate = self.sampling_rate or 1.0
        time = np.arange(len(parent)) / rate
        (over, spectrum), (below, unused) = axes
        over.plot(time, parent, color=GREY, linewidth=2.2, label="parent")
        over.plot(time, child, **look)
        over.sharex(below)
        over.tick_params(labelbottom=False)
        below.fill_between(time, child - parent, color=NEW, alpha=0.35, linewidth=0)
        below.axhline(0, color=GREY, linewidth=0.6)
        there = np.isfinite(parent)
        added = np.abs(child - parent)[there].max(initial=0.0)
        span = np.ptp(parent[there]) if there.any() else 0.0
        half = max(span / 3, 1.05 * added, 1e-9)
        below.set_ylim(-half, half)
        spectrum.plot(*power(parent, rate), color=GREY, linewidth=2.2)
        spectrum.plot(*power(child, rate), **look)
        unit = f", {self.unit}" if self.unit else ""
        dress(over, f"channel {channel}", y=f"value{unit}")
        dress(below, "", x="seconds" if self.sampling_rate else "samples", y=f"added{unit}")
        dress(spectrum, "power", x="Hz" if self.sampling_rate else "cycles per sample", y="dB")
        unused.set_visible(False)


def power(
    values: np.ndarray[Any, Any], rate: float
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Frequencies and power in dB of what is there of a signal, its mean left out."""
    there = values[np.isfinite(values)]
    if not len(there):
        return there, there
    spectrum = np.abs(np.fft.rfft(there - there.mean())) ** 2 / len(there)
    frequencies = np.fft.rfftfreq(len(there), 1 / rate)
    return frequencies[1:], 10 * np.log10(spectrum[1:] + SILENCE)
