"""Pictures of a table: mean ranks, gains by learner, and where on the map gains lie."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import NullLocator

from benchmarks.oversampling.significance import (
    critical_difference,
    gains_by_learner,
    mean_ranks,
    per_base,
)

COLOURS = ["#2a78d6", "#eb6834", "#1baf7a", "#eda100", "#7a5ad6", "#e34948", "#6b6a66", "#0f9fb8"]
INK, PALE = "#3d3c39", "#d9d8d4"


def save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)


def rank_diagram(table: pd.DataFrame, metric: str, path: Path, *, low_is_good: bool) -> None:
    """Mean ranks with Nemenyi's critical difference: methods under one bar do not differ."""
    ranks = mean_ranks(table, low_is_good=low_is_good).sort_values()
    span = critical_difference(len(ranks), len(table))
    figure, ax = plt.subplots(figsize=(7, 0.26 * len(ranks) + 1))
    places = np.arange(len(ranks))
    ax.hlines(places, ranks, ranks + 0, color=PALE)
    is_ours = [name.startswith("advaug") for name in ranks.index]
    ax.scatter(ranks, places, c=[COLOURS[1] if own else COLOURS[0] for own in is_ours], zorder=3)
    ax.hlines(-1, ranks.iloc[0], ranks.iloc[0] + span, color=INK, linewidth=2)
    ax.axvline(ranks.iloc[0] + span, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    ax.set_yticks(places, [f"{name}  {rank:.2f}" for name, rank in ranks.items()], fontsize=8)
    ax.set_ylim(len(ranks) - 0.4, -1.6)
    ax.set_xlabel(
        f"mean rank in {metric} over {len(table)} base sets; bar: critical difference {span:.2f}",
        fontsize=8,
    )
    dress(ax)
    save(figure, path)


def learner_bars(
    scores: pd.DataFrame, metric: str, methods: list[str], rival: str, path: Path
) -> None:
    """Mean gain over a rival for each learner."""
    gains = gains_by_learner(scores, metric, rival)[methods]
    figure, ax = plt.subplots(figsize=(8, 3.2))
    width, places = 0.8 / max(len(methods), 1), np.arange(len(gains))
    for k, method in enumerate(methods):
        colour = COLOURS[k % len(COLOURS)]
        at = places + (k - (len(methods) - 1) / 2) * width
        ax.bar(at, gains[method], width * 0.95, color=colour, label=method)
    ax.axhline(0, color=INK, linewidth=0.8)
    ax.set_xticks(places, gains.index, fontsize=9)
    ax.set_ylabel(f"{metric} over {rival}", fontsize=9)
    ax.legend(fontsize=7, ncols=2, frameon=False, loc="upper left", bbox_to_anchor=(0, -0.1))
    dress(ax)
    save(figure, path)


def regime_map(
    scores: pd.DataFrame, facts: pd.DataFrame, metric: str, method: str, rival: str, path: Path
) -> None:
    """Each base set's gain against its rare rows and its imbalance ratio."""
    table = per_base(scores, metric)
    gain = table[method] - table[rival]
    at = facts.loc[gain.index]
    most = max(0.02, float(gain.abs().quantile(0.9)))
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6))
    for ax, column in zip(axes, ("minority", "imbalance"), strict=False):
        ax.scatter(at[column], gain, color=COLOURS[0], s=18)
        ax.axhline(0, color=INK, linewidth=0.8)
        logarithmic(ax.xaxis, at[column])
        ax.set_xlabel({"minority": "rare rows", "imbalance": "imbalance ratio"}[column], fontsize=9)
        ax.set_ylabel(f"{metric} of {method} over {rival}", fontsize=8)
        dress(ax)
    spots = axes[2].scatter(
        at["minority"],
        at["imbalance"],
        c=gain,
        cmap="RdYlGn",
        vmin=-most,
        vmax=most,
        s=60,
        edgecolors=INK,
        linewidths=0.5,
    )
    logarithmic(axes[2].xaxis, at["minority"])
    logarithmic(axes[2].yaxis, at["imbalance"])
    axes[2].set_xlabel("rare rows", fontsize=9)
    axes[2].set_ylabel("imbalance ratio", fontsize=9)
    dress(axes[2])
    figure.colorbar(spots, ax=axes[2], label=f"gain in {metric}")
    figure.tight_layout()
    save(figure, path)


def curves(
    scores: dict[int, pd.DataFrame], metrics: list[str], methods: list[str], path: Path
) -> None:
    """Mean scores against the number of training rows, and the gains over doing nothing."""
    figure, axes = plt.subplots(2, len(metrics), figsize=(4 * len(metrics), 6), squeeze=False)
    sizes = sorted(scores)
    for column, metric in enumerate(metrics):
        means = pd.DataFrame({n: scores[n].groupby("method")[metric].mean() for n in sizes})
        for k, method in enumerate(methods):
            colour = COLOURS[k % len(COLOURS)]
            axes[0, column].plot(sizes, means.loc[method], "o-", color=colour, label=method, ms=4)
            gain = means.loc[method] - means.loc["nothing"]
            axes[1, column].plot(sizes, gain, "o-", color=colour, ms=4)
        for ax in axes[:, column]:
            ax.set_xscale("log")
            ax.set_xticks(sizes, [str(n) for n in sizes], fontsize=8)
            ax.minorticks_off()
            dress(ax)
        axes[0, column].set_title(metric, fontsize=10)
        axes[1, column].axhline(0, color=INK, linewidth=0.8)
        axes[1, column].set_xlabel("training rows", fontsize=9)
    axes[0, 0].set_ylabel("mean over sets and learners", fontsize=9)
    axes[1, 0].set_ylabel("gain over nothing", fontsize=9)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(),
        fontsize=8,
        ncols=3,
        frameon=False,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
    )
    figure.tight_layout()
    save(figure, path)


def logarithmic(axis: Any, values: pd.Series) -> None:
    """A logarithmic axis with plain numbers at it."""
    getattr(axis.axes, f"set_{axis.axis_name}scale")("log")
    ticks = [t for t in (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000) if t <= values.max() * 1.1]
    ticks = [t for t in ticks if t >= values.min() / 1.1]
    axis.set_ticks(ticks, [str(t) for t in ticks])
    axis.set_minor_locator(NullLocator())


def dress(ax: Any) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8, colors=INK)
    ax.grid(color=PALE, linewidth=0.5, zorder=0)
    ax.set_axisbelow(True)
