"""The same rare class, grown by SMOTE and by advaug: which new rows could be real?

python examples/before_and_after.py [--out before_and_after.png]

A table of orders: items are whole numbers, the amount is in steps of 5, and -20 says that it is
unknown. Red rows hold a value that no real row could hold.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTE

from advaug import AdversarialOverSampler

UNKNOWN = -20
BLUE, ORANGE, RED = "#0072b2", "#e69f00", "#d55e00"  # Told apart by colour-blind readers.


def orders(n: int = 600, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Items and amount of each order, and which ones were returned (one in twelve)."""
    random = np.random.default_rng(seed)
    returned = np.arange(n) % 12 == 0
    items = random.poisson(np.where(returned, 5, 2)) + 1
    amount = 5 * np.ceil(items * random.gamma(4, np.where(returned, 0.6, 0.9)))
    amount[random.random(n) < 0.12] = UNKNOWN
    return pd.DataFrame({"items": items, "amount": amount}), returned


def could_be_real(rows: pd.DataFrame) -> np.ndarray:
    """Whole items; an amount that is unknown, or above 0 and in steps of 5."""
    items, amount = rows["items"].to_numpy(), rows["amount"].to_numpy()
    return (items % 1 == 0) & ((amount == UNKNOWN) | (amount > 0) & (amount % 5 == 0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("before_and_after.png"))
    args = parser.parse_args()
    X, y = orders()
    samplers = {
        "SMOTE": SMOTE(random_state=0),
        "advaug": AdversarialOverSampler(random_state=0),
    }
    panels = {f"the table: {y.sum()} of {len(y)} orders were returned": X[y]}
    for name, sampler in samplers.items():
        floats = X.astype(float) if name == "SMOTE" else X  # SMOTE would cut whole numbers off
        new = sampler.fit_resample(floats, y)[0].iloc[len(X) :]
        share = could_be_real(new).mean()
        panels[f"{len(new)} new rows by {name}: {share:.0%} could be real"] = new
        print(f"{name}: {share:.1%} of {len(new)} new rows could be real")
    draw(X[~y], panels, args.out)


def draw(others: pd.DataFrame, panels: dict[str, pd.DataFrame], path: Path) -> None:
    """One panel for each set of rows of the rare class, over the rows of the other class."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), sharex=True, sharey=True)
    for axis, (title, rows) in zip(axes, panels.items(), strict=True):
        good = could_be_real(rows)
        kinds = {
            "kept orders": (others, "#bbbbbb", 12),
            "returned orders": (rows[good], BLUE if axis is axes[0] else ORANGE, 16),
            "could not be real": (rows[~good], RED, 16),
        }
        for label, (part, colour, size) in kinds.items():
            if len(part):
                shape = "x" if colour == RED else "o"
                look = {"marker": shape, "label": label, "linewidths": 1}
                axis.scatter(part["items"], part["amount"], size, colour, **look)
        axis.set(title=title, xlabel="items")
        axis.title.set_fontsize(10)
        axis.legend(loc="upper left", fontsize=8, frameon=False)
    axes[0].set_ylabel("amount, €")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
