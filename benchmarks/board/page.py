"""The board as a page of Markdown: means of each model, then every set."""

import numpy as np
import pandas as pd

from benchmarks.board.models import MODELS, RADII
from benchmarks.tables import machine, markdown

SCORES = ("clean", "noise", "attack", "certificate")
TITLES = {"tabular": "Tables", "signal": "Signals", "sequence": "Texts"}
UNITS = {
    "tabular": "{} robust standard deviations of each column, and one flip of a category",
    "signal": "{} standard deviations of a channel at each point in time",
    "sequence": "{:.0f} edits",
}
NOTES = """
Accuracy on test rows: as many of each class as there are, so that a model which predicts one class
does not look robust.

- clean: the rows as they are. noise: moved at random by the whole radius, the control.
- attack: rows that are right after every attack: AutoAttack (APGD and DeepFool where the model has
  a gradient, Square) and for trees on plain numbers LeafSearch; for texts Greedy. An attack says
  only what was found: a model that is only queried may be weaker than its figure.
- certificate: rows that `advaug.robust.certify` proves to stay right within the radius, with .2
  seconds a row. The truth lies between certificate and attack. Empty where there is no proof:
  nearest neighbours, nets, tables with categories or missing cells, signals, texts. Its mean is
  over the sets that have one, so it can be above that of the attacks.
- net, robust net: `AdversarialClassifier` trained on clean rows, and on rows moved by its default
  attack (texts: by random edits).
"""


def page_of(board: pd.DataFrame) -> str:
    """The whole page."""
    parts = ["# Board of robustness", NOTES.strip()]
    for domain, own in board.groupby("domain", sort=False):
        unit = UNITS[domain].format(RADII[domain])
        parts += [f"## {TITLES[domain]}", f"Radius: {unit}. Means of {own['set'].nunique()} sets:"]
        means = own.groupby("model")[[*SCORES]].mean().reindex(MODELS)
        parts += [markdown(means.map(two_digits)), "clean / noise / attack / certificate:"]
        parts.append(markdown(by_set(own)))
    seconds = board["seconds"].sum()
    sizes = board.groupby("domain", sort=False)["rows"].agg(["min", "max"])
    rows = ", ".join(f"{low} to {high} ({name})" for name, low, high in sizes.itertuples())
    parts.append(
        f"`python -m benchmarks.board --data FOLDER`; test rows: {rows}. {seconds:.0f} CPU seconds "
        f"in {len(board)} cells. {machine()}."
    )
    return "\n\n".join(parts)


def by_set(own: pd.DataFrame) -> pd.DataFrame:
    """A row for each set, a column for each model, four scores in each cell."""
    scores = own[[*SCORES]].map(two_digits)
    text = scores.agg(lambda line: " / ".join(line).removesuffix(" / "), axis=1)
    table = own.assign(text=text).pivot(index="set", columns="model", values="text")
    order = own["set"].drop_duplicates()
    return table.reindex(index=order, columns=[*MODELS]).astype(object).fillna("")


def two_digits(score: float) -> str:
    """.93; nothing where there is no number."""
    return "" if np.isnan(score) else f"{score:.2f}".lstrip("0") if score < 1 else "1"
