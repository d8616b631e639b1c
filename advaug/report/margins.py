"""Margins before and after: how sure the committee is of the class of parents and children."""

from typing import Any, Self

import numpy as np

from advaug.core.drawing import COLOURS, INK, NEW, dress, new_axes, record


class MarginDisplay:
    """Histogram of the margins of the parents and of the synthetic rows made from them.

    A margin is the logit of the synthetic row's class minus the best other logit: above 0 the
    committee agrees. Parents are judged by members that have not seen them, children by members
    that were not attacked.

    Parameters
    ----------
    before, after : ndarray (synthetic rows,)

    Attributes
    ----------
    ax_, figure_ : matplotlib axes and figure, after `plot`
    """

    def __init__(self, *, before: np.ndarray[Any, Any], after: np.ndarray[Any, Any]) -> None:
        self.before = before
        self.after = after

    @classmethod
    def from_sampler(cls, sampler: Any, *, label: Any = None) -> Self:
        """From a fitted sampler; `label` takes the synthetic rows of one class only."""
        before, after = record(sampler, "margin_before"), record(sampler, "margin_after")
        labels = record(sampler, "label")
        own = np.ones(len(labels), dtype=bool) if label is None else labels == label
        if not own.any():
            made = ", ".join(repr(name) for name in np.unique(labels).tolist())
            raise ValueError(f"no synthetic row of class {label!r}: rows were made of {made}")
        return cls(before=before[own], after=after[own])

    def plot(self, ax: Any = None) -> Self:
        """Draw, on new axes unless some are given."""
        ax = new_axes(ax)
        dress(ax, "Margins before and after")
        both = np.concatenate([self.before, self.after])
        low, high = np.percentile(both, [0.2, 99.8]).tolist()
        bins = np.linspace(low, high, 41).tolist()
        ax.hist(self.before, bins, color=COLOURS[0], alpha=0.35, label="parents, before")
        ax.hist(
            self.after, bins, histtype="step", color=NEW, linewidth=1.8, label="children, after"
        )
        ax.axvline(0, color=INK, linewidth=1, linestyle=(0, (4, 3)), label="undecided")
        ax.set_xlabel("margin of the synthetic row's class (logits)", fontsize=9, color=INK)
        ax.set_ylabel("synthetic rows", fontsize=9, color=INK)
        ax.set_ylim(top=ax.get_ylim()[1] * 1.05)
        ax.legend(loc="best", fontsize=8, framealpha=0.9)
        self.ax_, self.figure_ = ax, ax.figure
        return self
