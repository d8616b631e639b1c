"""Margins before and after: how sure the committee is of the class of parents and children."""

from typing import Any, Self

import numpy as np

from advaug.core.drawing import COLOURS, INK, NEW, dress, record, styled, titled
from advaug.report.evidence import refuse_other_rows


class MarginDisplay:
    """Histogram of the margins of the parents and of the synthetic rows made from them.

    A margin is the logit of the synthetic row's class minus the best other logit: above 0 the
    committee agrees. Parents are judged by members that have not seen them, children by members
    that were not attacked.

    Parameters
    ----------
    before, after : ndarray (synthetic rows,)
        The margin of each row's parent, and its own.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes, once drawn.
    figure_ : matplotlib Figure
        The figure, once drawn.

    See Also
    --------
    ClassMapDisplay : Where the rows lie.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from advaug import AdversarialOverSampler
    >>> from advaug.report import MarginDisplay
    >>> X, y = make_classification(200, weights=[0.9], random_state=0)
    >>> sampler = AdversarialOverSampler(recipe="match", random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, y)
    >>> display = MarginDisplay.from_sampler(sampler)
    >>> bool(display.after.mean() > 0)  # the committee agrees with the labels of the new rows
    True
    """

    def __init__(self, *, before: np.ndarray[Any, Any], after: np.ndarray[Any, Any]) -> None:
        self.before = before
        self.after = after

    @classmethod
    def from_sampler(
        cls,
        sampler: Any,
        X: Any = None,
        y: Any = None,
        *,
        label: Any = None,
        ax: Any = None,
        name: str | None = None,
        hist_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the margins of a fitted sampler's rows.

        Parameters
        ----------
        sampler : `AdversarialOverSampler`
            One that has made rows.
        X, y : the rows and labels that `fit_resample` returned, optional
            As other displays take them. The margins are the sampler's own: X and y are only checked
            to be of its rows.
        label : optional
            The class whose synthetic rows are drawn; None: all of them.
        ax, name, hist_kwargs : optional
            As in `plot`.

        Returns
        -------
        MarginDisplay
            The display, drawn.
        """
        before, after = record(sampler, "margin_before"), record(sampler, "margin_after")
        labels = record(sampler, "label")
        if X is not None and y is not None:
            refuse_other_rows(sampler, X, y)
        own = np.ones(len(labels), dtype=bool) if label is None else labels == label
        if not own.any():
            made = ", ".join(repr(name) for name in np.unique(labels).tolist())
            raise ValueError(f"no synthetic row of class {label!r}: rows were made of {made}")
        display = cls(before=before[own], after=after[own])
        return display.plot(ax, name=name, hist_kwargs=hist_kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        hist_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            None: new axes on a new figure.
        name : str, optional
            What the title names, such as the data set.
        hist_kwargs : dict, optional
            Keywords of matplotlib's `hist` for the synthetic rows.

        Returns
        -------
        MarginDisplay
            Itself, with `ax_` and `figure_`.
        """
        with styled(ax) as ax:
            dress(
                ax,
                titled("Margins before and after", name),
                x="margin of the synthetic row's class (logits)",
                y="synthetic rows",
            )
            self._draw(ax, hist_kwargs or {})
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw(self, ax: Any, style: dict[str, Any]) -> None:
        both = np.concatenate([self.before, self.after])
        low, high = np.percentile(both, [0.2, 99.8]).tolist()
        bins = np.linspace(low, high, 41).tolist()
        ax.hist(self.before, bins, color=COLOURS[0], alpha=0.35, label="parents, before")
        look = {"histtype": "step", "color": NEW, "linewidth": 1.8, "label": "children, after"}
        ax.hist(self.after, bins, **look | style)
        ax.axvline(0, color=INK, linewidth=1, linestyle=(0, (4, 3)), label="undecided")
        ax.set_ylim(top=ax.get_ylim()[1] * 1.05)
        ax.legend(loc="best", frameon=True, framealpha=0.9)
