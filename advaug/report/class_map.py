"""The class map: all rows in two dimensions, each new row linked to its parent."""

from typing import Any, Self

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state

from advaug import containers
from advaug.core.drawing import COLOURS, GREY, INK, NEW, as_label, dress, record, styled, titled
from advaug.report.evidence import refuse_other_rows

CLIP = 5.0  # features beyond it would draw the axes to a few extreme cells


class ClassMapDisplay:
    """Real and synthetic rows on the first two principal components of their features.

    Parameters
    ----------
    points : ndarray (rows, 2)
        Where each row lies.
    labels : ndarray (rows,)
        The class of each row.
    parents : ndarray of int (rows,)
        The parent of each synthetic row; a real row is its own.
    links : ndarray of int
        Synthetic rows whose line to the parent is drawn.
    shares : ndarray (2,)
        Share of the variance on each axis.
    counts : dict of label -> (real rows, synthetic rows), optional
        How many rows there are, where not all of them are drawn. The class with the most real rows
        is the grey background; by default the rows drawn are counted.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes, once drawn.
    figure_ : matplotlib Figure
        The figure, once drawn.

    See Also
    --------
    MarginDisplay : How sure the committee is of parents and of new rows.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from advaug import AdversarialOverSampler
    >>> from advaug.report import ClassMapDisplay
    >>> X, y = make_classification(200, weights=[0.9], random_state=0)
    >>> sampler = AdversarialOverSampler(random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, y)
    >>> display = ClassMapDisplay.from_sampler(sampler, X_new, y_new)
    >>> display.points.shape == (len(X_new), 2)
    True
    """

    def __init__(
        self,
        *,
        points: np.ndarray[Any, Any],
        labels: np.ndarray[Any, Any],
        parents: np.ndarray[Any, Any],
        links: np.ndarray[Any, Any],
        shares: np.ndarray[Any, Any],
        counts: dict[Any, tuple[int, int]] | None = None,
    ) -> None:
        self.points = points
        self.labels = labels
        self.parents = parents
        self.links = links
        self.shares = shares
        self.counts = counts

    @classmethod
    def from_sampler(
        cls,
        sampler: Any,
        X: Any,
        y: Any,
        *,
        most_links: int = 25,
        random_state: Any = 0,
        ax: Any = None,
        name: str | None = None,
        scatter_kwargs: dict[str, Any] | None = None,
        line_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the rows of a fitted sampler.

        Parameters
        ----------
        sampler : `AdversarialOverSampler`
            One that has made rows.
        X, y : container of rows and array-like
            What `fit_resample` returned.
        most_links : int, default=25
            How many synthetic rows, drawn by chance among those that moved, are linked.
        random_state : int, RandomState or None, default=0
            Seed of all random numbers.
        ax, name, scatter_kwargs, line_kwargs : optional
            As in `plot`.

        Returns
        -------
        ClassMapDisplay
            The display, drawn.
        """
        moved = np.flatnonzero(record(sampler, "distance") > 0)
        refuse_other_rows(sampler, X, y)
        rows = sampler.adapter_.encode(X)
        real = rows[torch.from_numpy(~sampler.synthetic_mask_)]
        features = sampler.adapter_.features(real, torch.Generator().manual_seed(0))
        coded = features(rows).numpy().clip(-CLIP, CLIP)
        if coded.shape[1] < 2:
            raise ValueError(
                "a map needs rows of two columns or more, got one: draw MarginDisplay instead"
            )
        plane = PCA(2, random_state=0).fit(coded[~sampler.synthetic_mask_])
        order = check_random_state(random_state).permutation(moved)[:most_links]
        display = cls(
            points=plane.transform(coded),
            labels=containers.labels(y),
            parents=sampler.parent_indices_,
            links=order + int((~sampler.synthetic_mask_).sum()),
            shares=plane.explained_variance_ratio_,
        )
        return display.plot(ax, name=name, scatter_kwargs=scatter_kwargs, line_kwargs=line_kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        scatter_kwargs: dict[str, Any] | None = None,
        line_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            None: new axes on a new figure.
        name : str, optional
            What the title names, such as the data set.
        scatter_kwargs : dict, optional
            Keywords of matplotlib's `scatter` for the synthetic rows.
        line_kwargs : dict, optional
            Keywords of `LineCollection` for the lines from parents to children.

        Returns
        -------
        ClassMapDisplay
            Itself, with `ax_` and `figure_`.
        """
        with styled(ax) as ax:
            self._draw(ax, name, scatter_kwargs or {})
            self._link(ax, line_kwargs or {})
            legend = ax.legend(loc="best", frameon=True, framealpha=0.9, markerscale=1.6)
        for handle in legend.legend_handles:
            handle.set_alpha(1)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw(self, ax: Any, name: str | None, style: dict[str, Any]) -> None:
        x, y = (
            f"principal component {k} ({share:.0%} of variance)"
            for k, share in zip("12", self.shares, strict=True)
        )
        dress(ax, titled("Class map of new rows and their parents", name), x=x, y=y)
        is_new = self.parents != np.arange(len(self.parents))
        counts = self._counts(is_new)
        classes = sorted(counts, key=lambda label: -counts[label][0])
        for rank, label in enumerate(classes):
            all_real, all_new = counts[label]
            colour = COLOURS[(rank - 1) % len(COLOURS)] if rank else GREY
            own = (self.labels == label) & ~is_new
            ax.scatter(
                *self.points[own].T,
                s=16 if rank else 7,
                color=colour,
                alpha=0.9 if rank else 0.35,
                linewidths=0,
                label=f"{as_label(label)} ({of_all(own.sum(), all_real)})",
                zorder=3 if rank else 1,
            )
            own = (self.labels == label) & is_new
            if own.any():
                look = {
                    "s": 9,
                    "marker": "D",
                    "color": NEW if len(classes) == 2 else colour,
                    "alpha": 0.3,
                    "linewidths": 0,
                    "label": f"{as_label(label)}, synthetic ({of_all(own.sum(), all_new)})",
                    "zorder": 2,
                }
                ax.scatter(*self.points[own].T, **look | style)

    def _counts(self, is_new: np.ndarray[Any, Any]) -> dict[Any, tuple[int, int]]:
        """All rows of each class that is drawn, real and synthetic."""
        drawn = {
            label: (int((own & ~is_new).sum()), int((own & is_new).sum()))
            for label in np.unique(self.labels)
            for own in [self.labels == label]
        }
        return drawn if self.counts is None else {label: self.counts[label] for label in drawn}

    def _link(self, ax: Any, style: dict[str, Any]) -> None:
        from matplotlib.collections import LineCollection

        ends = np.stack([self.points[self.parents[self.links]], self.points[self.links]], axis=1)
        look: dict[str, Any] = {"colors": INK, "linewidths": 0.7, "alpha": 0.7}
        look["label"] = "parent to child (some)"
        lines = LineCollection(list(ends), **look | style)
        ax.add_collection(lines).set_zorder(4)
        for rows, marker, colour in (
            (self.parents[self.links], "o", "white"),
            (self.links, "D", NEW),
        ):
            x, y = self.points[rows].T
            ax.plot(
                x,
                y,
                marker,
                markersize=4,
                color=colour,
                markeredgecolor=INK,
                markeredgewidth=0.7,
                zorder=5,
                linestyle="none",
            )


def of_all(drawn: int, count: int) -> str:
    """How many of the rows are drawn."""
    return f"{count}" if drawn == count else f"{drawn} of {count}"
