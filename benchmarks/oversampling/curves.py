"""Learning curves: small training sets whose classes all grow, against the same sets as they are.

Training folds are cut to n rows at the classes' own shares (five rows of a class at least), the
test folds stay whole. Sets: those large enough for the longest curve, least imbalanced first.
"""

import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd

from benchmarks.oversampling import cells, data, pictures, scores
from benchmarks.oversampling.cells import Plan
from benchmarks.oversampling.report import settings_of
from benchmarks.oversampling.significance import per_base, wilcoxon_p
from benchmarks.tables import markdown, save

SIZES = (30, 60, 125, 250, 500)
MOST_SETS = 15
METRICS = ("AP", "AUC", "F1")


def choose(folder: Path, split: str, folds: int) -> list[str]:
    """The tables whose training folds hold the longest curve, least imbalanced first."""
    names = data.choose(folder, split=split)
    known = data.catalogue(folder, split).set_index("name").loc[names]
    large = known[known["rows"] * (1 - 1 / folds) >= max(SIZES)]
    return sorted(large.sort_values("imbalance_ratio").index[:MOST_SETS])


def run(plan: Plan, sizes: tuple[int, ...], jobs: int, *, report_only: bool) -> dict:
    """The scores of each size."""
    tables = {}
    for size in sizes:
        cut = replace(plan, most_rows=size)
        if not report_only:
            for line in cells.run(cut, jobs):
                print(f"failed: {line}", file=sys.stderr)
        tables[size] = scores.score(cut, jobs)
    return tables


def means(
    tables: dict[int, pd.DataFrame], metric: str, rivals: tuple[str, ...] = ("nothing",)
) -> pd.DataFrame:
    """A row per method, a column per size; beside it the gain over the best of the rivals."""
    columns = {}
    for size, table in tables.items():
        own = per_base(table, metric)
        rival, text = own[[*rivals]].mean().idxmax(), {}
        for method in own:
            gap = (own[method] - own[rival]).to_numpy()
            p = wilcoxon_p(gap)
            star = "" if method == rival else f" ({gap.mean():+.4f}, p={p:.2g})"
            text[method] = f"{own[method].mean():.4f}{star}"
        columns[f"n = {size}"] = pd.Series(text)
    frame = pd.DataFrame(columns).loc[list(tables[min(tables)]["method"].unique())]
    over = f" over the best of {', '.join(rivals)}" if len(rivals) > 1 else ""
    return frame.rename_axis(f"{metric}{over}")


def write(plan: Plan, tables: dict[int, pd.DataFrame], title: str, out: Path, command: str) -> str:
    """Parquet, Markdown and the picture; returns the Markdown of the tables."""
    out.mkdir(parents=True, exist_ok=True)
    whole = pd.concat([table.assign(rows=size) for size, table in tables.items()])
    whole.round(6).to_parquet(out / f"{title}.parquet")
    made = [markdown(means(tables, metric)) for metric in METRICS]
    controls = tuple(name for name in ("nothing", "copies", "random") if name in plan.methods)
    if len(controls) > 1:
        made.insert(1, markdown(means(tables, "AP", controls)))
    text = [
        f"# {title}",
        f"`{command}`",
        f"{len(plan.sets)} sets ({', '.join(plan.sets)}); every class grown by {plan.strategy}; "
        f"{settings_of(plan)} In brackets the gain over nothing and Wilcoxon's p over base sets.",
        *made,
    ]
    save("\n\n".join(text), out / f"{title}.md")
    names = [*dict.fromkeys(whole["method"])]
    pictures.curves(tables, [*METRICS], names, out / f"{title}.png")
    return "\n\n".join(made)
