"""The judge's verdict on signals, one by one: a strip for each test.

Agreement of the committee with the label, plausibility beside the class's own signals, and the
class's band of power, steps and correlations of channels.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch

from advaug import containers
from advaug.core.drawing import INK, NEW, dress, record, styled, titled
from advaug.core.short_repr import ShortRepr
from advaug.models.committee import Committee
from advaug.sampling.encoded_dataset import sample_of_classes
from advaug.sampling.judges.conformal import ConformalJudge
from advaug.sampling.judges.descriptor_band import DescriptorBandJudge

Array = np.ndarray[Any, Any]


@dataclass(repr=False)
class VerdictDisplay(ShortRepr):
    """Which signals of one class the judge accepts, and which test each of the others fails.

    Parameters
    ----------
    agrees, is_plausible, is_inside : ndarray of bool (signals,)
        The committee's probability of the label is at least `judge.min_probability`, the
        plausibility p-value at least `judge.alpha`, the descriptors inside the class's band.
    label : object
        The class.
    judge : `ConformalJudge`
        The judge, whose limits are drawn.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes, once drawn.
    figure_ : matplotlib Figure
        The figure, once drawn.

    See Also
    --------
    SignalDisplay : A new signal on its parent.

    Examples
    --------
    >>> from advaug import AdversarialOverSampler
    >>> from advaug.datasets import load_ecg_beats
    >>> from advaug.report import VerdictDisplay
    >>> X, y = load_ecg_beats()
    >>> sampler = AdversarialOverSampler(random_state=0)
    >>> display = VerdictDisplay.from_sampler(sampler, *sampler.fit_resample(X, y))
    >>> bool(display.accepts.mean() > 0.9)
    True
    """

    agrees: Array
    is_plausible: Array
    is_inside: Array
    label: Any
    judge: ConformalJudge

    @classmethod
    def from_sampler(
        cls,
        sampler: Any,
        X: Any,
        y: Any,
        *,
        signals: Any = None,
        label: Any = None,
        judge: ConformalJudge | None = None,
        ax: Any = None,
        name: str | None = None,
        image_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the verdicts on signals by the committee and the real rows of a fitted sampler.

        The judge is fitted again on real rows, and only the committee votes. The trees that voted
        while rows were made do not, so a few verdicts may differ from those in `provenance_`.

        Parameters
        ----------
        sampler : `AdversarialOverSampler`
            One that has made rows, and whose surrogate is its own committee.
        X, y : container of rows and array-like
            What `fit_resample` returned.
        signals : in the container of X, optional
            What is judged; None: the synthetic signals of the class.
        label : optional
            Their class; None: the class with the most synthetic signals.
        judge : `ConformalJudge`, optional
            None: `ConformalJudge(min_probability=1 / classes)`. Its `min_probability` is the
            sampler's default; the sampler reports plausibility, but by default needs none.
        ax, name, image_kwargs : optional
            As in `plot`.

        Returns
        -------
        VerdictDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            The sampler has made no rows, its rows are no signals, it attacked a model of your own,
            or no row has the label.
        """
        made = record(sampler, "label")
        X = sampler.adapter_.check(X)
        committee = sampler.surrogate_
        descriptors = committee.features.descriptors if isinstance(committee, Committee) else None
        if descriptors is None:
            raise ValueError(
                "verdicts are of signals, by the sampler's own committee: leave surrogate='auto' "
                "and pass (n, channels, time), or adapter='signal'"
            )
        target = containers.labels(y)
        real = np.flatnonzero(~sampler.synthetic_mask_)
        classes, codes = containers.classes_of(target[real])
        if label is None:
            names, counts = np.unique(made, return_counts=True)
            label = names[counts.argmax()]
        if label not in classes:
            raise ValueError(f"label must be one of {classes.tolist()}, got {label!r}")
        if signals is None:
            signals = containers.take(
                X, np.flatnonzero(sampler.synthetic_mask_ & (target == label))
            )
        code = int(np.flatnonzero(classes == label)[0])
        generator = torch.Generator().manual_seed(0)
        y_real = torch.from_numpy(codes)
        kept = sample_of_classes(y_real, 0)
        own = sampler.adapter_.encode(containers.take(X, real[kept.numpy()]))
        judge = judge or ConformalJudge(min_probability=1 / len(classes))
        seen = committee.features(own)
        fitted = DescriptorBandJudge(judge, descriptors).fit(seen, y_real[kept], code, generator)
        x = committee.features(sampler.adapter_.encode(signals))
        probability = committee.read(x).softmax(-1).mean(0)[:, code]
        said = fitted.inner.verdict(x, probability)
        display = cls(
            agrees=(probability >= judge.min_probability).numpy(),
            is_plausible=(said.p_value >= judge.alpha).numpy(),
            is_inside=fitted.is_inside(x).numpy(),
            label=label,
            judge=judge,
        )
        return display.plot(ax, name=name, image_kwargs=image_kwargs)

    @property
    def accepts(self) -> Array:
        """Signals that pass every test."""
        return self.agrees & self.is_plausible & self.is_inside

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        image_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw a column for each signal, sorted by verdict.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            None: new axes on a new figure.
        name : str, optional
            What the title names; None: how many signals of which class.
        image_kwargs : dict, optional
            Keywords of matplotlib's `imshow`.

        Returns
        -------
        VerdictDisplay
            Itself, with `ax_` and `figure_`.
        """
        with styled(ax) as ax:
            self._draw(ax, image_kwargs or {})
            name = f"{len(self.agrees)} signals as {self.label}" if name is None else name
            dress(ax, titled("Rejected signals are orange", name))
            ax.set_xticks([])
            ax.spines[["left", "bottom"]].set_visible(False)
            ax.tick_params(length=0, labelcolor=INK)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw(self, ax: Any, style: dict[str, Any]) -> None:
        from matplotlib.colors import ListedColormap

        strips = {
            f"agrees (p ≥ {self.judge.min_probability:.2g})": self.agrees,
            f"plausible (p ≥ {self.judge.alpha:.2g})": self.is_plausible,
            "inside the band": self.is_inside,
            "accepted": self.accepts,
        }
        order = np.lexsort([~passed for passed in strips.values()])
        shown = np.stack([passed[order] for passed in strips.values()])
        look = {"aspect": "auto", "interpolation": "nearest", "vmin": 0, "vmax": 1}
        ax.imshow(shown, **look | {"cmap": ListedColormap([NEW, "#dddddd"])} | style)
        ax.set_yticks(range(len(strips)), list(strips))
        for edge in np.arange(len(strips) - 1) + 0.5:
            ax.axhline(edge, color="white", linewidth=3)
        for place, passed in enumerate(strips.values()):
            ax.annotate(f"{passed.mean():.0%}", (1.01, place), xycoords=("axes fraction", "data"),
                        va="center", fontsize=8, color=INK)  # fmt: skip
