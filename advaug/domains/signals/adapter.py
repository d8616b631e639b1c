"""Signals: one unit of radius is one standard deviation of a channel.

Arrays (n, channels, time) or (n, time), lists of (channels, time_i) arrays of unequal length, or
panels: pandas frames with a row for each signal and time. With layout="ntc" time comes before the
channels. NaN, at the end or inside, stays NaN; whole numbers stay whole; lengths stay.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from sklearn.utils import check_array
from torch import Tensor

from advaug import containers
from advaug.core.box import Box
from advaug.core.domain import CELLS, Capabilities
from advaug.core.features import Features
from advaug.core.finite import refuse_not_finite
from advaug.core.parameters import Parameters
from advaug.core.short_repr import ShortRepr
from advaug.core.space import Space
from advaug.domains.signals.defaults import DEFAULTS
from advaug.domains.signals.eigenbasis import Eigenbasis
from advaug.domains.signals.features import ConvolutionFeatures
from advaug.domains.signals.layout import (
    LAYOUTS,
    channels_first,
    refuse_other_layout,
    refuse_unclear_axes,
)
from advaug.domains.signals.padding import warn_of_constant_ends, warn_of_long_signals
from advaug.domains.signals.space import BandLimited, spread_of
from advaug.sampling.changes import Changes, farthest_cells
from advaug.sampling.constraints import CallableConstraints
from advaug.sampling.defaults import Defaults
from advaug.sampling.domain import Adapter, Coding

Array = np.ndarray[Any, Any]
NYQUIST = 0.5  # the highest frequency of a signal, in cycles per sample
PROVIDES = CELLS | {"ordered", "time_axis", "descriptors"}


@dataclass
class SignalAdapter(Adapter, Parameters):
    """One unit of radius = one standard deviation of a channel.

    Parameters
    ----------
    sampling_rate : float, optional
        Samples a second; None: frequencies are in cycles per sample.
    band : "data", "eigenbasis", None or (low, high)
        Frequencies that a move may have: "data" those that hold 99.9 % of the signals' variance,
        None all of them, or from low to high, in Hz (cycles per sample without sampling_rate), up
        to half the sampling rate.
        With "data" and (low, high) moves have the spectrum of the data. With "eigenbasis" they are
        combinations of how the signals differ from each other, all channels and times at once:
        for signals that begin at the same event.
    least_snr : float, optional
        Power of a channel over the power of an attack's move in it, at least, in dB.
    frozen : sequence of int
        Channels that no signal may change.
    bounds : (low, high) or one such pair for each channel, optional
        In the signals' own units, which no new signal leaves; None: the least and the largest
        value of each channel. Attacks that raise the gain, such as `Instrument`, touch them.
    layout : {"auto", "nct", "ntc"}
        Axes of arrays and lists: "nct" (n, channels, time), "ntc" (n, time, channels), the layout
        of Keras and tslearn; in lists without n. New signals have the same axes. "auto" is "nct",
        but refuses signals with more channels than samples, and those with less than four samples
        for each channel whose values change less than half as much along the channels as along
        time.

    See Also
    --------
    advaug.adapters.ImageAdapter : One unit of radius = black to white.

    Examples
    --------
    >>> import numpy as np
    >>> from advaug.adapters import SignalAdapter
    >>> X = np.random.default_rng(0).normal(size=(8, 3, 50))
    >>> SignalAdapter(sampling_rate=100.0, frozen=[2]).fit(X).encode(X).shape
    torch.Size([8, 3, 50])
    >>> adapter = SignalAdapter(layout="ntc")
    >>> adapter.fit(X.transpose(0, 2, 1)).encode(X.transpose(0, 2, 1)).shape
    torch.Size([8, 3, 50])
    """

    sampling_rate: float | None = None
    band: Any = "data"
    least_snr: float | None = None
    frozen: Any = ()
    bounds: Any = None
    layout: Literal["auto", "nct", "ntc"] = "auto"

    @property
    def provides(self) -> Capabilities:
        return PROVIDES

    def accepts(self, X: Any) -> bool:
        """3-d arrays except uint8 (those are images), and lists of 2-d arrays or of lists."""
        if isinstance(X, containers.Panel):
            return True
        if isinstance(X, np.ndarray):
            return X.ndim == 3 and X.dtype != np.uint8
        return containers.is_list_of_signals(X) or containers.is_nested_signals(X)

    def check(self, X: Any) -> Any:
        """X with nested lists as an array, and a pandas frame as a panel."""
        X = containers.as_panel(X)
        if isinstance(X, containers.Panel) or containers.is_list_of_signals(X):
            return X
        refuse_other_containers(X)
        containers.refuse_ragged(X)
        return check_array(X, dtype=None, ensure_all_finite=False, allow_nd=True)

    def fit(self, X: Any) -> "SignalCoding":
        """Learn scale, bounds and band; errors name the signal, the channel and the mend."""
        self._check()
        X, rows = channels_first(X, self.layout), X
        refuse_other_layout(X, self.layout)
        values, is_whole = stacked(X)
        if self.layout == "auto" and not isinstance(rows, containers.Panel):
            refuse_unclear_axes(values)
        warn_of_long_signals(X)
        warn_of_constant_ends(values)
        channels = values.shape[1]
        frozen = [self.frozen] if isinstance(self.frozen, int) else sorted(self.frozen)
        if any(not 0 <= channel < channels for channel in frozen):
            raise ValueError(f"frozen must name channels 0 to {channels - 1}, got {self.frozen}")
        there = np.isfinite(values)
        if not there.any((0, 2)).all():
            channel = int(np.flatnonzero(~there.any((0, 2)))[0])
            raise ValueError(f"channel {channel} is missing in every signal: drop it")
        with np.errstate(invalid="ignore"):
            size = np.nanmax(np.abs(values), (0, 2)).clip(1e-300)  # squares could overflow
            center, scale = (
                size * of(values / size[:, None], (0, 2)) for of in (np.nanmean, np.nanstd)
            )
        low, high = self._bounds(values)
        coding = SignalCoding(
            center=center,
            scale=np.where(scale > 0, scale, 1.0),
            low=low,
            high=high,
            is_free=(low < high) & ~np.isin(np.arange(channels), frozen),
            is_whole=is_whole | (~there | (values == np.rint(values))).all((0, 2)),
            has_flags=containers.is_list_of_signals(X) or not there.all(),
            time=values.shape[2],
            spread=torch.ones(channels, values.shape[2] + 1),
            least_snr=self.least_snr,
            keeps_shape=self.band is None,
            layout=self.layout,
        )
        if self.band is None:
            return coding
        if isinstance(self.band, str) and self.band == "eigenbasis":
            return coding.along_axes(rows)
        return coding.shaped(rows, *self._band())

    def _check(self) -> None:
        """ValueError or TypeError naming the parameter that cannot be meant."""
        if self.layout not in LAYOUTS:
            raise ValueError(f"layout must be one of {LAYOUTS}, got {self.layout!r}")
        if isinstance(self.frozen, str):
            raise TypeError(f"frozen must be a list of channels, got {self.frozen!r}")
        for name, least, most in (
            ("sampling_rate", 1e-12, np.inf),
            ("least_snr", -np.inf, np.inf),
        ):
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, str) or not least <= value <= most:
                raise ValueError(f"{name} must lie between {least:g} and {most:g}, got {value!r}")

    def _bounds(self, values: Array) -> tuple[Array, Array]:
        """Least and largest value of each channel."""
        if self.bounds is None:
            return np.nanmin(values, (0, 2)), np.nanmax(values, (0, 2))
        given = np.asarray(self.bounds, dtype=np.float64)
        try:
            low, high = np.broadcast_to(given, (values.shape[1], 2)).T.copy()
        except ValueError:
            raise ValueError(
                f"bounds must be (low, high) or {values.shape[1]} such pairs, got shape "
                f"{given.shape}"
            ) from None
        if not (low <= high).all():
            channel = int(np.flatnonzero(~(low <= high))[0])
            raise ValueError(f"bounds of channel {channel} must go from low to high")
        return low, high

    def _band(self) -> tuple[float, float]:
        """Lowest and highest frequency in cycles per sample."""
        if isinstance(self.band, str) and self.band == "data":
            return 0.0, NYQUIST
        rate = 1.0 if self.sampling_rate is None else self.sampling_rate
        try:
            low, high = (float(edge) / rate for edge in self.band)
        except (TypeError, ValueError):
            raise ValueError(
                f"band must be 'data', 'eigenbasis', None or (low, high), got {self.band!r}"
            ) from None
        if not 0 <= low < high:
            raise ValueError(f"band must go from low to high, got {self.band!r}")
        if low >= NYQUIST or high > NYQUIST:
            raise ValueError(self._beyond_nyquist())
        return low, high

    def _beyond_nyquist(self) -> str:
        """What is said of a band with frequencies that no signal has."""
        if self.sampling_rate is None:
            unit, mend = "cycles per sample", "pass sampling_rate if band is in Hz"
        else:
            unit, mend = (
                f"Hz at sampling_rate={self.sampling_rate:g}",
                "lower it, or correct sampling_rate",
            )
        highest = NYQUIST * (self.sampling_rate or 1.0)
        return (
            f"band must end at the Nyquist frequency at most, {highest:g} {unit}, and begin below "
            f"it, got {self.band!r}: {mend}"
        )


@dataclass(frozen=True, repr=False)
class SignalCoding(ShortRepr, Coding):
    """What `SignalAdapter` has learnt; a value for each channel, in the signals' own units."""

    center: Array
    scale: Array
    low: Array
    high: Array
    is_free: Array
    is_whole: Array
    has_flags: bool
    time: int
    spread: Tensor
    least_snr: float | None = None
    keeps_shape: bool = False
    basis: Eigenbasis | None = None
    layout: str = "auto"

    def along_axes(self, X: Any) -> "SignalCoding":
        """The same coding with moves along how the signals differ."""
        return replace(self, basis=Eigenbasis.of(self.encode(X)[:, : len(self.scale)]))

    def shaped(self, X: Any, low: float, high: float) -> "SignalCoding":
        """The same coding with the signals' own spectrum between two frequencies."""
        spread = spread_of(self.encode(X)[:, : len(self.scale)])
        rate = torch.arange(spread.shape[1]) / (2 * self.time)
        inside = (rate >= low) & (rate <= high)
        if not inside.any():
            raise ValueError(
                f"no frequency of signals of {self.time} samples lies in the band {low:g} to "
                f"{high:g} cycles per sample: widen it"
            )
        return replace(self, spread=spread * inside)

    @property
    def provides(self) -> Capabilities:
        return PROVIDES

    def defaults(self) -> Defaults:
        return DEFAULTS

    def encode(self, X: Any) -> Tensor:
        """(n, channels, time) float32, with as many flags of missing cells where fit saw some."""
        X = channels_first(X, self.layout)
        values, _ = stacked(X, self.time if self.has_flags else 0)
        if values.shape[1] != len(self.scale):
            n_channels = len(self.scale)
            axes = f"time, {n_channels}" if self.layout == "ntc" else f"{n_channels}, time"
            raise ValueError(
                f"X has {values.shape[1]} channels, but was fitted with {n_channels}: pass "
                f"(n, {axes}); an array (n, time) has one channel"
            )
        scaled = (values - self.center[:, None]) / self.scale[:, None]
        missing = np.isnan(scaled)
        if not self.has_flags and missing.any():
            row, channel, _ = np.argwhere(missing)[0]
            if containers.is_list_of_signals(X) and X[row].shape[1] < values.shape[2]:
                raise ValueError(
                    f"signal {row} has {X[row].shape[1]} samples, another {values.shape[2]}, but "
                    "fit has seen one length only: fit on signals of unequal length, or pass those "
                    "of one length at a time"
                )
            raise ValueError(
                f"signal {row} has missing values in channel {channel}, but fit has seen none: "
                "fit on signals with some, or fill them"
            )
        x = torch.from_numpy(np.nan_to_num(scaled).astype(np.float32))
        return torch.cat([x, torch.from_numpy(missing).float()], 1) if self.has_flags else x

    def native(self, x: Tensor) -> Tensor:
        """Signals in their own layout and units, NaN where a cell is missing."""
        channels = len(self.scale)
        scale, center = (
            torch.tensor(each, device=x.device, dtype=x.dtype)[:, None]
            for each in (self.scale, self.center)
        )
        values = x[:, :channels] * scale + center
        if self.has_flags:
            values = values.masked_fill(x[:, channels:] > 0.5, math.nan)
        return values.transpose(1, 2) if self.layout == "ntc" else values

    def other_units(self) -> dict[str, Callable[[Tensor], Tensor]]:
        """Channels of mean 0 and deviation 1."""
        channels = len(self.scale)
        return {"channels of mean 0 and deviation 1": lambda x: x[:, :channels]}

    def features(self, x: Tensor, generator: torch.Generator) -> Features:
        """Random convolutions pooled over time, and summaries."""
        return ConvolutionFeatures.learn(x, len(self.scale), generator)

    def space(self, norm: float = math.inf) -> Space:
        """Bounds and frozen channels, moves shaped by the signals' own spectrum."""

        def cells(each: Array, flag: float) -> Tensor:
            flags = [flag] * (len(each) if self.has_flags else 0)
            return torch.tensor([*each.tolist(), *flags], dtype=torch.float32)[:, None]

        box = Box(
            lower=cells((self.low - self.center) / self.scale, 0.0),
            upper=cells((self.high - self.center) / self.scale, 1.0),
            norm=norm,
            free=cells(self.is_free, 0.0) > 0,
            grid=cells(self.is_whole / self.scale, 0.0) if self.is_whole.any() else None,
        )
        return BandLimited(
            box, self.spread, self.has_flags, self.least_snr, self.keeps_shape, self.basis
        )

    def decode(self, moved: Tensor, seed: Tensor, rows: Any) -> Any:
        """Copies of the signals with the moved cells written, each in its own dtype."""
        refuse_not_finite(moved)
        by = (moved.double() - seed.double()).numpy()[:, : len(self.scale)]
        by = by * self.scale[:, None]
        by = np.where(self.is_whole[:, None], np.rint(by), by)
        signals = self._moved(channels_first(rows, self.layout), by)
        if isinstance(rows, containers.Panel):
            return rows.with_signals(signals)
        return channels_first(signals, self.layout)

    def _moved(self, rows: Any, by: Array) -> Any:
        """Copies of signals (channels, time), moved."""
        if containers.is_list_of_signals(rows):
            return [
                self._edited(row[None], by[k : k + 1, :, : row.shape[1]])[0]
                for k, row in enumerate(rows)
            ]
        signals = containers.as_array(rows)
        edited = self._edited(signals if signals.ndim == 3 else signals[:, None], by)
        edited = edited.reshape(signals.shape)
        return edited.tolist() if isinstance(rows, list | tuple) else edited.astype(rows.dtype)

    def _edited(self, signals: Array, by: Array) -> Array:
        """Copies moved inside the bounds; what has not moved is as it was."""
        values = signals.astype(np.float64)
        low, high = self.low[:, None], self.high[:, None]
        if signals.dtype.kind in "iu":
            held = np.iinfo(signals.dtype)
            low, high = np.clip([low, high], held.min, held.max)
        by = by[:, :, : signals.shape[2]]
        shifted = np.clip(values + by, np.fmin(values, low), np.fmax(values, high))
        with np.errstate(invalid="ignore"):
            return np.where(by == 0, signals, shifted.astype(signals.dtype))

    def constraints(self, rules: Any, X: Any) -> CallableConstraints:
        """Callables from rows to one bool a row."""
        return CallableConstraints(rules, X, "signals")

    def changes(self, before: Any, after: Any) -> list[Changes]:
        """For each signal and channel the sample that moved farthest in standard deviations, and
        the lengths of two signals of unequal length."""
        pairs = zip(self.signals(before), self.signals(after), strict=True)
        return [self._changes_of(old, new) for old, new in pairs]

    def signals(self, X: Any) -> list[Array]:
        """Each signal as an array (channels, time) of its own values."""
        X = channels_first(self.check(X), self.layout)
        return [np.atleast_2d(signal) for signal in X]

    def check(self, X: Any) -> Any:
        """X, a pandas frame as a panel."""
        return containers.as_panel(X)

    def _changes_of(self, old: Array, new: Array) -> Changes:
        lengths = old.shape[1], new.shape[1]
        old, new = old[:, : min(lengths)], new[:, : min(lengths)]
        moves = np.nan_to_num(np.abs(new.astype(np.float64) - old.astype(np.float64)))
        changes: Changes = {"samples": lengths} if lengths[0] != lengths[1] else {}
        for at in farthest_cells(moves / self.scale[:, None]):
            changes[f"channel {at[0]}, sample {at[1]}"] = old[at].item(), new[at].item()
        return changes


