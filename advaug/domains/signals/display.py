"""A new signal and its parent, channel by channel: over time, their difference, their spectra."""

from typing import Any, Self

import numpy as np

from advaug.core.drawing import GREY, INK, NEW, as_label, dress, pyplot, record
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

    Attributes
    ----------
    axes_, figure_ : matplotlib axes (2 * channels, 2) and figure, after `plot`

    Examples
    --------
    >>> import numpy as np
    >>> from advaug import AdversarialOverSampler
    >>> from advaug.report import SignalDisplay
    >>> X = np.random.default_rng(0).normal(size=(30, 2, 20))
    >>> sampler = AdversarialOverSampler(random_state=0)
    >>> X_new, _ = sampler.fit_resample(X, np.arange(30) < 8)
    >>> SignalDisplay.from_sampler(sampler, X_new).child.shape  # .plot() draws it
    (2, 20)
    """

    def __init__(
        self,
        *,
        parent: np.ndarray[Any, Any],
        child: np.ndarray[Any, Any],
        sampling_rate: float | None = None,
        verdict: str = "",
    ) -> None:
        self.parent = np.atleast_2d(np.asarray(parent, np.float64))
        self.child = np.atleast_2d(np.asarray(child, np.float64))
        self.sampling_rate = sampling_rate
        self.verdict = verdict

    @classmethod
    def from_sampler(
        cls, sampler: Any, X: Any, row: int | None = None, sampling_rate: float | None = None
    ) -> Self:
        """From a fitted sampler and the signals that its `fit_resample` returned.

        Parameters
        ----------
        sampler : fitted `AdversarialOverSampler`
        X : signals that `fit_resample` returned
        row : int, optional
            Which synthetic signal, from 0; None: the one that moved by the median distance.
        sampling_rate : float, optional
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
        return cls(
            parent=X[sampler.parent_indices_[place]],
            child=X[place],
            sampling_rate=sampling_rate,
            verdict=f"class {facts['label']}, probability {facts['probability']:.2f}, "
            f"moved by {facts['distance']:.1f} sd",
        )

    def plot(self) -> Self:
        """Draw on a new figure; ImportError with the mend if there is no matplotlib."""
        shown = min(len(self.parent), MOST_CHANNELS)
        figure, axes = pyplot().subplots(
            2 * shown,
            2,
            figsize=(9, 2.4 * shown + 0.8),
            squeeze=False,
            layout="constrained",
            gridspec_kw={"height_ratios": [3, 1.2] * shown, "width_ratios": [3, 1.3]},
        )
        for channel in range(shown):
            self._channel(channel, axes[2 * channel : 2 * channel + 2])
        title = "A new signal and its parent"
        figure.suptitle(f"{title}: {as_label(self.verdict)}" if self.verdict else title,
                        x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)  # fmt: skip
        axes[0, 0].legend(loc="upper right", fontsize=8, framealpha=0.9, ncols=2)
        self.axes_, self.figure_ = axes, figure
        return self

    def _channel(self, channel: int, axes: Any) -> None:
        parent, child = self.parent[channel], self.child[channel]
        rate = self.sampling_rate or 1.0
        time = np.arange(len(parent)) / rate
        (over, spectrum), (below, unused) = axes
        over.plot(time, parent, color=GREY, linewidth=2.2, label="parent")
        over.plot(time, child, color=NEW, linewidth=1.1, label="child")
        over.sharex(below)
        over.tick_params(labelbottom=False)
        below.fill_between(time, child - parent, color=NEW, alpha=0.35, linewidth=0)
        below.axhline(0, color=GREY, linewidth=0.6)
        there = np.isfinite(parent)
        added = np.abs(child - parent)[there].max(initial=0.0)
        span = np.ptp(parent[there]) if there.any() else 0.0
        half = max(span / 3, 1.05 * added, 1e-9)
        below.set_ylim(-half, half)
        below.set_ylabel("added", fontsize=8, color=INK)
        below.set_xlabel("seconds" if self.sampling_rate else "samples", fontsize=8, color=INK)
        for values, colour, width in ((parent, GREY, 2.2), (child, NEW, 1.1)):
            spectrum.plot(*power(values, rate), color=colour, linewidth=width)
        spectrum.set_xlabel("Hz" if self.sampling_rate else "cycles per sample", fontsize=8)
        for ax, title in ((over, f"channel {channel}"), (spectrum, "power, dB"), (below, "")):
            dress(ax, title)
            ax.title.set(fontsize=9)
            ax.tick_params(labelsize=7)
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
