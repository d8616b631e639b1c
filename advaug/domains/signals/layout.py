"""Which axis of signals is time: channels stand before it inside the library."""

import warnings
from typing import Any

import numpy as np

from advaug import containers

Array = np.ndarray[Any, Any]
SMOOTHER = 0.5  # The axis of channels may be time if neighbours differ by less than this share,
SHORTER = 4  # and if time has less than so many samples for each channel.
LAYOUTS = "auto", "nct", "ntc"


def channels_first(X: Any, layout: str) -> Any:
    """Signals with the channels before time; from there back again.

    A panel becomes an array, or a list where lengths differ.
    """
    if isinstance(X := containers.as_panel(X), containers.Panel):
        return X.signals()
    if layout != "ntc":
        return X
    if containers.is_list_of_signals(X):
        return [np.ascontiguousarray(row.T) if getattr(row, "ndim", 0) == 2 else row for row in X]
    if containers.is_nested_signals(X):
        turned: Any = np.swapaxes(containers.as_array(X), 1, 2).tolist()
        return turned
    is_turned = isinstance(X, np.ndarray) and X.ndim == 3
    return np.ascontiguousarray(X.transpose(0, 2, 1)) if is_turned else X


def refuse_other_layout(signals: Any, layout: str) -> None:
    """ValueError for a list in which the channels differ in number and the samples do not."""
    if not containers.is_list_of_signals(signals):
        return
    shapes = {signal.shape for signal in signals if getattr(signal, "ndim", 0) == 2}
    n_channels, time = ({shape[axis] for shape in shapes} for axis in (0, 1))
    if len(time) == 1 < len(n_channels) and min(n_channels) > max(time):
        raise ValueError(
            f"layout={layout!r} reads the signals of X as {min(n_channels)} to {max(n_channels)} "
            f"channels of {time.pop()} samples each: pass adapter=SignalAdapter(layout="
            f"{'nct' if layout == 'ntc' else 'ntc'!r})"
        )


def refuse_unclear_axes(values: Array) -> None:
    """ValueError where the axis of channels may be time: it is longer, or far smoother."""
    _, n_channels, time = values.shape
    if n_channels > time:
        why = "signals seldom have more channels than samples"
    elif is_smoother_along_channels(values):
        why = "their values change less along the channels than along time"
    else:
        return
    raise ValueError(
        f"the signals of X are read as {n_channels} channels of {time} samples, but {why}: pass "
        "adapter=SignalAdapter(layout='ntc') if time comes before the channels, or "
        "adapter=SignalAdapter(layout='nct') if they are read as they should be"
    )


def is_smoother_along_channels(values: Array) -> bool:
    """Whether there are few samples for each channel, and neighbouring channels far more alike."""
    _, n_channels, time = values.shape
    if n_channels < 2 or not 2 <= time < SHORTER * n_channels:
        return False
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of no two neighbours that are there
        along_channels, along_time = (
            float(np.nanmean(np.abs(np.diff(values, axis=axis)))) for axis in (1, 2)
        )
    return along_channels < SMOOTHER * along_time