def refuse_other_containers(X: Any) -> None:
    """TypeError for what is neither an array nor a list."""
    if not isinstance(X, np.ndarray | list | tuple):
        mend = "X.toarray()" if hasattr(X, "toarray") else "X.to_numpy()"
        raise TypeError(f"signals are arrays or lists, got {type(X).__name__}: pass {mend}")


def stacked(X: Any, least: int = 0) -> tuple[Array, bool]:
    """Signals as (n, channels, time) float64 with NaN behind their ends, and whether all are
    whole numbers; ValueError naming the signal that does not fit."""
    if containers.is_list_of_signals(X):
        values = padded(X, least)
        is_whole = all(row.dtype.kind in "iub" for row in X)
    else:
        refuse_other_containers(X)
        X = containers.as_array(X)
        if X.ndim not in (2, 3) or X.dtype.kind not in "iufb" or not X.size:
            mend = (
                "X.astype(float)" if X.dtype.kind == "O" else "such numbers, at least one of each"
            )
            raise ValueError(
                "signals are numbers in arrays (n, channels, time) or (n, time), or a list of "
                f"(channels, time) arrays; got {X.dtype} of shape {X.shape}: pass {mend}"
            )
        values = (X if X.ndim == 3 else X[:, None]).astype(np.float64)
        short = max(least - values.shape[2], 0)
        values = np.pad(values, ((0, 0), (0, 0), (0, short)), constant_values=np.nan)
        is_whole = X.dtype.kind in "iub"
    infinite = np.isinf(values)
    if infinite.any():
        row, channel, at = np.argwhere(infinite)[0]
        raise ValueError(
            f"signal {row} holds infinity in channel {channel} at time {at}: replace it by a "
            "finite value or by a missing one (NaN)"
        )
    return values, is_whole


def padded(signals: Any, least: int) -> Array:
    """Signals of unequal length side by side, NaN behind their ends."""
    for k, row in enumerate(signals):
        if not isinstance(row, np.ndarray) or row.ndim != 2:
            raise ValueError(
                f"signal {k} is {type(row).__name__} of {np.ndim(row)} dimensions: every one must "
                "be an array (channels, time)"
            )
    channels = signals[0].shape[0]
    time = max(least, *(row.shape[1] for row in signals))
    values = np.full((len(signals), channels, time), np.nan)
    for k, row in enumerate(signals):
        if row.dtype.kind not in "iufb" or row.shape[0] != channels or not row.shape[1]:
            raise ValueError(
                f"signal {k} is {row.dtype} of shape {row.shape}, but signal 0 has {channels} "
                f"channels: bring every one to ({channels}, time) numbers"
            )
        values[k, :, : row.shape[1]] = row
    return values
