"""Warnings of padding: one long signal among short ones, and ends that hold a constant."""

import warnings
from typing import Any

import numpy as np

from advaug import containers

Array = np.ndarray[Any, Any]
MOST_PADDING = 8  # times the mean length
LEAST_RUN = 3  # samples of one constant in all channels that look like padding,
SHARE = 0.5  # if so many signals end in them,
INSIDE = 0.1  # and so few of these hold as many of them before their end.


def warn_of_long_signals(X: Any) -> None:
    """UserWarning naming the signal for whose length nearly all memory and time would go."""
    if not containers.is_list_of_signals(X):
        return
    lengths = np.array([row.shape[1] for row in X])
    if lengths.max() > MOST_PADDING * lengths.mean():
        longest, usual = int(lengths.argmax()), int(np.median(lengths))
        warnings.warn(
            f"signal {longest} has {lengths[longest]} samples, half of them at most {usual}: all "
            f"are padded to the longest, which takes {lengths.max() / lengths.mean():.0f} times "
            "the memory and time; cut it into windows, or resample it",
            UserWarning,
            stacklevel=6,
        )


def warn_of_constant_ends(values: Array) -> None:
    """UserWarning where signals (n, channels, time) seem padded with a constant, as most are with
    zeros: it would be taken for signal."""
    runs, constant = constant_ends(values)
    if len(set(runs.tolist())) < 2:
        return
    shown = f"{constant[0]:g}" if len(set(constant.tolist())) == 1 else "constant"
    warnings.warn(
        f"{len(runs)} of {len(values)} signals end in {runs.min()} to {runs.max()} samples that "
        f"are {shown} in all channels: if they are padded, that is taken for signal. Pass a list "
        "of arrays without the padding, or put NaN there",
        UserWarning,
        stacklevel=6,
    )


def constant_ends(values: Array) -> tuple[Array, Array]:
    """How many samples of one constant the padded signals end in, and its value in each channel;
    no run where most signals do not end so, or hold such runs before their end too."""
    last, none = values[:, :, -1:], np.empty(0, int)
    is_flat = (values[:, :, -LEAST_RUN:] == last).all((1, 2))
    if values.shape[2] <= LEAST_RUN or is_flat.mean() < SHARE:
        return none, none
    constant = np.median(last[is_flat], 0)
    is_padded = is_flat & (last == constant).all((1, 2))
    if is_padded.mean() < SHARE:
        return none, none
    same = (values[is_padded] == constant).all(1)
    same = same[~same.all(1)]  # signals that hold nothing else are dead, not padded
    runs = (~same[:, ::-1]).argmax(1)
    windows = np.lib.stride_tricks.sliding_window_view(same, LEAST_RUN, 1).all(2).sum(1)
    is_inside = windows > runs - LEAST_RUN + 1
    return (runs, constant[:, 0]) if len(runs) and is_inside.mean() <= INSIDE else (none, none)
