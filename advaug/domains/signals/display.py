"""A new signal and its parent, channel by channel: over time, their difference, their spectra.

Or the power spectra of all real and all new signals of a class.
"""

from typing import Any, Literal, Self

import numpy as np

from advaug import containers
from advaug.core.drawing import GREY, NEW, dress, pyplot, record, styled, titled
from advaug.domains.signals.adapter import SignalCoding

MOST_CHANNELS = 4
MOST_SIGNALS = 1000  # of each kind, whose spectra are drawn
SILENCE = 1e-12  # of power: 120 dB under one
KINDS = "signal", "spectra"
Signal = np.ndarray[Any, Any]


class SignalDisplay:
    """A parent and its child over time, or the spectra of real and new signals of a class.

    With `kind="signal"` both over time, their difference, and their power by frequency. With
    `kind="spectra"` the power spectral density of each channel (periodogram with a Hann window):
    the median over the signals, and from the 5th to the 95th percentile.

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
    real, new : lists of ndarray (channels, time), optional
        The signals whose spectra are drawn; None: parent and child alone.
    label : object
        The class of these signals.
    scale : ndarray (channels,), optional
        The standard deviation of each channel over all signals, in which the title of a channel
        says how far the child differs from its parent.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes whose place is taken, once drawn.
    axes_ : ndarray of matplotlib Axes (2 * channels, 2), or of spectra (channels, 1)
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
    >>> X_new, y_new = sampler.fit_resample(X, np.arange(30) < 8)
    >>> SignalDisplay.from_sampler(sampler, X_new).child.shape
    (2, 20)
    >>> display = SignalDisplay.from_sampler(sampler, X_new, y_new, kind="spectra")
    >>> len(display.real), len(display.new)
    (8, 14)
    """

    def __init__(
        self,
        *,
        parent: Signal,
        child: Signal,
        sampling_rate: float | None = None,
        verdict: str = "",
        unit: str = "",
        real: list[Signal] | None = None,
        new: list[Signal] | None = None,
        label: Any = None,
        scale: Signal | None = None,
    ) -> None:
        self.parent = np.atleast_2d(np.asarray(parent, np.float64))
        self.child = np.atleast_2d(np.asarray(child, np.float64))
        self.sampling_rate = sampling_rate
        self.verdict = verdict
        self.unit = unit
        self.real = [self.parent] if real is None else real
        self.new = [self.child] if new is None else new
        self.label = label
        self.scale = scale

    @classmethod
    def from_sampler(
        cls,
        sampler: Any,
        X: Any,
        y: Any = None,
        *,
        row: int | None = None,
        kind: Literal["signal", "spectra"] = "signal",
        sampling_rate: float | None = None,
        unit: str = "",
        ax: Any = None,
        name: str | None = None,
        line_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw a signal that a fitted sampler has made, or the spectra of its class.

        Parameters
        ----------
        sampler : `AdversarialOverSampler`
            One that has made rows.
        X : array or list of signals
            What `fit_resample` returned.
        y : their labels, optional
            What `fit_resample` returned beside X; `kind="spectra"` needs them.
        row : int, optional
            Which synthetic signal, from 0; None: the one that moved by the median distance.
            `kind="spectra"` draws its class.
        kind : {"signal", "spectra"}, default="signal"
            The signal on its parent, or the spectra of its class.
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
        if kind == "spectra" and y is None:
            raise ValueError("kind='spectra' needs the labels: pass y as fit_resample returned it")
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
        coding, X = sampler.adapter_, sampler.adapter_.check(X)

        def signals(places: Any) -> list[Signal]:
            found: list[Signal] = coding.signals(containers.take(X, np.asarray(places)))
            return found

        parent, child = signals([sampler.parent_indices_[place], place])
        of_class = {}
        if y is not None:
            is_own = containers.labels(containers.owned(y)) == facts["label"]
            for role, mask in (
                ("real", ~sampler.synthetic_mask_),
                ("new", sampler.synthetic_mask_),
            ):
                own = np.flatnonzero(is_own & mask)
                step = max(-(-len(own) // MOST_SIGNALS), 1)
                of_class[role] = signals(own[::step])
        display = cls(
            parent=parent,
            child=child,
            label=facts["label"],
            **of_class,
            sampling_rate=sampling_rate,
            verdict=f"class {facts['label']}, probability {facts['probability']:.2f}",
            unit=unit,
            scale=coding.scale,
        )
        return display.plot(ax, kind=kind, name=name, line_kwargs=line_kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        kind: Literal["signal", "spectra"] = "signal",
        line_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Its place in its figure is divided among the channels. None: a new figure.
        name : str, optional
            What the title names; None: what the judge said, or the class.
        kind : {"signal", "spectra"}, default="signal"
            The signal on its parent, or the spectra of its class.
        line_kwargs : dict, optional
            Keywords of matplotlib's `plot` for what is new.

        Returns
        -------
        SignalDisplay
            Itself, with `ax_`, `axes_` and `figure_`.
        """
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}, got {kind!r}")
        shown = min(len(self.parent), MOST_CHANNELS)
        if ax is None:
            size = 9, 2.4 * shown + 0.8
            ax = pyplot().figure(figsize=size, layout="constrained").add_subplot()
        with styled(ax):
            ax.set_axis_off()
            draw = self._draw_signal if kind == "signal" else self._draw_spectra
            axes = draw(ax.get_subplotspec(), shown, name, line_kwargs or {})
        self.ax_, self.axes_, self.figure_ = ax, axes, ax.figure
        return self

    def _draw_signal(self, place: Any, shown: int, name: str | None, look: dict[str, Any]) -> Any:
        grid = place.subgridspec(
            2 * shown, 2, height_ratios=[3, 1.2] * shown, width_ratios=[3, 1.3]
        )
        axes = grid.subplots(squeeze=False)
        look = {"color": NEW, "linewidth": 1.1, "label": "child"} | look
        for channel in range(shown):
            self._channel(channel, axes[2 * channel : 2 * channel + 2], look)
        title = titled("A new signal and its parent", name or self.verdict or None)
        axes[0, 0].set_title(f"{title}\n{self._of_channel(0)}", loc="left", pad=12)
        axes[1, 1].legend(*axes[0, 0].get_legend_handles_labels(), loc="center", frameon=False)
        return axes

    def _draw_spectra(self, place: Any, shown: int, name: str | None, look: dict[str, Any]) -> Any:
        axes = place.subgridspec(shown, 1).subplots(squeeze=False, sharex=True)
        rate, unit = self.sampling_rate or 1.0, self.unit or "value"
        x, per = ("Hz", "Hz") if self.sampling_rate else ("cycles per sample", "(cycle/sample)")
        new = {"color": NEW, "linewidth": 1.1} | look
        kinds = (("real", self.real, {"color": GREY, "linewidth": 2.2}), ("new", self.new, new))
        for channel, ax in enumerate(axes[:, 0]):
            for kind, signals, style in kinds:
                values = [signal[channel] for signal in signals]
                frequencies, density = densities(values, rate)
                if not len(density):
                    continue
                low, middle, high = np.quantile(density, (0.05, 0.5, 0.95), axis=0)
                label = f"{len(signals)} {kind}"
                ax.plot(frequencies, middle, **{"label": label} | style)
                ax.fill_between(
                    frequencies, low, high, color=style["color"], alpha=0.25, linewidth=0
                )
            ax.set_yscale("log")
            is_last = channel == shown - 1
            dress(ax, f"channel {channel}", x=x * is_last, y=f"power, {unit}²/{per}")
        title = titled("Spectra of real and new signals", name or f"class {self.label}")
        axes[0, 0].set_title(f"{title}\nchannel 0", loc="left", pad=12)
        axes[0, 0].legend(loc="best", frameon=True, framealpha=0.9, ncols=2)
        return axes

    def _of_channel(self, channel: int) -> str:
        """The title of a channel."""
        if self.scale is None:
            return f"channel {channel}"
        difference = np.abs(self.child[channel] - self.parent[channel])
        most = np.nan_to_num(difference).max() / self.scale[channel]
        return f"channel {channel}, largest difference {most:.1f} standard deviations"

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
        difference = np.abs(child - parent)[there].max(initial=0.0)
        span = np.ptp(parent[there]) if there.any() else 0.0
        half = max(span / 3, 1.05 * difference, 1e-9)
        below.set_ylim(-half, half)
        spectrum.plot(*power(parent, rate), color=GREY, linewidth=2.2)
        spectrum.plot(*power(child, rate), **look)
        unit = f", {self.unit}" if self.unit else ""
        dress(over, self._of_channel(channel), y=f"value{unit}")
        dress(below, "", x="seconds" if self.sampling_rate else "samples", y=f"difference{unit}")
        dress(spectrum, "power", x="Hz" if self.sampling_rate else "cycles per sample", y="dB")
        unused.set_axis_off()


def densities(channel: list[Signal], rate: float) -> tuple[Signal, Signal]:
    """Frequencies, and the power spectral density (signals, frequencies) of what is there.

    Shorter signals are padded with zeros, so that all have the frequencies of the longest.
    """
    from scipy.signal import periodogram  # It takes long to import.

    time = max(len(values) for values in channel)
    there = [values[np.isfinite(values)] for values in channel]
    found = [periodogram(one, rate, "hann", time)[1] for one in there if len(one) > 1]
    frequencies = np.fft.rfftfreq(time, 1 / rate)
    density = np.array(found).reshape(-1, len(frequencies))[:, 1:]
    return frequencies[1:], np.maximum(density, SILENCE * density.max(initial=SILENCE))


def power(values: Signal, rate: float) -> tuple[Signal, Signal]:
    """Frequencies and power in dB of what is there of a signal, its mean left out."""
    there = values[np.isfinite(values)]
    if not len(there):
        return there, there
    spectrum = np.abs(np.fft.rfft(there - there.mean())) ** 2 / len(there)
    frequencies = np.fft.rfftfreq(len(there), 1 / rate)
    return frequencies[1:], 10 * np.log10(spectrum[1:] + SILENCE)
