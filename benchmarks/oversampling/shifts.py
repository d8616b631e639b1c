"""The table `instruments`: what a learner loses on another instrument than it was trained on.

Balanced accuracy; a method's loss is counted from what doing nothing reaches on the own instrument,
so that a method cannot win by being bad there too.
"""

from pathlib import Path

import pandas as pd
from sklearn.metrics import balanced_accuracy_score

from benchmarks.oversampling import data
from benchmarks.oversampling.cells import Plan, read
from benchmarks.oversampling.instruments import SHIFTS
from benchmarks.oversampling.report import settings_of
from benchmarks.oversampling.significance import wilcoxon_p
from benchmarks.tables import markdown, save


def choose(folder: Path, split: str, variants: int) -> list[str]:
    """The signals of the binary table, with all of their classes."""
    names = data.choose(folder, variants=variants, split=split, domain="signal")
    return [name.removesuffix(data.VS_REST) for name in names]


def score(plan: Plan) -> pd.DataFrame:
    """A line for each set, method, learner and instrument that every method has finished."""
    lines = []
    for name in plan.sets:
        cells = [read(plan, name, s, m) for m in plan.methods for s in range(plan.seeds)]
        if any(cell is None for cell in cells):
            continue
        for cell in pd.concat(cells).itertuples():
            guess = cell.p.reshape(len(cell.y), len(SHIFTS), -1).argmax(2)
            facts = {"set": name, "method": cell.method, "learner": cell.learner}
            for shift, own in zip(SHIFTS, guess.T, strict=True):
                accuracy = balanced_accuracy_score(cell.y, own)
                lines.append({**facts, "instrument": shift, "accuracy": accuracy})
    if not lines:
        raise ValueError("no set has been finished by every method: see what failed")
    keys = ["set", "method", "learner", "instrument"]
    return pd.DataFrame(lines).groupby(keys, sort=False)["accuracy"].mean().reset_index()


def means(scores: pd.DataFrame) -> pd.DataFrame:
    """A row per method: accuracy by instrument, the mean loss on the others, its share of what
    nothing loses, and Wilcoxon's p of the difference over sets."""
    keys = ["set", "instrument"]
    each = scores.pivot_table(index=keys, columns="method", values="accuracy", sort=False)
    own = each["nothing"].xs("as it is", level="instrument")
    others = each.drop("as it is", level="instrument").groupby(level="set", sort=False).mean()
    loss = others.rsub(own, axis=0)
    table = each.groupby(level="instrument", sort=False).mean().T.loc[scores["method"].unique()]
    table["loss"] = loss.mean()
    table["of nothing's"] = table["loss"] / table.loc["nothing", "loss"]
    table["p"] = [wilcoxon_p((loss[m] - loss["nothing"]).to_numpy()) for m in table.index]
    return table.rename_axis(index="method", columns=None)


def write(plan: Plan, scores: pd.DataFrame, title: str, out: Path, command: str) -> str:
    """Parquet and Markdown; returns the Markdown of the means."""
    out.mkdir(parents=True, exist_ok=True)
    scores.round(6).to_parquet(out / f"{title}.parquet")
    text = [f"# {title}", f"`{command}`"]
    sets = ", ".join(scores["set"].unique())
    text.append(f"{scores['set'].nunique()} sets ({sets}); training rows grown by {plan.strategy}.")
    text[-1] += f" Balanced accuracy. {settings_of(plan)}"
    text.append(markdown(means(scores)))
    for learner, own in scores.groupby("learner", sort=False):
        text += [f"**{learner}**", markdown(means(own))]
    save("\n\n".join(text), out / f"{title}.md")
    return text[3]
