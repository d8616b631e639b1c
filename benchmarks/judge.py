"""Does the judge tell rows of the majority, pasted as minority, from held-out minority rows?

The judge learns from two thirds of a set; the last third is shown to it with the minority's
label on every row. A row is accepted where its conformal label p-value is at least the level.
No judge can do better than the classes can be told apart: the last columns say how well the
best threshold, chosen on the answers themselves, would have done.

    python -m benchmarks.judge --data FOLDER

FOLDER holds manifest.csv and read.py. The sets are all of its binary tables (development
part) with 50 minority rows or more and at most 12 000 rows. Of the majority at most 1000 random
rows stand in either part.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.model_selection import StratifiedShuffleSplit
from tqdm import tqdm

from advaug.adapters import TabularAdapter
from advaug.judges import ConformalJudge, PanelJudge
from advaug.models import Ensemble
from advaug.report.checks import label_status
from advaug.report.panel_voters import PANEL
from advaug.sampling.judges.panel import LABEL_LEVEL
from advaug.sampling.judges.row_metrics import is_hidden
from benchmarks.oversampling.data import load, reader
from benchmarks.tables import machine, markdown, save

LEVELS = (0.05, LABEL_LEVEL, 0.10)
MOST = 1000  # majority rows of either part
FEWEST_KEPT, FEWEST_REFUSED = 0.9, 0.95  # the target


def binary_sets(folder: Path, *, core: bool | None = None) -> list[str]:
    """The stated rule; `core` leaves out tables that are another one with other classes."""
    known = reader(folder).manifest(split="dev", domain="tabular", core=core)
    known = known.query("task == 'binary' and minority_count >= 50 and rows <= 12_000")
    return sorted(known["name"])


def thinned(rows: np.ndarray, y: np.ndarray, chance: np.random.RandomState) -> np.ndarray:
    """Rows with at most MOST of the majority."""
    most = chance.permutation(rows[y[rows] == 0])[:MOST]
    return np.sort(np.concatenate([rows[y[rows] == 1], most]))


def answers(X: pd.DataFrame, y: np.ndarray, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Truth of the held-out rows, and what each judge says of them as minority rows."""
    chance = np.random.RandomState(seed)
    parts = next(StratifiedShuffleSplit(1, test_size=1 / 3, random_state=seed).split(X, y))
    train, test = (thinned(part, y, chance) for part in parts)
    coding = TabularAdapter().fit(X.iloc[train])
    x, new = coding.encode(X.iloc[train]), coding.encode(X.iloc[test])
    labels = torch.from_numpy(y[train])
    source = torch.Generator().manual_seed(seed)
    bench = PanelJudge(families=PANEL).fit(x, labels, 1, source)
    signs, _ = bench.row_metrics(new)
    committee = Ensemble().fit(x, labels, 2, source)
    probability = committee.probability(new)[:, 1]
    lean = ConformalJudge().fit(x, labels, 1, source).verdict(new, probability)
    return y[test] == 1, {
        "label p": signs["label_p"].numpy(),
        "surety": signs["agreement"].numpy(),
        "committee": probability.numpy(),
        "lean": lean.accepts.numpy(),
        "hidden": is_hidden(new, x, labels == 0).numpy(),
    }


def scores(X: pd.DataFrame, y: np.ndarray, seed: int) -> dict[str, float]:
    """Shares kept of minority rows and refused of pasted ones, by each judge."""
    is_real, said = answers(X, y, seed)
    found = {"AUC": roc_auc_score(is_real, said["surety"])}
    found["AUC, nets alone"] = roc_auc_score(is_real, said["committee"])
    keeps = {f"at {level:.2f}": said["label p"] >= level for level in LEVELS}
    keeps |= {"lean judge": said["lean"], "hidden majority": ~said["hidden"]}
    for name, kept in keeps.items():
        found[f"kept {name}"] = kept[is_real].mean()
        found[f"refused {name}"] = (~kept[~is_real]).mean()
    wrong, right, _ = roc_curve(is_real, said["surety"])
    found["best refused at 90 % kept"] = 1 - wrong[np.argmax(right >= FEWEST_KEPT)]
    for name, part in (("pasted", ~is_real), ("real", is_real)):
        status = label_status(said["label p"][part], int((y == 1).sum() - is_real.sum()))
        found[f"{name} batch doubted"] = float(status != "good")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="has manifest.csv and read.py")
    parser.add_argument("--seeds", type=int, default=3, help="splits of each set")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/judge.json"))
    args = parser.parse_args()
    rows: dict[str, Any] = {}
    for name in tqdm(binary_sets(args.data)):
        table = load(args.data, name)
        y = table.y
        tried = [scores(table.X, y, seed) for seed in range(args.seeds)]
        mean = {key: float(np.mean([one[key] for one in tried])) for key in tried[0]}
        kept, refused = (mean[f"{what} at {LABEL_LEVEL:.2f}"] for what in ("kept", "refused"))
        rows[name] = {"minority": str(int(y.sum()))} | mean
        rows[name]["target met"] = (
            "yes" if kept >= FEWEST_KEPT and refused >= FEWEST_REFUSED else "no"
        )
        write(rows, args.seeds, args.out)
    print(args.out.with_suffix(".md").read_text())


def write(rows: dict[str, Any], seeds: int, out: Path) -> None:
    """What is known so far."""
    out.parent.mkdir(parents=True, exist_ok=True)
    results = {"machine": machine(), "splits": seeds, "sets": rows}
    out.write_text(json.dumps(results, indent=1) + "\n")
    table = pd.DataFrame(rows).T.infer_objects()
    save(f"{markdown(table, 3)}\n\n{machine()}", out.with_suffix(".md"))


if __name__ == "__main__":
    main()
